"""Tokens among the options that a user hands to the trainer: it gets them by its environment, and no file of ours holds them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping

from client_folder.client import Client
from utils import write_text

# The variables that wandb and huggingface_hub themselves read where sd-scripts hands them nothing.
VARIABLES: Mapping[str, str] = {"huggingface_token": "HF_TOKEN", "wandb_api_key": "WANDB_API_KEY"}
MASK = "***"
# As an option, in a list of JSON, or as argparse prints what it has read.
_WRITTEN = re.compile(rf"""((?:{"|".join(VARIABLES)})["']?+\s*+[=:,]?+\s*+["']?+)(?!None\b|-)([^\s"',)]+)""")


def part_secrets(words: Iterable[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The words without secret options, and the secrets by the variable that the trainer's libraries read them from."""
    left: list[str] = []
    secrets: dict[str, str] = {}
    awaited = ""  # the variable whose value is the next word
    for word in words:
        name, equals, value = word.removeprefix("--").partition("=")
        if word.startswith("--"):
            awaited = ""
        if word.startswith("--") and name in VARIABLES:
            awaited = "" if equals else VARIABLES[name]
            if equals:
                secrets[VARIABLES[name]] = value
        elif awaited:
            secrets[awaited], awaited = word, ""
        else:
            left.append(word)
    return tuple(left), secrets


def part_text(text: str) -> tuple[str, dict[str, str]]:
    """The same of options as they are typed; a text without secrets, or one that cannot be parted into words, stays as it is."""
    try:
        words, secrets = part_secrets(shlex.split(text))
    except ValueError:
        return masked(text), {}
    return (shlex.join(words), secrets) if secrets else (text, {})


def masked(text: str) -> str:
    """A text of a file with the value of every secret option made unreadable."""
    return _WRITTEN.sub(rf"\1{MASK}", text)


def mask_files(client: Client) -> None:
    """Make unreadable what an older version of the program wrote of secrets into the client's folder; call while holding it."""
    runs = sorted(client.runs.glob("*.json")) if client.runs.is_dir() else []
    for file in (client.plan_file, client.train_log, client.last_used_file, *runs):
        try:
            text = file.read_text(encoding="utf-8") if file.is_file() else ""
        except UnicodeDecodeError:
            continue  # none of ours
        if masked(text) != text:
            write_text(file, masked(text))
