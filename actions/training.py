"""The actions of training: plan, run, curves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Self

import lora_trainer
from actions.action import Action, Answer, Background, FollowUp, Retry, Rounded2, Rounded3, Shown, Stage, always
from actions.exam import ExamRequest
from actions.machine import MissingModel
from actions.request import Ask, ClientRequest, Job, Menu
from actions.train_request import TrainRequest, plan_training, train_form
from client_folder.consent import What, has_consent, record_consent
from dataset import doctor as dataset_doctor
from dataset.findings import Readiness
from dataset.held_back import recorded
from locales.language import N_, _
from lora_trainer import PreparedTraining, TrainingReport
from machine.background import Place
from training import tensorboard_server
from training.cost import Cure, MemoryPart, PlanRefusal, estimate
from training.monitor import MemoryFull, TrainerFailed
from training.plan import Fit, TrainingPlan
from utils import Notice, PipelineError

# What the menu calls the choices.
_CURVE_LABELS = {"start": N_("start it"), "stop": N_("stop it"), "show": N_("show it")}
SMALLER = N_("Train again with {smaller}?")
NO_CONSENT = N_('No consent of {client} is on record; say who agreed, how and when with --consent "...".')
AGAIN = N_("Train again, from the last checkpoint?")
ANYWAY = N_("Train all the same?")
EXAMINE = N_("Examine the checkpoints: which one looks most like the client?")
OF_CLIENT = N_("The training of {client}")


class DatasetRefused(PipelineError):
    """Facts: reason, cure."""

    message = N_("Not ready to train: {reason}")
    hint = N_("{cure} To train all the same, add --anyway.")
    menu_hint = N_("{cure}")


# --- what is asked ----------------------------------------------------------------------------------------------------


class TensorboardRequest(ClientRequest):
    """What to do with TensorBoard."""

    verb: Annotated[
        Literal["start", "stop", "show"], Ask(N_("TensorBoard:"), menu=Menu.CHOICE, labels=_CURVE_LABELS)
    ] = "start"  # fmt: skip


# --- plan and run -----------------------------------------------------------------------------------------------------
def no_go(job: Job[TrainRequest]) -> PipelineError | None:
    """What the dataset doctor has against a training; nothing where there is no dataset yet, which the plan itself says."""
    if job.request.anyway:
        return None
    examined = dataset_doctor.examine(job.who, job.settings)
    if examined.verdict is not Readiness.NO_GO or not examined.reason or not examined.images:
        return None
    return DatasetRefused(reason=examined.reason.sentence, cure=examined.reason.sign.remedy)


def train(job: Job[TrainRequest]) -> Stage:
    """Train, unless the dataset doctor says no-go and nobody overrules it; unattended, it takes smaller plans by itself."""
    if job.request.consent:
        record_consent(job.who, What.TRAINING, job.request.consent)
    if not has_consent(job.who, What.TRAINING):
        # Nobody ever said anything of the person's consent.
        yield Notice(NO_CONSENT, {"client": job.who.id})
    refused = no_go(replace(job, request=job.request.model_copy(update={"anyway": False})))
    if refused and not job.request.anyway:
        raise refused
    if refused:
        yield Notice(N_("{reason} Training all the same, as asked."), {"reason": refused.text()})
    secrets = job.request.secrets
    return (yield from lora_trainer.train(job.who, job.settings, job.plan.plan, take_smaller_plans=job.unattended, secrets=secrets))


def retry_training(request: TrainRequest, error: PipelineError) -> Retry | None:
    """After a refusal: all the same. After a failure: a smaller plan where memory was full, else on from the last checkpoint."""
    if isinstance(error, MemoryFull):
        cure = Cure.named(str(error.facts["smaller"]))
        return Retry(_(SMALLER).format(smaller=cure.words), request.model_copy(update={cure.setting: cure.value}))
    if isinstance(error, DatasetRefused):
        return Retry(_(ANYWAY), request.model_copy(update={"anyway": True}), grave=True, cure=str(error.facts["cure"]))
    return Retry(_(AGAIN), request) if isinstance(error, TrainerFailed) else None


class OriginalAnswer(Answer):
    """What the original plan's values are, and would cost."""

    dim: int
    alpha: float
    resolution: int
    precision: str
    accumulation: int
    verdict: Fit
    vram_gb: Rounded2

    @classmethod
    def of(cls, plan: TrainingPlan) -> Self:
        """The plan and its cost."""
        cost = estimate(plan)
        return cls(
            dim=plan.dim, alpha=plan.alpha, resolution=plan.resolution, precision=plan.precision, accumulation=plan.accumulation,
            verdict=cost.verdict, vram_gb=cost.vram_gb,
        )  # fmt: skip


