"""Import: a folder of pictures -> unchanged, verified copies among a client's originals, and a record of each.

Pictures are read and copied by a few threads at once, but take their names one after another in the order of the folder, so the
result does not depend on who was faster. A copy is complete and verified before it takes its final name; killed at any instant, the
next run finds the copies that are there and goes on. The folder given is only read.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from archives import Member, extract
from client import Client
from client_records import Picture, Source
from grids import is_grid, may_be_grid, part_names, parts
from import_plan import ImportPlan, name_in, plan_import, rejection
from language import N_, Labelled
from midjourney_records import write_midjourney_file
from originals import Originals
from pictures import EmbeddedText, Header, UnreadablePicture, bears_wrong_ending, inspect, read_header
from prompt_lists import LIST_ENDINGS, BrokenList, TextOf, match, read_list, read_text
from reasons import Reason, Rejection
from told import read_told, write_told
from utils import PART, Event, Progress, sha256_file, sweep_parts

THREADS = 4  # hashing and copying leave Python's lock; more threads only wait for the disk
AHEAD = 4 * THREADS  # pictures read before their turn: enough to keep the threads busy, few enough to keep memory flat
CHUNK_BYTES = 1 << 17
_STAGES = {Source.MIDJOURNEY: "import-mj", Source.REAL: "import-photos"}


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A picture whose content the client has already."""

    file: str  # relative to the folder given
    repeats: str  # the original that has this content, relative to the client's folder
    again: bool = False  # that very file was imported before: nothing to tell the user about


class NoteCode(Labelled):
    """What may be worth knowing of a picture that was imported all the same."""

    WRONG_ENDING = "wrong_ending", N_("imported, though its name promises another kind of file")
    RESTORED = "restored", N_("the client's original had come to harm; it is whole again, from this picture")
    NOT_MOVED = "not_moved", N_("imported, but it could not be taken out of your folder")


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth knowing of a picture that was imported all the same."""

    file: str  # relative to the folder given
    code: NoteCode


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


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a user may ask of an import. `usernames` are MidJourney names of the accounts that made the pictures."""

    usernames: Sequence[str] = ()
    master_prompt: str | None = None
    split_grids: bool = False
    move: bool = False


@dataclass(frozen=True, slots=True)
class _Copy:
    """A picture that was read and copied, and waits for its turn to get a name."""

    header: Header
    text: EmbeddedText
    sha256: str
    part: Path
    grid: bool


@dataclass(frozen=True, slots=True)
class _Reading:
    """A picture on its way: its name in the folder given, and what became of it before or is becoming of it now."""

    path: Path
    name: str
    result: Picture | Future[_Copy]


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
    total = len(plan.pictures)
    for path in originals.hash_strays():
        yield Progress(_STAGES[source], 0, total, path.name)
    run = _Run(client, plan, source, originals)
    try:
        with closing(run.pictures()) as pictures:  # its threads end before what they left half written is swept
            for done, path in enumerate(pictures, 1):
                yield Progress(_STAGES[source], done, total, path.name)
        if wishes.split_grids:
            for path in run.split_grids():
                yield Progress(_STAGES[source], total, total, path.name)
        originals.adopt_strays()
    finally:
        # Whoever stops the import finds what it did in the records; the tables and MidJourney's file follow in the next run.
        sweep_parts(client.raw(source))
        if originals.changed:
            originals.save()
    run.write_tables(wishes)
    if wishes.move:
        for path in run.take_away():
            yield Progress(_STAGES[source], total, total, path.name)
    return run.report()


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


