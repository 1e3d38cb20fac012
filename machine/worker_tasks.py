"""What a program and its worker say to one another: an order a line in, answers a line each out, all JSON."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Literal, TextIO

from pydantic import ConfigDict

from utils import Record


class Task(Record):
    """One line to a worker. The task `cancel` gives up the order of the same number."""

    model_config = ConfigDict(frozen=True)

    number: int
    task: str
    facts: dict[str, Any] = {}


class TaskEvent(Record):
    """One line of a worker.

    `progress`: `done` of `total`; `item`: a piece is finished; `note`: a code to be said; `done` and `failed` end an order.
    `waiting` is no line: half a second passed without one.
    """

    model_config = ConfigDict(frozen=True)

    order: int
    kind: Literal["progress", "item", "note", "done", "failed", "waiting"]
    facts: dict[str, Any] = {}


class Cancelled(Exception):
    """The program gave an order up."""


class TaskReporter:
    """Where a task of a worker says what becomes of it. Any of these may raise Cancelled: the task then leaves what is finished."""

    def __init__(self, order: int, out: TextIO, is_cancelled: Callable[[int], bool]) -> None:
        self._order = order
        self._out = out
        self._is_cancelled = is_cancelled
        self._lock = threading.Lock()

    def progress(self, done: float, total: float, item: str = "") -> None:
        """How far the task is."""
        self.check()
        self.say("progress", done=done, total=total, item=item)

    def item(self, **facts: Any) -> None:
        """A piece is finished and on disk."""
        self.say("item", **facts)

    def note(self, code: str, **facts: Any) -> None:
        """Something the user should be told, as a code of `model_process.NOTICES`."""
        self.say("note", code=code, **facts)

    def check(self) -> None:
        """Raises Cancelled where the program gave the order up."""
        if self._is_cancelled(self._order):
            raise Cancelled

    def say(self, kind: Literal["progress", "item", "note", "done", "failed"], **facts: Any) -> None:
        """One line."""
        line = TaskEvent(order=self._order, kind=kind, facts=facts).model_dump_json()
        with self._lock:
            self._out.write(line + "\n")
            self._out.flush()
