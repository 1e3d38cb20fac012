"""Every action of the program, one row each: its words, what it asks, what it plans, what it runs, what it answers.

The menu and the command line are both drawn from this table, so that neither can do what the other cannot.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import clients
import data_preprocessor
import dataset
import demo
import generation
import image_processor
import training_actions
import training_queue
from client import CLASS_WORDS, Client
from config import GPU_PROFILES, Settings, change_settings
from gpu import GPUState, find_gpus, largest_gpu
from language import N_
from machine_doctor import examine_machine
from recipes import DEFAULT_SEEDS, DEFAULT_WEIGHT
from utils import Event, NoFaceFound, NothingImported, PipelineError

Answer = dict[str, Any]
Stage = Generator[Event, None, Any]


@dataclass(frozen=True, slots=True)
class Job:
    """One request: where, with which settings, in which words, for whom."""

    home: Path
    settings: Settings
    options: Namespace
    client: Client | None = None

    @property
    def who(self) -> Client:
        """The client of an action that needs one; the command line and the menu see to it that there is one."""
        assert self.client is not None
        return self.client


class Ask(Enum):
    """How the menu asks for an option."""

    PATH = "path"
    TEXT = "text"
    CHOICE = "choice"


@dataclass(frozen=True, slots=True)
class Option:
    """One option of an action: a word or flag of the command line, and a question of the menu where `ask` is set."""

    flag: str
    help: str
    ask: Ask | None = None
    default: Any = None
    read: Callable[[str], Any] = str
    choices: Sequence[str] = ()
    offered: Sequence[str] = ()  # what the menu offers of the choices; empty: all
    repeatable: bool = False
    nargs: str = ""
    metavar: str = ""
    when: Callable[[Job], bool] | None = None  # whether the menu asks at all; None: always

    dest: str = ""  # the name among the options, where it is not that of the flag

    @property
    def name(self) -> str:
        """The option's name among the options of a job."""
        return self.dest or self.flag.lstrip("-").replace("-", "_")

    def answered(self, text: str) -> Any:
        """The value of an answer given in the menu, as the command line would have read it."""
        if self.nargs == "*":
            return [self.read(word) for word in text.split()]
        return [self.read(text)] if self.nargs == "+" or self.repeatable else self.read(text)

    def words(self) -> dict[str, Any]:
        """What argparse wants to know."""
        words: dict[str, Any] = {"type": self.read, "default": self.default}
        words |= {"choices": tuple(self.choices)} if self.choices else {"metavar": self.metavar or None}
        words |= {"nargs": self.nargs} if self.nargs else {}
        words |= {"dest": self.dest} if self.dest else {}
        return words | ({"action": "append"} if self.repeatable else {})


def _no_complaint(_report: Any) -> PipelineError | None:
    return None


def _never(_job: Job) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Action:
    """One row of the table. `answer` is the JSON that scripts rely on; `verdict` says whether the report is a failure."""

    name: str
    label: str
    run: Callable[[Job], Stage]
    answer: Callable[[Any], Answer]
    needs_client: bool = True
    changes: bool = True  # whether the client is held for this program alone
    tool: bool = False  # stands on the first screen
    extra: bool = False  # stands on a client's screen, below the eight steps
    plan: Callable[[Job], Any] | None = None  # what is shown before anything happens
    plan_answer: Callable[[Any], Answer] = asdict
    long: bool = False  # whether the command line asks too before it begins
    grave: Callable[[Job], bool] = _never  # whether it cannot be undone
    verdict: Callable[[Any], PipelineError | None] = _no_complaint
    retry: Callable[[Namespace, PipelineError], training_actions.Retry | None] | None = None  # what a failure may be answered with
    options: tuple[Option, ...] = field(default=())


def at_once(work: Callable[[Job], Any]) -> Callable[[Job], Stage]:
    """A stage of something that takes no time worth showing."""

    def stage(job: Job) -> Stage:
        yield from ()
        return work(job)

    return stage


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


_PICTURES = Option(
    "pictures", N_("Folder of the pictures, or one picture:"), Ask.PATH, read=lambda text: Path(text).expanduser(), nargs="+"
)


def _exports(job: Job) -> bool:
    """Whether the menu was told to export, so that more has to be asked."""
    return str(job.options.verb) == "export"


