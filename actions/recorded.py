"""An action run in a process of its own: every event and its end are written down where whoever asked for it looks."""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from actions.action import Action
from actions.drive import drive
from actions.request import Job
from config import LONG_SECONDS
from machine.background import Place, Recorder
from machine.notify import JobEnd, JobNote, notify
from utils import Event, PipelineError, ProgramFault, Stopped, as_pipeline_error


@dataclass(frozen=True, slots=True)
class Recording:
    """Where a run is written down, and as which JSON its report."""

    place: Place
    dump: Callable[[Any], Any]
    recorder: Recorder = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "recorder", Recorder(self.place))


class _Recordings:
    """Who watches a stage that is written down in several places: a wish to stop counts from any of them."""

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self._recordings = recordings

    def say(self, _line: str) -> None:
        """Nobody is here to be told."""

    def show(self, event: Event) -> None:
        """Write an event down."""
        for one in self._recordings:
            one.recorder.show(event)

    def presses(self, signals: int, hung_up: bool) -> int:
        """How often it was asked to stop."""
        return max(one.recorder.presses(signals, hung_up) for one in self._recordings)


def run_and_record(action: Action[Any], job: Job[Any], recordings: Sequence[Recording]) -> bool:
    """Run the action and write down all that happens, its end too; whether it ended well. The first recording tells of its end."""
    started, first = time.monotonic(), recordings[0]
    error: PipelineError | None = None
    try:
        job = action.planned(job)
        held = job.client.lock() if job.client and action.changes else contextlib.nullcontext()
        with held:
            report = drive(action.run(job), _Recordings(recordings))
    except Stopped as stopped:
        for one in recordings:
            one.recorder.stopped(stopped.told)
        return False
    except Exception as met:  # noqa: BLE001 - whoever looks has to hear of it, and there is nobody else to tell
        error = _as_error(met, first.place)
        for one in recordings:
            one.recorder.failed(error)
    else:
        error = action.verdict(report)
        for one in recordings:
            one.recorder.done(one.dump(report))
    seconds = time.monotonic() - started
    if first.recorder.is_left() or seconds >= LONG_SECONDS:
        client = job.client.id if job.client else ""
        notify(job.settings, JobNote(action.name, client, JobEnd.FAILED if error else JobEnd.DONE, seconds))
    return error is None


def _as_error(met: Exception, place: Place) -> PipelineError:
    told = as_pipeline_error(met) if isinstance(met, OSError | ImportError) else met if isinstance(met, PipelineError) else None
    if told is None:
        traceback.print_exception(met)  # into the run's log
    return told or ProgramFault(error=type(met).__name__, path=place.log)
