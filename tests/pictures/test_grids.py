"""Grids of four: told from single pictures by their pixels, and split into the pictures that MidJourney would have named."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pictures.grids import has_seams, is_grid, may_be_grid, part_names, parts, variation_of

JOB = "a7421d2f-b262-44f9-977c-ac23e9c7d3e3"


def scene(seed: int, side: int = 128, plain: int | None = None) -> Image.Image:
    """A smooth picture with a bright head-like spot and a little grain, over a background of its own or the one given."""
    dice = np.random.default_rng(seed)
    x, y = np.meshgrid(np.linspace(0, 1, side), np.linspace(0, 1, side))
    ground = dice.uniform(40, 200, 3) if plain is None else np.array([plain + seed * 8] * 3, float)
    spot = np.exp(-((x - dice.uniform(0.4, 0.6)) ** 2 + (y - dice.uniform(0.4, 0.6)) ** 2) / 0.04)
    shade = ground + 25 * (y - 0.5)[..., None] + spot[..., None] * dice.uniform(-90, 90, 3)
    return Image.fromarray(np.clip(shade + dice.normal(0, 1.0, shade.shape), 0, 255).astype(np.uint8))


def grid_of(tiles: list[Image.Image]) -> Image.Image:
    side = tiles[0].width
    grid = Image.new("RGB", (2 * side, 2 * side))
    for number, tile in enumerate(tiles):
        grid.paste(tile, (number % 2 * side, number // 2 * side))
    return grid


@pytest.mark.parametrize("plain", [None, 120], ids=["other backgrounds", "nearly one background"])
@pytest.mark.parametrize("quality", [None, 75])
def test_a_grid_has_seams_and_a_single_picture_none(plain: int | None, quality: int | None) -> None:
    for seed in range(0, 40, 4):
        tiles = [scene(seed % 12 + number, plain=plain) for number in range(4)]
        grid, single = grid_of(tiles), scene(seed, 256, plain)
        if quality:
            for picture in (grid, single):
                picture.save(file := BytesIO(), "WEBP", quality=quality)
                picture.paste(Image.open(file).convert("RGB"))
        assert has_seams(grid), seed
        assert not has_seams(single), seed


def test_noise_and_plain_colour_are_no_grids() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (128, 128, 3), np.uint8)
    assert not has_seams(Image.fromarray(noise))
    assert not has_seams(Image.new("RGB", (128, 128), "grey"))


def test_two_pictures_side_by_side_are_no_grid() -> None:
    pair = Image.new("RGB", (256, 256))
    pair.paste(scene(1).resize((128, 256)), (0, 0))
    pair.paste(scene(2).resize((128, 256)), (128, 0))
    assert not has_seams(pair)


def steps(top_left: int, top_right: int, bottom_left: int, bottom_right: int) -> Image.Image:
    """Four greys over a chequered ground whose neighbours differ by 9: an arm of the cross measures (step / 9.5)."""
    y, x = np.mgrid[0:128, 0:128]
    grey = (x + y) % 2 * 9
    grey[:64, :64] += top_left
    grey[:64, 64:] += top_right
    grey[64:, :64] += bottom_left
    grey[64:, 64:] += bottom_right
    return Image.fromarray(grey.astype(np.uint8))


def test_how_much_of_a_seam_makes_a_grid() -> None:
    """Measured on 36 portraits and 28 grids: three arms from 3 times what lies beside them, and one that may be as faint as 1.6."""
    assert has_seams(steps(100, 129, 60, 113)), "arms of 3.05, 4.2, 5.6 and 1.7"
    assert not has_seams(steps(100, 129, 60, 114)), "one is as faint as 1.58: that is a single picture"
    assert not has_seams(steps(100, 128, 60, 112)), "two are under 3: the second measures 2.95"
    assert not has_seams(steps(100, 160, 100, 160)) and not has_seams(steps(100, 100, 160, 160)), "only one seam"


@pytest.mark.parametrize(
    ("name", "size", "may"),
    [
        (f"u1234567890_a_cat_{JOB}.png", (128, 128), True),
        (f"{JOB}_grid_0.webp", (128, 128), True),
        (f"u1234567890_a_cat_{JOB}_2.png", (128, 128), False),
        (f"u1234567890_a_cat_{JOB} (1).png", (128, 128), True),
        (f"u1234567890_a_cat_{JOB}.png", (127, 128), False),
        (f"u1234567890_a_cat_{JOB}.png", (32, 32), False),
        ("IMG_1234.png", (128, 128), False),
    ],
)
def test_a_name_with_an_index_is_never_asked(name: str, size: tuple[int, int], may: bool) -> None:
    assert may_be_grid(name, *size) is may


def test_the_parts_are_the_pictures_in_midjourneys_order(tmp_path: Path) -> None:
    tiles = [scene(number) for number in range(4)]
    grid_of(tiles).save(tmp_path / "grid.png")
    assert is_grid(tmp_path / "grid.png")
    assert [part.tobytes() for part in parts(tmp_path / "grid.png")] == [tile.tobytes() for tile in tiles]


def test_the_parts_are_named_as_midjourney_names_them() -> None:
    names = tuple(f"u1234567890_a_cat_{JOB}_{index}.png" for index in range(4))
    assert part_names(f"deep/u1234567890_a_cat_{JOB} (1).webp") == names
    assert [variation_of(name) for name in names] == [(JOB, str(index)) for index in range(4)]
    assert variation_of(f"a_{JOB}.png") is variation_of("IMG_1.png") is None
