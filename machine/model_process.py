"""The process that holds the models, seen from outside: started when it is first needed, asked for work, ended in one call.

Everything that may hold video memory runs in it, so that ending it frees every byte. An order goes in as one line of JSON, what
becomes of it comes out as lines of JSON. A worker whose program dies ends by itself.
"""

from __future__ import annotations

import contextlib
import importlib
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from client_folder.private import private_folder
from config import PROGRAM
from locales.language import N_
from machine.worker_tasks import Task, TaskEvent
from utils import Event, Notice, PipelineError, ProgramFault, Progress

WORKER = ("-m", "machine.worker")  # what Python is told to run, from the program's own folder
HEARTBEAT_SECONDS = 0.5
GRACE_SECONDS = 5.0  # for a worker that was asked to stop, or to end
TAIL_LINES = 3
FULL_LOG_BYTES = 1_000_000

# What a worker may want said while it works.
NOTICES = {
    "loading": N_("Loading {model}..."),
    "one_by_one": N_("The memory does not suffice for several at once: painting one by one."),
    "offload": N_("The GPU's memory does not suffice: models now wait in RAM until it is their turn. This is slower."),
    "attention_slicing": N_("Still too little memory: attention is computed in slices."),
    "vae_tiling": N_("Still too little memory: pictures are decoded in tiles."),
    "sequential_offload": N_("Still too little memory: the model comes to the GPU layer by layer. This is much slower."),
    "cpu_instead": N_("The GPU cannot be used for this ({reason}): the processor does it."),
}


class WorkerDied(PipelineError):
    """Facts: cause, log."""

    message = N_("The process that holds the models was ended: {cause}")
    hint = N_("Every finished picture is kept; run the same command again. What it said: {log}")


@dataclass(frozen=True, slots=True)
class ModelProcessStatus:
    """What this program's worker holds, in GB; nothing where it has none. The worker of another program is not asked."""

    running: bool
    loaded: tuple[dict[str, Any], ...] = ()
    allocated_gb: float = 0.0
    reserved_gb: float = 0.0
    pid: int | None = None


class ModelProcess:
    """Owns at most one worker. Not for several threads; close it, or use it as a context."""

    def __init__(self, log: Path | None = None) -> None:
        """`log`: where the libraries' own words go; None: a temporary file."""
        self._log = log or Path(tempfile.gettempdir()) / "avatar_pipeline_worker.log"
        self._child: subprocess.Popen[str] | None = None
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._number = 0
        self.starts = 0

    def __enter__(self) -> ModelProcess:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The worker's process, None where none runs."""
        return self._child.pid if self._child and self._child.poll() is None else None

    def ask(self, task: str, facts: BaseModel | None = None) -> Generator[TaskEvent, None, dict[str, Any]]:
        """Have something done: yields every answer, and twice a second that the worker is at it; returns the facts of the last.

        Closed before its end, the order is given up: the worker keeps its models. Raises what the worker met with, or WorkerDied.
        """
        number = self._send(task, facts.model_dump(mode="json", by_alias=True) if facts else {})
        ended = False
        try:
            for answer in self._answers(number):
                if answer.kind == "failed":
                    ended = True
                    raise error_of(answer.facts, self._log)
                if answer.kind == "done":
                    ended = True
                    return answer.facts
                yield answer
        except WorkerDied:
            ended = True
            raise
        finally:
            if not ended:
                self._give_up(number)
        raise AssertionError("a worker's answers end with done, failed or its death")

    def status(self) -> ModelProcessStatus:
        """What the worker holds; none is started for it."""
        if self.pid is None:
            return ModelProcessStatus(False)
        facts = _result(self.ask("status"))
        return ModelProcessStatus(True, tuple(facts["loaded"]), facts["allocated_gb"], facts["reserved_gb"], self.pid)

    def close(self) -> tuple[str, ...]:
        """End the worker, and with it everything it holds; the names of the models it held."""
        child = self._child
        held: tuple[str, ...] = ()
        if child is None:
            return held
        with contextlib.suppress(PipelineError, OSError):
            held = tuple(model["name"] for model in self.status().loaded)
        with contextlib.suppress(OSError):
            if child.stdin:
                child.stdin.close()  # a worker whose orders end, ends
        try:
            child.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        self._child = None
        return held

    def _send(self, task: str, facts: dict[str, Any]) -> int:
        if self.pid is None:
            self._start()
        self._number += 1
        order = Task(number=self._number, task=task, facts=facts)
        assert self._child is not None and self._child.stdin is not None
        try:
            self._child.stdin.write(order.model_dump_json() + "\n")
            self._child.stdin.flush()
        except OSError as error:
            raise self._died() from error
        return self._number

    def _start(self) -> None:
        from machine.processes import NEW_GROUP  # here, not above: it brings psutil with it, and most work needs no worker

        private_folder(self._log.parent)
        full = self._log.exists() and self._log.stat().st_size > FULL_LOG_BYTES
        with self._log.open("w" if full else "a", encoding="utf-8") as log:
            self._child = subprocess.Popen(
                [sys.executable, *WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=PROGRAM,
                text=True, encoding="utf-8", start_new_session=sys.platform != "win32",
                creationflags=NEW_GROUP,
            )  # fmt: skip
        self._lines = queue.SimpleQueue()
        threading.Thread(target=_pump, args=(self._child, self._lines), daemon=True).start()
        self.starts += 1

    def _answers(self, number: int) -> Iterator[TaskEvent]:
        """The answers to one order as they come; those of an order given up before are passed over."""
        while True:
            try:
                line = self._lines.get(timeout=HEARTBEAT_SECONDS)
            except queue.Empty:
                yield TaskEvent(order=number, kind="waiting")
                continue
            if line is None:
                raise self._died()
            answer = TaskEvent.model_validate_json(line)
            if answer.order == number:
                yield answer

    def _give_up(self, number: int) -> None:
        """Ask the worker to leave an order; one that does not hear is ended."""
        if self.pid is None or self._child is None or self._child.stdin is None:
            return
        with contextlib.suppress(OSError):
            self._child.stdin.write(Task(number=number, task="cancel").model_dump_json() + "\n")
            self._child.stdin.flush()
        end = time.monotonic() + GRACE_SECONDS
        with contextlib.suppress(WorkerDied):
            for answer in self._answers(number):
                if answer.kind in ("done", "failed"):
                    return
                if time.monotonic() > end:
                    break
        self._child.kill()
        self._child.wait()
        self._child = None

    def _died(self) -> WorkerDied:
        child, self._child = self._child, None
        code = child.wait() if child else 0
        words = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:] if self._log.exists() else []
        cause = f"signal {-code}" if code < 0 else f"exit {code}" + (f": {words[-1].strip()}" if words and code else "")
        return WorkerDied(cause=cause, log=self._log)


