"""A run in a process of its own, which goes on when the terminal is closed: started, found again, followed, asked to stop.

Files in a folder are all that passes between it and whoever looks: who runs, every event as a line of JSON, and how it ended; and a
file that asks it to stop. So the screen that started it is one among many, and files mean the same on Windows and on Linux::

    NAME.json    who runs, and since when                 NAME.stop    asked to stop; "now": at once
    NAME.jsonl   its events, and its end as the last      NAME.view    who looks; where nobody does, it tells of its end itself
    NAME.log     what it said besides
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import psutil
from pydantic import Field

from config import PROGRAM
from locales.language import N_
from machine.model_process import error_of
from utils import (
    BrokenFile,
    Event,
    Notice,
    PipelineError,
    Progress,
    Record,
    StepFinished,
    StepStarted,
    Stopped,
    TrainingTick,
    read_record,
    write_record,
    write_text,
)

_LOOK_SECONDS = 0.25  # between two looks at what came
_HEARTBEAT_SECONDS = 0.5  # after which the last event comes again, so that a screen can be left
_SILENCE_STEP = 10.0  # seconds; a trainer that says nothing would fill the file with how long it is silent
_PATIENCE = 3  # times that a run is asked to stop before it is left to do so alone
_BLOCK_BYTES = 1 << 16
_EVENTS: dict[str, type[Any]] = {kind.__name__: kind for kind in (Progress, TrainingTick, Notice, StepStarted, StepFinished)}
_DONE, _FAILED, _STOPPED = "done", "failed", "stopped"


# A file that names the process which a run works for; a run that has one ends when that process is gone.
OWNER_VARIABLE = "AVATAR_PIPELINE_OWNER"


class RunsAlready(PipelineError):
    """Facts: what."""

    message = N_("{what} is running in the background already.")
    hint = N_("Come back to it: with its row in the menu, or with --attach.")


class NothingRuns(PipelineError):
    """Facts: what."""

    message = N_("{what} is not running in the background, and has nothing to tell.")
    hint = N_("Start it with: --background")


class RunLost(PipelineError):
    """Facts: what, log."""

    message = N_("{what} was cut off in the background: its process was ended, or the machine went down.")
    hint = N_("Start it again: it goes on from the last state that was saved. What it said: {log}")


class RunState(Enum):
    """How it stands with a run in the background."""

    NONE = "none"
    RUNNING = "running"
    ENDED = "ended"  # well or badly, and nobody was told yet
    LOST = "lost"  # it left no word of its end


@dataclass(frozen=True, slots=True)
class Place:
    """Where the files of one run lie, all beside its record; `what` names it for people, `command` comes back to it."""

    record: Path  # who runs
    what: str
    command: str

    @property
    def events(self) -> Path:
        """All that happened so far."""
        return self.record.with_suffix(".jsonl")

    @property
    def log(self) -> Path:
        """What it said besides: nothing, unless something went wrong that nobody thought of."""
        return self.record.with_suffix(".log")

    @property
    def stop(self) -> Path:
        """Asks it to stop."""
        return self.record.with_suffix(".stop")

    @property
    def viewer(self) -> Path:
        """Who looks at it."""
        return self.record.with_suffix(".view")


class RunProcess(Record):
    """`NAME.json`, `NAME.view`: enough to know a process again."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    pid: int
    created: float
    started: str


