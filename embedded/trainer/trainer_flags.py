"""The trainer's command line: sd-scripts' own flags, and the combinations that are refused.

Only the flags that are honoured here exist; a few are accepted and change nothing, and their help says so. An unknown flag ends
the program with code 2 as argparse does (abbreviations are off, so a typo never passes for another flag). A refused combination
raises `Refused`, with sd-scripts' own words where it has some. Nothing here imports torch: a wrong command line costs no time.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

SAMPLERS = ("ddim", "pndm", "lms", "euler", "euler_a", "heun", "dpm_2", "dpm_2_a", "dpmsolver", "dpmsolver++", "dpmsingle")
SAMPLER_NAMES = (*SAMPLERS, "k_lms", "k_euler", "k_euler_a", "k_dpm_2", "k_dpm_2_a")
LR_SCHEDULERS = ("constant", "constant_with_warmup", "cosine", "cosine_with_restarts", "linear", "polynomial")
OPTIMIZERS = ("AdamW", "AdamW8bit", "PagedAdamW8bit", "Adafactor")
DEFAULT_NETWORK_DIM = 4  # sd-scripts' rank when --network_dim is not given
BUCKET_STEP_PX = 32  # SDXL halves a picture five times (f=8 VAE, two downsamplings)


class Refused(Exception):
    """The training cannot start or go on; the message says what to change. The program ends with code 1."""


@dataclass(frozen=True, slots=True)
class SdxlBase:
    """An SDXL model: where its weights lie, and the folder of its configurations and tokenizers.

    Both are the same folder in diffusers' layout; a checkpoint in one file holds weights only.
    """

    weights: Path
    config: Path


@dataclass(frozen=True, slots=True)
class Flags:
    """The command line, checked. Names are sd-scripts' own; sizes are (width, height) in pixels."""

    pretrained_model_name_or_path: Path
    model_config_dir: Path | None
    tokenizer_cache_dir: Path | None
    train_data_dir: Path
    reg_data_dir: Path | None
    resolution: tuple[int, int]
    train_batch_size: int
    caption_extension: str
    max_token_length: int | None
    enable_bucket: bool
    min_bucket_reso: int
    max_bucket_reso: int
    bucket_reso_steps: int
    bucket_no_upscale: bool
    cache_latents: bool
    cache_latents_to_disk: bool
    cache_text_encoder_outputs: bool
    cache_text_encoder_outputs_to_disk: bool
    max_data_loader_n_workers: int
    persistent_data_loader_workers: bool
    network_module: str
    network_dim: int
    network_alpha: float
    network_args: dict[str, str]
    network_train_unet_only: bool
    max_train_steps: int
    learning_rate: float
    unet_lr: float | None
    lr_scheduler: str
    lr_scheduler_num_cycles: int
    lr_scheduler_power: float
    lr_warmup_steps: int | float
    optimizer_type: str
    optimizer_args: dict[str, object]
    max_grad_norm: float
    loss_type: str
    prior_loss_weight: float
    noise_offset: float | None
    min_snr_gamma: float | None
    seed: int | None
    gradient_accumulation_steps: int
    gradient_checkpointing: bool
    mixed_precision: str
    full_bf16: bool
    fp8_base_unet: bool
    no_half_vae: bool
    sdpa: bool
    output_dir: Path
    output_name: str | None
    save_model_as: str
    save_precision: str | None
    save_every_n_steps: int | None
    save_every_n_epochs: int | None
    save_last_n_steps: int | None
    save_last_n_steps_state: int | None
    save_state: bool
    save_state_on_train_end: bool
    resume: Path | None
    skip_until_initial_step: bool
    initial_step: int | None
    initial_epoch: int | None
    logging_dir: Path | None
    log_with: str | None
    log_prefix: str
    log_tracker_name: str
    sample_prompts: Path | None
    sample_every_n_steps: int | None
    sample_every_n_epochs: int | None
    sample_at_first: bool
    sample_sampler: str
    console_log_simple: bool
    console_log_file: Path | None
    no_metadata: bool
    training_comment: str | None
    metadata_title: str | None
    metadata_author: str | None
    metadata_description: str | None
    metadata_license: str | None
    metadata_tags: str | None

    @property
    def base(self) -> SdxlBase:
        """The model that is trained; the configuration of a checkpoint in one file lies beside it if nothing else is said."""
        weights = self.pretrained_model_name_or_path
        beside = weights if weights.is_dir() else weights.parent
        return SdxlBase(weights, self.model_config_dir or beside)

    @property
    def rate(self) -> float:
        """The learning rate of the U-Net's LoRA: --unet_lr, else --learning_rate."""
        return self.learning_rate if self.unet_lr is None else self.unet_lr

    @property
    def warmup_steps(self) -> int:
        """Warm-up in optimizer steps; a fraction below 1 is a share of the whole training."""
        steps = self.lr_warmup_steps
        return int(steps * self.max_train_steps) if isinstance(steps, float) else steps

    @property
    def samples_wanted(self) -> bool:
        """Whether any picture will be painted during training."""
        return self.sample_at_first or bool(self.sample_every_n_steps) or bool(self.sample_every_n_epochs)


