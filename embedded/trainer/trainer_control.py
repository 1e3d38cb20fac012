"""What a trainer is asked while it trains: a file a wish, in a folder that the environment names, looked for after each step.

Files, not signals: they work alike on Windows and Linux, whoever started the trainer, and from another process than that.
Nothing here is sd-scripts': it takes no wishes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

VARIABLE = "LORA_TRAINER_CONTROL"  # of the environment: the folder
SAVE = "save"  # the LoRA and a state, as after `--save_every_n_steps`
SAMPLE = "sample"  # the pictures of `--sample_prompts`
STOP = "stop"  # a state, and the end
WISHES = (SAVE, SAMPLE, STOP)
STOPPED_CODE = 3  # the exit code of a trainer that was asked to stop and saved its state


class StopAsked(Exception):
    """A wish to stop was heeded: the state is saved, and nothing more is to be done."""


def ask_trainer(folder: Path, wish: str) -> None:
    """Leave a wish for the trainer that looks into `folder`; one that does not is asked in vain."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / wish).touch()


def take_wishes(folder: Path | None = None) -> frozenset[str]:
    """What was asked for since the last time, by default in the folder of the environment; asking again is a new wish."""
    named = os.environ.get(VARIABLE, "")
    place = folder or (Path(named) if named else None)
    return frozenset(_taken(place)) if place is not None else frozenset()


def _taken(folder: Path) -> Iterable[str]:
    for wish in WISHES:
        try:
            (folder / wish).unlink()
        except OSError:  # the usual case: nobody asked; or a file that cannot be removed, which would be heeded for ever
            continue
        yield wish
