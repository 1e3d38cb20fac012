"""The actions of the machine: its models and its GPUs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from actions.action import Action, Answer, Stage, at_once
from actions.request import Ask, Job, Menu, Request
from locales.language import N_, _
from machine import downloads
from machine.downloads import PreloadPlan, PreloadReport
from machine.gpu import GPUState, find_gpus
from machine.licence import LICENCE_QUESTION, Use, check_licence, record_licence
from machine.model_process import ModelProcessStatus
from machine.models import USUAL, Allows, Found, ModelFile, in_gb, list_models, model_named
from machine.other_cards import OtherCard, find_other_cards

_NAMES_HELP = N_("Models to download (empty: the usual ones):")
_VERB_LABELS = {
    "list": N_("show them"),
    "preload": N_("download what is missing"),
    "free": N_("free the memory that models of this menu hold"),
}
# Models are held by a worker of the menu that loaded them. A command of its own has none, and another program's is not its to end:
# it may be painting.
ONLY_HERE = "only_this_program"
# What works on a processor alone, and what does not: said where there is no GPU.
WITHOUT_GPU = {
    "embedded": N_("the embedded model: training and portraits"),
    "faces": N_("import, faces, dataset"),
    "swap": N_("face swaps, in seconds each"),
    "transcribe": N_("transcripts"),
    "sdxl": N_("portraits with SDXL, in many minutes each"),
}


# --- models -----------------------------------------------------------------------------------------------------------
def _preloads(job: Job[ModelsRequest]) -> bool:
    return job.request.verb == "preload"


def _offered(job: Job[ModelsRequest]) -> list[tuple[str, str]]:
    """The usual ones together, then each that is not here, with its size."""
    missing = [one for one in list_models(job.home, job.settings) if not one.here]
    usual = [one for one in missing if one.model.name in USUAL]
    rows = [(" ".join(one.model.name for one in usual), _("the usual ones"), usual)] if usual else []
    rows += [(one.model.name, one.model.title, [one]) for one in missing]
    return [(names, f"{label} ({in_gb(sum(one.missing_bytes for one in found))})") for names, label, found in rows]


class ModelsRequest(Request):
    """What to do with the models; `names` are those to download, none: the usual ones."""

    verb: Annotated[
        Literal["list", "preload", "free"], Ask(N_("What to do with the models:"), menu=Menu.CHOICE, labels=_VERB_LABELS)
    ] = "list"
    names: Annotated[
        tuple[str, ...], Ask(_NAMES_HELP, metavar="NAME", menu=Menu.CHOICE, offer=_offered, several=True, when=_preloads)
    ] = ()
    licence: Annotated[Use | None, Ask(LICENCE_QUESTION, "--licence")] = None


@dataclass(frozen=True, slots=True)
class ModelList:
    """Every model of the table."""

    models: tuple[Found, ...]


@dataclass(frozen=True, slots=True)
class Freed:
    """The models whose memory was given back, all of this program's own worker; `running`: whether it had one."""

    models: tuple[str, ...]
    running: bool


def plan_preload(job: Job[ModelsRequest]) -> PreloadPlan:
    """What would be downloaded; raises LicenceRefused where a model is for research only and that is not what it is used for."""
    names, licence = job.request.names or USUAL, job.request.licence
    if any(model_named(name).allows is Allows.RESEARCH for name in names):
        check_licence(record_licence(job.home, job.settings, licence) if licence else job.settings)
    return downloads.plan_preload(job.home, job.settings, names)


def models(job: Job[ModelsRequest]) -> Stage:
    """List the models, download what was planned, or give back the memory that they hold."""
    if job.request.verb == "preload":
        return (yield from downloads.preload(job.plan))
    if job.request.verb == "free":
        running = job.session.model_process.pid is not None
        return Freed(job.session.model_process.close(), running)
    return ModelList(list_models(job.home, job.settings))


