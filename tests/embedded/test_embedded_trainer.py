"""The embedded trainer, run as its users run it: real child processes on small random SDXL-shaped models made here.

One training with everything switched on is shared by the tests that read what it left; others check one property each.
"""

from __future__ import annotations

import json
import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import types
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from one_file import write_one_file
from PIL import Image
from warm_trainer import start_trainer

from embedded.trainer.kohya_dataset import TrainingImage, balance_reg, bucket_sizes, open_fitted, read_dataset
from embedded.trainer.kohya_metadata import lora_metadata
from embedded.trainer.trainer_flags import Flags, Refused, parse_flags

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "embedded" / "sdxl_train_network.py"
BASE = ROOT / "embedded" / "base"
STEPS_LINE = re.compile(
    r"steps:\s+(\d+)%\|[^|]*\|\s*(\d+)/(\d+) \[([\d:]+)<([\d:?]+),\s*([\d.?]+)(s/it|it/s)(?:, (?:.*?)avr_loss=([^\],\s]+))?"
)
PROMPT = "portrait of ohwx woman, smiling"
RANK, ALPHA, CONV_RANK, CONV_ALPHA = 4, 2.0, 3, 1.5


@dataclass(frozen=True, slots=True)
class Ran:
    """A training that has ended: what it said and where it wrote."""

    code: int
    out: str
    err: str
    folder: Path

    def bar(self) -> list[re.Match[str]]:
        """Every state of the progress bar."""
        return [found for line in re.split(r"[\r\n]", self.err) if (found := STEPS_LINE.search(line))]


def byte_words() -> dict[str, int]:
    """A CLIP vocabulary without merges: each byte as CLIP writes it, alone and at a word's end."""
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(byte) for byte in printed] + [chr(256 + number) for number in range(256 - len(printed))]
    words = letters + [f"{letter}</w>" for letter in letters] + ["<|startoftext|>", "<|endoftext|>"]
    return {word: number for number, word in enumerate(words)}


def make_model(folder: Path, prediction: str, deterministic_vae: bool = False, broken: bool = False) -> Path:
    """Writes a random model of SDXL's shape, 0.4 MB; `broken` puts a NaN into the U-Net."""
    import torch
    from diffusers import (
        AutoencoderKL,
        AutoencoderTiny,
        EulerDiscreteScheduler,
        StableDiffusionXLPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    torch.manual_seed(0)
    tokenizer = CLIPTokenizer(vocab=byte_words(), merges=[], model_max_length=77)
    # As with SDXL's two encoders, the width tells one from the other.
    first, second = (
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=32,
            projection_dim=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
        for width in (16, 24)
    )
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(16, 32, 32),
        layers_per_block=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=[1, 1, 2],
        attention_head_dim=[1, 2, 2],
        cross_attention_dim=40,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=16 + 6 * 8,
        norm_num_groups=8,
    )
    if broken:
        unet.conv_out.bias.data[0] = math.nan
    widths = (8, 8, 8, 8)
    if deterministic_vae:
        vae = AutoencoderTiny(
            encoder_block_out_channels=widths,
            decoder_block_out_channels=widths,
            num_encoder_blocks=(1, 1, 1, 1),
            num_decoder_blocks=(1, 1, 1, 1),
        )
    else:
        vae = AutoencoderKL(
            block_out_channels=widths,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            norm_num_groups=4,
        )
    scheduler = EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type=prediction,
        rescale_betas_zero_snr=prediction == "v_prediction",
        timestep_spacing="trailing",
    )
    StableDiffusionXLPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(first),
        text_encoder_2=CLIPTextModelWithProjection(second),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=unet,
        scheduler=scheduler,
        add_watermarker=False,
    ).save_pretrained(folder)
    return folder


