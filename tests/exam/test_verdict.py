"""The verdict rule on distances whose truth is known: made by hand, or simulated from it."""

from __future__ import annotations

import numpy as np
import pytest

from exam.records import Examinee, ExamReason, Flag, Standing, Word
from exam.verdict import by_scene, critical_value, decide, deviations

PROMPTS = [prompt for prompt in range(16) for _seed in range(2)]
STEPS = (10, 30, 50, 110, 220)


def simulate(truth, held=6, noise=0.05, own=0.02, seed=0):
    """Distances around true means; the last of `truth` is the base. What portraits and photos share is common to all."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(0, noise, (1, 32, 1)) + rng.normal(0, noise, (1, 1, held))
    prompt = rng.normal(0, own, (len(truth), 16, 1)).repeat(2, axis=1)
    photo = rng.normal(0, own / 2, (len(truth), 1, held))
    return np.array(truth)[:, None, None] + shared + prompt + photo + rng.normal(0, own, (len(truth), 32, held))


def verdict_on(truth, candidates=None, **how):
    found = simulate(truth, **how)
    return decide(candidates or [Examinee(step) for step in STEPS], found[:-1], found[-1], PROMPTS)


def test_photos_of_one_scene_count_as_one():
    distances = np.array([[[1.0, 3.0, 10.0]]])
    assert by_scene(distances, [7, 7, 2]).tolist() == [[[2.0, 10.0]]]
    with pytest.raises(ValueError, match="scenes"):
        by_scene(distances, [1])


# 95 % points of Student's t by its degrees of freedom, from a printed table, and of the normal.
T, NORMAL = {1: 6.3138, 2: 2.9200, 3: 2.3534, 15: 1.7531}, 1.6449


def test_the_bootstrap_is_as_wide_as_students_interval_of_the_mean():
    """The spread has to be the unbiased s / sqrt(n), and wider as Student's t is, for s itself is known from n values alone."""
    rng = np.random.default_rng(1)
    portraits = rng.normal(0, 1, (1, 16)).repeat(2, axis=1)  # two seeds that say the same: 16 prompts, not 32 portraits
    photos = rng.normal(0, 2, 4)
    distances = portraits[:, :, None] + photos
    widths = T[15] * portraits[0, ::2].std(ddof=1) / 4, T[3] * photos.std(ddof=1) / 2
    expected = np.hypot(*widths) / NORMAL
    assert deviations(distances, PROMPTS, draws=20_000).std() == pytest.approx(expected, rel=0.03)


def test_with_few_prompts_seeds_are_drawn_within_each():
    """Prompts differ by ten, seeds not at all: nothing is in doubt. Whole prompts drawn would find a great deal."""
    distances = np.array([[[0.0], [0.0], [10.0], [10.0]]])
    assert not deviations(distances, [0, 0, 1, 1]).any()
    distances = np.array([[[0.0], [2.0], [10.0], [12.0]]])  # s = sqrt(2) in each: of the mean of 4, sqrt(2) / 2
    assert deviations(distances, [0, 0, 1, 1], draws=20_000).std() == pytest.approx(T[2] / NORMAL * np.sqrt(2) / 2, rel=0.03)


@pytest.mark.parametrize("photos", [2, 3])
def test_intervals_with_two_or_three_photos_hold_the_truth_about_nine_times_in_ten(photos):
    """Drawn with replacement and not widened, they hold it far less often: two photos give three outcomes."""
    held = 0
    for seed in range(400):
        distances = np.random.default_rng(seed).normal(0.5, 0.1, photos) * np.ones((1, 32, 1))
        low, high = np.quantile(deviations(distances, PROMPTS, seed=seed), [0.05, 0.95])
        held += low <= distances.mean() - 0.5 <= high
    assert 0.86 <= held / 400 <= 0.94


def test_the_critical_value_of_one_pair_is_that_of_a_normal_and_grows_with_pairs():
    normal = np.random.default_rng(2).normal(size=(20_000, 5))
    one, errors = critical_value(normal[:, :2])
    assert one == pytest.approx(1.645, abs=0.04)
    assert errors[0, 1] == pytest.approx(np.sqrt(2), rel=0.03)
    assert critical_value(normal)[0] == pytest.approx(2.46, abs=0.05)  # Tukey's range of 5 at 90 %: 3.478 / sqrt(2)


def test_the_bounds_of_all_pairs_hold_at_once_about_nine_times_in_ten():
    truth = np.array([0.4, 0.42, 0.41, 0.43, 0.40, 0.9])
    held = 0
    for seed in range(150):
        found = simulate(truth, own=0.04, seed=seed)
        deviating = deviations(found[:-1], PROMPTS, draws=300)
        critical, errors = critical_value(deviating)
        off = found[:-1].mean(axis=(1, 2)) - truth[:-1]
        held += bool((np.abs(off[:, None] - off[None]) <= critical * errors + 1e-12).all())
    assert 0.83 <= held / 150 <= 0.98  # the study: .85 to .97