class TrainingPlanAnswer(Answer):
    """The plan and its cost, and beside it what the original plan's values would cost."""

    argv: tuple[str, ...]
    verdict: Fit
    vram_gb: Rounded2
    hours: Rounded3
    steps: int
    vram_parts: dict[MemoryPart, Rounded2]
    epochs: Rounded2
    disk_gb: Rounded2
    refusals: tuple[PlanRefusal, ...]
    cures: dict[str, str | int | bool]
    insisted: bool
    practice: bool
    time_measured: bool
    memory_measured: bool
    missing: tuple[MissingModel, ...]
    original: OriginalAnswer | None
    begins_at: int

    @classmethod
    def of(cls, prepared: PreparedTraining) -> Self:
        """What was prepared."""
        plan, cost = prepared.plan, prepared.estimate
        return cls(
            argv=prepared.argv, verdict=cost.verdict, vram_gb=cost.vram_gb, hours=cost.hours, steps=plan.steps,
            vram_parts={part.part: part.gb for part in cost.vram_parts}, epochs=cost.epochs, disk_gb=cost.disk_gb,
            refusals=cost.refusals, cures={cure.setting: cure.value for cure in cost.cures}, insisted=plan.insisted,
            practice=plan.practice, time_measured=cost.measured is not None,
            memory_measured=bool(cost.measured and cost.measured.vram_gb),
            missing=MissingModel.all_of(prepared.download) if prepared.download else (),
            original=OriginalAnswer.of(prepared.original) if prepared.original else None, begins_at=prepared.begins_at,
        )  # fmt: skip


def needed_models(job: Job[TrainRequest]) -> tuple[str, ...]:
    """What a planned training needs and is not here."""
    return job.plan.download.names if job.plan.download else ()


class TrainAnswer(Answer):
    """What was trained."""

    lora: Path
    steps: int
    resumed_from: int
    changes: tuple[str, ...]
    samples: Path | None
    practice: bool


# --- the curves ----------------------------------------------------------------------------------
def curves(job: Job[TensorboardRequest]) -> Stage:
    """Start, stop or find TensorBoard."""
    if job.request.verb == "start":
        return (yield from tensorboard_server.start_server(job.who))
    if job.request.verb == "stop":
        return tensorboard_server.stop_server(job.who)
    return tensorboard_server.find_server(job.who)


class CurvesAnswer(Answer):
    """The address of a running TensorBoard; empty where none runs."""

    address: str


def _train_elsewhere(job: Job[TrainRequest]) -> tuple[str, ...]:
    """Where the plan needs a card and there is none: on Google's."""
    return ("colab",) if PlanRefusal.NO_GPU in job.plan.estimate.refusals else ()


def _examine_next(job: Job[TrainRequest], _report: TrainingReport) -> tuple[FollowUp, ...]:
    """The exam, where photos were held back to examine the LoRA with."""
    held_back = recorded(job.who).scenes
    return (FollowUp(_(EXAMINE), "exam", ExamRequest(client=job.who.id)),) if held_back else ()


# --- the actions ------------------------------------------------------------------------------------------------------
def _training_place(job: Job[TrainRequest]) -> Place:
    return Place(job.who.background_file, _(OF_CLIENT).format(client=job.who.display_name), f"train --client {job.who.id} --attach")


TRAIN = Action(
    "train", TrainRequest, train, TrainAnswer.of, plan=plan_training, plan_answer=TrainingPlanAnswer.of,
    long=True, lasts=always, whole_gpu=True, needs=needed_models, retry=retry_training, form=train_form, instead=_train_elsewhere,
    objection=no_go,
    made=lambda _job, report: tuple(filter(None, (report.samples, report.lora))),
    shown=lambda _job, report: (Shown(report.samples),) if report.samples else (),
    background=Background(_training_place, TrainingReport), offers=_examine_next,
)  # fmt: skip
TENSORBOARD = Action(
    "tensorboard", TensorboardRequest, curves, CurvesAnswer.of, changes=False, lasts=lambda request: request.verb == "start"
)
ACTIONS = (TRAIN, TENSORBOARD)
