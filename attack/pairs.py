"""Two actions at once: A halts in the middle of a change, B runs, A goes on. No fault, nothing half, nothing lost.

Where B is told that another program works on the client, A must end as if it had been alone.
"""

from __future__ import annotations

import json
from pathlib import Path

from attack.campaign import Campaign
from attack.compare import differences, seen_of
from attack.deaths import Death
from attack.forks import Outcome, act, begin
from attack.scenes import CLIENT, Stage, prepare
from attack.table import ACTIONS, TRAINED, Attacked

_ANA = f"--client {CLIENT}"
LOOKING = (
    f"client show {CLIENT}", "client list", f"rejected {_ANA}", f"captions {_ANA}", f"doctor {_ANA}", f"checkpoints {_ANA} list",
    f"portraits {_ANA} list", f"generate {_ANA} --plan --prompt x --yes", f"process {_ANA} --plan", "settings", "queue",
)  # fmt: skip
_BLOCKED_SECONDS = 0.7  # B may wait so long for a lock that A holds before A goes on


def _together(stage: Stage, first: str, second: str, call: int) -> tuple[list[Outcome], bool]:
    """Both outcomes, and whether A was halted at all."""
    a = begin(stage.home, stage.words(first), stage.work / "out0.txt", Death(str(stage.work / "try"), call, "halt"))
    halted = a.halted(60)
    b = begin(stage.home, stage.words(second), stage.work / "out1.txt")
    b.ended(_BLOCKED_SECONDS if halted else 60)
    if halted:
        a.go_on()
    return [a.wait(), b.wait()], halted


def _unreadable(home: Path) -> list[str]:
    """Records that are no JSON any more, and half files."""
    wrong = [f"half a file is left: {path.name}" for path in home.rglob("*.part")]
    for path in home.rglob("*.json"):
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            wrong.append(f"{path.relative_to(home)}: {error}")
    return wrong


def _alone(stage: Stage, scene: str, action: Attacked) -> tuple[dict[str, str], int]:
    """What A comes to where nobody disturbs it, and after how many calls."""
    stage.set_up(scene)
    outcome = act(stage.home, stage.words(action.line), stage.out, Death(str(stage.work / "try")))
    return seen_of(stage.home, stage.given), outcome.calls


def run(campaign: Campaign, stage: Stage, quick: bool) -> None:
    """The campaign."""
    scene = "quarantined" if quick else "everything"  # where every action has something to do, or to refuse
    prepare(stage, (scene, "processed"))
    changing = [action for action in ACTIONS if not action.slow and not (quick and action.scene in TRAINED)]
    alone: dict[str, tuple[dict[str, str], int]] = {}
    for number in campaign.numbers():
        chance, a = campaign.chance(number), changing[number % len(changing)]
        b = chance.choice((*[action.line for action in changing], *LOOKING, a.line))
        if a.name not in alone:
            alone[a.name] = _alone(stage, scene, a)
        seen, calls = alone[a.name]
        stage.set_up(scene)
        given = stage.originals()
        call = chance.randint(1, max(calls, 1))
        outcomes, halted = _together(stage, a.line, b, call)
        with campaign.trying(number, a.name, f"{a.name} halted at call {call} of {calls} beside: {b}") as wrong:
            for outcome in outcomes:
                wrong += outcome.wrong(0, 1)
            wrong += _unreadable(stage.home)
            lost = given - stage.originals()
            if lost and "erase" not in a.line + b:
                wrong.append(f"LOST: {len(lost)} originals")
            refused = "Another program is working" in outcomes[1].said
            if halted and refused:
                wrong += differences(seen_of(stage.home, stage.given), seen)
            campaign.notes["B refused" if refused else "B waited or ran beside" if halted else "A had ended"] += 1
