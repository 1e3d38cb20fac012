"""Kohya's sd-scripts on this machine: cloned at the pinned commit, with a Python of its own, and proven by its own parser.

Each step is found done from what lies on disk, so that a set-up that was stopped goes on where it was. Nothing outside
`trainer/` in the program's home is changed; a checkout or a Python that the settings name are used as they are.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from config import Settings, update_settings
from locales.language import N_, _
from machine.gpu import GPUState
from machine.processes import Heartbeat, Line, ProcessResult, run_child
from training.arguments import build_parser, pinned_commit
from training.inputs import SCRIPT
from utils import BrokenFile, Event, PipelineError, Progress, Record, read_record, write_record, write_text

TOKENIZERS = ("openai/clip-vit-large-patch14", "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k")
STAGE = "trainer"
_QUIET = {"GIT_TERMINAL_PROMPT": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
_NEWEST_ON_WINDOWS = (3, 12)  # of the builds of safetensors 0.4.5 for Windows on PyPI; elsewhere pip finds one for 3.13
_WHEELS = "https://download.pytorch.org/whl"
_OFFLINE = re.compile(
    r"Could not resolve host|unable to access|Failed to establish a new connection|Temporary failure in name resolution|"
    r"getaddrinfo|Connection (?:refused|reset|timed out)|"
    r"couldn't connect to|Could not find a version|Max retries|Network is unreachable|"
    r"does not appear to be a git repository|does not exist|Could not fetch URL|LocalEntryNotFound"
)
_TOKENIZERS_CODE = (
    "import sys; from pathlib import Path; from transformers import CLIPTokenizer\n"
    "for name in sys.argv[2:]:\n"
    "    folder = Path(sys.argv[1]) / name.replace('/', '_')\n"
    "    if not (folder / 'vocab.json').is_file(): CLIPTokenizer.from_pretrained(name).save_pretrained(folder)\n"
)
_OPTIONS_CODE = (
    "import sys, json; sys.path.insert(0, sys.argv[1]); import sdxl_train_network as s\n"
    "print('OPTIONS ' + json.dumps(sorted(o for a in s.setup_parser()._actions for o in a.option_strings if o[:2] == '--')))\n"
)


class SetupFailed(PipelineError):
    """Facts: step, evidence, cure, log."""

    message = N_("sd-scripts could not be set up: {step}\n    {evidence}")
    hint = N_("{cure} Then run setup again: it goes on where it stopped. Everything that was said: {log}")


class PythonTooNew(PipelineError):
    """Facts: version."""

    message = N_(
        "sd-scripts cannot be set up with Python {version} on Windows: safetensors 0.4.5, which it pins, has no build for it."
    )
    hint = N_(
        "Delete the folder .venv and start install.ps1: it brings Python 3.11. Or name a Python 3.11 or 3.12 that has sd-scripts' "
        "requirements: settings sd_scripts_python=FILE. Without sd-scripts the program's own trainer trains SDXL too."
    )


@dataclass(frozen=True, slots=True)
class TorchBuild:
    """The PyTorch that fits a GPU: what pip is asked for, and from which index."""

    packages: tuple[str, ...]
    index: str = ""

    def words(self) -> tuple[str, ...]:
        """What follows `pip install`."""
        return (*self.packages, *(("--index-url", self.index) if self.index else ()))


@dataclass(frozen=True, slots=True)
class TrainerPlan:
    """What is to be set up where. `own_checkout` and `own_python`: named in the settings, and so left as they are."""

    home: Path
    source: str
    commit: str
    torch: TorchBuild
    checkout: Path
    python: Path
    tokenizers: Path
    own_checkout: bool
    own_python: bool

    @property
    def folder(self) -> Path:
        """Everything that set-up makes."""
        return trainer_folder(self.home)

    @property
    def log(self) -> Path:
        """All that git and pip said."""
        return self.folder / "setup.log"


@dataclass(frozen=True, slots=True)
class TrainerInstalled:
    """sd-scripts as it was proven to work: its options are those that this program knows."""

    checkout: Path
    python: Path
    commit: str
    options: int


class _Done(Record):
    """`trainer/setup.json`: which steps ended well, and with what they were done."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    steps: dict[str, str] = {}


def trainer_folder(home: Path) -> Path:
    """Where set-up puts sd-scripts, its Python and its tokenizers."""
    return home / "trainer"


def plan_trainer(home: Path, settings: Settings, gpu: GPUState | None) -> TrainerPlan:
    """What setting up would do; nothing is touched."""
    folder = trainer_folder(home)
    python = folder / "venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    named_checkout, named_python = Path(settings.sd_scripts).expanduser(), Path(settings.sd_scripts_python).expanduser()
    own_checkout = bool(settings.sd_scripts) and not named_checkout.is_relative_to(folder)
    own_python = bool(settings.sd_scripts_python) and not named_python.is_relative_to(folder)
    return TrainerPlan(
        home=home,
        source=settings.sd_scripts_source,
        commit=pinned_commit(),
        torch=torch_for(gpu),
        checkout=named_checkout if own_checkout else folder / "sd-scripts",
        python=named_python if own_python else python,
        tokenizers=folder / "tokenizers",
        own_checkout=own_checkout,
        own_python=own_python,
    )


