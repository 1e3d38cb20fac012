"""Import: a folder of pictures -> unchanged, verified copies among a client's originals, and a record of each.

Pictures are read and copied by a few threads at once, but take their names one after another in the order of the folder, so the
result does not depend on who was faster. A copy is complete and verified before it takes its final name; killed at any instant, the
next run finds the copies that are there and goes on. The folder given is only read.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from client_folder.client import Client
from client_folder.reasons import Rejection
from client_folder.records import Source
from pictures.import_plan import ImportPlan, plan_import
from pictures.import_run import Duplicate, ImportRun, Note, Removal, Sorting, Wishes, read_ahead, take_away, write_tables
from pictures.originals import Originals
from pictures.user_notes import read_told
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

    Raises FolderMissing, NoPictures or BrokenFile. The wishes are those of `Wishes`.
    """
    wishes = Wishes(usernames, master_prompt, split_grids, move)
    return (yield from _import(client, plan_import(given, move=move), Source.MIDJOURNEY, wishes))


def import_photos(client: Client, given: Sequence[Path], *, move: bool = False) -> Generator[Event, None, ImportReport]:
    """Import photos of the real person; raises FolderMissing, NoPictures or BrokenFile."""
    return (yield from _import(client, plan_import(given, move=move), Source.REAL, Wishes(move=move)))


def _import(client: Client, plan: ImportPlan, source: Source, wishes: Wishes) -> Generator[Event, None, ImportReport]:
    for folder in (client.metadata, client.raw_mj, client.raw_real):
        sweep_parts(folder)
    originals = Originals(client)
    read_told(client)  # a broken one is named now, not when all is copied
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
        if wishes.split_grids:
            for path in sorting.split_grids():
                yield Progress(stage, total, total, path.name)
        originals.adopt_strays()
    finally:
        # Whoever stops the import finds what it did in the records; the tables and MidJourney's file follow in the next run.
        sweep_parts(client.raw(source))
        if originals.changed:
            originals.save()
    told = write_tables(run, wishes, sorting.hashes, sorting.texts)
    removals: list[Removal] = []
    for removal in take_away(run, sorting.sources) if wishes.move else ():
        removals.append(removal)
        yield Progress(stage, total, total, removal.path.name)
    return ImportReport(
        tuple(sorting.added), tuple(sorting.duplicates), (*sorting.refused, *told.refused),
        (*sorting.notes, *(note for removal in removals for note in removal.notes)),
        tuple(run.place(grid) for grid in originals.unsplit_grids()), told.prompts, sum(removal.moved for removal in removals),
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
    return (yield from _import(client, nothing, Source.MIDJOURNEY, Wishes(split_grids=True)))
