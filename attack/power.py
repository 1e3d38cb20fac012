"""Power cuts: what lay on the disk at one instant is all that is left, and the next run must go on from it.

The try works on ext4 in a file. The cut is a copy of that file while the program works, or some seconds after it has ended: what
the file system had not written yet is missing in it, as on a disk whose power went. What a real disk does besides (a write of its
own cache torn in half, blocks in another order) is not shown by it.
"""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

from attack.campaign import Campaign
from attack.compare import differences, originals_in
from attack.forks import Child, act, begin, command_line
from attack.kills import Undisturbed, lost_originals, seen_in, undisturbed
from attack.mounts import NoMounts, copy_image, fill, mount_image, unmount
from attack.scenes import CLIENT, Stage, prepare
from attack.table import ACTIONS, Attacked

_AFTER_SECONDS = 8.0  # ext4 commits its journal every five
NAMES = (
    "import-photos --move", "import-mj --move", "import-photos", "import-mj", "dataset", "erase", "process", "accept", "train",
    "generate", "quarantine", "client import",
)  # fmt: skip


def _cut(stage: Stage, action: Attacked, seconds: float, chance: random.Random) -> str:
    """Run the action on the mounted image, and cut the power somewhere; the place is mounted again as it was on the disk then."""
    place, image, cut = stage.work / "try", stage.work / "disk.img", stage.work / "cut.img"
    words, start = stage.words(action.line), command_line if action.slow else begin
    child: Child = start(stage.home, words, stage.out)
    after = chance.random() < 0.5
    if after:
        child.wait()
        wait = chance.uniform(0.0, _AFTER_SECONDS)
    else:
        wait = chance.uniform(0.0, seconds)
    time.sleep(wait)
    if not after:
        child.halt_family()
    copy_image(image, cut)
    if not after:
        child.kill_family()
        child.wait()
    unmount(place)
    image.unlink()
    cut.rename(image)
    mount_image(image, place, fresh=False)
    return f"{wait:.2f} s after its {'end' if after else 'start'}"


def run(campaign: Campaign, stage: Stage, quick: bool) -> None:
    """The campaign."""
    names = [name for name in NAMES if name.startswith("import")] if quick else NAMES
    actions = [next(action for action in ACTIONS if action.name == name) for name in names]
    prepare(stage, {actions[number % len(actions)].scene for number in range(campaign.rounds)})
    stage.set_up("created")
    given, place, known = originals_in((stage.given,)), stage.work / "try", dict[str, Undisturbed]()
    try:
        for number in campaign.numbers():
            action, chance = actions[number % len(actions)], campaign.chance(number)
            unmount(place)
            if action.name not in known:
                known[action.name] = undisturbed(stage, action)
            wanted = known[action.name]
            _prepare_disk(stage, action.scene, place)
            when = _cut(stage, action, wanted.seconds, chance)
            wrong = lost_originals(stage, action, given)
            gone = action.name == "erase" and not (stage.home / "clients" / CLIENT).exists()
            next_run = act(stage.home, stage.words(action.line), stage.out)
            wrong += next_run.wrong(*((0, 1) if gone else action.ends))
            wrong += differences(seen_in(stage), wanted.seen) + lost_originals(stage, action, given)
            with campaign.trying(number, action.name, f"{action.name}, power cut {when}") as faults:
                faults += [next_run.told(), *wrong] if wrong else []
    except NoMounts as error:
        print(f"{campaign.name}: skipped, nothing can be mounted here: {error}")
    finally:
        unmount(place)


def _prepare_disk(stage: Stage, scene: str, place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    mount_image(stage.work / "disk.img", place, fresh=True)
    fill(stage, scene)
