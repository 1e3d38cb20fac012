"""The dataset as Kohya's sd-scripts read it: a folder a repeat count, a caption beside each picture.

Repeats make the balance: a photo that is seen three times for one MidJourney image counts three times. What the user wrote into a
caption stays; what the trainer cached from a picture or caption that has changed goes, for sd-scripts would use it unseen.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from client_folder.client import Client
from client_folder.records import Source, Verdict
from config import DatasetDistribution, Settings, client_limits
from dataset.balance import Balance, balance
from dataset.caption_sources import details
from dataset.captions import caption
from dataset.files import (
    INFO_FILE,
    DatasetInfo,
    Item,
    digest,
    edited_captions,
    link_or_copy,
    read_caption,
    read_items,
)
from dataset.findings import FEW_PICTURES, SHARE_WARNING, Finding, FindingCode
from dataset.held_back import Exam, plan_exam
from dataset.photo_captions import descriptions
from locales.language import N_
from utils import BrokenFile, PipelineError, read_record, replacing, whole_png, write_record, write_text

_OURS = re.compile(r"((?:mj|real)_[0-9a-f]{12})(?:\.png|\.txt|_.*\.npz)")


class TooFewPictures(PipelineError):
    """Facts: found, needed."""

    message = N_("{found} pictures passed; a dataset needs at least {needed}.")
    hint = N_("Import more pictures of the client, or look at the rejected ones, and run process again.")


def with_tuned(client: Client, settings: Settings) -> Settings:
    """The settings with how the dataset is made up for this client, where `tune` found that; raises BrokenFile or ClientMissing."""
    tuned = client.state().tuned
    if tuned is None:
        return settings
    return settings.model_copy(update={"distribution": settings.distribution.model_copy(update=tuned.settings.distribution)})


# --- the plan ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class DatasetFolder:
    """One folder of the dataset: its name, how often each of its pictures is seen in an epoch, how many they are."""

    name: str
    repeats: int
    images: int


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """One picture of the dataset: where it comes from, where it goes, and the caption made for it."""

    stem: str
    crop: Path
    folder: Path
    picture: str  # changes whenever the crop may have changed
    caption: str


@dataclass(frozen=True, slots=True)
class Selection:
    """Which pictures train, which are held back, and how often each is seen."""

    faces: tuple[Verdict, ...]
    exam: Exam
    balance: Balance

    def repeats(self, source: Source) -> int:
        """How often each picture of that source is seen in an epoch; 0: it is left out."""
        return self.balance.repeats_mj if source is Source.MIDJOURNEY else self.balance.repeats_real

    def folders(self, client: Client) -> tuple[DatasetFolder, ...]:
        """The folders of the dataset, by their repeats."""
        counts = [self.repeats(face.source) for face in self.faces if self.repeats(face.source)]
        return tuple(DatasetFolder(client.dataset_folder(many).name, many, counts.count(many)) for many in sorted(set(counts)))

    def findings(self, settings: Settings, own: Mapping[str, float]) -> Generator[Finding, None, None]:
        """What is worth knowing before training, of the pictures and of the photos held back; `own` are the client's limits."""
        seen = [face for face in self.faces if self.repeats(face.source)]
        yield from _findings(seen, self.balance, settings, own)
        yield from _exam_findings(self.exam)


def select_pictures(client: Client, wanted: DatasetDistribution) -> Selection:
    """What trains and what is held back, which is taken away before anything else; raises TooFewPictures."""
    usable = sorted(client.crops(), key=lambda face: face.crop)
    if len(usable) < wanted.min_pictures:
        raise TooFewPictures(found=len(usable), needed=wanted.min_pictures)
    exam = plan_exam(client, usable, wanted)
    held = {*exam.stems, *exam.twins}
    faces = tuple(face for face in usable if Path(face.crop).stem not in held)
    if len(faces) < wanted.min_pictures:
        raise TooFewPictures(found=len(faces), needed=wanted.min_pictures)
    sources = [face.source for face in faces]
    balanced = balance(sources.count(Source.MIDJOURNEY), sources.count(Source.REAL), wanted.share_real, wanted.max_repeats)
    return Selection(faces, exam, balanced)


def _exam_findings(exam: Exam) -> Generator[Finding, None, None]:
    """What is to be said of the photos held back."""
    if exam.stems:
        yield Finding(FindingCode.HELD_BACK, len(exam.stems), exam.scenes)
    elif exam.too_few_scenes:
        yield Finding(FindingCode.EXAM_ONE_SCENE, exam.photos, exam.scenes)
    if exam.twins:
        yield Finding(FindingCode.EXAM_TWINS, len(exam.twins))


def _findings(seen: list[Verdict], found: Balance, settings: Settings, own: Mapping[str, float]) -> Generator[Finding, None, None]:
    """What is worth knowing before training."""
    wanted, enlarged_by = settings.distribution.share_real, client_limits(settings, own).warn_upscale
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


