"""A contact sheet: rows of pictures with a label under each, as one picture, because people would rather look.

Knows nothing of clients, faces or models; whoever calls decides the rows, the labels and what is good or bad. The letters are
Pillow's own font, which is the same on every machine and has no accents: labels are shown without them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pictures.thumbnails import SIDE_PX, fitting, thumbnail
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
LABEL_LINES = 3  # at most
# How a sheet is written, by the ending of its name. PNG at level 1 takes a quarter of the time of Pillow's default for 14 % more
# bytes; JPEG takes a fifteenth of that again, and a quarter of the bytes, for sheets of hundreds of pictures.
FORMATS: dict[str, dict[str, Any]] = {
    ".png": {"format": "PNG", "compress_level": 1},
    ".jpg": {"format": "JPEG", "quality": 90, "subsampling": 0},
}


# Words that mean nothing where what they join was left out.
_JOINING = frozenset({"a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "the", "to", "wearing", "with"})


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
class _Sheet:
    """A sheet while it is drawn: its pixels, its letters, every length in pixels, and where small copies are kept."""

    image: Image.Image
    draw: ImageDraw.ImageDraw
    font: Font
    cell: int
    text: int  # height of one line
    thumbnails: Path | None

    def draw_row(self, top: int, row: Sequence[Cell], title: str) -> None:
        """One row, its title above it."""
        if title:
            self.write((GAP, top), title, self.image.width - 2 * GAP)
            top += self.text + GAP
        for index, cell in enumerate(row):
            self._draw_cell(GAP + index * (self.cell + GAP), top, cell)

    def write(self, corner: tuple[int, int], text: str, width: int, colour: Colour = INK) -> None:
        """One line of text, cut to a width."""
        self.draw.text(corner, _fitted(text, self.font, width), fill=colour, font=self.font)

    def _draw_cell(self, left: int, top: int, cell: Cell) -> None:
        """A picture, the bar of its tone, and the lines of its label."""
        side = self.cell
        picture = _small(cell.picture, side, self.thumbnails)
        if picture is None:
            self.draw.rectangle((left, top, left + side - 1, top + side - 1), fill=EMPTY)
            self.draw.line((left, top, left + side - 1, top + side - 1), fill=PAPER, width=2)
            self.draw.line((left, top + side - 1, left + side - 1, top), fill=PAPER, width=2)
        else:
            self.image.paste(picture, (left + (side - picture.width) // 2, top + (side - picture.height) // 2))
        self.draw.rectangle((left, top + side, left + side - 1, top + side + BAR - 1), fill=cell.tone.value)
        for number, line in enumerate(cell.label.splitlines()[:LABEL_LINES]):  # the label's own line breaks
            self.write((left, top + side + BAR + 1 + number * self.text), line, side)


def contact_sheet(
    rows: Sequence[Sequence[Cell]],
    path: Path,
    *,
    titles: Sequence[str] = (),
    caption: str = "",
    cell_px: int = 192,
    thumbnails: Path | None = None,
) -> None:
    """Write the rows to `path`, .png or .jpg, atomically; `titles[i]`, where there is one, stands above row i, `caption` above all.

    A picture keeps its proportions inside a square of `cell_px`; one is held in memory at a time. In a folder of `thumbnails` small
    copies are kept, from which the next sheet is drawn.
    """
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(max(10, cell_px // 14))
    line = int(font.getbbox("Ag")[3]) + 3
    lines = max((len(cell.label.splitlines()) for row in rows for cell in row), default=0)
    tops = [GAP + (line + GAP if caption else 0)]
    for index in range(len(rows)):
        height = cell_px + BAR + min(max(2, lines), LABEL_LINES) * line + GAP
        tops.append(tops[-1] + height + (line + GAP if _title(titles, index) else 0))
    width = max((len(row) for row in rows), default=0) * (cell_px + GAP) + GAP
    image = Image.new("RGB", (max(width, int(font.getlength(caption)) + 2 * GAP if caption else 0), tops[-1]), PAPER)
    sheet = _Sheet(image, ImageDraw.Draw(image), font, cell_px, line, thumbnails)
    if caption:
        sheet.write((GAP, GAP), caption, image.width - 2 * GAP, Tone.BAD.value)
    for index, row in enumerate(rows):
        sheet.draw_row(tops[index], row, _title(titles, index))
    with replacing(path) as part:
        image.save(part, **FORMATS[path.suffix])


def in_rows(cells: Sequence[Cell], columns: int) -> tuple[tuple[Cell, ...], ...]:
    """The cells as rows of at most `columns`, in their order."""
    return tuple(tuple(cells[start : start + columns]) for start in range(0, len(cells), columns))


def differing_words(texts: Sequence[str]) -> tuple[str, ...]:
    """Of each text, what tells it from the others: the words that not all of them have; all of it where there is only one text.

    Texts are prompts, phrases with commas between them. A text that has nothing of its own is told whole.
    """
    if len(set(texts)) < 2:
        return tuple(texts)
    shared = set.intersection(*({_bare(word) for word in text.split()} for text in texts))
    told = []
    for text in texts:
        phrases = []
        for phrase in text.split(","):
            words = [word for word in phrase.split() if _bare(word) not in shared]
            while words and _bare(words[0]) in _JOINING:
                words.pop(0)
            while words and _bare(words[-1]) in _JOINING:
                words.pop()
            phrases.append(" ".join(words))
        told.append(", ".join(filter(None, phrases)) or text)
    return tuple(told)


def _bare(word: str) -> str:
    """A word without the signs around it and without capitals, so that "Beach," and "beach" are one."""
    return word.strip(".,;:!?()\"'").lower()


def _title(titles: Sequence[str], index: int) -> str:
    return titles[index] if index < len(titles) else ""


def _small(picture: Path | Image.Image | None, side: int, thumbnails: Path | None) -> Image.Image | None:
    """The picture as RGB inside a square of `side`; None where there is none or its file has gone."""
    from PIL import Image

    if picture is None or (isinstance(picture, Path) and not picture.is_file()):
        return None
    if not isinstance(picture, Path):
        return fitting(picture, side)
    if thumbnails is not None and side <= SIDE_PX:
        kept = thumbnail(picture, thumbnails)
        return kept if max(kept.size) == side else fitting(kept, side)
    with Image.open(picture) as opened:
        opened.draft("RGB", (side, side))
        return fitting(opened, side)


def plain_letters(text: str) -> str:
    """The text in the letters that Pillow's own font has: without accents; any other shows as a question mark."""
    decomposed = unicodedata.normalize("NFKD", text)
    letters = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return letters.encode("ascii", "replace").decode("ascii")


def _fitted(text: str, font: Font, width: int) -> str:
    """The text, its middle left out where it is wider than `width`: both ends of a file name tell pictures apart."""
    text = plain_letters(text)
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
