"""`python -m attack NAME ...`: run campaigns against the program; exits 1 on any fault. Linux only: it forks, halts and mounts."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ["CUDA_VISIBLE_DEVICES"] = ""  # everything here is done on the embedded base
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

from attack import forks
from attack.campaign import Campaign
from attack.scenes import Stage

# name: tries of a short round, the most seconds that it takes of them, tries of a long round. Short rounds mount nothing.
CAMPAIGNS = {
    "kills": (60, 40.0, 1200),
    "records": (150, 30.0, 3200),
    "settings": (20, 10.0, 200),
    "hostile": (60, 25.0, 1000),
    "pairs": (40, 25.0, 500),
    "full_disk": (0, 0.0, 60),
    "power": (0, 0.0, 24),
}
MODULES = {"records": "broken_records", "settings": "settings_changes"}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m attack", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "names",
        nargs="*",
        choices=[*CAMPAIGNS, "all"],
        default="all",
        metavar="NAME",
        help=f"all, or some of {', '.join(CAMPAIGNS)}",
    )
    parser.add_argument("--rounds", type=_rounds, default="short", help="how many tries each, or short, or long")
    parser.add_argument("--seed", type=int, default=12)
    parser.add_argument("--only", type=int, nargs="*", default=[], help="numbers of tries, to bring faults back")
    parser.add_argument("--first", type=int, default=0, help="number of the try to begin with, to go on with a round")
    parser.add_argument("--seconds", type=float, default=0.0, help="most time for each campaign")
    parser.add_argument("--work", type=Path, default=None, help="working folder; best on a memory disk")
    parser.add_argument("--fresh", action="store_true", help="prepare everything anew")
    return parser.parse_args()


def _rounds(text: str) -> str | int:
    """`short`, `long` or a number; argparse says what is wrong with anything else."""
    return text if text in ("short", "long") else int(text)


def _work(given: Path | None) -> Path:
    memory = Path("/dev/shm")
    base = memory if memory.is_dir() and os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
    work = (given or base / f"avatar-attack-{os.getuid()}").resolve()
    work.mkdir(mode=0o700, parents=True, exist_ok=True)
    return work


def main() -> int:
    """Run what was named; returns the exit code."""
    if sys.platform != "linux":
        print("The campaigns need Linux.")
        return 2
    options = _options()
    names = list(CAMPAIGNS) if "all" in options.names else options.names
    stage, code = Stage(_work(options.work)), 0
    forks.preload()
    for name in names:
        short, seconds, long = CAMPAIGNS[name]
        rounds = {"short": short, "long": long}.get(options.rounds, options.rounds)
        if not rounds:
            continue
        most = options.seconds or (seconds if options.rounds == "short" else 0.0)
        campaign = Campaign(name, rounds, options.seed, frozenset(options.only), options.first, most)
        module = importlib.import_module(f"attack.{MODULES.get(name, name)}")
        module.run(campaign, stage, options.rounds == "short")
        code |= campaign.close()
    return code


if __name__ == "__main__":
    sys.exit(main())
