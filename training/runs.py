"""The record of each run of a trainer, `training/runs/*.json`: what was asked, how it went, the loss at each checkpoint.

A record is written when a run begins and again at each checkpoint, so that a crash leaves what was known by then.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Self

from pydantic import ConfigDict, Field

from client_folder.client import Client
from machine.base_models import BaseKind
from machine.gpu import profile_here
from training.plan import TrainerKind, TrainingPlan
from utils import BrokenFile, Record, TrainingTick, read_record, write_record

_CURVE_POINTS = 200  # of the loss, evenly spread over the run


class RunConditions(Record):
    """What a run's time and memory depend on: the card that trained, and the settings that decide over them."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    gpu: str  # name of the card's profile
    base_kind: BaseKind
    trainer: TrainerKind
    resolution: int
    batch: int
    accumulation: int
    dim: int
    conv_dim: int
    precision: str
    fp8: bool
    optimizer: str
    unet_only: bool
    sample_px: int  # 0: none were painted

    @classmethod
    def of(cls, plan: TrainingPlan, gpu: str) -> Self:
        """Those of a plan, trained by a card."""
        named = plan.model_dump(include=set(cls.model_fields) - {"gpu", "sample_px"})
        return cls(gpu=gpu, sample_px=plan.sample_side if plan.sample_every else 0, **named)

    def shown(self) -> int:
        """Pixels that an optimizer step shows."""
        return self.resolution**2 * self.batch * self.accumulation

    def memory(self) -> dict[str, object]:
        """All that decides over memory."""
        return self.model_dump(exclude={"accumulation"})


class RunRecord(Record):
    """One run. `probe` is what its first steps cost; the loss is sd-scripts' moving average."""

    model_config = ConfigDict(extra="forbid")

    schema_: Literal[1] = Field(default=1, alias="schema")
    started: str
    ended: str = ""
    outcome: str = "running"  # "done", "stopped", a cause of `diagnosis`, or "running" where it was cut off
    evidence: str = ""
    version: int
    lora: str  # name of the LoRA's files
    begun: int  # the step it began at
    steps: int  # the last step it came to
    total: int
    changes: tuple[str, ...] = ()  # smaller plans taken before it
    argv: tuple[str, ...] = ()
    conditions: RunConditions | None = None  # None: of an older version
    probe_seconds_per_step: float | None = None
    probe_vram_gb: float | None = None
    peak_vram_gb: float | None = None
    seconds_per_step: float | None = None
    losses: dict[int, float] = {}  # by checkpoint
    curve: dict[int, float] = {}  # a thinned one of all steps


def begin_run(client: Client, plan: TrainingPlan, argv: tuple[str, ...], begun: int) -> tuple[Path, RunRecord]:
    """A new record on disk, and where it lies. `argv` holds no secrets: `secret_options` keeps them out of every plan."""
    now = datetime.now(UTC)
    run = RunRecord(
        started=now.isoformat(timespec="seconds"), version=plan.version, lora=plan.output_name(client), begun=begun, steps=begun,
        total=plan.steps, changes=plan.changes, argv=argv, conditions=RunConditions.of(plan, profile_here().name),
    )  # fmt: skip
    file = client.runs / f"{now:%Y%m%d-%H%M%S-%f}.json"
    write_record(file, run)
    return file, run


def note_tick(run: RunRecord, tick: TrainingTick) -> None:
    """Keep what a tick tells; the file is written elsewhere, at checkpoints."""
    run.steps = max(run.steps, tick.step)
    run.seconds_per_step = tick.seconds_per_step or run.seconds_per_step
    if tick.vram_gb is not None:
        run.peak_vram_gb = max(run.peak_vram_gb or 0.0, tick.vram_gb)
    every = max(1, run.total // _CURVE_POINTS)
    if tick.loss is not None and tick.step % every == 0:
        run.curve[tick.step] = tick.loss
    # At its beginning too, where the trainer says it: whoever was killed just after a checkpoint had no time to keep its loss.
    if tick.loss is not None and (tick.checkpoint or 0 < tick.step == run.begun):
        run.losses[tick.step] = tick.loss


def end_run(file: Path, run: RunRecord, outcome: str, evidence: str = "") -> None:
    """Write how a run ended."""
    run.outcome, run.evidence, run.ended = outcome, evidence, datetime.now(UTC).isoformat(timespec="seconds")
    write_record(file, run)


def read_runs(client: Client) -> tuple[RunRecord, ...]:
    """Every run on record, oldest first; one that cannot be read is passed over, for nothing depends on it."""
    runs = []
    for file in sorted(client.runs.glob("*.json")) if client.runs.is_dir() else ():
        try:
            runs.append(read_record(file, RunRecord))
        except BrokenFile:
            continue
    return tuple(runs)


def losses_of(runs: tuple[RunRecord, ...], version: int) -> dict[int, float]:
    """The loss at each checkpoint of one version, by step; a later run counts."""
    losses: dict[int, float] = {}
    for run in runs:
        if run.version == version:
            losses |= run.losses
    return losses
