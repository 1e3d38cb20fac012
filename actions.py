"""Every action of the program, one row each: its words, what it asks, what it plans, what it runs, what it answers.

The menu and the command line are both drawn from this table, so that neither can do what the other cannot.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import clients
import data_preprocessor
import dataset
import demo
import image_processor
import installation
import lora_trainer
from action_table import Action, Answer, Ask, Job, Option, Stage, at_once
from checkpoints import list_checkpoints
from client import CLASS_WORDS
from config import GPU_PROFILES, PRESETS, Settings, change_settings
from language import N_
from studio_actions import GENERATE, GPU, MODELS, SWAP, TRANSCRIBE
from training_plan import Overrides
from utils import NoFaceFound, NothingImported, PipelineError


# --- clients ----------------------------------------------------------------------------------------------------------
def _client(job: Job) -> clients.ClientList | clients.ClientView | clients.ClientErased:
    options = job.options
    name = options.name or options.client or ""
    return clients.manage(job.home, job.settings, options.verb, name, options.class_word)


# --- pictures ---------------------------------------------------------------------------------------------------------
def _import_mj(job: Job) -> Stage:
    return data_preprocessor.import_midjourney(job.who, job.options.pictures, usernames=tuple(job.options.username or ()))


def _import_photos(job: Job) -> Stage:
    return data_preprocessor.import_photos(job.who, job.options.pictures)


def _import_answer(report: data_preprocessor.ImportReport) -> Answer:
    return {
        "added": list(report.added),
        "duplicates": [asdict(duplicate) for duplicate in report.duplicates],
        "refused": [{"file": refused.file, "reason": refused.reason.value} for refused in report.refused],
    }


def _nothing_imported(report: data_preprocessor.ImportReport) -> PipelineError | None:
    return None if report.added or report.duplicates else NothingImported(refused=len(report.refused))


def _plan_import_answer(plan: data_preprocessor.ImportPlan) -> Answer:
    return {"pictures": len(plan.pictures), "bytes": plan.bytes, "raw": plan.raw}


def _process_answer(report: image_processor.FaceReport) -> Answer:
    return {
        "accepted": [face.crop for face in report.accepted],
        "rejected": [refused.model_dump(mode="json") for refused in report.rejected],
    }


def _nothing_accepted(report: image_processor.FaceReport) -> PipelineError | None:
    return None if report.accepted else NoFaceFound(pictures=len(report.rejected))


def _dataset_answer(report: dataset.DatasetReport) -> Answer:
    return {
        "folders": [folder.name for folder in report.folders],
        "images": report.images,
        "repeats": {folder.name: folder.repeats for folder in report.folders},
        "share_real": round(report.share_real, 4),
        "verdict": report.verdict.value,
        "findings": [asdict(finding) for finding in report.findings],
    }


# --- training ---------------------------------------------------------------------------------------------------------
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
    return lora_trainer.train(job.who, job.settings, _plan_training(job).plan)


def _train_answer(report: lora_trainer.TrainingReport) -> Answer:
    return {"lora": str(report.lora), "steps": report.steps, "resumed_from": report.resumed_from}


def _checkpoints(job: Job) -> clients.Checkpoints:
    return clients.Checkpoints(list_checkpoints(job.who))


def _checkpoints_answer(found: clients.Checkpoints) -> Answer:
    return {"checkpoints": [{**asdict(checkpoint), "path": str(checkpoint.path)} for checkpoint in found.checkpoints]}


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


def _settings(job: Job) -> Settings:
    return change_settings(job.home, job.settings, job.options.changes) if job.options.changes else job.settings


def _settings_answer(settings: Settings) -> Answer:
    return settings.model_dump(mode="json", by_alias=True)


_PICTURES = Option(
    "pictures", N_("Folder of the pictures, or one picture:"), Ask.PATH, read=lambda text: Path(text).expanduser(), nargs="+"
)
_BASE_HELP = N_("base model: embedded, sdxl (to plan for SDXL 1.0), a diffusers folder or a .safetensors file")
_VERB_HELP = N_("What to do with the client:")
_USERNAME_HELP = N_("your MidJourney user name, so that it is not taken for the prompt")
_SETTINGS_HELP = N_("NAME=VALUE, such as language=es (empty: only show):")

ACTIONS = (
    Action(
        "demo", N_("See the whole path with the sample client"), _demo, _demo_answer, needs_client=False, tool=True, whole_gpu=True,
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
    Action(
        "import-mj", N_("Import MidJourney images"), _import_mj, _import_answer,
        plan=lambda job: data_preprocessor.plan_import(job.options.pictures), plan_answer=_plan_import_answer,
        verdict=_nothing_imported,
        options=(
            _PICTURES,
            Option("--username", _USERNAME_HELP, repeatable=True, metavar="NAME"),
        ),
    ),
    Action(
        "import-photos", N_("Import real photos"), _import_photos, _import_answer,
        plan=lambda job: data_preprocessor.plan_import(job.options.pictures), plan_answer=_plan_import_answer,
        verdict=_nothing_imported, options=(_PICTURES,),
    ),
    Action(
        "process", N_("Find and crop faces"), lambda job: image_processor.process_faces(job.who, job.settings), _process_answer,
        plan=lambda job: image_processor.plan_process(job.who, job.settings), verdict=_nothing_accepted,
    ),
    Action(
        "dataset", N_("Build the dataset"), lambda job: dataset.prepare_dataset(job.who, job.settings), _dataset_answer,
        plan=lambda job: dataset.plan_dataset(job.who, job.settings),
    ),
    Action(
        "train", N_("Train the LoRA"), _train, _train_answer, plan=_plan_training, plan_answer=_plan_training_answer,
        long=True, whole_gpu=True,
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
        ),
    ),
    GENERATE,
    Action(
        "checkpoints", N_("Show what was trained"), at_once(_checkpoints), _checkpoints_answer, changes=False, extra=True,
    ),
    SWAP,
    TRANSCRIBE,
    GPU,
    Action(
        "settings", N_("Show or change the settings"), at_once(_settings), _settings_answer, needs_client=False, changes=False,
        tool=True,
        options=(Option("changes", _SETTINGS_HELP, Ask.TEXT, nargs="*", metavar="NAME=VALUE"),),
    ),
    MODELS,
)  # fmt: skip
GPU_NAMES = tuple(profile.name for profile in GPU_PROFILES)
