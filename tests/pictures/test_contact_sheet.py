"""The contact sheet, measured in its own pixels."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from pictures.contact_sheet import BAR, EMPTY, GAP, PAPER, Cell, Tone, contact_sheet, in_rows
from pictures.letters import letters

RED, BLUE = (200, 0, 0), (0, 0, 200)


def solid(colour: tuple[int, int, int], size: tuple[int, int] = (100, 100)) -> Image.Image:
    return Image.new("RGB", size, colour)


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def test_every_picture_lies_in_its_cell(tmp_path: Path) -> None:
    rows = [[Cell(solid(RED)), Cell(solid(BLUE))], [Cell(solid(BLUE))]]
    contact_sheet(rows, tmp_path / "sheet.png", cell_px=64)
    sheet = opened(tmp_path / "sheet.png")
    row_height = (sheet.height - GAP) // 2
    middle = GAP + 32
    assert sheet.width == 2 * (64 + GAP) + GAP
    assert sheet.getpixel((middle, middle)) == RED
    assert sheet.getpixel((middle + 64 + GAP, middle)) == BLUE
    assert sheet.getpixel((middle, middle + row_height)) == BLUE
    assert sheet.getpixel((middle + 64 + GAP, middle + row_height)) == PAPER


@pytest.mark.parametrize("size", [(400, 100), (100, 400), (3, 1), (1, 1)])
def test_a_picture_keeps_its_proportions(tmp_path: Path, size: tuple[int, int]) -> None:
    contact_sheet([[Cell(solid(RED, size))]], tmp_path / "sheet.png", cell_px=80)
    sheet = opened(tmp_path / "sheet.png")
    red = [(x, y) for x in range(sheet.width) for y in range(sheet.height) if sheet.getpixel((x, y)) == RED]
    width = max(x for x, _ in red) - min(x for x, _ in red) + 1
    height = max(y for _, y in red) - min(y for _, y in red) + 1
    scale = 80 / max(size)
    assert (width, height) == (round(size[0] * scale), round(size[1] * scale))


@pytest.mark.parametrize("tone", list(Tone))
def test_the_bar_under_a_picture_shows_its_tone(tmp_path: Path, tone: Tone) -> None:
    contact_sheet([[Cell(solid(RED), "label", tone)]], tmp_path / "sheet.png", cell_px=64)
    assert opened(tmp_path / "sheet.png").getpixel((GAP + 32, GAP + 64 + BAR // 2)) == tone.value


def test_a_caption_stands_above_all_and_is_never_cut_by_a_narrow_sheet(tmp_path: Path) -> None:
    caption = "practice model, no photographs"
    for name, told in (("plain", ""), ("told", caption)):
        contact_sheet([[Cell(solid(RED))]], tmp_path / f"{name}.png", caption=told, cell_px=64)
    plain, told_sheet = opened(tmp_path / "plain.png"), opened(tmp_path / "told.png")
    above = told_sheet.height - plain.height
    assert above > 10 and told_sheet.width > plain.width
    assert told_sheet.getpixel((GAP + 32, GAP + 32 + above)) == RED, "the picture lies below it"
    inked = [told_sheet.getpixel((x, y)) != PAPER for x in range(told_sheet.width) for y in range(GAP, GAP + above)]
    assert sum(inked) > 100
    assert all(told_sheet.getpixel((told_sheet.width - 1, y)) == PAPER for y in range(told_sheet.height)), (
        "and room is left beside it"
    )


def test_a_missing_picture_leaves_a_crossed_out_cell(tmp_path: Path) -> None:
    contact_sheet([[Cell(None), Cell(tmp_path / "gone.png")]], tmp_path / "sheet.png", cell_px=64)
    sheet = opened(tmp_path / "sheet.png")
    for left in (GAP, GAP + 64 + GAP):
        assert sheet.getpixel((left + 32, GAP + 8)) == EMPTY
        assert sheet.getpixel((left + 32, GAP + 32)) == PAPER


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1"])
def test_pictures_of_any_mode_are_shown_from_files(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("in.tif" if mode == "CMYK" else "in.png")
    solid((255, 255, 255)).convert(mode).save(path)
    contact_sheet([[Cell(path)]], tmp_path / "sheet.png", cell_px=64)
    assert min(opened(tmp_path / "sheet.png").getpixel((GAP + 32, GAP + 32))) > 250


def ink(sheet: Image.Image, top: int) -> list[int]:
    """The columns that hold dark pixels below `top`."""
    grey = sheet.convert("L")
    return [x for x in range(sheet.width) if any(grey.getpixel((x, y)) < 120 for y in range(top, sheet.height))]


@pytest.mark.parametrize("label", ["a_very_long_name_" * 9 + ".png", "日本" * 50, "x\ny\nz", "ñandú Ángel", ""])
def test_a_label_stays_under_its_picture(tmp_path: Path, label: str) -> None:
    contact_sheet([[Cell(None, label), Cell(None)]], tmp_path / "sheet.png", cell_px=96)
    columns = ink(opened(tmp_path / "sheet.png"), GAP + 96 + BAR)
    assert bool(columns) == bool(label)
    assert all(GAP <= x <= GAP + 96 for x in columns)


def test_accents_are_drawn_however_they_are_written(tmp_path: Path) -> None:
    one_sign, two_signs, bare = "práctica, línea, Ñandú", "pra\u0301ctica, li\u0301nea, N\u0303andu\u0301", "practica, linea, Nandu"
    for name, label in (("one", one_sign), ("two", two_signs), ("bare", bare), ("no text", "\ud83d")):
        contact_sheet([[Cell(None, label)]], tmp_path / f"{name}.png")
    pictures = {name: (tmp_path / f"{name}.png").read_bytes() for name in ("one", "two", "bare")}
    assert pictures["one"] == pictures["two"] != pictures["bare"]


def test_every_letter_of_spanish_has_a_shape_of_its_own() -> None:
    font = letters(24)
    shapes = {letter: bytes(font.getmask(letter)) for letter in "áéíóúüñÁÉÍÓÚÜÑaeiounAEIOUN¿¡?!«»—\uffff"}
    assert len(set(shapes.values())) == len(shapes), "none is the box of a letter that is lacking"


def test_a_title_stands_above_its_row_and_moves_it_down(tmp_path: Path) -> None:
    rows = [[Cell(solid(RED))], [Cell(solid(BLUE))]]
    contact_sheet(rows, tmp_path / "bare.png", cell_px=64)
    contact_sheet(rows, tmp_path / "titled.png", cell_px=64, titles=["", "Portraits"])
    bare, titled = opened(tmp_path / "bare.png"), opened(tmp_path / "titled.png")
    assert titled.height > bare.height
    assert titled.getpixel((GAP + 32, GAP + 32)) == RED
    first_blue = next(y for y in range(titled.height) if titled.getpixel((GAP + 32, y)) == BLUE)
    assert first_blue == next(y for y in range(bare.height) if bare.getpixel((GAP + 32, y)) == BLUE) + titled.height - bare.height


def test_a_failure_leaves_the_old_sheet_and_no_half_file(tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    contact_sheet([[Cell(solid(RED))]], path)
    before = path.read_bytes()
    broken = tmp_path / "broken.png"
    broken.write_bytes(before[: len(before) // 2])
    with pytest.raises(OSError):
        contact_sheet([[Cell(broken)]], path)
    assert path.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == [broken, path]


def test_no_rows_still_make_a_picture(tmp_path: Path) -> None:
    contact_sheet([], tmp_path / "sheet.png")
    assert opened(tmp_path / "sheet.png").size == (GAP, GAP)


def test_in_rows_keeps_every_cell_in_its_order() -> None:
    cells = [Cell(None, str(number)) for number in range(10)]
    rows = in_rows(cells, 4)
    assert [len(row) for row in rows] == [4, 4, 2]
    assert [cell for row in rows for cell in row] == cells
    assert in_rows([], 4) == ()