class _Run:
    """One import on its way: what was found so far."""

    def __init__(self, client: Client, plan: ImportPlan, source: Source, originals: Originals) -> None:
        self.client = client
        self.plan = plan
        self.source = source
        self.originals = originals
        self.texts: dict[str, EmbeddedText] = {}
        self._folders = {kind: client.raw(kind).name for kind in Source}
        self._parts = client.raw(source)
        self._added: list[str] = []
        self._duplicates: list[Duplicate] = []
        self._refused = list(plan.refused)
        self._notes: list[Note] = []
        self._hashes: dict[Path, str] = {}  # of every picture of the folder, where there are notes to match or files to move
        self._own: list[
            tuple[Path, Picture]
        ] = []  # pictures that are originals now, where they are to be moved, and those originals
        self._told = self._moved = 0

    def report(self) -> ImportReport:
        grids = tuple(self._place(picture) for picture in self.originals.unsplit_grids())
        return ImportReport(
            tuple(self._added), tuple(self._duplicates), tuple(self._refused), tuple(self._notes), grids, self._told, self._moved
        )

    # --- pictures -----------------------------------------------------------------------------------------------------
    def pictures(self) -> Generator[Path, None, None]:
        """Import every picture of the plan, in its order; yields each when it is done."""
        with ThreadPoolExecutor(THREADS) as pool:
            try:
                for reading in self._read_ahead(pool):
                    self._finish(reading)
                    self.originals.save_now_and_then()
                    yield reading.path
            finally:
                pool.shutdown(cancel_futures=True)

    def _read_ahead(self, pool: ThreadPoolExecutor) -> Iterator[_Reading]:
        """Each picture with what is known of it: the record of an earlier import, or its copy in the making."""
        waiting: deque[_Reading] = deque()
        for number, path in enumerate(self.plan.pictures):
            name, member = name_in(self.plan.folder, path), self.plan.members.get(path)
            known = self._unchanged(path, name, member)
            part = self._parts / f".{number}{PART}"
            with_grids, durable = self.source is Source.MIDJOURNEY, self.plan.move
            waiting.append(_Reading(path, name, known or pool.submit(_copy, path, member, part, with_grids, durable)))
            if len(waiting) > AHEAD:
                yield waiting.popleft()
        yield from waiting

    def _unchanged(self, path: Path, name: str, member: Member | None) -> Picture | None:
        try:
            facts = None if member else path.stat()
        except OSError:
            return None  # gone since it was listed: reading it will say so
        size, modified = (facts.st_size, facts.st_mtime_ns) if facts else (member.size, member.modified) if member else (0, 0)
        return self.originals.find_unchanged(self.source, name, size, modified)

    def _finish(self, reading: _Reading) -> None:
        """Sort a picture into added, duplicate or refused."""
        name = reading.name
        if isinstance(reading.result, Picture):
            self._duplicates.append(Duplicate(name, self._place(reading.result), again=True))
            self._remember(reading.path, reading.result, own=True)
            return
        try:
            copy = reading.result.result()
        except UnreadablePicture as refusal:
            self._refused.append(rejection(self.plan.folder, reading.path, refusal.reason))
            return
        repeated = self.originals.find_content(copy.sha256)
        if repeated:
            if self.originals.restore(repeated, copy.part):
                self._notes.append(Note(name, NoteCode.RESTORED))
            again = (repeated.source, repeated.original) == (self.source, name)
            self._duplicates.append(Duplicate(name, self._place(repeated), again))
            self._remember(reading.path, repeated, own=again)
            return
        picture = self.originals.add(self.source, name, copy.header, copy.sha256, copy.part, grid=copy.grid)
        self.texts[copy.sha256] = copy.text
        self._added.append(self._place(picture))
        self._remember(reading.path, picture, own=True)
        if bears_wrong_ending(name, copy.header.format):
            self._notes.append(Note(name, NoteCode.WRONG_ENDING))

    def _remember(self, path: Path, picture: Picture, *, own: bool) -> None:
        if self.plan.notes or self.plan.move:
            self._hashes[path] = picture.sha256
        if self.plan.move and own and path not in self.plan.members:
            self._own.append((path, picture))

    def _place(self, picture: Picture) -> str:
        return f"{self._folders[picture.source]}/{picture.file}"

    def split_grids(self) -> Iterator[Path]:
        """Make the missing parts of each grid pictures of their own; yields each grid when that is done. The grid stays."""
        for grid in self.originals.unsplit_grids():
            path = self.client.raw(grid.source) / grid.file
            folder = grid.original.rpartition("/")[0]
            for number, (name, picture) in enumerate(zip(part_names(grid.original), parts(path), strict=True)):
                part = self._parts / f".{number}{PART}"
                picture.save(part, "PNG", compress_level=1)
                sha256 = sha256_file(part)
                if self.originals.has_variation(name) or self.originals.find_content(sha256):
                    part.unlink()
                    continue
                original = f"{folder}/{name}" if folder else name
                self._added.append(self._place(self.originals.add(grid.source, original, read_header(part), sha256, part)))
            yield path

    # --- what is told -------------------------------------------------------------------------------------------------
    def write_tables(self, wishes: Wishes) -> None:
        """Bring all that is made of `images.json` and of what the user told up to date, as far as it is not.

        Each file is older than what is made of it, unless a run was ended in between: then it is made again.
        """
        client = self.client
        told = read_told(client).plus(usernames=wishes.usernames, master_prompt=wishes.master_prompt)
        if self.source is Source.MIDJOURNEY:
            found = list(match(self._read_notes(), self._hashes))
            self._told = len(found)
            told = told.plus(
                listed={key: text.text for key, text in found if not text.discord},
                discord={key: text.text for key, text in found if text.discord},
            )
        write_told(client, told)
        sources = [path.stat().st_mtime_ns for path in (client.images_file, client.told_file) if path.exists()]
        tables = (client.images_file.with_suffix(".csv"), client.midjourney_file, client.midjourney_file.with_suffix(".csv"))
        if not all(table.exists() and table.stat().st_mtime_ns >= max(sources) for table in tables):
            self.originals.write_table()
            write_midjourney_file(client, told, self.originals.sorted(), self.texts)

    def _read_notes(self) -> Iterator[tuple[Path, TextOf]]:
        """Every text that a list or text file beside the pictures tells, with the folder of that file."""
        for note in self.plan.notes:
            try:
                if note.suffix.lower() in LIST_ENDINGS:
                    yield from ((note.parent, text) for text in read_list(note))
                elif text := read_text(note):
                    yield note.parent, text
            except BrokenList:
                self._refused.append(rejection(self.plan.folder, note, Reason.LIST_UNREADABLE))

    # --- moving -------------------------------------------------------------------------------------------------------
    def take_away(self) -> Iterator[Path]:
        """Remove each picture that is an original now from the folder given; yields each when that is decided.

        Both files are read once more: a picture that was changed meanwhile stays, and an original that has come to harm since its
        import is made whole from the picture first. The last good copy of anything is never what is removed.
        """
        for path, picture in self._own:
            name = name_in(self.plan.folder, path)
            try:
                if sha256_file(path) == picture.sha256:
                    if not self.originals.is_whole(picture):
                        part = self._parts / f".{picture.file}{PART}"
                        _copy(path, None, part, with_grids=False, durable=True)
                        self.originals.restore(picture, part)
                        self._notes.append(Note(name, NoteCode.RESTORED))
                    path.unlink()
                    self._moved += 1
            except (OSError, UnreadablePicture):
                self._notes.append(Note(name, NoteCode.NOT_MOVED))
            yield path


