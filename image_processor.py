"""Faces: find the people in every original, measure them, choose the client's, and cut it out as a square of 1024 px.

What is seen in a picture is written the moment it is known, so a run that was killed goes on with the next picture. Verdicts follow
from that, from the limits and from who the client is: other limits only judge again, and TensorFlow is not even imported.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from client_folder.client import Client
from client_folder.lookup import read_detected_faces
from client_folder.reasons import Rejection
from client_folder.records import Decisions, DetectedFaces, Faces, IdentityState, Picture, Pictures, Verdict
from client_folder.spreadsheet import write_spreadsheet
from config import QualityControlConfig, Settings, client_limits
from faces.crops import Disk, write_sheets
from faces.detector import Detector, MtcnnDetector
from faces.examiner import Examiner
from faces.identity import FaceRecogniser, Identity
from faces.quality import MEASURES
from faces.verdicts import decide, identity_of, method_of, rules_of
from pictures.listing import PICTURE_ENDINGS
from pictures.picture_file import UnreadablePicture, decode
from utils import Event, NoPictures, Progress, sweep_parts, write_record

if TYPE_CHECKING:
    from PIL import Image

_OURS = re.compile(r"(mj|real)_[0-9a-f]{12}\.(png|json)")
_COLUMNS = (
    "file", "source", "crop", "reason", "measured", "limit", "faces", "bystanders", "distance", "left", "top", "width", "height",
    "square_left", "square_top", "square_side", "angle", *MEASURES, "warnings", "by_hand", "sha256",
)  # fmt: skip


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
    seen, decisions = list(_seen(client, client.pictures())), client.decisions()
    faces_now, _identity = _judged(client, seen, quality, decisions)
    faces_then, _identity = _judged(client, seen, changed, decisions)
    now = {(face.source, face.file): face for face in faces_now}
    then = {(face.source, face.file): face for face in faces_then}
    gained = [face.rejection for key, face in now.items() if face.rejection and not then[key].rejection]
    lost = [face.rejection for key, face in then.items() if face.rejection and not now[key].rejection]
    before = sum(face.rejection is None for face in faces_now)
    after = sum(face.rejection is None for face in faces_then)
    again = quality.face_padding_factor != changed.face_padding_factor
    return LimitsEffect(before, after, tuple(gained), tuple(lost), again)


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
    _tidy(client, originals)
    quality = client_limits(settings, client.state().limits)
    method = method_of(quality)
    waiting: list[Picture] = []
    for picture in originals:
        seen = read_detected_faces(client, picture)
        if seen is None or (seen.method, seen.sha256, seen.file) != (method, picture.sha256, picture.file):
            waiting.append(picture)
    try:
        if waiting:
            yield Progress("process", 0, len(waiting))
            client.remove_sheets()
            examiner = Examiner(quality, method, detector or MtcnnDetector(), recogniser or FaceRecogniser())
            yield from _look_at(client, waiting, examiner, quality)
    finally:
        judged = _gather(client, originals, quality)
    yield from _settle(client, originals, judged.faces)
    _join_analyses(client, originals)
    write_sheets(client, originals, judged.faces)
    accepted = tuple(face for face in judged.faces if face.rejection is None)
    rejected = tuple(face.rejection for face in judged.faces if face.rejection)
    undecided = tuple(rejection.source for rejection in rejected if rejection.reason == "several_faces")
    return FaceReport(accepted, rejected, len(waiting), judged.identity, judged.references, undecided)


def _look_at(
    client: Client, waiting: Sequence[Picture], examiner: Examiner, quality: QualityControlConfig
) -> Generator[Event, None, None]:
    """Look at pictures one after another; meanwhile the next one is decoded and the last one's crop written.

    A picture is reported when all of it is on disk.
    """
    disk, decisions = Disk(client), client.decisions()
    with ThreadPoolExecutor(2) as pool, contextlib.closing(_decoded(client, waiting, pool)) as pictures:
        written: Future[None] | None = None
        try:
            for number, (picture, image) in enumerate(pictures):
                detected = examiner.detected(picture, image)
                # A verdict without knowing who the client is: in most cases it stays, and the crop need not be cut again.
                face = decide(detected, picture, _place(client, picture), quality, Identity(), decisions)
                if written:
                    written.result()
                    yield Progress("process", number, len(waiting), waiting[number - 1].original)
                written = pool.submit(disk.keep, detected, face, None if isinstance(image, UnreadablePicture) else image)
            if written:
                written.result()
                yield Progress("process", len(waiting), len(waiting), waiting[-1].original)
        finally:
            pool.shutdown(cancel_futures=True)


def _decoded(
    client: Client, waiting: Sequence[Picture], pool: ThreadPoolExecutor
) -> Generator[tuple[Picture, Image.Image | UnreadablePicture], None, None]:
    """Every picture with its pixels, or with why it has none; one is decoded ahead."""
    ahead: Future[Image.Image | UnreadablePicture] | None = None
    for number, picture in enumerate(waiting):
        image = (ahead or pool.submit(_open, client, picture)).result()
        ahead = pool.submit(_open, client, waiting[number + 1]) if number + 1 < len(waiting) else None
        yield picture, image


def _open(client: Client, picture: Picture) -> Image.Image | UnreadablePicture:
    try:
        return decode(client.raw(picture.source) / picture.file)
    except UnreadablePicture as error:
        return error


def _settle(client: Client, originals: Sequence[Picture], faces: Sequence[Verdict]) -> Generator[Event, None, None]:
    """Bring the pictures on disk in line with the verdicts: few change once it is known who the client is."""
    disk = Disk(client)
    looks = {picture.stem: detected for picture, detected in _seen(client, originals)}
    changing = [face for face in faces if not disk.agrees(looks[face.stem], face)]
    if changing:
        client.remove_sheets()
    for number, face in enumerate(changing, 1):
        try:
            disk.change(looks[face.stem], face)
        except UnreadablePicture:  # it was read a while ago: the next run looks at it again and says what became of it
            (client.looks / f"{face.stem}.json").unlink()
        yield Progress("verdicts", number, len(changing), face.file)
    for face in faces:
        if face.rejection:
            disk.explain(face)


# --- all pictures -----------------------------------------------------------------------------------------------------
def _tidy(client: Client, originals: Iterable[Picture]) -> None:
    """Remove what a killed run left half written, and what was made from originals that are no longer there."""
    names = {f"{picture.stem}{ending}" for picture in originals for ending in (".png", ".json")}
    folders = (client.processed, client.rejected, client.looks, client.metadata)
    for folder in folders:
        sweep_parts(folder)
    strays: list[Path] = []
    for folder in folders:
        strays += (path for path in folder.glob("*") if _OURS.fullmatch(path.name) and path.name not in names)
    if strays:
        client.remove_sheets()
    for path in strays:
        path.unlink()


def _place(client: Client, picture: Picture) -> str:
    return f"{client.raw(picture.source).name}/{picture.file}"


def _seen(client: Client, originals: Iterable[Picture]) -> Iterator[tuple[Picture, DetectedFaces]]:
    """The originals that were looked at, each with what was seen."""
    for picture in originals:
        detected = read_detected_faces(client, picture)
        if detected and detected.sha256 == picture.sha256:
            yield picture, detected


def _judged(
    client: Client, seen: Sequence[tuple[Picture, DetectedFaces]], quality: QualityControlConfig, decisions: Decisions
) -> tuple[tuple[Verdict, ...], Identity]:
    identity = identity_of((detected for _picture, detected in seen), quality, decisions)
    faces = (decide(detected, picture, _place(client, picture), quality, identity, decisions) for picture, detected in seen)
    return tuple(faces), identity


def _gather(client: Client, originals: Iterable[Picture], quality: QualityControlConfig) -> Faces:
    """Write every verdict into one record and one table, in the order of the originals."""
    faces, identity = _judged(client, list(_seen(client, originals)), quality, client.decisions())
    state = IdentityState.UNSURE if identity.unsure else IdentityState.KNOWN if identity.mean else IdentityState.NONE
    judged = Faces(identity=state, references=identity.references, faces=faces)
    old = client.judged() if client.faces_file.exists() else None
    if judged != old:
        write_record(client.faces_file, judged)
    write_spreadsheet(client.faces_table, _COLUMNS, map(_table_row, faces))
    return judged


def _table_row(face: Verdict) -> tuple[str | int | float, ...]:
    refused = face.rejection
    why = (refused.reason.value, refused.measured, refused.limit) if refused else ("", None, None)
    places = (*(face.box or (None,) * 4), *(face.square or (None,) * 3), face.angle)
    measures = (face.measures.get(name) for name in MEASURES)
    told = (" ".join(face.warnings), int(face.by_hand), face.sha256)
    cells = (
        face.file, face.source.value, face.crop, *why, face.faces, face.bystanders, face.distance, *places, *measures, *told,
    )  # fmt: skip
    return tuple("" if cell is None else cell for cell in cells)


def _join_analyses(client: Client, originals: Sequence[Picture]) -> None:
    """Add what the pixels tell to the record of each original."""
    looks = {picture.stem: detected.analysis for picture, detected in _seen(client, originals)}
    joined = tuple(picture.model_copy(update={"analysis": looks.get(picture.stem) or picture.analysis}) for picture in originals)
    if joined != tuple(originals):
        write_record(client.images_file, Pictures(images=joined))
