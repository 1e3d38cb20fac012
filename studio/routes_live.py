"""What happens, as it happens: the events of one job and the changes of all, by server-sent events and over a websocket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, WebSocket, WebSocketDisconnect
from fastapi.sse import EventSourceResponse, ServerSentEvent

from machine import background
from machine.gpu import GPUState, find_gpus
from studio.answers import told_event
from studio.job_records import place_of_job
from studio.keys import Role
from studio.routes_common import Looking, Service, TheService, key_of, service_of
from studio.routes_jobs import JobAnswer, JobName, told
from studio.routes_plan import update_of

LOOK_SECONDS = 0.5
GPU_SECONDS = 2.0
MOST_STREAMS = 100  # of all callers together


class Streams:
    """How many streams are open: each is a connection that stays."""

    def __init__(self) -> None:
        self.count = 0

    def enter(self) -> bool:
        """Whether there is room for one more, which counts from now on."""
        if self.count >= MOST_STREAMS:
            return False
        self.count += 1
        return True

    def leave(self) -> None:
        """One is closed."""
        self.count -= 1


def live_router() -> APIRouter:
    """`/jobs/ID/events`, `/events` and the websocket `/ws`."""
    router, streams = APIRouter(tags=["live"]), Streams()

    @router.get("/jobs/{job}/events", response_class=EventSourceResponse)
    async def job_events(
        job: JobName, service: TheService, _key: Looking,
        last_event_id: Annotated[str, Header(max_length=20, pattern=r"^[0-9]*$")] = "",
    ) -> AsyncIterator[ServerSentEvent]:  # fmt: skip
        """The events of its stages from the first to the last, and `end` with the job; ids are places to go on from."""
        service.jobs.find(job)
        if streams.enter():
            try:
                async for event in _events_of(job, service, int(last_event_id or 0)):
                    yield event
            finally:
                streams.leave()

    @router.get("/events", response_class=EventSourceResponse)
    async def all_events(service: TheService, _key: Looking) -> AsyncIterator[ServerSentEvent]:
        """`job` whenever something about a job changes, `gpu` every two seconds."""
        if streams.enter():
            try:
                async for kind, facts in _changes(service):
                    yield ServerSentEvent(event=kind, data=facts)
            finally:
                streams.leave()

    @router.websocket("/ws")
    async def socket(websocket: WebSocket) -> None:
        """The same, as the plan's front end wants it: `{"event": "job_update", ...}` and `{"event": "gpu_status", ...}`."""
        if key_of(websocket).role.rank < Role.LOOK.rank or not streams.enter():
            await websocket.close(1008)
            return
        try:
            await _talk(websocket, service_of(websocket))
        finally:
            streams.leave()

    return router


async def _events_of(job: str, service: Service, at: int) -> AsyncIterator[ServerSentEvent]:
    place = place_of_job(service.home, job)
    while True:
        over = service.jobs.find(job).state.over  # asked before reading: what came before the end is read then
        for line, next_at in await asyncio.to_thread(_lines_after, place, at):
            at = next_at
            if "event" in line:
                yield ServerSentEvent(event=line["event"], data=told_event(line, service.home), id=str(at))
        if over:
            yield ServerSentEvent(event="end", data=_plain(told(service.jobs.find(job), service)), id=str(at))
            return
        await asyncio.sleep(LOOK_SECONDS)


def _lines_after(place: background.Place, at: int) -> list[tuple[dict[str, Any], int]]:
    return list(background.lines_after(place, at))


async def _changes(service: Service) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Jobs as they change, and the GPU."""
    shown: dict[str, JobAnswer] = {}
    gpu_at, loop = 0.0, asyncio.get_running_loop()
    while True:
        latest = {job.id: job for job in await asyncio.to_thread(_latest, service)}
        for name, job in latest.items():
            if shown.get(name) != job:
                yield "job", _plain(job)
        shown = latest
        if loop.time() >= gpu_at:
            gpu_at = loop.time() + GPU_SECONDS
            yield "gpu", gpu_facts(await asyncio.to_thread(find_gpus))
        await asyncio.sleep(LOOK_SECONDS)


def _latest(service: Service) -> list[JobAnswer]:
    """The jobs that are not over, and the last twenty that are: whoever comes sees what happened."""
    jobs = service.jobs.all_jobs()
    over = [job for job in jobs if job.state.over][:20]
    return [told(job, service, whole=False) for job in jobs if not job.state.over or job in over]


def gpu_facts(gpus: tuple[GPUState, ...]) -> dict[str, Any]:
    """The cards in numbers; memory in GiB."""
    return {
        "gpus": [
            {"name": gpu.name, "total_gb": gpu.total_gb, "used_gb": gpu.used_gb, "free_gb": gpu.free_gb,
             "utilisation": gpu.utilisation, "temperature": gpu.temperature}
            for gpu in gpus
        ]
    }  # fmt: skip


async def _talk(websocket: WebSocket, service: Service) -> None:
    """Send until the caller goes; what it says is not heeded."""
    await websocket.accept()
    sending = asyncio.create_task(_send_changes(websocket, service))
    try:
        while True:
            await websocket.receive_text()
    except (WebSocketDisconnect, KeyError, RuntimeError):
        pass
    finally:
        sending.cancel()


async def _send_changes(websocket: WebSocket, service: Service) -> None:
    async for kind, facts in _changes(service):
        update = update_of(JobAnswer(**facts)) if kind == "job" else facts
        await websocket.send_json({"event": "job_update" if kind == "job" else "gpu_status", **update})


def _plain(job: JobAnswer) -> dict[str, Any]:
    return job.model_dump(mode="json")
