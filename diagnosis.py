"""From the last lines of a trainer to what went wrong, the line that shows it, and what to do.

Pure. One table holds every known cause, the most telling first; its patterns are the words of sd-scripts, PyTorch, accelerate and
argparse as they were seen. What matches none is called unknown, and its last lines are the evidence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from language import N_


class Cause(StrEnum):
    """What ended a training."""

    VIDEO_MEMORY = "video_memory"
    MEMORY = "memory"
    NAN = "nan"
    NO_IMAGES = "no_images"
    EMPTY_CAPTION = "empty_caption"
    NO_BASE = "no_base"
    BAD_FLAG = "bad_flag"
    NO_TOKENIZER = "no_tokenizer"
    DISK_FULL = "disk_full"
    NO_MODULE = "no_module"
    BAD_STATE = "bad_state"
    REFUSED = "refused"
    STOPPED = "stopped"
    NO_LORA = "no_lora"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why a training ended. `cause` and `cure` are texts still to be translated; `evidence` is what the trainer said."""

    kind: Cause
    cause: str
    evidence: str
    cure: str


@dataclass(frozen=True, slots=True)
class _Row:
    """A known cause: it holds where a line has `pattern`, or where the trainer ended with `returncode`."""

    kind: Cause
    pattern: str
    cause: str
    cure: str
    returncode: int | None = None


_MORE_MEMORY = N_(
    "Close other programs, or start another machine with more memory, and train again: it goes on from the last checkpoint."
)
_KNOWN = (
    _Row(
        Cause.VIDEO_MEMORY,
        r"CUDA out of memory|OutOfMemoryError|CUBLAS_STATUS_ALLOC_FAILED|CUDNN_STATUS_ALLOC_FAILED",
        N_("the GPU's memory is full."),
        N_("Close programs that use the GPU, or take a smaller dim or resolution: train --plan shows what fits."),
    ),
    _Row(
        Cause.NAN,
        r"avr_loss=(?:nan|-?inf)|NaN detected in latents|loss is NaN",
        N_("the loss is not a number any more; what is trained from here on is noise."),
        N_("Use a lower learning rate or bf16, and look for a damaged base model."),
    ),
    _Row(
        Cause.NO_IMAGES,
        r"No data found|^0 train images with repeats",
        N_("the trainer found no picture."),
        N_("Make the dataset again: dataset"),
    ),
    _Row(
        Cause.EMPTY_CAPTION,
        r"caption file is empty",
        N_("a caption is empty."),
        N_("Make the dataset again, or write a line into that file."),
    ),
    _Row(
        Cause.NO_TOKENIZER,
        r"Can't load tokenizer|expected str, bytes or os\.PathLike object, not NoneType|CLIPTokenizer.*(?:offline|connect)",
        N_("the trainer needs two small tokenizers that are not on this machine yet."),
        N_("Connect to the internet once and train again; later trainings need none."),
    ),
    _Row(
        Cause.NO_BASE,
        r"model_name_or_path .* is neither a valid|is not an SDXL model|has no VAE class|HeaderTooLarge|MetadataInc",
        N_("the base model cannot be read."),
        N_("Check base_model in the settings; a broken download has to be loaded again."),
    ),
    _Row(
        Cause.BAD_FLAG,
        r"error: (?:unrecognized arguments|argument |ambiguous option|the following arguments are required)",
        N_("this version of the trainer does not know an option."),
        N_("Use sd-scripts at the version this program is made for: setup"),
        returncode=2,
    ),
    _Row(
        Cause.DISK_FULL,
        r"No space left on device|ENOSPC|Errno 28|os error 28|PytorchStreamWriter failed",
        N_("the disk is full."),
        N_("Free some space and train again: it goes on from the last checkpoint."),
    ),
    _Row(
        Cause.NO_MODULE,
        r"ModuleNotFoundError|ImportError: |No xformers",
        N_("a package that the trainer needs is missing or broken."),
        N_("Install the trainer's requirements again: setup"),
    ),
    _Row(
        Cause.BAD_STATE,
        r"Tried to find .* but folder does not exist|should be greater than initial step|Error\(s\) in loading state_dict",
        N_("the saved state that the training should go on from cannot be used."),
        N_("Delete the newest folder that ends in -state from the client's models, and train again."),
    ),
    _Row(
        Cause.MEMORY,
        r"DefaultCPUAllocator: (?:not enough memory|can't allocate)|^MemoryError",
        N_("the memory is full."),
        _MORE_MEMORY,
    ),
    _Row(
        Cause.MEMORY,
        r"(?!)",  # no words: only how it ended tells
        N_("the system ended the trainer without a word, as it does when memory runs out."),
        _MORE_MEMORY,
        returncode=-9,
    ),
    _Row(
        Cause.STOPPED,
        r"^KeyboardInterrupt",
        N_("somebody stopped the trainer."),
        N_("Train again: it goes on from the last checkpoint."),
        returncode=-15,
    ),
    _Row(
        Cause.REFUSED,
        r"^sdxl_train_network\.py: (?!error)",  # how the embedded trainer says no
        N_("the trainer cannot train this as asked."),
        N_("What it said tells which setting to change."),
    ),
)
_NO_LORA = (
    N_("the trainer ended as if all were well, but wrote no whole LoRA."),
    N_("Train again; if it happens again, look at the last lines."),
)
_UNKNOWN = (
    N_("for a reason this program does not know."),
    N_("Look at the last lines; train again to go on from the last checkpoint."),
)
_LAST_LINES = 3  # of an unknown failure


def diagnose(lines: Sequence[str], returncode: int) -> Diagnosis:
    """The cause of a failed training by its last lines and how it ended (below 0: the signal that ended it)."""
    for row in _KNOWN:
        evidence = next((line.strip() for line in reversed(lines) if re.search(row.pattern, line)), None)
        if evidence is not None:
            return Diagnosis(row.kind, row.cause, evidence, row.cure)
    for row in _KNOWN:
        if row.returncode == returncode:
            return Diagnosis(row.kind, row.cause, _last(lines) or str(returncode), row.cure)
    kind, (cause, cure) = (Cause.UNKNOWN, _UNKNOWN) if returncode else (Cause.NO_LORA, _NO_LORA)
    return Diagnosis(kind, cause, _last(lines) or str(returncode), cure)


def _last(lines: Sequence[str]) -> str:
    return " / ".join(line.strip() for line in lines[-_LAST_LINES:])
