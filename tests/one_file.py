"""A model in diffusers' layout written as one file, with the names of Stability's own code, as SDXL is published."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Weights = dict[str, "Tensor"]
VAE_LEVELS = 4


def write_one_file(folder: Path, file: Path) -> Path:
    """Write the weights of `folder` to `file`; the configurations stay where they are."""
    import torch
    from diffusers import StableDiffusionXLPipeline
    from safetensors.torch import save_file

    pipe = StableDiffusionXLPipeline.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    weights = {f"model.diffusion_model.{unet_name(name)}": weight for name, weight in pipe.unet.state_dict().items()}
    weights |= {f"first_stage_model.{vae_name(name)}": as_vae(name, weight) for name, weight in pipe.vae.state_dict().items()}
    weights |= {f"conditioner.embedders.0.transformer.{name}": weight for name, weight in text_weights(pipe.text_encoder).items()}
    weights |= {f"conditioner.embedders.1.model.{name}": weight for name, weight in open_clip_weights(pipe.text_encoder_2).items()}
    save_file({name: weight.contiguous().clone() for name, weight in weights.items()}, file)
    return file


def write_stub(file: Path, tensor: str = "conditioner.embedders.0.transformer.text_model.x") -> Path:
    """A whole safetensors file of one number, named as SDXL names it: enough for all that only looks at a checkpoint."""
    import numpy as np
    from safetensors.numpy import save_file

    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({tensor: np.zeros(1, dtype=np.float32)}, file)
    return file


def renamed(name: str, words: dict[str, str]) -> str:
    for theirs, ours in words.items():
        name = re.sub(theirs, ours, name)
    return name


def unet_name(name: str) -> str:
    """SDXL's U-Net has three levels of two layers: input_blocks 0 to 8, middle_block 0 to 2, output_blocks 0 to 8."""
    if "resnets" in name:
        name = renamed(name, {
            r"norm1\.": "in_layers.0.", r"conv1\.": "in_layers.2.", r"norm2\.": "out_layers.0.", r"conv2\.": "out_layers.3.",
            "time_emb_proj": "emb_layers.1", "conv_shortcut": "skip_connection",
        })  # fmt: skip
    found = re.fullmatch(r"(down|up)_blocks\.(\d)\.(\w+?)\.(\d)\.(.+)", name)
    if found and found[3].endswith("samplers"):
        block = 3 * (int(found[2]) + 1)
        return (
            f"input_blocks.{block}.0.op.{found[5].removeprefix('conv.')}"
            if found[1] == "down"
            else f"output_blocks.{block - 1}.2.{found[5]}"
        )
    if found:
        block = 3 * int(found[2]) + int(found[4]) + (1 if found[1] == "down" else 0)
        return f"{'input' if found[1] == 'down' else 'output'}_blocks.{block}.{int(found[3] == 'attentions')}.{found[5]}"
    return renamed(name, {
        r"mid_block\.resnets\.0": "middle_block.0", r"mid_block\.attentions\.0": "middle_block.1",
        r"mid_block\.resnets\.1": "middle_block.2", r"^time_embedding\.linear_1": "time_embed.0",
        r"^time_embedding\.linear_2": "time_embed.2", r"^add_embedding\.linear_1": "label_emb.0.0",
        r"^add_embedding\.linear_2": "label_emb.0.2", r"^conv_in": "input_blocks.0.0", r"^conv_norm_out": "out.0",
        r"^conv_out": "out.2",
    })  # fmt: skip


def vae_name(name: str) -> str:
    name = re.sub(r"up_blocks\.(\d)", lambda found: f"up.{VAE_LEVELS - 1 - int(found[1])}", name)
    return renamed(name, {
        r"down_blocks\.": "down.", r"(down|up)\.(\d)\.resnets": r"\1.\2.block", r"downsamplers\.0": "downsample",
        r"upsamplers\.0": "upsample", "conv_shortcut": "nin_shortcut", r"mid_block\.resnets\.0": "mid.block_1",
        r"mid_block\.resnets\.1": "mid.block_2", r"mid_block\.attentions\.0": "mid.attn_1", "group_norm": "norm",
        r"to_out\.0": "proj_out", r"to_([qkv])": r"\1", "conv_norm_out": "norm_out",
    })  # fmt: skip


def as_vae(name: str, weight: Tensor) -> Tensor:
    """Stability's VAE has 1x1 convolutions where diffusers has linear layers."""
    return weight[:, :, None, None] if "attentions" in name and weight.ndim == 2 else weight


def text_weights(encoder: object) -> Weights:
    """The first encoder is named as in transformers."""
    weights: Weights = encoder.state_dict()
    return {name if name.startswith("text_model.") else f"text_model.{name}": weight for name, weight in weights.items()}


def open_clip_weights(encoder: object) -> Weights:
    """The second is named as in OpenCLIP, with query, key and value in one matrix."""
    import torch

    weights: Weights = {}
    parts: dict[str, Tensor] = {}
    for name, weight in encoder.state_dict().items():
        name = renamed(name.removeprefix("text_model."), {
            r"embeddings\.token_embedding": "token_embedding", r"embeddings\.position_embedding\.weight": "positional_embedding",
            r"encoder\.layers": "transformer.resblocks", "layer_norm1": "ln_1", "layer_norm2": "ln_2", r"mlp\.fc1": "mlp.c_fc",
            r"mlp\.fc2": "mlp.c_proj", r"self_attn\.out_proj": "attn.out_proj", "final_layer_norm": "ln_final",
        })  # fmt: skip
        (parts if "self_attn" in name else weights)[name] = weight
    for name in [name for name in parts if "q_proj" in name]:
        joined = torch.cat([parts[name.replace("q_proj", f"{letter}_proj")] for letter in "qkv"])
        weights[name.replace("self_attn.q_proj.", "attn.in_proj_")] = joined
    weights["text_projection"] = weights.pop("text_projection.weight").T
    return weights
