"""Watching a trainer: its lines become ticks; a loss that is no number, or memory that spills over, ends the run early.

Knows both trainers, which speak the same lines, and asks the driver for the memory of the GPU. It starts nothing.
"""

from __future__ import annotations

import math
import re
import time
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from client_folder.client import Client
from embedded.trainer.trainer_control import STOP, ask_trainer
from locales.language import N_, _
from machine import gpu as hardware
from machine.base_models import BaseKind
from machine.processes import Heartbeat, Line, ProcessResult
from training.checkpoints import find_resume
from training.cost import estimate, next_smaller
from training.diagnosis import Cause, Diagnosis, diagnose, told_by_spill
from training.plan import TrainerKind, TrainingPlan
from training.runs import RunRecord, end_run, note_tick
from training.samples import gather_samples
from utils import PipelineError, Stopped, TrainingTick, write_record

PROBE_STEPS = 3  # whose cost is measured and compared with the plan
_KEPT_LINES = 200  # of what the trainer said, for the diagnosis
# A card that spills into the system's memory is 5 to 100 times slower, public reports say. Four times the plan's guess is chosen
# so that a guess that errs by two or three stops nobody; how far it errs on real cards nobody here has measured.
_SPILL_TIMES = 4.0
_SPILL_SECONDS = 20.0  # a step; where the driver does not tell whether the memory is full
_SILENCE_SECONDS = 120.0  # before it is worth a word; loading SDXL and the first step take less
_FULL = 0.95  # of the video memory
_LOOK_SECONDS = 2.0  # between two questions to the driver
_BAR = re.compile(
    r"(?<!validation )\bsteps:\s+\d+%\|[^|]*\|\s*(?P<done>\d+)/\d+ \[[\d:]+<[\d:?]+,\s*(?P<rate>[\d.?]+)(?P<unit>s/it|it/s)"
    r"(?:, .*?avr_loss=(?P<loss>[^\],\s]+))?[^\]]*\]?"
)
_SAVING = re.compile(r"saving checkpoint: (?P<path>.+)")
# What a trainer says, in either's words, before it does something else than steps.
_PHASES = (
    ("first", re.compile(r"^running training")),
    ("sampling", re.compile(r"generating sample images at step")),
    ("saving", re.compile(r"saving (?:checkpoint:|state at)")),
)


class TrainerFailed(PipelineError):
    """Facts: cause, evidence, cure, log."""

    message = N_("The training stopped: {cause}\n    {evidence}")
    hint = N_("{cure} Everything the trainer said: {log}")


class MemoryFull(TrainerFailed):
    """Facts: cause, evidence, cure, log, smaller: the setting that lowers the need for memory, in_words: the same to a person."""

    hint = N_("{cure} Smaller would be: {in_words}; --yes takes such steps by itself. Everything the trainer said: {log}")


class Ended(NamedTuple):
    """How the trainer ended, and the last lines it said, progress aside."""

    returncode: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Watched:
    """What is watched: the plan, the step this run began at, and the record it is written to."""

    client: Client
    plan: TrainingPlan
    begun: int
    file: Path
    run: RunRecord


def watch(child: Generator[Line | Heartbeat, None, ProcessResult], watched: Watched) -> Generator[TrainingTick, None, Ended]:
    """Turn what the trainer says into ticks, until it ends. A silent trainer repeats the last tick.

    Stopped thrown into it is answered by the trainer where it takes wishes and there is something to save: it saves its state and
    ends by itself. Raises TrainerFailed for a loss that is no number, MemoryFull where the GPU's memory spills into the system's.
    """
    said: deque[str] = deque(maxlen=_KEPT_LINES)
    memory, heard, stopping = _Memory(watched.plan), time.monotonic(), False
    tick = _first_tick(watched)
    while True:
        try:
            yield tick
        except Stopped:
            if stopping or not tick.control or tick.step <= tick.kept_step:
                raise
            stopping = True
            ask_trainer(Path(tick.control), STOP)
        tick = replace(tick, checkpoint="", sample="")  # told once
        try:
            event = next(child)
        except StopIteration as end:
            return Ended(end.value.returncode, tuple(said))
        now = time.monotonic()
        if isinstance(event, Line):
            tick, heard = _heard(event.text, tick, watched), now
            if tick.loss is not None and not math.isfinite(tick.loss):
                fail(watched, diagnose([event.text], 0))
            if rest := _BAR.sub("", event.text).strip():
                said.append(rest)
        silent = now - heard if now - heard >= _SILENCE_SECONDS else 0.0
        tick = replace(tick, **memory.look(now), silent_seconds=silent, phase="stopping" if stopping else tick.phase)
        if gathered := gather_samples(watched.client, watched.plan):
            tick = replace(tick, sample=str(gathered[-1]))
        _note(watched, tick)


