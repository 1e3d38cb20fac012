"""Jobs on disk: one folder each below `service/jobs`, with its record, its events and its end; what is there survives any process.

`job.json` is written by the service alone, the files of the run beside it by the process that runs the job (`machine.background`).
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field

from client_folder.private import private_folder
from locales.language import N_, _
from machine.background import Place
from studio.keys import service_folder
from utils import BrokenFile, PipelineError, Record, log, read_record, write_record

JOB_ID = r"^[0-9]{8}-[0-9]{6}-[0-9a-f]{8}$"
OF_JOB = N_("The job {job}")


class JobUnknown(PipelineError):
    """Facts: job."""

    message = N_("There is no job {job}.")
    hint = N_("Which there are: GET /jobs")


class JobState(StrEnum):
    """How it stands with a job."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self not in (JobState.WAITING, JobState.RUNNING)


class JobError(Record):
    """What a job failed at: the class of the error and its facts; the words are made for whoever reads them."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    error: str
    module: str
    facts: dict[str, Any] = {}


class JobRecord(Record):
    """`job.json`. Times are ISO 8601 in UTC; `turn` orders those that wait."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    id: str = Field(pattern=JOB_ID)
    action: str
    client: str = ""
    request: dict[str, Any]
    key: str = ""  # the name of the key that asked
    created: str
    turn: float
    state: JobState = JobState.WAITING
    started: str = ""
    ended: str = ""
    attempts: int = 0
    waits_for: str = ""  # the class of the error that says what it waits for; empty: its turn
    answer: dict[str, Any] | None = None
    error: JobError | None = None
    made: tuple[str, ...] = ()  # files to look at, relative to the home, the first one first


def jobs_folder(home: Path) -> Path:
    """Where all jobs lie."""
    return service_folder(home) / "jobs"


def job_folder(home: Path, job: str) -> Path:
    """Where one job lies; raises JobUnknown for what is no job's name."""
    if not re.fullmatch(JOB_ID, job):
        raise JobUnknown(job=job[:60])
    return jobs_folder(home) / job


def place_of_job(home: Path, job: str) -> Place:
    """Where the process that runs it writes down what happens."""
    return Place(job_folder(home, job) / "run.json", _(OF_JOB).format(job=job), "serve")


def new_job(
    home: Path, action: str, client: str, request: Mapping[str, Any], key: str, turn: float
) -> JobRecord:  # fmt: skip
    """A job that waits, on disk."""
    now = datetime.now(UTC)
    name = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
    record = JobRecord(
        id=name, action=action, client=client, request=dict(request), key=key, created=now.isoformat(timespec="seconds"), turn=turn
    )
    private_folder(job_folder(home, name))
    return write_job(home, record)


def write_job(home: Path, record: JobRecord) -> JobRecord:
    """Keep a record."""
    write_record(job_folder(home, record.id) / "job.json", record)
    return record


def read_job(home: Path, job: str) -> JobRecord:
    """One record; raises JobUnknown, BrokenFile."""
    try:
        return read_record(job_folder(home, job) / "job.json", JobRecord)
    except FileNotFoundError as error:
        raise JobUnknown(job=job) from error


def read_jobs(home: Path) -> list[JobRecord]:
    """Every record that can be read, the oldest first; a broken one is told to the log and left as it is."""
    found = []
    for file in sorted(jobs_folder(home).glob("*/job.json")):
        try:
            found.append(read_record(file, JobRecord))
        except (BrokenFile, FileNotFoundError) as error:
            log.error("service: %s", error)
    return found


def forget_job(home: Path, job: str) -> None:
    """Remove a job that is over."""
    shutil.rmtree(job_folder(home, job), ignore_errors=True)
