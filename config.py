"""What can be chosen: the settings file, the limits of quality control, the balance of a dataset, GPUs and presets.

Numbers carry their unit in the name or beside them, and say where they come from. Nothing here touches a GPU.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from language import _
from utils import SettingRefused, read_record, write_record

HOME_VARIABLE = "AVATAR_PIPELINE_HOME"
EMBEDDED_BASE = "embedded"  # the name of the base model that comes with the program
SDXL_BASE = "sdxl"  # SDXL 1.0 itself, to plan for before it is on this machine
SDXL_ID = "stabilityai/stable-diffusion-xl-base-1.0"
PROGRAM = Path(__file__).resolve().parent


class QualityControlConfig(BaseModel):
    """The limits a face must keep. The first six carry the names of the original plan's JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    face_confidence_threshold: float = Field(default=0.85, ge=0, le=1)  # MTCNN's own score; its last net cuts at 0.8 already
    face_padding_factor: float = Field(default=1.6, ge=1, le=3)  # side of the square crop over the longer side of the face box
    min_brightness: float = Field(default=40, ge=0, le=255)  # mean grey of the face; good portraits: 69 to 176 (5 to 95 %)
    max_brightness: float = Field(default=220, ge=0, le=255)
    min_contrast: float = Field(default=25, ge=0)  # standard deviation of the crop's grey; faded copies stay under 25
    # Variance of the Laplacian of the face at 256 px, freed of its exposure and its size (`face_quality`). The plan's 100 was
    # meant for the 1024 px crop, where it rejects 73 % of good portraits. Here good photos have 56 and more, drawings 33 and more;
    # blurred by a hundredth of the face, 97 % of photos and all drawings stay under 25.
    blur_threshold: float = Field(default=25, ge=0)
    # Crete's perceptual blur of the crop at 512 px, which also sees blur in one direction. Good photos have 0.36 to 0.58, smooth
    # drawings up to 0.77, motion of 6 % of the face 0.74 to 0.91.
    max_blur_effect: float = Field(default=0.78, ge=0, le=1)
    max_clipped: float = Field(default=0.16, ge=0, le=1)  # share of face pixels >= 250; good: up to 0.03, burnt: from 0.16
    max_upscale: float = Field(default=4.0, ge=1)  # enlargement of the crop to 1024 px
    warn_upscale: float = Field(default=2.5, ge=1)


class DatasetDistribution(BaseModel):
    """How much of what the LoRA sees is real photos (the plan: 85 % MidJourney, 15 % real), and how often a picture repeats."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    share_real: float = Field(default=0.15, ge=0, le=1)
    max_repeats: int = Field(default=40, ge=1, le=1000)
    min_pictures: int = Field(default=4, ge=1)  # fewer teach the background rather than the face


class Settings(BaseModel):
    """The settings file: `settings.json` in the program's home. A missing file means these defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    language: Literal["auto", "en", "es"] = "auto"
    quality: QualityControlConfig = QualityControlConfig()
    distribution: DatasetDistribution = DatasetDistribution()
    caption: str = "portrait of {trigger} {class_word}, {details}"  # one line; {details} is what must stay changeable
    base_model: str = EMBEDDED_BASE  # "embedded", a diffusers folder or a single .safetensors file
    sd_scripts: str = ""  # a checkout of kohya-ss/sd-scripts; empty: none
    sd_scripts_python: str = ""  # the Python of its own virtual environment; empty: ours
    gpu: str = "auto"
    preset: str = "balanced"
    models_folder: str = ""  # where models lie that were placed by hand; empty: `models` in the program's home
    # How InsightFace's models may be used here: for research, under a licence held, or neither; empty: nobody was asked yet.
    insightface_use: Literal["", "research", "licensed", "commercial"] = ""


def program_home() -> Path:
    """The folder that holds `settings.json`, `clients/` and `logs/`: the program's own, or what the environment names."""
    return Path(os.environ.get(HOME_VARIABLE) or PROGRAM).resolve()


def settings_file(home: Path) -> Path:
    """Where the settings of a home lie."""
    return home / "settings.json"


def load_settings(home: Path) -> Settings:
    """The settings of a home, the defaults where there is no file; raises BrokenFile."""
    path = settings_file(home)
    return read_record(path, Settings) if path.exists() else Settings()


def save_settings(home: Path, settings: Settings) -> None:
    """Write the settings of a home, atomically."""
    write_record(settings_file(home), settings)


def change_settings(home: Path, settings: Settings, changes: Sequence[str]) -> Settings:
    """Write the settings with `section.name=value` changes; raises SettingRefused, and nothing is written then."""
    values = settings.model_dump(by_alias=True)
    for change in changes:
        name, _equals, value = change.partition("=")
        *sections, key = name.split(".")
        section: Any = values
        for part in sections:
            section = section.get(part) if isinstance(section, dict) else None
        if not isinstance(section, dict) or key not in section or isinstance(section[key], dict):
            raise SettingRefused(name=name, problem=_("there is no such setting"))
        section[key] = value
    try:
        changed = Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingRefused(name=".".join(map(str, first["loc"])), problem=first["msg"]) from error
    save_settings(home, changed)
    return changed


def resolve_base(name: str) -> Path:
    """The folder or file of a base model named in the settings."""
    return PROGRAM / "embedded" / "base" if name == EMBEDDED_BASE else Path(name).expanduser()


# --- GPUs and presets -------------------------------------------------------------------------------------------------
Architecture = Literal["turing-gtx", "turing", "ampere", "ada", "blackwell", "cpu"]


@dataclass(frozen=True, slots=True)
class GPUProfile:
    """What training on a GPU needs to know of it. `seconds_per_step` is at 1024 px, batch 1, with gradient checkpointing."""

    name: str
    vram_gb: float
    architecture: Architecture
    seconds_per_step: float


# Speeds follow the table of the original plan (steps an hour) where it has the card, else scale with its memory bandwidth.
GPU_PROFILES = (
    GPUProfile("GTX 1650 4GB", 4, "turing-gtx", 20.6),
    GPUProfile("RTX 3050 6GB", 6, "ampere", 9.6),
    GPUProfile("RTX 3050 8GB", 8, "ampere", 9.0),
    GPUProfile("RTX 3060 8GB", 8, "ampere", 8.0),
    GPUProfile("RTX 3060 12GB", 12, "ampere", 6.0),
    GPUProfile("RTX 4060 8GB", 8, "ada", 7.2),
    GPUProfile("RTX 4060 Ti 16GB", 16, "ada", 6.0),
    GPUProfile("RTX 4070 12GB", 12, "ada", 3.4),
    GPUProfile("RTX 4080 16GB", 16, "ada", 2.2),
    GPUProfile("RTX 3090 24GB", 24, "ampere", 2.6),
    GPUProfile("RTX 4090 24GB", 24, "ada", 1.5),
    GPUProfile("CPU", 0, "cpu", 900.0),
)


@dataclass(frozen=True, slots=True)
class Preset:
    """How long and how fast to learn (the original plan's three)."""

    name: str
    steps: int
    learning_rate: float


PRESETS = (Preset("quick", 1500, 1.2e-4), Preset("balanced", 2000, 1e-4), Preset("quality", 3000, 8e-5))
