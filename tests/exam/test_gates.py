"""Gates on data whose truth is known: shares counted by hand, distances between people simulated from them."""

from __future__ import annotations

import numpy as np
import pytest

from exam.gates import PHOTO_SPREAD, auc_gate, embedding_gate, noise_free, photo_spread
from exam.records import Standing

PROMPTS = [prompt for prompt in range(16) for _seed in range(2)]


def test_auc_is_the_share_of_pairs_of_one_prompt():
    # Prompt 0: both nearer than both strangers, 4 of 4. Prompt 1: 1 < 2, 1 < 3, 3 > 2, 3 = 3 is half: 2.5 of 4.
    portraits = np.array([[1.0], [2.0], [1.0], [3.0]])
    strangers = np.array([[5.0], [6.0], [2.0], [3.0]])
    assert auc_gate(portraits, strangers, [0, 0, 1, 1]).value == pytest.approx((1 + 2.5 / 4) / 2)
    # Ranks between prompts do not count: prompt 1's portraits are farther than prompt 0's strangers.
    assert auc_gate(np.array([[1.0], [8.0]]), np.array([[2.0], [9.0]]), [0, 1]).value == 1


def test_nearer_everywhere_is_good_with_a_bound_of_one():
    rng = np.random.default_rng(0)
    portraits = rng.uniform(0, 1, (32, 3))
    gate = auc_gate(portraits, portraits + 2, PROMPTS)
    assert (gate.standing, gate.value, gate.bound, gate.provisional) == (Standing.GOOD, 1, 1, False)
    assert auc_gate(portraits + 2, portraits, PROMPTS).standing is Standing.NOT
    assert auc_gate(portraits, portraits, PROMPTS).value == pytest.approx(0.5, abs=0.001)


def test_the_bound_refuses_what_hangs_on_one_photo_or_on_few_prompts():
    """0.9375 passes the limit itself. Of sixteen prompts two are wrong: s = .3416 (n-1), so 1.645 x s / 4 below .875 and more."""
    portraits, strangers = np.zeros((32, 1)), np.ones((32, 1))
    portraits[:2] = 2  # one whole prompt is not hers
    gate = auc_gate(portraits, strangers, PROMPTS)
    assert gate.value == pytest.approx(15 / 16)
    assert gate.bound < 0.90  # s = .25, of the mean .0625: the 5 % point lies at .8125 to .83
    assert gate.standing is Standing.NOT
    photos = np.tile([[0.0, 3.0, 3.0]], (32, 1))  # nearer to one photo by ten, farther from two by one
    others = np.tile([[10.0, 2.0, 2.0]], (32, 1))
    gate = auc_gate(photos, others, PROMPTS)
    assert gate.value == 1
    assert gate.bound < 0.90


def test_photos_of_one_scene_count_as_one():
    one = np.tile([[0.0, 3.0, 3.0]], (32, 1))
    other = np.tile([[2.0, 2.5, 2.5]], (32, 1))  # photos apart: 6 < 7; as scenes 0 and (3, 3): 1.5 < 2.25
    assert auc_gate(one, other, PROMPTS, scenes=[0, 1, 1]).value == 1
    one[:, 0], other[:, 0] = 1.4, 2.0  # apart 7.4 > 7.0, as scenes 4.4 < 4.5
    assert auc_gate(one, other, PROMPTS).value == 0
    assert auc_gate(one, other, PROMPTS, scenes=[0, 1, 1]).value == 1


def people(rng, centre, count, noise, shared=0.0):
    """Embeddings around a person; `shared` is what two portraits of a prompt have in common."""
    prompts = rng.normal(0, shared / np.sqrt(45), (count // 2, 45)).repeat(2, axis=0) if shared else 0
    return centre + prompts + rng.normal(0, noise / np.sqrt(45), (count, 45))


@pytest.mark.parametrize("apart", [0.0, 0.3, 0.8])
def test_the_noise_is_taken_out_of_the_distance_of_means(apart):
    """Means of many exams: without the correction each would be too large by .2^2/16 + .2^2/32 + .24^2/3, about .02."""
    centre = np.zeros(45)
    centre[0] = apart
    found, raw = [], []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        portraits = people(rng, centre, 32, 0.2, shared=0.2)
        held = people(rng, np.zeros(45), 3, np.sqrt(PHOTO_SPREAD))
        found.append(noise_free(portraits, held, PROMPTS))
        raw.append(float(((portraits.mean(0) - held.mean(0)) ** 2).sum()))
    assert np.mean(found) == pytest.approx(apart**2, abs=0.006)
    assert np.mean(raw) > apart**2 + 0.015


def test_the_spread_of_photos_is_shrunk_toward_what_many_said():
    held = np.zeros((1, 3))
    assert photo_spread(held) == PHOTO_SPREAD
    twins = np.zeros((2, 3))  # two sizes of one photo: weight 2 against 1, two thirds of what is known
    assert photo_spread(twins) == pytest.approx(PHOTO_SPREAD * 2 / 3)
    wide = np.array([[0.0], [1.0], [0.0], [1.0]])  # variance 1/3, weights 2 and 2
    assert photo_spread(wide) == pytest.approx((PHOTO_SPREAD + 1 / 3) / 2)


def test_the_client_passes_a_lookalike_does_not_and_all_of_it_is_provisional():
    """Strangers at .9 of the client; u is the person's own distance: .2 is good, .5 (u/u0 .56) unsure, .7 not."""
    words = {}
    for apart in (0.2, 0.5, 0.7):
        gates = []
        for seed in range(40):
            rng = np.random.default_rng(seed)
            centre, stranger = np.zeros(45), np.zeros(45)
            centre[0], stranger[1] = apart, 0.9
            held = people(rng, np.zeros(45), 6, np.sqrt(PHOTO_SPREAD))
            portraits, strangers = people(rng, centre, 32, 0.2, 0.2), people(rng, stranger, 32, 0.2, 0.2)
            gates.append(embedding_gate(portraits, strangers, held, PROMPTS))
        assert all(gate.provisional for gate in gates)
        words[apart] = [gate.standing for gate in gates]
    assert words[0.2].count(Standing.GOOD) == 40
    assert words[0.5].count(Standing.GOOD) <= 12
    assert words[0.7].count(Standing.NOT) == 40


def test_strangers_that_cannot_be_told_from_the_client_tell_nothing():
    same = np.zeros((32, 4))
    assert embedding_gate(same, same, np.zeros((3, 4)), PROMPTS).standing is Standing.NOT
