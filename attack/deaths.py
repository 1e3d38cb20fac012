"""Ends, tears or halts this process just before its n-th call that changes a file, seen through Python's own audit events.

What C code opens by itself (a decoder, safetensors' writer) raises no event; the random instants of `kills` are for that. Threads
take turns as they like, so that the n-th call of a stage with threads may be another one in the next run: a seed brings back the
kind of fault, not always the very call.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ENVIRONMENT = "AVATAR_PIPELINE_ATTACK"  # how `hook/sitecustomize.py` is told, in the child processes of the program
_NOTE_BYTES = 4096
_CALLS = frozenset(("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"))
_WRITING = os.O_CREAT | os.O_TRUNC | os.O_APPEND
_NOISE = b'\x89PNG\r\n\x1a\n{"half": ' + bytes(range(64))


@dataclass(frozen=True, slots=True)
class Death:
    """What happens before which call; `call` 0 only counts. Calls outside `folder` do not count.

    `how`: `kill` ends the process; `torn` leaves noise in the file that was to be written, then ends it; `halt` stops it (SIGSTOP).
    """

    folder: str
    call: int = 0
    how: str = "kill"
    program: str = ""  # a word of the command line of the child process that is meant; only for `hook`
    ledger: str = ""  # file of the ledger; only for `hook`

    def as_environment(self) -> dict[str, str]:
        """What tells `hook` of it."""
        return {ENVIRONMENT: json.dumps(asdict(self))}


class Ledger:
    """How many calls there were and which was the last one, in memory that outlives the process."""

    def __init__(self, file: str = "") -> None:
        """`file`: kept there, so that another process can read it; empty: in memory that forked children share."""
        if file:
            with Path(file).open("a+b") as opened:
                opened.truncate(8 + _NOTE_BYTES)
                self._memory = mmap.mmap(opened.fileno(), 8 + _NOTE_BYTES)
        else:
            self._memory = mmap.mmap(-1, 8 + _NOTE_BYTES)

    @property
    def calls(self) -> int:
        """The number of calls so far."""
        return int.from_bytes(self._memory[:8], "little")

    @property
    def last(self) -> str:
        """The call before which the process ended, in words."""
        return self._memory[8:].rstrip(b"\0").decode(errors="replace")

    def write(self, calls: int, last: str = "") -> None:
        """Keep both."""
        self._memory[:8] = calls.to_bytes(8, "little")
        if last:
            self._memory[8:] = os.fsencode(last)[:_NOTE_BYTES].ljust(_NOTE_BYTES, b"\0")


def _changed_path(event: str, args: tuple[Any, ...]) -> str:
    """The file that a call is about to change; empty where it changes none."""
    if event == "open":
        path, mode, flags = args
        writes = bool(flags & _WRITING) if mode is None or not isinstance(mode, str) else any(letter in mode for letter in "wax+")
        return os.fsdecode(path) if writes and isinstance(path, str | bytes | os.PathLike) else ""
    if event in _CALLS and args and isinstance(args[0], str | bytes | os.PathLike):
        return os.fsdecode(args[0])
    return ""


def _tear(event: str, path: str) -> None:
    """What a kill in the middle of writing would leave: a file of that name with the wrong bytes in it."""
    if event == "open":
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(handle, _NOISE)
        os.close(handle)


def install(death: Death, ledger: Ledger) -> None:
    """From now on this process counts, and ends where it is to; there is no way back."""
    lock, busy = threading.Lock(), threading.local()

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if (event != "open" and event not in _CALLS) or getattr(busy, "here", False):
            return
        path = _changed_path(event, args)
        if not path or not os.path.abspath(path).startswith(death.folder):  # noqa: PTH100 - a hook has to be quick
            return
        with lock:
            calls = ledger.calls + 1
            ledger.write(calls, f"{event} {path}" if calls == death.call else "")
            if calls != death.call:
                return
        busy.here = True
        if death.how == "torn":
            _tear(event, path)
        os.kill(os.getpid(), signal.SIGSTOP if death.how == "halt" else signal.SIGKILL)
        busy.here = False

    sys.addaudithook(hook)


def install_from_environment() -> None:
    """The same in a child process of the program, where the environment says that this one is meant."""
    told = os.environ.get(ENVIRONMENT)
    if not told:
        return
    death = Death(**json.loads(told))
    if any(death.program in word for word in sys.orig_argv):
        install(death, Ledger(death.ledger))
