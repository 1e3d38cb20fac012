"""What a training plan costs in memory, time and disk, and everything that stands against it.

Pure. Memory is GiB, time seconds. The sizes of SDXL are counted from the shapes in its checkpoint; what a GPU needs beyond them is
an estimate, checked against the limits that sd-scripts documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from locales.language import N_, Labelled, _
from machine.base_models import BaseKind
from training.errors import PlanRefused
from training.own_runs import Measured
from training.plan import EMBEDDED, Fit, Optimizer, Precision, TrainerKind, TrainingPlan


class MemoryPart(Labelled):
    """What occupies the memory of a GPU while a LoRA is trained."""

    UNET = "unet", N_("U-Net")
    TEXT_ENCODERS = "text_encoders", N_("text encoders")
    LORA = "lora", N_("LoRA and optimizer")  # its weights, their gradients and the optimizer's memory of them
    ACTIVATIONS = "activations", N_("activations")
    SAMPLES = "samples", N_("painting samples")  # between two steps, so beside everything but activations
    CONTEXT = "context", N_("CUDA itself")


class PlanRefusal(Labelled):
    """Why a plan cannot work: what is wrong, and what to do. Both wait for the facts of `explain`."""

    english_cure: str

    def __init__(self, code: str, label: str = "", cure: str = "") -> None:
        super().__init__(code, label)
        self.english_cure = cure

    NO_GPU = (
        "no_gpu",
        N_("SDXL needs an NVIDIA GPU; on the processor a step takes a quarter of an hour."),
        N_(
            "Train on one of Google Colab's: colab --client ID packs a client for notebooks/colab.ipynb. Or use the embedded base "
            "model here, or a machine with a GPU of 8 GB or more."
        ),
    )
    GTX_NAN = (
        "gtx_nan",
        N_("{gpu} computes NaN in half precision, and in full precision SDXL does not fit it."),
        N_("Train on an RTX card with 8 GB or more, or use the embedded base model."),
    )
    NO_BF16 = (
        "no_bf16",
        N_("{gpu} cannot compute in bf16."),
        N_("Set the precision to fp16."),
    )
    CPU_PRECISION = (
        "cpu_precision",
        N_("The processor does not train in fp16."),
        N_('Set the precision to "no".'),
    )
    FP8_PRECISION = (
        "fp8_precision",
        N_("fp8 weights need mixed precision."),
        N_("Set the precision to bf16 or fp16, or fp8 off."),
    )
    FP8_TRAINER = (
        "fp8_trainer",
        N_("The embedded trainer knows no fp8."),
        N_("Set fp8 off, or train with sd-scripts."),
    )
    TEXT_ENCODER_TRAINER = (
        "text_encoder_trainer",
        N_("The embedded trainer does not train the text encoders."),
        N_("Set unet_only on, or train with sd-scripts."),
    )
    CONSTANT_WARMUP = (
        "constant_warmup",
        N_("The schedule constant has no warm-up."),
        N_("Set the schedule to constant_with_warmup, or the warm-up to 0."),
    )
    WARMUP_TOO_LONG = (
        "warmup_too_long",
        N_("The warm-up of {warmup} steps is not shorter than the training of {steps}."),
        N_("Set a shorter warm-up or more steps."),
    )
    MEMORY = (
        "memory",
        N_("it needs about {need:.1f} GB of video memory, and {gpu} has {vram:g}."),
        N_("What would make it fit: {cures}"),
    )

    @property
    def cure(self) -> str:
        """What to do, in the user's language."""
        return _(self.english_cure)


@dataclass(frozen=True, slots=True)
class VramPart:
    """One occupant of the video memory."""

    part: MemoryPart
    gb: float


_CURE_WORDS = {
    "unet_only": N_("the U-Net alone, no text encoders"),
    "batch": N_("a batch of {value}"),
    "optimizer": N_("{value} as optimizer"),
    "sample_px": N_("pictures of {value} px painted while training"),
    "dim": N_("rank {value}"),
    "fp8": N_("the U-Net in 8 bits"),
    "resolution": N_("{value} px"),
}


