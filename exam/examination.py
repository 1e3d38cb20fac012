"""The exam of a client's checkpoints: painted portraits measured against photos that training never saw.

Painted are sixteen scenes with two seeds, by the recipe of `generate`: by the base alone as the client and as strangers, then by
each checkpoint. What is on disk is not painted again, what was measured is not measured again. The checkpoint that would be chosen
is painted at lighter weights too, and looked at more closely: whether it leaks takes a set of strangers painted with it. Where
that changes the choice, the next one is weighed and looked at.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from client_folder.client import Client
from config import Settings
from dataset.held_back import copies_in_training, recorded
from exam.candidates import WEIGHTS, WeightedCheckpoint, candidates_of, spread_out
from exam.errors import NoHeldBackPhotos
from exam.painting import ExamPainter
from exam.prompts import SCENES, exam_prompts, stranger_prompts
from exam.records import ExamReason
from exam.report import ExamReport
from exam.swap_baseline import beside_swap, examine_swap
from locales.language import N_
from machine.model_process import ModelProcess
from portraits.recipes import setup_of
from utils import Event, PipelineError, whole_png

if TYPE_CHECKING:
    from exam.judging import Evidence, Painted
    from exam.records import ExamVerdict

Photos = tuple[tuple[Path, int], ...]  # each with the number of its scene
_LATER_SETS = len(WEIGHTS)  # painted once a checkpoint is chosen: its other weights, and strangers with it


class OnlyNearCopies(PipelineError):
    """Facts: client, id."""

    message = N_("Training has near copies of every photo of {client} that is held back: they cannot examine what learned them.")
    hint = N_("Build the dataset again, which leaves near copies out, and train again: dataset --client {id}.")


def examine(
    client: Client,
    settings: Settings,
    minutes: float | None = None,
    model_process: ModelProcess | None = None,
    scenes: int = SCENES,
) -> Generator[Event, None, ExamReport]:
    """Paint, measure, decide, write report, sheet and plot. `minutes` is the budget of painting; None: none.

    Raises NoHeldBackPhotos, OnlyNearCopies, NotReady without a LoRA, NoCheckpoint, TornCheckpoint, ModelMissing, BrokenFile.
    """
    photos, copies = held_photos(client, settings)
    setup, candidates = setup_of(client, settings), candidates_of(client)
    from exam.judging import Painted  # here, not above: it brings numpy, which the menu need not wait for
    from exam.writing import write_exam

    word, practice = client.state().class_word, setup.base.practice
    own = exam_prompts(client.id, word, practice=practice)[:scenes]
    others = stranger_prompts(word, practice=practice)[:scenes]
    with contextlib.ExitStack() as owned:
        process = model_process or owned.enter_context(ModelProcess())
        painter = ExamPainter(client, setup, process, None if minutes is None else time.monotonic() + 60 * minutes)
        sets = [painter.jobs(own), painter.jobs(others), *(painter.jobs(own, one) for one in candidates)]
        painter.expect(sets, more=_LATER_SETS * len(sets[0]))
        alone = yield from painter.paint(sets[0])
        painted = Painted(alone, (yield from painter.paint(sets[1])))
        yield from _paint_candidates(painter, painted, own, candidates)
        evidence, verdict = yield from _settle(painter, painted, photos, own, others)
        swap = yield from examine_swap(client, settings, alone, evidence, verdict, process)
    verdict = beside_swap(verdict, swap)
    reasons = (*verdict.reasons, *((ExamReason.NEAR_COPIES,) if copies else ()))
    left_out = tuple(one.checkpoint.path.name for one in candidates if one not in painted.sets)
    return write_exam(client, setup.base, evidence, verdict.because(reasons), own, others, left_out, swap)


def held_photos(client: Client, settings: Settings) -> tuple[Photos, tuple[str, ...]]:
    """The held-back photos, and the stems of those left out because training has a near copy of them.

    Raises NoHeldBackPhotos, and OnlyNearCopies where none is left.
    """
    copies = copies_in_training(client, settings.distribution.near_duplicate_bits)
    found = [(client.exam / f"{stem}.png", number) for number, scene in enumerate(recorded(client).scenes) for stem in scene]
    found = [(file, number) for file, number in found if whole_png(file)]
    if not found:
        raise NoHeldBackPhotos(client=client.display_name)
    kept = tuple((file, number) for file, number in found if file.stem not in copies)
    if not kept:
        raise OnlyNearCopies(client=client.display_name, id=client.id)
    return kept, copies


def _paint_candidates(
    painter: ExamPainter, painted: Painted, prompts: Sequence[str], candidates: Sequence[WeightedCheckpoint]
) -> Generator[Event, None, None]:
    """The sets of the checkpoints for which there is time, and for a closer look at one of them; one is painted in any case."""
    for one in spread_out(candidates):
        if painted.sets and not painter.is_time_for(2):
            break
        painted.sets[one] = yield from painter.paint(painter.jobs(prompts, one))


def _settle(
    painter: ExamPainter, painted: Painted, photos: Photos, own: Sequence[str], others: Sequence[str]
) -> Generator[Event, None, tuple[Evidence, ExamVerdict]]:
    """Decide; weigh what was chosen and look at it more closely; decide anew until that stays chosen."""
    from exam.judging import gather

    untried = False  # whether a weight could not be painted for lack of time
    while True:
        evidence = yield from gather(painter.client, photos, painted, practice=painter.setup.base.practice)
        verdict = evidence.decide()
        if verdict.chosen is None:
            return evidence, verdict
        chosen = evidence.candidates[verdict.chosen]
        lacking = [one for weight in WEIGHTS if (one := WeightedCheckpoint(chosen.checkpoint, weight)) not in painted.sets]
        if lacking and not untried:
            painter.expect([*(painter.jobs(own, one) for one in lacking), painter.jobs(others, chosen)])
            for one in lacking:
                if painter.is_time_for(2):
                    painted.sets[one] = yield from painter.paint(painter.jobs(own, one))
            untried = any(one not in painted.sets for one in lacking)
        elif chosen not in painted.dressed:
            painter.expect([painter.jobs(others, chosen)])
            painted.dressed[chosen] = yield from painter.paint(painter.jobs(others, chosen))
        else:
            return evidence, verdict.because((*verdict.reasons, ExamReason.UNTRIED_WEIGHTS)) if untried else verdict
