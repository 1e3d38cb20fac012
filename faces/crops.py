"""What lies on disk of a verdict: the crop in `processed/`, or the reason and a picture in `rejected/`, and the contact sheets.

Every file takes its name when it is complete; what was seen of an original is written last: it never promises what is not there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from client_folder.client import Client
from client_folder.records import DetectedFaces, Picture, Verdict
from faces.geometry import CROP_PX, Square, cut
from faces.quality import WARNINGS
from faces.verdicts import left_to_right
from locales.language import _
from pictures.contact_sheet import Cell, Tone, contact_sheet, in_rows
from pictures.picture_file import UnreadablePicture, decode
from utils import BrokenFile, read_record, replacing, whole_png, write_record

if TYPE_CHECKING:
    from PIL import Image

PREVIEW_PX = 512  # longer side of what is kept of a refused picture
SHOWN_PX = 256  # of a face on a screen
PNG_LEVEL = 1  # 72 ms for a crop instead of the 298 ms of Pillow's default, for 14 % more bytes
SHEET_COLUMNS = 8
LARGE_SHEET = 200  # pictures from which a contact sheet shows them at half the size, so that it can still be opened
_FRAME = (255, 208, 0)


@dataclass(frozen=True, slots=True)
class Disk:
    """The files that a client's verdicts stand for."""

    client: Client

    def holds(self, face: Verdict) -> bool:
        """Whether the file that a verdict promises is there, or was taken out of training by a person."""
        if face.crop:
            return whole_png(self.client.processed / face.crop) or (self.client.quarantine / face.crop).is_file()
        return self._sidecar(face).is_file()

    def keep(self, detected: DetectedFaces, face: Verdict, image: Image.Image | None) -> None:
        """Write what follows from a verdict, given the original's pixels, and then what was seen."""
        if face.crop:
            if not (self.client.quarantine / face.crop).is_file():
                assert image is not None
                _save(cut(image, _square(face)), self.client.processed / face.crop)
            detected = detected.model_copy(update={"cut": _cut_of(face), "shown": ""})
            stale = [self._preview(face), self._sidecar(face)]
        else:
            shown, preview = _shown(detected, face), None
            if image:
                preview = cut(image, _square(face)) if shown.startswith("crop") else _numbered(image, detected)
            _save(preview, self._preview(face), PREVIEW_PX)
            write_record(self._sidecar(face), face)
            detected = detected.model_copy(update={"cut": None, "shown": shown})
            stale = [self._crop(face)]
        write_record(self.client.looks / f"{face.stem}.json", detected)
        for path in stale:
            path.unlink(missing_ok=True)

    def agrees(self, detected: DetectedFaces, face: Verdict) -> bool:
        """Whether the pictures that follow from a verdict lie there, and no other."""
        if face.crop:
            refused = self._sidecar(face).exists() or self._preview(face).exists()
            return self.holds(face) and detected.cut == _cut_of(face) and not refused
        if detected.shown != _shown(detected, face) or detected.cut is not None or self._crop(face).exists():
            return False
        return bool(detected.unreadable) or whole_png(self._preview(face))

    def change(self, detected: DetectedFaces, face: Verdict) -> None:
        """Bring the pictures in line with a verdict that has changed; raises UnreadablePicture where the original went bad."""
        self.keep(detected, face, None if detected.unreadable else decode(self.client.raw(face.source) / face.file))

    def explain(self, face: Verdict) -> None:
        """Bring the reason beside a refused picture up to date; that only the limits have another digest is no news."""
        sidecar = self._sidecar(face)
        with contextlib.suppress(BrokenFile, FileNotFoundError):
            if read_record(sidecar, Verdict).model_copy(update={"settings": face.settings}) == face:
                return
        write_record(sidecar, face)

    def _sidecar(self, face: Verdict) -> Path:
        return self.client.rejected / f"{face.stem}.json"

    def _crop(self, face: Verdict) -> Path:
        return self.client.processed / f"{face.stem}.png"

    def _preview(self, face: Verdict) -> Path:
        return self.client.rejected / f"{face.stem}.png"


def _square(face: Verdict) -> Square:
    assert face.square is not None
    return Square(*face.square, inside=1.0, angle=face.angle)


