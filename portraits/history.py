"""What was painted of a client, run by run, and which portraits are favourites: `output/portraits.json`.

A portrait may be deleted by hand: the record says that there was one, and whoever asks for what is there gets only that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field

from client_folder.client import Client
from locales.language import N_
from portraits.portrait import Portrait
from utils import PipelineError, Record, locked, read_record, write_record

UNDO = "undo:"  # before a name: no favourite any more
SHEET_NAME = "portraits_{number:03d}.png"
_SHEET = re.compile(r"portraits_(\d+)\.png")
_PLACE = re.compile(r"(?:(\d+):)?(\d+)")  # 3, or 12:3


class PortraitMissing(PipelineError):
    """Facts: name, client."""

    message = N_("{client} has no portrait {name}.")
    hint = N_("Name its number in the last run (3), run and number (12:3), or its file. The history lists the runs: portraits list")


class PortraitRun(Record):
    """One run of `generate` or of a demo: its portraits in their order, by file name, and its sheet."""

    model_config = ConfigDict(frozen=True)

    number: int
    when: str  # UTC
    sheet: str  # name in `output/sheets/`
    images: tuple[str, ...]  # names in `output/`
    references: tuple[str, ...] = ()  # the crops beside them on the sheet
    prompts: tuple[str, ...] = ()  # each once
    seeds: tuple[int, ...] = ()  # each once


class PortraitHistory(Record):
    """`output/portraits.json`."""

    model_config = ConfigDict(frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    runs: tuple[PortraitRun, ...] = ()  # the oldest first
    favourites: tuple[str, ...] = ()  # names in `output/`, as they were chosen


def read_history(client: Client) -> PortraitHistory:
    """Every run of a client's portraits; raises BrokenFile."""
    return read_record(client.portraits_file, PortraitHistory) if client.portraits_file.exists() else PortraitHistory()


def sheet_of(client: Client, images: Sequence[Portrait], references: Sequence[str]) -> PortraitRun | None:
    """The run of these very portraits beside these references whose sheet is still there, if there was one."""
    wanted = (tuple(image.file.name for image in images), tuple(references))
    runs = (run for run in read_history(client).runs if (run.images, run.references) == wanted)
    return next((run for run in runs if (client.sheets / run.sheet).is_file()), None)


def new_run(client: Client, images: Sequence[Portrait], references: Sequence[str]) -> PortraitRun:
    """A run that is not in the history yet; its number is beyond every one given before, also where a record was deleted."""
    drawn = [int(named[1]) for sheet in client.sheets.glob("*.png") if (named := _SHEET.fullmatch(sheet.name))]
    number = max([0, *drawn, *(run.number for run in read_history(client).runs)]) + 1
    return PortraitRun(
        number=number, when=datetime.now(UTC).isoformat(timespec="seconds"), sheet=SHEET_NAME.format(number=number),
        images=tuple(image.file.name for image in images), references=tuple(references),
        prompts=tuple(dict.fromkeys(image.prompt for image in images)), seeds=tuple(dict.fromkeys(image.seed for image in images)),
    )  # fmt: skip


def keep_run(client: Client, run: PortraitRun) -> None:
    """Put a run into the history, once its sheet is drawn. Somebody may mark favourites at that moment: both is kept."""
    with locked(client.portraits_file):
        history = read_history(client)
        write_record(client.portraits_file, history.model_copy(update={"runs": (*history.runs, run)}))


def there(client: Client, names: Sequence[str]) -> tuple[Path, ...]:
    """The portraits of those names that nobody deleted."""
    return tuple(path for name in names if (path := client.output / name).is_file())


def find_portraits(client: Client, words: Sequence[str]) -> tuple[Path, ...]:
    """The portraits that a person means: a number in the last run, RUN:NUMBER, or a file name; raises PortraitMissing."""
    history = read_history(client)
    found = [_find(client, history, word.strip()) for word in words]
    return tuple(dict.fromkeys(found))


def _find(client: Client, history: PortraitHistory, word: str) -> Path:
    place = _PLACE.fullmatch(word)
    if place and history.runs:
        wanted = int(place[1]) if place[1] else history.runs[-1].number
        images = next((run.images for run in history.runs if run.number == wanted), ())
        number = int(place[2])
        if 1 <= number <= len(images) and (client.output / images[number - 1]).is_file():
            return client.output / images[number - 1]
    for name in (Path(word).name, f"{Path(word).stem}.png"):
        if name.startswith("portrait_") and (client.output / name).is_file():
            return client.output / name
    raise PortraitMissing(name=word, client=client.id)


def mark_favourites(client: Client, words: Sequence[str]) -> PortraitHistory:
    """Make portraits favourites, or no longer (`undo:NAME`); raises PortraitMissing, and nothing is changed then."""
    added = find_portraits(client, [word for word in words if not word.startswith(UNDO)])
    taken = find_portraits(client, [word.removeprefix(UNDO) for word in words if word.startswith(UNDO)])
    gone = {path.name for path in taken}
    with locked(client.portraits_file):
        history = read_history(client)
        names = [name for name in (*history.favourites, *(path.name for path in added)) if name not in gone]
        changed = history.model_copy(update={"favourites": tuple(dict.fromkeys(names))})
        if changed != history:
            write_record(client.portraits_file, changed)
    return changed
