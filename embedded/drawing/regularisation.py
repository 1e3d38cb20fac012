"""Pictures of other people for a training on the embedded base: half of every batch, so that only the client's words change.

A LoRA that sees one person only learns that everybody is that person. Kohya's trainers mix these in as regularisation pictures;
here the code that drew the base's own training set draws them, each with its own caption. A real base has no such code: there,
users bring pictures of their own.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from pathlib import Path

from embedded.drawing.painting import draw
from embedded.drawing.portraits import caption, random_portrait
from utils import Event, Progress, replacing, sweep_parts, whole_png, write_text

STAGE = "regularisation"
FOLDER = "1_person"  # Kohya's layout: seen once an epoch, and the class that stands for a missing caption
COUNT = 60
SIZE_PX = 192  # twice what the embedded base paints


def draw_regularisation(folder: Path, count: int = COUNT, size: int = SIZE_PX) -> Generator[Event, None, int]:
    """Draw what is missing of `count` people, `size` pixels square, into Kohya's layout in `folder`; returns how many were drawn.

    The caption is written first: where the picture stands, both do. The same number always is the same person, to the byte.
    """
    place = folder / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    sweep_parts(place)
    missing = [number for number in range(count) if not whole_png(_file(place, number))]
    for done, number in enumerate(missing):
        yield Progress(STAGE, done, len(missing), _file(place, number).name)
        _draw_person(_file(place, number), number, size)
    if missing:
        yield Progress(STAGE, len(missing), len(missing))
    return len(missing)


def _file(place: Path, number: int) -> Path:
    """Where the picture of a person lies."""
    return place / f"person_{number:03d}.png"


def _draw_person(file: Path, number: int, size: int) -> None:
    """Write one person's caption and picture."""
    from PIL import Image

    portrait = random_portrait(random.Random(number))
    write_text(file.with_suffix(".txt"), caption(portrait) + "\n")
    with replacing(file) as part:
        Image.fromarray(draw([portrait], size, size)[0]).save(part, format="PNG")
