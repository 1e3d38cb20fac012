"""The originals of a client: what lies in `raw_mj/` and `raw_real/`, and the record of each in `metadata/images.json`.

The files are the truth. A record whose file is gone is dropped; a file without a record (the program was killed between the two, or
somebody placed it there) is a stray: it gets the record of the picture that is imported from it, else one of its own.
"""

from __future__ import annotations

import json
import os
import re
import time
import unicodedata
from collections.abc import Iterator
from itertools import count
from pathlib import Path, PurePosixPath

from client_folder.client import Client
from client_folder.records import Picture, Source
from client_folder.spreadsheet import write_spreadsheet
from client_folder.sync import sync_all
from pictures.grids import part_names, variation_of
from pictures.listing import PICTURE_ENDINGS
from pictures.picture_file import Header, UnreadablePicture, read_header
from utils import replacing, sha256_file, sync_file, sync_folder

# Systems allow 255 bytes; what stages add to a name (a number, an ending, a mark of a file being written) has to fit behind it.
NAME_BYTES = 200
SAVE_SECONDS = 5.0
SAVE_SHARE = 0.02  # of the time of an import that may go into saving the records before its end
_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]')  # refused by Windows, or unreadable in a list
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)
_COLUMNS = ("file", "source", "original", "width", "height", "taken", "camera", "lens", "sha256")


