"""What sd-scripts would say to an argument list, known before it is started."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from client_folder.client import Client
from config import PRESETS
from machine.base_models import BaseKind
from machine.cards import GPU_PROFILES
from training.arguments import build_parser, check_arguments, pinned_commit, read_extra
from training.errors import PlanRefused
from training.plan import BaseFacts, DatasetFacts, Fit, Overrides, Resume, TrainerKind, kohya_arguments, make_plan

DATASET = DatasetFacts(images=20, samples_per_epoch=200, digest="d")
SDXL = BaseFacts(BaseKind.SDXL, Path("sd_xl_base.safetensors"), TrainerKind.SD_SCRIPTS, digest="b")
GPUS = {profile.name: profile for profile in GPU_PROFILES}
CLIENT = Client(Path("clients/ana"))
ARGV = kohya_arguments(make_plan(GPUS["RTX 4090 24GB"], PRESETS[1], DATASET, SDXL), CLIENT)


def with_words(words):
    return [*ARGV, *words.split()]


def without(option, values=0):
    at = ARGV.index(option)
    return [*ARGV[:at], *ARGV[at + 1 + values :]]


def test_the_record_is_of_the_pinned_commit_and_whole():
    assert len(pinned_commit()) == 40
    assert len(build_parser()._actions) == 196  # and --help


ONE_OF_EACH = list({(one.vram_gb, one.architecture): one for one in GPU_PROFILES if one.vram_gb >= 5}.values())


@pytest.mark.parametrize("profile", ONE_OF_EACH, ids=lambda profile: profile.name)
@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
@pytest.mark.parametrize("resume", [None, Resume(Path("state"), 250)], ids=["fresh", "resumed"])
def test_every_recommended_plan_is_accepted(profile, preset, resume):
    check_arguments(kohya_arguments(make_plan(profile, preset, DATASET, SDXL), CLIENT, resume))


REFUSED = """
--shuffle_caption
--caption_dropout_rate 0.1
--caption_tag_dropout_rate 0.1
--token_warmup_step 10
--color_aug
--random_crop
--bucket_reso_steps 16
--enable_bucket --min_bucket_reso 1280
--enable_bucket --max_bucket_reso 512
--fp8_base --mixed_precision no
--full_fp16
--full_bf16 --mixed_precision fp16
--fused_backward_pass
--cpu_offload_checkpointing
--persistent_data_loader_workers
--xformers
--lr_scheduler constant
--v2
--lowram
--optimizer_type Adafactor
--lr_warmup_steps 2000
"""


@pytest.mark.parametrize("words", REFUSED.strip().splitlines())
def test_combinations_that_the_real_script_refuses_are_refused_first(words):
    with pytest.raises(PlanRefused) as refused:
        check_arguments(with_words(words))
    assert refused.value.text() and refused.value.cure()
    assert "{" not in refused.value.text()


def test_text_outputs_are_not_cached_where_text_encoders_are_trained():
    with pytest.raises(PlanRefused, match="Text encoders"):
        check_arguments(without("--network_train_unet_only"))


def test_the_half_precision_vae_is_refused():
    with pytest.raises(PlanRefused, match="no_half_vae"):
        check_arguments(without("--no_half_vae"))


@pytest.mark.parametrize(
    "words",
    ["--lowvram", "--medvram", "--mixed_precision fp8", "--network_dim many", "--text_encoder_lr1 1e-5", "--netw_dim 8", "stray"],
)
def test_words_that_no_parser_takes_are_refused(words):
    with pytest.raises(PlanRefused, match="not understand"):
        check_arguments(with_words(words))


@pytest.mark.parametrize(
    "text", ["--flip_aug", "--noise_offset 0.05", "--optimizer_args weight_decay=0.1", '--training_comment "a b"']
)
def test_further_options_are_passed_on(text):
    check_arguments([*ARGV, *read_extra(text)])


@pytest.mark.parametrize("text", ["noise_offset 0.05", "--output_dir /tmp", "--resume=x", "--config_file x.toml", "--noise '"])
def test_further_options_cannot_replace_what_the_program_sets(text):
    with pytest.raises(PlanRefused):
        read_extra(text)


def test_further_options_stand_at_the_end_of_the_command_line():
    plan = make_plan(GPUS["RTX 3060 12GB"], PRESETS[1], DATASET, SDXL, Overrides(extra=("--noise_offset", "0.05")))
    assert kohya_arguments(plan, CLIENT)[-2:] == ("--noise_offset", "0.05")


# --- the real script, where a checkout and its Python are named ---------------------------------------------------------
CHECKOUT = Path(os.environ.get("SD_SCRIPTS", "/nowhere"))
PYTHON = os.environ.get("SD_SCRIPTS_PYTHON", sys.executable)
KIT = Path(os.environ.get("SD_SCRIPTS_KIT", "/nowhere"))  # accept.py, sdxl_tiny.safetensors, tok_cache, a torchvision stand-in
real = pytest.mark.skipif(
    not (CHECKOUT / "sdxl_train_network.py").is_file(), reason="SD_SCRIPTS names no checkout (and SD_SCRIPTS_PYTHON its Python)"
)
trains = pytest.mark.skipif(not (KIT / "accept.py").is_file(), reason="SD_SCRIPTS_KIT names no kit that shrinks SDXL for a CPU")
CARDS = [profile for profile in GPU_PROFILES if profile.architecture != "cpu"]
TRAINED = [  # half a minute each
    (card, preset) for card in (CARDS if os.environ.get("SD_SCRIPTS_EVERY") else CARDS[-1:]) for preset in PRESETS
] if (KIT / "accept.py").is_file() else [(CARDS[-1], PRESETS[0])]  # fmt: skip
PARSE = """
import json, sys
sys.path.insert(0, sys.argv[1])
import sdxl_train_network as script
parser = script.setup_parser()
for argv in json.load(sys.stdin):
    parser.parse_args(argv)
