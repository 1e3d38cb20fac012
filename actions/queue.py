"""Several clients one after another, overnight: each is trained and then examined, and the morning's table says it all.

It is a journey over two stages: one client that fails, in either of them, does not stop the next.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import lora_trainer
from actions.action import Action, Answer, Background, Stage
from actions.journey import how_far
from actions.queue_run import Night
from actions.request import Ask, BackgroundRequest, Job, Menu
from actions.train_request import PRESET_NAMES
from client_folder.client import last_used_first, open_client, queue_run_file
from config import Settings
from dataset.held_back import recorded
from exam.records import Word
from locales.language import N_, _
from machine.background import Place
from machine.models import NotDownloaded
from machines.link import Link
from machines.pool import scheduler_file
from portraits.recipes import setup_of
from training.cost import duration
from training.queue import Examined, Outcome, QueueReport, QueueRow, last_queue
from utils import Event, PipelineError

NEXT_CLIENT = N_("[{number}/{total}] {client}")
FAILED_CLIENT = N_("      {client}: {error}")
_QUEUE_HELP = N_("Clients, in this order (none: the last table):")
_QUEUE_QUESTION = N_("Whom to train, in turn (nobody: the last queue):")
_MACHINES_HELP = N_("Train on the machines that have joined too?")
_EXAM_HELP = N_("Examine each LoRA after its training?")
OF_QUEUE = N_("The queue")
_SAID = {Word.STEP: Examined.STEP, Word.TIED: Examined.TIED, Word.NONE: Examined.NONE}


class QueueFailed(PipelineError):
    """Facts: failed, total."""

    message = N_("{failed} of {total} trainings failed.")
    hint = N_("The table says why; the same queue again goes on with those only.")


# --- the journey ------------------------------------------------------------------------------------------------------
def run_queue(
    home: Path, settings: Settings, names: Sequence[str], preset: str | None = None, *, exam: bool = True, machines: bool = False
) -> Generator[Event, None, QueueReport]:
    """Train these clients and, with `exam`, examine each, held for this program alone; without names, the last table.

    With `machines`, on those that have joined this home's pool too. Smaller plans are taken by themselves where memory is full,
    for nobody is there to ask. Raises ClientMissing or BadClientId before anything is begun; NoScheduler, LinkDown or
    PackagesMissing.
    """
    clients = [open_client(home, name) for name in dict.fromkeys(names)]
    if not clients:
        return last_queue(home)
    if not machines:
        return (yield from Night(home, settings, clients, preset, exam, None).run())
    with Link(home) as link:
        return (yield from Night(home, settings, clients, preset, exam, link).run())


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


def _has_pool(job: Job[QueueRequest]) -> bool:
    """Whether there is anything to ask: a scheduler was started here once."""
    return bool(job.request.names) and scheduler_file(job.home).is_file()


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
    machines: Annotated[
        bool,
        Ask(_MACHINES_HELP, "--machines", menu=Menu.CHOICE, suggest=lambda _job: "yes", when=_has_pool),
    ] = False  # fmt: skip


def queue(job: Job[QueueRequest]) -> Stage:
    """Train and examine several clients in turn."""
    return run_queue(
        job.home, job.settings, job.request.names, job.request.preset, exam=job.request.exam, machines=job.request.machines
    )


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
