"""Weights in prompts as AUTOMATIC1111 writes them: `(smile:1.3)`, `(smile)` for 1.1, `[smile]` for 1/1.1; `\\(` is a bracket.

`<lora:name:0.8>` is taken out: which LoRA is loaded, and at which weight, is said in other words here.
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
    reader = _WeightReader()
    for match in _TOKEN.finditer(prompt):
        reader.take(match[0], match[1])
    return reader.end()


class _WeightReader:
    """Reads token by token; every letter has a weight, and a bracket that closes multiplies those since it was opened."""

    def __init__(self) -> None:
        self._text = ""
        self._weights: list[float] = []
        self._open: dict[str, list[int]] = {"(": [], "[": []}

    def take(self, token: str, number: str | None) -> None:
        """One token; `number` is the weight of `:1.3)`."""
        if token.startswith("<lora:"):
            return
        if token in self._open:
            self._open[token].append(len(self._text))
        elif token.endswith(")") and not token.startswith("\\") and self._open["("]:
            self._multiply(self._open["("].pop(), float(number) if number else STRONGER)
        elif token == "]" and self._open["["]:
            self._multiply(self._open["["].pop(), 1 / STRONGER)
        else:
            text = token[1:] if token.startswith("\\") and len(token) > 1 else token
            self._text += text
            self._weights += [1.0] * len(text)

    def end(self) -> Weighed:
        """What was read."""
        for bracket, by in (("(", STRONGER), ("[", 1 / STRONGER)):
            for start in self._open[bracket]:
                self._multiply(start, by)
        return Weighed(self._text.strip(), _spans(self._text, self._weights))

    def _multiply(self, start: int, by: float) -> None:
        self._weights[start:] = [weight * by for weight in self._weights[start:]]


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
    """The token embeddings (tokens, numbers) of a text, each times its weight: A1111's "no norm", advised for SDXL.

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
