"""Asking the machines of a pool, through its scheduler: who is there, and errands for one of them.

A machine is known by its name; its address changes with every connection. Where the scheduler does not answer, nothing is lost:
machines work on, and whoever asks tries again later (LinkDown). Only a scheduler that answers can say that a machine is gone
(MachineLost), once that machine was missed for a while: a busy one may lose its connection and come back by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from machine.model_process import error_of
from machines.errors import LinkDown, MachineLost, NoScheduler
from machines.facts import Facts
from machines.pool import (
    CONNECT_SECONDS,
    SchedulerRecord,
    full_address,
    joining_key,
    read_key,
    require_distributed,
    scheduler_file,
    security,
)
from utils import PipelineError, read_record

if TYPE_CHECKING:
    from distributed import Client as DaskClient

_ANSWER_SECONDS = 20.0  # after which a question is taken for lost, as one is whose scheduler died with it, and asked again
_LONG_SECONDS, _LONG = 900.0, frozenset({"start", "pack"})  # errands that read and write gigabytes
_AGAIN_SECONDS = 3.0  # between two tries to reach a scheduler that is away
REJOIN_SECONDS = 15.0  # that machines have to come back, to this scheduler or one that was started anew; they try once a second


@dataclass(frozen=True, slots=True)
class Joined:
    """A machine that has joined: what it is, the job that lies on it, and whether its user wants it back."""

    name: str
    facts: Facts
    job: str
    leaving: bool


class Link:
    """A connection to a pool's scheduler, opened when it is first needed and again where it broke."""

    def __init__(self, home: Path, address: str = "", secret: bytes = b"") -> None:
        """To the scheduler of this home, or to another one. Raises PackagesMissing, NoScheduler, BrokenFile."""
        require_distributed()
        record = scheduler_file(home)
        if not address and not record.is_file():
            raise NoScheduler(address=full_address("localhost"))
        self.address = full_address(address) if address else read_record(record, SchedulerRecord).address
        self._home, self._secret = home, secret or read_key(joining_key(home))
        self._client: DaskClient | None = None
        self._since = self._not_before = 0.0
        self._missed: dict[str, float] = {}  # since when a machine is not there

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back; the machines work on."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(Exception):  # it may be half closed, by either side
                client.close(timeout=1)

    def names(self) -> dict[str, str]:
        """The machines that are there, and the address of each; raises LinkDown."""
        from machines.scheduler import names_and_addresses

        return dict(self.of_scheduler(names_and_addresses))

    def of_scheduler(self, function: Callable[..., Any]) -> Any:
        """What a function of the program's answers in the scheduler's process; raises LinkDown."""
        return self._answered(lambda client: client.run_on_scheduler(function, callback_timeout=_ANSWER_SECONDS))

    def ask(self, name: str, errand: str, data: bytes = b"", **facts: Any) -> Any:
        """What a machine answers to an errand; raises what it met with, MachineLost, or LinkDown where it may answer later."""
        from machines.errands import carry_out

        address = self.names().get(name)
        if address is None:
            missed = self._missed.setdefault(name, time.monotonic())
            if time.monotonic() - max(missed, self._since) < REJOIN_SECONDS:
                raise LinkDown(address=self.address)
            raise MachineLost(machine=name)
        self._missed.pop(name, None)
        seconds = _LONG_SECONDS if errand in _LONG else _ANSWER_SECONDS
        told = self._answered(
            lambda client: client.run(carry_out, errand, facts, data, workers=[address], callback_timeout=seconds)
        )[address]
        if "error" in told:
            raise error_of(told, self._home / "logs" / "avatar_pipeline.log")
        return told["answer"]

    def machines(self) -> tuple[Joined, ...]:
        """Every machine with what it says of itself, by name; those that do not answer now are left out. Raises LinkDown."""
        found = []
        for name in sorted(self.names()):
            with suppress(PipelineError):
                told = self.ask(name, "describe")
                found.append(Joined(name, Facts.model_validate(told["facts"]), told["job"], told["leaving"]))
        return tuple(found)

    def _answered(self, question: Callable[[DaskClient], Any]) -> Any:
        try:
            return question(self._opened())
        except (OSError, ValueError) as error:  # ValueError: Dask's word for a client that was closed meanwhile
            self.close()
            self._not_before = time.monotonic() + _AGAIN_SECONDS
            raise LinkDown(address=self.address) from error

    def _opened(self) -> DaskClient:
        if self._client is not None and self._client.status == "running":
            return self._client
        if time.monotonic() < self._not_before:
            raise OSError(self.address)
        self.close()
        from distributed import Client as DaskClient

        self._client = DaskClient(
            self.address, security=security(self._home, self._secret), timeout=CONNECT_SECONDS, set_as_default=False
        )  # fmt: skip
        self._since = time.monotonic()
        return self._client
