"""What this machine is like for training and painting, and for each thing that is not well, what to do, with the exact command."""

from __future__ import annotations

import importlib.util
import platform
import re
import shutil
import sys
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from config import EMBEDDED_BASE, Settings
from locales.language import N_
from machine.base_models import find_base
from machine.gpu import GPUState, find_gpus, profile_of
from machine.other_cards import Maker, find_other_cards
from machine.processes import Heartbeat, Line, ProcessResult, run_child
from training.arguments import pinned_commit
from training.inputs import SCRIPT
from training.sd_scripts import checkout_commit
from utils import Event, ModelMissing, PipelineError, Progress, free_bytes

STAGE = "doctor"
_GIB = 2**30
_RAM_GB = 15.0  # a machine sold with 16; SDXL's checkpoint alone takes 7 while it is loaded
_FREE_SHARE = 0.85  # of the video memory; a desktop takes the rest
SMALLEST_GB = 7.5  # of video memory, with which SDXL is trained by what sd-scripts documents: a card sold as 8 GB reports that
_MANY = 3  # programs named by name
TRAINERS_TORCH = N_("PyTorch of sd-scripts")
_SETUP = "python avatar_pipeline.py setup sd-scripts"
_TORCH_CODE = "import torch; print('TORCH', torch.__version__, torch.version.cuda, torch.cuda.is_available())"
_VERSION = re.compile(r"^(?P<name>__version__|cuda)\b[^=]*= ['\"](?P<value>[^'\"]+)['\"]", re.MULTILINE)


FREE_GB_FOR_TRAINING = 20  # SDXL base 7 GB, caches and a dozen checkpoints
_PACKAGES = ("torch", "diffusers", "mtcnn", "tensorflow", "rawpy", "pillow_heif", "peft", "accelerate")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: `found` is shown beside `label`; `cure` says what to do where it is not well, `command` how exactly."""

    label: str
    found: str
    well: bool
    cure: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class MachineReport:
    """Everything that was looked at, in the order it matters."""

    checks: tuple[Check, ...]


def examine_machine(home: Path, settings: Settings) -> Generator[Event, None, MachineReport]:
    """Look at the machine; nothing is changed, no model is loaded and no CUDA context made in this process."""
    gpus = find_gpus()
    card = max(gpus, key=lambda gpu: gpu.total_gb, default=None)
    looks: tuple[Callable[[], Check], ...] = (
        lambda: look_at_python(home, settings),
        lambda: look_at_packages(home, settings),
        lambda: look_at_gpu(card),
        lambda: look_at_driver(card, _installed_torch().get("cuda", "")),
        lambda: _look_at_torch(card),
        lambda: _look_at_video_memory(card),
        _look_at_memory,
        lambda: look_at_disk(home, settings),
        lambda: _look_at_embedded(home, settings),
        lambda: look_at_base(home, settings),
        _look_at_git,
        lambda: _look_at_checkout(settings),
        lambda: _look_at_tokenizers(settings),
    )
    if card is None:
        looks = (*looks, _look_elsewhere)
    checks = []
    for number, look in enumerate(looks, 1):
        checks.append(look())
        yield Progress(STAGE, number, len(looks) + 1, checks[-1].label)
    checks.append((yield from _ask_trainer(settings, card, Progress(STAGE, len(looks), len(looks) + 1, TRAINERS_TORCH))))
    yield Progress(STAGE, len(looks) + 1, len(looks) + 1)
    return MachineReport(tuple(checks))


# --- the GPU ----------------------------------------------------------------------------------------------------------
def look_at_gpu(card: GPUState | None) -> Check:
    """The card that trains; where there is none, what other one is here and what it can do."""
    if card is None:
        others = find_other_cards()
        nothing = N_(
            "No NVIDIA card was found: the practice model works, SDXL cannot be trained. Is there a card? Install its driver."
        )
        install = _driver_command() if not others or others[0].maker is Maker.NVIDIA else ""
        named = ", ".join(other.name for other in others) or "-"
        return Check(N_("GPU"), named, False, others[0].maker.use if others else nothing, install)
    profile = profile_of(card)
    well = profile.architecture != "turing-gtx" and card.total_gb >= SMALLEST_GB
    cure = N_("SDXL cannot be trained well on it: 8 GB and an RTX card are the least. See what would fit:")
    memory = f"{card.total_gb:.1f} GB" if card.total_gb else "? GB"
    return Check(N_("GPU"), f"{card.name}, {memory}", well, cure, "python avatar_pipeline.py train --plan --client ID")


def _look_elsewhere() -> Check:
    """Where there is no card: what is left to do."""
    cure = N_("Without a card, SDXL can be trained on one of Google Colab's. This packs a client for notebooks/colab.ipynb:")
    return Check(N_("Elsewhere"), "Google Colab", False, cure, "python avatar_pipeline.py colab --client ID")


@dataclass(frozen=True, slots=True)
class _DriverNeed:
    """The oldest driver (major version) for PyTorch built for a CUDA; for the RTX 50 series it may be a newer one."""

    cuda: int
    driver: int
    blackwell: int
    cure: str


# NVIDIA's compatibility table: CUDA 13 from 580 on, 12 from 525 on, 11 from 450 on; the RTX 50 series is driven from 570 on.
_DRIVERS = (
    _DriverNeed(13, 580, 580, N_(
        "PyTorch here is built for CUDA 13, which needs driver 580 or newer; with this one the processor paints portraits. "
        "Install the newest driver:"
    )),
    _DriverNeed(12, 525, 570, N_(
        "PyTorch for CUDA 12 needs driver 525 or newer, and 570 for the RTX 50 series. Install the newest driver:"
    )),
    _DriverNeed(11, 450, 570, N_("PyTorch for CUDA 11 needs driver 450 or newer. Install the newest driver:")),
)  # fmt: skip


def look_at_driver(card: GPUState | None, torch_cuda: str) -> Check:
    """Whether the driver is new enough for the CUDA of the installed PyTorch; empty: for that of the trainer's, 12."""
    if card is None:
        return Check(N_("Driver"), "-", True)
    wanted = int(torch_cuda.partition(".")[0] or 12)
    need = next((one for one in _DRIVERS if one.cuda <= wanted), _DRIVERS[-1])
    least = need.blackwell if profile_of(card).architecture == "blackwell" else need.driver
    major, runs = card.driver.partition(".")[0], card.cuda.partition(".")[0]
    # A driver that does not tell its version may tell the newest CUDA that it runs.
    well = int(major) >= least if major.isdigit() else not runs.isdigit() or int(runs) >= wanted
    return Check(N_("Driver"), card.driver or "-", well, need.cure, _driver_command())


