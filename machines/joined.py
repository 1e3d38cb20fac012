"""A PC that works for others: it joins a pool, takes one job at a time, and comes back by itself when the scheduler was away."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from config import Settings
from locales.language import N_
from machines.errands import Desk, clear_desk, open_desk, stop_work
from machines.errors import LinkDown, NoScheduler
from machines.facts import Facts, check_agreement, facts_here
from machines.link import Link
from machines.pool import (
    CONNECT_SECONDS,
    NO_PAGES,
    certificates,
    full_address,
    machine_name,
    pool_folder,
    read_key,
    require_distributed,
    security,
)
from machines.scheduler import scheduler_facts
from utils import Event, Notice, PipelineError, Progress, Stopped

JOINED = N_("{name} has joined the pool at {address}. It takes work until this is ended.")
AWAY = N_("The scheduler is away. What is being done here goes on; it is handed in when the scheduler is back.")
LEAVING = N_("Saving the state of what is being done here, and handing it back.")
_LOOK_SECONDS = 0.5
_TAKEN_SECONDS = 20.0  # in which a machine of our name that was killed is noticed to be gone
_LEAVE_SECONDS = 60.0  # in which what was done here has to be fetched


class WrongKey(PipelineError):
    """Facts: address."""

    message = N_("The scheduler at {address} has another joining key.")
    hint = N_("Copy the key again from where it was started: machines shows it there.")


class NameTaken(PipelineError):
    """Facts: name."""

    message = N_('A machine "{name}" has joined already.')
    hint = N_("Give this one another name: --name NAME")


@dataclass(frozen=True, slots=True)
class JoinedReport:
    """A machine that has left again."""

    name: str
    address: str


class _Worker:
    """Dask's worker in a thread with an event loop of its own; it begins anew whenever it was cut off."""

    def __init__(self, home: Path, address: str, secret: bytes, name: str, cards: int) -> None:
        self._home, self._address, self._secret, self._name, self._cards = home, address, secret, name, cards
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()
        self._started = time.monotonic()
        self.joined = threading.Event()  # at this moment
        self.taken = False  # another machine of this name is there
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin; `joined` says when it is there."""
        self._thread.start()

    def end(self) -> None:
        """Leave the pool."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(timeout=15)

    def _run(self) -> None:
        asyncio.run(self._stay())

    async def _stay(self) -> None:
        self._loop = asyncio.get_running_loop()
        while not self._ended.is_set():
            try:
                await self._once()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next try may do better
                refused = "name taken" in str(error)
                self.taken = refused and time.monotonic() - self._started > _TAKEN_SECONDS
            self.joined.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), 1.0)

    async def _once(self) -> None:
        """Be a worker until the connection ends, or we do."""
        from distributed import Worker

        scratch = pool_folder(self._home) / "dask"
        worker: Any = Worker(
            self._address, security=security(self._home, self._secret), name=self._name, nthreads=1, memory_limit=0,
            resources={"GPU": self._cards}, dashboard=False, dashboard_address=NO_PAGES, local_directory=str(scratch),
            death_timeout=3 * CONNECT_SECONDS,
        )  # fmt: skip
        try:
            await worker
            self.joined.set()
            ways = [asyncio.ensure_future(worker.finished()), asyncio.ensure_future(self._ended.wait())]
            _done, left = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in left:
                way.cancel()
        finally:
            with contextlib.suppress(Exception):
                await worker.close(timeout=2)


def check_scheduler(home: Path, settings: Settings, address: str, secret: bytes) -> None:
    """Raise what stands against joining: NoScheduler, WrongKey, or what the two machines do not agree in."""
    _shake_hands(home, address, secret)
    with Link(home, address, secret) as link:
        try:
            told = link.of_scheduler(scheduler_facts)
        except LinkDown as error:
            raise NoScheduler(address=address) from error
    check_agreement(facts_here(home, settings), Facts.model_validate(told))


def _shake_hands(home: Path, address: str, secret: bytes) -> None:
    """Whether somebody listens there, whose certificate comes from our key."""
    place = urlsplit(address)
    authority, ours, private = certificates(home, secret)
    context = ssl.create_default_context(cafile=str(authority))
    context.check_hostname = False  # the key says who it is, under whatever address
    context.load_cert_chain(ours, private)
    try:
        with socket.create_connection((place.hostname or "", place.port or 0), CONNECT_SECONDS) as line, context.wrap_socket(line):
            pass
    except ssl.SSLError as error:
        raise WrongKey(address=address) from error
    except OSError as error:
        raise NoScheduler(address=address) from error


def join(home: Path, settings: Settings, address: str, key: str, name: str = "") -> Generator[Event, None, JoinedReport]:
    """Work for the pool at an address until we are ended. Raises PackagesMissing, NotAKey, NameTaken or what
    `check_scheduler` raises."""
    require_distributed()
    address, secret, name = full_address(address), read_key(key), name or machine_name()
    check_scheduler(home, settings, address, secret)
    desk = open_desk(home, settings, name)
    worker = _Worker(home, address, secret, name, len(facts_here(home, settings).gpus))
    worker.start()
    try:
        yield from _work(worker, desk, address)
    except (Stopped, KeyboardInterrupt):
        yield from _leave(worker, desk)
        raise
    finally:
        worker.end()
        clear_desk(desk)
        shutil.rmtree(pool_folder(home) / "dask", ignore_errors=True)
    return JoinedReport(name, address)


def _work(worker: _Worker, desk: Desk, address: str) -> Generator[Event, None, None]:
    """Say how it stands until we are ended; raises NameTaken."""
    told: Notice | None = None
    while True:
        if worker.taken:
            raise NameTaken(name=desk.name)
        now = Notice(JOINED, {"name": desk.name, "address": address}) if worker.joined.is_set() else Notice(AWAY)
        if now != told and (told is not None or worker.joined.is_set()):
            told = now
            yield now
        yield Progress("joined", 0, 0, desk.job())
        time.sleep(_LOOK_SECONDS)


def _leave(worker: _Worker, desk: Desk) -> Generator[Event, None, None]:
    """Stop what is being done, and stay until its state was fetched, for a minute at most."""
    desk.leaving = True
    if desk.job():
        yield Notice(LEAVING)
        stop_work(desk)
    until = time.monotonic() + _LEAVE_SECONDS
    while desk.job() and time.monotonic() < until and worker.joined.is_set():
        yield Progress("joined", 0, 0, desk.job())
        time.sleep(_LOOK_SECONDS)
