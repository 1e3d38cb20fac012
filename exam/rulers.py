"""How far pictures lie apart, behind one small contract: a ruler reads pictures as rows of numbers, and rows have distances.

- `LabMap`, for the practice base: the face box (the middle 62.5 % of a crop, which is cut at 1.6 times the face) as 15 x 15 cells
  in CIELAB, those within its ellipse. Of the rulers tried on drawn clients it alone left a gap between good LoRAs and bad ones.
  It sees colours and shapes, so that a sister with the same hair and skin passes.
- `BoxEmbedding`, beside it: dlib's 128 numbers of the same box, enlarged, without looking for a face. It alone told the sister. Its
  usual limits mean nothing on drawn faces; only nearer and farther do.
- `FaceEmbedding`, for photos: dlib's 128 numbers of the face that the detector finds. A picture without a face has a row of NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from exam.verdict import Array
from faces.identity import Numbers

if TYPE_CHECKING:
    from PIL import Image

    from faces.detector import Detection

FACE_SHARE = 1 / 1.6  # of a crop's side
CELLS = 15
BOX_PX = 512  # to which the box is enlarged before dlib looks at it
BACKGROUND_BOTTOM = 0.6  # of the height: below it stand shoulders
# Half axes of the ellipse that holds head and hair, in sides of the picture, about its middle. Chosen on drawn portraits.
HEAD_ACROSS, HEAD_DOWN = 0.38, 0.5


class Ruler(Protocol):
    """Reads one upright RGB picture as numbers; two rows are as far apart as `apart` says."""

    name: str

    def read(self, image: Image.Image) -> Array:
        """The picture's row; NaN where there is nothing to measure."""
        ...


class LabMap:
    """Cells of the face's ellipse in CIELAB; a distance of 1 is about what an eye can just tell, in each cell."""

    name = "lab_map"

    def read(self, image: Image.Image) -> Array:
        """The row, scaled so that distances are root mean squares over the cells."""
        inside = _ellipse(0.5, 0.5)
        row: Array = _lab_cells(_face_box(image))[inside].reshape(-1) / np.sqrt(inside.sum())
        return row


class Backdrop:
    """Cells beside and above the head in CIELAB: what the flags look at."""

    name = "background"

    def read(self, image: Image.Image) -> Array:
        """The row, scaled in the same way."""
        outside = ~_ellipse(HEAD_ACROSS, HEAD_DOWN) & (_middles()[:, None] < BACKGROUND_BOTTOM)
        row: Array = _lab_cells(image)[outside].reshape(-1) / np.sqrt(outside.sum())
        return row


class BoxEmbedding:
    """dlib's numbers of the middle of a crop; `describe` is `FaceRecogniser.describe`."""

    name = "box_embedding"

    def __init__(self, describe: Callable[[Image.Image, tuple[int, int, int, int]], Numbers]) -> None:
        self._describe = describe

    def read(self, image: Image.Image) -> Array:
        """The row of 128 numbers."""
        from PIL import Image as Images

        side = round(BOX_PX / FACE_SHARE)
        large = image.resize((side, side), Images.Resampling.BICUBIC)
        corner = (side - BOX_PX) // 2
        return np.array(self._describe(large, (corner, corner, BOX_PX, BOX_PX)))


class FaceEmbedding:
    """dlib's numbers of the largest face that a detector finds; `find` is `Detector.find`."""

    name = "face_embedding"
    numbers = 128

    def __init__(
        self,
        describe: Callable[[Image.Image, tuple[int, int, int, int]], Numbers],
        find: Callable[[npt.NDArray[np.uint8]], tuple[Detection, ...]],
    ) -> None:
        self._describe, self._find = describe, find

    def read(self, image: Image.Image) -> Array:
        """The row of 128 numbers, NaN without a face."""
        found = self._find(np.asarray(image))
        return np.array(self._describe(image, found[0].box)) if found else np.full(self.numbers, np.nan)


def read_file(ruler: Ruler, file: Path) -> Array:
    """The row of a picture file."""
    from PIL import Image

    with Image.open(file) as opened:
        return ruler.read(opened.convert("RGB"))


def read_files(ruler: Ruler, files: Sequence[Path]) -> Array:
    """The rows of picture files, in their order."""
    return np.stack([read_file(ruler, file) for file in files])


def apart(one: Array, other: Array) -> Array:
    """Euclidean distances between rows: [row, other row]."""
    distances: Array = np.linalg.norm(one[:, None] - other[None], axis=-1)
    return distances


def _face_box(image: Image.Image) -> Image.Image:
    """The middle of a crop, where its face is."""
    margin_x, margin_y = image.width * (1 - FACE_SHARE) / 2, image.height * (1 - FACE_SHARE) / 2
    return image.crop((round(margin_x), round(margin_y), round(image.width - margin_x), round(image.height - margin_y)))


def _lab_cells(image: Image.Image) -> Array:
    """A picture as cells, each the mean of what it covers, in CIELAB: [down, across, 3]."""
    from PIL import Image as Images
    from skimage.color import rgb2lab

    cells = np.asarray(image.resize((CELLS, CELLS), Images.Resampling.BOX)) / 255
    lab: Array = rgb2lab(cells)
    return lab


def _middles() -> Array:
    """Where the middles of the cells lie along a side of 1."""
    return (np.arange(CELLS) + 0.5) / CELLS


def _ellipse(across: float, down: float) -> npt.NDArray[np.bool_]:
    """Which cells have their middle within an ellipse about the middle of the picture, of these half axes in sides."""
    off = _middles() - 0.5
    within: npt.NDArray[np.bool_] = (off[None] / across) ** 2 + (off[:, None] / down) ** 2 <= 1
    return within