def _copy(given: Path, member: Member | None, part: Path, with_grids: bool, durable: bool) -> _Copy:
    """Read a picture's header and text and make a verified copy; raises UnreadablePicture, or OSError where writing fails."""
    try:
        header, text, sha256 = _unpack(member, part) if member else _duplicate(given, part)
        # midjourney.com, which writes the job's id into its files, hands out single pictures only; grids come from Discord.
        asked = with_grids and "Job ID:" not in text.description and may_be_grid(given.name, header.width, header.height)
        grid = asked and is_grid(part)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if durable:
        with part.open("rb+") as written:
            os.fsync(written.fileno())
    return _Copy(header, text, sha256, part, grid)


def _unpack(member: Member, part: Path) -> tuple[Header, EmbeddedText, str]:
    """Take a picture out of an archive and read it; what was written is hashed once more."""
    try:
        sha256 = extract(member, part)
        if sha256_file(part) != sha256:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
    except OSError as error:
        error.filename = str(part.parent / Path(member.name).name)
        raise
    header, text = inspect(part, Path(member.name).suffix)
    os.utime(part, ns=(member.modified, member.modified))
    return header, text, sha256


def _duplicate(given: Path, part: Path) -> tuple[Header, EmbeddedText, str]:
    """Read a picture and copy it."""
    header, text = inspect(given)
    times = given.stat()  # before reading: what is changed meanwhile will differ next time
    try:
        shutil.copyfile(given, part)
        sha256 = _verified_hash(given, part)
    except OSError as error:
        part.unlink(missing_ok=True)
        _check_readable(given)
        error.filename = str(part.parent / given.name)  # the system names the part, or nothing; people know the picture
        raise
    os.utime(part, ns=(times.st_atime_ns, times.st_mtime_ns))
    return header, text, sha256


def _verified_hash(given: Path, copy: Path) -> str:
    """The SHA-256 of both files, which are read side by side; raises OSError where they differ.

    Comparing the bytes proves more than a second hash would, and costs a tenth of it.
    """
    digest = hashlib.sha256()
    with given.open("rb", buffering=0) as original, copy.open("rb", buffering=0) as copied:
        while chunk := copied.read(CHUNK_BYTES):
            if original.read(CHUNK_BYTES) != chunk:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            digest.update(chunk)
        if original.read(1):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
    return digest.hexdigest()


def _check_readable(given: Path) -> None:
    """Raise UnreadablePicture where it was the given file that could not be read: a bad card must not end the import."""
    try:
        with given.open("rb", buffering=0) as file:
            while file.read(CHUNK_BYTES):
                pass
    except OSError as error:
        raise UnreadablePicture(Reason.UNREADABLE) from error
