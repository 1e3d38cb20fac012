"""What an import will look at: folders, single pictures and .zip archives -> every picture in them, and the notes beside.

Opens no picture; of an archive it reads the list of members.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from client_folder.reasons import Reason, Rejection
from pictures.archives import Member, list_archive
from pictures.listing import ARCHIVE_ENDING, PICTURE_ENDINGS, RAW_ENDINGS, Listing, survey
from pictures.prompt_lists import LIST_ENDINGS
from utils import FolderMissing, NoPictures


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What an import will look at. `bytes` and `raw` are of the pictures; `refused` bears a picture's name in vain.

    A picture in an archive has the path that it would have, were the archive a folder.
    """

    folder: Path
    pictures: tuple[Path, ...]
    refused: tuple[Rejection, ...]
    bytes: int
    raw: int
    members: Mapping[Path, Member]
    notes: tuple[Path, ...]  # what may tell prompts: lists, and texts named like a picture
    move: bool = False


def plan_import(given: Sequence[Path], *, move: bool = False) -> ImportPlan:
    """Look at folders, archives and single pictures; raises FolderMissing or NoPictures."""
    paths = [path.absolute() for path in given]
    for path in paths:
        if not path.exists():
            raise FolderMissing(path=path)
    listings: list[Listing] = []
    for path in paths:
        if not path.is_file():
            listings.append(survey(path))
        elif path.suffix.lower() == ARCHIVE_ENDING:
            listings.append(Listing(archives=(path,)))
        else:
            listings.append(Listing(pictures=(path,)))
    members: dict[Path, Member] = {}
    refused = [refusal for listing in listings for refusal in listing.refused]
    for archive in dict.fromkeys(archive for listing in listings for archive in listing.archives):
        contents = list_archive(archive)
        members |= {_inside(archive, member.name): member for member in contents.pictures}
        refused += [(_inside(archive, name), reason) for name, reason in contents.refused]
    pictures = (*dict.fromkeys(picture for listing in listings for picture in listing.pictures), *members)
    if not pictures and not refused:
        raise NoPictures(path=", ".join(map(str, paths)), kinds=" ".join(sorted({*PICTURE_ENDINGS, ARCHIVE_ENDING})))
    root = Path(os.path.commonpath([path.parent if path.is_file() else path for path in paths]))
    return ImportPlan(
        folder=root, pictures=pictures, refused=tuple(rejection(root, path, reason) for path, reason in dict.fromkeys(refused)),
        bytes=sum(members[path].size if path in members else _size(path) for path in pictures),
        raw=sum(path.suffix.lower() in RAW_ENDINGS for path in pictures), members=members,
        notes=tuple(_notes(listings, pictures)), move=move,
    )  # fmt: skip


def _inside(archive: Path, name: str) -> Path:
    """Where a member would lie, were the archive a folder; a path for people, never opened."""
    return Path(f"{archive}/{name}".replace("\\", "/") if os.sep == "/" else f"{archive}/{name}")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # gone since it was listed: reading it will say so


def _notes(listings: Sequence[Listing], pictures: Sequence[Path]) -> Iterator[Path]:
    """Lists, and the texts that are named like a picture beside them."""
    notes = dict.fromkeys(note for listing in listings for note in listing.notes)
    named = {str(path.with_suffix("")) for path in pictures} | {str(path) for path in pictures} if notes else set()
    for note in notes:
        if note.suffix.lower() in LIST_ENDINGS or str(note.with_suffix("")) in named:
            yield note


def rejection(root: Path, path: Path, reason: Reason) -> Rejection:
    """A refusal by the name under which the user knows the picture."""
    return Rejection(file=readable(str(path)), source=name_in(root, path), reason=reason)


def name_in(root: Path, path: Path) -> str:
    """How the user knows a picture: its name, with the folders between it and the one given."""
    # `relative_to` takes four times as long, and an import of what is known already does little else.
    return readable(str(path)[len(str(root)) :].replace(os.sep, "/").lstrip("/"))


def readable(name: str) -> str:
    """The name as text that can be written to a file: Linux allows names that are no text at all."""
    return name.encode("utf-8", "replace").decode("utf-8")
