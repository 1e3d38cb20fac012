"""A random LoRA of the embedded base's shape."""

from __future__ import annotations

from pathlib import Path


def make_embedded_lora(file: Path, seed: int = 1) -> Path:
    """Write it, in diffusers' own keys."""
    import torch
    from diffusers import StableDiffusionXLPipeline, UNet2DConditionModel
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    from config import EMBEDDED_FOLDER

    unet = UNet2DConditionModel.from_pretrained(EMBEDDED_FOLDER, subfolder="unet")
    torch.manual_seed(seed)
    unet.add_adapter(LoraConfig(r=8, lora_alpha=8, init_lora_weights=False, target_modules=["to_q", "to_k", "to_v", "to_out.0"]))
    layers = get_peft_model_state_dict(unet)
    StableDiffusionXLPipeline.save_lora_weights(file.parent, unet_lora_layers=layers, weight_name=file.name)
    return file
