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

from client import Client, Picture, Reason, Rejection, Source
from midjourney_records import read_midjourney_file, write_midjourney_file
from originals import Originals
from pictures import PICTURE_ENDINGS, RAW_ENDINGS, EmbeddedText, Header, Listing, UnreadablePicture, inspect, survey
from utils import PART, Event, FolderMissing, NoPictures, Progress, sweep_parts

THREADS = 4  # hashing and copying leave Python's lock; more threads only wait for the disk
AHEAD = 4 * THREADS  # pictures read before their turn: enough to keep the threads busy, few enough to keep memory flat
CHUNK_BYTES = 1 << 17
_STAGES = {Source.MIDJOURNEY: "import-mj", Source.REAL: "import-photos"}


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What an import will look at. `bytes` and `raw` are of the pictures; `refused` bears a picture's name in vain."""

    folder: Path
    pictures: tuple[Path, ...]
    refused: tuple[Rejection, ...]
    bytes: int
    raw: int


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A picture whose content the client has already."""

    file: str  # relative to the folder given
    repeats: str  # the original that has this content, relative to the client's folder
    again: bool = False  # that very file was imported before: nothing to tell the user about


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of every picture of the folder: each is in exactly one of the three."""

    added: tuple[str, ...]  # relative to the client's folder
    duplicates: tuple[Duplicate, ...]
    refused: tuple[Rejection, ...]


@dataclass(frozen=True, slots=True)
class _Copy:
    """A picture that was read and copied, and waits for its turn to get a name."""

    header: Header
    text: EmbeddedText
    sha256: str
    part: Path


@dataclass(frozen=True, slots=True)
class _Reading:
    """A picture on its way: its name in the folder given, and what became of it before or is becoming of it now."""

    path: Path
    name: str
    result: Picture | Future[_Copy]


def plan_import(given: Sequence[Path]) -> ImportPlan:
    """Look at folders and single pictures; raises FolderMissing or NoPictures."""
    paths = [path.absolute() for path in given]
    for path in paths:
        if not path.exists():
            raise FolderMissing(path=path)
    listings = [Listing((path,), ()) if path.is_file() else survey(path) for path in paths]
    pictures = tuple(dict.fromkeys(picture for listing in listings for picture in listing.pictures))
    refused = tuple(dict.fromkeys(refusal for listing in listings for refusal in listing.refused))
    if not pictures and not refused:
        raise NoPictures(path=", ".join(map(str, paths)), kinds=" ".join(sorted(PICTURE_ENDINGS)))
    root = Path(os.path.commonpath([path.parent if path.is_file() else path for path in paths]))
    raw = sum(path.suffix.lower() in RAW_ENDINGS for path in pictures)
    refusals = tuple(_rejection(root, path, reason) for path, reason in refused)
    return ImportPlan(root, pictures, refusals, sum(path.stat().st_size for path in pictures), raw)


def import_midjourney(
    client: Client, given: Sequence[Path], *, usernames: Sequence[str] = ()
) -> Generator[Event, None, ImportReport]:
    """Import MidJourney's pictures and what their names and embedded texts tell; raises FolderMissing, NoPictures or BrokenFile.

    `usernames` are MidJourney names of the client's or the studio's accounts: file names begin with them.
    """
    return (yield from _import(client, plan_import(given), Source.MIDJOURNEY, usernames))


def import_photos(client: Client, given: Sequence[Path]) -> Generator[Event, None, ImportReport]:
    """Import photos of the real person; raises FolderMissing, NoPictures or BrokenFile."""
    return (yield from _import(client, plan_import(given), Source.REAL, ()))


def _import(client: Client, plan: ImportPlan, source: Source, usernames: Sequence[str]) -> Generator[Event, None, ImportReport]:
    for folder in (client.metadata, client.raw_mj, client.raw_real):
        sweep_parts(folder)
    originals = Originals(client)
    total = len(plan.pictures)
    for path in originals.hash_strays():
        yield Progress(_STAGES[source], 0, total, path.name)
    run = _Run(client, plan, source, originals)
    try:
        with closing(run.pictures()) as pictures:  # its threads end before what they left half written is swept
            for done, path in enumerate(pictures, 1):
                yield Progress(_STAGES[source], done, total, path.name)
        originals.adopt_strays()
    finally:
        # Whoever stops the import finds what it did in the records; the tables and MidJourney's file follow in the next run.
        sweep_parts(client.raw(source))
        if originals.changed:
            originals.save()
    _write_tables(client, originals, run.texts, usernames)
    return run.report()


