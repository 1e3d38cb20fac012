"""Quality control of a face, pure: pixels -> measures, measures and limits -> the first reason to refuse it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from client_folder.reasons import Reason
from config import QualityLimits
from locales.language import N_

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

    Grey: TypeAlias = npt.NDArray[np.float32]

SHARPNESS_PX = 256  # longer side of the face when its sharpness is measured: the number means nothing without its scale
CROP_PX = 512  # side of the crop when its contrast and its blur are measured
NOISE_PX = 768  # of the face at most, where its noise is measured: at the original's own scale, for any other hides it
NOISE_BLOCK = 16  # pixels a side of the blocks that noise is measured in
NOISE_PERCENTILE = 20  # of the blocks: the flattest ones hold noise and no detail
WHITE = 250  # grey from which a pixel is burnt out
BLACK = 8  # grey up to which a pixel is drowned
HIGHLIGHT_PERCENTILE = 95
FAIR_SPREAD = 45.0  # standard deviation of the grey of a face in fair light: 44 in one good portrait of twenty, else more
LAPLACIAN_GAIN = 20.0  # the variance that white noise of variance 1 has after the Laplacian: 4 * 1 + 4 * 4


@dataclass(frozen=True, slots=True)
class QualityFailure:
    """Why a face is refused: what was measured and the limit it broke, in the same unit, and the limit's name."""

    reason: Reason
    measured: float | None = None
    limit: float | None = None
    limit_name: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class _Rule:
    """A measure and the name of its limit in the settings."""

    reason: Reason
    measure: str
    limit: str
    at_least: bool
    needs: str = ""  # another limit: where that is switched off (0), so is this

    def broken(self, measures: Mapping[str, float], limits: QualityLimits) -> QualityFailure | None:
        measured, limit = measures.get(self.measure), float(getattr(limits, self.limit))
        if measured is None or (self.needs and not getattr(limits, self.needs)):
            return None
        if measured >= limit if self.at_least else measured <= limit:
            return None
        return QualityFailure(self.reason, measured, limit, self.limit)


# In the order in which a person would name them: a face that is too small is also blurred, a dark one also lacks contrast
# and sharpness, a faded one sharpness; and no sharpness is believed under noise.
_RULES = (
    _Rule(Reason.LOW_CONFIDENCE, "confidence", "face_confidence_threshold", at_least=True),
    _Rule(Reason.FACE_TOO_SMALL, "upscale", "max_upscale", at_least=False),
    _Rule(Reason.FEW_PIXELS, "face_px", "min_face_px", at_least=True),
    _Rule(Reason.CUT_OFF, "inside", "min_inside", at_least=True),
    _Rule(Reason.TURNED_AWAY, "turn", "max_turn", at_least=False),
    _Rule(Reason.TOO_DARK, "brightness", "min_brightness", at_least=True),
    _Rule(Reason.TOO_DARK, "highlight", "min_highlight", at_least=True, needs="min_brightness"),
    _Rule(Reason.BURNT, "clipped", "max_clipped", at_least=False),
    _Rule(Reason.TOO_BRIGHT, "brightness", "max_brightness", at_least=False),
    _Rule(Reason.CRUSHED, "crushed", "max_crushed", at_least=False),
    _Rule(Reason.LOW_CONTRAST, "contrast", "min_contrast", at_least=True),
    _Rule(Reason.NOISY, "noise", "max_noise", at_least=False),
    _Rule(Reason.BLURRED, "sharpness", "blur_threshold", at_least=True),
    _Rule(Reason.BLURRED, "blur_effect", "max_blur_effect", at_least=False),
)
_WARNINGS = (
    _Rule(Reason.FACE_TOO_SMALL, "upscale", "warn_upscale", at_least=False),
    _Rule(Reason.CUT_OFF, "inside", "warn_inside", at_least=True),
    _Rule(Reason.TURNED_AWAY, "turn", "warn_turn", at_least=False),
)
MEASURES = tuple(dict.fromkeys(rule.measure for rule in _RULES))


def judge(measures: Mapping[str, float], limits: QualityLimits) -> QualityFailure | None:
    """The first limit that a face breaks, None where it keeps them all; a measure that was not taken breaks none."""
    return next((refusal for rule in _RULES if (refusal := rule.broken(measures, limits))), None)