def _driver_command() -> str:
    return {"Windows": "winget install Nvidia.GeForceExperience", "Linux": "sudo ubuntu-drivers install"}.get(platform.system(), "")


_CUDA_13_FROM = (7, 5)  # compute capability: CUDA 13 has no code for what is older than Turing


def _look_at_torch(card: GPUState | None) -> Check:
    """Our own PyTorch, read from its files: importing it would take seconds and video memory."""
    found = _installed_torch()
    version, cuda = found.get("__version__", ""), found.get("cuda", "")
    well, index = bool(version) and (card is None or bool(cuda)), "cu130"
    cure = N_("This PyTorch does not use the GPU, so that portraits are painted slowly. Install the build with CUDA:")
    if card is not None and (0, 0) < card.capability < _CUDA_13_FROM:
        well, index = well and not cuda.startswith("13"), "cu126"
        cure = N_("PyTorch for CUDA 13 has no code for a card this old. Install the build for CUDA 12:")
    plain = version.partition("+")[0] or "2.13.0"
    command = f'"{sys.executable}" -m pip install torch=={plain} --index-url https://download.pytorch.org/whl/{index}'
    return Check(N_("PyTorch"), f"{version or '-'}, CUDA {cuda or '-'}", well, cure, command)


def _installed_torch() -> dict[str, str]:
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return {}
    with suppress(OSError):
        text = (Path(spec.origin).parent / "version.py").read_text(encoding="utf-8")
        return {found["name"]: found["value"] for found in _VERSION.finditer(text)}
    return {}


def _look_at_video_memory(card: GPUState | None) -> Check:
    if card is None:
        return Check(N_("Video memory"), "-", True)
    holders = card.processes[:_MANY]
    named = ", ".join(f"{holder.program or '?'} ({holder.pid}) {holder.memory_gb:.1f} GB" for holder in holders)
    if card.free_gb is None:
        return Check(N_("Video memory"), f"- / {card.total_gb:.1f} GB", True)
    found = f"{card.free_gb:.1f} / {card.total_gb:.1f} GB" + (f": {named}" if named else "")
    cure = N_("Other programs hold a part of it. Close them before training; a menu of this program frees its own under Models.")
    return Check(N_("Video memory"), found, card.free_gb >= _FREE_SHARE * card.total_gb, cure)


# --- the rest of the machine ------------------------------------------------------------------------------------------
def look_at_python(_home: Path, _settings: Settings) -> Check:
    """Whether every package has a build for this Python."""
    version = ".".join(map(str, sys.version_info[:3]))
    well = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Check(N_("Python"), version, well, N_("Python 3.11, 3.12 or 3.13 is needed; TensorFlow has no build for this one."))


def look_at_packages(_home: Path, _settings: Settings) -> Check:
    """Whether the packages of the path are installed."""
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    cure = N_("Install the requirements: pip install -r requirements.txt")
    return Check(N_("Packages"), ", ".join(missing) or str(len(_PACKAGES)), not missing, cure)


def look_at_disk(home: Path, _settings: Settings) -> Check:
    """Whether there is room for SDXL and a training."""
    free_gb = free_bytes(home) / 1e9
    cure = N_("SDXL, its caches and checkpoints need about 20 GB; free some space before real work.")
    return Check(N_("Free disk"), f"{free_gb:.0f} GB", free_gb >= FREE_GB_FOR_TRAINING, cure)


