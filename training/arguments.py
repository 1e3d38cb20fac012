"""sd-scripts' options as its own parser had them at the pinned commit, and the combinations that it refuses, in the user's words.

Pure. `sd_scripts_options.json` was recorded from the real parser, so that an argument list can be checked where sd-scripts is not
installed, and before a model of 7 GB is loaded where it is: most combinations are refused by the real script only after that.
"""

from __future__ import annotations

import json
import math
import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NoReturn

from config import PROGRAM
from locales.language import N_, _
from training.errors import PlanRefused
from training.secret_options import part_secrets

_RECORD = PROGRAM / "training" / "sd_scripts_options.json"
_BUCKET_STEP = 32  # SDXL halves a picture five times
_READ: Mapping[str, Callable[[str], Any]] = {"int": int, "float": float, "text": str}
# What the program says itself; given twice, the second would silently win.
_OWN = frozenset({
    "pretrained_model_name_or_path", "train_data_dir", "reg_data_dir", "output_dir", "output_name", "logging_dir", "resume",
    "network_module", "max_train_steps", "save_model_as", "save_state", "save_every_n_steps", "console_log_simple",
    "caption_extension",
    "sample_prompts", "sample_every_n_steps", "initial_epoch", "initial_step", "skip_until_initial_step", "save_last_n_steps_state",
    "max_train_epochs", "dataset_config", "in_json", "config_file", "output_config", "tokenizer_cache_dir",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Combination:
    """Options that cannot stand together: when they do, what is wrong, and what to do."""

    stands: Callable[[Namespace], bool]
    reason: str
    cure: str


def pinned_commit() -> str:
    """The commit of kohya-ss/sd-scripts that this program is made for."""
    return str(_record()["commit"])


@cache
def _record() -> dict[str, Any]:
    return dict(json.loads(_RECORD.read_text(encoding="utf-8")))


class _Parser(ArgumentParser):
    """argparse that raises what it would have said before it ended the program."""

    def error(self, message: str) -> NoReturn:
        raise PlanRefused(
            reason=_(N_("sd-scripts would not understand it: {message}")).format(message=message), cure=_(SEE_OPTIONS)
        )


# The original plan names these two; they are the web UI's, for painting, and sd-scripts' parser ends at them.
_OF_THE_WEB_UI = frozenset({"lowvram", "medvram"})
WEB_UI = N_("{option} is an option of AUTOMATIC1111's web UI, for painting; sd-scripts does not have it.")
SAVED_OTHERWISE = N_("Leave it out: where memory is too little, the plan saves it by rank, fp8, samples and resolution.")
SEE_OPTIONS = N_("Correct that option; sd-scripts' own documentation lists them all.")
NOT_AN_OPTION = N_('"{word}" is not an option of sd-scripts.')
OURS = N_("{option} is set by the program itself.")
LEAVE_OUT = N_("Leave it out.")


def build_parser() -> ArgumentParser:
    """The parser of sd-scripts' training script, rebuilt from the record; unlike the real one it takes no shortened option."""
    parser = _Parser(prog="sdxl_train_network.py", allow_abbrev=False, add_help=False)
    for name, option in _record()["options"].items():
        if option["kind"] == "flag":
            parser.add_argument(f"--{name}", action="store_true")
            continue
        words: dict[str, Any] = {"type": _READ[option["kind"]], "nargs": "*" if option.get("many") else None}
        # The record holds choices as text, as they are typed.
        words |= {"choices": option["choices"], "type": str} if "choices" in option else {}
        parser.add_argument(f"--{name}", **words)
    return parser


def read_extra(text: str) -> tuple[str, ...]:
    """Options of sd-scripts that the user adds, as words, secrets left out; raises PlanRefused for one the program sets itself."""
    try:
        words, _secrets = part_secrets(shlex.split(text))
    except ValueError as error:
        raise PlanRefused(reason=_(NOT_AN_OPTION).format(word=text), cure=_(SEE_OPTIONS)) from error
    if words and not words[0].startswith("--"):
        raise PlanRefused(reason=_(NOT_AN_OPTION).format(word=words[0]), cure=_(SEE_OPTIONS))
    for word in words:
        name = word.removeprefix("--").partition("=")[0]
        if word.startswith("--") and name in _OF_THE_WEB_UI:
            raise PlanRefused(reason=_(WEB_UI).format(option=f"--{name}"), cure=_(SAVED_OTHERWISE))
        if word.startswith("--") and name in _OWN:
            raise PlanRefused(reason=_(OURS).format(option=f"--{name}"), cure=_(LEAVE_OUT))
    return words


def check_arguments(argv: Sequence[str]) -> None:
    """Raise PlanRefused for an option that sd-scripts does not have, or the first combination that it would refuse."""
    arguments = build_parser().parse_args(list(argv))
    for combination in COMBINATIONS:
        if combination.stands(arguments):
            raise PlanRefused(reason=_(combination.reason), cure=_(combination.cure))


# --- what the real script refuses, most of it only after minutes of loading ---------------------------------------------
def _side(a: Namespace, smallest: bool) -> int:
    sides = [int(side) for side in str(a.resolution or "512").replace(",", " ").split()]
    return min(sides) if smallest else max(sides)


def _buckets_too_narrow(a: Namespace) -> bool:
    return bool(a.enable_bucket) and ((a.min_bucket_reso or 256) > _side(a, True) or (a.max_bucket_reso or 1024) < _side(a, False))


COMBINATIONS = (
    Combination(lambda a: a.v2, N_("--v2 belongs to Stable Diffusion 2, not to SDXL."), N_("Leave --v2 out.")),
    Combination(
        lambda a: a.lowram,
        N_("--lowram loads the models straight into video memory: the opposite of what a small card needs."),
        N_("Leave --lowram out."),
    ),
    Combination(
        lambda a: a.xformers or a.mem_eff_attn,
        N_("The program trains with PyTorch's own attention (--sdpa), which is as fast."),
        N_("Leave --xformers and --mem_eff_attn out."),
    ),
    Combination(
        lambda a: a.cache_text_encoder_outputs and not a.network_train_unet_only,
        N_("Text encoders cannot be trained while their outputs are cached."),
        N_("Set unet_only on."),
    ),
    Combination(
        lambda a: (
            (a.cache_text_encoder_outputs or a.cache_text_encoder_outputs_to_disk)
            and (a.shuffle_caption or a.caption_dropout_rate or a.caption_tag_dropout_rate or a.token_warmup_step)
        ),
        N_("Captions cannot be shuffled or dropped while text outputs are cached: each caption is read only once."),
        N_("Leave those options for captions out, or set unet_only off."),
    ),
    Combination(
        lambda a: (a.cache_latents or a.cache_latents_to_disk) and (a.color_aug or a.random_crop),
        N_("Colours and crops cannot vary while latents are cached: each picture is encoded only once."),
        N_("Leave out --color_aug and --random_crop; --flip_aug is possible."),
    ),
    Combination(
        lambda a: (a.bucket_reso_steps or 64) % _BUCKET_STEP != 0,
        N_("--bucket_reso_steps must be a multiple of 32."),
        N_("Use 32 or 64."),
    ),
    Combination(
        _buckets_too_narrow,
        N_("The buckets do not hold the resolution: it lies outside --min_bucket_reso and --max_bucket_reso."),
        N_("Leave those two out, or choose them around the resolution."),
    ),
    Combination(
        lambda a: (a.fp8_base or a.fp8_base_unet) and (a.mixed_precision or "no") == "no",
        N_("fp8 weights need mixed precision."),
        N_("Set the precision to bf16 or fp16, or fp8 off."),
    ),
    Combination(
        lambda a: a.full_bf16 and a.mixed_precision != "bf16",
        N_("--full_bf16 needs the precision bf16."),
        N_("Set the precision to bf16, or leave --full_bf16 out."),
    ),
    Combination(
        lambda a: a.full_fp16 and a.mixed_precision != "fp16",
        N_("--full_fp16 needs the precision fp16."),
        N_("Set the precision to fp16, or leave --full_fp16 out."),
    ),
    Combination(
        lambda a: a.fused_backward_pass,
        N_("--fused_backward_pass does nothing for a LoRA, and fails with most optimizers."),
        N_("Leave --fused_backward_pass out."),
    ),
    Combination(
        lambda a: a.cpu_offload_checkpointing,
        N_("--cpu_offload_checkpointing does not work with SDXL."),
        N_("Leave --cpu_offload_checkpointing out."),
    ),
    Combination(
        lambda a: a.persistent_data_loader_workers and not a.max_data_loader_n_workers,
        N_("Data loaders cannot persist where there are none."),
        N_("Leave --persistent_data_loader_workers out."),
    ),
    Combination(
        lambda a: (a.lr_scheduler or "constant") == "constant" and a.lr_warmup_steps,
        N_("The schedule constant has no warm-up."),
        N_("Set the schedule to constant_with_warmup, or the warm-up to 0."),
    ),
    Combination(
        lambda a: str(a.optimizer_type or "").lower() == "adafactor" and "relative_step=False" not in (a.optimizer_args or ()),
        N_("Adafactor would ignore the learning rate."),
        N_("Leave its --optimizer_args as the program sets them."),
    ),
    Combination(
        lambda a: a.max_train_steps is not None and (a.lr_warmup_steps or 0) >= max(1, a.max_train_steps),
        N_("The warm-up is not shorter than the training."),
        N_("Set a shorter warm-up or more steps."),
    ),
    Combination(
        lambda a: not all(math.isfinite(value) for value in (a.learning_rate or 0, a.network_alpha or 0)),
        N_("A learning rate or alpha is not a number."),
        N_("Set it to a number."),
    ),
    Combination(
        lambda a: a.no_half_vae is False,
        N_("Without --no_half_vae SDXL's VAE gives NaN for some pictures."),
        N_("Keep --no_half_vae."),
    ),
    Combination(
        lambda a: a.sample_every_n_epochs is not None and a.sample_prompts is None,
        N_("Samples every so many epochs need prompts."),
        N_("Leave --sample_every_n_epochs out."),
    ),
)
