"""What this card's own finished trainings cost, of all clients of a home: a plan's time and memory are told by the nearest of them.

A run counts for a plan of the same card, kind of base and trainer. Its time is scaled by the pixels a step shows; its memory is
taken only where everything that decides over memory was the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from client_folder.client import list_clients
from training.plan import TrainingPlan
from training.runs import RunConditions, RunRecord, read_runs

LEAST_STEPS = 10  # of a run, before its speed says anything: the first steps load and compile
_OTHERWISE = 0.5  # how far apart runs count that differ in one setting of this kind, in doublings of the pixels


@dataclass(frozen=True, slots=True)
class Measured:
    """What the nearest run cost: seconds a step of this plan, and GiB at its peak; None where the runs had other settings."""

    seconds_per_step: float
    vram_gb: float | None
    when: str  # the day of that run


def measured_here(home: Path, plan: TrainingPlan) -> Measured | None:
    """What the finished run nearest to a plan cost on its card; None where there was none."""
    wanted = RunConditions.of(plan, plan.gpu.name)
    near = [
        (_distance(run.conditions, wanted), run)
        for client in list_clients(home)
        for run in read_runs(client)
        if run.conditions is not None and run.seconds_per_step and _counts(run) and _same_machine(run.conditions, wanted)
    ]
    if not near:
        return None
    nearest = min(distance for distance, _run in near)
    run = max((run for distance, run in near if distance == nearest), key=lambda run: run.started)
    assert run.conditions is not None and run.seconds_per_step is not None
    same = run.conditions.memory() == wanted.memory()
    return Measured(
        run.seconds_per_step * wanted.shown() / run.conditions.shown(), run.peak_vram_gb if same else None, run.started[:10]
    )


def _counts(run: RunRecord) -> bool:
    return run.outcome == "done" and run.steps - run.begun >= LEAST_STEPS


def _same_machine(run: RunConditions, wanted: RunConditions) -> bool:
    return (run.gpu, run.base_kind, run.trainer) == (wanted.gpu, wanted.base_kind, wanted.trainer)


def _distance(run: RunConditions, wanted: RunConditions) -> float:
    """How unlike two runs are: in doublings of the pixels a step shows, of rank by a quarter, and of settings that differ."""
    differing = sum(
        getattr(run, name) != getattr(wanted, name) for name in ("precision", "fp8", "optimizer", "unet_only", "conv_dim")
    )
    return abs(math.log2(run.shown() / wanted.shown())) + abs(math.log2(run.dim / wanted.dim)) / 4 + _OTHERWISE * differing
