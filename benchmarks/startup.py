"""Time to the first prompt of the menu, beside a Python that does nothing: `python benchmarks/startup.py [RUNS]`.

A real pseudo-terminal starts the program; the clock stops when the first question is on its screen. Both are started RUNS times,
in turns, so that a busy machine slows both alike; medians are printed.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import pexpect

PROGRAM = Path(__file__).resolve().parent.parent / "avatar_pipeline.py"
QUESTION = "What shall we work on"


def first_prompt(home: str) -> float:
    """Seconds from start to the first question."""
    started = time.perf_counter()
    menu = pexpect.spawn(sys.executable, [str(PROGRAM), "--home", home, "--language", "en"], dimensions=(24, 80), encoding="utf-8")
    menu.expect(QUESTION, timeout=30)
    seconds = time.perf_counter() - started
    menu.close(force=True)
    return seconds


def bare_python() -> float:
    """Seconds of a Python that does nothing."""
    started = time.perf_counter()
    pexpect.run(f"{sys.executable} -c pass")
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 11
    with tempfile.TemporaryDirectory() as home:
        first_prompt(home)  # compiles what a first start compiles
        pairs = [(first_prompt(home), bare_python()) for _ in range(runs)]
    prompt, bare = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"first prompt {prompt * 1000:.0f} ms, python -c pass {bare * 1000:.0f} ms, ratio {prompt / bare:.1f} (median of {runs})")


if __name__ == "__main__":
    main()
