"""The dataset doctor: what will go wrong in training, found in the dataset before it costs GPU hours.

It reads records and captions, opens no picture and changes nothing. Every finding has its pictures, its numbers and a level; the
worst level is the verdict. What can be taken out is named in `cure_by_removing`, for `quarantine` to do.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, pstdev

from client_folder.client import Client
from client_folder.lookup import names_of, read_detected_faces
from client_folder.records import Face, Source, Verdict
from config import Settings, client_limits
from dataset.captions import FACE_WORDS
from dataset.files import pictures_of, read_caption
from dataset.findings import FEW_PICTURES, SHARE_WARNING, FindingCode, Readiness
from dataset.held_back import alike, leaks
from dataset.identities import MANY, find_others
from dataset.kohya_folders import TooFewPictures, dataset_is_current, select_pictures, with_tuned
from dataset.signs import Level, Sign, Symptom
from utils import fold

LEAK_SHARE = 0.85  # chosen: a phrase in so many captions is learned as part of the trigger word, or takes its place
LEAK_CAPTIONS = 5  # under so many captions, one that is everywhere means nothing
SECOND_FACE = 0.25  # chosen: of somebody else's face box inside the crop, from which training sees two people
# Spread under which a LoRA can hardly tell the client from the circumstances. Six press photos of one person on five occasions
# measure 0.10 in pose, 16 in light and 41 in background; the limits are a third of that, chosen and not yet tried by training.
POSE_SPREAD = 0.03  # standard deviation of the turn of the head, in distances of the eyes
LIGHT_SPREAD = 6.0  # standard deviation of the brightness of the face, in grey levels
BACKGROUND_SPREAD = 12.0  # mean distance of the colours around the face from their mean, in levels
FRAMING_SPREAD = 0.02  # standard deviation of the face's share of the crop's side
SPREAD_PICTURES = 6  # fewer have no spread worth a word


@dataclass(frozen=True, slots=True)
class Spread:
    """How much the pictures differ, measured in their pixels; 0 where fewer than two were measured."""

    pose: float
    light: float
    background: float
    framing: float


@dataclass(frozen=True, slots=True)
class Examination:
    """What the doctor found: go, go with warnings, or no-go, and why."""

    verdict: Readiness
    symptoms: tuple[Symptom, ...]
    images: int
    effective: int  # after near-duplicates
    share_real: float
    spread: Spread
    names: dict[str, str]  # what the user calls each picture, by stem

    @property
    def reason(self) -> Symptom | None:
        """The finding that decided."""
        worst = [symptom for symptom in self.symptoms if symptom.level > Level.NOTE]
        return max(worst, key=lambda symptom: symptom.level) if worst else None


@dataclass(frozen=True, slots=True)
class _Sample:
    """One picture of the dataset, and how often it is seen in an epoch; `face` is None for one that `process` does not know."""

    stem: str
    repeats: int
    caption: str
    face: Verdict | None


def examine(client: Client, settings: Settings) -> Examination:
    """Examine the dataset as it lies on disk; raises BrokenFile."""
    client = client.snapshot()
    settings, samples = with_tuned(client, settings), _samples(client)
    known = [sample for sample in samples if sample.face]
    groups = _duplicates(known, settings.distribution.near_duplicate_bits)
    effective = len(samples) - sum(len(group) - 1 for group in groups)
    spread = _spread([sample.face for sample in known if sample.face])
    symptoms = tuple(_symptoms(client, settings, samples, groups, effective, spread))
    worst = max((symptom.level for symptom in symptoms), default=Level.NOTE)
    verdict = {Level.NOTE: Readiness.GO, Level.WARNING: Readiness.WARNINGS, Level.NO_GO: Readiness.NO_GO}[worst]
    return Examination(verdict, symptoms, len(samples), effective, _share_real(samples), spread, names_of(client))


def find_removable(client: Client, settings: Settings) -> tuple[Symptom, ...]:
    """Of the same findings those that taking pictures out would cure, without planning the dataset anew; raises BrokenFile."""
    client = client.snapshot()
    samples = _samples(client)
    groups = _duplicates([sample for sample in samples if sample.face], settings.distribution.near_duplicate_bits)
    found = _of_pictures(client, settings, samples, groups, len(samples))  # too few of them is nothing that taking out cures
    return tuple(symptom for symptom in found if symptom.cure_by_removing)


def _samples(client: Client) -> list[_Sample]:
    faces = {Path(face.crop).stem: face for face in client.faces() if face.crop}
    return [
        _Sample(path.stem, int(path.parent.name.partition("_")[0]), read_caption(path.parent, path.stem), faces.get(path.stem))
        for path in pictures_of(client)
    ]


def _symptoms(
    client: Client, settings: Settings, samples: list[_Sample], groups: list[list[_Sample]], effective: int, spread: Spread
) -> Iterator[Symptom]:
    if not samples:
        yield Symptom(Sign.NO_DATASET, Level.NO_GO)
        return
    if not dataset_is_current(client, settings):
        yield Symptom(Sign.NOT_CURRENT, Level.WARNING)
    yield from _of_pictures(client, settings, samples, groups, effective)
    yield from _sameness(samples, spread)
    yield from _captions(client, samples)
    share, wanted = _share_real(samples), settings.distribution.share_real
    if abs(share - wanted) > SHARE_WARNING:
        yield Symptom(Sign.SHARE_OFF, Level.WARNING, measured=share, limit=wanted)
    unknown = tuple(sample.stem for sample in samples if sample.face is None)
    if unknown:
        yield Symptom(Sign.UNKNOWN_PICTURES, Level.WARNING, unknown, len(unknown))
    yield from _of_plan(client, settings)


# What the plan of a dataset has to say that nothing above has said, at its level.
_OF_PLAN = {
    FindingCode.ENLARGED: (Sign.ENLARGED, Level.WARNING),
    FindingCode.EXAM_ONE_SCENE: (Sign.EXAM_ONE_SCENE, Level.WARNING),
    FindingCode.EXAM_TWINS: (Sign.EXAM_TWINS, Level.WARNING),
    FindingCode.HELD_BACK: (Sign.HELD_BACK, Level.NOTE),
}


def _of_plan(client: Client, settings: Settings) -> Iterator[Symptom]:
    """What is known when the pictures are chosen: enlarged crops, and photos kept back."""
    with contextlib.suppress(TooFewPictures):
        for finding in select_pictures(client, settings.distribution).findings(settings, client.state().limits):
            if finding.code in _OF_PLAN:
                sign, level = _OF_PLAN[finding.code]
                yield Symptom(sign, level, measured=finding.measured, limit=finding.limit)


def _of_pictures(
    client: Client, settings: Settings, samples: list[_Sample], groups: list[list[_Sample]], effective: int
) -> Iterator[Symptom]:
    """What is found in pictures one by one or side by side; all that taking pictures out would cure is among it."""
    limits = client_limits(settings, client.state().limits)
    yield from find_others(client.judged(), (sample.face for sample in samples if sample.face), limits)
    yield from _exam_leaks(client, samples, settings)
    yield from _sizes(samples, groups, effective, settings)
    yield from _second_faces(client, samples)


# --- size -------------------------------------------------------------------------------------------------------------
def _duplicates(samples: Sequence[_Sample], bits: int) -> list[list[_Sample]]:
    """Groups of pictures that nearly repeat one another, the best first."""
    groups: list[list[_Sample]] = []
    for sample in samples:
        like, others = [sample], []
        for group in groups:
            if any(_alike(sample, other, bits) for other in group):
                like += group
            else:
                others.append(group)
        groups = [*others, like]
    return [sorted(group, key=_worth, reverse=True) for group in groups if len(group) > 1]


def _alike(one: _Sample, other: _Sample, bits: int) -> bool:
    return one.face is not None and other.face is not None and alike(one.face, other.face, bits)


def _worth(sample: _Sample) -> tuple[float, str]:
    """What makes the best of several like pictures: pixels of the face, times their sharpness."""
    measures = sample.face.measures if sample.face else {}
    return measures.get("face_px", 0.0) * measures.get("sharpness", 0.0) ** 0.5, sample.stem


def _sizes(samples: list[_Sample], groups: list[list[_Sample]], effective: int, settings: Settings) -> Iterator[Symptom]:
    if groups:
        stems = tuple(sample.stem for group in groups for sample in group)
        extra = tuple(sample.stem for group in groups for sample in group[1:])
        yield Symptom(Sign.NEAR_DUPLICATES, Level.WARNING, stems, len(extra), len(samples), cure_by_removing=extra)
    if effective < settings.distribution.min_pictures:
        yield Symptom(Sign.FEW_EFFECTIVE, Level.NO_GO, measured=effective, limit=settings.distribution.min_pictures)
    elif effective < FEW_PICTURES:
        yield Symptom(Sign.FEW_EFFECTIVE, Level.WARNING, measured=effective, limit=FEW_PICTURES)


def _share_real(samples: Iterable[_Sample]) -> float:
    """The share of photos in what the LoRA sees; a picture that nobody knows counts by its name."""
    seen = dict.fromkeys(Source, 0)
    for sample in samples:
        seen[Source.REAL if sample.stem.startswith("real_") else Source.MIDJOURNEY] += sample.repeats
    return seen[Source.REAL] / (sum(seen.values()) or 1)


def _exam_leaks(client: Client, samples: list[_Sample], settings: Settings) -> Iterator[Symptom]:
    """Pictures that are, or nearly repeat, a photo held back."""
    bits = settings.distribution.near_duplicate_bits
    found = tuple(dict.fromkeys(stem for stem, _photo in leaks(client, (sample.stem for sample in samples), bits)))
    if found:
        yield Symptom(Sign.EXAM_LEAK, Level.NO_GO, found, len(found), cure_by_removing=found)


# --- who --------------------------------------------------------------------------------------------------------------
def _second_faces(client: Client, samples: list[_Sample]) -> Iterator[Symptom]:
    """Crops in which somebody else's face can be seen."""
    pictures = {picture.stem: picture for picture in client.pictures()}
    seen = []
    for sample in samples:
        if sample.face and sample.face.bystanders and sample.stem in pictures:
            detected = read_detected_faces(client, pictures[sample.stem])
            others = [other for other in (detected.faces if detected else ()) if other.box != sample.face.box]
            if any(_inside(other, sample.face) > SECOND_FACE for other in others):
                seen.append(sample.stem)
    if seen:
        level = Level.NO_GO if len(seen) > len(samples) / 2 else Level.WARNING
        yield Symptom(Sign.SECOND_FACES, level, tuple(seen), len(seen), cure_by_removing=tuple(seen))


