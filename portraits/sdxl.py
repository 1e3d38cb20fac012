"""One loaded SDXL pipeline: read from a local folder or file, dressed with a LoRA, asked for pictures.

Knows nothing of clients, prompts or files of portraits. torch and diffusers are imported when a session is opened, not before.
A few-step model is a U-Net of its own: its weights replace those of the base's U-Net, everything else stays the base's.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from machine.base_models import INDEX, base_at
from machine.gpu import find_gpus
from portraits.errors import OutOfMemory
from portraits.prompt_weights import Weighed, apply_weights, weigh
from utils import BrokenModel, ModelMissing

if TYPE_CHECKING:
    import torch
    from diffusers import SchedulerMixin, StableDiffusionXLPipeline
    from PIL import Image

ADAPTER = "client"
WORKING_GB = 1.5  # of SDXL at 1024 px in fp16 with guidance, one picture, decoded in one piece; an estimate
LATENT_PX = 8  # pixels a side of a latent


class Sampler(StrEnum):
    """How the steps denoise. Each is made from the base's own scheduler settings, which hold what it was trained with."""

    OWN = "Euler"  # the base's scheduler, unchanged
    EULER_A = "Euler a"
    DPMPP_2M = "DPM++ 2M"
    EULER_TRAILING = "Euler trailing"  # few-step models


class MemorySaver(StrEnum):
    """What a session gives up, one after another, when the memory does not suffice; each costs time."""

    OFFLOAD = "offload"  # whole models wait in RAM and come to the GPU when it is their turn
    ATTENTION = "attention_slicing"
    TILING = "vae_tiling"
    SEQUENTIAL = "sequential_offload"  # layer by layer


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """What a pipeline is made of: a base, and a U-Net and a VAE in place of the base's own where they are named."""

    base: Path
    unet: Path | None = None  # a .safetensors file of the base's U-Net shape, as SDXL-Lightning is published
    vae: Path | None = None  # a diffusers folder
    config: Path | None = None  # of a base in one file: the folder with SDXL's configuration and tokenizers


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """All that the pixels of one picture depend on, besides base and LoRA; width and height in pixels, multiples of 8."""

    prompt: str
    negative: str
    seed: int
    steps: int
    guidance: float
    sampler: Sampler
    width: int
    height: int


