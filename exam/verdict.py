"""Which checkpoint looks most like the client, how sure that is, and "none" where none does: arithmetic on distances alone.

The rule. `distances[k, i, j]` is how far portrait i of candidate k lies from held-back photo j; candidates paint the same
prompts with the same seeds, so that they are compared pair by pair. Doubt comes from a bootstrap over whole prompts and over the
held-back photos: another exam would have painted other prompts, and other photos might have been held back; seeds alone would
prove nonsense. A step is as good as the best where the upper bound of what it lacks is at most 5 % of the way from the base to
the best; of those the earliest is chosen. "Not significantly worse" would reward ignorance: few portraits make everything alike.
Because the best is itself picked from the data, the bound holds for all pairs at once (max-T).

The bootstrap is that with normal weights (multiplier bootstrap): drawn with replacement, two photos give three outcomes and no
tail. Each part is widened as Student's t is beyond the normal, for two or three photos say little of how much photos differ:
without that, intervals with two photos held the truth in three exams of four.

Measured on simulated clients (`benchmarks/exam.py`); the numbers below are chosen, and what they cost was measured there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from exam.records import LEVEL, Examinee, ExamReason, ExamVerdict, Flag, Interval, Judged, Standing, Word

Array = npt.NDArray[np.float64]
MARGIN = 0.05  # of base to best: what a step may lack and still count as being as good
DRAWS = 500
WHOLE_PROMPTS = 8  # from so many prompts on, whole prompts are drawn; below, portraits within each prompt
LEAST_SCENES = 2  # held-back scenes below which nothing is known of what other photos would say


def by_scene(distances: Array, scenes: Sequence[int]) -> Array:
    """Distances with the photos of one scene averaged, so that three shots of one minute do not count as three."""
    names = np.asarray(scenes)
    if names.shape != distances.shape[-1:]:
        raise ValueError(f"{distances.shape[-1]} photos, but scenes of {len(names)}")
    return np.stack([distances[..., names == scene].mean(axis=-1) for scene in dict.fromkeys(scenes)], axis=-1)


def deviations(distances: Array, prompts: Sequence[int], draws: int = DRAWS, seed: int = 0) -> Array:
    """How far mean distances would be off with other prompts and other photos: [draw, candidate], drawn by bootstrap.

    `prompts` names the prompt of each portrait. With one photo there is nothing to draw from: that part is 0, and the verdict says
    so. Raises ValueError with one portrait.
    """
    rng = np.random.default_rng(seed)
    return _portrait_part(distances.mean(axis=2), np.asarray(prompts), draws, rng) + _photo_part(distances.mean(axis=1), draws, rng)


def _portrait_part(means: Array, prompts: npt.NDArray[np.int_], draws: int, rng: np.random.Generator) -> Array:
    """Of [candidate, portrait]: whole prompts drawn where there are enough of them, else portraits within each prompt."""
    if prompts.shape != means.shape[1:]:
        raise ValueError(f"{means.shape[1]} portraits, but prompts of {len(prompts)}")
    members = [np.flatnonzero(prompts == name) for name in dict.fromkeys(prompts.tolist())]
    if len(members) >= WHOLE_PROMPTS or min(map(len, members)) < 2:
        if len(members) < 2:
            raise ValueError("one portrait tells nothing of doubt")
        prompt_means = np.stack([means[:, places].mean(axis=1) for places in members], axis=1)
        return _drawn(prompt_means, draws, rng) * _wider(len(members) - 1)
    parts = [_drawn(means[:, places], draws, rng) * (len(places) / means.shape[1]) for places in members]
    total: Array = np.sum(parts, axis=0) * _wider(means.shape[1] - len(members))
    return total


def _photo_part(means: Array, draws: int, rng: np.random.Generator) -> Array:
    """Of [candidate, photo]: photos drawn; nothing where there is but one."""
    photos = means.shape[1]
    return _drawn(means, draws, rng) * _wider(photos - 1) if photos > 1 else np.zeros((draws, means.shape[0]))


def _drawn(values: Array, draws: int, rng: np.random.Generator) -> Array:
    """Deviations of the mean over the n columns of [candidate, n], with the variance of that mean: [draw, candidate]."""
    n = values.shape[1]
    drawn: Array = rng.normal(size=(draws, n)) @ (values - values.mean(axis=1, keepdims=True)).T / np.sqrt(n * (n - 1))
    return drawn


def _wider(freedom: int) -> float:
    """How much wider Student's t of so many degrees of freedom is than the normal, at `LEVEL`."""
    from scipy.special import ndtri, stdtrit

    return float(stdtrit(freedom, (1 + LEVEL) / 2) / ndtri((1 + LEVEL) / 2))


