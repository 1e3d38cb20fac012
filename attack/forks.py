"""The program run in a forked child of this process, which has its modules loaded already, or by its real command line.

A child gets a session of its own, so that it can be ended with all it started; what it prints goes into a file.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import resource
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from attack.deaths import Death, Ledger, install

ROOT = Path(__file__).resolve().parent.parent
HOOK = Path(__file__).resolve().parent / "hook"
SECONDS = 240.0  # that an action may take before it counts as one that hangs; the longest took 40 on two loaded cores
FAULT_WORDS = ("A fault of the program", "Traceback (most recent call last)", "Fatal Python error")
_RAISED = 99  # exit code of a child in which something came through that the program should have put into words


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: its exit code, negative for a signal, None where it was ended for taking too long; and what it printed."""

    code: int | None
    said: str
    calls: int = 0
    last_call: str = ""

    def wrong(self, *allowed: int) -> list[str]:
        """What is wrong with it, where these exit codes are right; a fault of the program is always wrong."""
        if self.code is None:
            return [f"hangs: {self._tail()}"]
        if any(words in self.said for words in FAULT_WORDS):
            return [f"fault: {self._tail()}"]
        return [] if self.code in allowed else [self.told()]

    def told(self) -> str:
        """How it ended, in words."""
        return f"exit {self.code}: {self._tail()}"

    def _tail(self) -> str:
        return " ".join(self.said.split())[-300:]


def preload() -> None:
    """Load what the actions need, so that no child has to; not TensorFlow or torch, which do not survive a fork."""
    from actions.table import ROWS

    for row in ROWS:
        importlib.import_module(row.module)
        importlib.import_module(row.view)
    for name in ("avatar_pipeline", "numpy", "PIL.Image", "filelock", "psutil", "cv2", "skimage", "rawpy", "pillow_heif",
                 "safetensors", "defusedxml.ElementTree", "rich.progress", "terminal.missing", "pictures.picture_file",
                 "data_preprocessor", "image_processor", "lora_trainer", "generation", "scipy.ndimage"):  # fmt: skip
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()  # what is loaded stays shared with the children


def _enter(out: Path, memory: int) -> None:
    """Make this forked child a process of its own: session, streams, limits."""
    os.setsid()
    nothing, written = os.open(os.devnull, os.O_RDONLY), os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(nothing, 0)
    os.dup2(written, 1)
    os.dup2(written, 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


@dataclass(slots=True)
class Child:
    """A child at work."""

    pid: int
    out: Path
    ledger: Ledger

    def wait(self, seconds: float = SECONDS) -> Outcome:
        """Its end; it is killed with all it started once it takes longer than that."""
        handle = os.pidfd_open(self.pid)
        try:
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            in_time = bool(poll.poll(seconds * 1000))
        finally:
            os.close(handle)
        if not in_time:
            self.kill()
        _pid, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status) if in_time else None
        return Outcome(code, self.out.read_text(errors="replace"), self.ledger.calls, self.ledger.last)

    def ended(self, seconds: float) -> bool:
        """Wait so long for its end; it goes on if it needs longer."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None:
                return True
            time.sleep(0.005)
        return False

    def halted(self, seconds: float = SECONDS) -> bool:
        """Wait until it halts (True) or ends (False, and it can be waited for)."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT | os.WNOHANG)
            if found is not None:
                return found.si_code == os.CLD_STOPPED
            time.sleep(0.002)
        return False

    def go_on(self) -> None:
        """Let a halted child go on."""
        os.kill(self.pid, signal.SIGCONT)

    def _below(self) -> list[psutil.Process]:
        """All that it started, also what has a session of its own."""
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def kill_family(self) -> None:
        """End it with all below it."""
        below = self._below()
        self.kill()
        for process in below:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def halt_family(self) -> None:
        """Stop it with all below it, for good: it can only be killed then."""
        for process in (self.pid, *(process.pid for process in self._below())):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGSTOP)

    def kill(self) -> None:
        """End it with all it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


def start(work: Callable[[], int], out: Path, death: Death | None = None, memory: int = 0) -> Child:
    """Do some work in a forked child; `memory`: most bytes of address space, 0 for no limit."""
    ledger = Ledger()
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return Child(pid, out, ledger)
    code = _RAISED
    try:
        _enter(out, memory)
        if death is not None:
            install(death, ledger)
        code = work()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else _RAISED
    except BaseException:  # noqa: BLE001 - whatever comes through is what the campaign looks for
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def begin(home: Path, words: Sequence[str], out: Path, death: Death | None = None) -> Child:
    """Begin an action of the program in a forked child."""
    import avatar_pipeline

    argv = ["--home", str(home), "--language", "en", *words]
    return start(lambda: avatar_pipeline.main(argv), out, death)


def act(home: Path, words: Sequence[str], out: Path, death: Death | None = None, seconds: float = SECONDS) -> Outcome:
    """Run an action of the program to its end in a forked child."""
    return begin(home, words, out, death).wait(seconds)


def command_line(home: Path, words: Sequence[str], out: Path, environment: Mapping[str, str] | None = None) -> Child:
    """Begin an action by the real command line, in a session of its own; `environment` is added to ours."""
    with out.open("wb") as written:
        child = subprocess.Popen(
            [sys.executable, str(ROOT / "avatar_pipeline.py"), "--home", str(home), "--language", "en", *words],
            stdin=subprocess.DEVNULL, stdout=written, stderr=written, start_new_session=True, cwd=ROOT,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip
    child.returncode = 0  # it is waited for by its number, and Popen shall not complain about it
    return Child(child.pid, out, Ledger())
