"""Which key may ask what of an action: looking needs the least, what reaches beyond clients the most.

A path of this machine may only be named by whoever holds the owner's rights; others name what they uploaded, as `asset:ID`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from actions.request import Request
from locales.language import N_
from studio.keys import Role
from utils import PipelineError

MOST_LETTERS = 4000  # of one text; a prompt that SDXL reads whole has 77 tokens, of an sd-scripts option list more is wanted
MOST_VALUES = 2000  # of one list
MOST_DEEP = 6
ASSET = "asset:"
# Texts of people, in which a slash is no path.
PROSE = frozenset({
    "prompt", "negative", "text", "texts", "master", "consent", "called", "answers", "changes", "aspect", "username", "skipped",
    "faces", "face",
})  # fmt: skip
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_PATH = re.compile(r"^(?:[/\\~]|[A-Za-z]:[\\/]|file:)|(?:^|[/\\])\.\.(?:[/\\]|$)")


class TextRefused(PipelineError):
    """Facts: most."""

    message = N_("That request holds a text of more than {most} letters, too long a list, or letters that cannot be kept.")
    hint = N_("Send less; prompts that are longer than a few sentences are cut by every base model.")


class NotAllowed(PipelineError):
    """Facts: role."""

    message = N_('This key may not do that: the role "{role}" is needed.')
    hint = N_("Ask whoever runs the service for such a key.")


class YesWanted(PipelineError):
    """Facts: none."""

    message = N_("This cannot be undone, and nobody can be asked here.")
    hint = N_("To go ahead, add ?yes=true to the address.")


def check_yes(grave: bool, yes: bool) -> None:
    """Raises YesWanted where something cannot be undone and nobody said yes."""
    if grave and not yes:
        raise YesWanted()


def check_texts(value: Any, deep: int = 0) -> None:
    """Bound every text and list of a body before anything is made of it. Raises TextRefused."""
    refused = deep > MOST_DEEP
    if isinstance(value, str):
        refused = len(value) > MOST_LETTERS or bool(_CONTROLS.search(value)) or any("\ud800" <= one <= "\udfff" for one in value)
    elif isinstance(value, dict):
        refused = refused or len(value) > MOST_VALUES
        for key, one in value.items():
            check_texts(key, deep + 1)
            check_texts(one, deep + 1)
    elif isinstance(value, list | tuple):
        refused = refused or len(value) > MOST_VALUES
        for one in value:
            check_texts(one, deep + 1)
    if refused:
        raise TextRefused(most=MOST_LETTERS)


def check_role(have: Role, wanted: Role) -> None:
    """Raises NotAllowed."""
    if have.rank < wanted.rank:
        raise NotAllowed(role=wanted.value)


def role_for(name: str, request: Request) -> Role:
    """What a key has to be for, to ask this of that action."""
    if any(True for _path in paths_in(request)):
        return Role.ADMIN
    looks = _LOOKS.get(name)
    if looks and looks(request):
        return Role.LOOK
    rules = _RULES.get(name)
    return Role.ADMIN if rules and rules(request) else Role.WORK


def paths_in(request: BaseModel) -> Iterator[str]:
    """Every path of this machine that a request names."""
    for name in type(request).model_fields:
        value = getattr(request, name)
        for one in value if isinstance(value, tuple | list) else (value,):
            if isinstance(one, Path) and not str(one).startswith(ASSET):
                yield str(one)
            elif isinstance(one, str) and name not in PROSE and _PATH.search(one):
                yield one


# Requests that change nothing.
_LOOKS: dict[str, Callable[[Any], bool]] = {
    "rejected": lambda _request: True,
    "gpu": lambda _request: True,
    "doctor": lambda _request: True,
    "client": lambda request: request.verb in ("list", "show"),
    "portraits": lambda request: request.verb == "list",
    "checkpoints": lambda request: request.verb == "list",
    "captions": lambda request: not request.text,
    "quarantine": lambda request: not request.pictures,
    "prompts": lambda request: request.model_dump(exclude={"client"}, exclude_defaults=True) == {},
    "who": lambda request: not request.faces,
    "limits": lambda request: not request.changes,
    "models": lambda request: request.verb == "list",
    "queue": lambda request: not request.names,
    "tensorboard": lambda request: request.verb == "show",
}  # fmt: skip
# What reaches beyond a client's pictures: the program, its models, whole clients, the trainer's own options.
_RULES: dict[str, Callable[[Any], bool]] = {
    "setup": lambda _request: True,
    "settings": lambda request: bool(request.changes),
    "models": lambda _request: True,
    "demo": lambda _request: True,
    "tensorboard": lambda _request: True,
    "client": lambda request: request.verb == "erase",
    "limits": lambda request: request.everywhere,
    "train": lambda request: bool(request.extra),
    "swap": lambda request: request.licence is not None,
}
