"""When a picture is looked at again, and when only judged anew: by digests of what decides, and of nothing else."""

from __future__ import annotations

import pytest
from looked_at import looked_at

from client_folder.records import Decisions
from config import QualityControlConfig, RawLimits, Settings
from faces.verdicts import method_of, rules_of
from image_processor import ProcessPlan, plan_process

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


def test_a_plan_counts_what_waits_for_a_verdict_and_nothing_else(tmp_path):
    """Verdicts under other limits wait again, and so does a picture whose crop or look is gone; the others are done."""
    client = looked_at(tmp_path, bright=120, dim=35, sharp=130)
    assert plan_process(client, Settings()) == ProcessPlan(0, 3)
    moved = Settings(quality=QualityControlConfig(min_brightness=30))
    assert plan_process(client, moved) == ProcessPlan(3, 0)
    assert plan_process(client, Settings()) == ProcessPlan(0, 3), "and nothing was written"
    accepted = [face for face in client.faces() if face.crop]
    (client.processed / accepted[0].crop).unlink()
    assert plan_process(client, Settings()) == ProcessPlan(1, 2)
    (client.looks / f"{accepted[1].stem}.json").unlink()
    assert plan_process(client, Settings()) == ProcessPlan(2, 1)
