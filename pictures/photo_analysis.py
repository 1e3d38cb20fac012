"""What the pixels of a picture tell besides the face: perceptual hash, light, colour cast, background, sharpness. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from client_folder.records import Analysis

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

    Pixels: TypeAlias = npt.NDArray[np.float32]

# All of these were chosen by eye; they only choose words for captions, which can be changed.
WHITE = 250  # grey from which a pixel is burnt out
LOOK_PX = 256  # longer side of what is measured
DARK, DIM, BRIGHT = 60.0, 90.0, 180.0  # mean grey: a third of the range is dark, as night and cellars are
HARD_SPREAD = 75.0  # standard deviation of the grey: hard light has both deep shadows and white
GREY_SPREAD = 4.0  # mean distance of the three colours from one another in a picture without colour
PALE_PERCENTILE = 50  # of the pixels, the least colourful
CAST = 9.0  # distance of the mean colour from grey, in levels, from which people call it a cast
PLAIN, BUSY = 2.5, 9.0  # mean step from pixel to pixel, in grey levels: walls and studio paper stay under the first
BORDER = 0.16  # of a crop's side: with the usual padding, the face lies within the rest


def analyse(view: Image.Image, size: tuple[int, int], faces: int, taken: str) -> Analysis:
    """The analysis of a whole, upright picture of that size (width, height), given a view of it that may be smaller."""
    import numpy as np

    share = min(1.0, LOOK_PX / max(view.size))
    small = view.resize((max(1, round(view.width * share)), max(1, round(view.height * share))), reducing_gap=1.5)
    colour = np.asarray(small.convert("RGB"), dtype=np.float32)
    grey = np.asarray(small.convert("L"), dtype=np.float32)
    brightness, contrast = float(grey.mean()), float(grey.std())
    return Analysis(
        width=size[0], height=size[1], phash=perceptual_hash(small), sharpness=round(_sharpness(grey), 1),
        brightness=round(brightness, 1), contrast=round(contrast, 1), clipped=round(float((grey >= WHITE).mean()), 4),
        light=light_of(brightness, contrast), colour_cast=cast_of(colour), background=_word(_step(grey)), faces=faces, taken=taken,
    )  # fmt: skip


def perceptual_hash(image: Image.Image) -> str:
    """64 bits that stay nearly the same when a picture is resized, compressed or slightly retouched, as 16 hexadecimal digits."""
    import imagehash

    return str(imagehash.phash(image))


def bits_apart(one: str, other: str) -> int:
    """How many of the 64 bits of two hashes differ."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


def light_of(brightness: float, contrast: float) -> str:
    """The light in a word."""
    if brightness < DARK:
        return "dark"
    if contrast > HARD_SPREAD:
        return "hard"
    if brightness < DIM:
        return "dim"
    return "bright" if brightness > BRIGHT else "even"


def cast_of(colour: Pixels) -> str:
    """The colour that lies over a whole picture, by the mean of its pixels."""
    import numpy as np

    spread = np.ptp(colour, axis=2)
    if float(spread.mean()) < GREY_SPREAD:
        return "grey"
    # The light's own colour lies on what is nearly grey; a red curtain is not a red light.
    pale = colour[spread <= np.percentile(spread, PALE_PERCENTILE)]
    red, green, blue = (float(channel) for channel in pale.mean(axis=0))
    warm, tint = (red - blue) / 2, green - (red + blue) / 2
    if abs(tint) > CAST and abs(tint) > abs(warm):
        return "green" if tint > 0 else "magenta"
    # Skin and indoor light are warm: what people call a warm cast begins later than a cool one.
    return "warm" if warm > 2 * CAST else "cool" if warm < -CAST else "none"


def background_of(crop: Image.Image) -> tuple[str, dict[str, float]]:
    """What lies around the face of a crop: plain, soft (out of focus) or busy, and its mean colour as measures."""
    import numpy as np

    sides = _sides(crop)
    colour = np.concatenate([side.reshape(-1, 3) for side in sides]).mean(axis=0)
    measures = {f"background_{name}": float(level) for name, level in zip(("red", "green", "blue"), colour, strict=True)}
    return _word(sum(_step(side[..., 1]) for side in sides) / 3), measures


def _sides(crop: Image.Image) -> tuple[Pixels, Pixels, Pixels]:
    """What lies left, right and above the face; below are clothes."""
    import numpy as np

    small = np.asarray(crop.resize((256, 256), reducing_gap=2.0).convert("RGB"), dtype=np.float32)
    edge = round(BORDER * 256)
    return small[: 256 * 5 // 8, :edge], small[: 256 * 5 // 8, -edge:], small[:edge, edge:-edge]


def _word(step: float) -> str:
    return "plain" if step < PLAIN else "busy" if step > BUSY else "soft"


def _step(grey: Pixels) -> float:
    """The mean step from a pixel to its neighbours."""
    import numpy as np

    if min(grey.shape) < 2:
        return 0.0
    return float((np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()) / 2)


def _sharpness(grey: Pixels) -> float:
    """Variance of the Laplacian."""
    if min(grey.shape) < 3:
        return 0.0
    return float((grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]).var())
