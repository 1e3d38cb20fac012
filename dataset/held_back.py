"""Held-back photos: whole scenes of real photos that training never sees, so that a LoRA can be examined with them afterwards.

Photos belong to one scene where one nearly repeats another or was taken within a minute of it. What was held back once stays so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field

from client_folder.client import Client
from client_folder.records import FileName, Source, Verdict
from config import DatasetDistribution
from dataset.files import link_or_copy, pictures_of
from pictures.photo_analysis import bits_apart
from utils import Record, replacing, sweep_parts, whole_png, write_record

MOST = 0.5  # of the photos: an exam must never cost training more than it leaves
# With two photos a step is chosen as well as with more, but "good" or "none" is told right of 97 in 100 clients from three on
# (benchmarks/exam.py). A third one is held back where training keeps as many as there must be for any to be held back.
SPARED = 3


class ExamRecord(Record):
    """`exam/exam.json`: the pictures of each scene held back, by stem."""

    model_config = ConfigDict(frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    scenes: tuple[tuple[FileName, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Exam:
    """Which photos are held back; `twins` are pictures elsewhere that nearly repeat one of them and stay out of training too."""

    held: tuple[tuple[str, ...], ...] = ()  # scenes
    twins: tuple[str, ...] = ()
    photos: int = 0  # real photos there are
    too_few_scenes: bool = False

    @property
    def stems(self) -> tuple[str, ...]:
        """The pictures of all scenes."""
        return tuple(stem for scene in self.held for stem in scene)

    @property
    def scenes(self) -> int:
        """How many scenes are held back."""
        return len(self.held)

    def is_held(self, client: Client) -> bool:
        """Whether the folder `exam/` holds just that."""
        return recorded(client).scenes == self.held and all(whole_png(client.exam / f"{stem}.png") for stem in self.stems)


def plan_exam(client: Client, faces: Sequence[Verdict], wanted: DatasetDistribution) -> Exam:
    """What to hold back of the pictures that passed; photos that `process` did not measure stay, for nobody knows their scene."""
    photos = [face for face in faces if face.source is Source.REAL and _hashes(face)]
    if len(photos) < wanted.exam_from or not wanted.exam_share:
        return Exam(photos=len(photos))
    scenes = scenes_of(photos, wanted)
    before = {stem for scene in recorded(client).scenes for stem in scene}
    named = [tuple(map(_stem, scene)) for scene in scenes]
    held = choose_scenes(named, before, len(photos), wanted)
    stems = {stem for scene in held for stem in scene}
    examined = [face for face in photos if _stem(face) in stems]
    twins: list[str] = []
    for face in faces:
        if _stem(face) not in stems and any(alike(face, other, wanted.near_duplicate_bits) for other in examined):
            twins.append(_stem(face))
    return Exam(held, tuple(twins), len(photos), not held)


def scenes_of(photos: Sequence[Verdict], wanted: DatasetDistribution) -> list[list[Verdict]]:
    """The photos by scene, both in the order given."""
    scenes: list[list[Verdict]] = []
    for photo in photos:
        merged, others = [], []
        for scene in scenes:
            if any(_one_scene(photo, other, wanted) for other in scene):
                merged += scene
            else:
                others.append(scene)
        scenes = [*others, [*merged, photo]]
    return sorted((sorted(scene, key=_stem) for scene in scenes), key=lambda scene: (len(scene), _stem(scene[0])))


def choose_scenes(
    scenes: Sequence[tuple[str, ...]], before: Iterable[str], photos: int, wanted: DatasetDistribution
) -> tuple[tuple[str, ...], ...]:
    """The scenes to hold back: those held back before, and as few more as the share needs; none where only too many would do."""
    kept, most = set(before), int(MOST * photos)
    target = max(wanted.exam_minimum, ceil(wanted.exam_share * photos - 1e-9))
    if photos - SPARED >= wanted.exam_from:
        target = max(target, SPARED)
    old = tuple(scene for scene in scenes if kept.intersection(scene))
    have = sum(map(len, old))
    if have > most:
        old, have = (), 0
    # Every number of photos that whole scenes can make, each with the first scenes that make it.
    reach: dict[int, tuple[tuple[str, ...], ...]] = {have: old}
    for scene in scenes:
        if scene not in old:
            for total, chosen in sorted(reach.items(), reverse=True):
                if total + len(scene) <= most:
                    reach.setdefault(total + len(scene), (*chosen, scene))
    enough = [total for total in reach if total >= target]
    return tuple(sorted(reach[min(enough)])) if enough else ()


def leaks(client: Client, stems: Iterable[str], bits: int) -> tuple[tuple[str, str], ...]:
    """Those pictures that are, or nearly repeat, a photo held back, each with that photo; both by stem. Raises BrokenFile."""
    client = client.snapshot()
    faces = {_stem(face): face for face in client.faces() if face.crop}
    held = [stem for scene in recorded(client).scenes for stem in scene]

    def same(stem: str, photo: str) -> bool:
        return stem == photo or (stem in faces and photo in faces and alike(faces[stem], faces[photo], bits))

    return tuple((stem, photo) for stem in stems for photo in held if same(stem, photo))


def copies_in_training(client: Client, bits: int) -> tuple[str, ...]:
    """The held-back photos that lie in a training folder, or that a picture there nearly repeats. Raises BrokenFile."""
    return tuple(dict.fromkeys(photo for _stem, photo in leaks(client, (path.stem for path in pictures_of(client)), bits)))


def alike(one: Verdict, other: Verdict, bits: int) -> bool:
    """Whether two pictures nearly repeat one another, as a whole or in their crops."""
    return any(bits_apart(a, b) <= bits for a, b in zip(_hashes(one), _hashes(other), strict=False))


def _one_scene(one: Verdict, other: Verdict, wanted: DatasetDistribution) -> bool:
    moments = _moment(one), _moment(other)
    if moments[0] and moments[1] and abs((moments[0] - moments[1]).total_seconds()) <= wanted.scene_seconds:
        return True
    return alike(one, other, wanted.near_duplicate_bits)


def _moment(face: Verdict) -> datetime | None:
    """When it was taken, by the camera's clock; None where that is not known."""
    try:
        return datetime.strptime((face.analysis.taken if face.analysis else "")[:19], "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None


def _hashes(face: Verdict) -> tuple[str, ...]:
    return (face.phash, face.analysis.phash) if face.phash and face.analysis else ()


def _stem(face: Verdict) -> str:
    return Path(face.crop).stem


# --- the folder -------------------------------------------------------------------------------------------------------
def hold_back(client: Client, exam: Exam) -> None:
    """Bring `exam/` up to date; a picture lies there before the record names it."""
    if exam.is_held(client) and not _strays(client, exam):
        return
    if exam.held or client.exam.is_dir():
        client.exam.mkdir(parents=True, exist_ok=True)
        sweep_parts(client.exam)
        for stem in exam.stems:
            crop = client.processed / f"{stem}.png"
            with replacing(client.exam / crop.name) as part:
                link_or_copy(crop, part)
        write_record(client.exam_file, ExamRecord(scenes=exam.held))
        for path in _strays(client, exam):
            path.unlink()


def _strays(client: Client, exam: Exam) -> list[Path]:
    """Pictures there that are no longer held back."""
    wanted = set(exam.stems)
    return [path for path in client.exam.glob("real_*.png") if path.stem not in wanted] if client.exam.is_dir() else []


def recorded(client: Client) -> ExamRecord:
    """What `exam/exam.json` says; raises BrokenFile."""
    return client.read(client.exam_file, ExamRecord) or ExamRecord()
