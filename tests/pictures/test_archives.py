"""Zip archives as they are downloaded, and as an enemy makes them: what is listed, what is refused, where anything is written."""

from __future__ import annotations

import hashlib
import stat
import zipfile
from pathlib import Path

import pytest

from client_folder.reasons import Reason
from pictures import archives
from pictures.archives import close_archives, extract, list_archive
from pictures.picture_file import UnreadablePicture


def packed(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def names(path: Path) -> list[str]:
    return [member.name for member in list_archive(path).pictures]


def test_pictures_are_listed_in_the_order_of_names_and_the_copy_last(tmp_path: Path) -> None:
    members = {"b/x (1).png": b"1", "b/x.png": b"2", "a.JPG": b"3", "notes.txt": b"4", "__MACOSX/._a.JPG": b"5", "b/": b""}
    assert names(packed(tmp_path / "a.zip", members)) == ["a.JPG", "b/x.png", "b/x (1).png"]


@pytest.mark.parametrize("name", ["../up.png", "a/../../up.png", "/abs.png", "C:\\up.png", "..\\up.png"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    found = list_archive(packed(tmp_path / "a.zip", {"ok.png": b"1", name: b"2"}))
    assert [member.name for member in found.pictures] == ["ok.png"]
    assert [reason for _name, reason in found.refused] == [Reason.LINK_OUTSIDE]


def test_links_videos_archives_and_locked_members_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("link.png")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("clip.mp4", b"1")
        archive.writestr("more.zip", b"2")
        archive.writestr("locked.png", b"3")
    data = path.read_bytes()
    at = data.rindex(b"PK\x01\x02")  # the last member's row in the list: set its flag of encryption
    path.write_bytes(data[: at + 8] + b"\x01" + data[at + 9 :])
    assert dict(list_archive(path).refused) == {
        "link.png": Reason.LINK_OUTSIDE, "clip.mp4": Reason.ANIMATED, "more.zip": Reason.ARCHIVE_INSIDE,
        "locked.png": Reason.ARCHIVE_LOCKED,
    }  # fmt: skip


def test_what_unpacks_to_far_more_than_it_is_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"bomb.bmp": bytes(30_000_000)}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    assert list_archive(path).refused == (("bomb.bmp", Reason.ARCHIVE_TOO_LARGE),)


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {f"{number}.png": b"" for number in range(20_001)})
    assert list_archive(path).refused == (("", Reason.ARCHIVE_TOO_LARGE),)


def test_a_list_too_long_to_read_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path / "a.zip", {f"{number}.png": b"" for number in range(100)})
    monkeypatch.setattr(archives, "MAX_INDEX_BYTES", 1000)
    assert list_archive(path).refused == (("", Reason.ARCHIVE_TOO_LARGE),)


@pytest.mark.parametrize("data", [b"", b"PK", b"not a zip at all", b"PK\x05\x06" + bytes(10)])
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(data)
    found = list_archive(tmp_path / "a.zip")
    assert (found.pictures, found.refused) == ((), (("", Reason.ARCHIVE_DAMAGED),))


def test_a_member_is_written_where_it_is_told_and_checked(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"deep/er/a.png": b"abc" * 1000}, zipfile.ZIP_DEFLATED)
    (member,) = list_archive(path).pictures
    assert extract(member, tmp_path / "target") == hashlib.sha256(b"abc" * 1000).hexdigest()
    assert (tmp_path / "target").read_bytes() == b"abc" * 1000
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.zip", "target"]
    close_archives()


def test_a_damaged_member_is_refused_and_the_next_one_read(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"a.png": b"first" * 100, "b.png": b"second" * 100})
    data = path.read_bytes()
    path.write_bytes(data.replace(b"firstfirst", b"firstfirsT", 1))
    broken, sound = list_archive(path).pictures
    with pytest.raises(UnreadablePicture):
        extract(broken, tmp_path / "target")
    assert extract(sound, tmp_path / "target") == hashlib.sha256(b"second" * 100).hexdigest()
    close_archives()


@pytest.mark.parametrize("kind", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED])
def test_a_member_damaged_in_any_packing_is_refused_alone(tmp_path: Path, kind: int) -> None:
    path = tmp_path / "pictures.zip"
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name in ("a.png", "b.png"):
            archive.writestr(name, bytes(range(256)) * 40)
        at = archive.getinfo("b.png").header_offset - 30
    packed = bytearray(path.read_bytes())
    packed[at - 20 : at] = b"\xff" * 20
    path.write_bytes(packed)
    first, second = list_archive(path).pictures
    with pytest.raises(UnreadablePicture) as refused:
        extract(first, tmp_path / "a")
    assert refused.value.reason is Reason.UNREADABLE
    assert extract(second, tmp_path / "b") == hashlib.sha256(bytes(range(256)) * 40).hexdigest()
    close_archives()
