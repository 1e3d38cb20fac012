"""From a GPU, a preset, a dataset and a base model to a training plan and the trainer's command line.

Pure and instant: no GPU is asked and no file is read. What a plan costs, and whether it works, is for `cost`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, ValidationError

from client_folder.client import Client
from client_folder.tuned import TunedSettings
from config import Preset
from locales.language import N_, Labelled, _
from machine.base_models import BaseKind
from machine.cards import GPUProfile
from training.errors import PlanRefused
from training.secret_options import part_secrets
from utils import Record, explain, where

Precision = Literal["no", "fp16", "bf16"]
Optimizer = Literal["AdamW", "AdamW8bit", "Adafactor"]
Scheduler = Literal["constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts"]


class TrainerKind(StrEnum):
    """Which program trains."""

    EMBEDDED = "embedded"
    SD_SCRIPTS = "sd_scripts"


class Fit(Labelled):
    """Whether a plan fits the GPU it is made for."""

    FITS = "fits", N_("it fits")
    TIGHT = "tight", N_("it is tight")  # works on paper, or only experimentally; close other programs
    NO = "no", N_("it will not fit")


NOT_A_SETTING = N_("{field} cannot be that: {problem}")
SEE_SETTINGS = N_("Correct that setting, or leave it out to use the recommended one.")


# --- facts ------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """What lies on disk: pictures, samples an epoch shows (pictures times repeats), and a digest of pictures and captions."""

    images: int
    samples_per_epoch: int
    digest: str = ""
    regularised: bool = False  # pictures of other people come with it; the trainer shows as many of them again


@dataclass(frozen=True, slots=True)
class BaseFacts:
    """A base model: the side in pixels it was trained at, and a digest that changes with its weights."""

    kind: BaseKind
    path: Path
    trainer: TrainerKind
    resolution: int = 1024
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Overrides:
    """Settings of a plan that the user wants otherwise; None leaves the recommended value."""

    dim: int | None = None
    alpha: float | None = None
    conv_dim: int | None = None
    resolution: int | None = None
    batch: int | None = None
    accumulation: int | None = None
    precision: str | None = None
    fp8: bool | None = None
    optimizer: str | None = None
    steps: int | None = None
    learning_rate: float | None = None
    scheduler: str | None = None
    warmup: int | None = None
    save_every: int | None = None
    seed: int | None = None
    unet_only: bool | None = None
    sample_every: int | None = None
    sample_px: int | None = None
    extra: tuple[str, ...] | None = None

    def over(self, found: TunedSettings) -> Overrides:
        """These wishes on top of what was found for the client; a rank of one's own takes its own alpha."""
        values: dict[str, Any] = {"learning_rate": found.learning_rate, "steps": found.steps}
        values |= {"dim": found.dim, "alpha": found.alpha} if self.dim is None else {}
        return replace(self, **{name: value for name, value in values.items() if getattr(self, name) is None})


# Plans of older versions hold secrets too; without them they teach the same.
_Words = Annotated[tuple[str, ...], AfterValidator(lambda words: part_secrets(words)[0])]


