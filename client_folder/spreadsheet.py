"""Tables as CSV files that open in any spreadsheet program, whatever the cells hold."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from utils import replacing

# A cell that begins with one of these is run as a formula by spreadsheet programs; a file name or a prompt may be anybody's.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_spreadsheet(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str | int | float]]) -> None:
    """Write a table, atomically, with the mark that makes spreadsheet programs read it as UTF-8."""
    with replacing(path) as part, part.open("w", encoding="utf-8-sig", newline="") as file:
        table = csv.writer(file)
        table.writerow(columns)
        table.writerows([_safe(cell) for cell in row] for row in rows)


def _safe(cell: str | int | float) -> str | int | float:
    """The cell, with an apostrophe before what would be a formula; numbers stay numbers."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell
