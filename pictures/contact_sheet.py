"""A contact sheet: rows of pictures with a label under each, as one PNG, because people would rather look.

Knows nothing of clients, faces or models; whoever calls decides the rows, the labels and what is good or bad. The letters are
Pillow's own font, which is the same on every machine and has no accents: labels are shown without them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from utils import replacing

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

    Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

Colour = tuple[int, int, int]

PAPER: Colour = (250, 250, 248)
INK: Colour = (38, 38, 42)
EMPTY: Colour = (226, 226, 224)
GAP = 10  # pixels between cells, and around all of them
BAR = 4  # pixels of the coloured bar under a picture
LABEL_LINES = 2
PNG_LEVEL = 1  # a quarter of the time of Pillow's default for 14 % more bytes


class Tone(Enum):
    """What a cell says at a glance: the colour of the bar under its picture."""

    GOOD = (46, 160, 82)
    BAD = (208, 58, 52)
    PLAIN = PAPER


@dataclass(frozen=True, slots=True)
class Cell:
    """One picture of a sheet: a file, a Pillow image, or None for a picture that could not be had."""

    picture: Path | Image.Image | None
    label: str = ""
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class _Layout:
    """Every length of a sheet, in pixels."""

    cell: int
    text: int  # height of one line

    @property
    def title(self) -> int:
        return self.text + GAP

    @property
    def row(self) -> int:
        return self.cell + BAR + LABEL_LINES * self.text + GAP


def contact_sheet(
    rows: Sequence[Sequence[Cell]], path: Path, *, titles: Sequence[str] = (), caption: str = "", cell_px: int = 192
) -> None:
    """Write the rows to `path` as a PNG, atomically; `titles[i]`, where there is one, stands above row i, `caption` above all.

    A picture keeps its proportions inside a square of `cell_px`; one is held in memory at a time.
    """
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(max(10, cell_px // 14))
    layout = _Layout(cell_px, int(font.getbbox("Ag")[3]) + 3)
    columns = max((len(row) for row in rows), default=0)
    heights = [layout.row + (layout.title if _title(titles, index) else 0) for index in range(len(rows))]
    top = GAP + (layout.title if caption else 0)
    width = max(columns * (cell_px + GAP) + GAP, int(font.getlength(caption)) + 2 * GAP if caption else 0)
    sheet = Image.new("RGB", (width, top + sum(heights)), PAPER)
    draw = ImageDraw.Draw(sheet)
    if caption:
        draw.text((GAP, GAP), _fitted(caption, font, width - 2 * GAP), fill=Tone.BAD.value, font=font)
    for index, row in enumerate(rows):
        _draw_row(sheet, draw, font, layout, top, row, _title(titles, index))
        top += heights[index]
    with replacing(path) as part:
        sheet.save(part, format="PNG", compress_level=PNG_LEVEL)


def in_rows(cells: Sequence[Cell], columns: int) -> tuple[tuple[Cell, ...], ...]:
    """The cells as rows of at most `columns`, in their order."""
    return tuple(tuple(cells[start : start + columns]) for start in range(0, len(cells), columns))


def _title(titles: Sequence[str], index: int) -> str:
    return titles[index] if index < len(titles) else ""


def _draw_row(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, font: Font, layout: _Layout, top: int, row: Sequence[Cell], title: str
) -> None:  # fmt: skip
    """One row, its title above it."""
    if title:
        draw.text((GAP, top), _fitted(title, font, sheet.width - 2 * GAP), fill=INK, font=font)
        top += layout.title
    for index, cell in enumerate(row):
        _draw_cell(sheet, draw, font, layout, (GAP + index * (layout.cell + GAP), top), cell)


def _draw_cell(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, font: Font, layout: _Layout, corner: tuple[int, int], cell: Cell
) -> None:
    """A picture, the bar of its tone, and up to two lines of its label."""
    left, top = corner
    side = layout.cell
    picture = _thumbnail(cell.picture, side)
    if picture is None:
        draw.rectangle((left, top, left + side - 1, top + side - 1), fill=EMPTY)
        draw.line((left, top, left + side - 1, top + side - 1), fill=PAPER, width=2)
        draw.line((left, top + side - 1, left + side - 1, top), fill=PAPER, width=2)
    else:
        sheet.paste(picture, (left + (side - picture.width) // 2, top + (side - picture.height) // 2))
    draw.rectangle((left, top + side, left + side - 1, top + side + BAR - 1), fill=cell.tone.value)
    for number, line in enumerate(cell.label.splitlines()[:LABEL_LINES]):  # the label's own line breaks
        draw.text((left, top + side + BAR + 1 + number * layout.text), _fitted(line, font, side), fill=INK, font=font)


def _thumbnail(picture: Path | Image.Image | None, side: int) -> Image.Image | None:
    """The picture as RGB inside a square of `side`; None where there is none or its file has gone."""
    from PIL import Image

    if picture is None or (isinstance(picture, Path) and not picture.is_file()):
        return None
    if isinstance(picture, Path):
        with Image.open(picture) as opened:
            opened.draft("RGB", (side, side))
            return _fitting(opened, side)
    return _fitting(picture, side)


def _fitting(image: Image.Image, side: int) -> Image.Image:
    """A copy of the image, as large as fits into a square of `side`."""
    from PIL import Image

    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=1.2)


def _fitted(text: str, font: Font, width: int) -> str:
    """The text, its middle left out where it is wider than `width`: both ends of a file name tell pictures apart."""
    # In the letters the font has; any other shows as a question mark.
    decomposed = unicodedata.normalize("NFKD", text)
    letters = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    text = letters.encode("ascii", "replace").decode("ascii")
    if font.getlength(text) <= width:
        return text
    keep = len(text)
    while keep > 2 and font.getlength(_without_middle(text, keep)) > width:
        keep -= 1
    return _without_middle(text, keep)


def _without_middle(text: str, keep: int) -> str:
    """The first and last characters of a text, `keep` in all, around an ellipsis."""
    head = (keep + 1) // 2
    return text[:head] + "..." + text[len(text) - (keep - head) :]
