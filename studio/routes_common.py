"""What all routers share: the service they belong to, the key of a request, and an action carried out at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, cast

from fastapi import Depends
from starlette.requests import HTTPConnection

from actions.action import Action, dump
from actions.drive import finish
from actions.request import ClientRequest, Job, Request, Session
from client_folder.client import ClientBusy, open_client
from config import load_settings
from machine.model_process import ModelProcess
from studio.answers import hidden, problem_of
from studio.assets import Assets
from studio.jobs import JobQueue
from studio.keys import Key, Keyring, Role
from studio.permissions import check_role

WAIT_SECONDS = 20.0  # for the short requests before this one that work on the same client


@dataclass(frozen=True, slots=True)
class Service:
    """What the routers work with: the home, its keys, queue and uploads. `secure`: it is called by https."""

    home: Path
    keyring: Keyring
    jobs: JobQueue
    assets: Assets
    secure: bool = False
    _locks: dict[str, threading.Lock] = field(default_factory=dict)

    def session(self) -> Session:
        """What an action works in that answers at once: it starts no process for models."""
        return Session(self.home, load_settings(self.home), ModelProcess(self.home / "logs" / "worker.log"))

    def job_of(self, action: Action[Any], request: Request) -> Job[Any]:
        """The job that a request makes. Raises ClientMissing, BadClientId."""
        client = open_client(self.home, request.client) if isinstance(request, ClientRequest) else None
        return Job(self.session(), request, client, unattended=True)

    def run_now(self, action: Action[Any], job: Job[Any]) -> dict[str, Any]:
        """Run an action that takes no time, and make its answer; requests for one client take turns. Raises what it raises."""
        name = job.client.id if job.client and action.changes else ""
        turn = self._locks.setdefault(name, threading.Lock()) if name else None
        if turn and not turn.acquire(timeout=WAIT_SECONDS):
            raise ClientBusy(client=name)
        try:
            job = action.planned(job)
            with job.client.lock() if turn and job.client else nullcontext():
                report = finish(action.run(job))
        finally:
            if turn:
                turn.release()
        complaint = action.verdict(report)
        answer: dict[str, Any] = hidden(dump(action.answer(report)), self.home)
        return answer | (problem_of(complaint, self.home) if complaint else {})

    def planned(self, action: Action[Any], job: Job[Any]) -> Job[Any]:
        """The job with its plan; raises what speaks against it."""
        if refused := action.objection(job):
            raise refused
        return action.planned(job)


def service_of(connection: HTTPConnection) -> Service:
    """The service that a request or a websocket came to."""
    return cast(Service, connection.app.state.service)


def key_of(connection: HTTPConnection) -> Key:
    """The key that the guard found."""
    return cast(Key, connection.state.key)


def needs(role: Role) -> Callable[[Key], Key]:
    """A dependency: the key, if it is for that or more. Raises NotAllowed."""

    def checked(key: Annotated[Key, Depends(key_of)]) -> Key:
        check_role(key.role, role)
        return key

    return checked


TheService = Annotated[Service, Depends(service_of)]
TheKey = Annotated[Key, Depends(key_of)]  # whatever it is for
Looking = Annotated[Key, Depends(needs(Role.LOOK))]
Working = Annotated[Key, Depends(needs(Role.WORK))]
Administering = Annotated[Key, Depends(needs(Role.ADMIN))]
