"""Everything known of a client in one .zip: to keep, to hand to the person who asks for it, to go on with on another machine.

Unpacked below `clients/` of another home, the client is there and works. Left out is what tells nothing of the client and would be
of no use elsewhere:

- `.lock`, `.*.lock`, `training/trainer.json`, `training/tensorboard.json`, `training/search.json`: they speak of programs that run
  on this machine;
- `.*.part`: what a killed run left half written, beside the whole file or to be written again;
- `*.npz` beside the pictures of a dataset, or in quarantine with one: latents and texts that sd-scripts has computed, and computes
  again where they are not there;
- `tuning/`: what trials of settings left, to be compared on this machine's card alone; what they found stands in `state.json`;
- `thumbnails/`: small copies of pictures, drawn again for the next sheet.

Links are not followed, for they may lead to anybody's files. They, and whatever else a .zip cannot hold, are named in the report.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from client_folder.client import Client, clients_folder
from client_folder.private import private_folder
from locales.language import N_
from utils import PART, Event, FolderMissing, PipelineError, Progress, free_bytes, replacing, sweep_parts_of

STAGE, CHECK_STAGE = "client-export", "client-check"
ENDING = ".zip"
CHUNK_BYTES = 4 << 20
MB = 1_000_000
_TIME, _ANY_TIME = "%Y-%m-%d_%H%M%S", "????-??-??_??????"
_ENTRY_BYTES = 400  # what a file takes beside its bytes and twice its name: two headers, each with sizes of 64 bits
_CACHE_ENDING = ".npz"
# Worth the time to compress. Pictures, safetensors, sound and video are compressed already, or hold noise.
_TEXT_ENDINGS = frozenset({".json", ".csv", ".txt", ".md", ".log", ".toml", ".srt", ".vtt"})


class NoRoom(PipelineError):
    """Facts: path, needed, free."""

    message = N_("There is no room for {path}: it may need {needed}, and {free} are free.")
    hint = N_("Free some space, or name a folder on another disk.")


class FileThere(PipelineError):
    """Facts: path."""

    message = N_("There is a file {path} already; nothing was written.")
    hint = N_("Name another file, or write over it with --overwrite.")


class AmongClients(PipelineError):
    """Facts: path, folder."""

    message = N_("{path} lies among the clients, in {folder}; nothing was written.")
    hint = N_("Name a place elsewhere: in the folder of a client, an export would be part of the next one.")


@dataclass(frozen=True, slots=True)
class ExportedClient:
    """What was written: the archive, its size and its hash, the files in it, and the links and odd files that it could not take."""

    client: str
    file: Path
    files: int
    bytes: int
    sha256: str
    left_out: tuple[str, ...]  # relative to the client's folder


@dataclass(frozen=True, slots=True)
class _ExportContents:
    """What lies in a client's folder."""

    files: tuple[Path, ...]
    empty: tuple[Path, ...]  # folders with nothing in them, which stages count on
    left_out: tuple[str, ...]
    bytes: int


def exports_folder(home: Path) -> Path:
    """Where an export lies if nobody says otherwise: beside the clients, not among them."""
    return home / "exports"


def export_client(client: Client, to: Path | None = None, *, overwrite: bool = False) -> Generator[Event, None, ExportedClient]:
    """Write a client's folder into one .zip: `to` names it or the folder it goes into. Stopped, it leaves nothing behind.

    Raises ClientBusy, FolderMissing, FileThere unless it may `overwrite`, AmongClients or NoRoom.
    """
    target = archive_place(client, to, f"{client.id}_{datetime.now():{_TIME}}{ENDING}", overwrite)
    if to is None:
        private_folder(exports_folder(client.home))
    with client.lock():
        # What a killed export of this client left here, or where exports lie, may be as large as the client.
        for folder in {exports_folder(client.home), target.parent}:
            for left in folder.glob(f".{client.id}_{_ANY_TIME}{ENDING}*{PART}"):
                left.unlink(missing_ok=True)  # the client is held: no other export of it is at work
        sweep_parts_of(target)
        contents = _look(client)
        _check_room(client, contents, target)
        with replacing(target) as part:
            yield from _pack(client, contents, part)
            digest = yield from _read_back(part)
            size = part.stat().st_size
    return ExportedClient(client.id, target, len(contents.files), size, digest, contents.left_out)


def export_part(client: Client, target: Path, wanted: Callable[[Path], bool]) -> Generator[Event, None, ExportedClient]:
    """Write of a client what is wanted into one .zip, its state always, its LoRAs last: whoever unpacks it has them last too.

    For whoever holds the client, or takes of it what no longer changes: it is not held here. Raises NoRoom.
    """
    private_folder(target.parent)
    contents = _look(client)
    files = [path for path in contents.files if path == client.state_file or wanted(path)]
    files.sort(key=lambda path: path.suffix == ".safetensors" and path.parent == client.models)
    contents = replace(contents, files=tuple(files), empty=(), bytes=sum(path.stat().st_size for path in files))
    _check_room(client, contents, target)
    with replacing(target) as part:
        yield from _pack(client, contents, part)
        digest = yield from _read_back(part)
        size = part.stat().st_size
    return ExportedClient(client.id, target, len(contents.files), size, digest, contents.left_out)


