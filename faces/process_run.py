"""One run of `process` from within: originals opened and looked at, verdicts settled on disk, their record and their table."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from client_folder.client import Client
from client_folder.lookup import read_detected_faces
from client_folder.records import Decisions, DetectedFaces, Faces, IdentityState, Picture, Pictures, Verdict
from client_folder.spreadsheet import write_spreadsheet
from config import QualityControlConfig
from faces.crops import Disk
from faces.examiner import Examiner
from faces.identity import Identity
from faces.quality import MEASURES
from faces.verdicts import decide, identity_of
from pictures.picture_file import UnreadablePicture, decode
from utils import Event, Progress, sweep_parts, write_record

if TYPE_CHECKING:
    from PIL import Image

_OURS = re.compile(r"(mj|real)_[0-9a-f]{12}\.(png|json)")
_COLUMNS = (
    "file", "source", "crop", "reason", "measured", "limit", "faces", "bystanders", "distance", "left", "top", "width", "height",
    "square_left", "square_top", "square_side", "angle", *MEASURES, "warnings", "by_hand", "sha256",
)  # fmt: skip


def look_at(
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


def can_be_read(client: Client, picture: Picture) -> bool:
    """Whether an original can be decoded now: what the system, a share or a torn file once refused may be well by now."""
    return not isinstance(_open(client, picture), UnreadablePicture)


def _open(client: Client, picture: Picture) -> Image.Image | UnreadablePicture:
    try:
        return decode(client.raw(picture.source) / picture.file)
    except UnreadablePicture as error:
        return error


def settle(client: Client, originals: Sequence[Picture], faces: Sequence[Verdict]) -> Generator[Event, None, None]:
    """Bring the pictures on disk in line with the verdicts: few change once it is known who the client is."""
    disk = Disk(client)
    looks = {picture.stem: detected for picture, detected in detections_of(client, originals)}
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


def tidy(client: Client, originals: Iterable[Picture]) -> None:
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


def detections_of(client: Client, originals: Iterable[Picture]) -> Iterator[tuple[Picture, DetectedFaces]]:
    """The originals that were looked at, each with what was seen."""
    for picture in originals:
        detected = read_detected_faces(client, picture)
        if detected and detected.sha256 == picture.sha256:
            yield picture, detected


def judge(
    client: Client, seen: Sequence[tuple[Picture, DetectedFaces]], quality: QualityControlConfig, decisions: Decisions
) -> tuple[tuple[Verdict, ...], Identity]:
    """The verdict on each original, and who the client is by all that was seen."""
    identity = identity_of((detected for _picture, detected in seen), quality, decisions)
    faces = (decide(detected, picture, _place(client, picture), quality, identity, decisions) for picture, detected in seen)
    return tuple(faces), identity


def state_of(identity: Identity) -> IdentityState:
    """What is known of the client, as records keep it."""
    if identity.unsure:
        return IdentityState.UNSURE_DRAWN if identity.drawn else IdentityState.UNSURE
    if not identity.mean:
        return IdentityState.NONE
    return IdentityState.DRAWN if identity.drawn else IdentityState.KNOWN


def gather(client: Client, originals: Iterable[Picture], quality: QualityControlConfig) -> Faces:
    """Write every verdict into one record and one table, in the order of the originals."""
    faces, identity = judge(client, list(detections_of(client, originals)), quality, client.decisions())
    judged = Faces(identity=state_of(identity), references=identity.references, people=identity.people, faces=faces)
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


def join_analyses(client: Client, originals: Sequence[Picture]) -> None:
    """Add what the pixels tell to the record of each original."""
    looks = {picture.stem: detected.analysis for picture, detected in detections_of(client, originals)}
    joined = tuple(picture.model_copy(update={"analysis": looks.get(picture.stem) or picture.analysis}) for picture in originals)
    if joined != tuple(originals):
        write_record(client.images_file, Pictures(images=joined))
