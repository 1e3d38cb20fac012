"""When a picture is looked at again, and when only judged anew: by digests of what decides, and of nothing else."""

from __future__ import annotations

import pytest

from client_folder.records import Decisions
from config import QualityControlConfig, RawLimits
from faces.verdicts import method_of, rules_of

USUAL = QualityControlConfig()


def test_another_padding_moves_every_square_so_all_are_looked_at_again():
    assert method_of(QualityControlConfig(face_padding_factor=1.7)) != method_of(USUAL)
    assert method_of(QualityControlConfig()) == method_of(USUAL)


@pytest.mark.parametrize("name", sorted(set(QualityControlConfig.model_fields) - {"face_padding_factor", "raw"}))
def test_any_other_limit_judges_anew_without_opening_a_picture(name):
    moved = USUAL.model_copy(update={name: getattr(USUAL, name) + 0.01})
    assert method_of(moved) == method_of(USUAL)
    assert rules_of(moved, Decisions()) != rules_of(USUAL, Decisions())


def test_limits_of_raw_and_a_persons_decisions_judge_anew_too():
    raw = QualityControlConfig(raw=RawLimits(max_noise=13))
    assert method_of(raw) == method_of(USUAL)
    here = rules_of(USUAL, Decisions())
    others = {
        rules_of(raw, Decisions()), rules_of(USUAL, Decisions(accepted=("a" * 64,))),
        rules_of(USUAL, Decisions(pointed={"a" * 64: (1, 2, 3, 4)})), rules_of(USUAL, Decisions(pointed={"a" * 64: (1, 2, 3, 5)})),
    }  # fmt: skip
    assert len(others | {here}) == 5
