"""What the exam says, as records that hold codes and numbers: candidates, how each was judged, flags, reasons, the verdict.

They need no numpy, so that screens and answers can be made of them at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from locales.language import N_, Labelled

LEVEL = 0.90  # of an interval


class Word(StrEnum):
    """What the exam says in one word."""

    STEP = "step"
    TIED = "tied"
    NONE = "none"


class Standing(StrEnum):
    """What a gate says of one candidate: whether its portraits are of the client at all."""

    GOOD = "good"
    UNSURE = "unsure"
    NOT = "not"


class Flag(Labelled):
    """What is wrong with a candidate's portraits besides how like they are."""

    COPIED = "copied", N_("repeats pictures it was trained on")
    RIGID = "rigid", N_("does not follow the prompt any more")
    COLLAPSED = "collapsed", N_("paints nearly the same picture with every seed")
    LEAKS = "leaks", N_("gives other people the client's looks")
    FACELESS = "faceless", N_("paints pictures without a face")
    IDENTITY_UNSURE = "identity_unsure", N_("looks alike, but it may be another person")


VETOES = frozenset({Flag.RIGID, Flag.LEAKS})


class ExamReason(Labelled):
    """Why the verdict is what it is."""

    NO_CANDIDATES = "no_candidates", N_("there is no checkpoint to examine")
    NO_NEARER = "no_nearer_than_base", N_("no checkpoint is nearer to the client than the base alone")
    GATE = "not_like_client", N_("the portraits are not clearly of the client")
    ALL_VETOED = "all_vetoed", N_("every checkpoint is rigid or gives other people the client's looks")
    UNSURE = "likeness_unsure", N_("the likeness lies between good and not good")
    ONLY_BEST = "only_best", N_("the portraits do not show that an earlier step is as good")
    FEW_SCENES = "few_scenes", N_("the held-back photos are of one scene: what other photos would say is not known")
    NEAR_COPIES = "near_copies", N_("held-back photos that training has a near copy of were left out")
    UNTRIED_WEIGHTS = "untried_weights", N_("no time was left to compare other weights")
    NO_BETTER_THAN_SWAP = (
        "no_better_than_swap",
        N_("no checkpoint is clearly nearer to the client than a face swap without training"),
    )
    PROVISIONAL = "provisional", N_("the limit for real photos is provisional: it was not yet measured on SDXL portraits")


@dataclass(frozen=True, slots=True)
class Examinee:
    """A checkpoint at a weight, with what was found out about it; `gate` is what its gate says."""

    step: int
    weight: float = 1.0
    lora: str = ""  # file name
    gate: Standing = Standing.GOOD
    flags: frozenset[Flag] = frozenset()

    @property
    def vetoed(self) -> bool:
        """Whether it may not be chosen, however like its portraits are."""
        return bool(self.flags & VETOES)


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with the bounds between which it lies, at `LEVEL`."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Judged:
    """A candidate as it was judged.

    `distance` is the mean to the held-back photos. `score` is the share of the way from base to best that it went (1: as far as the
    best that may be chosen). `lacks` is what it lacks to the best on the same scale; its bounds hold for all pairs at once.
    """

    candidate: Examinee
    distance: float
    score: Interval
    lacks: Interval
    acceptable: bool


@dataclass(frozen=True, slots=True)
class ExamVerdict:
    """What the exam says. `chosen` and `best` are places in `judged`; None where nothing is chosen, or nothing could be."""

    word: Word
    chosen: int | None
    best: int | None
    judged: tuple[Judged, ...]
    tied: tuple[int, ...] = ()  # places of all that are as good as the best, the chosen one among them
    reasons: tuple[ExamReason, ...] = ()
    critical: float = 0.0  # the max-T value

    def because(self, reasons: tuple[ExamReason, ...]) -> ExamVerdict:
        """The same with these reasons."""
        return replace(self, reasons=reasons)
