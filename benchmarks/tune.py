"""Does `tune` find what a full grid finds, and does a kill change its end? Drawn clients on the practice base, by the real program.

`python -m benchmarks.tune grid --folder F [--clients 10]`: for each client every learning rate with every rank is trained, each
once, with all other settings as recommended, and examined at several of its checkpoints; then the program searches, with as many
trials as trainings of the preset's length make its share of the grid's steps. Told are the steps that both trained, and the regret:
how much farther from the client the portraits of what `tune` recommends are than those of the grid's best checkpoint, as a share of
the way from the base to the latter.

- One training is read at several checkpoints, so the grid is charged no step twice; a grid that trains each anew takes more.
- Both are measured by the same exam (same prompts, seeds and held-back photos), from which both pick their best: regret is by
  that measure, not by new photos. The grid picks among more checkpoints, which makes its best look better than it is.

`python -m benchmarks.tune kills --folder F [--kills 20]`: a search, and the same one killed (SIGKILL, the trainer with it) at
random moments until there were so many kills; then whether both tried the same settings with the same distances and recommend the
same. `--small` trains and paints little (`tests/small_search.py`), so that this takes minutes.

Everything is kept in `--folder`; what is there is not trained or painted again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actions.tuning import furnish
from actions.tuning_plan import open_study, preset_settings, read_tuning
from benchmarks.drawn_client import draw_client
from client_folder.client import Client, open_client
from client_folder.trial_client import TrialClient
from client_folder.tuned import TunedSettings
from config import Settings, save_settings
from data_preprocessor import prepare_dataset
from exam.trial_exam import ExaminedCheckpoint, examine_checkpoint
from exam.trials import Trial
from lora_trainer import plan_training, train
from machine.model_process import ModelProcess
from training.checkpoints import list_checkpoints
from training.plan import Overrides
from utils import Record, read_record, write_record

ROOT = Path(__file__).resolve().parents[1]
NAME, FIRST_PERSON = "ana", 200
RATES, RANKS = (1.0, 0.25, 0.5, 2.0, 4.0), (1.0, 0.25, 2.0)  # of the preset's; the first so many of each are tried
PARTS = 3  # checkpoints of each training of the grid, at equal parts of one and a half times the preset's steps
SHARE = 0.4  # of the grid's steps that the search may use
FOREVER = 1000.0  # hours: what ends a search here is its number of trials


class GridRow(Record):
    """A checkpoint of the grid, examined."""

    rate: float
    dim: int
    step: int
    distance: float
    base: float
    vetoed: bool


class Grid(Record):
    """All that the grid showed of a client."""

    preset_steps: int
    rows: tuple[GridRow, ...] = ()

    @property
    def steps(self) -> int:
        """The steps that were trained: of each training its last checkpoint."""
        last = {(row.rate, row.dim): row.step for row in sorted(self.rows, key=lambda row: row.step)}
        return sum(last.values())

    @property
    def best(self) -> GridRow:
        """The nearest checkpoint that may be chosen."""
        return min((row for row in self.rows if not row.vetoed), key=lambda row: row.distance)


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found: its trials, the steps they trained, the distance of what it recommends."""

    trials: tuple[Trial, ...]
    chosen: int | None

    @property
    def steps(self) -> int:
        """Steps trained."""
        return sum(trial.marks[-1].step for trial in self.trials if trial.marks)

    @property
    def distance(self) -> float:
        """Of the recommended trial's best checkpoint; of the preset's where none may be chosen."""
        best = self.trials[self.chosen or 0].best
        return best.distance if best else float("nan")


def finish(stage: Any) -> Any:
    """What a stage returns."""
    while True:
        try:
            next(stage)
        except StopIteration as end:
            return end.value


def client_of(home: Path, person: int) -> Client:
    """A drawn client with her dataset."""
    if not (home / "clients" / NAME / "exam" / "exam.json").is_file():
        shutil.rmtree(home, ignore_errors=True)
        save_settings(home, Settings())
        finish(prepare_dataset(draw_client(home, NAME, person), Settings()))
    return open_client(home, NAME)