class TrainingPlan(Record):
    """All that decides what a training learns; saved as `training/lora_config.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    version: int = Field(default=1, ge=1)  # of the client's LoRA: a changed plan or dataset makes a new one
    preset: str
    gpu: GPUProfile
    trainer: TrainerKind
    base: str  # path of the base model
    base_kind: BaseKind
    base_digest: str
    dataset_digest: str
    images: int = Field(ge=1)
    samples_per_epoch: int = Field(ge=1)
    regularised: bool
    dim: int = Field(ge=1, le=1024)
    alpha: float = Field(gt=0)
    conv_dim: int = Field(default=0, ge=0, le=1024)  # rank of 3x3 convolutions; 0: they are not trained
    resolution: int = Field(ge=64, le=2048, multiple_of=32)  # pixels a side; SDXL halves a picture five times
    batch: int = Field(default=1, ge=1)
    accumulation: int = Field(default=1, ge=1)
    precision: Precision
    fp8: bool = False  # the frozen U-Net only
    optimizer: Optimizer
    steps: int = Field(ge=1)
    learning_rate: float = Field(gt=0, lt=1)
    scheduler: Scheduler
    warmup: int = Field(ge=0)  # steps
    save_every: int = Field(ge=1)  # steps
    seed: int = 42
    unet_only: bool = True
    workers: int = 0  # with everything cached, loader processes cost start-up time and give nothing
    sample_every: int = Field(default=0, ge=0)  # steps between pictures painted while training; 0: none
    sample_px: int = Field(default=0, ge=0, le=2048, multiple_of=8)  # side of those pictures; 0: as large as the training's
    extra: _Words = ()  # further options, in sd-scripts' own words
    tokenizers: str = ""  # folder of both CLIP tokenizers, where sd-scripts needs no network for them
    processes: int = Field(default=1, ge=1)  # GPUs that train together, each on pictures of its own
    insisted: bool = False  # the original plan's values, taken in spite of what the estimate says
    changes: tuple[str, ...] = ()  # smaller plans taken because the GPU's memory was full, as `setting: before -> after`

    @property
    def practice(self) -> bool:
        """Whether the base is a practice model."""
        return self.base_kind is BaseKind.EMBEDDED

    @property
    def sample_side(self) -> int:
        """Side in pixels of the pictures painted while training."""
        return self.sample_px or self.resolution

    def output_name(self, client: Client) -> str:
        """The name of the LoRA's files, without the ending."""
        return client.lora_name(self.version)

    def steps_per_epoch(self) -> int:
        """Optimizer steps in one pass over the dataset, as sd-scripts counts them."""
        shown = self.samples_per_epoch * (2 if self.regularised else 1)
        return math.ceil(math.ceil(math.ceil(shown / self.batch) / self.processes) / self.accumulation)

    def teaches_the_same(self, other: TrainingPlan) -> bool:
        """Whether both plans end in the same LoRA; which machine trains and where files lie does not count."""
        aside = {
            "version",
            "preset",
            "gpu",
            "base",
            "workers",
            "save_every",
            "sample_every",
            "sample_px",
            "tokenizers",
            "insisted",
            "changes",
        }
        return self.model_dump(exclude=aside) == other.model_dump(exclude=aside)


# --- recommended values -----------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _VramRow:
    """What fits a GPU of at least `vram_gb`."""

    vram_gb: float
    dim: int
    resolution: int
    batch: int
    optimizer: Optimizer
    fp8: bool
    sample_px: int  # of the pictures painted while training: decoding one of 1024 px takes more than a training step


# sd-scripts' documentation: "8GB GPU memory (10GB recommended)" with dim 4 to 8; below that nothing is documented to work.
_BY_VRAM = (
    _VramRow(22, 96, 1024, 2, "AdamW", False, 1024),
    _VramRow(15, 64, 1024, 1, "AdamW8bit", False, 1024),
    _VramRow(11, 32, 1024, 1, "AdamW8bit", False, 1024),
    _VramRow(7.5, 8, 1024, 1, "AdamW8bit", False, 768),
    _VramRow(5.5, 8, 768, 1, "AdamW8bit", True, 512),
    _VramRow(0, 4, 512, 1, "AdamW8bit", True, 512),
)
# Steps. What is lost at most, by config.GPU_PROFILES at 1024 px: 8 minutes on an RTX 4090 (two pictures a step), 11 on an RTX 3060
# 12GB, 19 on an RTX 3050 8GB, and as many times more as gradients are accumulated.
_SDXL_SAVE_EVERY = 250


