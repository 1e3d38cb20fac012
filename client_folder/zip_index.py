"""The list of entries at the end of a .zip: how long it is, asked before anything reads it whole."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

_ZIP_END, _ZIP_END_BYTES, _LONGEST_ZIP_COMMENT = b"PK\x05\x06", 22, 1 << 16


def zip_index_bytes(path: Path) -> int:
    """The size of a .zip's list of entries, as the end of the file states it: who opens one reads it whole. Raises BadZipFile."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _ZIP_END_BYTES - _LONGEST_ZIP_COMMENT))
        tail = file.read()
    at = tail.rfind(_ZIP_END)
    if at < 0:
        raise zipfile.BadZipFile("no end of the list of entries")
    return int.from_bytes(tail[at + 12 : at + 16], "little")
