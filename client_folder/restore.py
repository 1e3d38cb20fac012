"""A client's export taken in again, here or on another machine: what `export` wrote becomes a client.

An archive may come from anybody, so nothing of it is believed: every name is checked before a byte is written (no path that leads
out of the folder, no link, no name twice), what it claims to hold is bounded by the disk and by what packing can do, every checksum
is read, and the folder gets its final name only when it is whole. Killed before, it leaves `clients/.incoming/ID`, which the next
try sweeps away.

A client that is here already is refused, unless it is the same one (its state tells when it was created) and is to be brought up
to date: then what was made elsewhere is added, in `models`, `samples`, `output` and `training` alone, and what differs here is kept
unless it may be overwritten. Under another id, what was made for the old trigger word stays out: the dataset, its LoRAs, their
pictures.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
import zipfile
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from client_folder.client import Client, ClientExists, clients_folder, list_clients
from client_folder.export import CHUNK_BYTES, MB, NoRoom
from client_folder.names import check_client_id
from client_folder.private import private_folder
from client_folder.sync import sync_all
from client_folder.zip_index import zip_index_bytes
from locales.language import N_, _
from utils import BrokenFile, Event, FolderMissing, PipelineError, Progress, free_bytes, replacing, sync_folder

STAGE = "client-import"
INCOMING = ".incoming"  # no name of a client, and nothing in it is found by `list_clients`
MAX_ENTRIES = 200_000
MAX_INDEX_BYTES = 64 << 20  # of the list of entries, which is read whole: 300 bytes for each of so many
MAX_RATIO = 100  # unpacked to packed, of the whole archive: pictures and LoRAs are stored as they are, only texts pack tenfold
_SMALL_BYTES = 64 << 20  # so much may be packed as far as it likes
_RESERVE_BYTES = 256 << 20  # of the disk, left free
_LOCKED = 0x1  # flag of an entry that wants a password
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\]")
_UNSAFE_ON_WINDOWS = re.compile(r'[<>:"|?*]|[ .]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.IGNORECASE)
RESULTS = ("models", "samples", "output", "training")  # folders that training and painting fill
_OF_THE_TRIGGER_WORD = (*RESULTS, "training_data")


class NotAnExport(PipelineError):
    """Facts: path, reason."""

    message = N_("{path} is no export of a client, or not a whole one: {reason}")
    hint = N_("Nothing was changed. Copy the file again, or make it anew where it came from with: client export ID")


class OtherClient(PipelineError):
    """Facts: client, file."""

    message = N_('The client "{client}" here is not the one in {file}: they only have the same name.')
    hint = N_("Nothing was changed. Take it in under another name with: client import FILE.zip --as ID")


class ClientHere(ClientExists):
    """Facts: client."""

    hint = N_(
        "To add what was trained and painted elsewhere: client import FILE.zip --update. To have it beside the other, under "
        "another name: client import FILE.zip --as ID"
    )


@dataclass(frozen=True, slots=True)
class RestoredClient:
    """What came of an export: files added, `kept` as they are here though the archive's differ, `left_out` under another id."""

    client: Client
    files: int
    bytes: int
    updated: bool = False  # the client was here before
    kept: tuple[str, ...] = ()
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class _Contents:
    """The archive's entries by their path below the client's folder, all of them checked."""

    client: str
    files: dict[PurePosixPath, zipfile.ZipInfo]
    folders: tuple[PurePosixPath, ...]

    def without(self, tops: Sequence[str]) -> _Contents:
        """The same without what lies in these folders of the client."""
        files = {path: entry for path, entry in self.files.items() if path.parts[0] not in tops}
        return _Contents(self.client, files, tuple(path for path in self.folders if path.parts[0] not in tops))


def restore_client(
    home: Path, file: Path, name: str = "", *, update: bool = False, overwrite: bool = False
) -> Generator[Event, None, RestoredClient]:
    """Take an export in, under its own id or another `name`; `update` one that is here. Stopped, it leaves the client as it was.

    Raises FolderMissing, NotAnExport, BadClientId, ClientHere, OtherClient, ClientBusy or NoRoom.
    """
    if not file.is_file():
        raise FolderMissing(path=file)
    with _open(file) as archive:
        contents = _check(file, archive)
        client_id = check_client_id(name or contents.client)
        here = next((client for client in list_clients(home) if client.id.lower() == client_id.lower()), None)
        if here and not update:
            raise ClientHere(client=here.id)
        if here:
            return (yield from _bring_up_to_date(here, file, archive, contents, overwrite))
        return (yield from _unpack_new(home, client_id, file, archive, contents))


