# ruff: noqa: F401, F811 - fixtures of another test are used by their names
"""What a finished run cost is what the next plan of that card says: a pretended card, a stand-in trainer as a real child."""

from __future__ import annotations

from dataclasses import replace

import pytest
from test_lora_trainer import CARD, SHORT, client, play, prepare, settings, train_now

from client_folder.client import create_client
from lora_trainer import plan_training
from machine import gpu
from machine.gpu import GPUState
from training.cost import Fit, PlanRefusal, estimate
from training.own_runs import Measured, measured_here
from training.runs import RunConditions, RunRecord, read_runs
from utils import write_record

OLD = {
    "started": "2026-01-02T03:04:05+00:00",
    "version": 1,
    "lora": "ana",
    "begun": 0,
    "steps": 500,
    "total": 500,
    "outcome": "done",
}


@pytest.fixture
def card(monkeypatch):
    """An RTX 3060 of 12 GB: what the driver would say."""
    state = GPUState("NVIDIA GeForce RTX 3060", "581.5", (8, 6), 12.0, 7.4, 4.6, 90, 60, uuid="GPU-1")
    monkeypatch.setattr(gpu, "find_gpus", lambda: (state,))
    return state


def put_on_record(home, plan, name="ben", **facts):
    """A finished run of another client with the settings of a plan."""
    conditions = RunConditions.of(plan, facts.pop("gpu", plan.gpu.name))
    who = create_client(home, name)
    who.runs.mkdir(parents=True)
    write_record(who.runs / "1.json", RunRecord(**(OLD | {"conditions": conditions, "seconds_per_step": 3.0} | facts)))


def test_a_finished_run_tells_the_next_plan_its_time_and_memory(client, settings, play, card):
    play("success")
    train_now(client, settings)
    (record,) = read_runs(client)
    assert record.conditions is not None
    assert (record.conditions.gpu, record.conditions.dim, record.conditions.resolution) == (CARD, 32, 1024)
    prepared = plan_training(client, settings, gpu=CARD, overrides=replace(SHORT, steps=1000))
    told = prepared.estimate
    assert told.measured is not None
    assert (told.seconds, told.vram_gb) == (pytest.approx(4500), 7.4), "4.5 s a step, as the trainer said"
    assert plan_training(client, settings, gpu="RTX 4090 24GB", overrides=SHORT).estimate.measured is None, (
        "of another card nothing"
    )


def test_what_the_processor_trained_says_nothing_of_a_card(client, settings, play):
    play("success")
    train_now(client, settings)  # planned for a card that is not here
    assert read_runs(client)[0].conditions.gpu == "CPU"
    assert plan_training(client, settings, gpu=CARD, overrides=SHORT).estimate.measured is None


def test_the_nearest_run_counts_scaled_by_what_a_step_shows(client, settings):
    plan = prepare(client, settings).plan
    home = client.home
    assert measured_here(home, plan) is None
    put_on_record(home, plan.model_copy(update={"resolution": 512, "dim": 8}), "far", seconds_per_step=1.0, peak_vram_gb=5.0)
    far = measured_here(home, plan)
    assert (far.seconds_per_step, far.vram_gb) == (4.0, None), "four times the pixels; of other memory nothing is known"
    put_on_record(home, plan.model_copy(update={"dim": 16}), "nearer", seconds_per_step=3.5)
    assert measured_here(home, plan).seconds_per_step == 3.5
    put_on_record(home, plan, "same", seconds_per_step=3.0, peak_vram_gb=9.1)
    assert measured_here(home, plan) == Measured(3.0, 9.1, "2026-01-02")
    put_on_record(home, plan, "newer", started="2026-02-01T00:00:00+00:00", seconds_per_step=2.9, peak_vram_gb=9.2)
    assert measured_here(home, plan) == Measured(2.9, 9.2, "2026-02-01")


@pytest.mark.parametrize(
    "facts",
    [{"outcome": "stopped"}, {"steps": 5}, {"gpu": "RTX 4090 24GB"}, {"conditions": None}, {"seconds_per_step": None}],
    ids=["stopped", "short", "another card", "of an old version", "without a speed"],
)
def test_what_does_not_count(client, settings, facts):
    plan = prepare(client, settings).plan
    put_on_record(client.home, plan, **facts)
    assert measured_here(client.home, plan) is None


def test_a_run_that_went_well_settles_whether_it_fits(client, settings):
    plan = prepare(client, settings).plan
    assert estimate(plan, Measured(3.0, 10.0, "")).verdict is Fit.FITS
    assert estimate(plan, Measured(3.0, 11.5, "")).verdict is Fit.TIGHT
    large = plan.model_copy(update={"dim": 256, "alpha": 128.0, "optimizer": "AdamW"})
    assert PlanRefusal.MEMORY in estimate(large, Measured(3.0, None, "")).refusals
