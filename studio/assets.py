"""Uploaded files: streamed to disk, looked at as an import looks at them, kept under a name of ours until somebody removes them.

Nothing of what a caller names is ever used as a path. What an upload is, its content says; what is refused leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
import secrets
import shutil
import stat
import threading
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Literal

from pydantic import ConfigDict, Field

from client_folder.private import private_folder
from client_folder.reasons import Reason
from locales.language import N_
from studio.keys import service_folder
from studio.permissions import ASSET
from utils import BrokenFile, PipelineError, Record, free_bytes, read_record, sync_file, write_record

ASSET_ID = r"^[0-9a-f]{16}$"
MOST_ASSETS = 5000
MOST_TEXT_BYTES = 8 << 20  # lists of prompts
LEAST_FREE_BYTES = 1 << 30  # an upload leaves so much of the disk to everything else
MEDIA = frozenset({".wav", ".mp3", ".m4a", ".flac", ".ogg", ".opus", ".mp4", ".mkv", ".mov", ".webm", ".avi", ".aac"})
TEXTS = frozenset({".txt", ".csv", ".json"})
_LOOK_PX = 512
_decoding = threading.Semaphore(2)  # a picture of 200 megapixels takes 600 MB while it is decoded
_PLAIN = re.compile(r"[^\w .()\-]+")


class AssetUnknown(PipelineError):
    """Facts: asset."""

    message = N_("There is no upload {asset}.")
    hint = N_("Which there are: GET /api/assets")


class AssetRefused(PipelineError):
    """Facts: name, why."""

    message = N_('"{name}" was not taken: {why}')
    hint = N_("Pictures, .zip archives of pictures, recordings and lists of prompts are taken. Nothing of it was kept.")


class NoRoomForAsset(PipelineError):
    """Facts: none."""

    message = N_("There is no room for that upload.")
    hint = N_("Remove uploads that are not needed any more: DELETE /api/assets/ID")


class AssetKind(StrEnum):
    """What an upload is."""

    PICTURE = "picture"
    ARCHIVE = "archive"
    EXPORT = "export"
    RECORDING = "recording"
    TEXT = "text"


class Asset(Record):
    """`asset.json`, beside the file itself; `pictures` counts those in an archive."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    id: str = Field(pattern=ASSET_ID)
    name: str
    kind: AssetKind
    bytes: int
    sha256: str
    created: str
    key: str = ""
    width: int = 0
    height: int = 0
    pictures: int = 0


class Assets:
    """The uploads of a home."""

    def __init__(self, home: Path) -> None:
        """Remove what was being uploaded when the service was killed."""
        self._folder = service_folder(home) / "assets"
        private_folder(self._folder)
        for left in self._folder.glob(".*"):
            shutil.rmtree(left, ignore_errors=True)

    def all_assets(self) -> list[Asset]:
        """Every upload, the newest first."""
        found = []
        for record in self._folder.glob("*/asset.json"):
            try:
                found.append(read_record(record, Asset))
            except (BrokenFile, FileNotFoundError):
                continue  # one that is just being removed
        return sorted(found, key=lambda asset: asset.created, reverse=True)

    def find(self, asset: str) -> tuple[Asset, Path]:
        """An upload, and its file. Raises AssetUnknown."""
        asset = asset.removeprefix(ASSET)
        if not re.fullmatch(ASSET_ID, asset):
            raise AssetUnknown(asset=asset[:40])
        try:
            record = read_record(self._folder / asset / "asset.json", Asset)
        except FileNotFoundError as error:
            raise AssetUnknown(asset=asset) from error
        return record, self._folder / asset / record.name

    def remove(self, asset: str) -> Asset:
        """Remove an upload. Raises AssetUnknown."""
        record, file = self.find(asset)
        shutil.rmtree(file.parent, ignore_errors=True)
        return record

    async def take(self, told_name: str, chunks: AsyncIterator[bytes], key: str) -> Asset:
        """Write an upload to disk as it comes, look at it, keep it. Raises AssetRefused, NoRoomForAsset; then nothing is left."""
        name = file_name(told_name)
        asset = secrets.token_hex(8)
        part = self._folder / f".{asset}"
        try:
            part.mkdir(mode=0o700)
            taken, digest = 0, sha256()
            room = free_bytes(self._folder) - LEAST_FREE_BYTES
            if room <= 0 or sum(1 for _one in self._folder.iterdir()) > MOST_ASSETS:
                raise NoRoomForAsset()
            with (part / name).open("wb") as file:
                async for chunk in chunks:
                    taken += len(chunk)
                    if taken > room:
                        raise NoRoomForAsset()
                    digest.update(chunk)
                    await asyncio.to_thread(file.write, chunk)
            record = await asyncio.to_thread(self._kept, part, name, asset, taken, digest.hexdigest(), key)
        finally:
            await asyncio.to_thread(shutil.rmtree, part, ignore_errors=True)
        return record

    def _kept(self, part: Path, name: str, asset: str, size: int, digest: str, key: str) -> Asset:
        """Look at what came, and give it its place."""
        kind, facts = look_at(part / name)
        sync_file(part / name)
        created = datetime.now(UTC).isoformat()
        record = Asset(id=asset, name=name, kind=kind, bytes=size, sha256=digest, created=created, key=key).model_copy(update=facts)
        write_record(part / "asset.json", record)
        part.rename(self._folder / asset)
        return record


