"""Child processes: the one runner, what it yields, how its process tree is ended, and the orphan of a run that was killed."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from utils import BrokenFile, Record, read_record, write_record

TAIL_LINES = 40
HEARTBEAT_SECONDS = 0.5
GRACE_SECONDS = 3.0
# A group of its own, so that Ctrl-C in our terminal reaches the child through us only; elsewhere a new session does that.
if sys.platform == "win32":
    NEW_GROUP = subprocess.CREATE_NEW_PROCESS_GROUP
else:
    NEW_GROUP = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One line a child printed, without its ending; a progress bar redrawn with a carriage return counts as a line."""

    text: str


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The child said nothing for half a second; the caller may stop it here."""


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """How a child ended; `tail` holds its last 40 lines."""

    argv: tuple[str, ...]
    returncode: int
    seconds: float
    tail: tuple[str, ...]


class _Orphan(Record):
    """Who runs: enough to know the process again after ours was killed."""

    pid: int
    created: float


def run_child(
    argv: Sequence[str], log_file: Path, environment: Mapping[str, str], *pid_files: Path
) -> Generator[Line | Heartbeat, None, ProcessResult]:
    """Run a program, yield what it prints as it prints it, and end its whole process tree when the generator is closed.

    Each of `pid_files` names the child for `end_orphan`, should this process be killed before it can clean up.
    """
    started = time.monotonic()
    child = subprocess.Popen(
        list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", **environment},
        start_new_session=sys.platform != "win32", creationflags=NEW_GROUP,
    )  # fmt: skip
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    try:
        named = _Orphan(pid=child.pid, created=psutil.Process(child.pid).create_time())
        for pid_file in pid_files:
            write_record(pid_file, named)
        log_file.parent.mkdir(parents=True, exist_ok=True)
        with log_file.open("a", encoding="utf-8") as written:
            for line in _lines_of(child):
                if isinstance(line, Line):
                    written.write(line.text + "\n")
                    tail.append(line.text)
                yield line
        child.wait()
    finally:
        _end_tree(child.pid)
        child.wait()
        for pid_file in pid_files:
            pid_file.unlink(missing_ok=True)
    return ProcessResult(tuple(argv), child.returncode, time.monotonic() - started, tuple(tail))


def _lines_of(child: subprocess.Popen[bytes]) -> Iterator[Line | Heartbeat]:
    """The child's lines as they come; a thread reads, so that a full pipe never blocks the child."""
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_pump, args=(child, lines), daemon=True).start()
    while True:
        try:
            text = lines.get(timeout=HEARTBEAT_SECONDS)
        except queue.Empty:
            yield Heartbeat()
            continue
        if text is None:
            return
        yield Line(text)


def _pump(child: subprocess.Popen[bytes], lines: queue.SimpleQueue[str | None]) -> None:
    """Read the pipe to its end and cut it at both kinds of line ending."""
    assert child.stdout is not None
    rest = b""
    while chunk := os.read(child.stdout.fileno(), 65536):
        *whole, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
        for line in whole:
            if line.strip():
                lines.put(line.decode("utf-8", errors="replace"))
    if rest.strip():
        lines.put(rest.decode("utf-8", errors="replace"))
    lines.put(None)


def end_orphan(pid_file: Path) -> None:
    """End a child that a killed run of ours left behind, and only that one: the start time must match."""
    if not pid_file.is_file():
        return
    with contextlib.suppress(BrokenFile, psutil.NoSuchProcess):
        orphan = read_record(pid_file, _Orphan)
        if abs(psutil.Process(orphan.pid).create_time() - orphan.created) < 1.0:
            _end_tree(orphan.pid)
    pid_file.unlink(missing_ok=True)


def _end_tree(pid: int) -> None:
    """Ask a process and all below it to end; after three seconds, end them."""
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _gone, alive = psutil.wait_procs(family, timeout=GRACE_SECONDS)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    if sys.platform != "win32":
        # A grandchild whose parent ended first is in no list of ours, but still in the group.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
