"""Small copies of pictures: made once, made anew for a new picture, and a sheet is drawn from nothing else."""

import os

from PIL import Image

from pictures.contact_sheet import GAP, Cell, contact_sheet
from pictures.thumbnails import SIDE_PX, thumbnail


def painted(path, colour, size=(1024, 512)):
    Image.new("RGB", size, colour).save(path)
    return path


def near(pixel, colour):
    return all(abs(one - other) <= 3 for one, other in zip(pixel, colour, strict=True))


def test_a_copy_is_small_and_made_once(tmp_path):
    folder, picture = tmp_path / "small", painted(tmp_path / "a.png", (200, 30, 40))
    assert thumbnail(picture, folder).size == (SIDE_PX, SIDE_PX // 2)
    (kept,) = folder.iterdir()
    before = kept.stat().st_mtime_ns
    assert near(thumbnail(picture, folder).getpixel((9, 9)), (200, 30, 40))
    assert kept.stat().st_mtime_ns == before and kept.stat().st_size < 20_000


def test_a_picture_that_is_written_anew_has_a_new_copy_and_the_old_one_goes(tmp_path):
    folder, picture = tmp_path / "small", painted(tmp_path / "a.png", (200, 30, 40))
    thumbnail(picture, folder)
    painted(picture, (10, 220, 40), (512, 512))
    assert near(thumbnail(picture, folder).getpixel((9, 9)), (10, 220, 40))
    assert len(list(folder.iterdir())) == 1


def test_a_damaged_copy_or_none_at_all_is_made_again(tmp_path):
    folder, picture = tmp_path / "small", painted(tmp_path / "a.png", (200, 30, 40))
    thumbnail(picture, folder)
    (kept,) = folder.iterdir()
    kept.write_bytes(b"no picture")
    assert near(thumbnail(picture, folder).getpixel((9, 9)), (200, 30, 40))
    kept.unlink()
    assert thumbnail(picture, folder).size == (SIDE_PX, SIDE_PX // 2)


def test_a_sheet_opens_no_large_picture_whose_copy_is_there(tmp_path):
    folder, picture = tmp_path / "small", painted(tmp_path / "a.png", (200, 30, 40), (512, 512))
    contact_sheet([[Cell(picture)]], tmp_path / "one.jpg", thumbnails=folder)
    found = picture.stat()
    picture.write_bytes(b"x" * found.st_size)  # nothing that could be opened
    os.utime(picture, ns=(found.st_atime_ns, found.st_mtime_ns))
    contact_sheet([[Cell(picture)]], tmp_path / "two.jpg", thumbnails=folder)
    assert (tmp_path / "one.jpg").read_bytes() == (tmp_path / "two.jpg").read_bytes()
    with Image.open(tmp_path / "two.jpg") as sheet:
        assert sheet.format == "JPEG" and near(sheet.getpixel((GAP + 90, GAP + 90)), (200, 30, 40))
