"""Running one stage: what is pressed while it works, what its events look like on the screen, and its report at the end.

Events are drawn on the console that the program hands over; what they look like is for `screens`.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import FrameType
from typing import TypeVar

from rich.console import Console, Group
from rich.live import Live
from rich.progress import Progress as Bars
from rich.progress import TaskID

from locales.language import N_, _
from terminal import screens
from terminal.picture import picture
from utils import Event, Stopped, TrainingTick

Report = TypeVar("Report")
LINE_SECONDS = 5.0  # how often a stage says where it is when stdout is no terminal
SAMPLE_COLUMNS = 24  # of the last sample of a training
STOPPING = N_("Stopping after this piece; Ctrl-C again stops at once.")


class Interrupts:
    """Ctrl-C and its kin while a stage runs: the first press stops at the next yield, the second at once.

    The second one is raised only while the stage works, never inside its clean-up, which would leave its child behind.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.presses = 0
        self.stage_works = False
        self._say = say

    def __call__(self, _signal: int, _frame: FrameType | None) -> None:
        """Take a signal."""
        self.presses += 1
        if self.presses == 1:
            self._say(_(STOPPING))
        elif self.stage_works:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Listen to the signals that ask a program to end, until the block ends."""
        names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
        old = {number: signal.signal(number, self) for name in names if (number := getattr(signal, name, None))}
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)


class Watch:
    """Shows the events of a stage: bars on a terminal, a line now and then elsewhere, nothing where asked to be quiet."""

    def __init__(self, console: Console, quiet: bool) -> None:
        self._console = console
        self._quiet = quiet
        self._bars = Bars(*screens.progress_columns(), console=console, expand=True)
        self._training = screens.TrainingView()
        self._live = Live(Group(self._bars, self._training), console=console, refresh_per_second=8)
        self._tasks: dict[str, TaskID] = {}
        self._stage_started = self._line_printed = 0.0
        self._last_state: screens.BarState | None = None

    def __enter__(self) -> Watch:
        if self._console.is_terminal and not self._quiet:
            self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._live.stop()

    def say(self, line: str) -> None:
        """One line, above the bars."""
        if not self._quiet:
            self._console.print(line)

    def show(self, event: Event) -> None:
        """Bring the screen up to date with an event."""
        if self._quiet:
            return
        if headline := screens.heading(event):
            self._console.print(headline)
        elif self._console.is_terminal:
            self._move_bar(event)
        else:
            self._print_line(event)

    def _move_bar(self, event: Event) -> None:
        self._training.take(event)
        if isinstance(event, TrainingTick) and event.sample:
            self._console.print(picture(Path(event.sample), SAMPLE_COLUMNS))
        state = screens.bar_state(event)
        if state.stage not in self._tasks:
            self._tasks[state.stage] = self._bars.add_task(state.label, total=state.total or None, note="")
        self._bars.update(self._tasks[state.stage], completed=state.done, total=state.total or None, note=state.note)

    def _print_line(self, event: Event) -> None:
        now, state = time.monotonic(), screens.bar_state(event)
        if state.stage not in self._tasks:
            self._tasks[state.stage] = TaskID(0)
            self._stage_started, self._line_printed, self._last_state = now, now - LINE_SECONDS, None
        due = now - self._line_printed >= LINE_SECONDS or state.done == state.total
        if due and state != self._last_state:
            self._line_printed, self._last_state = now, state
            self._console.print(screens.plain_line(state, now - self._stage_started))


def drive(stage: Generator[Event, None, Report], watch: Watch) -> Report:
    """Run a stage to its end and hand back its report; raises Stopped when the user asked to stop."""
    interrupts = Interrupts(watch.say)
    with interrupts.installed(), contextlib.closing(stage):
        while True:
            try:
                interrupts.stage_works = True
                event = next(stage)
            except StopIteration as end:
                return end.value
            except KeyboardInterrupt as error:
                raise Stopped from error
            finally:
                interrupts.stage_works = False
            watch.show(event)
            if interrupts.presses:
                raise Stopped
