"""An SDXL model, in diffusers' layout or in one file: its parts, and the two things training wants of them once.

Pictures become latents and captions become text outputs before the first step; then the VAE and the text encoders can go. What is
read from the model's own configuration is honoured: VAE class (a deterministic one too), scaling, shift or mean and deviation of
latents, prediction type, zero terminal SNR.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import diffusers
import numpy as np
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, DDPMScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from safetensors import SafetensorError
from torch import Tensor
from tqdm import tqdm
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from embedded.trainer.kohya_dataset import TrainingImage, open_fitted
from embedded.trainer.trainer_console import LOG
from embedded.trainer.trainer_flags import Refused, SdxlBase

Vae: TypeAlias = AutoencoderKL | AutoencoderTiny
Encoder: TypeAlias = CLIPTextModel | CLIPTextModelWithProjection

TOKENS = 77  # CLIP's window: start, 75 tokens, end
PIXELS_AT_ONCE = 512 * 512  # a VAE in fp32 takes about 1 GB for so many
PICTURES_AT_ONCE = 16
CAPTIONS_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class TextOutputs:
    """What the two encoders say of one caption: hidden states (tokens, width of both) and the pooled vector (width)."""

    hidden: Tensor
    pooled: Tensor


def load_unet(base: SdxlBase, dtype: torch.dtype) -> UNet2DConditionModel:
    """The U-Net, frozen; raises `Refused` for a file that does not hold one."""
    return _load_part(UNet2DConditionModel, base, "unet", dtype)


def load_vae(base: SdxlBase, dtype: torch.dtype) -> Vae:
    """The VAE, of the class its own config names; raises `Refused` for a class that diffusers does not have."""
    name = json.loads((base.config / "vae" / "config.json").read_text(encoding="utf-8"))["_class_name"]
    vae_class = getattr(diffusers, name, None)
    if vae_class is None:
        raise Refused(f"{base.config / 'vae'}: diffusers has no VAE class {name}")
    return _load_part(vae_class, base, "vae", dtype).eval()


def scheduler_config(base: SdxlBase) -> dict[str, Any]:
    """The scheduler's own configuration: betas, zero terminal SNR, prediction type, spacing of time steps."""
    return dict(DDPMScheduler.load_config(base.config, subfolder="scheduler", local_files_only=True))


def encode_pictures(vae: Vae, pictures: Sequence[TrainingImage], device: torch.device, seed: int) -> list[Tensor]:
    """Latents of each picture, (channels, height/f, width/f), scaled as the U-Net expects, on the CPU in fp32.

    Raises:
        Refused: a latent holds NaN, as fp16 VAEs do with some pictures.
    """
    vae.to(device)
    found: list[Tensor | None] = [None] * len(pictures)
    with tqdm(total=len(pictures), desc="caching latents") as bar, torch.no_grad():
        for members in _same_sized(pictures):
            pixels = torch.stack([_pixels(pictures[index]) for index in members]).to(device, vae.dtype)
            encoded = vae.encode(pixels)
            if hasattr(encoded, "latents"):
                latents = encoded.latents  # of a deterministic VAE
            else:
                latents = encoded.latent_dist.sample(torch.Generator().manual_seed(seed + members[0]))
            for index, latent in zip(members, scale_latents(vae, latents).float().cpu(), strict=True):
                if not latent.isfinite().all():
                    raise Refused(f"NaN detected in latents: {pictures[index].path}: add --no_half_vae")
                found[index] = latent.clone()
            bar.update(len(members))
    return [latent for latent in found if latent is not None]


def scale_latents(vae: Vae, latents: Tensor) -> Tensor:
    """Raw VAE latents to what the U-Net sees; the inverse of what diffusers' SDXL pipeline does before decoding."""
    scaling = float(vae.config.get("scaling_factor") or 1.0)
    mean, deviation = vae.config.get("latents_mean"), vae.config.get("latents_std")
    if mean is not None and deviation is not None:
        shape = (1, -1, 1, 1)
        return (latents - latents.new_tensor(mean).view(shape)) * scaling / latents.new_tensor(deviation).view(shape)
    return (latents - float(vae.config.get("shift_factor") or 0.0)) * scaling


def encode_captions(
    base: SdxlBase, captions: Iterable[str], max_tokens: int | None, device: torch.device, dtype: torch.dtype
) -> dict[str, TextOutputs]:
    """The text outputs of each different caption, on the CPU in `dtype`; the encoders are loaded and dropped here.

    `max_tokens` is --max_token_length: 150 or 225 for captions longer than CLIP's 75, encoded in windows of 75.
    """
    different = sorted(set(captions))
    windows = (max_tokens or TOKENS - 2) // (TOKENS - 2)
    parts = []
    for tokenizer, encoder in _text_encoders(base):
        # CPUs have no half-precision text encoder; sd-scripts keeps it in fp32 there as well
        encoder = encoder.to(device, torch.float32 if device.type == "cpu" else dtype).eval()
        ids = torch.stack([_token_windows(tokenizer, caption, windows) for caption in different])
        parts.append(_encode(encoder, ids.to(device)))
    hidden = torch.cat([part[0] for part in parts], dim=-1).to(dtype)
    pooled = parts[1][1].to(dtype)
    return {text: TextOutputs(hidden[row], pooled[row]) for row, text in enumerate(different)}