def parse_flags(argv: Sequence[str]) -> Flags:
    """Reads the command line; exits with code 2 on wrong words, raises `Refused` for a combination that cannot train."""
    flags = Flags(**vars(build_parser().parse_args(argv)))
    refuse_combinations(flags)
    check_base(flags.base)
    return flags if flags.max_data_loader_n_workers else replace(flags, persistent_data_loader_workers=False)


def build_parser() -> argparse.ArgumentParser:
    """The parser of every flag, in sd-scripts' spelling and with its defaults."""
    parser = argparse.ArgumentParser(
        prog="sdxl_train_network.py",
        allow_abbrev=False,
        description="Trains an SDXL LoRA on a diffusers folder, with the command line of sd-scripts.",
    )
    _add_model_and_data(parser)
    _add_network_and_steps(parser)
    _add_optimizer(parser)
    _add_precision(parser)
    _add_saving(parser)
    _add_watching(parser)
    return parser


def _add_model_and_data(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("model and data")
    add = group.add_argument
    add("--pretrained_model_name_or_path", type=Path, required=True, help="a folder in diffusers' layout, or one .safetensors file")
    add("--model_config_dir", type=Path, help="configuration and tokenizers for a model in one file; sd-scripts has no such flag")
    add("--tokenizer_cache_dir", type=Path, help="accepted, unused: the tokenizers come from the model's folder")
    add("--train_data_dir", type=Path, required=True, help="PARENT of folders named {repeats}_{class tokens}")
    add("--reg_data_dir", type=Path, help="regularisation pictures, same layout")
    add("--resolution", type=_resolution, required=True, help="'size' or 'width,height' in pixels")
    add("--train_batch_size", type=_positive, default=1)
    add("--caption_extension", default=".caption")
    add("--max_token_length", type=int, choices=(150, 225), help="75 unless told")
    add("--enable_bucket", action="store_true", help="keep the shape of pictures: one bucket a shape")
    add("--min_bucket_reso", type=int, default=256)
    add("--max_bucket_reso", type=int, default=1024)
    add("--bucket_reso_steps", type=int, default=64)
    add("--bucket_no_upscale", action="store_true")
    add("--cache_latents", action="store_true", help="accepted: latents are always computed once")
    add("--cache_latents_to_disk", action="store_true", help="accepted: latents are kept in memory")
    add("--cache_text_encoder_outputs", action="store_true", help="accepted: text outputs are always computed once")
    add("--cache_text_encoder_outputs_to_disk", action="store_true", help="accepted: text outputs are kept in memory")
    add("--max_data_loader_n_workers", type=int, default=8, help="accepted, unused: all data lie in memory")
    add("--persistent_data_loader_workers", action="store_true", help="accepted, unused")


def _add_network_and_steps(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("network and steps")
    add = group.add_argument
    add("--network_module", required=True, help="networks.lora")
    add("--network_dim", type=_positive, default=DEFAULT_NETWORK_DIM, help="rank of linear and 1x1 layers")
    add("--network_alpha", type=float, default=1.0)
    add("--network_args", nargs="*", action=_Pairs, default={}, metavar="KEY=VALUE", help="conv_dim=N conv_alpha=N")
    add("--network_train_unet_only", action="store_true", help="required: no LoRA of the text encoders is trained here")
    add("--max_train_steps", type=_positive, default=1600, help="optimizer steps")
    add("--gradient_accumulation_steps", type=_positive, default=1)
    add("--loss_type", choices=("l2",), default="l2")
    add("--prior_loss_weight", type=float, default=1.0, help="weight of regularisation pictures in the loss")
    add("--noise_offset", type=float)
    add("--min_snr_gamma", type=float)
    add("--seed", type=int)


def _add_optimizer(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("optimizer")
    add = group.add_argument
    add("--optimizer_type", default="AdamW", help=", ".join(OPTIMIZERS))
    add("--optimizer_args", nargs="*", action=_Literals, default={}, metavar="KEY=VALUE")
    add("--learning_rate", type=float, default=2.0e-6)
    add("--unet_lr", type=float)
    add("--lr_scheduler", default="constant", help=", ".join(LR_SCHEDULERS))
    add("--lr_scheduler_num_cycles", type=int, default=1)
    add("--lr_scheduler_power", type=float, default=1.0)
    add("--lr_warmup_steps", type=_steps_or_share, default=0, help="steps, or a share below 1 of all steps")
    add("--max_grad_norm", type=float, default=1.0, help="0 for no clipping")


def _add_precision(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("precision and memory")
    add = group.add_argument
    add("--mixed_precision", choices=("no", "fp16", "bf16"), default="no")
    add("--full_bf16", action="store_true", help="the LoRA itself in bf16")
    add("--fp8_base_unet", action="store_true", help="refused: only sd-scripts trains on an fp8 base")
    add("--gradient_checkpointing", action="store_true")
    add("--no_half_vae", action="store_true", help="encode pictures in fp32")
    add("--sdpa", action="store_true", help="accepted: PyTorch's attention is what diffusers uses")


def _add_saving(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("saving and resuming")
    add = group.add_argument
    add("--output_dir", type=Path, required=True)
    add("--output_name")
    add("--save_model_as", choices=("safetensors",), default="safetensors")
    add("--save_precision", choices=("float", "fp16", "bf16"), help="fp32 unless told")
    add("--save_every_n_steps", type=_positive)
    add("--save_every_n_epochs", type=_positive)
    add("--save_last_n_steps", type=int, help="remove step files older than N steps")
    add("--save_last_n_steps_state", type=int, help="the same for states")
    add("--save_state", action="store_true", help="with each step or epoch file, all that --resume needs")
    add("--save_state_on_train_end", action="store_true")
    add("--resume", type=Path, metavar="STATE_DIR")
    add("--skip_until_initial_step", action="store_true", help="with --resume: go on from the state's step")
    add("--initial_step", type=int)
    add("--initial_epoch", type=int, help="counted from 1")
    add("--no_metadata", action="store_true", help="keep only what other tools need")
    add("--training_comment")
    for field in ("title", "author", "description", "license", "tags"):
        add(f"--metadata_{field}")


def _add_watching(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("logs and samples")
    add = group.add_argument
    add("--logging_dir", type=Path, help="write TensorBoard scalars below this folder")
    add("--log_with", choices=("tensorboard",))
    add("--log_prefix", default="")
    add("--log_tracker_name", default="network_train")
    add("--sample_prompts", type=Path, help="text file, one prompt a line: --n negative --w --h --d seed --l CFG --s steps")
    add("--sample_every_n_steps", type=int)
    add("--sample_every_n_epochs", type=int)
    add("--sample_at_first", action="store_true")
    add("--sample_sampler", choices=SAMPLER_NAMES, default="ddim")
    add("--console_log_simple", action="store_true", help="log lines on stdout")
    add("--console_log_file", type=Path)


def refuse_combinations(flags: Flags) -> None:
    """Raises `Refused` for what sd-scripts refuses as well, and for the few things only it can do."""
    refusals = (
        (
            flags.cache_text_encoder_outputs and not flags.network_train_unet_only,
            "network for Text Encoder cannot be trained with caching Text Encoder outputs: add --network_train_unet_only",
        ),
        (not flags.network_train_unet_only, "this trainer trains the U-Net's LoRA only: add --network_train_unet_only"),
        (flags.network_module != "networks.lora", f"No module named '{flags.network_module}': only networks.lora is here"),
        (flags.full_bf16 and flags.mixed_precision != "bf16", "full_bf16 requires mixed precision='bf16'"),
        (
            flags.fp8_base_unet and flags.mixed_precision == "no",
            "fp8_base requires mixed precision='fp16' or 'bf16'; and this trainer has no fp8: use sd-scripts for it",
        ),
        (flags.fp8_base_unet, "fp8_base_unet: this trainer has no fp8; leave the flag out or train with sd-scripts"),
        (
            flags.persistent_data_loader_workers and flags.max_data_loader_n_workers == 0,
            "persistent_workers option needs num_workers > 0",
        ),
        (
            flags.log_with is not None and flags.logging_dir is None,
            "logging_dir is required when log_with is tensorboard",
        ),
        (flags.samples_wanted and flags.sample_prompts is None, "samples are asked for without --sample_prompts FILE"),
    )
    _refuse_first(refusals)
    _refuse_optimizer(flags)
    _refuse_buckets(flags)
    _refuse_network_args(flags.network_args)


def check_base(base: SdxlBase) -> None:
    """Raises `Refused`, naming the remedy, unless all of an SDXL model is there."""
    if not base.weights.exists():
        raise Refused(
            f'The provided pretrained_model_name_or_path "{base.weights}" is neither a valid local path nor a valid repo id; '
            "this trainer reads a folder in diffusers' layout or a .safetensors file, and downloads nothing"
        )
    parts = ("unet", "vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "scheduler")
    missing = ", ".join(part for part in parts if not (base.config / part).is_dir())
    if missing and base.weights.is_dir():
        raise Refused(f"{base.weights} is not an SDXL model in diffusers' layout (missing: {missing})")
    if missing:
        raise Refused(
            f"{base.config} does not hold the configuration and tokenizers of {base.weights.name} (missing: {missing}). Name the "
            "folder of SDXL's in diffusers' layout, weights not needed, with --model_config_dir, or train with sd-scripts"
        )


def _refuse_first(refusals: Sequence[tuple[bool, str]]) -> None:
    for refused, message in refusals:
        if refused:
            raise Refused(message)


def _refuse_optimizer(flags: Flags) -> None:
    adafactor_fixed = flags.optimizer_args.get("relative_step") is False
    refusals = (
        (
            flags.optimizer_type.lower() not in {name.lower() for name in OPTIMIZERS},
            f"no optimizer {flags.optimizer_type!r}: choose from {', '.join(OPTIMIZERS)}",
        ),
        (
            flags.optimizer_type.lower() == "adafactor" and not adafactor_fixed,
            "Adafactor ignores learning_rate unless told: add "
            "--optimizer_args scale_parameter=False relative_step=False warmup_init=False",
        ),
        (
            flags.lr_scheduler not in LR_SCHEDULERS,
            f"{flags.lr_scheduler!r} is not a valid SchedulerType: choose from {', '.join(LR_SCHEDULERS)}",
        ),
        (
            flags.lr_scheduler == "constant" and flags.warmup_steps > 0,
            "SchedulerType.CONSTANT does not require `num_warmup_steps`. Set None or 0, or use constant_with_warmup.",
        ),
    )
    _refuse_first(refusals)


def _refuse_buckets(flags: Flags) -> None:
    steps = flags.bucket_reso_steps
    refusals = (
        (steps % BUCKET_STEP_PX != 0, f"bucket_reso_steps is {steps}. it must be divisible by {BUCKET_STEP_PX}."),
        (
            min(flags.resolution) < flags.min_bucket_reso // steps * steps,
            "min_bucket_reso must be equal or less than resolution",
        ),
        (
            max(flags.resolution) > -(-flags.max_bucket_reso // steps) * steps,
            "max_bucket_reso must be equal or greater than resolution",
        ),
    )
    if flags.enable_bucket:
        _refuse_first(refusals)


def _refuse_network_args(pairs: dict[str, str]) -> None:
    unknown = sorted(set(pairs) - {"conv_dim", "conv_alpha"})
    if unknown:
        raise Refused(f"network_args {', '.join(unknown)}: only conv_dim and conv_alpha are known here")
    try:
        int(pairs.get("conv_dim", "0")), float(pairs.get("conv_alpha", "0"))
    except ValueError as error:
        raise Refused(f"network_args: {error}") from error


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return number


def _steps_or_share(text: str) -> int | float:
    number = float(text)
    return number if number < 1 and "." in text else int(number)


def _resolution(text: str) -> tuple[int, int]:
    sides = [int(side) for side in text.split(",")]
    if len(sides) not in (1, 2) or min(sides) < 1:
        raise argparse.ArgumentTypeError(f"resolution must be 'size' or 'width,height': {text}")
    return sides[0], sides[-1]


class _Pairs(argparse.Action):
    """Gathers KEY=VALUE words into a dict of strings."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        """Stores the words as a dict; a word without '=' is a usage error."""
        words = values if isinstance(values, list) else []
        if any("=" not in word for word in words):
            parser.error(f"argument {option_string}: each word must be KEY=VALUE")
        setattr(namespace, self.dest, dict(word.split("=", 1) for word in words))


class _Literals(_Pairs):
    """Like `_Pairs`, with each value read as a Python literal: 0.1, (0.9, 0.99), False."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        """Stores the words as a dict of literals; what is no literal is a usage error."""
        super().__call__(parser, namespace, values, option_string)
        pairs: dict[str, str] = getattr(namespace, self.dest)
        try:
            setattr(namespace, self.dest, {key: ast.literal_eval(value) for key, value in pairs.items()})
        except (ValueError, SyntaxError):
            parser.error(f"argument {option_string}: values must be numbers, tuples or True/False")
