"""The exam of a client's checkpoints: painted portraits measured against photos that training never saw.

Painted are sixteen scenes with two seeds, by the recipe of `generate`: by the base alone as the client and as strangers, then by
each checkpoint. What is on disk is not painted again. Whether a LoRA leaks is looked at for the one that would be chosen, for that
takes a set of portraits more; where it does, the next one is chosen and looked at.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from client_folder.client import Client
from config import Settings
from dataset.held_back import recorded
from exam.errors import NoHeldBackPhotos
from exam.prompts import SEEDS, exam_prompts, stranger_prompts
from exam.records import ExamVerdict
from exam.report import ExamReport
from exam.swap_baseline import beside_swap, examine_swap
from machine.model_process import ModelProcess
from portraits.painter import paint_missing
from portraits.portrait import Portrait, PortraitRequest, PromptText, portrait_jobs
from portraits.recipes import DEFAULT_WEIGHT, PipelineSetup, setup_of
from training.checkpoints import Checkpoint, choose_lora, list_checkpoints
from utils import Event, whole_png

if TYPE_CHECKING:
    from exam.judging import Evidence

STAGE = "exam"


@dataclass(slots=True)
class _Painting:
    """How portraits of this exam are painted, and how long a set took; `until` is when time is up, None: never."""

    client: Client
    setup: PipelineSetup
    model_process: ModelProcess
    until: float | None
    longest: float = 0.0  # seconds of one set

    @property
    def time_is_up(self) -> bool:
        """Whether another set would go beyond the budget."""
        return self.until is not None and time.monotonic() + self.longest > self.until

    def paint(self, prompts: Sequence[str], lora: Path | None, weight: float) -> Generator[Event, None, tuple[Portrait, ...]]:
        """A set: every prompt with every seed."""
        began = time.monotonic()
        request = PortraitRequest(tuple(map(PromptText, prompts)), SEEDS, lora, weight)
        folder = self.client.exam_portraits
        painted = yield from paint_missing(folder, portrait_jobs(folder, self.setup, request), STAGE, self.model_process)
        self.longest = max(self.longest, time.monotonic() - began)
        return painted


def examine(
    client: Client, settings: Settings, minutes: float | None = None, model_process: ModelProcess | None = None
) -> Generator[Event, None, ExamReport]:
    """Paint, measure, decide, write report, sheet and plot. `minutes` is the budget of painting; None: none.

    Raises NoHeldBackPhotos, NotReady without a LoRA, NoCheckpoint, TornCheckpoint, ModelMissing, BrokenFile.
    """
    photos = held_photos(client)
    setup, checkpoints = setup_of(client, settings), candidates_of(client)
    from exam.judging import Evidence  # here, not above: it brings numpy, which the menu need not wait for
    from exam.writing import write_exam

    word, practice = client.state().class_word, setup.base.practice
    own, others = exam_prompts(client.id, word, practice=practice), stranger_prompts(word, practice=practice)
    with contextlib.ExitStack() as owned:
        process = model_process or owned.enter_context(ModelProcess())
        painting = _Painting(client, setup, process, None if minutes is None else time.monotonic() + 60 * minutes)
        alone = yield from painting.paint(own, None, 0.0)
        strangers = yield from painting.paint(others, None, 0.0)
        sets, left_out = yield from _paint_candidates(painting, own, checkpoints)
        evidence = Evidence.gather(client, photos, alone, strangers, sets, practice=practice)
        evidence, verdict = yield from _settle(painting, evidence, others)
        swap = yield from examine_swap(client, settings, alone, evidence, verdict, process)
    verdict = beside_swap(verdict, swap)
    return write_exam(client, setup.base, evidence, verdict, own, others, tuple(one.path.name for one in left_out), swap)


def held_photos(client: Client) -> tuple[tuple[Path, int], ...]:
    """The held-back photos with the number of the scene of each; raises NoHeldBackPhotos."""
    found = [(client.exam / f"{stem}.png", number) for number, scene in enumerate(recorded(client).scenes) for stem in scene]
    found = [(file, number) for file, number in found if whole_png(file)]
    if not found:
        raise NoHeldBackPhotos(client=client.display_name)
    return tuple(found)


def candidates_of(client: Client) -> tuple[Checkpoint, ...]:
    """The whole checkpoints of the newest LoRA, the earliest first, one a step."""
    newest = choose_lora(client)
    steps = {
        one.step: one for one in list_checkpoints(client) if one.whole and one.version == newest.version
    }  # the finished one comes last and takes the place of the checkpoint of its step
    return tuple(steps[step] for step in sorted(steps)) or (newest,)


def _paint_candidates(
    painting: _Painting, prompts: Sequence[str], checkpoints: Sequence[Checkpoint]
) -> Generator[Event, None, tuple[dict[Checkpoint, tuple[Portrait, ...]], list[Checkpoint]]]:
    """The sets by checkpoint, the earliest first, and those for which there was no time; one is painted in any case."""
    sets: dict[Checkpoint, tuple[Portrait, ...]] = {}
    for one in spread_out(checkpoints):
        if sets and painting.time_is_up:
            break
        sets[one] = yield from painting.paint(prompts, one.path, DEFAULT_WEIGHT)
    return {one: sets[one] for one in checkpoints if one in sets}, [one for one in checkpoints if one not in sets]


def spread_out(checkpoints: Sequence[Checkpoint]) -> list[Checkpoint]:
    """The order in which they are painted, so that time that runs out leaves some from all over: last, first, then halves."""
    order: list[int] = []
    gaps = [(0, len(checkpoints) - 1)]
    for at in (len(checkpoints) - 1, 0):
        if at >= 0 and at not in order:
            order.append(at)
    while gaps:
        low, high = gaps.pop(0)
        middle = (low + high) // 2
        if high - low > 1:
            order.append(middle)
            gaps += [(low, middle), (middle, high)]
    return [checkpoints[at] for at in order]


def _settle(painting: _Painting, evidence: Evidence, others: Sequence[str]) -> Generator[Event, None, tuple[Evidence, ExamVerdict]]:
    """Decide; look closer at what was chosen; decide anew until what was looked at stays chosen."""
    while True:
        verdict = evidence.decide()
        if verdict.chosen is None or verdict.chosen in evidence.looked_at:
            return evidence, verdict
        one = evidence.checkpoints[verdict.chosen]
        dressed = yield from painting.paint(others, one.path, DEFAULT_WEIGHT)
        evidence = evidence.look_closer(verdict.chosen, dressed)
