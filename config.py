"""What can be chosen: the settings file, the limits of quality control, the balance of a dataset, GPUs and presets.

Numbers carry their unit in the name or beside them, and say where they come from. Nothing here touches a GPU.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError, model_validator

from language import _
from utils import Record, SettingRefused, read_record, write_record

HOME_VARIABLE = "AVATAR_PIPELINE_HOME"
EMBEDDED_BASE = "embedded"  # the name of the base model that comes with the program
SDXL_BASE = "sdxl"  # SDXL 1.0 itself, to plan for before it is on this machine
SDXL_ID = "stabilityai/stable-diffusion-xl-base-1.0"
PROGRAM = Path(__file__).resolve().parent


class QualityLimits(Record):
    """The limits a face must keep. The first six carry the names of the original plan's JSON.

    Percentages in the comments are of 100 good portraits and of copies spoilt on purpose, measured as `face_quality` measures.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    face_confidence_threshold: float = Field(default=0.85, ge=0, le=1)  # MTCNN's own score; its last net cuts at 0.8 already
    face_padding_factor: float = Field(default=1.6, ge=1, le=3)  # side of the square crop over the longer side of the face box
    min_brightness: float = Field(default=40, ge=0, le=255)  # mean grey of the face; good portraits: 69 to 176 (5 to 95 %)
    max_brightness: float = Field(default=220, ge=0, le=255)
    min_contrast: float = Field(default=25, ge=0)  # standard deviation of the crop's grey; faded copies stay under 25
    # Variance of the Laplacian of the face at 256 px, freed of its exposure, its size and its noise (`face_quality`). The plan's
    # 100 was meant for the 1024 px crop, where it rejects 73 % of good portraits. On this scale good photos have 52 and more;
    # blurred by a hundredth of the face, 97 % of photos and all drawings stay under 25.
    blur_threshold: float = Field(default=25, ge=0)
    # Crete's perceptual blur of the crop at 512 px, which also sees blur in one direction. Good photos have 0.36 to 0.58, smooth
    # drawings up to 0.77, motion of 6 % of the face 0.74 to 0.91.
    max_blur_effect: float = Field(default=0.78, ge=0, le=1)
    # Standard deviation of the noise, in grey levels of 255 (Immerkaer's filter on the flattest fifth of the face). Good photos
    # stay under 4; noise of 20 in each colour measures 12, and lends any blur the sharpness of a good photo.
    max_noise: float = Field(default=8, ge=0)
    # Grey that the brightest twentieth of the face reaches: a dark picture has no light anywhere, dark skin has highlights.
    # Good photos reach 163 and more, at a third of their light 84 at most. Off while min_brightness is 0.
    min_highlight: float = Field(default=90, ge=0, le=255)
    max_clipped: float = Field(default=0.08, ge=0, le=1)  # share of face pixels >= 250; good: up to 0.03, burnt: from 0.07
    max_clipped_picture: float = Field(default=0.4, ge=0, le=1)  # the same of a whole picture, where so much white hides any face
    max_crushed: float = Field(default=0.2, ge=0, le=1)  # share of face pixels <= 8; good: up to 0.05
    # Longer side of the face box on the original. Enlargement refuses more, as long as it is kept (160 px are enlarged 4 times);
    # under 48 px landmarks and identity are guesses.
    min_face_px: float = Field(default=48, ge=1)
    max_upscale: float = Field(default=4.0, ge=1)  # enlargement of the crop to 1024 px; above, it shows the resampling
    warn_upscale: float = Field(default=2.5, ge=1)
    # Share of the wanted square that the picture holds. Half of good portraits miss some, one in ten more than a fifth.
    min_inside: float = Field(default=0.5, ge=0, le=1)
    warn_inside: float = Field(default=0.9, ge=0, le=1)
    # Nose away from the middle of the eyes, in distances of the eyes. 70 portraits: -0.17 to 0.22; a profile: from 0.6.
    max_turn: float = Field(default=0.6, ge=0)
    warn_turn: float = Field(default=0.25, ge=0)
    # Distance of dlib's 128 numbers to the mean of the client's references. 428 pairs of one person: 99 % up to 0.58; 11,662 pairs
    # of two: 1 % under 0.68.
    max_distance: float = Field(default=0.6, ge=0)
    warn_distance: float = Field(default=0.5, ge=0)


