"""What the pixels of a picture tell, on pictures made to tell it: light, colour cast, background, and the hash's bits."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pictures.photo_analysis import analyse, background_of, bits_apart, cast_of, light_of, perceptual_hash


# A third of the range is dark, as night and cellars are; hard light has both deep shadows and white.
@pytest.mark.parametrize(
    ("brightness", "contrast", "light"),
    [(59, 20, "dark"), (59, 90, "dark"), (61, 20, "dim"), (89, 20, "dim"), (91, 20, "even"), (179, 20, "even"), (181, 20, "bright"),
     (120, 74, "even"), (120, 76, "hard"), (181, 76, "hard")],
)  # fmt: skip
def test_the_light_in_a_word(brightness: float, contrast: float, light: str) -> None:
    assert light_of(brightness, contrast) == light


def coloured(red: float, green: float, blue: float, grain: float = 6.0) -> np.ndarray:
    """A grey ramp under a light of that colour, in levels added to each channel, with a little colour of its own."""
    ramp = np.tile(np.linspace(60, 180, 64, dtype=np.float32), (64, 1))[..., None]
    dice = np.random.default_rng(3).normal(0, grain, (64, 64, 3)).astype(np.float32)
    return np.clip(ramp + np.array([red, green, blue], np.float32) + dice, 0, 255)


@pytest.mark.parametrize(
    ("light", "cast"),
    [((0, 0, 0), "none"), ((30, 0, -30), "warm"), ((10, 0, -10), "none"), ((-20, 0, 20), "cool"), ((0, 30, 0), "green"),
     ((0, -30, 0), "magenta")],
)  # fmt: skip
def test_the_colour_that_lies_over_everything(light: tuple[int, int, int], cast: str) -> None:
    assert cast_of(coloured(*light)) == cast


def test_a_picture_without_colour_is_grey_and_a_red_curtain_is_no_red_light() -> None:
    assert cast_of(coloured(0, 0, 0, grain=0.5)) == "grey"
    curtain = coloured(0, 0, 0)
    curtain[:, :20] = (200, 30, 30)
    assert cast_of(curtain) == "none"


def test_what_lies_around_the_face() -> None:
    dice = np.random.default_rng(1)
    wall = Image.new("RGB", (256, 256), (90, 120, 150))
    word, measures = background_of(wall)
    assert (word, {name: round(level) for name, level in measures.items()}) == (
        "plain", {"background_red": 90, "background_green": 120, "background_blue": 150}
    )  # fmt: skip
    leaves = Image.fromarray(dice.integers(0, 255, (256, 256, 3), np.uint8))
    assert background_of(leaves)[0] == "busy"
    face = wall.copy()
    face.paste(leaves.crop((0, 0, 160, 210)), (48, 46))  # all that is busy lies where the face and the clothes are
    assert background_of(face)[0] == "plain"


def test_a_picture_is_measured_as_a_whole() -> None:
    half = Image.new("RGB", (400, 200), (255, 255, 255))
    half.paste((0, 0, 0), (0, 0, 200, 200))
    found = analyse(half, (4000, 2000), 2, "2025:05:01 10:00:00")
    assert (found.width, found.height, found.faces, found.taken) == (4000, 2000, 2, "2025:05:01 10:00:00")
    assert (found.clipped, found.light, found.colour_cast) == (pytest.approx(0.5, abs=0.01), "hard", "grey")
    assert found.brightness == pytest.approx(127.5, abs=1)


def test_bits_of_two_hashes() -> None:
    assert bits_apart("0" * 16, "f" * 16) == 64
    assert bits_apart("0" * 15 + "1", "0" * 15 + "2") == 2
    noise = Image.fromarray(np.random.default_rng(5).integers(0, 255, (8, 8, 3), np.uint8)).resize(
        (256, 256), Image.Resampling.BICUBIC
    )
    assert bits_apart(perceptual_hash(noise), perceptual_hash(noise.resize((90, 90)))) <= 4
    assert bits_apart(perceptual_hash(noise), perceptual_hash(noise.transpose(Image.Transpose.FLIP_LEFT_RIGHT))) > 14
