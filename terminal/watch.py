"""Watching one stage: what is pressed while it works, and what its events look like on the screen.

Events are drawn on the console that the program hands over; what they look like is for `screens`. `actions.drive` runs the stage.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import Progress as Bars
from rich.progress import TaskID
from rich.text import Text

from locales.language import N_, _, ngettext
from terminal import screens
from terminal.keys import Keys
from terminal.picture import picture
from utils import Event, TrainingTick

STARTING = "start"  # the stage of a run that has said nothing yet; its bar goes when another comes
LINE_SECONDS = 5.0  # how often a stage says where it is when stdout is no terminal
STANDING_SECONDS = 60.0  # how often a search for settings says there how it stands
SAMPLE_COLUMNS = 24  # of the last sample of a training
STOPS = N_("Ctrl-C or Esc: stop; what is finished is kept")
STOPS_WITH_STATE = N_("Ctrl-C or Esc: stop, with the state of this step saved")
STOPS_AT_ONCE = N_("Ctrl-C or Esc once more: stop at once, without that state")
STOPS_BEFORE = N_("Ctrl-C or Esc: stop; nothing new is learned yet that could be lost")
LEAVES = N_("Ctrl-C or Esc: leave it running, or stop it")
SAVE_KEY, SAMPLE_KEY, LEAVE_KEY = "s", "p", "b"  # the same letters in every language: the line names them
KEYS = {SAVE_KEY: N_("save now"), SAMPLE_KEY: N_("sample now"), LEAVE_KEY: N_("go on in the background")}
ASKED = {SAVE_KEY: N_("Saving after this step."), SAMPLE_KEY: N_("Painting samples after this step.")}


class Left(BaseException):  # flow control, as Stopped is
    """The screen of a run that goes on by itself is left. `asks`: the user is to say what becomes of it; `hung_up`: the terminal is
    gone; `command` comes back to it."""

    def __init__(self, asks: bool = False, hung_up: bool = False, command: str = "") -> None:
        self.asks, self.hung_up, self.command = asks, hung_up, command
        super().__init__()


def _takes_wishes(tick: TrainingTick | None) -> bool:
    """Whether a trainer that can save and sample when it is asked to has come to its steps."""
    return tick is not None and bool(tick.control) and tick.phase not in ("checking", "loading", "stopping")


@contextlib.contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Until the block ends, what libraries in C write on stderr goes nowhere: LibRaw's and libtiff's words would break the bars."""
    if not os.isatty(2):
        yield
        return
    terminal, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        if os.isatty(terminal):  # else it was closed meanwhile, and writing to it would fail
            os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)


