"""What is wrong with a LoRA's portraits besides how like they are, each as a number with a limit.

Everything is measured beside the base's portraits of the same prompts and seeds. Backgrounds are looked at, not faces: they
are what a prompt may ask for and a LoRA of a person has no business to change. The limits were found on drawn clients (twenty
trainings; good ones in brackets); none of them was measured on SDXL yet.

- rigid: backgrounds of different prompts differ less than .7 as much as the base's (.89 to 1.05; copiers .37 to .50).
- leaks: strangers painted with the LoRA moved at least .25 of the way to the client (-.06 to -.14; leaking ones .93 to 1.51).
- collapsed: backgrounds of different seeds differ less than .37 as much as the base's (.39 to .63; overtrained .20 to .35).
- copied: of more than .9 of the portraits the background is nearer to a training picture than that of any held-back photo is,
  and they are rigid as well. Alone that share says nothing: up to .75 of a good LoRA's do, for prompts and pictures share scenes.
- faceless: in fewer than half as many portraits as the base's is a face found (chosen, not measured).
- identity_unsure: by the second ruler, dlib on the fixed box, the portraits are beyond doubt at least .05 farther from the photos
  than strangers' are (lower bounds of good ones: -.29 to .02; of a sister without the client's glasses .07 to .09). The practice
  base paints glasses as smudges that dlib does not see: portraits of a client with glasses are never nearer than strangers'.
  A sister of the same looks who differs in her face alone is not told: dlib finds her as near as the client.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from exam.records import Flag
from exam.verdict import Array

LEAST_RESPONSE, MOST_LEAK, LEAST_SPREAD, MOST_COPIED, LEAST_FACES = 0.7, 0.25, 0.37, 0.9, 0.5
MOST_FARTHER = 0.05
BOUND = 0.05  # the lower bound's level


@dataclass(frozen=True, slots=True)
class Signs:
    """The numbers behind the flags of one candidate; None: it was not measured, or there was nothing to divide by."""

    response: float | None = None  # of backgrounds to prompts, of the base's
    leak: float | None = None  # of the way from strangers to the client's own portraits
    spread: float | None = None  # of backgrounds over seeds, of the base's
    copied: float | None = None  # share of portraits
    faces: float | None = None  # portraits with a face, of the base's
    farther: float | None = None  # by a second ruler than strangers, at least: share of the strangers' distance

    @property
    def flags(self) -> frozenset[Flag]:
        """What these numbers amount to."""
        rigid = self.response is not None and self.response < LEAST_RESPONSE
        found = {
            Flag.RIGID: rigid,
            Flag.LEAKS: self.leak is not None and self.leak >= MOST_LEAK,
            Flag.COLLAPSED: self.spread is not None and self.spread < LEAST_SPREAD,
            Flag.COPIED: rigid and self.copied is not None and self.copied > MOST_COPIED,
            Flag.FACELESS: self.faces is not None and self.faces < LEAST_FACES,
            Flag.IDENTITY_UNSURE: self.farther is not None and self.farther >= MOST_FARTHER,
        }
        return frozenset(flag for flag, raised in found.items() if raised)


def measure_signs(
    backgrounds: Array,
    base: Array,
    prompts: Sequence[int],
    training: Array | None = None,
    held: Array | None = None,
    leak: float | None = None,
    faces: float | None = None,
) -> Signs:
    """The signs from background rows [portrait, numbers] of a candidate and of the base, and of training pictures and held-back
    photos where there are any; `leak` and `faces` are measured elsewhere."""
    copied = copied_share(backgrounds, training, held) if training is not None and held is not None else None
    return Signs(
        response=_share(response(backgrounds, prompts), response(base, prompts)),
        spread=_share(seed_spread(backgrounds, prompts), seed_spread(base, prompts)),
        copied=copied,
        leak=leak,
        faces=faces,
    )


def _share(of_it: float, of_base: float) -> float | None:
    return of_it / of_base if of_base > 0 else None


def response(rows: Array, prompts: Sequence[int]) -> float:
    """How far apart the prompts' means lie: the root of their mean squared distance, with what seeds alone would do taken out.

    Two seeds a prompt leave so much noise in a prompt's mean that a lively set would seem to follow prompts better than a calm one.
    """
    groups = _groups(rows, prompts)
    if len(groups) < 2:
        return 0.0
    means = np.stack([group.mean(axis=0) for group in groups])
    noise = np.mean([group.var(axis=0, ddof=1).sum() / len(group) if len(group) > 1 else 0.0 for group in groups])
    return float(np.sqrt(max(0.0, 2 * (means.var(axis=0, ddof=1).sum() - noise))))


def seed_spread(rows: Array, prompts: Sequence[int]) -> float:
    """How far apart the seeds of a prompt lie: the root of their mean squared distance; 0 with one seed."""
    spreads = [group.var(axis=0, ddof=1).sum() for group in _groups(rows, prompts) if len(group) > 1]
    return float(np.sqrt(2 * np.mean(spreads))) if spreads else 0.0


def _groups(rows: Array, prompts: Sequence[int]) -> list[Array]:
    names = np.asarray(prompts)
    return [rows[names == name] for name in dict.fromkeys(prompts)]


def leak_share(strangers: Array, dressed: Array, own: Array) -> float | None:
    """How far strangers moved toward the client when painted with the LoRA, of the way that lies between them and her portraits.

    Each is the distances [portrait, photo] to the held-back photos: strangers by the base, strangers with the LoRA, the client with
    it. None where her portraits are no nearer than the strangers': there is no way to move along.
    """
    way = float(strangers.mean() - own.mean())
    return float(strangers.mean() - dressed.mean()) / way if way > 0 else None


def farther_share(own: Array, strangers: Array, prompts: Sequence[int]) -> float | None:
    """How much farther the client's portraits are from the photos than strangers' of the same prompts, at least.

    It is the lower bound of the mean difference between prompts, by Student's t, as a share of the strangers' mean distance; both
    are distances [portrait, photo] in one order. None with one prompt, which tells nothing of doubt.
    """
    from scipy.special import stdtrit

    differences = [float(group.mean()) for group in _groups(own.mean(axis=1) - strangers.mean(axis=1), prompts)]
    if len(differences) < 2:
        return None
    doubt = float(np.std(differences, ddof=1)) / np.sqrt(len(differences)) * float(stdtrit(len(differences) - 1, 1 - BOUND))
    return float((np.mean(differences) - doubt) / strangers.mean())


def copied_share(portraits: Array, training: Array, held: Array) -> float:
    """The share of portraits whose background is nearer to a training picture than that of any held-back photo is to one."""
    nearest = _apart(held, training).min()
    return float((_apart(portraits, training).min(axis=1) < nearest).mean())


def _apart(one: Array, other: Array) -> Array:
    """Euclidean distances between the rows of two arrays: [row, other row]."""
    distances: Array = np.linalg.norm(one[:, None] - other[None], axis=-1)
    return distances
