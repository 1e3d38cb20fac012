"""A list of rows to choose from: pointer and bar on one row, numbers that stay, search by typing, and what a row does beside it.

Drawn with prompt_toolkit. The lists that stand on it give no number to a row that cannot be taken, none to the tenth, and light up
the row that was preselected instead of the one under the pointer.
"""

from __future__ import annotations

import re
import string
from collections.abc import Collection, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

from locales.language import N_, _
from terminal.console import cut, printable
from utils import fold

if TYPE_CHECKING:
    from prompt_toolkit import Application
    from prompt_toolkit.formatted_text import StyleAndTextTuples
    from prompt_toolkit.key_binding import KeyBindings

BACK = "<back>"  # an answer that no client can be named; its row has the number 0
PREVIEW_COLUMNS = 38  # of what a row does, beside the list
PREVIEW_FROM = 100  # columns: a narrower terminal has no room for what a row does beside the list
ABOUT_FROM = 16  # lines: a lower terminal has no room for it below the list either
_COLUMNS = re.compile(r"\s{2,}")
SEARCH_FROM = 16  # rows: in longer lists it is said that typing searches; it does so in all
# Colours by name, so that they are those of the terminal's own theme; prompt_toolkit leaves them out where NO_COLOR is set.
LOOKS = {
    "question": "bold",
    "keys": "fg:ansibrightblack",
    "search": "bold fg:ansicyan",
    "answer": "fg:ansicyan",
    "pointed": "bold reverse",
    "done": "fg:ansigreen",
    "next": "bold",
    "waiting": "fg:ansibrightblack",
    "preview": "",
    "preview.title": "bold",
    "line": "fg:ansibrightblack",
}
TEXT = {
    "keys": N_("(arrows or numbers, Enter; Esc: back)"),
    "keys_search": N_("(arrows, numbers or type to search, Enter; Esc: back)"),
    "keys_ticks": N_("(space ticks, Enter: done; Esc: back)"),
    "search": N_("search: {words}"),
    "nothing": N_("nothing is called that"),
}


def text(name: str) -> str:
    """A text of a list, in the user's language."""
    return _(TEXT[name])


class Option(NamedTuple):
    """One row: what taking it answers, what stands there, why it cannot be taken, what it does, and how it looks (see LOOKS)."""

    value: str
    label: str
    why: str = ""
    about: str = ""
    look: str = ""