# What the original plan names for its cards, text encoders trained too; `cost` tells what is true of it.
_ORIGINAL_8GB: Mapping[str, object] = {
    "dim": 96, "alpha": 48, "resolution": 1024, "batch": 1, "accumulation": 2, "precision": "fp16", "optimizer": "AdamW8bit",
    "fp8": False, "unet_only": False,
}  # fmt: skip
ORIGINAL: Mapping[str, Mapping[str, object]] = {
    "GTX 1650 4GB": {**_ORIGINAL_8GB, "dim": 32, "alpha": 16, "resolution": 768, "accumulation": 8},
    "RTX 3050 8GB": _ORIGINAL_8GB,
    "RTX 3060 8GB": _ORIGINAL_8GB,
    "RTX 4060 8GB": {**_ORIGINAL_8GB, "dim": 128, "alpha": 64},
    "RTX 4060 Ti 16GB": {**_ORIGINAL_8GB, "dim": 128, "alpha": 64},
}


@dataclass(frozen=True, slots=True)
class EmbeddedValues:
    """What moves the embedded base to a client within a minute or two on two cores, and leaves other people alone."""

    steps: Mapping[str, int]
    learning_rate: float
    dim: int
    batch: int
    warmup: int
    save_every: int
    seconds_per_step: float  # on two cores, at that batch
    mb_per_dim: float  # size of the file in fp16, for each unit of rank
    vram_gb: float  # where there is a GPU


EMBEDDED = EmbeddedValues({"quick": 150, "balanced": 220, "quality": 400}, 1.5e-3, 16, 8, 10, 110, 0.25, 0.29, 0.9)


def make_plan(
    profile: GPUProfile,
    preset: Preset,
    dataset: DatasetFacts,
    base: BaseFacts,
    overrides: Overrides | None = None,
    *,
    original: bool = False,
) -> TrainingPlan:
    """The recommended plan, or the original plan's where it names the card, with the user's changes.

    Raises PlanRefused for a value that no trainer takes.
    """
    values = _embedded_values(preset, base) if base.kind is BaseKind.EMBEDDED else _sdxl_values(profile, preset, base)
    plan = _validated({
        "preset": preset.name, "gpu": profile, "trainer": base.trainer, "base": str(base.path), "base_kind": base.kind,
        "base_digest": base.digest, "dataset_digest": dataset.digest, "images": dataset.images,
        "samples_per_epoch": dataset.samples_per_epoch, "regularised": dataset.regularised, **values,
    })  # fmt: skip
    plan = (original_of(plan) or plan) if original else plan
    wanted = overrides or Overrides()
    plan = _validated({**plan.model_dump(by_alias=True), **_wanted(plan, wanted)})
    return plan if wanted.save_every or wanted.sample_every is not None else _sampled_at_the_end(plan)


