"""Train the VAE's decoder once more, on what the U-Net makes of noisy portraits.

A picture painted in few steps ends as the U-Net's guess from a latent that still is a little noisy, and such guesses
are smoother than the latents the decoder learnt from. Shown guesses beside the true pictures, it learns to put the
eyes and mouths back. The encoder, the U-Net and the text encoders stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from embedded.making.base_model import NOISE_SCHEDULE, PICTURE_SIDE, load_base, make_tokenizer
from embedded.making.network_training import NetworkTraining, StepReport, TrainingSettings
from embedded.making.unet_training import new_second_training, tokens_of
from embedded.making.vae_training import new_vae_training, picture_importance, picture_loss

if TYPE_CHECKING:
    from embedded.making.training_set import TrainingSet

SETTINGS = TrainingSettings(steps=600, batch=8, seed=9, peak_rate=1e-3, warm_up_steps=50, memory=0.99, weight_decay=1e-4)
NOISIEST = 300
"""Latest time that guesses are made from: four steps end at 250, eight at 125."""
TRUE_SHARE = 0.25
"""Share of the batch that is decoded from true latents, so that reconstructions stay as good as they are."""


def new_decoder_training(work: Path, base: Path | None) -> NetworkTraining:
    """The whole VAE as its own training or a finished base has it, or as the last checkpoint left it; only the decoder learns."""
    vae = load_base(base).vae if base else new_vae_training(work).average
    vae.encoder.requires_grad_(False)
    vae.quant_conv.requires_grad_(False)
    vae.decoder.requires_grad_(True)
    vae.post_quant_conv.requires_grad_(True)
    return NetworkTraining(vae, SETTINGS, work / "decoder.pt")


def train_decoder(training_set: TrainingSet, work: Path, base: Path | None) -> Iterator[StepReport]:
    """Train for the fixed number of steps, from the last checkpoint if there is one."""
    training = new_decoder_training(work, base)
    guesses = _Guesses(training_set, work, base)
    importance = picture_importance()
    while training.learning:
        rows, latents = guesses.batch(training.random)
        painted = training.parts.decoder(training.parts.post_quant_conv(latents))
        training.learn(picture_loss(painted, training_set.as_floats(rows), importance))
        if progress := training.report():
            yield progress


class _Guesses:
    """Hands out latents as the finished U-Net guesses them from noisy ones."""

    def __init__(self, training_set: TrainingSet, work: Path, base: Path | None) -> None:
        from diffusers import DDPMScheduler

        tokenizer = make_tokenizer(training_set.all_captions())
        self.unet, self.first_encoder, self.second_encoder = new_second_training(tokenizer, work, base).average
        self.latents = training_set.latents
        self.tokens = tokens_of([texts[0] for texts in training_set.captions], tokenizer)
        schedule: Any = DDPMScheduler(**NOISE_SCHEDULE)
        self.schedule, self.kept = schedule, schedule.alphas_cumprod
        self.size = torch.tensor([PICTURE_SIDE, PICTURE_SIDE, 0, 0, PICTURE_SIDE, PICTURE_SIDE], dtype=torch.float32)

    def batch(self, random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Which portraits, and their latents: some true, the rest guessed."""
        rows = torch.randint(len(self.latents), (SETTINGS.batch,), generator=random)
        clean = self.latents[rows]
        times = torch.randint(NOISIEST, (SETTINGS.batch,), generator=random)
        noisy = self.schedule.add_noise(clean, torch.randn(clean.shape, generator=random), times)
        with torch.no_grad():
            first = self.first_encoder(self.tokens[rows], output_hidden_states=True)
            second = self.second_encoder(self.tokens[rows], output_hidden_states=True)
            words = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=-1)
            conditions = {"text_embeds": second.text_embeds, "time_ids": self.size.repeat(SETTINGS.batch, 1)}
            velocity = self.unet(noisy, times, words, added_cond_kwargs=conditions).sample
        kept = self.kept[times].view(-1, 1, 1, 1)
        guessed = kept.sqrt() * noisy - (1 - kept).sqrt() * velocity
        true = torch.rand((SETTINGS.batch, 1, 1, 1), generator=random) < TRUE_SHARE
        return rows, torch.where(true, clean, guessed)