def torch_for(gpu: GPUState | None) -> TorchBuild:
    """The PyTorch that sd-scripts' own page names for a card: 2.6 with CUDA 12.4, for the RTX 50 series 2.8 with CUDA 12.8.

    CUDA 12 runs on drivers from 525 on; an older one gets the build for CUDA 11.8.
    """
    if gpu is None:
        return TorchBuild(("torch==2.6.0", "torchvision==0.21.0"), "" if sys.platform == "darwin" else f"{_WHEELS}/cpu")
    if gpu.capability >= (10, 0):
        return TorchBuild(("torch==2.8.0", "torchvision==0.23.0"), f"{_WHEELS}/cu128")
    major = int(gpu.driver.partition(".")[0]) if gpu.driver.partition(".")[0].isdigit() else 0
    return TorchBuild(("torch==2.6.0", "torchvision==0.21.0"), f"{_WHEELS}/{'cu118' if 0 < major < 525 else 'cu124'}")


# --- setting up -------------------------------------------------------------------------------------------------------
CLONE, VENV, TORCH, REQUIREMENTS, TOKENS, PROOF = "clone", "venv", "torch", "requirements", "tokenizers", "proof"
STEPS: Mapping[str, str] = {
    CLONE: N_("cloning sd-scripts"),
    VENV: N_("making its virtual environment"),
    TORCH: N_("installing PyTorch"),
    REQUIREMENTS: N_("installing its requirements"),
    TOKENS: N_("loading the two CLIP tokenizers"),
    PROOF: N_("asking its parser"),
}
NO_GIT = N_("git is not installed. Install it (Windows: winget install Git.Git; Debian, Ubuntu: sudo apt install git).")
BY_HAND = N_(
    "There may be no network. By hand, where there is one: git clone {source}; git checkout {commit}; then name the folder: "
    "settings sd_scripts=FOLDER."
)
NO_VENV = N_("Debian and Ubuntu need a package for that: sudo apt install python3-venv.")
NO_TOKENIZERS = N_("They are a few MB on the Hugging Face hub. Connect to the internet once.")
PIP_BY_HAND = N_("There may be no network, or no room on the disk. By hand: {python} -m pip install {words}")
NOT_THIS = N_("The script is not the one this program is made for. Use commit {commit} of sd-scripts.")
SEE_LOG = N_("The line above says why.")
Stage = Generator[Event, None, None]


def install_trainer(home: Path, settings: Settings, plan: TrainerPlan) -> Generator[Event, None, TrainerInstalled]:
    """Do every step that is not done yet, then name the result in the settings file.

    Raises PythonTooNew before anything is fetched, and SetupFailed.
    """
    if sys.platform == "win32" and sys.version_info[:2] > _NEWEST_ON_WINDOWS and not plan.own_python:
        raise PythonTooNew(version=".".join(map(str, sys.version_info[:2])))
    plan.folder.mkdir(parents=True, exist_ok=True)
    steps: dict[str, Callable[[TrainerPlan, int], Stage]] = {}
    if not plan.own_checkout:
        steps[CLONE] = _clone
    if not plan.own_python:
        steps |= {VENV: _make_venv, TORCH: _install_torch, REQUIREMENTS: _install_requirements}
    steps[TOKENS] = _load_tokenizers
    for number, (name, step) in enumerate(steps.items()):
        yield Progress(STAGE, number, len(STEPS), _(STEPS[name]))
        if _done(plan).get(name) != _digest(plan, name):
            yield from step(plan, number)
            write_record(plan.folder / "setup.json", _Done(steps={**_done(plan), name: _digest(plan, name)}))
    yield Progress(STAGE, len(STEPS) - 1, len(STEPS), _(STEPS[PROOF]))
    options = yield from _ask_the_parser(plan)
    found = {
        "sd_scripts": str(plan.checkout),
        "sd_scripts_python": str(plan.python),
        "sd_scripts_tokenizers": str(plan.tokenizers),
    }
    update_settings(home, lambda now: now.model_copy(update=found))
    yield Progress(STAGE, len(STEPS), len(STEPS))
    return TrainerInstalled(plan.checkout, plan.python, checkout_commit(plan.checkout), options)


def _done(plan: TrainerPlan) -> dict[str, str]:
    try:
        return read_record(plan.folder / "setup.json", _Done).steps
    except (FileNotFoundError, BrokenFile):
        return {}


def _digest(plan: TrainerPlan, name: str) -> str:
    """What a step depends on; where that changed, or its result is gone, the step is done again."""
    needed = {
        CLONE: (plan.checkout / SCRIPT, plan.commit),
        VENV: (plan.python, sys.version),
        TORCH: (plan.python, " ".join(plan.torch.words())),
        REQUIREMENTS: (plan.python, plan.commit + " ".join(plan.torch.words())),
        TOKENS: (plan.tokenizers / TOKENIZERS[-1].replace("/", "_") / "vocab.json", ""),
    }
    result, made_with = needed[name]
    return hashlib.sha256(f"{result.is_file()}{result}{made_with}".encode()).hexdigest()[:16]


