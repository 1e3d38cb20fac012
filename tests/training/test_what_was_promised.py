"""Plans held to words that are not the code's: the original plan's tables, sd-scripts' documents and parser, sums done by hand."""

from __future__ import annotations

import itertools
import shlex
from pathlib import Path

import pytest

from client_folder.client import Client
from config import PRESETS
from machine.base_models import BaseKind
from machine.cards import GPU_PROFILES
from training.cost import MemoryPart, estimate, refuse
from training.errors import PlanRefused
from training.plan import BaseFacts, DatasetFacts, Overrides, TrainerKind, kohya_arguments, make_plan

CLIENT = Client(Path("clients/ClienteX"))
DATASET = DatasetFacts(images=20, samples_per_epoch=200, digest="d")
SDXL = BaseFacts(BaseKind.SDXL, Path("sd_xl_base.safetensors"), TrainerKind.SD_SCRIPTS, digest="b")
SMALL = BaseFacts(BaseKind.EMBEDDED, Path("embedded/base"), TrainerKind.EMBEDDED, resolution=96, digest="e")
GPUS = {profile.name: profile for profile in GPU_PROFILES}
PARSER = {
    line.strip()
    for line in (Path(__file__).parents[1] / "data" / "sd_scripts_options.txt").read_text().splitlines()
    if line.startswith("--")
}


def planned(gpu="RTX 4090 24GB", preset="balanced", base=SDXL, dataset=DATASET, original=False, **overrides):
    (chosen,) = (one for one in PRESETS if one.name == preset)
    return make_plan(GPUS[gpu], chosen, dataset, base, Overrides(**overrides), original=original)


def said(plan, client=CLIENT):
    """The command line as a person reads it: each option with the words behind it."""
    options, current = {}, []
    for word in kohya_arguments(plan, client):
        if word.startswith("--"):
            current = options.setdefault(word, [])
        else:
            current.append(word)
    return {option: " ".join(words) for option, words in options.items()}


# --- presets and tables -----------------------------------------------------------------------------------------------
def test_the_presets_are_the_original_plans():
    """2000 steps at 0.0001 is its example, 0.00012 its word for a faster training; quick is shorter, quality longer and slower."""
    quick, balanced, quality = ((preset.name, preset.steps, preset.learning_rate) for preset in PRESETS)
    assert quick == ("quick", 1500, 0.00012)
    assert balanced == ("balanced", 2000, 0.0001)
    assert quality == ("quality", 3000, 0.00008)


@pytest.mark.parametrize(
    ("gpu", "dim", "px", "batch", "optimizer", "fp8"),
    [
        ("RTX 4090 24GB", 96, 1024, 2, "AdamW", False), ("RTX 3090 24GB", 96, 1024, 2, "AdamW", False),
        ("RTX 5090 32GB", 96, 1024, 2, "AdamW", False), ("RTX 4080 16GB", 64, 1024, 1, "AdamW8bit", False),
        ("Tesla T4 15GB", 64, 1024, 1, "AdamW8bit", False), ("RTX 4000 Ada 20GB", 64, 1024, 1, "AdamW8bit", False),
        ("RTX 3060 12GB", 32, 1024, 1, "AdamW8bit", False), ("RTX 2080 Ti 11GB", 32, 1024, 1, "AdamW8bit", False),
        ("RTX 3080 10GB", 8, 1024, 1, "AdamW8bit", False), ("RTX 4060 8GB", 8, 1024, 1, "AdamW8bit", False),
        ("RTX 3050 6GB", 8, 768, 1, "AdamW8bit", True), ("GTX 1650 4GB", 4, 512, 1, "AdamW8bit", True),
    ],
)  # fmt: skip
def test_the_recommended_values_of_every_size_of_card(gpu, dim, px, batch, optimizer, fp8):
    """As docs/training.md tells them; sd-scripts itself names dim 4 to 8 for 8 GB, and nothing for less."""
    plan = planned(gpu)
    assert (plan.dim, plan.resolution, plan.batch, plan.optimizer, plan.fp8) == (dim, px, batch, optimizer, fp8)
    assert (plan.alpha, plan.conv_dim, plan.accumulation, plan.unet_only) == (dim / 2, 0, 1, True)


@pytest.mark.parametrize(
    ("gpu", "precision"),
    [
        ("GTX 1650 4GB", "fp16"), ("RTX 2060 6GB", "fp16"), ("RTX 2080 Ti 11GB", "fp16"), ("Tesla T4 15GB", "fp16"),
        ("RTX 3060 12GB", "bf16"), ("A10 24GB", "bf16"), ("RTX 4090 24GB", "bf16"), ("RTX 5080 16GB", "bf16"), ("CPU", "no"),
    ],
)  # fmt: skip
def test_no_card_is_asked_for_numbers_it_does_not_have(gpu, precision):
    """NVIDIA's table of compute capabilities: bf16 from 8.0 on, and Turing is 7.5. No processor trains in fp16."""
    assert planned(gpu).precision == precision
    assert said(planned(gpu))["--mixed_precision"] == precision


