"""Is the exam's verdict right? Simulated clients whose truth is known: `python -m benchmarks.exam [--clients 100]`.

A client is a point among people in 45 dimensions, spread as dlib's numbers of real photos are: photos of one person .34 apart
on the median, of two people .89. A portrait lies between the base's person and whom the LoRA learnt; around it lie the offset of
painted against photographed faces, the pull of the prompt, the checkpoint's own error, and noise. **The sizes of these four are
assumed, not measured on SDXL portraits**; `--offset` shows what hangs on the first of them. Prints a line of figures for each cell.

- step: chosen steps that lie within 5 % of base-to-best of the truly best (of the clients that were called good)
- good: clients that were called good; right it is for `best`, `tie` and `twin` (a stranger who looks like the client)
- unsure: clients called good with the word "unsure" added
- covers: intervals of a fixed pair (a checkpoint and the base) that hold the truth, at 90 %
"""

from __future__ import annotations

import argparse
import itertools
import time
from dataclasses import dataclass
from functools import cache

import numpy as np

from exam.gates import embedding_gate
from exam.records import Examinee, ExamVerdict, Standing, Word
from exam.rulers import apart
from exam.verdict import MARGIN, Array, decide

NUMBERS = 45  # effective dimensions of dlib's 128
PEOPLE = np.sqrt(0.338)  # spread of people: with the photos' own, two lie .89 apart
PHOTO = np.sqrt(0.058)  # of a person's photos: two lie .34 apart
PROMPT_PULL, CHECKPOINT_ERROR, CHECKPOINT_PROMPT, SHARED_NOISE, OWN_NOISE = 0.15, 0.08, 0.10, 0.20, 0.20
PROMPTS, SEEDS, CHECKPOINTS = 16, 2, 10
CASES = ("best", "tie", "twin", "short", "other", "half", "lookalike")
GOOD = ("best", "tie", "twin")
LOOKALIKE, TWIN = 0.60, 0.45
TRUTH_DRAWS = 20_000  # leaves the true distances uncertain by .0005


