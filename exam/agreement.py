"""How often a person agrees with the exam, and whether that is more than chance.

A person who only guesses agrees in half of the pairs. The interval is the exact one of Clopper and Pearson, not Wilson's: with
three answers of three Wilson's would already exclude chance, which guessing reaches in one of eight tests. The exact one excludes
one half just where the exact binomial test does.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from math import comb

from pydantic import ConfigDict

from exam.records import LEVEL
from utils import Record

CHANCE = 0.5
_HALVINGS = 60  # of an interval of 1: far below what is shown


class Concord(StrEnum):
    """What the answers say of the exam."""

    AGREES = "agrees"  # more often than by chance
    CHANCE = "chance"  # no more, and no less, than guessing would
    DISAGREES = "disagrees"  # less often than by chance


class Agreement(Record):
    """Of `counted` answers that chose a side, `agreed` chose the portrait that the exam finds nearer; bounds at `LEVEL`.

    `same` answers saw no difference; they are in none of these numbers.
    """

    model_config = ConfigDict(frozen=True)

    agreed: int
    counted: int
    same: int
    share: float
    low: float
    high: float
    word: Concord


def agreement_of(agreed: int, counted: int, same: int = 0) -> Agreement | None:
    """The agreement; None where no answer chose a side."""
    if not counted:
        return None
    low, high = exact_interval(agreed, counted)
    word = Concord.AGREES if low > CHANCE else Concord.DISAGREES if high < CHANCE else Concord.CHANCE
    return Agreement(
        agreed=agreed,
        counted=counted,
        same=same,
        share=round(agreed / counted, 4),
        low=round(low, 4),
        high=round(high, 4),
        word=word,
    )


def exact_interval(hits: int, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share: the shares under which neither so many hits nor so few are too unlikely."""
    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else _share_at(lambda share: 1 - _at_most(hits - 1, trials, share), tail)
    high = 1.0 if hits == trials else 1 - _share_at(lambda share: _at_most(hits, trials, 1 - share), tail)
    return low, high


def _at_most(hits: int, trials: int, share: float) -> float:
    """The probability of at most so many hits."""
    return sum(comb(trials, count) * share**count * (1 - share) ** (trials - count) for count in range(hits + 1))


def _share_at(rising: Callable[[float], float], wanted: float) -> float:
    """Where a probability that rises from 0 to 1 with the share reaches `wanted`, by halving."""
    low, high = 0.0, 1.0
    for _halving in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < wanted else (low, middle)
    return (low + high) / 2