def test_the_earliest_as_good_as_the_best_is_chosen():
    for seed in range(20):
        found = verdict_on((0.8, 0.6, 0.40, 0.401, 0.40, 0.9), own=0.01, seed=seed)
        assert (found.word, found.judged[found.chosen].candidate.step) == (Word.TIED, 50)


def test_what_is_only_not_worse_for_lack_of_evidence_is_not_chosen():
    """Step 30 lacks 40 % of the way. So noisy an exam cannot show it: the usual test would call it as good."""
    wrong, unproven = 0, 0
    for seed in range(20):
        found = verdict_on((0.8, 0.6, 0.42, 0.41, 0.40, 0.9), own=0.12, held=2, seed=seed)
        if found.chosen is not None:
            wrong += found.judged[found.chosen].candidate.step <= 30
            unproven += sum(one.lacks.low <= 0 for one in found.judged) > len(found.tied)
    assert wrong == 0
    assert unproven > 10


def test_a_single_best_is_chosen_alone_and_said_so():
    found = verdict_on((0.8, 0.7, 0.6, 0.5, 0.40, 0.9), own=0.01)
    assert (found.word, found.chosen, found.tied, found.reasons) == (Word.STEP, 4, (4,), (ExamReason.ONLY_BEST,))
    best = found.judged[4]
    assert best.score.value == pytest.approx(1)
    assert best.lacks.value == best.lacks.high == 0
    # 0.7 of a way from 0.9 to 0.4: 40 % gone, 60 % lacking; the bounds hold them.
    assert found.judged[1].score.low < 0.4 < found.judged[1].score.high
    assert found.judged[1].lacks.low < 0.6 < found.judged[1].lacks.high


def test_nothing_nearer_than_the_base_is_none():
    found = verdict_on((0.95, 0.94, 0.93, 0.95, 0.96, 0.9), own=0.01)
    assert (found.word, found.chosen, found.reasons) == (Word.NONE, None, (ExamReason.NO_NEARER,))
    assert not any(one.acceptable for one in found.judged)


def test_a_veto_keeps_the_nearest_from_being_chosen_and_from_being_the_measure():
    """A copier comes nearest of all: were it the measure, all others would lack too much."""
    truth = (0.8, 0.6, 0.40, 0.40, 0.10, 0.9)
    for flag in (Flag.RIGID, Flag.LEAKS):
        steps = [Examinee(step, flags=frozenset({flag} if step == 220 else ())) for step in STEPS]
        found = verdict_on(truth, steps, own=0.01)
        assert (found.word, found.judged[found.chosen].candidate.step) == (Word.TIED, 50)
        assert not found.judged[4].acceptable
    everyone = [Examinee(step, flags=frozenset({Flag.RIGID})) for step in STEPS]
    assert verdict_on(truth, everyone).reasons == (ExamReason.ALL_VETOED,)


def test_the_collapsed_loses_ties_but_may_win_alone():
    truth = (0.8, 0.6, 0.40, 0.40, 0.40, 0.9)
    steps = [Examinee(step, flags=frozenset({Flag.COLLAPSED} if step == 50 else ())) for step in STEPS]
    found = verdict_on(truth, steps, own=0.01)
    assert (found.word, found.chosen) == (Word.TIED, 3)
    assert verdict_on((0.8, 0.6, 0.40, 0.6, 0.6, 0.9), steps, own=0.01).chosen == 2


def test_gates_decide_what_may_be_chosen():
    truth = (0.8, 0.6, 0.40, 0.40, 0.40, 0.9)
    none = verdict_on(truth, [Examinee(step, gate=Standing.NOT) for step in STEPS], own=0.01)
    assert (none.word, none.chosen, none.best is not None, none.reasons) == (Word.NONE, None, True, (ExamReason.GATE,))
    later = [Examinee(step, gate=Standing.NOT if step == 50 else Standing.GOOD) for step in STEPS]
    assert verdict_on(truth, later, own=0.01).chosen == 3
    unsure = verdict_on(truth, [Examinee(step, gate=Standing.UNSURE) for step in STEPS], own=0.01)
    assert (unsure.chosen, unsure.reasons) == (2, (ExamReason.UNSURE,))


def test_one_scene_is_told_and_no_candidate_is_none():
    found = simulate((0.8, 0.4, 0.9), held=3)
    told = decide([Examinee(10), Examinee(20)], found[:-1], found[-1], PROMPTS, scenes=[5, 5, 5])
    assert ExamReason.FEW_SCENES in told.reasons
    assert decide([], found[:0], found[-1], PROMPTS).reasons == (ExamReason.NO_CANDIDATES,)
    with pytest.raises(ValueError, match="candidates"):
        decide([Examinee(10)], found[:-1], found[-1], PROMPTS)


def test_the_same_pictures_get_the_same_verdict():
    truth = (0.8, 0.6, 0.41, 0.405, 0.40, 0.9)
    assert verdict_on(truth, own=0.05) == verdict_on(truth, own=0.05)