# --- looking ----------------------------------------------------------------------------------------------------------
def _open(file: Path) -> zipfile.ZipFile:
    try:
        if zip_index_bytes(file) > MAX_INDEX_BYTES:
            raise NotAnExport(path=file, reason=_("it lists too much"))
        return zipfile.ZipFile(file)
    except _DAMAGE as error:
        raise NotAnExport(path=file, reason=str(error)) from error


def _check(file: Path, archive: zipfile.ZipFile) -> _Contents:
    """What the archive holds, if every entry of it may be written below one folder; raises NotAnExport."""
    entries = archive.infolist()
    size, packed = sum(entry.file_size for entry in entries), file.stat().st_size
    if len(entries) > MAX_ENTRIES or size > max(_SMALL_BYTES, MAX_RATIO * packed):
        raise NotAnExport(path=file, reason=f"{len(entries)} files, {size / MB:.1f} MB")
    files: dict[PurePosixPath, zipfile.ZipInfo] = {}
    folders, tops = [], set()
    for entry in entries:
        if not _may_be_written(entry):
            raise NotAnExport(path=file, reason=entry.filename)
        top, *inside = PurePosixPath(entry.filename).parts
        path = PurePosixPath(*inside)
        tops.add(top)
        if entry.is_dir():
            folders += [path] if inside else []
        elif not inside or path in files:
            raise NotAnExport(path=file, reason=entry.filename)
        else:
            files[path] = entry
    if len(tops) != 1 or PurePosixPath("state.json") not in files:
        raise NotAnExport(path=file, reason="state.json")
    return _Contents(tops.pop(), files, tuple(folders))


def _may_be_written(entry: zipfile.ZipInfo) -> bool:
    """Whether an entry is a plain file or folder with a name that stays below the folder it is unpacked into, on this system."""
    parts = entry.filename.removesuffix("/").split("/")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or entry.flag_bits & _LOCKED:
        return False
    if any(part in ("", ".", "..") or _UNSAFE.search(part) for part in parts):
        return False
    return sys.platform != "win32" or not any(_UNSAFE_ON_WINDOWS.search(part) for part in parts)


def _check_room(target: Path, contents: _Contents) -> int:
    """The bytes that will be written; raises NoRoom where the disk would be full."""
    needed, free = sum(entry.file_size for entry in contents.files.values()), free_bytes(target)
    if needed + _RESERVE_BYTES > free:
        raise NoRoom(path=target, needed=f"{needed / MB:.1f} MB", free=f"{free / MB:.1f} MB")
    return needed


# --- a client that is not here ----------------------------------------------------------------------------------------
def _unpack_new(
    home: Path, client_id: str, file: Path, archive: zipfile.ZipFile, contents: _Contents
) -> Generator[Event, None, RestoredClient]:
    target = clients_folder(home) / client_id
    wanted = contents if client_id == contents.client else contents.without(_OF_THE_TRIGGER_WORD)
    size = _check_room(target, wanted)
    with _incoming(home, client_id) as place:
        whole = place / client_id
        for folder in (PurePosixPath(), *wanted.folders):
            (whole / folder).mkdir(parents=True, exist_ok=True)
        done = 0
        for path, entry in wanted.files.items():
            for written in _extract(file, archive, entry, whole / path):
                done += written
                yield Progress(STAGE, _mb(done), _mb(size), path.name)
        _check_state(file, whole)
        _bring_to_disk(whole)  # what has its final name is on the disk: nobody would import it a second time
        try:
            whole.rename(target)
        except OSError as error:  # somebody made a client of that name meanwhile
            raise ClientHere(client=client_id) from error
        sync_folder(target.parent)
    return RestoredClient(Client(target), len(wanted.files), size, left_out=len(contents.files) - len(wanted.files))


def _bring_to_disk(root: Path) -> None:
    """Wait until every file and folder below is on the disk."""
    inside = [root, *root.rglob("*")]
    sync_all((path for path in inside if path.is_file()), (path for path in inside if path.is_dir()))


