"""Picture files of every kind, made here by real encoders: what is read of them, how they are shown, what is refused."""

from __future__ import annotations

import errno
import os
import random
import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from photo_kit import PHOTOS
from PIL import Image, ImageCms, PngImagePlugin

from client_folder.reasons import Reason
from embedded.drawing import camera_raw
from embedded.drawing.camera_raw import write_dng
from pictures import picture_file
from pictures.listing import PICTURE_ENDINGS, RAW_ENDINGS, list_pictures, survey
from pictures.picture_file import MAX_PIXELS, EmbeddedText, UnreadablePicture, decode, read_embedded, read_header

RED, BLUE, GREEN, WHITE = (220, 30, 30), (30, 30, 220), (30, 200, 30), (245, 245, 245)
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:iptcExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    ' iptcExt:DigImageGUID="1338fb17-2986-466a-a23e-b8b3c25c8c82"'
    ' iptcExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia">'
    '<dc:description><rdf:Alt><rdf:li xml:lang="x-default">a lighthouse --v 7</rdf:li>'
    '<rdf:li xml:lang="es">un faro</rdf:li></rdf:Alt></dc:description>'
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
)


def corners(width: int = 160, height: int = 96) -> Image.Image:
    """Red top left, green top right, blue bottom left, white bottom right: any turn and flip of it is another picture."""
    picture = Image.new("RGB", (width, height), RED)
    picture.paste(GREEN, (width // 2, 0, width, height // 2))
    picture.paste(BLUE, (0, height // 2, width // 2, height))
    picture.paste(WHITE, (width // 2, height // 2, width, height))
    return picture


def assert_corners(picture: Image.Image, tolerance: int = 40) -> None:
    width, height = picture.size
    assert picture.mode == "RGB"
    wanted = {(0.25, 0.25): RED, (0.75, 0.25): GREEN, (0.25, 0.75): BLUE, (0.75, 0.75): WHITE}
    for (x, y), colour in wanted.items():
        seen = picture.getpixel((int(width * x), int(height * y)))
        assert max(abs(a - b) for a, b in zip(seen, colour, strict=True)) <= tolerance, ((x, y), seen, colour)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def refusal(path: Path) -> Reason:
    with pytest.raises(UnreadablePicture) as caught:
        read_header(path)
    return caught.value.reason


# --- orientation ------------------------------------------------------------------------------------------------------
UNDO = {
    1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
}  # fmt: skip


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif", "avif"])
def test_exif_orientation_is_applied_exactly_once(tmp_path: Path, orientation: int, ending: str) -> None:
    stored = corners() if UNDO[orientation] is None else corners().transpose(UNDO[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{ending}"
    stored.save(path, exif=exif, quality=95)
    header = read_header(path)
    assert (header.width, header.height) == (160, 96)
    assert decode(path).size == (160, 96)
    assert_corners(decode(path))
    assert_corners(decode(path, max_side=80))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_heic_is_turned_exactly_once(tmp_path: Path, orientation: int) -> None:
    import pillow_heif

    stored = corners() if UNDO[orientation] is None else corners().transpose(UNDO[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.heic"
    pillow_heif.from_pillow(stored).save(path, quality=90, exif=exif.tobytes())
    header = read_header(path)
    assert (header.width, header.height, header.format) == (160, 96, "HEIF")
    assert_corners(decode(path))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_raw_is_developed_upright(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "turned.dng"
    write_dng(path, np.asarray(corners()), orientation, ("Nikon", "Nikon Z 6"))
    header = read_header(path)
    assert (header.width, header.height, header.format, header.camera) == (160, 96, "RAW", "Nikon Z 6")
    picture = decode(path)
    assert picture.size == (160, 96)
    red, green, blue = picture.getpixel((120, 72))
    assert max(red, green, blue) - min(red, green, blue) < 12, "white is white"
    red, green, blue = picture.getpixel((40, 24))
    assert red > 2 * max(green, blue), "red stands top left"


def test_raw_is_developed_with_the_cameras_white_balance_and_not_with_daylights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under a bulb the sensor answers to white with much red and little blue; the camera says so, its daylight matrix does not."""
    daylight, bulb = camera_raw.NEUTRAL, (0.9, 1.0, 0.3)
    matrix = [value * daylight[at // 3] / bulb[at // 3] for at, value in enumerate(camera_raw.XYZ_TO_SRGB)]
    monkeypatch.setattr(camera_raw, "NEUTRAL", bulb)
    monkeypatch.setattr(camera_raw, "XYZ_TO_SRGB", tuple(matrix))
    write_dng(tmp_path / "bulb.dng", np.asarray(corners()))
    red, green, blue = decode(tmp_path / "bulb.dng").getpixel((120, 72))
    assert max(red, green, blue) - min(red, green, blue) < 12, "white is white"
    import rawpy

    with rawpy.imread(str(tmp_path / "bulb.dng")) as raw:
        red, _green, blue = raw.postprocess()[72, 120]
    assert int(red) - int(blue) > 60, "and without what the camera recorded it would be orange"


@pytest.mark.parametrize("ending", ["dng", "jpg", "tif", "webp", "heic"])
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    path = make(tmp_path / f"large.{ending}")
    decode(path)
    monkeypatch.setattr(picture_file, "MAX_PIXELS", 120 * 160 - 1)
    for look in (read_header, decode, lambda file: decode(file, max_side=40)):
        with pytest.raises(UnreadablePicture) as caught:
            look(path)
        assert caught.value.reason is Reason.TOO_LARGE
    monkeypatch.setattr(picture_file, "MAX_PIXELS", 120 * 160)
    decode(path)


def test_channels_one_after_another_in_8_bits_are_read(tmp_path: Path) -> None:
    import tifffile

    plain = np.moveaxis(np.asarray(corners()), 2, 0)
    tifffile.imwrite(tmp_path / "plain.tif", plain, photometric="rgb", planarconfig="separate")
    assert read_header(tmp_path / "plain.tif").width == 160
    assert_corners(decode(tmp_path / "plain.tif"), 2)


def test_raw_is_halved_only_where_enough_is_left(tmp_path: Path) -> None:
    path = tmp_path / "large.dng"
    write_dng(path, np.asarray(corners(4200, 600)))
    assert decode(path).size == (2100, 300)
    assert decode(path, max_side=2100).size == (2100, 300)
    assert decode(path, max_side=1024).size == (1024, 146)
    write_dng(path, np.asarray(corners(2200, 600)))
    assert decode(path).size == (2200, 600)


# --- colours ----------------------------------------------------------------------------------------------------------
def test_every_mode_becomes_rgb_of_the_same_look(tmp_path: Path) -> None:
    for mode, ending in [
        ("RGB", "bmp"),
        ("RGBA", "png"),
        ("CMYK", "jpg"),
        ("CMYK", "tif"),
        ("P", "png"),
        ("P", "gif"),
        ("YCbCr", "tif"),
    ]:
        path = tmp_path / f"{mode}.{ending}"
        corners().convert(mode).save(path)
        assert_corners(decode(path), 60 if mode == "CMYK" else 40)


def test_grey_of_16_bits_keeps_its_tones(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (8, 1))
    for ending in ("png", "tif"):
        path = tmp_path / f"grey.{ending}"
        Image.fromarray(ramp).save(path)
        shown = np.asarray(decode(path))[4, :, 0].astype(int)
        assert np.abs(shown - np.arange(256)).max() <= 1


def test_a_dark_picture_of_16_bits_stays_dark(tmp_path: Path) -> None:
    """White is 65535 whatever the brightest pixel is: else every night photo of a scanner would be pulled up to white."""
    for ending in ("png", "tif"):
        Image.fromarray(np.full((8, 8), 20000, np.uint16)).save(tmp_path / f"dark.{ending}")
        assert abs(decode(tmp_path / f"dark.{ending}").getpixel((4, 4))[0] - 20000 / 257) <= 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [(OSError(errno.EIO, "Input/output error"), Reason.OUT_OF_REACH), (PermissionError(errno.EACCES, "no"), Reason.OUT_OF_REACH),
     (OSError("image file is truncated"), Reason.UNREADABLE), (ValueError("bad"), Reason.UNREADABLE)],
)  # fmt: skip
def test_what_the_system_refuses_in_the_middle_is_out_of_reach_and_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: Reason
) -> None:
    """A share goes away behind the first bytes: the system's errors have numbers, Pillow's own of damaged pictures have none."""
    path = make(tmp_path / "a.jpg")

    def fail(*_words: object, **_more: object) -> None:
        raise error

    monkeypatch.setattr(Image, "open", fail)
    for look in (read_header, decode):
        with pytest.raises(UnreadablePicture) as caught:
            look(path)
        assert caught.value.reason is reason


def test_colours_of_16_bits(tmp_path: Path) -> None:
    import tifffile

    path = tmp_path / "deep.tif"
    tifffile.imwrite(path, np.asarray(corners()).astype(np.uint16) * 257, photometric="rgb")
    assert_corners(decode(path), 2)
    rows = b"".join(b"\0" + (np.asarray(corners())[row].astype(">u2") * 257).tobytes() for row in range(96))
    header = struct.pack(">IIBBBBB", 160, 96, 16, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    (tmp_path / "deep.png").write_bytes(png)
    assert_corners(decode(tmp_path / "deep.png"), 2)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("planes", ["separate", "contig"])
def test_colours_of_16_bits_one_channel_behind_the_other(tmp_path: Path, planes: str, compression: str | None) -> None:
    """As scanners write them, on its side too: Pillow reads some of these as noise."""
    import tifffile

    picture = np.asarray(corners()).astype(np.uint16) * 257
    for orientation, stored in ((1, picture), (6, np.rot90(picture))):
        tifffile.imwrite(
            tmp_path / "scan.tif", np.moveaxis(stored, 2, 0) if planes == "separate" else stored, photometric="rgb",
            planarconfig=planes, compression=compression, extratags=[(274, "H", 1, orientation, True)],
        )  # fmt: skip
        assert (read_header(tmp_path / "scan.tif").width, read_header(tmp_path / "scan.tif").height) == corners().size
        assert_corners(decode(tmp_path / "scan.tif"), 2)
        assert_corners(decode(tmp_path / "scan.tif", max_side=160), 2)


def test_transparent_parts_are_white(tmp_path: Path) -> None:
    picture = corners().convert("RGBA")
    picture.putalpha(0)
    for ending in ("png", "webp"):
        picture.save(tmp_path / f"clear.{ending}", lossless=True)
        assert decode(tmp_path / f"clear.{ending}").getpixel((5, 5)) == (255, 255, 255)
    keyed = Image.new("P", (4, 4), 0)
    keyed.putpalette([10, 20, 30] * 256)
    keyed.save(tmp_path / "keyed.png", transparency=0)
    assert decode(tmp_path / "keyed.png").getpixel((1, 1)) == (255, 255, 255)


def linear_profile() -> bytes:
    """sRGB's primaries with a straight tone curve, as a matrix profile of ICC version 2."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def colour(x: float, y: float, z: float) -> bytes:
        return b"XYZ \0\0\0\0" + fixed(x) + fixed(y) + fixed(z)

    curve = b"curv\0\0\0\0\0\0\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", 7) + b"linear\0" + bytes(79)
    tags = {
        b"desc": text, b"wtpt": colour(0.9642, 1, 0.8249), b"rXYZ": colour(0.4361, 0.2225, 0.0139),
        b"gXYZ": colour(0.3851, 0.7169, 0.0971), b"bXYZ": colour(0.1431, 0.0606, 0.7141),
        b"rTRC": curve, b"gTRC": curve, b"bTRC": curve,
    }  # fmt: skip
    table, body, offset = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">II", offset + len(body), len(data))
        body += data
    size = 128 + len(table) + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"\0\0\0\0", 0x02100000, b"mntr", b"RGB ", b"XYZ ") + bytes(12) + b"acsp" + bytes(28)
    return (head + fixed(0.9642) + fixed(1) + fixed(0.8249)).ljust(128, b"\0") + table + body


def test_the_embedded_profile_is_applied_in_every_format(tmp_path: Path) -> None:
    linear = (np.asarray(Image.new("RGB", (64, 64), (55, 55, 55)))).astype(np.uint8)  # 21.6 % of the light: 128 in sRGB
    import pillow_heif

    for ending in ("jpg", "png", "webp", "tif", "avif"):
        Image.fromarray(linear).save(tmp_path / f"linear.{ending}", icc_profile=linear_profile(), quality=95)
    pillow_heif.from_pillow(Image.fromarray(linear)).save(tmp_path / "linear.heic", quality=95, icc_profile=linear_profile())
    for path in tmp_path.iterdir():
        assert abs(decode(path).getpixel((30, 30))[0] - 128) <= 3, path.name


@pytest.mark.parametrize("max_side", [None, 80], ids=["whole", "small"])
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif", "avif", "heic"])
def test_a_saved_crop_carries_neither_place_nor_profile_of_the_photo(tmp_path: Path, ending: str, max_side: int | None) -> None:
    """Saved as PNG, where Pillow keeps whatever the picture still has: the profile, and in some versions the EXIF."""
    photo = tmp_path / f"photo.{ending}"
    if ending == "heic":
        import pillow_heif

        pillow_heif.from_pillow(corners()).save(photo, exif=photo_exif().tobytes(), icc_profile=linear_profile())
    else:
        corners().save(photo, exif=photo_exif().tobytes(), icc_profile=linear_profile())
    with Image.open(photo) as opened:
        assert opened.getexif().get_ifd(0x8825) and "icc_profile" in opened.info
        opened.save(tmp_path / "kept.png", exif=opened.getexif())
    with Image.open(tmp_path / "kept.png") as kept:
        assert "icc_profile" in kept.info, "else this test would prove nothing"
    picture = decode(photo, max_side=max_side)
    assert picture.info == {}
    picture.crop((10, 10, 60, 60)).save(tmp_path / "crop.png")
    with Image.open(tmp_path / "crop.png") as crop:
        assert not crop.getexif() and not crop.info.keys() & {"icc_profile", "exif", "xmp"}
    kinds = {kind for kind, _data in chunks_of(tmp_path / "crop.png")}
    assert kinds <= {b"IHDR", b"IDAT", b"IEND", b"PLTE"}


def chunks_of(path: Path) -> list[tuple[bytes, bytes]]:
    """The chunks of a PNG."""
    data, at, found = path.read_bytes(), 8, []
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    return found


def test_a_broken_or_unfit_profile_leaves_the_colours_as_they_are(tmp_path: Path) -> None:
    corners().save(tmp_path / "broken.png", icc_profile=b"not a profile at all")
    assert_corners(decode(tmp_path / "broken.png"), 0)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("L", (8, 8), 100).save(tmp_path / "grey.jpg", icc_profile=srgb)
    assert decode(tmp_path / "grey.jpg").getpixel((3, 3)) == (100, 100, 100)


def test_max_side_bounds_the_longer_side_and_never_enlarges(tmp_path: Path) -> None:
    corners(1600, 900).save(tmp_path / "large.jpg")
    assert decode(tmp_path / "large.jpg", max_side=400).size == (400, 225)
    assert_corners(decode(tmp_path / "large.jpg", max_side=400))
    assert decode(tmp_path / "large.jpg", max_side=5000).size == (1600, 900)


# --- headers and texts ------------------------------------------------------------------------------------------------
def photo_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x010E], exif[0x013B] = "Canon", "Canon EOS R6", "a note", "Ana"
    exif.get_ifd(0x8769).update({0x9003: "2024:05:31 18:02:11", 0xA434: "RF85mm F2"})
    exif.get_ifd(0x8825).update({1: "N", 2: (40.0, 25.0, 0.0)})
    return exif


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif", "avif"])
def test_date_camera_and_lens(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"photo.{ending}"
    corners().save(path, exif=photo_exif().tobytes())
    header = read_header(path)
    assert (header.taken, header.camera, header.lens) == ("2024:05:31 18:02:11", "Canon EOS R6", "RF85mm F2")
    assert read_embedded(path).description == "a note"


def test_damaged_exif_does_not_refuse_a_photo(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    corners().save(path, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + os.urandom(40))
    assert (read_header(path).width, read_header(path).camera) == (160, "")
    assert_corners(decode(path))


def late_text_png(texts: bytes) -> bytes:
    """A PNG whose text chunks stand behind the pixels, as MidJourney writes them."""
    buffer = BytesIO()
    corners().save(buffer, "PNG")
    data = buffer.getvalue()
    return data[:-12] + texts + data[-12:]


def test_png_texts_behind_the_pixels(tmp_path: Path) -> None:
    compressed = zlib.compress("café by the sea --ar 2:3".encode())
    path = tmp_path / "late.png"
    path.write_bytes(late_text_png(
        png_chunk(b"iTXt", b"Description\0\1\0en\0\0" + compressed)
        + png_chunk(b"tEXt", b"Author\0u1431619417")
        + png_chunk(b"zTXt", b"Creation Time\0\0" + zlib.compress(b"Thu, 11 Sep 2025 09:48:26 GMT"))
        + png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP.encode())
    ))  # fmt: skip
    assert read_embedded(path) == EmbeddedText(
        "café by the sea --ar 2:3", "u1431619417", "Thu, 11 Sep 2025 09:48:26 GMT", "1338fb17-2986-466a-a23e-b8b3c25c8c82",
        "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
    )  # fmt: skip
    with Image.open(path) as reference:
        assert reference.text["Description"] == "café by the sea --ar 2:3", "Pillow, which decodes the pixels, reads the same"


def test_texts_that_pillow_writes_before_the_pixels(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Description", "a prompt --v 7", zip=True)
    info.add_itxt("Author", "jürgen")
    corners().save(tmp_path / "early.png", pnginfo=info)
    assert read_embedded(tmp_path / "early.png") == EmbeddedText("a prompt --v 7", "jürgen")


@pytest.mark.parametrize("ending", ["jpg", "webp", "tif"])
def test_xmp_of_other_formats(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"described.{ending}"
    more = {"tiffinfo": {700: XMP.encode()}} if ending == "tif" else {"xmp": XMP.encode()}
    corners().save(path, **more)
    text = read_embedded(path)
    assert (text.description, text.image_guid) == ("a lighthouse --v 7", "1338fb17-2986-466a-a23e-b8b3c25c8c82")


def test_hostile_texts_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    entities = '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;">]><a>&y;</a>'
    path.write_bytes(late_text_png(
        png_chunk(b"zTXt", b"Description\0\0" + zlib.compress(bytes(50_000_000), 1))
        + png_chunk(b"tEXt", b"Author\0" + b"x" * 3_000_000)
        + png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + entities.encode())
        + b"".join(png_chunk(b"tEXt", b"k%d\0v" % number) for number in range(1000))
    ))  # fmt: skip
    text = read_embedded(path)
    assert len(text.description) <= 1 << 20
    assert (text.author, text.image_guid) == ("", "")


# --- what is refused --------------------------------------------------------------------------------------------------
def test_empty_text_and_device(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    assert refusal(tmp_path / "empty.png") is Reason.EMPTY
    for name in ("note.png", "note.jpg", "note.nef", "note.heic"):
        (tmp_path / name).write_text("this is only text, whatever its name says\n")
        assert refusal(tmp_path / name) is Reason.NOT_A_PICTURE, name
    os.mkfifo(tmp_path / "pipe.png")
    assert refusal(tmp_path / "pipe.png") is Reason.NOT_A_PICTURE
    assert refusal(tmp_path / "gone.png") is Reason.OUT_OF_REACH
    (tmp_path / "folder.jpg").mkdir()
    assert refusal(tmp_path / "folder.jpg") is Reason.NOT_A_PICTURE


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif", "bmp", "gif", "heic", "avif", "dng"])
def test_a_cut_header_is_unreadable(tmp_path: Path, ending: str) -> None:
    whole = make(tmp_path / f"whole.{ending}")
    cut = tmp_path / f"cut.{ending}"
    cut.write_bytes(whole.read_bytes()[:20])
    assert refusal(cut) is Reason.UNREADABLE


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif", "bmp", "heic", "avif", "dng"])
def test_a_cut_picture_is_unreadable_at_the_latest_when_decoded(tmp_path: Path, ending: str) -> None:
    whole = make(tmp_path / f"whole.{ending}")
    cut = tmp_path / f"cut.{ending}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    with pytest.raises(UnreadablePicture) as caught:
        decode(cut)
    assert caught.value.reason is Reason.UNREADABLE
    if ending == "png":
        assert refusal(cut) is Reason.UNREADABLE, "the chunks of a PNG show it without decoding"


def make(path: Path) -> Path:
    noise = Image.fromarray(np.random.default_rng(7).integers(0, 255, (120, 160, 3), np.uint8))
    if path.suffix == ".dng":
        write_dng(path, np.asarray(noise))
    elif path.suffix == ".heic":
        import pillow_heif

        pillow_heif.from_pillow(noise).save(path)
    else:
        noise.save(path)
    return path


@pytest.mark.parametrize(
    ("name", "options"), [("a.gif", {}), ("a.webp", {}), ("a.png", {}), ("a.avif", {}), ("a.apng", {"format": "PNG"})]
)
def test_animations_are_refused_and_their_still_kin_are_not(tmp_path: Path, name: str, options: dict[str, str]) -> None:
    frames = [Image.new("RGB", (40, 30), colour) for colour in (RED, BLUE, GREEN)]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], duration=100, **options)
    assert refusal(tmp_path / name) is Reason.ANIMATED
    frames[0].save(tmp_path / name, **options)
    assert read_header(tmp_path / name).width == 40


def test_pages_of_a_tiff_are_no_animation(tmp_path: Path) -> None:
    corners().save(tmp_path / "pages.tif", save_all=True, append_images=[corners()])
    assert_corners(decode(tmp_path / "pages.tif"))


def test_a_decompression_bomb_is_refused_unopened_and_a_panorama_is_not(tmp_path: Path) -> None:
    def claim(width: int, height: int) -> Path:
        path = tmp_path / f"{width}.png"
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"") + png_chunk(b"IEND", b""))
        return path

    for width, height in ((20_000, 20_001), (100_000, 100_000), (2**31 - 1, 2**31 - 1), (MAX_PIXELS, 1), (1, MAX_PIXELS)):
        assert refusal(claim(width, height)) is Reason.TOO_LARGE
        with pytest.raises(UnreadablePicture) as caught:
            decode(claim(width, height), max_side=64)
        assert caught.value.reason is Reason.TOO_LARGE
    assert read_header(claim(30_000, MAX_PIXELS // 30_000)).width == 30_000
    assert refusal(claim(0, 10)) is Reason.UNREADABLE


def test_a_picture_under_a_wrong_ending_is_read_by_its_content(tmp_path: Path) -> None:
    corners().save(tmp_path / "a.png")
    for name in ("a.jpg", "a.nef", "a.heic", "a.dng"):
        (tmp_path / "a.png").replace(tmp_path / name)
        assert read_header(tmp_path / name).format == "PNG"
        assert_corners(decode(tmp_path / name))
        (tmp_path / name).replace(tmp_path / "a.png")


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif", "bmp", "gif", "heic", "avif", "dng"])
def test_damaged_files_are_refused_or_read_but_nothing_else(tmp_path: Path, ending: str) -> None:
    whole = make(tmp_path / f"whole.{ending}").read_bytes()
    dice = random.Random(ending)
    path = tmp_path / f"damaged.{ending}"
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(dice.choice((1, 4, 30))):
            data[dice.randrange(min(len(data), dice.choice((64, 600, len(data)))))] = dice.randrange(256)
        path.write_bytes(data[: dice.choice((len(data), dice.randrange(1, len(data))))])
        for look in (read_header, read_embedded, decode):
            try:
                look(path)
            except UnreadablePicture as refused:
                assert isinstance(refused.reason, Reason)


# --- folders ----------------------------------------------------------------------------------------------------------
def test_a_folder_is_searched_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("b/c.PNG", "b/a.nef", "x.jpg", "x (1).jpg", "note.txt", "._x.jpg", "__MACOSX/x.jpg", "b/ñ\n😀.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.relative_to(tmp_path).as_posix() for path in list_pictures(tmp_path)] == [
        "x.jpg", "x (1).jpg", "b/a.nef", "b/c.PNG", "b/ñ\n😀.webp"
    ]  # fmt: skip


def test_links_out_of_the_folder_are_refused_and_circles_are_not_walked(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    corners().save(outside / "secret.png")
    corners().save(inside / "own.png")
    (inside / "link.png").symlink_to(outside / "secret.png")
    (inside / "folder").symlink_to(outside)
    (inside / "circle").symlink_to(inside)
    (inside / "same.png").symlink_to(inside / "own.png")
    (inside / "dangling.png").symlink_to(inside / "nothing.png")
    (inside / "itself.png").symlink_to(inside / "itself.png")
    (inside / "named.jpg").mkdir()
    found = survey(inside)
    assert [path.name for path in found.pictures] == ["own.png", "same.png"]
    assert [(path.name, reason) for path, reason in found.refused] == [
        ("dangling.png", Reason.NOT_A_PICTURE), ("folder", Reason.LINK_OUTSIDE), ("itself.png", Reason.NOT_A_PICTURE),
        ("link.png", Reason.LINK_OUTSIDE),
        ("named.jpg", Reason.NOT_A_PICTURE),
    ]  # fmt: skip
    (tmp_path / "way").symlink_to(inside)
    assert [path.name for path in list_pictures(tmp_path / "way")] == ["own.png", "same.png"]


def test_endings_are_lower_case_with_a_dot() -> None:
    assert RAW_ENDINGS < PICTURE_ENDINGS
    assert all(ending.startswith(".") and ending == ending.lower() for ending in PICTURE_ENDINGS)
    assert {".nef", ".cr2", ".cr3", ".crw", ".arw", ".dng", ".raf", ".orf", ".rw2", ".pef", ".srw"} <= RAW_ENDINGS


def test_every_photo_is_read() -> None:
    found = list_pictures(PHOTOS)
    assert len(found) == 10
    for path in found:
        header = read_header(path)
        picture = decode(path, max_side=256)
        assert max(picture.size) <= 256
        assert abs(header.width / header.height - picture.width / picture.height) < 0.02, path.name
