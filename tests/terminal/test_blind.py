"""The blind test in a real terminal: pairs in half blocks, simple keys, stopping and going on, the end; and without pictures."""

import json
import sys
from pathlib import Path

import pytest
from blind_kit import PHOTO_COLOUR, examined_client
from PIL import Image
from pseudo_terminal import Terminal

from exam.blind import Nearer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pexpect has no pseudo-terminal on Windows")
QUESTION = "Which one is more like the person?"
DISTANCES = {10: [5.0] * 8, 20: [4.0] * 8}  # step 20 is nearer in every portrait
TRUE_COLOUR = {"COLORTERM": "truecolor"}


@pytest.fixture
def client(tmp_path):
    return examined_client(tmp_path, DISTANCES)


def colours_between(terminal, above, below):
    """The colours of each cell of the lines between two texts, as (red, green, blue), line by line."""
    screen, lines = terminal._screen, terminal.screen().splitlines()
    first = next(row for row, line in enumerate(lines) if above in line) + 1
    last = next(row for row, line in enumerate(lines) if below in line and row > first)
    cells = [[screen.buffer[row][column].bg for column in range(screen.columns)] for row in range(first, last)]
    return [[tuple(bytes.fromhex(one)) if len(one) == 6 else None for one in line] for line in cells]


def steps_on_screen(terminal, number):
    """Which steps painted what stands on the left and on the right, by the colours of the cells; the photo is beside them."""
    middle = colours_between(terminal, f"Pair {number} of", "photo ")
    line = middle[len(middle) // 2]
    assert line[5] == PHOTO_COLOUR
    painted = [cell[0] for cell in line if cell and cell[0] + cell[1] == 200]
    assert set(painted) == {10, 20}
    return painted[0], painted[-1]


def record(client):
    return json.loads(client.blind_record.read_text())


def answer(terminal, number, key=None):
    """Wait for a pair and answer it: with the key of a row or, where none is named, as the exam would. Returns the answer."""
    terminal.wait_for(f"Pair {number} of", QUESTION, "0) Back")
    left, right = steps_on_screen(terminal, number)
    key = key or ("1" if left > right else "2")
    terminal.press(key, "enter")
    return {"1": Nearer.LEFT, "2": Nearer.RIGHT, "3": Nearer.SAME}[key]


def test_the_row_waits_until_there_was_an_exam(client):
    client.exam_report.rename(client.root / "elsewhere.json")
    with Terminal(client.home) as terminal:
        terminal.wait_for("What shall we work on?")
        terminal.press("enter")
        terminal.wait_for("Next for Ana Gómez")
        terminal.press("9", "enter")
        terminal.wait_for("Test the exam blind, by eye (examine the checkpoints first)")


def test_pairs_are_judged_in_half_blocks_and_a_stopped_test_goes_on(client):
    with Terminal(client.home, "blind", "--client", "ana", "--pairs", "6", **TRUE_COLOUR) as terminal:
        given = [answer(terminal, 1), answer(terminal, 2), answer(terminal, 3, "3")]
        terminal.wait_for("3 of 6 pairs answered", "Pair 4 of 6", "0) Back")
        assert len(record(client)["answers"]) == 3  # each is kept as soon as it is given
        fourth = steps_on_screen(terminal, 4)
        terminal.press("escape")
        assert terminal.wait_for_end() == 0
        assert "agreed" not in terminal.everything()  # what the answers say would colour those to come
    with Terminal(client.home, **TRUE_COLOUR) as terminal:
        terminal.wait_for("What shall we work on?")
        terminal.press("enter")
        terminal.wait_for("Next for Ana Gómez")
        terminal.press("9", "enter")
        terminal.wait_for("> 1) Look at what was rejected")
        terminal.press("blind", "enter")
        terminal.wait_for("Pair 4 of 6", QUESTION, "0) Back")
        assert steps_on_screen(terminal, 4) == fourth
        given += [answer(terminal, number) for number in (4, 5)]
        given += [answer(terminal, 6)]
        screen = terminal.wait_for("6 of 6 pairs answered", "Begin again with other pairs")
        # Five agree of five that chose a side: the lower bound is the fifth root of 5 %, 0.5493.
        told = " ".join(screen.split())
        assert "You agreed with the exam in 5 of 5 pairs: 100%, between 55% and 100%, nine times in ten." in told
        assert "That is more than chance" in told and "1 time you saw no difference" in told
        assert [one["answer"] for one in record(client)["answers"]] == given
        terminal.press("2", "enter")
        terminal.wait_for("0 of 8 pairs answered", "Pair 1 of 8", QUESTION)
        assert record(client)["answers"] == []


def test_killed_by_a_signal_the_answers_are_there(client):
    with Terminal(client.home, "blind", "--client", "ana", **TRUE_COLOUR) as terminal:
        answer(terminal, 1)
        terminal.wait_for("Pair 2 of", QUESTION, "0) Back")
        second = steps_on_screen(terminal, 2)
        terminal.child.kill(9)
        terminal.wait_for_end()
    with Terminal(client.home, "blind", "--client", "ana", **TRUE_COLOUR) as terminal:
        terminal.wait_for("Pair 2 of", QUESTION, "0) Back")
        assert steps_on_screen(terminal, 2) == second
        assert len(record(client)["answers"]) == 1


def test_without_pictures_the_path_of_each_pair_is_shown(client):
    with Terminal(client.home, "blind", "--client", "ana", size=(120, 24), NO_COLOR="1") as terminal:
        screen = terminal.wait_for("Pair 1 of", "pair_1_", QUESTION)
        assert "▀" not in screen
        lines = screen.splitlines()
        first = next(row for row, line in enumerate(lines) if "Pair 1 of" in line) + 1
        last = next(row for row, line in enumerate(lines) if QUESTION in line)
        path = Path("".join(line.strip() for line in lines[first:last]))
        with Image.open(path) as opened:
            assert opened.width > 2.9 * opened.height * 320 / 400
        terminal.press("2", "enter")
        terminal.wait_for("Pair 2 of", "pair_2_")
        assert record(client)["answers"][0]["answer"] == "right"
