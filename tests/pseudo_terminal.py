"""A real terminal for tests: the program runs in a pseudo-terminal, of 80x24 unless said otherwise, and its screen is read back."""

import copy
import os
import re
import sys
import time
from pathlib import Path

import pexpect
import pyte

ROOT = Path(__file__).resolve().parent.parent
NOT_A_USERS = (
    "LANGUAGE", "LC_ALL", "LANG", "NO_COLOR", "AVATAR_PIPELINE_HOME", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "DISPLAY",
    "WAYLAND_DISPLAY",
)  # fmt: skip
KEYS = {
    "enter": "\r", "down": "\x1b[B", "up": "\x1b[A", "left": "\x1b[D", "right": "\x1b[C", "escape": "\x1b", "ctrl-c": "\x03",
    "page down": "\x1b[6~", "page up": "\x1b[5~", "backspace": "\x7f", "clear": "\x15",
}  # fmt: skip


class Terminal:
    """A program on a screen of its own: ours with a home of its own, or any `command`, started in a folder.

    A `fresh` home has no settings, so that the menu begins with its first start.
    """

    def __init__(self, home, *words, command=(), cwd=None, size=(80, 24), fresh=False, **environment):
        if not (fresh or words or command or (home / "settings.json").exists()):
            # The first start asks which base model: answered long ago, unless a test is about that (`fresh`).
            home.mkdir(parents=True, exist_ok=True)
            (home / "settings.json").write_text('{"schema": 1}')
        columns, lines = size
        self._screen = pyte.HistoryScreen(columns, lines, history=5000)
        self._stream = pyte.Stream(self._screen)
        clean = {name: value for name, value in os.environ.items() if name not in NOT_A_USERS}
        first, *rest = command or (sys.executable, str(ROOT / "avatar_pipeline.py"), "--home", str(home), *words)
        self.child = pexpect.spawn(
            first,
            rest,
            cwd=cwd and str(cwd),
            dimensions=(lines, columns),
            encoding="utf-8",
            env={**clean, "LANG": "en_US.UTF-8", "TERM": "xterm-256color", "OMP_NUM_THREADS": "1", **environment},
        )
        self.child.ptyproc.delayafterterminate = 2  # seconds that a process with TensorFlow in it may take to be gone
        self.raw = ""

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.child.close(force=True)

    def screen(self):
        """The lines as they stand."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    def everything(self):
        """What scrolled away, and the screen below it."""
        history = ["".join(row[column].data for column in range(self._screen.columns)).rstrip() for row in self._screen.history.top]
        return "\n".join([*history, self.screen()])

    def _feed(self, text):
        """What the program writes; pyte knows no second screen, on which forms are drawn: the first comes back behind it."""
        if text == "\x1b[?1049h":
            self._first = copy.deepcopy((dict(self._screen.buffer), self._screen.cursor.y))
            self._stream.feed("\x1b[2J\x1b[H")
        elif text == "\x1b[?1049l":
            lines, row = self._first
            self._screen.buffer.clear()
            self._screen.buffer.update(lines)
            self._stream.feed(f"\x1b[{row + 1};1H")
        else:
            self._stream.feed(text)

    def _read(self, seconds):
        try:
            text = self.child.read_nonblocking(65536, timeout=seconds)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += text
        for part in re.split(r"(\x1b\[\?1049[hl])", text):
            self._feed(part)
        if "\x1b[6n" in text:  # prompt_toolkit asks where the cursor is, as it would a real terminal
            self.child.send(f"\x1b[{self._screen.cursor.y + 1};{self._screen.cursor.x + 1}R")
        return True

    def wait_for(self, *texts, seconds=60):
        """Wait until all texts are on the screen."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if all(text in self.screen() for text in texts):
                return self.screen()
            if not self._read(0.2):
                break
        raise AssertionError(f"never on the screen: {texts}\n{self.screen()}")

    def wait_behind(self, mark, *texts, seconds=60):
        """Wait until all texts stand behind the last `mark` on the screen, where the same texts may stand before it too."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            behind = self.screen().rpartition(mark)[2]
            if all(text in behind for text in texts):
                return behind
            if not self._read(0.2):
                break
        raise AssertionError(f"never behind {mark!r}: {texts}\n{self.screen()}")

    def settle(self, seconds=0.3):
        """Read until the screen has been still for a moment."""
        before = None
        while before != self.screen():
            before = self.screen()
            self._read(seconds)

    def form_row(self):
        """The row of a form that is highlighted."""
        lines = self._screen.buffer
        bars = [row for row in range(self._screen.lines) if lines[row][0].reverse]
        if not bars:  # half a picture was read
            return ""
        assert len(bars) == 1, f"{len(bars)} rows are highlighted\n{self.screen()}"
        return self._screen.display[bars[0]].rstrip()

    def form_label(self):
        """The label of that row: its value may still change by the key before."""
        return re.split(r"\s{2,}", self.form_row())[0]

    def to_row(self, label, key="down", most=60):
        """Walk to the row of a form that bears a label."""
        self.settle()
        for _ in range(most):
            before = self.form_label()
            if before.startswith(f"> {label}"):
                return
            self.child.send(KEYS[key])
            end = time.monotonic() + 10  # the next key only once this one was obeyed, however busy the machine is
            while self.form_label() in (before, "") and time.monotonic() < end:
                self._read(0.1)
        raise AssertionError(f"no row {label}\n{self.screen()}")

    def wait_for_end(self, seconds=30):
        """Wait until the program is gone; its exit code."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._read(0.2):
            pass
        self.child.close()
        return self.child.exitstatus

    def press(self, *keys):
        """Press keys by name, or type text."""
        for key in keys:
            self.child.send(KEYS.get(key, key))
            time.sleep(0.15)  # a person is no faster, and Esc must not run into what follows it
