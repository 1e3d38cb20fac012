"""Small copies of pictures, kept in a folder so that a contact sheet need not open the large ones again. Safe to delete.

A copy is found by the name, size and time of writing of its picture: a picture that is written anew has no copy yet.
"""

from __future__ import annotations

import contextlib
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

    found = picture.stat()
    digest = hashlib.sha256(f"{found.st_size} {found.st_mtime_ns}".encode()).hexdigest()[:_DIGEST_DIGITS]
    name = f"{picture.parent.name}_{picture.stem}_"
    kept = folder / f"{name}{digest}.jpg"
    with contextlib.suppress(OSError), Image.open(kept) as file:  # gone or damaged: made anew
        return file.convert("RGB")
    with Image.open(picture) as opened:
        opened.draft("RGB", (SIDE_PX, SIDE_PX))
        made = fitting(opened, SIDE_PX)
    for old in folder.glob(f"{name}{'?' * _DIGEST_DIGITS}.jpg"):  # of what the picture was before
        old.unlink(missing_ok=True)
    with replacing(kept) as part:
        made.save(part, format="JPEG", quality=QUALITY, subsampling=0)
    with Image.open(kept) as file:
        return file.convert("RGB")  # the same pixels as every later time


def fitting(image: Image.Image, side: int) -> Image.Image:
    """A copy of the image as RGB, as large as fits into a square of `side`."""
    from PIL import Image

    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=1.2)
