"""What a machine says of itself, and what two machines must agree in before one works for the other."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from pydantic import ConfigDict

from config import EMBEDDED_BASE, SDXL_BASE, VERSION, Settings
from locales.language import N_
from machine import gpu as hardware
from machine.base_models import find_base
from machine.cards import GPUProfile
from machines.pool import machine_name
from utils import PipelineError, Record


class ProgramDiffers(PipelineError):
    """Facts: here, there."""

    message = N_("This PC has version {here} of the program, the scheduler's has {there}.")
    hint = N_("Install the same version here: unpack the program of that PC, or update the older one, and run ./install.sh again.")


class PythonDiffers(PipelineError):
    """Facts: here, there."""

    message = N_("This PC runs Python {here}, the scheduler's runs {there}.")
    hint = N_("Install Python {there} here, remove the folder .venv, and run ./install.sh again.")


class DaskDiffers(PipelineError):
    """Facts: here, there."""

    message = N_("This PC has Dask {here}, the scheduler's has {there}.")
    hint = N_("Install the same on both: pip install -r requirements-machines.txt")


class BaseDiffers(PipelineError):
    """Facts: base, digest."""

    message = N_("The clients there are trained on {base}, and this PC has not that file ({digest}...).")
    hint = N_("Download it here (models preload sdxl-base), or copy the file here and name it in the settings (base_model).")


class Card(Record):
    """A card of a machine."""

    model_config = ConfigDict(frozen=True)

    name: str
    total_gb: float


class Facts(Record):
    """A machine: what it runs, its cards, the profile of the one that trains, the base models that it has by digest."""

    model_config = ConfigDict(frozen=True)

    host: str  # the PC; several machines may be on one, under other names
    program: str
    python: str  # without the last number, in which any two agree well enough
    dask: str
    gpus: tuple[Card, ...]
    profile: GPUProfile
    bases: dict[str, str]  # the path of each, or its name, by the digest of its weights
    sd_scripts: bool  # whether Kohya's own trainer is here
    studio_base: str = ""  # the digest of the base that the settings name; empty where it is not here


def facts_here(home: Path, settings: Settings) -> Facts:
    """What this machine says of itself; weights are read at their beginning and end only."""
    bases: dict[str, str] = {}
    studio_base = ""
    for name in dict.fromkeys((settings.base_model, EMBEDDED_BASE, SDXL_BASE)):
        with suppress(PipelineError):
            base = find_base(home, settings, name)
            path, digest = base.require(), base.weights_digest
            bases.setdefault(digest, str(path))
            studio_base = studio_base or (digest if name == settings.base_model else "")
    return Facts(
        host=machine_name(),
        program=VERSION,
        python=".".join(platform.python_version_tuple()[:2]),
        dask=version("distributed"),
        gpus=tuple(Card(name=card.name, total_gb=round(card.total_gb, 1)) for card in hardware.find_gpus()),
        profile=hardware.profile_here(),
        bases=bases,
        sd_scripts=bool(settings.sd_scripts),
        studio_base=studio_base,
    )


def check_agreement(here: Facts, there: Facts) -> None:
    """Raise what stands against this machine working for the other: ProgramDiffers, PythonDiffers, DaskDiffers or BaseDiffers."""
    if here.program != there.program:
        raise ProgramDiffers(here=here.program, there=there.program)
    if here.python != there.python:
        raise PythonDiffers(here=here.python, there=there.python)
    if here.dask != there.dask:
        raise DaskDiffers(here=here.dask, there=there.dask)
    if there.studio_base and there.studio_base not in here.bases:
        raise BaseDiffers(base=Path(there.bases[there.studio_base]).name, digest=there.studio_base[:12])
