"""A LoRA of an SDXL U-Net: which layers sd-scripts adapts, and its names for them in a file.

sd-scripts counts blocks as Stability's own code does (input_blocks 0 to 8, middle_block, output_blocks 0 to 8), diffusers as
down_blocks, mid_block and up_blocks. A file is written with the first kind of name and each layer's true alpha, which diffusers
and every SDXL program read back to the same picture.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from peft import LoraConfig
from safetensors.torch import load_file, save
from torch import Tensor, nn

from embedded.trainer.trainer_flags import Flags, Refused

ADAPTER = "default"
LAYERS_PER_BLOCK = 2  # SDXL's; sd-scripts' names, and diffusers' reading of them, are defined for no other
BLOCKS = 3
ATTENTION_CLASSES = frozenset({"Transformer2DModel"})
CONVOLUTION_CLASSES = frozenset({"ResnetBlock2D", "Downsample2D", "Upsample2D"})
RESNET_PARTS = {
    "conv1": "in_layers.2",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}


@dataclass(frozen=True, slots=True)
class LoraShape:
    """Rank and alpha of linear and 1x1 layers, and of 3x3 convolutions (None: those are left alone)."""

    dim: int
    alpha: float
    conv_dim: int | None = None
    conv_alpha: float = 1.0

    @classmethod
    def of(cls, flags: Flags) -> LoraShape:
        """The shape the flags ask for; an alpha of 0 means the rank, as in sd-scripts."""
        conv_dim = int(flags.network_args["conv_dim"]) if "conv_dim" in flags.network_args else None
        conv_alpha = float(flags.network_args.get("conv_alpha", "1"))
        return cls(flags.network_dim, flags.network_alpha or flags.network_dim, conv_dim, conv_alpha or conv_dim or 1.0)


@dataclass(frozen=True, slots=True)
class LoraLayer:
    """One adapted layer: its name in a file, its two weights, its alpha."""

    key: str
    down: nn.Parameter
    up: nn.Parameter
    alpha: float


def add_lora(unet: UNet2DConditionModel, shape: LoraShape, dtype: torch.dtype) -> list[nn.Parameter]:
    """Adds the LoRA (down weights random, up weights zero, so that nothing changes yet); returns its weights.

    Raises:
        Refused: the U-Net does not have SDXL's blocks, so its layers have no names in sd-scripts' format.
    """
    config = unet.config
    if config["layers_per_block"] != LAYERS_PER_BLOCK or len(config["block_out_channels"]) != BLOCKS:
        raise Refused("this U-Net is not of SDXL's shape: 3 blocks of 2 layers")
    linear, conv = target_layers(unet, with_convolutions=shape.conv_dim is not None)
    own_conv = dict.fromkeys(conv, shape.conv_dim or shape.dim), dict.fromkeys(conv, shape.conv_alpha)
    same = (shape.conv_dim, shape.conv_alpha) == (shape.dim, shape.alpha)
    unet.add_adapter(
        LoraConfig(
            r=shape.dim,
            lora_alpha=shape.alpha,  # a float: peft only multiplies by it
            target_modules=linear + conv,
            rank_pattern={} if same else own_conv[0],
            alpha_pattern={} if same else own_conv[1],
        ),
        adapter_name=ADAPTER,
    )
    weights = [weight for layer in lora_layers(unet) for weight in (layer.down, layer.up)]
    for weight in weights:
        weight.data = weight.data.to(dtype)
    return weights


def target_layers(unet: nn.Module, with_convolutions: bool) -> tuple[list[str], list[str]]:
    """Names of the layers sd-scripts adapts: linear and 1x1 ones, and 3x3 convolutions.

    Without convolutions these are the linear layers of transformers only; with them, all layers of resnets and samplers too.
    """
    parents = ATTENTION_CLASSES | (CONVOLUTION_CLASSES if with_convolutions else frozenset())
    linear: list[str] = []
    conv: list[str] = []
    for parent_name, parent in unet.named_modules():
        if type(parent).__name__ not in parents:
            continue
        for name, module in parent.named_modules():
            if isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1)):
                linear.append(f"{parent_name}.{name}")
            elif isinstance(module, nn.Conv2d) and with_convolutions:
                conv.append(f"{parent_name}.{name}")
    return linear, conv


def lora_layers(unet: nn.Module) -> Iterator[LoraLayer]:
    """Every adapted layer, in the U-Net's order."""
    for name, module in unet.named_modules():
        downs: Any = getattr(module, "lora_A", None)
        ups: Any = getattr(module, "lora_B", None)
        if downs is not None and ups is not None and ADAPTER in downs:
            alphas: Any = module.lora_alpha
            yield LoraLayer(kohya_name(name), downs[ADAPTER].weight, ups[ADAPTER].weight, float(alphas[ADAPTER]))


