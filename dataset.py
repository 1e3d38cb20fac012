"""The dataset as Kohya's sd-scripts read it: a folder a repeat count, a caption beside each picture.

Repeats make the balance: a photo that is seen three times for one MidJourney image counts three times. What the user wrote into a
caption stays; what the trainer cached from a picture or caption that has changed goes, for sd-scripts would use it unseen.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, floor
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from captions import caption, details_of
from client import Client, Face, Source
from config import DatasetDistribution, Settings
from utils import BrokenFile, Event, Progress, TooFewPictures, read_record, replacing, sweep_parts, write_record, write_text

INFO_FILE = "dataset_info.json"
EPOCH_SAMPLES = 100  # samples an epoch has at least, where repeats can make them: starting an epoch costs time
SHARE_TOLERANCE = 0.01  # a share this near to the wanted one is as good; fewer repeats are better
SHARE_WARNING = 0.02
FEW_PICTURES = 10  # under this many, a LoRA repeats poses and backgrounds more than it learns the face
PHOTO_DETAILS = ("photo",)  # what a photo's caption says beyond the trigger: that it is one stays changeable
_OURS = re.compile(r"((?:mj|real)_[0-9a-f]{12})(?:\.png|\.txt|_.*\.npz)")


# --- balance, pure ----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Balance:
    """How often a picture of each source is seen in an epoch (0: never), and the share of photos that comes of it."""

    repeats_mj: int
    repeats_real: int
    share_real: float


def balance(mj: int, real: int, share_real: float, max_repeats: int) -> Balance:
    """The smallest repeats that bring photos within a hundredth of the wanted share, or as near to it as repeats can.

    Where there is only one source, or the share asks for only one, that one fills the epoch.
    """
    if not real or (share_real == 0 and mj):
        return Balance(_filling(mj, max_repeats), 0, 0.0)
    if not mj or share_real == 1:
        return Balance(0, _filling(real, max_repeats), 1.0)
    pairs = _candidates(mj, real, share_real, max_repeats)
    best_mj, best_real = min(pairs, key=lambda pair: _distance(mj * pair[0], real * pair[1], share_real))
    more = min(max_repeats // max(best_mj, best_real), ceil(EPOCH_SAMPLES / (mj * best_mj + real * best_real)))
    return Balance(best_mj * more, best_real * more, _share(mj * best_mj, real * best_real))


def _filling(pictures: int, max_repeats: int) -> int:
    """The repeats with which so many pictures fill an epoch."""
    return min(max_repeats, ceil(EPOCH_SAMPLES / max(1, pictures)))


def _candidates(mj: int, real: int, share_real: float, max_repeats: int) -> set[tuple[int, int]]:
    """For every number of repeats of the photos, the two of MidJourney's that lie around the wanted share."""
    pairs = set()
    for repeats in range(1, max_repeats + 1):
        ideal = repeats * real * (1 - share_real) / (share_real * mj)
        pairs |= {(min(max(round_to(ideal), 1), max_repeats), repeats) for round_to in (floor, ceil)}
    return pairs


def _distance(samples_mj: int, samples_real: int, share_real: float) -> tuple[float, int]:
    """What makes a balance worse: first a share too far off, then a longer epoch."""
    error = abs(_share(samples_mj, samples_real) - share_real)
    return (error if error > SHARE_TOLERANCE else 0.0, samples_mj + samples_real)


def _share(samples_mj: int, samples_real: int) -> float:
    return samples_real / (samples_mj + samples_real)


# --- the plan ---------------------------------------------------------------------------------------------------------
class Verdict(StrEnum):
    """Whether a training with this dataset is worth its hours."""

    GO = "go"
    WARNINGS = "warnings"
    NO_GO = "no-go"


class FindingCode(StrEnum):
    """What is worth knowing of a dataset before training; the words people read are in `words`."""

    ONLY_MIDJOURNEY = "only_midjourney"  # measured: pictures
    ONLY_PHOTOS = "only_photos"  # measured: pictures
    SHARE_OFF = "share_off"  # measured and limit: the share reached and the share wanted
    FEW_PICTURES = "few_pictures"  # measured: pictures, limit: enough
    ENLARGED = "enlarged"  # measured: pictures enlarged more than the limit, in times


@dataclass(frozen=True, slots=True)
class Finding:
    """One of them, with its numbers."""

    code: FindingCode
    measured: float
    limit: float = 0.0


