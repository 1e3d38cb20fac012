"""The actions of training: set-up, plan, run, queue, curves."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Literal, Self

import lora_trainer
from actions.action import Action, Answer, Retry, Rounded2, Rounded3, Stage
from actions.machine import MissingModel
from actions.request import Ask, ClientRequest, Job, Menu, Request
from client_folder.client import open_client
from client_folder.consent import What, has_consent, record_consent
from config import PRESETS, load_settings
from dataset import doctor as dataset_doctor
from dataset.findings import Readiness
from locales.language import N_, _
from lora_trainer import PreparedTraining
from machine.gpu import largest_gpu
from training import installation, tensorboard_server
from training.arguments import read_extra
from training.cost import Cure, MemoryPart, PlanRefusal, estimate
from training.machine_doctor import Check
from training.monitor import MemoryFull, TrainerFailed
from training.plan import Fit, Overrides, TrainingPlan
from training.queue import Outcome, QueueReport, QueueRow
from training.sd_scripts import install_trainer, plan_trainer
from utils import Notice, PipelineError

# What the menu calls the choices.
_PART_LABELS = {
    "auto": N_("what fits this machine"),
    "program": N_("folders and settings"),
    "sd-scripts": N_("Kohya's sd-scripts too, which trains SDXL (downloads about 5 GB)"),
}
_VALUE_LABELS = {
    "recommended": N_("the recommended values"),
    "original": N_("the original plan's values (more than the card is likely to hold)"),
}
_CURVE_LABELS = {"start": N_("start it"), "stop": N_("stop it"), "show": N_("show it")}
_PRESET_LABELS = {"quick": N_("quick"), "balanced": N_("balanced"), "quality": N_("quality")}
PRESET_NAMES = tuple(preset.name for preset in PRESETS)
_CONSENT_HELP = N_("Did the person agree to have a likeness trained? Say who agreed, how and when:")
_BASE_HELP = N_("base model: embedded, sdxl (to plan for SDXL 1.0), a diffusers folder or a .safetensors file")
_SCHEDULER_HELP = N_("constant, constant_with_warmup, linear, cosine or cosine_with_restarts")
_ACCUMULATION_HELP = N_("steps whose gradients are added up; lowers no memory")
_EXTRA_HELP = N_("further options of sd-scripts, as in --extra='--noise_offset 0.05'")
SMALLER = N_("Train again with {smaller}?")
NO_CONSENT = N_('No consent of {client} is on record; say who agreed, how and when with --consent "...".')
AGAIN = N_("Train again, from the last checkpoint?")
ANYWAY = N_("Train all the same?")


class QueueFailed(PipelineError):
    """Facts: failed, total."""

    message = N_("{failed} of {total} trainings failed.")
    hint = N_("The table says why; the same queue again goes on with those only.")


class DatasetRefused(PipelineError):
    """Facts: reason, cure."""

    message = N_("The dataset doctor says no-go: {reason}")
    hint = N_("{cure} To train all the same, add --anyway.")
    menu_hint = N_("{cure}")


# --- what is asked ----------------------------------------------------------------------------------------------------
class SetupRequest(Request):
    """What to set up."""

    part: Annotated[
        Literal["auto", "program", "sd-scripts"],
        Ask(
            N_("What to set up:"), menu=Menu.CHOICE, offered=("program", "sd-scripts"), labels=_PART_LABELS,
            when=lambda _job: largest_gpu() is not None,
        ),
    ] = "auto"  # fmt: skip


def names_original(job: Job[TrainRequest]) -> bool:
    """Whether the original plan has values for the card, so that there is something to choose."""
    try:
        return lora_trainer.names_original(job.who, job.settings, gpu=job.request.gpu, base_model=job.request.base)
    except PipelineError:
        return False


class TrainRequest(ClientRequest):
    """How to train; what is left out is what the plan recommends."""

    consent: Annotated[
        str,
        Ask(_CONSENT_HELP, "--consent", "TEXT", menu=Menu.TEXT, when=lambda job: not has_consent(job.who, What.TRAINING)),
    ] = ""
    gpu: Annotated[str | None, Ask(N_("plan for this GPU instead of the one that is here"), "--gpu", "NAME")] = None
    base: Annotated[str, Ask(_BASE_HELP, "--base", "NAME")] = ""
    preset: Annotated[
        str | None, Ask(N_("How long to train:"), "--preset", menu=Menu.CHOICE, choices=PRESET_NAMES, labels=_PRESET_LABELS)
    ] = None
    values: Annotated[
        Literal["recommended", "original"],
        Ask(N_("Which values to train with:"), "--values", menu=Menu.CHOICE, labels=_VALUE_LABELS, when=names_original),
    ] = "recommended"
    steps: Annotated[int | None, Ask(N_("optimizer steps"), "--steps", "N")] = None
    dim: Annotated[int | None, Ask(N_("rank of the LoRA"), "--dim", "N")] = None
    alpha: Annotated[float | None, Ask(N_("alpha of the LoRA"), "--alpha", "X")] = None
    conv_dim: Annotated[int | None, Ask(N_("rank of the 3x3 convolutions, 0 for none"), "--conv-dim", "N")] = None
    resolution: Annotated[int | None, Ask(N_("pixels a side"), "--resolution", "PX")] = None
    batch: Annotated[int | None, Ask(N_("pictures a step"), "--batch", "N")] = None
    accumulation: Annotated[int | None, Ask(_ACCUMULATION_HELP, "--accumulation", "N")] = None
    learning_rate: Annotated[float | None, Ask(N_("learning rate"), "--learning-rate", "X")] = None
    scheduler: Annotated[str | None, Ask(_SCHEDULER_HELP, "--scheduler", "NAME")] = None
    warmup: Annotated[int | None, Ask(N_("steps of warm-up"), "--warmup", "N")] = None
    optimizer: Annotated[str | None, Ask(N_("AdamW, AdamW8bit or Adafactor"), "--optimizer", "NAME")] = None
    precision: Annotated[str | None, Ask(N_("no, fp16 or bf16"), "--precision", "NAME")] = None
    fp8: Annotated[bool | None, Ask(N_("the frozen U-Net in 8 bits: yes or no"), "--fp8", worded=True)] = None
    unet_only: Annotated[bool | None, Ask(N_("leave the text encoders alone: yes or no"), "--unet-only", worded=True)] = None
    save_every: Annotated[int | None, Ask(N_("steps between checkpoints"), "--save-every", "N")] = None
    sample_every: Annotated[int | None, Ask(N_("steps between samples, 0 for none"), "--sample-every", "N")] = None
    seed: Annotated[int | None, Ask(N_("seed of the training"), "--seed", "N")] = None
    extra: Annotated[str, Ask(_EXTRA_HELP, "--extra", "TEXT")] = ""
    anyway: Annotated[bool, Ask(N_("train although the dataset doctor says no-go"), "--anyway")] = False

    @property
    def overrides(self) -> Overrides:
        """The settings of a plan that are wanted otherwise; raises what `read_extra` raises."""
        named = {one.name for one in fields(Overrides)} - {"extra"}
        return Overrides(**self.model_dump(include=named), extra=read_extra(self.extra) if self.extra else None)


class TensorboardRequest(ClientRequest):
    """What to do with TensorBoard."""

    verb: Annotated[
        Literal["start", "stop", "show"], Ask(N_("TensorBoard:"), menu=Menu.CHOICE, labels=_CURVE_LABELS)
    ] = "start"  # fmt: skip


class QueueRequest(Request):
    """Which clients to train, in this order; none: the table of the last queue is shown."""

    names: Annotated[tuple[str, ...], Ask(N_("Clients, in this order (empty: the last table):"), metavar="ID", menu=Menu.TEXT)] = ()
    preset: Annotated[str | None, Ask(N_("how long to train each"), "--preset", choices=PRESET_NAMES)] = None


# --- set-up -----------------------------------------------------------------------------------------------------------
def set_up(job: Job[SetupRequest]) -> Stage:
    """The program, and sd-scripts where that is asked for or there is a GPU to use it."""
    first = yield from installation.set_up(job.home, job.settings)
    card, part = largest_gpu(), job.request.part
    if part == "program" or (part == "auto" and card is None):
        return first
    yield from install_trainer(job.home, job.settings, plan_trainer(job.home, job.settings, card))
    then = yield from installation.set_up(job.home, load_settings(job.home))
    return installation.Installation(then.home, (*first.made, *then.made), then.checks)


class SetupAnswer(Answer):
    """What was made and found."""

    home: Path
    made: tuple[str, ...]
    checks: tuple[Check, ...]


# --- plan and run -----------------------------------------------------------------------------------------------------
def plan_training(job: Job[TrainRequest]) -> PreparedTraining:
    """The plan as it is asked for."""
    request = job.request
    return lora_trainer.plan_training(
        job.who, job.settings, gpu=request.gpu, preset=request.preset, overrides=request.overrides,
        base_model=request.base, original=request.values == "original",
    )  # fmt: skip


def train(job: Job[TrainRequest]) -> Stage:
    """Train, unless the dataset doctor says no-go and nobody overrules it; unattended, it takes smaller plans by itself."""
    if job.request.consent:
        record_consent(job.who, What.TRAINING, job.request.consent)
    if not has_consent(job.who, What.TRAINING):
        # Nobody ever said anything of the person's consent.
        yield Notice(NO_CONSENT, {"client": job.who.id})
    examined = dataset_doctor.examine(job.who, job.settings)
    if examined.verdict is Readiness.NO_GO and examined.reason and examined.images:
        refused = DatasetRefused(reason=examined.reason.sentence, cure=examined.reason.sign.remedy)
        if not job.request.anyway:
            raise refused
        yield Notice(N_("{reason} Training all the same, as asked."), {"reason": refused.text()})
    return (yield from lora_trainer.train(job.who, job.settings, job.plan.plan, take_smaller_plans=job.unattended))


def retry_training(request: TrainRequest, error: PipelineError) -> Retry | None:
    """After a refusal: all the same. After a failure: a smaller plan where memory was full, else on from the last checkpoint."""
    if isinstance(error, MemoryFull):
        cure = error.facts["smaller"]
        assert isinstance(cure, Cure)
        return Retry(_(SMALLER).format(smaller=cure), request.model_copy(update={cure.setting: cure.value}))
    if isinstance(error, DatasetRefused):
        return Retry(_(ANYWAY), request.model_copy(update={"anyway": True}))
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
    missing: tuple[MissingModel, ...]
    original: OriginalAnswer | None

    @classmethod
    def of(cls, prepared: PreparedTraining) -> Self:
        """What was prepared."""
        plan, cost = prepared.plan, prepared.estimate
        return cls(
            argv=prepared.argv, verdict=cost.verdict, vram_gb=cost.vram_gb, hours=cost.hours, steps=plan.steps,
            vram_parts={part.part: part.gb for part in cost.vram_parts}, epochs=cost.epochs, disk_gb=cost.disk_gb,
            refusals=cost.refusals, cures={cure.setting: cure.value for cure in cost.cures}, insisted=plan.insisted,
            missing=MissingModel.all_of(prepared.download) if prepared.download else (),
            original=OriginalAnswer.of(prepared.original) if prepared.original else None,
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


# --- several clients, and the curves ----------------------------------------------------------------------------------
def queue(job: Job[QueueRequest]) -> Stage:
    """Train several clients in turn."""
    return lora_trainer.run_queue(job.home, job.settings, job.request.names, job.request.preset)


class QueueAnswer(Answer):
    """The table of the last queue."""

    clients: tuple[QueueRow, ...]

    @classmethod
    def of(cls, report: QueueReport) -> Self:
        """Its rows."""
        return cls(clients=report.rows)


def models_of_queue(job: Job[QueueRequest]) -> tuple[str, ...]:
    """What the clients of a queue need and is not here: asked in the evening, not found missing in the morning."""
    downloads = (lora_trainer.download_for(open_client(job.home, name), job.settings) for name in job.request.names)
    return tuple(dict.fromkeys(name for download in downloads if download for name in download.names))


def queue_complaint(report: QueueReport) -> PipelineError | None:
    """That something failed, for the exit code of a night; the table says what."""
    failed = [row for row in report.rows if row.outcome is Outcome.FAILED]
    return QueueFailed(failed=len(failed), total=len(report.rows)) if failed else None


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


# --- the actions ------------------------------------------------------------------------------------------------------
SETUP = Action("setup", SetupRequest, set_up, SetupAnswer.of, changes=False)
TRAIN = Action(
    "train", TrainRequest, train, TrainAnswer.of, plan=plan_training, plan_answer=TrainingPlanAnswer.of,
    long=True, whole_gpu=True, needs=needed_models, retry=retry_training,
)  # fmt: skip
TENSORBOARD = Action("tensorboard", TensorboardRequest, curves, CurvesAnswer.of, changes=False)
QUEUE = Action(
    "queue", QueueRequest, queue, QueueAnswer.of, changes=False, whole_gpu=True, needs=models_of_queue, verdict=queue_complaint
)

ACTIONS = (SETUP, TRAIN, TENSORBOARD, QUEUE)
