"""Fetching models: what is missing, its size and the room there is; then file by file, resumable, checked by hash.

Each file arrives under a temporary name, grows there over as many runs as it takes, is checked, and only then gets its name: below
the hub's own cache for files of the hub, where other programs find them too, below `models/` for those of a release. What a file
has to be is asked of the hub before it is fetched: its size and SHA-256 at the pinned commit, or git's own hash for a small one.
That a link can be made in the cache, or that a file there is called by its hash, is never relied on.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import threading
import time
import zipfile
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from config import Settings
from locales.language import N_, _
from machine.hub import Meter, Published, fetch_file, lock_of, part_of, published_files, reason_of, target_of
from machine.models import Found, Model, ModelFile, Origin, in_gb, locate, model_named, models_folder
from utils import DiskFull, Event, PipelineError, Progress, free_bytes, sha256_file

STAGE = "preload"
TICK_SECONDS = 0.25
ANSWER_SECONDS = 10.0  # for the first answer: a name server that is not there can keep a program waiting for minutes
JOIN_SECONDS = 2.0  # for a thread that is to stop, and waits for the next bytes
CHUNK = 1 << 20
MB = 1_000_000
_DIGITS_SHOWN = 12  # of a hash, for people
Made = TypeVar("Made")


class HubUnreachable(PipelineError):
    """Facts: model, reason, source, place."""

    message = N_("{model} cannot be downloaded: {reason}")
    hint = N_("Try again with a connection; what has arrived is kept. Or place the files by hand: from {source} into {place}")


class ModelDamaged(PipelineError):
    """Facts: path, expected, found."""

    message = N_("{path} is not the file that was published (its hash begins {found}, published {expected}); it was removed.")
    hint = N_("Run models preload again. If it happens twice, something on the way changes the file.")
    menu_hint = N_("Download it again. If it happens twice, something on the way changes the file.")


class NoRoomForModels(DiskFull):
    """Facts: need, free, folder."""

    message = N_("There is not enough room: {need} to download, {free} free for {folder}.")
    hint = N_("Free some space there and try again; what has arrived is kept.")


class DownloadBusy(PipelineError):
    """Facts: model."""

    message = N_("Another window is downloading {model}.")
    hint = N_("Wait until it has finished, and try again.")


@dataclass(frozen=True, slots=True)
class Room:
    """What has to come onto one disk, and what is free there, in bytes; `folder` is where it goes."""

    folder: Path
    need: int
    free: int


@dataclass(frozen=True, slots=True)
class PreloadPlan:
    """What `models preload` is about to fetch, and the room for it on each disk that it goes to; `folder` is `models/`."""

    models: tuple[Found, ...]  # those with missing files
    here: tuple[str, ...]
    folder: Path
    rooms: tuple[Room, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """What is fetched, as it is called in the table."""
        return tuple(one.model.name for one in self.models)

    @property
    def bytes(self) -> int:
        """What is still to come."""
        return sum(room.need for room in self.rooms)

    @property
    def free(self) -> int:
        """What is free on the disk that is left with least."""
        return min(self.rooms, key=lambda room: room.free - room.need).free if self.rooms else free_bytes(self.folder)

    def check_room(self) -> None:
        """Raises NoRoomForModels where the files do not fit."""
        for room in self.rooms:
            if room.need > room.free:
                raise NoRoomForModels(need=in_gb(room.need), free=in_gb(room.free), folder=room.folder)


@dataclass(frozen=True, slots=True)
class PreloadReport:
    """What came: names of models, and how many files were checked against a hash."""

    fetched: tuple[str, ...]
    here: tuple[str, ...]
    checked: int


def plan_preload(home: Path, settings: Settings, names: Sequence[str]) -> PreloadPlan:
    """What is missing of the named models; raises ModelUnknown."""
    folder = models_folder(home, settings)
    found = [locate(model_named(name), folder) for name in dict.fromkeys(names)]
    missing = tuple(one for one in found if not one.here)
    return PreloadPlan(missing, tuple(one.model.name for one in found if one.here), folder, _rooms(missing, folder))


def _rooms(missing: Sequence[Found], folder: Path) -> tuple[Room, ...]:
    """What goes where, by disk: a file that began to arrive needs its rest only, and what two models share comes once."""
    need: dict[int, tuple[Path, int]] = {}
    for target, size in {target_of(one.model, file, folder): file.bytes for one in missing for file in one.to_fetch}.items():
        disk = next(path for path in target.parents if path.exists()).stat().st_dev
        place, before = need.get(disk, (target.parent, 0))
        need[disk] = (place, before + max(0, size - _arrived(target)))
    return tuple(Room(place, bytes_, free_bytes(place)) for place, bytes_ in need.values())


def _arrived(target: Path) -> int:
    part = part_of(target)
    return part.stat().st_size if part.exists() else 0


def preload(plan: PreloadPlan) -> Generator[Event, None, PreloadReport]:
    """Fetch what is missing; raises HubUnreachable, ModelDamaged, NoRoomForModels or DownloadBusy. Cut off, it goes on."""
    plan.check_room()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # what its retries end in is an error of ours
    checked, tally = 0, _Tally(plan.bytes)
    yield tally.progress()
    for one in plan.models:
        with _held(one.model, plan.folder):
            missing = locate(one.model, plan.folder)  # another window may have fetched it a moment ago
            published = yield from _ask(missing, tally)
            for file in missing.to_fetch:
                yield from _fetch(missing, file, published[file.path], tally, plan.folder)
                checked += 1
            if one.model.archives:
                checked += _unpack(one.model, plan.folder)
    yield Progress(STAGE, tally.total // MB, tally.total // MB)
    return PreloadReport(plan.names, plan.here, checked)


@contextlib.contextmanager
def _held(model: Model, folder: Path) -> Iterator[None]:
    """Hold a model for this program alone, so that no two write to one file; raises DownloadBusy."""
    import filelock

    place = lock_of(model, folder)
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(place, blocking=False):
            yield
    except filelock.Timeout as error:
        raise DownloadBusy(model=model.title) from error


# --- in the background ------------------------------------------------------------------------------------------------
@dataclass(slots=True)
class _Tally:
    """How much has come of all that was planned, in bytes; `files` are those that are whole, `now` is the one under way."""

    total: int
    files: int = 0
    now: int = 0
    item: str = ""

    def progress(self) -> Progress:
        """Where the download is, in MB."""
        done = self.files + self.now
        return Progress(STAGE, done // MB, max(done, self.total) // MB or 1, self.item)


def _in_background(one: Found, work: Callable[[Meter], Made], tally: _Tally) -> Generator[Event, None, Made]:
    """What some work in a thread comes to, saying four times a second how far it is; it may be stopped at any of them."""
    meter = Meter()
    made: list[Made] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            made.append(work(meter))
        except Exception as error:  # noqa: BLE001 - handed over to the thread that waits, below
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    begun = time.monotonic()
    try:
        while thread.is_alive():
            tally.now = meter.arrived
            yield tally.progress()
            thread.join(TICK_SECONDS)
            if not meter.answered.is_set() and time.monotonic() - begun > ANSWER_SECONDS:
                raise _unreachable(one, _("no answer within {seconds:.0f} seconds").format(seconds=ANSWER_SECONDS))
    finally:
        meter.stop.set()
        thread.join(JOIN_SECONDS)
    if failed:
        if isinstance(failed[0], PipelineError) or (isinstance(failed[0], OSError) and failed[0].errno):
            raise failed[0]
        raise _unreachable(one, reason_of(failed[0], one.model)) from failed[0]
    return made[0]


def _unreachable(one: Found, reason: str) -> HubUnreachable:
    return HubUnreachable(model=one.model.title, reason=reason, source=one.model.page, place=one.place)


def _ask(one: Found, tally: _Tally) -> Generator[Event, None, dict[str, Published]]:
    """What the files of a model have to be; raises HubUnreachable, and for what could not be checked too."""
    tally.item = one.model.name
    if one.model.origin is Origin.RELEASE:
        return {file.path: Published(file.bytes, file.sha256) for file in one.to_fetch}

    def ask(meter: Meter) -> dict[str, Published]:
        told = published_files(one.model)
        meter.answered.set()
        return told

    told = yield from _in_background(one, ask, tally)
    for file in one.to_fetch:
        stated = told.get(file.path)
        if stated is None:
            raise _unreachable(one, _("the hub does not have {file}.").format(file=file.path))
        if not stated.sha256 and not stated.git_sha1:
            raise _unreachable(one, _("the hub states no hash of {file}, so that it could not be checked.").format(file=file.path))
        if file.sha256 and stated.sha256 and file.sha256 != stated.sha256:
            raise _unreachable(one, _("the hub offers another {file} than the one that was published.").format(file=file.path))
        tally.total += stated.bytes - file.bytes
    return told


def _fetch(one: Found, file: ModelFile, published: Published, tally: _Tally, folder: Path) -> Generator[Event, None, None]:
    """Fetch a file, or the rest of it, check it and give it its name."""
    target = target_of(one.model, file, folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    tally.item = f"{one.model.name}: {target.name}"

    def fetch(meter: Meter) -> None:
        fetch_file(one.model, file, published, part_of(target), meter)
        _check(part_of(target), published)
        if file.sha256:
            _check(part_of(target), Published(published.bytes, file.sha256))

    begun = _arrived(target)
    if not target.exists():
        yield from _in_background(one, fetch, tally)
        os.replace(part_of(target), target)
    tally.files, tally.now = tally.files + max(0, published.bytes - begun), 0


# --- hashes -----------------------------------------------------------------------------------------------------------
def _check(path: Path, published: Published) -> None:
    """Raises ModelDamaged, and removes the file, where it is not what was published."""
    expected = published.sha256 or published.git_sha1
    found = sha256_file(path) if published.sha256 else _git_sha1(path)
    if found != expected:
        path.unlink(missing_ok=True)
        name = path.name.removesuffix(".download").removeprefix(".")
        raise ModelDamaged(path=name, expected=expected[:_DIGITS_SHOWN], found=found[:_DIGITS_SHOWN])


def _git_sha1(path: Path) -> str:
    """What git calls a file of this content (`git hash-object`); the hub keeps files under some MB in git itself."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    digest.update(path.read_bytes())
    return digest.hexdigest()


def _unpack(model: Model, folder: Path) -> int:
    """Take the files of a model out of its archives, each checked before it has its name; the archives are removed."""
    checked = 0
    for file in model.files:
        target = folder / file.path
        archive = folder / file.member_of
        if target.is_file() or not archive.is_file():
            continue
        part = part_of(target)
        part.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(archive) as packed:
            # Releases pack with or without a folder of the model's name.
            member = next(name for name in packed.namelist() if name.rsplit("/", 1)[-1] == target.name)
            with packed.open(member) as inside, part.open("wb") as out:
                shutil.copyfileobj(inside, out, CHUNK)
        _check(part, Published(0, file.sha256))
        os.replace(part, target)
        checked += 1
    for packed_file in model.archives:
        (folder / packed_file.path).unlink(missing_ok=True)
    return checked
