"""Files a training leaves behind: their names (sd-scripts' own), and writing them so that a kill never leaves a half one.

Everything is written under a temporary name beside its place and then renamed. `sweep` removes what a killed run left.
"""

from __future__ import annotations

import glob
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from safetensors import SafetensorError

from embedded.trainer.kohya_lora import kohya_tensors, load_lora, safetensors_bytes
from embedded.trainer.trainer_console import LOG, say
from embedded.trainer.trainer_flags import Flags, Refused

_STEP_DIGITS = 8  # of a step in a name
PARTIAL = ".partial-"  # begins the name of what is being written


@dataclass(frozen=True, slots=True)
class SavedProgress:
    """Where a saved training stood: epoch counted from 1, optimizer steps done, the losses that the next mean is of."""

    current_epoch: int
    current_step: int
    losses: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Names:
    """sd-scripts' names for all that is saved."""

    folder: Path
    name: str | None

    def step(self, step: int) -> Path:
        """The LoRA after so many steps."""
        return self.folder / f"{self.name or 'at'}-step{step:08d}.safetensors"

    def epoch(self, epoch: int) -> Path:
        """The LoRA after so many epochs."""
        return self.folder / f"{self.name or 'epoch'}-{epoch:06d}.safetensors"

    def last(self) -> Path:
        """The finished LoRA."""
        return self.folder / f"{self.name or 'last'}.safetensors"


def state_folder(checkpoint: Path) -> Path:
    """The state saved with a checkpoint: its name without the suffix, and '-state'."""
    return checkpoint.with_name(f"{checkpoint.stem}-state")


def sweep(names: Names) -> None:
    """Removes half-written files and states that a killed training of the same name left."""
    for left in names.folder.glob(f"{PARTIAL}{glob.escape(names.last().stem)}[.-]*"):
        _remove(left)


def write_file(path: Path, content: bytes) -> None:
    """Writes a file that is either whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{PARTIAL}{path.name}")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def save_checkpoint(unet: UNet2DConditionModel, path: Path, precision: str | None, metadata: dict[str, str]) -> None:
    """Writes the LoRA in sd-scripts' format; `precision` is --save_precision."""
    say(f"\nsaving checkpoint: {path}")
    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(precision or "", torch.float32)
    write_file(path, safetensors_bytes(kohya_tensors(unet, dtype), metadata))


def save_state(folder: Path, unet: UNet2DConditionModel, keep: dict[str, Any], progress: SavedProgress) -> None:
    """Writes all that is needed to go on: LoRA in fp32, the state of each of `keep`, random numbers, and where it stood.

    `keep` maps a file name ('optimizer.bin') to what has `state_dict`.
    """
    partial = folder.with_name(f"{PARTIAL}{folder.name}")
    _remove(partial)
    partial.mkdir(parents=True)
    try:
        LOG.info(f"save train state to {folder} at epoch {progress.current_epoch} step {progress.current_step}")
        (partial / "model.safetensors").write_bytes(safetensors_bytes(kohya_tensors(unet, torch.float32), {}))
        for name, part in keep.items():
            torch.save(part.state_dict(), partial / name)
        torch.save({"torch_manual_seed": torch.get_rng_state()}, partial / "random_states_0.pkl")
        (partial / "train_state.json").write_text(json.dumps(asdict(progress)), encoding="utf-8")
        _remove(folder)
        os.replace(partial, folder)
    finally:
        _remove(partial)


def read_progress(folder: Path) -> SavedProgress:
    """Where a saved training stood; raises `Refused` when `folder` is no whole state."""
    try:
        read = json.loads((folder / "train_state.json").read_text(encoding="utf-8"))
        losses = tuple(map(float, read.get("losses", ())))  # a state of an older version, or of sd-scripts, has none
        return SavedProgress(int(read["current_epoch"]), int(read["current_step"]), losses)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Refused(f"Tried to find {folder} but folder does not exist or holds no train_state.json ({error})") from error


def load_state(folder: Path, unet: UNet2DConditionModel, keep: dict[str, Any]) -> None:
    """Restores what `save_state` wrote; raises `Refused` when it does not fit the flags."""
    try:
        load_lora(unet, folder / "model.safetensors")
        for name, part in keep.items():
            part.load_state_dict(torch.load(folder / name, map_location="cpu", weights_only=True))
        torch.set_rng_state(torch.load(folder / "random_states_0.pkl", weights_only=True)["torch_manual_seed"])
    except (UnpicklingError, SafetensorError, RuntimeError, EOFError, AttributeError, TypeError) as error:
        raise Refused(f"{folder} is a state that cannot be loaded: {str(error).splitlines()[0]}") from error
    except (OSError, ValueError, KeyError) as error:
        raise Refused(f"{folder} does not fit these flags: same optimizer and precision as then? ({error})") from error
    LOG.info(f"load train state from {folder}")


def prune_steps(flags: Flags, names: Names, step: int) -> None:
    """Removes the step file and the states that --save_last_n_steps and --save_last_n_steps_state no longer keep.

    A state that was saved between two of these steps, because somebody asked for it, goes with the older of them.
    """
    every = flags.save_every_n_steps or 1
    if flags.save_last_n_steps is not None and (old := _pruned_step(step, flags.save_last_n_steps, every)) > 0:
        checkpoint = names.step(old)
        if checkpoint.exists():
            say(f"removing old checkpoint: {checkpoint}")
            checkpoint.unlink()
    kept = flags.save_last_n_steps_state or flags.save_last_n_steps
    if flags.save_state and kept is not None and (old := _pruned_step(step, kept, every)) > 0:
        for state in sorted(names.folder.glob(f"{glob.escape(names.name or 'at')}-step*-state")):
            if state <= state_folder(names.step(old)):  # the steps of these names have eight digits each
                LOG.info(f"removing old state: {state}")
                _remove(state)


def prune_asked(flags: Flags, names: Names, step: int) -> None:
    """Removes the states that were asked for before that of `step`: one of them is enough beside those that are always saved."""
    for state in names.folder.glob(f"{glob.escape(names.name or 'at')}-step*-state"):
        number = int(state.name.removesuffix("-state")[-_STEP_DIGITS:])
        if number < step and (not flags.save_every_n_steps or number % flags.save_every_n_steps):
            LOG.info(f"removing old state: {state}")
            _remove(state)


def _pruned_step(step: int, kept: int, every: int) -> int:
    """The last saved step that is more than `kept` steps old."""
    return (step - kept - 1) // every * every


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