class SdxlPipeline:
    """A pipeline in memory. `load_lora` one or none, then `paint`; the same requests always give the same pixels on one machine."""

    def __init__(self, files: ModelFiles | Path) -> None:
        """Load the models; raises ModelMissing. Noise comes from the CPU, so that a seed means the same on every device."""
        self.files = files if isinstance(files, ModelFiles) else ModelFiles(files)
        base_at(self.files.base).require()
        self._device, dtype = _device()
        self._pipe = _load_pipeline(self.files, dtype)
        self._pipe.vae.enable_slicing()  # the pictures of a batch are decoded one by one: that is where memory peaks
        self._own_scheduler = self._pipe.scheduler
        self._loaded_lora: tuple[Path, int] | None = None
        self._savers = [
            saver for saver in MemorySaver if self._device != "cpu" or saver in (MemorySaver.ATTENTION, MemorySaver.TILING)
        ]
        # On a card that cannot hold all of it, it never goes there as a whole; whoever loads it says so.
        self.begun_with = self.save_memory() if self._device != "cpu" and not fits(self.gb, free_vram_gb()) else None
        if self.begun_with is None:
            self._pipe.to(self._device)

    @property
    def gb(self) -> float:
        """What the weights take, in GB."""
        modules = [part for part in self._pipe.components.values() if hasattr(part, "parameters")]
        return sum(value.numel() * value.element_size() for part in modules for value in part.parameters()) / 1e9

    def to_ram(self) -> bool:
        """Give the GPU back and wait in RAM; False where hooks hold the models, so that the session can only be dropped."""
        if MemorySaver.OFFLOAD not in self._savers and self._device != "cpu":
            return False
        self._pipe.to("cpu")
        return True

    def to_gpu(self) -> None:
        """Come back from RAM."""
        self._pipe.to(self._device)

    def load_lora(self, lora: Path | None, weight: float) -> None:
        """Put a LoRA on at a weight, or take it off; the base is not loaded again. Raises ModelMissing or BrokenModel."""
        wanted = None
        if lora:
            try:
                wanted = (lora, lora.stat().st_mtime_ns)  # with its time, so that a file that was replaced is read again
            except FileNotFoundError as error:
                raise ModelMissing(model=lora) from error
        if self._loaded_lora is not None and self._loaded_lora != wanted:
            self._pipe.unload_lora_weights()
            self._loaded_lora = None
        if lora is None or wanted is None:
            return
        if self._loaded_lora is None:
            self._read_lora(lora)
            self._loaded_lora = wanted
        self._pipe.set_adapters([ADAPTER], [weight])

    def _read_lora(self, lora: Path) -> None:
        from safetensors import SafetensorError, safe_open

        try:
            # diffusers answers a torn file with advice about git; the library itself says what is wrong.
            with safe_open(lora, framework="numpy"):
                pass
            self._pipe.load_lora_weights(lora.parent, weight_name=lora.name, adapter_name=ADAPTER, local_files_only=True)
        except (SafetensorError, ValueError) as error:
            raise BrokenModel(path=lora, reason=str(error).splitlines()[0]) from error

    def paint(self, image_request: ImageRequest) -> Image.Image:
        """One picture."""
        return self.paint_batch((image_request,))[0]

    def paint_batch(
        self, requests: Sequence[ImageRequest], on_step: Callable[[int], None] = lambda _step: None
    ) -> list[Image.Image]:
        """Pictures of requests that differ in prompt and seed only, painted at once; `on_step` hears of each step, and may raise.

        In batches of different sizes the order of sums differs: single values of a picture may then differ by one of 255.
        """

        def after_step(_pipe: Any, step: int, _time: Any, facts: dict[str, Any]) -> dict[str, Any]:
            on_step(step + 1)
            return facts

        first = requests[0]
        self._pipe.scheduler = scheduler_for(self._own_scheduler, first.sampler)
        pictures: list[Image.Image] = self._pipe(
            **self._words(requests),
            num_inference_steps=first.steps,
            guidance_scale=first.guidance,
            width=first.width,
            height=first.height,
            generator=_noise(requests),
            callback_on_step_end=after_step,
        ).images
        return pictures

    def _words(self, requests: Sequence[ImageRequest]) -> dict[str, Any]:
        """What the pipeline is told: the prompts, or their embeddings where words of them have weights.

        Without guidance there is nothing to be turned away from: a negative prompt is then not even encoded.
        """
        guided = requests[0].guidance > 1
        prompts, negatives = (
            [weigh(request.prompt) for request in requests],
            [weigh(request.negative) for request in requests],
        )
        plain = [prompt.text for prompt in prompts]
        negative = [prompt.text for prompt in negatives] if guided else None
        if not any(prompt.spans for prompt in (*prompts, *(negatives if guided else ()))):
            return {"prompt": plain, "negative_prompt": negative}
        embeddings, against, pooled, pooled_against = self._pipe.encode_prompt(
            plain, negative_prompt=negative, device=self._pipe._execution_device, do_classifier_free_guidance=guided
        )
        words = {"prompt_embeds": self._weighed(embeddings, prompts), "pooled_prompt_embeds": pooled}
        if guided:
            words |= {"negative_prompt_embeds": self._weighed(against, negatives), "negative_pooled_prompt_embeds": pooled_against}
        return words

    def _weighed(self, embeddings: torch.Tensor, prompts: Sequence[Weighed]) -> torch.Tensor:
        """Each prompt's token embeddings by its weights; both text encoders cut a text alike, so one tokenizer tells for both."""
        import torch

        offsets = self._pipe.tokenizer(
            [prompt.text for prompt in prompts], padding="max_length", truncation=True, return_offsets_mapping=True
        )["offset_mapping"]
        rows = [apply_weights(row, offsets[at], prompts[at].spans) for at, row in enumerate(embeddings)]
        return torch.stack(rows)

    def refine(self, picture: Image.Image, image_request: ImageRequest, strength: float) -> Image.Image:
        """A picture painted over at its own size: `strength` is the share of the steps that are taken again, 0 to 1."""
        from diffusers import StableDiffusionXLImg2ImgPipeline

        parts = self._pipe.components | {"scheduler": scheduler_for(self._own_scheduler, image_request.sampler)}
        pipe = StableDiffusionXLImg2ImgPipeline(**parts, add_watermarker=False)
        pipe.set_progress_bar_config(disable=True)
        refined: Image.Image = pipe(
            **self._words((image_request,)), image=picture, strength=strength, guidance_scale=image_request.guidance,
            # As many steps are taken as a picture from noise takes: a few-step model needs every one of them.
            num_inference_steps=round(image_request.steps / strength), generator=_noise((image_request,))[0],
        ).images[0]  # fmt: skip
        return refined

    def save_memory(self) -> MemorySaver:
        """Give up the next thing to save memory, and say which; raises OutOfMemory where there is nothing left."""
        if not self._savers:
            raise OutOfMemory(model=self.files.base.name)
        saver = self._savers.pop(0)
        if saver is MemorySaver.OFFLOAD:
            self._pipe.enable_model_cpu_offload()
        elif saver is MemorySaver.ATTENTION:
            self._pipe.enable_attention_slicing()
        elif saver is MemorySaver.TILING:
            self._pipe.vae.enable_tiling()
        else:
            self._pipe.remove_all_hooks()
            self._pipe.enable_sequential_cpu_offload()
        return saver


