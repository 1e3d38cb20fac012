"""Small copies of pictures, kept in a folder so that a contact sheet need not open the large ones again. Safe to delete.

A copy is found by the name, size and time of writing of its picture: a picture that is written anew has no copy yet.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from utils import replacing

if TYPE_CHECKING:
    from PIL import Image

SIDE_PX = 192  # longer side of a copy: a cell of a sheet
QUALITY = 90  # of JPEG: about 10 kB of a face, and no difference to be seen at that size
_DIGEST_DIGITS = 16


def thumbnail(picture: Path, folder: Path) -> Image.Image:
    """The picture with its longer side of 192 px, from the folder or made now and kept there; raises OSError for a bad picture."""
    from PIL import Image

    kept = _place_of(picture, folder, SIDE_PX)
    with contextlib.suppress(OSError), Image.open(kept) as file:  # gone or damaged: made anew
        return file.convert("RGB")
    _make(picture, kept, SIDE_PX)
    with Image.open(kept) as file:
        return file.convert("RGB")  # the same pixels as every later time


def thumbnail_file(picture: Path, folder: Path, side: int) -> Path:
    """The file of a small copy of another size; made now where it is missing. Raises OSError for a bad picture."""
    kept = _place_of(picture, folder, side)
    if not kept.is_file():
        _make(picture, kept, side)
    return kept


def _place_of(picture: Path, folder: Path, side: int) -> Path:
    found = picture.stat()
    digest = hashlib.sha256(f"{found.st_size} {found.st_mtime_ns}".encode()).hexdigest()[:_DIGEST_DIGITS]
    size = "" if side == SIDE_PX else f"-{side}"
    return folder / f"{picture.parent.name}_{picture.stem}{size}_{digest}.jpg"


def _make(picture: Path, kept: Path, side: int) -> None:
    from PIL import Image, ImageOps

    with Image.open(picture) as opened:
        opened.draft("RGB", (side, side))
        made = fitting(opened if side == SIDE_PX else ImageOps.exif_transpose(opened), side)
    for old in kept.parent.glob(f"{glob.escape(kept.stem[:-_DIGEST_DIGITS])}{'?' * _DIGEST_DIGITS}.jpg"):  # as the picture was
        old.unlink(missing_ok=True)
    with replacing(kept) as part:
        made.save(part, format="JPEG", quality=QUALITY, subsampling=0)


def fitting(image: Image.Image, side: int) -> Image.Image:
    """A copy of the image as RGB, as large as fits into a square of `side`."""
    from PIL import Image

    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=1.2)
