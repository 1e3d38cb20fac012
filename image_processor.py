"""Faces: find the people in every original, measure them, choose the client's, and cut it out as a square of 1024 px.

What is seen in a picture is written the moment it is known, so a run that was killed goes on with the next picture. Verdicts follow
from that, from the limits and from who the client is: other limits only judge again, and TensorFlow is not even imported.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from client_folder.client import Client
from client_folder.lookup import read_detected_faces
from client_folder.reasons import Reason, Rejection
from client_folder.records import Decisions, IdentityState, Picture, Verdict
from config import QualityControlConfig, Settings, client_limits
from dataset.identities import find_others
from dataset.signs import Symptom
from faces.crops import Disk, write_sheets
from faces.detector import Detector, load_detector
from faces.examiner import Examiner
from faces.identity import FaceRecogniser, Identity
from faces.process_run import can_be_read, detections_of, gather, join_analyses, judge, look_at, settle, tidy
from faces.verdicts import method_of, rules_of
from pictures.errors import NoPictures
from pictures.listing import PICTURE_ENDINGS
from utils import Event, Progress


@dataclass(frozen=True, slots=True)
class ProcessPlan:
    """What `process_faces` would do: originals that wait for a verdict, and those whose verdict still holds."""

    new: int
    done: int


@dataclass(frozen=True, slots=True)
class FaceReport:
    """Every verdict of a client, in the order of the originals; `new` originals were looked at by this run."""

    accepted: tuple[Verdict, ...]
    rejected: tuple[Rejection, ...]
    new: int
    identity: IdentityState = IdentityState.NONE
    references: int = 0
    undecided: tuple[str, ...] = ()  # photos of several people among whom the client has to be pointed at
    others: tuple[Symptom, ...] = ()  # what the dataset doctor will say of whom the accepted pictures show


@dataclass(frozen=True, slots=True)
class LimitsEffect:
    """What other limits would do to a client, without looking at a picture again."""

    before: int  # pictures accepted
    after: int
    gained: tuple[Rejection, ...]  # refused now, accepted then
    lost: tuple[Rejection, ...]  # accepted now, refused then for this reason
    looks_again: bool  # another padding moves every square: the numbers above are of the old squares


# --- the plans --------------------------------------------------------------------------------------------------------
def plan_process(client: Client, settings: Settings) -> ProcessPlan:
    """How many originals wait for a verdict under these settings."""
    client = client.snapshot()
    originals = client.pictures()
    rules = rules_of(client_limits(settings, client.state().limits), client.decisions())
    faces = {(face.source, face.file): face for face in client.faces()}
    done, disk = 0, Disk(client)
    for picture in originals:
        face = faces.get((picture.source, picture.file))
        if face is None or (face.settings, face.sha256) != (rules, picture.sha256):
            continue
        if (client.looks / f"{picture.stem}.json").is_file() and disk.holds(face):
            done += 1
    return ProcessPlan(len(originals) - done, done)


def plan_limits(client: Client, quality: QualityControlConfig, changed: QualityControlConfig) -> LimitsEffect:
    """The effect of other limits on every picture that was looked at."""
    seen, decisions = list(detections_of(client, client.pictures())), client.decisions()
    faces_now, _identity = judge(client, seen, quality, decisions)
    faces_then, _identity = judge(client, seen, changed, decisions)
    now = {(face.source, face.file): face for face in faces_now}
    then = {(face.source, face.file): face for face in faces_then}
    gained = [face.rejection for key, face in now.items() if face.rejection and not then[key].rejection]
    lost = [face.rejection for key, face in then.items() if face.rejection and not now[key].rejection]
    before = sum(face.rejection is None for face in faces_now)
    after = sum(face.rejection is None for face in faces_then)
    again = quality.face_padding_factor != changed.face_padding_factor
    return LimitsEffect(before, after, tuple(gained), tuple(lost), again)


@dataclass(frozen=True, slots=True)
class PeopleShown:
    """Whom a client's pictures show, by who the client is taken to be."""

    references: int  # pictures that agree on the client; 0: nobody knows who that is
    accepted: int
    others: int  # photos refused, and MidJourney's pictures accepted, that show somebody else


@dataclass(frozen=True, slots=True)
class IdentityEffect:
    """What other decisions on who the client is would do, without looking at a picture again."""

    now: PeopleShown
    then: PeopleShown
    pictures: int
    gained: tuple[str, ...]  # by the names that the user knows them by: refused now, accepted then
    lost: tuple[str, ...]  # accepted now, refused then


def plan_identity(client: Client, quality: QualityControlConfig, decided: Decisions) -> IdentityEffect:
    """The effect of other decisions on every picture that was looked at."""
    seen = list(detections_of(client, client.pictures()))
    names = {(picture.source, picture.file): picture.original for picture, _detected in seen}
    now, identity_now = judge(client, seen, quality, client.decisions())
    then, identity_then = judge(client, seen, quality, decided)
    gained: list[str] = []
    lost: list[str] = []
    for before, after in zip(now, then, strict=True):
        if bool(before.rejection) != bool(after.rejection):
            (lost if after.rejection else gained).append(names[after.source, after.file])
    return IdentityEffect(
        _shown(now, identity_now, quality), _shown(then, identity_then, quality), len(seen), tuple(gained), tuple(lost)
    )  # fmt: skip


def _shown(faces: Sequence[Verdict], identity: Identity, quality: QualityControlConfig) -> PeopleShown:
    """Whom pictures show by these verdicts."""
    others = 0
    for face in faces:
        if face.rejection:
            others += face.rejection.reason is Reason.SOMEONE_ELSE
        else:
            others += face.distance is not None and face.distance > quality.max_distance
    return PeopleShown(identity.references, sum(face.rejection is None for face in faces), others)


# --- the stage --------------------------------------------------------------------------------------------------------
def process_faces(
    client: Client, settings: Settings, detector: Detector | None = None, recogniser: FaceRecogniser | None = None
) -> Generator[Event, None, FaceReport]:
    """Judge every original that has no verdict under the limits that count for the client; raises NoPictures where nothing was
    imported, and SettingRefused where the client has a limit of its own that is none.

    A client of whom nothing was accepted is reported like any other; whether that is an error is for the caller to say.
    """
    originals = client.pictures()
    if not originals:
        raise NoPictures(path=client.root, kinds=" ".join(sorted(PICTURE_ENDINGS)))
    tidy(client, originals)
    quality = client_limits(settings, client.state().limits)
    method = method_of(quality)
    waiting: list[Picture] = []
    for picture in originals:
        seen = read_detected_faces(client, picture)
        known = seen is not None and (seen.method, seen.sha256, seen.file) == (method, picture.sha256, picture.file)
        if not known or (seen and seen.unreadable and can_be_read(client, picture)):
            waiting.append(picture)
    try:
        if waiting:
            yield (begun := Progress("process", 0, len(waiting)))
            client.remove_sheets()
            detector = detector or (yield from load_detector(begun))
            examiner = Examiner(quality, method, detector, recogniser or FaceRecogniser())
            yield from look_at(client, waiting, examiner, quality)
    finally:
        judged = gather(client, originals, quality)
    yield from settle(client, originals, judged.faces)
    join_analyses(client, originals)
    write_sheets(client, originals, judged.faces)
    accepted = tuple(face for face in judged.faces if face.rejection is None)
    rejected = tuple(face.rejection for face in judged.faces if face.rejection)
    undecided = tuple(rejection.source for rejection in rejected if rejection.reason == "several_faces")
    others = tuple(find_others(judged, accepted, quality))
    return FaceReport(accepted, rejected, len(waiting), judged.identity, judged.references, undecided, others)
