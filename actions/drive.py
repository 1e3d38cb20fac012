"""Driving a stage from its first event to its report, whoever watches: a terminal, a file that records it, or nobody."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from functools import partial
from types import FrameType
from typing import Protocol, TypeVar

from locales.language import N_, _
from utils import Event, Stopped

Report = TypeVar("Report")
STOPPING = N_("Stopping after this piece; Ctrl-C again stops at once.")


class Interrupts:
    """Ctrl-C and its kin while a stage runs: the first press stops at the next yield, the second at once.

    The second one is raised only while the stage works, never inside its clean-up, which would leave its child behind.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.presses = 0
        self.stage_works = False
        self.hung_up = False  # the terminal is gone
        self._say = say

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Take a signal."""
        self.presses += 1
        if sys.platform != "win32" and number == signal.SIGHUP:
            self.hung_up = True
            _let_go_of_terminal()
        elif self.presses == 1:
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


def _let_go_of_terminal() -> None:
    """Whatever is still said goes nowhere: writing to a terminal that is gone would fail in the middle of saving."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        if os.isatty(stream):
            os.dup2(nowhere, stream)
    os.close(nowhere)


class Watcher(Protocol):
    """Who watches a stage: shows its events, and knows when it is to stop."""

    def say(self, line: str) -> None:
        """One line for people."""

    def show(self, event: Event) -> None:
        """Take an event."""

    def presses(self, signals: int, hung_up: bool) -> int:
        """How often the stage was asked to stop, by signals or otherwise; raises Left where it goes on without us."""


def drive(stage: Generator[Event, None, Report], watcher: Watcher) -> Report:
    """Run a stage to its end and hand back its report; raises Stopped when the user asked to stop, Left when it goes on without us.

    Asked once, Stopped is thrown into the stage where it stands: one that can bring its piece to a good end takes it, and goes on
    yielding until that is reached; any other ends there.
    """
    interrupts, thrown = Interrupts(watcher.say), False
    with interrupts.installed(), contextlib.closing(stage):
        step: Callable[[], Event] = partial(next, stage)
        while True:
            try:
                interrupts.stage_works = True
                event = step()
            except StopIteration as end:
                return end.value
            except KeyboardInterrupt as error:
                raise Stopped from error
            finally:
                interrupts.stage_works = False
            watcher.show(event)
            step = partial(next, stage)
            presses = watcher.presses(interrupts.presses, interrupts.hung_up)
            if presses > 1 and thrown:
                raise Stopped
            if presses and not thrown:
                thrown, step = True, partial(stage.throw, Stopped())


def finish(stage: Generator[Event, None, Report]) -> Report:
    """Run a stage to its end with nobody watching, and hand back its report; for what takes no time worth showing."""
    with contextlib.closing(stage):
        while True:
            try:
                next(stage)
            except StopIteration as end:
                return end.value
