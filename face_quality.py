"""Quality control of a face, pure: pixels -> measures, measures and limits -> the first reason to refuse it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from client import Reason
from config import QualityControlConfig

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

    Grey: TypeAlias = npt.NDArray[np.float32]

SHARPNESS_PX = 256  # longer side of the face when its sharpness is measured: the number means nothing without its scale
CROP_PX = 512  # side of the crop when its contrast and its blur are measured
WHITE = 250  # grey from which a pixel is burnt out
BLACK = 8  # grey up to which a pixel is drowned
FAIR_SPREAD = 45.0  # standard deviation of the grey of a face in fair light: 44 in one good portrait of twenty, else more


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a face is refused: what was measured and the limit it broke, in the same unit."""

    reason: Reason
    measured: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class _Rule:
    """A measure and the name of its limit in the settings."""

    reason: Reason
    measure: str
    limit: str
    at_least: bool


# In the order in which a person would name them: a face that is too small is also blurred, a dark one also lacks contrast
# and sharpness, a faded one sharpness.
_RULES = (
    _Rule(Reason.LOW_CONFIDENCE, "confidence", "face_confidence_threshold", at_least=True),
    _Rule(Reason.FACE_TOO_SMALL, "upscale", "max_upscale", at_least=False),
    _Rule(Reason.TOO_DARK, "brightness", "min_brightness", at_least=True),
    _Rule(Reason.BURNT, "clipped", "max_clipped", at_least=False),
    _Rule(Reason.TOO_BRIGHT, "brightness", "max_brightness", at_least=False),
    _Rule(Reason.LOW_CONTRAST, "contrast", "min_contrast", at_least=True),
    _Rule(Reason.BLURRED, "sharpness", "blur_threshold", at_least=True),
    _Rule(Reason.BLURRED, "blur_effect", "max_blur_effect", at_least=False),
)


def judge(measures: Mapping[str, float], limits: QualityControlConfig) -> Refusal | None:
    """The first limit that a face breaks, None where it keeps them all; a measure that was not taken breaks none."""
    for rule in _RULES:
        measured, limit = measures.get(rule.measure), float(getattr(limits, rule.limit))
        if measured is not None and (measured < limit if rule.at_least else measured > limit):
            return Refusal(rule.reason, measured, limit)
    return None


def measure(face: Image.Image, crop: Image.Image) -> dict[str, float]:
    """What the pixels tell: of the face box as it lies in the original, and of the square cut around it."""
    from skimage.measure import blur_effect

    grey = _grey(face)
    small = _grey(crop.resize((CROP_PX, CROP_PX), reducing_gap=2.0) if crop.width > CROP_PX else crop)
    return {
        "brightness": float(grey.mean()),  # mean grey of the face, 0 to 255
        "clipped": float((grey >= WHITE).mean()),  # share of the face
        "crushed": float((grey <= BLACK).mean()),  # share of the face
        "contrast": float(small.std()),  # standard deviation of the crop's grey
        "sharpness": _sharpness(face),
        "blur_effect": float(blur_effect(small)),  # 0 sharp to 1 blurred
    }


def _grey(image: Image.Image) -> Grey:
    import numpy as np

    return np.asarray(image.convert("L"), dtype=np.float32)


def _sharpness(face: Image.Image) -> float:
    """Variance of the Laplacian of the face reduced to 256 px, as a face of that size in fair light would have it.

    Halving the light or the contrast of a picture halves its Laplacian without blurring it, and a small face packs the same
    detail into fewer pixels: both are taken out, so that blur is measured and nothing else.
    """
    from PIL import Image

    scale = SHARPNESS_PX / max(face.size)
    if scale < 1:
        size = (max(1, round(face.width * scale)), max(1, round(face.height * scale)))
        face = face.resize(size, Image.Resampling.BOX)
    grey = _grey(face)
    if min(grey.shape) < 3:
        return 0.0
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    gain = max(1.0, FAIR_SPREAD / max(float(grey.std()), 1.0)) * min(1.0, 1 / scale)
    return float(laplacian.var()) * gain**2
