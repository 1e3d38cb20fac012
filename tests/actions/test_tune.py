"""A search for settings, by the real program with little to train: killed and gone on, nothing of the client's touched."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stages import finish

from benchmarks.drawn_client import draw_client
from client_folder.client import open_client
from client_folder.tuned import ClientPlan, TunedSettings
from config import TUNED, Settings, save_settings
from data_preprocessor import plan_dataset, prepare_dataset
from lora_trainer import plan_training
from training.plan import Overrides
from utils import write_record

pytestmark = pytest.mark.timeout(900)
SMALL = Path(__file__).resolve().parents[1] / "small_search.py"
FOUND = TunedSettings(learning_rate=2e-3, dim=8, alpha=4, steps=90, share_real=0.4, max_repeats=12)


@pytest.fixture
def client(tmp_path):
    save_settings(tmp_path, Settings())
    client = draw_client(tmp_path, "eva", 1)
    finish(prepare_dataset(client, Settings()))
    return client


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
    until = time.monotonic() + 400
    while not list(client.trial_folder(0).glob("models/*.safetensors")):
        assert killed.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    ended = start(client.home, "--yes", "--hours", "0.0001")
    answer = json.loads(ended.communicate(timeout=400)[0])
    assert ended.returncode == 0
    assert {"best", "trials", "hours"} <= set(answer)
    (row,) = answer["trials"]  # the preset is tried, and nothing that would go beyond the hours
    assert row["number"] == 0 and row["ended"] == "whole"
    if answer["best"]:
        assert set(answer["best"]) == {"settings", "score", "low", "high"}
        assert not list(client.tuning.glob("trial_*"))
    assert own_files(client) == before


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
    assert start(client.home, "take-back").wait(120) == 1


def test_on_another_base_what_was_found_does_not_count_for_the_training(client):
    state = client.state()
    write_record(client.state_file, state.model_copy(update={"tuned": ClientPlan(base_digest="other", settings=FOUND)}))
    assert plan_training(client, Settings()).plan.preset == Settings().preset
