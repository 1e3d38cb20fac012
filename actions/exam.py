"""The action that examines checkpoints: which one looks most like the client, and how sure that is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field

from actions.action import Action, Answer, Shown, Stage, always
from actions.request import Ask, ClientRequest, Job, Menu
from exam.agreement import Agreement
from exam.examination import examine
from exam.records import ExamReason, Flag, Word
from exam.report import ExamReport
from locales.language import N_

_MINUTES_HELP = N_("How many minutes it may paint (empty: until all checkpoints are painted):")


class ExamRequest(ClientRequest):
    """Whose checkpoints to examine, and how long it may take."""

    minutes: Annotated[float | None, Field(gt=0), Ask(_MINUTES_HELP, "--minutes", menu=Menu.TEXT)] = None


class ExamAnswer(Answer):
    """Which checkpoint, the share of the way from base to best that it went with its bounds, why, and what speaks against it.

    `agreement` is that of a person who took the blind test of this very exam; null: nobody did.
    """

    verdict: Word
    lora: str
    step: int | None
    weight: float | None
    score: float | None
    low: float | None
    high: float | None
    reasons: tuple[ExamReason, ...]
    flags: tuple[Flag, ...]
    sheet: Path
    report: Path
    plot: Path
    practice: bool
    agreement: Agreement | None = None

    @classmethod
    def of(cls, report: ExamReport) -> Self:
        """The answer about a report."""
        file = report.file
        return cls(
            verdict=file.verdict, lora=file.lora, step=file.step, weight=file.weight, score=file.score,
            low=file.low, high=file.high, reasons=file.reasons, flags=file.flags, sheet=report.sheet,
            report=report.report, plot=report.plot, practice=report.practice,
            agreement=report.agreement,
        )  # fmt: skip


def _examine(job: Job[ExamRequest]) -> Stage:
    return examine(job.who, job.settings, job.request.minutes, job.session.model_process)


EXAM = Action(
    "exam", ExamRequest, _examine, ExamAnswer.of, whole_gpu=True, lasts=always,
    made=lambda _job, report: (report.sheet, report.plot, report.report), shown=lambda _job, report: (Shown(report.plot),),
)  # fmt: skip
ACTIONS = (EXAM,)
