"""The embedded trainer beside Kohya's own, on the same small checkpoint in one file, by the same command line.

Needs a checkout of sd-scripts, its Python, and the kit that shrinks its hard-wired SDXL so that a CPU trains it in seconds.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
from PIL import Image
from safetensors import safe_open

OURS = Path(__file__).resolve().parents[2] / "embedded" / "sdxl_train_network.py"
CHECKOUT = Path(os.environ.get("SD_SCRIPTS", "/nowhere"))
PYTHON = os.environ.get("SD_SCRIPTS_PYTHON", sys.executable)
KIT = Path(os.environ.get("SD_SCRIPTS_KIT", "/nowhere"))
if not (CHECKOUT / "sdxl_train_network.py").is_file():
    pytest.skip("SD_SCRIPTS names no checkout (and SD_SCRIPTS_PYTHON its Python)", allow_module_level=True)
if not (KIT / "tiny_patch.py").is_file():
    pytest.skip("SD_SCRIPTS_KIT names no kit that shrinks SDXL for a CPU", allow_module_level=True)
FIRST, SECOND = 64, 96  # widths of the text encoders; diffusers tells them apart by their width, as it does SDXL's
TEXT = {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "vocab_size": 49408, "num_attention_heads": 2}
CONFIGURATION = {
    "model_index.json": {
        "_class_name": "StableDiffusionXLPipeline", "scheduler": ["diffusers", "EulerDiscreteScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"], "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
        "tokenizer": ["transformers", "CLIPTokenizer"], "tokenizer_2": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"],
    },
    "unet/config.json": {
        "_class_name": "UNet2DConditionModel", "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
        "attention_head_dim": [1, 1, 2], "block_out_channels": [32, 64, 128], "cross_attention_dim": FIRST + SECOND,
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"], "layers_per_block": 2,
        "projection_class_embeddings_input_dim": SECOND + 6 * 256, "sample_size": 8, "transformer_layers_per_block": [1, 1, 1],
        "use_linear_projection": True,
    },
    "vae/config.json": {
        "_class_name": "AutoencoderKL", "block_out_channels": [32, 64, 128, 128], "down_block_types": ["DownEncoderBlock2D"] * 4,
        "up_block_types": ["UpDecoderBlock2D"] * 4, "layers_per_block": 2, "scaling_factor": 0.13025,
    },
    "scheduler/scheduler_config.json": {
        "_class_name": "EulerDiscreteScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
        "prediction_type": "epsilon",
    },
    "text_encoder/config.json": TEXT | {
        "hidden_size": FIRST, "intermediate_size": FIRST, "num_hidden_layers": 12, "projection_dim": FIRST,
        "hidden_act": "quick_gelu",
    },
    "text_encoder_2/config.json": TEXT | {
        "hidden_size": SECOND, "intermediate_size": SECOND, "num_hidden_layers": 2, "projection_dim": SECOND, "hidden_act": "gelu",
    },
}  # fmt: skip
TOKENIZERS = {"tokenizer": "openai_clip-vit-large-patch14", "tokenizer_2": "laion_CLIP-ViT-bigG-14-laion2B-39B-b160k"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A kit whose text encoders differ in width, its random checkpoint, the configuration of it, and a dataset."""
    place = tmp_path_factory.mktemp("beside")
    kit = shutil.copytree(KIT, place / "kit", ignore=shutil.ignore_patterns("*.safetensors"))
    patch = kit / "tiny_patch.py"
    text = re.sub(r"^H1, H2, CH = .*", f"H1, H2, CH = {FIRST}, {SECOND}, 32", patch.read_text(encoding="utf-8"), flags=re.MULTILINE)
    patch.write_text(text, encoding="utf-8")
    words = [PYTHON, str(kit / "make_sdxl_ckpt.py"), str(place / "tiny.safetensors"), "--tiny", "--dtype", "fp32"]
    subprocess.run(words, env=their_environment(), check=True, capture_output=True)
    for name, content in CONFIGURATION.items():
        file = place / "configuration" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content), encoding="utf-8")
    for name, theirs in TOKENIZERS.items():
        shutil.copytree(kit / "tok_cache" / theirs, place / "configuration" / name)
    folder = place / "data" / "4_ana"
    folder.mkdir(parents=True)
    for number in range(3):
        Image.effect_noise((64, 64), 50 + number).convert("RGB").save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text("portrait of ana person, smiling\n", encoding="utf-8")
    (place / "prompts.txt").write_text("portrait of ana --w 64 --h 64 --s 2 --d 1\n", encoding="utf-8")
    return place


