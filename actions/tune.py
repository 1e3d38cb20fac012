"""The action that searches for the settings of a training that suit a client, and takes them back."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field

from actions import tuning, tuning_plan
from actions.action import Action, Answer, Background, Rounded3, Rounded4, Stage, always
from actions.request import Ask, BackgroundRequest, ClientRequest, Job, Menu
from actions.tuning import TuningReport
from actions.tuning_plan import TuningPlan
from client_folder.consent import What, has_consent
from client_folder.tuned import TunedSettings
from exam.records import ExamReason
from exam.trials import TrialEnd
from locales.language import N_, _
from machine.background import Place
from utils import Notice

HOURS = 6.0  # a night, with some of it left
NO_CONSENT = N_("No consent of {client} to a training is on record; say who agreed when you train.")
OF_CLIENT = N_("The search for settings for {client}")
_VERBS = {"search": N_("search for settings"), "take-back": N_("let the recommended settings count again")}
_VERB_HELP = N_("Search, or let the recommended settings count again?")
_HOURS_HELP = N_("How many hours may training and examining take in all?")


class TuneRequest(ClientRequest, BackgroundRequest):
    """For whom to search, and how long; `take-back` lets the recommended settings count again."""

    verb: Annotated[
        Literal["search", "take-back"],
        Ask(_VERB_HELP, menu=Menu.CHOICE, labels=_VERBS, when=lambda job: job.who.state().tuned is not None),
    ] = "search"  # fmt: skip
    hours: Annotated[
        float,
        Field(gt=0),
        Ask(
            _HOURS_HELP, "--hours", "H", menu=Menu.TEXT, suggest=lambda _job: f"{HOURS:g}",
            when=lambda job: getattr(job.request, "verb", "search") == "search",
        ),
    ] = HOURS  # fmt: skip
    trials: Annotated[int | None, Field(ge=1), Ask(N_("try so many settings at most"), "--trials", "N")] = None


class TunePlanAnswer(Answer):
    """What a search would do: from which settings it sets out, how long one trial takes, what it needs on the disk."""

    preset: TunedSettings
    known: TunedSettings | None
    hours: float
    spent_hours: Rounded3
    trials: int
    trial_seconds: Rounded3
    disk_gb: Rounded3
    free_gb: Rounded3
    practice: bool


class BestAnswer(Answer):
    """The settings that won: the share of the way from the base to the best that they went, with its bounds."""

    settings: TunedSettings
    score: float
    low: float
    high: float


class TrialAnswer(Answer):
    """A trial, number 0 the preset: how it ended and, where it was examined, the same share of the way."""

    number: int
    settings: TunedSettings
    ended: TrialEnd
    score: float | None
    low: float | None
    high: float | None


class TuneAnswer(Answer):
    """The best settings, null where none may be chosen or they were taken back; every trial, the hours it took, why it is so.

    `preset_lacks` is what the recommended settings lack to the best, with bounds, as a share of the way from the base to the best.
    """

    best: BestAnswer | None
    trials: tuple[TrialAnswer, ...]
    hours: Rounded3
    preset_lacks: tuple[Rounded4, Rounded4, Rounded4] | None
    reasons: tuple[ExamReason, ...]
    practice: bool
    taken_back: TunedSettings | None

    @classmethod
    def of(cls, report: TuningReport) -> Self:
        """The answer about a report."""
        return cls(
            best=BestAnswer.model_validate(report.best) if report.best else None,
            trials=tuple(TrialAnswer.model_validate(row) for row in report.trials), hours=report.seconds / 3600,
            preset_lacks=report.lacks, reasons=report.reasons, practice=report.practice, taken_back=report.taken_back,
        )  # fmt: skip


def _plan(job: Job[TuneRequest]) -> TuningPlan:
    return tuning_plan.plan_tuning(job.who, job.settings, job.request.hours)


def _tune(job: Job[TuneRequest]) -> Stage:
    """Search, or take back what was found."""
    if job.request.verb == "take-back":
        return tuning.taken_back(job.who)
    if not has_consent(job.who, What.TRAINING):
        yield Notice(NO_CONSENT, {"client": job.who.id})
    return (yield from tuning.tune(job.who, job.settings, job.request.hours, job.request.trials, job.session.model_process))


def _then(_job: Job[TuneRequest], report: TuningReport) -> tuple[str, ...]:
    """What was found is of use once dataset and LoRA are made by it."""
    return ("dataset", "train") if report.best and report.best.number else ()


def _place(job: Job[TuneRequest]) -> Place:
    command = f"tune --client {job.who.id} --attach"
    return Place(job.who.tuning_run, _(OF_CLIENT).format(client=job.who.display_name), command)


TUNE = Action(
    "tune", TuneRequest, _tune, TuneAnswer.of, plan=_plan, plan_answer=TunePlanAnswer.of,
    plans=lambda job: job.request.verb == "search", long=True, whole_gpu=True, lasts=always, then=_then,
    needs=lambda job: job.plan.download if job.plan else (), background=Background(_place, TuningReport),
)  # fmt: skip
ACTIONS = (TUNE,)
