"""Set-up: folders, settings, the base model that is chosen, what has to be fetched for it, and what is missing on this machine.

Nothing is cloned or downloaded that was not planned and agreed to; what could not be had, as without a network, is still to do, and
said with the command that does it. It is no failure.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path

from client_folder.client import clients_folder
from config import EMBEDDED_BASE, SDXL_BASE, SDXL_ID, Settings, load_settings, settings_file, update_settings
from locales.language import N_, Labelled
from machine import downloads
from machine.base_models import BaseKind, BaseModel, find_base
from machine.found_bases import offered_bases
from machine.gpu import GPUState, largest_gpu
from training.inputs import SCRIPT
from training.machine_doctor import Check, look_at_base, look_at_disk, look_at_gpu, look_at_packages, look_at_python
from training.sd_scripts import install_trainer, plan_trainer, trainer_folder
from utils import Event, PipelineError, Progress, free_bytes

TRAINS_FROM_GB = 5.5  # of video memory: the smallest card that a plan is made for, an experimental one
_COMMAND = "python avatar_pipeline.py "
_CLONE_BYTES = 20_000_000  # one commit of sd-scripts, without its history
_VENV_BYTES = 5_000_000_000  # PyTorch for CUDA and what it brings along, as pip downloads it


class SetupItem(Labelled):
    """What set-up can fetch."""

    BASE = "base", N_("the base model")
    TRAINER = "trainer", N_("Kohya's sd-scripts, which trains SDXL in the least memory")
    TRAINER_PYTHON = "trainer-python", N_("a Python of its own for it, with PyTorch")


@dataclass(frozen=True, slots=True)
class ToFetch:
    """One thing to be fetched: how large the download is (about, for what pip fetches), from where and to where."""

    item: SetupItem
    bytes: int
    source: str
    place: Path


@dataclass(frozen=True, slots=True)
class SetupPlan:
    """What set-up would do: the base model it settles on, and everything to be fetched. `free` are bytes on the home's disk."""

    home: Path
    base: BaseModel
    kept: bool  # nobody named a base: the settings stay as they are
    card: Check
    items: tuple[ToFetch, ...]
    free: int
    agreed: bool = True  # whether the items are fetched; else they are still to do

    @property
    def bytes(self) -> int:
        """All that would be downloaded."""
        return sum(one.bytes for one in self.items)


@dataclass(frozen=True, slots=True)
class ToDo:
    """What was not done: the command that does it, and why it failed; empty where the user said no, or nobody was asked."""

    item: SetupItem
    command: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Installation:
    """What `setup` made, found, and leaves to be done. `base` is the name in the settings."""

    home: Path
    made: tuple[str, ...]
    checks: tuple[Check, ...]
    base: str = EMBEDDED_BASE
    practice: bool = True
    kept: bool = True
    todo: tuple[ToDo, ...] = ()


# --- which base -------------------------------------------------------------------------------------------------------
def bases_to_choose(home: Path, settings: Settings) -> tuple[BaseModel, ...]:
    """Every base that can be chosen, the one that suits this machine first.

    With a card of 8 GB or more that is SDXL: what the settings name, else a checkpoint that is here, else SDXL itself. Without, it
    is the practice model, unless the settings name another.
    """
    offered = offered_bases(home, settings)
    named = next((base for base in offered if settings.base_model in (base.name, str(base.path))), None)
    real = [base for base in offered if not base.practice]
    here = next((base for base in real if base.path is not None and not base.distilled), real[0])
    first = named if named is not None and not named.practice else here if trains_sdxl(largest_gpu()) else offered[-1]
    return (first, *(base for base in offered if base is not first))


def trains_sdxl(card: GPUState | None) -> bool:
    """Whether SDXL is trained on a card by what is documented: 8 GB or more, and it computes in half precision."""
    return card is not None and look_at_gpu(card).well


# --- the plan ---------------------------------------------------------------------------------------------------------
def plan_setup(home: Path, settings: Settings, base_name: str = "", trainer: bool | None = None) -> SetupPlan:
    """What set-up would do with a base ("sdxl", "embedded", a path; empty: that of the settings); nothing is touched.

    `trainer` says whether sd-scripts is wanted; None: where there is a card for it and the base is no practice model. Raises
    ModelMissing, NotSdxl or BrokenFile for a base that is named and cannot be used.
    """
    base = _base_named(home, settings, base_name)
    card = largest_gpu()
    items = []
    if base.preload:
        wanted = downloads.plan_preload(home, settings, (base.preload,))
        from huggingface_hub.constants import HF_HUB_CACHE  # here, not above: it takes a moment to import

        items.append(ToFetch(SetupItem.BASE, wanted.bytes, f"https://huggingface.co/{SDXL_ID}", Path(HF_HUB_CACHE)))
    if trainer is None:
        trainer = base.kind is BaseKind.SDXL and card is not None and card.total_gb >= TRAINS_FROM_GB
    if trainer and not _trainer_here(settings):
        items.append(ToFetch(SetupItem.TRAINER, _CLONE_BYTES, settings.sd_scripts_source, trainer_folder(home)))
        items.append(ToFetch(SetupItem.TRAINER_PYTHON, _VENV_BYTES, "pip", trainer_folder(home)))
    return SetupPlan(home, base, not base_name, look_at_gpu(card), tuple(items), free_bytes(home))


