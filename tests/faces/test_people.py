"""Whoever the photos show: grouped by face, asked for where nobody is clearly the client, chosen, and taken back."""

from __future__ import annotations

import itertools
from math import dist
from pathlib import Path

import pytest
from people_kit import add_pictures, person, photos_of, seen_client
from stages import finish

from client_folder.client import Client
from client_folder.records import IdentityState
from config import Settings
from data_preprocessor import prepare_dataset
from dataset.doctor import examine
from dataset.findings import Readiness
from dataset.signs import Level, Sign
from faces.decisions import NothingToUndo, as_before, keep, not_pointed_at, point_at, pointed_at
from faces.identity import SAME_PERSON, Identity, group, identify
from image_processor import FaceReport, plan_identity, process_faces

SETTINGS = Settings()


# --- groups -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("people", [1, 2, 17, 40])
def test_faces_are_grouped_by_person(people: int) -> None:
    faces = [(who, person(who, seed)) for seed in range(4) for who in range(people) if seed == 0 or who % 3 == 0]
    groups = group([face for _who, face in faces])
    assert len(groups) == people
    assert all(len({faces[at][0] for at in places}) == 1 for places in groups)
    assert [len(places) for places in groups] == sorted((len(places) for places in groups), reverse=True)


def test_a_blurred_face_between_two_people_does_not_make_one_of_them() -> None:
    one, two = [person(0, seed) for seed in range(6)], [person(1, seed) for seed in range(6)]
    between = tuple((left + right) / 2 for left, right in zip(one[0], two[0], strict=True))
    assert min(dist(between, face) for face in one) < SAME_PERSON > min(dist(between, face) for face in two)
    sizes = sorted(len(places) for places in group([*one, *two, between]))
    assert sizes[-2:] in ([6, 6], [6, 7])


def test_nobody_and_one_face_are_groups_too() -> None:
    assert (group([]), group([person(3, 1)])) == ([], [[0]])