class MissingModel(Answer):
    """A model that is not here, and its size."""

    name: str
    bytes: int

    @classmethod
    def all_of(cls, plan: PreloadPlan) -> tuple[Self, ...]:
        """What a plan would download."""
        return tuple(cls(name=one.model.name, bytes=one.missing_bytes) for one in plan.models)


class PreloadPlanAnswer(Answer):
    """What would be downloaded, what is here, and the bytes that are free."""

    missing: tuple[MissingModel, ...]
    here: tuple[str, ...]
    bytes: int
    free: int

    @classmethod
    def of(cls, plan: PreloadPlan) -> Self:
        """The plan."""
        return cls(
            missing=MissingModel.all_of(plan),
            here=plan.here, bytes=plan.bytes, free=plan.free,
        )  # fmt: skip


class ModelAnswer(Answer):
    """A model of the table: what it is, what its licence allows, and where it lies or could be put by hand."""

    name: str
    title: str
    source: str
    revision: str
    bytes: int
    licence: str
    allows: Allows
    vram_gb: float
    here: bool
    path: Path | None
    place: Path
    page: str
    files: tuple[ModelFile, ...]

    @classmethod
    def of(cls, found: Found) -> Self:
        """The model, and where it was found."""
        model = found.model
        return cls(
            name=model.name, title=model.title, source=model.source, revision=model.revision, bytes=model.bytes,
            licence=model.licence, allows=model.allows, vram_gb=model.vram_gb, here=found.here, path=found.path,
            place=found.place, page=model.page, files=(*model.archives, *model.files),
        )  # fmt: skip


class ModelsAnswer(Answer):
    """Every model of the table."""

    models: tuple[ModelAnswer, ...]


class FreedAnswer(Answer):
    """The models whose memory was given back; `note` says where there was no worker of this program's own."""

    freed: tuple[str, ...]
    note: str


class PreloadAnswer(Answer):
    """What was downloaded, what was here, and how many files were checked."""

    fetched: tuple[str, ...]
    here: tuple[str, ...]
    checked: int


def models_answer(report: ModelList | Freed | PreloadReport) -> ModelsAnswer | FreedAnswer | PreloadAnswer:
    """Whichever came out."""
    if isinstance(report, ModelList):
        return ModelsAnswer(models=tuple(ModelAnswer.of(found) for found in report.models))
    return (
        FreedAnswer(freed=report.models, note="" if report.running else ONLY_HERE)
        if isinstance(report, Freed)
        else PreloadAnswer.of(report)
    )


# --- GPUs -------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class GPUs:
    """The GPUs of this machine, none is an answer too, with every process on them; what this program's own worker holds.

    Cards that are not computed on are looked for where there is no other.
    """

    gpus: tuple[GPUState, ...]
    worker: ModelProcessStatus
    others: tuple[OtherCard, ...] = ()


def find(job: Job[Request]) -> GPUs:
    """Look at the GPUs, and ask the worker."""
    gpus = find_gpus()
    return GPUs(gpus, job.session.model_process.status(), () if gpus else find_other_cards())


class GPUsAnswer(Answer):
    """The GPUs, what our worker holds, and what works without a GPU where there is none."""

    gpus: tuple[GPUState, ...]
    worker: ModelProcessStatus
    works_without: tuple[str, ...]
    note: str
    others: tuple[OtherCard, ...]

    @classmethod
    def of(cls, report: GPUs) -> Self:
        """The report."""
        return cls(
            gpus=report.gpus, worker=report.worker, works_without=() if report.gpus else tuple(WITHOUT_GPU),
            note="" if report.worker.running else ONLY_HERE, others=report.others,
        )  # fmt: skip


# --- the actions ------------------------------------------------------------------------------------------------------
MODELS = Action(
    "models", ModelsRequest, models, models_answer, changes=False,
    plan=plan_preload, plan_answer=PreloadPlanAnswer.of, plans=_preloads, long=True,
    lasts=lambda request: request.verb == "preload",
)  # fmt: skip
GPU = Action("gpu", Request, at_once(find), GPUsAnswer.of, changes=False)

ACTIONS = (MODELS, GPU)
