"""Plans, what they cost, what is refused, and every command line that can come of them."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from client_folder.client import Client
from config import PRESETS
from machine.base_models import BaseKind
from machine.cards import GPU_PROFILES
from training.cost import MemoryPart, PlanRefusal, estimate, find_refusals, refuse
from training.errors import PlanRefused
from training.plan import (
    BaseFacts,
    DatasetFacts,
    Fit,
    Overrides,
    Resume,
    TrainerKind,
    TrainingPlan,
    kohya_arguments,
    make_plan,
    run_name,
)
from utils import BrokenFile, read_record, write_record

CLIENT = Client(Path("clients/ana"))
DATASET = DatasetFacts(images=20, samples_per_epoch=200, digest="d")
SDXL = BaseFacts(BaseKind.SDXL, Path("sd_xl_base.safetensors"), TrainerKind.SD_SCRIPTS, digest="b")
SMALL = BaseFacts(BaseKind.EMBEDDED, Path("embedded/base"), TrainerKind.EMBEDDED, resolution=96, digest="e")
GPUS = {profile.name: profile for profile in GPU_PROFILES}
BALANCED = PRESETS[1]
OPTIONS = {
    line.strip()
    for line in (Path(__file__).parents[1] / "data" / "sd_scripts_options.txt").read_text().splitlines()
    if line[:2] == "--"
}


def plan_for(gpu, base=SDXL, dataset=DATASET, preset=BALANCED, **overrides):
    return make_plan(GPUS[gpu], preset, dataset, base, Overrides(**overrides))


def value_of(argv, option):
    return argv[argv.index(option) + 1]


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
@pytest.mark.parametrize("profile", GPU_PROFILES, ids=lambda profile: profile.name)
@pytest.mark.parametrize("base", [SDXL, SMALL], ids=["sdxl", "embedded"])
@pytest.mark.parametrize("resumed", [False, True], ids=["fresh", "resumed"])
def test_every_option_is_one_of_sd_scripts(profile, preset, base, resumed):
    plan = make_plan(profile, preset, replace(DATASET, regularised=True), base)
    argv = kohya_arguments(plan, CLIENT, Resume(Path("state"), 110) if resumed else None)
    assert len(OPTIONS) == 197
    assert {word for word in argv if word.startswith("--")} <= OPTIONS
    assert len([word for word in argv if word.startswith("--")]) == len({word for word in argv if word.startswith("--")})
    for option in ("--no_half_vae", "--sdpa", "--console_log_simple", "--save_state", "--network_train_unet_only"):
        assert option in argv
    assert value_of(argv, "--caption_extension") == ".txt"
    assert value_of(argv, "--save_precision") == "fp16"
    assert value_of(argv, "--max_data_loader_n_workers") == "0"
    assert value_of(argv, "--network_module") == "networks.lora"


def test_the_plan_of_an_8_gb_card_is_what_sd_scripts_documents():
    plan = plan_for("RTX 3060 8GB")
    assert (plan.dim, plan.alpha, plan.resolution, plan.precision, plan.optimizer) == (8, 4, 1024, "bf16", "AdamW8bit")
    assert (plan.steps, plan.learning_rate, plan.warmup, plan.scheduler) == (2000, 1e-4, 200, "cosine_with_restarts")
    argv = kohya_arguments(plan, CLIENT)
    for option in ("--cache_latents_to_disk", "--cache_text_encoder_outputs_to_disk", "--gradient_checkpointing"):
        assert option in argv
    assert value_of(argv, "--output_name") == "ana_avatar_v1"
    assert value_of(argv, "--train_data_dir") == str(CLIENT.training_data)


@pytest.mark.parametrize(
    ("gpu", "fit"),
    [
        ("GTX 1650 4GB", Fit.NO), ("RTX 3050 6GB", Fit.TIGHT), ("RTX 3050 8GB", Fit.TIGHT), ("RTX 4060 8GB", Fit.TIGHT),
        ("RTX 3060 12GB", Fit.FITS), ("RTX 4060 Ti 16GB", Fit.FITS), ("RTX 4090 24GB", Fit.FITS), ("CPU", Fit.NO),
    ],
)  # fmt: skip
def test_whether_sdxl_fits(gpu, fit):
    assert estimate(plan_for(gpu)).verdict is fit


def test_the_original_plan_for_8_gb_does_not_fit_and_the_cures_make_it_fit():
    plan = plan_for("RTX 3060 8GB", dim=96)
    cost = estimate(plan)
    assert cost.verdict is Fit.NO
    assert cost.refusals == (PlanRefusal.MEMORY,)
    assert 9 < cost.vram_gb < 11  # measured shapes: 4.8 U-Net, 2.4 LoRA and optimizer, about 2 to compute with, 0.5 CUDA
    cured = plan.model_copy(update={cure.setting: cure.value for cure in cost.cures})
    assert cost.cures
    assert estimate(cured).verdict is not Fit.NO
    with pytest.raises(PlanRefused, match=r"9\.\d GB of video memory"):
        refuse(plan)


def test_memory_by_part_follows_the_shapes_of_sdxl():
    parts = {part.part: part.gb for part in estimate(plan_for("RTX 3060 12GB", dim=64)).vram_parts}
    assert parts[MemoryPart.UNET] == pytest.approx(4.78, abs=0.01)
    assert parts[MemoryPart.LORA] == pytest.approx(1.6, abs=0.05)
    assert parts[MemoryPart.TEXT_ENCODERS] == 0
    trained = estimate(plan_for("RTX 3060 12GB", unet_only=False))
    assert {part.part: part.gb for part in trained.vram_parts}[MemoryPart.TEXT_ENCODERS] == pytest.approx(1.52, abs=0.01)


@pytest.mark.parametrize(("dim", "megabytes"), [(8, 43), (32, 170), (96, 511)])
def test_the_size_of_a_lora_is_that_of_real_ones(dim, megabytes):
    assert estimate(plan_for("RTX 4090 24GB", dim=dim)).checkpoint_mb == pytest.approx(megabytes, rel=0.015)


def test_hours_follow_the_table_of_the_card():
    assert estimate(plan_for("RTX 3060 8GB")).hours == pytest.approx(2.25)
    assert estimate(plan_for("RTX 3060 8GB", resolution=512)).hours == pytest.approx(2.25 / 4)
    assert estimate(plan_for("RTX 3060 8GB")).epochs == 10


@pytest.mark.parametrize(
    ("gpu", "hours"),
    [("GTX 1650 4GB", 11), ("RTX 3050 8GB", 5), ("RTX 3060 8GB", 4.5), ("RTX 4060 8GB", 4), ("RTX 4060 Ti 16GB", 3.5)],
)
def test_the_original_plans_values_take_the_original_plans_hours(gpu, hours):
    assert estimate(make_plan(GPUS[gpu], BALANCED, DATASET, SDXL, original=True)).hours == pytest.approx(hours, rel=0.001)


@pytest.mark.parametrize(
    ("faster", "slower", "times"),
    [("RTX 4090 24GB", "RTX 4070 12GB", 2.0), ("RTX 3090 24GB", "RTX 3060 12GB", 2.6), ("RTX 5090 32GB", "RTX 3090 24GB", 1.91)],
)
def test_other_cards_are_as_fast_as_their_memory(faster, slower, times):
    assert GPUS[slower].seconds_per_step / GPUS[faster].seconds_per_step == pytest.approx(times, rel=0.02)


def test_samples_painted_between_two_steps_count_where_they_are_the_peak():
    parts = {part.part: part.gb for part in estimate(plan_for("RTX 3060 12GB")).vram_parts}
    assert parts[MemoryPart.SAMPLES] == pytest.approx(3.31)
    resident = parts[MemoryPart.UNET] + parts[MemoryPart.LORA] + parts[MemoryPart.CONTEXT]
    assert estimate(plan_for("RTX 3060 12GB")).vram_gb == pytest.approx(resident + 3.31), "and no activations beside them"
    assert estimate(plan_for("RTX 3060 12GB", sample_every=0)).vram_gb == pytest.approx(resident + 2.0)


@pytest.mark.parametrize("gpu", ["RTX 3050 6GB", "RTX 3060 8GB", "RTX 2080 Ti 11GB"])
def test_on_small_cards_painting_samples_takes_no_more_than_training(gpu):
    plan = plan_for(gpu)
    if gpu != "RTX 2080 Ti 11GB":
        assert estimate(plan).vram_gb == pytest.approx(estimate(plan.model_copy(update={"sample_every": 0})).vram_gb, abs=0.02)
    assert estimate(plan).vram_gb <= plan.gpu.vram_gb
    argv = kohya_arguments(plan, CLIENT)
    assert value_of(argv, "--sample_every_n_steps") == "250"


def test_a_smaller_training_paints_no_larger_samples():
    assert plan_for("RTX 4090 24GB", resolution=512).sample_side == 512
    assert plan_for("RTX 4090 24GB", resolution=512, sample_px=768).sample_side == 768, "unless that is wanted"


def test_the_embedded_base_trains_anywhere():
    for profile in GPU_PROFILES:
        plan = make_plan(profile, BALANCED, DATASET, SMALL)
        assert estimate(plan).verdict is Fit.FITS, profile.name
    argv = kohya_arguments(plan, CLIENT)
    assert value_of(argv, "--resolution") == "96,96"
    assert value_of(argv, "--network_args") == "conv_dim=16"
    assert argv[argv.index("--network_args") + 2] == "conv_alpha=16"
    assert value_of(argv, "--mixed_precision") == "no"
    assert 30 < estimate(plan).seconds < 120


@pytest.mark.parametrize(
    ("gpu", "base", "overrides", "refusal"),
    [
        ("CPU", SDXL, {}, PlanRefusal.NO_GPU),
        ("GTX 1650 4GB", SDXL, {}, PlanRefusal.GTX_NAN),
        ("GTX 1650 4GB", SDXL, {"precision": "bf16"}, PlanRefusal.NO_BF16),
        ("CPU", SMALL, {"precision": "fp16"}, PlanRefusal.CPU_PRECISION),
        ("RTX 4090 24GB", SDXL, {"fp8": True, "precision": "no"}, PlanRefusal.FP8_PRECISION),
        ("CPU", SMALL, {"fp8": True, "precision": "bf16"}, PlanRefusal.FP8_TRAINER),
        ("CPU", SMALL, {"unet_only": False}, PlanRefusal.TEXT_ENCODER_TRAINER),
        ("RTX 4090 24GB", SDXL, {"scheduler": "constant"}, PlanRefusal.CONSTANT_WARMUP),
        ("RTX 4090 24GB", SDXL, {"warmup": 2000}, PlanRefusal.WARMUP_TOO_LONG),
        ("RTX 3060 8GB", SDXL, {"dim": 128}, PlanRefusal.MEMORY),
    ],
)
def test_what_cannot_work_is_refused_with_words(gpu, base, overrides, refusal):
    plan = plan_for(gpu, base, **overrides)
    assert refusal in find_refusals(plan)
    assert estimate(plan).verdict is Fit.NO
    with pytest.raises(PlanRefused) as refused:
        refuse(plan)
    assert "{" not in refused.value.text() + refused.value.cure()


@pytest.mark.parametrize(
    "overrides", [{"optimizer": "Foo"}, {"scheduler": "wavy"}, {"precision": "fp4"}, {"resolution": 1000}, {"steps": 0}, {"dim": 0}]
)
def test_a_value_no_trainer_takes_is_refused(overrides):
    with pytest.raises(PlanRefused, match=next(iter(overrides))):
        plan_for("RTX 4090 24GB", **overrides)


def test_overrides_take_along_what_depends_on_them():
    plan = plan_for("RTX 3060 12GB", dim=16, steps=100)
    assert (plan.alpha, plan.warmup) == (8, 10)
    assert plan_for("RTX 3060 12GB", dim=16, alpha=1).alpha == 1


def test_adafactor_is_told_to_keep_the_learning_rate():
    argv = kohya_arguments(plan_for("RTX 3060 12GB", optimizer="Adafactor"), CLIENT)
    at = argv.index("--optimizer_args")
    assert argv[at + 1 : at + 4] == ("scale_parameter=False", "relative_step=False", "warmup_init=False")


def test_text_encoders_are_cached_only_when_they_are_not_trained():
    argv = kohya_arguments(plan_for("RTX 4090 24GB", unet_only=False), CLIENT)
    assert not {"--network_train_unet_only", "--cache_text_encoder_outputs", "--cache_text_encoder_outputs_to_disk"} & set(argv)


def test_regularisation_pictures_are_passed_only_where_there_are_some():
    with_them = kohya_arguments(plan_for("CPU", SMALL, replace(DATASET, regularised=True)), CLIENT)
    assert value_of(with_them, "--reg_data_dir") == str(CLIENT.regularisation)
    assert "--reg_data_dir" not in kohya_arguments(plan_for("CPU", SMALL), CLIENT)


@pytest.mark.parametrize(
    ("images", "batch", "accumulation", "regularised", "steps"), [(200, 1, 1, False, 200), (7, 2, 2, False, 2), (7, 2, 1, True, 7)]
)
def test_an_epoch_is_counted_as_sd_scripts_does(images, batch, accumulation, regularised, steps):
    dataset = DatasetFacts(images, images, regularised=regularised)
    assert plan_for("RTX 4090 24GB", dataset=dataset, batch=batch, accumulation=accumulation).steps_per_epoch() == steps


@pytest.mark.parametrize("step", [1, 199, 200, 201, 250, 999, 1000, 1750, 1999])
@pytest.mark.parametrize("per_epoch", [1, 70, 200, 2000, 5000])
def test_a_resumed_run_of_sd_scripts_trains_all_that_is_left_and_less_than_an_epoch_more(step, per_epoch):
    plan = plan_for("RTX 3060 12GB", dataset=DatasetFacts(per_epoch, per_epoch))
    argv = kohya_arguments(plan, CLIENT, Resume(Path("state"), step))
    epochs = math.ceil(plan.steps / per_epoch)
    run = (epochs - int(value_of(argv, "--initial_epoch")) + 1) * per_epoch
    assert plan.steps - step <= run < plan.steps - step + per_epoch
    assert "--skip_until_initial_step" not in argv


def test_a_resumed_run_of_the_embedded_trainer_goes_on_at_its_step():
    resume = Resume(Path("state"), 110)
    argv = kohya_arguments(plan_for("CPU", SMALL), CLIENT, resume)
    assert value_of(argv, "--resume") == "state"
    assert "--skip_until_initial_step" in argv
    assert run_name(plan_for("CPU", SMALL), CLIENT, resume) == "ana_avatar_v1"
    assert run_name(plan_for("RTX 3060 12GB"), CLIENT, resume) == "ana_avatar_v1-from00000110"


def test_a_plan_is_read_back_as_it_was_saved(tmp_path):
    plan = plan_for("RTX 3060 12GB")
    write_record(tmp_path / "plan.json", plan)
    assert read_record(tmp_path / "plan.json", TrainingPlan) == plan


def test_a_broken_plan_names_its_line(tmp_path):
    path = tmp_path / "plan.json"
    write_record(path, plan_for("RTX 3060 12GB"))
    path.write_text(path.read_text().replace('"dim": 32', '"dim": -1'))
    with pytest.raises(BrokenFile) as broken:
        read_record(path, TrainingPlan)
    assert '"dim"' in path.read_text().splitlines()[broken.value.facts["line"] - 1]


def test_another_machine_teaches_the_same_and_other_numbers_do_not():
    plan = plan_for("RTX 3060 12GB")
    moved = plan.model_copy(update={"gpu": GPUS["RTX 4090 24GB"], "base": "/elsewhere", "version": 3})
    assert plan.teaches_the_same(moved)
    assert not plan.teaches_the_same(plan.model_copy(update={"dataset_digest": "other"}))
    assert not plan.teaches_the_same(plan.model_copy(update={"steps": 10}))


@pytest.mark.parametrize(("steps", "every"), [(1500, 250), (1700, 170), (1501, 250), (200, 200), (90, 90)])
def test_with_sd_scripts_the_finished_lora_has_a_sample_too(steps, every):
    """It paints at multiples only: a number that divides the steps is taken where one is near, unless the user named one."""
    plan = plan_for("RTX 3060 12GB", steps=steps)
    assert (plan.save_every, plan.sample_every) == (every, every)
    assert plan_for("RTX 3060 12GB", steps=steps, save_every=240).save_every == 240
