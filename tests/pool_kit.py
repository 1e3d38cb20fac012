"""A pool on this machine: a scheduler and machines as processes of their own, joined over loopback with real certificates.

The driver of their cards is a stand-in, and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from PIL import Image

from client_folder.client import create_client
from config import Settings, save_settings
from machines.errors import LinkDown, NoScheduler
from machines.link import Link
from machines.pool import joining_key

ROOT = Path(__file__).resolve().parent.parent
DRIVER = """
import os
from types import SimpleNamespace
class NVMLError(Exception): pass
NVML_TEMPERATURE_GPU = NVML_CLOCK_MEM = 0
def _refuse(*_about): raise NVMLError("Not Supported")
def __getattr__(name):
    if name.startswith("__"): raise AttributeError(name)
    return _refuse
nvmlInit = nvmlShutdown = lambda: None
nvmlDeviceGetCount = lambda: 1
nvmlDeviceGetHandleByIndex = lambda index: index
nvmlDeviceGetName = lambda card: os.environ["CARD"]
nvmlDeviceGetMemoryInfo = lambda card: SimpleNamespace(
    total=float(os.environ["CARD_GB"]) * 2**30, used=0, free=float(os.environ["CARD_GB"]) * 2**30)
nvmlDeviceGetUUID = lambda card: os.environ["CARD_UUID"]
nvmlDeviceGetCudaComputeCapability = lambda card: (8, 6)
"""


def make_client(home, name, pictures=4):
    """A client with a small dataset of noise, which only a trainer looks at."""
    client = create_client(home, name)
    folder = client.training_data / f"12_{name}"
    folder.mkdir(parents=True)
    for number in range(pictures):
        noise = random.Random(f"{name}{number}").randbytes(3 * 96 * 96)
        Image.frombytes("RGB", (96, 96), noise).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"portrait of {name} person, smiling\n")
    return client


def free_port():
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Pool:
    """The processes of a pool below one folder; `home` is the scheduler's and has the clients."""

    folder: Path
    settings: Settings = field(default_factory=lambda: Settings(base_model="embedded"))  # of the machines
    port: int = field(default_factory=free_port)
    processes: dict[str, subprocess.Popen] = field(default_factory=dict)

    @property
    def home(self):
        return self.folder / "studio"

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def words(self, home, *words):
        return [sys.executable, str(ROOT / "avatar_pipeline.py"), "--home", str(home), "--language", "en", *map(str, words)]

    def environment(self, name, card="NVIDIA GeForce RTX 3060", gb=12):
        driver = self.folder / "driver"
        driver.mkdir(parents=True, exist_ok=True)
        (driver / "pynvml.py").write_text(DRIVER)
        own = {"CARD": card, "CARD_GB": str(gb), "CARD_UUID": f"GPU-{self.folder.name}-{name}", "PYTHONPATH": str(driver)}
        return {**os.environ, "OMP_NUM_THREADS": "1", **own}

    def start(self, name, home, *words, **card):
        home.mkdir(parents=True, exist_ok=True)
        if not (home / "settings.json").is_file():
            save_settings(home, self.settings.model_copy(update={"notify_desktop": False}))
        said = (self.folder / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            self.words(home, *words), stdout=said, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env=self.environment(name, **card), start_new_session=True,
        )  # fmt: skip
        return self.processes[name]

    def serve(self):
        return self.start("scheduler", self.home, "machines", "serve", "--host", "127.0.0.1", "--port", self.port)

    def join(self, name, **card):
        words = ("machines", "join", self.address, "--key", joining_key(self.home), "--name", name)
        return self.start(name, self.folder / name, *words, **card)

    def wait_for(self, *names, seconds=90):
        """Until these have joined."""
        until = time.monotonic() + seconds
        while True:
            with contextlib.suppress(LinkDown, NoScheduler), Link(self.home) as link:  # it may still be starting
                if set(names) <= set(link.names()):
                    return
            assert time.monotonic() < until, {name: self.said(name) for name in (*names, "scheduler")}
            time.sleep(0.3)

    def said(self, name):
        log = self.folder / f"{name}.log"
        return log.read_text(errors="replace")[-2000:] if log.is_file() else ""

    def kill(self, name, *, with_children=False):
        """As a power cut ends a machine; without its children only the program that has joined."""
        process = self.processes.pop(name)
        doomed = [psutil.Process(process.pid), *(psutil.Process(process.pid).children(recursive=True) if with_children else ())]
        for one in doomed:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        process.wait()

    def end(self):
        for name in [*(name for name in self.processes if name != "scheduler"), "scheduler"]:
            if process := self.processes.pop(name, None):
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        mine = str(self.folder)
        for process in psutil.process_iter(["cmdline"]):
            if process.pid != os.getpid() and mine in " ".join(process.info["cmdline"] or ()):
                process.kill()
