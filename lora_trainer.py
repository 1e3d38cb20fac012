"""Training a client's LoRA: find the trainer, plan, launch, watch, and go on where a run was cut off.

The trainer is a child process; this module never imports torch, so no video memory is held beside it. What lies on disk decides
what is still to do: nothing where a whole LoRA of the same plan and dataset is there, else what comes after the newest whole state.
"""

from __future__ import annotations

import hashlib
import math
import re
import shutil
import sys
import time
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple, NoReturn

from pydantic import BaseModel

import gpu as hardware
from checkpoints import (
    Checkpoint,
    clear_up,
    final_lora,
    find_resume,
    finish,
    is_whole,
    list_checkpoints,
    newest_version,
    read_plan,
)
from client import Client
from config import GPU_PROFILES, PRESETS, PROGRAM, SDXL_BASE, SDXL_ID, GPUProfile, Preset, Settings, resolve_base
from diagnosis import diagnose
from language import N_, _
from training_cost import Estimate, estimate, refuse
from training_plan import (
    BaseFacts,
    BaseKind,
    DatasetFacts,
    Overrides,
    TrainerKind,
    TrainingPlan,
    kohya_arguments,
    make_plan,
    run_name,
)
from utils import (
    Event,
    Heartbeat,
    Line,
    ModelMissing,
    NotReady,
    PlanRefused,
    ProcessResult,
    TrainerFailed,
    TrainerMissing,
    TrainingTick,
    end_orphan,
    read_record,
    run_child,
    sha256_file,
    sweep_parts,
    write_record,
)

SCRIPT = "sdxl_train_network.py"
EMBEDDED_SCRIPT = PROGRAM / "embedded" / SCRIPT
TRAINING = N_("The training")
NO_DATASET = N_("there is no dataset yet.")
EMPTY_CAPTION = N_("the caption {file} is empty or no UTF-8 text; make the dataset again.")
DATASET_CHANGED = N_("the dataset was changed after the plan was made; make the plan again.")
UNKNOWN_CHOICE = N_('there is no "{name}".')
CHOICES = N_("Choose one of: {names}")
_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})  # what sd-scripts reads, in either case


# --- the trainer and the plan -----------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Trainer:
    """The program that trains: its Python, its script, and whose it is."""

    python: Path
    script: Path
    kind: TrainerKind


class PreparedTraining(NamedTuple):
    """A plan, what it costs, and all that will follow the script's name."""

    plan: TrainingPlan
    estimate: Estimate
    argv: tuple[str, ...]


def find_trainer(settings: Settings, base: Path) -> Trainer:
    """The trainer that fits a base model: ours for a diffusers folder, sd-scripts for a checkpoint of one file.

    Raises ModelMissing or TrainerMissing.
    """
    if not base.exists():
        raise ModelMissing(model=base)
    trainer = Trainer(Path(sys.executable), EMBEDDED_SCRIPT, TrainerKind.EMBEDDED)
    if base.is_file():
        python = Path(settings.sd_scripts_python or sys.executable).expanduser()
        trainer = Trainer(python, Path(settings.sd_scripts).expanduser() / SCRIPT, TrainerKind.SD_SCRIPTS)
    named = base.is_dir() or settings.sd_scripts
    if not (named and trainer.script.is_file() and shutil.which(trainer.python)):
        raise TrainerMissing(base=base)
    return trainer


def plan_training(
    client: Client,
    settings: Settings,
    *,
    gpu: str | None = None,
    preset: str | None = None,
    steps: int | None = None,
    overrides: Overrides | None = None,
    base_model: str = "",
) -> PreparedTraining:
    """The plan for the dataset on disk; nothing is started or written. `overrides` holds more than `steps` can say.

    `gpu` and `preset` are names of `config`, else what the settings say ("auto": what is here). Raises NotReady without a dataset,
    PlanRefused for a wrong choice, ModelMissing, TrainerMissing. A plan that cannot work comes back with the verdict that says so.
    """
    base = read_base(client, settings, base_model)
    plan = make_plan(
        _profile_named(gpu or settings.gpu),
        _preset_named(preset or settings.preset),
        read_dataset(client, base.kind),
        base,
        overrides or Overrides(steps=steps),
    )
    plan = _with_version(client, plan)
    return PreparedTraining(plan, estimate(plan), kohya_arguments(plan, client, find_resume(client, plan)))


