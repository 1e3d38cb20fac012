"""A PNG file chunk by chunk: its size, frames, texts and EXIF, wherever they stand, without touching a pixel.

MidJourney writes its texts, and some cameras their EXIF, behind the pixels. Pillow finds those only by decoding the whole picture,
which takes a hundred times as long as stepping over it.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from utils import PNG_SIGNATURE

# A hostile file may claim gigabytes of text; these are Pillow's own limits. A prompt has a few hundred bytes.
TEXT_BYTES = 1 << 20
TEXT_CHUNKS = 64
_WANTED = frozenset({b"IHDR", b"acTL", b"tEXt", b"zTXt", b"iTXt", b"eXIf"})
_HEAD = struct.Struct(">I4s")
_CRC_BYTES = 4


class BrokenPng(ValueError):
    """The chunks do not add up: no header, or the file ends inside a chunk."""


@dataclass(frozen=True, slots=True)
class PngFile:
    """What the chunks of one file tell. `frames` is more than 1 for an animation; `exif` is a TIFF block or empty."""

    width: int
    height: int
    frames: int
    texts: Mapping[str, str]
    exif: bytes


def read_png(path: Path) -> PngFile:
    """Walk all chunks of a PNG; the first text of a name wins, as in other readers. Raises BrokenPng or OSError."""
    chunks: dict[bytes, bytes] = {}
    texts: dict[str, str] = {}
    with path.open("rb", buffering=0) as file:
        for kind, data in _chunks(file):
            if kind in (b"tEXt", b"zTXt", b"iTXt") and len(texts) < TEXT_CHUNKS:
                name, text = _text(kind, data)
                texts.setdefault(name, text)
            else:
                chunks.setdefault(kind, data)
    header = chunks.get(b"IHDR", b"")
    if len(header) < 8:
        raise BrokenPng("no IHDR")
    width, height = struct.unpack(">II", header[:8])
    frames = int.from_bytes(chunks.get(b"acTL", b"\0\0\0\1")[:4], "big")
    return PngFile(width, height, frames, texts, chunks.get(b"eXIf", b""))


def _chunks(file: FileIO) -> Iterator[tuple[bytes, bytes]]:
    """The wanted chunks of a file, in its order; everything else is stepped over. What follows the end mark is not looked at."""
    size = os.fstat(file.fileno()).st_size
    if file.read(len(PNG_SIGNATURE)) != PNG_SIGNATURE:
        raise BrokenPng("no signature")
    position = len(PNG_SIGNATURE)
    while position < size:
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            raise BrokenPng("cut inside a chunk's head")
        length, kind = _HEAD.unpack(head)
        position += _HEAD.size + length + _CRC_BYTES
        if position > size:
            raise BrokenPng("cut inside a chunk")
        if kind == b"IEND":
            return
        if kind in _WANTED and length <= TEXT_BYTES:
            yield kind, file.read(length)
        file.seek(position)


def _text(kind: bytes, data: bytes) -> tuple[str, str]:
    """Name and text of a text chunk; what cannot be unpacked is an empty text."""
    name, _, rest = data.partition(b"\0")
    encoding = "latin-1"
    packed = kind == b"zTXt"
    if kind == b"zTXt":
        rest = rest[1:]
    elif kind == b"iTXt":
        encoding = "utf-8"
        packed = rest[:1] == b"\1"
        _language, _, rest = rest[2:].partition(b"\0")
        _translated, _, rest = rest.partition(b"\0")
    if packed:
        try:
            rest = zlib.decompressobj().decompress(rest, TEXT_BYTES)  # no further: a few bytes may unpack to gigabytes
        except zlib.error:
            rest = b""
    return name.decode("latin-1"), rest.decode(encoding, errors="replace")