def make_pictures(folder: Path, count: int, size: tuple[int, int] = (64, 64), captions: bool = True) -> Path:
    """Writes noise pictures with captions beside them; returns the parent, which is what the trainer takes."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(count)
    for number in range(count):
        pixels = noise.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"picture_{number}.png")
        if captions:
            (folder / f"picture_{number}.txt").write_text(f"{PROMPT}, number {number}\nnot read\n", encoding="utf-8")
    return folder.parent


def words(model: Path, data: Path, out: Path, *more: str, steps: int = 12) -> list[str]:
    """The shortest command line that trains, and `more`."""
    given = {
        "--pretrained_model_name_or_path": model,
        "--train_data_dir": data,
        "--output_dir": out,
        "--output_name": "ana",
        "--resolution": "64,64",
        "--caption_extension": ".txt",
        "--network_module": "networks.lora",
        "--network_dim": RANK,
        "--network_alpha": ALPHA,
        "--learning_rate": "1e-2",
        "--max_train_steps": steps,
        "--train_batch_size": 4,
        "--seed": 3,
    }
    return [str(word) for pair in given.items() for word in pair] + ["--network_train_unet_only", *more]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}


def run(argv: list[str], folder: Path) -> Ran:
    """Runs the trainer by its path from another folder; its libraries are in memory already."""
    if sys.platform == "win32":  # which cannot fork
        return run_cold(argv, folder)
    out, err = (folder.parent / f"{folder.name}.{name}" for name in ("out", "err"))
    child = start_trainer(argv, folder.parent, out, err)
    child.join(600)
    assert child.exitcode is not None, "it never ended"
    return Ran(child.exitcode, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"), folder)


def run_cold(argv: list[str], folder: Path) -> Ran:
    """Runs it as a user does, from nothing."""
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), *argv],
        capture_output=True,
        encoding="utf-8",
        env=environment(),
        cwd=folder.parent,
        timeout=600,
        check=False,
    )
    return Ran(ended.returncode, ended.stdout, ended.stderr, folder)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trainer José ñ")


@pytest.fixture(scope="module")
def model(place: Path) -> Path:
    return make_model(place / "model v", "v_prediction")


@pytest.fixture(scope="module")
def data(place: Path) -> Path:
    return make_pictures(place / "data" / "5_ana maría", 4)


@pytest.fixture(scope="module")
def everything(place: Path, data: Path) -> list[str]:
    """The flags shared by trainings that must give the same LoRA."""
    reg = make_pictures(place / "reg" / "1_person", 6, size=(80, 80))
    return [
        *("--reg_data_dir", str(reg), "--prior_loss_weight", "0.5"),
        *("--network_args", f"conv_dim={CONV_RANK}", f"conv_alpha={CONV_ALPHA}"),
        *("--lr_scheduler", "cosine_with_restarts", "--lr_scheduler_num_cycles", "2", "--lr_warmup_steps", "2"),
        *("--cache_latents", "--cache_text_encoder_outputs", "--sdpa", "--gradient_checkpointing"),
    ]


@pytest.fixture(scope="module")
def trained(place: Path, model: Path, data: Path, everything: list[str]) -> Ran:
    """A training of 12 steps with everything switched on."""
    prompts = place / "prompts.txt"
    prompts.write_text(f"# not a prompt\n{PROMPT} --n blurry --w 64 --h 64 --d 7 --l 2 --s 2\n", encoding="utf-8")
    more = [
        *("--save_every_n_steps", "4", "--save_state", "--logging_dir", str(place / "logs"), "--log_prefix", "ana_"),
        *("--sample_prompts", str(prompts), "--sample_every_n_steps", "6", "--sample_at_first"),
        *("--training_comment", "a comment", "--metadata_author", "studio"),
    ]
    ran = run_cold(words(model, data, place / "out", *everything, *more), place / "out")
    assert ran.code == 0, ran.err
    return ran


def tensors(file: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(file)


def header(file: Path) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(file, "np") as opened:
        return dict(opened.metadata())


def same(one: Path, other: Path) -> bool:
    """Whether two LoRAs are the same to the last bit."""
    left, right = tensors(one), tensors(other)
    return left.keys() == right.keys() and all(np.array_equal(left[key], right[key]) for key in left)


# --- what a training says and leaves


def test_it_says_what_sd_scripts_says(trained: Ran) -> None:
    for line in (
        "accelerator device: cpu",
        "running training / 学習開始",
        "  num train images * repeats / 学習画像の数×繰り返し回数: 20",
        "  num reg images / 正則化画像の数: 6",
        "  num batches per epoch / 1epochのバッチ数: 10",
        "  num epochs / epoch数: 2",
        "  total optimization steps / 学習ステップ数: 12",
        "epoch 1/2",
        "epoch 2/2",
        f"saving checkpoint: {trained.folder / 'ana-step00000004.safetensors'}",
        f"saving checkpoint: {trained.folder / 'ana.safetensors'}",
    ):
        assert line in trained.out.splitlines(), line
    for line in ("20 train images with repeats.", "6 reg images with repeats.", "model saved."):
        assert line in trained.err.splitlines(), line
    assert re.search(r"found directory .*5_ana maría contains 4 image files", trained.err)


def test_the_bar_counts_optimizer_steps_with_the_mean_loss(trained: Ran) -> None:
    bar = trained.bar()
    assert [int(bar[0][2]), int(bar[-1][2]), int(bar[-1][3])] == [0, 12, 12]
    assert {int(found[2]) for found in bar} == set(range(13))
    assert 0 < float(bar[-1][8]) < 10


def test_it_leaves_files_under_sd_scripts_names(trained: Ran) -> None:
    lora = {path.name for path in trained.folder.glob("*.safetensors")}
    assert lora == {"ana.safetensors", *(f"ana-step{step:08d}.safetensors" for step in (4, 8, 12))}
    state = trained.folder / "ana-step00000008-state"
    assert {path.name for path in state.iterdir()} == {
        *("model.safetensors", "optimizer.bin", "scheduler.bin", "random_states_0.pkl", "train_state.json")
    }
    record = json.loads((state / "train_state.json").read_text())
    assert (record["current_epoch"], record["current_step"]) == (1, 8)
    assert record["losses"] and all(isinstance(loss, float) for loss in record["losses"]), (
        "whoever goes on from here says the same mean loss as an undisturbed training"
    )
    assert (trained.folder / "ana-state").is_dir()
    assert not list(trained.folder.glob(".partial-*"))
    samples = sorted(path.name for path in (trained.folder / "sample").iterdir())
    assert len(samples) == 3
    for name, when in zip(samples, ("000006", "000012", "e000000"), strict=True):
        assert re.fullmatch(rf"ana_{when}_00_\d{{14}}_7\.png", name)
        with Image.open(trained.folder / "sample" / name) as image:
            assert image.size == (64, 64)


def test_it_logs_scalars_without_tensorflow(trained: Ran, place: Path) -> None:
    sys.modules.setdefault("tensorboard.compat.notf", types.ModuleType("tensorboard.compat.notf"))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (run_folder,) = (place / "logs").iterdir()
    assert re.fullmatch(r"ana_\d{14}", run_folder.name)
    events = EventAccumulator(str(run_folder / "network_train"))
    events.Reload()
    assert {"loss/current", "loss/average", "lr/unet", "lr/group0", "loss/epoch_average"} <= set(events.Tags()["scalars"])
    rates = [scalar.value for scalar in events.Scalars("lr/unet")]
    assert rates[0] == pytest.approx(5e-3)  # half way up the two warm-up steps
    assert max(rates) == pytest.approx(1e-2)
    assert [scalar.step for scalar in events.Scalars("loss/current")] == list(range(1, 13))
    average = events.Scalars("loss/average")[-1].value
    current = [scalar.value for scalar in events.Scalars("loss/current")]
    assert average == pytest.approx(sum(current[-10:]) / 10)  # over the last epoch of 10 batches


def test_the_header_says_what_sd_scripts_says(trained: Ran) -> None:
    known = header(trained.folder / "ana.safetensors")
    expected = {
        "ss_base_model_version": "avatar_pipeline_embedded",
        "ss_network_module": "networks.lora",
        "ss_network_dim": "4",
        "ss_network_alpha": "2.0",
        "ss_network_args": '{"conv_dim": "3", "conv_alpha": "1.5"}',
        "ss_steps": "12",
        "ss_epoch": "2",
        "ss_num_train_images": "20",
        "ss_num_reg_images": "6",
        "ss_seed": "3",
        "ss_learning_rate": "0.01",
        "ss_output_name": "ana",
        "ss_training_comment": "a comment",
        "modelspec.architecture": "avatar_pipeline_embedded/lora",
        "modelspec.implementation": "diffusers",
        "modelspec.title": "ana",
        "modelspec.author": "studio",
        "modelspec.resolution": "64x64",
        "modelspec.prediction_type": "v",
    }
    assert expected.items() <= known.items()
    assert json.loads(known["ss_dataset_dirs"]) == {"5_ana maría": {"n_repeats": 5, "img_count": 4}}
    assert json.loads(known["ss_tag_frequency"])["5_ana maría"]["smiling"] == 4
    assert re.fullmatch("[0-9a-f]{64}", known["sshs_model_hash"])
    assert header(trained.folder / "ana-step00000004.safetensors")["ss_steps"] == "4"


# --- the LoRA's format


def test_diffusers_paints_with_the_file_what_the_adapter_in_memory_paints(trained: Ran, model: Path, tmp_path: Path) -> None:
    import torch
    from diffusers import StableDiffusionXLPipeline

    from embedded.trainer.kohya_lora import LoraShape, add_lora, kohya_tensors, load_lora, safetensors_bytes

    def pipeline() -> StableDiffusionXLPipeline:
        return StableDiffusionXLPipeline.from_pretrained(model, dtype=torch.float32, add_watermarker=False)

    def paint(pipe: StableDiffusionXLPipeline) -> np.ndarray:
        seed = torch.Generator().manual_seed(1)
        size = {"width": 64, "height": 64, "output_type": "np"}
        return 255 * np.asarray(pipe(PROMPT, num_inference_steps=4, guidance_scale=2, generator=seed, **size).images[0])

    in_memory = pipeline()
    plain = paint(in_memory)
    add_lora(in_memory.unet, LoraShape(RANK, ALPHA, CONV_RANK, CONV_ALPHA), torch.float32)
    assert np.array_equal(paint(in_memory), plain)  # a new LoRA changes nothing
    load_lora(in_memory.unet, trained.folder / "ana-state" / "model.safetensors")
    painted = paint(in_memory)
    assert np.abs(painted - plain).mean() > 0.05
    (tmp_path / "half.safetensors").write_bytes(safetensors_bytes(kohya_tensors(in_memory.unet, torch.float16), {}))
    for file, furthest in ((trained.folder / "ana.safetensors", 0.01), (tmp_path / "half.safetensors", 0.1)):
        fresh = pipeline()
        fresh.load_lora_weights(str(file.parent), weight_name=file.name)
        assert np.abs(paint(fresh) - painted).mean() < furthest


def test_layers_have_sd_scripts_names_on_sdxl_itself() -> None:
    import torch
    from diffusers import UNet2DConditionModel

    from embedded.trainer.kohya_lora import kohya_name, target_layers

    with torch.device("meta"):
        unet = UNet2DConditionModel(
            block_out_channels=(320, 640, 1280),
            layers_per_block=2,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            transformer_layers_per_block=[1, 2, 10],
            attention_head_dim=[5, 10, 20],
            cross_attention_dim=2048,
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=256,
            projection_class_embeddings_input_dim=2816,
        )
    linear, conv = target_layers(unet, with_convolutions=False)
    assert (len(linear), len(conv)) == (722, 0)  # as many as sd-scripts creates
    linear, conv = target_layers(unet, with_convolutions=True)
    assert (len(linear), len(conv)) == (750, 38)
    names = {kohya_name(name) for name in linear + conv}
    assert len(names) == 788
    assert names >= {
        "lora_unet_input_blocks_1_0_in_layers_2",
        "lora_unet_input_blocks_3_0_op",
        "lora_unet_input_blocks_4_0_skip_connection",
        "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_out_0",
        "lora_unet_input_blocks_8_1_transformer_blocks_9_ff_net_0_proj",
        "lora_unet_middle_block_0_emb_layers_1",
        "lora_unet_middle_block_1_proj_in",
        "lora_unet_middle_block_2_out_layers_3",
        "lora_unet_output_blocks_0_1_transformer_blocks_0_attn2_to_k",
        "lora_unet_output_blocks_2_2_conv",
        "lora_unet_output_blocks_8_0_skip_connection",
    }


# --- the same again, and going on


def test_the_same_command_gives_the_same_lora_with_or_without_samples(
    trained: Ran, place: Path, model: Path, data: Path, everything: list[str]
) -> None:
    more = ["--save_every_n_steps", "2", "--save_state", "--save_last_n_steps", "4", "--save_last_n_steps_state", "2"]
    again = run(words(model, data, place / "again", *everything, *more, "--console_log_simple"), place / "again")
    assert again.code == 0, again.err
    assert same(trained.folder / "ana.safetensors", again.folder / "ana.safetensors")
    assert "20 train images with repeats." in again.out.splitlines()
    kept = sorted(path.name for path in again.folder.iterdir())
    steps = [f"ana-step{step:08d}.safetensors" for step in (8, 10, 12)]
    assert kept == sorted(["ana-state", "ana.safetensors", *steps, *(f"{name[:-12]}-state" for name in steps[1:])])
    assert f"removing old checkpoint: {again.folder / 'ana-step00000002.safetensors'}" in again.out.splitlines()


def test_a_resumed_training_gives_the_lora_of_one_never_stopped(
    trained: Ran, place: Path, model: Path, data: Path, everything: list[str]
) -> None:
    state = trained.folder / "ana-step00000008-state"
    go_on = ["--resume", str(state), "--skip_until_initial_step", "--save_every_n_steps", "2"]
    resumed = run(words(model, data, place / "resumed", *everything, *go_on), place / "resumed")
    assert resumed.code == 0, resumed.err
    assert "skipping 8 steps / 8ステップをスキップします" in resumed.err.splitlines()
    assert int(resumed.bar()[-1][3]) == 4
    names = {path.name for path in resumed.folder.iterdir()}
    assert names == {"ana.safetensors", "ana-step00000010.safetensors", "ana-step00000012.safetensors"}
    assert same(trained.folder / "ana.safetensors", resumed.folder / "ana.safetensors")
    means = {int(found[2]): found[8] for found in trained.bar() if found[8]}  # the last that is said of each step
    again = {8 + int(found[2]): found[8] for found in resumed.bar() if found[8]}
    assert again == {step: means[step] for step in range(8, 13)}, "the mean loss goes on, and is said at once"


def test_a_finished_training_is_not_resumed(trained: Ran, place: Path, model: Path, data: Path, everything: list[str]) -> None:
    state = trained.folder / "ana-state"
    ran = run(words(model, data, place / "past", *everything, "--resume", str(state), "--skip_until_initial_step"), place / "past")
    assert ran.code == 1
    assert "max_train_steps should be greater than initial step: 12 vs 12" in ran.err


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_kill_leaves_only_whole_files(place: Path, model: Path, data: Path, number: signal.Signals) -> None:
    folder = place / f"killed {number.name}"
    argv = words(model, data, folder, "--save_every_n_steps", "1", "--save_state", steps=4000)
    said = place / f"{folder.name}.out"
    child = start_trainer(argv, place, said, place / f"{folder.name}.err")
    until = time.monotonic() + 300
    while not said.exists() or said.read_bytes().count(b"saving checkpoint") < 3:
        assert child.is_alive() and time.monotonic() < until
        time.sleep(0.01)
    time.sleep(random.random() / 10)
    os.kill(child.pid or 0, number)
    child.join(300)
    assert child.exitcode == -number
    whole = sorted(folder.glob("ana-step*.safetensors"))
    assert len(whole) >= 2
    for file in whole:
        tensors(file)
    for state in folder.glob("ana-step*-state"):
        assert len(list(state.iterdir())) == 5
    if number != signal.SIGKILL:
        assert not list(folder.glob(".partial-*"))


# --- other models, other data


def test_an_epsilon_model_with_a_deterministic_vae_and_pictures_of_other_shapes(place: Path) -> None:
    model = make_model(place / "model eps", "epsilon", deterministic_vae=True)
    make_pictures(place / "shapes" / "2_wide", 2, size=(192, 96))
    make_pictures(place / "shapes" / "2_high", 3, size=(70, 130), captions=False)
    more = [
        *("--enable_bucket", "--min_bucket_reso", "32", "--max_bucket_reso", "128", "--bucket_reso_steps", "32"),
        *("--gradient_accumulation_steps", "2", "--noise_offset", "0.05", "--min_snr_gamma", "5", "--save_every_n_epochs", "1"),
        *("--save_precision", "fp16", "--no_metadata", "--max_token_length", "150", "--optimizer_args", "weight_decay=0.1"),
    ]
    ran = run(words(model, place / "shapes", place / "eps", *more, steps=4), place / "eps")
    assert ran.code == 0, ran.err
    assert "bucket 0: resolution (32, 96), count: 6" in ran.err or "bucket 0: resolution (32, 128), count: 6" in ran.err
    assert "No caption file found for 3 images." in ran.err
    assert int(ran.bar()[-1][2]) == 4
    lora = tensors(ran.folder / "ana.safetensors")
    assert {str(weight.dtype) for weight in lora.values()} == {"float16"}
    assert {float(weight) for key, weight in lora.items() if key.endswith(".alpha")} == {ALPHA}
    assert all(np.isfinite(weight).all() for weight in lora.values())
    known = header(ran.folder / "ana.safetensors")
    assert known["ss_network_dim"] == "4" and "ss_tag_frequency" not in known and "ss_output_name" not in known
    assert (ran.folder / "ana-000001.safetensors").is_file()


def test_a_loss_that_is_not_a_number_is_shown(place: Path, data: Path) -> None:
    model = make_model(place / "model nan", "epsilon", broken=True)
    ran = run(words(model, data, place / "nan", steps=2), place / "nan")
    assert ran.code == 0
    assert ran.bar()[-1][8] == "nan"


def test_a_checkpoint_in_one_file_gives_the_lora_of_its_folder(place: Path, model: Path, data: Path) -> None:
    configuration = shutil.copytree(model, place / "configuration", ignore=shutil.ignore_patterns("*.safetensors"))
    file = write_one_file(model, place / "juggernaut.safetensors")
    of_folder = run(words(model, data, place / "of folder", steps=3), place / "of folder")
    argv = words(file, data, place / "of file", "--model_config_dir", str(configuration), steps=3)
    of_file = run(argv, place / "of file")
    assert (of_folder.code, of_file.code) == (0, 0), of_folder.err + of_file.err
    assert same(of_folder.folder / "ana.safetensors", of_file.folder / "ana.safetensors")
    claimed = [header(one.folder / "ana.safetensors")["ss_base_model_version"] for one in (of_folder, of_file)]
    assert claimed == ["avatar_pipeline_embedded", "sdxl_base_v1-0"], (
        "one file is SDXL, as sd-scripts has it; a small folder is not"
    )
    file.write_bytes(file.read_bytes()[:-100])
    torn = run(argv, place / "of file")
    assert torn.code == 1
    assert f"{file} cannot be read as an SDXL checkpoint in one file" in torn.err


def test_the_header_of_a_folder_of_sdxls_size_is_sd_scripts_own(place: Path, model: Path, data: Path) -> None:
    folder = shutil.copytree(model, place / "of sdxl's size")
    config = json.loads((folder / "unet" / "config.json").read_text(encoding="utf-8"))
    (folder / "unet" / "config.json").write_text(json.dumps(config | {"block_out_channels": [320, 640, 1280]}), encoding="utf-8")
    flags = parse_flags(words(folder, data, place / "sized"))
    known = lora_metadata(flags, read_dataset(flags), 3, "epsilon")
    assert known["ss_base_model_version"] == "sdxl_base_v1-0"
    assert known["modelspec.architecture"] == "stable-diffusion-xl-v1-base/lora"
    assert known["modelspec.implementation"] == "https://github.com/Stability-AI/generative-models"


@pytest.mark.skipif(not (BASE / "model_index.json").is_file(), reason="the embedded base is not built")
def test_it_trains_the_embedded_base(place: Path) -> None:
    data = make_pictures(place / "faces" / "1_ana", 4, size=(96, 96))
    argv = words(BASE, data, place / "base", "--network_args", "conv_dim=4", "conv_alpha=4", steps=3)
    argv[argv.index("64,64")] = "96,96"
    ran = run(argv, place / "base")
    assert ran.code == 0, ran.err
    assert math.isfinite(float(ran.bar()[-1][8]))
    assert (ran.folder / "ana.safetensors").is_file()


# --- what is refused


def test_an_unknown_or_shortened_flag_ends_with_code_2(place: Path, model: Path, data: Path) -> None:
    for wrong in ("--lowvram", "--save_every_n_step=3"):
        ran = run(words(model, data, place / "none", wrong), place / "none")
        assert ran.code == 2
        assert "unrecognized arguments" in ran.err
        assert not ran.folder.exists()


def test_no_pictures_is_said_in_sd_scripts_words_and_ends_with_code_1(place: Path, model: Path, data: Path) -> None:
    leaf = next(data.iterdir())
    ran = run(words(model, leaf, place / "empty"), place / "empty")
    assert ran.code == 1
    assert "0 train images with repeats." in ran.err
    assert "No data found. Please verify arguments (train_data_dir must be the parent of folders with images)" in ran.err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--full_bf16"], "full_bf16 requires mixed precision='bf16'"),
        (["--fp8_base_unet", "--mixed_precision", "no"], "fp8_base requires mixed precision='fp16' or 'bf16'"),
        (["--fp8_base_unet", "--mixed_precision", "bf16"], "no fp8"),
        (["--lr_warmup_steps", "5"], "SchedulerType.CONSTANT does not require `num_warmup_steps`"),
        (["--lr_scheduler", "sinus"], "is not a valid SchedulerType"),
        (["--optimizer_type", "Foo"], "no optimizer 'Foo'"),
        (["--optimizer_type", "Adafactor"], "relative_step=False"),
        (["--persistent_data_loader_workers", "--max_data_loader_n_workers", "0"], "persistent_workers option needs"),
        (["--enable_bucket"], "min_bucket_reso must be equal or less than resolution"),
        (["--enable_bucket", "--bucket_reso_steps", "16"], "bucket_reso_steps is 16. it must be divisible by 32."),
        (["--network_args", "dropout=1"], "only conv_dim and conv_alpha are known here"),
        (["--log_with", "tensorboard"], "logging_dir is required"),
        (["--sample_every_n_steps", "5"], "without --sample_prompts"),
        (["--network_module", "lycoris.kohya"], "No module named 'lycoris.kohya'"),
    ],
)
def test_combinations_that_cannot_train_are_refused(model: Path, data: Path, more: list[str], said: str) -> None:
    with pytest.raises(Refused, match=re.escape(said)):
        parse_flags(words(model, data, Path("out"), *more))


def test_text_encoders_are_not_trained(model: Path, data: Path) -> None:
    argv = words(model, data, Path("out"), "--cache_text_encoder_outputs")
    argv.remove("--network_train_unet_only")
    with pytest.raises(Refused, match="network for Text Encoder cannot be trained with caching Text Encoder outputs"):
        parse_flags(argv)


def test_a_model_that_is_not_all_there_is_refused_with_the_remedy(model: Path, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "juggernaut.safetensors"
    file.write_bytes(b"")
    with pytest.raises(Refused, match=r"configuration and tokenizers of juggernaut\.safetensors .*--model_config_dir"):
        parse_flags(words(file, data, tmp_path))
    with pytest.raises(Refused, match="not an SDXL model in diffusers' layout"):
        parse_flags(words(model / "unet", data, tmp_path))
    with pytest.raises(Refused, match="neither a valid local path nor a valid repo id"):
        parse_flags(words(tmp_path / "nowhere", data, tmp_path))


# --- the dataset


def flags_for(model: Path, data: Path, *more: str) -> Flags:
    return parse_flags(words(model, data, Path("out"), *more))


def test_batches_depend_on_seed_and_epoch_only(model: Path, data: Path) -> None:
    dataset = read_dataset(flags_for(model, data))
    assert dataset.batches(3, 1) == dataset.batches(3, 1)
    assert dataset.batches(3, 1) != dataset.batches(3, 2)
    assert dataset.batches(3, 1) != dataset.batches(4, 1)
    assert dataset.batches_per_epoch == len(dataset.batches(3, 0)) == 5
    shown = sorted(index for batch in dataset.batches(3, 0) for index in batch)
    assert shown == sorted(list(range(4)) * 5)


@pytest.mark.parametrize(("reg_count", "repeats", "train", "shown"), [(6, 1, 20, [4, 4, 3, 3, 3, 3]), (6, 2, 5, [2, 2, 2])])
def test_as_many_regularisation_pictures_as_training_pictures(reg_count: int, repeats: int, train: int, shown: list[int]) -> None:
    reg = [TrainingImage(Path(f"{number}.png"), "", (64, 64), repeats, True) for number in range(reg_count)]
    assert [picture.repeats for picture in balance_reg(reg, train)] == shown


def test_buckets_are_sdxl_s(model: Path, data: Path) -> None:
    argv = words(model, data, Path("out"), "--enable_bucket", "--max_bucket_reso", "2048")
    argv[argv.index("64,64")] = "1024"
    sizes = bucket_sizes(parse_flags(argv))
    assert {(1024, 1024), (832, 1216), (1216, 832), (1344, 768), (640, 1536)} <= set(sizes)
    assert all(width * height <= 1024 * 1024 for width, height in sizes)


def test_a_picture_is_shrunk_and_cropped_about_its_centre(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "1_ana"
    folder.mkdir()
    pixels = np.zeros((128, 256, 4), np.uint8)
    pixels[:, 64:192] = 255
    Image.fromarray(pixels).save(folder / "wide.png")
    (picture,) = read_dataset(flags_for(model, tmp_path)).pictures
    assert (picture.resized, picture.bucket, picture.caption) == ((128, 64), (64, 64), "ana")
    seen = np.asarray(open_fitted(picture))
    assert seen.shape == (64, 64, 3) and seen.min() == 255


def test_an_empty_caption_or_a_broken_picture_is_named(model: Path, tmp_path: Path) -> None:
    make_pictures(tmp_path / "one" / "1_ana", 1)
    (tmp_path / "one" / "1_ana" / "picture_0.txt").write_text("")
    with pytest.raises(Refused, match=r"caption file is empty .*picture_0.txt"):
        read_dataset(flags_for(model, tmp_path / "one"))
    (tmp_path / "two" / "1_ana").mkdir(parents=True)
    (tmp_path / "two" / "1_ana" / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(Refused, match=r"cannot read the picture .*broken.png"):
        read_dataset(flags_for(model, tmp_path / "two"))
