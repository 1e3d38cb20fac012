"""Weights in prompts as AUTOMATIC1111 writes them: `(smile:1.3)`, `(smile)` for 1.1, `[smile]` for 1/1.1; `\\(` is a bracket itself.

`<lora:name:0.8>` is taken out: which LoRA is worn, and how, is said in other words here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

STRONGER = 1.1  # one pair of round brackets; square ones divide by it
_TOKEN = re.compile(r"\\[()\[\]\\]|<lora:[^>]*>|:\s*([+-]?\d*\.?\d+)\s*\)|[()\[\]]|[^\\()\[\]:<]+|.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Weighed:
    """A prompt without its brackets, and the stretches of it (start, end, weight) that count for more or less."""

    text: str
    spans: tuple[tuple[int, int, float], ...]


def weigh(prompt: str) -> Weighed:
    """Read a prompt with weights; unmatched brackets count to the end, as in A1111."""
    text = ""
    weights: list[float] = []
    open_round: list[int] = []
    open_square: list[int] = []

    def multiply(start: int, by: float) -> None:
        weights[start:] = [weight * by for weight in weights[start:]]

    for match in _TOKEN.finditer(prompt):
        token, number = match[0], match[1]
        if token.startswith("<lora:"):
            continue
        if number is not None and open_round:
            multiply(open_round.pop(), float(number))
        elif token == "(":
            open_round.append(len(text))
        elif token == "[":
            open_square.append(len(text))
        elif token == ")" and open_round:
            multiply(open_round.pop(), STRONGER)
        elif token == "]" and open_square:
            multiply(open_square.pop(), 1 / STRONGER)
        else:
            plain = token[1:] if token.startswith("\\") and len(token) > 1 else token
            text += plain
            weights += [1.0] * len(plain)
    for start in open_round:
        multiply(start, STRONGER)
    for start in open_square:
        multiply(start, 1 / STRONGER)
    return Weighed(text.strip(), _spans(text, weights))


def _spans(text: str, weights: Sequence[float]) -> tuple[tuple[int, int, float], ...]:
    """Neighbours of one weight as a stretch, those of 1 left out, counted from the first letter that is no blank."""
    lead = len(text) - len(text.lstrip())
    spans: list[tuple[int, int, float]] = []
    for at, weight in enumerate(weights):
        if weight == 1.0:
            continue
        if spans and spans[-1][1] == at - lead and spans[-1][2] == weight:
            spans[-1] = (spans[-1][0], at - lead + 1, weight)
        else:
            spans.append((at - lead, at - lead + 1, weight))
    return tuple(spans)


def apply_weights(embeddings: torch.Tensor, offsets: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int, float]]) -> Any:
    """The token embeddings (tokens, numbers) of a text, each times its weight: A1111's "no norm", which its SDXL users are told to take.

    `offsets` says from where to where in the text each token stands.
    """
    factors = embeddings.new_ones(len(embeddings))
    for position, (start, end) in enumerate(offsets):
        for begin, stop, weight in spans:
            if begin < end and start < stop and start < end:
                factors[position] = weight
    return embeddings * factors[:, None]


def plain(prompt: str) -> str:
    """The prompt without weights."""
    return weigh(prompt).text
