"""What the menu remembers from one time to the next, in `recent.json` of the home: the folder that pictures came from last.

A convenience: a file that cannot be read or written is as good as none.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Literal

from pydantic import Field

from utils import BrokenFile, Record, read_record, write_record


class Recent(Record):
    """`recent.json`."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    folder: str = ""


def recent_file(home: Path) -> Path:
    """Where it lies."""
    return home / "recent.json"


def last_folder(home: Path) -> str:
    """The folder that was named last, if it is still there; else empty."""
    with suppress(BrokenFile, OSError):
        folder = read_record(recent_file(home), Recent).folder
        return folder if folder and Path(folder).is_dir() else ""
    return ""


def remember_folder(home: Path, folder: Path) -> None:
    """Offer this folder the next time."""
    with suppress(OSError):
        write_record(recent_file(home), Recent(folder=str(folder.resolve())))
