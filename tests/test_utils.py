"""Safe files, errors, and records read from disk, each with the real thing."""

import os
from pathlib import Path

import pytest
from pydantic import BaseModel

import utils
from utils import BrokenFile, DiskFull, as_pipeline_error, read_record, replacing


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
