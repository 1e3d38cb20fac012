"""The whole path on a sample client drawn by code, from an empty folder to portraits: what `demo` runs.

It is a journey, not a stage: it calls the stages one after another, each of which does only what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from actions.action import Action, Answer, Rounded2
from actions.request import Job, Request
from client_folder.client import Client, create_client, list_clients, open_client
from config import Settings
from data_preprocessor import import_midjourney, import_photos, prepare_dataset
from exam.likeness import Likeness, measure_likeness
from image_processor import process_faces
from lora_trainer import plan_training, train
from training.installation import set_up
from utils import Event, StepFinished, StepStarted

CLIENT_ID = "demo"
Outcome = Mapping[str, int | float | str]


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
    contact_sheet: Path
    likeness: Likeness


class _Journey:
    """What the steps of one run hand to one another."""

    def __init__(self, home: Path, settings: Settings) -> None:
        self.home = home
        self.settings = settings
        self.pictures = sample_folder(home)
        self.client: Client
        self.held = ExitStack()  # the client, from the moment it is there until the demo ends
        self.likeness: Likeness
        self.contact_sheet: Path


def sample_folder(home: Path) -> Path:
    """Where the sample client's own pictures are drawn, as if a user had them in a folder."""
    return home / "sample"


def walk_demo(home: Path, settings: Settings) -> Generator[Event, None, DemoReport]:
    """Run every step on the sample client; a second run does only what is missing."""
    journey = _Journey(home, settings)
    done: list[DemoStep] = []
    with journey.held:
        for number, (name, step) in enumerate(_STEPS.items(), 1):
            yield StepStarted(name, number, len(_STEPS))
            started = time.monotonic()
            outcome = yield from step(journey)
            done.append(DemoStep(name, outcome, time.monotonic() - started))
            yield StepFinished(name, outcome, done[-1].seconds)
    return DemoReport(tuple(done), journey.contact_sheet, journey.likeness)


def _setup(journey: _Journey) -> Generator[Event, None, Outcome]:
    installation = yield from set_up(journey.home, journey.settings)
    return {"checks": len(installation.checks)}


def _sample(journey: _Journey) -> Generator[Event, None, Outcome]:
    from embedded.drawing.sample_client import draw_sample  # it draws with numpy, which the menu need not wait for

    report = yield from draw_sample(journey.pictures)
    return {"midjourney": len(report.midjourney), "photos": len(report.photos)}


def _client(journey: _Journey) -> Generator[Event, None, Outcome]:
    from embedded.drawing.sample_client import CLASS_WORD

    known = {client.id for client in list_clients(journey.home)}
    here = CLIENT_ID in known
    journey.client = open_client(journey.home, CLIENT_ID) if here else create_client(journey.home, CLIENT_ID, CLASS_WORD)
    journey.held.enter_context(journey.client.lock())
    yield from ()  # a step like the others, though it has nothing to wait for
    return {"client": journey.client.id}


def _import_mj(journey: _Journey) -> Generator[Event, None, Outcome]:
    from embedded.drawing.sample_client import SAMPLE_USERNAME

    report = yield from import_midjourney(journey.client, [journey.pictures / "midjourney"], usernames=(SAMPLE_USERNAME,))
    return {"added": len(report.added), "duplicates": len(report.duplicates), "refused": len(report.refused)}


def _import_photos(journey: _Journey) -> Generator[Event, None, Outcome]:
    report = yield from import_photos(journey.client, [journey.pictures / "photos"])
    return {"added": len(report.added), "duplicates": len(report.duplicates), "refused": len(report.refused)}


def _process(journey: _Journey) -> Generator[Event, None, Outcome]:
    report = yield from process_faces(journey.client, journey.settings)
    return {"accepted": len(report.accepted), "rejected": len(report.rejected)}


def _dataset(journey: _Journey) -> Generator[Event, None, Outcome]:
    report = yield from prepare_dataset(journey.client, journey.settings)
    return {"images": report.images, "share_real": round(report.share_real, 3)}


def _train(journey: _Journey) -> Generator[Event, None, Outcome]:
    plan = plan_training(journey.client, journey.settings).plan
    report = yield from train(journey.client, journey.settings, plan)
    return {"steps": report.steps, "lora": report.lora.name}


def _generate(journey: _Journey) -> Generator[Event, None, Outcome]:
    report = yield from measure_likeness(journey.client, journey.settings)
    journey.likeness, journey.contact_sheet = report.likeness, report.contact_sheet
    return {"images": report.images, "closed": round(report.likeness.closed, 3)}


_STEPS: dict[str, Callable[[_Journey], Generator[Event, None, Outcome]]] = {
    "setup": _setup,
    "sample": _sample,
    "client": _client,
    "import-mj": _import_mj,
    "import-photos": _import_photos,
    "process": _process,
    "dataset": _dataset,
    "train": _train,
    "generate": _generate,
}


# --- the action -------------------------------------------------------------------------------------------------------
class DemoStepAnswer(Answer):
    """A step of the demo, and how many seconds it took."""

    name: str
    seconds: Rounded2


class LikenessAnswer(Answer):
    """How near portraits come to the client's crops, as distances; `closed` is the share of the gap that the LoRA closed."""

    base: float
    lora: float
    crops: float
    closed: float
    others_moved: float


class DemoAnswer(Answer):
    """What the demo ends with."""

    steps: tuple[DemoStepAnswer, ...]
    contact_sheet: Path
    likeness: LikenessAnswer


def _walk(job: Job[Request]) -> Generator[Event, None, DemoReport]:
    return walk_demo(job.home, job.settings)


DEMO = Action("demo", Request, _walk, DemoAnswer.of, whole_gpu=True)
ACTIONS = (DEMO,)
