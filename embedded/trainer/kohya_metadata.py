"""What sd-scripts writes into a LoRA's header: ss_* about the training, modelspec.* about the model.

Captions are among it (`ss_tag_frequency`), so a client's words leave the machine with the file; --no_metadata keeps only what other
programs need to load it.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from datetime import datetime

from embedded.trainer.kohya_dataset import Dataset
from embedded.trainer.trainer_flags import Flags

SDXL_VERSION = "sdxl_base_v1-0"
# No program knows this name, and so none takes the LoRA for one of SDXL. ModelSpec leaves names of one's own free.
SMALL_VERSION = "avatar_pipeline_embedded"
SDXL_WIDTH = 320  # channels of the first block of SDXL's U-Net
MINIMUM = frozenset(
    {
        "ss_v2",
        "ss_base_model_version",
        "ss_network_module",
        "ss_network_dim",
        "ss_network_alpha",
        "ss_network_args",
    }
)


def lora_metadata(flags: Flags, data: Dataset, seed: int, prediction_type: str) -> dict[str, str]:
    """All that is known before the first step; `checkpoint_metadata` adds what a step knows."""
    known = _training(flags, seed) | _dataset(flags, data)
    if flags.no_metadata:
        known = {key: value for key, value in known.items() if key in MINIMUM}
    return {key: str(value) for key, value in known.items()} | _modelspec(flags, prediction_type)


def checkpoint_metadata(known: dict[str, str], steps: int, epoch: int) -> dict[str, str]:
    """The header of the file written after `steps`; a minimal header stays minimal."""
    own = {"ss_training_finished_at": str(time.time()), "ss_steps": str(steps), "ss_epoch": str(epoch)}
    date = {"modelspec.date": datetime.now().replace(microsecond=0).isoformat()}
    return known | date | (own if "ss_output_name" in known else {})


def _training(flags: Flags, seed: int) -> dict[str, object]:
    optional: dict[str, object] = {"ss_network_args": json.dumps(flags.network_args)} if flags.network_args else {}
    return optional | {
        "ss_session_id": random.Random().randint(0, 2**32),
        "ss_training_started_at": time.time(),
        "ss_output_name": flags.output_name,
        "ss_sd_model_name": flags.pretrained_model_name_or_path.resolve().name,
        "ss_base_model_version": SMALL_VERSION if _is_small(flags) else SDXL_VERSION,
        "ss_v2": False,
        "ss_network_module": flags.network_module,
        "ss_network_dim": flags.network_dim,
        "ss_network_alpha": flags.network_alpha,
        "ss_network_dropout": None,
        "ss_learning_rate": flags.learning_rate,
        "ss_unet_lr": flags.unet_lr,
        "ss_text_encoder_lr": None,
        "ss_optimizer": flags.optimizer_type + (f"({flags.optimizer_args})" if flags.optimizer_args else ""),
        "ss_lr_scheduler": flags.lr_scheduler,
        "ss_lr_warmup_steps": flags.lr_warmup_steps,
        "ss_max_grad_norm": flags.max_grad_norm,
        "ss_max_train_steps": flags.max_train_steps,
        "ss_gradient_accumulation_steps": flags.gradient_accumulation_steps,
        "ss_gradient_checkpointing": flags.gradient_checkpointing,
        "ss_mixed_precision": flags.mixed_precision,
        "ss_max_token_length": flags.max_token_length,
        "ss_cache_latents": True,
        "ss_noise_offset": flags.noise_offset,
        "ss_min_snr_gamma": flags.min_snr_gamma,
        "ss_prior_loss_weight": flags.prior_loss_weight,
        "ss_loss_type": flags.loss_type,
        "ss_training_comment": flags.training_comment,
        "ss_seed": seed,
    }


def _is_small(flags: Flags) -> bool:
    """Whether the base only has SDXL's layout and not its size, so that its LoRAs fit no SDXL.

    A checkpoint in one file is SDXL to sd-scripts' trainer whatever it holds, and so it is here.
    """
    base = flags.base
    if base.weights.is_file():
        return False
    unet = json.loads((base.config / "unet" / "config.json").read_text(encoding="utf-8"))
    return bool(unet["block_out_channels"][0] < SDXL_WIDTH)


def _dataset(flags: Flags, data: Dataset) -> dict[str, object]:
    folders: dict[bool, dict[str, dict[str, int]]] = {False: {}, True: {}}
    for subset in data.subsets:
        folders[subset.is_reg][subset.folder.name] = {"n_repeats": subset.repeats, "img_count": len(subset.pictures)}
    buckets = {index: {"resolution": size, "count": count} for index, (size, count) in enumerate(data.bucket_counts.items())}
    per_epoch = -(-data.batches_per_epoch // flags.gradient_accumulation_steps)
    return {
        "ss_num_train_images": data.train_images,
        "ss_num_reg_images": data.reg_images,
        "ss_num_batches_per_epoch": data.batches_per_epoch,
        "ss_num_epochs": -(-flags.max_train_steps // per_epoch),
        "ss_batch_size_per_device": flags.train_batch_size,
        "ss_total_batch_size": flags.train_batch_size * flags.gradient_accumulation_steps,
        "ss_resolution": flags.resolution,
        "ss_enable_bucket": flags.enable_bucket,
        "ss_bucket_no_upscale": flags.bucket_no_upscale,
        "ss_bucket_info": json.dumps({"buckets": buckets} if flags.enable_bucket else None),
        "ss_dataset_dirs": json.dumps(folders[False]),
        "ss_reg_dataset_dirs": json.dumps(folders[True]),
        "ss_tag_frequency": json.dumps(_tag_frequency(data)),
    }


def _tag_frequency(data: Dataset) -> dict[str, dict[str, int]]:
    """How often each comma-separated piece of a caption occurs, by folder, repeats not counted."""
    frequency: dict[str, dict[str, int]] = {}
    for subset in data.subsets:
        pieces = (piece.strip().lower() for picture in subset.pictures for piece in picture.caption.split(","))
        frequency[subset.folder.name] = dict(Counter(piece for piece in pieces if piece))
    return frequency


def _modelspec(flags: Flags, prediction_type: str) -> dict[str, str]:
    optional = {
        "author": flags.metadata_author,
        "description": flags.metadata_description,
        "license": flags.metadata_license,
        "tags": flags.metadata_tags,
    }
    small = _is_small(flags)
    return {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": f"{SMALL_VERSION}/lora" if small else "stable-diffusion-xl-v1-base/lora",
        "modelspec.implementation": "diffusers" if small else "https://github.com/Stability-AI/generative-models",
        "modelspec.title": flags.metadata_title or flags.output_name or f"LoRA@{time.time()}",
        "modelspec.resolution": f"{flags.resolution[0]}x{flags.resolution[1]}",
        "modelspec.prediction_type": "v" if prediction_type == "v_prediction" else prediction_type,
    } | {f"modelspec.{field}": value for field, value in optional.items() if value is not None}
