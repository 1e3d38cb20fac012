"""Whom the pictures show: several people, or one client and who is somebody else. The face report and the doctor both ask here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median

from client_folder.records import Faces, IdentityState, Source, Verdict
from config import QualityLimits
from dataset.signs import Level, Sign, Symptom

MANY = 1 / 3  # of the pictures: from here on a finding is no exception but the rule
MOST = 1 / 2  # of MidJourney's pictures: where so many show somebody else, that is whom the LoRA would learn


def find_others(judged: Faces, faces: Iterable[Verdict], limits: QualityLimits) -> Iterator[Symptom]:
    """What is to be said of who is in these crops, photos and MidJourney's pictures apart; `judged` says who the client is."""
    if not judged.identity.known:
        yield _unknown(judged)
        return
    faces = list(faces)
    photos, drawn = _distances(faces, Source.REAL), _distances(faces, Source.MIDJOURNEY)
    if stems := tuple(stem for stem, distance in photos if distance > limits.warn_distance):
        worst = max(distance for _stem, distance in photos)
        level = Level.NO_GO if len(stems) > MANY * len(photos) and worst > limits.max_distance else Level.WARNING
        yield Symptom(
            Sign.IDENTITY_OUTLIERS, level, stems, worst, limits.warn_distance, cure_by_removing=stems, total=len(photos)
        )  # fmt: skip
    if not drawn:
        return
    others = tuple(stem for stem, distance in drawn if distance > limits.max_distance)
    middle, worst = median(distance for _stem, distance in drawn), max(distance for _stem, distance in drawn)
    if len(others) > MOST * len(drawn):
        yield Symptom(
            Sign.DRIFT_OVERALL, Level.NO_GO, others, middle, limits.max_distance, cure_by_removing=others, total=len(drawn)
        )  # fmt: skip
        return
    if others:
        yield Symptom(Sign.DRIFT, Level.WARNING, others, worst, limits.max_distance, cure_by_removing=others, total=len(drawn))
    if middle > limits.warn_distance:
        yield Symptom(Sign.ROUGHLY_ALIKE, Level.WARNING, measured=middle, limit=limits.warn_distance)


def _unknown(judged: Faces) -> Symptom:
    """That nobody knows who the client is: no-go where several people are seen, a word where there is only nothing to tell by."""
    if not judged.identity.unsure:
        return Symptom(Sign.IDENTITY_UNKNOWN, Level.NOTE)
    if not judged.people:  # judged by an older version, which did not count them
        return Symptom(Sign.IDENTITY_UNKNOWN, Level.NO_GO)
    sign = Sign.SEVERAL_DRAWN if judged.identity is IdentityState.UNSURE_DRAWN else Sign.SEVERAL_PEOPLE
    return Symptom(sign, Level.NO_GO, measured=judged.people)


def _distances(faces: Iterable[Verdict], source: Source) -> list[tuple[str, float]]:
    """How far each picture of a source is from the client, by its stem."""
    return [(Path(face.crop).stem, face.distance) for face in faces if face.source is source and face.distance is not None]