@dataclass(frozen=True, slots=True)
class Cure:
    """A setting that lowers the need for memory, by its name in `TrainingPlan`."""

    setting: str
    value: str | int | bool

    def __str__(self) -> str:
        return f"{self.setting} = {self.value}"

    @property
    def words(self) -> str:
        """What it is to a person, in the user's language."""
        if self.setting == "sample_every":
            return _("without pictures painted while training")
        return _(_CURE_WORDS[self.setting]).format(value=self.value)

    @staticmethod
    def named(words: str) -> Cure:
        """The cure of those words, which is all that another process tells of one."""
        return next(cure for cure in _SMALLER if str(cure) == words)

    def applied(self, plan: TrainingPlan) -> TrainingPlan:
        """The plan with that setting; alpha keeps its ratio to dim."""
        alpha = {"alpha": plan.alpha / plan.dim * float(self.value)} if self.setting == "dim" else {}
        return plan.model_copy(update={self.setting: self.value, **alpha})


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a plan costs. `cures` are the changes that together would make it fit; empty where it fits or nothing helps."""

    vram_parts: tuple[VramPart, ...]
    vram_gb: float
    verdict: Fit
    refusals: tuple[PlanRefusal, ...]
    seconds: float
    epochs: float
    checkpoint_mb: float  # one LoRA file
    checkpoints: int  # how many are kept
    disk_gb: float  # all of them, and the two states that are kept while it trains
    cures: tuple[Cure, ...]
    measured: Measured | None = None  # where time, and perhaps memory, are those of a run on this card

    @property
    def hours(self) -> float:
        """The training's time."""
        return self.seconds / 3600


def duration(seconds: float) -> str:
    """How long something takes, in the user's language."""
    if seconds < 5400:
        return _("about {minutes:.0f} min").format(minutes=max(1, seconds / 60))
    hours = seconds / 3600
    return _("about {hours:.0f} h").format(hours=hours) if hours >= 10 else _("about {hours:.1f} h").format(hours=hours)


# --- memory, time, disk ---------------------------------------------------------------------------------------------
_GIB = 2**30
_UNET_PARAMETERS = 2_567_500_000
_TEXT_PARAMETERS = 817_800_000  # both encoders
_UNET_PER_DIM = 2_659_840  # 722 linear and attention layers
_CONV_PER_DIM = 414_400  # 3x3 convolutions and what sits beside them in the residual blocks
_TEXT_PER_DIM = 903_168  # 264 layers
_BYTES: Mapping[Precision, int] = {"no": 4, "fp16": 2, "bf16": 2}
# fp32 weight and gradient, and the optimizer's two moments in fp32 or in 8 bits; Adafactor keeps them by row and column
_BYTES_PER_TRAINED: Mapping[Optimizer, int] = {"AdamW": 16, "AdamW8bit": 10, "Adafactor": 9}
_VAE_GB = 0.31  # in fp32, which it needs
_DECODE_GB = 3.0  # what decoding a picture of 1024 px holds at its peak: tensors alive, counted on the processor
_ACTIVATIONS_GB = 2.0  # a 1024 px picture, with gradient checkpointing; 1.5 to 2.5 were estimated
_CONTEXT_GB = 0.5
_STATES = 2
_DOCUMENTED_GB = 7.5  # what a card sold as 8 GB reports; sd-scripts documents nothing below
_COMFORTABLE = 0.9  # of the video memory; a desktop takes the rest


def estimate(plan: TrainingPlan, measured: Measured | None = None) -> Estimate:
    """Memory, time and disk of a plan on its GPU, and whether it will work; `measured` is what such a run cost here before."""
    parts = _vram_parts(plan)
    refusals = find_refusals(plan)
    embedded = plan.base_kind is BaseKind.EMBEDDED
    checkpoint_mb = EMBEDDED.mb_per_dim * plan.dim if embedded else _trained_parameters(plan) * _BYTES["fp16"] / 1e6
    checkpoints = plan.steps // plan.save_every + 1  # a file every so many steps, and the finished one
    # A state holds the LoRA in fp32 and the optimizer's memory: what is trained without its gradients.
    state_mb = checkpoint_mb / _BYTES["fp16"] * (_BYTES_PER_TRAINED[plan.optimizer] - 4)
    return Estimate(
        vram_parts=parts,
        vram_gb=measured.vram_gb if measured and measured.vram_gb else _total(parts),
        verdict=Fit.NO if refusals else _fit_of_memory(plan, measured),
        refusals=refusals,
        seconds=measured.seconds_per_step * plan.steps if measured else _seconds(plan),
        epochs=plan.steps / plan.steps_per_epoch(),
        checkpoint_mb=checkpoint_mb,
        checkpoints=checkpoints,
        disk_gb=(checkpoint_mb * checkpoints + _STATES * state_mb) / 1000,
        cures=_cures(plan) if PlanRefusal.MEMORY in refusals else (),
        measured=measured,
    )