def kohya_name(name: str) -> str:
    """The name in sd-scripts' files of a layer that diffusers calls `name`: 'down_blocks.1.attentions.0.proj_in' is
    'lora_unet_input_blocks_4_1_proj_in'. A layer outside the blocks keeps its name."""
    return "lora_unet_" + _stability_name(name).replace(".", "_")


def _stability_name(name: str) -> str:
    found = re.fullmatch(r"(down|mid|up)_blocks?\.(?:(\d+)\.)?(\w+?)\.(\d+)\.(.+)", name)
    if found is None:
        return name
    side, block, kind, index, rest = found[1], int(found[2] or 0), found[3], int(found[4]), found[5]
    rest = RESNET_PARTS.get(rest, rest)
    if side == "mid":
        return f"middle_block.{1 if kind == 'attentions' else 2 * index}.{rest}"
    if kind == "downsamplers":
        return f"input_blocks.{(block + 1) * (LAYERS_PER_BLOCK + 1)}.0.op"
    if kind == "upsamplers":
        # after the resnet and the attention of the block's last layer
        return f"output_blocks.{block * (LAYERS_PER_BLOCK + 1) + LAYERS_PER_BLOCK}.2.{rest}"
    place = 0 if kind == "resnets" else 1
    if side == "down":
        return f"input_blocks.{1 + block * (LAYERS_PER_BLOCK + 1) + index}.{place}.{rest}"
    return f"output_blocks.{block * (LAYERS_PER_BLOCK + 1) + index}.{place}.{rest}"


def kohya_tensors(unet: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    """The LoRA as sd-scripts writes it: lora_down, lora_up and the true alpha of each layer, on the CPU in `dtype`."""
    tensors: dict[str, Tensor] = {}
    for layer in lora_layers(unet):
        tensors[f"{layer.key}.alpha"] = torch.tensor(layer.alpha, dtype=dtype)
        tensors[f"{layer.key}.lora_down.weight"] = layer.down.detach().to("cpu", dtype).contiguous()
        tensors[f"{layer.key}.lora_up.weight"] = layer.up.detach().to("cpu", dtype).contiguous()
    return tensors


def load_lora(unet: nn.Module, file: Path) -> None:
    """Puts a saved LoRA's weights into the U-Net's own; raises `Refused` when ranks or layers differ."""
    tensors = load_file(file)
    layers = list(lora_layers(unet))
    if len(tensors) != 3 * len(layers):
        raise Refused(f"{file} holds {len(tensors) // 3} LoRA layers, these flags ask for {len(layers)}")
    for layer in layers:
        down, up = (tensors.get(f"{layer.key}.lora_{part}.weight") for part in ("down", "up"))
        if down is None or up is None or down.shape != layer.down.shape or up.shape != layer.up.shape:
            raise Refused(f"{file} does not fit these flags at {layer.key}: same network_dim and network_args as then?")
        layer.down.data.copy_(down)
        layer.up.data.copy_(up)


def safetensors_bytes(tensors: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    """The file's content, with the two hashes sd-scripts adds so that other programs need not read the file to know it."""
    lasting = {key: value for key, value in metadata.items() if key.startswith("ss_")}
    plain = save(tensors, lasting)
    body = 8 + int.from_bytes(plain[:8], "little")  # the header's length, then the header
    hashes = {
        "sshs_model_hash": hashlib.sha256(plain[body:]).hexdigest(),
        "sshs_legacy_hash": hashlib.sha256(plain[0x100000:0x110000]).hexdigest()[:8],
    }
    content: bytes = save(tensors, metadata | hashes)
    return content
