"""The whole path on a sample client drawn by code, from an empty folder to portraits: what `demo` runs.

It is a journey, not a stage: it calls the stages one after another, each of which does only what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

from actions.action import Action, Answer, Rounded2, Shown, always
from actions.exam import ExamAnswer
from actions.request import Job, Request
from client_folder.client import Client, create_client, list_clients, open_client
from config import Settings
from data_preprocessor import ImportReport, import_midjourney, import_photos, prepare_dataset
from exam.errors import NoHeldBackPhotos
from exam.examination import examine
from exam.report import ExamReport
from generation import PortraitReport, generate, plan_portraits
from image_processor import process_faces
from lora_trainer import plan_training, train
from machine.model_process import ModelProcess
from portraits.recipes import DEFAULT_WEIGHT
from training.installation import set_up
from utils import Event, StepFinished, StepStarted

CLIENT_ID = "demo"
STEPS = ("setup", "sample", "client", "import-mj", "import-photos", "process", "dataset", "train", "exam", "generate")
EXAM_SCENES = 8  # half as many as `exam` has painted, and no other weights: a minute on two cores instead of three
Outcome = Mapping[str, int | float | str]
Report = TypeVar("Report")


@dataclass(frozen=True, slots=True)
class DemoStep:
    """One step of the demo, as its table shows it."""

    name: str
    outcome: Outcome
    seconds: float


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What the demo ends with."""

    steps: tuple[DemoStep, ...]
    exam: ExamReport | None  # None: the settings hold no photo back
    portraits: PortraitReport

    @property
    def contact_sheet(self) -> Path:
        """The sheet of the portraits."""
        return self.portraits.contact_sheet

    @property
    def practice(self) -> bool:
        """Whether the practice model was trained."""
        return self.portraits.practice


class _Steps:
    """Runs one step after another: says where each begins and ends, times it, and keeps what came out."""

    def __init__(self) -> None:
        self.done: list[DemoStep] = []

    def run(
        self, name: str, stage: Callable[[], Generator[Event, None, Report]], outcome: Callable[[Report], Outcome]
    ) -> Generator[Event, None, Report]:
        """One step; `outcome` is what its table shows of the stage's report."""
        yield StepStarted(name, STEPS.index(name) + 1, len(STEPS))
        started = time.monotonic()
        report = yield from stage()
        self.done.append(DemoStep(name, outcome(report), time.monotonic() - started))
        yield StepFinished(name, self.done[-1].outcome, self.done[-1].seconds)
        return report


def sample_folder(home: Path) -> Path:
    """Where the sample client's own pictures are drawn, as if a user had them in a folder."""
    return home / "sample"


def run_demo(home: Path, settings: Settings, model_process: ModelProcess) -> Generator[Event, None, DemoReport]:
    """Run every step on the sample client; a second run does only what is missing."""
    from embedded.drawing.sample_client import SAMPLE_USERNAME, draw_sample  # it draws with numpy, which the menu need not wait for

    pictures, steps = sample_folder(home), _Steps()
    with ExitStack() as held:
        yield from steps.run("setup", lambda: set_up(home, settings), lambda report: {"checks": len(report.checks)})
        yield from steps.run(
            "sample", lambda: draw_sample(pictures),
            lambda report: {"midjourney": len(report.midjourney), "photos": len(report.photos)},
        )  # fmt: skip
        client = yield from steps.run("client", lambda: _take_client(home, held), lambda client: {"client": client.id})
        yield from steps.run(
            "import-mj", lambda: import_midjourney(client, [pictures / "midjourney"], usernames=(SAMPLE_USERNAME,)), _imported
        )
        yield from steps.run("import-photos", lambda: import_photos(client, [pictures / "photos"]), _imported)
        yield from steps.run(
            "process", lambda: process_faces(client, settings),
            lambda report: {"accepted": len(report.accepted), "rejected": len(report.rejected)},
        )  # fmt: skip
        yield from steps.run(
            "dataset", lambda: prepare_dataset(client, settings),
            lambda report: {"images": report.images, "share_real": round(report.share_real, 3)},
        )  # fmt: skip
        yield from steps.run(
            "train", lambda: train(client, settings, plan_training(client, settings).plan),
            lambda report: {"steps": report.steps, "lora": report.lora.name},
        )  # fmt: skip
        exam = yield from steps.run("exam", lambda: _examine(client, settings, model_process), _examined)
        portraits = yield from steps.run(
            "generate", lambda: _paint(client, settings, exam, model_process), lambda report: {"images": len(report.images)}
        )
    return DemoReport(tuple(steps.done), exam, portraits)


def _examine(client: Client, settings: Settings, model_process: ModelProcess) -> Generator[Event, None, ExamReport | None]:
    """A short exam; None where the settings hold nothing back, which must not cost anybody the portraits."""
    exam = examine(client, settings, model_process=model_process, scenes=EXAM_SCENES, weights=(DEFAULT_WEIGHT,))
    try:
        return (yield from exam)
    except NoHeldBackPhotos:
        return None


def _paint(
    client: Client, settings: Settings, exam: ExamReport | None, model_process: ModelProcess
) -> Generator[Event, None, PortraitReport]:
    """The recommended prompts by the base alone, and with the checkpoint that the exam chose; the last one where it chose none."""
    weight = exam.file.weight if exam and exam.file.weight else DEFAULT_WEIGHT
    plan = plan_portraits(client, settings, weights=(0.0, weight))
    return (yield from generate(client, settings, plan, model_process))


def _take_client(home: Path, held: ExitStack) -> Generator[Event, None, Client]:
    """The sample client, made where it is not there yet, and held for this program until the demo ends."""
    from embedded.drawing.sample_client import CLASS_WORD

    here = CLIENT_ID in {client.id for client in list_clients(home)}
    client = open_client(home, CLIENT_ID) if here else create_client(home, CLIENT_ID, CLASS_WORD)
    held.enter_context(client.lock())
    yield from ()  # a step like the others, though it has nothing to wait for
    return client


def _examined(report: ExamReport | None) -> Outcome:
    if report is None:
        return {"examined": 0}
    examined = {"examined": len({one.step for one in report.file.candidates})}
    return examined if report.file.step is None else {**examined, "chosen": report.file.step}


def _imported(report: ImportReport) -> Outcome:
    return {"added": len(report.added), "duplicates": len(report.duplicates), "refused": len(report.refused)}


# --- the action -------------------------------------------------------------------------------------------------------
class DemoStepAnswer(Answer):
    """A step of the demo, and how many seconds it took."""

    name: str
    seconds: Rounded2


class DemoAnswer(Answer):
    """What the demo ends with."""

    steps: tuple[DemoStepAnswer, ...]
    contact_sheet: Path
    exam: ExamAnswer | None
    practice: bool

    @classmethod
    def of(cls, report: DemoReport) -> Self:
        """The answer about a report."""
        steps = tuple(DemoStepAnswer(name=step.name, seconds=step.seconds) for step in report.steps)
        exam = ExamAnswer.of(report.exam) if report.exam else None
        return cls(steps=steps, contact_sheet=report.contact_sheet, exam=exam, practice=report.practice)


def _made(_job: Job[Request], report: DemoReport) -> tuple[Path, ...]:
    return (report.contact_sheet, report.exam.sheet) if report.exam else (report.contact_sheet,)


DEMO = Action(
    "demo", Request, lambda job: run_demo(job.home, job.settings, job.session.model_process), DemoAnswer.of, whole_gpu=True,
    lasts=always, made=_made, shown=lambda _job, report: (Shown(report.contact_sheet),),
)  # fmt: skip
ACTIONS = (DEMO,)
