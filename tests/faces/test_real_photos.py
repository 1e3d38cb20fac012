"""Photos of faces that lie in the repository, through the whole step: each person's crop, or a reason a person would agree with."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import pytest
from photo_kit import PHOTOS, answer, check_levelled, client_of, judged, of_package, reasons, save_lying, save_spoilt, walk_who
from PIL import Image
from stages import finish

from client_folder.client import create_client
from client_folder.reasons import Reason
from client_folder.records import IdentityState, Verdict
from config import Settings
from data_preprocessor import import_midjourney
from faces.decisions import point_at
from faces.detector import MtcnnDetector
from faces.identity import FaceRecogniser, model_file
from image_processor import process_faces

SETTINGS = Settings()
OTHERS = ("gardner.jpg", "macbeth.jpg")


def photos(*names: str) -> list[Path]:
    return [path for path in sorted(PHOTOS.glob("*.jpg")) if not names or path.name.startswith(names)]


@pytest.fixture(scope="module")
def everybody(tmp_path_factory: pytest.TempPathFactory, detector: MtcnnDetector, recogniser: FaceRecogniser) -> dict[str, Verdict]:
    """One woman's photos among those of others, and one picture without anybody."""
    home = tmp_path_factory.mktemp("all")
    given = home / "given"
    given.mkdir()
    of_package("skimage", "coffee.png").save(given / "no_face.png")
    return judged(client_of(home, [*photos("woman", *OTHERS, "mccormack"), given]), detector, recogniser)