@contextmanager
def _incoming(home: Path, client_id: str) -> Iterator[Path]:
    """An empty folder for what arrives under this id, held for this program alone and gone afterwards. Raises ClientBusy."""
    holder = Client(clients_folder(home) / INCOMING / client_id)
    private_folder(clients_folder(home))
    holder.root.mkdir(parents=True, exist_ok=True)
    with holder.lock():
        place = holder.root / "whole"
        shutil.rmtree(place, ignore_errors=True)  # of a run that was killed
        place.mkdir()
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)
            with suppress(OSError):  # Windows removes no file that is held: an empty one stays there
                holder.lock_file.unlink(missing_ok=True)
                holder.root.rmdir()
                holder.root.parent.rmdir()


def _check_state(file: Path, root: Path) -> str:
    """When the client in this folder was created; raises NotAnExport where its state says no such thing."""
    try:
        return Client(root).state().created
    except BrokenFile as error:
        raise NotAnExport(path=file, reason=f"state.json: {error.facts['reason']}") from error


def _extract(file: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> Generator[int, None, None]:
    """Write one entry, piece by piece: the bytes of each, at least one piece a file. No file that is there is written over."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(entry) as packed, target.open("xb") as written:
            while True:
                chunk = packed.read(CHUNK_BYTES)
                written.write(chunk)
                yield len(chunk)
                if len(chunk) < CHUNK_BYTES:
                    return
    except (*_DAMAGE, FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise NotAnExport(path=file, reason=entry.filename) from error


# --- a client that is here --------------------------------------------------------------------------------------------
def _bring_up_to_date(
    client: Client, file: Path, archive: zipfile.ZipFile, contents: _Contents, overwrite: bool
) -> Generator[Event, None, RestoredClient]:
    """The same for a client that nobody holds yet; raises ClientBusy."""
    with client.lock():
        return (yield from _add_results(client, file, archive, contents, overwrite))


def add_results(client: Client, file: Path) -> Generator[Event, None, RestoredClient]:
    """Add to a client that the caller holds what another machine made of it; what differs is replaced.

    Raises NotAnExport, OtherClient or NoRoom.
    """
    with _open(file) as archive:
        return (yield from _add_results(client, file, archive, _check(file, archive), overwrite=True))


def _add_results(
    client: Client, file: Path, archive: zipfile.ZipFile, contents: _Contents, overwrite: bool
) -> Generator[Event, None, RestoredClient]:
    """Add what was trained and painted elsewhere; each file gets its name when it is whole."""
    _check_same(client, file, archive, contents)
    results = {path: entry for path, entry in contents.files.items() if path.parts[0] in RESULTS}
    linked = {path for path in results if any((client.root / above).is_symlink() for above in path.parents)}
    differing = {path for path, entry in results.items() if path not in linked and _differs(client.root / path, entry)}
    new = {path: entry for path, entry in results.items() if path not in linked and not os.path.lexists(client.root / path)}
    if overwrite:
        new |= {path: results[path] for path in sorted(differing)}
    size = _check_room(client.root, _Contents(client.id, new, ()))
    done = 0
    for path, entry in new.items():
        with replacing(client.root / path) as part:
            part.unlink(missing_ok=True)  # what a killed run left
            for written in _extract(file, archive, entry, part):
                done += written
                yield Progress(STAGE, _mb(done), _mb(size), path.name)
    kept = tuple(sorted(path.as_posix() for path in (linked if overwrite else linked | differing)))
    return RestoredClient(client, len(new), size, updated=True, kept=kept)


def _check_same(client: Client, file: Path, archive: zipfile.ZipFile, contents: _Contents) -> None:
    """Raise OtherClient where a client here was created at another time, NotAnExport where the state cannot be read."""
    with _incoming(client.home, client.id) as place:
        for _written in _extract(file, archive, contents.files[PurePosixPath("state.json")], place / "state.json"):
            pass
        created = _check_state(file, place)
    if created != client.state().created or contents.client != client.id:
        raise OtherClient(client=client.id, file=file.name)


def _differs(path: Path, entry: zipfile.ZipInfo) -> bool:
    """Whether a file is here with other bytes; a folder or link of that name counts as one."""
    if not os.path.lexists(path):
        return False
    if path.is_symlink() or not path.is_file() or path.stat().st_size != entry.file_size:
        return True
    checksum = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            checksum = zlib.crc32(chunk, checksum)
    return checksum != entry.CRC


def _mb(size: int) -> int:
    return -(-size // MB)