def fits(weights_gb: float, free_gb: float) -> bool:
    """Whether weights fit into video memory together with what painting one picture takes beside them."""
    return weights_gb + WORKING_GB <= free_gb


def free_vram_gb() -> float:
    """What the driver says is free on the GPU with the most of it, in GB."""
    return max((gpu.room_gb for gpu in find_gpus()), default=0.0)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the GPU, or the machine, had no memory left; torch has one exception and several sentences for it."""
    import torch

    sentences = ("out of memory", "can't allocate memory", "ALLOC_FAILED")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(sentence in str(error) for sentence in sentences)
    )


def _noise(requests: Sequence[ImageRequest]) -> list[torch.Generator]:
    import torch

    return [torch.Generator("cpu").manual_seed(request.seed) for request in requests]


def scheduler_for(own: SchedulerMixin, sampler: Sampler) -> SchedulerMixin:
    """The sampler's scheduler with the base's own settings: prediction type, betas, zero terminal SNR."""
    import diffusers

    if sampler is Sampler.EULER_A:
        return diffusers.EulerAncestralDiscreteScheduler.from_config(own.config)
    if sampler is Sampler.DPMPP_2M:
        # Without sigmas of its own: what A1111 calls "DPM++ 2M" is the second-order multistep solver, not the SDE one.
        return diffusers.DPMSolverMultistepScheduler.from_config(own.config, algorithm_type="dpmsolver++", solver_order=2)
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


def _load_pipeline(files: ModelFiles, dtype: torch.dtype) -> StableDiffusionXLPipeline:
    """The pipeline in RAM, silent."""
    _hush()
    from diffusers import AutoencoderKL, StableDiffusionXLPipeline

    base = files.base
    options: dict[str, Any] = {"dtype": dtype, "local_files_only": True, "add_watermarker": False}
    try:
        if files.vae:
            options["vae"] = AutoencoderKL.from_pretrained(files.vae, dtype=dtype, local_files_only=True, use_safetensors=True)
        if base.is_file():
            folder = files.config or base.parent
            if not (folder / INDEX).is_file():  # without it diffusers looks on the hub, for whatever commit is there today
                raise ModelMissing(model=folder / INDEX)
            pipe = StableDiffusionXLPipeline.from_single_file(str(base), config=str(folder), **options)
        else:
            # Downloads of SDXL often hold their weights in half precision only, which diffusers only reads by its name.
            weights = [path.name for path in (base / "unet").glob("*.safetensors")]
            variant = "fp16" if weights and all(".fp16." in name for name in weights) else None
            pipe = StableDiffusionXLPipeline.from_pretrained(base, variant=variant, use_safetensors=True, **options)
    except OSError as error:
        raise ModelMissing(model=base) from error
    if files.unet:
        _replace_unet(pipe, files.unet)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _replace_unet(pipe: StableDiffusionXLPipeline, unet: Path) -> None:
    """Read a whole U-Net into the base's; raises ModelMissing, or BrokenModel where it is torn or of another shape."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights = load_file(unet)
        pipe.unet.load_state_dict(weights, strict=True)
    except FileNotFoundError as error:
        raise ModelMissing(model=unet) from error
    except (SafetensorError, RuntimeError) as error:
        raise BrokenModel(path=unet, reason=str(error).splitlines()[0]) from error