def test_a_few_photos_among_many_of_others_are_no_clear_client() -> None:
    few = [person(0, seed) for seed in range(6)] + [person(1 + at // 3, at) for at in range(45)]
    assert identify(few) == Identity(unsure=True, people=16)
    enough = identify(few[: 6 + 9])
    assert (enough.references, enough.unsure, enough.people) == (6, False, 4)


# --- on disk ----------------------------------------------------------------------------------------------------------
def judged(client: Client) -> FaceReport:
    report = finish(process_faces(client, SETTINGS))
    assert isinstance(report, FaceReport)
    return report


SEVENTEEN = {name: who for person_ in range(17) for name, who in photos_of(person_, 5 if person_ == 5 else 1).items()}


def test_photos_of_17_people_are_a_no_go_until_somebody_says_who_is_the_client(tmp_path: Path) -> None:
    client = seen_client(tmp_path, SEVENTEEN)
    report = judged(client)
    assert report.identity is IdentityState.UNSURE
    (said,) = report.others
    assert (said.sign, said.level, said.sentence) == (
        Sign.SEVERAL_PEOPLE, Level.NO_GO, "these photos show 17 people: which of them is the client?",
    )  # fmt: skip
    built = finish(prepare_dataset(client, SETTINGS))
    doctor = examine(client, SETTINGS)
    assert built.verdict is doctor.verdict is Readiness.NO_GO
    assert built.examination.reason == doctor.reason == said
    point_at(client, ["p5_0.png:1"])
    report = judged(client)
    assert (report.identity, len(report.accepted), report.others) == (IdentityState.KNOWN, 5, ())
    finish(prepare_dataset(client, SETTINGS))
    assert Sign.SEVERAL_PEOPLE not in {symptom.sign for symptom in examine(client, SETTINGS).symptoms}


def test_two_photos_and_many_midjourney_pictures_of_one_person_need_no_question(tmp_path: Path) -> None:
    client = seen_client(tmp_path, photos_of(0, 2) | {"group.png": [1, 0, 2]}, photos_of(0, 9, "mj"))
    report = judged(client)
    assert (report.identity, report.references, len(report.accepted), report.others) == (IdentityState.KNOWN, 2, 12, ())
    group_photo = next(face for face in report.accepted if face.file == "group.png")
    assert group_photo.box is not None and group_photo.box[0] == 300


def test_the_client_is_who_the_photos_show_whatever_midjourney_painted(tmp_path: Path) -> None:
    client = seen_client(tmp_path, photos_of(0, 3), photos_of(1, 7, "mj") | photos_of(0, 3, "right"))
    report = judged(client)
    assert (report.identity, report.references) == (IdentityState.KNOWN, 3)
    (said,) = report.others
    assert (said.level, said.sentence) == (Level.NO_GO, "7 of 10 MidJourney pictures show somebody else")
    finish(prepare_dataset(client, SETTINGS))
    found = examine(client, SETTINGS)
    assert found.verdict is Readiness.NO_GO and found.reason is not None
    assert (found.reason.sentence, found.reason.detail) == (said.sentence, said.detail)
    assert "0.9" in said.detail or "0.8" in said.detail


def test_without_a_photo_midjourneys_pictures_tell_who_the_client_is(tmp_path: Path) -> None:
    report = judged(seen_client(tmp_path, {}, photos_of(0, 7) | photos_of(1, 3)))
    assert (report.identity, report.references) == (IdentityState.DRAWN, 7)
    assert [symptom.sentence for symptom in report.others] == ["3 of 10 MidJourney pictures show somebody else"]
    several = judged(seen_client(tmp_path / "other", {}, photos_of(0, 2) | photos_of(1, 2) | photos_of(2, 2)))
    assert several.identity is IdentityState.UNSURE_DRAWN
    assert several.others[0].sentence == "these MidJourney pictures show 3 people: which of them is the client?"


# --- choosing, and taking it back -------------------------------------------------------------------------------------
def test_who_was_chosen_stays_when_photos_are_added(tmp_path: Path) -> None:
    client = seen_client(tmp_path, photos_of(0, 4) | photos_of(1, 4))
    assert judged(client).identity is IdentityState.UNSURE
    point_at(client, ["p1_2.png:1"])
    assert judged(client).references == 4
    add_pictures(client, photos_of(2, 9) | photos_of(1, 2, "new"))
    report = judged(client)
    assert (report.identity, report.references) == (IdentityState.KNOWN, 6)
    assert {face.file for face in report.accepted} == {*photos_of(1, 4), *photos_of(1, 2, "new")}


def test_what_a_choice_would_do_is_told_without_doing_it(tmp_path: Path) -> None:
    client = seen_client(tmp_path, photos_of(0, 6) | {"group.png": [1, 2, 0]}, photos_of(0, 5, "mj"))
    judged(client)
    before = client.faces_file.read_bytes()
    effect = plan_identity(client, SETTINGS.quality, pointed_at(client, ["group.png:1"]))
    assert (effect.now.references, effect.now.others, effect.now.accepted) == (6, 0, 12)
    assert (effect.then.references, effect.then.others, effect.then.accepted) == (1, 11, 6)
    assert (set(effect.lost), effect.gained) == (set(photos_of(0, 6)), ())
    assert client.faces_file.read_bytes() == before and not client.decisions_file.exists()


def test_a_choice_is_taken_back_and_once_more(tmp_path: Path) -> None:
    client = seen_client(tmp_path, photos_of(0, 6) | {"group.png": [1, 2, 0]})
    with pytest.raises(NothingToUndo):
        as_before(client)
    right = judged(client)
    point_at(client, ["group.png:1"])
    wrong = judged(client)
    assert [face.file for face in wrong.accepted] == ["group.png"]
    for expected in (right, wrong, right):
        keep(client, as_before(client))
        again = judged(client)
        assert {(face.file, face.box) for face in again.accepted} == {(face.file, face.box) for face in expected.accepted}
    keep(client, not_pointed_at(client, ["group.png"]))
    assert len(judged(client).accepted) == 7


def test_another_person_takes_the_place_of_the_one_chosen_before(tmp_path: Path) -> None:
    client = seen_client(tmp_path, photos_of(0, 3) | photos_of(1, 3))
    point_at(client, ["p0_0.png:1", "p0_1.png:1"])
    assert {face.file for face in judged(client).accepted} == set(photos_of(0, 3))
    point_at(client, ["p1_0.png:1"])
    assert {face.file for face in judged(client).accepted} == set(photos_of(1, 3))
    assert len(client.decisions().pointed) == 1


def test_every_person_is_equally_far_from_every_other() -> None:
    """The kit itself: as dlib measured real people."""
    same = [dist(person(3, one), person(3, two)) for one, two in itertools.combinations(range(12), 2)]
    others = [dist(person(3, 0), person(who, 1)) for who in range(4, 30)]
    assert max(same) < 0.5 and min(others) > 0.75
