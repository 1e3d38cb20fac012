"""The process of one job: `python -m studio.runner HOME JOB LANGUAGE`. It reads the job's record, runs the action, writes its end.

Nothing of what was asked stands on its command line, which everybody on the machine can read.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from actions.action import Action, dump
from actions.recorded import Recording, run_and_record
from actions.request import ClientRequest, Job, Session
from actions.table import action_named
from client_folder.client import open_client
from config import load_settings
from locales.language import speak
from machine import background
from machine.background import Recorder
from machine.model_process import ModelProcess
from studio.job_records import JobError, JobRecord, place_of_job, read_job
from utils import PipelineError


def main(home: Path, name: str, language: str) -> int:
    """Run the job; 0 where it ended well."""
    speak(language)
    place = place_of_job(home, name)
    with ModelProcess(home / "logs" / "worker.log") as model_process:
        try:
            action, job = _job_of(read_job(home, name), home, model_process)
            recordings = [Recording(place, lambda report: _end_of(action, job, report, home))]
            if action.background:  # so that a terminal finds it too, and can stop it
                theirs = action.background.place(job)
                background.take(theirs)
                kind: TypeAdapter[Any] = TypeAdapter(action.background.report)
                recordings.append(Recording(theirs, lambda report: kind.dump_python(report, mode="json")))
        except PipelineError as error:
            Recorder(place).failed(error)
            return 1
        return 0 if run_and_record(action, job, recordings) else 1


def _job_of(record: JobRecord, home: Path, model_process: ModelProcess) -> tuple[Action[Any], Job[Any]]:
    """The job that a record asks for. Raises ClientMissing, BrokenFile."""
    action = action_named(record.action)
    request = action.request(**record.request)
    client = open_client(home, request.client) if isinstance(request, ClientRequest) else None
    if client:
        client.mark_used()
    return action, Job(Session(home, load_settings(home), model_process), request, client, unattended=True)


def _end_of(action: Action[Any], job: Job[Any], report: Any, home: Path) -> dict[str, Any]:
    """What is kept of a report: the answer, the complaint about it, and the files it made."""
    complaint = action.verdict(report)
    error = (
        JobError(error=type(complaint).__name__, module=type(complaint).__module__, facts=dict(complaint.facts))
        if complaint
        else None
    )
    made = [path for path in action.made(job, report) if path.is_relative_to(home)]
    return {
        "answer": dump(action.answer(report)),
        "error": error.model_dump(mode="json") if error else None,
        "made": [path.relative_to(home).as_posix() for path in made],
    }


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
