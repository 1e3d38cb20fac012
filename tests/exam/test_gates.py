"""Gates on data whose truth is known: shares counted by hand, distances between people simulated from them."""

from __future__ import annotations

import numpy as np
import pytest

from exam.gates import PHOTO_SPREAD, embedding_gate, noise_free, photo_spread, separation_gate, within_person
from exam.records import Standing
from exam.rulers import apart as distances_between

PROMPTS = [prompt for prompt in range(16) for _seed in range(2)]


def one_number(*values):
    """Rows of a single number: how far from a photo at 0 they lie is the number itself."""
    return np.array([[float(value)] for value in values])


FIRST = 1  # who is on a portrait


def told(portraits, strangers, held, prompts, people, scenes=()):
    """What the gate says of rows, scaled as the exam scales them."""
    scaled = within_person(strangers, people)
    own, other = (distances_between(scaled(rows), scaled(held)) for rows in (portraits, strangers))
    return separation_gate(own, other, prompts, people, scenes)


def test_separation_is_told_in_standard_deviations_of_a_seed():
    # Seeds of a prompt lie 2 apart in the client's portraits (variance 2) and 0 in the strangers': pooled sd 1. Nearer by 10, by 6.
    gate = told(one_number(1, 3, 5, 7), one_number(12, 12, 12, 12), one_number(0), [0, 0, 1, 1], [FIRST] * 4)
    assert gate.value == pytest.approx(8.0)
    assert gate.bound == pytest.approx(8.0 - 1.645 * 2.0, abs=0.01)  # of two prompts, 10 and 6: sd 2.83, of their mean 2.0
    assert gate.standing is Standing.NOT
    gate = told(one_number(1, 3, 1, 3), one_number(14, 14, 14, 14), one_number(0), [0, 0, 1, 1], [FIRST] * 4)
    assert (gate.standing, gate.value, gate.bound, gate.provisional) == (Standing.GOOD, pytest.approx(12), pytest.approx(12), False)


def test_no_nearer_than_strangers_or_farther_is_nobody():
    rng = np.random.default_rng(0)
    photos = rng.normal(size=(3, 20))
    strangers = rng.normal(size=(32, 20))
    who = [prompt % 8 for prompt in PROMPTS]
    assert told(strangers, strangers, photos, PROMPTS, who).value == 0
    far = told(strangers + 3, strangers, photos, PROMPTS, who)
    assert far.value < 0
    assert far.standing is Standing.NOT


def test_a_base_that_paints_somebody_else_with_every_seed_does_not_pass_for_the_client():
    """Both are as near on the mean; one paints one person, the other a new one each time."""
    rng = np.random.default_rng(1)
    strangers = (rng.normal(size=(8, 40))[[prompt % 8 for prompt in PROMPTS]] + rng.normal(0, 0.05, (32, 40))) * 1.5
    who = [prompt % 8 for prompt in PROMPTS]
    photos = rng.normal(0, 0.1, (3, 40))
    one = 0.72 * rng.normal(size=40) + rng.normal(0, 0.05, (32, 40))
    sizes = rng.uniform(0.2, 1.0, (32, 1))  # now nearer, now farther from her
    many = sizes * rng.normal(size=(32, 40))
    means = [float(np.linalg.norm(some, axis=1).mean()) for some in (one, many)]
    assert means[0] == pytest.approx(means[1], rel=0.15)
    assert told(one, strangers, photos, PROMPTS, who).standing is Standing.GOOD
    assert told(many, strangers, photos, PROMPTS, who).standing is Standing.NOT


def test_somebody_else_painted_alike_each_time_is_not_near_because_most_strangers_are_farther():
    """Strangers at 10, 11 ... 17 from her. At 5 it is she; at 10.5 somebody else, beyond one who may be her lookalike."""
    who = [prompt % 8 for prompt in PROMPTS]
    seeds = 0.02 * np.tile([[-1.0], [1.0]], (16, 1))
    strangers = np.array([[10.0 + person] for person in who]) + seeds
    photos = one_number(0, 0.1, -0.1)
    near, beyond_one, beyond_most = (told(at + seeds, strangers, photos, PROMPTS, who) for at in (9.0, 10.5, 14.0))
    assert min(near.value, beyond_one.value) >= 9
    assert [one.standing for one in (near, beyond_one, beyond_most)] == [Standing.GOOD, Standing.NOT, Standing.NOT]


def test_light_that_differs_within_a_person_counts_for_less():
    """The first number is light: strangers' portraits differ in it, photos lie far off in it. The second is who somebody is."""
    rng = np.random.default_rng(2)
    who = [prompt % 8 for prompt in PROMPTS]
    light = rng.normal(0, 5, 32)
    strangers = np.stack([light, np.array([3.0 + person for person in who]) + rng.normal(0, 0.1, 32)], axis=1)
    portraits = np.stack([light, rng.normal(0, 0.1, 32)], axis=1)
    scaled = within_person(strangers, who)
    moved, other = scaled(np.array([[5.0, 0.0]])), scaled(np.array([[0.0, 5.0]]))
    assert np.linalg.norm(moved) < np.linalg.norm(other) / 2.5
    photos = np.array([[-20.0, 0.0], [15.0, 0.1]])
    assert told(portraits, strangers, photos, PROMPTS, who).standing is Standing.GOOD
    flat = np.stack([np.zeros(32), strangers[:, 1]], axis=1)  # nobody showed what light does
    with_light = told(portraits, flat, photos, PROMPTS, who)
    assert with_light.standing is Standing.NOT


def test_the_bound_refuses_what_hangs_on_one_photo_or_on_one_scene():
    who = [prompt % 8 for prompt in PROMPTS]
    portraits, strangers = np.zeros((32, 1)), np.tile([[1.0]], (32, 1)) + 0.001 * np.arange(32)[:, None] % 2
    portraits[:2] = 1.0  # of one scene she is as far as the stranger
    sure = told(portraits, strangers, one_number(0), PROMPTS, who)
    assert sure.standing is Standing.GOOD
    photos = one_number(-4, 4.5)  # one photo lies behind the strangers
    gate = told(portraits, strangers, photos, PROMPTS, who)
    assert gate.bound < 0
    assert gate.standing is Standing.NOT


def test_photos_of_one_scene_count_as_one():
    portraits, strangers = one_number(*[0.0, 0.02] * 16), one_number(*[1.0, 1.02] * 16)
    who = [prompt % 8 for prompt in PROMPTS]
    photos = one_number(0, 1, 1)  # of the client, and two shots of a minute in which she looks like the stranger
    assert told(portraits, strangers, photos, PROMPTS, who).value < 0
    assert told(portraits, strangers, photos, PROMPTS, who, scenes=[0, 1, 1]).value == pytest.approx(0, abs=1.5)


def test_one_picture_of_each_person_tells_nothing_of_how_pictures_differ():
    with pytest.raises(ValueError, match="one picture of each"):
        within_person(np.zeros((3, 2)), [0, 1, 2])


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