# --- the grid ---------------------------------------------------------------------------------------------------------
def grid_of(client: Client, rates: Sequence[float], ranks: Sequence[float], process: ModelProcess) -> Grid:
    """Every learning rate with every rank; what was examined before is read."""
    file = client.home / "grid.json"
    prepared = plan_training(client, Settings(), preset=Settings().preset)
    preset = preset_settings(prepared, client, Settings())
    grid = read_record(file, Grid) if file.is_file() else Grid(preset_steps=preset.steps)
    for times_rate in rates:
        for times_rank in ranks:
            rate, dim = preset.learning_rate * times_rate, max(1, round(preset.dim * times_rank))
            if not any((row.rate, row.dim) == (rate, dim) for row in grid.rows):
                wanted = preset.model_copy(update={"learning_rate": rate, "dim": dim, "alpha": preset.alpha * dim / preset.dim})
                grid = grid.model_copy(update={"rows": (*grid.rows, *_examined(client, wanted, process))})
                write_record(file, grid)
    return grid


def _examined(client: Client, wanted: TunedSettings, process: ModelProcess) -> list[GridRow]:
    """One training of the grid, and the exam of its checkpoints."""
    place = TrialClient(client.home / "grid" / f"{wanted.learning_rate:g}_{wanted.dim}", of=client)
    furnish(place)
    finish(prepare_dataset(place, Settings()))
    every = wanted.steps // 2
    overrides = Overrides(
        dim=wanted.dim,
        alpha=wanted.alpha,
        learning_rate=wanted.learning_rate,
        steps=every * PARTS,
        save_every=every,
        sample_every=0,
    )
    finish(train(place, Settings(), plan_training(place, Settings(), preset=Settings().preset, overrides=overrides).plan))
    rows = []
    for checkpoint in {one.step: one for one in list_checkpoints(place)}.values():  # the finished one has a copy of its step
        found: ExaminedCheckpoint = finish(examine_checkpoint(place, Settings(), checkpoint, process))
        rows.append(
            GridRow(
                rate=wanted.learning_rate, dim=wanted.dim, step=checkpoint.step, distance=_mean(found.distances),
                base=_mean(found.base), vetoed=found.vetoed,
            )
        )  # fmt: skip
    shutil.rmtree(place.root)
    return rows


def _mean(rows: Sequence[Sequence[float]]) -> float:
    means = [sum(row) / len(row) for row in rows]
    return sum(means) / len(means)


# --- the search -------------------------------------------------------------------------------------------------------
def command(home: Path, trials: int, small: bool) -> list[str]:
    """The program's own search, of so many trials in all."""
    script = ROOT / "tests" / "small_search.py" if small else ROOT / "avatar_pipeline.py"
    words = ("tune", "--client", NAME, "--hours", f"{FOREVER:g}", "--trials", str(trials), "--yes", "--json")
    return [sys.executable, str(script), "--home", str(home), "--language", "en", *words]


def found_in(home: Path, answer: dict[str, Any]) -> Found:
    """What the search of a home left."""
    client = open_client(home, NAME)
    record = read_tuning(client)
    assert record is not None
    best = answer["best"]
    number = next((row["number"] for row in answer["trials"] if best and row["settings"] == best["settings"]), None)
    with open_study(client, record, ()) as study:
        return Found(study.trials(), number)