class Originals:
    """The originals of one client while an import adds to them; hold the client's lock."""

    def __init__(self, client: Client) -> None:
        """Read the records and the folders; raises BrokenFile."""
        self.client = client
        self._files = {source: _files_in(client.raw(source)) for source in Source}
        known = client.pictures()
        self._records = {
            (picture.source, picture.file): picture for picture in known if picture.file in self._files[picture.source]
        }
        self._by_content: dict[str, Picture] = {}
        self._variations: set[tuple[str, str]] = set()
        self._by_original: dict[tuple[Source, str], list[Picture]] = {}
        for picture in self._records.values():
            self._index(picture)
        self._names = {source: set(map(_fold, names)) for source, names in self._files.items()}
        self._numbers: dict[tuple[Source, str], int] = {}
        self._strays: dict[str, tuple[Source, str]] = {}
        self.changed = len(self._records) != len(known) or not client.images_file.exists()
        self._unsynced: list[Path] = []  # files that have their names and are perhaps not on the disk yet
        self._saved_at = time.monotonic()
        self._pause = SAVE_SECONDS

    # --- questions ----------------------------------------------------------------------------------------------------
    def find_unchanged(self, source: Source, original: str, size: int, modified: int) -> Picture | None:
        """The picture imported under this name from a file of this size and time in ns: nobody has to read it again."""
        for picture in self._by_original.get((source, original), ()):
            if self._files[source][picture.file] == (size, modified):
                return picture
        return None

    def find_content(self, sha256: str) -> Picture | None:
        """The picture that has this content."""
        return self._by_content.get(sha256)

    def unsplit_grids(self) -> tuple[Picture, ...]:
        """The grids of which a part is not among the pictures, in the order in which they are saved."""
        grids = [picture for picture in self.sorted() if picture.grid]
        return tuple(grid for grid in grids if not all(map(self.has_variation, part_names(grid.original))))

    def has_variation(self, name: str) -> bool:
        """Whether the picture of a job that bears this name is here, whatever else stands in its own name."""
        return variation_of(name) in self._variations

    def sorted(self) -> tuple[Picture, ...]:
        """Every record, in the order in which it is saved: by source and name."""
        return tuple(self._records[key] for key in sorted(self._records))

    # --- changes ------------------------------------------------------------------------------------------------------
    def hash_strays(self) -> Iterator[Path]:
        """Read every file that has no record; yields each when it is done."""
        for source, files in self._files.items():
            for name in sorted(files):
                if (source, name) not in self._records:
                    path = self.client.raw(source) / name
                    self._strays.setdefault(sha256_file(path), (source, name))
                    yield path

    def add(self, source: Source, original: str, header: Header, sha256: str, copy: Path, *, grid: bool = False) -> Picture:
        """Give a copy its place among the originals and a record; a stray with this content keeps its own place."""
        place, name = self._strays.pop(sha256, (source, ""))
        if name:
            copy.unlink()
        else:
            name = self._free_name(source, safe_name(original.rpartition("/")[2]))
            os.replace(copy, self.client.raw(source) / name)
        self._unsynced.append(self.client.raw(place) / name)
        return self._remember(place, name, original, header, sha256, grid=grid)

    def is_whole(self, picture: Picture) -> bool:
        """Whether the file of a picture still has the content that its record promises; the file is read for it."""
        path = self.client.raw(picture.source) / picture.file
        return path.is_file() and sha256_file(path) == picture.sha256

    def restore(self, picture: Picture, copy: Path) -> bool:
        """Put a copy of the same content in the place of an original that came to harm; whether it had. The copy is used up."""
        if self.is_whole(picture):
            copy.unlink()
            return False
        path = self.client.raw(picture.source) / picture.file
        sync_file(copy)
        os.replace(copy, path)
        sync_folder(path.parent)
        facts = path.stat()
        self._files[picture.source][picture.file] = (facts.st_size, facts.st_mtime_ns)
        return True

    def adopt_strays(self) -> None:
        """Give the strays that nobody imported a record under their own names; what is no picture is left alone."""
        for sha256, (source, name) in sorted(self._strays.items()):
            try:
                header = read_header(self.client.raw(source) / name)
            except UnreadablePicture:
                continue
            self._remember(source, name, name, header, sha256)
        self._strays.clear()

    def _remember(self, source: Source, name: str, original: str, header: Header, sha256: str, *, grid: bool = False) -> Picture:
        picture = Picture(
            file=name, original=original, source=source, sha256=sha256, width=header.width, height=header.height,
            taken=header.taken, camera=header.camera, lens=header.lens, grid=grid,
        )  # fmt: skip
        facts = (self.client.raw(source) / name).stat()
        self._files[source][name] = (facts.st_size, facts.st_mtime_ns)
        self._records[source, name] = picture
        self._index(picture)
        self.changed = True
        return picture

    def _index(self, picture: Picture) -> None:
        self._by_content.setdefault(picture.sha256, picture)
        self._by_original.setdefault((picture.source, picture.original), []).append(picture)
        if picture.source is Source.MIDJOURNEY and (variation := variation_of(picture.original)):
            self._variations.add(variation)

    def _free_name(self, source: Source, wanted: str) -> str:
        """The name, or `name~2`, `name~3` ... where another content has it already."""
        stem, ending = PurePosixPath(wanted).stem, PurePosixPath(wanted).suffix
        names = self._names[source]
        number = self._numbers.get((source, _fold(wanted)), 1)
        numbered = ((number, wanted if number == 1 else f"{stem}~{number}{ending}") for number in count(number))
        number, name = next((number, name) for number, name in numbered if _fold(name) not in names)
        self._numbers[source, _fold(wanted)] = number
        names.add(_fold(name))
        return name

    # --- saving -------------------------------------------------------------------------------------------------------
    def save_now_and_then(self) -> None:
        """Save the records if the last time is long enough ago; what a kill leaves unsaved is only read again."""
        if time.monotonic() - self._saved_at >= self._pause:
            self.save()

    def save(self) -> None:
        """Write `images.json`; the files that it promises are brought to the disk first, all at once, which is far cheaper."""
        started = time.monotonic()
        sync_all(self._unsynced, {path.parent for path in self._unsynced})
        self._unsynced.clear()
        with replacing(self.client.images_file) as part, part.open("w", encoding="utf-8", newline="\n") as file:
            file.write('{"schema": 1, "images": [')
            for number, picture in enumerate(self.sorted()):  # line by line: memory stays flat
                file.write((",\n" if number else "\n") + json.dumps(picture.model_dump(mode="json"), ensure_ascii=False))
            file.write("\n]}\n")
        self._saved_at = time.monotonic()
        self._pause = max(SAVE_SECONDS, (self._saved_at - started) / SAVE_SHARE)

    def write_table(self) -> None:
        """Write `images.csv` beside it: the same, for people."""
        rows = ([getattr(picture, column) for column in _COLUMNS] for picture in self.sorted())
        write_spreadsheet(self.client.images_file.with_suffix(".csv"), _COLUMNS, rows)


def safe_name(name: str) -> str:
    """A file name that every system can keep, as near to the given one as that allows, and at most NAME_BYTES long."""
    plain = _UNSAFE.sub("_", unicodedata.normalize("NFC", name))
    ending = PurePosixPath(plain).suffix
    ending = ending if ending.lower() in PICTURE_ENDINGS else ""
    room = NAME_BYTES - len(ending) - 1
    stem = plain.removesuffix(ending).encode()[:room].decode(errors="ignore").rstrip(" .")
    return ("_" if not stem or stem.startswith(".") or _RESERVED.match(stem) else "") + stem + ending


def _fold(name: str) -> str:
    """The name as systems that do not tell cases apart compare it."""
    return unicodedata.normalize("NFC", name).casefold()


def _files_in(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change (ns) of each file of a folder; hidden ones are not ours."""
    folder.mkdir(parents=True, exist_ok=True)
    with os.scandir(folder) as entries:
        files = [(entry.name, entry.stat()) for entry in entries if entry.is_file() and not entry.name.startswith(".")]
    return {name: (facts.st_size, facts.st_mtime_ns) for name, facts in files}