# --- where to ---------------------------------------------------------------------------------------------------------
def archive_place(client: Client, to: Path | None, name: str, overwrite: bool) -> Path:
    """The archive to write, absolute: `to` names it or the folder it goes into under `name`.

    Raises FolderMissing, FileThere or AmongClients.
    """
    place = exports_folder(client.home) / name if to is None else to.expanduser()
    if place.is_dir() or place.suffix.lower() != ENDING:
        place = place / name
    if to is not None and not place.parent.is_dir():
        raise FolderMissing(path=place.parent)
    place = place.parent.resolve() / place.name
    clients = clients_folder(client.home)
    # The same folder whatever its spelling: some systems ignore case, some have other names for it.
    if any(above.exists() and above.samefile(clients) for above in place.parents) or client.root.resolve() in place.parents:
        raise AmongClients(path=place, folder=clients)
    if place.exists() and not overwrite:
        raise FileThere(path=place)
    return place


def _check_room(client: Client, contents: _ExportContents, target: Path) -> None:
    """Raise NoRoom where the archive could not be written whole, whatever the texts shrink to."""
    names = sum(len(str(path.relative_to(client.root)).encode()) for path in (*contents.files, *contents.empty))
    needed = contents.bytes + 2 * names + _ENTRY_BYTES * (len(contents.files) + len(contents.empty))
    free = free_bytes(target.parent)
    if needed > free:
        raise NoRoom(path=target, needed=f"{needed / MB:.1f} MB", free=f"{free / MB:.1f} MB")


# --- what goes in -----------------------------------------------------------------------------------------------------
def _look(client: Client) -> _ExportContents:
    """Every file and empty folder, by name."""
    files, empty, left_out = [], [], []
    of_this_machine = (client.trainer_pid, client.tensorboard_file, client.tuning_run)
    for folder, inside in _walk(client.root, client.tuning):
        if not inside:
            empty.append(folder)
        for path in inside:
            if path.is_symlink() or not (path.is_dir() or path.is_file()) or not _is_text(path.name):
                left_out.append(path.relative_to(client.root).as_posix())
            elif path.name.startswith(".") and path.name.endswith(".lock"):
                continue
            elif path.is_file() and path not in of_this_machine and not _can_be_made_again(client, path):
                files.append(path)
    return _ExportContents(tuple(files), tuple(empty), tuple(left_out), sum(path.stat().st_size for path in files))


def _walk(root: Path, without: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Every folder below but one, without those behind links, and what lies in each; an unreadable one raises."""

    def refuse(error: OSError) -> NoReturn:
        raise error

    for folder, folders, files in os.walk(root, onerror=refuse):
        yield Path(folder), [Path(folder, name) for name in sorted((*folders, *files))]
        folders[:] = sorted(name for name in folders if _is_text(name) and Path(folder, name) != without)


def _is_text(name: str) -> bool:
    """Whether a .zip can hold the name; some systems allow names that are no text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _can_be_made_again(client: Client, path: Path) -> bool:
    if path.parent == client.thumbnails:
        return True
    if path.name.startswith(".") and path.name.endswith(PART):
        return True
    beside_pictures = path.parent.parent in (client.training_data, client.regularisation) or path.parent == client.quarantine
    return path.suffix == _CACHE_ENDING and beside_pictures


# --- writing ----------------------------------------------------------------------------------------------------------
def _pack(client: Client, contents: _ExportContents, part: Path) -> Generator[Event, None, None]:
    done = 0
    with part.open("wb") as file:
        if os.name != "nt":
            part.chmod(0o600)  # all that is known of a person
        with zipfile.ZipFile(file, "w") as archive:  # goes over to ZIP64 by itself where a file or the whole needs it
            for folder in contents.empty:
                archive.writestr(_entry(client, folder), b"")
            for path in contents.files:
                for written in _copy(archive, _entry(client, path), path):
                    done += written
                    yield Progress(STAGE, _mb(min(done, contents.bytes)), _mb(contents.bytes), path.name)
        file.flush()
        os.fsync(file.fileno())  # the client may be erased next


def _entry(client: Client, path: Path) -> zipfile.ZipInfo:
    name = f"{client.id}/{path.relative_to(client.root).as_posix()}"
    entry = zipfile.ZipInfo.from_file(path, name, strict_timestamps=False)
    entry.compress_type = zipfile.ZIP_DEFLATED if path.suffix.lower() in _TEXT_ENDINGS else zipfile.ZIP_STORED
    return entry


def _copy(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> Iterator[int]:
    """Put a file in, piece by piece: the bytes of each, at least one piece a file."""
    with path.open("rb") as source, archive.open(entry, "w") as packed:
        while True:
            chunk = source.read(CHUNK_BYTES)
            packed.write(chunk)
            yield len(chunk)
            if len(chunk) < CHUNK_BYTES:
                return


def _read_back(part: Path) -> Generator[Event, None, str]:
    """The SHA-256 of what was written."""
    digest, done, total = hashlib.sha256(), 0, part.stat().st_size
    with part.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            done += len(chunk)
            yield Progress(CHECK_STAGE, _mb(done), _mb(total))
    return digest.hexdigest()


def _mb(size: int) -> int:
    """Whole megabytes, begun ones too, so that the smallest client has a bar."""
    return -(-size // MB)
