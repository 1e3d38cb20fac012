"""`/jobs`: what takes long, from its turn in the queue to its answer."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from machine import background
from studio.answers import Problem, hidden, problem_of_job
from studio.job_records import JOB_ID, JobRecord, JobState, place_of_job
from studio.routes_common import Looking, Service, TheService, Working
from utils import Progress, TrainingTick

JobName = Annotated[str, Path(max_length=60, pattern=JOB_ID, description="the id of a job")]


class JobProgress(BaseModel):
    """How far a job is: pieces of a stage, or steps of a training."""

    stage: str
    done: int
    total: int
    item: str = ""
    loss: float | None = None
    seconds_left: float | None = None
    vram_gb: float | None = None
    vram_total_gb: float | None = None
    phase: str = ""

    @property
    def percent(self) -> int:
        """Of its stage."""
        return round(100 * self.done / self.total) if self.total else 0


class JobAnswer(BaseModel):
    """A job. `position` counts those that wait, from 1; `made` are addresses of files."""

    id: str
    action: str
    client: str
    state: JobState
    created: str
    started: str
    ended: str
    attempts: int
    position: int | None = None
    waits_for: str = ""
    progress: JobProgress | None = None
    request: dict[str, Any] = {}
    answer: dict[str, Any] | None = None
    made: tuple[str, ...] = ()
    problem: Problem | None = None


class Jobs(BaseModel):
    """Jobs, the newest first."""

    jobs: list[JobAnswer]
    total: int


class Move(BaseModel):
    """Where a job that waits is put."""

    before: str = Field(default="", max_length=60, description="the job that comes next then; empty: at the end")


def told(record: JobRecord, service: Service, *, whole: bool = True) -> JobAnswer:
    """A job for whoever asks; `whole`: with what was asked and answered."""
    return JobAnswer(
        **record.model_dump(include={"id", "action", "client", "state", "created", "started", "ended", "attempts", "waits_for"}),
        position=service.jobs.positions().get(record.id),
        progress=progress_of(record, service) if record.state is JobState.RUNNING else None,
        request=hidden(record.request, service.home) if whole else {},
        answer=hidden(record.answer, service.home) if whole else None,
        made=tuple(f"/files/{name.removeprefix('clients/')}" for name in record.made if name.startswith("clients/")),
        problem=Problem(**problem_of_job(record.error, service.home)) if record.error else None,
    )  # fmt: skip


def progress_of(record: JobRecord, service: Service) -> JobProgress | None:
    """What a job that runs said last."""
    event = background.last_event(place_of_job(service.home, record.id))
    if isinstance(event, TrainingTick):
        left = event.seconds_per_step * (event.total - event.step) if event.seconds_per_step else None
        return JobProgress(
            stage="train", done=event.step, total=event.total, loss=event.loss, seconds_left=left, phase=event.phase,
            vram_gb=event.vram_gb, vram_total_gb=event.vram_total_gb,
        )  # fmt: skip
    if isinstance(event, Progress):
        return JobProgress(stage=event.stage, done=event.done, total=event.total, item=hidden(event.item, service.home))
    return None


def jobs_router() -> APIRouter:
    """Lists, one, cancel, move."""
    router = APIRouter(prefix="/jobs", tags=["jobs"])

    @router.get("")
    def list_jobs(
        service: TheService, _key: Looking,
        state: Annotated[JobState | None, Query(description="only those")] = None,
        client: Annotated[str, Query(max_length=80, description="only this client's")] = "",
        most: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> Jobs:  # fmt: skip
        """Every job, the newest first, without what was asked and answered."""
        found = [job for job in service.jobs.all_jobs() if state in (None, job.state) and client in ("", job.client)]
        return Jobs(jobs=[told(job, service, whole=False) for job in found[:most]], total=len(found))

    @router.get("/{job}", responses={404: {"model": Problem}})
    def find_job(job: JobName, service: TheService, _key: Looking) -> JobAnswer:
        """One job, with its answer once it is done."""
        return told(service.jobs.find(job), service)

    @router.post("/{job}/cancel", responses={404: {"model": Problem}})
    def cancel_job(
        job: JobName, service: TheService, _key: Working,
        now: Annotated[bool, Query(description="at once, without the state of this step")] = False,
    ) -> JobAnswer:  # fmt: skip
        """Ask a job to stop; what it finished is kept."""
        return told(service.jobs.cancel(job, now), service)

    @router.post("/{job}/move", responses={404: {"model": Problem}})
    def move_job(job: JobName, to: Move, service: TheService, _key: Working) -> JobAnswer:
        """Put a job that waits before another one."""
        return told(service.jobs.move(job, to.before), service)

    return router