class ChoiceList:
    """Which rows are shown, which one the pointer is on, what was typed; `ticked` are the values ticked in a list for several."""

    def __init__(self, question: str, options: Sequence[Option], default: str | None, several: bool = False) -> None:
        self.question, self.several = printable(question), several
        self.options = tuple(
            one._replace(label=printable(one.label), why=printable(one.why), about=printable(one.about)) for one in options
        )
        self.numbers = tuple("0" if option.value == BACK else str(number) for number, option in enumerate(options, 1))
        self.search = self._digits = ""
        self.left = False  # whether the user went back
        self.ticked: list[str] = []
        takeable = [row for row, option in enumerate(self.options) if not option.why]
        self.at = next((row for row in takeable if self.options[row].value == default), takeable[0] if takeable else 0)

    @property
    def shown(self) -> tuple[int, ...]:
        """The rows that have every word that was typed, with or without accents; all of them where nothing was."""
        words = fold(self.search).split()
        rows = enumerate(self.options)
        return tuple(row for row, one in rows if all(word in fold(f"{one.label} {one.value}") for word in words))

    @property
    def pointed(self) -> Option | None:
        """The row under the pointer; None where nothing is shown that can be taken."""
        return self.options[self.at] if self.at in self.shown and not self.options[self.at].why else None

    def move(self, steps: int) -> None:
        """Go so many rows down, or up, past those that cannot be taken, and around the end where it is one row."""
        rows = [row for row in self.shown if not self.options[row].why]
        self._digits = ""
        if not rows:
            return
        place = rows.index(self.at) + steps if self.at in rows else 0
        self.at = rows[place % len(rows)] if abs(steps) == 1 else rows[min(max(place, 0), len(rows) - 1)]

    def type(self, letters: str) -> None:
        """A digit goes to the row of that number, two of them to the tenth row and on; anything else searches."""
        if letters in string.digits and not self.search:
            for typed in (self._digits + letters, letters):
                if typed in self.numbers:
                    self._digits, row = typed, self.numbers.index(typed)
                    self.at = self.at if self.options[row].why else row
                    return
        elif letters.isprintable() and (letters.strip() or self.search):
            self._look_for(self.search + letters)

    def rub_out(self) -> None:
        """Take back the last letter of what is searched for."""
        self._look_for(self.search[:-1])

    def clear(self) -> bool:
        """Show all rows again; whether anything was searched for."""
        searched = bool(self.search)
        self._look_for("")
        return searched

    def _look_for(self, words: str) -> None:
        self.search, self._digits = words, ""
        if self.pointed is None:
            self.at = next((row for row in self.shown if not self.options[row].why), self.at)

    def tick(self) -> None:
        """Tick the row under the pointer, or take the tick off."""
        if self.pointed and self.pointed.value != BACK:
            value = self.pointed.value
            self.ticked = [one for one in self.ticked if one != value] if value in self.ticked else [*self.ticked, value]

    # --- how it looks -----------------------------------------------------------------------------------------------------
    def head(self, answered: bool) -> StyleAndTextTuples:
        """The question, with the answer once there is one, else with the keys and what is searched for."""
        parts: StyleAndTextTuples = [("class:question", f" {self.question} ")]
        if answered:
            taken = self.ticked if self.several else [self.pointed.value] if self.pointed else []
            labels = [one.label for one in self.options if one.value in taken and not self.left]
            # A row may be a table's: its first column names it.
            return [*parts, ("class:answer", ", ".join(_COLUMNS.split(label)[0] for label in labels) or "-")]
        keys = "keys_ticks" if self.several else "keys_search" if len(self.options) >= SEARCH_FROM else "keys"
        return [*parts, ("class:keys", text(keys))]

    def searched(self) -> StyleAndTextTuples:
        """What is searched for."""
        return [("class:search", " " + text("search").format(words=self.search))]

    def rows(self, columns: int = 0) -> StyleAndTextTuples:
        """The rows that are shown, each on a line, cut where it has more columns than those; the bar is as long as the longest."""
        from prompt_toolkit.utils import get_cwidth

        if not self.shown:
            return [("class:waiting", f"   {text('nothing')}")]
        digits = max(len(max(self.numbers, key=len, default="")), 2)
        room = max(columns - digits - 5, 1) if columns else 0  # what stands before a label, and the bar's end behind it
        labels = {row: cut(self._label(row), room) for row in self.shown}
        width = max(map(get_cwidth, labels.values()))
        lines: StyleAndTextTuples = []
        for row, label in labels.items():
            here = self.pointed is not None and row == self.at
            look = "class:pointed" if here else f"class:{self.options[row].look}" if self.options[row].look else ""
            look = "class:waiting" if self.options[row].why else look
            lines += [("[SetCursorPosition]", "")] if here else []
            blanks = " " * (width - get_cwidth(label) + 1)
            lines.append((look, f" {'>' if here else ' '}{self.numbers[row]:>{digits}}) {label}{blanks}"))
            lines.append(("", "\n"))
        return lines[:-1]

    def _label(self, row: int) -> str:
        option = self.options[row]
        box = "" if not self.several or option.value == BACK else "[x] " if option.value in self.ticked else "[ ] "
        return f"{box}{option.label}" + (f" ({option.why})" if option.why else "")

    def about(self, columns: int) -> StyleAndTextTuples:
        """What the row under the pointer does, in lines of so many columns."""
        words = self.pointed.about if self.pointed else ""
        return [("class:preview", "\n".join(wrap(words, max(columns, 10), break_on_hyphens=False)))]

    def preview(self, columns: int) -> StyleAndTextTuples:
        """The same beside the list, below the row's name."""
        if not self.pointed or not self.pointed.about:
            return []
        return [("class:preview.title", f"{_COLUMNS.split(self.pointed.label)[0]}\n\n"), *self.about(columns)]


