"""What can be had without training: the client's best photo swapped onto the base's portraits, measured by the exam's own ruler.

It is never chosen, for it is no checkpoint. It says what a training has to be better than. InsightFace's models are opened only
where the licence question was answered so that they may be, where they are here, and where the client agreed to a swap; else there
is no such row. The photo is one that training saw, so that the held-back ones and their near copies take no part.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from client_folder.client import Client
from client_folder.consent import What, has_consent
from config import Settings
from dataset.held_back import recorded
from exam.records import LEVEL, ExamReason, ExamVerdict
from exam.report import ExaminedSwap
from locales.language import N_
from machine.base_models import known_sha256
from machine.licence import LicenceRefused, check_licence
from machine.model_process import ModelProcess, relay
from machine.models import require
from portraits.portrait import Portrait
from portraits.swapper import FaceFiles, SwapOrder, Target, best_crops
from utils import Event, ModelMissing, Notice, PipelineError, replacing, sweep_parts, whole_png

if TYPE_CHECKING:
    from exam.judging import Evidence
    from exam.verdict import Array

STAGE = "swap"
DIGEST_DIGITS = 16
LEFT_OUT = N_("The face swap without training, which the LoRA is compared with, was left out: {reason}")


class NoFaceToSwap(PipelineError):
    """Facts: photo."""

    message = N_("InsightFace finds no face in {photo}.")
    hint = N_("Bring a photo that shows the face from the front.")


@dataclass(frozen=True, slots=True)
class SwapJob:
    """A portrait of the base, and where the same lies with the client's face."""

    portrait: Path
    result: Path

    @property
    def replaced(self) -> bool:
        """Whether a face was found and replaced: its record stands beside it."""
        return self.result.with_suffix(".json").is_file()


def examine_swap(
    client: Client,
    settings: Settings,
    base: Sequence[Portrait],
    evidence: Evidence,
    verdict: ExamVerdict,
    model_process: ModelProcess,
) -> Generator[Event, None, ExaminedSwap | None]:
    """Swap, measure, compare with the candidates; None where it may not be done, cannot be, or no face was replaced.

    What goes wrong with it is said, and costs the exam nothing else.
    """
    files, source = models_for(client, settings), source_of(client)
    if files is None or source is None:
        return None
    jobs = _jobs(client, base, source, files)
    try:
        yield from _swap(client, jobs, source, files, model_process)
    except PipelineError as error:
        yield Notice(LEFT_OUT, {"reason": error.text()})
        return None
    replaced = sum(job.replaced for job in jobs)
    return (yield from _judged(client, evidence, verdict, source, jobs, replaced)) if replaced else None


def beside_swap(verdict: ExamVerdict, swap: ExaminedSwap | None) -> ExamVerdict:
    """The verdict; where no checkpoint is better than the swap, it says so."""
    if swap is None or swap.beaten_by:
        return verdict
    return replace(verdict, reasons=(*verdict.reasons, ExamReason.NO_BETTER_THAN_SWAP))


def models_for(client: Client, settings: Settings) -> FaceFiles | None:
    """InsightFace's models, where they may be opened for this client and are here; nothing is asked or downloaded for it."""
    try:
        check_licence(settings)
        analysis, swapper = require(("buffalo_l", "inswapper_128"), client.home, settings)
    except (LicenceRefused, ModelMissing):
        return None
    return FaceFiles(analysis=analysis.parent, swapper=swapper) if has_consent(client, What.FACE_SWAP) else None


def source_of(client: Client) -> Path | None:
    """The client's best crop of those that training saw; None where there is none."""
    held = {stem for scene in recorded(client).scenes for stem in scene}
    taught = {path.stem for folder in client.dataset_folders() for path in folder.glob("*.png")} - held
    return next((crop for crop in best_crops(client) if crop.stem in taught), None)


# --- swapping ---------------------------------------------------------------------------------------------------------
def _jobs(client: Client, base: Sequence[Portrait], source: Path, files: FaceFiles) -> list[SwapJob]:
    """Results are named by all that their pixels depend on, so that what is there is not made again."""
    shared = [known_sha256(source), known_sha256(files.swapper)]
    digests = (hashlib.sha256("\n".join([known_sha256(one.file), *shared]).encode()).hexdigest() for one in base)
    return [
        SwapJob(one.file, client.exam_swaps / f"swap_{digest[:DIGEST_DIGITS]}.png")
        for one, digest in zip(base, digests, strict=True)
    ]