@dataclass(frozen=True, slots=True)
class DatasetFolder:
    """One folder of the dataset: its name, how often each of its pictures is seen in an epoch, how many they are."""

    name: str
    repeats: int
    images: int


@dataclass(frozen=True, slots=True)
class DatasetPlan:
    """What `prepare_dataset` would build."""

    folders: tuple[DatasetFolder, ...]
    images: int
    share_real: float
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class DatasetReport:
    """What was built, and whether it is good enough to train with; `edited` captions are the user's own."""

    folders: tuple[DatasetFolder, ...]
    images: int
    share_real: float
    findings: tuple[Finding, ...]
    verdict: Verdict
    edited: int


@dataclass(frozen=True, slots=True)
class _Entry:
    """One picture of the dataset: where it comes from, where it goes, and the caption made for it."""

    stem: str
    crop: Path
    folder: Path
    picture: str  # changes whenever the crop may have changed
    caption: str


def plan_dataset(client: Client, settings: Settings) -> DatasetPlan:
    """The folders, repeats and share of photos; raises TooFewPictures, and BrokenFile for a record that cannot be read."""
    faces = _usable(client, settings.distribution)
    return _plan(client, faces, _balance_of(faces, settings.distribution), settings)


def _usable(client: Client, wanted: DatasetDistribution) -> tuple[Face, ...]:
    """The faces that passed and whose crop is there, in the order of their crops."""
    passed = (face for face in client.faces() if face.crop and (client.processed / face.crop).is_file())
    faces = tuple(sorted(passed, key=lambda face: face.crop))
    if len(faces) < wanted.min_pictures:
        raise TooFewPictures(found=len(faces), needed=wanted.min_pictures)
    return faces


def _balance_of(faces: Iterable[Face], wanted: DatasetDistribution) -> Balance:
    sources = [face.source for face in faces]
    return balance(sources.count(Source.MIDJOURNEY), sources.count(Source.REAL), wanted.share_real, wanted.max_repeats)


def _repeats(found: Balance, source: Source) -> int:
    return found.repeats_mj if source is Source.MIDJOURNEY else found.repeats_real


def _plan(client: Client, faces: Iterable[Face], found: Balance, settings: Settings) -> DatasetPlan:
    seen = [face for face in faces if _repeats(found, face.source)]
    counts = [_repeats(found, face.source) for face in seen]
    folders = tuple(
        DatasetFolder(client.dataset_folder(repeats).name, repeats, counts.count(repeats)) for repeats in sorted(set(counts))
    )
    return DatasetPlan(folders, len(seen), found.share_real, tuple(_findings(seen, found, settings)))


def _findings(seen: list[Face], found: Balance, settings: Settings) -> Generator[Finding, None, None]:
    """What is worth knowing before training."""
    wanted, enlarged_by = settings.distribution.share_real, settings.quality.warn_upscale
    if len(seen) < FEW_PICTURES:
        yield Finding(FindingCode.FEW_PICTURES, len(seen), FEW_PICTURES)
    if found.repeats_real == 0 and wanted > 0:
        yield Finding(FindingCode.ONLY_MIDJOURNEY, len(seen))
    elif found.repeats_mj == 0 and wanted < 1:
        yield Finding(FindingCode.ONLY_PHOTOS, len(seen))
    elif abs(found.share_real - wanted) > SHARE_WARNING:
        yield Finding(FindingCode.SHARE_OFF, found.share_real, wanted)
    enlarged = sum(face.measures.get("upscale", 0.0) > enlarged_by for face in seen)
    if enlarged:
        yield Finding(FindingCode.ENLARGED, enlarged, enlarged_by)


# --- captions ---------------------------------------------------------------------------------------------------------
class _Prompt(BaseModel):
    """The part of an entry of `midjourney.json` that captions are made of."""

    sha256: str
    prompt: str | None = None
    group_prompt: str | None = None
    truncated: bool = False


class _Prompts(BaseModel):
    images: tuple[_Prompt, ...] = ()


def _details(client: Client) -> dict[str, tuple[str, ...]]:
    """What MidJourney's prompts say of everything but the face, by the hash of the original."""
    path = client.midjourney_file
    prompts = read_record(path, _Prompts).images if path.exists() else ()
    return {prompt.sha256: _details_of(prompt) for prompt in prompts}


