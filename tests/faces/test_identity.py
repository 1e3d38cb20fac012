"""dlib on drawn heads: the same picture gives the same numbers, and only the two CC0 files are ever opened."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from embedded.drawing.painting import draw
from embedded.drawing.portraits import random_portrait
from faces.identity import FaceRecogniser, model_file
from utils import ModelMissing

ROOT = Path(__file__).resolve().parents[2]


def head(side: int = 400) -> Image.Image:
    return Image.fromarray(draw([random_portrait(random.Random(1), hair="brown", light="studio lighting")], side, side)[0])


def test_a_face_is_128_numbers_and_the_same_ones_every_time() -> None:
    recogniser = FaceRecogniser()
    numbers = recogniser.describe(head(), (110, 80, 180, 240))
    assert len(numbers) == 128 and {type(number) for number in numbers} == {float}
    assert recogniser.describe(head(), (110, 80, 180, 240)) == numbers


def test_a_box_that_leaves_the_picture_is_described_too() -> None:
    assert len(FaceRecogniser().describe(head(), (-40, -30, 500, 500))) == 128


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ModelMissing) as error:
        model_file("nothing.dat")
    assert error.value.facts == {"model": "nothing.dat"}


def test_the_68_point_file_is_never_opened() -> None:
    code = (
        "import sys\nopened = []\n"
        "data = lambda event, facts: event == 'open' and str(facts[0]).endswith('.dat')\n"
        "sys.addaudithook(lambda event, facts: data(event, facts) and opened.append(str(facts[0])))\n"
        "import dlib\nfrom faces import identity\n"
        "for name in ('shape_predictor', 'face_recognition_model_v1'):\n"
        "    real = getattr(dlib, name)\n"
        "    setattr(dlib, name, lambda path, real=real: (opened.append(path), real(path))[1])\n"
        "identity.FaceRecogniser()\n"
        "print(len(set(opened)), any('68' in path for path in opened), 'face_recognition_models' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["2", "False", "False"]