def _sampled_at_the_end(plan: TrainingPlan) -> TrainingPlan:
    """sd-scripts paints at multiples of a number of steps only; one that divides the steps gives the finished LoRA a sample too.

    Where no such number is near the usual one, the plan stays: checkpoints far apart or close together are worse.
    """
    if plan.trainer is not TrainerKind.SD_SCRIPTS or not plan.sample_every or plan.steps % plan.sample_every == 0:
        return plan
    usual = min(plan.save_every, plan.steps)
    near = [every for every in range(usual, usual // 2, -1) if plan.steps % every == 0]
    return plan.model_copy(update={"save_every": near[0], "sample_every": near[0]}) if near else plan


def original_values(card: GPUProfile, kind: BaseKind) -> Mapping[str, object]:
    """What the original plan names for a card; nothing where it names none, and for a base that is not SDXL."""
    return ORIGINAL.get(card.name, {}) if kind is BaseKind.SDXL else {}


def original_of(plan: TrainingPlan) -> TrainingPlan | None:
    """The same training with the original plan's values for that card; None where it names none."""
    values = original_values(plan.gpu, plan.base_kind)
    return _validated({**plan.model_dump(by_alias=True), **values, "insisted": True}) if values else None


def _wanted(plan: TrainingPlan, overrides: Overrides) -> dict[str, object]:
    """The user's values, and what has to follow them: alpha keeps its ratio to dim, the warm-up stays short."""
    wanted = {name: value for name, value in asdict(overrides).items() if value is not None}
    if overrides.dim and overrides.alpha is None:
        wanted["alpha"] = plan.alpha / plan.dim * overrides.dim
    if overrides.resolution and overrides.sample_px is None and plan.sample_px:
        wanted["sample_px"] = min(plan.sample_px, overrides.resolution)
    if overrides.steps and overrides.warmup is None:
        wanted["warmup"] = min(plan.warmup, overrides.steps // 10)
    return wanted


def _validated(values: Mapping[str, object]) -> TrainingPlan:
    try:
        return TrainingPlan.model_validate(values)
    except ValidationError as error:
        told = _(NOT_A_SETTING).format(field=where(error), problem=explain(error))
        raise PlanRefused(reason=told, cure=_(SEE_SETTINGS)) from error


def _embedded_values(preset: Preset, base: BaseFacts) -> dict[str, object]:
    steps = EMBEDDED.steps.get(preset.name, EMBEDDED.steps["balanced"])
    return {
        "dim": EMBEDDED.dim, "alpha": EMBEDDED.dim, "conv_dim": EMBEDDED.dim, "resolution": base.resolution,
        "batch": EMBEDDED.batch, "precision": "no", "optimizer": "AdamW", "steps": steps,
        "learning_rate": EMBEDDED.learning_rate, "scheduler": "cosine", "warmup": EMBEDDED.warmup,
        "save_every": EMBEDDED.save_every, "sample_every": EMBEDDED.save_every,
    }  # fmt: skip


def _sdxl_values(profile: GPUProfile, preset: Preset, base: BaseFacts) -> dict[str, object]:
    row = next(row for row in _BY_VRAM if profile.vram_gb >= row.vram_gb)
    precision = _precision_for(profile)
    return {
        "dim": row.dim, "alpha": row.dim / 2, "resolution": row.resolution, "batch": row.batch,
        "precision": precision, "fp8": row.fp8 and base.trainer is TrainerKind.SD_SCRIPTS and precision != "no",
        "optimizer": row.optimizer, "steps": preset.steps, "learning_rate": preset.learning_rate,
        "scheduler": "cosine_with_restarts", "warmup": preset.steps // 10, "save_every": _SDXL_SAVE_EVERY,
        "sample_every": _SDXL_SAVE_EVERY, "sample_px": row.sample_px,
    }  # fmt: skip


def _precision_for(profile: GPUProfile) -> Precision:
    if profile.architecture == "cpu":
        return "no"
    return "fp16" if profile.architecture.startswith("turing") else "bf16"


# --- the command line -------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Resume:
    """A saved state to go on from, and the optimizer step it was saved at."""

    state: Path
    step: int


def run_name(plan: TrainingPlan, client: Client, resume: Resume | None = None) -> str:
    """The `--output_name` of one run.

    sd-scripts counts a resumed run from 0 again, so its files carry the step it began at, and none is ever overwritten.
    """
    name = plan.output_name(client)
    return f"{name}-from{resume.step:08d}" if resume and plan.trainer is TrainerKind.SD_SCRIPTS else name


def kohya_arguments(plan: TrainingPlan, client: Client, resume: Resume | None = None) -> tuple[str, ...]:
    """All that follows the script's name, in sd-scripts' own words; both trainers read it."""
    return (
        *_data_arguments(plan, client),
        *_network_arguments(plan),
        *_learning_arguments(plan),
        *_memory_arguments(plan),
        *_saving_arguments(plan, client, resume),
        *_sample_arguments(plan, client),
        *_resume_arguments(plan, resume),
        *plan.extra,
    )


def _data_arguments(plan: TrainingPlan, client: Client) -> list[str]:
    regularisation = ["--reg_data_dir", str(client.regularisation)] if plan.regularised else []
    tokenizers = ["--tokenizer_cache_dir", plan.tokenizers] if plan.tokenizers else []
    return [
        "--pretrained_model_name_or_path", plan.base, *tokenizers,
        "--train_data_dir", str(client.training_data), *regularisation,
        "--resolution", f"{plan.resolution},{plan.resolution}", "--caption_extension", ".txt",
        "--train_batch_size", str(plan.batch), "--max_data_loader_n_workers", str(plan.workers),
    ]  # fmt: skip


def _network_arguments(plan: TrainingPlan) -> list[str]:
    arguments = ["--network_module", "networks.lora", "--network_dim", str(plan.dim), "--network_alpha", f"{plan.alpha:g}"]
    if plan.conv_dim:
        arguments += ["--network_args", f"conv_dim={plan.conv_dim}", f"conv_alpha={plan.conv_dim * plan.alpha / plan.dim:g}"]
    return [*arguments, "--network_train_unet_only"] if plan.unet_only else arguments


def _learning_arguments(plan: TrainingPlan) -> list[str]:
    arguments = [
        "--max_train_steps", str(plan.steps), "--learning_rate", f"{plan.learning_rate:g}",
        "--lr_scheduler", plan.scheduler, "--lr_warmup_steps", str(plan.warmup),
        "--optimizer_type", plan.optimizer, "--seed", str(plan.seed),
    ]  # fmt: skip
    if plan.accumulation > 1:
        arguments += ["--gradient_accumulation_steps", str(plan.accumulation)]
    if plan.optimizer == "Adafactor":
        # Without these it ignores the learning rate.
        arguments += ["--optimizer_args", "scale_parameter=False", "relative_step=False", "warmup_init=False"]
    return arguments


def _memory_arguments(plan: TrainingPlan) -> list[str]:
    """`--no_half_vae` always: in half precision SDXL's VAE gives NaN for some pictures."""
    arguments = ["--mixed_precision", plan.precision, "--no_half_vae", "--sdpa", "--cache_latents"]
    real = plan.base_kind is BaseKind.SDXL
    arguments += ["--cache_latents_to_disk", "--gradient_checkpointing"] if real else []
    arguments += ["--cache_text_encoder_outputs"] if plan.unet_only else []
    arguments += ["--cache_text_encoder_outputs_to_disk"] if plan.unet_only and real else []
    return [*arguments, "--fp8_base_unet"] if plan.fp8 else arguments


def _saving_arguments(plan: TrainingPlan, client: Client, resume: Resume | None) -> list[str]:
    """Two states are kept while training, so that a torn one is never the only one."""
    return [
        "--output_dir", str(client.models), "--output_name", run_name(plan, client, resume),
        "--save_model_as", "safetensors", "--save_precision", "fp16", "--save_every_n_steps", str(plan.save_every),
        "--save_state", "--save_last_n_steps_state", str(plan.save_every),
        "--logging_dir", str(client.logs), "--log_with", "tensorboard", "--console_log_simple",
    ]  # fmt: skip


def _sample_arguments(plan: TrainingPlan, client: Client) -> list[str]:
    if not plan.sample_every:
        return []
    return ["--sample_prompts", str(client.sample_prompts), "--sample_every_n_steps", str(plan.sample_every)]


def _resume_arguments(plan: TrainingPlan, resume: Resume | None) -> list[str]:
    """The embedded trainer goes on at the state's step. sd-scripts skips right only in the first epoch (its issue 2248: it counts
    steps from the epoch's start after that), so it is told the epoch, chosen so that all steps that are left are run.
    """
    if resume is None:
        return []
    arguments = ["--resume", str(resume.state)]
    if plan.trainer is TrainerKind.EMBEDDED:
        return [*arguments, "--skip_until_initial_step"]
    epoch_steps = plan.steps_per_epoch()
    left = math.ceil((plan.steps - resume.step) / epoch_steps)
    return [*arguments, "--initial_epoch", str(math.ceil(plan.steps / epoch_steps) - left + 1)]