def _inside(other: Face, face: Verdict) -> float:
    """The share of a face box that lies in a crop."""
    assert face.square is not None
    (left, top, width, height), (x, y, side) = other.box, face.square
    wide = min(left + width, x + side) - max(left, x)
    high = min(top + height, y + side) - max(top, y)
    return max(0, wide) * max(0, high) / max(1, width * height)


# --- spread -----------------------------------------------------------------------------------------------------------
def _spread(faces: Sequence[Verdict]) -> Spread:
    """How much pose, light, background and framing differ."""
    measured = [face for face in faces if "yaw" in face.measures and face.square]
    if len(measured) < 2:
        return Spread(0.0, 0.0, 0.0, 0.0)
    shares = [face.measures["face_px"] / face.square[2] for face in measured if face.square]
    channels = [[face.measures[f"background_{name}"] for face in measured] for name in ("red", "green", "blue")]
    mean = [fmean(channel) for channel in channels]
    distances: list[float] = []
    for colour in zip(*channels, strict=True):
        distances.append(sum((level - middle) ** 2 for level, middle in zip(colour, mean, strict=True)) ** 0.5)
    return Spread(
        pose=pstdev(face.measures["yaw"] for face in measured), light=pstdev(face.measures["brightness"] for face in measured),
        background=fmean(distances), framing=pstdev(shares),
    )  # fmt: skip


