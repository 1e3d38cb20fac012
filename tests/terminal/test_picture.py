"""Pictures in a terminal, by what a pseudo-terminal received: decoded again where it is sixel or Kitty's, else read as cells."""

import base64
import io
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from pseudo_terminal import NOT_A_USERS, ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pexpect has no pseudo-terminal on Windows")
RED, BLUE = (200, 0, 0), (0, 0, 200)
SHOW = """
import sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from rich.console import Console, Group
from rich.text import Text
from terminal import picture
picture.want({setting!r})
time.sleep({wait})
console = Console(highlight=False)
console.print(Group(Text("above"), picture.picture(Path({file!r}), 20), Text("below")))
print("read", repr(sys.stdin.readline()))
"""


@pytest.fixture
def file(tmp_path):
    """A picture, red on the left and blue on the right."""
    image = Image.new("RGB", (200, 200), RED)
    image.paste(BLUE, (100, 0, 200, 200))
    image.save(tmp_path / "two.png")
    return tmp_path / "two.png"


def received(file, setting="auto", answers="", early="", wait=0.0, **environment):
    """What a terminal of 80x24 gets that answers the question for its kind as said; keys may be typed before it is asked."""
    import pexpect

    clean = {name: value for name, value in os.environ.items() if name not in NOT_A_USERS}
    clean |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "en_US.UTF-8", **environment}
    code = SHOW.format(root=str(ROOT), setting=setting, file=str(file), wait=wait)
    child = pexpect.spawn(sys.executable, ["-c", code], dimensions=(24, 80), encoding="utf-8", env=clean)
    raw, sent, end = "", False, time.monotonic() + 60
    child.setecho(False)
    if early:
        child.send(early)
    while time.monotonic() < end and "read " not in raw:
        try:
            raw += child.read_nonblocking(65536, timeout=0.05)
        except pexpect.TIMEOUT:
            pass
        except pexpect.EOF:
            break
        if answers and not sent and "\x1b[c" in raw:
            child.send(answers)
            sent = True
        if "below" in raw:
            child.send("typed\n")
    child.close(force=True)
    assert "above" in raw and "below" in raw
    return raw


def decoded_sixel(raw):
    """The picture in a sixel sequence, as a dictionary from place to colour in percent, and its size."""
    data = re.search(r"\x1bP[0-9;]*q(.*?)\x1b\\", raw, re.DOTALL)[1]
    width, height = map(int, re.match(r'"\d+;\d+;(\d+);(\d+)', data).groups())
    palette, pixels, colour, x, y = {}, {}, 0, 0, 0
    token = r'"[\d;]*|#(\d+);2;(\d+);(\d+);(\d+)|#(\d+)|!(\d+)(.)|([$-])|([?-~])'
    for found in re.finditer(token, data):
        define, red, green, blue, use, count, repeated, move, one = found.groups()
        if define:
            colour = int(define)
            palette[colour] = (int(red), int(green), int(blue))
        elif use:
            colour = int(use)
        elif move == "$":
            x = 0
        elif move == "-":
            x, y = 0, y + 6
        elif repeated or one:
            bits = ord(repeated or one) - 63
            steps = range(x, x + int(count or 1))
            pixels.update({(at, y + bit): palette[colour] for at in steps for bit in range(6) if bits >> bit & 1})
            x = steps.stop
    return pixels, (width, height)


def test_a_terminal_that_shows_sixel_gets_the_picture(file):
    # The program waits a tenth of a second for the answer; on a busy machine it may come too late once.
    raw = next(raw for raw in (received(file, answers="\x1b[?62;4c") for _time in range(4)) if "\x1bP" in raw)
    pixels, (width, height) = decoded_sixel(raw)
    assert 100 <= width <= 200 and abs(width - height) <= 20, "20 columns, as square as it was"
    left, right = pixels[width // 4, height // 2], pixels[width * 3 // 4, height // 2]
    assert left[0] > 60 > 20 > left[2] and right[2] > 60 > 20 > right[0]


def test_keys_typed_ahead_are_no_answer_and_the_answer_is_no_key(file):
    raw = received(file, answers="\x1b[?62;4c", early="xyz", wait=1.0)
    assert "\x1bPq" in raw or re.search(r"\x1bP[0-9;]*q", raw), "the answer was understood"
    assert "read 'typed\\n'" in raw, "nothing of it was left for the next question"


def test_kitty_gets_the_picture_itself(file):
    raw = received(file, TERM="xterm-kitty")
    assert "\x1b[c" not in raw, "its name says what it shows"
    parts = re.findall(r"\x1b_G([^;\x1b]*);([^\x1b]*)\x1b\\", raw)
    payload = "".join(data for keys, data in parts if "f=100" in keys)
    with Image.open(io.BytesIO(base64.b64decode(payload))) as shown:
        middle = shown.height // 2
        assert shown.convert("RGB").getpixel((shown.width // 4, middle)) == RED
        assert shown.convert("RGB").getpixel((shown.width * 3 // 4, middle)) == BLUE
    assert raw.count(chr(0x10EEEE)) >= 20 * 5, "cells that say where it goes"


def test_any_other_terminal_gets_half_blocks(file):
    import pyte

    screen = pyte.Screen(80, 24)
    pyte.Stream(screen).feed(received(file))
    rows = [row for row in range(24) if screen.buffer[row][5].data == "▀"]
    assert 6 <= len(rows) <= 14, "24 rows have room for what stands around it"
    cell = screen.buffer[rows[2]]
    assert (cell[3].fg, cell[3].bg) == ("c80000", "c80000")
    assert (cell[16].fg, cell[16].bg) == ("0000c8", "0000c8")


@pytest.mark.parametrize(
    ("setting", "environment"),
    [("auto", {"NO_COLOR": "1"}), ("auto", {"TERM": "dumb"}), ("off", {}), ("kitty", {"NO_COLOR": "1"})],
)
def test_where_pictures_cannot_be_shown_there_are_none(file, setting, environment):
    raw = received(file, setting, **environment)
    assert "▀" not in raw and "\x1bP" not in raw and "\x1b_G" not in raw
    assert re.search(r"above\s+below", re.sub(r"\x1b\[[0-9;?]*[a-z]", "", raw))


def test_sixel_needs_no_colour_of_the_terminals(file):
    assert decoded_sixel(received(file, answers="\x1b[?62;4c", NO_COLOR="1"))[0]


def test_a_pipe_gets_no_picture(file):
    code = SHOW.format(root=str(ROOT), setting="blocks", file=str(file), wait=0)
    told = subprocess.run([sys.executable, "-c", code], input="", capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[:2] == ["above", "below"]


def test_a_file_that_is_gone_or_broken_is_no_error(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    for name in ("broken.png", "gone.png"):
        assert "▀" not in received(Path(tmp_path, name))
