"""The scheduler of a pool: Dask's own, behind certificates that only the joining key makes. Work is given out by the queue.

It keeps nothing: who has joined it learns anew from them after each start.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config import Settings
from locales.language import N_
from machines.facts import facts_here
from machines.pool import NO_PAGES, PORT, joining_key, note_scheduler, read_key, require_distributed, security
from utils import Event, Notice, PipelineError, Progress

SERVING = N_("On each of the other PCs:")
JOINING = N_("  machines join {address} --key {key}")
KEPT = N_("The queue goes there with: queue --machines NAMES. Ctrl-C ends this; machines that have joined wait until it is back.")
_LOOK_SECONDS = 0.5
_START_SECONDS = 60.0


class SchedulerPortTaken(PipelineError):
    """Facts: port."""

    message = N_("Port {port} is taken by another program.")
    hint = N_("If a scheduler runs already, leave it. Else name another port: machines serve --port N")


@dataclass(frozen=True, slots=True)
class Served:
    """A scheduler that has ended: where it was."""

    address: str


_facts: dict[str, Any] = {}  # of this process: Dask calls a function and hands over nothing of ours


def scheduler_facts() -> dict[str, Any]:
    """What this PC says of itself to a machine that wants to join."""
    return _facts


def names_and_addresses(dask_scheduler: Any) -> dict[str, str]:
    """Who has joined, by name, and the address of each; Dask hands its scheduler over under that very name."""
    return {str(worker.name): address for address, worker in dask_scheduler.workers.items()}


class _Loop:
    """Dask's scheduler in a thread with an event loop of its own."""

    def __init__(self, home: Path, host: str, port: int) -> None:
        self._home, self._host, self._port = home, host, port
        self._ended = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.error: BaseException | None = None
        self.serving = threading.Event()
        self.scheduler: Any = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Wait until it listens; raises SchedulerPortTaken or what else stood against it."""
        self._thread.start()
        until = time.monotonic() + _START_SECONDS
        while not self.serving.wait(0.1) and self.error is None and time.monotonic() < until:
            pass
        if isinstance(self.error, OSError) and self.error.errno == errno.EADDRINUSE:
            raise SchedulerPortTaken(port=self._port)
        if self.error is not None:
            raise self.error

    def end(self) -> None:
        """Let go of everybody."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(timeout=10)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - told to whoever waits for it
            self.error = error

    async def _serve(self) -> None:
        from distributed import Scheduler

        self._loop = asyncio.get_running_loop()
        made = security(self._home, read_key(joining_key(self._home)))
        where = {"host": self._host, "port": self._port, "protocol": "tls", "dashboard_address": NO_PAGES}
        async with Scheduler(**where, security=made, dashboard=False) as self.scheduler:
            self.serving.set()
            await self._ended.wait()


def serve(home: Path, settings: Settings, host: str = "", port: int = PORT) -> Generator[Event, None, Served]:
    """Run the scheduler of this home's pool until it is ended. Raises PackagesMissing, SchedulerPortTaken."""
    require_distributed()
    _facts.update(facts_here(home, settings).model_dump(mode="json"))
    loop = _Loop(home, host or "0.0.0.0", port)  # other PCs are to reach it; without the key it answers nobody
    loop.start()
    try:
        address = f"{host or _own_address()}:{port}"
        note_scheduler(home, f"tls://{host or '127.0.0.1'}:{port}", address)
        yield Notice(SERVING)
        yield Notice(JOINING, {"address": address, "key": joining_key(home)})
        yield Notice(KEPT)
        while loop.error is None:
            yield Progress("pool", len(loop.scheduler.workers), 0)
            time.sleep(_LOOK_SECONDS)
        raise loop.error
    finally:
        loop.end()


def _own_address() -> str:
    """The address of this PC in its network, as the system would choose it; nothing is sent."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # TEST-NET-1 (RFC 5737): nobody has it
        return str(probe.getsockname()[0])
    return socket.gethostname()