def _swap(
    client: Client, jobs: Sequence[SwapJob], source: Path, files: FaceFiles, model_process: ModelProcess
) -> Generator[Event, None, None]:
    """Make what is missing. A portrait in which no face is found stays as the base painted it: that is what one would get."""
    client.exam_swaps.mkdir(parents=True, exist_ok=True)
    sweep_parts(client.exam_swaps)
    missing = [job for job in jobs if not whole_png(job.result)]
    if not missing:
        return
    preview = client.exam_swaps / "faces.png"  # the worker draws one where it sees several faces
    targets = tuple(Target(source=job.portrait, result=job.result, preview=preview) for job in missing)
    end = yield from relay(model_process.ask("swap", SwapOrder(files=files, sources=(source,), targets=targets)), STAGE)
    if end.get("no_source"):
        raise NoFaceToSwap(photo=source)
    preview.unlink(missing_ok=True)
    for job in missing:
        if not whole_png(job.result):
            with replacing(job.result) as part:
                shutil.copyfile(job.portrait, part)


# --- measuring --------------------------------------------------------------------------------------------------------
def _judged(
    client: Client, evidence: Evidence, verdict: ExamVerdict, source: Path, jobs: Sequence[SwapJob], replaced: int
) -> Generator[Event, None, ExaminedSwap]:
    import numpy as np

    from exam.judging import MAKERS
    from exam.measuring import RowStore
    from exam.rulers import apart

    store = RowStore(client.exam_rows, MAKERS)
    results = [job.result for job in jobs]
    yield from store.measure([(evidence.ruler, [*results, *evidence.photos])])
    distances = apart(*(evidence.scaled(store.rows(evidence.ruler, files)) for files in (results, evidence.photos)))
    distances = np.where(np.isnan(distances), evidence.stranger_distances, distances)  # as for the candidates
    score, beaten_by = compare(evidence, verdict, distances)
    low, value, high = score or (None, None, None)
    return ExaminedSwap(
        source=source.name, sha256=known_sha256(source), portraits=tuple(job.result.name for job in jobs), replaced=replaced,
        score=value, low=low, high=high, beaten_by=beaten_by,
        distances=tuple(tuple(round(float(one), 4) for one in row) for row in distances),
    )  # fmt: skip


def compare(evidence: Evidence, verdict: ExamVerdict, swap: Array) -> tuple[tuple[float, float, float] | None, tuple[str, ...]]:
    """Low bound, value and high bound of the swap's share of the way from base to best, and the LoRAs clearly nearer than it.

    Clearly: the bound of the difference, which holds for all pairs at once, leaves nothing out. Vetoed ones do not count.
    """
    import numpy as np

    from exam.judging import prompt_numbers
    from exam.verdict import by_scene, critical_value, deviations

    all_of = by_scene(np.concatenate([evidence.distances, swap[None], evidence.base_distances[None]]), evidence.scenes)
    means, deviating = all_of.mean(axis=(1, 2)), deviations(all_of, prompt_numbers(len(swap)))
    critical, errors = critical_value(deviating[:, :-1])
    at, base = len(all_of) - 2, len(all_of) - 1
    room = critical * errors[at]
    allowed = [place for place, one in enumerate(verdict.judged) if not one.candidate.vetoed]
    beaten_by = tuple(verdict.judged[place].candidate.lora for place in allowed if means[at] - means[place] > room[place])
    way = float(means[base] - means[verdict.best]) if verdict.best is not None else 0.0
    if way <= 0:
        return None, beaten_by
    off = np.quantile(deviating[:, base] - deviating[:, at], [(1 + LEVEL) / 2, (1 - LEVEL) / 2])
    nearer = float(means[base] - means[at])
    low, high = (round((nearer - float(one)) / way, 4) for one in off)
    return (low, round(nearer / way, 4), high), beaten_by
