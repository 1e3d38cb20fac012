"""The parts of an import, a duty each: reading pictures ahead, sorting them, writing the tables, taking the given files away.

The stage, `data_preprocessor`, calls them in that order. Threads make the copies; all else happens in the thread that asks.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from client_folder.client import Client
from client_folder.reasons import Reason, Rejection
from client_folder.records import Picture, Source
from locales.language import N_, Labelled
from pictures.archives import Member, extract
from pictures.grids import is_grid, may_be_grid, part_names, parts
from pictures.import_plan import ImportPlan, name_in, rejection
from pictures.listing import bears_wrong_ending
from pictures.midjourney_records import midjourney_file_is_current, write_midjourney_file
from pictures.originals import Originals
from pictures.picture_file import EmbeddedText, Header, UnreadablePicture, inspect, read_header
from pictures.prompt_lists import LIST_ENDINGS, BrokenList, TextOf, match, read_list, read_text
from pictures.user_notes import read_user_notes, write_user_notes
from utils import PART, sha256_file

THREADS = 4  # hashing and copying leave Python's lock; more threads only wait for the disk
AHEAD = 4 * THREADS  # pictures read before their turn: enough to keep the threads busy, few enough to keep memory flat
CHUNK_BYTES = 1 << 17


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
class ImportOptions:
    """What a user may ask of an import. `usernames` are MidJourney names of the accounts that made the pictures."""

    usernames: Sequence[str] = ()
    master_prompt: str | None = None
    split_grids: bool = False
    move: bool = False


@dataclass(frozen=True, slots=True)
class ImportRun:
    """One import: what is imported, and for whom. The client is locked by the caller."""

    client: Client
    plan: ImportPlan
    source: Source
    originals: Originals

    def part(self, name: str | int) -> Path:
        """Where a copy is written until it is whole; a sweep of the folder of originals finds it."""
        return self.client.raw(self.source) / f".{name}{PART}"

    def place(self, picture: Picture) -> str:
        """Where an original lies, relative to the client's folder."""
        return f"{self.client.raw(picture.source).name}/{picture.file}"


# --- reading ahead ----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class PictureCopy:
    """A picture that was read and copied, and waits for its turn to get a name."""

    header: Header
    text: EmbeddedText
    sha256: str
    part: Path
    grid: bool


@dataclass(frozen=True, slots=True)
class PendingPicture:
    """A picture on its way: its name in the folder given, and what became of it before or is becoming of it now."""

    path: Path
    name: str
    result: Picture | Future[PictureCopy]


def read_ahead(run: ImportRun) -> Generator[PendingPicture, None, None]:
    """Each picture of the plan, in its order, with the record of an earlier import or its copy in the making.

    Closed before its end it begins no further copies and returns when those that were begun have ended.
    """
    waiting: deque[PendingPicture] = deque()
    with_grids, durable = run.source is Source.MIDJOURNEY, run.plan.move
    with ThreadPoolExecutor(THREADS) as pool:
        try:
            for number, path in enumerate(run.plan.pictures):
                name, member = name_in(run.plan.folder, path), run.plan.members.get(path)
                known = _unchanged(run, path, name, member)
                result = known or pool.submit(copy_picture, path, member, run.part(number), with_grids, durable)
                waiting.append(PendingPicture(path, name, result))
                if len(waiting) > AHEAD:
                    yield waiting.popleft()
            yield from waiting
        finally:
            pool.shutdown(cancel_futures=True)


def _unchanged(run: ImportRun, path: Path, name: str, member: Member | None) -> Picture | None:
    """The record of an earlier import of this very file, where neither its size nor its time differ."""
    if member:
        return run.originals.find_unchanged(run.source, name, member.size, member.modified)
    try:
        facts = path.stat()
    except OSError:
        return None  # gone since it was listed: reading it will say so
    return run.originals.find_unchanged(run.source, name, facts.st_size, facts.st_mtime_ns)


def copy_picture(given: Path, member: Member | None, part: Path, with_grids: bool, durable: bool) -> PictureCopy:
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
    return PictureCopy(header, text, sha256, part, grid)


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
        raise UnreadablePicture(Reason.OUT_OF_REACH) from error


