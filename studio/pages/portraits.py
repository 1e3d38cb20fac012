"""What the page shows of portraits: runs of them with their words and seeds, favourites, and the same seed over checkpoints."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from client_folder.client import Client
from client_folder.records import Source
from exam.report import ExamFile
from locales.language import _
from portraits.history import PortraitHistory, read_history, there
from portraits.portrait import PortraitRecord
from studio.pages.thumbnails import large_url, small_url
from training.samples import prompts_of, samples_by_step
from utils import BrokenFile, read_record

_VERSION = re.compile(r"_avatar_v(\d+)-step")
PORTRAIT = re.compile(r"^portrait_[0-9]+_[0-9a-f]+\.png$")


@dataclass(frozen=True, slots=True)
class PortraitCard:
    """A portrait as it is shown; what its record does not tell is empty."""

    name: str
    run: int
    small: str
    large: str
    prompt: str
    negative: str
    seed: str
    how: str  # LoRA, steps, size
    favourite: bool

    @property
    def stem(self) -> str:
        """Its name without an ending."""
        return Path(self.name).stem


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture of a row, and the word above it."""

    title: str
    small: str
    large: str


@dataclass(frozen=True, slots=True)
class SeedRow:
    """One prompt and seed, painted with each checkpoint in turn."""

    title: str
    shots: tuple[Shot, ...]


def portrait_runs(client: Client, history: PortraitHistory) -> list[tuple[int, str, list[PortraitCard]]]:
    """Every run with portraits that are left: number, time in UTC, cards; the newest first, and last what no run knows of."""
    favourites, shown, runs = set(history.favourites), set(), []
    for run in reversed(history.runs):
        files = [file for file in there(client, run.images) if file.name not in shown]
        shown |= {file.name for file in files}
        if files:
            runs.append((run.number, run.when, [_card(client, file, run.number, favourites) for file in files]))
    rest = [file for file in sorted(client.output.glob("portrait_*.png")) if file.name not in shown]
    if rest:
        runs.append((0, "", [_card(client, file, 0, favourites) for file in rest]))
    return runs


def portrait_card(client: Client, name: str) -> PortraitCard:
    """One portrait, as it stands now."""
    history = read_history(client)
    run = next((run.number for run in reversed(history.runs) if name in run.images), 0)
    return _card(client, client.output / name, run, set(history.favourites))


def _card(client: Client, file: Path, run: int, favourites: set[str]) -> PortraitCard:
    record = None
    with contextlib.suppress(BrokenFile, FileNotFoundError):
        record = read_record(file.with_suffix(".json"), PortraitRecord)
    how = ""
    if record:
        lora = f"{Path(record.lora).stem} ({record.weight:g})" if record.lora else _("the base alone")
        how = _("{lora}, {steps} steps, {width} x {height} px").format(
            lora=lora, steps=record.steps, width=record.width, height=record.height
        )
    return PortraitCard(
        file.name, run, small_url(client, "output", file), large_url(client, file), record.prompt if record else "",
        record.negative if record else "", str(record.seed) if record else file.stem.split("_")[1], how, file.name in favourites,
    )  # fmt: skip


def real_photo(client: Client) -> Shot | None:
    """A real photo to hold portraits against: the first accepted crop of one."""
    for face in client.crops():
        if face.source is Source.REAL:
            file = client.processed / face.crop
            return Shot(_("real photo"), small_url(client, "processed", file), large_url(client, file))
    return None


def seed_rows(client: Client, exam: ExamFile | None) -> list[SeedRow]:
    """The same prompt and seed over the checkpoints: what was painted while training, and what the exam painted."""
    rows, prompts = [], prompts_of(client)
    named = (_VERSION.search(file.stem) for file in client.samples.glob("*.png"))
    for version in sorted({int(name[1]) for name in named if name}, reverse=True):
        samples = samples_by_step(client, client.lora_name(version))
        for number in sorted({number for _step, number in samples}):
            shots = [
                Shot(_("step {step}").format(step=step), small_url(client, "samples", file), large_url(client, file))
                for (step, one), file in sorted(samples.items())
                if one == number
            ]
            words = prompts[number] if number < len(prompts) else ""
            rows.append(
                SeedRow(_("While training, version {version}: {prompt}").format(version=version, prompt=words), tuple(shots))
            )
    return [*rows, *(_exam_rows(client, exam) if exam else ())]


def _exam_rows(client: Client, exam: ExamFile) -> Iterator[SeedRow]:
    painted = [(_("the base alone"), exam.base_portraits)]
    painted += [
        (_("step {step}, weight {weight:g}").format(step=one.step, weight=one.weight), one.portraits) for one in exam.candidates
    ]
    for number in range(min((len(names) for _title, names in painted if names), default=0)):
        shots = []
        for title, names in painted:
            file = client.exam_portraits / Path(names[number]).name if number < len(names) else client.exam_portraits
            if file.is_file():
                shots.append(Shot(title, small_url(client, "exam_portraits", file), large_url(client, file)))
        prompt = exam.prompts[number // len(exam.seeds) % len(exam.prompts)]
        seed = exam.seeds[number % len(exam.seeds)]
        if shots:
            yield SeedRow(_("Exam, seed {seed}: {prompt}").format(seed=seed, prompt=prompt), tuple(shots))
