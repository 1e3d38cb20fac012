"""Verdicts, pure: what was seen in each original, the limits, who the client is and what a person decided -> accepted or why not.

Nothing is measured here, so limits can be moved and the effect on a whole client seen at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from client_folder.reasons import Reason, Rejection
from client_folder.records import Decisions, DetectedFaces, Face, Picture, Source, Verdict
from config import QualityControlConfig, QualityLimits
from faces.identity import Identity, group, identify
from faces.quality import QualityFailure, judge, warnings

METHOD = 2  # raised whenever the same picture may be measured otherwise, so that all are looked at again
JUDGING = 2  # raised whenever what was measured may be judged otherwise: then verdicts are made anew, and no picture is opened
RIVAL = 4  # a face of less than a quarter of the largest one's area is no rival where only size can tell
BACKGROUND = 16  # both chosen: one of less than a sixteenth is somebody far behind, and leaves a photo one of a single person


@dataclass(frozen=True, slots=True)
class _ChosenFace:
    """The face a picture is judged by, or why there is none; `distance` is to the references."""

    face: Face | None
    refusal: QualityFailure | None = None
    distance: float | None = None


def method_of(quality: QualityControlConfig) -> str:
    """Twelve digits that change with the way of measuring; of the limits, only the padding changes what is measured."""
    return _digits(f"{METHOD} {quality.face_padding_factor}")


def rules_of(quality: QualityControlConfig, decisions: Decisions) -> str:
    """Twelve digits that change with all that a verdict depends on besides the pictures."""
    decided = decisions.model_dump_json(exclude={"pointed_before"})
    return _digits(f"{METHOD} {JUDGING} {quality.model_dump_json()} {decided}")


def _digits(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def people(faces: Iterable[Face], limits: QualityLimits) -> list[Face]:
    """The faces that the detector is sure of, the largest first."""
    sure = (face for face in faces if face.confidence >= limits.face_confidence_threshold)
    return sorted(sure, key=lambda face: -_area(face))


def left_to_right(detected: DetectedFaces) -> list[Face]:
    """The faces as people count them: 1 is the leftmost."""
    return sorted(detected.faces, key=lambda face: (face.box[0], face.box[1]))


def _area(face: Face) -> int:
    return face.box[2] * face.box[3]


def _alone(sure: Sequence[Face], share: int) -> bool:
    """Whether the largest face is the only one that counts: each other has less than that part of its area."""
    return sum(_area(face) * share > _area(sure[0]) for face in sure) == 1


# --- who the client is ------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Sighting:
    """A face that is good enough to tell who it is, where it was seen, and whether nobody else counts in that picture."""

    detected: DetectedFaces
    face: Face
    alone: bool


def sightings(looks: Iterable[DetectedFaces], quality: QualityControlConfig, decisions: Decisions) -> list[Sighting]:
    """The faces that can tell who the client is: those of real photos or, only where these have none, of MidJourney's pictures."""
    found: dict[Source, list[Sighting]] = {source: [] for source in Source}
    for detected in looks:
        limits = quality.profile(detected.raw)
        sure = people(detected.faces, limits)
        alone = bool(sure) and _alone(sure, BACKGROUND)
        taken = alone and detected.sha256 in decisions.accepted
        for face in sure[:1] if alone else sure:
            if face.identity and (taken or not judge(face.measures, limits)):
                found[detected.source].append(Sighting(detected, face, alone))
    return found[Source.REAL] or found[Source.MIDJOURNEY]


def people_in(seen: Sequence[Sighting]) -> list[list[Sighting]]:
    """The same by person: whoever is in most pictures first, and of each the best face first."""
    groups = [[seen[at] for at in places] for places in group([sighting.face.identity for sighting in seen])]
    return [sorted(person, key=lambda one: (not one.alone, -one.face.measures.get("face_px", 0.0))) for person in groups]


def identity_of(looks: Iterable[DetectedFaces], quality: QualityControlConfig, decisions: Decisions) -> Identity:
    """The client, from pictures that passed and show one person, and from the faces somebody pointed at."""
    looks = list(looks)
    pointed = pointed_faces(looks, decisions)
    seen = [sighting for sighting in sightings(looks, quality, decisions) if sighting.detected.sha256 not in decisions.pointed]
    alone = [sighting.face.identity for sighting in seen if sighting.alone]
    others = [sighting.face.identity for sighting in seen if not sighting.alone]
    identity = identify(alone, [face.identity for face in pointed if face.identity], quality.max_distance, others)
    drawn = not pointed and bool(seen) and seen[0].detected.source is Source.MIDJOURNEY
    return replace(identity, drawn=drawn)


def pointed_faces(looks: Iterable[DetectedFaces], decisions: Decisions) -> list[Face]:
    """The faces that somebody said are the client."""
    return [face for detected in looks for face in detected.faces if face.box == decisions.pointed.get(detected.sha256)]