# --- sorting ----------------------------------------------------------------------------------------------------------
class Sorting:
    """Gives every picture its place: a new original, a duplicate, or refused; remembers what the tables and a move need of it."""

    def __init__(self, run: ImportRun) -> None:
        self.added: list[str] = []  # relative to the client's folder
        self.duplicates: list[Duplicate] = []
        self.refused: list[Rejection] = list(run.plan.refused)
        self.notes: list[Note] = []
        self.texts: dict[str, EmbeddedText] = {}  # of the new originals, by SHA-256
        self.hashes: dict[Path, str] = {}  # of every picture of the folder given, where there are lists to match with them
        self.sources: list[tuple[Path, Picture]] = []  # the given files that may be taken away, each with its original
        self._run = run

    def sort(self, reading: PendingPicture) -> None:
        """Decide about one picture, waiting for its copy; raises OSError where that could not be written."""
        run, originals = self._run, self._run.originals
        if isinstance(reading.result, Picture):
            self._repeat(reading, reading.result, again=True)
            return
        try:
            copy = reading.result.result()
        except UnreadablePicture as refusal:
            self.refused.append(rejection(run.plan.folder, reading.path, refusal.reason))
            return
        if repeated := originals.find_content(copy.sha256):
            if originals.restore(repeated, copy.part):
                self.notes.append(Note(reading.name, NoteCode.RESTORED))
            self._repeat(reading, repeated, again=(repeated.source, repeated.original) == (run.source, reading.name))
            return
        picture = originals.add(run.source, reading.name, copy.header, copy.sha256, copy.part, grid=copy.grid)
        self.texts[copy.sha256] = copy.text
        self.added.append(run.place(picture))
        self._remember(reading.path, picture, is_source=True)
        if bears_wrong_ending(reading.name, copy.header.format):
            self.notes.append(Note(reading.name, NoteCode.WRONG_ENDING))

    def split_grids(self) -> Iterator[Path]:
        """Make the missing parts of each grid pictures of their own; yields each grid when that is done. The grid stays."""
        run, originals = self._run, self._run.originals
        for grid in originals.unsplit_grids():
            path = run.client.raw(grid.source) / grid.file
            folder = grid.original.rpartition("/")[0]
            for number, (name, picture) in enumerate(zip(part_names(grid.original), parts(path), strict=True)):
                part = run.part(number)
                picture.save(part, "PNG", compress_level=1)
                sha256 = sha256_file(part)
                if originals.has_variation(name) or originals.find_content(sha256):
                    part.unlink()
                    continue
                original = f"{folder}/{name}" if folder else name
                self.added.append(run.place(originals.add(grid.source, original, read_header(part), sha256, part)))
            yield path

    def _repeat(self, reading: PendingPicture, original: Picture, *, again: bool) -> None:
        self.duplicates.append(Duplicate(reading.name, self._run.place(original), again))
        self._remember(reading.path, original, is_source=again)

    def _remember(self, path: Path, original: Picture, *, is_source: bool) -> None:
        """`is_source`: the original was made of that very file."""
        plan = self._run.plan
        if plan.notes:
            self.hashes[path] = original.sha256
        if plan.move and is_source and path not in plan.members:
            self.sources.append((path, original))


# --- tables -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class NotesRead:
    """How many prompts the lists and texts beside the pictures told, and which of those files cannot be read."""

    prompts: int = 0
    refused: tuple[Rejection, ...] = ()


def write_tables(
    run: ImportRun, options: ImportOptions, hashes: Mapping[Path, str], texts: Mapping[str, EmbeddedText]
) -> NotesRead:
    """Bring all that is made of `images.json` and of what the user told up to date, as far as it is not.

    `hashes` are the SHA-256 of the pictures given, `texts` the embedded texts of new originals by SHA-256. What was made of other
    records than those that lie there, as after a run that was ended in between, is made again.
    """
    client = run.client
    user_notes = read_user_notes(client).plus(usernames=options.usernames, master_prompt=options.master_prompt)
    prompts, refused = 0, list[Rejection]()
    if run.source is Source.MIDJOURNEY:
        found = list(match(_read_notes(run.plan, refused), hashes))
        prompts = len(found)
        user_notes = user_notes.plus(
            listed={key: text.text for key, text in found if not text.discord},
            discord={key: text.text for key, text in found if text.discord},
        )
    write_user_notes(client, user_notes)
    tables = (client.images_file.with_suffix(".csv"), client.midjourney_file.with_suffix(".csv"))
    if not (midjourney_file_is_current(client) and all(table.exists() for table in tables)):
        run.originals.write_table()
        write_midjourney_file(client, user_notes, run.originals.sorted(), texts)
    return NotesRead(prompts, tuple(refused))


def _read_notes(plan: ImportPlan, refused: list[Rejection]) -> Iterator[tuple[Path, TextOf]]:
    """Every text of a list or text file beside the pictures, with that file's folder; a broken file is added to `refused`."""
    for note in plan.notes:
        try:
            if note.suffix.lower() in LIST_ENDINGS:
                yield from ((note.parent, text) for text in read_list(note))
            elif text := read_text(note):
                yield note.parent, text
        except BrokenList:
            refused.append(rejection(plan.folder, note, Reason.LIST_UNREADABLE))


# --- taking away ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Removal:
    """What was decided about a given file that is an original now."""

    path: Path
    moved: bool
    notes: tuple[Note, ...]


def take_away(run: ImportRun, sources: Sequence[tuple[Path, Picture]]) -> Iterator[Removal]:
    """Remove each given file of which an original was made; yields each when that is decided.

    Both files are read once more: a picture that was changed meanwhile stays, and an original that has come to harm since its
    import is made whole from the picture first. The last good copy of anything is never what is removed.
    """
    for path, original in sources:
        name = name_in(run.plan.folder, path)
        moved, codes = False, []
        try:
            if sha256_file(path) == original.sha256:
                if not run.originals.is_whole(original):
                    part = run.part(original.file)
                    copied = copy_picture(path, None, part, with_grids=False, durable=True)
                    if copied.sha256 != original.sha256:  # it was changed since it was hashed, a moment ago
                        part.unlink()
                        raise UnreadablePicture(Reason.UNREADABLE)
                    run.originals.restore(original, part)
                    codes.append(NoteCode.RESTORED)
                path.unlink()
                moved = True
        except (OSError, UnreadablePicture):
            codes.append(NoteCode.NOT_MOVED)
        yield Removal(path, moved, tuple(Note(name, code) for code in codes))
