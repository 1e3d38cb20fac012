"""The action that sets the program up: which base model, what has to be fetched for it, and what is still to do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Self

from actions.action import Action, Answer, Stage, always
from actions.request import Ask, Job, Menu, Request
from config import EMBEDDED_BASE, SDXL_BASE
from locales.language import N_, _
from machine.base_models import BaseModel
from machine.gpu import largest_gpu
from machine.other_cards import find_other_cards
from training import installation
from training.installation import Installation, SetupItem, SetupPlan, ToDo, bases_to_choose, trains_sdxl
from training.machine_doctor import Check
from utils import free_bytes

OTHER = "<path>"  # the row that leads to a path
_FOUND = 8  # checkpoints offered as rows: a screen has 24 lines
_FOLDER_LETTERS = 34  # of the folder that a checkpoint lies in; its end tells most
_GB = 1e9
_BASE_HELP = N_("Which base model?")
_PATH_HELP = N_("A .safetensors file of SDXL's kind, or a folder in diffusers' layout:")
_PART_LABELS = {
    "auto": N_("what fits this machine"),
    "program": N_("folders and settings"),
    "sd-scripts": N_("Kohya's sd-scripts too, which trains SDXL (downloads about 5 GB)"),
}


# --- what is asked ----------------------------------------------------------------------------------------------------
def _card(_job: Job[SetupRequest]) -> str:
    """What card is here and what can be done with it, above the question."""
    card = largest_gpu()
    if card is not None:
        memory = _("{gb:.0f} GB").format(gb=card.total_gb) if card.total_gb else _("memory unknown")
        named = _("This machine has: {card}, {memory}.").format(card=card.name, memory=memory)
        enough = _("SDXL can be trained on it, by our estimates.")
        too_little = _("That is too little to train SDXL: an RTX card with 8 GB or more is needed.")
        return f"{named} {enough if trains_sdxl(card) else too_little}"
    needed = _(
        "Photographs take SDXL and, to train it, an NVIDIA card with 8 GB or more: your own, a rented one, or one "
        "that Google Colab lends (the menu packs a client for it)."
    )
    others = find_other_cards()
    if not others:
        return " ".join((_("This machine has no NVIDIA card."), needed))
    named = _("This machine has: {card}.").format(card=others[0].name)
    return " ".join((named, _(others[0].maker.use), needed))


def _bases(job: Job[SetupRequest]) -> list[tuple[str, str]]:
    """The bases that can be chosen, the one that suits this machine first, and a way to any other."""
    bases = bases_to_choose(job.home, job.settings)
    fixed = [base for base in bases if base.name in (SDXL_BASE, EMBEDDED_BASE)]
    found = [base for base in bases if base not in fixed]
    shown = [base for base in bases if base in fixed or base in found[:_FOUND]]
    rows = [(base.name, _label(base, free_bytes(job.home))) for base in shown]
    return [*rows, (OTHER, _("Another checkpoint of SDXL's kind, by its path"))]


def _label(base: BaseModel, free: int) -> str:
    if base.practice:
        return _("The practice model: to learn the program; it paints dolls of 96 px")
    if base.source is None:
        assert base.path is not None
        kind = _("SDXL, {method}: paints in few steps, learns badly").format(method=base.distilled) if base.distilled else "SDXL"
        folder = str(base.path.parent)
        shown = folder if len(folder) <= _FOLDER_LETTERS else f"...{folder[-_FOLDER_LETTERS:]}"
        return f"{base.path.name} ({kind}), {shown}"
    if base.path is not None:
        return _("SDXL 1.0: photographs; it is here ({licence})").format(licence=base.licence)
    licence = base.licence.removeprefix("CreativeML ")  # the row has to fit a line of 80
    facts = {"size": base.source.bytes / _GB, "free": free / _GB, "licence": licence}
    return _("SDXL 1.0: photographs; {size:.1f} GB to download, {free:.0f} GB free ({licence})").format(**facts)


class SetupRequest(Request):
    """What to set up, and with which base model; where none is named, the settings stay as they are."""

    part: Annotated[Literal["auto", "program", "sd-scripts"], Ask(N_("What to set up:"), labels=_PART_LABELS)] = "auto"
    base: Annotated[str, Ask(_BASE_HELP, "--base", "NAME", menu=Menu.CHOICE, offer=_bases, context=_card)] = ""
    base_path: Annotated[
        str, Ask(_PATH_HELP, "--base-path", "PATH", menu=Menu.PATH, when=lambda job: job.request.base == OTHER)
    ] = ""  # fmt: skip


# --- plan and run -----------------------------------------------------------------------------------------------------
def plan_setup(job: Job[SetupRequest]) -> SetupPlan:
    """What would be done and fetched."""
    request = job.request
    base = request.base_path or ("" if request.base == OTHER else request.base)
    trainer = {"auto": None, "program": False, "sd-scripts": True}[request.part]
    plan = installation.plan_setup(job.home, job.settings, base, trainer)
    return replace(plan, items=()) if request.part == "program" else plan


def set_up(job: Job[SetupRequest]) -> Stage:
    """Set the program up as it was planned."""
    return installation.set_up(job.home, job.settings, job.plan)


def _without_fetching(job: Job[SetupRequest]) -> Job[SetupRequest]:
    """What is done where the user says no, or where nobody can be asked; sd-scripts that was named is wanted."""
    return job if job.request.part == "sd-scripts" else replace(job, plan=installation.declined(job.plan))


# --- what is answered -------------------------------------------------------------------------------------------------
class FetchAnswer(Answer):
    """One thing that would be fetched; bytes are about those of the download."""

    item: SetupItem
    bytes: int
    source: str
    place: Path


class SetupPlanAnswer(Answer):
    """What set-up would do; `kept`: nobody named a base."""

    base: str
    practice: bool
    kept: bool
    card: str
    fetch: tuple[FetchAnswer, ...]
    bytes: int
    free: int

    @classmethod
    def of(cls, plan: SetupPlan) -> Self:
        """The plan."""
        return cls(
            base=plan.base.name, practice=plan.base.practice, kept=plan.kept, card=plan.card.found,
            fetch=tuple(FetchAnswer.of(one) for one in plan.items), bytes=plan.bytes, free=plan.free,
        )  # fmt: skip


class SetupAnswer(Answer):
    """What was made and found, the base that is settled on, and what is still to do."""

    home: Path
    made: tuple[str, ...]
    checks: tuple[Check, ...]
    base: str
    practice: bool
    kept: bool
    todo: tuple[ToDo, ...]

    @classmethod
    def of(cls, report: Installation) -> Self:
        """The report."""
        return cls.model_validate(report)


SETUP = Action(
    "setup", SetupRequest, set_up, SetupAnswer.of, changes=False, plan=plan_setup, plan_answer=SetupPlanAnswer.of, long=True,
    lasts=always, guided=True, harmless=lambda job: not job.plan.items, otherwise=_without_fetching,
)  # fmt: skip
ACTIONS = (SETUP,)
