"""What happens now: jobs and their order, the GPU, and a training with its loss, its samples and its time as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Form, Header, Response
from fastapi.responses import HTMLResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.requests import Request

from actions.table import row_named
from actions.training import OF_CLIENT
from client_folder.client import Client, open_client
from locales.language import N_, _, speaking
from machine import background
from machine.background import Place, RunState
from machine.gpu import find_gpus
from studio.answers import told_event
from studio.job_records import JobState
from studio.pages.client_pages import ClientName
from studio.pages.portraits import Shot, seed_rows
from studio.pages.rendering import OurForm, PageRoute, back_to, language_of, page, wants_pieces
from studio.pages.thumbnails import large_url, small_url
from studio.routes_common import Looking, Service, TheService, Working
from studio.routes_jobs import JobName, told
from training.checkpoints import current_exam, list_checkpoints
from training.runs import losses_of, read_runs
from utils import TrainingTick

LOOK_SECONDS = 0.5
SHOWN = 50  # jobs that are over
STATES = {
    JobState.WAITING: N_("waiting"), JobState.RUNNING: N_("running"), JobState.DONE: N_("done"), JobState.FAILED: N_("failed"),
    JobState.STOPPED: N_("stopped"),
}  # fmt: skip
MOVED, CANCELLED = N_("Moved: {action}"), N_("Asked to stop: {action}")
ASKED = {"save": N_("Saving after this step."), "sample": N_("Painting samples after this step.")}


_router = APIRouter(include_in_schema=False, route_class=PageRoute)


@_router.get("/page/jobs")
def jobs_page(request: Request, service: TheService, _key: Looking) -> HTMLResponse:
    """Those that run, those that wait in their order, and those that are over."""
    jobs = [told(job, service, whole=False) for job in service.jobs.all_jobs()]
    waiting = sorted((job for job in jobs if job.state is JobState.WAITING), key=lambda job: job.position or 0)
    return page(
        request, "jobs.html", running=[job for job in jobs if job.state is JobState.RUNNING], waiting=waiting,
        over=[job for job in jobs if job.state.over][:SHOWN], gpus=find_gpus(), states=STATES, label=_label,
    )  # fmt: skip


@_router.post("/page/jobs/{job}", dependencies=[OurForm])
def change(
    request: Request, job: JobName, service: TheService, _key: Working,
    do: Annotated[str, Form(pattern="^(up|down|before|cancel)$")], before: Annotated[str, Form(max_length=60)] = "",
) -> Response:  # fmt: skip
    """Move a job that waits, or ask one to stop."""
    record = service.jobs.find(job)
    if do == "cancel":
        service.jobs.cancel(job)
    else:
        service.jobs.move(job, before if do == "before" else _neighbour(service, job, do))
    if not wants_pieces(request):
        return back_to("/page/jobs")
    said = CANCELLED if do == "cancel" else MOVED
    return page(request, "_toast.html", said=said, facts={"action": _label(record.action)})


@_router.get("/page/clients/{client}/training")
def training_page(request: Request, client: ClientName, service: TheService, _key: Looking) -> HTMLResponse:
    """A client's training, as it runs or as it was."""
    who = open_client(service.home, client)
    return page(request, "training.html", client=who, tab="training", **_training_facts(who))


@_router.post("/page/clients/{client}/training", dependencies=[OurForm])
def ask_for(
    request: Request, client: ClientName, service: TheService, _key: Working,
    do: Annotated[str, Form(pattern="^(save|sample)$")],
) -> Response:  # fmt: skip
    """Ask the trainer to save or to paint samples now, where it takes wishes."""
    from embedded.trainer.trainer_control import SAMPLE, SAVE, ask_trainer

    who = open_client(service.home, client)
    event = background.last_event(_place(who))
    if isinstance(event, TrainingTick) and event.control and background.find(_place(who)) is RunState.RUNNING:
        ask_trainer(FilePath(event.control), SAVE if do == "save" else SAMPLE)
        if wants_pieces(request):
            return page(request, "_toast.html", said=ASKED[do])
    return back_to(f"/page/clients/{client}/training")


def _label(action: str) -> str:
    return _(row_named(action).label)


