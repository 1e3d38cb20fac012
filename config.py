"""What can be chosen: the settings file, the limits of quality control, the balance of a dataset, GPUs and presets.

Numbers carry their unit in the name or beside them, and say where they come from. Nothing here touches a GPU.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from locales.language import N_, _
from utils import Record, SettingRefused, explain, locked, nearest, read_record, where, write_record

VERSION = "0.2.0"  # the only place beside pyproject.toml, which a test holds to it
HOME_VARIABLE = "AVATAR_PIPELINE_HOME"
EMBEDDED_BASE = "embedded"  # the name of the base model that comes with the program
SDXL_BASE = "sdxl"  # SDXL 1.0 itself, to plan for before it is on this machine
SDXL_ID = "stabilityai/stable-diffusion-xl-base-1.0"
LONG_SECONDS = 120.0  # a job that takes longer is one that people do not wait for: its end is told, see `machine.notify`
PROGRAM = Path(__file__).resolve().parent
EMBEDDED_FOLDER = PROGRAM / "embedded" / "base"


class SettingUnknown(SettingRefused):
    """Facts: name, nearest."""

    message = N_("There is no setting {name}. The nearest name: {nearest}")


class QualityLimits(Record):
    """The limits a face must keep. The first six carry the names of the original plan's JSON.

    Percentages in the comments are of 100 good portraits and of copies spoilt on purpose, measured as `face_quality` measures.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    # MTCNN's last net cuts at 0.8 already.
    face_confidence_threshold: float = Field(
        default=0.85, ge=0, le=1, title=N_("Certainty of a face"),
        description=N_("A face of which the detector is less certain is passed over. [score]"),
    )  # fmt: skip
    face_padding_factor: float = Field(
        default=1.6, ge=1, le=3, title=N_("Room around the face"),
        description=N_("Side of the square crop over the longer side of the face: more shows more hair and shoulders. [times]"),
    )  # fmt: skip
    # Good portraits: 69 to 176 (5 to 95 %).
    min_brightness: float = Field(
        default=40, ge=0, le=255, title=N_("Darkest face"),
        description=N_("A face whose mean grey is lower is refused as too dark. [grey levels]"),
    )  # fmt: skip
    max_brightness: float = Field(
        default=220, ge=0, le=255, title=N_("Brightest face"),
        description=N_("A face whose mean grey is higher is refused as too bright. [grey levels]"),
    )  # fmt: skip
    # Faded copies stay under 25.
    min_contrast: float = Field(
        default=25, ge=0, title=N_("Least contrast"),
        description=N_("A crop whose grey values spread less is refused as flat and faded. [grey levels]"),
    )  # fmt: skip
    # Variance of the Laplacian of the face at 256 px, freed of its exposure, its size and its noise (`face_quality`). The plan's
    # 100 was meant for the 1024 px crop, where it rejects 73 % of good portraits. On this scale good photos have 52 and more;
    # blurred by a hundredth of the face, 97 % of photos and all drawings stay under 25.
    blur_threshold: float = Field(
        default=25, ge=0, title=N_("Least sharpness"),
        description=N_(
            "A face that is less sharp is refused as blurred: variance of the Laplacian at 256 px. [grey levels squared]"
        ),
    )  # fmt: skip
    # Crete's perceptual blur of the crop at 512 px, which also sees blur in one direction. Good photos have 0.36 to 0.58, smooth
    # drawings up to 0.77, motion of 6 % of the face 0.74 to 0.91.
    max_blur_effect: float = Field(
        default=0.78, ge=0, le=1, title=N_("Most blur"),
        description=N_("Greatest perceptual blur of the crop at 512 px, motion blur too. [0 sharp, 1 blurred]"),
    )  # fmt: skip
    # Standard deviation of the noise, in grey levels of 255 (Immerkaer's filter on the flattest fifth of the face). Good photos
    # stay under 4; noise of 20 in each colour measures 12, and lends any blur the sharpness of a good photo.
    max_noise: float = Field(
        default=8, ge=0, title=N_("Most noise"),
        description=N_("A face with more grain is refused: standard deviation of the noise. [grey levels]"),
    )  # fmt: skip
    # A dark picture has no light anywhere, dark skin has highlights. Good photos reach 163 and more, at a third of their light 84
    # at most.
    min_highlight: float = Field(
        default=90, ge=0, le=255, title=N_("Least highlight"),
        description=N_("Grey that the brightest twentieth of the face must reach; off while `min_brightness` is 0. [grey levels]"),
    )  # fmt: skip
    # Good: up to 0.03, burnt: from 0.07.
    max_clipped: float = Field(
        default=0.08, ge=0, le=1, title=N_("Most burnt white, face"),
        description=N_("Greatest part of the face that may be burnt out: grey 250 and above. [share]"),
    )  # fmt: skip
    max_clipped_picture: float = Field(
        default=0.4, ge=0, le=1, title=N_("Most burnt white, picture"),
        description=N_("The same of a whole picture, where so much white hides any face. [share]"),
    )  # fmt: skip
    # Good: up to 0.05.
    max_crushed: float = Field(
        default=0.2, ge=0, le=1, title=N_("Most black"),
        description=N_("Greatest part of the face that may be black: grey 8 and below. [share]"),
    )  # fmt: skip
    # Enlargement refuses more, as long as it is kept (160 px are enlarged 4 times); under 48 px landmarks and identity are guesses.
    min_face_px: float = Field(
        default=48, ge=1, title=N_("Smallest face"),
        description=N_("A face that is smaller on the original is refused: its longer side. [px]"),
    )  # fmt: skip
    # Above, a crop shows the resampling.
    max_upscale: float = Field(
        default=4.0, ge=1, title=N_("Most enlargement"),
        description=N_("A crop that would have to be enlarged more to reach 1024 px is refused. [times]"),
    )  # fmt: skip
    warn_upscale: float = Field(
        default=2.5, ge=1, title=N_("Enlargement with a warning"),
        description=N_("From this enlargement on a warning is given. [times]"),
    )  # fmt: skip
    # Half of good portraits miss some of the square, one in ten more than a fifth.
    min_inside: float = Field(
        default=0.5, ge=0, le=1, title=N_("Least of the square"),
        description=N_("Least part of the wanted square that the picture must hold; the rest is filled up. [share]"),
    )  # fmt: skip
    warn_inside: float = Field(
        default=0.9, ge=0, le=1, title=N_("Square with a warning"),
        description=N_("With less of the square than this a warning is given. [share]"),
    )  # fmt: skip
    # 70 portraits: -0.17 to 0.22; a profile: from 0.6.
    max_turn: float = Field(
        default=0.6, ge=0, title=N_("Most turn of the head"),
        description=N_(
            "A face turned further away is refused: how far the nose is from the middle of the eyes. [distances of the eyes]"
        ),
    )  # fmt: skip
    warn_turn: float = Field(
        default=0.25, ge=0, title=N_("Turn with a warning"),
        description=N_("From this turn on a warning is given. [distances of the eyes]"),
    )  # fmt: skip
    # 428 pairs of one person: 99 % up to 0.58; 11,662 pairs of two: 1 % under 0.68.
    max_distance: float = Field(
        default=0.6, ge=0, title=N_("Most unlike the client"),
        description=N_(
            "A face that differs more from the client's photos is somebody else: distance of dlib's 128 numbers. [distance]"
        ),
    )  # fmt: skip
    warn_distance: float = Field(
        default=0.5, ge=0, title=N_("Unlike with a warning"),
        description=N_("From this difference on a warning is given. [distance]"),
    )  # fmt: skip