# --- from outside -----------------------------------------------------------------------------------------------------
def start(place: Place, words: Sequence[str], variables: Mapping[str, str] | None = None, *, module: str = "") -> None:
    """Start our own program with these words and variables in a process of its own, which no terminal ends. Raises RunsAlready.

    `module`: that one of the program's in place of its command line.
    """
    if find(place) is RunState.RUNNING:
        raise RunsAlready(what=place.what)
    forget(place)
    place.record.parent.mkdir(parents=True, exist_ok=True)
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        # A console of its own that is not shown: without any, each child would open one.
        apart = {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
    argv = [sys.executable, *(("-m", module) if module else (str(PROGRAM / "avatar_pipeline.py"),)), *words]
    environment = {**os.environ, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1", **(variables or {})}
    with place.log.open("wb") as said:
        child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, env=environment,
            cwd=PROGRAM if module else None, **apart,
        )  # fmt: skip
    write_record(place.record, _process_of(child.pid))


def take(place: Place) -> None:
    """This process is the run of that place from now on, for whoever looks there. Raises RunsAlready."""
    if find(place) is RunState.RUNNING:
        raise RunsAlready(what=place.what)
    forget(place)
    write_record(place.record, _process_of(os.getpid()))


def find(place: Place) -> RunState:
    """How it stands."""
    if not place.record.is_file():
        return RunState.NONE
    if _has_ended(place):
        return RunState.ENDED
    return RunState.RUNNING if is_alive(place.record) else RunState.LOST


def last_event(place: Place) -> Event | None:
    """What it said last, its end aside; None where it said nothing yet."""
    told = (event_of(line) for line in _backward(place) if "end" not in line)
    return next((event for event in told if isinstance(event, TrainingTick | Progress)), None)


def end_of(place: Place) -> dict[str, Any]:
    """The last line of a run that ended: `end` says how, and beside it stands its report or its error."""
    return next(_backward(place))


def lines_after(place: Place, at: int) -> Iterator[tuple[dict[str, Any], int]]:
    """The events from a byte on as they were written down, each with the byte where the next one begins; for other programs."""
    with contextlib.suppress(FileNotFoundError), place.events.open("rb") as file:
        file.seek(at)
        while (line := file.readline()).endswith(b"\n"):
            yield json.loads(line), file.tell()


def ask_to_stop(place: Place, at_once: bool = False) -> None:
    """Ask it to stop, when its piece is done or at once."""
    write_text(place.stop, "now" if at_once else "")


def look(place: Place) -> None:
    """This process looks at it, until it leaves or ends."""
    name_this_process(place.viewer)


def name_this_process(record: Path) -> None:
    """Write down which process this is, so that others know whether it still runs."""
    write_record(record, _process_of(os.getpid()))


def leave(place: Place) -> None:
    """Nobody looks any more: from now on it tells of its end itself."""
    place.viewer.unlink(missing_ok=True)


def forget(place: Place) -> None:
    """Remove the files of a run whose end was told; what it said besides stays."""
    for file in (place.record, place.events, place.stop, place.viewer):
        file.unlink(missing_ok=True)


def follow(place: Place, *, ours: bool = False) -> Generator[Event, None, Any]:
    """The events of a run from its first to its last, as they come; hands back its report as it was put into JSON.

    Stopped thrown into it stops a run of `ours`, and the end is waited for. Raises what the run met with, Stopped where it was
    stopped, NothingRuns, RunLost.
    """
    if find(place) is RunState.NONE:
        raise NothingRuns(what=place.what)
    at, asked, told = 0, 0, 0.0
    shown: Event = Progress("start", 0, 0)
    while True:
        alive = is_alive(place.record)  # asked before reading: what it wrote before it ended is read then
        lines, at = lines_from(place, at)
        events = [event_of(line) for line in lines if "end" not in line]
        if not events and time.monotonic() - told >= _HEARTBEAT_SECONDS:
            events = [shown]
        try:
            for event in events:
                shown = event if isinstance(event, TrainingTick | Progress) else shown
                told = time.monotonic()
                yield event
            if lines and "end" in lines[-1]:
                break
            if not (alive or lines):
                raise RunLost(what=place.what, log=place.log)
            time.sleep(_LOOK_SECONDS)
        except (Stopped, KeyboardInterrupt):
            if not ours or asked >= _PATIENCE:
                raise
            ask_to_stop(place, at_once=asked > 0)
            asked += 1
            if lines and "end" in lines[-1]:
                break
    return report_of(lines[-1], place.log)


def _process_of(pid: int) -> RunProcess:
    started = datetime.now(UTC).isoformat(timespec="seconds")
    return RunProcess(pid=pid, created=psutil.Process(pid).create_time(), started=started)


def is_alive(record: Path) -> bool:
    """Whether the process that a record names still runs."""
    try:
        known = read_record(record, RunProcess)
        process = psutil.Process(known.pid)
        # One that ended stays in the system's list until its parent asks for its exit code.
        return abs(process.create_time() - known.created) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except (FileNotFoundError, BrokenFile, psutil.NoSuchProcess):
        return False


def _has_ended(place: Place) -> bool:
    """Whether its last line is its end; the process itself may take some seconds more, to tell others of it."""
    try:
        return "end" in next(_backward(place), {})
    except ValueError:
        return False


def lines_from(place: Place, at: int) -> tuple[list[dict[str, Any]], int]:
    """The whole lines from a byte on, and the byte where the next one begins."""
    try:
        with place.events.open("rb") as file:
            file.seek(at)
            *whole, rest = file.read().split(b"\n")
            return [json.loads(line) for line in whole], file.tell() - len(rest)
    except FileNotFoundError:
        return [], at


def _backward(place: Place) -> Iterator[dict[str, Any]]:
    """The whole lines from the last to the first; a training of hours writes megabytes, of which mostly the last line is wanted."""
    try:
        with place.events.open("rb") as file:
            at, rest, whole = file.seek(0, os.SEEK_END), b"", False
            while at > 0:
                begin = max(0, at - _BLOCK_BYTES)
                file.seek(begin)
                rest, *lines = (file.read(at - begin) + rest).split(b"\n")
                at = begin
                for line in reversed(lines):
                    if whole and line:
                        yield json.loads(line)
                    whole = True  # what stands behind the last end of a line is being written
            if whole and rest:
                yield json.loads(rest)
    except FileNotFoundError:
        return


def event_of(line: dict[str, Any]) -> Event:
    """The event that a line tells."""
    facts = dict(line)
    event: Event = _EVENTS[facts.pop("event")](**facts)
    return event


def report_of(end: dict[str, Any], log: Path) -> Any:
    """The report that an end tells, as JSON; raises what the run met with, or Stopped."""
    if end["end"] == _FAILED:
        raise error_of(end, log)
    if end["end"] == _STOPPED:
        raise Stopped(Notice(**end["told"]) if end["told"] else None)
    return end["report"]


# --- from inside ------------------------------------------------------------------------------------------------------
class Recorder:
    """Who watches a stage in the process that runs it: writes down what happens, and looks whether it is to stop."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._last: Event | None = None
        owner = os.environ.get(OWNER_VARIABLE)
        self._owner = Path(owner) if owner else None

    def say(self, _line: str) -> None:
        """Nobody is here to be told."""

    def show(self, event: Event) -> None:
        """Write an event down, unless it says what the last one said."""
        if isinstance(event, TrainingTick):
            event = replace(event, silent_seconds=event.silent_seconds // _SILENCE_STEP * _SILENCE_STEP)
        if event != self._last:
            self._last = event
            self._write({"event": type(event).__name__, **asdict(event)})

    def presses(self, signals: int, _hung_up: bool) -> int:
        """How often it was asked to stop, by signals or by the file; at once where whoever it works for is gone."""
        if self._owner and not is_alive(self._owner):
            return 2
        try:
            return max(signals, 2 if self._place.stop.read_text(encoding="utf-8") else 1)
        except FileNotFoundError:
            return signals

    def is_left(self) -> bool:
        """Whether nobody looks, also because who did was killed."""
        return not is_alive(self._place.viewer)

    def done(self, report: Any) -> None:
        """It ended well; `report` is JSON."""
        self._write({"end": _DONE, "report": report})

    def failed(self, error: PipelineError) -> None:
        """It failed; the error crosses by its name and facts."""
        self._write({"end": _FAILED, "error": type(error).__name__, "module": type(error).__module__, "facts": dict(error.facts)})

    def stopped(self, told: Notice | None) -> None:
        """It was stopped."""
        self._write({"end": _STOPPED, "told": asdict(told) if told else None})

    def _write(self, line: dict[str, Any]) -> None:
        with self._place.events.open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
