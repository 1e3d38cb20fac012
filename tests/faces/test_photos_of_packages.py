"""Photos of real people that come with the requirements, through the whole step of faces: they are there wherever the program is.

One person: scikit-image's astronaut (NASA, public domain), in several shots made of it. Six others: the group photo in insightface.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from photo_kit import check_levelled, client_of, judged, of_package, reasons, save_lying, spoilt
from PIL import Image, ImageEnhance

from client_folder.records import Face, Reason
from faces.decisions import point_at
from faces.detector import MtcnnDetector
from faces.identity import FaceRecogniser


def larger(image: Image.Image, times: float) -> Image.Image:
    return image.resize((round(image.width * times), round(image.height * times)), Image.Resampling.LANCZOS)


PERSON = larger(of_package("skimage", "astronaut.png"), 2)  # at its own size the face is too small for a crop
FACE_PX = 220
GROUP = of_package("insightface", "images/t1.jpg")
GROUP_FACES = ((468, 262), (906, 61), (52, 266), (745, 345), (274, 149), (1135, 276))  # left and top


def shots(folder: Path) -> Path:
    """Four photos of the person, as they may come out of a camera."""
    folder.mkdir()
    PERSON.save(folder / "person_far.png")
    larger(PERSON.crop((120, 0, 800, 680)), 1.5).save(folder / "person_near.png")
    PERSON.rotate(8, Image.Resampling.BICUBIC, fillcolor=(128, 128, 128)).save(folder / "person_tilted.png")
    ImageEnhance.Brightness(PERSON).enhance(0.75).save(folder / "person_dim.png")
    return folder


def with_the_group() -> Image.Image:
    """The person beside the six."""
    picture = Image.new("RGB", (GROUP.width + 620, GROUP.height), (120, 120, 120))
    picture.paste(GROUP, (0, 0))
    picture.paste(PERSON.crop((150, 0, 770, 886)), (GROUP.width, 0))
    return picture


@pytest.fixture(scope="module")
def everybody(tmp_path_factory: pytest.TempPathFactory, detector: MtcnnDetector, recogniser: FaceRecogniser) -> dict[str, Face]:
    home = tmp_path_factory.mktemp("all")
    given = shots(home / "given")
    GROUP.save(given / "group.png")
    with_the_group().save(given / "person_and_group.png")
    return judged(client_of(home, [given]), detector, recogniser)


def test_every_face_of_a_group_is_found_where_it_is(detector: MtcnnDetector) -> None:
    found = sorted(face.box[:2] for face in detector.find(np.asarray(GROUP)))
    assert len(found) == len(GROUP_FACES)
    for box, where in zip(found, sorted(GROUP_FACES), strict=True):
        assert box == pytest.approx(where, abs=20)


def test_the_person_most_photos_show_is_cut_out_and_the_others_are_someone_else(everybody: dict[str, Face]) -> None:
    assert reasons(everybody) == {"group.png": Reason.SOMEONE_ELSE}
    hers = [face for face in everybody.values() if face.rejection is None]
    assert len(hers) == 5
    assert all(face.distance is not None and face.distance < 0.3 for face in hers)


def test_in_a_group_the_client_is_taken_and_the_others_stand_by(everybody: dict[str, Face]) -> None:
    face = everybody["person_and_group.png"]
    assert face.box is not None and face.box[0] == pytest.approx(GROUP.width + 361 - 150, abs=25)
    assert face.bystanders >= 5, "in so wide a picture one of the six is small"


def test_whoever_is_pointed_at_is_the_client(tmp_path: Path, detector: MtcnnDetector, recogniser: FaceRecogniser) -> None:
    two = Image.new("RGB", (500 + 620, 620), (120, 120, 120))
    two.paste(larger(GROUP.crop((850, 0, 1100, 300)), 2), (0, 0))
    two.paste(PERSON.crop((150, 0, 770, 620)), (500, 0))
    two.save(tmp_path / "two.png")
    client = client_of(tmp_path, [tmp_path / "two.png"])
    assert reasons(judged(client, detector, recogniser)) == {"two.png": Reason.SEVERAL_FACES}
    point_at(client, ["two.png:2"])
    face = judged(client, detector, recogniser)["two.png"]
    assert face.rejection is None and face.box is not None
    assert face.box[0] > 500, "hers is the second largest"


def test_spoilt_copies_are_refused_each_for_what_was_done_to_it(
    tmp_path: Path, detector: MtcnnDetector, recogniser: FaceRecogniser
) -> None:
    given = shots(tmp_path / "given")
    copies = spoilt(PERSON, FACE_PX)
    for reason, copy in copies.items():
        copy.save(given / f"{reason.value}.png", compress_level=1)
    faces = judged(client_of(tmp_path, [given]), detector, recogniser)
    assert reasons(faces) == {f"{reason.value}.png": reason for reason in copies}


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_photo_on_its_side_without_a_word_in_its_exif_is_levelled(
    tmp_path: Path, detector: MtcnnDetector, recogniser: FaceRecogniser, quarters: int
) -> None:
    tall = PERSON.crop((100, 20, 900, 1024))  # no square: its sides are told apart
    save_lying(given := tmp_path / "given", tall, quarters)
    client = client_of(tmp_path, [given])
    check_levelled(client, judged(client, detector, recogniser), quarters)
