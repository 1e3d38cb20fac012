"""Import, and the Kohya dataset: a folder of pictures -> verified originals with records; accepted crops -> what sd-scripts reads.

Pictures are read and copied by a few threads at once, but take their names one after another in the order of the folder, so the
result does not depend on who was faster. A copy is complete and verified before it takes its final name; killed at any instant, the
next run finds the copies that are there and goes on. The folder given is only read.

The dataset is built anew only where something changed, and nothing goes before what takes its place is complete.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from client_folder.client import Client
from client_folder.reasons import Rejection
from client_folder.records import Source
from config import Settings
from dataset.doctor import Examination, examine
from dataset.files import edited_captions, keep_edited
from dataset.findings import Finding, Readiness
from dataset.held_back import hold_back
from dataset.kohya_folders import (
    DatasetFolder,
    Selection,
    announce,
    entries_of,
    expel,
    item_of,
    place,
    record_folder,
    remove_strays,
    select_pictures,
    with_tuned,
)
from dataset.photo_captions import describe
from pictures.import_plan import ImportPlan, plan_import
from pictures.import_run import Duplicate, ImportOptions, ImportRun, Note, Removal, Sorting, read_ahead, take_away, write_tables
from pictures.originals import Originals
from pictures.user_notes import read_user_notes
from utils import Event, Progress, sweep_parts

_STAGES = {Source.MIDJOURNEY: "import-mj", Source.REAL: "import-photos"}


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of every picture of the folder: each is in exactly one of the first three."""

    added: tuple[str, ...]  # relative to the client's folder
    duplicates: tuple[Duplicate, ...]
    refused: tuple[Rejection, ...]
    notes: tuple[Note, ...] = ()
    grids: tuple[str, ...] = ()  # originals that are four pictures in one and could be split
    told: int = 0  # prompts read from lists and texts beside the pictures
    moved: int = 0  # pictures that were taken out of the folder given, as asked


def import_midjourney(
    client: Client, given: Sequence[Path], *, usernames: Sequence[str] = (), master_prompt: str | None = None,
    split_grids: bool = False, move: bool = False,
) -> Generator[Event, None, ImportReport]:  # fmt: skip
    """Import MidJourney's pictures and what their names, embedded texts and the lists beside them tell.

    Raises FolderMissing, NoPictures or BrokenFile. The wishes are those of `ImportOptions`.
    """
    options = ImportOptions(usernames, master_prompt, split_grids, move)
    return (yield from _import(client, plan_import(given, move=move), Source.MIDJOURNEY, options))


def import_photos(client: Client, given: Sequence[Path], *, move: bool = False) -> Generator[Event, None, ImportReport]:
    """Import photos of the real person; raises FolderMissing, NoPictures or BrokenFile."""
    return (yield from _import(client, plan_import(given, move=move), Source.REAL, ImportOptions(move=move)))