def _look_at_memory() -> Check:
    memory = psutil.virtual_memory()
    found = f"{memory.available / _GIB:.0f} / {memory.total / _GIB:.0f} GB"
    cure = N_("Loading SDXL takes 16 GB. Close other programs; on Windows let the system manage the paging file:")
    command = "SystemPropertiesPerformance" if sys.platform == "win32" else "free -h"
    return Check(N_("Memory"), found, memory.total / _GIB >= _RAM_GB, cure, command)


def _look_at_embedded(home: Path, settings: Settings) -> Check:
    cure = N_("The embedded base model is incomplete. Get the program's files again:")
    command = "git checkout -- embedded"
    try:
        find_base(home, settings, EMBEDDED_BASE).require()
    except PipelineError:
        return Check(N_("Embedded model"), "-", False, cure, command)
    return Check(N_("Embedded model"), "embedded/base", True, cure, command)


def look_at_base(home: Path, settings: Settings) -> Check:
    """Whether the base model of the settings is here and can be used; where it can be fetched, how."""
    label, cure = N_("Base model"), N_("The base model is not there. Name a diffusers folder or a .safetensors file:")
    command = "python avatar_pipeline.py settings base_model=FILE"
    try:
        base = find_base(home, settings)
        if base.preload:
            fetch = N_("The base model is not on this machine yet. To fetch it:")
            return Check(label, base.name, False, fetch, f"python avatar_pipeline.py models preload {base.preload}")
        found = base.name if base.practice else str(base.require())
    except ModelMissing:
        return Check(label, settings.base_model, False, cure, command)
    except PipelineError:
        unusable = N_("The base model is torn, or no SDXL. Name another one, or fetch this one again:")
        return Check(label, settings.base_model, False, unusable, command)
    return Check(label, found, True)


def _look_at_git() -> Check:
    command = {"Windows": "winget install Git.Git", "Darwin": "xcode-select --install"}.get(
        platform.system(), "sudo apt install git"
    )
    git = shutil.which("git")
    return Check(N_("git"), git or "-", git is not None, N_("Setting up sd-scripts needs git:"), command)


def _look_at_checkout(settings: Settings) -> Check:
    folder = Path(settings.sd_scripts).expanduser()
    if not settings.sd_scripts or not (folder / SCRIPT).is_file():
        cure = N_("Kohya's sd-scripts, which trains SDXL in the least memory, is not set up; to have it:")
        return Check(N_("sd-scripts"), settings.sd_scripts or "-", False, cure, _SETUP)
    commit = checkout_commit(folder)
    cure = N_("This is not the commit that the program was made for. Train only if train --plan is content, or change it:")
    command = f'git -C "{folder}" fetch origin {pinned_commit()} && git -C "{folder}" checkout {pinned_commit()}'
    # A folder without git may well be the right one: the parser has the last word.
    return Check(N_("sd-scripts"), f"{folder} {commit[:8] or '?'}", commit in ("", pinned_commit()), cure, command)


def _look_at_tokenizers(settings: Settings) -> Check:
    folder = Path(settings.sd_scripts_tokenizers).expanduser()
    here = bool(settings.sd_scripts_tokenizers) and any(folder.glob("*/vocab.json"))
    cure = N_("sd-scripts loads two small tokenizers from the internet at the first training. To have them here:")
    return Check(N_("Tokenizers"), str(folder) if here else "-", here or not settings.sd_scripts, cure, _SETUP)


def _ask_trainer(settings: Settings, card: GPUState | None, asking: Progress) -> Generator[Event, None, Check]:
    """The PyTorch of sd-scripts' own Python, asked in a process of its own; `asking` is shown until it answers."""
    label, cure = TRAINERS_TORCH, N_("The trainer's PyTorch does not work with this GPU. Set it up again:")
    if not settings.sd_scripts_python:
        return Check(label, "-", not settings.sd_scripts, cure, _SETUP)
    python = Path(settings.sd_scripts_python).expanduser()
    try:
        # Its log and its name are of no use later, and looking must change nothing.
        with (
            TemporaryDirectory() as place,
            closing(run_child((str(python), "-c", _TORCH_CODE), Path(place) / "doctor.log", {})) as child,
        ):
            while True:
                _event: Line | Heartbeat = next(child)
                yield asking
    except StopIteration as end:
        result: ProcessResult = end.value
    except OSError:
        return Check(label, str(python), False, cure, _SETUP)
    told = next((line.split() for line in result.tail if line.startswith("TORCH ")), None)
    if told is None:
        return Check(label, (result.tail or ("-",))[-1], False, cure, _SETUP)
    _word, version, cuda, available = told
    check = Check(label, f"{version}, CUDA {cuda}", card is None or available == "True", cure, _SETUP)
    return replace(check, found=check.found.replace("None", "-"))
