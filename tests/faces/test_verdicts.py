"""Verdicts from what was seen: who is chosen among several people, who is someone else, and what a person decides."""

from __future__ import annotations

import pytest

from client_folder.reasons import Reason
from client_folder.records import Analysis, Decisions, DetectedFaces, Face, Picture, Source, Verdict
from config import QualityControlConfig
from faces.identity import Identity, identify
from faces.verdicts import decide, identity_of

QUALITY = QualityControlConfig()
GOOD = {
    "confidence": 0.99, "face_px": 400.0, "upscale": 1.6, "inside": 1.0, "turn": 0.0, "brightness": 120.0, "highlight": 200.0,
    "clipped": 0.0, "crushed": 0.0, "contrast": 50.0, "noise": 1.0, "sharpness": 300.0, "blur_effect": 0.4,
}  # fmt: skip


def numbers(place: float) -> tuple[float, ...]:
    """128 numbers that lie so far from those of 0."""
    return (place, *(0.0,) * 127)


def face(left: int, side: int, who: float = 0.0, confidence: float = 0.99, **measures: float) -> Face:
    return Face(
        box=(left, 0, side, side), landmarks={}, confidence=confidence, square=(left, 0, side),
        measures={**GOOD, "confidence": confidence, **measures}, identity=numbers(who),
    )  # fmt: skip


def look(*faces: Face, source: Source = Source.REAL, sha: str = "a" * 64, **more: object) -> DetectedFaces:
    return DetectedFaces(file="x.jpg", sha256=sha, source=source, method="m", faces=faces, **more)  # type: ignore[arg-type]


def verdict(seen: DetectedFaces, identity: Identity | None = None, decisions: Decisions | None = None) -> Verdict:
    picture = Picture(file=seen.file, original="x.jpg", source=seen.source, sha256=seen.sha256)
    return decide(seen, picture, "raw_real/x.jpg", QUALITY, identity or Identity(), decisions or Decisions())


def reason(seen: DetectedFaces, identity: Identity | None = None) -> Reason | None:
    rejection = verdict(seen, identity).rejection
    return rejection.reason if rejection else None


ANA = Identity(numbers(0.0), 3)


def test_identity_chooses_the_client_and_not_the_largest_face() -> None:
    found = verdict(look(face(0, 500, who=0.8), face(600, 300, who=0.3)), ANA)
    assert (found.box, found.bystanders, found.distance) == ((600, 0, 300, 300), 1, 0.3)


def test_a_photo_of_other_people_is_someone_else_with_the_distance() -> None:
    for seen in (look(face(0, 500, who=0.8), face(600, 300, who=0.7)), look(face(0, 500, who=0.7))):
        rejection = verdict(seen, ANA).rejection
        assert rejection is not None
        assert (rejection.reason, rejection.measured, rejection.limit) == (Reason.SOMEONE_ELSE, 0.7, 0.6)


def test_two_who_could_both_be_the_client_are_not_guessed_at() -> None:
    assert reason(look(face(0, 500, who=0.2), face(600, 450, who=0.5)), ANA) is Reason.SEVERAL_FACES


def test_without_references_a_photo_of_several_is_not_decided_by_size() -> None:
    assert reason(look(face(0, 500), face(600, 200))) is Reason.SEVERAL_FACES
    assert reason(look(face(0, 500), face(600, 100))) is None  # somebody far behind


def test_midjourney_pictures_are_never_someone_else() -> None:
    assert reason(look(face(0, 500, who=0.9), source=Source.MIDJOURNEY), ANA) is None
    assert reason(look(face(0, 500, who=0.9), face(600, 100, who=0.9), source=Source.MIDJOURNEY), ANA) is None
    assert reason(look(face(0, 500, who=0.9), face(600, 450, who=0.9), source=Source.MIDJOURNEY), ANA) is Reason.SEVERAL_FACES


def test_quality_is_named_before_identity_for_nobody_can_tell_a_blur() -> None:
    assert reason(look(face(0, 500, who=0.9, sharpness=3.0)), ANA) is Reason.BLURRED


def test_a_face_that_was_pointed_at_is_the_client() -> None:
    seen = look(face(0, 500, who=0.9), face(600, 300, who=0.8))
    pointed = Decisions(pointed={seen.sha256: (600, 0, 300, 300)})
    assert verdict(seen, None, pointed).box == (600, 0, 300, 300)
    other = look(face(0, 500, who=0.1), face(600, 300, who=0.85), sha="b" * 64)
    identity = identity_of([seen, other], QUALITY, pointed)
    assert verdict(other, identity, pointed).box == (600, 0, 300, 300)


def test_a_picture_accepted_by_hand_passes_and_says_so() -> None:
    seen = look(face(0, 100, upscale=9.0))
    found = verdict(seen, ANA, Decisions(accepted=(seen.sha256,)))
    assert (found.rejection, found.by_hand, bool(found.crop)) == (None, True, True)
    nobody = look()
    assert verdict(nobody, ANA, Decisions(accepted=(nobody.sha256,))).rejection is not None


def test_near_the_limits_is_said() -> None:
    found = verdict(look(face(0, 500, who=0.55, upscale=3.0, inside=0.7, turn=0.4)), ANA)
    assert set(found.warnings) == {"warn_upscale", "warn_inside", "warn_turn", "warn_distance"}


def test_raw_has_limits_of_its_own() -> None:
    noisy = face(0, 500, noise=10.0)
    assert reason(look(noisy)) is Reason.NOISY
    assert reason(look(noisy, raw=True)) is None


def test_a_picture_all_white_is_burnt_though_no_face_shows() -> None:
    white = Analysis(
        width=9, height=9, phash="0" * 16, sharpness=1, brightness=240, contrast=9, clipped=0.7, light="bright", colour_cast="none",
        background="plain", faces=0,
    )  # fmt: skip
    assert reason(look(analysis=white)) is Reason.BURNT
    assert reason(look()) is Reason.NO_FACE


def test_a_rejection_says_what_would_help_and_which_limit_it_was() -> None:
    rejection = verdict(look(face(0, 500, noise=20.0))).rejection
    assert rejection is not None
    assert (rejection.limit_name, rejection.measured, rejection.limit) == ("max_noise", 20.0, QUALITY.max_noise)
    assert rejection.reason.cure
    assert "cure" not in rejection.model_dump()


# --- references -------------------------------------------------------------------------------------------------------
def test_the_client_is_whom_most_photos_show() -> None:
    found = identify([numbers(0.0), numbers(0.2), numbers(0.1), numbers(2.0)])
    assert (found.references, found.unsure) == (3, False)
    assert found.distance(numbers(0.1)) == pytest.approx(0.0, abs=1e-3)


def test_two_people_as_often_leave_it_open_until_one_is_pointed_at() -> None:
    photos = [numbers(0.0), numbers(0.1), numbers(2.0), numbers(2.1)]
    assert identify(photos) == Identity(unsure=True, people=2)
    found = identify(photos, [numbers(2.05)], 0.6)
    assert found.references == 3
    assert found.distance(numbers(2.05)) == pytest.approx(0.0, abs=1e-3)


def test_nobody_is_known_without_photos() -> None:
    assert identify([]) == Identity()
    assert Identity().distance(numbers(0.0)) is None
