"""The photos that the limits were measured with: each person's crop or a reason a person would agree with.

They show people who did not agree to lie in a repository; without them this file is skipped as one. What it holds of the step
itself is held in every clone by `test_real_photos`, on photos that anybody may pass on.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from photo_kit import answer, check_levelled, client_of, judged, reasons, save_lying, save_spoilt, walk_who
from PIL import Image
from stages import finish

from client_folder.client import create_client
from client_folder.reasons import Reason
from client_folder.records import IdentityState, Verdict
from config import Settings
from data_preprocessor import import_midjourney, prepare_dataset
from dataset.doctor import examine
from dataset.findings import Readiness
from faces.decisions import point_at
from faces.detector import MtcnnDetector
from faces.identity import FaceRecogniser
from image_processor import process_faces

SHARED = next((path for parent in Path(__file__).resolve().parents if (path := parent / "shared" / "photos").is_dir()), None)
if SHARED is None:
    pytest.skip("the photos that the limits were measured with are not part of the repository", allow_module_level=True)
SETTINGS = Settings()
PEOPLE = {"person1": 5, "person2": 2, "person3": 3, "person4": 1, "person5": 1}  # good photos of each


def real(*names: str) -> list[Path]:
    return [path for path in sorted((SHARED / "real").iterdir()) if not names or path.name.startswith(names)]


@pytest.fixture(scope="module")
def everybody(tmp_path_factory: pytest.TempPathFactory, detector: MtcnnDetector, recogniser: FaceRecogniser) -> dict[str, Verdict]:
    """All photos given for one client: the one whom most of them show."""
    return judged(client_of(tmp_path_factory.mktemp("all"), real()), detector, recogniser)


def test_the_person_most_photos_show_is_cut_out_and_the_others_are_someone_else(everybody: dict[str, Verdict]) -> None:
    found = reasons(everybody)
    assert {name for name in everybody if name not in found} == {
        "person1_a.jpg", "person1_b.jpg", "person1_c.jpg", "person1_d.jpg", "person1_e.jpg", "person1_partial.jpg",
        "person1_and_person2.jpg",
    }  # fmt: skip
    assert found.pop("no_face.jpg") is Reason.NO_FACE
    assert found.pop("person1_small.jpg") is Reason.FACE_TOO_SMALL
    assert set(found.values()) == {Reason.SOMEONE_ELSE}


def test_the_group_photo_gives_the_client_and_not_the_largest_face(
    tmp_path: Path, detector: MtcnnDetector, recogniser: FaceRecogniser, everybody: dict[str, Verdict]
) -> None:
    """Person 1 has the largest face, on the right."""
    photos = real("person2", "person1_and_person2")
    second = judged(client_of(tmp_path, photos), detector, recogniser)["person1_and_person2.jpg"]
    for face, left in ((everybody["person1_and_person2.jpg"], 1152), (second, 768)):
        assert face.box is not None and face.distance is not None
        assert face.box[0] == pytest.approx(left, abs=30)
        assert face.distance < 0.45 and face.bystanders == 2


@pytest.mark.parametrize("person", ["person2", "person3", "person4", "person5"])
def test_every_good_photo_of_a_person_passes(
    tmp_path: Path, detector: MtcnnDetector, recogniser: FaceRecogniser, person: str
) -> None:
    faces = judged(client_of(tmp_path, real(person)), detector, recogniser)
    assert len(faces) == PEOPLE[person]
    assert reasons(faces) == {}


def test_whoever_is_pointed_at_once_is_the_client(tmp_path: Path, detector: MtcnnDetector, recogniser: FaceRecogniser) -> None:
    client = client_of(tmp_path, real("person1_and_person2"))
    assert reasons(judged(client, detector, recogniser)) == {"person1_and_person2.jpg": Reason.SEVERAL_FACES}
    point_at(client, ["person1_and_person2.jpg:2"])
    face = judged(client, detector, recogniser)["person1_and_person2.jpg"]
    assert face.box is not None and face.box[0] > 1100 and face.rejection is None


def test_photos_of_seven_people_are_asked_about_and_answered_once(
    tmp_path: Path, detector: MtcnnDetector, recogniser: FaceRecogniser
) -> None:
    photos = [*real("person1_a.", "person1_e", "person2_", "person3_12", "person3_20", "person4", "person5")]
    photos += [SHARED / "generated" / f"portrait_{name}" for name in ("00.jpg", "01.jpg", "13.png", "14.png")]
    client = client_of(tmp_path, photos)
    judged(client, detector, recogniser)
    assert (client.judged().identity, client.judged().people) == (IdentityState.UNSURE, 7)
    finish(prepare_dataset(client, SETTINGS))
    found = examine(client, SETTINGS)
    assert (found.verdict, found.reason and found.reason.sentence) == (
        Readiness.NO_GO, "these photos show 7 people: which of them is the client?",
    )  # fmt: skip
    point_at(client, ["person3_12mpix.jpg:1"])
    faces = judged(client, detector, recogniser)
    assert {name for name, face in faces.items() if face.crop} == {"person3_12mpix.jpg", "person3_20mpix_two_boxes.jpg"}


def test_two_photos_and_midjourneys_pictures_of_one_person_need_no_question(
    tmp_path: Path, detector: MtcnnDetector, recogniser: FaceRecogniser
) -> None:
    """AI portraits of one woman among which two are given as her photos, and then those of somebody else."""
    drawn = [SHARED / "generated" / f"portrait_{number:02}.jpg" for number in (0, 1, 2, 3, 4, 6, 7)]
    for photos, said in ((drawn[:2], ""), (real("person1_a.", "person1_b"), "5 of 5 MidJourney pictures show somebody else")):
        client = client_of(tmp_path / photos[0].stem, photos)
        finish(import_midjourney(client, drawn[2:]))
        report = finish(process_faces(client, SETTINGS, detector, recogniser))
        assert (report.identity, report.references, len(report.accepted)) == (IdentityState.KNOWN, 2, 7)
        assert [symptom.sentence for symptom in report.others] == ([said] if said else [])


def test_spoilt_copies_are_refused_each_for_what_was_done_to_it(
    tmp_path: Path, detector: MtcnnDetector, recogniser: FaceRecogniser, everybody: dict[str, Verdict]
) -> None:
    expected = save_spoilt(
        given := tmp_path / "given", real("person1_b", "person1_e", "person2_a", "person2_b", "person5_a"), everybody
    )
    faces = judged(client_of(tmp_path, [given]), detector, recogniser)
    assert reasons(faces) == expected


def test_at_least_92_in_100_good_pictures_pass(tmp_path: Path, detector: MtcnnDetector, recogniser: FaceRecogniser) -> None:
    """Of all that show one person large enough: 160 px fill a crop when enlarged four times."""
    client = create_client(tmp_path, "ana")
    photos = [path for path in real("person") if "small" not in path.name and "and" not in path.name]
    for _event in import_midjourney(client, [*photos, *sorted((SHARED / "generated").iterdir())]):
        pass
    faces = judged(client, detector, recogniser)
    large = [face for face in faces.values() if face.measures["face_px"] >= 160]
    assert len(large) >= 25
    assert sum(face.rejection is None for face in large) >= 0.92 * len(large)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_photo_on_its_side_without_a_word_in_its_exif_is_levelled(
    tmp_path: Path, detector: MtcnnDetector, recogniser: FaceRecogniser, quarters: int
) -> None:
    with Image.open(real("person1_a")[0]) as image:
        upright = image.convert("RGB")
    save_lying(given := tmp_path / "given", upright, quarters)
    client = client_of(tmp_path, [given])
    check_levelled(client, judged(client, detector, recogniser), quarters)


# --- the program itself -----------------------------------------------------------------------------------------------
def test_the_command_line_gives_crops_and_explained_rejections(tmp_path: Path) -> None:
    create_client(tmp_path, "ana")
    answer(tmp_path, "import-photos", "--client", "ana", *real("person1", "no_face", "person2_b"))
    found = answer(tmp_path, "process", "--client", "ana")
    assert isinstance(found["accepted"], list) and isinstance(found["rejected"], list)
    assert len(found["accepted"]) == 7
    told = {refused["source"]: refused for refused in found["rejected"]}
    assert {name: refused["reason"] for name, refused in told.items()} == {
        "no_face.jpg": "no_face", "person1_small.jpg": "face_too_small", "person2_b.jpg": "someone_else",
    }  # fmt: skip
    assert told["person2_b.jpg"]["measured"] > told["person2_b.jpg"]["limit"] == SETTINGS.quality.max_distance
    moved = answer(tmp_path, "limits", "--client", "ana", "max_upscale=10", "--plan")
    assert (moved["accepted_before"], moved["accepted_after"]) == (7, 8)
    accepted = answer(tmp_path, "accept", "--client", "ana", "person1_small.jpg")
    assert isinstance(accepted["accepted"], list) and len(accepted["accepted"]) == 8
    assert answer(tmp_path, "rejected", "--client", "ana")["by_hand"] == ["person1_small.jpg"]


@pytest.mark.skipif(sys.platform == "win32", reason="pexpect has no pseudo-terminal on Windows")
def test_the_menu_asks_once_who_the_client_is_and_shows_what_was_rejected(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text("{}")
    client_of(tmp_path, real("person1_and_person2", "no_face"))
    walk_who(tmp_path, "person1_and_person2.jpg", faces=3)
