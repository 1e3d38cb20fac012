"""A disk that becomes full in the middle of an action: it says so, leaves nothing half, and with room again ends as undisturbed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from attack.campaign import Campaign
from attack.compare import differences, originals_in
from attack.forks import act
from attack.kills import half_files, lost_originals, seen_in, undisturbed
from attack.mounts import NoMounts, fill, mount_memory, resize_memory, unmount
from attack.scenes import Stage, prepare
from attack.table import ACTIONS, TRAINED, Attacked

_PLENTY_MB = 400
_FULL_WORDS = ("The disk is full", "There is no room", "could not be written")


def _used_kb(place: Path) -> int:
    facts = os.statvfs(place)
    return (facts.f_blocks - facts.f_bfree) * facts.f_frsize // 1024


def _in_memory(stage: Stage, scene: str) -> int:
    """The try's place as a memory disk with a prepared home in it; how much of it is used."""
    place = stage.work / "try"
    unmount(place)
    shutil.rmtree(place, ignore_errors=True)
    mount_memory(place, _PLENTY_MB)
    fill(stage, scene)
    return _used_kb(place)


def _try(stage: Stage, action: Attacked, wanted: dict[str, str], given: set[str], room: int) -> list[str]:
    place = stage.work / "try"
    resize_memory(place, _in_memory(stage, action.scene) + room)
    outcome = act(stage.home, stage.words(action.line), stage.out)
    wrong = outcome.wrong(0, 1)
    if outcome.code == 1 and not any(words in outcome.said for words in _FULL_WORDS):
        wrong.append(f"does not say that the disk is full: {' '.join(outcome.said.split())[-200:]}")
    wrong += half_files(stage) + lost_originals(stage, action, given)
    resize_memory(place, _PLENTY_MB << 10)
    gone = action.name == "erase" and not (stage.home / "clients" / "ana").exists()
    wrong += act(stage.home, stage.words(action.line), stage.out).wrong(*((0, 1) if gone else action.ends))
    return wrong + differences(seen_in(stage), wanted)


def run(campaign: Campaign, stage: Stage, quick: bool) -> None:
    """The campaign."""
    actions = [action for action in ACTIONS if not (action.slow or (quick and action.scene in TRAINED))]
    prepare(stage, {action.scene for action in actions})
    stage.set_up("created")
    given, known = originals_in((stage.given,)), dict[str, tuple[dict[str, str], int]]()
    try:
        for number in campaign.numbers():
            action, chance = actions[number % len(actions)], campaign.chance(number)
            if action.name not in known:
                unmount(stage.work / "try")
                seen = undisturbed(stage, action).seen
                used = _in_memory(stage, action.scene)
                act(stage.home, stage.words(action.line), stage.out)
                known[action.name] = seen, max(_used_kb(stage.work / "try") - used, 8)
            seen, grows = known[action.name]
            room = chance.randrange(0, grows + 8, 4)
            wrong = _try(stage, action, seen, given, room)
            with campaign.trying(number, action.name, f"{action.name} with {room} of {grows} kB of room") as faults:
                faults += wrong
    except NoMounts as error:
        print(f"{campaign.name}: skipped, nothing can be mounted here: {error}")
    finally:
        unmount(stage.work / "try")
