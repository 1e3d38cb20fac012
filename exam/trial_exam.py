"""The exam of one checkpoint of a trial: painted, measured as the exam measures, and handed back as numbers.

The base alone and strangers are painted once for all trials of a client. Whether a LoRA leaks is looked at for the trial that would
be chosen alone, for that takes a set of portraits more.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from client_folder.client import Client
from config import Settings
from exam.examination import STAGE, held_photos
from exam.prompts import SEEDS, exam_prompts, stranger_prompts
from exam.records import Flag, Standing
from machine.model_process import ModelProcess
from portraits.painter import paint_missing
from portraits.portrait import Portrait, PortraitRequest, PromptText, portrait_jobs
from portraits.recipes import DEFAULT_WEIGHT, PipelineSetup, setup_of
from training.checkpoints import Checkpoint
from utils import Event


@dataclass(frozen=True, slots=True)
class ExaminedCheckpoint:
    """What a checkpoint's portraits show; distances are [portrait][held-back scene]."""

    distances: tuple[tuple[float, ...], ...]
    base: tuple[tuple[float, ...], ...]
    prompts: tuple[int, ...]
    gate: Standing
    flags: tuple[Flag, ...]


def examine_checkpoint(
    client: Client, settings: Settings, checkpoint: Checkpoint, model_process: ModelProcess
) -> Generator[Event, None, ExaminedCheckpoint]:
    """Paint what is missing and measure it; raises NoHeldBackPhotos, ModelMissing, BrokenFile."""
    from exam.judging import Evidence, prompt_numbers
    from exam.verdict import by_scene

    photos, setup = held_photos(client), setup_of(client, settings)
    own, others = _prompts(client, setup)
    alone = yield from _paint(client, setup, own, None, model_process)
    strangers = yield from _paint(client, setup, others, None, model_process)
    painted = yield from _paint(client, setup, own, checkpoint.path, model_process)
    evidence = Evidence.gather(client, photos, alone, strangers, {checkpoint: painted}, practice=setup.base.practice)
    distances, base = (by_scene(each, evidence.scenes) for each in (evidence.distances[0], evidence.base_distances))
    return ExaminedCheckpoint(
        tuple(map(tuple, distances.round(5).tolist())), tuple(map(tuple, base.round(5).tolist())),
        tuple(prompt_numbers(len(painted))), evidence.gates[0].standing, tuple(sorted(evidence.signs[0].flags)),
    )  # fmt: skip


def examine_leak(
    client: Client, settings: Settings, checkpoint: Checkpoint, model_process: ModelProcess
) -> Generator[Event, None, bool]:
    """Whether a LoRA gives other people the client's looks; raises as `examine_checkpoint`."""
    from exam.judging import Evidence

    photos, setup = held_photos(client), setup_of(client, settings)
    own, others = _prompts(client, setup)
    alone = yield from _paint(client, setup, own, None, model_process)
    strangers = yield from _paint(client, setup, others, None, model_process)
    painted = yield from _paint(client, setup, own, checkpoint.path, model_process)
    dressed = yield from _paint(client, setup, others, checkpoint.path, model_process)
    evidence = Evidence.gather(client, photos, alone, strangers, {checkpoint: painted}, practice=setup.base.practice)
    return Flag.LEAKS in evidence.look_closer(0, dressed).signs[0].flags


def _prompts(client: Client, setup: PipelineSetup) -> tuple[Sequence[str], Sequence[str]]:
    """Those of the client, and those of strangers at the same scenes."""
    word, practice = client.state().class_word, setup.base.practice
    return exam_prompts(client.id, word, practice=practice), stranger_prompts(word, practice=practice)


def _paint(
    client: Client, setup: PipelineSetup, prompts: Sequence[str], lora: Path | None, model_process: ModelProcess
) -> Generator[Event, None, tuple[Portrait, ...]]:
    """A set: every prompt with every seed."""
    request = PortraitRequest(tuple(map(PromptText, prompts)), SEEDS, lora, DEFAULT_WEIGHT if lora else 0.0)
    folder = client.exam_portraits
    return (yield from paint_missing(folder, portrait_jobs(folder, setup, request), STAGE, model_process))
