"""Uploads: taken in as an import would, refused with its reasons, and nothing left of what was refused."""

import io
import stat
import struct
import zipfile
import zlib

import pytest
from PIL import Image

ZEROS = b"\0" * (8 << 20)


def zipped(*members, **how):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, **how) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return made.getvalue()


def link(name, target):
    made = zipfile.ZipInfo(name)
    made.external_attr = (stat.S_IFLNK | 0o777) << 16
    return zipped((made, target))


def huge_png():
    """A picture of 100,000 pixels a side in a few hundred bytes."""
    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


HOSTILE = {
    "a path": ("../../evil.png", b"x"),
    "a path of Windows": ("..\\evil.png", b"x"),
    "an absolute path": ("/etc/evil.png", b"x"),
    "a hidden name": (".ssh", b"x"),
    "no picture": ("photo.png", b"this is text"),
    "an empty picture": ("photo.png", b""),
    "half a picture": ("photo.png", b"\x89PNG\r\n\x1a\n" + b"x" * 50),
    "too many pixels": ("photo.png", huge_png()),
    "a program": ("run.exe", b"MZ"),
    "a slip of pictures": ("pictures.zip", zipped(("../../evil.png", b"x"))),
    "a slip of texts": ("pictures.zip", zipped(("fine.png", b"x"), ("../../evil.txt", b"x"))),
    "a link": ("pictures.zip", link("a.png", "/etc/passwd")),
    "a bomb of pictures": ("pictures.zip", zipped(("a.png", ZEROS), compresslevel=9)),
    "a bomb of texts": ("pictures.zip", zipped(("a.png", b"x"), ("b.txt", ZEROS), compresslevel=9)),
    "an archive in an archive": ("pictures.zip", zipped(("inner.zip", zipped(("a.png", b"x"))))),
    "a damaged archive": ("pictures.zip", b"PK\x03\x04 nothing"),
    "deep JSON": ("list.json", b"[" * 100_000),
}


def left(served):
    return sorted(path.name for path in (served.home / "service" / "assets").iterdir()), sorted(
        path.name for path in (served.home / "service" / "incoming").iterdir()
    )


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("form", [True, False], ids=["form", "bytes"])
def test_what_is_refused_leaves_nothing(served, kind, form):
    name, content = HOSTILE[kind]
    before = left(served)
    if form:
        answer = served.ask("POST", "/api/assets", files={"file": (name, content)})
    else:
        answer = served.ask("POST", "/api/assets", params={"name": name}, content=content)
    # A form's file has no folders in its name: the parser takes the last part, and the content decides then.
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]
    assert str(served.home) not in answer.text
    assert left(served) == before


def test_an_upload_is_kept_told_handed_back_and_removed(served, picture):
    taken = served.ask("POST", "/api/assets", files=[("file", ("my photo.png", picture)), ("file", ("list.txt", b"a cat\n"))])
    assert taken.status_code == 200, taken.text
    first, second = taken.json()["assets"]
    assert (first["kind"], first["width"], first["height"], first["name"]) == ("picture", 300, 400, "my photo.png")
    assert second["kind"] == "text"
    listed = served.get("/api/assets").json()
    assert {first["id"], second["id"]} <= {asset["id"] for asset in listed["assets"]}
    assert listed["assets_count"] == len(listed["assets"])
    assert served.get(f"/api/assets/{first['id']}").content == picture
    for asset in (first, second):
        assert served.ask("DELETE", f"/api/assets/{asset['id']}").status_code == 200
        assert served.get(f"/api/assets/{asset['id']}").status_code == 404
    assert served.get("/api/assets/0000000000000000").status_code == 404
    assert served.get("/api/assets/..%2f..%2ftoken").status_code in (404, 422)


def test_an_archive_of_pictures_is_imported(served):
    pictures = []
    for number in range(3):
        made = io.BytesIO()
        Image.effect_noise((320, 320), 20 + 30 * number).convert("RGB").save(made, "PNG")
        pictures.append((f"shoot/{number}.png", made.getvalue()))
    taken = served.ask("POST", "/api/assets", files={"file": ("shoot.zip", zipped(*pictures))}).json()
    assert (taken["assets"][0]["kind"], taken["assets"][0]["pictures"]) == ("archive", 3)
    job = served.finished(served.post("/actions/import-mj", {"client": "anna_x", "pictures": [taken["asset"]]}))
    assert len(job["answer"]["added"]) == 3
