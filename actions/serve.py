"""The action that serves: the service is a process of its own (`studio.server`), which lives no longer than this program.

It is told where to listen by a line on its stdin, tells its address by a line on its stdout, and ends when its stdin does.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Annotated, Any, Self

from pydantic import BaseModel, Field

from actions.action import Action, Answer, Stage
from actions.request import Ask, Job, Request, UserPath
from client_folder.private import private_folder
from config import PROGRAM
from locales.language import N_, spoken
from machine.model_process import error_of
from utils import FolderMissing, Notice, PipelineError, Progress, Stopped

USUAL_PORT = 8765
LOOPBACK = "127.0.0.1"
STAGE = "serve"
START_SECONDS = 120.0  # importing every action on a slow disk
LOOK_SECONDS = 0.5
END_SECONDS = 8.0  # for streams that are open
NEW_GROUP = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)

_PORT_HELP = N_("port to listen on (default: 8765, or another one where that is taken)")
_ADDRESS_HELP = N_("address to listen on (default: 127.0.0.1, this machine alone)")
_CERTIFICATE_HELP = N_("certificate of the service, a .pem file: it is called by https then")
_CERTIFICATE_KEY_HELP = N_("private key of that certificate, a .pem file")
_UNENCRYPTED_HELP = N_("listen on another address without a certificate: whoever shares the network can read all of it")
_NAME_HELP = N_("name of a host by which the service may be called; may be given several times")
_NEW_TOKEN_HELP = N_("make another token; the one before opens nothing any more")
ENDED = N_("The service has ended. Jobs that were begun go on, and those that wait are begun when it serves again.")


class AddressRefused(PipelineError):
    """Facts: address."""

    message = N_(
        "Without a certificate the service does not listen on {address}: keys and pictures would cross the network in clear."
    )
    hint = N_("Name one with --certificate and --certificate-key, or say --unencrypted. This machine alone needs neither.")


class PortTaken(PipelineError):
    """Facts: address, port, reason."""

    message = N_("The service cannot listen on {address}, port {port}: {reason}")
    hint = N_("Another program may hold that port: name another one with --port, or 0 for any that is free.")


class ServesAlready(PipelineError):
    """Facts: home."""

    message = N_("A service is running already for {home}.")
    hint = N_("Call that one: it told its address where it was started. Or end it there first.")


class ServiceEnded(PipelineError):
    """Facts: log, code."""

    message = N_("The service ended by itself (exit code {code}).")
    hint = N_("Start it again: what waits and what runs is kept. What it said: {log}")


# --- what passes between the two processes ----------------------------------------------------------------------------
class Orders(BaseModel):
    """What the service is told."""

    home: str
    language: str
    address: str
    port: int
    any_port: bool
    certificate: str = ""
    certificate_key: str = ""
    names: tuple[str, ...] = ()
    new_token: bool = False


class Announced(BaseModel):
    """What it tells once it answers; `link` opens the page once."""

    url: str
    token: str
    docs: str
    link: str


# --- what is asked ----------------------------------------------------------------------------------------------------
class ServeRequest(Request):
    """Where to serve, and how."""

    port: Annotated[int | None, Field(ge=0, le=65535), Ask(_PORT_HELP, "--port", "N")] = None
    address: Annotated[str, Ask(_ADDRESS_HELP, "--address", "ADDRESS")] = LOOPBACK
    certificate: Annotated[UserPath | None, Ask(_CERTIFICATE_HELP, "--certificate", "FILE")] = None
    certificate_key: Annotated[UserPath | None, Ask(_CERTIFICATE_KEY_HELP, "--certificate-key", "FILE")] = None
    unencrypted: Annotated[bool, Ask(_UNENCRYPTED_HELP, "--unencrypted")] = False
    name: Annotated[tuple[str, ...], Ask(_NAME_HELP, "--name", "HOST")] = ()
    new_token: Annotated[bool, Ask(_NEW_TOKEN_HELP, "--new-token")] = False


# --- what is done -----------------------------------------------------------------------------------------------------
@dataclass(slots=True)
class Serving:
    """A service that answers, and its process, of which this program is the only owner."""

    url: str
    token: str
    docs: str
    link: str
    log: Path
    child: subprocess.Popen[str] = field(repr=False)

    def close(self) -> None:
        """End it; its jobs go on."""
        end_child(self.child)


def end_child(child: subprocess.Popen[str]) -> None:
    """Close its stdin, which ends it, and do not wait for ever."""
    with contextlib.suppress(OSError):
        if child.stdin:
            child.stdin.close()
    try:
        child.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdout:
        child.stdout.close()


def orders_of(job: Job[ServeRequest]) -> Orders:
    """What the service is told. Raises AddressRefused, FolderMissing."""
    request = job.request
    for file in filter(None, (request.certificate, request.certificate_key)):
        if not file.is_file():
            raise FolderMissing(path=file)
    if not (is_loopback(request.address) or request.certificate or request.unencrypted):
        raise AddressRefused(address=request.address)
    return Orders(
        home=str(job.home), language=spoken(), address=request.address, port=USUAL_PORT if request.port is None else request.port,
        any_port=request.port is None, certificate=str(request.certificate or ""), new_token=request.new_token,
        certificate_key=str(request.certificate_key or ""), names=request.name,
    )  # fmt: skip


def is_loopback(address: str) -> bool:
    """Whether only this machine can call there."""
    if address.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def serve(job: Job[ServeRequest]) -> Stage:
    """Start the service, and wait until it answers. Raises AddressRefused, PortTaken, MissingLibrary, ServiceEnded."""
    orders, log = orders_of(job), job.home / "logs" / "service.log"
    with _started(orders, log) as child:
        assert child.stdin is not None and child.stdout is not None
        child.stdin.write(orders.model_dump_json() + "\n")
        child.stdin.flush()
        said: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=_hear, args=(child.stdout, said), daemon=True).start()
        until, line = time.monotonic() + START_SECONDS, None
        while line is None:
            yield Progress(STAGE, 0, 0)
            with contextlib.suppress(queue.Empty):
                line = said.get(timeout=LOOK_SECONDS)
            if line is None and time.monotonic() > until:
                line = ""
        facts: dict[str, Any] = json.loads(line) if line.strip() else {}
        if "serves" in facts:
            raise ServesAlready(home=facts["serves"])
        if "taken" in facts:
            raise PortTaken(address=orders.address, port=orders.port, reason=facts["taken"])
        if "error" in facts:
            raise error_of(facts, log)
        if not facts:
            end_child(child)
            raise ServiceEnded(log=log, code=child.returncode)
        return Serving(**Announced.model_validate(facts).model_dump(), log=log, child=child)


@contextmanager
def _started(orders: Orders, log: Path) -> Iterator[subprocess.Popen[str]]:
    """The process of the service; it is ended where the block fails, and stays where it does not."""
    private_folder(log.parent)
    with log.open("a", encoding="utf-8") as written:
        child = subprocess.Popen(
            [sys.executable, "-m", "studio.server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=written, cwd=PROGRAM,
            text=True, encoding="utf-8", start_new_session=sys.platform != "win32", creationflags=NEW_GROUP,
        )  # fmt: skip
    try:
        yield child
    except BaseException:
        end_child(child)
        raise


def _hear(stream: IO[str], said: queue.SimpleQueue[str]) -> None:
    """The first line; empty where there is none."""
    said.put(stream.readline())


def stay(_job: Job[ServeRequest], serving: Serving) -> Stage:
    """Be there as long as the service is; stopped, end it. Raises ServiceEnded where it ended by itself."""
    try:
        while serving.child.poll() is None:
            yield Progress(STAGE, 0, 0, serving.url)
            time.sleep(LOOK_SECONDS)
        raise ServiceEnded(log=serving.log, code=serving.child.returncode)
    except Stopped:
        raise Stopped(Notice(ENDED)) from None
    finally:
        serving.close()


# --- what is answered -------------------------------------------------------------------------------------------------
class ServeAnswer(Answer):
    """Where the service answers, the token that opens it, and the list of its addresses."""

    url: str
    token: str
    docs: str

    @classmethod
    def of(cls, report: Serving) -> Self:
        """The report."""
        return cls(url=report.url, token=report.token, docs=report.docs)


SERVE = Action("serve", ServeRequest, serve, ServeAnswer.of, changes=False, stays=stay)
ACTIONS = (SERVE,)
