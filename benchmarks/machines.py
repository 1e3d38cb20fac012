"""Machines killed again and again: `python benchmarks/machines.py [--jobs 12] [--kills 60] [--scheduler 5] [--standin]`.

Three processes join a scheduler over loopback, each with a pretended card; clients are trained on the practice base, or with
`--standin` by the stand-in for sd-scripts of the tests, which sleeps instead of computing. At random moments a machine is killed
(SIGKILL) and started again, and now and then the scheduler. Told at the end: what was lost, what was done twice, whether every
LoRA is the one that a single run at home gives, and which share of the time the cards were busy.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, cast

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
MACHINES = ("one", "two", "three")


def words() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    for name, usual, what in (
        ("--jobs", 12, "clients"), ("--kills", 60, "machines killed"), ("--scheduler", 5, "times the scheduler is killed"),
        ("--steps", 24, "steps of a training"), ("--seed", 1, "of the moments"),
    ):  # fmt: skip
        parser.add_argument(name, type=int, default=usual, help=what)
    parser.add_argument("--between", type=float, default=20.0, help="seconds between two kills, on average")
    parser.add_argument("--standin", action="store_true", help="train by the stand-in, which computes nothing")
    return parser.parse_args()


def shorten(steps: int) -> None:
    """Trainings of so many steps with a state every sixth of them; the machines are told by the words of their plans."""
    import lora_trainer as trainings
    import training.plan as training_plan

    plans, stages = cast("Any", training_plan), cast("Any", trainings)

    values = plans.EMBEDDED
    plans.EMBEDDED = dataclasses.replace(values, steps=dict.fromkeys(values.steps, steps), save_every=max(1, steps // 6), batch=2)
    stages.PRESETS = tuple(dataclasses.replace(one, steps=steps) for one in stages.PRESETS)
    plans._SDXL_SAVE_EVERY = max(1, steps // 6)


class Killer:
    """Kills at random moments, and starts again what it killed."""

    def __init__(self, pool: Any, asked: argparse.Namespace) -> None:
        self._pool, self._between, self._random = pool, asked.between, random.Random(asked.seed)
        self._doomed = [""] * asked.kills + ["scheduler"] * asked.scheduler  # "": a machine
        self._random.shuffle(self._doomed)
        self._next = time.monotonic() + self._wait()
        self.killed: list[str] = []

    def _wait(self) -> float:
        return self._random.expovariate(1 / self._between)

    def step(self) -> None:
        """Kill what is due."""
        if not self._doomed or time.monotonic() < self._next:
            return
        name = self._doomed.pop() or self._random.choice(MACHINES)
        self._pool.kill(name)
        self.killed.append(name)
        self._pool.serve() if name == "scheduler" else self._pool.join(name)
        self._next = time.monotonic() + self._wait()


def settings_of(folder: Path, standin: bool) -> Any:
    """What all PCs of the pool are set to."""
    from one_file import write_stub  # type: ignore[import-not-found, unused-ignore]

    from config import Settings

    if not standin:
        return Settings(base_model="embedded", notify_desktop=False)
    trainer = ROOT / "tests" / "data" / "standin_trainer"
    return Settings(base_model=str(write_stub(folder / "sdxl.safetensors")), sd_scripts=str(trainer), notify_desktop=False)


def night(pool: Any, settings: Any, names: list[str], killer: Killer) -> tuple[Any, float, float]:
    """The queue on the machines: its report, how long it took, and for how much of that the cards were held by a turn, of all."""
    from actions.queue_run import Night
    from client_folder.client import open_client
    from machines.link import Link

    started, busy, before = time.monotonic(), 0.0, time.monotonic()
    with Link(pool.home) as link:
        one = Night(pool.home, settings, [open_client(pool.home, name) for name in names], "quick", False, link)
        stage = one.run()
        while True:
            try:
                next(stage)
            except StopIteration as end:
                seconds = time.monotonic() - started
                return end.value, seconds, busy / (seconds * len(MACHINES))
            now = time.monotonic()
            busy += one.busy * (now - before)
            before = now
            killer.step()


def same_as_alone(pool: Any, folder: Path, settings: Any, names: list[str]) -> list[str]:
    """The clients whose LoRA is not that of a single run at home, to the byte of every tensor."""
    from pool_kit import make_client  # type: ignore[import-not-found, unused-ignore]
    from safetensors.numpy import load_file
    from stages import run  # type: ignore[import-not-found, unused-ignore]

    from actions.queue import run_queue
    from client_folder.client import open_client
    from training.checkpoints import choose_lora

    for name in names:
        make_client(folder / "alone", name)
    run(run_queue(folder / "alone", settings, names, "quick", exam=False))
    differing = []
    for name in names:
        there, here = (load_file(choose_lora(open_client(home, name)).path) for home in (pool.home, folder / "alone"))
        if there.keys() != here.keys() or any(there[one].tobytes() != here[one].tobytes() for one in there):
            differing.append(name)
    return differing


def main() -> None:
    """Run it and print what came of it."""
    from pool_kit import Pool, make_client  # type: ignore[import-not-found, unused-ignore]

    from config import save_settings

    asked = words()
    os.environ |= {"OMP_NUM_THREADS": "1", "STANDIN": "success", "STANDIN_PAUSE": "0.5"}
    shorten(asked.steps)
    with tempfile.TemporaryDirectory(prefix="machines-") as made:
        folder = Path(made)
        settings = settings_of(folder, asked.standin)
        pool = Pool(folder, settings)
        names = [f"client{number}" for number in range(asked.jobs)]
        pool.home.mkdir()
        save_settings(pool.home, settings)
        for name in names:
            make_client(pool.home, name)
        try:
            pool.serve()
            pool.wait_for(seconds=300)
            for name in MACHINES:
                pool.join(name)
            pool.wait_for(*MACHINES, seconds=300)
            killer = Killer(pool, asked)
            report, seconds, busy = night(pool, settings, names, killer)
        finally:
            pool.end()
        done = [row for row in report.rows if row.outcome.value == "done"]
        schedulers = killer.killed.count("scheduler")
        print(f"{len(done)} of {len(names)} trained in {seconds:.0f} s, {sum(row.attempts for row in report.rows)} turns")
        print(f"killed: {len(killer.killed) - schedulers} machines, {schedulers} schedulers")
        print(f"a turn held a card for {busy:.1%} of the time of all cards")
        print(
            f"steps: {sorted({row.steps for row in done})}; failed: {[(row.client, row.error) for row in report.rows if row.error]}"
        )
        print(f"LoRAs that differ from a single run's: {same_as_alone(pool, folder, settings, names)}")


if __name__ == "__main__":
    main()
