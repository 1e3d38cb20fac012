"""Train the VAE: the encoder toward the linear code, the decoder from it, both from the first step on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as functional

from embedded.making.base_model import PICTURE_SIDE, make_vae
from embedded.making.network_training import NetworkTraining, StepReport, TrainingSettings

if TYPE_CHECKING:
    from embedded.making.training_set import TrainingSet

SETTINGS = TrainingSettings(steps=3_000, batch=8, seed=5, peak_rate=3e-3, warm_up_steps=50, memory=0.995, weight_decay=1e-4)
CERTAINTY = -6.0
"""Log variance that the encoder gives its latents: next to none."""
LATENT_NOISE = 0.12
"""Most noise added to what the decoder sees, so that it forgives the U-Net its small errors."""
FACE_WEIGHT = 3.0
"""How much more the eyes, nose and mouth count than the rest of the picture."""


def new_vae_training(work: Path) -> NetworkTraining:
    """The VAE as it begins or as the last checkpoint left it."""
    torch.manual_seed(SETTINGS.seed)
    return NetworkTraining(make_vae(), SETTINGS, work / "vae.pt")


def train_vae(training_set: TrainingSet, work: Path) -> Iterator[StepReport]:
    """Train for the fixed number of steps, from the last checkpoint if there is one."""
    training = new_vae_training(work)
    importance = picture_importance()
    while training.learning:
        training.learn(_loss(training, training_set, importance))
        if progress := training.report():
            yield progress


def _loss(training: NetworkTraining, training_set: TrainingSet, importance: torch.Tensor) -> torch.Tensor:
    """How far the encoder is from the code, and the decoder from the pictures, in the next batch."""
    vae, random, each = training.parts, training.random, (SETTINGS.batch, 1, 1, 1)
    rows = torch.randint(len(training_set.latents), (SETTINGS.batch,), generator=random)
    pictures, code = training_set.as_floats(rows), training_set.latents[rows]
    latents, certainty = vae.quant_conv(vae.encoder(pictures)).chunk(2, dim=1)
    encoder_loss = (latents - code).square().mean() + 0.01 * (certainty - CERTAINTY).square().mean()
    # The decoder meets the code, what the encoder makes of it, and all between.
    seen = torch.lerp(code, latents.detach(), torch.rand(each, generator=random))
    strength = LATENT_NOISE * torch.rand(each, generator=random)
    seen = seen + strength * torch.randn(seen.shape, generator=random)
    painted = vae.decoder(vae.post_quant_conv(seen))
    return encoder_loss + picture_loss(painted, pictures, importance)


def picture_loss(painted: torch.Tensor, pictures: torch.Tensor, importance: torch.Tensor) -> torch.Tensor:
    """Absolute difference of colours and of edges, at three sizes; a blur costs most at the edges."""
    total = painted.new_zeros(())
    for _ in range(3):
        difference = painted - pictures
        total = total + (difference.abs() * importance).mean()
        total = total + (difference.diff(dim=-1).abs() * importance[..., 1:]).mean()
        total = total + (difference.diff(dim=-2).abs() * importance[..., 1:, :]).mean()
        painted, pictures = functional.avg_pool2d(painted, 2), functional.avg_pool2d(pictures, 2)
        importance = functional.avg_pool2d(importance, 2)
    return total


def picture_importance() -> torch.Tensor:
    """Weight of each pixel, mean 1: most in the middle of the picture, where crops have the face."""
    line = torch.linspace(-1.0, 1.0, PICTURE_SIDE)
    down, across = torch.meshgrid(line, line, indexing="ij")
    weight = 1.0 + (FACE_WEIGHT - 1.0) * torch.exp(-((across / 0.4) ** 4) - ((down - 0.05) / 0.45) ** 4)
    return (weight / weight.mean())[None, None]
