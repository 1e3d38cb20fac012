"""Whether portraits are of the client at all: a verdict among checkpoints says only which is nearest, not that it is near.

Two gates, for two kinds of ruler, both against strangers: people painted at the same scenes and seeds in other words.

- For the practice base's colour map: d', how many standard deviations of a seed the client's portraits are nearer to the held-back
  photos than the strangers' of the same scenes. What differs between pictures of one person (light, expression, clothes) is told
  from the strangers' own portraits and weighs less. It divides by what two seeds differ, so a base that paints somebody else with
  every seed does not pass for an average-looking client, as it did by the share of nearer pairs (AUC): that called five of eight
  new clients' good LoRAs nobody, with the two or three photos that are held back as a rule, and knows no more than "all of them".
- For embeddings of real faces: u / u0, the distance between the means of portraits and of held-back photos with the noise of both
  taken out, over the same of the strangers. **Provisional**: how far painted faces lie from photos of the same person was not yet
  measured on SDXL portraits, and the limits depend on it. AUC is no gate for embeddings: a lookalike has 1.00.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from exam.records import Standing
from exam.verdict import WHOLE_PROMPTS, Array, by_scene

# Of eight drawn clients with three photos in any light, each drawn six times: none of 96 good LoRAs was missed; of base, ten steps
# of training and LoRAs of people with other hair or skin 20 of 408 passed, by d' alone 72.
LEAST_SEPARATION, LEAST_SEPARATION_BOUND = 9.0, 0.0
MOST_SHARE = 0.92  # of the distance of the second nearest stranger: the nearest may be her lookalike
MOST_SEPARATION = 99.0  # beyond it nothing more is told; seeds may not differ at all
WITHIN_FLOOR = 0.3  # of the mean variance within a person: what no stranger's portraits show may differ too
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


# --- d' against strangers, for the practice base -----------------------------------------------------------------------
def within_person(rows: Array, people: Sequence[int]) -> Callable[[Array], Array]:
    """How to scale rows so that what differs between pictures of one person counts for less; `people` says who is on each of
    `rows`. Known in speaker recognition as within-class covariance normalisation."""
    groups = [rows[places] for places in _members(people)]
    freedom = len(rows) - len(groups)
    if freedom < 1:
        raise ValueError("one picture of each person tells nothing of how pictures of one differ")
    off = np.concatenate([group - group.mean(axis=0) for group in groups]) / np.sqrt(freedom)
    _left, sizes, ways = np.linalg.svd(off, full_matrices=False)
    variances, ways = sizes[:freedom] ** 2, ways[:freedom]
    floor = WITHIN_FLOOR * float(variances.mean())
    shrunk = np.sqrt(floor / (floor + variances)) if floor > 0 else np.ones_like(variances)
    return lambda some: some + (some @ ways.T * (shrunk - 1)) @ ways


def separation_gate(own: Array, other: Array, prompts: Sequence[int], people: Sequence[int], scenes: Sequence[int] = ()) -> Gate:
    """The gate on distances [portrait, photo] of the client's portraits and the strangers' of the same prompts and seeds, of rows
    that `within_person` scaled. `people` says which stranger is on each portrait, `scenes` of which scene each photo is.

    Good where d' is at least 9, its lower 5 % bound, by the spread over prompts and over photos, above 0, and she is nearer than
    every stranger but one by a twelfth: whoever is painted alike has a large d' where most strangers are farther, near or far.
    """
    if own.shape != other.shape or len(prompts) != len(own):
        raise ValueError(f"distances {own.shape} and {other.shape} of {len(prompts)} portraits")
    if scenes:
        own, other = by_scene(own, scenes), by_scene(other, scenes)
    members = _members(prompts)
    nearer = other - own
    by_prompt = np.array([nearer[places].mean() for places in members])
    seeds = float(np.sqrt(np.mean([_variance(some.mean(axis=1)[places]) for some in (own, other) for places in members])))
    error = np.sqrt(_variance(by_prompt) / len(members) + _variance(nearer.mean(axis=0)) / nearer.shape[1])
    value, doubt = float(by_prompt.mean()), -float(ndtri(BOUND)) * float(error)
    separation, bound = (_in_seeds(amount, seeds) for amount in (value, value - doubt))
    distances = sorted(float(other[places].mean()) for places in _members(people))
    near = float(own.mean()) <= MOST_SHARE * distances[min(1, len(distances) - 1)]
    passed = separation >= LEAST_SEPARATION and bound > LEAST_SEPARATION_BOUND and near
    return Gate(Standing.GOOD if passed else Standing.NOT, separation, bound)


def _variance(values: Array) -> float:
    """Of a sample; 0 of one value, which tells nothing."""
    return float(values.var(ddof=1)) if len(values) > 1 else 0.0


def _in_seeds(amount: float, seeds: float) -> float:
    """A difference in standard deviations of a seed, within what is told."""
    if seeds <= 0:
        return float(np.sign(amount)) * MOST_SEPARATION
    return float(np.clip(amount / seeds, -MOST_SEPARATION, MOST_SEPARATION))


def _members(names: Sequence[int]) -> list[list[int]]:
    """The places of each name."""
    return [[at for at, name in enumerate(names) if name == each] for each in dict.fromkeys(names)]


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
