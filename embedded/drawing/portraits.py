"""Portraits drawn by code: the pictures that the embedded base learns from, and the people of the sample client.

A `DrawnPortrait` says who is seen and how; `caption` puts it into words and `draw` into pixels, at any size and zoom.
Lengths are in head units: the eyes lie on v = 0, the chin at v = 1, and v grows downwards. The background hangs in
the same units, so a crop of a wide drawing looks as a tight drawing of the same portrait does.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from embedded.drawing.palette import (
    BACKGROUNDS,
    CLOTHES,
    EXPRESSIONS,
    EYES,
    HAIR,
    HAIR_STYLES,
    LIGHTS,
    SCENES,
    SKIN,
)

Field: TypeAlias = npt.NDArray[np.floating[Any]]
"""One number per pixel, (height, width)."""
Picture: TypeAlias = npt.NDArray[np.uint8]

EYE_LEVEL = 0.437
"""Where the eyes lie in the picture, as a share of its height, at every zoom."""


@dataclass(frozen=True, slots=True)
class DrawnFace:
    """The numbers that make one person's face differ from another's; 1 is the mean of each unless said otherwise."""

    width: float
    jaw: float
    """How much the face narrows toward the chin, 0 to 1."""
    eye_distance: float
    eye_size: float
    brow: float
    nose: float
    mouth: float
    lips: float
    hair_volume: float
    fringe: float
    """How far the hair comes down the forehead, 0 to 1."""
    waves: float
    """How wavy the hair is, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Pose:
    """How the head sits in the picture: offset in head units, tilt and turn in radians, scale about 1."""

    right: float
    down: float
    tilt: float
    turn: float
    scale: float


@dataclass(frozen=True, slots=True)
class DrawnPortrait:
    """One person in one scene: everything that the drawing depends on."""

    gender: str
    hair: str
    hair_style: str
    skin: str
    eyes: str
    expression: str
    clothes: str
    background: str
    light: str
    beard: bool
    glasses: bool
    face: DrawnFace
    pose: Pose
    seed: int
    """Decides the small things: shades of the colours, waves of the hair, trees and windows."""


def random_face(rng: random.Random) -> DrawnFace:
    """Draw the numbers of a face at random."""
    return DrawnFace(
        width=rng.uniform(0.94, 1.06),
        jaw=rng.uniform(0.15, 0.75),
        eye_distance=rng.uniform(0.94, 1.06),
        eye_size=rng.uniform(0.92, 1.15),
        brow=rng.uniform(0.8, 1.3),
        nose=rng.uniform(0.88, 1.15),
        mouth=rng.uniform(0.9, 1.12),
        lips=rng.uniform(0.8, 1.25),
        hair_volume=rng.uniform(0.96, 1.08),
        fringe=rng.uniform(0.0, 1.0),
        waves=rng.uniform(0.0, 1.0),
    )


def random_pose(rng: random.Random, *, spread: float = 1.0) -> Pose:
    """Draw a pose at random; spread 1 is the small play that crops around a found face have."""
    return Pose(
        right=spread * rng.uniform(-0.04, 0.04),
        down=spread * rng.uniform(-0.05, 0.05),
        tilt=spread * rng.uniform(-0.05, 0.05),
        turn=spread * rng.uniform(-0.12, 0.12),
        scale=1.0 + spread * rng.uniform(-0.04, 0.04),
    )


def random_portrait(rng: random.Random, **fixed: Any) -> DrawnPortrait:
    """Draw a portrait at random; keyword arguments fix the fields of `DrawnPortrait` that they name."""
    gender = fixed.get("gender") or rng.choice(["woman", "man", "woman", "man", "person"])
    style_weights = {"woman": [2.0, 5.0, 1.5, 0.0], "man": [6.0, 1.0, 0.3, 1.2]}.get(gender, [4.0, 3.0, 1.0, 0.5])
    choice: dict[str, Any] = {
        "gender": gender,
        "hair": rng.choice(list(HAIR)),
        "hair_style": rng.choices(HAIR_STYLES, style_weights)[0],
        "skin": rng.choices(list(SKIN), [2, 3, 2, 2])[0],
        "eyes": rng.choice(list(EYES)),
        "expression": rng.choices(EXPRESSIONS, [4, 2, 3, 1])[0],
        "clothes": rng.choice(list(CLOTHES)),
        "background": rng.choice([*BACKGROUNDS, *SCENES]),
        "light": rng.choices(LIGHTS, [4.0, 1.5, 1.5, 2.0])[0],
        "beard": gender != "woman" and rng.random() < 0.3,
        "glasses": rng.random() < 0.2,
        "face": random_face(rng),
        "pose": random_pose(rng),
        "seed": rng.getrandbits(32),
    }
    return DrawnPortrait(**{**choice, **fixed})


def caption(portrait: DrawnPortrait, rng: random.Random | None = None, subject: str | None = None, keep: float = 1.0) -> str:
    """Describe the portrait; with an rng, in shuffled order, each attribute named with probability `keep`."""
    hair = f"{portrait.hair_style} {portrait.hair} hair"
    if portrait.hair_style == "bun":
        hair = f"{portrait.hair} hair in a bun"
    attributes = [
        "bald" if portrait.hair_style == "bald" else hair,
        f"{portrait.skin} skin",
        f"{portrait.eyes} eyes",
        portrait.expression,
        f"wearing a {portrait.clothes} shirt",
        f"{portrait.background} background",
        portrait.light,
        *(["beard"] if portrait.beard else []),
        *(["glasses"] if portrait.glasses else []),
    ]
    opening = "portrait of"
    if rng is not None:
        opening = rng.choice(["portrait of", "photo of", "portrait photo of"])
        attributes = [attribute for attribute in attributes if rng.random() < keep]
        rng.shuffle(attributes)
    return ", ".join([f"{opening} {subject or f'a {portrait.gender}'}", *attributes])