def file_name(told: str) -> str:
    """The last part of a name as a caller told it, in letters that every system takes. Raises AssetRefused."""
    parts = {*PurePosixPath(told).parts, *PureWindowsPath(told).parts}
    if len(parts) != 1 or ".." in parts or told.startswith("."):
        raise AssetRefused(name=told[:80], why=Reason.LINK_OUTSIDE.label)
    stem, _dot, ending = _PLAIN.sub("_", told).rpartition(".")
    name = f"{stem[:80].strip(' .') or 'upload'}.{ending[:8].lower()}"
    if name == "asset.json":
        name = "upload.json"
    return name


async def decoded(encoded: str) -> AsyncIterator[bytes]:
    """The bytes of a data URL or of plain base64. Raises AssetRefused."""
    _head, _comma, body = encoded.partition(",") if encoded.startswith("data:") else ("", "", encoded)
    try:
        yield base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise AssetRefused(name="base64", why=Reason.UNREADABLE.label) from error


def look_at(file: Path) -> tuple[AssetKind, dict[str, int]]:
    """What a file is by its content, as an import would see it; raises AssetRefused with the import's own reason."""
    from pictures.listing import ARCHIVE_ENDING, bears_picture_name

    ending = file.suffix.lower()
    if not file.stat().st_size:
        raise AssetRefused(name=file.name, why=Reason.EMPTY.label)
    if ending == ARCHIVE_ENDING:
        return _look_into(file)
    if bears_picture_name(file.name):
        from pictures.picture_file import UnreadablePicture, decode, read_header

        try:
            header = read_header(file)
            with _decoding:
                decode(file, max_side=_LOOK_PX)
        except UnreadablePicture as error:
            raise AssetRefused(name=file.name, why=error.reason.label) from error
        return AssetKind.PICTURE, {"width": header.width, "height": header.height}
    if ending in MEDIA:
        return AssetKind.RECORDING, {}
    if ending in TEXTS and file.stat().st_size <= MOST_TEXT_BYTES:
        try:
            text = file.read_text(encoding="utf-8")
            if ending == ".json":
                json.loads(text)
            return AssetKind.TEXT, {}
        except (ValueError, RecursionError) as error:
            raise AssetRefused(name=file.name, why=Reason.UNREADABLE.label) from error
    raise AssetRefused(name=file.name, why=Reason.NOT_A_PICTURE.label)


def _look_into(file: Path) -> tuple[AssetKind, dict[str, int]]:
    """An archive, by its list of members: no name that leads out of it, nothing that unpacks to more than it may."""
    from pictures.archives import MAX_RATIO, list_archive

    contents = list_archive(file)
    if contents.refused:
        raise AssetRefused(name=contents.refused[0][0][:80] or file.name, why=contents.refused[0][1].label)
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
    for member in members:
        name = PurePosixPath(member.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or ":" in member.filename or stat.S_ISLNK(member.external_attr >> 16):
            raise AssetRefused(name=member.filename[:80], why=Reason.LINK_OUTSIDE.label)
        if member.file_size > MAX_RATIO * max(member.compress_size, 1 << 10):
            raise AssetRefused(name=member.filename[:80], why=Reason.ARCHIVE_TOO_LARGE.label)
    if any(PurePosixPath(member.filename).name == "state.json" for member in members):
        return AssetKind.EXPORT, {"pictures": len(contents.pictures)}
    if not contents.pictures:
        raise AssetRefused(name=file.name, why=Reason.NOT_A_PICTURE.label)
    return AssetKind.ARCHIVE, {"pictures": len(contents.pictures)}
