"""The training itself: an SDXL U-Net's LoRA learns to predict the noise in a dataset's latents.

Reads as a table of contents in `train`. All randomness of a step comes from the CPU's generator, whose state is saved and restored,
and the order of pictures from the seed and the epoch: the same command gives the same LoRA on the same machine, and a training
that is stopped and resumed gives the one that was never stopped.
"""

from __future__ import annotations

import math
import random
import sys
import time
import types
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from accelerate import Accelerator
from diffusers import DDPMScheduler, UNet2DConditionModel
from diffusers.optimization import get_scheduler
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from embedded.trainer import sdxl_model, trainer_samples, trainer_state
from embedded.trainer.kohya_dataset import Dataset, TrainingImage
from embedded.trainer.kohya_lora import LoraShape, add_lora
from embedded.trainer.kohya_metadata import checkpoint_metadata, lora_metadata
from embedded.trainer.sdxl_model import TextOutputs
from embedded.trainer.trainer_console import LOG, say
from embedded.trainer.trainer_control import SAMPLE, SAVE, STOP, StopAsked, take_wishes
from embedded.trainer.trainer_flags import Flags, Refused
from embedded.trainer.trainer_samples import SamplePainter
from embedded.trainer.trainer_state import Names, SavedProgress

DTYPES = {"no": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the U-Net learns from, one entry a picture; text outputs are shared by pictures of one caption."""

    latents: list[Tensor]
    texts: dict[str, TextOutputs]


@dataclass(frozen=True, slots=True)
class Training:
    """Everything a step needs. `weights` are the LoRA's; `dtype` is the frozen U-Net's, which looks at every weight when asked.

    `losses` are those of the last epoch's batches, whose mean is told at each step.
    """

    flags: Flags
    data: Dataset
    seed: int
    accelerator: Accelerator
    unet: UNet2DConditionModel
    dtype: torch.dtype
    weights: list[nn.Parameter]
    optimizer: Any
    lr_scheduler: Any
    noise: DDPMScheduler
    inputs: Inputs
    painter: SamplePainter | None
    metadata: dict[str, str]
    names: Names
    losses: deque[float]

    @property
    def kept(self) -> dict[str, Any]:
        """What a state holds beside the LoRA, by file name."""
        kept = {"optimizer.bin": self.optimizer, "scheduler.bin": self.lr_scheduler}
        return kept | ({"scaler.pt": self.accelerator.scaler} if self.accelerator.scaler is not None else {})


@dataclass(frozen=True, slots=True)
class Start:
    """Where the loop begins: optimizer steps already counted, the epoch (from 0), and steps of that epoch to pass over."""

    step: int = 0
    epoch: int = 0
    passed: int = 0


def train(flags: Flags, data: Dataset) -> None:
    """Trains and writes everything the flags ask for; raises `Refused` when it cannot, `StopAsked` when it was asked to stop."""
    seed = random.Random().randint(0, 2**32 - 1) if flags.seed is None else flags.seed
    start = find_start(flags, data)
    accelerator = open_accelerator(flags)
    training = prepare(flags, data, seed, accelerator)
    trainer_state.sweep(training.names)
    if flags.resume is not None:
        trainer_state.load_state(flags.resume, training.unet, training.kept)
        if flags.skip_until_initial_step:
            training.losses.extend(trainer_state.read_progress(flags.resume).losses)
    announce(training)
    step, epoch = run_epochs(training, start)
    if training.painter and not (trainer_samples.due(flags, step, None) or trainer_samples.due(flags, step, epoch)):
        paint(training, step, None)  # sd-scripts would leave the finished LoRA without a picture
    accelerator.end_training()
    last = training.names.last()
    if flags.save_state or flags.save_state_on_train_end:
        save_state(training, trainer_state.state_folder(last), SavedProgress(epoch, step))
    save_checkpoint(training, last, step, epoch)
    LOG.info("model saved.")


def open_accelerator(flags: Flags) -> Accelerator:
    """The device, its precision and the TensorBoard tracker (in {logging_dir}/{log_prefix}{time}/{log_tracker_name})."""
    if flags.mixed_precision == "fp16" and not torch.cuda.is_available():
        raise Refused("mixed_precision fp16 needs a GPU: CPUs do not compute in half precision; use bf16 or no")
    folder = None
    if flags.logging_dir is not None:
        folder = flags.logging_dir / f"{flags.log_prefix}{time.strftime('%Y%m%d%H%M%S')}"
        # torch's SummaryWriter would load the whole of TensorFlow, if installed, only to write files without it
        sys.modules.setdefault("tensorboard.compat.notf", types.ModuleType("tensorboard.compat.notf"))
    accelerator = Accelerator(mixed_precision=flags.mixed_precision, log_with="tensorboard" if folder else None, project_dir=folder)
    say(f"accelerator device: {accelerator.device}")
    return accelerator


def prepare(flags: Flags, data: Dataset, seed: int, accelerator: Accelerator) -> Training:
    """Computes latents and text outputs, then loads the U-Net, adds the LoRA and builds the optimizer."""
    dtype = DTYPES[flags.mixed_precision]
    noise = DDPMScheduler.from_config(sdxl_model.scheduler_config(flags.base))
    inputs, painter = cache_inputs(flags, data, seed, accelerator.device)
    unet = sdxl_model.load_unet(flags.base, dtype).to(accelerator.device)
    say(f"import network module: {flags.network_module}")
    torch.manual_seed(seed)
    weights = add_lora(unet, LoraShape.of(flags), torch.bfloat16 if flags.full_bf16 else torch.float32)
    LOG.info(f"create LoRA for U-Net: {len(weights) // 2} modules.")
    if flags.gradient_checkpointing:
        unet.enable_gradient_checkpointing()
    unet.train(flags.gradient_checkpointing)
    say("prepare optimizer, data loader etc.")
    optimizer = build_optimizer(flags, weights)
    lr_scheduler = get_scheduler(
        flags.lr_scheduler, optimizer, num_warmup_steps=flags.warmup_steps, num_training_steps=flags.max_train_steps,
        num_cycles=flags.lr_scheduler_num_cycles, power=flags.lr_scheduler_power,
    )  # fmt: skip
    optimizer, lr_scheduler = accelerator.prepare(optimizer, lr_scheduler)
    return Training(
        flags=flags, data=data, seed=seed, accelerator=accelerator, unet=unet, dtype=dtype, weights=weights, optimizer=optimizer,
        lr_scheduler=lr_scheduler, noise=noise, inputs=inputs, painter=painter,
        metadata=lora_metadata(flags, data, seed, noise.config["prediction_type"]),
        names=Names(flags.output_dir, flags.output_name), losses=deque(maxlen=data.batches_per_epoch),
    )  # fmt: skip


def cache_inputs(flags: Flags, data: Dataset, seed: int, device: torch.device) -> tuple[Inputs, SamplePainter | None]:
    """Latents of all pictures and text outputs of all captions; the VAE stays, on the CPU, only if samples are painted."""
    dtype = DTYPES[flags.mixed_precision]
    prompts = trainer_samples.read_prompts(flags)
    vae = sdxl_model.load_vae(flags.base, torch.float32 if flags.no_half_vae else dtype)
    LOG.info("caching latents.")
    latents = sdxl_model.encode_pictures(vae, data.pictures, device, seed)
    vae.to("cpu")
    LOG.info("caching Text Encoder outputs.")
    captions = [picture.caption for picture in data.pictures]
    spoken = [text for prompt in prompts for text in (prompt.text, prompt.negative)]
    texts = sdxl_model.encode_captions(flags.base, captions + spoken, flags.max_token_length, device, dtype)
    painter = SamplePainter(prompts, texts, vae, sdxl_model.scheduler_config(flags.base), flags) if prompts else None
    return Inputs(latents, texts), painter


def build_optimizer(flags: Flags, weights: list[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer of --optimizer_type with --optimizer_args; only the one asked for is imported."""
    name = flags.optimizer_type.lower()
    options: dict[str, Any] = dict(flags.optimizer_args)
    try:
        if name == "adamw":
            return torch.optim.AdamW(weights, lr=flags.rate, **{"fused": True} | options)
        if name == "adafactor":
            from transformers.optimization import Adafactor

            return Adafactor(weights, lr=flags.rate, **options)
        import bitsandbytes

        found = {"adamw8bit": "AdamW8bit", "pagedadamw8bit": "PagedAdamW8bit"}[name]
        return getattr(bitsandbytes.optim, found)(weights, lr=flags.rate, **options)
    except ImportError as error:
        raise Refused(f"{flags.optimizer_type} needs bitsandbytes ({error}); use --optimizer_type AdamW") from error
    except TypeError as error:
        raise Refused(f"optimizer_args: {error}") from error


def find_start(flags: Flags, data: Dataset) -> Start:
    """Where to begin; raises `Refused` past the end, before anything heavy is loaded.

    As in sd-scripts a resumed training counts its steps from 0 again unless --skip_until_initial_step says to go on from the
    state's step; --initial_step and --initial_epoch take that step's place.
    """
    per_epoch = steps_per_epoch(flags, data)
    initial = 0 if flags.resume is None else trainer_state.read_progress(flags.resume).current_step
    if flags.initial_step is not None:
        initial = flags.initial_step
    elif flags.initial_epoch is not None:
        initial = (flags.initial_epoch - 1) * per_epoch
    if initial >= flags.max_train_steps:
        raise Refused(
            f"max_train_steps should be greater than initial step: {flags.max_train_steps} vs {initial}; "
            "the training that is resumed has already reached its end"
        )
    epoch, passed = divmod(max(initial, 0), per_epoch)
    if not flags.skip_until_initial_step:
        return Start(epoch=epoch)
    if initial > 0:
        LOG.info(f"skipping {initial} steps / {initial}ステップをスキップします")
    return Start(initial, epoch, passed)


def steps_per_epoch(flags: Flags, data: Dataset) -> int:
    """Optimizer steps in an epoch; the last one may gather fewer batches."""
    return math.ceil(data.batches_per_epoch / flags.gradient_accumulation_steps)


def announce(training: Training) -> None:
    """sd-scripts' summary before the first step."""
    flags, data = training.flags, training.data
    say("running training / 学習開始")
    say(f"  num train images * repeats / 学習画像の数×繰り返し回数: {data.train_images}")
    say(f"  num reg images / 正則化画像の数: {data.reg_images}")
    say(f"  num batches per epoch / 1epochのバッチ数: {data.batches_per_epoch}")
    say(f"  num epochs / epoch数: {math.ceil(flags.max_train_steps / steps_per_epoch(flags, data))}")
    say(f"  batch size per device / バッチサイズ: {flags.train_batch_size}")
    say(f"  gradient accumulation steps / 勾配を合計するステップ数 = {flags.gradient_accumulation_steps}")
    say(f"  total optimization steps / 学習ステップ数: {flags.max_train_steps}")
    if flags.logging_dir is not None:
        training.accelerator.init_trackers(flags.log_tracker_name)


def run_epochs(training: Training, start: Start) -> tuple[int, int]:
    """Runs to the last step; returns steps and epochs (from 1) as they stand then."""
    flags, step = training.flags, start.step
    left = flags.max_train_steps - step + start.passed
    epochs = start.epoch + math.ceil(left / steps_per_epoch(flags, training.data))
    losses = training.losses
    if training.painter and step == 0 and trainer_samples.due(flags, 0, None):
        paint(training, 0, 0)
    bar = tqdm(total=flags.max_train_steps - step, smoothing=0, desc="steps")
    if losses:  # else a checkpoint of the first step would have no loss to be known by
        bar.set_postfix(avr_loss=fmean(losses))
    for epoch in range(start.epoch, epochs):
        say(f"\nepoch {epoch + 1}/{epochs}\n")
        LOG.info(f"epoch is incremented. current_epoch: {epoch}, epoch: {epoch + 1}")
        for gathered in _gathered_batches(training, epoch, start.passed if epoch == start.epoch else 0):
            current = train_step(training, gathered, losses)
            step += 1
            bar.update(1)
            bar.set_postfix(avr_loss=fmean(losses))  # before what is saved: its label is what a resumed run begins with
            after_step(training, step, epoch + 1)
            log_step(training, step, current, fmean(losses))
            if step >= flags.max_train_steps:
                break
            heed_wishes(training, step, epoch + 1)
        training.accelerator.log({"loss/epoch_average": fmean(losses)}, step=epoch + 1)
        after_epoch(training, step, epoch + 1, is_last=epoch + 1 == epochs)
    bar.close()
    return step, epochs


def train_step(training: Training, gathered: list[list[int]], losses: deque[float]) -> float:
    """One optimizer step over one or more batches; adds each batch's loss to `losses`, returns the last."""
    for members in gathered:
        loss = batch_loss(training, members)
        training.accelerator.backward(loss / len(gathered))
        losses.append(loss.item())
    if training.flags.max_grad_norm:
        training.accelerator.clip_grad_norm_(training.weights, training.flags.max_grad_norm)
    training.optimizer.step()
    training.lr_scheduler.step()
    training.optimizer.zero_grad(set_to_none=True)
    return losses[-1]


def batch_loss(training: Training, members: list[int]) -> Tensor:
    """Mean squared error of the U-Net's prediction for a batch, regularisation pictures weighed by --prior_loss_weight."""
    flags, unet, inputs = training.flags, training.unet, training.inputs
    device, dtype = training.accelerator.device, training.dtype
    pictures = [training.data.pictures[index] for index in members]
    texts = [inputs.texts[picture.caption] for picture in pictures]
    latents = torch.stack([inputs.latents[index] for index in members])
    noise = torch.randn(latents.shape)
    if flags.noise_offset:
        noise += flags.noise_offset * torch.randn(*latents.shape[:2], 1, 1)
    times = torch.randint(0, training.noise.config["num_train_timesteps"], (len(members),))
    noisy = training.noise.add_noise(latents, noise, times)
    conditions = {
        "text_embeds": torch.stack([text.pooled for text in texts]).to(device, dtype),
        "time_ids": torch.tensor([size_ids(picture) for picture in pictures], device=device, dtype=dtype),
    }
    hidden = torch.stack([text.hidden for text in texts]).to(device, dtype)
    with training.accelerator.autocast():
        predicted = unet(noisy.to(device, dtype), times.to(device), hidden, added_cond_kwargs=conditions).sample
    target = target_of(training.noise, latents, noise, times).to(device)
    loss = functional.mse_loss(predicted.float(), target, reduction="none").mean(dim=(1, 2, 3))
    weights = torch.tensor([flags.prior_loss_weight if picture.is_reg else 1.0 for picture in pictures])
    if flags.min_snr_gamma:
        weights = weights * min_snr_weights(training.noise, times, flags.min_snr_gamma)
    return (loss * weights.to(device)).mean()


def size_ids(picture: TrainingImage) -> list[int]:
    """SDXL's six numbers about a picture: its own height and width, the top and left of the crop, height and width seen.

    A picture that was shrunk counts as one of the size it was shrunk to: that is what the pipeline says when it paints, and a
    small base has never heard of originals larger than its canvas. One that was enlarged keeps its true, small size.
    """
    own = [min(side, made) for side, made in zip(picture.size, picture.resized, strict=True)]
    left, top = ((made - seen) // 2 for made, seen in zip(picture.resized, picture.bucket, strict=True))
    return [own[1], own[0], top, left, picture.bucket[1], picture.bucket[0]]


def target_of(schedule: DDPMScheduler, latents: Tensor, noise: Tensor, times: Tensor) -> Tensor:
    """What the U-Net should predict: the noise, the velocity, or the picture, by the scheduler's prediction type."""
    kind = schedule.config["prediction_type"]
    if kind == "epsilon":
        return noise
    if kind == "v_prediction":
        velocity: Tensor = schedule.get_velocity(latents, noise, times)
        return velocity
    return latents


def min_snr_weights(schedule: DDPMScheduler, times: Tensor, gamma: float) -> Tensor:
    """Min-SNR weights (arXiv:2303.09556) of each time step for the schedule's prediction type."""
    kept = schedule.alphas_cumprod[times]
    ratio = kept / (1 - kept)
    smallest = torch.clamp(ratio, max=gamma)
    if schedule.config["prediction_type"] == "v_prediction":
        return smallest / (ratio + 1)
    # where nothing of the picture is left (zero terminal SNR) both are 0 and the weight tends to 1
    return torch.where(ratio > 0, smallest / ratio.clamp(min=1e-8), torch.ones_like(ratio))


def after_step(training: Training, step: int, epoch: int) -> None:
    """Samples, step file and state when they are due after `step`, and pruning of old ones."""
    flags = training.flags
    if training.painter and trainer_samples.due(flags, step, None):
        paint(training, step, None)
    if flags.save_every_n_steps and step % flags.save_every_n_steps == 0:
        checkpoint = training.names.step(step)
        save_checkpoint(training, checkpoint, step, epoch)
        if flags.save_state:
            LOG.info(f"\nsaving state at step {step}")
            save_state(training, trainer_state.state_folder(checkpoint), SavedProgress(epoch, step))
        trainer_state.prune_steps(flags, training.names, step)


def heed_wishes(training: Training, step: int, epoch: int) -> None:
    """Does what was asked for since the last step, unless it was due anyway; raises `StopAsked` once the state is saved."""
    flags, wishes = training.flags, take_wishes()
    if SAMPLE in wishes and training.painter and not trainer_samples.due(flags, step, None):
        paint(training, step, None)
    saved = bool(flags.save_every_n_steps) and step % (flags.save_every_n_steps or 1) == 0
    checkpoint = training.names.step(step)
    if SAVE in wishes and not saved:
        save_checkpoint(training, checkpoint, step, epoch)
    if wishes & {SAVE, STOP} and not (saved and flags.save_state):
        LOG.info(f"\nsaving state at step {step}")
        save_state(training, trainer_state.state_folder(checkpoint), SavedProgress(epoch, step))
        trainer_state.prune_asked(flags, training.names, step)
    if STOP in wishes:
        training.accelerator.end_training()
        LOG.info(f"stopped at step {step}, as asked")
        raise StopAsked


def after_epoch(training: Training, step: int, epoch: int, is_last: bool) -> None:
    """The epoch's file and state (the last epoch's is the finished LoRA), and samples."""
    flags = training.flags
    if flags.save_every_n_epochs and epoch % flags.save_every_n_epochs == 0 and not is_last:
        checkpoint = training.names.epoch(epoch)
        save_checkpoint(training, checkpoint, step, epoch)
        if flags.save_state:
            LOG.info(f"\nsaving state at epoch {epoch}")
            save_state(training, trainer_state.state_folder(checkpoint), SavedProgress(epoch, step))
    if training.painter and trainer_samples.due(flags, step, epoch):
        paint(training, step, epoch)


def log_step(training: Training, step: int, current: float, average: float) -> None:
    """TensorBoard scalars under sd-scripts' names."""
    rate = float(training.lr_scheduler.get_last_lr()[0])
    scalars = {"loss/current": current, "loss/average": average, "lr/unet": rate, "lr/group0": rate}
    training.accelerator.log(scalars, step=step)


def paint(training: Training, step: int, epoch: int | None) -> None:
    """Paints the samples with the LoRA as it is."""
    assert training.painter is not None
    with training.accelerator.autocast():
        trainer_samples.paint(training.painter, training.unet, step, epoch)


def save_checkpoint(training: Training, path: Path, step: int, epoch: int) -> None:
    """Writes the LoRA with what is known at `step`."""
    header = checkpoint_metadata(training.metadata, step, epoch)
    trainer_state.save_checkpoint(training.unet, path, training.flags.save_precision, header)


def save_state(training: Training, folder: Path, progress: SavedProgress) -> None:
    """Writes all that --resume needs."""
    trainer_state.save_state(folder, training.unet, training.kept, replace(progress, losses=tuple(training.losses)))


def _gathered_batches(training: Training, epoch: int, passed: int) -> Iterator[list[list[int]]]:
    """The batches of each optimizer step of an epoch, without the first `passed` steps."""
    batches = training.data.batches(training.seed, epoch)
    size = training.flags.gradient_accumulation_steps
    for at in range(passed * size, len(batches), size):
        yield batches[at : at + size]
