"""Measure the embedded base: does it paint faces, and do hair and background follow the prompt?

`python -m benchmarks.measure_base --base embedded/base` paints the fixed prompts in every recipe, prints one JSON
object and writes the pictures as one grid.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from embedded.drawing.painting import draw
from embedded.drawing.palette import BACKGROUNDS, HAIR, SCENES
from embedded.drawing.portraits import DrawnPortrait, Picture, random_portrait
from embedded.making.base_model import PICTURE_SIDE, load_base
from faces.detector import load_tensorflow

if TYPE_CHECKING:
    from diffusers import StableDiffusionXLPipeline

SEED = 1234
DETECTION_SIDE = 512
"""Pixels; what the pictures are enlarged to before a face is looked for."""
SURE = 0.90
"""Least confidence of the detector that counts as a face."""
DRAWN_EACH = 12
"""Drawn portraits from which the look of each hair colour and background is taken."""
HAIR_ROWS, HAIR_COLUMNS = slice(10, 19), slice(37, 59)
MARGIN = 11
"""Pixels at the left and right edge that show only background."""
HIGH_ROWS, LOW_ROWS = slice(2, 20), slice(24, 44)


@dataclass(frozen=True, slots=True)
class BaseRecipe:
    """How a picture is painted."""

    name: str
    steps: int
    guidance: float


@dataclass(frozen=True, slots=True)
class Case:
    """What a fixed prompt asks for."""

    gender: str
    hair_style: str
    hair: str
    expression: str
    background: str

    @property
    def prompt(self) -> str:
        """The case in words, as a user would put it."""
        hair = f"{self.hair} hair in a bun" if self.hair_style == "bun" else f"{self.hair_style} {self.hair} hair"
        return f"portrait of a {self.gender}, {hair}, {self.expression}, {self.background} background"


@dataclass(frozen=True, slots=True)
class Figures:
    """How many of the pictures pass each test."""

    recipe: str
    pictures: int
    faces: int
    hair: int
    background: int
    hair_and_background: int
    seconds_per_picture: float


RECIPES = (BaseRecipe("8 steps, guidance 2", 8, 2.0), BaseRecipe("4 steps, no guidance", 4, 0.0))
CASES = (
    Case("woman", "long", "red", "smiling", "beach"),
    Case("man", "short", "black", "serious", "white"),
    Case("woman", "long", "blonde", "laughing", "blue"),
    Case("man", "short", "brown", "smiling", "green"),
    Case("woman", "bun", "black", "serious", "red"),
    Case("woman", "short", "pink", "smiling", "grey"),
    Case("man", "short", "grey", "laughing", "city"),
    Case("woman", "long", "black", "smiling", "yellow"),
    Case("man", "short", "blonde", "serious", "black"),
    Case("woman", "long", "pink", "laughing", "forest"),
    Case("man", "short", "red", "smiling", "blue"),
    Case("woman", "long", "grey", "smiling", "red"),
    Case("woman", "bun", "brown", "serious", "white"),
    Case("man", "short", "black", "surprised", "beach"),
    Case("woman", "long", "brown", "smiling", "city"),
    Case("woman", "short", "blonde", "smiling", "green"),
)


class Judge:
    """Looks for faces with MTCNN, and names colours by what drawn portraits look like in the same place."""

    def __init__(self) -> None:
        load_tensorflow()
        from mtcnn import MTCNN

        self._mtcnn: Any = MTCNN()
        rng = random.Random(SEED)
        self._hair = {name: hair_colour(_drawn(rng, hair=name, hair_style="short")) for name in HAIR}
        self._background = {name: background_colour(_drawn(rng, background=name)) for name in (*BACKGROUNDS, *SCENES)}

    def finds_face(self, picture: Picture) -> bool:
        """Whether a face is found in the picture once it is enlarged."""
        large = Image.fromarray(picture).resize((DETECTION_SIDE, DETECTION_SIDE), Image.Resampling.BICUBIC)
        found = self._mtcnn.detect_faces(np.asarray(large))
        return any(face["confidence"] >= SURE for face in found)

    def hair_of(self, picture: Picture) -> str:
        """The name of the nearest hair colour."""
        return _nearest(hair_colour(picture[None]), self._hair)

    def background_of(self, picture: Picture) -> str:
        """The name of the nearest background."""
        return _nearest(background_colour(picture[None]), self._background)

    def figures(self, recipe: str, pictures: Sequence[Picture], seconds: float) -> Figures:
        """Count faces and colours that follow in pictures of the cases, in their order."""
        hair = [self.hair_of(picture) == case.hair for picture, case in zip(pictures, CASES, strict=True)]
        scene = [self.background_of(picture) == case.background for picture, case in zip(pictures, CASES, strict=True)]
        return Figures(
            recipe=recipe,
            pictures=len(pictures),
            faces=sum(self.finds_face(picture) for picture in pictures),
            hair=sum(hair),
            background=sum(scene),
            hair_and_background=sum(both[0] and both[1] for both in zip(hair, scene, strict=True)),
            seconds_per_picture=round(seconds / len(pictures), 3),
        )


def _drawn(rng: random.Random, **fixed: str) -> Picture:
    """A dozen drawn portraits that share what is fixed."""
    people = [random_portrait(rng, light="studio lighting", **fixed) for _ in range(DRAWN_EACH)]
    return draw(people, PICTURE_SIDE, PICTURE_SIDE)


def hair_colour(pictures: Picture) -> npt.NDArray[np.float64]:
    """Mean colour above the forehead of some pictures; the median of each, so that a parting does not count."""
    seen = pictures[:, HAIR_ROWS, HAIR_COLUMNS].reshape(len(pictures), -1, 3)
    colour: npt.NDArray[np.float64] = np.median(seen, axis=1).mean(0)
    return colour


def background_colour(pictures: Picture) -> npt.NDArray[np.float64]:
    """Mean colours beside the head, high and low: six numbers, so that a beach differs from a blue backdrop."""
    edges = np.concatenate([pictures[:, :, :MARGIN], pictures[:, :, -MARGIN:]], axis=2)
    high, low = edges[:, HIGH_ROWS].mean((0, 1, 2)), edges[:, LOW_ROWS].mean((0, 1, 2))
    colours: npt.NDArray[np.float64] = np.concatenate([high, low])
    return colours


def _nearest(colour: npt.NDArray[np.float64], looks: Mapping[str, npt.NDArray[np.float64]]) -> str:
    return min(looks, key=lambda name: float(np.linalg.norm(looks[name] - colour)))


def drawn_cases() -> list[DrawnPortrait]:
    """The cases as drawn portraits: the control that the measure itself must pass."""
    rng = random.Random(SEED + 1)
    fixed = [{field.name: getattr(case, field.name) for field in fields(case)} for case in CASES]
    return [random_portrait(rng, light="studio lighting", beard=False, glasses=False, **each) for each in fixed]


def paint_cases(pipeline: StableDiffusionXLPipeline, recipe: BaseRecipe) -> list[Picture]:
    """Paint the fixed prompts with a fixed seed."""
    import torch

    painted = pipeline(
        [case.prompt for case in CASES],
        num_inference_steps=recipe.steps,
        guidance_scale=recipe.guidance,
        height=PICTURE_SIDE,
        width=PICTURE_SIDE,
        generator=torch.Generator().manual_seed(SEED),
    )
    return [np.asarray(image) for image in painted.images]


def measure(pipeline: StableDiffusionXLPipeline, recipe: BaseRecipe, judge: Judge) -> Figures:
    """Paint the fixed prompts in this recipe and judge them."""
    start = time.monotonic()
    pictures = paint_cases(pipeline, recipe)
    return judge.figures(recipe.name, pictures, time.monotonic() - start)


def measure_drawn(judge: Judge) -> Figures:
    """Judge drawings of the same cases: the best that the measure can give."""
    return judge.figures("drawn, not painted", list(draw(drawn_cases(), PICTURE_SIDE, PICTURE_SIDE)), 0.0)


def save_grid(rows: Sequence[Sequence[Picture]], path: Path) -> None:
    """Write rows of pictures as one PNG, twice as large."""
    gap = 2
    cell = PICTURE_SIDE + gap
    grid = np.full((len(rows) * cell, max(len(row) for row in rows) * cell, 3), 255, np.uint8)
    for down, row in enumerate(rows):
        for across, picture in enumerate(row):
            top, left = down * cell, across * cell
            grid[top : top + PICTURE_SIDE, left : left + PICTURE_SIDE] = picture
    image = Image.fromarray(grid)
    image.resize((2 * image.width, 2 * image.height), Image.Resampling.BICUBIC).save(path)


def main() -> None:
    """Measure a base in every recipe, with the drawings as control."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, default=Path(__file__).parents[1] / "embedded" / "base")
    parser.add_argument("--grid", type=Path, default=Path("base_grid.png"), help="where the pictures go")
    arguments = parser.parse_args()
    pipeline = load_base(arguments.base)
    judge = Judge()
    figures = [measure_drawn(judge), *(measure(pipeline, recipe, judge) for recipe in RECIPES)]
    rows = [list(draw(drawn_cases(), PICTURE_SIDE, PICTURE_SIDE))]
    rows += [paint_cases(pipeline, recipe) for recipe in RECIPES]
    save_grid([row[start : start + 8] for row in rows for start in (0, 8)], arguments.grid)
    print(json.dumps({"base": str(arguments.base), "figures": [asdict(each) for each in figures]}, indent=2))


if __name__ == "__main__":
    main()
