"""How many tokens of a base's own text encoder a prompt takes, counted by the tokenizer that lies beside it, without torch."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

Counter = Callable[[str], int]
_PIECE = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|[^\s\w]+|_", re.IGNORECASE)
_LETTERS_A_TOKEN = 7  # nearly every English word up to here is one token of CLIP's


def counter_for(base: Path) -> Counter:
    """Counts the tokens of a text without the marks of begin and end; an estimate where no tokenizer lies beside the base."""
    folder = (base if base.is_dir() else base.parent) / "tokenizer"
    if (folder / "tokenizer.json").is_file():
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)
    if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        from transformers import CLIPTokenizer

        clip = CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
        return lambda text: len(clip(text, add_special_tokens=False).input_ids)
    return estimate


def estimate(text: str) -> int:
    """A guess from above: CLIP cuts as this does, then splits words it rarely met."""
    return sum(1 + (len(piece) - 1) // _LETTERS_A_TOKEN for piece in _PIECE.findall(text.lower()))