def critical_value(deviating: Array, level: float = LEVEL) -> tuple[float, Array]:
    """The max-T value that holds for all pairs of candidates at once, and the standard error of each pair's difference.

    It is the `level` quantile, over draws, of the largest |difference of deviations| in its own standard errors.
    """
    differences = deviating[:, :, None] - deviating[:, None, :]
    errors = differences.std(axis=0, ddof=1)
    if not (errors > 0).any():
        return 0.0, errors
    standing = np.divide(np.abs(differences), errors, out=np.zeros_like(differences), where=errors > 0)
    return float(np.quantile(standing.max(axis=(1, 2)), level)), errors


def decide(
    candidates: Sequence[Examinee],
    distances: Array,
    base: Array,
    prompts: Sequence[int],
    scenes: Sequence[int] = (),
    seed: int = 0,
) -> ExamVerdict:
    """The verdict on candidates given in the order of preference: the earliest step first, of a step the lightest weight.

    `distances` is [candidate, portrait, photo] and `base` [portrait, photo] of the same prompts and seeds without a LoRA; `scenes`
    names the scene of each photo, empty where each is its own. The same seed gives the same verdict. Raises ValueError for shapes
    that do not fit together.
    """
    if not candidates:
        return ExamVerdict(Word.NONE, None, None, (), reasons=(ExamReason.NO_CANDIDATES,))
    if distances.shape != (len(candidates), *base.shape):
        raise ValueError(f"{len(candidates)} candidates, distances {distances.shape}, base {base.shape}")
    all_of = np.concatenate([distances, base[None]])
    all_of = by_scene(all_of, scenes) if scenes else all_of
    means, deviating = all_of.mean(axis=(1, 2)), deviations(all_of, prompts, seed=seed)
    allowed = [at for at, one in enumerate(candidates) if not one.vetoed]
    # What may not be chosen is no measure for the others either: a copier comes nearest of all.
    best = min(allowed or range(len(candidates)), key=lambda at: means[at])
    judged, critical = _judge(candidates, means, deviating, best)
    reasons = (ExamReason.FEW_SCENES,) if all_of.shape[2] < LEAST_SCENES else ()
    if not allowed:
        return ExamVerdict(Word.NONE, None, None, judged, (), (ExamReason.ALL_VETOED, *reasons), critical)
    if means[best] >= means[-1]:
        return ExamVerdict(Word.NONE, None, best, judged, (), (ExamReason.NO_NEARER, *reasons), critical)
    return _chosen(judged, best, reasons, critical)


def _judge(candidates: Sequence[Examinee], means: Array, deviating: Array, best: int) -> tuple[tuple[Judged, ...], float]:
    """Every candidate on the scale from the base (0), the last of `means`, to the best (1); no scale where it is no nearer."""
    way = float(means[-1] - means[best])
    unit = way if way > 0 else float("inf")
    critical, errors = critical_value(deviating[:, :-1])
    judged = []
    for at, candidate in enumerate(candidates):
        nearer = float(means[-1] - means[at])
        low, high = np.quantile(deviating[:, -1] - deviating[:, at], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        score = Interval(nearer / unit, (nearer - float(high)) / unit, (nearer - float(low)) / unit)
        gap, room = float(means[at] - means[best]), critical * float(errors[at, best])
        lacks = Interval(gap / unit, (gap - room) / unit, (gap + room) / unit)
        acceptable = way > 0 and not candidate.vetoed and (at == best or lacks.high <= MARGIN)
        judged.append(Judged(candidate, float(means[at]), score, lacks, acceptable))
    return tuple(judged), critical


def _chosen(judged: tuple[Judged, ...], best: int, reasons: tuple[ExamReason, ...], critical: float) -> ExamVerdict:
    """The earliest that is as good as the best and whose portraits are the client's; the collapsed only where there is no other."""
    passed = [at for at, one in enumerate(judged) if one.acceptable and one.candidate.gate is not Standing.NOT]
    if not passed:
        return ExamVerdict(Word.NONE, None, best, judged, (), (ExamReason.GATE, *reasons), critical)
    lively = [at for at in passed if Flag.COLLAPSED not in judged[at].candidate.flags] or passed
    sure = [at for at in lively if judged[at].candidate.gate is Standing.GOOD] or lively
    chosen = sure[0]
    if judged[chosen].candidate.gate is Standing.UNSURE:
        reasons = (ExamReason.UNSURE, *reasons)
    if passed == [best] and any(one.candidate.step < judged[best].candidate.step for one in judged):
        reasons = (ExamReason.ONLY_BEST, *reasons)
    return ExamVerdict(Word.TIED if len(passed) > 1 else Word.STEP, chosen, best, judged, tuple(passed), reasons, critical)
