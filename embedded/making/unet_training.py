"""Train the U-Net together with both text encoders, on coded portraits and their captions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as functional

from embedded.making.base_model import (
    MAX_TOKENS,
    NOISE_SCHEDULE,
    PATCH_SIDE,
    PICTURE_SIDE,
    load_base,
    make_text_encoders,
    make_tokenizer,
    make_unet,
)
from embedded.making.network_training import NetworkTraining, StepReport, TrainingSettings
from embedded.making.vae_training import picture_importance

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

    from embedded.making.training_set import TrainingSet

SETTINGS = TrainingSettings(steps=6_000, batch=32, seed=7, peak_rate=2e-3, warm_up_steps=100, memory=0.998, weight_decay=1e-3)
SECOND_SETTINGS = TrainingSettings(
    steps=5_000, batch=32, seed=8, peak_rate=1e-3, warm_up_steps=100, memory=0.998, weight_decay=1e-3
)
"""From the weights of the first training, with the face counted for more: after the first, eyes and mouths are still smudged."""
DROP_PROMPT = 0.10
"""Share of the pictures shown with an empty prompt, so that guidance has something to push away from."""
OTHER_SIZE = 0.3
"""Share of the pictures told to be of another original size, so that the base does not break when given one."""
SIZES = (64, 96, 128, 256, 512, 768, 1024)


def new_unet_training(tokenizer: CLIPTokenizer, work: Path) -> NetworkTraining:
    """The U-Net and both text encoders, in this order, as they begin or as the last checkpoint left them."""
    torch.manual_seed(SETTINGS.seed)
    text_encoders = make_text_encoders(tokenizer)
    return NetworkTraining(torch.nn.ModuleList([make_unet(), *text_encoders]), SETTINGS, work / "unet.pt")


def new_second_training(tokenizer: CLIPTokenizer, work: Path, base: Path | None) -> NetworkTraining:
    """The same parts as the first training left them, or as they lie in a finished base, or as the last checkpoint left them."""
    parts = load_base_parts(base) if base else new_unet_training(tokenizer, work).average
    return NetworkTraining(parts.requires_grad_(True), SECOND_SETTINGS, work / "unet_second.pt")


def load_base_parts(base: Path) -> torch.nn.ModuleList:
    """The U-Net and both text encoders of a finished base, in single precision."""
    pipeline = load_base(base)
    return torch.nn.ModuleList([pipeline.unet, pipeline.text_encoder, pipeline.text_encoder_2])


def train_unet(training_set: TrainingSet, work: Path) -> Iterator[StepReport]:
    """Train for the fixed number of steps, from the last checkpoint if there is one."""
    tokenizer = make_tokenizer(training_set.all_captions())
    batches = _BatchMaker(training_set, tokenizer, importance=1.0)
    yield from _train(new_unet_training(tokenizer, work), batches)


def train_unet_again(training_set: TrainingSet, work: Path, base: Path | None) -> Iterator[StepReport]:
    """The second training, from the last checkpoint if there is one."""
    tokenizer = make_tokenizer(training_set.all_captions())
    batches = _BatchMaker(training_set, tokenizer, functional.avg_pool2d(picture_importance(), PATCH_SIDE))
    yield from _train(new_second_training(tokenizer, work, base), batches)


def _train(training: NetworkTraining, batches: _BatchMaker) -> Iterator[StepReport]:
    while training.learning:
        training.learn(_loss(training, batches))
        if progress := training.report():
            yield progress


class _BatchMaker:
    """Hands out batches: noisy latents with what the U-Net should say about them, and how much each place counts."""

    def __init__(self, training_set: TrainingSet, tokenizer: CLIPTokenizer, importance: torch.Tensor | float) -> None:
        from diffusers import DDPMScheduler

        self.importance = importance
        self.latents = training_set.latents
        variants = [tokens_of(list(texts), tokenizer) for texts in zip(*training_set.captions, strict=True)]
        self.tokens = torch.stack(variants, dim=1)
        self.no_prompt = tokens_of([""], tokenizer)[0]
        self.schedule: Any = DDPMScheduler(**NOISE_SCHEDULE)
        self.sizes = torch.tensor(SIZES, dtype=torch.float32)

    def batch(self, random: torch.Generator) -> tuple[torch.Tensor, ...]:
        """Noisy latents, their times, prompts, sizes, and the velocities to predict."""
        rows = torch.randint(len(self.latents), (SETTINGS.batch,), generator=random)
        clean = self.latents[rows]
        noise = torch.randn(clean.shape, generator=random)
        times = torch.randint(NOISE_SCHEDULE["num_train_timesteps"], (SETTINGS.batch,), generator=random)
        prompts = self.tokens[rows, torch.randint(self.tokens.shape[1], (SETTINGS.batch,), generator=random)]
        dropped = torch.rand(SETTINGS.batch, generator=random) < DROP_PROMPT
        prompts = torch.where(dropped[:, None], self.no_prompt, prompts)
        noisy = self.schedule.add_noise(clean, noise, times)
        velocity = self.schedule.get_velocity(clean, noise, times)
        return noisy, times, prompts, self._sizes(random), velocity

    def _sizes(self, random: torch.Generator) -> torch.Tensor:
        side = float(PICTURE_SIDE)
        time_ids = torch.tensor([side, side, 0.0, 0.0, side, side]).repeat(SETTINGS.batch, 1)
        for pair in (slice(0, 2), slice(4, 6)):
            other = torch.rand(SETTINGS.batch, generator=random) < OTHER_SIZE
            sizes = self.sizes[torch.randint(len(self.sizes), (SETTINGS.batch,), generator=random)]
            time_ids[:, pair] = torch.where(other, sizes, torch.tensor(side))[:, None].expand(-1, 2)
        return time_ids


def tokens_of(texts: list[str], tokenizer: CLIPTokenizer) -> torch.Tensor:
    """Token ids, padded as the pipeline pads them."""
    coded = tokenizer(texts, padding="max_length", truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
    ids: torch.Tensor = coded.input_ids
    return ids


def _loss(training: NetworkTraining, batches: _BatchMaker) -> torch.Tensor:
    """How far the predicted velocities are from the true ones in the next batch."""
    unet, first_encoder, second_encoder = training.parts
    noisy, times, prompts, sizes, velocity = batches.batch(training.random)
    first = first_encoder(prompts, output_hidden_states=True)
    second = second_encoder(prompts, output_hidden_states=True)
    words = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=-1)
    conditions = {"text_embeds": second.text_embeds, "time_ids": sizes}
    predicted = unet(noisy, times, words, added_cond_kwargs=conditions).sample
    return ((predicted - velocity).square() * batches.importance).mean()
