"""Steps a second of the embedded trainer beside the plain diffusers way: `python benchmarks/embedded_trainer.py [STEPS] [BATCH]`.

The plain way is the loop of diffusers' SDXL DreamBooth LoRA example: every step its pictures go through the VAE and its captions
through both text encoders. Both train the same LoRA on the same pictures, with the same batch, seed, noise and optimizer, in turns
of a few steps, so that a busy machine slows both alike. The mean losses are printed beside the speeds: they must agree.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
BASE = ROOT / "embedded" / "base"
PICTURES, SIDE, TURN, WARM_UP = 24, 1024, 10, 3


def draw_dataset(folder: Path) -> Path:
    """Drawn portraits of the size that the faces stage makes, in Kohya's layout."""
    from PIL import Image

    from embedded.drawing.painting import draw
    from embedded.drawing.portraits import caption, random_portrait

    place = folder / "data" / "10_person"
    place.mkdir(parents=True)
    for number in range(PICTURES):
        portrait = random_portrait(random.Random(number))
        Image.fromarray(draw([portrait], 192, 192)[0]).resize((SIDE, SIDE)).save(place / f"{number}.png")
        (place / f"{number}.txt").write_text(caption(portrait) + "\n", encoding="utf-8")
    return place.parent


def words(data: Path, out: Path, batch: int) -> list[str]:
    """The command line of both."""
    return [
        "--pretrained_model_name_or_path", str(BASE), "--train_data_dir", str(data), "--resolution", "96,96",
        "--caption_extension", ".txt", "--train_batch_size", str(batch), "--network_module", "networks.lora",
        "--network_dim", "16", "--network_alpha", "16", "--network_args", "conv_dim=16", "conv_alpha=16",
        "--network_train_unet_only", "--max_train_steps", "100000", "--learning_rate", "0.0015", "--lr_scheduler", "constant",
        "--optimizer_type", "AdamW", "--seed", "42", "--no_half_vae", "--output_dir", str(out), "--output_name", "bench",
        "--console_log_simple",
    ]  # fmt: skip


def prepare(argv: list[str]) -> Any:
    """A training, ready for its first step."""
    from embedded.trainer.kohya_dataset import read_dataset
    from embedded.trainer.lora_training import open_accelerator, prepare
    from embedded.trainer.trainer_flags import parse_flags

    flags = parse_flags(argv)
    return prepare(flags, read_dataset(flags), 42, open_accelerator(flags))


def batches(training: Any) -> Iterator[list[int]]:
    """The pictures of each step, epoch after epoch."""
    epoch = 0
    while True:
        yield from training.data.batches(training.seed, epoch)
        epoch += 1


def ours(training: Any) -> Iterator[float]:
    """Our steps: the loss of each."""
    from collections import deque

    from embedded.trainer.lora_training import train_step

    for members in batches(training):
        yield train_step(training, [members], deque(maxlen=1))


def encode_captions(captions: list[str], tokenizers: list[Any], encoders: list[Any]) -> tuple[Any, Any]:
    """What both text encoders say of captions, side by side, and the second's summary of each."""
    import torch

    states = []
    for tokenizer, encoder in zip(tokenizers, encoders, strict=True):
        ids = tokenizer(captions, padding="max_length", max_length=77, truncation=True, return_tensors="pt")
        output = encoder(ids.input_ids, output_hidden_states=True)
        states.append(output.hidden_states[-2])
    return torch.cat(states, dim=-1), output[0]


def plain(training: Any) -> Iterator[float]:
    """The example's steps, on a training of its own: the loss of each."""
    import torch
    from torch.nn import functional
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    from embedded.trainer import sdxl_model
    from embedded.trainer.lora_training import size_ids, target_of

    vae = sdxl_model.load_vae(training.flags.base, torch.float32)
    tokenizers = [CLIPTokenizer.from_pretrained(BASE / name) for name in ("tokenizer", "tokenizer_2")]
    encoders = [
        CLIPTextModel.from_pretrained(BASE, subfolder="text_encoder", dtype=torch.float32).requires_grad_(False),
        CLIPTextModelWithProjection.from_pretrained(BASE, subfolder="text_encoder_2", dtype=torch.float32).requires_grad_(False),
    ]
    pixels = [sdxl_model._pixels(picture) for picture in training.data.pictures]
    training.unet.train()
    for members in batches(training):
        pictures = [training.data.pictures[index] for index in members]
        with torch.no_grad():
            encoded = vae.encode(torch.stack([pixels[index] for index in members]))
            latent = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.sample()
            latents = sdxl_model.scale_latents(vae, latent)
            states, pooled = encode_captions([one.caption for one in pictures], tokenizers, encoders)
        noise = torch.randn(latents.shape)
        times = torch.randint(0, training.noise.config["num_train_timesteps"], (len(members),))
        noisy = training.noise.add_noise(latents, noise, times)
        conditions = {
            "text_embeds": pooled,
            "time_ids": torch.tensor([size_ids(picture) for picture in pictures], dtype=torch.float32),
        }
        predicted = training.unet(noisy, times, states, added_cond_kwargs=conditions).sample
        loss = functional.mse_loss(predicted.float(), target_of(training.noise, latents, noise, times))
        training.accelerator.backward(loss)
        training.accelerator.clip_grad_norm_(training.weights, 1.0)
        training.optimizer.step()
        training.lr_scheduler.step()
        training.optimizer.zero_grad()
        yield float(loss.detach())


def run_turns(steps: int, batch: int) -> dict[str, tuple[list[float], list[float]]]:
    """Seconds and losses of each way's steps, taken in turns; each has a random state of its own."""
    import torch

    with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        data = draw_dataset(Path(folder))
        ways = {}
        for name, way in (("plain diffusers", plain), ("embedded trainer", ours)):
            torch.manual_seed(42)
            ways[name] = (way(prepare(words(data, Path(folder) / "out", batch))), torch.get_rng_state())
        found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in ways}
        for _turn in range((steps + WARM_UP) // TURN + 1):
            for name, (losses, state) in ways.items():
                torch.set_rng_state(state)
                for _step in range(TURN):
                    started = time.perf_counter()
                    found[name][1].append(next(losses))
                    found[name][0].append(time.perf_counter() - started)
                ways[name] = (losses, torch.get_rng_state())
    return found


def main() -> None:
    """Measure and print."""
    steps, batch = (int(word) for word in (*sys.argv[1:], *("100", "8")[len(sys.argv) - 1 :]))
    found = run_turns(steps, batch)
    rates = {name: 1 / statistics.median(seconds[WARM_UP:]) for name, (seconds, _losses) in found.items()}
    for name, (_seconds, losses) in found.items():
        half = len(losses) // 2
        first, last = statistics.fmean(losses[:half]), statistics.fmean(losses[half:])
        print(f"{name:17} {rates[name]:6.2f} steps/s   mean loss {first:.4f} then {last:.4f}")
    print(f"ratio {rates['embedded trainer'] / rates['plain diffusers']:.2f}")


if __name__ == "__main__":
    main()
