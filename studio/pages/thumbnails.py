"""Small pictures for the page: each is made once, kept in the client's folder, and asked for by the name of a folder and a file."""

from __future__ import annotations

import threading
import zlib
from pathlib import Path as FilePath
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path, Query
from fastapi.responses import FileResponse

from client_folder.client import Client, open_client
from pictures.thumbnails import thumbnail_file
from studio.routes_common import Looking, TheService
from utils import FolderMissing

SIDE_PX = 384  # sharp at 192 px on a fine screen, about 25 kB
FACE_PX = 224
KEPT_SECONDS = 600  # by the browser; its address changes with the picture
# Two at once, for a photo of 50 megapixels takes 150 MB while it is decoded; and never one picture twice.
_making = (threading.Lock(), threading.Lock())


def folder_of(client: Client, kind: str) -> FilePath | None:
    """The folders of a client whose pictures are shown; nothing else can be asked for."""
    folders = {
        "processed": client.processed, "rejected": client.rejected, "quarantine": client.quarantine, "output": client.output,
        "raw_mj": client.raw_mj, "raw_real": client.raw_real, "samples": client.samples, "exam": client.exam,
        "exam_portraits": client.exam_portraits,
    }  # fmt: skip
    return folders.get(kind)


def picture_in(client: Client, kind: str, name: str) -> FilePath:
    """A picture by its folder's kind and its name; raises FolderMissing."""
    folder = folder_of(client, kind)
    file = folder / name if folder and FilePath(name).name == name and not name.startswith(".") else None
    if file is None or not file.is_file() or not file.resolve().is_relative_to(client.root.resolve()):
        raise FolderMissing(path=name)
    return file


def small(client: Client, file: FilePath, side: int = SIDE_PX) -> FilePath:
    """Its small copy; the picture itself where none can be made of it."""
    try:
        with _making[zlib.crc32(file.name.encode()) % len(_making)]:
            return thumbnail_file(file, client.thumbnails, side)
    except OSError:
        return file


def small_url(client: Client, kind: str, file: FilePath) -> str:
    """The address of a small copy; it changes with the picture."""
    try:
        written = file.stat().st_mtime_ns // 1_000_000
    except OSError:
        return ""
    return f"/thumbnails/{client.id}/{kind}/{quote(file.name)}?v={written:x}"


def large_url(client: Client, file: FilePath) -> str:
    """The address of the picture itself."""
    return f"/files/{client.id}/{quote(file.relative_to(client.root).as_posix())}"


def sent(file: FilePath) -> FileResponse:
    """A picture as an answer."""
    return FileResponse(file, headers={"cache-control": f"private, max-age={KEPT_SECONDS}"})


_router = APIRouter(include_in_schema=False)


@_router.get("/thumbnails/{client}/{kind}/{name}", response_class=FileResponse)
def thumbnail(
    client: Annotated[str, Path(max_length=80)], kind: Annotated[str, Path(max_length=20)],
    name: Annotated[str, Path(max_length=250)], service: TheService, _key: Looking,
    v: Annotated[str, Query(max_length=20, description="changes with the picture")] = "",
) -> FileResponse:  # fmt: skip
    """A small copy of a picture of a client's."""
    who = open_client(service.home, client)
    return sent(small(who, picture_in(who, kind, name)))


def thumbnails_router() -> APIRouter:
    """`/thumbnails/CLIENT/FOLDER/NAME`."""
    return _router
