"""Faces: find the client's face in every original, judge it, and cut it out as a square of 1024 px.

The verdict on each picture is written the moment it is known, so a run that was killed goes on with the next picture.
Where there is nothing new to judge, TensorFlow is never imported.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from client import Client, Face, Faces, Picture, Reason, Rejection
from config import QualityControlConfig, Settings
from contact_sheet import Cell, Tone, contact_sheet, in_rows
from face_detector import Detection, Detector, MtcnnDetector
from face_quality import Refusal, judge, measure
from pictures import PICTURE_ENDINGS, UnreadablePicture, decode
from spreadsheet import write_spreadsheet
from utils import BrokenFile, Event, NoPictures, Progress, read_record, replacing, sweep_parts, write_record

if TYPE_CHECKING:
    from PIL import Image

METHOD = 1  # raised whenever the same limits may lead to another verdict, so that old verdicts are found again
CROP_PX = 1024  # what SDXL was trained on
PREVIEW_PX = 512  # longer side of what is kept of a refused picture
BYSTANDER = 4  # a face of less than a quarter of the largest one's area is somebody in the background
PNG_LEVEL = 1  # 72 ms for a crop instead of the 298 ms of Pillow's default, for 14 % more bytes
SHEET_COLUMNS = 8
LARGE_SHEET = 200  # pictures from which a contact sheet shows them at half the size, so that it can still be opened
_OURS = re.compile(r"(mj|real)_[0-9a-f]{12}\.(png|json)")
_MEASURES = (
    "confidence", "face_px", "upscale", "inside", "brightness", "clipped", "crushed", "contrast", "sharpness", "blur_effect",
)  # fmt: skip
_COLUMNS = (
    "file", "source", "crop", "reason", "measured", "limit", "faces", "left", "top", "width", "height",
    "square_left", "square_top", "square_side", *_MEASURES, "sha256",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Square:
    """A square of an original, in its upright pixels; `inside` is the share of the wanted square that the picture holds."""

    left: int
    top: int
    side: int
    inside: float

    @property
    def upscale(self) -> float:
        """How much the square is enlarged to become the crop."""
        return CROP_PX / self.side


@dataclass(frozen=True, slots=True)
class ProcessPlan:
    """What `process_faces` would do: originals that wait for a verdict, and those whose verdict still holds."""

    new: int
    done: int


@dataclass(frozen=True, slots=True)
class FaceReport:
    """Every verdict of a client, in the order of the originals; `new` of them were found by this run."""

    accepted: tuple[Face, ...]
    rejected: tuple[Rejection, ...]
    new: int


# --- geometry and choice, pure ----------------------------------------------------------------------------------------
def crop_square(width: int, height: int, box: tuple[int, int, int, int], padding: float) -> Square:
    """The square around a face box (left, top, width, height), `padding` times its longer side, inside the picture.

    Where the picture ends too soon the square first shifts, then shrinks; it is never stretched or mirrored.
    """
    left, top, box_width, box_height = box
    wanted = max(1, round(padding * max(box_width, box_height)))
    x, y = left + (box_width - wanted) // 2, top + (box_height - wanted) // 2
    seen = max(0, min(x + wanted, width) - max(x, 0)) * max(0, min(y + wanted, height) - max(y, 0))
    side = min(wanted, width, height)
    x, y = left + (box_width - side) // 2, top + (box_height - side) // 2
    return Square(min(max(x, 0), width - side), min(max(y, 0), height - side), side, seen / wanted**2)


def choose_face(found: Sequence[Detection], confidence: float) -> Detection | Refusal:
    """The face a picture is of, or why there is none: the largest of those the detector is sure of, if it has no rival."""
    if not found:
        return Refusal(Reason.NO_FACE)
    sure = sorted((face for face in found if face.confidence >= confidence), key=lambda face: -face.area)
    if not sure:
        return Refusal(Reason.LOW_CONFIDENCE, max(face.confidence for face in found), confidence)
    rivals = sum(face.area * BYSTANDER > sure[0].area for face in sure)
    return sure[0] if rivals == 1 else Refusal(Reason.SEVERAL_FACES, rivals, 1)


# --- the stage --------------------------------------------------------------------------------------------------------
def plan_process(client: Client, settings: Settings) -> ProcessPlan:
    """How many originals wait for a verdict under these settings."""
    originals = client.pictures()
    new = len(_waiting(client, originals, _digest(settings.quality)))
    return ProcessPlan(new, len(originals) - new)


def process_faces(client: Client, settings: Settings, detector: Detector | None = None) -> Generator[Event, None, FaceReport]:
    """Judge every original that has no verdict under these settings; raises NoPictures where nothing was imported.

    A client of whom nothing was accepted is reported like any other; whether that is an error is for the caller to say.
    """
    originals = client.pictures()
    if not originals:
        raise NoPictures(path=client.root, kinds=" ".join(sorted(PICTURE_ENDINGS)))
    _tidy(client, originals)
    digest = _digest(settings.quality)
    waiting = _waiting(client, originals, digest)
    try:
        if waiting:
            yield Progress("process", 0, len(waiting))
            _remove_sheets(client)
            examiner = _Examiner(client, settings.quality, digest, detector or MtcnnDetector())
            for number, picture in enumerate(waiting, 1):
                _keep(client, picture, *examiner.examine(picture))
                yield Progress("process", number, len(waiting), picture.original)
    finally:
        faces = _gather(client, originals)
    _write_sheets(client, originals, faces)
    accepted = tuple(face for face in faces if face.rejection is None)
    return FaceReport(accepted, tuple(face.rejection for face in faces if face.rejection), len(waiting))


def _digest(limits: QualityControlConfig) -> str:
    """Twelve digits that change with the limits and with the way of measuring."""
    return hashlib.sha256(f"{METHOD} {limits.model_dump_json()}".encode()).hexdigest()[:12]


def _stem(picture: Picture) -> str:
    """The name, without an ending, of all that is made from an original."""
    return f"{picture.source}_{picture.sha256[:12]}"


def _waiting(client: Client, originals: Iterable[Picture], digest: str) -> list[Picture]:
    """The originals whose verdict is missing, was found under other limits, or has lost its picture."""
    return [picture for picture in originals if not _is_done(client, picture, digest)]


def _is_done(client: Client, picture: Picture, digest: str) -> bool:
    face = _verdict(client, picture)
    if face is None or (face.settings, face.sha256, face.file) != (digest, picture.sha256, picture.file):
        return False
    return (client.processed / face.crop if face.crop else client.rejected / f"{_stem(picture)}.json").is_file()


def _verdict(client: Client, picture: Picture) -> Face | None:
    """The verdict on disk; one that cannot be read counts as none, for it can be found again."""
    path = client.verdicts / f"{_stem(picture)}.json"
    with contextlib.suppress(BrokenFile, FileNotFoundError):
        return read_record(path, Face)
    return None


# --- one picture ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Examiner:
    """All that a verdict depends on, besides the original."""

    client: Client
    limits: QualityControlConfig
    digest: str
    detector: Detector

    def examine(self, picture: Picture) -> tuple[Face, Image.Image | None]:
        """The verdict on an original, and what to keep of it: the crop, or all of it where no face was chosen."""
        import numpy as np

        face = Face(file=picture.file, sha256=picture.sha256, source=picture.source, settings=self.digest)
        try:
            image = decode(self.client.raw(picture.source) / picture.file)
        except UnreadablePicture as error:
            return self._refused(picture, face, Refusal(error.reason)), None
        found = self.detector.find(np.asarray(image))
        chosen = choose_face(found, self.limits.face_confidence_threshold)
        face = face.model_copy(update={"faces": len(found)})
        if isinstance(chosen, Refusal):
            return self._refused(picture, face, chosen), image
        square = crop_square(image.width, image.height, chosen.box, self.limits.face_padding_factor)
        crop = _cut(image, square)
        face = _described(face, chosen, square, measure(_boxed(image, chosen), crop))
        refusal = judge(face.measures, self.limits)
        if refusal:
            return self._refused(picture, face, refusal), crop
        return face.model_copy(update={"crop": f"{_stem(picture)}.png"}), crop

    def _refused(self, picture: Picture, face: Face, refusal: Refusal) -> Face:
        """The verdict as a refusal."""
        rejection = Rejection(
            file=(self.client.raw(picture.source) / picture.file).relative_to(self.client.root).as_posix(),
            source=picture.original, reason=refusal.reason, measured=_short(refusal.measured), limit=refusal.limit,
        )  # fmt: skip
        return face.model_copy(update={"rejection": rejection})


def _cut(image: Image.Image, square: Square) -> Image.Image:
    """The square of an original as a crop."""
    from PIL import Image

    box = (square.left, square.top, square.left + square.side, square.top + square.side)
    return image.resize((CROP_PX, CROP_PX), Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)


def _boxed(image: Image.Image, face: Detection) -> Image.Image:
    """The face as it lies in the original."""
    left, top, width, height = face.box
    return image.crop((left, top, left + width, top + height))


def _described(face: Face, chosen: Detection, square: Square, measures: dict[str, float]) -> Face:
    """The verdict with the chosen face, its square and every measure."""
    taken = {
        "confidence": chosen.confidence,
        "face_px": float(max(chosen.box[2:])),
        "upscale": square.upscale,
        "inside": square.inside,
    }
    return face.model_copy(
        update={
            "box": chosen.box,
            "landmarks": chosen.landmarks,
            "confidence": _short(chosen.confidence),
            "square": (square.left, square.top, square.side),
            "measures": {name: round(value, 4) for name, value in {**taken, **measures}.items()},
        }
    )


def _short(measured: float | None) -> float | None:
    """A measure with four decimals, as it is kept."""
    return None if measured is None else round(measured, 4)


def _keep(client: Client, picture: Picture, face: Face, image: Image.Image | None) -> None:
    """Write what follows from a verdict, and the verdict last: it never promises what is not there."""
    name = f"{_stem(picture)}.png"
    sidecar = client.rejected / f"{_stem(picture)}.json"
    if face.rejection is None:
        _save(image, client.processed / name)
        stale = [client.rejected / name, sidecar]
    else:
        _save(image, client.rejected / name, PREVIEW_PX)
        write_record(sidecar, face)
        stale = [client.processed / name]
    write_record(client.verdicts / sidecar.name, face)
    for path in stale:
        path.unlink(missing_ok=True)


def _save(image: Image.Image | None, path: Path, longer_side: int = CROP_PX) -> None:
    """Write a picture as PNG without any metadata (a photo's may tell where the client lives); None: remove the old one."""
    if image is None:
        path.unlink(missing_ok=True)
        return
    image.thumbnail((longer_side, longer_side), reducing_gap=3.0)
    image.info.clear()
    with replacing(path) as part:
        image.save(part, format="PNG", compress_level=PNG_LEVEL)


# --- all pictures -----------------------------------------------------------------------------------------------------
def _tidy(client: Client, originals: Iterable[Picture]) -> None:
    """Remove what a killed run left half written, and what was made from originals that are no longer there."""
    names = {f"{_stem(picture)}{ending}" for picture in originals for ending in (".png", ".json")}
    folders = (client.processed, client.rejected, client.verdicts, client.metadata)
    for folder in folders:
        sweep_parts(folder)
    strays = [path for folder in folders for path in folder.glob("*") if _OURS.fullmatch(path.name) and path.name not in names]
    if strays:
        _remove_sheets(client)
    for path in strays:
        path.unlink()


def _gather(client: Client, originals: Iterable[Picture]) -> tuple[Face, ...]:
    """Write every verdict into one record and one table, in the order of the originals."""
    verdicts = (_verdict(client, picture) for picture in originals)
    faces = tuple(face for face in verdicts if face)
    write_record(client.faces_file, Faces(faces=faces))
    write_spreadsheet(client.faces_table, _COLUMNS, map(_table_row, faces))
    return faces


def _table_row(face: Face) -> tuple[str | int | float, ...]:
    refused = face.rejection
    why = (refused.reason.value, refused.measured, refused.limit) if refused else ("", None, None)
    places = (*(face.box or (None,) * 4), *(face.square or (None,) * 3))
    measures = (face.measures.get(name) for name in _MEASURES)
    cells = (face.file, face.source.value, face.crop, *why, face.faces, *places, *measures, face.sha256)
    return tuple("" if cell is None else cell for cell in cells)


def _remove_sheets(client: Client) -> None:
    """A contact sheet that is there is always up to date: both go before the first picture changes."""
    client.processed_sheet.unlink(missing_ok=True)
    client.rejected_sheet.unlink(missing_ok=True)


def _write_sheets(client: Client, originals: Iterable[Picture], faces: Iterable[Face]) -> None:
    """Both contact sheets, where they are missing and there is something to show."""
    names = {(picture.source, picture.file): picture.original for picture in originals}
    accepted, refused = [], []
    for face in faces:
        name = names[face.source, face.file]
        if face.rejection is None:
            accepted.append(Cell(client.processed / face.crop, f"{name}\n{face.measures['upscale']:.1f}x", Tone.GOOD))
        else:
            preview = client.rejected / f"{face.source}_{face.sha256[:12]}.png"
            refused.append(Cell(preview, f"{name}\n{_in_short(face.rejection)}", Tone.BAD))
    for cells, path in ((accepted, client.processed_sheet), (refused, client.rejected_sheet)):
        if cells and not path.exists():
            contact_sheet(in_rows(cells, SHEET_COLUMNS), path, cell_px=96 if len(cells) > LARGE_SHEET else 192)


def _in_short(rejection: Rejection) -> str:
    """A reason as the code names it, with its numbers: "too dark 31.2 (40)"."""
    reason = rejection.reason.value.replace("_", " ")
    return reason if rejection.measured is None else f"{reason} {rejection.measured:.3g} ({rejection.limit:.3g})"