def test_every_photo_has_its_licence_beside_it() -> None:
    with (PHOTOS / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert sorted(rows) == [path.name for path in photos()]
    for row in rows.values():
        assert all(row.values()), row["file"]
        assert row["licence"].startswith(("public domain", "Apache-2.0")), row["file"]
    assert sum(path.stat().st_size for path in photos()) < 600_000, "a clone stays small"


def test_no_photo_tells_more_than_its_picture() -> None:
    for path in photos():
        with Image.open(path) as image:
            assert not dict(image.getexif()), path.name


def test_the_person_most_photos_show_is_cut_out_and_the_others_are_someone_else(everybody: dict[str, Verdict]) -> None:
    assert reasons(everybody) == {
        "gardner.jpg": Reason.SOMEONE_ELSE, "macbeth.jpg": Reason.SOMEONE_ELSE,
        "mccormack.jpg": Reason.FACE_TOO_SMALL, "no_face.png": Reason.NO_FACE,
    }  # fmt: skip
    hers = [face.distance for name, face in everybody.items() if name.startswith("woman")]
    assert len(hers) == 5 and all(distance is not None and distance < 0.3 for distance in hers)


class DlibsOwn(FaceRecogniser):
    """Describes faces by dlib's own network, as the program did before it had another."""

    def __init__(self) -> None:
        super().__init__()
        own = self._dlib.face_recognition_model_v1(str(model_file("dlib_face_recognition_resnet_model_v1.dat")))

        class Network:
            def numbers(self, chips: Any) -> Any:
                return [own.compute_face_descriptor(chip) for chip in chips]

        self._network = Network()  # type: ignore[assignment]


def test_verdicts_and_crops_are_those_of_dlibs_own_network(
    tmp_path: Path, detector: MtcnnDetector, everybody: dict[str, Verdict]
) -> None:
    given = tmp_path / "given"
    given.mkdir()
    of_package("skimage", "coffee.png").save(given / "no_face.png")
    before = judged(client_of(tmp_path, [*photos("woman", *OTHERS, "mccormack"), given]), detector, DlibsOwn())
    assert set(before) == set(everybody) and len(before) > 8
    assert reasons(before) == reasons(everybody)
    for name, face in everybody.items():
        assert face.distance == pytest.approx(before[name].distance, abs=5e-4), name
        but = {"distance", "rejection"}  # what is told of a refusal: the distance, and where the original was
        assert face.model_dump(exclude=but) == before[name].model_dump(exclude=but), name


@pytest.mark.parametrize("person", [*OTHERS, "man", "woman"])
def test_every_good_photo_of_a_person_passes(
    tmp_path: Path, detector: MtcnnDetector, recogniser: FaceRecogniser, person: str
) -> None:
    given = photos(person)
    faces = judged(client_of(tmp_path, given), detector, recogniser)
    assert given and len(faces) == len(given)
    assert reasons(faces) == {}


def test_whoever_is_pointed_at_once_is_the_client(tmp_path: Path, detector: MtcnnDetector, recogniser: FaceRecogniser) -> None:
    client = client_of(tmp_path, [both(tmp_path / "two.png")])
    assert reasons(judged(client, detector, recogniser)) == {"two.png": Reason.SEVERAL_FACES}
    point_at(client, ["two.png:2"])
    face = judged(client, detector, recogniser)["two.png"]
    assert face.rejection is None and face.box is not None and face.box[0] > 720, "the second from the left"


def both(path: Path) -> Path:
    """Two people beside one another."""
    picture = Image.new("RGB", (1520, 1067), (120, 120, 120))
    for left, name in ((0, "gardner.jpg"), (720, "macbeth.jpg")):
        with Image.open(PHOTOS / name) as one:
            picture.paste(one.convert("RGB"), (left, 0))
    picture.save(path)
    return path


def test_two_photos_and_midjourneys_pictures_of_one_person_need_no_question(
    tmp_path: Path, detector: MtcnnDetector, recogniser: FaceRecogniser
) -> None:
    """AI portraits of one woman among which two are given as her photos, and then those of somebody else."""
    drawn = photos("woman")
    for given, said in ((drawn[:2], ""), (photos("gardner"), "3 of 3 MidJourney pictures show somebody else")):
        client = client_of(tmp_path / given[0].stem, given)
        finish(import_midjourney(client, drawn[2:]))
        report = finish(process_faces(client, SETTINGS, detector, recogniser))
        assert (report.identity, report.references) == (IdentityState.KNOWN, len(given))
        assert len(report.accepted) == len(given) + 3
        assert [symptom.sentence for symptom in report.others] == ([said] if said else [])


def test_spoilt_copies_are_refused_each_for_what_was_done_to_it(
    tmp_path: Path, detector: MtcnnDetector, recogniser: FaceRecogniser, everybody: dict[str, Verdict]
) -> None:
    expected = save_spoilt(given := tmp_path / "given", photos(*OTHERS), everybody)
    faces = judged(client_of(tmp_path, [given]), detector, recogniser)
    assert reasons(faces) == expected


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_photo_on_its_side_without_a_word_in_its_exif_is_levelled(
    tmp_path: Path, detector: MtcnnDetector, recogniser: FaceRecogniser, quarters: int
) -> None:
    with Image.open(PHOTOS / "macbeth.jpg") as image:
        upright = image.convert("RGB")
    save_lying(given := tmp_path / "given", upright, quarters)
    client = client_of(tmp_path, [given])
    check_levelled(client, judged(client, detector, recogniser), quarters)


# --- the program itself -----------------------------------------------------------------------------------------------
def test_the_command_line_gives_crops_and_explained_rejections(tmp_path: Path) -> None:
    create_client(tmp_path, "ana")
    answer(tmp_path, "import-photos", "--client", "ana", *photos("woman", "gardner", "mccormack"))
    found = answer(tmp_path, "process", "--client", "ana")
    assert isinstance(found["accepted"], list) and isinstance(found["rejected"], list)
    assert len(found["accepted"]) == 5
    told = {refused["source"]: refused for refused in found["rejected"]}
    assert {name: refused["reason"] for name, refused in told.items()} == {
        "gardner.jpg": "someone_else", "mccormack.jpg": "face_too_small",
    }  # fmt: skip
    assert told["gardner.jpg"]["measured"] > told["gardner.jpg"]["limit"] == SETTINGS.quality.max_distance
    moved = answer(tmp_path, "limits", "--client", "ana", "max_distance=1.2", "--plan")
    assert (moved["accepted_before"], moved["accepted_after"]) == (5, 6)
    accepted = answer(tmp_path, "accept", "--client", "ana", "mccormack.jpg")
    assert isinstance(accepted["accepted"], list) and len(accepted["accepted"]) == 6
    assert answer(tmp_path, "rejected", "--client", "ana")["by_hand"] == ["mccormack.jpg"]


@pytest.mark.skipif(sys.platform == "win32", reason="pexpect has no pseudo-terminal on Windows")
def test_the_menu_asks_once_who_the_client_is_and_shows_what_was_rejected(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text("{}")
    of_package("skimage", "coffee.png").save(tmp_path / "no_face.png")
    client_of(tmp_path, [both(tmp_path / "two.png"), tmp_path / "no_face.png"])
    walk_who(tmp_path, "two.png", faces=2)
