"""Whether a picture of ours is whole: all that the program makes are PNG files, and one that a power cut tore is made again."""

from __future__ import annotations

import os
from pathlib import Path

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"  # the last chunk of every PNG file: no bytes, its name, its checksum


def whole_png(path: Path) -> bool:
    """Whether a PNG file is there from its signature to its end mark; reads a few bytes. A torn or empty file counts as missing."""
    try:
        with path.open("rb") as file:
            signed = file.read(len(PNG_SIGNATURE)) == PNG_SIGNATURE
            return signed and file.seek(-len(_PNG_END), os.SEEK_END) > 0 and file.read() == _PNG_END
    except OSError:
        return False
