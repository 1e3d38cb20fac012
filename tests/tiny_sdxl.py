"""A random model of SDXL's shape, well under 1 MB, and a random LoRA for it: what tests of portraits paint with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

SIDE_PX = 64
WIDTH = 16  # of a text encoder


def make_base(folder: Path, prediction: str = "v_prediction", seed: int = 0, second_width: int = WIDTH) -> Path:
    """Write a diffusers folder that paints 64 px noise in a few hundredths of a second.

    Written as one file, diffusers tells the two text encoders apart by their widths alone, as 768 and 1280 are SDXL's.
    """
    import torch
    from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(seed)
    tokenizer = _tokenizer()
    text, second = (
        CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=width, intermediate_size=32, projection_dim=WIDTH, num_hidden_layers=2,
            num_attention_heads=2, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
        for width in (WIDTH, second_width)
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=SIDE_PX // 8, block_out_channels=(16, 32, 32), layers_per_block=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), transformer_layers_per_block=[1, 1, 1],
        attention_head_dim=[1, 2, 2], cross_attention_dim=WIDTH + second_width, use_linear_projection=True,
        addition_embed_type="text_time", addition_time_embed_dim=8, projection_class_embeddings_input_dim=WIDTH + 6 * 8,
        norm_num_groups=8,
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8, 8), down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, norm_num_groups=4, latent_channels=4,
    )  # fmt: skip
    StableDiffusionXLPipeline(
        vae=vae, text_encoder=CLIPTextModel(text), text_encoder_2=CLIPTextModelWithProjection(second), tokenizer=tokenizer,
        tokenizer_2=tokenizer, unet=unet, add_watermarker=False,
        scheduler=EulerDiscreteScheduler(
            prediction_type=prediction, rescale_betas_zero_snr=prediction == "v_prediction", timestep_spacing="trailing",
        ),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_lora(file: Path, seed: int = 1) -> Path:
    """Write a random LoRA that changes every picture of the base visibly."""
    import torch
    from diffusers import StableDiffusionXLPipeline, UNet2DConditionModel
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    unet = UNet2DConditionModel.from_pretrained(make_base(file.parent / ".base"), subfolder="unet")
    torch.manual_seed(seed)
    unet.add_adapter(LoraConfig(r=4, lora_alpha=4, init_lora_weights=False, target_modules=["to_q", "to_k", "to_v", "to_out.0"]))
    StableDiffusionXLPipeline.save_lora_weights(
        file.parent, unet_lora_layers=get_peft_model_state_dict(unet), weight_name=file.name
    )
    return file


def _tokenizer() -> CLIPTokenizer:
    """A CLIP tokenizer without merges: each byte as CLIP writes it, alone and at a word's end."""
    from transformers import CLIPTokenizer

    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(byte) for byte in printed] + [chr(256 + number) for number in range(256 - len(printed))]
    words = letters + [f"{letter}</w>" for letter in letters] + ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={word: number for number, word in enumerate(words)}, merges=[], model_max_length=77)
