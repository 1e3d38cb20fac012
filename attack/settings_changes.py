"""Two programs change settings at the same moment: both changes must be there afterwards, and the file always whole."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

from attack.campaign import Campaign
from attack.deaths import Death
from attack.forks import Child, Outcome, begin, command_line
from attack.scenes import Stage, prepare

_REAL_SHARE = 0.15  # of the tries by the real command line
_HALTED_SHARE = 0.4  # of the others, in which the first is halted in the middle of its change
NAMES = {
    "quality.max_noise": (5, 20),
    "quality.min_brightness": (1, 60),
    "quality.max_brightness": (200, 255),
    "quality.min_contrast": (5, 40),
    "quality.min_face_px": (20, 90),
    "distribution.max_repeats": (5, 90),
    "distribution.min_pictures": (2, 9),
    "quality.raw.max_noise": (5, 20),
    "distribution.scene_seconds": (10, 90),
    "distribution.exam_from": (2, 12),
}


def _value(home: Path, name: str) -> Any:
    value = json.loads((home / "settings.json").read_text())
    for part in name.split("."):
        value = value[part]
    return value


def _start(stage: Stage, number: int, words: list[str], real: bool, death: Death | None = None) -> Child:
    out = stage.work / f"out{number}.txt"
    return command_line(stage.home, words, out) if real else begin(stage.home, words, out, death)


def _both(stage: Stage, words: list[list[str]], chance: random.Random) -> tuple[str, list[Outcome]]:
    """Run both at the same moment; how, and how each ended."""
    if chance.random() < _REAL_SHARE:
        return "command line", [child.wait() for child in [_start(stage, number, one, True) for number, one in enumerate(words)]]
    if chance.random() < _HALTED_SHARE:
        call = chance.randint(1, 4)
        first = _start(stage, 0, words[0], False, Death(str(stage.home), call, "halt"))
        halted = first.halted(20)
        second = _start(stage, 1, words[1], False)
        time.sleep(chance.uniform(0.0, 0.4))
        if halted:
            first.go_on()
        return f"the first halted at call {call}", [first.wait(), second.wait()]
    children = [_start(stage, number, one, False) for number, one in enumerate(words)]
    return "at once", [child.wait() for child in children]


def run(campaign: Campaign, stage: Stage, quick: bool) -> None:
    """The campaign."""
    prepare(stage, ("created",))
    stage.set_up("created")
    for number in campaign.numbers():
        chance = campaign.chance(number)
        changes = {name: chance.randint(*NAMES[name]) for name in chance.sample(sorted(NAMES), 4)}
        pairs = list(changes.items())
        words = [["settings", *(f"{name}={value}" for name, value in half)] for half in (pairs[:2], pairs[2:])]
        how, outcomes = _both(stage, words, chance)
        with campaign.trying(number, how.partition(" at call")[0], f"{how}: {words[0][1:]} beside {words[1][1:]}") as wrong:
            for outcome in outcomes:
                wrong += outcome.wrong(0)
            wrong += [f"lost: {name}={value}" for name, value in changes.items() if _value(stage.home, name) != value]
            wrong += [f"left: {path.name}" for path in stage.home.glob(".*.part")]