class RawLimits(Record):
    """Where camera RAW is judged otherwise: developed here, it is neither sharpened nor freed of noise as a camera's JPEG is,
    and LibRaw brightens it until a hundredth of it is white."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_contrast: float = Field(default=20, ge=0)
    blur_threshold: float = Field(default=18, ge=0)
    max_noise: float = Field(default=12, ge=0)
    max_clipped: float = Field(default=0.1, ge=0, le=1)


class QualityControlConfig(QualityLimits):
    """The standard profile, and in `raw` what differs for camera RAW."""

    raw: RawLimits = RawLimits()

    def profile(self, raw: bool) -> QualityLimits:
        """The limits for a picture of that kind."""
        limits = self.model_dump(exclude={"raw"})
        return QualityLimits.model_validate(limits | (self.raw.model_dump() if raw else {}))


PLAN_KEYS = tuple(QualityLimits.model_fields)[:6]  # the original plan's JSON has them at its top


class DatasetDistribution(Record):
    """How much of what the LoRA sees is real photos (the plan: 85 % MidJourney, 15 % real), and how often a picture repeats."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    share_real: float = Field(default=0.15, ge=0, le=1)
    max_repeats: int = Field(default=40, ge=1, le=1000)
    min_pictures: int = Field(default=4, ge=1)  # fewer teach the background rather than the face
    exam_share: float = Field(default=0.2, ge=0, le=0.5)  # of the real photos, held back to measure the LoRA with
    exam_minimum: int = Field(default=2, ge=1)  # fewer say nothing
    exam_from: int = Field(default=6, ge=1)  # with fewer photos than this, training needs every one
    scene_seconds: float = Field(default=60, ge=0)  # photos taken within so many seconds are one scene
    near_duplicate_bits: int = Field(default=10, ge=0, le=32)  # of 64; the same scene: up to 10, different real photos: from 14


DetailKind = Literal["expression", "clothes", "background", "light", "framing", "other"]
DETAIL_KINDS: tuple[DetailKind, ...] = ("expression", "clothes", "background", "light", "framing", "other")


class Settings(Record):
    """The settings file: `settings.json` in the program's home. A missing file means these defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    language: Literal["auto", "en", "es"] = "auto"
    quality: QualityControlConfig = QualityControlConfig()
    distribution: DatasetDistribution = DatasetDistribution()
    # One line. {details} is all that must stay changeable, in the order below; each kind can also be placed by its own name.
    caption: str = "portrait of {trigger} {class_word}, {details}"
    caption_order: tuple[DetailKind, ...] = DETAIL_KINDS
    caption_model: str = ""  # a folder with a BLIP model, which describes the photos; empty: they are described by measures alone
    base_model: str = EMBEDDED_BASE  # "embedded", a diffusers folder or a single .safetensors file
    sd_scripts: str = ""  # a checkout of kohya-ss/sd-scripts; empty: none
    sd_scripts_python: str = ""  # the Python of its own virtual environment; empty: ours
    sd_scripts_tokenizers: str = ""  # a folder with both CLIP tokenizers, so that training needs no network; empty: the hub's cache
    sd_scripts_source: str = "https://github.com/kohya-ss/sd-scripts"  # where `setup` clones from
    accelerate_config: str = ""  # a file of `accelerate config`, to train on several GPUs or machines; empty: on one
    comfyui: str = ""  # the folder of an installed ComfyUI, for exports
    a1111: str = ""  # the folder of an installed AUTOMATIC1111 web UI, for exports
    gpu: str = "auto"
    preset: str = "balanced"
    models_folder: str = ""  # where models lie that were placed by hand; empty: `models` in the program's home
    # How InsightFace's models may be used here: for research, under a licence held, or neither; empty: nobody was asked yet.
    insightface_use: Literal["", "research", "licensed", "commercial"] = ""

    @model_validator(mode="before")
    @classmethod
    def _read_plan_keys(cls, values: Any) -> Any:
        """The original plan's six limits, which its JSON has at the top, count as if they stood under `quality`."""
        if not isinstance(values, dict) or not any(key in values for key in PLAN_KEYS):
            return values
        old = {key: value for key, value in values.items() if key in PLAN_KEYS}
        new = {key: value for key, value in values.items() if key not in PLAN_KEYS}
        quality = new.get("quality", {})
        return {**new, "quality": {**old, **quality} if isinstance(quality, dict) else quality}


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
    changed = with_changes(settings, changes)
    save_settings(home, changed)
    return changed


def with_changes(settings: Settings, changes: Sequence[str]) -> Settings:
    """The settings with `section.name=value` changes; raises SettingRefused."""
    values = settings.model_dump(by_alias=True)
    for change in changes:
        name, _equals, value = change.partition("=")
        *sections, key = name.split(".")
        section: Any = values
        for part in sections:
            section = section.get(part) if isinstance(section, dict) else None
        if not isinstance(section, dict) or key not in section or isinstance(section[key], dict):
            raise SettingRefused(name=name, problem=_("there is no such setting"))
        section[key] = value.split(",") if isinstance(section[key], list | tuple) else value
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingRefused(name=".".join(map(str, first["loc"])), problem=first["msg"]) from error


def client_limits(settings: Settings, own: Mapping[str, float]) -> QualityControlConfig:
    """The limits that count for a client: those of the settings, with its own (`Client.state().limits`) on top of them.

    Nothing else that judges reads `settings.quality`. Raises SettingRefused for a name or value that is none.
    """
    if not own:
        return settings.quality
    try:
        return with_changes(settings, [f"quality.{name}={value}" for name, value in own.items()]).quality
    except SettingRefused as error:
        name = str(error.facts["name"]).removeprefix("quality.")
        raise SettingRefused(name=f"state.json: limits.{name}", problem=error.facts["problem"]) from error


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
