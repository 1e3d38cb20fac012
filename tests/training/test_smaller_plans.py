# ruff: noqa: F401, F811 - fixtures of another test are used by their names
"""Runs that the card cannot hold, with a stand-in trainer as a real child process: stopped early, tried smaller, put on record."""

import json
from dataclasses import replace

import pytest
from stages import run
from test_lora_trainer import CARD, SHORT, client, play, prepare, settings, train_now

from actions.train_request import TrainRequest
from lora_trainer import names_original, plan_training, train
from machine.cards import GPU_PROFILES
from training.checkpoints import list_checkpoints, read_plan
from training.cost import next_smaller, take_smaller
from training.errors import PlanRefused
from training.monitor import MemoryFull, TrainerFailed, is_spilling
from training.runs import read_runs
from training.samples import samples_of
from utils import Notice, TrainingTick

FITS = "8"  # the alpha of rank 16, in the second smaller plan of a 12 GB one


def save_memory(client, settings):
    return run(train(client, settings, prepare(client, settings).plan, take_smaller_plans=True))


@pytest.mark.parametrize("how", ["oom", "spill"])
def test_a_card_that_is_too_small_is_noticed_early_and_a_smaller_plan_is_offered(client, settings, play, how):
    play(how, pause=0.05)
    with pytest.raises(MemoryFull) as full:
        train_now(client, settings)
    assert str(full.value.facts["smaller"]) == "sample_px = 768"
    assert "pictures of 768 px painted while training" in full.value.cure()
    (record,) = read_runs(client)
    assert record.outcome == ("video_memory" if how == "oom" else "spill")
    assert record.steps < 10
    if how == "spill":
        assert record.probe_seconds_per_step == 214.5
        assert "214.5 s/it" in record.evidence


@pytest.mark.parametrize("how", ["oom", "spill"])
def test_where_nobody_is_asked_smaller_plans_are_taken_and_recorded(client, settings, play, monkeypatch, how):
    play(how, pause=0.02)
    monkeypatch.setenv("STANDIN_FITS", FITS)
    events, report = save_memory(client, settings)
    assert report.changes == ("sample_px: 1024 -> 768", "dim: 32 -> 16")
    assert [event for event in events if isinstance(event, Notice)]
    plan = read_plan(client)
    assert (plan.resolution, plan.dim, plan.alpha, plan.changes) == (1024, 16, 8, report.changes)
    assert report.lora.is_file()
    assert [one.outcome for one in read_runs(client)][-1] == "done"


def test_smaller_plans_come_to_an_end(client, settings, play):
    play("oom")
    with pytest.raises(TrainerFailed) as failed:
        save_memory(client, settings)
    assert not isinstance(failed.value, MemoryFull)
    assert len(read_runs(client)) > 3


def test_smaller_plans_go_from_what_costs_least_and_keep_alpha_in_proportion(client, settings):
    plan = prepare(client, settings, replace(SHORT, dim=64, optimizer="AdamW", unet_only=False)).plan
    taken = []
    while cure := next_smaller(plan):
        plan = take_smaller(plan, cure)
        taken.append(cure.setting)
    assert taken == [
        "unet_only", "optimizer", "sample_px", "dim", "dim", "dim", "fp8", "resolution", "sample_px", "resolution", "sample_every",
        "dim",
    ]  # fmt: skip
    assert (plan.dim, plan.alpha) == (4, 2)
    assert len(plan.changes) == len(taken)


def test_every_smaller_plan_can_be_asked_for(client, settings):
    """Else the menu's "train again with it" would change nothing, and ask the same for ever."""
    plan = prepare(client, settings, replace(SHORT, dim=64, optimizer="AdamW", unet_only=False)).plan
    while cure := next_smaller(plan):
        request = TrainRequest(client="ana").model_copy(update={cure.setting: cure.value})
        assert getattr(request.overrides, cure.setting) == cure.value
        assert str(cure.value) in cure.words or isinstance(cure.value, bool) or not cure.value
        plan = take_smaller(plan, cure)


@pytest.mark.parametrize(
    ("seconds", "used", "spills"),
    [(214.5, None, True), (24.1, None, True), (19.0, None, False), (30.0, 11.9, True), (30.0, 8.0, False), (7.0, 11.9, False)],
)
def test_a_spill_is_slow_and_full(client, settings, seconds, used, spills):
    tick = TrainingTick(3, 10, 0.1, seconds, vram_gb=used, vram_total_gb=used and 12.0)
    assert is_spilling(prepare(client, settings).plan, tick) is spills