def _profile_named(name: str) -> GPUProfile:
    if name.lower() == "auto":
        return hardware.profile_here()
    found = next((profile for profile in GPU_PROFILES if profile.name.lower() == name.lower()), None)
    return found or _refuse_choice(name, [profile.name for profile in GPU_PROFILES])


def _preset_named(name: str) -> Preset:
    found = next((preset for preset in PRESETS if preset.name == name.lower()), None)
    return found or _refuse_choice(name, [preset.name for preset in PRESETS])


def _refuse_choice(name: str, known: Sequence[str]) -> NoReturn:
    raise PlanRefused(reason=_(UNKNOWN_CHOICE).format(name=name), cure=_(CHOICES).format(names=", ".join(known)))


def _with_version(client: Client, plan: TrainingPlan) -> TrainingPlan:
    """The same training keeps its version and goes on; another one takes the next, so that no file is ever overwritten."""
    saved = read_plan(client)
    same = saved is not None and saved.teaches_the_same(plan)
    version = saved.version if saved and same else newest_version(client) + 1
    return plan.model_copy(update={"version": version})


# --- what lies on disk ------------------------------------------------------------------------------------------------
_SDXL_WIDTH = 320  # channels of the first block of SDXL's U-Net
_DIGEST_BYTES = 2**20


class _ModelConfig(BaseModel):
    """What is asked of a `config.json` of diffusers."""

    block_out_channels: tuple[int, ...]
    sample_size: int  # of a U-Net: latents a side


def read_base(client: Client, settings: Settings, name: str = "") -> BaseFacts:
    """What the named base model is, else the client's; raises ModelMissing, TrainerMissing or BrokenFile.

    SDXL itself can be planned for by its name, before it or sd-scripts are on this machine.
    """
    name = name or client.state().base_model or settings.base_model
    if name == SDXL_BASE:
        return BaseFacts(BaseKind.SDXL, Path(SDXL_ID), TrainerKind.SD_SCRIPTS)
    path = resolve_base(name)
    trainer = find_trainer(settings, path)
    if path.is_file():
        return BaseFacts(BaseKind.SDXL, path, trainer.kind, digest=_digest_of_weights(path))
    unet, vae = _read_config(path / "unet"), _read_config(path / "vae")
    kind = BaseKind.EMBEDDED if unet.block_out_channels[0] < _SDXL_WIDTH else BaseKind.SDXL
    resolution = unet.sample_size * 2 ** (len(vae.block_out_channels) - 1)
    weights = sorted((path / "unet").glob("*.safetensors"))
    digest = _digest_of_weights(weights[0]) if weights else ""
    return BaseFacts(kind, path, trainer.kind, resolution, digest)


def _read_config(folder: Path) -> _ModelConfig:
    file = folder / "config.json"
    if not file.is_file():
        raise ModelMissing(model=file)
    return read_record(file, _ModelConfig)


def _digest_of_weights(path: Path) -> str:
    """A digest of size, beginning and end: a checkpoint of 7 GB would take half a minute to read whole."""
    size = path.stat().st_size
    with path.open("rb") as file:
        digest = hashlib.sha256(f"{size}:".encode() + file.read(_DIGEST_BYTES))
        file.seek(max(0, size - _DIGEST_BYTES))
        digest.update(file.read())
    return digest.hexdigest()[:16]