def search(home: Path, trials: int, *, small: bool = False) -> Found:
    """Search to the end; it goes on with what is there."""
    done = subprocess.run(command(home, trials, small), stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return found_in(home, json.loads(done.stdout))


def compare_with_grid(folder: Path, clients: int, rates: int, ranks: int) -> None:
    """The grid and the search for each client; a line each."""
    regrets, shares = [], []
    for person in range(FIRST_PERSON, FIRST_PERSON + clients):
        began = time.monotonic()
        client = client_of(folder / str(person), person)
        with ModelProcess() as process:
            grid = grid_of(client, RATES[:rates], RANKS[:ranks], process)
        best = grid.best
        print(
            f"{person} grid: {grid.steps} steps, best rate {best.rate:g} rank {best.dim} step {best.step}, "
            f"distance {best.distance:.3f}, base {best.base:.3f} [{time.monotonic() - began:.0f} s]",
            flush=True,
        )
        found = search(client.home, max(1, int(SHARE * grid.steps / grid.preset_steps)))
        regrets.append((found.distance - best.distance) / (best.base - best.distance))
        shares.append(found.steps / grid.steps)
        print(
            f"{person} tune: {len(found.trials)} trials, {found.steps} steps ({shares[-1]:.0%} of the grid's), "
            f"trial {'-' if found.chosen is None else found.chosen + 1} of distance {found.distance:.3f}: regret {regrets[-1]:.1%} "
            f"[{time.monotonic() - began:.0f} s]",
            flush=True,
        )
    print(
        f"{clients} clients: regret mean {sum(regrets) / len(regrets):.1%}, worst {max(regrets):.1%}; "
        f"steps mean {sum(shares) / len(shares):.0%}, most {max(shares):.0%}"
    )


# --- kills ------------------------------------------------------------------------------------------------------------
def compare_killed(folder: Path, kills: int, trials: int, small: bool, seed: int) -> None:
    """The same search killed so many times and never killed."""
    began = time.monotonic()
    drawn = client_of(folder / "drawn", FIRST_PERSON).home
    for name in ("whole", "killed"):
        shutil.rmtree(folder / name, ignore_errors=True)
        shutil.copytree(drawn, folder / name)
    whole = search(folder / "whole", trials, small=small)
    seconds = time.monotonic() - began
    print(f"never killed: {len(whole.trials)} trials in {seconds:.0f} s", flush=True)
    rng, done, moments = random.Random(seed), 0, []
    while done < kills:
        child = subprocess.Popen(
            command(folder / "killed", trials, small), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        moment = rng.uniform(0, seconds / 2)
        try:
            child.wait(moment)
            print(f"at its end after {done} kills", flush=True)
            break
        except subprocess.TimeoutExpired:
            _kill(child)
            done += 1
            moments.append(round(moment))
    killed = search(folder / "killed", trials, small=small)
    same = [_told(one) for one in whole.trials] == [_told(one) for one in killed.trials] and whole.chosen == killed.chosen
    print(f"{done} kills, after {moments} s: {'the same end' if same else 'ANOTHER END'} [{time.monotonic() - began:.0f} s]")
    for one, other in zip(whole.trials, killed.trials, strict=False):
        if _told(one) != _told(other):
            print(_told(one), _told(other), sep="\n", end="\n\n")


def _kill(child: subprocess.Popen[bytes]) -> None:
    """As the power would: the program, its trainer and its worker at once."""
    import psutil

    family = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
    for process in family:
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    child.wait()


def _told(trial: Trial) -> tuple[Any, ...]:
    """What must be the same: settings, how it ended, each checkpoint's distances; not the seconds that it took."""
    return trial.number, trial.settings, trial.ended, [(mark.step, mark.distances, mark.gate, mark.flags) for mark in trial.marks]


def main() -> None:
    """Measure, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("grid", "kills"))
    parser.add_argument("--folder", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--rates", type=int, default=len(RATES), help="so many learning rates of the grid")
    parser.add_argument("--ranks", type=int, default=len(RANKS), help="so many ranks of the grid")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--trials", type=int, default=3, help="of the search that is killed")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--small", action="store_true", help="kills: train and paint little")
    asked = parser.parse_args()
    if asked.what == "grid":
        compare_with_grid(asked.folder, asked.clients, asked.rates, asked.ranks)
    else:
        compare_killed(asked.folder, asked.kills, asked.trials, asked.small, asked.seed)


if __name__ == "__main__":
    main()
