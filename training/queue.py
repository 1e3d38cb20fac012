"""Several clients trained one after another, overnight: one that fails does not stop the next, and the morning's table says it all.

`queue.json` in the program's home is written at every change, so that a crash loses no more than the line it happened in.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field

from client_folder.client import Client, open_client
from config import Settings
from locales.language import N_, Labelled
from lora_trainer import TrainingReport, plan_training, train
from training.runs import read_runs
from utils import Event, Notice, PipelineError, Record, as_pipeline_error, log, read_record, write_record

NEXT_CLIENT = N_("[{number}/{total}] {client}")
FAILED_CLIENT = N_("      {client}: {error}")


class Outcome(Labelled):
    """How it stands with a client of the queue."""

    WAITING = "waiting", N_("not begun")
    RUNNING = "running", N_("training, or cut off there")  # or cut off there, where nothing runs any more
    DONE = "done", N_("trained")
    FAILED = "failed", N_("failed")
    STOPPED = "stopped", N_("stopped")


class QueueRow(Record):
    """One client's night: how far it came and, where it failed, why and what to do."""

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


def last_queue(home: Path) -> QueueReport:
    """The table of the last queue, empty where there was none; raises BrokenFile."""
    file = queue_file(home)
    return QueueReport(read_record(file, QueueRecord).rows if file.exists() else ())


def run_queue(
    home: Path, settings: Settings, names: Sequence[str], preset: str | None = None
) -> Generator[Event, None, QueueReport]:
    """Train these clients in turn, each held for this program alone while it trains; without names, only the last table.

    Smaller plans are taken by themselves where memory is full, for nobody is there to ask. Raises ClientMissing or BadClientId
    before anything is begun.
    """
    clients = [open_client(home, name) for name in dict.fromkeys(names)]
    if not clients:
        return last_queue(home)
    rows = [QueueRow(client=client.id) for client in clients]
    for number, client in enumerate(clients):
        yield Notice(NEXT_CLIENT, {"number": number + 1, "total": len(clients), "client": client.id})
        rows[number] = QueueRow(client=client.id, outcome=Outcome.RUNNING)
        _write(home, rows)
        started = time.monotonic()
        try:
            rows[number] = yield from _train_one(client, settings, preset)
        except GeneratorExit:
            rows[number] = _cut_short(client, Outcome.STOPPED, started)
            _write(home, rows)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the next client must not wait for the morning
            rows[number] = _cut_short(client, Outcome.FAILED, started, error)
            yield Notice(FAILED_CLIENT, {"client": client.id, "error": rows[number].error})
        _write(home, rows)
    return QueueReport(tuple(rows))


def _train_one(client: Client, settings: Settings, preset: str | None) -> Generator[Event, None, QueueRow]:
    with client.lock():
        plan = plan_training(client, settings, preset=preset).plan
        with closing(train(client, settings, plan, take_rungs=True)) as stage:
            report: TrainingReport = yield from stage
    return QueueRow(
        client=client.id, outcome=Outcome.DONE, steps=report.steps, seconds=round(report.seconds, 1), loss=_last_loss(client),
        lora=report.lora.name, changes=report.changes,
    )  # fmt: skip


def _cut_short(client: Client, outcome: Outcome, started: float, error: Exception | None = None) -> QueueRow:
    known = as_pipeline_error(error) if isinstance(error, OSError | ImportError) else error
    told = known if isinstance(known, PipelineError) else None
    if error and told is None:
        log.error("queue: unexpected", exc_info=error)
    runs = read_runs(client)
    return QueueRow(
        client=client.id,
        outcome=outcome,
        steps=runs[-1].steps if runs else 0,
        seconds=round(time.monotonic() - started, 1),
        loss=_last_loss(client),
        error=told.text() if told else type(error).__name__ if error else "",
        hint=told.cure() if told else "",
    )


def _last_loss(client: Client) -> float | None:
    runs = read_runs(client)
    return list(runs[-1].curve.values())[-1] if runs and runs[-1].curve else None


def _write(home: Path, rows: Sequence[QueueRow]) -> None:
    write_record(queue_file(home), QueueRecord(rows=tuple(rows)))
