"""A .zip of pictures, read without unpacking it: what it holds, and one member at a time into a file whose name the caller chooses.

A member's own name is never used as a path, so nothing can be written elsewhere. What an archive claims is bounded before it is
believed: how many members, how much in all, how much of one, and how far that was packed.
"""

from __future__ import annotations

import calendar
import hashlib
import stat
import threading
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from client_folder.reasons import Reason
from client_folder.zip_index import zip_index_bytes
from pictures.listing import ARCHIVE_ENDING, bears_picture_name, bears_video_name
from pictures.picture_file import UnreadablePicture

try:
    from lzma import LZMAError
except ImportError:  # a Python built without it, whose zipfile refuses such members by itself
    LZMAError = zipfile.BadZipFile  # type: ignore[misc, assignment]

MAX_MEMBERS = 20_000  # MidJourney packs a few hundred at a time
MAX_INDEX_BYTES = 16 << 20  # of the list of members, which is read whole
MAX_ARCHIVE_BYTES = 64 << 30  # unpacked
MAX_MEMBER_BYTES = 2 << 30  # a picture of 200 megapixels in 16 bits takes 1.2 GB
MAX_RATIO = 200  # pictures are packed already; the rare plain BMP or TIFF of one colour packs a hundredfold
CHUNK_BYTES = 1 << 17
_LOCKED = 0x1  # flag of a member that wants a password
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, LZMAError, EOFError, NotImplementedError, RuntimeError, ValueError, OSError, MemoryError,
)  # fmt: skip
_threads = threading.local()  # the archive each thread has open: opening one reads its whole list of members


@dataclass(frozen=True, slots=True)
class Member:
    """A picture in an archive."""

    archive: Path
    name: str  # as the archive spells it
    size: int
    modified: int  # ns, in whatever time zone the packer lived: only compared with itself


@dataclass(frozen=True, slots=True)
class ArchiveContents:
    """What an archive holds: pictures by their endings in the order of names, and what cannot be used."""

    pictures: tuple[Member, ...] = ()
    refused: tuple[tuple[str, Reason], ...] = ()  # the member's name; empty where it is the archive itself


def list_archive(path: Path) -> ArchiveContents:
    """Every picture in an archive; nothing raises: an archive that is none is refused like a picture that is none."""
    try:
        if zip_index_bytes(path) > MAX_INDEX_BYTES:
            return ArchiveContents(refused=(("", Reason.ARCHIVE_TOO_LARGE),))
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    except _DAMAGE:
        return ArchiveContents(refused=(("", Reason.ARCHIVE_DAMAGED),))
    if len(entries) > MAX_MEMBERS or sum(entry.file_size for entry in entries) > MAX_ARCHIVE_BYTES:
        return ArchiveContents(refused=(("", Reason.ARCHIVE_TOO_LARGE),))
    return _sort(path, entries)


def _sort(path: Path, entries: Sequence[zipfile.ZipInfo]) -> ArchiveContents:
    pictures: list[Member] = []
    refused: list[tuple[str, Reason]] = []
    seen: set[str] = set()
    for entry in sorted(entries, key=_order):
        name = PurePosixPath(entry.filename.replace("\\", "/"))
        if name.name.startswith("._") or "__MACOSX" in name.parts:
            continue
        if reason := _refusal(entry, name):
            refused.append((entry.filename, reason))
        elif bears_picture_name(name.name) and entry.filename not in seen:
            seen.add(entry.filename)
            pictures.append(Member(path, entry.filename, entry.file_size, _modified(entry)))
    return ArchiveContents(tuple(pictures), tuple(refused))


def _order(entry: zipfile.ZipInfo) -> tuple[tuple[str, ...], str, str]:
    """As in a folder: "x.png" before its copy "x (1).png"."""
    name = PurePosixPath(entry.filename)
    return name.parent.parts, name.stem, name.suffix


def _refusal(entry: zipfile.ZipInfo, name: PurePosixPath) -> Reason | None:
    """Why a member is not read at all; None for a picture, and for what nobody asked for."""
    if bears_video_name(name.name):
        return Reason.ANIMATED
    if name.suffix.lower() == ARCHIVE_ENDING:
        return Reason.ARCHIVE_INSIDE
    if not bears_picture_name(name.name):
        return None
    if name.is_absolute() or ".." in name.parts or ":" in name.parts[0] or stat.S_ISLNK(entry.external_attr >> 16):
        return Reason.LINK_OUTSIDE
    if entry.flag_bits & _LOCKED:
        return Reason.ARCHIVE_LOCKED
    if entry.file_size > MAX_MEMBER_BYTES or entry.file_size > MAX_RATIO * max(entry.compress_size, 1 << 10):
        return Reason.ARCHIVE_TOO_LARGE
    return None


def _modified(entry: zipfile.ZipInfo) -> int:
    try:
        return calendar.timegm(entry.date_time) * 10**9
    except ValueError:
        return 0


def extract(member: Member, target: Path) -> str:
    """Unpack one member into `target` and return the SHA-256 of what was written; raises UnreadablePicture, or OSError.

    Never writes more than the member's stated size; its checksum is checked on the way.
    """
    digest = hashlib.sha256()
    with target.open("wb") as written:
        for chunk in _chunks(member):
            written.write(chunk)
            digest.update(chunk)
    return digest.hexdigest()


def _chunks(member: Member) -> Iterator[bytes]:
    try:
        with _opened(member.archive).open(member.name) as packed:
            left = member.size
            while left >= 0 and (chunk := packed.read(CHUNK_BYTES)):
                left -= len(chunk)
                yield chunk
    except _DAMAGE as error:
        raise UnreadablePicture(Reason.UNREADABLE) from error


def _opened(path: Path) -> zipfile.ZipFile:
    """The archive, kept open until the same thread reads another one."""
    if getattr(_threads, "path", None) != path:
        close_archives()
        _threads.archive, _threads.path = zipfile.ZipFile(path), path
    archive: zipfile.ZipFile = _threads.archive
    return archive


def close_archives() -> None:
    """Close what the calling thread has open."""
    if getattr(_threads, "path", None) is not None:
        _threads.archive.close()
        _threads.archive = _threads.path = None
