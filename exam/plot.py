"""Likeness over steps as a picture: every checkpoint with its interval, and what was chosen in green."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from exam.candidates import WEIGHTS
from exam.records import ExamVerdict, Judged
from locales.language import _
from pictures.contact_sheet import plain_letters
from portraits.recipes import DEFAULT_WEIGHT
from utils import replacing

if TYPE_CHECKING:
    from PIL import ImageDraw, ImageFont

    Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

SIZE_PX = (960, 480)
LEFT, TOP, RIGHT, BOTTOM = 90, 60, 40, 60  # margins, pixels
LETTERS_PX = 14
BESIDE_PX = 16  # how far to the right lighter weights of a step stand, each
LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
FLOOR = -0.5  # of the scale: what is worse is drawn as lying there, or the rest could not be told apart
INK, PAPER, RULE, LINE, LIGHT, CHOSEN = (
    (38, 38, 42),
    (250, 250, 248),
    (222, 222, 219),
    (70, 110, 190),
    (150, 150, 155),
    (46, 160, 82),
)


def write_plot(file: Path, verdict: ExamVerdict) -> None:
    """Write the picture, atomically: the way from the base (0 %) to the best (100 %) over steps; lighter weights stand beside."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", SIZE_PX, PAPER)
    plot = _Plot(ImageDraw.Draw(image), ImageFont.load_default(LETTERS_PX), verdict)
    plot.scale()
    usual = [one for one in verdict.judged if one.candidate.weight == DEFAULT_WEIGHT]
    plot.draw.line([plot.place(one, one.score.value) for one in usual], fill=LINE, width=2)
    for at, one in enumerate(verdict.judged):
        plot.interval(one, chosen=at == verdict.chosen)
    with replacing(file) as part:
        image.save(part, format="PNG")


@dataclass(frozen=True, slots=True)
class _Plot:
    """The plot while it is drawn, and where its points lie."""

    draw: ImageDraw.ImageDraw
    font: Font
    verdict: ExamVerdict

    @property
    def top(self) -> float:
        """The highest share that is drawn."""
        return max(1.0, *(one.score.high for one in self.verdict.judged)) + 0.05

    @property
    def bottom(self) -> float:
        """The lowest share that is drawn."""
        return max(FLOOR, min(0.0, *(one.score.low for one in self.verdict.judged))) - 0.05

    def place(self, one: Judged, score: float) -> tuple[float, float]:
        """Where a point lies in the picture: steps to scale, lighter weights a little to the right of theirs."""
        steps = [other.candidate.step for other in self.verdict.judged]
        room = SIZE_PX[0] - LEFT - RIGHT - BESIDE_PX * len(WEIGHTS)
        across = (one.candidate.step - min(steps)) / max(1, max(steps) - min(steps))
        beside = BESIDE_PX * (len(WEIGHTS) - 1 - WEIGHTS.index(one.candidate.weight)) if one.candidate.weight in WEIGHTS else 0
        return LEFT + BESIDE_PX + across * room + beside, self.height_of(score)

    def height_of(self, score: float) -> float:
        """Pixels from the upper edge."""
        share = (max(score, self.bottom) - self.bottom) / (self.top - self.bottom)
        return SIZE_PX[1] - BOTTOM - share * (SIZE_PX[1] - TOP - BOTTOM)

    def scale(self) -> None:
        """Lines and what they mean."""
        for level in LEVELS:
            y = self.height_of(level)
            self.draw.line((LEFT, y, SIZE_PX[0] - RIGHT, y), fill=RULE)
            self.write((LEFT - 10, y), f"{level:.0%}", "rm")
        self.write(
            (LEFT - 70, 16), _("Likeness in percent: 0 is the base alone, 100 the best; each line holds it nine times in ten"), "lt"
        )
        self.write((SIZE_PX[0] / 2, SIZE_PX[1] - 14), _("step"), "mb")

    def interval(self, one: Judged, *, chosen: bool) -> None:
        """A point with its interval, and the step under it or the weight beside it."""
        usual = one.candidate.weight == DEFAULT_WEIGHT
        colour = CHOSEN if chosen else LINE if usual else LIGHT
        (x, y), (_x, low), (_x, high) = (self.place(one, share) for share in (one.score.value, one.score.low, one.score.high))
        self.draw.line((x, low, x, high), fill=colour, width=3)
        self.draw.ellipse((x - 5, y - 5, x + 5, y + 5), fill=colour)
        if usual:
            self.write((x, SIZE_PX[1] - BOTTOM + 8), str(one.candidate.step), "mt")
        else:
            self.write((x, high - 4), f"{one.candidate.weight:g}", "mb")

    def write(self, corner: tuple[float, float], text: str, anchor: str) -> None:
        """A text in the letters that the font has."""
        self.draw.text(corner, plain_letters(text), fill=INK, font=self.font, anchor=anchor)