def read_dataset(client: Client, kind: BaseKind) -> DatasetFacts:
    """The dataset as the trainer will see it: `{repeats}_{name}/` folders, pictures, captions. Raises NotReady.

    Regularisation pictures of the embedded base are drawn by code and so no part of the digest; others are.
    """
    folders = [(folder, _repeats(folder)) for folder in _subfolders(client.training_data)]
    pictures = {folder: _pictures(folder) for folder, repeats in folders if repeats}
    images = sum(len(found) for found in pictures.values())
    if not images:
        raise NotReady(step=_(TRAINING), reason=_(NO_DATASET))
    brought = [] if kind is BaseKind.EMBEDDED else [p for folder in _subfolders(client.regularisation) for p in _pictures(folder)]
    files = [file for picture in chain(*pictures.values(), brought) for file in _with_caption(picture)]
    return DatasetFacts(
        images=images,
        samples_per_epoch=sum(repeats * len(pictures[folder]) for folder, repeats in folders if repeats),
        digest=_digest_of_files(client, files),
        regularised=kind is BaseKind.EMBEDDED or bool(brought),
    )


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _repeats(folder: Path) -> int:
    """How often an epoch shows the pictures of a folder, by its name; 0 where sd-scripts would pass it over."""
    number = folder.name.split("_")[0]
    return int(number) if number.isdecimal() else 0


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _PICTURES)


def _with_caption(picture: Path) -> list[Path]:
    """A picture and, where there is one, its caption; raises NotReady for an empty one, at which sd-scripts would die."""
    caption = picture.with_suffix(".txt")
    if not caption.exists():
        return [picture]
    if not _is_caption(caption):
        raise NotReady(step=_(TRAINING), reason=_(EMPTY_CAPTION).format(file=caption))
    return [picture, caption]


def _is_caption(file: Path) -> bool:
    """Whether there are words where the trainers look: in the first line, as UTF-8."""
    try:
        return bool(file.read_text(encoding="utf-8").partition("\n")[0].strip())
    except UnicodeDecodeError:
        return False


def _digest_of_files(client: Client, files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(client.root).as_posix()}\0{sha256_file(file)}\n".encode())
    return digest.hexdigest()[:16]


def _forget_caches(client: Client) -> None:
    """Remove cached latents and text outputs: sd-scripts looks at their size only, and would train on a picture long replaced."""
    for folder in (*_subfolders(client.training_data), *_subfolders(client.regularisation)):
        for cache in folder.glob("*.npz"):
            cache.unlink()


# --- the run ----------------------------------------------------------------------------------------------------------
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "HF_HUB_DISABLE_TELEMETRY": "1", "COLUMNS": "250"}  # log lines wrap at the console's width
_KEPT_LINES = 200  # of what the trainer said, for the diagnosis
_BAR = re.compile(
    r"(?<!validation )\bsteps:\s+\d+%\|[^|]*\|\s*(?P<done>\d+)/\d+ \[[\d:]+<[\d:?]+,\s*(?P<rate>[\d.?]+)(?P<unit>s/it|it/s)"
    r"(?:, .*?avr_loss=(?P<loss>[^\],\s]+))?[^\]]*\]?"
)
_SAVING = re.compile(r"saving checkpoint: (?P<path>.+)")


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """A finished training. `resumed_from` is the step this run began at: 0 from the start, `steps` where nothing was left to do."""

    lora: Path
    steps: int
    resumed_from: int
    seconds: float
    checkpoints: tuple[Checkpoint, ...]


def train(client: Client, settings: Settings, plan: TrainingPlan) -> Generator[Event, None, TrainingReport]:
    """Train a plan to its end, or go on with it; a finished one is only reported. Stopping ends the trainer.

    Raises PlanRefused, NotReady, ModelMissing, TrainerMissing, or TrainerFailed with the cause.
    """
    started = time.monotonic()
    end_orphan(client.trainer_pid)
    for folder in (client.training, client.models):
        sweep_parts(folder)
    refuse(plan)
    _check_dataset(client, plan)
    plan = _with_version(client, plan)
    begun = plan.steps
    if not is_whole(final_lora(client, plan)):
        if plan.base_kind is BaseKind.EMBEDDED:
            yield from _draw_other_people(client)
        begun = yield from _run(client, settings, plan)
    clear_up(client, plan)
    yield TrainingTick(plan.steps, plan.steps)
    of_plan = tuple(one for one in list_checkpoints(client) if one.version == plan.version)
    return TrainingReport(final_lora(client, plan), plan.steps, begun, time.monotonic() - started, of_plan)


