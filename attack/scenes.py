"""Homes with a client at each step of the way, prepared once by the program itself and copied for each try.

They are kept in the working folder between campaigns: `--fresh` makes them anew, and so does a change in the program's source.
"""

from __future__ import annotations

import hashlib
import shlex
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from attack.compare import originals_in
from attack.forks import ROOT, Outcome, act

CLIENT = "ana"
USERNAME = "u1234567890"
_MIDJOURNEY = (0, 1, 3, 4, 5, 8, 9, 12)  # which of the sample client's pictures: eight are enough for a dataset


@dataclass(frozen=True, slots=True)
class Scene:
    """One home: which it is made from, and the command lines that make it. `{src}` is the folder of pictures, `{home}` the home."""

    name: str
    before: str
    commands: tuple[str, ...]


SCENES = (
    Scene("empty", "", ("settings base_model=embedded",)),
    Scene("created", "empty", (f"client create {CLIENT} --class-word woman",)),
    Scene(
        "imported", "created",
        (
            f"import-mj --client {CLIENT} {{src}}/mj --yes --username {USERNAME}",
            f"import-photos --client {CLIENT} {{src}}/photos --yes",
        ),
    ),
    Scene("processed", "imported", (f"process --client {CLIENT} --yes",)),
    Scene("accepted", "processed", (f"accept --client {CLIENT} {{refused}} --yes",)),
    Scene("dataset", "processed", (f"dataset --client {CLIENT} --yes",)),
    Scene("restyled", "dataset", ("settings 'caption=photo of {trigger} {class_word}, {details}'",)),
    Scene("quarantined", "dataset", (f"quarantine --client {CLIENT} {{crop}} --yes",)),
    Scene("packed", "dataset", (f"client export {CLIENT} --to {{home}}/packed.zip --yes", f"client erase {CLIENT} --yes")),
    Scene(
        "trained", "dataset",
        (f"train --client {CLIENT} --yes --anyway --steps 12 --save-every 4 --sample-every 4 --batch 2 --warmup 1 --consent test",),
    ),
    Scene("painted", "trained", (f"generate --client {CLIENT} --yes --prompt 'portrait of ana woman' --count 2",)),
    Scene(
        "everything", "painted",
        (f"quarantine --client {CLIENT} {{crop}} --yes", f"prompts --client {CLIENT} --master 'portrait of a woman'",
         f"portraits --client {CLIENT} favourite 1 --yes", f"accept --client {CLIENT} {{refused}} --yes",
         f"captions --client {CLIENT} --text 'portrait of ana woman, by hand' {{other}}"),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stage:
    """The working folder of a campaign: prepared homes, and the one that a try works in, which always has the same path."""

    work: Path

    @property
    def home(self) -> Path:
        """The home of the try."""
        return self.work / "try" / "home"

    @property
    def given(self) -> Path:
        """A copy of the pictures that the try may take away."""
        return self.work / "try" / "given"

    @property
    def source(self) -> Path:
        """The pictures that a user would give; never changed."""
        return self.work / "source"

    @property
    def out(self) -> Path:
        """What a run printed."""
        return self.work / "out.txt"

    def kept(self, scene: str) -> Path:
        """Where a prepared home lies."""
        return self.work / "scenes" / scene

    def originals(self) -> set[str]:
        """The SHA-256 of every picture that was given, wherever in the home or beside it it lies."""
        return originals_in((self.given, *(self.home / "clients").glob("*/raw_*")))

    def lay_victim(self) -> Path:
        """A folder beside the home with a file of somebody else's, which nothing may change."""
        victim = self.work / "try" / "victim"
        victim.mkdir()
        (victim / "secret.txt").write_text("not ours\n")
        return victim

    def words(self, line: str, home: Path | None = None) -> list[str]:
        """A line of the table as words, split as a shell would, with this home's paths and names in them."""
        home = home or self.home
        facts = {"src": str(self.source), "given": str(self.given), "home": str(home), "try": str(self.work / "try")}
        judged = self.kept("processed") if self.kept("processed").is_dir() else home  # the same names in every scene
        facts |= {"refused": _one(judged, "rejected/mj_*.png"), "crop": _one(judged, "processed/mj_*.png"), "photo": "IMG_2031.jpg"}
        facts["other"] = _one(judged, "processed/real_*.png")
        return [_fill(word, facts) for word in shlex.split(line)]

    def set_up(self, scene: str) -> None:
        """A fresh copy of a prepared home, and of the pictures, for the next try."""
        shutil.rmtree(self.work / "try", ignore_errors=True)
        (self.work / "try").mkdir(parents=True)
        shutil.copytree(self.kept(scene), self.home, symlinks=True)
        shutil.copytree(self.source, self.given)


def _one(home: Path, pattern: str) -> str:
    """The name of the first file of the client like that; empty where there is none yet."""
    return next((path.name for path in sorted((home / "clients" / CLIENT).glob(pattern))), "")


def _fill(word: str, facts: dict[str, str]) -> str:
    for name, value in facts.items():
        word = word.replace(f"{{{name}}}", value)
    return word


def _source_digest() -> str:
    """A digest of the program's source: homes made by another program are made anew."""
    digest = hashlib.sha256()
    for path in sorted(ROOT.glob("*.py")) + sorted(ROOT.glob("[a-z]*/**/*.py")):
        if path.relative_to(ROOT).parts[0] not in ("tests", "attack", "docs", "benchmarks", "clients"):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def draw_pictures(folder: Path) -> None:
    """The sample client's pictures, as many as the campaigns need, in `mj/` and `photos/`; drawn once."""
    from embedded.drawing.sample_client import draw_sample

    drawn = folder.with_name("drawn")
    for _event in draw_sample(drawn):
        pass
    pictures = sorted((drawn / "midjourney").iterdir())
    for name, chosen in (("mj", [pictures[number] for number in _MIDJOURNEY]), ("photos", list((drawn / "photos").iterdir()))):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for path in chosen:
            shutil.copy2(path, folder / name)


def prepare(stage: Stage, wanted: Iterable[str], fresh: bool = False) -> None:
    """Make the homes that are asked for, and those they are made from, where they are not there."""
    mark, digest = stage.work / "source.sha256", _source_digest()
    if fresh or not mark.exists() or mark.read_text() != digest:
        shutil.rmtree(stage.work / "scenes", ignore_errors=True)
    if not (stage.source / "photos").is_dir():
        draw_pictures(stage.source)
    stage.work.joinpath("scenes").mkdir(parents=True, exist_ok=True)
    mark.write_text(digest)
    by_name, needed = {scene.name: scene for scene in SCENES}, set[str]()
    for name in wanted:
        while name:
            needed.add(name)
            name = by_name[name].before
    for scene in SCENES:
        if scene.name in needed and not stage.kept(scene.name).is_dir():
            _make(stage, scene)


def _make(stage: Stage, scene: Scene) -> None:
    started = time.monotonic()
    shutil.rmtree(stage.work / "try", ignore_errors=True)
    if scene.before:
        stage.set_up(scene.before)
    else:
        stage.home.mkdir(parents=True)
    for line in scene.commands:
        check(act(stage.home, stage.words(line), stage.out), line)
    shutil.copytree(stage.home, stage.kept(scene.name), symlinks=True)
    print(f"prepared: {scene.name} ({time.monotonic() - started:.1f} s)", flush=True)


def check(outcome: Outcome, line: str) -> None:
    """Raises RuntimeError where what has to go well did not: there is nothing to attack then."""
    if wrong := outcome.wrong(0):
        raise RuntimeError(f"{line}: {wrong[0]}")