def _base_named(home: Path, settings: Settings, name: str) -> BaseModel:
    """The base that was named, checked; else that of the settings, whatever is the matter with it: a check tells that later."""
    if name:
        base = find_base(home, settings, name)
        if not base.preload:
            base.require()
        return base
    try:
        return find_base(home, settings)
    except PipelineError:
        return BaseModel(settings.base_model, None, BaseKind.OTHER)


def _trainer_here(settings: Settings) -> bool:
    return bool(settings.sd_scripts) and (Path(settings.sd_scripts).expanduser() / SCRIPT).is_file()


# --- the stage --------------------------------------------------------------------------------------------------------
def set_up(home: Path, settings: Settings, plan: SetupPlan | None = None) -> Generator[Event, None, Installation]:
    """Make folders and settings where they are missing, settle on the base, fetch what was agreed to, then look at everything."""
    made = _make_folders(home, settings)
    if plan is not None and not plan.kept:
        settled = _settled(plan.base)
        settings = update_settings(home, lambda now: now.model_copy(update={"base_model": settled}))
    todo: list[ToDo] = []
    if plan is not None:
        todo = yield from _fetch(home, plan)
        settings = load_settings(home)
    looks = (look_at_python, look_at_packages, look_at_disk, _look_at_gpu, look_at_base, _look_at_sd_scripts)
    checks = []
    for number, look in enumerate(looks, 1):
        checks.append(look(home, settings))
        yield Progress("setup", number, len(looks), checks[-1].label)
    practice = _base_named(home, settings, "").practice
    return Installation(home, tuple(made), tuple(checks), settings.base_model, practice, plan is None or plan.kept, tuple(todo))


def _make_folders(home: Path, settings: Settings) -> list[str]:
    made = []
    if not clients_folder(home).is_dir():
        clients_folder(home).mkdir(parents=True)
        made.append(str(clients_folder(home)))
    if not settings_file(home).exists():
        update_settings(home, lambda now: now)
        made.append(str(settings_file(home)))
    return made


def _settled(base: BaseModel) -> str:
    """What the settings call a base: a word, or its whole path, which holds from whatever folder the program is started."""
    return base.name if base.name in (EMBEDDED_BASE, SDXL_BASE) or base.path is None else str(base.path.resolve())


def _fetch(home: Path, plan: SetupPlan) -> Generator[Event, None, list[ToDo]]:
    """Fetch what was agreed to; what fails is still to do, and what it was failing at is said."""
    fetchers: dict[SetupItem, tuple[str, Callable[[Settings], Generator[Event, None, object]]]] = {
        SetupItem.BASE: (
            f"models preload {plan.base.preload}",
            lambda settings: downloads.preload(downloads.plan_preload(home, settings, (plan.base.preload,))),
        ),
        SetupItem.TRAINER: (
            "setup sd-scripts",
            lambda settings: install_trainer(home, settings, plan_trainer(home, settings, largest_gpu())),
        ),
    }
    todo = []
    for one in plan.items:
        if one.item not in fetchers:  # a part of another item
            continue
        command, fetch = fetchers[one.item]
        reason = (yield from _tried(fetch(load_settings(home)))) if plan.agreed else ""
        if reason or not plan.agreed:
            todo.append(ToDo(one.item, f"{_COMMAND}{command}", reason))
    return todo


def _tried(stage: Generator[Event, None, object]) -> Generator[Event, None, str]:
    """Run a stage; what it failed at, in words."""
    try:
        yield from stage
    except PipelineError as error:
        return error.text()
    return ""


def declined(plan: SetupPlan) -> SetupPlan:
    """The plan without what has to be fetched: that is still to do."""
    return replace(plan, agreed=False)


def _look_at_gpu(_home: Path, _settings: Settings) -> Check:
    return look_at_gpu(largest_gpu())


def _look_at_sd_scripts(home: Path, settings: Settings) -> Check:
    """Needed for SDXL only, and where there is a card to train it."""
    needed = not _base_named(home, settings, "").practice and trains_sdxl(largest_gpu())
    cure = N_("Trains SDXL in the least memory; without it this program's own trainer does. To install it: setup sd-scripts")
    return Check(N_("sd-scripts"), settings.sd_scripts or "-", _trainer_here(settings) or not needed, cure)