def application(choices: ChoiceList) -> Application[str | list[str] | None]:
    """The list as a prompt: runs until a row is taken (its value, or the values ticked) or the user goes back (None)."""
    from prompt_toolkit import Application
    from prompt_toolkit.application import get_app
    from prompt_toolkit.filters import Condition, is_done
    from prompt_toolkit.layout import ConditionalContainer, FormattedTextControl, HSplit, Layout, VSplit, Window
    from prompt_toolkit.output import ColorDepth
    from prompt_toolkit.styles import Style

    told = any(option.about for option in choices.options)
    wide = Condition(lambda: told and get_app().output.get_size().columns >= PREVIEW_FROM)
    below = Condition(lambda: told and not wide() and get_app().output.get_size().rows >= ABOUT_FROM)
    head = Window(FormattedTextControl(lambda: choices.head(is_done())), wrap_lines=True, dont_extend_height=True)
    rows = Window(
        FormattedTextControl(
            lambda: choices.rows(get_app().output.get_size().columns - (PREVIEW_COLUMNS + 3) * wide()),
            focusable=True, show_cursor=False,
        ),
        dont_extend_height=True, always_hide_cursor=True,
    )  # fmt: skip
    preview = Window(FormattedTextControl(lambda: choices.preview(PREVIEW_COLUMNS)), width=PREVIEW_COLUMNS + 1)
    beside = VSplit([Window(width=2, char="│ ", style="class:line"), preview])
    about = Window(
        FormattedTextControl(lambda: choices.about(get_app().output.get_size().columns - 2)), height=2, dont_extend_height=True
    )
    listed = VSplit([rows, ConditionalContainer(beside, wide)])
    search = ConditionalContainer(Window(FormattedTextControl(choices.searched), height=1), Condition(lambda: bool(choices.search)))
    body = HSplit([head, ConditionalContainer(HSplit([search, listed, ConditionalContainer(about, below)]), ~is_done)])
    return Application(
        Layout(body, focused_element=rows), key_bindings=_keys(choices), style=Style.from_dict(LOOKS),
        color_depth=ColorDepth.from_env(),
    )  # fmt: skip


def _keys(choices: ChoiceList) -> KeyBindings:
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
    from prompt_toolkit.keys import Keys

    keys = KeyBindings()
    moves = {"down": 1, "c-n": 1, "up": -1, "c-p": -1, "pagedown": 10, "pageup": -10, "home": -(10**6), "end": 10**6}
    for key, steps in moves.items():
        keys.add(key)(lambda _event, steps=steps: choices.move(steps))

    @keys.add("enter")
    def take(event: KeyPressEvent) -> None:
        if choices.several and choices.pointed and choices.pointed.value != BACK:
            event.app.exit(result=choices.ticked)
        elif choices.pointed:
            event.app.exit(result=choices.pointed.value)

    @keys.add(Keys.Any)
    def letter(event: KeyPressEvent) -> None:
        if choices.several and event.data == " ":
            choices.tick()
        else:
            choices.type(event.data)

    keys.add("backspace")(lambda _event: choices.rub_out())

    @keys.add("c-c")
    @keys.add("escape", eager=True)
    def back(event: KeyPressEvent) -> None:
        if event.key_sequence[0].key == Keys.ControlC or not choices.clear():
            choices.left = True
            event.app.exit(result=None)

    return keys


def listed(options: Collection[Sequence[str]]) -> tuple[Option, ...]:
    """Rows given as plain tuples, as options."""
    return tuple(Option(*option) for option in options)