def _load_part(part_class: Any, base: SdxlBase, part: str, dtype: torch.dtype) -> Any:
    """The U-Net or the VAE, frozen."""
    if base.weights.is_dir():
        with _reading(base.weights):
            return part_class.from_pretrained(base.weights, **_options(base.weights, part), dtype=dtype).requires_grad_(False)
    options = {"config": str(base.config), "subfolder": part, "local_files_only": True, "dtype": dtype}
    with _reading(base.weights):
        return part_class.from_single_file(str(base.weights), **options).requires_grad_(False)


def _text_encoders(base: SdxlBase) -> Iterator[tuple[CLIPTokenizer, Encoder]]:
    """Both text encoders in fp32, each with its tokenizer; of a folder one after the other."""
    if base.weights.is_file():
        with _reading(base.weights):
            pipe: Any = StableDiffusionXLPipeline.from_single_file(
                str(base.weights), config=str(base.config), local_files_only=True, dtype=torch.float32, unet=None, vae=None
            )
        yield from ((pipe.tokenizer, pipe.text_encoder), (pipe.tokenizer_2, pipe.text_encoder_2))
        return
    for number, encoder_class in (("", CLIPTextModel), ("_2", CLIPTextModelWithProjection)):
        tokenizer = CLIPTokenizer.from_pretrained(base.config / f"tokenizer{number}", local_files_only=True)
        options = _options(base.weights, f"text_encoder{number}")
        with _reading(base.weights):
            encoder = encoder_class.from_pretrained(base.weights, **options, dtype=torch.float32)
        yield tokenizer, encoder


@contextmanager
def _reading(checkpoint: Path) -> Iterator[None]:
    """Say which it was, where a checkpoint is torn or none of SDXL, or a folder holds no safetensors: no other weights are read."""
    try:
        yield
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        what = "an SDXL checkpoint in one file" if checkpoint.is_file() else "SDXL in diffusers' layout, in safetensors files"
        raise Refused(f"{checkpoint} cannot be read as {what}: {error}") from error


def _options(folder: Path, part: str) -> dict[str, Any]:
    """Where a part's weights lie; a folder that holds fp16 weights only is read as such."""
    weights = [path.name for path in (folder / part).glob("*.safetensors")]
    only_half = bool(weights) and all(".fp16." in name for name in weights)
    return {"subfolder": part, "local_files_only": True, "variant": "fp16" if only_half else None, "use_safetensors": True}


def _same_sized(pictures: Sequence[TrainingImage]) -> list[list[int]]:
    """Indices of pictures in groups of one bucket, no larger than the VAE can take at once."""
    groups: list[list[int]] = []
    for index in sorted(range(len(pictures)), key=lambda index: pictures[index].bucket):
        bucket = pictures[index].bucket
        most = min(PICTURES_AT_ONCE, max(1, PIXELS_AT_ONCE // (bucket[0] * bucket[1])))
        if not groups or pictures[groups[-1][0]].bucket != bucket or len(groups[-1]) >= most:
            groups.append([])
        groups[-1].append(index)
    return groups


def _pixels(picture: TrainingImage) -> Tensor:
    """(3, height, width) in [-1, 1]."""
    return torch.from_numpy(np.array(open_fitted(picture))).permute(2, 0, 1).float() / 127.5 - 1


def _token_windows(tokenizer: CLIPTokenizer, caption: str, windows: int) -> Tensor:
    """Token ids, (windows, 77): the caption cut into windows of 75, each with its own start, end and padding."""
    body = tokenizer(caption, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
    size = TOKENS - 2
    if len(body) > windows * size:
        LOG.warning(f"caption cut after {windows * size} of {len(body)} tokens: {caption[:60]}…")
    rows = []
    for window in range(windows):
        words = body[window * size : (window + 1) * size]
        row = [tokenizer.bos_token_id, *words, tokenizer.eos_token_id]
        rows.append(row + [tokenizer.pad_token_id] * (TOKENS - len(row)))
    return torch.tensor(rows)


def _encode(encoder: Encoder, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Hidden states of the last layer but one, (captions, tokens, width), and the first window's pooled output."""
    states, pooled = [], []
    for some in ids.split(CAPTIONS_AT_ONCE):
        with torch.no_grad():
            output = encoder(some.flatten(0, 1), output_hidden_states=True)
        layer = output.hidden_states[-2].unflatten(0, some.shape[:2])  # (captions, windows, 77, width)
        inner = [layer[:, window, 1:-1] for window in range(some.shape[1])]
        states.append(torch.cat([layer[:, 0, :1], *inner, layer[:, -1, -1:]], dim=1).cpu())
        pooled.append(output[0].unflatten(0, some.shape[:2])[:, 0].cpu())
    return torch.cat(states), torch.cat(pooled)