_BASE_HELP = N_("base model: embedded, sdxl (to plan for SDXL 1.0), a diffusers folder or a .safetensors file")
_VERB_HELP = N_("What to do with the client:")
_USERNAME_HELP = N_("your MidJourney user name, so that it is not taken for the prompt")
_SETTINGS_HELP = N_("NAME=VALUE, such as language=es (empty: only show):")
_WEIGHT_HELP = N_("weight of the LoRA, 0.7 to 1.0; 0 paints without it; may be given several times")

YES_NO = ("yes", "no")
TRAIN_OPTIONS = (
    Option("--gpu", N_("plan for this GPU instead of the one that is here"), metavar="NAME", choices=()),
    Option("--base", _BASE_HELP, metavar="NAME"),
    Option("--preset", N_("How long to train:"), Ask.CHOICE, choices=training_actions.PRESET_NAMES),
    Option(
        "--values",
        N_("Which values to train with:"),
        Ask.CHOICE,
        training_actions.VALUES[0],
        choices=training_actions.VALUES,
        when=training_actions.names_original,
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
)
ACTIONS = (
    Action(
        "demo", N_("See the whole path with the sample client"), _demo, _demo_answer, needs_client=False, tool=True,
    ),
    Action(
        "setup", N_("Set up the program"), training_actions.set_up, training_actions.set_up_answer, needs_client=False,
        changes=False, tool=True,
        options=(
            Option(
                "part", N_("What to set up:"), Ask.CHOICE, training_actions.PARTS[0], choices=training_actions.PARTS,
                offered=training_actions.PARTS[1:], nargs="?", when=lambda _job: largest_gpu() is not None,
            ),
        ),
    ),
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
        "train", N_("Train the LoRA"), training_actions.train, training_actions.train_answer, plan=training_actions.plan_training,
        plan_answer=training_actions.plan_answer, long=True, retry=training_actions.retry_training, options=TRAIN_OPTIONS,
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
    Action(
        "checkpoints", N_("Show or export what was trained"), training_actions.checkpoints, training_actions.checkpoints_answer,
        changes=False, extra=True,
        options=(
            Option(
                "verb", N_("What to do with the LoRAs:"), Ask.CHOICE, "list", choices=training_actions.CHECKPOINT_VERBS, nargs="?",
            ),
            Option("name", N_("Which one, by name or step (empty: the newest):"), Ask.TEXT, nargs="?", when=_exports),
            Option("--for", N_("program to export for"), default="all", choices=training_actions.EXPORTS, dest="to_app"),
            Option(
                "--to", N_("Folder of a ComfyUI or A1111 to copy it into (empty: none):"), Ask.TEXT, metavar="FOLDER",
                when=_exports,
            ),
            Option("--keep-captions", N_("leave captions in the exported file's header: yes or no"), choices=YES_NO, default="no"),
        ),
    ),
    Action(
        "tensorboard", N_("Training curves (TensorBoard)"), training_actions.curves, asdict, changes=False, extra=True,
        options=(Option("verb", N_("TensorBoard:"), Ask.CHOICE, "start", choices=training_actions.CURVES, nargs="?"),),
    ),
    Action("gpu", N_("Show the GPU"), at_once(_gpus), asdict, needs_client=False, changes=False, tool=True),
    Action(
        "settings", N_("Show or change the settings"), at_once(_settings), _settings_answer, needs_client=False, changes=False,
        tool=True,
        options=(Option("changes", _SETTINGS_HELP, Ask.TEXT, nargs="*", metavar="NAME=VALUE"),),
    ),
    Action(
        "doctor", N_("Examine this machine"), lambda job: examine_machine(job.home, job.settings), training_actions.doctor_answer,
        needs_client=False, changes=False, tool=True,
    ),
    Action(
        "queue", N_("Train several clients, one after another"), training_actions.queue, training_queue.answer, needs_client=False,
        changes=False, tool=True, verdict=training_queue.complaint,
        options=(
            Option("names", N_("Clients, in this order (empty: the last table):"), Ask.TEXT, nargs="*", metavar="ID"),
            Option("--preset", N_("how long to train each"), choices=training_actions.PRESET_NAMES),
        ),
    ),
)  # fmt: skip
GPU_NAMES = tuple(profile.name for profile in GPU_PROFILES)