def _cut_of(face: Verdict) -> tuple[int, int, int, float]:
    assert face.square is not None
    return (*face.square, face.angle)


def _shown(detected: DetectedFaces, face: Verdict) -> str:
    """What is kept of a refused picture: the crop where one face was meant, else all of it with its faces numbered."""
    if detected.unreadable:
        return "nothing"
    if face.square and len(detected.faces) == 1:
        return f"crop {face.square} {face.angle}"
    return f"faces {len(detected.faces)}"


def _numbered(image: Image.Image, detected: DetectedFaces) -> Image.Image:
    """The whole picture in small, each face in a frame with the number by which a person can point at it."""
    from PIL import ImageDraw, ImageFont

    small = image.copy()
    small.thumbnail((PREVIEW_PX, PREVIEW_PX), reducing_gap=3.0)
    scale = small.width / image.width
    draw, font = ImageDraw.Draw(small), ImageFont.load_default(18)
    for number, face in enumerate(left_to_right(detected), 1):
        left, top, width, height = (edge * scale for edge in face.box)
        draw.rectangle((left, top, left + width, top + height), outline=_FRAME, width=2)
        draw.text((left + 3, max(0, top - 22)), str(number), fill=_FRAME, font=font, stroke_width=2, stroke_fill=(0, 0, 0))
    return small


def _save(image: Image.Image | None, path: Path, longer_side: int = CROP_PX) -> None:
    """Write a picture as PNG without any metadata (a photo's may tell where the client lives); None: remove the old one."""
    if image is None:
        path.unlink(missing_ok=True)
        return
    image.thumbnail((longer_side, longer_side), reducing_gap=3.0)
    image.info.clear()
    with replacing(path) as part:
        image.save(part, format="PNG", compress_level=PNG_LEVEL)


def face_picture(path: Path, square: tuple[int, int, int] | None) -> Image.Image | None:
    """A face to be shown on a screen: a crop as it lies there or, with a square (left, top, side), cut out of an original.

    None where the file cannot be read.
    """
    try:
        image = decode(path)
    except UnreadablePicture:
        return None
    shown = image if square is None else image.crop((square[0], square[1], square[0] + square[2], square[1] + square[2]))
    shown.thumbnail((SHOWN_PX, SHOWN_PX), reducing_gap=2.0)
    return shown


# --- contact sheets ---------------------------------------------------------------------------------------------------
def write_sheets(client: Client, originals: Iterable[Picture], faces: Sequence[Verdict]) -> None:
    """Both contact sheets, where they are missing and there is something to show."""
    names = {(picture.source, picture.file): picture.original for picture in originals}
    accepted, refused = [], []
    for face in faces:
        name = names[face.source, face.file]
        if face.crop and not (client.processed / face.crop).is_file():
            continue  # taken out of training by a person
        if face.rejection is None:
            label = f"{name}\n{_verdict(face)}"
            accepted.append(Cell(client.processed / face.crop, label, Tone.PLAIN if face.warnings else Tone.GOOD))
        else:
            label = f"{name}\n{face.rejection.reason.label}"
            if face.rejection.measured is not None:  # with its numbers: "too dark 31.2 (40)"
                label += f" {face.rejection.measured:.3g} ({face.rejection.limit:.3g})"
            refused.append(Cell(client.rejected / f"{face.stem}.png", label, Tone.BAD))
    for cells, path in ((accepted, client.processed_sheet), (refused, client.rejected_sheet)):
        if cells and not path.exists():
            small = 96 if len(cells) > LARGE_SHEET else 192
            contact_sheet(in_rows(cells, SHEET_COLUMNS), path, cell_px=small, thumbnails=client.thumbnails)


def _verdict(face: Verdict) -> str:
    """What is to be said of an accepted picture, with how much it was enlarged: "ok 1.6x", "by hand 5.1x", "turned 2.9x"."""
    near = [_(WARNINGS[name]) for name in face.warnings]
    word = _("by hand") if face.by_hand else ", ".join(near) or _("ok")
    return f"{word} {face.measures.get('upscale', 1.0):.1f}x"
