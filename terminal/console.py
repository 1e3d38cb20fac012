"""The one place that shows text which is not ours: names, prompts, captions, paths, logs are shown letter by letter, never obeyed.

All that is drawn goes through `PlainConsole` and `Rows`, whatever a view hands them: `[b]` and `[cow:horse:0.5]` stay as they are;
what would move the cursor, name the window, turn the writing direction or begin a line of its own becomes a question mark. A view
that wants several lines hands over several texts. Lists and forms of prompt_toolkit, which know no markup, ask `printable`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from itertools import accumulate
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

_JOINERS = "\u200c\u200d"  # within Persian words, and within emoji of several: invisible, and they belong to a name


def printable(text: str) -> str:
    """A text on one line, as long as it was: blanks of every kind become blanks, and what no terminal shows a question mark."""
    return text if text.isprintable() else "".join(map(_shown, text))


def cut(text: str, columns: int) -> str:
    """A text in so many columns, its end left out where it has more; 0 or fewer columns cut nothing."""
    from prompt_toolkit.utils import get_cwidth

    if columns <= 0 or get_cwidth(text) <= columns:
        return text
    widths = accumulate(map(get_cwidth, text))
    return "".join(letter for letter, width in zip(text, widths, strict=True) if width < columns) + "…"


def _shown(letter: str) -> str:
    if letter.isprintable() or letter in _JOINERS:
        return letter
    return " " if letter == "\t" or unicodedata.category(letter) == "Zs" else "?"


class PlainConsole(Console):
    """Where the program draws; no text has a meaning besides its letters."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of whatever is drawn; a text in it, however deep, is made printable first."""
        return super().render(_as_text(renderable), options)


class Rows(Table):
    """A table whose cells are texts, each on one line until it is folded."""

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        """A row; its cells are made printable before they are measured."""
        super().add_row(*(None if cell is None else _as_text(cell) for cell in cells), **options)


def _as_text(drawn: RenderableType) -> RenderableType:
    """A text without what a terminal would obey; anything else as it is."""
    if isinstance(drawn, str):
        return Text(printable(drawn))
    if isinstance(drawn, Text) and not drawn.plain.isprintable():
        drawn = drawn.copy()
        drawn.plain = printable(drawn.plain)
    return drawn
