"""Whether portraits are of the client at all: a verdict among checkpoints says only which is nearest, not that it is near.

Two gates, for two kinds of ruler, both against strangers: people painted at the same scenes and seeds in other words.

- For the practice base's colour map: AUC, the share of pairs in which the client's portrait is nearer to the held-back photos than
  the stranger's of the same prompt. It divides by nothing; a scale whose end is "her own photos among themselves" goes negative,
  for photos of different scenes lie farther apart than smooth portraits lie from them. Its limits were right for all eight drawn
  clients that they were tried on; four of them had no part in choosing them.
- For embeddings of real faces: u / u0, the distance between the means of portraits and of held-back photos with the noise of both
  taken out, over the same of the strangers. **Provisional**: how far painted faces lie from photos of the same person was not yet
  measured on SDXL portraits, and the limits depend on it. AUC is no gate for embeddings: a lookalike has 1.00.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from exam.records import Standing
from exam.verdict import DRAWS, WHOLE_PROMPTS, Array, by_scene

LEAST_AUC, LEAST_AUC_BOUND = 0.92, 0.90
BOUND = 0.05  # the lower bound's level
MOST_RATIO, UNSURE_RATIO = 0.5, 0.6  # of u / u0: good up to the first, unsure up to the second
# Half of .34 squared, the median distance of two photos of one person by dlib: what one photo's spread is worth before any was
# seen, and how many photos that knowledge counts for.
PHOTO_SPREAD, PHOTO_SPREAD_WEIGHT = 0.058, 2.0


@dataclass(frozen=True, slots=True)
class Gate:
    """What a gate measured: its value, the bound that it needs as well (None: it has none), whether its limits are provisional."""

    standing: Standing
    value: float
    bound: float | None = None
    provisional: bool = False


# --- AUC against strangers, for the practice base ---------------------------------------------------------------------
def auc_gate(portraits: Array, strangers: Array, prompts: Sequence[int], scenes: Sequence[int] = (), seed: int = 0) -> Gate:
    """The gate on distances [portrait, photo] of the client's portraits and of the strangers' of the same prompts, in one order.

    Good where the AUC is at least .92 and its lower 5 % bound, of a bootstrap over whole prompts and photos, at least .90.
    """
    if portraits.shape != strangers.shape or len(prompts) != len(portraits):
        raise ValueError(f"distances {portraits.shape} and {strangers.shape} of {len(prompts)} portraits")
    if scenes:
        portraits, strangers = by_scene(portraits, scenes), by_scene(strangers, scenes)
    members = _members(prompts)
    value = float(_aucs(portraits.mean(axis=1), strangers.mean(axis=1), members).mean())
    bound = _lower_bound(portraits, strangers, members, value, np.random.default_rng(seed))
    passed = value >= LEAST_AUC and bound >= LEAST_AUC_BOUND
    return Gate(Standing.GOOD if passed else Standing.NOT, value, bound)


def _members(prompts: Sequence[int]) -> list[list[int]]:
    """The places of each prompt's portraits."""
    return [[at for at, prompt in enumerate(prompts) if prompt == name] for name in dict.fromkeys(prompts)]


def _aucs(portraits: Array, strangers: Array, members: Sequence[Sequence[int]]) -> Array:
    """[..., prompt]: the share of pairs of distances [..., portrait] in which the portrait is nearer; equally near is half."""
    shares = []
    for places in members:
        own, other = portraits[..., places][..., :, None], strangers[..., places][..., None, :]
        shares.append(((own < other) + 0.5 * (own == other)).mean(axis=(-2, -1)))
    return np.stack(shares, axis=-1)


def _lower_bound(
    portraits: Array, strangers: Array, members: Sequence[Sequence[int]], value: float, rng: np.random.Generator
) -> float:
    """The lower bound of the AUC; doubt of prompts and of photos is drawn apart, each widened by sqrt(n/(n-1)), and added."""
    photos, count = portraits.shape[1], len(members)
    each = _aucs(portraits.mean(axis=1), strangers.mean(axis=1), members)
    off = np.zeros(DRAWS)
    if count > 1:
        drawn = rng.integers(count, size=(DRAWS, count))
        off += (each[drawn].mean(axis=1) - value) * np.sqrt(count / (count - 1))
    if photos > 1:
        counts = rng.multinomial(photos, np.full(photos, 1 / photos), size=DRAWS) / photos
        again = _aucs(counts @ portraits.T, counts @ strangers.T, members).mean(axis=-1)
        off += (again - value) * np.sqrt(photos / (photos - 1))
    return float(value + np.quantile(off, BOUND))


# --- u / u0, for embeddings -------------------------------------------------------------------------------------------
def noise_free(portraits: Array, held: Array, prompts: Sequence[int]) -> float:
    """The squared distance between the people that embeddings [n, numbers] show, with the noise of both means taken out.

    |mean(portraits) - mean(held)|^2 is too large by the variance of either mean. Portraits of one prompt share its light and pose:
    from eight prompts on, the variance of their mean is that of the prompts' means. `held` has a row a scene. It can be negative.
    """
    members = _members(prompts)
    rows = np.stack([portraits[places].mean(axis=0) for places in members]) if len(members) >= WHOLE_PROMPTS else portraits
    apart = rows.mean(axis=0) - held.mean(axis=0)
    painted = float(rows.var(axis=0, ddof=1).sum()) / len(rows) if len(rows) > 1 else 0.0
    return float(apart @ apart) - painted - photo_spread(held) / len(held)


def photo_spread(held: Array) -> float:
    """How much one photo's embedding varies, summed over its numbers: what these say, shrunk toward what many photos said."""
    weight = len(held) / 2
    own = float(held.var(axis=0, ddof=1).sum()) if len(held) > 1 else 0.0
    if len(held) < 2:
        weight = 0.0
    return (PHOTO_SPREAD_WEIGHT * PHOTO_SPREAD + weight * own) / (PHOTO_SPREAD_WEIGHT + weight)


def embedding_gate(portraits: Array, strangers: Array, held: Array, prompts: Sequence[int]) -> Gate:
    """The gate on embeddings of the client's portraits, the strangers' and the held-back photos (a row a scene); provisional.

    `value` is u / u0: near 0 for the client, 1 for anybody. Where not even the strangers differ from the photos, nothing is told.
    """
    own, other = noise_free(portraits, held, prompts), noise_free(strangers, held, prompts)
    if other <= 0:
        return Gate(Standing.NOT, 1.0, provisional=True)
    ratio = float(np.sqrt(max(own, 0.0) / other))
    standing = Standing.GOOD if ratio < MOST_RATIO else Standing.UNSURE if ratio < UNSURE_RATIO else Standing.NOT
    return Gate(standing, ratio, provisional=True)