print("options", len(parser._actions))
"""


def every_plan(folder):
    client = Client(folder / "clients" / "ana")
    for profile in CARDS:
        for preset in PRESETS:
            yield kohya_arguments(make_plan(profile, preset, DATASET, SDXL), client)


@real
def test_every_profile_and_preset_parses_with_the_real_parser(tmp_path):
    lists = [list(argv) for argv in every_plan(tmp_path)]
    asked = subprocess.run(
        [PYTHON, "-c", PARSE, str(CHECKOUT)], input=json.dumps(lists), text=True, capture_output=True,
        env={**os.environ, "PYTHONPATH": str(KIT / "shim")},
    )  # fmt: skip
    assert asked.returncode == 0, asked.stderr[-2000:]
    assert "options 197" in asked.stdout


@real
@trains
@pytest.mark.parametrize(("profile", "preset"), TRAINED, ids=lambda one: one.name)
def test_the_real_trainer_trains_four_steps_with_it(tmp_path, profile, preset):
    from PIL import Image

    client = Client(tmp_path / "clients" / "ana")
    folder = client.training_data / "2_ana"
    folder.mkdir(parents=True)
    for number in range(4):
        Image.effect_noise((128, 128), 50 + number).convert("RGB").save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text("portrait of ana person, smiling\n")
    client.models.mkdir(parents=True)
    client.training.mkdir(parents=True)
    client.sample_prompts.write_text("portrait of ana --w 64 --h 64 --s 2 --d 1\n")
    plan = make_plan(profile, preset, DATASET, SDXL, Overrides(save_every=2, sample_every=2))
    argv = kohya_arguments(plan, client)
    done = subprocess.run(
        [PYTHON, str(KIT / "accept.py"), str(CHECKOUT), "--", *argv], text=True, capture_output=True,
        env={**os.environ, "PYTHONPATH": str(KIT / "shim"), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert "accept=ok" in done.stdout, done.stdout[-3000:] + done.stderr[-2000:]


def test_a_plan_for_four_gb_is_only_offered_with_a_verdict():
    from training.cost import estimate

    assert estimate(make_plan(GPUS["GTX 1650 4GB"], PRESETS[1], DATASET, SDXL)).verdict is Fit.NO
