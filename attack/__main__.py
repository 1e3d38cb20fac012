"""`python -m attack NAME ...`: run campaigns against the program; exits 1 on any fault. Linux only: it forks, halts and mounts."""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ["CUDA_VISIBLE_DEVICES"] = ""  # everything here is done on the embedded base
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

from attack import forks
from attack.campaign import Campaign
from attack.kills import plan_of
from attack.scenes import Stage, prepare
from attack.table import ACTIONS

# name: tries of a short round, its share of a short round's time, tries of a long round
CAMPAIGNS = {
    "kills": (60, 8, 1200),
    "records": (150, 5, 3200),
    "settings": (20, 2, 200),
    "hostile": (60, 5, 1000),
    "pairs": (40, 5, 500),
    "full_disk": (15, 3, 60),
    "power": (3, 3, 24),
}
SHORT_SECONDS = 140.0  # after which a short round begins no other try, all that it prepares included
ROOM_BYTES = 3 << 30  # of a memory disk that is used: homes, a try, and a disk image of which little is ever written
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
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ROOM_BYTES
    base = memory if roomy else Path(tempfile.gettempdir())
    work = (given or base / f"avatar-attack-{os.getuid()}").resolve()
    work.mkdir(mode=0o700, parents=True, exist_ok=True)
    return work


def main() -> int:
    """Run what was named; returns the exit code."""
    if sys.platform != "linux":
        print("The campaigns need Linux.")
        return 2
    options, begun, code = _options(), time.monotonic(), 0
    names = list(CAMPAIGNS) if "all" in options.names else options.names
    short, stage = options.rounds == "short", Stage(_work(options.work))
    forks.preload()
    if short:  # what every campaign of it needs, so that each gets its share of the time that is left then
        prepare(stage, {action.scene for action in plan_of(len(ACTIONS) * 2, quick=True)} | {"quarantined"})
    for place, name in enumerate(names):
        few, share, many = CAMPAIGNS[name]
        rounds = {"short": few, "long": many}.get(options.rounds, options.rounds)
        left = max(1.0, SHORT_SECONDS - (time.monotonic() - begun))
        most = left * share / sum(CAMPAIGNS[later][1] for later in names[place:]) if short else 0.0
        campaign = Campaign(name, rounds, options.seed, frozenset(options.only), options.first, options.seconds or most)
        module = importlib.import_module(f"attack.{MODULES.get(name, name)}")
        module.run(campaign, stage, short)
        code |= campaign.close()
    return code


if __name__ == "__main__":
    sys.exit(main())
