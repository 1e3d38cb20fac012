"""Any picture file -> what the program needs of it: its header, the text embedded in it, its pixels upright in sRGB.

Knows nothing of clients and writes nothing. What a file is, is read from its content; its ending only tells camera RAW from other
TIFF-like files. Pixels are decoded by `decode` alone: the other functions read a few kilobytes.
"""

from __future__ import annotations

import stat
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element, ParseError

from client_folder.reasons import Reason
from pictures.listing import RAW_ENDINGS
from pictures.png_chunks import read_png
from utils import PNG_SIGNATURE

if TYPE_CHECKING:
    from PIL import Image

# A 200 megapixel picture takes 0.6 GB as RGB; the largest sensors of phones and medium-format cameras have 100 to 200.
MAX_PIXELS = 200_000_000
# JPEG and HEIC end at 65,535, and Pillow cannot hold a line of 200 million.
MAX_SIDE_PX = 100_000
# Half a RAW's size needs no demosaicing and is ten times as fast; at 2048 px a crop of half the picture still fills 1024.
ENOUGH_RAW_PX = 2048
XMP_BYTES = 1 << 20
_XMP_NAMES = frozenset({"description", "creator", "CreateDate", "DigImageGUID", "DigitalSourceType"})
_ANIMATED_FORMATS = frozenset({"GIF", "WEBP", "PNG", "AVIF"})  # frames of a TIFF, MPO or HEIC are pages, depth maps, bursts
_STARTS = {
    PNG_SIGNATURE: "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif", b"BM": "bmp", b"II*\0": "tiff", b"MM\0*": "tiff",
    # Fujifilm, Canon CRW, Olympus (three), Panasonic, Sigma, Minolta
    b"FUJIFILM": "raw", b"II\x1a\0": "raw", b"IIRO": "raw", b"IIRS": "raw", b"MMOR": "raw", b"IIU\0": "raw",
    b"FOVb": "raw", b"\0MRM": "raw",
}  # fmt: skip
_RAW_TURNED = (5, 6)  # LibRaw's `flip` where width and height change places
_EXIF_TURNED = (5, 6, 7, 8)
_ORIENTATION, _MAKE, _MODEL, _DESCRIPTION, _ARTIST = 0x0112, 0x010F, 0x0110, 0x010E, 0x013B
_BITS, _COMPRESSION, _PLANES = 0x0102, 0x0103, 0x011C
_EXIF_IFD, _TAKEN, _DIGITIZED, _LENS = 0x8769, 0x9003, 0x9004, 0xA434
# What Pillow, libheif and the XML reader raise on damaged or hostile files (found by feeding them thousands of those).
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    RuntimeError,
    struct.error,
    zlib.error,
)


class UnreadablePicture(Exception):
    """This file cannot be used; `reason` says why. The caller makes a `Rejection` of it: it is data there."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture says of itself before it is decoded; unknown texts are empty. Position (GPS) is never read."""

    width: int  # px, as shown: orientation applied
    height: int
    format: str  # Pillow's name, or "RAW"
    animated: bool = False  # always False from `read_header`, which refuses animations
    taken: str = ""  # EXIF DateTimeOriginal, as the camera wrote it: 2024:05:31 18:02:11
    camera: str = ""  # maker and model
    lens: str = ""


@dataclass(frozen=True, slots=True)
class EmbeddedText:
    """The texts a picture carries; what is not there is empty."""

    description: str = ""  # PNG Description, else XMP dc:description, else EXIF ImageDescription
    author: str = ""
    created: str = ""  # as written there: RFC 2822 by MidJourney
    image_guid: str = ""  # XMP Iptc4xmpExt:DigImageGUID
    source_type: str = ""  # XMP Iptc4xmpExt:DigitalSourceType


# --- what goes wrong --------------------------------------------------------------------------------------------------
@contextmanager
def _judging(path: Path) -> Iterator[str]:
    """Yield the kind of the content; whatever a library raises on it becomes UnreadablePicture."""
    kind = _kind(_first_bytes(path))
    try:
        yield kind
    except UnreadablePicture:
        raise
    except (_pillow().DecompressionBombError, MemoryError) as error:
        raise UnreadablePicture(Reason.TOO_LARGE) from error
    except _pillow().UnidentifiedImageError as error:
        raise UnreadablePicture(Reason.UNREADABLE if kind else Reason.NOT_A_PICTURE) from error
    except _DAMAGE as error:
        # Pillow's own OSErrors, for pictures that are cut off, have no number; those of the system have.
        refused = isinstance(error, OSError) and error.errno is not None
        raise UnreadablePicture(Reason.OUT_OF_REACH if refused else Reason.UNREADABLE) from error