# The original plan's profiles: card, dim, alpha, resolution, accumulation.
OF_THE_PLAN = [
    ("GTX 1650 4GB", 32, 16, 768, 8), ("RTX 3050 8GB", 96, 48, 1024, 2), ("RTX 3060 8GB", 96, 48, 1024, 2),
    ("RTX 4060 8GB", 128, 64, 1024, 2), ("RTX 4060 Ti 16GB", 128, 64, 1024, 2),
]  # fmt: skip


@pytest.mark.parametrize(("gpu", "dim", "alpha", "px", "accumulation"), OF_THE_PLAN)
def test_the_original_plans_values_are_those_it_names(gpu, dim, alpha, px, accumulation):
    plan = planned(gpu, original=True)
    assert (plan.dim, plan.alpha, plan.resolution, plan.accumulation) == (dim, alpha, px, accumulation)
    assert (plan.batch, plan.precision, plan.optimizer, plan.unet_only) == (1, "fp16", "AdamW8bit", False)
    assert plan.insisted


def test_no_other_card_has_values_of_the_original_plan():
    assert not planned("RTX 4090 24GB", original=True).insisted
    assert not planned("RTX 3060 8GB", base=SMALL, original=True).insisted, "it speaks of SDXL"


# --- the command line -------------------------------------------------------------------------------------------------
# The original plan's example for 8 GB, word for word but for what is saved how often, where it lies, and its continuation marks.
EXAMPLE = """
  --train_batch_size 1 --caption_extension ".txt" --network_module "networks.lora" --network_dim 96 --network_alpha 48
  --max_train_steps 2000 --learning_rate 0.0001 --lr_scheduler cosine_with_restarts --lr_warmup_steps 200
  --optimizer_type AdamW8bit --mixed_precision fp16 --gradient_checkpointing --cache_latents --no_half_vae
  --output_name "ClienteX_avatar_v1" --save_model_as safetensors --resolution "1024,1024" --gradient_accumulation_steps 2
"""


def test_the_original_plans_example_is_what_its_values_come_to():
    words, wanted = said(planned("RTX 3060 8GB", original=True)), {}
    for word in shlex.split(EXAMPLE):
        if word.startswith("--"):
            wanted[option := word] = ""
        else:
            wanted[option] = word
    assert len(wanted) == 18
    assert {option: words.get(option) for option in wanted} == wanted
    assert float(words["--learning_rate"]) == 0.0001


@pytest.mark.parametrize("gpu", [name for name in GPUS if name != "CPU"])
def test_what_is_said_is_in_sd_scripts_own_parser_and_is_the_plans(gpu):
    plan = planned(gpu, base=SDXL, dataset=DatasetFacts(20, 200, "d", regularised=True))
    words = said(plan)
    assert set(words) <= PARSER
    assert words["--pretrained_model_name_or_path"] == "sd_xl_base.safetensors"
    assert (words["--network_dim"], words["--network_alpha"]) == (str(plan.dim), f"{plan.alpha:g}")
    assert ("--fp8_base_unet" in words) is (GPUS[gpu].vram_gb < 7)
    assert "--fp8_base" not in words, "which would take the text encoders along"
    assert words["--lr_warmup_steps"] == "200", "a tenth of the steps"
    assert words["--seed"] == "42", "without one sd-scripts takes another every time"
    assert words["--save_precision"] == "fp16", "without it the file is in fp32, and twice as large"
    assert words["--save_every_n_steps"] == words["--save_last_n_steps_state"] == words["--sample_every_n_steps"] == "250"
    assert words["--logging_dir"] == str(CLIENT.logs) and words["--log_with"] == "tensorboard"
    assert words["--output_dir"] == str(CLIENT.models) and words["--reg_data_dir"] == str(CLIENT.regularisation)
    caches = {f"--cache_{what}" for what in ("latents", "text_encoder_outputs")}
    assert caches | {f"{cache}_to_disk" for cache in caches} | {"--gradient_checkpointing"} <= set(words)


@pytest.mark.parametrize(("preset", "warmup"), [("quick", "150"), ("balanced", "200"), ("quality", "300")])
def test_the_warm_up_is_a_tenth(preset, warmup):
    assert said(planned(preset=preset))["--lr_warmup_steps"] == warmup


