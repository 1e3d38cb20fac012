"""Safe files, errors, and records read from disk, each with the real thing."""

import os
from pathlib import Path

import pytest
from pydantic import BaseModel

import utils
from portraits.prompts import read_prompts
from portraits.styles import load_styles
from utils import BrokenFile, DiskFull, as_pipeline_error, read_record, replacing, write_text


class Note(BaseModel):
    title: str
    count: int


def test_a_file_keeps_its_old_content_when_writing_fails(tmp_path):
    path = tmp_path / "a.txt"
    utils.write_text(path, "old")
    with pytest.raises(ZeroDivisionError), replacing(path) as part:
        part.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.skipif(os.name == "nt", reason="Windows brings the names in a folder to the disk by itself")
def test_a_file_is_on_the_disk_before_it_has_its_name_and_its_name_before_anybody_counts_on_it(tmp_path, monkeypatch):
    """What a power cut leaves is told by the order of three calls, which are made all the same: only their order is noted."""
    done, fsync, rename = [], os.fsync, os.replace

    def noted_fsync(handle):
        done.append(("on the disk", os.fstat(handle).st_ino))
        fsync(handle)

    def noted_replace(part, path):
        done.append(("named", os.stat(part).st_ino))
        rename(part, path)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    path = tmp_path / "a.txt"
    for write in (lambda: utils.write_text(path, "new"), lambda: utils.write_record(path, Note(title="a", count=1))):
        done.clear()
        write()
        file, folder = path.stat().st_ino, tmp_path.stat().st_ino
        assert done == [("on the disk", file), ("named", file), ("on the disk", folder)]


def test_what_a_killed_run_left_is_swept_away_and_nothing_else(tmp_path):
    (tmp_path / ".a.png.part").write_bytes(b"half")
    (tmp_path / "a.png").write_bytes(b"whole")
    utils.sweep_parts(tmp_path)
    assert os.listdir(tmp_path) == ["a.png"]


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ('{"title": "a",\n "count": }', 2, "Expecting value"),
        ('{"title": "a",\n\n "count": "many"}', 3, "count"),
        ('{"title": "a"}', 1, "count"),
        ("", 1, "Expecting value"),
        ("[]", 1, "names and values"),
    ],
)
def test_a_broken_record_is_named_with_its_line_and_left_alone(tmp_path, text, line, word):
    path = tmp_path / "note.json"
    path.write_text(text)
    with pytest.raises(BrokenFile) as caught:
        read_record(path, Note)
    assert caught.value.facts["line"] == line
    assert word in caught.value.text()
    assert path.read_text() == text


def test_a_record_that_is_no_text_is_broken_too(tmp_path):
    path = tmp_path / "note.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BrokenFile):
        read_record(path, Note)


def test_a_real_full_disk_is_said_to_be_full():
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(OSError) as caught, open("/dev/full", "w") as full:
        full.write("x" * 100_000)
    assert isinstance(as_pipeline_error(caught.value), DiskFull)


class Numbers(BaseModel):
    """A record of numbers."""

    values: tuple[float, ...]


class Anything(BaseModel):
    """A record of one text."""

    text: str


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b'{"text":' + b"9" * 5000 + b"}",
        b'{"text": "\\ud83d"}',
        b'{"text": "\\udc00\\ud83d"}',
        b"\xff\xfe{}",
        b"\0",
    ],
)
def test_what_is_no_record_is_broken_whatever_is_wrong_with_it(tmp_path, content):
    for read in (lambda path: read_record(path, Anything), read_prompts):
        path = tmp_path / "some.json"
        path.write_bytes(content)
        with pytest.raises(BrokenFile) as broken:
            read(path)
        assert "some.json" in broken.value.text()
    (tmp_path / "styles").mkdir()
    (tmp_path / "styles" / "own.toml").write_bytes(b"a=" + content)
    with pytest.raises(BrokenFile, match=r"own\.toml"):
        load_styles(tmp_path)


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_a_record_holds_numbers_that_can_be_compared(tmp_path, number):
    (tmp_path / "some.json").write_text(f'{{\n"values": [0.5,\n {number}]}}')
    with pytest.raises(BrokenFile, match="line 3") as broken:
        read_record(tmp_path / "some.json", Numbers)
    assert number in broken.value.text()
    (tmp_path / "some.json").write_text('{"values": [0.5, -1e300, 2]}')
    assert read_record(tmp_path / "some.json", Numbers).values == (0.5, -1e300, 2)


def test_a_whole_emoji_may_be_spelt_in_halves(tmp_path):
    (tmp_path / "some.json").write_text('{"text": "\\ud83d\\ude00"}')
    assert read_record(tmp_path / "some.json", Anything).text == "\N{GRINNING FACE}"
    write_text(tmp_path / "other.txt", "a\udcffb")
    assert (tmp_path / "other.txt").read_text() == "a?b"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes and few links")
def test_what_is_no_file_is_broken_and_never_waited_for(tmp_path):
    (tmp_path / "styles").mkdir()
    for name in ("some.json", "styles/own.toml"):
        path = tmp_path / name
        for make in (path.mkdir, lambda: os.mkfifo(path), lambda: path.symlink_to("nowhere"), lambda: path.symlink_to(path.name)):  # noqa: B023
            make()
            with pytest.raises(BrokenFile):
                load_styles(tmp_path) if path.suffix == ".toml" else read_record(path, Anything)
            path.rmdir() if path.is_dir() else path.unlink()
    with pytest.raises(FileNotFoundError):
        read_record(tmp_path / "some.json", Anything)