def _import(client: Client, plan: ImportPlan, source: Source, options: ImportOptions) -> Generator[Event, None, ImportReport]:
    for folder in (client.metadata, client.raw_mj, client.raw_real):
        sweep_parts(folder)
    originals = Originals(client)
    read_user_notes(client)  # a broken one is named now, not when all is copied
    stage, total = _STAGES[source], len(plan.pictures)
    for path in originals.hash_strays():
        yield Progress(stage, 0, total, path.name)
    run = ImportRun(client, plan, source, originals)
    sorting = Sorting(run)
    try:
        with closing(read_ahead(run)) as readings:  # its threads end before what they left half written is swept
            for done, reading in enumerate(readings, 1):
                sorting.sort(reading)
                originals.save_now_and_then()
                yield Progress(stage, done, total, reading.path.name)
        if options.split_grids:
            for path in sorting.split_grids():
                yield Progress(stage, total, total, path.name)
        originals.adopt_strays()
    finally:
        # Whoever stops the import finds what it did in the records; the tables and MidJourney's file follow in the next run.
        sweep_parts(client.raw(source))
        if originals.changed:
            originals.save()
    notes_read = write_tables(run, options, sorting.hashes, sorting.texts)
    removals: list[Removal] = []
    for removal in take_away(run, sorting.sources) if options.move else ():
        removals.append(removal)
        yield Progress(stage, total, total, removal.path.name)
    return ImportReport(
        tuple(sorting.added), tuple(sorting.duplicates), (*sorting.refused, *notes_read.refused),
        (*sorting.notes, *(note for removal in removals for note in removal.notes)),
        tuple(run.place(grid) for grid in originals.unsplit_grids()), notes_read.prompts, sum(one.moved for one in removals),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class GridPlan:
    """The grids of a client that could be split: where they lie, relative to the client's folder."""

    grids: tuple[str, ...]


def plan_grids(client: Client) -> GridPlan:
    """Look for grids whose four pictures are not all here; raises BrokenFile."""
    return GridPlan(tuple(f"{client.raw_mj.name}/{grid.file}" for grid in Originals(client).unsplit_grids()))


def split_grids(client: Client) -> Generator[Event, None, ImportReport]:
    """Make pictures of their own of the parts of each grid; the grids stay. Raises BrokenFile."""
    nothing = ImportPlan(client.raw_mj, (), (), 0, 0, {}, ())
    return (yield from _import(client, nothing, Source.MIDJOURNEY, ImportOptions(split_grids=True)))


# --- the Kohya dataset ------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class DatasetPlan:
    """What `prepare_dataset` would build."""

    folders: tuple[DatasetFolder, ...]
    images: int
    share_real: float
    findings: tuple[Finding, ...]
    exam: tuple[str, ...] = ()  # stems of the photos held back


@dataclass(frozen=True, slots=True)
class DatasetReport:
    """What was built, and what the dataset doctor says of it; `edited` captions are the user's own."""

    folders: tuple[DatasetFolder, ...]
    images: int
    share_real: float
    findings: tuple[Finding, ...]
    examination: Examination
    edited: int
    exam: tuple[str, ...] = ()

    @property
    def verdict(self) -> Readiness:
        """Whether it is good enough to train with: the doctor's word, and nobody else's."""
        return self.examination.verdict


def plan_dataset(client: Client, settings: Settings) -> DatasetPlan:
    """The folders, repeats and share of photos; raises TooFewPictures, and BrokenFile for a record that cannot be read."""
    client = client.snapshot()
    settings = with_tuned(client, settings)
    return _plan_of(client, select_pictures(client, settings.distribution), settings)


def _plan_of(client: Client, choice: Selection, settings: Settings) -> DatasetPlan:
    folders = choice.folders(client)
    findings = tuple(choice.findings(settings, client.state().limits))
    return DatasetPlan(folders, sum(folder.images for folder in folders), choice.balance.share_real, findings, choice.exam.stems)


def prepare_dataset(client: Client, settings: Settings) -> Generator[Event, None, DatasetReport]:
    """Build the dataset, or change in it what has changed; raises TooFewPictures and BrokenFile.

    Nothing that exists is removed before what takes its place is complete, so a caption that somebody wrote is never lost.
    """
    settings = with_tuned(client, settings)
    choice = select_pictures(client, settings.distribution)
    yield from describe(client, settings, choice.faces)
    entries = entries_of(client, choice, settings)
    for folder in client.dataset_folders():
        sweep_parts(folder)
    edited = edited_captions(client)
    keep_edited(client, edited)
    expel(client, choice.exam)
    hold_back(client, choice.exam)
    yield Progress("dataset", 0, len(entries))
    done = 0
    for folder in sorted({entry.folder for entry in entries}):
        here = [entry for entry in entries if entry.folder == folder]
        repeats = int(folder.name.partition("_")[0])
        items = announce(client, repeats, folder, here, edited)
        for entry in here:
            place(entry, items[entry.stem], edited.get(entry.stem, entry.caption))
            done += 1
            yield Progress("dataset", done, len(entries), entry.stem)
        record_folder(client.id, repeats, folder, [item_of(entry, edited.get(entry.stem, entry.caption)) for entry in here])
    remove_strays(client, entries)
    plan = _plan_of(client, choice, settings)
    kept = sum(entry.stem in edited for entry in entries)
    found = examine(client, settings)
    return DatasetReport(plan.folders, plan.images, plan.share_real, plan.findings, found, kept, plan.exam)