@pytest.mark.parametrize(
    ("wish", "option", "word"),
    [
        ({"accumulation": 4}, "--gradient_accumulation_steps", "4"), ({"seed": 7}, "--seed", "7"),
        ({"batch": 3}, "--train_batch_size", "3"), ({"learning_rate": 0.0003}, "--learning_rate", "0.0003"),
        ({"warmup": 33}, "--lr_warmup_steps", "33"), ({"save_every": 40}, "--save_last_n_steps_state", "40"),
        ({"save_every": 40}, "--save_every_n_steps", "40"), ({"sample_every": 60}, "--sample_every_n_steps", "60"),
        ({"scheduler": "linear"}, "--lr_scheduler", "linear"), ({"optimizer": "Adafactor"}, "--optimizer_type", "Adafactor"),
        ({"dim": 24, "alpha": 6}, "--network_alpha", "6"), ({"resolution": 768}, "--resolution", "768,768"),
        ({"dim": 8, "alpha": 4, "conv_dim": 6}, "--network_args", "conv_dim=6 conv_alpha=3"),
        ({"steps": 333}, "--max_train_steps", "333"),
        ({"fp8": True}, "--fp8_base_unet", ""), ({"precision": "fp16"}, "--mixed_precision", "fp16"),
    ],
)  # fmt: skip
def test_a_wish_reaches_the_trainer(wish, option, word):
    assert said(planned(**wish))[option] == word
    assert option in PARSER


def test_without_accumulation_none_is_said_and_a_seed_of_the_plan_is_always():
    assert "--gradient_accumulation_steps" not in said(planned())
    assert said(planned())["--seed"] == said(planned("RTX 3060 8GB", original=True))["--seed"]


# --- what counts as the same training ---------------------------------------------------------------------------------
TEACHES = {
    "dataset_digest": "x", "base_digest": "x", "base_kind": BaseKind.EMBEDDED, "trainer": TrainerKind.EMBEDDED, "images": 21,
    "samples_per_epoch": 201, "regularised": True, "dim": 5, "alpha": 1.5, "conv_dim": 3, "resolution": 512, "batch": 7,
    "accumulation": 3, "precision": "no", "fp8": True, "optimizer": "Adafactor", "steps": 1999, "learning_rate": 2e-4,
    "scheduler": "linear", "warmup": 1, "seed": 43, "unet_only": False, "extra": ("--flip_aug",), "processes": 2,
}  # fmt: skip
TEACHES_NOTHING = {
    "version": 9, "preset": "quick", "gpu": GPUS["RTX 3060 8GB"], "base": "/elsewhere", "save_every": 10, "sample_every": 10,
    "sample_px": 256, "tokenizers": "/tokenizers", "workers": 2, "insisted": True, "changes": ("dim: 96 -> 64",),
}  # fmt: skip


@pytest.mark.parametrize("field", TEACHES)
def test_a_plan_that_differs_in_what_is_learned_is_another_training(field):
    plan = planned()
    other = plan.model_copy(update={field: TEACHES[field]})
    assert getattr(plan, field) != TEACHES[field]
    assert not plan.teaches_the_same(other) and not other.teaches_the_same(plan), "or the old LoRA would be the answer to it"


@pytest.mark.parametrize("field", TEACHES_NOTHING)
def test_a_plan_that_differs_in_anything_else_goes_on(field):
    plan = planned()
    assert getattr(plan, field) != TEACHES_NOTHING[field]
    assert plan.teaches_the_same(plan.model_copy(update={field: TEACHES_NOTHING[field]}))


def test_every_value_of_a_plan_is_known_to_be_one_or_the_other():
    assert set(TEACHES) | set(TEACHES_NOTHING) | {"schema_"} == set(type(planned()).model_fields)


# --- sums by hand -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("shown", "batch", "processes", "accumulation"),
    [(7, 2, 1, 1), (7, 2, 1, 2), (10, 4, 1, 1), (10, 1, 4, 1), (10, 1, 4, 2), (9, 2, 2, 2), (200, 3, 1, 7), (1, 8, 2, 4),
     (13, 5, 1, 1)],
)  # fmt: skip
def test_an_epoch_is_counted_by_dealing_out_its_pictures(shown, batch, processes, accumulation):
    """Pictures are dealt into batches, batches to the cards in turn, and so many of a card's batches make a step; rests count."""
    plan = planned(dataset=DatasetFacts(shown, shown), batch=batch, accumulation=accumulation)
    plan = plan.model_copy(update={"processes": processes})

    def dealt(things, size):
        rest = iter(things)
        return list(iter(lambda: list(itertools.islice(rest, size)), []))

    of_one_card = dealt(dealt(range(shown), batch), processes)
    assert plan.steps_per_epoch() == len(dealt(of_one_card, accumulation))


def gb(plan):
    return {part.part: part.gb for part in estimate(plan).vram_parts}


