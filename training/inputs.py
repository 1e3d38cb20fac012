"""What a training is made from, read from disk: the trainer, the base model, the dataset as the trainer will see it."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from client_folder.client import Client
from config import PROGRAM, SDXL_BASE, SDXL_ID, Settings
from locales.language import N_, _
from machine.base_models import BaseKind, base_of, configuration_of, find_base, known_sha256
from machine.gpu import GPUState
from training.plan import BaseFacts, DatasetFacts, TrainerKind, TrainingPlan
from utils import ModelMissing, NotReady, PipelineError, SettingRefused

SCRIPT = "sdxl_train_network.py"
EMBEDDED_SCRIPT = PROGRAM / "embedded" / SCRIPT
TRAINING = N_("The training")
NO_DATASET = N_("there is no dataset yet.")
EMPTY_CAPTION = N_("the caption {file} has no words in its first line, or is no UTF-8 text.")
NO_FOLDER = N_("no folder in {folder} is named REPEATS_NAME, as in 8_{client}: sd-scripts would find 0 images.")
NO_ACCELERATE_FILE = N_("there is no such file; make one with: accelerate config")
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "HF_HUB_DISABLE_TELEMETRY": "1", "COLUMNS": "250"}  # log lines wrap at the console's width
_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})  # what sd-scripts reads, in either case


class TrainerMissing(PipelineError):
    """Facts: base."""

    message = N_("No trainer is installed that can train {base}.")
    hint = N_("Install Kohya's sd-scripts with: setup sd-scripts. Or name a checkout of it in the settings (sd_scripts).")
    menu_hint = N_("Install Kohya's sd-scripts under: Set up the program. Or name a checkout of it in the settings (sd_scripts).")


@dataclass(frozen=True, slots=True)
class Trainer:
    """The program that trains: its Python, its script, whose it is, and the words of our own that it needs first."""

    python: Path
    script: Path
    kind: TrainerKind
    own_words: tuple[str, ...] = ()


def find_trainer(home: Path, settings: Settings, base: Path) -> Trainer:
    """The trainer that fits a base model: ours for a diffusers folder; for a checkpoint of one file sd-scripts, else ours.

    Raises ModelMissing, NotDownloaded or TrainerMissing.
    """
    if not base.exists():
        find_base(home, settings, SDXL_BASE if base == Path(SDXL_ID) else str(base)).require()
        raise ModelMissing(model=base)  # it came a moment ago: the plan is to be made anew
    ours = Trainer(Path(sys.executable), EMBEDDED_SCRIPT, TrainerKind.EMBEDDED)
    if base.is_dir():
        return ours
    if not settings.sd_scripts:
        return replace(ours, own_words=("--model_config_dir", str(configuration_of(base, home, settings))))
    python = Path(settings.sd_scripts_python or sys.executable).expanduser()
    trainer = Trainer(python, Path(settings.sd_scripts).expanduser() / SCRIPT, TrainerKind.SD_SCRIPTS)
    if not (trainer.script.is_file() and shutil.which(trainer.python)):
        raise TrainerMissing(base=base)
    return trainer


def launch_words(settings: Settings, trainer: Trainer) -> tuple[str, ...]:
    """What stands before the options: Python and the script, and for sd-scripts `accelerate launch` where the user configured it.

    Ours trains on one GPU. Raises SettingRefused where the configuration is not there.
    """
    if not settings.accelerate_config or trainer.kind is TrainerKind.EMBEDDED:
        return str(trainer.python), str(trainer.script), *trainer.own_words
    file = accelerate_file(settings)
    return str(trainer.python), "-m", "accelerate.commands.launch", "--config_file", str(file), str(trainer.script)


def trainer_environment(plan: TrainingPlan, settings: Settings, card: GPUState | None) -> Mapping[str, str]:
    """What the trainer finds in its environment: quiet libraries, the GPU that was planned for, no network where none is needed."""
    environment = dict(QUIET)
    if plan.tokenizers and Path(plan.base).exists():
        environment["HF_HUB_OFFLINE"] = "1"
    if card and card.uuid and not settings.accelerate_config and "CUDA_VISIBLE_DEVICES" not in os.environ:
        environment["CUDA_VISIBLE_DEVICES"] = card.uuid
    return environment


def accelerate_file(settings: Settings) -> Path:
    """The user's own accelerate configuration; raises SettingRefused."""
    file = Path(settings.accelerate_config).expanduser()
    if not file.is_file():
        raise SettingRefused(name="accelerate_config", problem=_(NO_ACCELERATE_FILE))
    return file


