"""One form: all that an action may be asked on one screen, a row a value, each changed in its place; Esc changes nothing.

`fill_in` shows a `Form` until the user goes on. Rows beyond the usual ones are folded behind one row. Below all of them stand a
line of help and the range or the choices of the row under the cursor; under a row stands what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from actions.action import Form, FormRow
from locales.language import N_, _
from terminal.console import cut, printable
from terminal.keys import ask_alone

if TYPE_CHECKING:
    from prompt_toolkit import Application
    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.formatted_text import OneStyleAndTextTuple as Part
    from prompt_toolkit.key_binding import KeyBindings
    from prompt_toolkit.layout import Window

MORE, SKIP, GO = "<more>", "<skip>", "<go>"  # keys that no row has
_LABELS_SHARE = 0.45  # of the columns, at most, for the names of the rows
_HELP_LINES, _FEW_HELP_LINES = 4, 2  # the second on a screen of fewer lines than that
_FEW_LINES, _FEW_COLUMNS = 20, 78
_LOOKS = {"title": "bold", "current": "reverse", "wrong": "bold ansired", "usual": "italic", "group": "bold ansicyan", "keys": ""}

TEXT = {
    "keys": N_("Esc: back, nothing is changed; arrows: move and choose; PgDn: the last row"),
    "more": N_("more ..."),
    "fewer": N_("fewer ..."),
    "more_help": N_("Enter opens the rows that are seldom needed."),
    "fewer_help": N_("Enter folds the rows that are seldom needed."),
    "go": N_("Go on"),
    "go_help": N_("Enter goes on with what stands above."),
    "empty": N_("empty: {usual}"),
}


def text(name: str) -> str:
    """A text of the form, in the user's language."""
    return _(TEXT[name])


def fill_in(form: Form) -> dict[str, str] | None:
    """What stands in the rows, by key, when the user goes on, nothing where all is skipped; None when the user went back."""
    state = FormState(form)
    application = _Screen(state).application
    return ask_alone(application, application.run)