def _sameness(samples: list[_Sample], spread: Spread) -> Iterator[Symptom]:
    """What hardly changes from picture to picture; framing is only a note, for crops are made alike."""
    if sum(sample.face is not None and "yaw" in sample.face.measures for sample in samples) < SPREAD_PICTURES:
        return
    for sign, level, value, limit in (
        (Sign.SAME_POSE, Level.WARNING, spread.pose, POSE_SPREAD),
        (Sign.SAME_LIGHT, Level.WARNING, spread.light, LIGHT_SPREAD),
        (Sign.SAME_BACKGROUND, Level.WARNING, spread.background, BACKGROUND_SPREAD),
        (Sign.SAME_FRAMING, Level.NOTE, spread.framing, FRAMING_SPREAD),
    ):
        if value < limit:
            yield Symptom(sign, level, measured=value, limit=limit)


# --- captions ---------------------------------------------------------------------------------------------------------
def _captions(client: Client, samples: list[_Sample]) -> Iterator[Symptom]:
    """Captions that teach the wrong thing."""
    without = tuple(sample.stem for sample in samples if not re.search(rf"(?<!\w){re.escape(client.id)}(?!\w)", sample.caption))
    if without:
        level = Level.NO_GO if len(without) > MANY * len(samples) else Level.WARNING
        yield Symptom(Sign.NO_TRIGGER, level, without, len(without))
    named = tuple(sample.stem for sample in samples if not FACE_WORDS.isdisjoint(re.findall(r"\w+", fold(sample.caption))))
    if named:
        yield Symptom(Sign.FACE_NAMED, Level.WARNING, named, len(named))
    if len(samples) < LEAK_CAPTIONS:
        return
    counts = Counter(phrase for sample in samples for phrase in _phrases(sample.caption, client.id))
    for phrase, count in sorted(counts.items()):
        if count >= LEAK_SHARE * len(samples):
            stems = tuple(sample.stem for sample in samples if phrase in _phrases(sample.caption, client.id))
            yield Symptom(Sign.CAPTION_LEAK, Level.WARNING, stems, count / len(samples), LEAK_SHARE, phrase)


def _phrases(caption: str, trigger: str) -> set[str]:
    """The phrases between commas, but for the one that names the client."""
    phrases = (" ".join(phrase.casefold().split()) for phrase in caption.split(","))
    return {phrase for phrase in phrases if phrase and trigger.casefold() not in phrase.split()}
