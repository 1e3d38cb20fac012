"""What searches for settings found in this home, by base and card: a first guess for the next client.

Kept outside of the clients' folders, so nothing of them is in it: no name, no picture, no distance; only what was trained with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field

from client_folder.tuned import TunedSettings
from utils import Record, locked, read_record, write_record

MOST_ROWS = 50


class KnownSettings(Record):
    """Settings that won on a base and a card, the newest row last."""

    model_config = ConfigDict(frozen=True)

    base_digest: str
    card: str
    settings: TunedSettings


class KnownFile(Record):
    """`tuned.json` in the home."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    rows: tuple[KnownSettings, ...] = ()


def known_file(home: Path) -> Path:
    """Where it lies."""
    return home / "tuned.json"


def known_settings(home: Path, base_digest: str, card: str) -> TunedSettings | None:
    """What won last on that base and card; None where nothing did. Raises BrokenFile."""
    file = known_file(home)
    rows = read_record(file, KnownFile).rows if file.exists() else ()
    return next((row.settings for row in reversed(rows) if (row.base_digest, row.card) == (base_digest, card)), None)


def remember_settings(home: Path, row: KnownSettings) -> None:
    """Add what won; the same again is no news."""
    file = known_file(home)
    with locked(file):
        rows = read_record(file, KnownFile).rows if file.exists() else ()
        if rows[-1:] != (row,):
            write_record(file, KnownFile(rows=(*rows, row)[-MOST_ROWS:]))