def test_memory_grows_with_the_pictures_of_a_step_and_their_area():
    one, two = gb(planned("RTX 3060 12GB", batch=1)), gb(planned("RTX 3060 12GB", batch=2))
    assert two[MemoryPart.ACTIVATIONS] == 2 * one[MemoryPart.ACTIVATIONS] > 0
    quarter = gb(planned("RTX 3060 12GB", resolution=512))
    assert quarter[MemoryPart.ACTIVATIONS] == pytest.approx(one[MemoryPart.ACTIVATIONS] / 4)
    assert two[MemoryPart.UNET] == one[MemoryPart.UNET] and two[MemoryPart.LORA] == one[MemoryPart.LORA]


def test_memory_of_the_weights_is_counted_from_the_checkpoints_shapes():
    """2567.5 million numbers in the U-Net, 817.8 million in both text encoders: 4.78 and 1.52 GiB in halves of 4 bytes."""
    parts = gb(planned(precision="bf16"))
    assert parts[MemoryPart.UNET] == pytest.approx(2567.5e6 * 2 / 2**30, abs=0.01)
    assert gb(planned(precision="no"))[MemoryPart.UNET] == pytest.approx(2567.5e6 * 4 / 2**30, abs=0.01)
    assert gb(planned(fp8=True))[MemoryPart.UNET] == pytest.approx(2.39, abs=0.01)
    assert gb(planned(unet_only=False))[MemoryPart.TEXT_ENCODERS] == pytest.approx(1.52, abs=0.01)
    # 16 bytes a trained number with AdamW: weight, gradient and two moments of 4 bytes each; in 8 bits the moments take 2.
    adam, eight = gb(planned(optimizer="AdamW")), gb(planned(optimizer="AdamW8bit"))
    assert adam[MemoryPart.LORA] / eight[MemoryPart.LORA] == pytest.approx(16 / 10)


def test_training_convolutions_too_costs_memory_and_room():
    plain, conv = planned(dim=16), planned(dim=16, conv_dim=16)
    assert estimate(conv).checkpoint_mb / estimate(plain).checkpoint_mb == pytest.approx(1 + 414_400 / 2_659_840, rel=1e-3)
    assert gb(conv)[MemoryPart.LORA] > gb(plain)[MemoryPart.LORA]


def test_the_files_of_a_training_are_counted():
    """2000 steps saved every 250: eight files and the finished one; two states, each the LoRA in fp32 and two moments."""
    cost = estimate(planned(dim=8, optimizer="AdamW"))
    assert cost.checkpoints == 9
    states = 2 * (cost.checkpoint_mb / 2 * 12)
    assert cost.disk_gb == pytest.approx((9 * cost.checkpoint_mb + states) / 1000)
    assert estimate(planned(dim=8, steps=2100)).checkpoints == 11, "every 210: the nearest to 250 that ends on the last step"
    assert estimate(planned(dim=8, steps=100, save_every=1000)).checkpoints == 1


def test_hours_grow_with_the_pictures_of_a_step():
    one = estimate(planned("RTX 4090 24GB", batch=1)).hours
    assert one == pytest.approx(2000 * 970 / 1008 / 3600, rel=0.01), "its memory moves 1008 GB a second, a picture takes 970 GB"
    assert estimate(planned("RTX 4090 24GB", batch=2)).hours == pytest.approx(2 * one)
    assert estimate(planned("RTX 4090 24GB", batch=1, accumulation=3)).hours == pytest.approx(3 * one)
    assert estimate(planned("RTX 4090 24GB", batch=1, resolution=512)).hours == pytest.approx(one / 4)
    assert estimate(planned("RTX 4090 24GB", batch=1, steps=1000)).hours == pytest.approx(one / 2)


# --- who insists ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("gpu", "wish"),
    [("RTX 4090 24GB", {"warmup": 2000}), ("RTX 4090 24GB", {"scheduler": "constant"}), ("CPU", {"fp8": False}),
     ("RTX 2060 6GB", {"precision": "bf16"}), ("RTX 4090 24GB", {"fp8": True, "precision": "no"})],
)  # fmt: skip
def test_what_certainly_fails_is_refused_to_who_insists_too(gpu, wish):
    with pytest.raises(PlanRefused):
        refuse(planned(gpu, **wish).model_copy(update={"insisted": True}))


@pytest.mark.parametrize("gpu", ["GTX 1650 4GB", "RTX 3060 8GB"])
def test_what_only_an_estimate_speaks_against_may_be_tried(gpu):
    plan = planned(gpu, original=True)
    assert plan.insisted
    refuse(plan)
    with pytest.raises(PlanRefused):
        refuse(plan.model_copy(update={"insisted": False}))
