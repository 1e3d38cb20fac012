"""What is too long for a screen: cut with a sign, left out whole, or gone on with under its first word."""

from __future__ import annotations

import io

import pytest
from rich.console import RenderableType

from actions.action import Form, FormRow
from locales.language import speak
from terminal.choice_list import ChoiceList, Option
from terminal.console import PlainConsole, cut
from terminal.form import FormState, _Screen
from terminal.screens import Indented, TrainingView, _TopLine, machine_line
from utils import TrainingTick


@pytest.fixture(autouse=True)
def english() -> None:
    speak("en")


def drawn(what: RenderableType, width: int = 80) -> list[str]:
    """What it looks like, line by line."""
    console = PlainConsole(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(what)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_a_long_line_goes_on_under_its_first_word() -> None:
    lines = drawn(Indented("one two three four five six", begins="  -> "), 22)
    assert lines == ["  -> one two three", "     four five six"]
    assert drawn(Indented("\x1b[31mone", begins="1. ")) == ["1. ?[31mone"]


def test_the_folder_stands_at_the_top_only_where_all_of_it_does() -> None:
    assert drawn(_TopLine("ana", "SDXL 1.0", "/home/ana"), 40) == ["ana  SDXL 1.0  /home/ana"]
    assert drawn(_TopLine("ana", "SDXL 1.0", "/home/ana"), 20) == ["ana  SDXL 1.0"]
    assert drawn(_TopLine("ana", "SDXL 1.0", "/home/ana"), 10) == ["ana  SDXL…"]


def test_the_file_of_a_base_is_named_without_its_ending() -> None:
    assert machine_line("/models/sd_xl_base_1.0.safetensors", None) == "sd_xl_base_1.0 · no NVIDIA card"


@pytest.mark.parametrize(
    ("text", "columns", "shown"), [("abcdef", 6, "abcdef"), ("abcdef", 5, "abcd…"), ("日本語", 5, "日本…"), ("ab", 0, "ab")]
)
def test_a_text_that_is_cut_says_so(text: str, columns: int, shown: str) -> None:
    assert cut(text, columns) == shown


def test_a_row_of_a_list_is_cut_at_the_edge_with_a_sign() -> None:
    choices = ChoiceList("Which?", [Option("a", "x" * 60), Option("b", "short")], "a")
    first, second = "".join(part[1] for part in choices.rows(40)).split("\n")
    assert len(first) == len(second) == 40
    assert first.rstrip().endswith("x…") and "short" in second


def test_a_form_shows_the_chosen_one_of_many_long_choices_and_that_there_are_more() -> None:
    labels = [f"choice number {number} with quite a lot of words behind it" for number in range(12)]
    row = FormRow("what", "what", value="3", choices=tuple((str(at), label) for at, label in enumerate(labels)), help="Help.")
    long = FormRow("long", "long", value="word " * 40)
    screen = _Screen(FormState(Form("Title", (row, long), go_on=lambda _answers: "", request=lambda _answers: None)))
    said = "".join(part[1] for part in screen._help())
    assert len(said.splitlines()) <= 4
    assert said.startswith("Help.\n… / ") and "number 3 with" in said and said.endswith(" …")
    assert all(len(line) <= screen._size()[1] for line in said.splitlines())
    (line,) = [line for line in screen._lines() if line.key == "long"]
    shown = "".join(part[1] for part in line.parts)
    assert len(shown) == screen._size()[1] and shown.endswith("…")


def test_a_training_is_told_in_lines_that_eighty_columns_hold() -> None:
    speak("es")
    view = TrainingView()
    for step in range(1, 200):
        view.take(
            TrainingTick(
                step, 2000, loss=0.1 + 1 / step, seconds_per_step=4.5, vram_gb=18.2, vram_total_gb=24.0,
                checkpoint="/c/ana_avatar_v1-step00000150.safetensors",
            )
        )  # fmt: skip
    lines = drawn(view)
    assert len(lines) == 2 and not any("…" in line for line in lines)
    assert "4.50 s por paso" in lines[0] and lines[1].endswith("ana_avatar_v1-step00000150")
