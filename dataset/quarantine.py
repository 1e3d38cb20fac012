"""Quarantine: a picture taken out of training with all that belongs to it, and put back byte for byte.

The record is written before the first file moves, so that whatever a kill leaves can be put back or taken away again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field

from client_folder.client import Client
from client_folder.lookup import find_pictures
from client_folder.records import FileName, InnerPath
from utils import FolderMissing, Record, read_record, write_record


class QuarantineRecord(Record):
    """`quarantine/STEM.json`: which files were taken from where, relative to the client's folder, by their names here."""

    model_config = ConfigDict(frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    stem: FileName
    picture: str  # as the user knows it
    files: dict[FileName, InnerPath]


def quarantined(client: Client) -> tuple[QuarantineRecord, ...]:
    """What is in quarantine, by stem; raises BrokenFile."""
    return tuple(read_record(path, QuarantineRecord) for path in sorted(client.quarantine.glob("*.json")))


def take_out(client: Client, names: Sequence[str]) -> tuple[str, ...]:
    """Move pictures out of `processed/` and the dataset; hands back their stems. Raises PictureMissing before anything moves."""
    pictures = find_pictures(client, names)
    for picture in pictures:
        stem = picture.stem
        path = client.quarantine / f"{stem}.json"
        known = read_record(path, QuarantineRecord).files if path.exists() else {}
        files = {**known, **_files_of(client, stem)}
        if files:
            write_record(path, QuarantineRecord(stem=stem, picture=picture.original, files=files))
            client.remove_sheets()
            for name, place in files.items():
                _move(client, client.root / place, client.quarantine / name)
    return tuple(picture.stem for picture in pictures)


def put_back(client: Client, names: Sequence[str]) -> tuple[str, ...]:
    """Move pictures back to where they were, every byte as it was; hands back their stems. Raises PictureMissing."""
    stems = [picture.stem for picture in find_pictures(client, names)]
    for stem in stems:
        path = client.quarantine / f"{stem}.json"
        if not path.exists():
            continue
        client.remove_sheets()
        for name, place in read_record(path, QuarantineRecord).files.items():
            _move(client, client.quarantine / name, client.root / place)
        path.unlink()
    return tuple(stems)


def _files_of(client: Client, stem: str) -> dict[str, str]:
    """Every file of a picture that training could see: the crop, and its copy, caption and caches in the dataset."""
    found = [(f"{stem}.png", client.processed / f"{stem}.png")]
    for folder in client.dataset_folders():
        paths = [folder / f"{stem}.png", folder / f"{stem}.txt", *sorted(folder.glob(f"{stem}_*.npz"))]
        found += [(f"{folder.name}__{path.name}", path) for path in paths]
    return {name: path.relative_to(client.root).as_posix() for name, path in found if path.is_file()}


def _move(client: Client, source: Path, place: Path) -> None:
    """Move a file, unless an earlier run did; raises FolderMissing where a link leads out of the client's folder."""
    if source.is_file():
        for folder in (source.parent, place.parent):
            if not folder.resolve().is_relative_to(client.root.resolve()):
                raise FolderMissing(path=folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, place)
