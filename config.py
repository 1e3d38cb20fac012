"""What can be chosen: the settings file, the limits of quality control, the balance of a dataset, GPUs and presets.

Numbers carry their unit in the name or beside them, and say where they come from. Nothing here touches a GPU.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from locales.language import _
from utils import Record, SettingRefused, read_record, write_record

VERSION = "0.2.0"  # the only place beside pyproject.toml, which a test holds to it
HOME_VARIABLE = "AVATAR_PIPELINE_HOME"
EMBEDDED_BASE = "embedded"  # the name of the base model that comes with the program
SDXL_BASE = "sdxl"  # SDXL 1.0 itself, to plan for before it is on this machine
SDXL_ID = "stabilityai/stable-diffusion-xl-base-1.0"
LONG_SECONDS = 120.0  # a job that takes longer is one that people do not wait for: its end is told, see `machine.notify`
PROGRAM = Path(__file__).resolve().parent
EMBEDDED_FOLDER = PROGRAM / "embedded" / "base"


class QualityLimits(Record):
    """The limits a face must keep. The first six carry the names of the original plan's JSON.

    Percentages in the comments are of 100 good portraits and of copies spoilt on purpose, measured as `face_quality` measures.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    # MTCNN's last net cuts at 0.8 already.
    face_confidence_threshold: float = Field(default=0.85, ge=0, le=1, description="least score that MTCNN gives a face [score]")
    face_padding_factor: float = Field(
        default=1.6, ge=1, le=3, description="side of the square crop over the longer side of the face box [times]"
    )
    # Good portraits: 69 to 176 (5 to 95 %).
    min_brightness: float = Field(default=40, ge=0, le=255, description="least mean grey of the face [grey levels]")
    max_brightness: float = Field(default=220, ge=0, le=255, description="greatest mean grey of the face [grey levels]")
    # Faded copies stay under 25.
    min_contrast: float = Field(default=25, ge=0, description="least standard deviation of the crop's grey [grey levels]")
    # Variance of the Laplacian of the face at 256 px, freed of its exposure, its size and its noise (`face_quality`). The plan's
    # 100 was meant for the 1024 px crop, where it rejects 73 % of good portraits. On this scale good photos have 52 and more;
    # blurred by a hundredth of the face, 97 % of photos and all drawings stay under 25.
    blur_threshold: float = Field(
        default=25, ge=0, description="least sharpness: variance of the Laplacian of the face at 256 px [grey levels squared]"
    )
    # Crete's perceptual blur of the crop at 512 px, which also sees blur in one direction. Good photos have 0.36 to 0.58, smooth
    # drawings up to 0.77, motion of 6 % of the face 0.74 to 0.91.
    max_blur_effect: float = Field(
        default=0.78, ge=0, le=1, description="greatest perceptual blur of the crop at 512 px, motion blur too [0 sharp, 1 blurred]"
    )
    # Standard deviation of the noise, in grey levels of 255 (Immerkaer's filter on the flattest fifth of the face). Good photos
    # stay under 4; noise of 20 in each colour measures 12, and lends any blur the sharpness of a good photo.
    max_noise: float = Field(default=8, ge=0, description="greatest standard deviation of the noise of the face [grey levels]")
    # A dark picture has no light anywhere, dark skin has highlights. Good photos reach 163 and more, at a third of their light 84
    # at most.
    min_highlight: float = Field(
        default=90,
        ge=0,
        le=255,
        description="grey that the brightest twentieth of the face must reach; off while `min_brightness` is 0 [grey levels]",
    )
    # Good: up to 0.03, burnt: from 0.07.
    max_clipped: float = Field(default=0.08, ge=0, le=1, description="greatest part of the face at grey 250 and above [share]")
    max_clipped_picture: float = Field(
        default=0.4, ge=0, le=1, description="the same of a whole picture, where so much white hides any face [share]"
    )
    max_crushed: float = Field(
        default=0.2, ge=0, le=1, description="greatest part of the face at grey 8 and below [share]"
    )  # good: 0.05
    # Enlargement refuses more, as long as it is kept (160 px are enlarged 4 times); under 48 px landmarks and identity are guesses.
    min_face_px: float = Field(default=48, ge=1, description="least longer side of the face box on the original [px]")
    # Above, a crop shows the resampling.
    max_upscale: float = Field(default=4.0, ge=1, description="greatest enlargement of the crop to 1024 px [times]")
    warn_upscale: float = Field(default=2.5, ge=1, description="enlargement from which on a warning is given [times]")
    # Half of good portraits miss some of the square, one in ten more than a fifth.
    min_inside: float = Field(default=0.5, ge=0, le=1, description="least part of the wanted square that the picture holds [share]")
    warn_inside: float = Field(default=0.9, ge=0, le=1, description="part of the square below which a warning is given [share]")
    # 70 portraits: -0.17 to 0.22; a profile: from 0.6.
    max_turn: float = Field(
        default=0.6, ge=0, description="greatest turn of the head: nose away from the middle of the eyes [distances of the eyes]"
    )
    warn_turn: float = Field(default=0.25, ge=0, description="turn from which on a warning is given [distances of the eyes]")
    # 428 pairs of one person: 99 % up to 0.58; 11,662 pairs of two: 1 % under 0.68.
    max_distance: float = Field(
        default=0.6,
        ge=0,
        description="distance of dlib's 128 numbers to the mean of the client's references from which on it is someone else",
    )
    warn_distance: float = Field(default=0.5, ge=0, description="the distance from which on a warning is given")