def _vram_parts(plan: TrainingPlan) -> tuple[VramPart, ...]:
    if plan.gpu.architecture == "cpu":
        return ()
    if plan.base_kind is BaseKind.EMBEDDED:
        return (VramPart(MemoryPart.ACTIVATIONS, EMBEDDED.vram_gb - _CONTEXT_GB), VramPart(MemoryPart.CONTEXT, _CONTEXT_GB))
    weight = _BYTES[plan.precision]
    # A cached text encoder stays off the GPU.
    text = 0 if plan.unet_only else _TEXT_PARAMETERS * weight
    lora = _trained_parameters(plan) * _BYTES_PER_TRAINED[plan.optimizer]
    activations = _ACTIVATIONS_GB * plan.batch * (plan.resolution / 1024) ** 2
    return (
        VramPart(MemoryPart.UNET, _UNET_PARAMETERS * (1 if plan.fp8 else weight) / _GIB),
        VramPart(MemoryPart.TEXT_ENCODERS, text / _GIB),
        VramPart(MemoryPart.LORA, lora / _GIB),
        VramPart(MemoryPart.ACTIVATIONS, activations),
        VramPart(MemoryPart.SAMPLES, _VAE_GB + _DECODE_GB * (plan.sample_side / 1024) ** 2 if plan.sample_every else 0),
        VramPart(MemoryPart.CONTEXT, _CONTEXT_GB),
    )


def at_peak(parts: tuple[VramPart, ...]) -> tuple[VramPart, ...]:
    """What is held at the worst moment: a training step, or a sample painted between two, never both."""
    gb = {part.part: part.gb for part in parts}
    painting = gb.get(MemoryPart.SAMPLES, 0) > gb.get(MemoryPart.ACTIVATIONS, 0)
    other = MemoryPart.ACTIVATIONS if painting else MemoryPart.SAMPLES
    return tuple(part for part in parts if part.part is not other)


def _total(parts: tuple[VramPart, ...]) -> float:
    return sum(part.gb for part in at_peak(parts))


def _trained_parameters(plan: TrainingPlan) -> int:
    text = 0 if plan.unet_only else _TEXT_PER_DIM * plan.dim
    return _UNET_PER_DIM * plan.dim + _CONV_PER_DIM * plan.conv_dim + text


def _fit_of_memory(plan: TrainingPlan, measured: Measured | None = None) -> Fit:
    """By memory alone. A GPU below what sd-scripts documents is tight at best, unless such a run ended well on it."""
    need, there = _total(_vram_parts(plan)), plan.gpu.vram_gb
    if measured and measured.vram_gb:
        return Fit.TIGHT if measured.vram_gb > _COMFORTABLE * there else Fit.FITS
    if need > there:
        return Fit.NO
    undocumented = plan.base_kind is BaseKind.SDXL and there < _DOCUMENTED_GB
    return Fit.TIGHT if undocumented or need > _COMFORTABLE * there else Fit.FITS


def _seconds(plan: TrainingPlan) -> float:
    if plan.base_kind is BaseKind.EMBEDDED:
        shown = plan.batch * plan.accumulation / EMBEDDED.batch
        return plan.steps * EMBEDDED.seconds_per_step * shown
    shown = plan.batch * plan.accumulation * (plan.resolution / 1024) ** 2
    return plan.steps * plan.gpu.seconds_per_step * shown


# The one list of steps that save memory, what costs the least likeness first: advised together before anything runs, and tried one
# after another when a GPU has run out of memory. Pictures stay at their resolution as long as something else helps.
_SMALLER = (
    Cure("unet_only", True), Cure("batch", 1), Cure("optimizer", "AdamW8bit"), Cure("sample_px", 768), Cure("sample_px", 512),
    Cure("dim", 64), Cure("dim", 32), Cure("dim", 16), Cure("dim", 8), Cure("fp8", True), Cure("sample_every", 0),
    Cure("resolution", 768), Cure("resolution", 512), Cure("dim", 4),
)  # fmt: skip