# --- one picture ------------------------------------------------------------------------------------------------------
def decide(
    detected: DetectedFaces, picture: Picture, place: str, quality: QualityControlConfig, identity: Identity, decisions: Decisions
) -> Verdict:
    """The verdict on one original; `place` is its path relative to the client's folder."""
    limits = quality.profile(detected.raw)
    choice = _choose(detected, limits, identity, decisions)
    by_hand = detected.sha256 in decisions.accepted and choice.face is not None
    refusal = choice.refusal or _refusal(detected, choice, limits)
    sure = people(detected.faces, limits)
    face = Verdict(
        file=picture.file, sha256=picture.sha256, source=picture.source, settings=rules_of(quality, decisions),
        faces=len(detected.faces), analysis=detected.analysis, distance=choice.distance,
    )  # fmt: skip
    if choice.face:
        face = face.model_copy(update=_told(choice.face))
    if refusal and not by_hand:
        rejection = Rejection(
            file=place, source=picture.original, reason=refusal.reason, measured=_short(refusal.measured), limit=refusal.limit,
            limit_name=refusal.limit_name,
        )  # fmt: skip
        return face.model_copy(update={"rejection": rejection})
    assert choice.face is not None
    near = warnings(choice.face.measures, limits)
    if choice.distance is not None and limits.warn_distance < choice.distance:
        near += ("warn_distance",)
    others = sum(other is not choice.face for other in sure)
    accepted = {"crop": f"{picture.stem}.png", "bystanders": others, "warnings": near, "by_hand": bool(refusal)}
    return face.model_copy(update=accepted)


def _choose(detected: DetectedFaces, limits: QualityLimits, identity: Identity, decisions: Decisions) -> _ChosenFace:
    """The client's face in a picture: the one pointed at, else by identity, and by size only where nothing else can tell."""
    if detected.unreadable:
        return _ChosenFace(None, QualityFailure(detected.unreadable))
    if not detected.faces:
        clipped = detected.analysis.clipped if detected.analysis else 0.0
        if clipped > limits.max_clipped_picture:
            return _ChosenFace(None, QualityFailure(Reason.BURNT, clipped, limits.max_clipped_picture, "max_clipped_picture"))
        return _ChosenFace(None, QualityFailure(Reason.NO_FACE))
    pointed = decisions.pointed.get(detected.sha256)
    for face in detected.faces:
        if face.box == pointed:
            return _ChosenFace(face, None, identity.distance(face.identity))
    sure = people(detected.faces, limits)
    if not sure:
        best = max(detected.faces, key=lambda face: face.confidence)
        threshold = limits.face_confidence_threshold
        refusal = QualityFailure(Reason.LOW_CONFIDENCE, best.confidence, threshold, "face_confidence_threshold")
        return _ChosenFace(best, refusal, identity.distance(best.identity))
    if len(sure) == 1:
        return _ChosenFace(sure[0], None, identity.distance(sure[0].identity))
    return _nearest(detected, sure, limits, identity) if identity.mean else _by_size(detected, sure)


def _nearest(detected: DetectedFaces, sure: list[Face], limits: QualityLimits, identity: Identity) -> _ChosenFace:
    """Of several faces, the only one that can be the client by its distance; relatives and drawn faces may leave more than one."""
    ranked = sorted(((identity.distance(face.identity) or 0.0, face) for face in sure), key=lambda pair: pair[0])
    (best, face), (second, _rival) = ranked[:2]
    if best <= limits.max_distance < second:
        return _ChosenFace(face, None, best)
    if best <= limits.max_distance:
        return _by_size(detected, sure, best)
    if detected.source is Source.MIDJOURNEY:  # its faces drift away from the client; the doctor says how far
        return _by_size(detected, sure, best)
    return _ChosenFace(face, QualityFailure(Reason.SOMEONE_ELSE, best, limits.max_distance, "max_distance"), best)


def _by_size(detected: DetectedFaces, sure: list[Face], distance: float | None = None) -> _ChosenFace:
    """The largest face, if nobody else can be meant: a photo may show its subject small, MidJourney's pictures do not."""
    share = RIVAL if detected.source is Source.MIDJOURNEY else BACKGROUND
    if _alone(sure, share):
        return _ChosenFace(sure[0], None, distance)
    rivals = sum(_area(face) * share > _area(sure[0]) for face in sure)
    return _ChosenFace(sure[0], QualityFailure(Reason.SEVERAL_FACES, rivals, 1), distance)


def _refusal(detected: DetectedFaces, choice: _ChosenFace, limits: QualityLimits) -> QualityFailure | None:
    """Why the chosen face is refused: its quality first, for of a bad picture nobody can tell who it shows."""
    assert choice.face is not None
    refusal = judge(choice.face.measures, limits)
    if refusal or detected.source is Source.MIDJOURNEY or choice.distance is None or choice.distance <= limits.max_distance:
        return refusal
    return QualityFailure(Reason.SOMEONE_ELSE, choice.distance, limits.max_distance, "max_distance")


def _told(face: Face) -> dict[str, object]:
    """What a verdict tells of its face."""
    return {
        "box": face.box, "landmarks": face.landmarks, "confidence": _short(face.confidence), "square": face.square,
        "angle": face.angle, "measures": face.measures, "phash": face.phash, "background": face.background,
    }  # fmt: skip


def _short(measured: float | None) -> float | None:
    """A measure with four decimals, as it is kept."""
    return None if measured is None else round(measured, 4)
