"""What the table of actions runs for training: set-up, doctor, plan, run, queue, curves, checkpoints and their exports."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import exports
import installation
import lora_files
import lora_trainer
import tensorboard_server
import training_queue
from client import Client
from config import PRESETS, Settings, load_settings
from exports import App
from gpu import largest_gpu
from language import N_, _
from machine_doctor import MachineReport
from sd_scripts import install_trainer, plan_trainer
from trainer_arguments import read_extra
from training_cost import Cure, estimate
from training_errors import MemoryFull
from training_plan import Overrides, TrainingPlan
from utils import Event, PipelineError, TrainerFailed

Answer = dict[str, Any]
Stage = Generator[Event, None, Any]
PARTS = ("auto", "program", "sd-scripts")
VALUES = ("recommended", "original")
CURVES = ("start", "stop", "show")
CHECKPOINT_VERBS = ("list", "export", "strip")
EXPORTS = (*(app.value for app in App), "all")
PRESET_NAMES = tuple(preset.name for preset in PRESETS)
_NUMBERS = (
    "steps", "dim", "alpha", "conv_dim", "resolution", "batch", "accumulation", "learning_rate", "optimizer", "scheduler", "warmup",
    "precision", "save_every", "sample_every", "seed",
)  # fmt: skip
_SWITCHES = ("fp8", "unet_only")


class Asked(Protocol):
    """What is asked of a job here."""

    @property
    def home(self) -> Path:
        """Where."""

    @property
    def settings(self) -> Settings:
        """With which settings."""

    @property
    def options(self) -> Namespace:
        """In which words."""

    @property
    def who(self) -> Client:
        """The client."""


# --- set-up -----------------------------------------------------------------------------------------------------------
def set_up(job: Asked) -> Stage:
    """The program, and sd-scripts where that is asked for or there is a GPU to use it."""
    first = yield from installation.set_up(job.home, job.settings)
    card, part = largest_gpu(), job.options.part
    if part == "program" or (part == "auto" and card is None):
        return first
    yield from install_trainer(job.home, job.settings, plan_trainer(job.home, job.settings, card))
    then = yield from installation.set_up(job.home, load_settings(job.home))
    return installation.Installation(then.home, (*first.made, *then.made), then.checks)


def set_up_answer(report: installation.Installation) -> Answer:
    """What was made and found."""
    return {"home": str(report.home), "made": list(report.made), "checks": [asdict(check) for check in report.checks]}


def doctor_answer(report: MachineReport) -> Answer:
    """Every check, its cure and the command for it in the user's language."""
    return {"checks": [{**asdict(check), "cure": "" if check.well else _(check.cure)} for check in report.checks]}


# --- plan and run -----------------------------------------------------------------------------------------------------
def overrides_of(options: Namespace) -> Overrides:
    """The settings that the user wants otherwise."""
    numbers = {name: getattr(options, name) for name in _NUMBERS}
    switches = {name: getattr(options, name) == "yes" for name in _SWITCHES if getattr(options, name) is not None}
    return Overrides(**numbers, **switches, extra=read_extra(options.extra) if options.extra else None)


def plan_training(job: Asked) -> lora_trainer.PreparedTraining:
    """The plan as the options ask for it."""
    options = job.options
    return lora_trainer.plan_training(
        job.who, job.settings, gpu=options.gpu, preset=options.preset, overrides=overrides_of(options),
        base_model=options.base or "", original=options.values == "original",
    )  # fmt: skip


def plan_answer(prepared: lora_trainer.PreparedTraining) -> Answer:
    """The plan and its cost, and beside it what the original plan's values would cost."""
    plan, cost = prepared.plan, prepared.estimate
    return {
        "argv": list(prepared.argv), "verdict": cost.verdict.value, "vram_gb": round(cost.vram_gb, 2),
        "hours": round(cost.hours, 3), "steps": plan.steps,
        "vram_parts": {part.part.value: round(part.gb, 2) for part in cost.vram_parts},
        "epochs": round(cost.epochs, 2), "disk_gb": round(cost.disk_gb, 2),
        "refusals": [refusal.value for refusal in cost.refusals],
        "cures": {cure.setting: cure.value for cure in cost.cures}, "insisted": plan.insisted,
        "original": _original_answer(prepared.original) if prepared.original else None,
    }  # fmt: skip