def _cures(plan: TrainingPlan) -> tuple[Cure, ...]:
    """The first cures that together make the plan fit; none where even all of them do not."""
    taken: dict[str, Cure] = {}
    for cure in _SMALLER:
        if not _helps(cure, plan):
            continue
        plan, taken[cure.setting] = cure.applied(plan), cure
        if _fit_of_memory(plan) is not Fit.NO:
            return tuple(taken.values())
    return ()


def _helps(cure: Cure, plan: TrainingPlan) -> bool:
    """Whether it lowers the need for memory, and brings no refusal of its own."""
    changed = cure.applied(plan)
    return _total(_vram_parts(changed)) < _total(_vram_parts(plan)) and not set(find_refusals(changed)) - set(find_refusals(plan))


def next_smaller(plan: TrainingPlan) -> Cure | None:
    """The first change that lets a training need less memory; None where nothing is left that would."""
    return next((cure for cure in _SMALLER if _helps(cure, plan)), None)


def take_smaller(plan: TrainingPlan, cure: Cure) -> TrainingPlan:
    """The plan with one cure applied, and what changed on record."""
    changed = f"{cure.setting}: {getattr(plan, cure.setting)} -> {cure.value}"
    return cure.applied(plan).model_copy(update={"changes": (*plan.changes, changed)})


# --- what cannot work -------------------------------------------------------------------------------------------------
NOTHING_FITS = N_("a GPU with more memory")


def find_refusals(plan: TrainingPlan) -> tuple[PlanRefusal, ...]:
    """Everything that stands against a plan, the deepest reason first."""
    real = plan.base_kind is BaseKind.SDXL
    embedded_trainer = plan.trainer is TrainerKind.EMBEDDED
    on_cpu = plan.gpu.architecture == "cpu"
    older = plan.gpu.architecture in ("turing", "turing-gtx")
    checks = (
        (real and on_cpu, PlanRefusal.NO_GPU),
        (real and plan.gpu.architecture == "turing-gtx" and plan.precision == "fp16", PlanRefusal.GTX_NAN),
        (older and plan.precision == "bf16", PlanRefusal.NO_BF16),
        (on_cpu and plan.precision == "fp16", PlanRefusal.CPU_PRECISION),
        (plan.fp8 and embedded_trainer, PlanRefusal.FP8_TRAINER),
        (plan.fp8 and plan.precision == "no", PlanRefusal.FP8_PRECISION),
        (embedded_trainer and not plan.unet_only, PlanRefusal.TEXT_ENCODER_TRAINER),
        (plan.scheduler == "constant" and plan.warmup > 0, PlanRefusal.CONSTANT_WARMUP),
        (plan.warmup >= plan.steps, PlanRefusal.WARMUP_TOO_LONG),
        (not on_cpu and _fit_of_memory(plan) is Fit.NO, PlanRefusal.MEMORY),
    )
    return tuple(refusal for stands, refusal in checks if stands)


def explain(plan: TrainingPlan, refusal: PlanRefusal) -> tuple[str, str]:
    """What is wrong with a plan and what to do, in the user's language."""
    facts = {
        "gpu": plan.gpu.name, "vram": plan.gpu.vram_gb, "need": _total(_vram_parts(plan)), "warmup": plan.warmup,
        "steps": plan.steps, "cures": ", ".join(cure.words for cure in _cures(plan)) or _(NOTHING_FITS),
    }  # fmt: skip
    return refusal.label.format(**facts), refusal.cure.format(**facts)


# Estimates and experience rather than certainties: a user who insists may try, and the probe or the NaN watch ends it early.
_DOUBTS = frozenset({PlanRefusal.MEMORY, PlanRefusal.GTX_NAN})


def refuse(plan: TrainingPlan) -> None:
    """Raise PlanRefused with the first reason if a plan cannot work; one that is insisted on stops at certainties only."""
    if refusals := [refusal for refusal in find_refusals(plan) if not (plan.insisted and refusal in _DOUBTS)]:
        reason, cure = explain(plan, refusals[0])
        raise PlanRefused(reason=reason, cure=cure)
