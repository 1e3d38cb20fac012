"""A camera's raw file made from a drawn picture: a digital negative (DNG) that any raw developer opens.

The sensor is a Bayer matrix (red green / green blue) of 14 bits, linear in light, with its black level, its white balance and a
colour matrix recorded as the DNG specification asks. Nothing here reads such a file; that is the import's work.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

BLACK_LEVEL, WHITE_LEVEL = 512, 16383
NEUTRAL = (0.5, 1.0, 0.6)
"""What the sensor answers to white light, red, green, blue: raw files need their white balance undone to look right."""
XYZ_TO_SRGB = (3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.2040, 1.0570)
SRGB_FROM_D65 = 21  # the calibration illuminant's number in the EXIF list of light sources
CFA_PHOTOMETRIC = 32803
QUARTER_TURNS = {1: 0, 3: 2, 6: 1, 8: 3}
"""How often the upright picture was turned counterclockwise on the sensor, for each EXIF orientation used."""


def write_dng(
    path: Path, picture: npt.NDArray[np.uint8], orientation: int = 1, camera: tuple[str, str] = ("Sample", "One")
) -> None:
    """Write an upright sRGB picture, (height, width, 3), as the negative that a camera held at `orientation` would have made.

    `camera` is maker and model. The same picture gives the same bytes.
    """
    import tifffile

    turned = np.rot90(picture, QUARTER_TURNS[orientation])
    tifffile.imwrite(
        path, _mosaic(turned), photometric=CFA_PHOTOMETRIC, extratags=_tags(orientation, camera), metadata=None, software=None
    )


def _mosaic(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """What the sensor would count: linear light through one colour filter a pixel."""
    even = picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2].astype(np.float32) / 255
    # The inverse of sRGB's transfer curve, IEC 61966-2-1.
    linear = np.where(even <= 0.04045, even / 12.92, ((even + 0.055) / 1.055) ** 2.4) * np.asarray(NEUTRAL, np.float32)
    counts = np.empty(even.shape[:2], np.float32)
    for row, column, colour in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        counts[row::2, column::2] = linear[row::2, column::2, colour]
    return np.clip(counts * (WHITE_LEVEL - BLACK_LEVEL) + BLACK_LEVEL, 0, WHITE_LEVEL).astype(np.uint16)


def _tags(orientation: int, camera: tuple[str, str]) -> list[tuple[int, str, int, object, bool]]:
    """The DNG's tags as tifffile takes them: number, type, count, value, first page only."""
    maker, model = camera
    matrix = [value * NEUTRAL[index // 3] for index, value in enumerate(XYZ_TO_SRGB)]
    return [
        (271, "s", 0, maker, True),  # Make
        (272, "s", 0, model, True),  # Model
        (274, "H", 1, orientation, True),  # Orientation
        (33421, "H", 2, (2, 2), True),  # CFARepeatPatternDim
        (33422, "B", 4, bytes([0, 1, 1, 2]), True),  # CFAPattern
        (50706, "B", 4, bytes([1, 4, 0, 0]), True),  # DNGVersion
        (50707, "B", 4, bytes([1, 1, 0, 0]), True),  # DNGBackwardVersion
        (50708, "s", 0, f"{maker} {model}", True),  # UniqueCameraModel
        (50714, "H", 1, BLACK_LEVEL, True),  # BlackLevel
        (50717, "H", 1, WHITE_LEVEL, True),  # WhiteLevel
        (50721, "2i", 9, _rationals(matrix), True),  # ColorMatrix1
        (50728, "2I", 3, _rationals(NEUTRAL), True),  # AsShotNeutral
        (50778, "H", 1, SRGB_FROM_D65, True),  # CalibrationIlluminant1
    ]


def _rationals(values: list[float] | tuple[float, ...], denominator: int = 10000) -> list[int]:
    """Numbers as TIFF's fractions, numerator and denominator in turn."""
    return [part for value in values for part in (round(value * denominator), denominator)]
