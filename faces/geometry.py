"""Where a crop is cut, pure: box and landmarks of a face -> a square inside the picture, levelled, and its pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import atan2, cos, degrees, hypot, radians, sin
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

Box = tuple[int, int, int, int]  # left, top, width, height
Points = Mapping[str, tuple[int, int]]

CROP_PX = 1024  # what SDXL was trained on
LEVEL_DEGREES = 30.0  # roll from which a head is levelled: up to there it is how people hold their heads
_GRID = 64  # samples a side, to tell how much of a turned square a picture holds


@dataclass(frozen=True, slots=True)
class Square:
    """A square of an original, in its upright pixels, turned about its middle by `angle` degrees (clockwise on the screen).

    `inside` is the share of the wanted square that the picture holds.
    """

    left: int
    top: int
    side: int
    inside: float
    angle: float = 0.0

    @property
    def upscale(self) -> float:
        """How much the square is enlarged to become the crop."""
        return CROP_PX / self.side

    @property
    def middle(self) -> tuple[float, float]:
        """The point it is turned about."""
        return self.left + self.side / 2, self.top + self.side / 2


def crop_square(width: int, height: int, box: Box, padding: float, angle: float = 0.0) -> Square:
    """The square around a face box, `padding` times its longer side, inside the picture.

    Where the picture ends too soon the square first shifts, then shrinks; it is never stretched or mirrored.
    """
    left, top, box_width, box_height = box
    wanted = max(1, round(padding * max(box_width, box_height)))
    spread = abs(cos(radians(angle))) + abs(sin(radians(angle))) if angle else 1.0  # of its upright hull, in sides
    inside = _held(width, height, box, wanted, angle)
    side = max(1, min(wanted, int(min(width, height) / spread)))
    margin = (side * spread - side) / 2 if angle else 0
    x, y = left + (box_width - side) // 2, top + (box_height - side) // 2
    return Square(_kept(x, width - side, margin), _kept(y, height - side, margin), side, inside, angle)


def _kept(place: int, room: int, margin: float) -> int:
    """A coordinate moved into the picture; a turned square needs a margin for its corners."""
    low, high = int(margin + 0.999), int(room - margin)
    return min(max(place, low), high) if low <= high else room // 2


def _held(width: int, height: int, box: Box, wanted: int, angle: float) -> float:
    """The share of the wanted square that lies in the picture."""
    left, top, box_width, box_height = box
    if not angle:
        x, y = left + (box_width - wanted) // 2, top + (box_height - wanted) // 2
        return max(0, min(x + wanted, width) - max(x, 0)) * max(0, min(y + wanted, height) - max(y, 0)) / wanted**2
    across, down = wanted * cos(radians(angle)), wanted * sin(radians(angle))
    middle = left + box_width / 2, top + box_height / 2
    steps = [(number + 0.5) / _GRID - 0.5 for number in range(_GRID)]
    points = ((middle[0] + u * across - v * down, middle[1] + u * down + v * across) for v in steps for u in steps)
    return sum(0 <= x < width and 0 <= y < height for x, y in points) / _GRID**2


def roll_of(points: Points) -> float:
    """How far the head leans, in degrees: 0 upright, 90 lying with its top to the right."""
    (left_x, left_y), (right_x, right_y) = points["left_eye"], points["right_eye"]
    return degrees(atan2(right_y - left_y, right_x - left_x))


def levelling(points: Points) -> float:
    """The angle by which a crop is turned: none for the way people hold their heads."""
    if not points:
        return 0.0
    roll = roll_of(points)
    return round(roll, 1) if abs(roll) > LEVEL_DEGREES else 0.0


def turn_of(points: Points) -> float:
    """How far the head is turned to a side: the nose's way from the middle of the eyes, in distances of the eyes."""
    (left_x, left_y), (right_x, right_y), (nose_x, nose_y) = points["left_eye"], points["right_eye"], points["nose"]
    eyes = hypot(right_x - left_x, right_y - left_y)
    if eyes < 1:
        return 9.0  # both eyes at one place: a profile
    away = (nose_x - (left_x + right_x) / 2) * (right_x - left_x) + (nose_y - (left_y + right_y) / 2) * (right_y - left_y)
    return away / eyes**2


def upright_box(box: Box, angle: float) -> Box:
    """The box as it lies in the levelled picture: its sides change places where the head lay on its side."""
    left, top, width, height = box
    if not 45 < abs(angle) < 135:
        return box
    return left + (width - height) // 2, top + (height - width) // 2, height, width


def cut(image: Image.Image, square: Square, pixels: int = CROP_PX) -> Image.Image:
    """The square of an original as a crop of so many pixels a side, levelled."""
    from PIL import Image

    if square.angle:
        return take(image, square.middle, (square.side, square.side), square.angle, (pixels, pixels))
    box = (square.left, square.top, square.left + square.side, square.top + square.side)
    return image.resize((pixels, pixels), Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)


def take(
    image: Image.Image, middle: tuple[float, float], size: tuple[float, float], angle: float, pixels: tuple[int, int]
) -> Image.Image:
    """A turned rectangle of an original around a point, `size` of its pixels, resampled to `pixels`."""
    from PIL import Image

    (x, y), (wide, high) = middle, size
    turned = radians(angle)
    reach = (abs(wide * cos(turned)) + abs(high * sin(turned))) / 2, (abs(wide * sin(turned)) + abs(high * cos(turned))) / 2
    corner = max(0, int(x - reach[0]) - 2), max(0, int(y - reach[1]) - 2)
    part = image.crop((*corner, min(image.width, int(x + reach[0]) + 3), min(image.height, int(y + reach[1]) + 3)))
    shrink = max(1, int(wide / pixels[0]))  # bicubic alone would skip pixels
    part = part.reduce(shrink) if shrink > 1 else part
    x, y = (x - corner[0]) / shrink, (y - corner[1]) / shrink
    step_x, step_y = wide / shrink / pixels[0], high / shrink / pixels[1]
    a, b, d, e = step_x * cos(turned), -step_y * sin(turned), step_x * sin(turned), step_y * cos(turned)
    start = x - a * pixels[0] / 2 - b * pixels[1] / 2, y - d * pixels[0] / 2 - e * pixels[1] / 2
    return part.transform(pixels, Image.Transform.AFFINE, (a, b, start[0], d, e, start[1]), Image.Resampling.BICUBIC)