def count_processes(settings: Settings) -> int:
    """How many GPUs train together: what the accelerate configuration says, else 1."""
    if not settings.accelerate_config:
        return 1
    import yaml  # accelerate's own format, and it brings the library along

    try:
        said = yaml.safe_load(accelerate_file(settings).read_text(encoding="utf-8"))
        return max(1, int(said["num_processes"]))
    except (yaml.YAMLError, KeyError, TypeError, ValueError, UnicodeDecodeError) as error:
        raise SettingRefused(name="accelerate_config", problem=str(error)) from error


# --- what lies on disk ------------------------------------------------------------------------------------------------
def read_base(client: Client, settings: Settings, name: str = "") -> BaseFacts:
    """The facts of the named base model, else of the client's; raises ModelMissing, NotSdxl, TrainerMissing or BrokenFile.

    SDXL itself can be planned for by its name, before it or sd-scripts are on this machine.
    """
    base = base_of(client, settings, name)
    if base.preload:
        return BaseFacts(base.kind, Path(SDXL_ID), TrainerKind.SD_SCRIPTS)
    path = base.require()
    trainer = find_trainer(client.home, settings, path)
    return BaseFacts(base.kind, path, trainer.kind, base.native_px, base.weights_digest)


def read_dataset(client: Client, kind: BaseKind) -> DatasetFacts:
    """The dataset as the trainer will see it: `{repeats}_{name}/` folders, pictures, captions. Raises NotReady.

    Regularisation pictures of the embedded base are drawn by code and so no part of the digest; others are.
    """
    pictures: list[Path] = []
    stray = _pictures(client.training_data) if client.training_data.is_dir() else []
    samples = 0
    for folder in _subfolders(client.training_data):
        found, repeats = _pictures(folder), folder.name.split("_")[0]  # how often an epoch shows them
        if repeats.isdecimal() and int(repeats):
            pictures += found
            samples += int(repeats) * len(found)
        else:  # sd-scripts passes it over
            stray += found
    if not pictures:
        # Pictures in a folder of another name: the commonest way to "0 images", and worth its own words.
        reason = _(NO_FOLDER).format(folder=client.training_data, client=client.id) if stray else _(NO_DATASET)
        raise NotReady(step=_(TRAINING), reason=reason)
    brought: list[Path] = []
    if kind is not BaseKind.EMBEDDED:
        for folder in _subfolders(client.regularisation):
            brought += _pictures(folder)
    files = [file for picture in (*pictures, *brought) for file in _with_caption(picture)]
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(client.root).as_posix()}\0{known_sha256(file)}\n".encode())
    return DatasetFacts(
        images=len(pictures),
        samples_per_epoch=samples,
        digest=digest.hexdigest()[:16],
        regularised=kind is BaseKind.EMBEDDED or bool(brought),
    )


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _PICTURES)


def _with_caption(picture: Path) -> list[Path]:
    """A picture and, where there is one, its caption; raises NotReady for an empty one, at which sd-scripts would die."""
    caption = picture.with_suffix(".txt")
    if not caption.exists():
        return [picture]
    try:
        words = caption.read_text(encoding="utf-8").partition("\n")[0].strip()  # the trainers look at the first line, as UTF-8
    except UnicodeDecodeError:
        words = ""
    if not words:
        raise NotReady(step=_(TRAINING), reason=_(EMPTY_CAPTION).format(file=caption))
    return [picture, caption]


def forget_caches(client: Client) -> None:
    """Remove cached latents and text outputs: sd-scripts looks at their size only, and would train on a picture long replaced."""
    for folder in (*_subfolders(client.training_data), *_subfolders(client.regularisation)):
        for cache in folder.glob("*.npz"):
            cache.unlink()