# --- entries ----------------------------------------------------------------------------------------------------------
def entries_of(client: Client, choice: Selection, settings: Settings) -> list[DatasetEntry]:
    """Every picture of the dataset with its caption."""
    class_word, said = client.state().class_word, details(client, choice.faces, settings, descriptions(client, settings))
    entries = []
    for face in choice.faces:
        repeats = choice.repeats(face.source)
        if repeats:
            text = caption(settings.caption, client.id, class_word, said[face.sha256], settings.caption_order)
            entries.append(
                DatasetEntry(
                    stem=Path(face.crop).stem, crop=client.processed / face.crop, folder=client.dataset_folder(repeats),
                    picture=digest(f"{face.sha256} {face.square} {face.angle or ''}"), caption=text,
                )
            )  # fmt: skip
    return entries


# --- what lies there --------------------------------------------------------------------------------------------------------
def dataset_is_current(client: Client, settings: Settings) -> bool:
    """Whether `prepare_dataset` would change nothing."""
    client = client.snapshot()
    try:
        settings = with_tuned(client, settings)
        choice = select_pictures(client, settings.distribution)
        entries = entries_of(client, choice, settings)
        edited = edited_captions(client)
        folders = {entry.folder for entry in entries}
        known = {folder: read_items(client, folder) for folder in folders}
    except (TooFewPictures, BrokenFile):
        return False
    if any(_strays(client, entries)) or not choice.exam.is_held(client):
        return False
    return all(_is_current(entry, known[entry.folder].get(entry.stem), edited) for entry in entries)


def _is_current(entry: DatasetEntry, item: Item | None, edited: Mapping[str, str]) -> bool:
    """Whether a picture and its caption lie there as they should."""
    if item is None or not whole_png(entry.folder / f"{entry.stem}.png"):
        return False
    text = edited.get(entry.stem, entry.caption)
    same_text = read_caption(entry.folder, entry.stem) == text
    return same_text and item == item_of(entry, text)


def item_of(entry: DatasetEntry, text: str) -> Item:
    """What the record says of a picture that is in place with this caption."""
    return Item(file=f"{entry.stem}.png", picture=entry.picture, caption=digest(text), generated=(digest(entry.caption),))


def _strays(client: Client, entries: Iterable[DatasetEntry]) -> Generator[Path, None, None]:
    """What we once wrote and no longer want: pictures, captions, caches, and the record of a folder that has no picture left."""
    wanted: dict[Path, set[str]] = {}
    for entry in entries:
        wanted.setdefault(entry.folder, set()).add(entry.stem)
    for folder in client.dataset_folders():
        for path in sorted(folder.iterdir()):
            ours = _OURS.fullmatch(path.name)
            if ours and ours[1] not in wanted.get(folder, ()):
                yield path
        # Last: without it, captions of ours that a killed run left would be taken for the user's.
        if folder not in wanted and (folder / INFO_FILE).exists():
            yield folder / INFO_FILE


# --- the stage --------------------------------------------------------------------------------------------------------


def expel(client: Client, exam: Exam) -> None:
    """Take photos of the exam out of training before anything is built: a caption that somebody wrote for one is kept already."""
    for stem in (*exam.stems, *exam.twins):
        for folder in client.dataset_folders():
            for path in (folder / f"{stem}.png", folder / f"{stem}.txt", *folder.glob(f"{stem}_*.npz")):
                path.unlink(missing_ok=True)


def announce(
    client: Client, repeats: int, folder: Path, entries: Iterable[DatasetEntry], edited: Mapping[str, str]
) -> dict[str, Item]:
    """Record what is about to be written: if we are killed, neither old nor new captions of ours are taken for the user's."""
    known = read_items(client, folder)
    items = {}
    for entry in entries:
        old = known.get(entry.stem, Item(file=f"{entry.stem}.png"))
        if not _is_current(entry, old, edited):
            generated = tuple(dict.fromkeys((*old.generated, digest(entry.caption))))
            old = old.model_copy(update={"picture": "", "caption": "", "generated": generated})
        items[entry.stem] = old
    record_folder(client.id, repeats, folder, items.values())
    return items


def record_folder(client_id: str, repeats: int, folder: Path, items: Iterable[Item]) -> None:
    """Write a folder's record, if it says anything new."""
    path = folder / INFO_FILE
    info = DatasetInfo(client=client_id, repeats=repeats, images=tuple(items))
    if not path.exists() or read_record(path, DatasetInfo) != info:
        write_record(path, info)


def place(entry: DatasetEntry, item: Item, text: str) -> None:
    """Put a picture and its caption in place, after removing what the trainer cached of the old ones."""
    picture = entry.folder / f"{entry.stem}.png"
    if item.picture == entry.picture and item.caption == digest(text) and whole_png(picture):
        return
    for cache in entry.folder.glob(f"{entry.stem}_*.npz"):
        cache.unlink()
    with replacing(picture) as part:
        link_or_copy(entry.crop, part)
    if read_caption(entry.folder, entry.stem) != text:
        write_text(entry.folder / f"{entry.stem}.txt", f"{text}\n")


def remove_strays(client: Client, entries: Iterable[DatasetEntry]) -> None:
    """Remove what is no longer wanted; a folder goes when nothing of the user's is left in it."""
    for path in tuple(_strays(client, entries)):
        path.unlink()
    for folder in client.dataset_folders():
        if not any(folder.iterdir()):
            folder.rmdir()
