"""Every JSON record of client and home, broken in every way: the program names the file or goes on, and changes no file."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

from attack.campaign import Campaign
from attack.forks import act
from attack.scenes import CLIENT, Stage, prepare
from attack.spoil import spoiled_bytes, spoiled_json

_ANA = f"--client {CLIENT}"
# What only looks: nothing at all may change by it.
LOOKING = (
    f"client show {CLIENT}",
    "client list",
    f"rejected {_ANA}",
    f"captions {_ANA}",
    f"doctor {_ANA}",
    f"checkpoints {_ANA} list",
    f"portraits {_ANA} list",
    f"dataset {_ANA} --plan",
    f"process {_ANA} --plan",
    f"train {_ANA} --plan --yes --anyway",
    f"generate {_ANA} --plan --prompt x --yes",
    f"who {_ANA} {{photo}}:1 --plan",
    f"grids {_ANA} --plan",
    f"client erase {CLIENT} --plan",
    f"limits {_ANA} max_noise=2 --plan",
    "settings",
    "queue",
)
# What changes something: a broken record ends it before that.
CHANGING = (
    f"dataset {_ANA} --yes",
    f"prompts {_ANA} --master 'portrait of a woman'",
    f"captions {_ANA} {{crop}} --text 'portrait of ana'",
    f"quarantine {_ANA} {{crop}} --yes",
    f"import-mj {_ANA} {{given}}/mj --yes",
    f"checkpoints {_ANA} export --for comfyui --yes",
    f"portraits {_ANA} favourite 1 --yes",
    f"quarantine {_ANA} undo:{{crop}} --yes",
    "settings preset=quick",
    f"client export {CLIENT} --to {{try}}/out.zip --overwrite --yes",
    "client create bea",
    f"limits {_ANA} min_brightness=39 --yes",
    f"limits {_ANA}",
)
_FEW = {
    "settings.json": ("settings", f"client show {CLIENT}", f"train {_ANA} --plan --yes --anyway", "client list"),
    "queue.json": ("queue", "client list"),
}
_PASSED_OVER = ("logs", "last_used.json")  # written by what only looks, too; as sheets of samples are, drawn anew for a list


def records_of(home: Path) -> list[Path]:
    """Every record, relative to the home; one of each kind where there are many of a kind."""
    found: dict[str, Path] = {}
    for path in sorted(home.rglob("*.json")):
        if "logs" not in path.relative_to(home).parts[:1]:
            kind = f"{path.parent.name if path.parent.name[:1].isdigit() is False else 'dataset'}/{path.name}"
            if path.parent.name in ("faces", "rejected", "output", "runs"):
                kind = f"{path.parent.name}/{path.name.split('_')[0]}"
            found.setdefault(kind, path.relative_to(home))
    return sorted(found.values())


def _files(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Every file with size, time and number: what is written anew has another."""
    return {
        str(path.relative_to(folder)): ((facts := path.lstat()).st_size, facts.st_mtime_ns, facts.st_ino)
        for path in folder.rglob("*")
        if (path.is_file() or path.is_symlink())
        and not any(part in path.parts for part in _PASSED_OVER)
        and not (path.name.endswith(".lock") or path.name.startswith("contact_sheet"))
    }


def _spoil(record: Path, whole: bytes, chance: random.Random) -> str:
    """Break a record; what was done to it."""
    if chance.random() < 0.02:
        record.unlink()
        record.mkdir()
        return "a folder in its place"
    how, data = (spoiled_json if chance.random() < 0.7 else spoiled_bytes)(whole, chance)
    record.write_bytes(data)
    return how


def _lines(record: Path, chance: random.Random) -> tuple[str, bool]:
    """Which action meets the record, and whether it may change something."""
    if record.name in _FEW and chance.random() < 0.8:
        return chance.choice(_FEW[record.name]), False
    return (chance.choice(CHANGING), True) if chance.random() < 0.25 else (chance.choice(LOOKING), False)


def _changed(before: dict[str, tuple[int, int, int]], after: dict[str, tuple[int, int, int]]) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield name


def _put_back(stage: Stage, scene: str) -> None:
    stage.set_up(scene)
    stage.lay_victim()


def run(campaign: Campaign, stage: Stage, quick: bool) -> None:
    """The campaign."""
    scene = "quarantined" if quick else "everything"
    prepare(stage, (scene, "processed"))
    _put_back(stage, scene)
    folder = stage.work / "try"
    names = records_of(stage.home)
    for number in campaign.numbers():
        chance = campaign.chance(number)
        record = stage.home.joinpath(names[number % len(names)])
        whole, kept = record.read_bytes(), record.stat()
        line, changing = _lines(record, chance)
        how = _spoil(record, whole, chance)
        spoiled = _files(folder)
        outcome = act(stage.home, stage.words(line), stage.out, seconds=90)
        changed = list(_changed(spoiled, _files(folder)))
        with campaign.trying(
            number, record.name if len(record.stem) < 24 else record.parent.name, f"{names[number % len(names)]}: {how}: {line}"
        ) as wrong:
            wrong += outcome.wrong(0, 1)
            if outcome.code == 1 and "cannot be read" in outcome.said and str(record.relative_to(stage.home)) in changed:
                wrong.append("the broken record was written over")
            if not changing and changed:
                wrong.append(f"changed: {', '.join(changed[:3])}")
            if any(name.startswith(("victim", "given")) for name in changed):
                wrong.append(f"OUTSIDE: {', '.join(changed[:3])}")
        campaign.notes["named as broken" if "cannot be read" in outcome.said else f"exit {outcome.code}"] += 1
        if record.is_dir():
            shutil.rmtree(record)
        if changed:
            _put_back(stage, scene)
        else:
            record.write_bytes(whole)
            os.utime(record, ns=(kept.st_mtime_ns, kept.st_mtime_ns))
