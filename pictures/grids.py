"""Grids: four pictures in one, as MidJourney answers in Discord. Which picture is one, and its parts as pictures of their own.

A name without an index may be a grid's or an upscale's; only the pixels tell. Where two pictures meet, neighbouring pixels differ
far more than those beside the seam, along the whole of it: so all four arms of the cross through the centre are measured.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pictures.midjourney import VARIATIONS
from pictures.picture_file import UnreadablePicture, decode

if TYPE_CHECKING:
    from PIL import Image

MIN_SIDE_PX = 64
AROUND_PX = 12  # on either side of the seam, to know how much neighbours differ anyway
LEAST_STEP = 0.5  # of 255: below it neighbours are equal, and any step would look steep
# CHOICE, measured: of 36 portraits and photos the faintest arm reaches 1.4 at most; of 28 grids made of them 1.7, the next one 9.
FAINT_RATIO = 1.6
SEAM_RATIO = 3.0
_JOB = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_INDEXED = re.compile(r"_[0-3](?![0-9A-Za-z])")
_NAMED_GRID = re.compile(r"_grid_[0-9]", re.IGNORECASE)


def may_be_grid(name: str, width: int, height: int) -> bool:
    """Whether a name and a size leave it open: a MidJourney job, no index, sides that can be halved."""
    *_, job = [None, *_JOB.finditer(name)]
    if job is None or min(width, height) < MIN_SIDE_PX or width % 2 or height % 2:
        return False
    tail = name[job.end() :]
    return bool(_NAMED_GRID.match(tail)) or not _INDEXED.match(tail)


def is_grid(path: Path) -> bool:
    """Whether a picture is two by two pictures; a file that cannot be decoded is none."""
    try:
        picture = decode(path)
    except UnreadablePicture:
        return False
    return has_seams(picture)


def has_seams(picture: Image.Image) -> bool:
    """Whether a cross of seams runs through the centre: four arms, of which one may be faint."""
    import numpy as np

    grey = np.asarray(picture.convert("L"), dtype=np.float32)
    arms = sorted([*_steps_at_middle(grey), *_steps_at_middle(grey.T)])
    return arms[0] >= FAINT_RATIO and arms[1] >= SEAM_RATIO


def _steps_at_middle(grey: Any) -> list[float]:
    """How the step between the two middle columns compares with those around it, for either half of the height."""
    import numpy as np

    height, middle = grey.shape[0], grey.shape[1] // 2
    steps = np.abs(np.diff(grey[:, middle - AROUND_PX : middle + AROUND_PX], axis=1))
    halves = (steps[: height // 2].mean(axis=0), steps[height // 2 :].mean(axis=0))
    return [float(half[AROUND_PX - 1] / (np.median(np.delete(half, AROUND_PX - 1)) + LEAST_STEP)) for half in halves]


def parts(path: Path) -> tuple[Image.Image, ...]:
    """The four pictures of a grid, in MidJourney's order: by rows. Raises UnreadablePicture."""
    grid = decode(path)
    width, height = grid.width // 2, grid.height // 2
    corners = [(column * width, row * height) for row in range(2) for column in range(2)]
    return tuple(grid.crop((left, top, left + width, top + height)) for left, top in corners)


def variation_of(name: str) -> tuple[str, str] | None:
    """The job and the index that a name tells; None where it tells no index."""
    *_, job = [None, *_JOB.finditer(name)]
    index = _INDEXED.match(name, job.end()) if job else None
    return (job[0].lower(), index[0][1]) if job and index else None


def part_names(name: str) -> tuple[str, ...]:
    """What the parts of a grid of this name are called: as MidJourney names the four pictures of a job."""
    name = name.rpartition("/")[2]
    *_, job = [None, *_JOB.finditer(name)]
    stem = name[: job.end()] if job else Path(name).stem
    return tuple(f"{stem}_{index}.png" for index in range(VARIATIONS))
