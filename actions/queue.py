"""Several clients one after another, overnight: each is trained and then examined, and the morning's table says it all.

It is a journey over two stages: one client that fails, in either of them, does not stop the next.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Annotated

import lora_trainer
from actions.action import Action, Answer, Background, Stage
from actions.journey import how_far
from actions.request import Ask, BackgroundRequest, Job, Menu
from actions.train_request import PRESET_NAMES
from client_folder.client import Client, last_used_first, open_client, queue_run_file
from config import Settings
from dataset.held_back import recorded
from exam.errors import NoHeldBackPhotos
from exam.examination import examine
from exam.records import Word
from locales.language import N_, _
from machine.background import Place
from machine.models import NotDownloaded
from portraits.recipes import setup_of
from training.cost import duration
from training.queue import Examined, Outcome, QueueRecord, QueueReport, QueueRow, last_queue, queue_file
from training.runs import read_runs
from utils import Event, Notice, PipelineError, Stopped, as_pipeline_error, locked, log, write_record

NEXT_CLIENT = N_("[{number}/{total}] {client}")
FAILED_CLIENT = N_("      {client}: {error}")
_QUEUE_HELP = N_("Clients, in this order (none: the last table):")
_QUEUE_QUESTION = N_("Whom to train, in turn (nobody: the last queue):")
_EXAM_HELP = N_("Examine each LoRA after its training?")
OF_QUEUE = N_("The queue")
_SAID = {Word.STEP: Examined.STEP, Word.TIED: Examined.TIED, Word.NONE: Examined.NONE}


class QueueFailed(PipelineError):
    """Facts: failed, total."""

    message = N_("{failed} of {total} trainings failed.")
    hint = N_("The table says why; the same queue again goes on with those only.")


# --- the journey ------------------------------------------------------------------------------------------------------
def run_queue(
    home: Path, settings: Settings, names: Sequence[str], preset: str | None = None, *, exam: bool = True
) -> Generator[Event, None, QueueReport]:
    """Train these clients in turn and, with `exam`, examine each, held for this program alone; without names, the last table.

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
        except (GeneratorExit, Stopped, KeyboardInterrupt):
            rows[number] = _cut_short(client, Outcome.STOPPED, started)
            _write(home, rows)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the next client must not wait for the morning
            rows[number] = _cut_short(client, Outcome.FAILED, started, error)
            yield Notice(FAILED_CLIENT, {"client": client.id, "error": rows[number].error})
        _write(home, rows)
        if exam and rows[number].outcome is Outcome.DONE:
            yield from _examine_row(home, client, settings, rows, number)
    return QueueReport(tuple(rows))


def _train_one(client: Client, settings: Settings, preset: str | None) -> Generator[Event, None, QueueRow]:
    with client.lock():
        plan = lora_trainer.plan_training(client, settings, preset=preset).plan
        with closing(lora_trainer.train(client, settings, plan, take_smaller_plans=True)) as stage:
            report: lora_trainer.TrainingReport = yield from stage
    return QueueRow(
        client=client.id, outcome=Outcome.DONE, steps=report.steps, seconds=round(report.seconds, 1), loss=_last_loss(client),
        lora=report.lora.name, changes=report.changes,
    )  # fmt: skip


def _examine_row(
    home: Path, client: Client, settings: Settings, rows: list[QueueRow], number: int
) -> Generator[Event, None, None]:  # fmt: skip
    """Examine what a row trained, and write into it what came out; a LoRA that could not be examined is trained all the same."""
    row = rows[number]

    def write(examined: Examined, step: int | None = None, error: str = "") -> None:
        rows[number] = row.model_copy(update={"exam": examined, "exam_step": step, "exam_error": error})
        _write(home, rows)

    write(Examined.RUNNING)
    try:
        with client.lock(), closing(examine(client, settings)) as stage:
            report = yield from stage
        write(_SAID[report.file.verdict], report.file.step)
    except (GeneratorExit, Stopped, KeyboardInterrupt):
        write(Examined.STOPPED)
        raise
    except NoHeldBackPhotos:
        write(Examined.NO_PHOTOS)
    except Exception as error:  # noqa: BLE001 - as above
        write(Examined.FAILED, error=_told(error)[0])
        yield Notice(FAILED_CLIENT, {"client": client.id, "error": rows[number].exam_error})