class _Run:
    """One import on its way through the pictures of a plan."""

    def __init__(self, client: Client, plan: ImportPlan, source: Source, originals: Originals) -> None:
        self.plan = plan
        self.source = source
        self.originals = originals
        self.texts: dict[str, EmbeddedText] = {}
        self._folders = {kind: client.raw(kind).name for kind in Source}
        self._parts = client.raw(source)
        self._added: list[str] = []
        self._duplicates: list[Duplicate] = []
        self._refused = list(plan.refused)

    def report(self) -> ImportReport:
        return ImportReport(tuple(self._added), tuple(self._duplicates), tuple(self._refused))

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
            name = _name_in(self.plan.folder, path)
            known = self._unchanged(path, name)
            waiting.append(_Reading(path, name, known or pool.submit(_copy, path, self._parts / f".{number}{PART}")))
            if len(waiting) > AHEAD:
                yield waiting.popleft()
        yield from waiting

    def _unchanged(self, path: Path, name: str) -> Picture | None:
        try:
            return self.originals.find_unchanged(self.source, name, path.stat())
        except OSError:
            return None  # gone since it was listed: reading it will say so

    def _finish(self, reading: _Reading) -> None:
        """Sort a picture into added, duplicate or refused."""
        name = reading.name
        if isinstance(reading.result, Picture):
            self._duplicates.append(Duplicate(name, self._place(reading.result), again=True))
            return
        try:
            copy = reading.result.result()
        except UnreadablePicture as refusal:
            self._refused.append(_rejection(self.plan.folder, reading.path, refusal.reason))
            return
        repeated = self.originals.find_content(copy.sha256)
        if repeated:
            copy.part.unlink()
            again = (repeated.source, repeated.original) == (self.source, name)
            self._duplicates.append(Duplicate(name, self._place(repeated), again))
            return
        picture = self.originals.add(self.source, name, copy.header, copy.sha256, copy.part)
        self.texts[copy.sha256] = copy.text
        self._added.append(self._place(picture))

    def _place(self, picture: Picture) -> str:
        return f"{self._folders[picture.source]}/{picture.file}"


def _copy(given: Path, part: Path) -> _Copy:
    """Read a picture's header and text and make a verified copy; raises UnreadablePicture, or OSError where writing fails."""
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
    return _Copy(header, text, sha256, part)


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


def _write_tables(client: Client, originals: Originals, texts: dict[str, EmbeddedText], usernames: Sequence[str]) -> None:
    """Bring all that is made of `images.json` up to date, as far as it is not.

    Each file is older than what is made of it, unless a run was ended in between: then it is made again.
    """
    tables = (client.images_file.with_suffix(".csv"), client.midjourney_file, client.midjourney_file.with_suffix(".csv"))
    fresh = all(table.exists() and table.stat().st_mtime_ns >= client.images_file.stat().st_mtime_ns for table in tables)
    if fresh and not usernames:
        return
    kept = read_midjourney_file(client)
    if fresh and set(usernames) <= set(kept.usernames):
        return
    originals.write_table()
    pictures = [picture for picture in originals.sorted() if picture.source is Source.MIDJOURNEY]
    write_midjourney_file(client, pictures, texts, kept, usernames)


def _rejection(root: Path, path: Path, reason: Reason) -> Rejection:
    return Rejection(file=_readable(str(path)), source=_name_in(root, path), reason=reason)


def _name_in(root: Path, path: Path) -> str:
    """How the user knows a picture: its name, with the folders between it and the one given."""
    # `relative_to` takes four times as long, and an import of what is known already does little else.
    return _readable(str(path)[len(str(root)) :].replace(os.sep, "/").lstrip("/"))


def _readable(name: str) -> str:
    """The name as text that can be written to a file: Linux allows names that are no text at all."""
    return name.encode("utf-8", "replace").decode("utf-8")
