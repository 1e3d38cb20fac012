"""The files of a folder by their endings: pictures, archives and notes, and what bears such an ending in vain.

Opens no file; what one really holds is for `picture_file` to say.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from client_folder.reasons import Reason

RAW_ENDINGS = frozenset({
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq", ".k25", ".kdc", ".mdc", ".mef", ".mos",
    ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
})  # fmt: skip
PICTURE_ENDINGS = RAW_ENDINGS | {
    ".apng", ".avif", ".bmp", ".gif", ".heic", ".heif", ".hif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp",
}  # fmt: skip
ARCHIVE_ENDING = ".zip"
NOTE_ENDINGS = frozenset({".csv", ".tsv", ".json", ".txt", ".prompt"})
VIDEO_ENDINGS = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"})
# What the content of a file with this ending is expected to be, where it is not the ending's own word.
_FORMATS_OF = {
    ".apng": "PNG", ".heic": "HEIF", ".hif": "HEIF", ".jfif": "JPEG", ".jpe": "JPEG", ".jpg": "JPEG", ".tif": "TIFF",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Listing:
    """What a folder holds, in the order of names, by the endings; `refused` bears such an ending in vain."""

    pictures: tuple[Path, ...] = ()
    refused: tuple[tuple[Path, Reason], ...] = ()
    archives: tuple[Path, ...] = ()
    notes: tuple[Path, ...] = ()  # small files that may tell something of the pictures


def list_pictures(folder: Path) -> tuple[Path, ...]:
    """Every picture of a folder and the folders in it, by their endings, sorted."""
    return survey(folder).pictures


def survey(folder: Path) -> Listing:
    """What lies below `folder`: pictures, archives and notes by their endings, and what bears such an ending in vain.

    Links to folders are not followed (they may lead in circles); a folder that cannot be opened is refused as unreadable.
    """
    found = _Survey(folder.resolve(), [str(folder)])
    while found.folders:
        parent = found.folders.pop()
        try:
            with os.scandir(parent) as entries:
                for entry in entries:
                    _sort_in(entry, found)
        except OSError:
            found.refused.append((Path(parent), Reason.UNREADABLE))
    # By folder, then name; "x.png" before its copy "x (1).png", so that the copy is the duplicate.
    pictures = sorted(found.pictures, key=lambda path: (path.parent.parts, path.stem, path.suffix))
    return Listing(tuple(pictures), tuple(sorted(found.refused)), tuple(sorted(found.archives)), tuple(sorted(found.notes)))


@dataclass(slots=True)
class _Survey:
    """A survey on its way through the folders."""

    root: Path
    folders: list[str]
    pictures: list[Path] = field(default_factory=list)
    refused: list[tuple[Path, Reason]] = field(default_factory=list)
    archives: list[Path] = field(default_factory=list)
    notes: list[Path] = field(default_factory=list)


def _sort_in(entry: os.DirEntry[str], found: _Survey) -> None:
    """Put one thing that a folder holds where it belongs."""
    # Macs put shadows of every file, with its name, into folders and archives for other systems.
    if entry.name.startswith("._") or entry.name == "__MACOSX":
        return
    ending = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - many thousand names; a Path each is slow
    named, path, is_file = ending in PICTURE_ENDINGS, Path(entry.path), False
    if entry.is_symlink():
        # Path's own questions raise where a link leads to a closed folder; these only say no.
        is_file = os.path.isfile(path)  # noqa: PTH113
        outside = not Path(os.path.realpath(path)).is_relative_to(found.root)
        if outside:
            if named or ending == ARCHIVE_ENDING or os.path.isdir(path):  # noqa: PTH112
                found.refused.append((path, Reason.LINK_OUTSIDE))
            return
    elif entry.is_dir():
        found.folders.append(entry.path)
    else:
        is_file = entry.is_file()
    if named and not is_file:
        found.refused.append((path, Reason.NOT_A_PICTURE))
    elif is_file and ending in VIDEO_ENDINGS:
        found.refused.append((path, Reason.ANIMATED))
    elif is_file and (named or ending == ARCHIVE_ENDING or ending in NOTE_ENDINGS):
        (found.pictures if named else found.archives if ending == ARCHIVE_ENDING else found.notes).append(path)


def bears_picture_name(name: str) -> bool:
    """Whether a name ends like a picture's."""
    return os.path.splitext(name)[1].lower() in PICTURE_ENDINGS  # noqa: PTH122 - many thousand names; a Path each is slow


def bears_video_name(name: str) -> bool:
    """Whether a name ends like a video's: MidJourney makes those too."""
    return os.path.splitext(name)[1].lower() in VIDEO_ENDINGS  # noqa: PTH122


def bears_wrong_ending(name: str, kind: str) -> bool:
    """Whether a name promises another format than the one found (Pillow's name, or "RAW"): such a picture is read all the same."""
    ending = os.path.splitext(name)[1].lower()  # noqa: PTH122
    promised = "RAW" if ending in RAW_ENDINGS else _FORMATS_OF.get(ending, ending[1:].upper())
    return bool(kind) and promised != {"MPO": "JPEG"}.get(kind, kind)
