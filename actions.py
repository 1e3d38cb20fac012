"""Every action of the program: the table that the menu and the command line are both drawn from, so that neither can do what the
other cannot. The rows of the larger rooms stand in modules of their own.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import clients
import dataset
import dataset_doctor
import demo
import face_actions
import generation
import import_actions
import installation
import lora_trainer
import words
from action_table import Action, Answer, Ask, Job, Option, Stage, at_once
from checkpoints import list_checkpoints
from client import CLASS_WORDS
from config import GPU_PROFILES, PRESETS, Settings, change_settings
from gpu import GPUState, find_gpus
from language import N_
from recipes import DEFAULT_SEEDS, DEFAULT_WEIGHT
from training_plan import Overrides
from utils import DatasetRefused


# --- clients ----------------------------------------------------------------------------------------------------------
def _client(job: Job) -> clients.ClientList | clients.ClientView | clients.ClientErased:
    options = job.options
    name = options.name or options.client or ""
    return clients.manage(job.home, job.settings, options.verb, name, options.class_word)


# --- training and portraits -------------------------------------------------------------------------------------------
_OVERRIDES = ("steps", "dim", "alpha", "resolution", "batch", "learning_rate", "optimizer", "precision", "seed")


def _plan_training(job: Job) -> lora_trainer.PreparedTraining:
    overrides = Overrides(**{name: getattr(job.options, name) for name in _OVERRIDES})
    options = job.options
    return lora_trainer.plan_training(
        job.who, job.settings, gpu=options.gpu, preset=options.preset, overrides=overrides, base_model=options.base or ""
    )


def _plan_training_answer(prepared: lora_trainer.PreparedTraining) -> Answer:
    estimate = prepared.estimate
    return {
        "argv": list(prepared.argv),
        "verdict": estimate.verdict.value,
        "vram_gb": round(estimate.vram_gb, 2),
        "hours": round(estimate.hours, 3),
    }


def _train(job: Job) -> Stage:
    """Train, unless the doctor says no-go and nobody insists."""
    report = dataset_doctor.examine(job.who, job.settings)
    if report.verdict is dataset.Verdict.NO_GO and report.reason and report.images and not job.options.anyway:
        raise DatasetRefused(reason=words.symptom(report.reason), cure=words.remedy(report.reason))
    return lora_trainer.train(job.who, job.settings, _plan_training(job).plan)


def _train_answer(report: lora_trainer.TrainingReport) -> Answer:
    return {"lora": str(report.lora), "steps": report.steps, "resumed_from": report.resumed_from}


def _checkpoints(job: Job) -> clients.Checkpoints:
    return clients.Checkpoints(list_checkpoints(job.who))


def _checkpoints_answer(found: clients.Checkpoints) -> Answer:
    return {"checkpoints": [{**asdict(checkpoint), "path": str(checkpoint.path)} for checkpoint in found.checkpoints]}


def _plan_portraits(job: Job) -> generation.PortraitPlan:
    options = job.options
    return generation.plan_portraits(
        job.who, job.settings, prompts=tuple(options.prompt or ()), seeds=tuple(options.seed or DEFAULT_SEEDS),
        lora=options.lora or "", weights=tuple(options.weight or (DEFAULT_WEIGHT,)), negative=options.negative or "",
    )  # fmt: skip


def _plan_portraits_answer(plan: generation.PortraitPlan) -> Answer:
    return {"base": str(plan.base), "lora": plan.lora and str(plan.lora), "total": plan.total, "missing": plan.missing}


def _generate(job: Job) -> Stage:
    return generation.generate(job.who, job.settings, _plan_portraits(job).requests)


def _generate_answer(report: generation.PortraitReport) -> Answer:
    images = [{"file": str(image.file), "seed": image.seed, "lora": image.lora, "weight": image.weight} for image in report.images]
    return {"images": images, "contact_sheet": str(report.contact_sheet)}


# --- the program ------------------------------------------------------------------------------------------------------
def _demo(job: Job) -> Stage:
    return demo.walk_demo(job.home, job.settings)


def _demo_answer(report: demo.DemoReport) -> Answer:
    likeness = report.likeness
    return {
        "steps": [{"name": step.name, "seconds": round(step.seconds, 2)} for step in report.steps],
        "contact_sheet": str(report.contact_sheet),
        "likeness": {
            "base": likeness.base, "lora": likeness.lora, "crops": likeness.crops,
            "closed": likeness.closed, "others_moved": likeness.others_moved,
        },
    }  # fmt: skip


def _setup(job: Job) -> Stage:
    return installation.set_up(job.home, job.settings)


def _setup_answer(report: installation.Installation) -> Answer:
    return {"home": str(report.home), "made": list(report.made), "checks": [asdict(check) for check in report.checks]}


@dataclass(frozen=True, slots=True)
class GPUs:
    """The GPUs of this machine; none is an answer too."""

    gpus: tuple[GPUState, ...]


def _gpus(_job: Job) -> GPUs:
    return GPUs(find_gpus())


def _settings(job: Job) -> Settings:
    return change_settings(job.home, job.settings, job.options.changes) if job.options.changes else job.settings


def _settings_answer(settings: Settings) -> Answer:
    return settings.model_dump(mode="json", by_alias=True)


_BASE_HELP = N_("base model: embedded, sdxl (to plan for SDXL 1.0), a diffusers folder or a .safetensors file")
_VERB_HELP = N_("What to do with the client:")
_SETTINGS_HELP = N_("NAME=VALUE, such as language=es (empty: only show):")
_WEIGHT_HELP = N_("weight of the LoRA, 0.7 to 1.0; 0 paints without it; may be given several times")

ACTIONS = (
    Action(
        "demo", N_("See the whole path with the sample client"), _demo, _demo_answer, needs_client=False, tool=True,
    ),
    Action("setup", N_("Set up the program"), _setup, _setup_answer, needs_client=False, changes=False, tool=True),
    Action(
        "client", N_("Create, show or erase a client"), at_once(_client), clients.answer, needs_client=False, changes=False,
        grave=lambda job: job.options.verb == "erase",
        options=(
            Option("verb", _VERB_HELP, Ask.CHOICE, "show", choices=clients.VERBS, offered=("show", "erase"), nargs="?"),
            Option("name", N_("name of the client"), nargs="?"),
            Option("--client", N_("name of the client"), metavar="ID"),
            Option("--class-word", N_("what the client is, for captions: person, woman, man"), default=CLASS_WORDS[0]),
        ),
    ),
    import_actions.IMPORT_MJ,
    import_actions.IMPORT_PHOTOS,
    face_actions.PROCESS,
    face_actions.DATASET,
    Action(
        "train", N_("Train the LoRA"), _train, _train_answer, plan=_plan_training, plan_answer=_plan_training_answer,
        long=True,
        options=(
            Option("--gpu", N_("plan for this GPU instead of the one that is here"), metavar="NAME", choices=()),
            Option("--base", _BASE_HELP, metavar="NAME"),
            Option("--preset", N_("How long to train:"), Ask.CHOICE, choices=tuple(preset.name for preset in PRESETS)),
            Option("--steps", N_("optimizer steps"), read=int, metavar="N"),
            Option("--dim", N_("rank of the LoRA"), read=int, metavar="N"),
            Option("--alpha", N_("alpha of the LoRA"), read=float, metavar="X"),
            Option("--resolution", N_("pixels a side"), read=int, metavar="PX"),
            Option("--batch", N_("pictures a step"), read=int, metavar="N"),
            Option("--learning-rate", N_("learning rate"), read=float, metavar="X"),
            Option("--optimizer", N_("AdamW, AdamW8bit or Adafactor"), metavar="NAME"),
            Option("--precision", N_("no, fp16 or bf16"), metavar="NAME"),
            Option("--seed", N_("seed of the training"), read=int, metavar="N"),
            Option("--anyway", N_("train although the dataset doctor says no-go"), read=bool, default=False, switch=True),
        ),
    ),
    Action(
        "generate", N_("Paint portraits"), _generate, _generate_answer, plan=_plan_portraits, plan_answer=_plan_portraits_answer,
        options=(
            Option("--prompt", N_("Prompt (empty: the recommended ones):"), Ask.TEXT, repeatable=True, metavar="TEXT"),
            Option("--negative", N_("what must not be seen"), metavar="TEXT"),
            Option("--lora", N_("checkpoint to use; see: checkpoints"), metavar="NAME"),
            Option("--weight", _WEIGHT_HELP, read=float, repeatable=True, metavar="X"),
            Option("--seed", N_("seed of a portrait; may be given several times"), read=int, repeatable=True, metavar="N"),
        ),
    ),
    face_actions.REJECTED,
    face_actions.ACCEPT,
    face_actions.WHO,
    face_actions.LIMITS,
    face_actions.CAPTIONS,
    face_actions.DOCTOR,
    face_actions.QUARANTINE,
    Action(
        "checkpoints", N_("Show what was trained"), at_once(_checkpoints), _checkpoints_answer, changes=False, extra=True,
    ),
    import_actions.GRIDS,
    import_actions.PROMPTS,
    Action("gpu", N_("Show the GPU"), at_once(_gpus), asdict, needs_client=False, changes=False, tool=True),
    Action(
        "settings", N_("Show or change the settings"), at_once(_settings), _settings_answer, needs_client=False, changes=False,
        tool=True,
        options=(Option("changes", _SETTINGS_HELP, Ask.TEXT, nargs="*", metavar="NAME=VALUE"),),
    ),
)  # fmt: skip
GPU_NAMES = tuple(profile.name for profile in GPU_PROFILES)
