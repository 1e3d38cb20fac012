"""The service asked while a training runs: `python benchmarks/service.py [REQUESTS] [TURNS]`.

A training of the embedded trainer on one core, and the service in a process of its own. In turns nobody asks, and 20 callers at
once ask as fast as they get answers, so that a busy machine slows both alike. Printed are the codes of the answers (no error but
429), seconds a step in both kinds of turns, and the memory of the service before and after.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
CALLERS, TURN_STEPS, WARM_UP = 20, 12, 6
STEP = re.compile(r"(\d+)/\d+ \[")
WAYS: tuple[tuple[str, str, dict[str, Any] | None], ...] = (
    ("GET", "/jobs", None), ("GET", "/avatars", None), ("POST", "/magic-prompt", {"prompt": "a cat in a garden"}),
    ("POST", "/actions/client", {"verb": "show", "name": "anna_x"}), ("GET", "/gpu-status", None), ("GET", "/no-such", None),
)  # fmt: skip


class Trainer:
    """A training in a process of its own, and when each of its steps ended."""

    def __init__(self, folder: Path) -> None:
        from benchmarks.embedded_trainer import draw_dataset, words

        argv = [sys.executable, str(ROOT / "embedded" / "sdxl_train_network.py"), *words(draw_dataset(folder), folder / "out", 4)]
        self.child = subprocess.Popen(
            argv,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
        )
        self.ended: list[float] = []
        threading.Thread(target=self._hear, daemon=True).start()

    def _hear(self) -> None:
        assert self.child.stdout is not None
        rest, last = "", -1
        while chunk := os.read(self.child.stdout.fileno(), 65536):
            *lines, rest = (rest + chunk.decode(errors="replace")).replace("\r", "\n").split("\n")
            for found in filter(None, map(STEP.search, lines)):
                if int(found[1]) > last:
                    last = int(found[1])
                    self.ended.append(time.perf_counter())

    def wait_for(self, steps: int) -> None:
        """Until so many more steps are done."""
        until = len(self.ended) + steps
        while len(self.ended) < until:
            if self.child.poll() is not None:
                raise SystemExit(f"the training ended: {self.child.returncode}")
            time.sleep(0.05)


def start_service(home: Path) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """The program, serving."""
    home.mkdir()
    (home / "settings.json").write_text('{"schema": 1, "base_model": "embedded"}', encoding="utf-8")
    argv = [sys.executable, str(ROOT / "avatar_pipeline.py"), "--home", str(home), "serve", "--port", "0", "--json"]
    program = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    return program, json.loads(program.stdout.readline())


def memory_mb(program: subprocess.Popen[str]) -> float:
    """What the service itself holds, in MB (10^6)."""
    import psutil

    (server,) = psutil.Process(program.pid).children()
    return float(server.memory_info().rss / 1e6)


def main() -> None:
    """Measure and print."""
    import httpx2

    requests, turns = (int(word) for word in (*sys.argv[1:], *("2000", "5")[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as folder:
        program, told = start_service(Path(folder) / "home")
        http = httpx2.Client(base_url=told["url"], headers={"authorization": f"Bearer {told['token']}"}, timeout=120)
        http.post("/actions/client", json={"verb": "create", "name": "anna_x"})
        codes: Counter[int] = Counter()

        def ask(number: int) -> None:
            method, path, body = WAYS[number % len(WAYS)]
            codes[http.request(method, path, json=body).status_code] += 1

        for number in range(60):
            ask(number)
        codes.clear()
        trainer = Trainer(Path(folder))
        quiet, busy, memory, asking = [], [], [memory_mb(program)], 0.0
        try:
            trainer.wait_for(WARM_UP)
            for _turn in range(turns):
                begun = len(trainer.ended)
                trainer.wait_for(TURN_STEPS)
                quiet += steps_between(trainer.ended, begun, len(trainer.ended))
                begun, started = len(trainer.ended), time.perf_counter()
                with ThreadPoolExecutor(CALLERS) as callers:
                    list(callers.map(ask, range(requests // turns)))
                asking += time.perf_counter() - started
                busy += steps_between(trainer.ended, begun, len(trainer.ended))
                memory.append(memory_mb(program))
        finally:
            trainer.child.kill()
            program.terminate()
            program.wait()
    print(f"{sum(codes.values())} requests, {CALLERS} at once, {asking:.1f} s: {dict(sorted(codes.items()))}")
    print("memory of the service, MB:", ", ".join(f"{one:.1f}" for one in memory))
    alone, asked = statistics.median(quiet), statistics.median(busy)
    print(f"seconds a step: {alone:.3f} ({len(quiet)} steps), asked {asked:.3f} ({len(busy)}): {asked / alone - 1:+.1%}")


def steps_between(ended: list[float], first: int, last: int) -> list[float]:
    """How long each step took, in seconds."""
    return [after - before for before, after in zip(ended[first : last - 1], ended[first + 1 : last], strict=True)]


if __name__ == "__main__":
    main()
