"""One loaded SDXL pipeline: read from a local folder or file, dressed with a LoRA, asked for pictures and for their latents.

Knows nothing of clients, prompts or files of portraits. torch and diffusers are imported when a session is opened, not before.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils import BrokenFile, ModelMissing

if TYPE_CHECKING:
    import torch
    from diffusers import ModelMixin, SchedulerMixin, StableDiffusionXLPipeline
    from PIL import Image

ADAPTER = "client"
SINGLE_FILE_PX = 1024  # what SDXL was trained at; a checkpoint in one file does not say
# What diffusers needs beside a checkpoint in one file; they are in the hub's cache once any SDXL was downloaded.
SINGLE_FILE_PARTS = "stabilityai/stable-diffusion-xl-base-1.0 (configuration, tokenizers)"


class Sampler(StrEnum):
    """Who walks from noise to picture. Each is made from the base's own scheduler settings, which hold what it was trained with."""

    OWN = "Euler"  # the base's scheduler, unchanged
    EULER_A = "Euler a"
    EULER_TRAILING = "Euler trailing"  # few-step models


@dataclass(frozen=True, slots=True)
class Stroke:
    """All that the pixels of one picture depend on, besides base and LoRA; width and height in pixels, multiples of 8."""

    prompt: str
    negative: str
    seed: int
    steps: int
    guidance: float
    sampler: Sampler
    width: int
    height: int


def check_base(base: Path) -> Path:
    """The base, if it can be one: a diffusers folder or a file; raises ModelMissing."""
    if not (base.is_file() or (base / "model_index.json").is_file()):
        raise ModelMissing(model=base)
    return base


def native_px(base: Path) -> int:
    """The side of the square that a base was trained at, in pixels; raises ModelMissing or BrokenFile."""
    if check_base(base).is_file():
        return SINGLE_FILE_PX
    unet, vae = _config(base / "unet" / "config.json"), _config(base / "vae" / "config.json")
    levels = vae.get("block_out_channels") or vae["encoder_block_out_channels"]
    return int(unet["sample_size"]) * 2 ** (len(levels) - 1)


def _config(path: Path) -> dict[str, Any]:
    """A model's own configuration, which diffusers wrote."""
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelMissing(model=path) from error
    except json.JSONDecodeError as error:
        raise BrokenFile(path=path, line=error.lineno, reason=error.msg) from error
    return config


class Session:
    """A pipeline in memory. `wear` a LoRA or none, then `paint`; the same stroke always gives the same pixels on one machine."""

    def __init__(self, base: Path) -> None:
        """Load the base; raises ModelMissing. The pictures' noise comes from the CPU, so a seed means the same on every device."""
        self._pipe = _load_pipeline(check_base(base))
        self._own_scheduler = self._pipe.scheduler
        self._worn: Path | None = None

    def wear(self, lora: Path | None, weight: float) -> None:
        """Put a LoRA on at a weight, or take it off; the base is not loaded again. Raises ModelMissing or BrokenFile."""
        if self._worn is not None and self._worn != lora:
            self._pipe.unload_lora_weights()
            self._worn = None
        if lora is None:
            return
        if self._worn is None:
            self._load_lora(lora)
            self._worn = lora
        self._pipe.set_adapters([ADAPTER], [weight])

    def _load_lora(self, lora: Path) -> None:
        from safetensors import SafetensorError, safe_open

        if not lora.is_file():
            raise ModelMissing(model=lora)
        try:
            # diffusers answers a torn file with advice about git; the library itself says what is wrong.
            with safe_open(lora, framework="numpy"):
                pass
            self._pipe.load_lora_weights(lora.parent, weight_name=lora.name, adapter_name=ADAPTER, local_files_only=True)
        except (SafetensorError, ValueError) as error:
            raise BrokenFile(path=lora, line=1, reason=str(error).splitlines()[0]) from error

    def paint(self, stroke: Stroke) -> Image.Image:
        """One picture. It is painted alone: in a batch, the order of sums would make its pixels depend on its neighbours."""
        import torch

        self._pipe.scheduler = scheduler_for(self._own_scheduler, stroke.sampler)
        pictures = self._pipe(
            stroke.prompt,
            negative_prompt=stroke.negative if stroke.guidance > 1 else None,
            num_inference_steps=stroke.steps,
            guidance_scale=stroke.guidance,
            width=stroke.width,
            height=stroke.height,
            generator=torch.Generator("cpu").manual_seed(stroke.seed),
        ).images
        picture: Image.Image = pictures[0]
        return picture


def scheduler_for(own: SchedulerMixin, sampler: Sampler) -> SchedulerMixin:
    """The sampler's scheduler with the base's own settings: prediction type, betas, zero terminal SNR."""
    import diffusers

    if sampler is Sampler.EULER_A:
        return diffusers.EulerAncestralDiscreteScheduler.from_config(own.config)
    if sampler is Sampler.EULER_TRAILING:
        return diffusers.EulerDiscreteScheduler.from_config(own.config, timestep_spacing="trailing")
    return type(own).from_config(own.config)


def _hush() -> None:
    """Keep the libraries' bars and advice off the terminal; errors still show."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    import diffusers.utils.logging
    import transformers.utils.logging

    for library in (diffusers.utils.logging, transformers.utils.logging):
        library.set_verbosity_error()
        library.disable_progress_bar()


def _device() -> tuple[str, torch.dtype]:
    """Where to paint, and in which numbers."""
    import torch

    return ("cuda", torch.float16) if torch.cuda.is_available() else ("cpu", torch.float32)


def _load_pipeline(base: Path) -> StableDiffusionXLPipeline:
    """The pipeline, on its device, silent."""
    _hush()
    from diffusers import StableDiffusionXLPipeline

    device, dtype = _device()
    options = {"dtype": dtype, "local_files_only": True, "add_watermarker": False}
    try:
        if base.is_file():
            pipe = StableDiffusionXLPipeline.from_single_file(str(base), **options)
        else:
            pipe = StableDiffusionXLPipeline.from_pretrained(base, variant=_variant(base), **options)
    except OSError as error:
        raise ModelMissing(model=SINGLE_FILE_PARTS if base.is_file() else base) from error
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device)


def _variant(base: Path) -> str | None:
    """The name of half precision where a folder holds its weights so only, as downloads of SDXL often do."""
    weights = [path.name for path in (base / "unet").glob("*.safetensors")]
    return "fp16" if weights and all(".fp16." in name for name in weights) else None


# --- latents ----------------------------------------------------------------------------------------------------------
def latents_of(base: Path, pictures: list[Image.Image]) -> torch.Tensor:
    """Latents of pictures of one size by the base's own VAE, unscaled, flattened: (pictures, numbers), float32 on the CPU."""
    import numpy as np
    import torch

    vae = _load_vae(base)
    rows = []
    with torch.no_grad():
        for picture in pictures:
            pixels = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)[None].float() / 127.5 - 1
            encoded = vae.encode(pixels)
            # A deterministic VAE gives latents, one that samples gives a distribution, whose mean is what it is about.
            latent = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mean
            rows.append(latent.flatten())
    return torch.stack(rows)


def _load_vae(base: Path) -> ModelMixin:
    """The VAE of a diffusers folder, of the class that its own configuration names, in float32 on the CPU."""
    _hush()
    import diffusers
    import torch

    vae_class = getattr(diffusers, _config(base / "vae" / "config.json")["_class_name"])
    return vae_class.from_pretrained(base / "vae", dtype=torch.float32, local_files_only=True).eval()
