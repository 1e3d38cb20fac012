"""The exam of one checkpoint of a trial: painted, measured as the exam measures, and handed back as numbers.

The base alone and strangers are painted once for all trials of a client. Whether a LoRA leaks is looked at for the trial that would
be chosen alone, for that takes a set of portraits more.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from client_folder.client import Client
from config import Settings
from exam.candidates import WeightedCheckpoint
from exam.examination import held_photos
from exam.painting import ExamPainter
from exam.prompts import exam_prompts, stranger_prompts
from exam.records import VETOES, Flag, Standing
from machine.model_process import ModelProcess
from portraits.recipes import setup_of
from training.checkpoints import Checkpoint
from utils import Event

if TYPE_CHECKING:
    from exam.judging import Evidence


@dataclass(frozen=True, slots=True)
class ExaminedCheckpoint:
    """What a checkpoint's portraits show; distances are [portrait][held-back scene]."""

    distances: tuple[tuple[float, ...], ...]
    base: tuple[tuple[float, ...], ...]
    prompts: tuple[int, ...]
    gate: Standing
    flags: tuple[Flag, ...]

    @property
    def vetoed(self) -> bool:
        """Whether it may not be chosen, however like its portraits are."""
        return bool(VETOES & set(self.flags))


def examine_checkpoint(
    client: Client, settings: Settings, checkpoint: Checkpoint, model_process: ModelProcess
) -> Generator[Event, None, ExaminedCheckpoint]:
    """Paint what is missing and measure it; raises NoHeldBackPhotos, OnlyNearCopies, ModelMissing, BrokenFile."""
    from exam.judging import prompt_numbers
    from exam.verdict import by_scene

    evidence = yield from _evidence(client, settings, checkpoint, model_process, closer=False)
    distances, base = (by_scene(each, evidence.scenes) for each in (evidence.distances[0], evidence.base_distances))
    return ExaminedCheckpoint(
        tuple(map(tuple, distances.round(5).tolist())), tuple(map(tuple, base.round(5).tolist())),
        tuple(prompt_numbers(len(base))), evidence.gates[0].standing, tuple(sorted(evidence.signs[0].flags)),
    )  # fmt: skip


def examine_leak(
    client: Client, settings: Settings, checkpoint: Checkpoint, model_process: ModelProcess
) -> Generator[Event, None, bool]:
    """Whether a LoRA gives other people the client's looks; raises as `examine_checkpoint`."""
    evidence = yield from _evidence(client, settings, checkpoint, model_process, closer=True)
    return Flag.LEAKS in evidence.signs[0].flags


def _evidence(
    client: Client, settings: Settings, checkpoint: Checkpoint, model_process: ModelProcess, *, closer: bool
) -> Generator[Event, None, Evidence]:
    """What the portraits of one checkpoint show; `closer`: those of strangers painted with it too."""
    from exam.judging import Painted, gather

    photos, _copies = held_photos(client, settings)
    setup, word = setup_of(client, settings), client.state().class_word
    own = exam_prompts(client.id, word, practice=setup.base.practice)
    others = stranger_prompts(word, practice=setup.base.practice)
    candidate, painter = WeightedCheckpoint(checkpoint), ExamPainter(client, setup, model_process)
    sets = [painter.jobs(own), painter.jobs(others), painter.jobs(own, candidate)]
    sets += [painter.jobs(others, candidate)] if closer else []
    painter.expect(sets)
    alone = yield from painter.paint(sets[0])
    painted = Painted(alone, (yield from painter.paint(sets[1])))
    painted.sets[candidate] = yield from painter.paint(sets[2])
    if closer:
        painted.dressed[candidate] = yield from painter.paint(sets[3])
    return (yield from gather(client, photos, painted, practice=setup.base.practice))