def _first_tick(watched: Watched) -> TrainingTick:
    control = str(watched.client.trainer_control) if watched.plan.trainer is TrainerKind.EMBEDDED else ""
    return TrainingTick(watched.begun, watched.plan.steps, phase="loading", control=control, kept_step=watched.begun)


def _heard(text: str, last: TrainingTick, watched: Watched) -> TrainingTick:
    """What a line tells; once a state was written, the disk is asked whether it is whole."""
    tick = read_line(text, last, watched.begun)
    if last.phase == "saving" and tick.phase != "saving" and (state := find_resume(watched.client, watched.plan)):
        return replace(tick, kept_step=state.step)
    return tick


class _Memory:
    """What the GPU that trains holds, asked now and then; nothing where it is not the one that was planned for."""

    def __init__(self, plan: TrainingPlan) -> None:
        gpu = hardware.largest_gpu() if plan.gpu.vram_gb else None
        self._key = gpu.key if gpu else ""
        self._looked = -_LOOK_SECONDS
        self._found: dict[str, Any] = {}

    def look(self, now: float) -> dict[str, Any]:
        """The fields of a tick."""
        if self._key and now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            gpu = next((gpu for gpu in hardware.find_gpus() if gpu.key == self._key), None)
            self._found = {"vram_gb": gpu.used_gb, "vram_total_gb": gpu.total_gb} if gpu else {}
        return self._found


def _note(watched: Watched, tick: TrainingTick) -> None:
    """Write the run's record where a checkpoint was saved or the probe is over, and stop a run that spills."""
    run, done = watched.run, tick.step - watched.begun
    note_tick(run, tick)
    if run.probe_seconds_per_step is None and done >= PROBE_STEPS and tick.seconds_per_step:
        run.probe_seconds_per_step, run.probe_vram_gb = tick.seconds_per_step, tick.vram_gb
        write_record(watched.file, run)
    elif tick.checkpoint:
        write_record(watched.file, run)
    if done >= PROBE_STEPS and is_spilling(watched.plan, tick):
        memory = f", {tick.vram_gb:.1f} / {tick.vram_total_gb:.1f} GB" if tick.vram_gb and tick.vram_total_gb else ""
        speed = f"{tick.seconds_per_step:.1f} s/it, {planned_seconds(watched.plan):.1f} s/it"
        fail(watched, told_by_spill(speed + memory))


def is_spilling(plan: TrainingPlan, tick: TrainingTick) -> bool:
    """Whether a GPU makes do with the system's memory: far slower than planned, and its own memory full as far as one can tell."""
    seconds = tick.seconds_per_step
    if seconds is None or plan.base_kind is not BaseKind.SDXL or not plan.gpu.vram_gb:
        return False
    if seconds < _SPILL_TIMES * planned_seconds(plan):
        return False
    if tick.vram_gb is None or tick.vram_total_gb is None:
        return seconds >= _SPILL_SECONDS
    return tick.vram_gb >= _FULL * tick.vram_total_gb


def planned_seconds(plan: TrainingPlan) -> float:
    """Seconds a step, as the plan expects them."""
    return estimate(plan).seconds / plan.steps


def read_line(text: str, last: TrainingTick, begun: int = 0) -> TrainingTick:
    """What a line of the trainer tells, on top of the last tick. Its bar counts from the step the run began at.

    sd-scripts writes each step twice, first with the loss of the one before; a rate it does not know yet is "?".
    """
    phase = next((name for name, said in _PHASES if said.search(text)), last.phase)
    if saving := _SAVING.search(text):
        return replace(last, checkpoint=saving["path"].strip(), phase=phase)
    bar = _BAR.search(text)
    if bar is None:
        return replace(last, phase=phase)
    seconds = last.seconds_per_step
    if "?" not in bar["rate"] and float(bar["rate"]) > 0:
        seconds = float(bar["rate"]) if bar["unit"] == "s/it" else 1 / float(bar["rate"])
    loss = float(bar["loss"]) if bar["loss"] else last.loss
    # After its last step a resumed run of sd-scripts fills its epoch, at a learning rate of 0.
    phase = phase if not int(bar["done"]) else ""
    return replace(last, step=min(begun + int(bar["done"]), last.total), loss=loss, seconds_per_step=seconds, phase=phase)


def fail(watched: Watched, found: Diagnosis) -> NoReturn:
    """Put a failure on record and raise it: MemoryFull with the next smaller plan, where there is one, else TrainerFailed."""
    end_run(watched.file, watched.run, found.kind.value, found.evidence)
    facts = {"cause": _(found.cause), "evidence": found.evidence, "cure": _(found.cure), "log": watched.client.train_log}
    smaller = next_smaller(watched.plan) if found.kind in (Cause.VIDEO_MEMORY, Cause.SPILL) else None
    if smaller is not None:
        raise MemoryFull(**facts, smaller=smaller, in_words=smaller.words)
    raise TrainerFailed(**facts)
