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
import dataset_doctor
import demo
import generation
import image_processor
import installation
import lora_trainer
import review
import words
from checkpoints import list_checkpoints
from client import CLASS_WORDS, Client
from config import GPU_PROFILES, PRESETS, Settings, change_settings
from gpu import GPUState, find_gpus
from language import N_, _
from recipes import DEFAULT_SEEDS, DEFAULT_WEIGHT
from training_plan import Overrides
from utils import DatasetRefused, Event, NoFaceFound, NothingImported, PipelineError

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
    several: bool = False  # a row that is offered may stand for several values, blanks between them
    switch: bool = False  # given or not, without a value
    offer: Callable[[Job], Sequence[tuple[str, str]]] | None = None  # rows (value, label) the menu offers; none: no question
    suggest: Callable[[Job], str] | None = None  # what stands in the line to be edited

    @property
    def name(self) -> str:
        """The option's name among the options of a job."""
        return self.flag.lstrip("-").replace("-", "_")

    def answered(self, text: str) -> Any:
        """The value of an answer given in the menu, as the command line would have read it."""
        if self.nargs == "*" or (self.nargs == "+" and self.several):
            return [self.read(word) for word in text.split()]
        return [self.read(text)] if self.nargs == "+" or self.repeatable else self.read(text)

    def words(self) -> dict[str, Any]:
        """What argparse wants to know."""
        if self.switch:
            return {"action": "store_true"}
        words: dict[str, Any] = {"type": self.read, "default": self.default}
        words |= {"choices": tuple(self.choices)} if self.choices else {"metavar": self.metavar or None}
        words |= {"nargs": self.nargs} if self.nargs else {}
        return words | ({"action": "append"} if self.repeatable else {})


def _no_complaint(_report: Any) -> PipelineError | None:
    return None


def _nothing(_report: Any) -> str:
    return ""


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
    more: bool = False  # stands one list further, so that the screen has room for what came out last
    plan: Callable[[Job], Any] | None = None  # what is shown before anything happens
    plan_answer: Callable[[Any], Answer] = asdict
    long: bool = False  # whether the command line asks too before it begins
    grave: Callable[[Job], bool] = _never  # whether it cannot be undone
    verdict: Callable[[Any], PipelineError | None] = _no_complaint
    then: Callable[[Any], str] = _nothing  # the action that the menu goes on with after this report
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


def _point_next(report: image_processor.FaceReport) -> str:
    return "who" if report.undecided and report.identity != "known" else ""


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


def _doctor_answer(report: dataset_doctor.Examination) -> Answer:
    return {
        "verdict": report.verdict.value, "reason": words.symptom(report.reason) if report.reason else "",
        "findings": [words.told(symptom, report.names) for symptom in report.symptoms], "images": report.images,
        "effective": report.effective, "share_real": round(report.share_real, 4), "spread": asdict(report.spread),
    }  # fmt: skip


def _quarantine_next(report: dataset_doctor.Examination) -> str:
    return "quarantine" if any(symptom.cure_by_removing for symptom in report.symptoms) else ""


def _offer_quarantine(job: Job) -> Sequence[tuple[str, str]]:
    rows = review.can_be_taken_out(job.who, dataset_doctor.examine(job.who, job.settings))
    labels = (
        f"{words.sign(sign)}: {names}" if sign else _("put back: {names}").format(names=names) for _stems, sign, names in rows
    )
    return [(" ".join(stems), label) for (stems, _sign, _names), label in zip(rows, labels, strict=True)]


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