def test_samples_are_gathered_under_the_step_they_show(client, settings, play):
    play("success")
    events, report = run(train(client, settings, prepare(client, settings, replace(SHORT, sample_every=2)).plan))
    assert [path.name for path in samples_of(client, "ana_avatar_v1", 4)] == [
        "ana_avatar_v1-step00000004-0.png",
        "ana_avatar_v1-step00000004-1.png",
    ]
    assert not list(client.trainer_samples.glob("*.png"))
    assert any(event.sample for event in events if isinstance(event, TrainingTick))
    assert "ana person" in client.sample_prompts.read_text(encoding="utf-8")
    assert report.steps == 10


def test_each_checkpoint_has_its_loss_on_record(client, settings, play):
    play("success", pause=0.02)
    train_now(client, settings)
    (record,) = read_runs(client)
    assert (record.outcome, record.begun, record.steps) == ("done", 0, 10)
    assert record.losses[4] == 0.124
    assert record.curve


def test_after_a_resumed_run_checkpoints_bear_their_true_step(client, settings, play):
    play("unknown")
    with pytest.raises(TrainerFailed):
        train_now(client, settings)
    play("success")
    train_now(client, settings)
    listed = [(one.step, one.path.name) for one in list_checkpoints(client)]
    assert listed == [(step, f"ana_avatar_v1-step{step:08d}.safetensors") for step in (2, 4, 6, 8, 10)] + [
        (10, "ana_avatar_v1.safetensors")
    ]


def test_what_was_learned_from_noise_is_not_gone_on_with(client, settings, play):
    play("nan", pause=0.05)
    with pytest.raises(TrainerFailed):
        train_now(client, settings)
    assert not [one for one in list_checkpoints(client) if one.step > 2]
    assert read_runs(client)[-1].outcome == "nan"
    play("success")
    _events, report = train_now(client, settings)
    assert report.resumed_from == 0  # the state of step 2 may hold it already


def test_options_that_the_installed_script_lacks_are_found_before_it_runs(client, settings, play):
    play("old_version")
    with pytest.raises(TrainerFailed, match="does not know an option"):
        train_now(client, settings)
    assert not client.models.exists()


def test_the_original_plan_is_offered_with_what_is_true_of_it(client, settings, play):
    prepared = plan_training(client, settings, gpu="RTX 3060 8GB", overrides=SHORT)
    assert (prepared.plan.dim, prepared.original.dim, prepared.original.precision) == (8, 96, "fp16")
    chosen = plan_training(client, settings, gpu="RTX 3060 8GB", overrides=SHORT, original=True)
    assert (chosen.plan.dim, chosen.plan.alpha, chosen.estimate.verdict.value) == (96, 48, "no")
    play("success")  # who insists may try
    assert run(train(client, settings, chosen.plan))[1].steps == 10
    with pytest.raises(PlanRefused, match="original plan"):
        plan_training(client, settings, gpu="RTX 4090 24GB", original=True)


@pytest.mark.parametrize("base", ["", "embedded"])
def test_whether_there_is_an_original_plan_is_told_without_making_one(client, settings, base):
    for profile in GPU_PROFILES:
        planned = plan_training(client, settings, gpu=profile.name, base_model=base)
        assert names_original(client, settings, gpu=profile.name, base_model=base) is (planned.original is not None)


def test_every_card_of_the_original_plan_has_a_profile():
    from training.plan import ORIGINAL

    assert set(ORIGINAL) <= {profile.name for profile in GPU_PROFILES}


def test_accelerate_launches_with_the_users_own_configuration(client, settings, play, tmp_path):
    file = tmp_path / "accelerate.yaml"
    file.write_text(
        "compute_environment: LOCAL_MACHINE\ndistributed_type: 'NO'\nmixed_precision: 'no'\nnum_processes: 1\nuse_cpu: true\n"
    )
    play("success")
    _events, report = train_now(client, settings.model_copy(update={"accelerate_config": str(file)}))
    assert report.steps == 10
    two = tmp_path / "two.yaml"
    two.write_text("num_processes: 2\n")
    plan = prepare(client, settings.model_copy(update={"accelerate_config": str(two)})).plan
    assert (plan.processes, plan.steps_per_epoch()) == (2, 2)


def test_the_json_of_a_plan_can_be_read(client, settings):
    from actions.action import dump
    from actions.training import TrainingPlanAnswer

    told = json.loads(json.dumps(dump(TrainingPlanAnswer.of(plan_training(client, settings, gpu=CARD)))))
    assert set(told["vram_parts"]) == {"unet", "text_encoders", "lora", "activations", "samples", "context"}
    assert told["verdict"] == "fits" and not (told["time_measured"] or told["memory_measured"] or told["practice"])
    assert told["disk_gb"] > 0
