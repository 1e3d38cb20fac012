"""Records that somebody else wrote: a client's folder that was handed on must not read or write anything outside of itself."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from client_folder.client import Client, create_client
from client_folder.records import Faces, Picture, Pictures, Source, Verdict
from dataset.quarantine import put_back
from utils import BrokenFile, FolderMissing, read_record, write_record

SHA = "ab" * 32


@pytest.fixture
def client(tmp_path: Path) -> Client:
    client = create_client(tmp_path / "home", "ana")
    Image.new("RGB", (8, 8)).save(client.raw_mj / "a.png")
    picture = Picture(file="a.png", original="a.png", source=Source.MIDJOURNEY, sha256=SHA)
    write_record(client.images_file, Pictures(images=(picture,)))
    return client


def quarantine_record(client: Client, files: dict[str, str]) -> None:
    stem = client.pictures()[0].stem
    client.quarantine.mkdir()
    (client.quarantine / "x.txt").write_text("written by somebody else")
    words = {"schema": 1, "stem": stem, "picture": "a.png", "files": files}
    (client.quarantine / f"{stem}.json").write_text(json.dumps(words))


@pytest.mark.parametrize("place", ["../../../victim.txt", "/{root}/victim.txt", "processed/../../../../victim.txt", "", "a//b"])
def test_a_record_of_quarantine_cannot_write_outside(client: Client, tmp_path: Path, place: str) -> None:
    (tmp_path / "victim.txt").write_text("mine")
    quarantine_record(client, {"x.txt": place.format(root=str(tmp_path).lstrip("/"))})
    with pytest.raises(BrokenFile):
        put_back(client, ["a.png"])
    assert (tmp_path / "victim.txt").read_text() == "mine"
    assert (client.quarantine / "x.txt").exists()


def test_a_record_of_quarantine_cannot_fetch_from_outside(client: Client, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("mine")
    quarantine_record(client, {"../../../../secret.txt": "processed/a.png"})
    with pytest.raises(BrokenFile):
        put_back(client, ["a.png"])
    assert (tmp_path / "secret.txt").read_text() == "mine"


@pytest.mark.skipif(os.name == "nt", reason="links need a right of their own there")
def test_a_link_does_not_lead_outside_either(client: Client, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (client.root / "processed").symlink_to(outside)
    quarantine_record(client, {"x.txt": "processed/victim.txt"})
    with pytest.raises(FolderMissing):
        put_back(client, ["a.png"])
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("crop", ["../../../private.png", "/etc/private.png"])
def test_a_verdict_cannot_name_a_picture_elsewhere(client: Client, crop: str) -> None:
    good = Verdict(file="a.png", sha256=SHA, source=Source.MIDJOURNEY, crop=f"mj_{SHA[:12]}.png", settings="")
    record = Faces(faces=(good,)).model_dump(mode="json", by_alias=True)
    client.faces_file.write_text(json.dumps(record))
    assert client.faces() == (good,)
    record["faces"][0]["crop"] = crop
    client.faces_file.write_text(json.dumps(record))
    with pytest.raises(BrokenFile) as caught:
        client.faces()
    assert caught.value.facts["path"] == client.faces_file


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"schema": ' + "9" * 5000 + "}", '{"images": "\\ud83d"}', "\ud83d".encode("utf-8", "surrogatepass")]
)
def test_a_strange_record_is_named_and_not_a_fault(tmp_path: Path, text: str | bytes) -> None:
    path = tmp_path / "images.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BrokenFile):
        read_record(path, Pictures)


def test_a_folder_in_place_of_a_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "images.json").mkdir()
    with pytest.raises(BrokenFile):
        read_record(tmp_path / "images.json", Pictures)