class RawLimits(Record):
    """Where camera RAW is judged otherwise: developed here, it is neither sharpened nor freed of noise as a camera's JPEG is,
    and LibRaw brightens it until a hundredth of it is white."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_contrast: float = Field(default=20, ge=0, description="as above, for camera RAW [grey levels]")
    blur_threshold: float = Field(default=18, ge=0, description="as above, for camera RAW [grey levels squared]")
    max_noise: float = Field(default=12, ge=0, description="as above, for camera RAW [grey levels]")
    max_clipped: float = Field(default=0.1, ge=0, le=1, description="as above, for camera RAW [share]")


class QualityControlConfig(QualityLimits):
    """The standard profile, and in `raw` what differs for camera RAW."""

    raw: RawLimits = Field(default=RawLimits(), description="the limits that camera RAW has of its own")

    def profile(self, raw: bool) -> QualityLimits:
        """The limits for a picture of that kind."""
        limits = self.model_dump(exclude={"raw"})
        return QualityLimits.model_validate(limits | (self.raw.model_dump() if raw else {}))


PLAN_KEYS = tuple(QualityLimits.model_fields)[:6]  # the original plan's JSON has them at its top


class DatasetDistribution(Record):
    """How much of what the LoRA sees is real photos (the plan: 85 % MidJourney, 15 % real), and how often a picture repeats."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    share_real: float = Field(default=0.15, ge=0, le=1, description="part of what the LoRA sees that is real photos [share]")
    max_repeats: int = Field(default=40, ge=1, le=1000, description="most often that a picture is repeated in an epoch [times]")
    # Fewer teach the background rather than the face.
    min_pictures: int = Field(default=4, ge=1, description="a dataset of fewer is refused [pictures]")
    exam_share: float = Field(
        default=0.2, ge=0, le=0.5, description="part of the real photos that is held back, to measure the LoRA with [share]"
    )
    exam_minimum: int = Field(default=2, ge=1, description="least that is held back; fewer say nothing [photos]")
    exam_from: int = Field(default=6, ge=1, description="with fewer than this none is held back: training needs every one [photos]")
    scene_seconds: float = Field(default=60, ge=0, description="photos taken within so long are one scene [seconds]")
    # The same scene: up to 10, different real photos: from 14.
    near_duplicate_bits: int = Field(
        default=10, ge=0, le=32, description="pictures whose perceptual hashes differ in no more are one scene [bits of 64]"
    )


DetailKind = Literal["expression", "clothes", "background", "light", "framing", "other"]
DETAIL_KINDS: tuple[DetailKind, ...] = ("expression", "clothes", "background", "light", "framing", "other")