@dataclass(frozen=True, slots=True)
class Cell:
    """What the clients of a cell have in common."""

    case: str
    held: int
    noise: float
    offset: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one client."""

    good: bool
    unsure: bool
    near_best: bool | None  # None: nothing was chosen
    covered: bool


def learnt(case: str, rng: np.random.Generator) -> Array:
    """The share of the learnt person in the portraits, by checkpoint."""
    steps = np.arange(1, CHECKPOINTS + 1) / CHECKPOINTS
    top = rng.uniform(0.75, 0.95)
    if case == "short":
        return steps * rng.uniform(0.05, 0.3)
    if case == "half":
        return 0.5 * np.minimum(1, steps * 2)
    if case == "best":
        return top - 1.2 * np.abs(steps - rng.choice(steps[3:8])) ** 1.5
    return top * np.minimum(1, steps / rng.uniform(0.3, 0.6))


def vectors(rng: np.random.Generator, size: float, *shape: int) -> Array:
    """Random vectors of about that length."""
    found: Array = rng.normal(0, size / np.sqrt(NUMBERS), (*shape, NUMBERS))
    return found


def at_distance(rng: np.random.Generator, person: Array, size: float) -> Array:
    """Another person, exactly so far away."""
    way = rng.normal(size=NUMBERS)
    return person + size * way / np.linalg.norm(way)


def sit_exam(cell: Cell, rng: np.random.Generator) -> Outcome:
    """One client: embeddings, gates, verdict, and how that compares with the truth."""
    client, base = vectors(rng, PEOPLE), vectors(rng, PEOPLE)
    person = client
    if cell.case == "other":
        person = vectors(rng, PEOPLE)
    elif cell.case == "lookalike":
        person = at_distance(rng, client, LOOKALIKE)
    photos = client + photo_noise(rng, cell.held)
    strangers = vectors(rng, PEOPLE, PROMPTS)
    if cell.case == "twin":
        strangers[0] = at_distance(rng, client, TWIN)
    offset, pull = vectors(rng, cell.offset), vectors(rng, PROMPT_PULL, PROMPTS, 1)
    shared = vectors(rng, SHARED_NOISE * cell.noise, PROMPTS, SEEDS)
    centres = [part * person + (1 - part) * base + vectors(rng, CHECKPOINT_ERROR) for part in learnt(cell.case, rng)]

    def paint(who: Array) -> Array:
        """Portraits of a centre, or of one person a prompt."""
        own = vectors(rng, OWN_NOISE * cell.noise, PROMPTS, SEEDS) + vectors(rng, CHECKPOINT_PROMPT, PROMPTS, 1)
        return (who + offset + pull + shared + own).reshape(-1, NUMBERS)

    prompts = [prompt for prompt in range(PROMPTS) for _seed in range(SEEDS)]
    painted, alone, others = [paint(centre) for centre in centres], paint(base), paint(strangers[:, None])
    candidates = [
        Examinee(at, gate=embedding_gate(rows, others, photos, prompts).standing) for at, rows in enumerate(painted, start=1)
    ]
    found = decide(candidates, np.stack([apart(rows, photos) for rows in painted]), apart(alone, photos), prompts)
    return compare(found, [centre + offset for centre in centres], base + offset, client, cell)


def compare(found: ExamVerdict, centres: list[Array], base: Array, client: Array, cell: Cell) -> Outcome:
    """The verdict beside the truth: the mean distance of all portraits and photos that could be."""
    truth = [mean_distance(float(np.linalg.norm(centre - client)), cell.noise) for centre in [*centres, base]]
    best = min(truth[:-1])
    way = truth[-1] - best
    near = None if found.chosen is None else bool(truth[found.chosen] - best <= MARGIN * way)
    one = found.judged[-1]
    seen = measured_way(found)
    covered = seen is not None and one.score.low * seen <= truth[-1] - truth[-2] <= one.score.high * seen
    gate = found.judged[found.chosen].candidate.gate if found.chosen is not None else None
    return Outcome(found.word is not Word.NONE, gate is Standing.UNSURE, near, bool(covered))


@cache
def _mean_distances(noise: float) -> tuple[Array, Array]:
    """How far centres lie apart, and the mean distance of portraits to photos then: noise has no direction of its own."""
    rng = np.random.default_rng(7)
    painted = PROMPT_PULL**2 + CHECKPOINT_PROMPT**2 + (SHARED_NOISE**2 + OWN_NOISE**2) * noise**2
    between = vectors(rng, np.sqrt(painted), TRUTH_DRAWS) + photo_noise(rng, TRUTH_DRAWS)
    apart_by, across = np.linspace(0, 3, 121), (between[:, 1:] ** 2).sum(axis=1)
    return apart_by, np.array([np.sqrt((between[:, 0] + way) ** 2 + across).mean() for way in apart_by])


def mean_distance(apart_by: float, noise: float) -> float:
    """The true mean distance of portraits to photos where their centres lie so far apart."""
    return float(np.interp(apart_by, *_mean_distances(noise)))


def photo_noise(rng: np.random.Generator, photos: int) -> Array:
    """How photos lie around their person; some are much farther off than others."""
    return vectors(rng, PHOTO, photos) * rng.lognormal(-0.06, 0.35, (photos, 1))


def measured_way(found: ExamVerdict) -> float | None:
    """The distance between base and best that scores are shares of, as the exam measured it."""
    for one in found.judged:
        if one.lacks.value > 0 and found.best is not None:
            return (one.distance - found.judged[found.best].distance) / one.lacks.value
    return None


def run_cell(cell: Cell, clients: int) -> str:
    """The figures of a cell as a line."""
    seed = [CASES.index(cell.case), cell.held, int(cell.noise * 10), int(cell.offset * 100)]
    outcomes = [sit_exam(cell, np.random.default_rng([*seed, number])) for number in range(clients)]
    near = [one.near_best for one in outcomes if one.near_best is not None]
    step = f"{np.mean(near):.3f}" if near and cell.case in GOOD else "    -"
    good, unsure = np.mean([one.good for one in outcomes]), np.mean([one.unsure for one in outcomes])
    covers = np.mean([one.covered for one in outcomes])
    return f"{cell.case:10} {cell.held:5} {cell.noise:6} {cell.offset:7} {step:>7} {good:7.3f} {unsure:7.3f} {covers:7.3f}"


def main() -> None:
    """Run every cell, a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=100, help="simulated clients a cell")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--held", nargs="+", type=int, default=(2, 3, 6), help="held-back photos")
    parser.add_argument("--noise", nargs="+", type=float, default=(1.0, 1.5))
    parser.add_argument("--offset", nargs="+", type=float, default=(0.15,), help="of painted against photographed faces")
    asked = parser.parse_args()
    cells = [Cell(*each) for each in itertools.product(asked.cases, asked.held, asked.noise, asked.offset)]
    print("case        held  noise  offset    step    good  unsure  covers")
    began = time.monotonic()
    for done, cell in enumerate(cells, start=1):
        line = run_cell(cell, asked.clients)
        print(f"{line}   [{done}/{len(cells)}, {time.monotonic() - began:.0f} s]", flush=True)


if __name__ == "__main__":
    main()
