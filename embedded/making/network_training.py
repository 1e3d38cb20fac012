"""What a training of the base's parts keeps: weights, their slow average, the optimizer, random numbers and the pace."""

from __future__ import annotations

import copy
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch

LAST_RATE = 1e-5
CHECKPOINT_STEPS = 250
REPORT_STEPS = 50


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """The fixed settings of one training; together with the seed they decide its result."""

    steps: int
    batch: int
    seed: int
    peak_rate: float
    warm_up_steps: int
    memory: float
    """How much of the slow average a step keeps."""
    weight_decay: float

    def rate(self, step: int) -> float:
        """Learning rate: warm up, hold for half of the training, then fall along a cosine."""
        past_half = max(0.0, step / self.steps - 0.5) * 2
        fall = 0.5 + 0.5 * math.cos(math.pi * past_half)
        return self.peak_rate * min(1.0, (step + 1) / self.warm_up_steps) * fall + LAST_RATE


@dataclass(frozen=True, slots=True)
class StepReport:
    """Where a training is after some step."""

    step: int
    steps: int
    loss: float
    """Mean since the last report."""
    samples_per_second: float
    seconds_left: float


class NetworkTraining:
    """Parts in training, with all that a resumed run needs to go on as if it had never stopped."""

    def __init__(self, parts: torch.nn.Module, settings: TrainingSettings, checkpoint: Path) -> None:
        self.settings, self.checkpoint = settings, checkpoint
        self.parts = parts.train()
        self.average = copy.deepcopy(parts).eval()
        self._weights = [weight for weight in parts.parameters() if weight.requires_grad]
        self._averages = [weight for weight in self.average.parameters() if weight.requires_grad]
        self.average.requires_grad_(False)
        self._optimizer = torch.optim.AdamW(
            self._weights, settings.peak_rate, betas=(0.9, 0.99), weight_decay=settings.weight_decay, fused=True
        )
        self.random = torch.Generator().manual_seed(settings.seed)
        self.step = 0
        if checkpoint.exists():
            self._load()
        self._losses: list[float] = []
        self._first_step, self._start = self.step, time.monotonic()

    @property
    def learning(self) -> bool:
        """Whether steps are left."""
        return self.step < self.settings.steps

    def learn(self, loss: torch.Tensor) -> None:
        """Take one step down the loss; every so often, save."""
        for group in self._optimizer.param_groups:
            group["lr"] = self.settings.rate(self.step)
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._weights, 1.0)
        self._optimizer.step()
        self.step += 1
        # At first the average follows closely, or it would remember the random start.
        keep = min(self.settings.memory, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(self._averages, self._weights, 1 - keep)
        self._losses.append(float(loss.detach()))
        if self.step % CHECKPOINT_STEPS == 0 or not self.learning:
            self._save()

    def report(self) -> StepReport | None:
        """Progress since the last report, when one is due."""
        if self.step % REPORT_STEPS or not self._losses:
            return None
        seconds_each = (time.monotonic() - self._start) / (self.step - self._first_step)
        loss = sum(self._losses) / len(self._losses)
        self._losses.clear()
        return StepReport(
            step=self.step,
            steps=self.settings.steps,
            loss=loss,
            samples_per_second=self.settings.batch / seconds_each,
            seconds_left=(self.settings.steps - self.step) * seconds_each,
        )

    def _save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        partial = self.checkpoint.with_suffix(".partial")
        state = {
            "parts": self.parts.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "random": self.random.get_state(),
            "step": self.step,
        }
        torch.save(state, partial)
        os.replace(partial, self.checkpoint)

    def _load(self) -> None:
        state = torch.load(self.checkpoint, weights_only=True)
        self.parts.load_state_dict(state["parts"])
        self.average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.random.set_state(state["random"])
        self.step = state["step"]
