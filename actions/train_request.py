"""What a training may be asked, the form of it, and the plan that follows."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Literal, Self, get_args, get_origin

import lora_trainer
from actions.action import Form
from actions.base_choice import BASE_HELP, BASE_ROW, offer_bases
from actions.form import request_form
from actions.request import Ask, BackgroundRequest, ClientRequest, Job
from client_folder.consent import Consent, What, has_consent
from config import PRESET_LABELS, PRESETS, TUNED, TUNED_LABEL
from locales.language import N_, _, ngettext
from lora_trainer import PreparedTraining
from training.arguments import read_extra
from training.cost import duration
from training.plan import Overrides, TrainingPlan
from training.secret_options import part_text
from utils import PipelineError

_VALUE_LABELS = {
    "recommended": N_("the recommended values"),
    "original": N_("the original plan's values (more than the card is likely to hold)"),
}
PRESET_NAMES = tuple(preset.name for preset in PRESETS)
_CONSENT_HELP = N_("Did the person agree to have a likeness trained? Say who agreed, how and when:")
_BASE_HELP = N_("base model: embedded, sdxl (to plan for SDXL 1.0), a diffusers folder or a .safetensors file")
_SCHEDULER_HELP = N_("constant, constant_with_warmup, linear, cosine or cosine_with_restarts")
_ACCUMULATION_HELP = N_("steps whose gradients are added up; lowers no memory")
_EXTRA_HELP = N_(
    "further options of sd-scripts, as in --extra='--noise_offset 0.05'; tokens (--huggingface_token, --wandb_api_key) are kept in "
    "no file, so give them again each time"
)
_RECOMMENDED = {"": N_("as recommended"), "yes": N_("yes"), "no": N_("no")}
_CONSENT_ROW_HELP = N_("Did the person agree to have a likeness trained? Say who agreed, how and when; it is kept on record.")
_PRESET_ROW_HELP = N_("Longer is more alike, up to a point. The times are estimates for this card and dataset.")
_VALUES_ROW_HELP = N_("What the original plan names for this card, or what is known to fit.")


def names_original(job: Job[TrainRequest]) -> bool:
    """Whether the original plan has values for the card, so that there is something to choose."""
    try:
        return lora_trainer.names_original(job.who, job.settings, gpu=job.request.gpu, base_model=job.request.base)
    except PipelineError:
        return False


def _try_plan(job: Job[TrainRequest], preset: str | None) -> PreparedTraining | None:
    """What is recommended for the base and values that are chosen; None where nothing can be planned."""
    request = job.request
    with contextlib.suppress(PipelineError):
        return lora_trainer.plan_training(
            job.who, job.settings, gpu=request.gpu, preset=preset, base_model=request.base, original=request.values == "original"
        )
    return None


def _has_tuned(job: Job[TrainRequest]) -> bool:
    """Whether `tune` found settings for the client on the base that is chosen."""
    with contextlib.suppress(PipelineError):
        return lora_trainer.has_tuned(job.who, job.settings, job.request.base)
    return False


def _presets(job: Job[TrainRequest]) -> list[tuple[str, str]]:
    """The presets, each with its time where that can be told."""
    rows = []
    found = {TUNED: TUNED_LABEL} if _has_tuned(job) else {}
    for name, label in {**found, **PRESET_LABELS}.items():
        prepared = _try_plan(job, name)
        rows.append((name, f"{_(label)}, {duration(prepared.estimate.seconds)}" if prepared else _(label)))
    return rows


def _value(name: str, label: str, metavar: str, row: str, row_help: str) -> Ask:
    """What a setting of the plan says of itself: a row behind "more", checked as the plan checks it."""
    field = TrainingPlan.model_fields[name]
    words = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    offer = (lambda _job: [("", _(_RECOMMENDED[""])), *((word, word) for word in words)]) if words else None
    worded = field.annotation is bool
    return Ask(
        label, f"--{name.replace('_', '-')}", metavar, row=row, row_help=row_help, more=True, offer=offer, worded=worded,
        labels=_RECOMMENDED if worded else {}, checked_as=None if worded else field, kept=name != "seed",
    )  # fmt: skip


class TrainRequest(ClientRequest, BackgroundRequest):
    """How to train; what is left out is what the plan recommends."""

    consent: Annotated[
        str,
        Ask(
            _CONSENT_HELP, "--consent", "TEXT", row=N_("consent"), row_help=_CONSENT_ROW_HELP, kept=False,
            checked_as=Consent.model_fields["by"], when=lambda job: not has_consent(job.who, What.TRAINING),
        ),
    ] = ""  # fmt: skip
    gpu: Annotated[str | None, Ask(N_("plan for this GPU instead of the one that is here"), "--gpu", "NAME")] = None
    base: Annotated[str, Ask(_BASE_HELP, "--base", "NAME", row=BASE_ROW, row_help=BASE_HELP, offer=offer_bases)] = ""
    preset: Annotated[
        str | None,
        Ask(
            N_("How long to train:"), "--preset", row=N_("how long to train"), row_help=_PRESET_ROW_HELP,
            choices=(*PRESET_NAMES, TUNED), offer=_presets, suggest=lambda job: TUNED if _has_tuned(job) else job.settings.preset,
        ),
    ] = None  # fmt: skip
    values: Annotated[
        Literal["recommended", "original"],
        Ask(
            N_("Which values to train with:"), "--values", row=N_("values"), row_help=_VALUES_ROW_HELP, labels=_VALUE_LABELS,
            when=names_original,
        ),
    ] = "recommended"  # fmt: skip
    steps: Annotated[
        int | None,
        _value("steps", N_("optimizer steps"), "N", N_("steps"), N_("How often the LoRA is corrected; the preset says it else.")),
    ] = None  # fmt: skip
    dim: Annotated[
        int | None,
        _value("dim", N_("rank of the LoRA"), "N", N_("rank"),
               N_("The size of the LoRA: more holds more detail and takes more memory.")),
    ] = None  # fmt: skip
    alpha: Annotated[
        float | None,
        _value("alpha", N_("alpha of the LoRA"), "X", N_("alpha"), N_("How strongly the rank counts; half of the rank is usual.")),
    ] = None  # fmt: skip
    conv_dim: Annotated[
        int | None,
        _value("conv_dim", N_("rank of the 3x3 convolutions, 0 for none"), "N", N_("rank of convolutions"),
               N_("The rank of the 3x3 convolutions; 0: they are not trained.")),
    ] = None  # fmt: skip
    resolution: Annotated[
        int | None,
        _value("resolution", N_("pixels a side"), "PX", N_("resolution"),
               N_("Side of the pictures in pixels; less takes less memory.")),
    ] = None  # fmt: skip
    batch: Annotated[
        int | None,
        _value("batch", N_("pictures a step"), "N", N_("batch"), N_("Pictures that are learned from at once; each takes memory.")),
    ] = None  # fmt: skip
    accumulation: Annotated[
        int | None,
        _value("accumulation", _ACCUMULATION_HELP, "N", N_("accumulation"),
               N_("Steps whose gradients are added up; lowers no memory.")),
    ] = None  # fmt: skip
    learning_rate: Annotated[
        float | None,
        _value("learning_rate", N_("learning rate"), "X", N_("learning rate"),
               N_("How far each step goes; too much spoils the LoRA.")),
    ] = None  # fmt: skip
    scheduler: Annotated[
        str | None,
        _value("scheduler", _SCHEDULER_HELP, "NAME", N_("scheduler"), N_("How the learning rate falls toward the end.")),
    ] = None  # fmt: skip
    warmup: Annotated[
        int | None,
        _value("warmup", N_("steps of warm-up"), "N", N_("warm-up"), N_("Steps in which the learning rate rises from nothing.")),
    ] = None  # fmt: skip
    optimizer: Annotated[
        str | None,
        _value("optimizer", N_("AdamW, AdamW8bit or Adafactor"), "NAME", N_("optimizer"),
               N_("AdamW8bit takes less memory than AdamW.")),
    ] = None  # fmt: skip
    precision: Annotated[
        str | None,
        _value("precision", N_("no, fp16 or bf16"), "NAME", N_("precision"),
               N_("bf16 on RTX 3000 and newer, fp16 on older cards.")),
    ] = None  # fmt: skip
    fp8: Annotated[
        bool | None,
        _value("fp8", N_("the frozen U-Net in 8 bits: yes or no"), "", N_("U-Net in 8 bits"),
               N_("Holds the frozen U-Net in 8 bits: less memory.")),
    ] = None  # fmt: skip
    unet_only: Annotated[
        bool | None,
        _value("unet_only", N_("leave the text encoders alone: yes or no"), "", N_("U-Net only"),
               N_("Leaves the text encoders as they are.")),
    ] = None  # fmt: skip
    save_every: Annotated[
        int | None,
        _value("save_every", N_("steps between checkpoints"), "N", N_("checkpoint every"),
               N_("Steps between checkpoints; from the last one a stopped training goes on.")),
    ] = None  # fmt: skip
    sample_every: Annotated[
        int | None,
        _value("sample_every", N_("steps between samples, 0 for none"), "N", N_("sample every"),
               N_("Steps between pictures painted while training; 0: none.")),
    ] = None  # fmt: skip
    sample_px: Annotated[
        int | None,
        _value("sample_px", N_("side of the samples in pixels, 0 for the training's"), "PX", N_("side of the samples"),
               N_("Pictures painted while training: smaller ones take less memory; 0: as large as the training's.")),
    ] = None  # fmt: skip
    seed: Annotated[
        int | None,
        _value("seed", N_("seed of the training"), "N", N_("seed"), N_("The same seed gives the same LoRA again.")),
    ] = None  # fmt: skip
    extra: Annotated[
        str,
        Ask(_EXTRA_HELP, "--extra", "TEXT", row=N_("further options"), more=True, kept_as=lambda text: part_text(text)[0],
            row_help=N_("Further options of sd-scripts, such as: --noise_offset 0.05. Tokens are not kept; give them each time.")),
    ] = ""  # fmt: skip
    anyway: Annotated[bool, Ask(N_("train although the dataset doctor says no-go"), "--anyway")] = False

    @property
    def secrets(self) -> Mapping[str, str]:
        """Tokens among the further options, by the variable that the trainer finds each in."""
        return part_text(self.extra)[1]

    def handed_over(self) -> tuple[Self, Mapping[str, str]]:
        """Without tokens, and these beside it."""
        return self.model_copy(update={"extra": part_text(self.extra)[0]}), self.secrets

    @property
    def overrides(self) -> Overrides:
        """The settings of a plan that are wanted otherwise; raises what `read_extra` raises."""
        named = {one.name for one in fields(Overrides)} - {"extra"}
        return Overrides(**self.model_dump(include=named), extra=read_extra(self.extra) if self.extra else None)


def plan_training(job: Job[TrainRequest]) -> PreparedTraining:
    """The plan as it is asked for."""
    request = job.request
    return lora_trainer.plan_training(
        job.who, job.settings, gpu=request.gpu, preset=request.preset, overrides=request.overrides,
        base_model=request.base, original=request.values == "original",
    )  # fmt: skip


def _usual(job: Job[TrainRequest]) -> dict[str, str]:
    """What is recommended, for the rows that are left empty."""
    prepared = _try_plan(job, job.request.preset)
    values = prepared.plan.model_dump(include={one.name for one in fields(Overrides)} - {"extra"}) if prepared else {}
    words = {True: _("yes"), False: _("no")}
    return {
        name: words[value] if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
        for name, value in values.items()
    }


def _go_on(job: Job[TrainRequest]) -> str:
    """What the plan says of it in one line, or why there is none."""
    try:
        prepared = plan_training(job)
    except PipelineError as error:
        return error.text()
    steps = ngettext("{count} step", "{count} steps", prepared.plan.steps).format(count=prepared.plan.steps)
    return f"{steps}, {duration(prepared.estimate.seconds)}, {prepared.estimate.verdict.label}"


def train_form(job: Job[TrainRequest]) -> Form:
    """All that a training may be asked, on one screen."""
    return request_form("train", job, _("Training of {client}").format(client=job.who.display_name), _go_on, _usual)
