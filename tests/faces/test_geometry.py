"""Where crops are cut: inside the picture, around the face, level, and never stretched or mirrored."""

from __future__ import annotations

import random

import numpy as np
import pytest
from PIL import Image

from faces.geometry import CROP_PX, Square, crop_square, cut, levelling, roll_of, turn_of, upright_box


@pytest.mark.parametrize(
    ("picture", "box", "square"),
    [
        ((1000, 1000), (450, 450, 100, 100), Square(420, 420, 160, 1.0)),
        ((1000, 1000), (450, 460, 100, 80), Square(420, 420, 160, 1.0)),
        ((1000, 1000), (0, 450, 100, 100), Square(0, 420, 160, 1 - 30 / 160)),
        ((1000, 1000), (900, 900, 100, 100), Square(840, 840, 160, (1 - 30 / 160) ** 2)),
        ((200, 120), (50, 10, 100, 100), Square(40, 0, 120, 120 / 160)),
        ((100, 100), (0, 0, 100, 100), Square(0, 0, 100, (100 / 160) ** 2)),
        ((1, 1), (0, 0, 1, 1), Square(0, 0, 1, 0.25)),
    ],
)
def test_the_square_shifts_then_shrinks(picture: tuple[int, int], box: tuple[int, int, int, int], square: Square) -> None:
    found = crop_square(*picture, box, 1.6)
    assert (found.left, found.top, found.side) == (square.left, square.top, square.side)
    assert found.inside == pytest.approx(square.inside)
    assert found.upscale == 1024 / square.side, "SDXL was trained at 1024 px"
    crop = cut(Image.new("RGB", picture), found)
    assert crop.size == (1024, 1024)


def test_every_square_lies_in_its_picture_and_holds_as_much_of_the_face_as_it_can() -> None:
    rng = random.Random(7)
    for _ in range(2000):
        width, height = rng.randint(1, 3000), rng.randint(1, 3000)
        left, top = rng.randrange(width), rng.randrange(height)
        box = (left, top, rng.randint(1, width - left), rng.randint(1, height - top))
        square = crop_square(width, height, box, rng.uniform(1, 3))
        assert square.left >= 0 and square.top >= 0
        assert square.left + square.side <= width and square.top + square.side <= height
        assert 0 < square.inside <= 1
        if square.side >= box[2]:
            assert square.left <= box[0] and square.left + square.side >= box[0] + box[2]
        if square.side >= box[3]:
            assert square.top <= box[1] and square.top + square.side >= box[1] + box[3]


def corners(square: Square) -> list[tuple[float, float]]:
    turned = np.radians(square.angle)
    (x, y), half = square.middle, square.side / 2
    return [
        (x + u * half * np.cos(turned) - v * half * np.sin(turned), y + u * half * np.sin(turned) + v * half * np.cos(turned))
        for u in (-1, 1)
        for v in (-1, 1)
    ]


def test_a_turned_square_lies_in_its_picture_too() -> None:
    rng = random.Random(3)
    for _ in range(1000):
        width, height = rng.randint(100, 3000), rng.randint(100, 3000)
        left, top = rng.randrange(width - 60), rng.randrange(height - 60)
        box = (left, top, rng.randint(50, width - left), rng.randint(50, height - top))
        square = crop_square(width, height, box, 1.6, rng.choice([35.0, 90.0, -90.0, 180.0, -62.5]))
        assert 0 < square.inside <= 1
        for x, y in corners(square):
            assert -1 <= x <= width + 1 and -1 <= y <= height + 1


def points(angle: float, nose: float = 0.0) -> dict[str, tuple[int, int]]:
    """Landmarks of a head that leans by an angle; the nose is so far to the side, in distances of the eyes."""
    turned = np.radians(angle)
    places = {"left_eye": (-100, 0), "right_eye": (100, 0), "nose": (200 * nose, 90)}
    return {
        name: (round(500 + x * np.cos(turned) - y * np.sin(turned)), round(500 + x * np.sin(turned) + y * np.cos(turned)))
        for name, (x, y) in places.items()
    }


@pytest.mark.parametrize("angle", [0, 20, -29, 31, -45, 90, 170])
def test_the_roll_comes_from_the_eyes_and_is_levelled_from_30_degrees(angle: float) -> None:
    assert roll_of(points(angle)) == pytest.approx(angle, abs=0.5)
    assert levelling(points(angle)) == (0.0 if abs(angle) <= 30 else pytest.approx(angle, abs=0.5))


@pytest.mark.parametrize("angle", [0, 40, 90])
@pytest.mark.parametrize("nose", [-0.3, 0.0, 0.5])
def test_the_turn_does_not_depend_on_the_roll(angle: float, nose: float) -> None:
    assert turn_of(points(angle, nose)) == pytest.approx(nose, abs=0.02)


def test_a_crop_is_the_picture_itself_neither_stretched_nor_mirrored() -> None:
    ramp = np.zeros((600, 800, 3), np.uint8)
    ramp[..., 0] = np.linspace(0, 255, 800)[None, :]
    ramp[..., 1] = np.linspace(0, 255, 600)[:, None]
    crop = np.asarray(cut(Image.fromarray(ramp), crop_square(800, 600, (300, 200, 200, 200), 1.6)), dtype=float)
    assert crop.shape == (CROP_PX, CROP_PX, 3)
    across, down = np.diff(crop[512, :, 0]).mean() * CROP_PX / 320, np.diff(crop[:, 512, 1]).mean() * CROP_PX / 320
    assert across == pytest.approx(255 / 800, rel=0.02) and down == pytest.approx(255 / 600, rel=0.02)


@pytest.mark.parametrize(("turn", "angle"), [(Image.Transpose.ROTATE_270, 90.0), (Image.Transpose.ROTATE_90, -90.0)])
def test_a_picture_on_its_side_is_cut_as_if_it_stood(turn: Image.Transpose, angle: float) -> None:
    rng = np.random.default_rng(1)
    upright = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8)).resize((1200, 900), Image.Resampling.BICUBIC)
    expected = cut(upright, Square(300, 200, 400, 1.0))
    lying = upright.transpose(turn)
    left, top = (300, 300) if angle > 0 else (200, 500)
    crop = cut(lying, Square(left, top, 400, 1.0, angle))
    assert np.abs(np.asarray(crop, dtype=float) - np.asarray(expected, dtype=float)).mean() < 2


def test_the_box_of_a_head_on_its_side_is_turned() -> None:
    assert upright_box((100, 100, 200, 300), 0.0) == (100, 100, 200, 300)
    assert upright_box((100, 100, 300, 200), 90.0) == (150, 50, 200, 300)