def _cut_short(client: Client, outcome: Outcome, started: float, error: Exception | None = None) -> QueueRow:
    runs, (told, cure) = read_runs(client), _told(error) if error else ("", "")
    return QueueRow(
        client=client.id, outcome=outcome, steps=runs[-1].steps if runs else 0, seconds=round(time.monotonic() - started, 1),
        loss=_last_loss(client), error=told, hint=cure,
    )  # fmt: skip


def _told(error: Exception) -> tuple[str, str]:
    """What happened and what to do; of an error that nobody foresaw its name, and the log has the rest."""
    known = as_pipeline_error(error) if isinstance(error, OSError | ImportError) else error
    if isinstance(known, PipelineError):
        return known.text(), known.cure()
    log.error("queue: unexpected", exc_info=error)
    return type(error).__name__, ""


def _last_loss(client: Client) -> float | None:
    runs = read_runs(client)
    return list(runs[-1].curve.values())[-1] if runs and runs[-1].curve else None


def _write(home: Path, rows: Sequence[QueueRow]) -> None:
    with locked(queue_file(home)):
        write_record(queue_file(home), QueueRecord(rows=tuple(rows)))


# --- the action -------------------------------------------------------------------------------------------------------
def _queue_rows(job: Job[QueueRequest]) -> list[tuple[str, str]]:
    """Every client, how far it is and, where there is a dataset, how long a training takes; the last used first."""
    rows = []
    for client in last_used_first(job.home):
        label = f"{client.title:<28} {how_far(client)}"
        with suppress(PipelineError):  # of one that cannot be trained yet there is no time to tell
            label += ", " + duration(lora_trainer.plan_training(client, job.settings, preset=job.request.preset).estimate.seconds)
        rows.append((client.id, label))
    return rows


class QueueRequest(BackgroundRequest):
    """Which clients to train, in this order, and whether to examine each; none: the table of the last queue is shown."""

    names: Annotated[
        tuple[str, ...], Ask(_QUEUE_HELP, metavar="ID", menu=Menu.TICKS, question=_QUEUE_QUESTION, offer=_queue_rows)
    ] = ()
    preset: Annotated[str | None, Ask(N_("how long to train each"), "--preset", choices=PRESET_NAMES)] = None
    exam: Annotated[
        bool,
        Ask(
            _EXAM_HELP, "--exam", menu=Menu.CHOICE, worded=True, labels={"yes": N_("yes"), "no": N_("no")},
            suggest=lambda _job: "yes", when=lambda job: bool(job.request.names),
        ),
    ] = True  # fmt: skip


def queue(job: Job[QueueRequest]) -> Stage:
    """Train and examine several clients in turn."""
    return run_queue(job.home, job.settings, job.request.names, job.request.preset, exam=job.request.exam)


class QueueAnswer(Answer):
    """The table of the last queue."""

    clients: tuple[QueueRow, ...]

    @classmethod
    def of(cls, report: QueueReport) -> QueueAnswer:
        """Its rows."""
        return cls(clients=report.rows)


def models_of_queue(job: Job[QueueRequest]) -> tuple[str, ...]:
    """What the clients of a queue need and is not here: asked in the evening, not found missing in the morning."""
    names: list[str] = []
    for client in [open_client(job.home, name) for name in job.request.names]:
        download = lora_trainer.download_for(client, job.settings)
        names += download.names if download else ()
        if job.request.exam and recorded(client).scenes:
            try:
                setup_of(client, job.settings)
            except NotDownloaded as missing:  # to paint with, where training does without
                names += str(missing.facts["names"]).split()
            except PipelineError:
                pass  # its exam will say why
    return tuple(dict.fromkeys(names))


def queue_complaint(report: QueueReport) -> PipelineError | None:
    """That something failed, for the exit code of a night; the table says what."""
    failed = [row for row in report.rows if row.outcome is Outcome.FAILED]
    return QueueFailed(failed=len(failed), total=len(report.rows)) if failed else None


def _queue_place(job: Job[QueueRequest]) -> Place:
    return Place(queue_run_file(job.home), _(OF_QUEUE), "queue --attach")


QUEUE = Action(
    "queue", QueueRequest, queue, QueueAnswer.of, changes=False, whole_gpu=True, needs=models_of_queue, verdict=queue_complaint,
    lasts=lambda request: bool(request.names), background=Background(_queue_place, QueueReport),
)  # fmt: skip
ACTIONS = (QUEUE,)
