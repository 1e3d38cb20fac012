"""MidJourney names parsed a second, beside the plainest thing one could do with them: `python benchmarks/parse_names.py`.

One core, the processor's own clock; the plain way only finds the job's uuid and splits the rest at its underscores.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pictures import midjourney  # noqa: E402 - the program's folder has to be on the path first

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def names_a_second(parse: Callable[[str], object], names: list[str]) -> float:
    """The best of five rounds."""
    rates = []
    for _round in range(5):
        started = time.process_time()
        for name in names:
            parse(name)
        rates.append(len(names) / (time.process_time() - started))
    return max(rates)


def plainly(name: str) -> tuple[re.Match[str] | None, list[str]]:
    """The least that tells a job from a prompt."""
    return UUID.search(name), name.split("_")


def main() -> None:
    """Measure and print."""
    rows = (ROOT / "tests" / "data" / "midjourney_names.jsonl").read_text(encoding="utf-8").splitlines()
    names = [json.loads(row)["filename"] for row in rows] * 50
    ours, plain = names_a_second(midjourney.parse, names), names_a_second(plainly, names)
    print(f"parsed {ours:,.0f} names a second; uuid and split only {plain:,.0f}; ratio {ours / plain:.3f}")


if __name__ == "__main__":
    main()