class FormState:
    """What stands in the rows of a form, and on which one the cursor is. It draws nothing."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.answers: dict[str, str] = {}
        self.unfolded = False
        self.going_on = ""  # what the last row says
        self._rows: tuple[FormRow, ...] = ()
        self._drawn: dict[str, str] | None = None  # the answers that the rows are drawn for
        self.refresh()
        wrong = self.wrong()
        self.at = wrong[0].key if wrong and not wrong[0].more else self.visible()[0].key

    def refresh(self) -> None:
        """Draw the rows anew where an answer changed: a row may come, go, or offer something else then."""
        while self._drawn != self.answers:
            self._drawn = dict(self.answers)
            self._rows = self.form.draw(self.answers) if self.form.draw else self.form.rows
            for row in self._rows:
                stands = self.answers.get(row.key)
                if stands is None or (row.choices and stands not in dict(row.choices)):
                    self.answers[row.key] = row.value
            self.going_on = self.form.go_on(self.answers)

    def visible(self) -> list[FormRow]:
        """The rows that show, with the one that opens the others and the one that goes on."""
        usual, folded = [row for row in self._rows if not row.more], [row for row in self._rows if row.more]
        label, help_text = ("fewer", "fewer_help") if self.unfolded else ("more", "more_help")
        more = [FormRow(MORE, TEXT[label], help=TEXT[help_text])] if folded else []
        skip = [FormRow(SKIP, self.form.skip)] if self.form.skip else []
        return [*usual, *more, *(folded if self.unfolded else []), *skip, FormRow(GO, TEXT["go"], help=TEXT["go_help"])]

    def folded(self) -> list[str]:
        """What the rows behind "more" are called, or their headings where they have some."""
        return list(dict.fromkeys(_(row.group or row.label) for row in self._rows if row.more))

    def row(self) -> FormRow:
        """The row under the cursor; the first one where its row has gone."""
        rows = self.visible()
        return next((row for row in rows if row.key == self.at), rows[0])

    def complaint(self, row: FormRow) -> str:
        """What is wrong with what stands in a row."""
        return "" if row.choices else row.check(self.answers.get(row.key, ""))

    def wrong(self) -> list[FormRow]:
        """The rows in which something is wrong."""
        return [row for row in self._rows if self.complaint(row)]

    def move(self, by: int) -> None:
        """Go down or up; beyond the last row comes the first."""
        self.refresh()
        keys = [row.key for row in self.visible()]
        self.at = keys[(keys.index(self.row().key) + by) % len(keys)]

    def turn(self, by: int) -> None:
        """Take the next choice of the row under the cursor, or the one before; open or fold the seldom ones."""
        row = self.row()
        if row.key == MORE:
            self.unfolded = not self.unfolded
        if row.choices:
            values = [value for value, _label in row.choices]
            self.answers[row.key] = values[(values.index(self.answers[row.key]) + by) % len(values)]
        self.refresh()

    def go(self) -> bool:
        """Whether all is right; else the cursor goes to the first row that is not."""
        self.refresh()
        wrong = self.wrong()
        if wrong:
            self.unfolded = self.unfolded or wrong[0].more
            self.at = wrong[0].key
        return not wrong


@dataclass(frozen=True, slots=True)
class _FormLine:
    """One line of the form: of which row, and whether it is the row itself, not a heading or a complaint."""

    key: str
    own: bool
    parts: list[Part]


class _Screen:
    """The state as prompt_toolkit draws it, and what its keys do."""

    def __init__(self, state: FormState) -> None:
        from prompt_toolkit import Application
        from prompt_toolkit.layout import DynamicContainer, FormattedTextControl, HSplit, Layout, VSplit, Window
        from prompt_toolkit.styles import Style

        self.state = state
        self._top = 0  # the first line that shows
        self._editors: dict[str, Window] = {}
        self._replaced = False  # whether the next letter takes the place of the number that stands in the row
        self._fixed = Window(FormattedTextControl(self._value, focusable=True, show_cursor=False), height=1)

        def lines(of: Callable[[], list[_FormLine]]) -> Window:
            return Window(FormattedTextControl(lambda: _joined(of())), height=lambda: len(of()))

        current = VSplit(
            [Window(FormattedTextControl(self._label), width=lambda: self._label_width() + 4), DynamicContainer(self._editor)],
            style="class:current", height=1,
        )  # fmt: skip
        body = HSplit([
            Window(FormattedTextControl(self._title), height=1, style="class:title"),
            Window(FormattedTextControl(self._about), height=lambda: _lines_of(self._about())),
            lines(lambda: self._frame()[0]), current, lines(lambda: self._frame()[1]), Window(),
            Window(char="─", height=self._rule_lines),
            Window(FormattedTextControl(self._help), height=self._help_lines),
            Window(FormattedTextControl(self._key_help), height=self._key_lines, style="class:keys"),
        ])  # fmt: skip
        self.application: Application[dict[str, str] | None] = Application(
            Layout(body, focused_element=self._editor()), key_bindings=self._keys(), full_screen=True, style=Style.from_dict(_LOOKS)
        )
        self.application.ttimeoutlen = 0.05  # Esc is a key of its own here: do not wait half a second for an arrow's rest

    # --- what stands where ----------------------------------------------------------------------------------------------
    def _size(self) -> tuple[int, int]:
        size = self.application.output.get_size()
        return size.rows, size.columns

    def _help_lines(self) -> int:
        return _HELP_LINES if self._size()[0] >= _FEW_LINES else _FEW_HELP_LINES

    def _rule_lines(self) -> int:
        return int(self._size()[0] >= _FEW_LINES)

    def _key_lines(self) -> int:
        rows, columns = self._size()
        return 2 if columns < _FEW_COLUMNS and rows >= _FEW_LINES else 1

    def _label_width(self) -> int:
        from prompt_toolkit.utils import get_cwidth

        widest = max(get_cwidth(_(row.label)) for row in self.state.visible())
        return min(widest, int(self._size()[1] * _LABELS_SHARE))

    def _frame(self) -> tuple[list[_FormLine], list[_FormLine]]:
        """The lines that fit above and below the row under the cursor, what is wrong with it among them."""
        lines = self._lines()
        here = next(at for at, line in enumerate(lines) if line.own and line.key == self.state.row().key)
        room = max(1, self._size()[0] - 1 - _lines_of(self._about()) - self._rule_lines() - self._help_lines() - self._key_lines())
        last = here + (here + 1 < len(lines) and not lines[here + 1].own and lines[here + 1].key == lines[here].key)
        first = here - (here > 0 and not lines[here - 1].own)  # its heading
        self._top = max(min(self._top, first), last - room + 1, 0)
        self._top = min(self._top, here)
        return lines[self._top : here], lines[here + 1 : self._top + room]

    def _lines(self) -> list[_FormLine]:
        """Every line of the form: headings, rows, and under a row what is wrong with it."""
        lines, group, width = [], "", self._label_width()
        for row in self.state.visible():
            if row.group != group and row.group:
                lines.append(_FormLine("", False, [("class:group", _(row.group))]))
            group = row.group
            lines.append(
                _FormLine(row.key, True, [("", f"  {_padded(_(row.label), width)}  "), *self._cut(self._shown(row), width)])
            )
            if complaint := self.state.complaint(row):
                lines.append(_FormLine(row.key, False, [("class:wrong", f"    ! {printable(complaint)}")]))
        return lines

    def _shown(self, row: FormRow) -> list[Part]:
        """What stands in a row that the cursor is not on."""
        if row.key == GO:
            return [("", self.state.going_on)]
        if row.key == SKIP:
            return []
        if row.key == MORE:
            return [("class:usual", "" if self.state.unfolded else ", ".join(self.state.folded()))]
        stands = self.state.answers[row.key]
        if row.choices:
            return [("", printable(dict(row.choices)[stands]))]
        return [("", printable(stands))] if stands else [("class:usual", printable(row.usual or "-"))]

    def _cut(self, parts: list[Part], label_width: int) -> list[Part]:
        """A row's value in the columns beside its label."""
        room = max(self._size()[1] - label_width - 4, 1)
        return [(look, cut(words, room)) for look, words, *_mouse in parts]

    def _title(self) -> list[Part]:
        rows, above, below = self.state.visible(), *self._frame()
        whole = len(above) + 1 + len(below) == len(self._lines())
        at = [row.key for row in rows].index(self.state.row().key) + 1
        return [("", printable(_(self.state.form.title))), ("", "" if whole else f"  {at}/{len(rows)}")]

    def _about(self) -> list[Part]:
        """Why it is asked, where there is room to say so."""
        rows, columns = self._size()
        about = _(self.state.form.about) if self.state.form.about and rows >= _FEW_LINES else ""
        return _wrapped([("", word) for word in about.split()], columns)

    def _label(self) -> list[Part]:
        return [("bold", f"> {_padded(_(self.state.row().label), self._label_width())}  ")]

    def _value(self) -> list[Part]:
        """What stands in the row under the cursor, where nothing is typed there."""
        row = self.state.row()
        return [("", f"< {printable(dict(row.choices)[self.state.answers[row.key]])} >")] if row.choices else self._shown(row)

    def _help(self) -> list[Part]:
        """The line of help, and the range or the choices of the row under the cursor, broken between words."""
        row = self.state.row()
        facts = [row.extent, text("empty").format(usual=row.usual) if row.usual and not row.choices else ""]
        words = [("", word) for word in _(row.help).split()]
        words += [("", "\n")] * bool(words and (any(facts) or row.choices) and self._rule_lines())
        words += [("", word) for word in "; ".join(filter(None, facts)).split()]
        first, columns, lines = 0, self._size()[1], self._help_lines()
        while _lines_of(_wrapped([*words, *self._choices(row, first)], columns)) > lines and row.choices[first:]:
            if row.choices[first][0] == self.state.answers[row.key]:
                break  # what is chosen shows, and after it as many as there is room for
            first += 1
        return _first_lines(_wrapped([*words, *self._choices(row, first)], columns), lines, columns)

    def _choices(self, row: FormRow, first: int) -> list[tuple[str, str]]:
        """The choices of a row from a certain one on, the one that is chosen marked."""
        words = [("", "…")] if first else []
        for number, (value, label) in enumerate(row.choices[first:]):
            look = "bold underline" if value == self.state.answers[row.key] else ""
            words += [("", "/")] * bool(number or first) + [(look, word) for word in label.split()]
        return words

    def _key_help(self) -> list[Part]:
        return _wrapped([("", word) for word in text("keys").split()], self._size()[1])

    # --- what the keys do -----------------------------------------------------------------------------------------------
    def _editor(self) -> Window:
        """Where the row under the cursor is changed: a line to type in, or what was chosen."""
        from prompt_toolkit.buffer import Buffer
        from prompt_toolkit.document import Document
        from prompt_toolkit.layout import BufferControl, Window
        from prompt_toolkit.layout.processors import AfterInput

        row = self.state.row()
        if row.choices or row.key in (MORE, SKIP, GO):
            return self._fixed
        if row.key not in self._editors:
            stands = printable(self.state.answers[row.key])
            line = Buffer(
                document=Document(stands, len(stands)), multiline=False, on_text_changed=lambda buffer: self._typed(row.key, buffer)
            )
            usual = AfterInput(lambda: [("class:usual", "" if line.text else f" {self._usual(row.key)}")])
            self._editors[row.key] = Window(BufferControl(line, input_processors=[usual]), height=1)
        return self._editors[row.key]

    def _usual(self, key: str) -> str:
        return next((printable(row.usual) for row in self.state.visible() if row.key == key), "")

    def _typed(self, key: str, buffer: Buffer) -> None:
        """What was typed or pasted, on one line."""
        if "\n" in buffer.text:
            buffer.text = buffer.text.replace("\n", " ")
        self.state.answers[key] = buffer.text
        self._replaced = False

    def _keys(self) -> KeyBindings:
        from prompt_toolkit.filters import Condition
        from prompt_toolkit.key_binding import KeyBindings
        from prompt_toolkit.keys import Keys

        keys, typed = KeyBindings(), Condition(lambda: self._editor() is not self._fixed)

        def bind(names: Sequence[str], work: Callable[[Any], None], **when: Any) -> None:
            for name in names:
                keys.add(name, **when)(work)

        def moving(by: int) -> Callable[[Any], None]:
            return lambda event: self._then(event, lambda: self.state.move(by))

        bind(("up", "s-tab"), moving(-1))
        bind(("down", "tab"), moving(1))
        bind(("pageup",), lambda event: self._then(event, lambda: self._to(0)))
        bind(("pagedown",), lambda event: self._then(event, lambda: self._to(-1)))
        bind(("enter",), self._enter, eager=True)
        bind(("left",), lambda event: self._then(event, lambda: self.state.turn(-1)), filter=~typed)
        bind(("right", " "), lambda event: self._then(event, lambda: self.state.turn(1)), filter=~typed)
        bind((Keys.Any,), self._replace, filter=typed & Condition(lambda: self._replaced))
        bind(("escape", "c-c"), lambda event: event.app.exit(result=None), eager=True)
        return keys

    def _to(self, end: int) -> None:
        self.state.refresh()
        self.state.at = self.state.visible()[end].key

    def _then(self, event: Any, work: Callable[[], None]) -> None:
        """Do what a key does, and put the cursor into the row where it is then."""
        work()
        self._replaced = bool(self.state.row().extent)
        event.app.layout.focus(self._editor())

    def _replace(self, event: Any) -> None:
        """A number is written anew, as in a spreadsheet; who moved the cursor into it first goes on in it."""
        line = event.current_buffer
        if line.cursor_position == len(line.text):
            line.text = ""
        line.insert_text(event.data)
        self._replaced = False

    def _enter(self, event: Any) -> None:
        """The next row, the next choice, or on."""
        row = self.state.row()
        if row.key == GO and self.state.go():
            event.app.exit(result=dict(self.state.answers))
            return
        if row.key == SKIP:
            event.app.exit(result={})
            return
        if row.key != GO:
            self._then(event, lambda: self.state.turn(1) if row.choices or row.key == MORE else self.state.move(1))
        event.app.layout.focus(self._editor())