class RawLimits(Record):
    """Where camera RAW is judged otherwise: developed here, it is neither sharpened nor freed of noise as a camera's JPEG is,
    and LibRaw brightens it until a hundredth of it is white."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_contrast: float = Field(
        default=20, ge=0, title=N_("RAW: least contrast"),
        description=N_("The same for camera RAW, which is developed without contrast. [grey levels]"),
    )  # fmt: skip
    blur_threshold: float = Field(
        default=18, ge=0, title=N_("RAW: least sharpness"),
        description=N_("The same for camera RAW, which no camera has sharpened. [grey levels squared]"),
    )  # fmt: skip
    max_noise: float = Field(
        default=12, ge=0, title=N_("RAW: most noise"),
        description=N_("The same for camera RAW, which no camera has freed of noise. [grey levels]"),
    )  # fmt: skip
    max_clipped: float = Field(
        default=0.1, ge=0, le=1, title=N_("RAW: most burnt white"),
        description=N_("The same for camera RAW, which is brightened until a hundredth is white. [share]"),
    )  # fmt: skip


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

    share_real: float = Field(
        default=0.15, ge=0, le=1, title=N_("Share of real photos"),
        description=N_("Part of what the LoRA sees that is real photos; the rest is MidJourney. [share]"),
    )  # fmt: skip
    max_repeats: int = Field(
        default=40, ge=1, le=1000, title=N_("Most repeats"),
        description=N_("Most often that a picture is repeated in an epoch. [times]"),
    )  # fmt: skip
    # Fewer teach the background rather than the face.
    min_pictures: int = Field(
        default=4, ge=1, title=N_("Fewest pictures"), description=N_("A dataset of fewer pictures is refused. [pictures]"),
    )  # fmt: skip
    exam_share: float = Field(
        default=0.2, ge=0, le=0.5, title=N_("Held back for the exam"),
        description=N_("Part of the real photos that is held back, to measure the LoRA with. [share]"),
    )  # fmt: skip
    exam_minimum: int = Field(
        default=2, ge=1, title=N_("Fewest held back"), description=N_("Least that is held back; fewer say nothing. [photos]"),
    )  # fmt: skip
    exam_from: int = Field(
        default=6, ge=1, title=N_("Held back from"),
        description=N_("With fewer real photos than this none is held back: training needs every one. [photos]"),
    )  # fmt: skip
    scene_seconds: float = Field(
        default=60, ge=0, title=N_("One scene within"),
        description=N_("Photos taken within so long are one scene, and stay together. [seconds]"),
    )  # fmt: skip
    # The same scene: up to 10, different real photos: from 14.
    near_duplicate_bits: int = Field(
        default=10, ge=0, le=32, title=N_("Nearly the same"),
        description=N_("Pictures whose perceptual hashes differ in no more are one scene. [bits of 64]"),
    )  # fmt: skip


DetailKind = Literal["expression", "clothes", "background", "light", "framing", "other"]
DETAIL_KINDS: tuple[DetailKind, ...] = ("expression", "clothes", "background", "light", "framing", "other")


class Settings(Record):
    """The settings file: `settings.json` in the program's home. A missing file means these defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema", description="version of the file's form; leave it")
    language: Literal["auto", "en", "es"] = Field(
        default="auto", title=N_("Language"), description=N_("Language of screens and answers; `auto`: the system's."),
    )  # fmt: skip
    pictures: Literal["auto", "kitty", "sixel", "blocks", "off"] = Field(
        default="auto", title=N_("Pictures in the terminal"),
        description=N_(
            "How pictures are shown in the terminal; `auto`: as it can, `blocks`: half blocks in colour, `off`: not at all."
        ),
    )  # fmt: skip
    quality: QualityControlConfig = Field(default=QualityControlConfig(), description="what a face must be, see below")
    distribution: DatasetDistribution = Field(default=DatasetDistribution(), description="how a dataset is made up, see below")
    caption: str = Field(
        default="portrait of {trigger} {class_word}, {details}", title=N_("Caption"),
        description=N_(
            "Template of a caption, one line. `{details}` is all that must stay changeable, in `caption_order`; a kind of "
            "detail can also be placed by its name, such as `{clothes}`."
        ),
    )  # fmt: skip
    caption_order: tuple[DetailKind, ...] = Field(
        default=DETAIL_KINDS, title=N_("Details in a caption"),
        description=N_("Order of the details, with commas between them; a kind left out is not told."),
    )  # fmt: skip
    caption_model: str = Field(
        default="", title=N_("Model that describes photos"),
        description=N_("Folder of a BLIP model, which describes photos; empty: they are described by measures alone."),
    )  # fmt: skip
    base_model: str = Field(
        default=EMBEDDED_BASE, title=N_("Base model"),
        description=N_(
            "What is trained and painted with: `embedded` (for practice), `sdxl`, a folder in diffusers' layout or a single "
            "`.safetensors` file."
        ),
    )  # fmt: skip
    sd_scripts: str = Field(
        default="", title=N_("sd-scripts"),
        description=N_("Folder of kohya-ss/sd-scripts, which trains SDXL; empty: none. `setup sd-scripts` fills it in."),
    )  # fmt: skip
    sd_scripts_python: str = Field(
        default="", title=N_("Python of sd-scripts"),
        description=N_("The Python of its virtual environment; empty: the program's own."),
    )  # fmt: skip
    sd_scripts_tokenizers: str = Field(
        default="", title=N_("Tokenizers"),
        description=N_("Folder with both CLIP tokenizers, so that training needs no network; empty: the hub's cache."),
    )  # fmt: skip
    sd_scripts_source: str = Field(
        default="https://github.com/kohya-ss/sd-scripts", title=N_("Source of sd-scripts"),
        description=N_("Where `setup sd-scripts` clones from."),
    )  # fmt: skip
    accelerate_config: str = Field(
        default="", title=N_("Several GPUs"),
        description=N_("File of `accelerate config`, to train on several GPUs or machines; empty: on one."),
    )  # fmt: skip
    comfyui: str = Field(
        default="", title=N_("ComfyUI"), description=N_("Folder of an installed ComfyUI, for exports."),
    )  # fmt: skip
    a1111: str = Field(
        default="", title=N_("AUTOMATIC1111"), description=N_("Folder of an installed AUTOMATIC1111 web UI, for exports."),
    )  # fmt: skip
    gpu: str = Field(
        default="auto", title=N_("Card to plan for"),
        description=N_(
            "The card that trainings are planned for: a name of the table of cards, or any with its memory (`NAME 16GB`); `auto`: "
            "the one that is here."
        ),
    )  # fmt: skip
    preset: str = Field(
        default="balanced", title=N_("How long to train"),
        description=N_("How long a training takes where nothing else is said: `quick`, `balanced` or `quality`."),
    )  # fmt: skip
    models_folder: str = Field(
        default="", title=N_("Folder of models"),
        description=N_("Where models lie that were placed by hand; empty: `models` in the program's home."),
    )  # fmt: skip
    insightface_use: Literal["", "research", "licensed", "commercial"] = Field(
        default="", title=N_("Use of InsightFace"),
        description=N_(
            "How InsightFace's models are used here: for research, under a licence held, or commercially without one; empty: "
            "nobody was asked yet."
        ),
    )  # fmt: skip

    notify_desktop: bool = Field(
        default=True, title=N_("Tell the desktop"),
        description=N_("Tell the desktop when a job of more than two minutes, or one in the background, has ended."),
    )  # fmt: skip
    notify_bell: bool = Field(default=True, title=N_("Ring the bell"), description=N_("Ring the terminal's bell then."))
    notify_url: str = Field(
        default="", title=N_("Address to tell"),
        description=N_(
            "Address that is told then with a POST, such as a topic of ntfy or a webhook of Slack: https, or a server on this "
            "machine. Of the client it is told the id; empty: none."
        ),
    )  # fmt: skip

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
    """Write the settings of a home as they are given, atomically: where there were none. To change some, `update_settings`."""
    write_record(settings_file(home), settings)


