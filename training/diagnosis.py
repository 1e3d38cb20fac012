"""From the last lines of a trainer to what went wrong, the line that shows it, and what to do.

Pure. One table holds every known cause, the most telling first; its patterns are the words of sd-scripts, PyTorch, accelerate and
argparse as they were seen. What matches none is called unknown, and its last lines are the evidence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from locales.language import N_


class Cause(StrEnum):
    """What ended a training."""

    VIDEO_MEMORY = "video_memory"
    SPILL = "spill"
    MEMORY = "memory"
    PAGING_FILE = "paging_file"
    NAN = "nan"
    NO_IMAGES = "no_images"
    EMPTY_CAPTION = "empty_caption"
    NO_BASE = "no_base"
    BAD_FLAG = "bad_flag"
    NO_TOKENIZER = "no_tokenizer"
    DISK_FULL = "disk_full"
    DRIVER = "driver"
    GPU_FAULT = "gpu_fault"
    BITSANDBYTES = "bitsandbytes"
    NO_MODULE = "no_module"
    BAD_PICTURE = "bad_picture"
    ENCODING = "encoding"
    NETWORK = "network"
    PORT = "port"
    PERMISSION = "permission"
    BAD_SETTING = "bad_setting"
    CRASH = "crash"
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
class _KnownFailure:
    """A known cause: it holds where a line has `pattern`, or where the trainer ended with one of `returncodes`."""

    kind: Cause
    pattern: str
    cause: str
    cure: str
    returncodes: tuple[int, ...] = ()


_MORE_MEMORY = N_(
    "Close other programs, or start another machine with more memory, and train again: it goes on from the last checkpoint."
)
_KNOWN = (
    _KnownFailure(
        Cause.VIDEO_MEMORY,
        r"CUDA out of memory|OutOfMemoryError|CUBLAS_STATUS_ALLOC_FAILED|CUDNN_STATUS_ALLOC_FAILED",
        N_("the GPU's memory is full."),
        N_("Close programs that use the GPU, or take a smaller dim or resolution: train --plan shows what fits."),
    ),
    _KnownFailure(
        Cause.NAN,
        r"avr_loss=(?:nan|-?inf)|NaN detected in latents|loss is NaN",
        N_("the loss is not a number any more; what is trained from here on is noise."),
        N_("Use a lower learning rate or bf16, and look for a damaged base model."),
    ),
    _KnownFailure(
        Cause.NO_IMAGES,
        r"No data found|^0 train images with repeats",
        N_("the trainer found no picture."),
        N_("Make the dataset again: dataset"),
    ),
    _KnownFailure(
        Cause.BITSANDBYTES,
        r"CUDA Setup failed despite|CUDA SETUP: Setup Failed|No bitsandbytes|libbitsandbytes\w*\.(?:so|dll)",
        N_("bitsandbytes, which keeps the optimizer in 8 bits, does not work with this GPU or driver."),
        N_("Run setup again, or train with --optimizer Adafactor."),
    ),
    _KnownFailure(
        Cause.DRIVER,
        r"no kernel image is available|driver version is insufficient|Found no NVIDIA driver|not compiled with CUDA|"
        r"no CUDA-capable device|NVIDIA driver on your system is too old|CUDA unknown error",
        N_("the trainer's PyTorch does not fit this GPU or its driver."),
        N_("Install the newest NVIDIA driver, then run setup again: it picks the PyTorch that fits. See also: doctor"),
    ),
    _KnownFailure(
        Cause.GPU_FAULT,
        r"illegal memory access|unspecified launch failure|device-side assert|CUDNN_STATUS_(?:EXECUTION|INTERNAL)|GPU is lost|"
        r"fallen off the bus|CUDA error: (?:unknown error|misaligned address)|uncorrectable ECC",
        N_("the GPU failed in the middle of a computation."),
        N_("Restart the computer and update the driver; take back any overclocking, and see to the card's cooling."),
    ),
    _KnownFailure(
        Cause.BAD_PICTURE,
        r"cannot identify image file|image file is truncated|UnidentifiedImageError|broken data stream when reading image",
        N_("a picture of the dataset cannot be read."),
        N_("Make the dataset again: dataset"),
    ),
    _KnownFailure(
        Cause.EMPTY_CAPTION,
        r"caption file is empty",
        N_("a caption is empty."),
        N_("Make the dataset again, or write a line into that file."),
    ),
    _KnownFailure(
        Cause.NO_TOKENIZER,
        r"Can't load tokenizer|expected str, bytes or os\.PathLike object, not NoneType|CLIPTokenizer.*(?:offline|connect)",
        N_("the trainer needs two small tokenizers that are not on this machine yet."),
        N_("Connect to the internet once and train again; later trainings need none."),
    ),
    _KnownFailure(
        Cause.NETWORK,
        r"couldn't connect to 'https|Max retries exceeded|Temporary failure in name resolution|LocalEntryNotFoundError|"
        r"(?:40[13]|429) Client Error|GatedRepoError|getaddrinfo failed",
        N_("the trainer wanted to load something from the internet and could not."),
        N_("Name a base model that lies on this machine, and run setup again while connected."),
    ),
    _KnownFailure(
        Cause.PORT,
        r"EADDRINUSE|address already in use|Only one usage of each socket address",
        N_("another distributed training uses the same port."),
        N_("Wait until it has ended, or set another main_process_port in the accelerate configuration."),
    ),
    _KnownFailure(
        Cause.NO_BASE,
        r"loading state_dict for (?:SdxlUNet|CLIPText|Autoencoder)|"
        r"model_name_or_path .* is neither a valid|is not an SDXL model|has no VAE class|HeaderTooLarge|MetadataInc",
        N_("the base model cannot be read."),
        N_("Check base_model in the settings; a broken download has to be loaded again."),
    ),
    _KnownFailure(
        Cause.BAD_FLAG,
        r"error: (?:unrecognized arguments|argument |ambiguous option|the following arguments are required)",
        N_("this version of the trainer does not know an option."),
        N_("Use sd-scripts at the version this program is made for: setup"),
        returncodes=(2,),
    ),
    _KnownFailure(
        Cause.DISK_FULL,
        r"No space left on device|ENOSPC|Errno 28|os error 28|PytorchStreamWriter failed",
        N_("the disk is full."),
        N_("Free some space and train again: it goes on from the last checkpoint."),
    ),
    _KnownFailure(
        Cause.PERMISSION,
        r"PermissionError|Access is denied|WinError (?:5|32)\b|Read-only file system",
        N_("the system did not let the trainer read or write a file."),
        N_("Close programs that hold the client's folder open, such as a virus scanner or a cloud drive, and check its rights."),
    ),
    _KnownFailure(
        Cause.ENCODING,
        r"Unicode(?:En|De)codeError|'charmap' codec|illegal char in file",
        N_("the trainer met a character that it cannot write or read."),
        N_("Make the dataset again, so that all captions are UTF-8; if it happens again, report it with the log."),
    ),
    _KnownFailure(
        Cause.NO_MODULE,
        r"ModuleNotFoundError|ImportError: |No xformers",
        N_("a package that the trainer needs is missing or broken."),
        N_("Install the trainer's requirements again: setup"),
    ),
    _KnownFailure(
        Cause.BAD_STATE,
        r"Tried to find .* but folder does not exist|should be greater than initial step|Error\(s\) in loading state_dict|"
        r"is a state that cannot be loaded|does not fit these flags|UnpicklingError|Weights only load failed",
        N_("the saved state that the training should go on from cannot be used."),
        N_(
            "It was put aside, in a folder that ends in -refused. Train again: it goes on from an older one, or from the beginning."
        ),
    ),
    _KnownFailure(
        Cause.PAGING_FILE,
        r"paging file is too small|(?:WinError|os error) 1455|页面文件太小",
        N_("Windows has too small a paging file to load the model."),
        N_(
            "In Windows' settings for virtual memory let the system manage the paging file, on a disk with 40 GB free, and restart."
        ),
    ),
    _KnownFailure(
        Cause.BAD_SETTING,
        r"^AssertionError: |module 'torch\.optim' has no attribute|is not a valid SchedulerType|does not require `?num_warmup|"
        r"requires `?num_warmup|persistent_workers option needs|^TypeError: .*unexpected keyword argument",
        N_("the trainer cannot combine two settings, or does not know one."),
        N_("The line says which; train --plan checks settings before anything is loaded."),
    ),
    _KnownFailure(
        Cause.MEMORY,
        r"SIGKILL: 9|DefaultCPUAllocator: (?:not enough memory|can't allocate)|^MemoryError",
        N_("the memory is full."),
        _MORE_MEMORY,
    ),
    _KnownFailure(
        Cause.MEMORY,
        r"(?!)",  # no words: only how it ended tells
        N_("the system ended the trainer without a word, as it does when memory runs out."),
        _MORE_MEMORY,
        returncodes=(-9, 137),
    ),
    _KnownFailure(
        Cause.STOPPED,
        r"^KeyboardInterrupt",
        N_("somebody stopped the trainer."),
        N_("Train again: it goes on from the last checkpoint."),
        returncodes=(-2, -15, 130, 143, 3221225786, -1073741510),  # the last two: Ctrl-C on Windows, signed or not
    ),
    _KnownFailure(
        Cause.CRASH,
        r"Segmentation fault|Windows fatal exception|access violation|SIGSEGV",
        N_("the trainer crashed inside one of its libraries, without a word of its own."),
        N_("Train again: it goes on from the last checkpoint. If it comes back, update the GPU's driver and run setup again."),
        returncodes=(-11, -6, 139, 134, 3221225477, -1073741819, 3221226505, -1073740791),  # the last four: Windows, signed or not
    ),
    _KnownFailure(
        Cause.REFUSED,
        r"^sdxl_train_network\.py: (?!error)",  # how the embedded trainer says no
        N_("the trainer cannot train this as asked."),
        N_("What it said tells which setting to change."),
    ),
)
_SPILL = (
    N_("the GPU's memory is full, and what did not fit went into the system's, which is many times slower."),
    N_("Close programs that use the GPU, or take a smaller plan."),
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
        if returncode in row.returncodes:
            return Diagnosis(row.kind, row.cause, _last(lines) or str(returncode), row.cure)
    kind, (cause, cure) = (Cause.UNKNOWN, _UNKNOWN) if returncode else (Cause.NO_LORA, _NO_LORA)
    return Diagnosis(kind, cause, _last(lines) or str(returncode), cure)


def told_by_spill(evidence: str) -> Diagnosis:
    """The failure that no line shows: steps many times slower than planned on a GPU that is full."""
    return Diagnosis(Cause.SPILL, _SPILL[0], evidence, _SPILL[1])


def _last(lines: Sequence[str]) -> str:
    return " / ".join(line.strip() for line in lines[-_LAST_LINES:])
