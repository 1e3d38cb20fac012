"""Pictures painted while training, to watch the LoRA grow: the prompts file, when to paint, and sd-scripts' names for them.

The prompts are encoded once before the first step, so the text encoders need not stay. Each picture has a random generator of its
own: painting never changes the training.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import StableDiffusionXLPipeline, UNet2DConditionModel

from embedded.trainer.sdxl_model import TextOutputs
from embedded.trainer.trainer_console import LOG
from embedded.trainer.trainer_flags import Flags, Refused

SCHEDULERS = {
    "ddim": "DDIMScheduler",
    "pndm": "PNDMScheduler",
    "lms": "LMSDiscreteScheduler",
    "euler": "EulerDiscreteScheduler",
    "euler_a": "EulerAncestralDiscreteScheduler",
    "heun": "HeunDiscreteScheduler",
    "dpm_2": "KDPM2DiscreteScheduler",
    "dpm_2_a": "KDPM2AncestralDiscreteScheduler",
    "dpmsolver": "DPMSolverMultistepScheduler",
    "dpmsolver++": "DPMSolverMultistepScheduler",
    "dpmsingle": "DPMSolverSinglestepScheduler",
}
SMALLEST_SIDE_PX = 64


@dataclass(frozen=True, slots=True)
class SamplePrompt:
    """One line of the prompts file. `seed` None paints a new picture each time."""

    text: str
    negative: str = ""
    width: int = 0  # 0: the training's resolution
    height: int = 0
    seed: int | None = None
    guidance: float = 7.5
    steps: int = 30


@dataclass(frozen=True, slots=True)
class SamplePainter:
    """All that painting needs besides the U-Net."""

    prompts: tuple[SamplePrompt, ...]
    texts: dict[str, TextOutputs]
    vae: Any
    scheduler_config: dict[str, Any]
    flags: Flags


def read_prompts(flags: Flags) -> tuple[SamplePrompt, ...]:
    """The prompts to paint, none when no picture is asked for; a missing file is logged and painting skipped, as in sd-scripts."""
    if not flags.samples_wanted or flags.sample_prompts is None:
        return ()
    if flags.sample_prompts.suffix != ".txt":
        raise Refused(f"{flags.sample_prompts}: sample prompts are read from a .txt file, one prompt a line")
    if not flags.sample_prompts.is_file():
        LOG.error(f"No prompt file / プロンプトファイルがありません: {flags.sample_prompts}")
        return ()
    lines = flags.sample_prompts.read_text(encoding="utf-8-sig").splitlines()
    return tuple(parse_prompt(line.strip()) for line in lines if line.strip() and not line.startswith("#"))


def parse_prompt(line: str) -> SamplePrompt:
    """Reads 'a portrait --n blurry --w 96 --h 96 --d 1 --l 2.5 --s 20'; words it does not know are left out."""
    text, *options = line.split(" --")
    given = {found[1]: found[2] for option in options if (found := re.match(r"(n|w|h|d|l|s) (.+)", option.strip()))}
    try:
        return SamplePrompt(
            text=text.strip(),
            negative=given.get("n", ""),
            width=int(given.get("w", "0")),
            height=int(given.get("h", "0")),
            seed=int(given["d"]) if "d" in given else None,
            guidance=float(given.get("l", "7.5")),
            steps=int(given.get("s", "30")),
        )
    except ValueError as error:
        raise Refused(f"sample prompt {line!r}: {error}") from error


def due(flags: Flags, step: int, epoch: int | None) -> bool:
    """Whether pictures are painted now: at step 0, after a step (`epoch` None), or at the end of `epoch`."""
    if step == 0:
        return flags.sample_at_first
    if flags.sample_every_n_epochs:  # wins over steps, as in sd-scripts
        return epoch is not None and epoch % flags.sample_every_n_epochs == 0
    return bool(flags.sample_every_n_steps) and epoch is None and step % (flags.sample_every_n_steps or 1) == 0


def paint(painter: SamplePainter, unet: UNet2DConditionModel, step: int, epoch: int | None) -> list[Path]:
    """Paints every prompt into {output_dir}/sample; returns the files."""
    LOG.info(f"\ngenerating sample images at step / サンプル画像生成 ステップ: {step}")
    folder = painter.flags.output_dir / "sample"
    folder.mkdir(parents=True, exist_ok=True)
    painter.vae.to(unet.device)
    files = []
    for index, prompt in enumerate(painter.prompts):
        LOG.info(f"prompt: {prompt.text}")
        image = _pipeline(painter, unet)(**_call(painter, prompt, unet)).images[0]
        files.append(folder / sample_name(painter.flags.output_name, step, epoch, index, prompt.seed))
        image.save(files[-1])
    painter.vae.to("cpu")
    return files


def sample_name(output_name: str | None, step: int, epoch: int | None, index: int, seed: int | None) -> str:
    """sd-scripts' name: {output_name}_{step:06d}_{index:02d}_{time}_{seed}.png, or e{epoch:06d} in the step's place."""
    when = f"{step:06d}" if epoch is None else f"e{epoch:06d}"
    parts = [output_name, when, f"{index:02d}", time.strftime("%Y%m%d%H%M%S"), None if seed is None else str(seed)]
    return "_".join(part for part in parts if part is not None) + ".png"


def _pipeline(painter: SamplePainter, unet: UNet2DConditionModel) -> StableDiffusionXLPipeline:
    sampler = painter.flags.sample_sampler.removeprefix("k_")
    own: dict[str, Any] = {"algorithm_type": sampler} if sampler in ("dpmsolver", "dpmsolver++") else {}
    if sampler == "ddim":
        own["clip_sample"] = False  # latents go beyond [-1, 1]; diffusers' default would cut them
    scheduler = getattr(diffusers, SCHEDULERS[sampler]).from_config(painter.scheduler_config, **own)
    pipeline = StableDiffusionXLPipeline(
        vae=painter.vae,
        unet=unet,
        scheduler=scheduler,
        text_encoder=None,
        text_encoder_2=None,
        tokenizer=None,
        tokenizer_2=None,
        add_watermarker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _call(painter: SamplePainter, prompt: SamplePrompt, unet: UNet2DConditionModel) -> dict[str, Any]:
    generator = torch.Generator()
    generator.seed() if prompt.seed is None else generator.manual_seed(prompt.seed)
    text, negative = painter.texts[prompt.text], painter.texts[prompt.negative]
    width, height = (
        max(SMALLEST_SIDE_PX, (asked or trained) // 8 * 8)
        for asked, trained in zip((prompt.width, prompt.height), painter.flags.resolution, strict=True)
    )
    return {
        "prompt_embeds": text.hidden[None].to(unet.device, unet.dtype),
        "pooled_prompt_embeds": text.pooled[None].to(unet.device, unet.dtype),
        "negative_prompt_embeds": negative.hidden[None].to(unet.device, unet.dtype),
        "negative_pooled_prompt_embeds": negative.pooled[None].to(unet.device, unet.dtype),
        "width": width,
        "height": height,
        "guidance_scale": prompt.guidance,
        "num_inference_steps": prompt.steps,
        "generator": generator,
    }
