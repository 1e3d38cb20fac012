"""The parts of the embedded base: SDXL's own block structure, as small as paints portraits."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

PICTURE_SIDE = 96
"""Pixels; the side of the pictures that the base learns from and paints."""
PATCH_SIDE = 8
"""Pixels per latent, as in SDXL."""
LATENT_CHANNELS = 16
TEXT_WIDTH = 64
MAX_TOKENS = 77
LEARNT_MERGES = 280
NOISE_SCHEDULE = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "prediction_type": "v_prediction",
    # Without it the last noisy picture still shows its mean colour, and the model ignores the colours in the prompt.
    "rescale_betas_zero_snr": True,
}
START, END = "<|startoftext|>", "<|endoftext|>"


def make_tokenizer(captions: Iterable[str]) -> CLIPTokenizer:
    """Build a CLIP tokenizer whose merges are learnt from the captions; all bytes are in it, so any prompt works."""
    from tokenizers import Tokenizer, models, trainers
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    alphabet = sorted(ByteLevel.alphabet())
    # An empty tokenizer of the class lends its way of splitting text to the one that is trained.
    splitter: Any = CLIPTokenizer(vocab={START: 0, END: 1}, merges=[])
    learner = Tokenizer(models.BPE(continuing_subword_prefix="", end_of_word_suffix="</w>"))
    learner.normalizer = splitter.backend_tokenizer.normalizer
    learner.pre_tokenizer = splitter.backend_tokenizer.pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=2 * len(alphabet) + LEARNT_MERGES,
        end_of_word_suffix="</w>",
        initial_alphabet=alphabet,
        show_progress=False,
    )
    learner.train_from_iterator(captions, trainer)
    written = json.loads(learner.to_str())["model"]["merges"]
    merges = [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in written]
    pieces = [*alphabet, *(letter + "</w>" for letter in alphabet), *("".join(merge) for merge in merges), START, END]
    vocabulary = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer: CLIPTokenizer = CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=MAX_TOKENS)
    return tokenizer


def make_text_encoders(tokenizer: CLIPTokenizer) -> tuple[CLIPTextModel, CLIPTextModelWithProjection]:
    """Build SDXL's two text encoders, two layers each."""
    import torch
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    encoders = []
    for kind, activation in ((CLIPTextModel, "quick_gelu"), (CLIPTextModelWithProjection, "gelu")):
        config = CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=TEXT_WIDTH,
            intermediate_size=4 * TEXT_WIDTH,
            projection_dim=TEXT_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=MAX_TOKENS,
            hidden_act=activation,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
        encoder = kind(config)
        with torch.no_grad():
            # CLIP starts its token embeddings so small that positions drown the words for thousands of steps.
            encoder.get_input_embeddings().weight.mul_(15)
        encoders.append(encoder)
    return encoders[0], encoders[1]


def make_unet() -> UNet2DConditionModel:
    """Build a U-Net with SDXL's blocks and its `text_time` conditioning."""
    from diffusers import UNet2DConditionModel

    time_width = 32
    unet: UNet2DConditionModel = UNet2DConditionModel(
        sample_size=PICTURE_SIDE // PATCH_SIDE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(32, 64, 128),
        layers_per_block=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=[1, 1, 1],
        attention_head_dim=[1, 2, 4],
        cross_attention_dim=2 * TEXT_WIDTH,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=time_width,
        projection_class_embeddings_input_dim=TEXT_WIDTH + 6 * time_width,
        norm_num_groups=8,
    )
    return unet


def make_vae() -> AutoencoderKL:
    """Build the VAE; every residual branch begins at zero, which a short training needs to get anywhere."""
    import torch
    from diffusers import AutoencoderKL
    from diffusers.models.resnet import ResnetBlock2D

    vae: AutoencoderKL = AutoencoderKL(
        block_out_channels=(16, 24, 48, 64),
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=8,
        latent_channels=LATENT_CHANNELS,
        mid_block_add_attention=False,
        sample_size=PICTURE_SIDE,
        scaling_factor=1.0,
        force_upcast=False,
    )
    with torch.no_grad():
        for block in vae.modules():
            if isinstance(block, ResnetBlock2D):
                block.conv2.weight.zero_()
    return vae


def make_scheduler() -> EulerDiscreteScheduler:
    """Build the sampler's schedule; trailing spacing starts from pure noise, as few steps need."""
    from diffusers import EulerDiscreteScheduler

    scheduler: EulerDiscreteScheduler = EulerDiscreteScheduler(**NOISE_SCHEDULE, timestep_spacing="trailing")
    return scheduler


def assemble(
    vae: AutoencoderKL,
    unet: UNet2DConditionModel,
    text_encoders: tuple[CLIPTextModel, CLIPTextModelWithProjection],
    tokenizer: CLIPTokenizer,
) -> StableDiffusionXLPipeline:
    """Put the parts together as a plain SDXL pipeline."""
    from diffusers import StableDiffusionXLPipeline

    pipeline: StableDiffusionXLPipeline = StableDiffusionXLPipeline(
        vae=vae,
        text_encoder=text_encoders[0],
        text_encoder_2=text_encoders[1],
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=unet,
        scheduler=make_scheduler(),
        # The base has learnt what an empty prompt means; SDXL's zeros would be a foreign input to it.
        force_zeros_for_empty_prompt=False,
        add_watermarker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def load_base(folder: Path) -> StableDiffusionXLPipeline:
    """Load the base as anyone would, computing in single precision."""
    import torch
    from diffusers import StableDiffusionXLPipeline

    pipeline: StableDiffusionXLPipeline = StableDiffusionXLPipeline.from_pretrained(
        folder, dtype=torch.float32, add_watermarker=False, use_safetensors=True
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
