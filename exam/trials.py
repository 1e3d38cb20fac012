"""Trials of settings, and their arithmetic: what is searched around the preset, what a trial will take, which one is best.

Every trial is examined as checkpoints are, on the same prompts, seeds and held-back photos; so trials are compared by the rule
that chooses a checkpoint. The preset stands first in the order of preference: settings that are not shown to be better do not
replace it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydantic import ConfigDict

from client_folder.tuned import TunedSettings
from exam.records import VETOES, Examinee, ExamVerdict, Flag, Standing
from utils import Record

CHECKPOINTS = 3  # of a trial, at equal parts of its steps: after each it is examined, and may be given up
MOST_TRIALS = 200  # however many hours there are


@dataclass(frozen=True, slots=True)
class Range:
    """What is tried of one setting, both ends included; `log`: as many tries to each doubling."""

    low: float
    high: float
    whole: bool = False
    log: bool = True


def search_space(preset: TunedSettings, most_dim: int) -> dict[str, Range]:
    """What is searched: about the preset, which lies within. `most_dim` is the highest rank that fits the card.

    The factors are chosen, not measured: a learning rate four times off, half to one and a half times the steps.
    """
    rate, share, alpha = preset.learning_rate, preset.share_real, preset.alpha / preset.dim
    space = {
        "learning_rate": Range(rate / 4, min(0.9, rate * 4)),
        "dim": Range(max(1, preset.dim // 4), max(preset.dim, most_dim), whole=True),
        "alpha_share": Range(min(0.25, alpha), max(1.0, alpha), log=False),  # of the rank
        "steps": Range(max(CHECKPOINTS, preset.steps // 2), max(CHECKPOINTS, preset.steps * 3 // 2), whole=True),
        "max_repeats": Range(min(5, preset.max_repeats), max(80, preset.max_repeats), whole=True),
    }
    if share is not None:
        space["share_real"] = Range(min(0.05, share), max(0.6, share), log=False)
    return space


def params_of(settings: TunedSettings) -> dict[str, float]:
    """Settings as what is searched."""
    params = settings.model_dump(exclude={"alpha"}, exclude_none=True)
    return {**params, "alpha_share": settings.alpha / settings.dim}


def settings_of(params: Mapping[str, float]) -> TunedSettings:
    """The settings of what was drawn, rounded to what people read."""
    dim = int(params["dim"])
    return TunedSettings(
        learning_rate=float(f"{params['learning_rate']:.3g}"), dim=dim, alpha=round(params["alpha_share"] * dim, 2),
        steps=int(params["steps"]), share_real=round(params["share_real"], 3) if "share_real" in params else None,
        max_repeats=int(params["max_repeats"]),
    )  # fmt: skip


def within(space: Mapping[str, Range], wanted: TunedSettings, preset: TunedSettings) -> TunedSettings:
    """Settings found elsewhere as a trial here: each brought into its range; what they do not have is the preset's."""
    params = {**params_of(preset), **params_of(wanted)}
    return settings_of({name: min(max(params[name], each.low), each.high) for name, each in space.items()})


def checkpoint_steps(steps: int) -> tuple[int, ...]:
    """The steps at which a trial is examined, the last one among them."""
    every = save_every(steps)
    return (*(every * number for number in range(1, CHECKPOINTS)), steps)