def environment():
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def their_environment():
    return environment() | {"PYTHONPATH": os.pathsep.join((str(KIT / "shim"), str(CHECKOUT)))}


def train(place, name, program):
    """Run a trainer by the words that both understand; the folder of all it wrote."""
    given = {
        "pretrained_model_name_or_path": place / "tiny.safetensors", "train_data_dir": place / "data", "resolution": "64,64",
        "caption_extension": ".txt", "train_batch_size": 2, "max_data_loader_n_workers": 0, "network_module": "networks.lora",
        "network_dim": 4, "network_alpha": 4, "max_train_steps": 8, "learning_rate": 0.001, "lr_scheduler": "cosine",
        "lr_warmup_steps": 1, "optimizer_type": "AdamW", "seed": 42, "mixed_precision": "no", "output_dir": place / name / "out",
        "output_name": "ana_avatar_v1", "save_model_as": "safetensors", "save_precision": "fp16", "save_every_n_steps": 2,
        "save_last_n_steps_state": 2, "logging_dir": place / name / "logs", "log_with": "tensorboard",
        "sample_prompts": place / "prompts.txt", "sample_every_n_steps": 4, "tokenizer_cache_dir": place / "kit" / "tok_cache",
    }  # fmt: skip
    switches = ("network_train_unet_only", "no_half_vae", "sdpa", "cache_latents", "cache_text_encoder_outputs", "save_state")
    words = [str(word) for flag, value in given.items() for word in (f"--{flag}", value)]
    words += [f"--{switch}" for switch in (*switches, "gradient_checkpointing", "console_log_simple")]
    known = environment() if str(OURS) in program else their_environment()
    done = subprocess.run([*program, *words], env=known, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return place / name


@pytest.fixture(scope="module")
def both(place):
    theirs = train(place, "theirs", [PYTHON, str(place / "kit" / "run_tiny.py"), str(CHECKOUT / "sdxl_train_network.py")])
    ours = train(place, "ours", [sys.executable, str(OURS), "--model_config_dir", str(place / "configuration")])
    return theirs, ours


def names(folder):
    """Every file below `out`; what tells the second it was written in is left out of the names of samples."""
    out = folder / "out"
    return {re.sub(r"_\d{14}_", "_", file.relative_to(out).as_posix()) for file in out.rglob("*") if file.is_file()}


def scalars(folder):
    # TensorFlow is not wanted for this, and loaded before triton it ends the process.
    sys.modules.setdefault("tensorboard.compat.notf", types.ModuleType("tensorboard.compat.notf"))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(next((folder / "logs").rglob("events.*")).parent))
    read.Reload()
    return {tag: read.Scalars(tag) for tag in read.Tags()["scalars"]}


def test_the_same_files_lie_there(both):
    theirs, ours = both
    assert names(theirs) == names(ours)
    assert len(names(ours)) == 22


def test_the_lora_has_the_same_layers_and_header(both):
    theirs, ours = (safe_open(folder / "out" / "ana_avatar_v1.safetensors", "np") for folder in both)
    shapes = [{key: tuple(file.get_slice(key).get_shape()) for key in file.keys()} for file in (theirs, ours)]  # noqa: SIM118
    assert shapes[0] == shapes[1]
    said, known = ours.metadata(), theirs.metadata()
    assert set(said) <= set(known)
    own = {
        "modelspec.date",
        "ss_optimizer",
        "ss_session_id",
        "ss_training_started_at",
        "ss_training_finished_at",
        "sshs_model_hash",
    }
    assert {key for key in said if said[key] != known[key]} <= own | {"sshs_legacy_hash"}


def test_the_same_scalars_are_logged_with_the_same_rates(both):
    theirs, ours = (scalars(folder) for folder in both)
    assert theirs.keys() == ours.keys()
    for tag in theirs:
        assert [one.step for one in theirs[tag]] == [one.step for one in ours[tag]]
    rates = [[one.value for one in logged["lr/unet"]] for logged in (theirs, ours)]
    assert rates[0] == pytest.approx(rates[1])
    losses = [[one.value for one in logged["loss/average"]] for logged in (theirs, ours)]
    assert losses[0] == pytest.approx(losses[1], rel=0.2), "other noise, the same task"


def test_theirs_goes_on_from_our_lora(both, place):
    lora = both[1] / "out" / "ana_avatar_v1.safetensors"
    program = [PYTHON, str(place / "kit" / "run_tiny.py"), str(CHECKOUT / "sdxl_train_network.py")]
    train(place, "onward", [*program, "--network_weights", str(lora)])
