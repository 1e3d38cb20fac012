"""Who sits an exam: the checkpoints of the newest LoRA at their usual weight, and the one that is chosen at other weights too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from client_folder.client import Client
from portraits.recipes import DEFAULT_WEIGHT
from training.checkpoints import Checkpoint, choose_lora, list_checkpoints

WEIGHTS = (0.7, 0.85, DEFAULT_WEIGHT)  # that are compared for the chosen step, the lightest first: it leaves the base most freedom


@dataclass(frozen=True, slots=True)
class WeightedCheckpoint:
    """A checkpoint at a weight."""

    checkpoint: Checkpoint
    weight: float = DEFAULT_WEIGHT

    @property
    def rank(self) -> tuple[int, float]:
        """The order of preference among those that are equally good: the earliest step, then the lightest weight."""
        return self.checkpoint.step, self.weight


def candidates_of(client: Client) -> tuple[WeightedCheckpoint, ...]:
    """The whole checkpoints of the newest LoRA, the earliest first, one a step; raises as `choose_lora` does."""
    newest = choose_lora(client)
    steps = {
        one.step: one for one in list_checkpoints(client) if one.whole and one.version == newest.version
    }  # the finished one comes last and takes the place of the checkpoint of its step
    return tuple(WeightedCheckpoint(steps[step]) for step in sorted(steps)) or (WeightedCheckpoint(newest),)


def spread_out(candidates: Sequence[WeightedCheckpoint]) -> list[WeightedCheckpoint]:
    """The order in which they are painted, so that time that runs out leaves some from all over: last, first, then halves."""
    order: list[int] = []
    gaps = [(0, len(candidates) - 1)]
    for at in (len(candidates) - 1, 0):
        if at >= 0 and at not in order:
            order.append(at)
    while gaps:
        low, high = gaps.pop(0)
        middle = (low + high) // 2
        if high - low > 1:
            order.append(middle)
            gaps += [(low, middle), (middle, high)]
    return [candidates[at] for at in order]