def _first_bytes(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnreadablePicture(Reason.NOT_A_PICTURE)  # opening a pipe would wait for ever
        with path.open("rb", buffering=0) as file:
            head = file.read(16)
    except OSError as error:
        raise UnreadablePicture(Reason.OUT_OF_REACH) from error
    if not head:
        raise UnreadablePicture(Reason.EMPTY)
    return head


def _kind(head: bytes) -> str:
    """What the first 16 bytes say a file is; empty where they say nothing."""
    if head.startswith(b"RIFF"):
        return "webp" if head[8:12] == b"WEBP" else ""
    if head[4:8] == b"ftyp":
        return "raw" if head[8:12] == b"crx " else "heif"
    return next((kind for start, kind in _STARTS.items() if head.startswith(start)), "")


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise UnreadablePicture(Reason.UNREADABLE)
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE_PX:
        raise UnreadablePicture(Reason.TOO_LARGE)


def _is_raw(ending: str, kind: str) -> bool:
    """Whether LibRaw should open it: most RAW files are TIFF files by their content, so the ending decides for those."""
    return kind == "raw" or (ending.lower() in RAW_ENDINGS and kind in ("", "tiff"))


# --- headers and texts ------------------------------------------------------------------------------------------------
def read_header(path: Path) -> Header:
    """Size, date, camera and lens; raises UnreadablePicture as `inspect` does."""
    return inspect(path)[0]


def read_embedded(path: Path) -> EmbeddedText:
    """The embedded texts, wherever in the file they stand; raises UnreadablePicture as `inspect` does."""
    return inspect(path)[1]


def inspect(path: Path, ending: str = "") -> tuple[Header, EmbeddedText]:
    """All that a picture tells without being decoded, in one reading; `ending` is its name's where the path does not have it.

    Raises UnreadablePicture with EMPTY, NOT_A_PICTURE, UNREADABLE, ANIMATED or TOO_LARGE.
    """
    with _judging(path) as kind:
        read = _inspect_png if kind == "png" else _inspect_raw if _is_raw(ending or path.suffix, kind) else _inspect_other
        header, text = read(path)
        if header.animated:
            raise UnreadablePicture(Reason.ANIMATED)
        _check_size(header.width, header.height)
        return header, text


def _inspect_png(path: Path) -> tuple[Header, EmbeddedText]:
    png = read_png(path)
    exif = _pillow().Exif()
    if png.exif:
        exif.load(png.exif)
    xmp = _read_xmp(png.texts.get("XML:com.adobe.xmp", ""))
    text = replace(
        xmp, description=png.texts.get("Description") or xmp.description or _lines(exif.get(_DESCRIPTION)),
        author=png.texts.get("Author") or xmp.author, created=png.texts.get("Creation Time") or xmp.created,
    )  # fmt: skip
    return _header((png.width, png.height), "PNG", png.frames > 1, exif), text


def _inspect_other(path: Path) -> tuple[Header, EmbeddedText]:
    with _pillow().open(path) as image:
        animated = image.format in _ANIMATED_FORMATS and getattr(image, "is_animated", False)
        exif, xmp = _exif(image), _read_xmp(image.info.get("xmp", ""))
        if image.format == "TIFF":
            exif.pop(_ORIENTATION, None)  # Pillow turns these itself, and gives the size of the turned picture
        header = _header(image.size, image.format or "", animated, exif)
    description = xmp.description or _lines(exif.get(_DESCRIPTION))
    return header, replace(xmp, description=description, author=xmp.author or _line(exif.get(_ARTIST)))


def _inspect_raw(path: Path) -> tuple[Header, EmbeddedText]:
    """Size from LibRaw; EXIF from the file's own TIFF block where it has one, else the little that LibRaw knows."""
    with _open_raw(path) as raw:
        sizes, shot_at, lens = raw.sizes, raw.other.timestamp, raw.lens.model
    exif = _pillow().Exif()
    with path.open("rb") as file:
        try:
            exif.load_from_fp(file)
        except _DAMAGE:
            exif.clear()
    # LibRaw applies the orientation itself, and counts pixels without the sensor's border.
    exif[_ORIENTATION] = 6 if sizes.flip in _RAW_TURNED else 1
    header = _header((sizes.width, sizes.height), "RAW", False, exif)
    taken = header.taken or (f"{shot_at:%Y:%m:%d %H:%M:%S}" if shot_at.year > 1970 else "")
    return replace(header, taken=taken, lens=header.lens or _line(lens)), EmbeddedText()


def _header(size: tuple[int, int], kind: str, animated: bool, exif: Image.Exif) -> Header:
    width, height = reversed(size) if exif.get(_ORIENTATION) in _EXIF_TURNED else size
    try:
        details = exif.get_ifd(_EXIF_IFD)
    except _DAMAGE:
        details = {}
    maker, model = _line(exif.get(_MAKE)), _line(exif.get(_MODEL))
    camera = model if model.lower().startswith(maker.lower()) else f"{maker} {model}".strip()
    taken = _line(details.get(_TAKEN)) or _line(details.get(_DIGITIZED))
    return Header(width, height, kind, animated, taken, camera, _line(details.get(_LENS)))


def _exif(image: Image.Image) -> Image.Exif:
    """The EXIF of an opened picture, empty where it is damaged: a broken date is no reason to refuse a photo."""
    try:
        return image.getexif()
    except _DAMAGE:
        return _pillow().Exif()


def _line(value: object) -> str:
    """A text of EXIF as one clean line; cameras pad with zero bytes, hostile files with anything."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value if isinstance(value, str) else ""
    return "".join(character for character in text[:200].split("\0")[0] if character.isprintable()).strip()


def _lines(value: object) -> str:
    """A longer text of EXIF, as it is."""
    return value.split("\0")[0].strip() if isinstance(value, str) else ""


def _read_xmp(packet: str | bytes) -> EmbeddedText:
    """What an XMP packet says; hostile or broken XML says nothing."""
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    if not packet or len(packet) > XMP_BYTES:
        return EmbeddedText()
    try:
        root: Element = fromstring(packet.strip("\0 \n") if isinstance(packet, str) else packet.strip(b"\0 \n"))
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return EmbeddedText()
    found: dict[str, str] = {}
    for element in root.iter():
        name = element.tag.rpartition("}")[2]
        if name in _XMP_NAMES and name not in found:
            found[name] = next((text.strip() for text in element.itertext() if text.strip()), "")
        for attribute, value in element.attrib.items():
            found.setdefault(attribute.rpartition("}")[2], value)
    return EmbeddedText(
        found.get("description", ""), found.get("creator", ""), found.get("CreateDate", ""),
        found.get("DigImageGUID", ""), found.get("DigitalSourceType", ""),
    )  # fmt: skip


# --- pixels -----------------------------------------------------------------------------------------------------------
def decode(path: Path, *, max_side: int | None = None) -> Image.Image:
    """The picture in 8-bit RGB, upright, in sRGB, transparency over white; raises UnreadablePicture as `read_header` does.

    With `max_side` the longer side is at most that many px, and much less is decoded where the format allows. Without it the
    picture comes in full, but for RAW: developed at half size where that leaves ENOUGH_RAW_PX (or `max_side`) on the longer side.
    """
    with _judging(path) as kind:
        raw = _is_raw(path.suffix, kind)
        image = _develop(path, max_side or ENOUGH_RAW_PX) if raw else _open_upright(path, max_side)
        if max_side:
            image.thumbnail((max_side, max_side), _pillow().Resampling.LANCZOS, reducing_gap=3.0)
        image.info.clear()  # else the place where it was taken, and a profile that no longer holds, would be saved with every crop
        return image


def _develop(path: Path, enough_px: int) -> Image.Image:
    """Develop a RAW with the camera's white balance; LibRaw turns it upright and brightens it until 1 % of it is white."""
    with _open_raw(path) as raw:
        _check_size(raw.sizes.width, raw.sizes.height)
        half = max(raw.sizes.width, raw.sizes.height) // 2 >= enough_px
        return _pillow().fromarray(raw.postprocess(use_camera_wb=True, half_size=half))


@contextmanager
def _open_raw(path: Path) -> Iterator[Any]:
    """A RAW file in LibRaw, whose errors may come at any time while it is used."""
    import rawpy

    try:
        # rawpy takes names in UTF-8 only, and Linux knows others.
        with rawpy.imread(str(path) if str(path).isprintable() else BytesIO(path.read_bytes())) as raw:
            yield raw
    except rawpy.LibRawError as error:
        kind = _kind(_first_bytes(path))
        raise UnreadablePicture(Reason.UNREADABLE if kind else Reason.NOT_A_PICTURE) from error


def _open_upright(path: Path, max_side: int | None) -> Image.Image:
    pillow = _pillow()
    with pillow.open(path) as image:
        _check_size(*image.size)
        if max_side:
            share = min(1.0, max_side / max(image.size))
            image.draft(None, (round(image.width * share), round(image.height * share)))  # JPEG: decodes 1/2, 1/4 or 1/8
        by_planes = _in_deep_planes(image)
        if not by_planes:
            image.load()
        # Pillow turns TIFF and HEIC while it loads them, and then says orientation 1; all others are ours to turn, once.
        turn = _TURNS.get(_exif(image).get(_ORIENTATION, 1))
        if by_planes:
            image = _read_planes(path, image)
        if max_side and image.mode in ("L", "RGB", "CMYK"):
            image.thumbnail((max_side, max_side), pillow.Resampling.LANCZOS, reducing_gap=3.0)
        upright = _to_srgb(image)
    return upright.transpose(pillow.Transpose[turn]) if turn else upright


def _in_deep_planes(image: Image.Image) -> bool:
    """Whether it is a TIFF of 16 bits with one channel behind the other, not compressed: Pillow makes noise of those."""
    if image.format != "TIFF":
        return False
    tags = _exif(image)
    return (tags.get(_PLANES), tags.get(_COMPRESSION, 1)) == (2, 1) and "16" in str(tags.get(_BITS))


def _read_planes(path: Path, opened: Image.Image) -> Image.Image:
    """Such a TIFF by imageio, in 8 bits, as it lies on the disk: not turned; with the profile that Pillow found in it."""
    import imageio.v3 as imageio
    import numpy as np

    planes = np.asarray(imageio.imread(path, plugin="tifffile"))
    if planes.ndim != 3 or planes.shape[0] < 3:
        raise UnreadablePicture(Reason.UNREADABLE)
    picture = _pillow().fromarray(np.ascontiguousarray(np.moveaxis(planes[:3], 0, 2) >> 8).astype(np.uint8))
    picture.info["icc_profile"] = opened.info.get("icc_profile")
    return picture


_TURNS = {
    2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90",
}  # fmt: skip


def _to_srgb(image: Image.Image) -> Image.Image:
    """Any mode -> RGB; by the embedded colour profile where it is there and sound."""
    from PIL import ImageCms

    profile = image.info.get("icc_profile")
    plain = _without_alpha(_eight_bits(image))
    if isinstance(profile, bytes) and profile:
        try:
            given = ImageCms.getOpenProfile(BytesIO(profile))
            target = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(plain, given, target, outputMode="RGB")
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # a damaged profile, or one for other channels: the colours as they are
    return plain.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits or of fractions, brought to 0..255; every other mode as it is."""
    if image.mode.startswith("I"):
        whole = image.convert("I")
        highest = max(65535, int(whole.getextrema()[1]))  # type: ignore[arg-type]  # one band: a pair of numbers
        return whole.point(lambda value: value * (255 / highest)).convert("L")
    if image.mode == "F":
        top = float(image.getextrema()[1])  # type: ignore[arg-type]
        white = 1.0 if top <= 1 else max(255.0, top)
        return image.point(lambda value: value * (255 / white)).convert("L")
    return image


def _without_alpha(image: Image.Image) -> Image.Image:
    """The picture over white where it is transparent, in a mode that a colour profile can speak of."""
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        see_through = image.convert("RGBA")
        white = _pillow().new("RGBA", image.size, "white")
        white.alpha_composite(see_through)
        return white.convert("RGB")
    return image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")


@cache
def _pillow() -> Any:
    """Pillow, able to read HEIC, with our limit of pixels in place of its own lower one."""
    import pillow_heif
    from PIL import Image

    pillow_heif.register_heif_opener()
    # Its warnings on damaged tags would stand in the middle of a screen; what cannot be read at all is refused anyway.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    return Image
