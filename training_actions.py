"""The actions of training: set-up, plan, run, queue, curves, checkpoints and their exports."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path

import dataset_doctor
import exports
import installation
import lora_files
import lora_trainer
import tensorboard_server
import training_queue
from action_table import Action, Answer, Ask, Job, Option, Retry, Stage
from config import PRESETS, load_settings
from consent import What, has_consent, record_consent
from exports import App
from findings import Readiness
from gpu import largest_gpu
from language import N_, _
from sd_scripts import install_trainer, plan_trainer
from trainer_arguments import read_extra
from training_cost import Cure, estimate
from training_errors import MemoryFull
from training_plan import Overrides, TrainingPlan
from utils import DatasetRefused, Notice, PipelineError, TrainerFailed

# What can be chosen, by the code that the command line takes, with the label that the menu shows.
PARTS = {
    "auto": N_("what fits this machine"),
    "program": N_("folders and settings"),
    "sd-scripts": N_("Kohya's sd-scripts too, which trains SDXL (downloads about 5 GB)"),
}
VALUES = {
    "recommended": N_("the recommended values"),
    "original": N_("the original plan's values (more than the card is likely to hold)"),
}
CURVES = {"start": N_("start it"), "stop": N_("stop it"), "show": N_("show it")}
CHECKPOINT_VERBS = {
    "list": N_("show them"),
    "export": N_("export one for ComfyUI, A1111, InvokeAI and diffusers"),
    "strip": N_("take the captions out of their headers"),
}
EXPORTS = (*(app.value for app in App), "all")
PRESET_NAMES = tuple(preset.name for preset in PRESETS)
PRESET_LABELS = {"quick": N_("quick"), "balanced": N_("balanced"), "quality": N_("quality")}
_NUMBERS = (
    "steps", "dim", "alpha", "conv_dim", "resolution", "batch", "accumulation", "learning_rate", "optimizer", "scheduler", "warmup",
    "precision", "save_every", "sample_every", "seed",
)  # fmt: skip
_SWITCHES = ("fp8", "unet_only")


# --- set-up -----------------------------------------------------------------------------------------------------------
def set_up(job: Job) -> Stage:
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


# --- plan and run -----------------------------------------------------------------------------------------------------
def overrides_of(options: Namespace) -> Overrides:
    """The settings that the user wants otherwise."""
    numbers = {name: getattr(options, name) for name in _NUMBERS}
    switches = {name: getattr(options, name) == "yes" for name in _SWITCHES if getattr(options, name) is not None}
    return Overrides(**numbers, **switches, extra=read_extra(options.extra) if options.extra else None)


def plan_training(job: Job) -> lora_trainer.PreparedTraining:
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


def names_original(job: Job) -> bool:
    """Whether the original plan has values for the card, so that there is something to choose."""
    try:
        return lora_trainer.names_original(job.who, job.settings, gpu=job.options.gpu, base_model=job.options.base or "")
    except PipelineError:
        return False


def train(job: Job) -> Stage:
    """Train, unless the dataset doctor says no-go and nobody insists; `--yes` insists, and lets it take smaller plans by itself."""
    yield from _keep_consent(job)
    insists = bool(getattr(job.options, "yes", False))  # the menu has no such flag
    examined = dataset_doctor.examine(job.who, job.settings)
    if examined.verdict is Readiness.NO_GO and examined.reason and examined.images:
        refused = DatasetRefused(reason=examined.reason.sentence, cure=examined.reason.sign.remedy)
        if not (job.options.anyway or insists):
            raise refused
        yield Notice(N_("{reason} Training all the same, as asked."), {"reason": refused.text()})
    return (yield from lora_trainer.train(job.who, job.settings, job.plan.plan, take_rungs=insists))


def _keep_consent(job: Job) -> Generator[Notice, None, None]:
    """Keep what was said of the person's consent; where nobody ever said anything, that is said."""
    if job.options.consent:
        record_consent(job.who, What.TRAINING, job.options.consent)
    if not has_consent(job.who, What.TRAINING):
        yield Notice(NO_CONSENT, {"client": job.who.id})


def train_answer(report: lora_trainer.TrainingReport) -> Answer:
    """What was trained."""
    return {
        "lora": str(report.lora), "steps": report.steps, "resumed_from": report.resumed_from, "changes": list(report.changes),
        "samples": str(report.samples) if report.samples else None,
    }  # fmt: skip


def retry_training(options: Namespace, error: PipelineError) -> Retry | None:
    """After a refusal: all the same. After a failure: a smaller plan where memory was full, else on from the last checkpoint."""
    if isinstance(error, MemoryFull):
        rung = error.facts["rung"]
        assert isinstance(rung, Cure)
        value = ("yes" if rung.value else "no") if isinstance(rung.value, bool) else rung.value
        return Retry(_(SMALLER).format(rung=rung), Namespace(**{**vars(options), rung.setting: value}))
    if isinstance(error, DatasetRefused):
        return Retry(_(ANYWAY), Namespace(**{**vars(options), "anyway": True}))
    return Retry(_(AGAIN), options) if isinstance(error, TrainerFailed) else None


SMALLER = N_("Train again with {rung}?")
NO_CONSENT = N_('No consent of {client} is on record; say who agreed, how and when with --consent "...".')
AGAIN = N_("Train again, from the last checkpoint?")
ANYWAY = N_("Train all the same?")


def queue(job: Job) -> Stage:
    """Train several clients in turn."""
    return training_queue.run_queue(job.home, job.settings, job.options.names or (), job.options.preset)


# --- what came of it --------------------------------------------------------------------------------------------------
def curves(job: Job) -> Stage:
    """Start, stop or find TensorBoard."""
    if job.options.verb == "start":
        return (yield from tensorboard_server.start_server(job.who))
    if job.options.verb == "stop":
        return tensorboard_server.stop_server(job.who)
    return tensorboard_server.find_server(job.who)