def _details_of(prompt: _Prompt) -> tuple[str, ...]:
    """A prompt that was cut off gives way to the one of its job."""
    whole = prompt.prompt if prompt.prompt and not prompt.truncated else prompt.group_prompt
    return details_of(whole or prompt.prompt or "", cut=prompt.truncated and whole in (None, prompt.prompt))


def _entries(client: Client, faces: Iterable[Face], found: Balance, settings: Settings) -> list[_Entry]:
    """Every picture of the dataset with its caption."""
    class_word, details = client.state().class_word, _details(client)
    entries = []
    for face in faces:
        repeats = _repeats(found, face.source)
        if repeats:
            said = details.get(face.sha256, ()) if face.source is Source.MIDJOURNEY else PHOTO_DETAILS
            entries.append(
                _Entry(
                    stem=Path(face.crop).stem, crop=client.processed / face.crop, folder=client.dataset_folder(repeats),
                    picture=_digest(f"{face.sha256} {face.square} {face.settings}"),
                    caption=caption(settings.caption, client.id, class_word, said),
                )
            )  # fmt: skip
    return entries


# --- what lies there --------------------------------------------------------------------------------------------------
class _Item(BaseModel):
    """What was written for one picture; `generated` are the digests of captions of ours, so that any other is the user's."""

    model_config = ConfigDict(frozen=True)

    file: str
    picture: str = ""
    caption: str = ""  # digest of the text beside the picture; empty while it is being written
    generated: tuple[str, ...] = ()


