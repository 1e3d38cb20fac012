"""The real MTCNN on pictures drawn by code, whose faces lie where the drawing put them."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from embedded.drawing.painting import draw
from embedded.drawing.portraits import EYE_LEVEL, Pose, random_portrait
from faces.detector import Detection, MtcnnDetector

ROOT = Path(__file__).resolve().parents[2]
STRAIGHT = Pose(right=0.0, down=0.0, tilt=0.0, turn=0.0, scale=1.0)


def head(side: int, seed: int = 1) -> Image.Image:
    """A drawn head that fills a square as a crop does."""
    portrait = random_portrait(
        random.Random(seed), pose=STRAIGHT, light="studio lighting", hair="brown", skin="light", glasses=False
    )
    return Image.fromarray(draw([portrait], side, side)[0])


def placed(size: tuple[int, int], *heads: tuple[int, int, int]) -> np.ndarray:
    """A grey picture with heads at (left, top, side)."""
    image = Image.new("RGB", size, (120, 125, 130))
    for number, (left, top, side) in enumerate(heads):
        image.paste(head(side, number + 1), (left, top))
    return np.asarray(image)


def overlap(face: Detection, left: int, top: int, side: int) -> float:
    """Intersection over union of a found box and where the face of a drawn head lies in its square."""
    a = (face.box[0], face.box[1], face.box[0] + face.box[2], face.box[1] + face.box[3])
    b = (left + 0.27 * side, top + 0.19 * side, left + 0.73 * side, top + 0.80 * side)
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, wide) * max(0.0, high)
    return shared / (face.area + (b[2] - b[0]) * (b[3] - b[1]) - shared)


@pytest.mark.parametrize(
    ("size", "where"),
    [
        ((400, 400), (20, 30, 360)),
        ((1024, 700), (600, 200, 400)),
        ((1600, 2400), (500, 900, 700)),
    ],
)
def test_a_face_is_found_where_it_is_in_the_pixels_of_the_picture(
    detector: MtcnnDetector, size: tuple[int, int], where: tuple[int, int, int]
) -> None:
    (face,) = detector.find(placed(size, where))
    left, top, side = where
    assert overlap(face, *where) > 0.5
    for eye in ("left_eye", "right_eye"):
        assert face.landmarks[eye][1] == pytest.approx(top + EYE_LEVEL * side, abs=0.06 * side)
    assert face.landmarks["left_eye"][0] < left + side / 2 < face.landmarks["right_eye"][0]
    assert face.landmarks["mouth_left"][1] > face.landmarks["nose"][1] > face.landmarks["left_eye"][1]


def test_several_faces_come_largest_first(detector: MtcnnDetector) -> None:
    found = detector.find(placed((1200, 700), (40, 250, 300), (500, 60, 560)))
    assert len(found) == 2
    assert found[0].area > found[1].area
    assert overlap(found[0], 500, 60, 560) > 0.5


def test_a_small_face_is_found_by_the_second_look(detector: MtcnnDetector) -> None:
    (face,) = detector.find(placed((1000, 800), (300, 300, 110)))
    assert overlap(face, 300, 300, 110) > 0.4


def test_a_face_in_the_dark_is_found_by_the_second_look(detector: MtcnnDetector) -> None:
    dark = ImageEnhance.Brightness(Image.fromarray(placed((700, 700), (100, 100, 500)))).enhance(0.08)
    found = detector.find(np.asarray(dark))
    assert len(found) == 1
    assert overlap(found[0], 100, 100, 500) > 0.5


@pytest.mark.parametrize("shape", [(1, 1), (19, 400), (20, 20), (79, 80), (80, 80), (30, 3000), (1500, 40), (600, 800)])
def test_a_picture_without_a_face_of_any_shape_gives_nothing(detector: MtcnnDetector, shape: tuple[int, int]) -> None:
    assert detector.find(np.full((*shape, 3), 140, np.uint8)) == ()
    noise = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    assert detector.find(noise) == ()


def test_a_found_face_can_be_written_as_json_and_lies_inside(detector: MtcnnDetector) -> None:
    rgb = np.asarray(head(500).crop((180, 0, 500, 500)))
    (face,) = detector.find(rgb)
    left, top, width, height = face.box
    assert left >= 0 and top >= 0 and left + width <= rgb.shape[1] and top + height <= rgb.shape[0]
    assert json.loads(json.dumps(asdict(face)))["confidence"] == face.confidence
    assert {type(number) for number in (*face.box, *(x for point in face.landmarks.values() for x in point))} == {int}


def test_the_same_picture_gives_the_same_faces(detector: MtcnnDetector) -> None:
    rgb = placed((900, 900), (100, 100, 600))
    assert detector.find(rgb) == detector.find(rgb)


def test_the_cures_leave_the_faces_that_mtcnn_finds(detector: MtcnnDetector, monkeypatch: pytest.MonkeyPatch) -> None:
    from mtcnn import MTCNN
    from mtcnn.stages import stage_pnet
    from mtcnn.utils.images import build_scale_pyramid

    rgb = placed((1000, 800), (60, 100, 420), (560, 200, 400))
    ours = detector._look(rgb, 20, rgb.shape)  # 20 px is what MTCNN looks for when nothing is said
    monkeypatch.setattr(stage_pnet, "build_scale_pyramid", build_scale_pyramid)
    plain = MTCNN().detect_faces(rgb)
    assert sorted(face.box for face in ours) == sorted(tuple(face["box"]) for face in plain)
    assert len(plain) == 2


def test_tensorflow_says_nothing_in_the_terminal() -> None:
    code = "import numpy as np; from faces.detector import MtcnnDetector; MtcnnDetector().find(np.zeros((200, 200, 3), np.uint8))"
    spoken = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (spoken.stdout, spoken.stderr) == ("", "")


@pytest.mark.skipif(find_spec("triton") is None, reason="triton comes with PyTorch for CUDA on Linux")
def test_pytorch_for_cuda_and_tensorflow_live_in_one_process() -> None:
    code = "from faces.detector import MtcnnDetector; MtcnnDetector(); import torch._dynamo"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
