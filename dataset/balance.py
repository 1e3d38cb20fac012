"""How often a picture of each source is seen, so that photos make the wanted share of what the LoRA learns from. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

EPOCH_SAMPLES = 100  # samples an epoch has at least, where repeats can make them: starting an epoch costs time
SHARE_TOLERANCE = 0.01  # a share this near to the wanted one is as good; fewer repeats are better


@dataclass(frozen=True, slots=True)
class Balance:
    """How often a picture of each source is seen in an epoch (0: never), and the share of photos that comes of it."""

    repeats_mj: int
    repeats_real: int
    share_real: float


def balance(mj: int, real: int, share_real: float, max_repeats: int) -> Balance:
    """The smallest repeats that bring photos within a hundredth of the wanted share, or as near to it as repeats can.

    Where there is only one source, or the share asks for only one, that one fills the epoch.
    """
    if not real or (share_real == 0 and mj):
        return Balance(_filling(mj, max_repeats), 0, 0.0)
    if not mj or share_real == 1:
        return Balance(0, _filling(real, max_repeats), 1.0)
    pairs = _candidates(mj, real, share_real, max_repeats)
    best_mj, best_real = min(pairs, key=lambda pair: _distance(mj * pair[0], real * pair[1], share_real))
    more = min(max_repeats // max(best_mj, best_real), ceil(EPOCH_SAMPLES / (mj * best_mj + real * best_real)))
    return Balance(best_mj * more, best_real * more, _share(mj * best_mj, real * best_real))


def _filling(pictures: int, max_repeats: int) -> int:
    """The repeats with which so many pictures fill an epoch."""
    return min(max_repeats, ceil(EPOCH_SAMPLES / max(1, pictures)))


def _candidates(mj: int, real: int, share_real: float, max_repeats: int) -> set[tuple[int, int]]:
    """For every number of repeats of the photos, the two of MidJourney's that lie around the wanted share."""
    pairs = set()
    for repeats in range(1, max_repeats + 1):
        ideal = repeats * real * (1 - share_real) / (share_real * mj)
        pairs |= {(min(max(round_to(ideal), 1), max_repeats), repeats) for round_to in (floor, ceil)}
    return pairs


def _distance(samples_mj: int, samples_real: int, share_real: float) -> tuple[float, int]:
    """What makes a balance worse: first a share too far off, then a longer epoch."""
    error = abs(_share(samples_mj, samples_real) - share_real)
    return (error if error > SHARE_TOLERANCE else 0.0, samples_mj + samples_real)


def _share(samples_mj: int, samples_real: int) -> float:
    return samples_real / (samples_mj + samples_real)
