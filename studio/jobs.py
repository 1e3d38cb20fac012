"""The queue: what takes long waits here for its client and for the GPU, and is run by processes of the program's own.

Those outlive the service. Started again, it finds on disk who waits, who still runs and who ended meanwhile, and goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from actions.action import Action
from actions.request import BackgroundRequest, ClientRequest, Request
from actions.table import action_named
from locales.language import N_, spoken
from machine import background
from machine.background import RunLost, RunState
from studio.job_records import (
    JobError,
    JobRecord,
    JobState,
    JobUnknown,
    forget_job,
    new_job,
    place_of_job,
    read_jobs,
    write_job,
)
from utils import PipelineError, log

RUNNER = "studio.runner"
LOOK_SECONDS = 0.25  # between two looks at the queue
AGAIN_SECONDS = 5.0  # until a job is tried again that found its client or the GPU taken by another program
MOST_AT_ONCE = 3  # one of them on the GPU
MOST_ATTEMPTS = 2  # a job whose process was killed is begun once more: what it finished is kept
MOST_KEPT = 500  # jobs that are over; the oldest go
MOST_WAITING = 1000
# What other programs hold for a while: such a job waits for it. By name: their modules need not be loaded for that.
BUSY = frozenset({"ClientBusy", "GPUBusy", "RunsAlready"})


class QueueFull(PipelineError):
    """Facts: most."""

    message = N_("There are {most} jobs waiting already.")
    hint = N_("Wait until some are done, or cancel them.")


def needs_gpu(action: Action[Any]) -> bool:
    """Whether a job of that action waits for the GPU."""
    return action.whole_gpu or action.gpu


class JobQueue:
    """All jobs of a home. `work` is its loop; every other method may be called from any thread."""

    def __init__(self, home: Path) -> None:
        """Find what is on disk."""
        self._home = home
        self._lock = threading.RLock()
        self._jobs = {record.id: record for record in read_jobs(home)}
        self._secrets: dict[str, Mapping[str, str]] = {}  # by job; never on disk
        self._not_before: dict[str, float] = {}
        # A thread of its own begins jobs, there before the service makes itself the less important one: a child inherits that.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="queue")
        self._thread.submit(int).result()
        self.changes = 0  # how often anything changed
        self._positions: tuple[int, dict[str, int]] = -1, {}

    # --- asked from outside -----------------------------------------------------------------------------------------
    def all_jobs(self) -> list[JobRecord]:
        """Every job, the newest first."""
        with self._lock:
            return sorted(self._jobs.values(), key=lambda job: job.id, reverse=True)

    def find(self, job: str) -> JobRecord:
        """One job. Raises JobUnknown."""
        with self._lock:
            if job not in self._jobs:
                raise JobUnknown(job=job[:60])
            return self._jobs[job]

    def waiting(self) -> list[JobRecord]:
        """Those that wait, in the order in which they will be begun."""
        with self._lock:
            return sorted((job for job in self._jobs.values() if job.state is JobState.WAITING), key=lambda job: (job.turn, job.id))

    def positions(self) -> dict[str, int]:
        """Which turn each job has that waits, from 1."""
        with self._lock:
            if self._positions[0] != self.changes:
                self._positions = self.changes, {job.id: number for number, job in enumerate(self.waiting(), 1)}
            return self._positions[1]

    def add(self, action: Action[Any], request: Request, key: str) -> JobRecord:
        """A new job at the end. Raises QueueFull."""
        secrets: Mapping[str, str] = {}
        if isinstance(request, BackgroundRequest):
            request, secrets = request.model_copy(update={"background": False, "attach": False}).handed_over()
        asked = json.loads(request.model_dump_json(by_alias=True, exclude_defaults=True))
        client = str(getattr(request, "client", "") or "")
        with self._lock:
            waiting = self.waiting()
            if len(waiting) >= MOST_WAITING:
                raise QueueFull(most=MOST_WAITING)
            turn = max([time.time(), *(job.turn + 1 for job in waiting[-1:])])
            record = new_job(self._home, action.name, client, asked, key, turn)
            self._jobs[record.id] = record
            if secrets:
                self._secrets[record.id] = secrets
            self.changes += 1
            return record

    def cancel(self, job: str, at_once: bool = False) -> JobRecord:
        """Ask a job to stop; one that waits is stopped then, one that is over stays as it is. Raises JobUnknown."""
        with self._lock:
            record = self.find(job)
            if record.state is JobState.WAITING:
                return self._end(record, JobState.STOPPED)
            if record.state is JobState.RUNNING:
                background.ask_to_stop(place_of_job(self._home, job), at_once)
            return record

    def move(self, job: str, before: str = "") -> JobRecord:
        """Put a job that waits before another one, or at the end. Raises JobUnknown."""
        with self._lock:
            record, others = self.find(job), [one for one in self.waiting() if one.id != job]
            at = next((number for number, one in enumerate(others) if one.id == before), None)
            if before and at is None:
                raise JobUnknown(job=before[:60])
            if record.state is not JobState.WAITING or not others:
                return record
            after = others[-1].turn + 1 if at is None else others[at].turn
            ahead = others[-1].turn + 1 if at is None else others[at - 1].turn if at else after - 2
            return self._keep(record, turn=(ahead + after) / 2)

    # --- the loop ---------------------------------------------------------------------------------------------------
    async def work(self) -> None:
        """Begin what can begin and see what ended, until it is cancelled; whoever runs then goes on."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                await loop.run_in_executor(self._thread, self.look)
            except Exception as error:  # noqa: BLE001 - a full disk, say: the queue must be there when it is gone
                log.error("service: queue", exc_info=error)
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """One look at all jobs."""
        with self._lock:
            for record in [job for job in self._jobs.values() if job.state is JobState.RUNNING]:
                self._see(record)
            for record in self.waiting():
                if self._is_free(record):
                    self._begin(record)
            self._forget_old()

    def _is_free(self, record: JobRecord) -> bool:
        """Whether nobody of ours holds what a job needs; what other programs hold shows when it is begun."""
        if self._not_before.get(record.id, 0.0) > time.monotonic():
            return False
        running = [job for job in self._jobs.values() if job.state is JobState.RUNNING]
        action = action_named(record.action)
        if len(running) >= MOST_AT_ONCE:
            return False
        for other in running:
            theirs = action_named(other.action)
            if record.client and record.client == other.client and (action.changes or theirs.changes):
                return False
            if needs_gpu(action) and needs_gpu(theirs):
                return False
        return True

    def _begin(self, record: JobRecord) -> None:
        place = place_of_job(self._home, record.id)
        background.start(
            place, [str(self._home), record.id, spoken()], self._secrets.get(record.id), module=RUNNER
        )  # fmt: skip
        background.look(place)  # as long as the service is here, it tells of the end
        self._keep(record, state=JobState.RUNNING, started=_now(), attempts=record.attempts + 1, waits_for="")

    def _see(self, record: JobRecord) -> None:
        """Take down the end of a job that ended; one whose process was killed waits again."""
        place = place_of_job(self._home, record.id)
        state = background.find(place)
        if state is RunState.RUNNING:
            return
        if state is RunState.ENDED:
            end = background.end_of(place)
            if end["end"] == "done":
                self._end(record, JobState.FAILED if end["report"]["error"] else JobState.DONE, **end["report"])
            elif end["end"] == "stopped":
                self._end(record, JobState.STOPPED)
            elif end["error"] in BUSY:
                self._not_before[record.id] = time.monotonic() + AGAIN_SECONDS
                background.forget(place)
                self._keep(record, state=JobState.WAITING, waits_for=end["error"], attempts=record.attempts - 1)
            else:
                self._end(record, JobState.FAILED, error=JobError(**end))
        elif place.stop.exists():  # it was asked to stop at once
            self._end(record, JobState.STOPPED)
        elif record.attempts < MOST_ATTEMPTS:
            background.forget(place)
            self._keep(record, state=JobState.WAITING)
        else:
            lost = JobError(error=RunLost.__name__, module=RunLost.__module__, facts={"what": place.what, "log": str(place.log)})
            self._end(record, JobState.FAILED, error=lost)

    def _end(self, record: JobRecord, state: JobState, **facts: Any) -> JobRecord:
        self._secrets.pop(record.id, None)
        self._not_before.pop(record.id, None)
        return self._keep(record, state=state, ended=_now(), **facts)

    def _keep(self, record: JobRecord, **facts: Any) -> JobRecord:
        changed = JobRecord.model_validate(record.model_dump(by_alias=True) | facts)
        self._jobs[record.id] = write_job(self._home, changed)
        self.changes += 1
        return changed

    def _forget_old(self) -> None:
        over = sorted(job.id for job in self._jobs.values() if job.state.over)
        for job in over[: max(0, len(over) - MOST_KEPT)]:
            with contextlib.suppress(OSError):
                forget_job(self._home, job)
            del self._jobs[job]
            self.changes += 1


def client_of(request: Request) -> str:
    """The client that a request is about; empty where it names none."""
    return request.client if isinstance(request, ClientRequest) else str(getattr(request, "client", "") or "")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