def _original_answer(plan: TrainingPlan) -> Answer:
    cost = estimate(plan)
    return {
        "dim": plan.dim, "alpha": plan.alpha, "resolution": plan.resolution, "precision": plan.precision,
        "accumulation": plan.accumulation, "verdict": cost.verdict.value, "vram_gb": round(cost.vram_gb, 2),
    }  # fmt: skip


def names_original(job: Asked) -> bool:
    """Whether the original plan has values for the card, so that there is something to choose."""
    try:
        return (
            lora_trainer.plan_training(job.who, job.settings, gpu=job.options.gpu, base_model=job.options.base or "").original
            is not None
        )
    except PipelineError:
        return False


def train(job: Asked) -> Stage:
    """Train; `--yes` lets it take smaller plans by itself."""
    plan = plan_training(job).plan
    return lora_trainer.train(job.who, job.settings, plan, take_rungs=bool(getattr(job.options, "yes", False)))


def train_answer(report: lora_trainer.TrainingReport) -> Answer:
    """What was trained."""
    return {
        "lora": str(report.lora), "steps": report.steps, "resumed_from": report.resumed_from, "changes": list(report.changes),
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Retry:
    """Another try after a failure: the question to ask, and the options to try with."""

    question: str
    options: Namespace


def retry_training(options: Namespace, error: PipelineError) -> Retry | None:
    """After a failed training: the next smaller plan where memory was full, else the same from the last checkpoint."""
    if isinstance(error, MemoryFull):
        rung = error.facts["rung"]
        assert isinstance(rung, Cure)
        value = ("yes" if rung.value else "no") if isinstance(rung.value, bool) else rung.value
        return Retry(_(SMALLER).format(rung=rung), Namespace(**{**vars(options), rung.setting: value}))
    return Retry(_(AGAIN), options) if isinstance(error, TrainerFailed) else None


SMALLER = N_("Train again with {rung}?")
AGAIN = N_("Train again, from the last checkpoint?")


def queue(job: Asked) -> Stage:
    """Train several clients in turn."""
    return training_queue.run_queue(job.home, job.settings, job.options.names or (), job.options.preset)


# --- what came of it --------------------------------------------------------------------------------------------------
def curves(job: Asked) -> Stage:
    """Start, stop or find TensorBoard."""
    if job.options.verb == "start":
        return (yield from tensorboard_server.start_server(job.who))
    if job.options.verb == "stop":
        return tensorboard_server.stop_server(job.who)
    return tensorboard_server.find_server(job.who)


def checkpoints(job: Asked) -> Stage:
    """List a client's LoRAs, export one, or take the captions out of their headers."""
    options = job.options
    if options.verb == "strip":
        return lora_files.strip_captions(job.who, options.name or "")
    if options.verb == "export":
        apps = tuple(App) if options.to_app == "all" else (App(options.to_app),)
        to = Path(options.to).expanduser() if options.to else None
        return exports.export_lora(job.who, job.settings, options.name or "", apps, to, options.keep_captions == "yes")
    return lora_files.look_closely(job.who)


def checkpoints_answer(report: lora_files.LoraFiles | lora_files.Stripped | exports.Exported) -> Answer:
    """Whichever came out."""
    if isinstance(report, lora_files.Stripped):
        return {"stripped": [str(file) for file in report.files]}
    if isinstance(report, exports.Exported):
        return {
            "lora": str(report.lora), "trigger": report.trigger, "weights": list(report.weights), "sha256": report.sha256,
            "preview": report.preview and str(report.preview), "files": {app: str(file) for app, file in report.files.items()},
            "installed": [str(file) for file in report.installed],
        }  # fmt: skip
    return lora_files.answer(report)