class DatasetInfo(BaseModel):
    """`dataset_info.json` in a folder of the dataset. sd-scripts do not read it."""

    model_config = ConfigDict(frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    client: str
    repeats: int
    images: tuple[_Item, ...] = ()


class EditedCaptions(BaseModel):
    """`metadata/captions.json`: the captions that people wrote, by the stem of the picture."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    captions: dict[str, str] = {}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read_items(folder: Path) -> dict[str, _Item]:
    """What was written into a folder, by the stem of the picture."""
    path = folder / INFO_FILE
    return {Path(item.file).stem: item for item in read_record(path, DatasetInfo).images} if path.exists() else {}


def _read_caption(folder: Path, stem: str) -> str:
    """The text beside a picture, empty where there is none."""
    with contextlib.suppress(FileNotFoundError):
        return (folder / f"{stem}.txt").read_text(encoding="utf-8", errors="replace").strip()
    return ""


def _edited_captions(client: Client) -> dict[str, str]:
    """The captions that people wrote, by the stem of the picture: what lies beside it, else what last did."""
    edited = _stored_captions(client)
    for folder in client.dataset_folders():
        items = _read_items(folder)
        for file in sorted(folder.glob("*.txt")):
            text, item = _read_caption(folder, file.stem), items.get(file.stem)
            if text and not (item and _digest(text) in item.generated):
                edited[file.stem] = text
            else:
                edited.pop(file.stem, None)
    return edited


def _stored_captions(client: Client) -> dict[str, str]:
    path = client.captions_file
    return read_record(path, EditedCaptions).captions if path.exists() else {}


def _keep_edited(client: Client, edited: Mapping[str, str]) -> None:
    """Write down the captions that people wrote, before anything is moved or removed."""
    if edited != _stored_captions(client):
        write_record(client.captions_file, EditedCaptions(captions=dict(sorted(edited.items()))))


def dataset_is_current(client: Client, settings: Settings) -> bool:
    """Whether `prepare_dataset` would change nothing."""
    try:
        faces = _usable(client, settings.distribution)
        entries = _entries(client, faces, _balance_of(faces, settings.distribution), settings)
        edited = _edited_captions(client)
        known = {folder: _read_items(folder) for folder in {entry.folder for entry in entries}}
    except (TooFewPictures, BrokenFile):
        return False
    if any(_strays(client, entries)):
        return False
    return all(_is_current(entry, known[entry.folder].get(entry.stem), edited) for entry in entries)


def _is_current(entry: _Entry, item: _Item | None, edited: Mapping[str, str]) -> bool:
    """Whether a picture and its caption lie there as they should."""
    if item is None or not (entry.folder / f"{entry.stem}.png").is_file():
        return False
    text = edited.get(entry.stem, entry.caption)
    same_text = _read_caption(entry.folder, entry.stem) == text
    return same_text and item == _item(entry, text)


def _item(entry: _Entry, text: str) -> _Item:
    """What the record says of a picture that is in place with this caption."""
    return _Item(file=f"{entry.stem}.png", picture=entry.picture, caption=_digest(text), generated=(_digest(entry.caption),))


def _strays(client: Client, entries: Iterable[_Entry]) -> Generator[Path, None, None]:
    """What we once wrote and no longer want: pictures, captions, caches, and the record of a folder that has no picture left."""
    wanted: dict[Path, set[str]] = {}
    for entry in entries:
        wanted.setdefault(entry.folder, set()).add(entry.stem)
    for folder in client.dataset_folders():
        for path in sorted(folder.iterdir()):
            ours = _OURS.fullmatch(path.name)
            if (ours and ours[1] not in wanted.get(folder, ())) or (path.name == INFO_FILE and folder not in wanted):
                yield path


# --- the stage --------------------------------------------------------------------------------------------------------
def prepare_dataset(client: Client, settings: Settings) -> Generator[Event, None, DatasetReport]:
    """Build the dataset, or change in it what has changed; raises TooFewPictures and BrokenFile.

    Nothing that exists is removed before what takes its place is complete, so a caption that somebody wrote is never lost.
    """
    faces = _usable(client, settings.distribution)
    found = _balance_of(faces, settings.distribution)
    entries = _entries(client, faces, found, settings)
    for folder in client.dataset_folders():
        sweep_parts(folder)
    edited = _edited_captions(client)
    _keep_edited(client, edited)
    yield Progress("dataset", 0, len(entries))
    done = 0
    for folder in sorted({entry.folder for entry in entries}):
        here = [entry for entry in entries if entry.folder == folder]
        repeats = int(folder.name.partition("_")[0])
        items = _announce(client.id, repeats, folder, here, edited)
        for entry in here:
            _place(entry, items[entry.stem], edited.get(entry.stem, entry.caption))
            done += 1
            yield Progress("dataset", done, len(entries), entry.stem)
        _record(client.id, repeats, folder, [_item(entry, edited.get(entry.stem, entry.caption)) for entry in here])
    _remove_strays(client, entries)
    plan = _plan(client, faces, found, settings)
    kept = sum(entry.stem in edited for entry in entries)
    verdict = Verdict.WARNINGS if plan.findings else Verdict.GO
    return DatasetReport(plan.folders, plan.images, plan.share_real, plan.findings, verdict, kept)


def _announce(client_id: str, repeats: int, folder: Path, entries: Iterable[_Entry], edited: Mapping[str, str]) -> dict[str, _Item]:
    """Record what is about to be written: if we are killed, neither old nor new captions of ours are taken for the user's."""
    known = _read_items(folder)
    items = {}
    for entry in entries:
        old = known.get(entry.stem, _Item(file=f"{entry.stem}.png"))
        if not _is_current(entry, old, edited):
            generated = tuple(dict.fromkeys((*old.generated, _digest(entry.caption))))
            old = old.model_copy(update={"picture": "", "caption": "", "generated": generated})
        items[entry.stem] = old
    _record(client_id, repeats, folder, items.values())
    return items


def _record(client_id: str, repeats: int, folder: Path, items: Iterable[_Item]) -> None:
    """Write a folder's record, if it says anything new."""
    path = folder / INFO_FILE
    info = DatasetInfo(client=client_id, repeats=repeats, images=tuple(items))
    if not path.exists() or read_record(path, DatasetInfo) != info:
        write_record(path, info)


def _place(entry: _Entry, item: _Item, text: str) -> None:
    """Put a picture and its caption in place, after removing what the trainer cached of the old ones."""
    if item.picture == entry.picture and item.caption == _digest(text):
        return
    for cache in entry.folder.glob(f"{entry.stem}_*.npz"):
        cache.unlink()
    with replacing(entry.folder / f"{entry.stem}.png") as part:
        try:
            os.link(entry.crop, part)
        except OSError:  # another disk, or a file system without links
            shutil.copyfile(entry.crop, part)
    if _read_caption(entry.folder, entry.stem) != text:
        write_text(entry.folder / f"{entry.stem}.txt", f"{text}\n")


def _remove_strays(client: Client, entries: Iterable[_Entry]) -> None:
    """Remove what is no longer wanted; a folder goes when nothing of the user's is left in it."""
    for path in tuple(_strays(client, entries)):
        path.unlink()
    for folder in client.dataset_folders():
        if not any(folder.iterdir()):
            folder.rmdir()