def update_settings(home: Path, change: Callable[[Settings], Settings]) -> Settings:
    """Write the settings of a home changed; they are read anew under a lock, so that what another program changed stays.

    Raises what `change` raises, and BrokenFile; nothing is written then.
    """
    with locked(settings_file(home)):
        changed = change(load_settings(home))
        save_settings(home, changed)
    return changed


def change_settings(home: Path, changes: Sequence[str]) -> Settings:
    """Write the settings with `section.name=value` changes; raises SettingRefused, and nothing is written then."""
    return update_settings(home, lambda settings: with_changes(settings, changes))


def with_changes(settings: Settings, changes: Sequence[str]) -> Settings:
    """The settings with `section.name=value` changes; raises SettingUnknown or SettingRefused."""
    values = settings.model_dump(by_alias=True)
    for change in changes:
        name, _equals, value = change.partition("=")
        *sections, key = name.split(".")
        section: Any = values
        for part in sections:
            section = section.get(part) if isinstance(section, dict) else None
        if not isinstance(section, dict) or key not in section or isinstance(section[key], dict):
            raise SettingUnknown(name=name, nearest=nearest(name, setting_names(settings)) or "-")
        section[key] = [part.strip() for part in value.split(",")] if isinstance(section[key], list | tuple) else value
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingRefused(name=where(error), problem=explain(error)) from error


def setting_names(settings: Settings) -> list[str]:
    """Every setting by its name as `with_changes` takes it: `quality.raw.max_noise`."""

    def below(values: Mapping[str, Any], prefix: str) -> Iterator[str]:
        for name, value in values.items():
            yield from below(value, f"{prefix}{name}.") if isinstance(value, dict) else (f"{prefix}{name}",)

    return list(below(settings.model_dump(by_alias=True), ""))


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
        raise SettingRefused(name=f"state.json: limits.{name}", problem=error.facts.get("problem", error.text())) from error


# --- presets ------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Preset:
    """How long and how fast to learn (the original plan's three)."""

    name: str
    steps: int
    learning_rate: float


PRESETS = (Preset("quick", 1500, 1.2e-4), Preset("balanced", 2000, 1e-4), Preset("quality", 3000, 8e-5))
TUNED, TUNED_LABEL = "tuned", N_("as found for this client")  # a plan by the settings that `tune` found for the client
PRESET_LABELS = {"quick": N_("quick"), "balanced": N_("balanced"), "quality": N_("quality")}
