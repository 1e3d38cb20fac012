"""A search for settings, by the real program with little to train: killed and gone on, nothing of the client's touched."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stages import finish

from actions.tune import TunePlanAnswer
from actions.tuning import NothingFound, taken_back
from actions.tuning_plan import TuningRecord, open_study, plan_tuning
from benchmarks.drawn_client import draw_client
from client_folder.client import open_client
from client_folder.tuned import ClientPlan, TunedSettings
from config import TUNED, Settings, save_settings
from data_preprocessor import plan_dataset, prepare_dataset
from exam.errors import NoHeldBackPhotos
from exam.study import StudyBroken
from exam.trials import TrialEnd
from lora_trainer import plan_training
from training.known_settings import KnownSettings, remember_settings
from training.plan import Overrides
from utils import read_record, write_record

pytestmark = pytest.mark.timeout(1500)
SMALL = Path(__file__).resolve().parents[1] / "small_search.py"
SETTINGS = dict.fromkeys(("learning_rate", "dim", "alpha", "steps", "share_real", "max_repeats"), "number")
BEST = {"settings": SETTINGS, "score": "number", "low": "number", "high": "number"}
ANSWER = {
    "best": BEST, "trials": [{"number": "number", "ended": "str", **BEST}], "hours": "number",
    "preset_lacks": ["number"], "reasons": [], "practice": "bool", "taken_back": "NoneType",
}  # fmt: skip
PLAN = {
    "preset": SETTINGS, "known": "NoneType", "hours": "number", "spent_hours": "number", "trials": "number",
    "trial_seconds": "number", "disk_gb": "number", "free_gb": "number", "practice": "bool",
}  # fmt: skip
FOUND = TunedSettings(learning_rate=2e-3, dim=8, alpha=4, steps=90, share_real=0.4, max_repeats=12)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A home with a client whose dataset is built."""
    home = tmp_path_factory.mktemp("drawn") / "home"
    save_settings(home, Settings())
    finish(prepare_dataset(draw_client(home, "eva", 1), Settings()))
    return home


@pytest.fixture
def client(drawn, tmp_path):
    """A copy of her, to be changed."""
    return open_client(shutil.copytree(drawn, tmp_path / "home"), "eva")


def shape(value):
    """Names of keys and kinds of values: what scripts rely on."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def start(home, *words):
    argv = [sys.executable, str(SMALL), "--home", str(home), "--language", "en", "tune", "--client", "eva", *words, "--json"]
    return subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, start_new_session=True
    )


def own_files(client):
    """All of the client's but the trials, by content."""
    files = [path for path in client.root.rglob("*") if path.is_file() and client.tuning not in path.parents]
    return {path: path.read_bytes() for path in files if path.name != ".lock" and client.thumbnails not in path.parents}


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is not known to Windows")
def test_killed_it_goes_on_within_its_hours_and_leaves_the_client_as_it_was(client):
    before = own_files(client)
    killed = start(client.home, "--yes", "--hours", "0.0001")
    until = time.monotonic() + 700
    while not list(client.trial_folder(0).glob("models/*.safetensors")):
        assert killed.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    ended = start(client.home, "--yes", "--hours", "0.0001")
    answer = json.loads(ended.communicate(timeout=700)[0])
    assert ended.returncode == 0
    assert answer["best"], "the preset may be chosen, or this test says nothing of the best"
    assert shape(answer) == ANSWER
    (row,) = answer["trials"]  # the preset is tried, and nothing that would go beyond the hours
    assert row["number"] == 0 and row["ended"] == "whole"
    assert not list(client.tuning.glob("trial_*"))
    assert own_files(client) == before
    mix_records(client)


def mix_records(client):
    """A search whose two records do not belong together is not gone on with, and nothing of it is removed."""
    record = read_record(client.tuning_file, TuningRecord)
    assert record.base
    for base, prompts in ((record.base[:1], record.prompts[:1]), (tuple(row[:1] for row in record.base), record.prompts)):
        write_record(client.tuning_file, record.model_copy(update={"base": base, "prompts": prompts}))
        kept = client.tuning_study.read_bytes()
        with pytest.raises(StudyBroken, match=r"tuning\.json is of another search"):
            open_study(client, read_record(client.tuning_file, TuningRecord), ())
        assert client.tuning_study.read_bytes() == kept


def test_what_was_found_is_the_clients_plan_until_it_is_taken_back(client):
    settings, state = Settings(), client.state()
    preset = plan_training(client, settings).plan
    write_record(client.state_file, state.model_copy(update={"tuned": ClientPlan(base_digest=preset.base_digest, settings=FOUND)}))
    plan = plan_training(client, settings).plan
    assert (plan.preset, plan.steps, plan.dim, plan.alpha, plan.learning_rate) == (TUNED, 90, 8, 4, 2e-3)
    assert plan_training(client, settings, preset="balanced").plan == preset, "a preset that is named counts"
    assert plan_training(client, settings, overrides=Overrides(steps=33)).plan.steps == 33
    assert plan_dataset(client, settings).share_real == pytest.approx(0.4, abs=0.03)
    taken = start(client.home, "take-back")
    answer = json.loads(taken.communicate(timeout=120)[0])
    assert taken.returncode == 0 and answer["best"] is None and answer["taken_back"]["steps"] == 90
    assert open_client(client.home, "eva").state() == state
    with pytest.raises(NothingFound):
        taken_back(open_client(client.home, "eva"))


def test_on_another_base_what_was_found_does_not_count_for_the_training(client):
    state = client.state()
    write_record(client.state_file, state.model_copy(update={"tuned": ClientPlan(base_digest="other", settings=FOUND)}))
    assert plan_training(client, Settings()).plan.preset == Settings().preset


def test_the_plan_says_what_won_for_another_client_on_this_base_and_card_and_that_is_tried_second(client):
    settings = Settings()
    plan = plan_training(client, settings).plan
    won = FOUND.model_copy(update={"steps": plan.steps})
    other = FOUND.model_copy(update={"dim": 5})
    for card, found in (("another card", other), (plan.gpu.name, won)):
        remember_settings(client.home, KnownSettings(base_digest=plan.base_digest, card=card, settings=found))
    remember_settings(client.home, KnownSettings(base_digest="another base", card=plan.gpu.name, settings=other))
    told = TunePlanAnswer.of(plan_tuning(client, settings, 6)).model_dump(mode="json")
    assert TunedSettings.model_validate(told["known"]) == won
    assert shape({**told, "known": None}) == PLAN
    preset = TunedSettings.model_validate(told["preset"])
    client.tuning.mkdir()
    record = TuningRecord(key="", preset=preset, most_dim=preset.dim)
    with open_study(client, record, [preset, won]) as study:
        first = study.begin()
        study.end(first.number, TrialEnd.WHOLE, 1.0)
        assert (first.settings, study.peek().settings) == (preset, won)


def test_without_held_back_photos_there_is_nothing_to_search_by(client):
    shutil.rmtree(client.exam)
    with pytest.raises(NoHeldBackPhotos):
        plan_tuning(client, Settings(), 6)