class Settings(Record):
    """The settings file: `settings.json` in the program's home. A missing file means these defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema", description="version of the file's form; leave it")
    language: Literal["auto", "en", "es"] = Field(
        default="auto", description="language of screens and answers; `auto`: the system's"
    )
    quality: QualityControlConfig = Field(default=QualityControlConfig(), description="what a face must be, see below")
    distribution: DatasetDistribution = Field(default=DatasetDistribution(), description="how a dataset is made up, see below")
    caption: str = Field(
        default="portrait of {trigger} {class_word}, {details}",
        description="template of a caption, one line. `{details}` is all that must stay changeable, in `caption_order`; a kind "
        "of detail can also be placed by its name, such as `{clothes}`",
    )
    caption_order: tuple[DetailKind, ...] = Field(
        default=DETAIL_KINDS, description="order of the details; a kind left out is not told"
    )
    caption_model: str = Field(
        default="", description="folder of a BLIP model, which describes photos; empty: they are described by measures alone"
    )
    base_model: str = Field(
        default=EMBEDDED_BASE, description="`embedded`, `sdxl`, a folder in diffusers' layout or a single `.safetensors` file"
    )
    sd_scripts: str = Field(
        default="", description="a checkout of kohya-ss/sd-scripts; empty: none. `setup sd-scripts` fills it in"
    )
    sd_scripts_python: str = Field(default="", description="the Python of its virtual environment; empty: the program's own")
    sd_scripts_tokenizers: str = Field(
        default="", description="folder with both CLIP tokenizers, so that training needs no network; empty: the hub's cache"
    )
    sd_scripts_source: str = Field(
        default="https://github.com/kohya-ss/sd-scripts", description="where `setup sd-scripts` clones from"
    )
    accelerate_config: str = Field(
        default="", description="file of `accelerate config`, to train on several GPUs or machines; empty: on one"
    )
    comfyui: str = Field(default="", description="folder of an installed ComfyUI, for exports")
    a1111: str = Field(default="", description="folder of an installed AUTOMATIC1111 web UI, for exports")
    gpu: str = Field(default="auto", description="the card to plan for, by a name of the table below; `auto`: the one that is here")
    preset: str = Field(default="balanced", description="how long to train: `quick`, `balanced` or `quality`")
    models_folder: str = Field(
        default="", description="where models lie that were placed by hand; empty: `models` in the program's home"
    )
    insightface_use: Literal["", "research", "licensed", "commercial"] = Field(
        default="",
        description="how InsightFace's models are used here: for research, under a licence held, or commercially without one; "
        "empty: nobody was asked yet",
    )

    notify_desktop: bool = Field(
        default=True, description="tell the desktop when a job of more than two minutes or one in the background has ended"
    )
    notify_bell: bool = Field(default=True, description="ring the terminal's bell then")
    notify_url: str = Field(
        default="",
        description="address that is told then with a POST, such as a topic of ntfy or a webhook of Slack: https, or a server on "
        "this machine. Of the client it is told the id; empty: none",
    )

    @field_validator("notify_url")
    @classmethod
    def _check_notify_url(cls, url: str) -> str:
        """What is told of a client's job goes over no open line."""
        address = urlsplit(url)
        here = address.scheme == "http" and address.hostname in ("localhost", "127.0.0.1", "::1")
        if url and not (address.hostname and (address.scheme == "https" or here)):
            raise ValueError(_("an address that begins with https:// is needed, or http:// on this machine itself"))
        return url

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


# --- GPUs and presets -------------------------------------------------------------------------------------------------
Architecture = Literal["turing-gtx", "turing", "ampere", "ada", "blackwell", "cpu"]


@dataclass(frozen=True, slots=True)
class GPUProfile:
    """What training on a GPU needs to know of it. `seconds_per_step` is at 1024 px, batch 1, with gradient checkpointing."""

    name: str
    vram_gb: float
    architecture: Architecture
    seconds_per_step: float


# None of these was measured by this program on a card: speeds follow the table of the original plan (steps an hour) where it has
# the card, the rest are estimates between its rows.
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