def checkpoints(job: Job) -> Stage:
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
            "installed": [str(file) for file in report.installed], "base_kind": report.base_kind.value,
            "left_out": [app.value for app in report.left_out],
        }  # fmt: skip
    return lora_files.answer(report)


def _exports(job: Job) -> bool:
    """Whether the menu was told to export, so that more has to be asked."""
    return str(job.options.verb) == "export"


# --- the actions ------------------------------------------------------------------------------------------------------
_BASE_HELP = N_("base model: embedded, sdxl (to plan for SDXL 1.0), a diffusers folder or a .safetensors file")
YES_NO = ("yes", "no")
_TRAIN_OPTIONS = (
    Option(
        "--consent",
        N_("Did the person agree to have a likeness trained? Say who agreed, how and when:"),
        Ask.TEXT,
        metavar="TEXT",
        when=lambda job: not has_consent(job.who, What.TRAINING),
    ),
    Option("--gpu", N_("plan for this GPU instead of the one that is here"), metavar="NAME", choices=()),
    Option("--base", _BASE_HELP, metavar="NAME"),
    Option("--preset", N_("How long to train:"), Ask.CHOICE, choices=PRESET_NAMES, labels=PRESET_LABELS),
    Option(
        "--values",
        N_("Which values to train with:"),
        Ask.CHOICE,
        "recommended",
        choices=tuple(VALUES),
        labels=VALUES,
        when=names_original,
    ),
    Option("--steps", N_("optimizer steps"), read=int, metavar="N"),
    Option("--dim", N_("rank of the LoRA"), read=int, metavar="N"),
    Option("--alpha", N_("alpha of the LoRA"), read=float, metavar="X"),
    Option("--conv-dim", N_("rank of the 3x3 convolutions, 0 for none"), read=int, metavar="N"),
    Option("--resolution", N_("pixels a side"), read=int, metavar="PX"),
    Option("--batch", N_("pictures a step"), read=int, metavar="N"),
    Option("--accumulation", N_("steps whose gradients are added up; lowers no memory"), read=int, metavar="N"),
    Option("--learning-rate", N_("learning rate"), read=float, metavar="X"),
    Option("--scheduler", N_("constant, constant_with_warmup, linear, cosine or cosine_with_restarts"), metavar="NAME"),
    Option("--warmup", N_("steps of warm-up"), read=int, metavar="N"),
    Option("--optimizer", N_("AdamW, AdamW8bit or Adafactor"), metavar="NAME"),
    Option("--precision", N_("no, fp16 or bf16"), metavar="NAME"),
    Option("--fp8", N_("the frozen U-Net in 8 bits: yes or no"), choices=YES_NO),
    Option("--unet-only", N_("leave the text encoders alone: yes or no"), choices=YES_NO),
    Option("--save-every", N_("steps between checkpoints"), read=int, metavar="N"),
    Option("--sample-every", N_("steps between samples, 0 for none"), read=int, metavar="N"),
    Option("--seed", N_("seed of the training"), read=int, metavar="N"),
    Option("--extra", N_("further options of sd-scripts, as in --extra='--noise_offset 0.05'"), metavar="TEXT"),
    Option("--anyway", N_("train although the dataset doctor says no-go"), default=False, switch=True),
)

SETUP = Action(
    "setup", set_up, set_up_answer, needs_client=False, changes=False,
    options=(
        Option(
            "part", N_("What to set up:"), Ask.CHOICE, "auto", choices=tuple(PARTS), labels=PARTS,
            offered=("program", "sd-scripts"), nargs="?", when=lambda _job: largest_gpu() is not None,
        ),
    ),
)  # fmt: skip
TRAIN = Action(
    "train", train, train_answer, plan=plan_training,
    plan_answer=plan_answer, long=True, whole_gpu=True, retry=retry_training, options=_TRAIN_OPTIONS,
)  # fmt: skip
CHECKPOINTS = Action(
    "checkpoints", checkpoints, checkpoints_answer, changes=False,
    options=(
        Option(
            "verb", N_("What to do with the LoRAs:"), Ask.CHOICE, "list", choices=tuple(CHECKPOINT_VERBS), labels=CHECKPOINT_VERBS,
            nargs="?",
        ),
        Option("name", N_("Which one, by name or step (empty: the newest finished one):"), Ask.TEXT, nargs="?", when=_exports),
        Option("--for", N_("program to export for"), default="all", choices=EXPORTS, dest="to_app"),
        Option(
            "--to", N_("Folder of a ComfyUI or A1111 to copy it into (empty: none):"), Ask.TEXT, metavar="FOLDER",
            when=_exports,
        ),
        Option("--keep-captions", N_("leave captions in the exported file's header: yes or no"), choices=YES_NO, default="no"),
    ),
)  # fmt: skip
TENSORBOARD = Action(
    "tensorboard", curves, asdict, changes=False,
    options=(
        Option("verb", N_("TensorBoard:"), Ask.CHOICE, "start", choices=tuple(CURVES), labels=CURVES, nargs="?"),
    ),
)  # fmt: skip
QUEUE = Action(
    "queue", queue, training_queue.answer, needs_client=False, changes=False, whole_gpu=True, verdict=training_queue.complaint,
    options=(
        Option("names", N_("Clients, in this order (empty: the last table):"), Ask.TEXT, nargs="*", metavar="ID"),
        Option("--preset", N_("how long to train each"), choices=PRESET_NAMES),
    ),
)  # fmt: skip

ACTIONS = (SETUP, TRAIN, CHECKPOINTS, TENSORBOARD, QUEUE)
