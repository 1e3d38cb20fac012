"""Several clients trained one after another, overnight: one that fails does not stop the next, and the morning's table says it all.

`queue.json` in the program's home is written at every change, so that a crash loses no more than the line it happened in.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field

from locales.language import N_, Labelled
from training.exam_choice import NONE_CHOSEN, STEP_CHOSEN
from utils import Record, locked, read_record, write_record


class Outcome(Labelled):
    """How it stands with a client of the queue."""

    WAITING = "waiting", N_("not begun")
    RUNNING = "running", N_("training, or cut off there")  # or cut off there, where nothing runs any more
    DONE = "done", N_("trained")
    FAILED = "failed", N_("failed")
    STOPPED = "stopped", N_("stopped")


class Examined(Labelled):
    """What the exam after a training said; {step} is the step that it chose."""

    NO = "no", N_("not asked for, or not yet")
    RUNNING = "running", N_("being examined, or cut off there")
    STEP = "step", STEP_CHOSEN
    TIED = "tied", N_("step {step} chosen, others as good")
    NONE = "none", NONE_CHOSEN
    NO_PHOTOS = "no_photos", N_("no photo held back")
    FAILED = "failed", N_("not examined")
    STOPPED = "stopped", N_("stopped")


class QueueRow(Record):
    """One client's night: how far it came and, where it failed, why and what to do; then the word of the exam, and its step."""

    model_config = ConfigDict(frozen=True)

    client: str
    outcome: Outcome = Outcome.WAITING
    steps: int = 0
    seconds: float = 0.0
    loss: float | None = None
    lora: str = ""
    changes: tuple[str, ...] = ()
    error: str = ""
    hint: str = ""
    exam: Examined = Examined.NO
    exam_step: int | None = None
    exam_error: str = ""
    machine: str = ""  # where it was trained last
    attempts: int = 0  # how often it was begun


class QueueRecord(Record):
    """`queue.json`: the rows in the order they are trained in."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    rows: tuple[QueueRow, ...] = ()


@dataclass(frozen=True, slots=True)
class QueueReport:
    """The table of the last queue."""

    rows: tuple[QueueRow, ...]


def queue_file(home: Path) -> Path:
    """Where the table of a home's last queue lies."""
    return home / "queue.json"


def forget_client(home: Path, client: str) -> None:
    """Take a client out of the table of the last queue; raises BrokenFile."""
    if not queue_file(home).exists():
        return
    with locked(queue_file(home)):
        rows = last_queue(home).rows
        kept = tuple(row for row in rows if row.client != client)
        if kept != rows:
            write_record(queue_file(home), QueueRecord(rows=kept))


def last_queue(home: Path) -> QueueReport:
    """The table of the last queue, empty where there was none; raises BrokenFile."""
    file = queue_file(home)
    return QueueReport(read_record(file, QueueRecord).rows if file.exists() else ())
