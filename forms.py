"""A form: questions that the menu shows on one screen, to be answered in any order or skipped together. Asks nothing itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FormRow:
    """One line of a form: what is asked, and what stands there so far."""

    key: str
    label: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """The screen; `options` makes the options of an action of the answers by key. No answers at all: it was skipped."""

    title: str
    rows: tuple[FormRow, ...]
    options: Callable[[dict[str, str]], dict[str, Any]]