_PICTURES = Option(
    "pictures", N_("Folder of the pictures, or one picture:"), Ask.PATH, read=lambda text: Path(text).expanduser(), nargs="+"
)
_BASE_HELP = N_("base model: embedded, sdxl (to plan for SDXL 1.0), a diffusers folder or a .safetensors file")
_VERB_HELP = N_("What to do with the client:")
_USERNAME_HELP = N_("your MidJourney user name, so that it is not taken for the prompt")
_SETTINGS_HELP = N_("NAME=VALUE, such as language=es (empty: only show):")
_FACE_HELP = N_("this face is the client: file and number, counted from the left; may be given several times")
_LIMITS_HELP = N_("NAME=VALUE, such as min_brightness=30 (empty: show them):")
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
        "process", N_("Find and crop faces"),
        lambda job: review.point_and_process(job.who, job.settings, job.options.face or ()), review.verdicts_answer,
        plan=lambda job: image_processor.plan_process(job.who, job.settings), verdict=_nothing_accepted, then=_point_next,
        options=(Option("--face", _FACE_HELP, repeatable=True, metavar="FILE:N"),),
    ),
    Action(
        "dataset", N_("Build the dataset"), lambda job: dataset.prepare_dataset(job.who, job.settings), _dataset_answer,
        plan=lambda job: dataset.plan_dataset(job.who, job.settings), then=lambda _report: "doctor",
    ),
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
    Action(
        "rejected", N_("Look at what was rejected"), at_once(lambda job: review.rejected(job.who)), review.rejected_answer,
        changes=False, more=True,
    ),
    Action(
        "accept", N_("Accept a picture by hand"),
        lambda job: review.accept_pictures(job.who, job.settings, job.options.pictures), review.verdicts_answer, more=True,
        options=(
            Option(
                "pictures", N_("Picture to accept (undo:NAME takes it back):"), Ask.CHOICE, nargs="+",
                offer=lambda job: review.can_be_accepted(job.who),
            ),
        ),
    ),
    Action(
        "who", N_("Point at the client's face"),
        lambda job: review.point_and_process(job.who, job.settings, job.options.faces), review.verdicts_answer, more=True,
        options=(
            Option(
                "faces", N_("Which face is the client? Counted from the left, numbered in rejected/:"), Ask.CHOICE, nargs="+",
                metavar="FILE:N", offer=lambda job: review.can_be_pointed_at(job.who),
            ),
        ),
    ),
    Action(
        "limits", N_("Move the limits of quality"),
        lambda job: review.move_limits(job.home, job.who, job.settings, job.options.changes), review.verdicts_answer, more=True,
        plan=lambda job: review.preview_limits(job.who, job.settings, job.options.changes), plan_answer=review.limits_answer,
        options=(Option("changes", _LIMITS_HELP, Ask.TEXT, default=[], nargs="*", metavar="NAME=VALUE"),),
    ),
    Action(
        "captions", N_("Read or change captions"),
        at_once(lambda job: review.captions(job.who, job.options.picture or "", job.options.text or "")), review.captions_answer,
        more=True,
        options=(
            Option(
                "picture", N_("Whose caption?"), Ask.CHOICE, nargs="?", metavar="FILE",
                offer=lambda job: review.can_be_edited(job.who),
            ),
            Option(
                "--text", N_("Caption, on one line:"), Ask.TEXT, metavar="TEXT",
                suggest=lambda job: review.caption_now(job.who, job.options.picture or ""),
            ),
        ),
    ),
    Action(
        "doctor", N_("Examine the dataset"), at_once(lambda job: dataset_doctor.examine(job.who, job.settings)), _doctor_answer,
        changes=False, more=True, then=_quarantine_next,
    ),
    Action(
        "quarantine", N_("Take pictures out of training"),
        at_once(lambda job: review.quarantine(job.who, job.options.pictures)), asdict, more=True,
        options=(
            Option(
                "pictures", N_("What to take out or put back (undo:NAME puts back):"), Ask.CHOICE, nargs="+",
                several=True, offer=_offer_quarantine,
            ),
        ),
    ),
    Action(
        "checkpoints", N_("Show what was trained"), at_once(_checkpoints), _checkpoints_answer, changes=False, extra=True,
    ),
    Action("gpu", N_("Show the GPU"), at_once(_gpus), asdict, needs_client=False, changes=False, tool=True),
    Action(
        "settings", N_("Show or change the settings"), at_once(_settings), _settings_answer, needs_client=False, changes=False,
        tool=True,
        options=(Option("changes", _SETTINGS_HELP, Ask.TEXT, nargs="*", metavar="NAME=VALUE"),),
    ),
)  # fmt: skip
GPU_NAMES = tuple(profile.name for profile in GPU_PROFILES)
