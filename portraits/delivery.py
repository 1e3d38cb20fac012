"""Chosen portraits in one .zip for whoever ordered them: pictures under names that can be read, a sheet of them, no originals."""

from __future__ import annotations

import io
import re
import tempfile
import unicodedata
import zipfile
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from client_folder.client import Client
from client_folder.export import archive_place
from locales.language import N_
from pictures.contact_sheet import Cell, contact_sheet, differing_words, in_rows
from portraits.history import find_portraits, read_history, there
from portraits.portrait import MADE_BY_AI, PortraitRecord, marked
from utils import BrokenFile, Event, PipelineError, Progress, read_record, replacing, sweep_parts_of

STAGE = "deliver"
SHEET_NAME = "contact_sheet.jpg"
SHEET_COLUMNS = 4
SHEET_CELL_PX = 320
NAME_LETTERS = 48  # of what a file name says of its picture


class NothingToDeliver(PipelineError):
    """Facts: client."""

    message = N_("No portrait of {client} is chosen.")
    hint = N_("Mark favourites first, or name the portraits to deliver: 3 is the third of the last run, 12:3 that of run 12.")


class Metadata(StrEnum):
    """What a delivered picture tells of itself."""

    MARK = "mark"  # that a machine made it, as rules on AI ask for
    FULL = "full"  # also prompt, seed and settings
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Delivered:
    """What was written: the archive, the names in it, and what the pictures tell of themselves."""

    file: Path
    pictures: tuple[str, ...]
    metadata: Metadata


def deliver(
    client: Client, words: Sequence[str], to: Path | None, metadata: Metadata, *, overwrite: bool = False
) -> Generator[Event, None, Delivered]:
    """Write the portraits meant by `words`, or else the favourites that are there, into one .zip; `to` names it or its folder.

    Raises PortraitMissing, NothingToDeliver, FolderMissing, FileThere or AmongClients.
    """
    files = find_portraits(client, words) if words else there(client, read_history(client).favourites)
    if not files:
        raise NothingToDeliver(client=client.id)
    target = archive_place(client, to, f"{client.id}_portraits_{datetime.now():%Y-%m-%d_%H%M%S}.zip", overwrite)
    names = _names(client, files)
    sweep_parts_of(target)
    with replacing(target) as part, zipfile.ZipFile(part, "w") as archive:  # pictures are compressed already
        for number, (file, name) in enumerate(zip(files, names, strict=True), 1):
            archive.writestr(_entry(name), _bytes(file, metadata))
            yield Progress(STAGE, number, len(files), name)
        archive.writestr(_entry(SHEET_NAME), _sheet(files, names))
    return Delivered(target, names, metadata)


def _names(client: Client, files: Sequence[Path]) -> tuple[str, ...]:
    """`ana_01_smiling_beach_seed11.png`: a number, so that no two are one, and in words what tells a picture from the others."""
    records = [_record(file) for file in files]
    told = differing_words([record.prompt if record else "" for record in records])
    names = []
    for number, (record, words) in enumerate(zip(records, told, strict=True), 1):
        plain = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode()
        slug = re.sub(r"[^a-z0-9]+", "_", plain.lower())[:NAME_LETTERS].strip("_")
        seed = f"seed{record.seed}" if record else ""
        names.append("_".join(filter(None, (client.id, f"{number:02d}", slug, seed))) + ".png")
    return tuple(names)


def _record(file: Path) -> PortraitRecord | None:
    """What is known of a portrait; None where its record was deleted or cannot be read."""
    try:
        return read_record(file.with_suffix(".json"), PortraitRecord)
    except (BrokenFile, FileNotFoundError):
        return None


def _bytes(file: Path, metadata: Metadata) -> bytes:
    """The picture as it is delivered: its pixels always the same, its texts as asked for."""
    if metadata is Metadata.FULL:
        return file.read_bytes()
    from PIL import Image

    buffer = io.BytesIO()
    with Image.open(file) as image:
        texts: dict[str, Any] = {"pnginfo": marked(MADE_BY_AI)} if metadata is Metadata.MARK else {}
        image.convert("RGB").save(buffer, format="PNG", **texts)
    return buffer.getvalue()


def _sheet(files: Sequence[Path], names: Sequence[str]) -> bytes:
    """All of them at a glance, under the names that they have in the archive."""
    cells = [Cell(file, name.removesuffix(".png")) for file, name in zip(files, names, strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, SHEET_NAME)
        contact_sheet(in_rows(cells, SHEET_COLUMNS), path, cell_px=SHEET_CELL_PX)
        return path.read_bytes()


def _entry(name: str) -> zipfile.ZipInfo:
    """An entry with the time of now."""
    return zipfile.ZipInfo(name, datetime.now().timetuple()[:6])