class Watch:
    """Shows the events of a stage: bars on a terminal, a line now and then elsewhere, nothing where asked to be quiet.

    `goes_on`: the run has a process of its own, so that its screen can be left. `visiting`: we came back to such a run, and what
    stops our screen does not stop it.
    """

    def __init__(self, console: Console, quiet: bool, *, goes_on: bool = False, visiting: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._goes_on, self._visiting = goes_on, visiting
        self._bars = Bars(*screens.progress_columns(), console=console, expand=True)
        self._training, self._standing = screens.TrainingView(), screens.StandingLine()
        self._tick: TrainingTick | None = None

        self._keys, self._held = Keys(), contextlib.ExitStack()
        self._live = Live(Group(self._standing, self._bars, self._training, self), console=console, refresh_per_second=8)
        self._tasks: dict[str, TaskID] = {}
        self._stage_started = self._line_printed = 0.0
        self._standing_printed = -math.inf
        self._last_state: screens.BarState | None = None

    def __enter__(self) -> Watch:
        if self._console.is_terminal and not self._quiet:
            self._held.enter_context(self._keys.listening())
            if not self._console.stderr:
                self._held.enter_context(_quiet_libraries())
            self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._quiet = True  # what the keys do is not left on the screen when they do nothing any more
        with self._held:
            self._live.stop()

    def __rich__(self) -> RenderableType:
        """The line that says what can be pressed."""
        if self._quiet:
            return Text("")
        tick = self._tick
        keys = [SAVE_KEY, SAMPLE_KEY] if _takes_wishes(tick) else []
        keys += [LEAVE_KEY] if self._goes_on else []
        lines = ["   ".join(f"{key}: {_(KEYS[key])}" for key in keys)] if keys else []
        return Group(*(Text(line, style="dim") for line in [*lines, self._how_to_stop(tick)]))

    def _how_to_stop(self, tick: TrainingTick | None) -> str:
        if self._visiting:
            return _(LEAVES)
        if tick is None or tick.step >= tick.total:
            return _(STOPS)
        if tick.phase == "stopping":
            return _(STOPS_AT_ONCE)
        if tick.step <= tick.kept_step:
            return _(STOPS_BEFORE)
        if tick.control:
            return _(STOPS_WITH_STATE)
        lost = tick.step - tick.kept_step
        return ngettext(
            "Ctrl-C or Esc: stop; the last state is of step {kept}, {lost} step would be lost",
            "Ctrl-C or Esc: stop; the last state is of step {kept}, {lost} steps would be lost",
            lost,
        ).format(kept=tick.kept_step, lost=lost)

    def say(self, line: str) -> None:
        """One line, above the bars."""
        if not (self._quiet or self._visiting):
            self._console.print(line)

    def show(self, event: Event) -> None:
        """Bring the screen up to date with an event."""
        if self._quiet:
            return
        if self._standing.take(event):
            if not self._console.is_terminal and time.monotonic() - self._standing_printed >= STANDING_SECONDS:
                self._standing_printed = time.monotonic()
                self._console.print(self._standing)
        elif headline := screens.heading(event):
            self._console.print(headline)
        elif self._console.is_terminal:
            self._move_bar(event)
        else:
            self._print_line(event)

    def presses(self, signals: int, hung_up: bool) -> int:
        """Heed the keys that were pressed: they ask for something or leave, and none of them stops. Raises Left."""
        if self._goes_on and (hung_up or (signals and self._visiting)):
            raise Left(asks=not hung_up, hung_up=hung_up)
        for key in self._keys.take():
            if key == LEAVE_KEY and self._goes_on:
                raise Left
            if key in ASKED and self._tick and _takes_wishes(self._tick):
                from embedded.trainer.trainer_control import SAMPLE, SAVE, ask_trainer  # here: the first screen has no trainer

                ask_trainer(Path(self._tick.control), SAVE if key == SAVE_KEY else SAMPLE)
                self._console.print(Text(_(ASKED[key]), style="dim"))
        return signals

    def _move_bar(self, event: Event) -> None:
        self._training.take(event)
        if isinstance(event, TrainingTick):
            self._tick = event
            if event.sample:
                self._console.print(picture(Path(event.sample), SAMPLE_COLUMNS))
        state = screens.bar_state(event)
        if state.stage != STARTING and STARTING in self._tasks:
            self._bars.remove_task(self._tasks.pop(STARTING))
        waits = isinstance(event, TrainingTick) and event.phase in ("checking", "loading", "first")
        total = None if waits else state.total or None  # a bar without a total pulses
        if state.stage not in self._tasks:
            self._tasks[state.stage] = self._bars.add_task(state.label, total=total, note="")
        note = "" if isinstance(event, TrainingTick) else state.note  # what is below the bar says it
        self._bars.update(self._tasks[state.stage], completed=state.done, total=total, note=note, seconds=state.seconds)

    def _print_line(self, event: Event) -> None:
        now, state = time.monotonic(), screens.bar_state(event)
        if state.stage not in self._tasks:
            self._tasks[state.stage] = TaskID(0)
            self._stage_started, self._line_printed, self._last_state = now, now - LINE_SECONDS, None
        due = now - self._line_printed >= LINE_SECONDS or state.done == state.total
        if due and state != self._last_state:
            self._line_printed, self._last_state = now, state
            self._console.print(screens.plain_line(state, now - self._stage_started))
