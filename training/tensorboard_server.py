"""TensorBoard for one client's training curves: started in the background, found again, stopped.

It is a program of its own that goes on when ours ends; `training/tensorboard.json` says which one it is and at which address.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal

import psutil
from pydantic import ConfigDict, Field

from client_folder.client import Client
from locales.language import N_, _
from machine.processes import end_orphan
from utils import BrokenFile, Event, MissingLibrary, NotReady, Progress, Record, read_record, write_record

_ADDRESS = re.compile(r"TensorBoard \S+ at (?P<address>http://\S+)")
_START_SECONDS = 90.0  # importing it takes ten on a slow disk
_LOOK_SECONDS = 0.2
NO_CURVES = N_("no training has written curves yet.")
CURVES = N_("TensorBoard")


class _Server(Record):
    """Who serves, and where. The first two are what `end_orphan` knows a process by."""

    model_config = ConfigDict(extra="ignore")

    schema_: Literal[1] = Field(default=1, alias="schema")
    pid: int
    created: float
    address: str


@dataclass(frozen=True, slots=True)
class Curves:
    """The address of a running TensorBoard; empty where none runs."""

    address: str


def find_server(client: Client) -> Curves:
    """The client's TensorBoard, if it still runs."""
    try:
        server = read_record(client.tensorboard_file, _Server)
        running = abs(psutil.Process(server.pid).create_time() - server.created) < 1.0
    except (FileNotFoundError, BrokenFile, psutil.NoSuchProcess):
        return Curves("")
    return Curves(server.address if running else "")


def start_server(client: Client) -> Generator[Event, None, Curves]:
    """Start TensorBoard on a free port of this machine only, or hand out the one that runs. Raises NotReady, MissingLibrary."""
    if (running := find_server(client)).address:
        return running
    if not client.logs.is_dir():
        raise NotReady(step=_(CURVES), reason=_(NO_CURVES))
    log = client.training / "tensorboard.log"
    words = [sys.executable, "-m", "tensorboard.main", "--logdir", str(client.logs), "--host", "127.0.0.1", "--port", "0"]
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    # No GPU for it: TensorFlow would take a share of the video memory.
    quiet = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as said:
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, env=quiet, **apart)
    address, started = "", time.monotonic()
    try:
        while not address:
            yield Progress("tensorboard", 0, 0)
            time.sleep(_LOOK_SECONDS)
            found = _ADDRESS.search(log.read_text(encoding="utf-8", errors="replace"))
            address = found["address"] if found else ""
            if child.poll() is not None or time.monotonic() - started > _START_SECONDS:
                raise MissingLibrary(package="tensorboard")
        write_record(
            client.tensorboard_file,
            _Server(pid=child.pid, created=psutil.Process(child.pid).create_time(), address=address),
        )
    finally:
        if not address:
            child.kill()
            child.wait()
    return Curves(address)


def stop_server(client: Client) -> Curves:
    """End the client's TensorBoard, if it runs."""
    end_orphan(client.tensorboard_file)
    return Curves("")