def _clone(plan: TrainerPlan, number: int) -> Stage:
    """One commit only, not the history; a clone that was cut off is begun anew, for half a `.git` is no use."""
    git = shutil.which("git")
    if git is None:
        raise SetupFailed(step=_(STEPS[CLONE]), evidence="git", cure=_(NO_GIT), log=plan.log)
    half = plan.folder / "sd-scripts.part"
    shutil.rmtree(half, ignore_errors=True)
    cure = _(BY_HAND).format(source=plan.source, commit=plan.commit)
    yield from _run(plan, CLONE, number, (git, "init", "-q", str(half)), cure)
    within = (git, "-C", str(half))
    yield from _run(plan, CLONE, number, (*within, "fetch", "--progress", "--depth", "1", plan.source, plan.commit), cure)
    yield from _run(plan, CLONE, number, (*within, "-c", "advice.detachedHead=false", "checkout", "-q", "FETCH_HEAD"), cure)
    shutil.rmtree(plan.checkout, ignore_errors=True)
    half.rename(plan.checkout)


def _make_venv(plan: TrainerPlan, number: int) -> Stage:
    folder = plan.python.parent.parent
    yield from _run(plan, VENV, number, (sys.executable, "-m", "venv", "--clear", str(folder)), _(NO_VENV))


def _install_torch(plan: TrainerPlan, number: int) -> Stage:
    if plan.torch.packages:
        yield from _pip(plan, TORCH, number, plan.torch.words())


def _install_requirements(plan: TrainerPlan, number: int) -> Stage:
    """All but `-e .`: the script finds its own library beside itself."""
    lines = (plan.checkout / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = plan.folder / "requirements.txt"
    write_text(wanted, "".join(f"{line}\n" for line in lines if not line.startswith("-e")))
    yield from _pip(plan, REQUIREMENTS, number, ("-r", str(wanted)))


def _pip(plan: TrainerPlan, step: str, number: int, words: Sequence[str]) -> Stage:
    cure = _(PIP_BY_HAND).format(python=plan.python, words=" ".join(words))
    argv = (str(plan.python), "-m", "pip", "install", "--progress-bar", "off", *words)
    yield from _run(plan, step, number, argv, cure)


def _load_tokenizers(plan: TrainerPlan, number: int) -> Stage:
    """Under the names that `--tokenizer_cache_dir` looks for; from then on training needs no network."""
    cure = _(NO_TOKENIZERS)
    yield from _run(plan, TOKENS, number, (str(plan.python), "-c", _TOKENIZERS_CODE, str(plan.tokenizers), *TOKENIZERS), cure)


def _ask_the_parser(plan: TrainerPlan) -> Generator[Event, None, int]:
    """How many options the installed script has; raises SetupFailed where it lacks one of those known here."""
    cure = _(NOT_THIS).format(commit=plan.commit)
    said = yield from _run(plan, PROOF, len(STEPS) - 1, (str(plan.python), "-c", _OPTIONS_CODE, str(plan.checkout)), cure)
    listed = next((line for line in reversed(said.tail) if line.startswith("OPTIONS ")), "OPTIONS []")
    options = set(json.loads(listed.removeprefix("OPTIONS ")))
    known = {name for action in build_parser()._actions for name in action.option_strings}
    if missing := sorted(known - options):
        raise SetupFailed(step=_(STEPS[PROOF]), evidence=" ".join(missing[:5]), cure=cure, log=plan.log)
    return len(options)


def _run(plan: TrainerPlan, step: str, number: int, argv: Sequence[str], cure: str) -> Generator[Event, None, ProcessResult]:
    """Run one command of a step and show what it says; raises SetupFailed with its last line."""
    tick = Progress(STAGE, number, len(STEPS), _(STEPS[step]))
    try:
        with closing(run_child(argv, plan.log, _QUIET, plan.folder / "setup.pid.json")) as child:
            while True:
                event: Line | Heartbeat = next(child)
                yield tick if isinstance(event, Heartbeat) else Progress(STAGE, number, len(STEPS), event.text.strip()[:60])
    except StopIteration as end:
        result: ProcessResult = end.value
    except FileNotFoundError as error:
        raise SetupFailed(step=_(STEPS[step]), evidence=str(argv[0]), cure=cure, log=plan.log) from error
    if result.returncode == 0:
        return result
    telling = next((line for line in reversed(result.tail) if _OFFLINE.search(line)), "")
    last = telling or next((line for line in reversed(result.tail) if line.strip()), str(result.returncode))
    raise SetupFailed(step=_(STEPS[step]), evidence=last.strip(), cure=cure or _(SEE_LOG), log=plan.log)


def checkout_commit(checkout: Path) -> str:
    """The commit a checkout stands at, read from its own files; empty where it is no clone."""
    git = checkout / ".git"
    try:
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        loose = git / name
        if loose.is_file():
            return loose.read_text(encoding="utf-8").strip()
        packed = (git / "packed-refs").read_text(encoding="utf-8").splitlines()
        return next((line.split()[0] for line in packed if line.endswith(f" {name}")), "")
    except OSError:
        return ""