def relay(
    answers: Generator[TaskEvent, None, dict[str, Any]], stage: str, items: list[dict[str, Any]] | None = None
) -> Generator[Event, None, dict[str, Any]]:
    """A worker's answers as events of a stage; finished pieces are put into `items`. Returns the facts of the last answer.

    While the worker only works, the last event comes again, so that the stage can be stopped.
    """
    last = Progress(stage, 0, 0)
    with contextlib.closing(answers):
        while True:
            try:
                answer = next(answers)
            except StopIteration as end:
                return dict(end.value)
            if answer.kind == "note":
                yield Notice(NOTICES[answer.facts["code"]], {name: fact for name, fact in answer.facts.items() if name != "code"})
                continue
            if answer.kind == "item" and items is not None:
                items.append(answer.facts)
            if answer.kind == "progress":
                last = Progress(stage, int(answer.facts["done"]), int(answer.facts["total"]), str(answer.facts["item"]))
            yield last


def _pump(child: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]) -> None:
    """Read what the worker says to its end."""
    assert child.stdout is not None
    for line in child.stdout:
        if line.strip():
            lines.put(line)
    lines.put(None)


def _result(answers: Generator[TaskEvent, None, dict[str, Any]]) -> dict[str, Any]:
    """Wait for the end of an order."""
    while True:
        try:
            next(answers)
        except StopIteration as end:
            return dict(end.value)


def error_of(facts: dict[str, Any], log: Path) -> PipelineError:
    """The error that another process of ours met with, as if it had been met here: `facts` hold its name, its module and its facts.

    The module that defines it may not be loaded here yet: it is imported if it is one of the program's own, and no other ever is.
    """
    name, module = facts["error"], facts["module"]
    if name not in PipelineError.known and _is_ours(module):
        importlib.import_module(module)
    kind = PipelineError.known.get(name)
    if kind is not None and kind.__module__ == module:
        return kind(**facts["facts"])
    return ProgramFault(error=name, path=log)


def _is_ours(module: str) -> bool:
    """Whether the program's own folder holds the module: data and environments that lie there too are in no package."""
    *packages, name = module.split(".")
    if not all(part.isidentifier() for part in (*packages, name)):
        return False
    folder = PROGRAM
    for package in packages:
        folder /= package
        if not (folder / "__init__.py").is_file():
            return False
    return (folder / f"{name}.py").is_file()
