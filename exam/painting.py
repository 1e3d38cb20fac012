"""The portraits of an exam, by the recipe of `generate`, as one count over all sets and within a budget of time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from client_folder.client import Client
from exam.candidates import WeightedCheckpoint
from exam.prompts import SEEDS
from machine.model_process import ModelProcess
from portraits.painter import paint_missing
from portraits.portrait import Portrait, PortraitJob, PortraitRequest, PromptText, portrait_jobs
from portraits.recipes import PipelineSetup
from utils import Event, Progress, whole_png

STAGE = "exam"


@dataclass(slots=True)
class ExamPainter:
    """Paints sets, a portrait for every prompt with every seed; `until` is when time is up, None: never."""

    client: Client
    setup: PipelineSetup
    model_process: ModelProcess
    until: float | None = None
    longest: float = 0.0  # seconds of one set
    done: int = 0  # portraits painted
    total: int = 0  # to be painted, as far as is known

    def is_time_for(self, sets: int) -> bool:
        """Whether so many sets more keep within the budget, each as long as the longest so far."""
        return self.until is None or time.monotonic() + sets * self.longest <= self.until

    def jobs(self, prompts: Sequence[str], candidate: WeightedCheckpoint | None = None) -> tuple[PortraitJob, ...]:
        """A set: by the base alone without a candidate."""
        lora, weight = (candidate.checkpoint.path, candidate.weight) if candidate else (None, 0.0)
        request = PortraitRequest(tuple(map(PromptText, prompts)), SEEDS, lora, weight)
        return portrait_jobs(self.client.exam_portraits, self.setup, request)

    def expect(self, sets: Sequence[Sequence[PortraitJob]], more: int = 0) -> None:
        """What is to be painted from here on; `more` portraits of sets that are not known yet, counted if any is missing."""
        missing = sum(map(_missing, sets))
        self.total = self.done + missing + (more if missing else 0)

    def paint(self, jobs: Sequence[PortraitJob]) -> Generator[Event, None, tuple[Portrait, ...]]:
        """Paint what is missing of a set."""
        began, missing = time.monotonic(), _missing(jobs)
        with contextlib.closing(paint_missing(self.client.exam_portraits, jobs, STAGE, self.model_process)) as stage:
            while True:
                try:
                    event = next(stage)
                except StopIteration as end:
                    painted: tuple[Portrait, ...] = end.value
                    break
                yield self._counted(event, missing)
        self.done += missing
        if missing:
            self.longest = max(self.longest, time.monotonic() - began)
        return painted

    def _counted(self, event: Event, missing: int) -> Event:
        """An event of a set, counted in portraits of the whole exam; while a model loads, nothing can be counted."""
        if not isinstance(event, Progress) or (missing and not event.total):
            return event
        within = missing * event.done // event.total if event.total else 0
        return Progress(STAGE, self.done + within, max(self.total, self.done + missing), event.item)


def _missing(jobs: Sequence[PortraitJob]) -> int:
    return sum(not whole_png(job.file) for job in jobs)
