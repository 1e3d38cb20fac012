"""Flags on backgrounds whose truth is known: numbers that can be counted by hand, and copies and collapses made on purpose."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from exam.flags import Signs, copied_share, farther_share, leak_share, measure_signs, response, seed_spread
from exam.records import Flag

PROMPTS = [prompt for prompt in range(16) for _seed in range(2)]


def backgrounds(seed=0, prompt=1.0, own=0.5, numbers=60):
    """Backgrounds that follow their prompts by so much, and differ by so much from seed to seed."""
    rng = np.random.default_rng(seed)
    scenes = np.random.default_rng(99).normal(0, 1, (16, numbers)).repeat(2, axis=0)  # what the prompts ask for: the same for all
    return prompt * scenes + rng.normal(0, own, (32, numbers))


def test_response_and_spread_by_hand():
    rows = np.array([[0.0], [2.0], [10.0], [12.0]])  # prompt means 1 and 11, variance 50 less noise 1: 2 x 49
    assert response(rows, [0, 0, 1, 1]) == pytest.approx(np.sqrt(98))
    assert seed_spread(rows, [0, 0, 1, 1]) == pytest.approx(2)  # both pairs are 2 apart
    assert (response(rows, [0] * 4), seed_spread(rows, [0, 1, 2, 3])) == (0, 0)


def test_liveliness_of_seeds_is_not_taken_for_following_the_prompt():
    calm, lively = response(backgrounds(own=0.1), PROMPTS), response(backgrounds(own=2.0, seed=5), PROMPTS)
    assert lively == pytest.approx(calm, rel=0.1)


def test_a_lora_that_changes_nothing_has_no_flag():
    signs = measure_signs(backgrounds(1), backgrounds(2), PROMPTS)
    assert signs.response == pytest.approx(1, abs=0.05)
    assert signs.spread == pytest.approx(1, abs=0.05)
    assert signs.flags == frozenset()
    assert (signs.leak, signs.copied, signs.faces) == (None, None, None)


def test_rigid_is_half_the_response_and_collapsed_a_third_of_the_spread():
    assert measure_signs(backgrounds(1, prompt=0.5), backgrounds(2), PROMPTS).flags == {Flag.RIGID}
    assert measure_signs(backgrounds(1, prompt=0.9), backgrounds(2), PROMPTS).flags == frozenset()
    assert measure_signs(backgrounds(1, own=0.15), backgrounds(2), PROMPTS).flags == {Flag.COLLAPSED}
    assert measure_signs(backgrounds(1, own=0.25), backgrounds(2), PROMPTS).flags == frozenset()


def test_copied_needs_both_the_nearness_and_the_rigidity():
    training = np.random.default_rng(3).normal(0, 1, (12, 60))
    held = np.random.default_rng(4).normal(0, 1, (3, 60))
    rng = np.random.default_rng(5)
    copies = training[np.zeros(32, int)] + rng.normal(0, 0.05, (32, 60))  # one picture, again and again
    signs = measure_signs(copies, backgrounds(2), PROMPTS, training, held)
    assert signs.copied == 1
    assert signs.flags == {Flag.RIGID, Flag.COLLAPSED, Flag.COPIED}
    # Portraits of sixteen scenes that the training pictures show too follow their prompts: near, and not copied.
    scenes = backgrounds(1)
    near = measure_signs(scenes, backgrounds(2), PROMPTS, scenes[:24] + 0.01, held)
    assert near.copied == 0.75
    assert near.flags == frozenset()
    assert measure_signs(backgrounds(1), backgrounds(2), PROMPTS, scenes + 0.01, held).flags == frozenset()


def test_copied_share_by_hand():
    training, held = np.array([[0.0], [10.0]]), np.array([[3.0], [14.0]])  # the nearest photo lies 3 from a training picture
    assert copied_share(np.array([[1.0], [5.0], [12.9], [13.1]]), training, held) == 0.5


def test_leaks_is_how_far_strangers_came_along():
    strangers, own = np.full((32, 3), 10.0), np.full((32, 3), 6.0)
    assert leak_share(strangers, np.full((32, 3), 9.0), own) == pytest.approx(0.25)
    assert leak_share(strangers, np.full((32, 3), 11.0), own) == pytest.approx(-0.25)
    assert leak_share(strangers, strangers, np.full((32, 3), 10.0)) is None
    assert Signs(leak=0.25).flags == {Flag.LEAKS}
    assert Signs(leak=0.24).flags == Signs(leak=-1.0).flags == frozenset()


def test_faceless_and_unsure():
    assert Signs(faces=0.49).flags == {Flag.FACELESS}
    assert Signs(faces=0.5).flags == frozenset()
    assert Signs(farther=0.051).flags == {Flag.IDENTITY_UNSURE}


# --- the second ruler -------------------------------------------------------------------------------------------------
# Distances as measured on real trainings of the practice base: the sample client, who wears glasses, her sister of the same hair,
# style and skin without them, and three others.
MEASURED = json.loads((Path(__file__).resolve().parents[1] / "data" / "second_ruler.json").read_text(encoding="utf-8"))


def measured(kind, name):
    one = MEASURED[kind][name]
    return np.array(one["distances"]), np.array(MEASURED["strangers"][one["of"]])


@pytest.mark.parametrize("portraits", [32, 16], ids=["16 scenes", "8 scenes, as in the demo"])
@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in ("good", "sister") for name in MEASURED[kind]])
def test_the_second_ruler_tells_the_sister_and_doubts_no_good_lora(kind, name, portraits):
    own, strangers = measured(kind, name)
    signs = Signs(farther=farther_share(own[:portraits], strangers[:portraits], PROMPTS[:portraits]))
    assert (Flag.IDENTITY_UNSURE in signs.flags) == (kind == "sister"), signs.farther


def test_the_means_alone_would_doubt_the_client_with_glasses():
    own, strangers = measured("good", "demo220")
    assert own.mean() > strangers.mean(), "the practice base paints glasses as smudges, and dlib misses them"


def test_how_much_farther_at_least_by_hand():
    strangers = np.full((4, 1), 2.0)
    own = strangers + np.array([[0.1], [0.3], [0.5], [0.7]])  # prompts .2 and .6: standard error .2, t of one degree 6.314
    assert farther_share(own, strangers, [0, 0, 1, 1]) == pytest.approx((0.4 - 0.2 * 6.3138) / 2, abs=1e-4)
    assert farther_share(own, strangers, [0, 0, 0, 0]) is None