def _neighbour(service: Service, job: str, do: str) -> str:
    """Before which job it stands after one place up or down; empty: at the end."""
    order = [one.id for one in service.jobs.waiting()]
    at = order.index(job) if job in order else 0
    after = order[max(0, at - 1) :] if do == "up" else order[at + 2 :]
    return after[0] if after else ""


# --- a training -------------------------------------------------------------------------------------------------------
def _place(client: Client) -> Place:
    """Where a training of the client's writes what happens, whoever began it."""
    return Place(client.background_file, _(OF_CLIENT).format(client=client.display_name), "")


def _training_facts(client: Client) -> dict[str, Any]:
    """What is known of a client's trainings: the last run, the loss and the likeness at each checkpoint, samples."""
    runs, checkpoints = read_runs(client), list_checkpoints(client)
    version = max((one.version for one in checkpoints), default=0)
    exam = current_exam(client)
    newest = sorted(client.samples.glob("*-step*.png"), key=lambda file: file.stat().st_mtime)[-8:]
    return {
        "run": runs[-1] if runs else None, "losses": sorted(losses_of(runs, version).items()), "exam": exam,
        "running": background.find(_place(client)) is RunState.RUNNING, "rows": seed_rows(client, None),
        "samples": [Shot(file.stem, small_url(client, "samples", file), large_url(client, file)) for file in newest],
    }  # fmt: skip


_events_router = APIRouter(include_in_schema=False)


@_events_router.get("/page/clients/{client}/training/events", response_class=EventSourceResponse)
async def training_events(
    request: Request, client: ClientName, service: TheService, _key: Looking,
    last_event_id: Annotated[str, Header(max_length=40, pattern=r"^[0-9]*$")] = "",
) -> AsyncIterator[ServerSentEvent]:  # fmt: skip
    """`tick` for each step that was told, `begin` where a new run begins, `end` where one ended."""
    who = await asyncio.to_thread(open_client, service.home, client)
    async for event in _events(who, service, language_of(request), int(last_event_id or 0)):
        yield event


async def _events(client: Client, service: Service, language: str, at: int) -> AsyncIterator[ServerSentEvent]:
    begun = ""
    while True:
        started, lines = await asyncio.to_thread(_lines_of, client, begun, at)
        if started != begun:
            if begun or not at:
                yield ServerSentEvent(event="begin", data={"started": started}, id="0")
            begun = started
        for line, at in lines:
            if "end" in line:
                yield ServerSentEvent(event="end", data={"end": line["end"]}, id=str(at))
            elif line["event"] == TrainingTick.__name__:
                yield ServerSentEvent(event="tick", data=_tick(client, line), id=str(at))
            else:
                with speaking(language):
                    facts = told_event(line, service.home)
                yield ServerSentEvent(event="told", data=facts, id=str(at))
        await asyncio.sleep(LOOK_SECONDS)


def _lines_of(client: Client, begun: str, at: int) -> tuple[str, list[tuple[dict[str, Any], int]]]:
    """Which run is on record, and what it said since; from its beginning where it is another one than before."""
    place = _place(client)
    try:
        started = str(place.record.stat().st_mtime_ns)
    except FileNotFoundError:
        return begun, []
    return started, list(background.lines_after(place, at if begun in ("", started) else 0))


def _tick(client: Client, line: dict[str, Any]) -> dict[str, Any]:
    """A tick as the page draws it: the sample by its address, nothing of where files lie."""
    names = ("step", "total", "loss", "seconds_per_step", "vram_gb", "vram_total_gb", "silent_seconds", "phase", "kept_step")
    sample = client.samples / FilePath(line.get("sample") or "").name
    shown = sample if line.get("sample") and sample.is_file() else None
    return {name: line.get(name) for name in names} | {
        "sample": small_url(client, "samples", shown) if shown else "", "large": large_url(client, shown) if shown else "",
        "name": shown.stem if shown else "", "takes_wishes": bool(line.get("control")),
    }  # fmt: skip


def jobs_page_router() -> APIRouter:
    """Jobs and the GPU; a training."""
    return _router


def training_events_router() -> APIRouter:
    """`/page/clients/CLIENT/training/events`: the training of a client from its first event on, and the next one after it."""
    return _events_router
