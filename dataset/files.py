"""What lies in a client's training folders: the record of what was written there, and the captions, ours and the user's."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field

from client_folder.client import Client
from client_folder.records import FileName
from utils import Record, write_record, write_text

INFO_FILE = "dataset_info.json"


class Item(Record):
    """What was written for one picture; `generated` are the digests of captions of ours, so that any other is the user's."""

    model_config = ConfigDict(frozen=True)

    file: FileName
    picture: str = ""
    caption: str = ""  # digest of the text beside the picture; empty while it is being written
    generated: tuple[str, ...] = ()


class DatasetInfo(Record):
    """`dataset_info.json` in a folder of the dataset. sd-scripts do not read it."""

    model_config = ConfigDict(frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    client: str
    repeats: int
    images: tuple[Item, ...] = ()


class EditedCaptions(Record):
    """`metadata/captions.json`: the captions that people wrote, by the stem of the picture."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    captions: dict[str, str] = {}


def digest(text: str) -> str:
    """Sixteen digits that change with a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_items(client: Client, folder: Path) -> dict[str, Item]:
    """What was written into a folder of the dataset, by the stem of the picture."""
    info = client.read(folder / INFO_FILE, DatasetInfo)
    return {Path(item.file).stem: item for item in (info.images if info else ())}


def read_caption(folder: Path, stem: str) -> str:
    """The text beside a picture, empty where there is none."""
    with contextlib.suppress(FileNotFoundError):
        return (folder / f"{stem}.txt").read_text(encoding="utf-8", errors="replace").strip()
    return ""


def edited_captions(client: Client) -> dict[str, str]:
    """The captions that people wrote, by the stem of the picture: what lies beside it, else what last did."""
    edited = dict(_stored_captions(client))
    for folder in client.dataset_folders():
        items = read_items(client, folder)
        for file in sorted(folder.glob("*.txt")):
            text, item = read_caption(folder, file.stem), items.get(file.stem)
            if text and not (item and digest(text) in item.generated):
                edited[file.stem] = text
            else:
                edited.pop(file.stem, None)
    return edited


def _stored_captions(client: Client) -> dict[str, str]:
    stored = client.read(client.captions_file, EditedCaptions)
    return stored.captions if stored else {}


def keep_edited(client: Client, edited: Mapping[str, str]) -> None:
    """Write down the captions that people wrote, before anything is moved or removed."""
    if edited != _stored_captions(client):
        write_record(client.captions_file, EditedCaptions(captions=dict(sorted(edited.items()))))


# --- captions, one by one ---------------------------------------------------------------------------------------------
class CaptionRow(Record):
    """A caption of the dataset as people see it."""

    model_config = ConfigDict(frozen=True)

    picture: str  # stem of the picture
    folder: str
    text: str
    edited: bool  # somebody wrote it


def pictures_of(client: Client) -> tuple[Path, ...]:
    """Every picture in the training folders, by folder and name."""
    return tuple(path for folder in client.dataset_folders() for path in sorted(folder.glob("*.png")))


def list_captions(client: Client) -> tuple[CaptionRow, ...]:
    """Every caption in the training folders, by folder and picture."""
    edited = edited_captions(client)
    return tuple(
        CaptionRow(
            picture=path.stem, folder=path.parent.name, text=read_caption(path.parent, path.stem), edited=path.stem in edited
        )
        for path in pictures_of(client)
    )  # fmt: skip


def edit_caption(client: Client, stem: str, text: str) -> bool:
    """Write a caption on one line, as an editor would, and remove what the trainer cached of the old one; False where there is no
    such picture in the dataset."""
    line = " ".join(text.split())
    for folder in client.dataset_folders():
        if (folder / f"{stem}.png").is_file():
            for cache in folder.glob(f"{stem}_*.npz"):
                cache.unlink()
            write_text(folder / f"{stem}.txt", f"{line}\n")
            return True
    return False


def link_or_copy(source: Path, target: Path) -> None:
    """The same file under a second name; a copy on another disk, or on a file system without links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