def _joined(lines: list[_FormLine]) -> list[Part]:
    parts: list[Part] = []
    for number, line in enumerate(lines):
        parts += [("", "\n"), *line.parts] if number else line.parts
    return parts


def _wrapped(words: Sequence[tuple[str, str]], columns: int) -> list[Part]:
    """Words with their looks, a blank between them, in lines of so many columns."""
    from prompt_toolkit.utils import get_cwidth

    parts: list[Part] = []
    used = 0
    for look, word in words:
        if word == "\n":
            parts, used = [*parts, ("", word)], 0
            continue
        broken = used + 1 + get_cwidth(word) > columns
        parts += [("", "\n" if broken else " " if used else ""), (look, word)]
        used = get_cwidth(word) if broken else used + bool(used) + get_cwidth(word)
    return parts


def _first_lines(parts: list[Part], lines: int, columns: int) -> list[Part]:
    """The first of the lines that these parts make, with a sign where that is not all."""
    from prompt_toolkit.utils import get_cwidth

    if _lines_of(parts) <= lines:
        return parts
    while parts and (_lines_of(parts) > lines or parts[-1][1] in ("\n", " ", "/")):
        parts = parts[:-1]
    last = "".join(words for _look, words, *_mouse in parts).rpartition("\n")[2]
    while parts and get_cwidth(last) + 2 > columns:
        last = last.removesuffix(parts[-1][1])
        parts = parts[:-1]
    return [*parts, ("", " …")]


def _lines_of(parts: Sequence[Part]) -> int:
    """How many lines they take."""
    return 1 + sum(part[1] == "\n" for part in parts) if parts else 0


def _padded(label: str, width: int) -> str:
    """A label of exactly so many columns."""
    from prompt_toolkit.utils import get_cwidth

    while get_cwidth(label) > width:
        label = f"{label.removesuffix('..')[:-1]}.."
    return label + " " * (width - get_cwidth(label))
