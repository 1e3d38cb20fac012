"""One campaign: what was tried, what survived, what did not, with rate and time left while it runs."""

from __future__ import annotations

import hashlib
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

SAY_SECONDS = 5.0  # between two lines of progress
MOST_FAULTS = 60  # that are printed one by one


@dataclass(frozen=True, slots=True)
class Fault:
    """One try that did not end as it must: the words that bring it back, and what was wrong."""

    number: int
    what: str
    wrong: str


@dataclass(slots=True)
class Campaign:
    """Counts tries by group. A try is brought back by `--seed SEED --only NUMBER`: its chance is drawn from these two alone."""

    name: str
    rounds: int
    seed: int
    only: frozenset[int] = frozenset()
    first: int = 0  # the number to begin with
    seconds: float = 0.0  # most that it may take; 0: as long as it needs
    tries: Counter[str] = field(default_factory=Counter)
    survived: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)  # how the tries ended, in words
    faults: list[Fault] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    _said: float = 0.0

    def numbers(self) -> Iterator[int]:
        """The numbers of the tries, until all are done or the time is over."""
        self.started = time.monotonic()  # what was prepared before does not count
        for number in range(self.first, self.rounds):
            if self.only and number not in self.only:
                continue
            if self.seconds and time.monotonic() - self.started > self.seconds:
                print(f"{self.name}: the {self.seconds:.0f} s are over after {number} of {self.rounds}")
                return
            yield number

    def chance(self, number: int) -> random.Random:
        """The chance of one try."""
        return random.Random(hashlib.sha256(f"{self.name} {self.seed} {number}".encode()).digest())

    @contextmanager
    def trying(self, number: int, group: str, what: str) -> Iterator[list[str]]:
        """One try: what is added to the list is a fault of it. What the block raises ends the campaign: that is a fault of ours."""
        wrong: list[str] = []
        self.tries[group] += 1
        yield wrong
        if wrong:
            self.faults.append(Fault(number, what, "; ".join(wrong)))
            print(f"  FAULT {self.name} {number}: {what}: {'; '.join(wrong)[:600]}", flush=True)
        else:
            self.survived[group] += 1
        self._say(number)

    def _say(self, number: int) -> None:
        now = time.monotonic()
        if now - self._said < SAY_SECONDS and number + 1 < self.rounds:
            return
        self._said = now
        done = sum(self.tries.values())
        rate = done / max(now - self.started, 0.001)
        left = (self.rounds - number - 1) / rate if rate else 0.0
        print(
            f"{self.name}: {number + 1}/{self.rounds}, {done - len(self.faults)} survived, {len(self.faults)} faults, "
            f"{rate:.1f} a second, {left:.0f} s left", flush=True,
        )  # fmt: skip

    def close(self) -> int:
        """Print the figures; returns the exit code."""
        total, seconds = sum(self.tries.values()), time.monotonic() - self.started
        print(f"\n{self.name}: {total} tries, {total - len(self.faults)} survived, {len(self.faults)} faults, {seconds:.0f} s")
        for group in self.tries:
            print(f"  {group:34} {self.survived[group]:5} of {self.tries[group]}")
        for note, count in self.notes.most_common(12):
            print(f"  {count:5} x {note}")
        for fault in self.faults[:MOST_FAULTS]:
            print(f"  --seed {self.seed} --only {fault.number}: {fault.what}: {fault.wrong[:300]}")
        sys.stdout.flush()
        return 1 if self.faults else 0