WARNINGS = {
    "warn_upscale": N_("enlarged"),
    "warn_inside": N_("near the edge"),
    "warn_turn": N_("turned"),
    "warn_distance": N_("not quite alike"),
}
"""What comes near a limit, in a word or two."""


def warnings(measures: Mapping[str, float], limits: QualityLimits) -> tuple[str, ...]:
    """The names of the limits that an accepted face comes near to."""
    return tuple(rule.limit for rule in _WARNINGS if rule.broken(measures, limits))


def measure(face: Image.Image, crop: Image.Image) -> dict[str, float]:
    """What the pixels tell: of the face box as it lies in the original, and of the square cut around it."""
    import numpy as np
    from skimage.measure import blur_effect

    grey = _grey(face)
    noise = noise_of(grey)
    small = _grey(crop.resize((CROP_PX, CROP_PX), reducing_gap=2.0) if crop.width > CROP_PX else crop)
    return {
        "brightness": float(grey.mean()),  # mean grey of the face, 0 to 255
        "clipped": float((grey >= WHITE).mean()),  # share of the face
        "crushed": float((grey <= BLACK).mean()),  # share of the face
        "highlight": float(np.percentile(grey, HIGHLIGHT_PERCENTILE)),  # grey, 0 to 255
        "contrast": float(small.std()),  # standard deviation of the crop's grey
        "noise": noise,  # standard deviation, of 255
        "sharpness": _sharpness(face, noise),
        "blur_effect": float(blur_effect(small)),  # 0 sharp to 1 blurred
    }


def _grey(image: Image.Image) -> Grey:
    import numpy as np

    return np.asarray(image.convert("L"), dtype=np.float32)


def noise_of(grey: Grey) -> float:
    """Standard deviation of the noise, measured where there is nothing else: in the flattest blocks of the middle.

    Immerkaer's mask (Computer Vision and Image Understanding 64(2), 1996) takes away whatever is flat or a slope; the flattest
    fifth of the blocks reads 6 % low on pure noise.
    """
    import cv2
    import numpy as np

    top, left = (max(0, (length - NOISE_PX) // 2) for length in grey.shape)
    middle = grey[top : top + NOISE_PX, left : left + NOISE_PX]
    if min(middle.shape) < 3:
        return 0.0
    mask = np.outer((1, -2, 1), (1, -2, 1)).astype(np.float32) / 6
    rest = cv2.filter2D(middle, cv2.CV_32F, mask)[1:-1, 1:-1]
    high, wide = (length // NOISE_BLOCK for length in rest.shape)
    if not high * wide:
        return 0.0
    blocks = rest[: high * NOISE_BLOCK, : wide * NOISE_BLOCK].reshape(high, NOISE_BLOCK, wide, NOISE_BLOCK)
    return float(np.percentile(blocks.std(axis=(1, 3)), NOISE_PERCENTILE))


def _sharpness(face: Image.Image, noise: float) -> float:
    """Variance of the Laplacian of the face reduced to 256 px, as a face of that size in fair light would have it.

    Halving the light or the contrast of a picture halves its Laplacian without blurring it, and a small face packs the same
    detail into fewer pixels: both are taken out, and what the noise alone would measure, so that blur is measured and nothing else.
    """
    import cv2
    from PIL import Image

    scale = SHARPNESS_PX / max(face.size)
    if scale < 1:
        size = (max(1, round(face.width * scale)), max(1, round(face.height * scale)))
        face = face.resize(size, Image.Resampling.BOX)
    grey = _grey(face)
    if min(grey.shape) < 3:
        return 0.0
    laplacian = cv2.Laplacian(grey, cv2.CV_32F)[1:-1, 1:-1]  # at an edge there is no neighbour to compare with
    gain = max(1.0, FAIR_SPREAD / max(float(grey.std()), 1.0)) * min(1.0, 1 / scale)
    of_noise = LAPLACIAN_GAIN * (noise * min(1.0, scale)) ** 2  # each pixel is the mean of 1 / scale squared
    return max(0.0, float(laplacian.var()) - of_noise) * gain**2
