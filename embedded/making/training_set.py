"""The training set of the embedded base: drawn portraits with their captions, kept in a work folder."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from embedded.drawing.painting import draw
from embedded.drawing.portraits import caption, random_portrait
from embedded.making.base_model import LATENT_CHANNELS, PATCH_SIDE, PICTURE_SIDE
from embedded.making.linear_code import LinearCode, fit_linear_code

PORTRAITS = 16_000
CAPTIONS_EACH = 3
"""Captions per portrait, each naming other attributes in another order."""
KEEP = 0.92
"""Chance that a caption names an attribute."""
SEED = 20
FIT_ON = 1_500
"""Portraits that the linear code is fitted to."""


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Pictures (n, 3, side, side) as bytes, the captions of each, their latents, and the code that made these."""

    pictures: torch.Tensor
    captions: list[list[str]]
    latents: torch.Tensor
    code: LinearCode

    def as_floats(self, rows: torch.Tensor) -> torch.Tensor:
        """Pictures of these rows in -1..1."""
        return self.pictures[rows].float() / 127.5 - 1.0

    def all_captions(self) -> list[str]:
        """Every caption of every portrait."""
        return [text for texts in self.captions for text in texts]


def draw_training_set(work: Path) -> Iterator[int]:
    """Draw the portraits into the work folder, unless they lie there; yields how many are drawn."""
    if (work / "portraits.npy").exists() and (work / "captions.json").exists():
        return
    work.mkdir(parents=True, exist_ok=True)
    rng = random.Random(SEED)
    pictures = np.empty((PORTRAITS, PICTURE_SIDE, PICTURE_SIDE, 3), np.uint8)
    captions = []
    for index in range(PORTRAITS):
        portrait = random_portrait(rng)
        pictures[index] = draw([portrait], PICTURE_SIDE, PICTURE_SIDE)[0]
        captions.append([caption(portrait, rng, keep=KEEP) for _ in range(CAPTIONS_EACH)])
        if (index + 1) % 500 == 0:
            yield index + 1
    np.save(work / "portraits.npy", pictures)
    (work / "captions.json").write_text(json.dumps(captions), encoding="utf-8")


def load_training_set(work: Path) -> TrainingSet:
    """Read the drawn portraits and code them."""
    pictures = torch.from_numpy(np.load(work / "portraits.npy")).permute(0, 3, 1, 2).contiguous()
    captions = json.loads((work / "captions.json").read_text(encoding="utf-8"))
    code = fit_linear_code(pictures[:FIT_ON].float() / 127.5 - 1.0, LATENT_CHANNELS, PATCH_SIDE)
    with torch.no_grad():
        latents = [code.encode(part.float() / 127.5 - 1.0) for part in pictures.split(250)]
    return TrainingSet(pictures=pictures, captions=captions, latents=torch.cat(latents), code=code)
