"""Which original a person means, what the user calls each picture, and what was seen in it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from client_folder.client import Client
from client_folder.errors import PictureMissing
from client_folder.records import DetectedFaces, Picture
from utils import BrokenFile, read_record


def names_of(client: Client) -> dict[str, str]:
    """What the user calls each picture, by the stem of all that is made from it."""
    return {picture.stem: picture.original for picture in client.pictures()}


def find_picture(client: Client, name: str) -> Picture:
    """The original a person means: by its own name, the one it was given under, or what was made of it; raises PictureMissing."""
    return find_pictures(client, [name])[0]


def find_pictures(client: Client, names: Sequence[str]) -> list[Picture]:
    """The same of several names, in their order."""
    pictures = client.pictures()
    return [_named(client, pictures, name) for name in names]


def _named(client: Client, pictures: Sequence[Picture], name: str) -> Picture:
    wanted = name.strip().replace("\\", "/").removeprefix("./")
    last = wanted.rpartition("/")[2]
    ways: tuple[Callable[[Picture], bool], ...] = (
        lambda picture: wanted == f"{client.raw(picture.source).name}/{picture.file}",
        lambda picture: wanted in (picture.file, picture.original),
        lambda picture: last in (picture.file, picture.original.rpartition("/")[2]),
        lambda picture: last.rpartition(".")[0] == picture.stem or last == picture.stem,
    )
    for way in ways:
        found = [picture for picture in pictures if way(picture)]
        if found:
            return found[0]
    raise PictureMissing(name=name, client=client.id)


def read_detected_faces(client: Client, picture: Picture) -> DetectedFaces | None:
    """What was seen in an original; what cannot be read counts as nothing, for it can be seen again.

    A file is read once for as long as it is not written again: one decision of a person asks for every one of them four times.
    """
    path = client.looks / f"{picture.stem}.json"
    with contextlib.suppress(BrokenFile, FileNotFoundError):
        found = path.stat()
        return _detected_as_of(path, found.st_ino, found.st_size, found.st_mtime_ns)
    return None


@lru_cache(maxsize=4096)
def _detected_as_of(path: Path, _inode: int, _size: int, _written_ns: int) -> DetectedFaces:
    return read_record(path, DetectedFaces)