def save_every(steps: int) -> int:
    """Steps between the checkpoints of a trial."""
    return max(1, steps // CHECKPOINTS)


class Mark(Record):
    """One checkpoint of a trial, examined: its distances [portrait][held-back scene], and what they took in seconds."""

    model_config = ConfigDict(frozen=True)

    number: int  # from 1
    step: int
    lora: str  # file name
    distances: tuple[tuple[float, ...], ...]
    gate: Standing
    flags: tuple[Flag, ...]
    train_seconds: float  # since the checkpoint before
    exam_seconds: float

    @property
    def distance(self) -> float:
        """The mean to the held-back scenes."""
        return sum(self.portraits) / len(self.portraits)

    @property
    def portraits(self) -> list[float]:
        """The mean of each portrait."""
        return [sum(row) / len(row) for row in self.distances]

    @property
    def vetoed(self) -> bool:
        """Whether it may not be chosen, however like its portraits are."""
        return bool(VETOES & set(self.flags))


class TrialEnd(StrEnum):
    """How it stands with a trial."""

    RUNNING = "running"
    WHOLE = "whole"
    GIVEN_UP = "given_up"  # clearly worse than the best at one of its checkpoints
    FAILED = "failed"  # the training failed


@dataclass(frozen=True, slots=True)
class Trial:
    """One try of settings. `leaks` is known once it would have won: whether it gives other people the client's looks."""

    number: int  # from 0: the preset
    settings: TunedSettings
    marks: tuple[Mark, ...] = ()
    ended: TrialEnd = TrialEnd.RUNNING
    leaks: bool | None = None

    @property
    def best(self) -> Mark | None:
        """Its nearest checkpoint that may be chosen; None where there is none."""
        allowed = [mark for mark in self.marks if not mark.vetoed]
        return min(allowed, key=lambda mark: mark.distance, default=None)

    def at(self, number: int) -> Mark | None:
        """Its checkpoint of that number."""
        return next((mark for mark in self.marks if mark.number == number), None)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Trials in the order of preference, and the exam's verdict on their best checkpoints, whose places are those of `trials`."""

    trials: tuple[Trial, ...]
    verdict: ExamVerdict

    @property
    def chosen(self) -> Trial | None:
        """The one that is taken; None where none may be."""
        return None if self.verdict.chosen is None else self.trials[self.verdict.chosen]


def compare(trials: Sequence[Trial], base: Sequence[Sequence[float]], prompts: Sequence[int]) -> Comparison | None:
    """The exam's rule on trials: the preset first, then those of fewer steps; None before anything was examined.

    `base` is [portrait][scene] of the base alone, `prompts` the number of each portrait's prompt.
    """
    import numpy as np

    from exam.verdict import decide  # both bring numpy, which who only shows a trial need not wait for

    examined = [trial for trial in trials if trial.best is not None]
    if not examined:
        return None
    ordered = sorted(examined, key=lambda trial: (trial.number > 0, trial.settings.steps, trial.number))
    marks = [mark for trial in ordered if (mark := trial.best)]
    candidates = [
        Examinee(mark.step, lora=mark.lora, gate=mark.gate, flags=frozenset({*mark.flags, *([Flag.LEAKS] if trial.leaks else [])}))
        for trial, mark in zip(ordered, marks, strict=True)
    ]
    verdict = decide(candidates, np.array([mark.distances for mark in marks]), np.array(base), prompts)
    return Comparison(tuple(ordered), verdict)


def is_behind(mark: Mark, best: Trial, base: float, margin: float) -> bool:
    """Whether a checkpoint lacks more than the margin to the best trial's of the same number, as a share of the way from the base.

    Whether that is more than chance is for the test; with so many pairs it finds the smallest difference to be none.
    """
    beside, nearest = best.at(mark.number), best.best
    if beside is None or nearest is None or base <= nearest.distance:
        return False
    return mark.distance - beside.distance > margin * (base - nearest.distance)


# --- the budget -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Pace:
    """What training and examining took so far, in seconds: the slowest of each, so that what is begun also ends in time."""

    step: float
    exam: float

    @classmethod
    def of(cls, trials: Sequence[Trial]) -> Pace | None:
        """The pace of these trials; None before anything was examined."""
        parts, exams = [], []
        for trial in trials:
            before = 0
            for mark in trial.marks:
                parts.append(mark.train_seconds / max(1, mark.step - before))
                exams.append(mark.exam_seconds)
                before = mark.step
        if not parts:
            return None
        # The very first exam also painted the base and the strangers, once for all.
        return cls(max(parts), max(exams[1:] or exams))

    def checkpoint(self, steps: int) -> float:
        """A checkpoint after so many more steps, examined."""
        return self.step * steps + self.exam

    def trial(self, steps: int) -> float:
        """A whole trial."""
        return self.step * steps + self.exam * CHECKPOINTS
