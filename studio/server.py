"""The process of the service: `python -m studio.server`.

One line on stdin tells it where and how; it tells its address by one line on stdout once it answers. When stdin ends, so does
it: it lives no longer than whoever started it. Jobs go on.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import tempfile
import threading
from logging import Formatter
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import filelock
import uvicorn

from actions.serve import Announced, Orders
from client_folder.private import private_folder
from locales.language import speak
from studio.app import make_app
from studio.assets import Assets
from studio.guard import ENTER
from studio.jobs import JobQueue
from studio.keys import Keyring, service_folder
from studio.routes_common import Service
from utils import PipelineError, log

LOOPBACK = ("127.0.0.1", "localhost", "::1")
ALONE_SECONDS = 6.0  # for one whose program was killed, and which is about to end
BEHIND = 10  # steps of priority
GRACE_SECONDS = 3  # for streams that are open when it ends


class AnnouncedServer(uvicorn.Server):
    """uvicorn, which tells when it answers."""

    def __init__(self, config: uvicorn.Config, announced: Announced) -> None:
        super().__init__(config)
        self._announced = announced

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        if self.started:
            _say(self._announced.model_dump())


def main() -> int:
    """Serve until stdin ends or a signal comes."""
    orders = Orders.model_validate_json(sys.stdin.readline())
    speak(orders.language)
    home = Path(orders.home)
    private_folder(service_folder(home))
    try:  # two services would begin the same jobs; the system frees the lock of one that is killed
        alone = filelock.FileLock(service_folder(home) / ".lock")
        alone.acquire(timeout=ALONE_SECONDS)
        listening = _listen(orders)
    except filelock.Timeout:
        _say({"serves": str(home)})
        return 1
    except OSError as error:
        _say({"taken": error.strerror or str(error)})
        return 1
    try:
        keyring = Keyring(home)
        if orders.new_token:
            keyring.renew()
    except PipelineError as error:
        _say(
            {"error": type(error).__name__, "module": type(error).__module__, "facts": {k: str(v) for k, v in error.facts.items()}}
        )
        return 1
    _serve(orders, home, listening, keyring)
    alone.release()
    return 0


def _serve(orders: Orders, home: Path, listening: socket.socket, keyring: Keyring) -> None:
    """Answer until it is ended."""
    _log_to(home / "logs" / "service.log")
    uploads = service_folder(home) / "incoming"  # what a form holds until it is taken; never in a /tmp that is memory
    private_folder(uploads)
    tempfile.tempdir = str(uploads)
    jobs = JobQueue(home)
    _step_back()
    secure = bool(orders.certificate)
    port = listening.getsockname()[1]
    shown = orders.address if orders.address not in ("0.0.0.0", "::") else "127.0.0.1"
    url = f"{'https' if secure else 'http'}://{f'[{shown}]' if ':' in shown else shown}:{port}"
    service = Service(home, keyring, jobs, Assets(home), secure)
    app = make_app(service, (*LOOPBACK, shown, *orders.names))
    link = f"{url}{ENTER}?once={keyring.new_link()}"
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, date_header=True, ws="websockets-sansio", lifespan="on",
        ssl_certfile=orders.certificate or None, ssl_keyfile=orders.certificate_key or None,
        timeout_graceful_shutdown=GRACE_SECONDS, h11_max_incomplete_event_size=64 << 10, limit_concurrency=400,
        timeout_keep_alive=30, proxy_headers=False, ws_max_size=1 << 16,
    )  # fmt: skip
    server = AnnouncedServer(config, Announced(url=url, token=keyring.token, docs=f"{url}/docs", link=link))
    threading.Thread(target=_end_with_stdin, args=(server,), daemon=True).start()
    server.run(sockets=[listening])


def _listen(orders: Orders) -> socket.socket:
    """A socket at the address that was named; the usual port gives way to any other where it is taken. Raises OSError."""
    family = socket.AF_INET6 if ":" in orders.address else socket.AF_INET
    for port in (orders.port, *((0,) if orders.any_port else ())):
        listening = socket.socket(family, socket.SOCK_STREAM)
        if os.name != "nt":  # there it would let two programs share a port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((orders.address, port))
            listening.listen(128)
            return listening
        except OSError:
            listening.close()
            if port == 0 or not orders.any_port:
                raise
    raise AssertionError("the last port is taken or refused")


def _step_back() -> None:
    """Whoever calls can wait some milliseconds longer; a training goes first. On Linux a priority is one thread's alone."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, min(19, os.getpriority(os.PRIO_PROCESS, 0) + BEHIND))


def _end_with_stdin(server: uvicorn.Server) -> None:
    while sys.stdin.read(4096):
        pass
    server.should_exit = True


def _say(facts: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def _log_to(file: Path) -> None:
    private_folder(file.parent)
    handler = RotatingFileHandler(file, maxBytes=1_000_000, backupCount=2, encoding="utf-8")
    handler.setFormatter(Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    log.addHandler(handler)


if __name__ == "__main__":
    sys.exit(main())