def trained_lora(client: Client) -> Path | None:
    """The finished LoRA of the last plan, if the dataset is still the one it learned; raises BrokenFile."""
    plan = read_plan(client)
    if plan is None or not is_whole(final_lora(client, plan)):
        return None
    try:
        current = read_dataset(client, plan.base_kind).digest == plan.dataset_digest
    except NotReady:
        return None
    return final_lora(client, plan) if current else None


def _check_dataset(client: Client, plan: TrainingPlan) -> None:
    if read_dataset(client, plan.base_kind).digest != plan.dataset_digest:
        raise NotReady(step=_(TRAINING), reason=_(DATASET_CHANGED))


def _draw_other_people(client: Client) -> Generator[Event, None, int]:
    from embedded.regularisation import draw_regularisation  # it brings the drawing code along, which only this base needs

    return (yield from draw_regularisation(client.regularisation))


def _run(client: Client, settings: Settings, plan: TrainingPlan) -> Generator[Event, None, int]:
    """Run the trainer once to the end of the plan; the step it began at. Raises TrainerFailed."""
    trainer, resume = find_trainer(settings, Path(plan.base)), find_resume(client, plan)
    written = client.models / f"{run_name(plan, client, resume)}.safetensors"
    written.unlink(missing_ok=True)  # torn, or it would have been taken for the result; what is there at the end must be new
    if resume is None:
        client.train_log.unlink(missing_ok=True)
        _forget_caches(client)
    write_record(client.plan_file, plan)
    begun = resume.step if resume else 0
    argv = (str(trainer.python), str(trainer.script), *kohya_arguments(plan, client, resume))
    with closing(run_child(argv, client.train_log, _QUIET, client.trainer_pid)) as child:
        ended = yield from _watch(child, client, plan, begun)
    if ended.returncode != 0 or not is_whole(written):
        raise _failure(ended.lines, ended.returncode, client)
    finish(client, plan, resume)
    return begun


class _Ended(NamedTuple):
    """How the trainer ended, and the last lines it said, progress aside."""

    returncode: int
    lines: tuple[str, ...]


def _watch(
    child: Generator[Line | Heartbeat, None, ProcessResult], client: Client, plan: TrainingPlan, begun: int
) -> Generator[TrainingTick, None, _Ended]:
    """Turn what the trainer says into ticks; a loss that is no number ends the run. A silent trainer repeats the last tick."""
    said: deque[str] = deque(maxlen=_KEPT_LINES)
    tick = TrainingTick(begun, plan.steps)
    yield tick
    while True:
        try:
            event = next(child)
        except StopIteration as end:
            return _Ended(end.value.returncode, tuple(said))
        if isinstance(event, Line):
            tick = read_line(event.text, tick, begun)
            if tick.loss is not None and not math.isfinite(tick.loss):
                raise _failure([event.text], 0, client)
            if rest := _BAR.sub("", event.text).strip():
                said.append(rest)
        yield tick
        tick = replace(tick, checkpoint="")  # told once


def read_line(text: str, last: TrainingTick, begun: int = 0) -> TrainingTick:
    """What a line of the trainer tells, on top of the last tick. Its bar counts from the step the run began at.

    sd-scripts writes each step twice, first with the loss of the one before; a rate it does not know yet is "?".
    """
    if saving := _SAVING.search(text):
        return replace(last, checkpoint=saving["path"].strip())
    bar = _BAR.search(text)
    if bar is None:
        return last
    seconds = last.seconds_per_step
    if "?" not in bar["rate"] and float(bar["rate"]) > 0:
        seconds = float(bar["rate"]) if bar["unit"] == "s/it" else 1 / float(bar["rate"])
    loss = float(bar["loss"]) if bar["loss"] else last.loss
    # After its last step a resumed run of sd-scripts fills its epoch, at a learning rate of 0.
    return replace(last, step=min(begun + int(bar["done"]), last.total), loss=loss, seconds_per_step=seconds)


def _failure(lines: Sequence[str], returncode: int, client: Client) -> TrainerFailed:
    found = diagnose(lines, returncode)
    return TrainerFailed(cause=_(found.cause), evidence=found.evidence, cure=_(found.cure), log=client.train_log)
