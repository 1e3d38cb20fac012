"""Every action of the program: the table that the menu and the command line are both drawn from, so that neither can do what the
other cannot. The rows of the larger rooms stand in modules of their own.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import clients
import demo
import doctor_action
import face_actions
import generation
import import_actions
import training_actions
from action_table import Action, Answer, Ask, Job, Option, Stage, at_once
from client import CLASS_WORDS
from config import GPU_PROFILES, Settings, change_settings
from gpu import GPUState, find_gpus
from language import N_
from recipes import DEFAULT_SEEDS, DEFAULT_WEIGHT


# --- clients ----------------------------------------------------------------------------------------------------------
def _client(job: Job) -> clients.ClientList | clients.ClientView | clients.ClientErased:
    options = job.options
    name = options.name or options.client or ""
    return clients.manage(job.home, job.settings, options.verb, name, options.class_word)


# --- portraits --------------------------------------------------------------------------------------------------------
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


_VERB_HELP = N_("What to do with the client:")
_SETTINGS_HELP = N_("NAME=VALUE, such as language=es (empty: only show):")
_WEIGHT_HELP = N_("weight of the LoRA, 0.7 to 1.0; 0 paints without it; may be given several times")

ACTIONS = (
    Action(
        "demo", N_("See the whole path with the sample client"), _demo, _demo_answer, needs_client=False, tool=True,
    ),
    training_actions.SETUP,
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
    training_actions.TRAIN,
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
    face_actions.QUARANTINE,
    training_actions.CHECKPOINTS,
    training_actions.TENSORBOARD,
    import_actions.GRIDS,
    import_actions.PROMPTS,
    Action("gpu", N_("Show the GPU"), at_once(_gpus), asdict, needs_client=False, changes=False, tool=True),
    Action(
        "settings", N_("Show or change the settings"), at_once(_settings), _settings_answer, needs_client=False, changes=False,
        tool=True,
        options=(Option("changes", _SETTINGS_HELP, Ask.TEXT, nargs="*", metavar="NAME=VALUE"),),
    ),
    doctor_action.DOCTOR,
    training_actions.QUEUE,
)  # fmt: skip
GPU_NAMES = tuple(profile.name for profile in GPU_PROFILES)
