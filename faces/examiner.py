"""One original: the people in it, each measured as if they were the client. Decides nothing and writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from client_folder.records import DetectedFaces, Face, Picture
from config import QualityControlConfig
from faces.detector import LOOK_PX, Detection, Detector
from faces.geometry import Box, crop_square, cut, levelling, take, turn_of, upright_box
from faces.identity import ROOM, FaceRecogniser
from faces.quality import CROP_PX as MEASURED_PX
from faces.quality import measure
from pictures.listing import RAW_ENDINGS
from pictures.photo_analysis import analyse, background_of, perceptual_hash
from pictures.picture_file import UnreadablePicture

if TYPE_CHECKING:
    from PIL import Image

MOST_FACES = 12  # of a picture, the largest; in a crowd nobody is large enough anyway


@dataclass(frozen=True, slots=True)
class Examiner:
    """All that a look depends on, besides the original."""

    quality: QualityControlConfig
    method: str
    detector: Detector
    recogniser: FaceRecogniser

    def detected(self, picture: Picture, image: Image.Image | UnreadablePicture) -> DetectedFaces:
        """What is seen in an original, given its pixels or why they could not be had."""
        import numpy as np

        raw = Path(picture.file).suffix.lower() in RAW_ENDINGS
        detected = DetectedFaces(file=picture.file, sha256=picture.sha256, source=picture.source, method=self.method, raw=raw)
        if isinstance(image, UnreadablePicture):
            return detected.model_copy(update={"unreadable": image.reason})
        view = _reduced(image)
        # The detector is shown no more pixels than it looks at; what it finds is told in the original's.
        scale = image.width / view.width, image.height / view.height
        found = [face.scaled(scale, image.size) for face in self.detector.find(np.asarray(view))][:MOST_FACES]
        faces = tuple(self._seen(image, face) for face in found)
        return detected.model_copy(update={"faces": faces, "analysis": analyse(view, image.size, len(found), picture.taken)})

    def _seen(self, image: Image.Image, face: Detection) -> Face:
        """One face with every measure."""
        angle = levelling(face.landmarks)
        box = upright_box(face.box, angle)
        square = crop_square(image.width, image.height, box, self.quality.face_padding_factor, angle)
        crop, own = cut(image, square, MEASURED_PX), _alone(image, box, angle)
        background, around = background_of(crop)
        yaw = turn_of(face.landmarks) if face.landmarks else 0.0
        measures = {
            "confidence": face.confidence, "face_px": float(max(box[2:])), "upscale": square.upscale, "inside": square.inside,
            "turn": abs(yaw), "yaw": yaw, **measure(own, crop), **around,
        }  # fmt: skip
        return Face(
            box=face.box, landmarks=face.landmarks, confidence=face.confidence,
            square=(square.left, square.top, square.side), angle=angle,
            measures={name: round(value, 4) for name, value in measures.items()},
            phash=perceptual_hash(crop), background=background, identity=self._identity(image, box, angle),
        )  # fmt: skip

    def _identity(self, image: Image.Image, box: Box, angle: float) -> tuple[float, ...]:
        """Who it is, asked of the upright face."""
        if not angle:
            return self.recogniser.describe(image, box)
        left, top, width, height = box
        room = round(ROOM * max(width, height))
        size = width + 2 * room, height + 2 * room
        upright = take(image, (left + width / 2, top + height / 2), size, angle, size)
        return self.recogniser.describe(upright, (room, room, width, height))


def _reduced(image: Image.Image) -> Image.Image:
    """The picture as large as the detector looks at it."""
    from PIL import Image

    share = LOOK_PX / max(image.size)
    if share >= 1:
        return image
    size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
    return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=1.5)


def _alone(image: Image.Image, box: Box, angle: float) -> Image.Image:
    """The face as it lies in the original, levelled where its crop is."""
    left, top, width, height = box
    if angle:
        return take(image, (left + width / 2, top + height / 2), (width, height), angle, (width, height))
    return image.crop((left, top, left + width, top + height))
