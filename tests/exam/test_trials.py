"""Trials: what is searched, what they will take, which one is chosen; and their study, killed at any moment."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from client_folder.tuned import TunedSettings
from exam.records import Flag, Standing, Word
from exam.study import StudyBroken, TuningStudy
from exam.trials import (
    CHECKPOINTS,
    Mark,
    Pace,
    Trial,
    TrialEnd,
    checkpoint_steps,
    compare,
    is_behind,
    params_of,
    search_space,
    settings_of,
    within,
)

PRESET = TunedSettings(learning_rate=1.5e-3, dim=16, alpha=8, steps=220, share_real=0.15, max_repeats=40)
PROMPTS = tuple(at // 2 for at in range(32))
BASE = 15.0


def mark(number: int, distance: float, seed: int = 0, flags: tuple[Flag, ...] = (), seconds: float = 10.0) -> Mark:
    """A checkpoint of 32 portraits and three scenes whose distances vary a little about one."""
    noise = random.Random(f"{seed} {number}")
    rows = tuple(tuple(distance + noise.gauss(0, 0.05) for _scene in range(3)) for _portrait in range(32))
    step = checkpoint_steps(220)[number - 1]
    return Mark(
        number=number, step=step, lora=f"{seed}.safetensors", distances=rows, gate=Standing.GOOD, flags=flags,
        train_seconds=seconds, exam_seconds=5.0,
    )  # fmt: skip


def trial(number: int, distance: float, steps: int = 220, flags: tuple[Flag, ...] = ()) -> Trial:
    settings = PRESET.model_copy(update={"steps": steps})
    return Trial(number, settings, (mark(CHECKPOINTS, distance, number, flags),), TrialEnd.WHOLE)


def base() -> tuple[tuple[float, ...], ...]:
    noise = random.Random("base")
    return tuple(tuple(BASE + noise.gauss(0, 0.05) for _scene in range(3)) for _portrait in range(32))


def test_the_preset_lies_within_what_is_searched_and_comes_back_as_it_was() -> None:
    for preset in (PRESET, PRESET.model_copy(update={"share_real": 0.9, "alpha": 32, "max_repeats": 3, "dim": 96})):
        space, params = search_space(preset, preset.dim * 2), params_of(preset)
        assert set(space) == set(params)
        assert all(space[name].low <= value <= space[name].high for name, value in params.items())
        assert settings_of(params) == preset
    alone = PRESET.model_copy(update={"share_real": None})
    assert "share_real" not in search_space(alone, 32)
    assert settings_of(params_of(alone)) == alone


def test_what_won_elsewhere_is_brought_within_what_is_searched_here() -> None:
    space = search_space(PRESET, 32)
    other = TunedSettings(learning_rate=0.5, dim=128, alpha=128, steps=9, share_real=None, max_repeats=900)
    assert within(space, other, PRESET) == TunedSettings(
        learning_rate=6e-3, dim=32, alpha=32, steps=110, share_real=0.15, max_repeats=80
    )
    near = PRESET.model_copy(update={"learning_rate": 2e-3, "share_real": 0.3})
    assert within(space, near, PRESET) == near
    alone = PRESET.model_copy(update={"share_real": None})
    assert within(search_space(alone, 32), near, alone) == near.model_copy(update={"share_real": None})


def test_a_trial_is_examined_at_equal_parts_and_at_its_end() -> None:
    for steps in (3, 150, 220, 2000):
        at = checkpoint_steps(steps)
        assert len(at) == CHECKPOINTS and at[-1] == steps and list(at) == sorted(set(at))
        gaps = [after - before for before, after in pairwise((0, *at))]
        assert max(gaps) - min(gaps) < CHECKPOINTS


def test_what_is_clearly_better_is_chosen_and_the_preset_stays_where_nothing_is() -> None:
    better = compare([trial(0, 11.0), trial(1, 10.0), trial(2, 12.0)], base(), PROMPTS)
    assert better is not None and better.chosen is not None
    assert better.chosen.number == 1 and better.verdict.word is Word.STEP
    lacks = better.verdict.judged[0].lacks
    assert lacks.low < 1.0 / 5.0 < lacks.high and lacks.value == pytest.approx(0.2, abs=0.02)
    same = compare([trial(0, 10.02), trial(1, 10.0), trial(2, 10.01, steps=110)], base(), PROMPTS)
    assert same is not None and same.chosen is not None and same.chosen.number == 0
    assert compare([Trial(0, PRESET)], base(), PROMPTS) is None


def test_of_better_ones_that_are_as_good_the_shorter_is_chosen() -> None:
    found = compare([trial(0, 12.0), trial(1, 10.0, 300), trial(2, 10.02, 130)], base(), PROMPTS)
    assert found is not None and found.chosen is not None and found.chosen.number == 2


def test_what_copies_or_leaks_is_not_chosen_however_near_it_comes() -> None:
    rigid = trial(1, 7.0, flags=(Flag.RIGID,))
    assert rigid.best is None
    found = compare([trial(0, 11.0), rigid], base(), PROMPTS)
    assert found is not None and found.chosen is not None and found.chosen.number == 0
    leaking = Trial(1, PRESET, (mark(CHECKPOINTS, 7.0, 1),), TrialEnd.WHOLE, leaks=True)
    found = compare([trial(0, 11.0), leaking], base(), PROMPTS)
    assert found is not None and found.chosen is not None and found.chosen.number == 0


def test_behind_is_beyond_the_margin_at_the_same_checkpoint() -> None:
    best = Trial(0, PRESET, (mark(1, 13.0), mark(2, 11.0), mark(3, 10.0)), TrialEnd.WHOLE)
    assert not is_behind(mark(1, 13.2, 1), best, BASE, 0.05)
    assert is_behind(mark(1, 13.4, 1), best, BASE, 0.05)
    assert not is_behind(mark(1, 13.4, 1), best, 9.0, 0.05), "the base is nearer than the best: there is no way to lack of"


def test_the_pace_is_that_of_the_slowest_and_the_first_exam_painted_the_base_too() -> None:
    assert Pace.of([Trial(0, PRESET)]) is None
    first = mark(1, 13.0, seconds=73.0).model_copy(update={"exam_seconds": 60.0})
    pace = Pace.of([Trial(0, PRESET, (first, mark(2, 12.0, seconds=146.0)))])
    assert pace is not None
    assert pace.step == pytest.approx(2.0) and pace.exam == 5.0
    assert pace.checkpoint(73) == pytest.approx(151.0) and pace.trial(220) == pytest.approx(455.0)


# --- the study --------------------------------------------------------------------------------------------------------
def searched(folder: Path, trials: int, stop_after: int = 0) -> bool:
    """Do so many trials whose distance follows from their learning rate; whether it came to the end before it was stopped."""
    noted = 0
    with TuningStudy(folder / "study.db", search_space(PRESET, 32), [PRESET]) as study:
        while sum(one.ended is not TrialEnd.RUNNING for one in study.trials()) < trials:
            one = study.begin()
            away = abs(one.settings.learning_rate / 3e-3 - 1)
            for number in range(1, 3):
                if number > len(one.marks):
                    study.note(one.number, mark(number, 12 + away - number, one.number))
                    noted += 1
                    if noted == stop_after:
                        return False
                best = study.best()
                behind = best is not None and is_behind(study.trial(one.number).marks[-1], best, BASE, 0.05)
                if number >= len(one.marks) and behind and study.is_worse(one.number):
                    study.end(one.number, TrialEnd.GIVEN_UP, study.trial(one.number).marks[-1].distance)
                    break
            else:
                study.end(one.number, TrialEnd.WHOLE, study.trial(one.number).marks[-1].distance)
    return True


def told(folder: Path) -> tuple[Trial, ...]:
    with TuningStudy(folder / "study.db", search_space(PRESET, 32), [PRESET]) as study:
        return study.trials()


def test_the_preset_comes_first_worse_ones_are_given_up_and_the_same_search_is_the_same_again(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    assert searched(tmp_path / "one", 6)
    found = told(tmp_path / "one")
    assert found[0].settings == PRESET
    assert len({one.settings.model_dump_json() for one in found}) == 6
    given_up = [one for one in found if one.ended is TrialEnd.GIVEN_UP]
    assert given_up and all(len(one.marks) <= 2 for one in given_up)
    for stop in (1, 1, 2, 1, 3):
        searched(tmp_path / "two", 6, stop)
    assert searched(tmp_path / "two", 6)
    assert told(tmp_path / "two") == found


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is not known to Windows")
def test_killed_anywhere_in_its_own_writing_the_study_ends_the_same(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    searched(tmp_path / "whole", 3)
    words = [
        sys.executable,
        "-c",
        "import sys; from pathlib import Path; import test_trials; test_trials.searched(Path(sys.argv[1]), 3)",
    ]
    paths = [str(Path(__file__).parent), str(Path(__file__).resolve().parents[2])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    for wait in (1.2, 2.0, 2.4):
        child = subprocess.Popen([*words, str(tmp_path / "killed")], env=environment)
        try:
            child.wait(wait)
        except subprocess.TimeoutExpired:
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
    searched(tmp_path / "killed", 3)
    assert told(tmp_path / "killed") == told(tmp_path / "whole")


def damage(file: Path, kind: str) -> None:
    """Leave a study as a bad disk, another program or another version of ours would."""
    whole = file.read_bytes()
    if kind == "cut":
        file.write_bytes(whole[: len(whole) // 2])
    elif kind == "text":
        file.write_text("no database\n" * 200)
    elif kind == "emptied":
        file.write_bytes(b"")
    else:
        with contextlib.closing(sqlite3.connect(file)) as opened, opened:
            if kind == "another name":
                opened.execute("UPDATE studies SET study_name = 'other'")
            else:
                opened.execute("UPDATE trial_user_attributes SET value_json = '{\"number\": 1}' WHERE key = 'checkpoint_1'")


@pytest.mark.parametrize("kind", ["cut", "text", "emptied", "another name", "mark of another version"])
def test_a_study_that_cannot_be_read_is_told_and_stays_as_it_is(tmp_path: Path, kind: str) -> None:
    searched(tmp_path, 1)
    file = tmp_path / "study.db"
    damage(file, kind)
    left = file.read_bytes()
    with pytest.raises(StudyBroken) as told, TuningStudy(file, search_space(PRESET, 32), []) as study:
        study.trials()
    assert told.value.facts["path"] == file and told.value.facts["reason"]
    assert file.read_bytes() == left
