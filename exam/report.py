"""`exam/report.json`: the verdict and everything that is needed to compute it again, as codes and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field

from exam.agreement import Agreement
from exam.records import ExamReason, ExamVerdict, Flag, Standing, Word
from utils import Record


class ExaminedCandidate(Record):
    """A checkpoint at a weight: its distances [portrait][held-back photo], its gate, the numbers behind its flags.

    `score` and its bounds are shares of the way from the base to the best; `lacks_high` is the upper bound of what it lacks.
    """

    model_config = ConfigDict(frozen=True)

    lora: str
    sha256: str
    step: int
    weight: float
    score: float
    low: float
    high: float
    lacks_high: float
    gate: Standing
    gate_value: float
    gate_bound: float | None
    flags: tuple[Flag, ...]
    signs: dict[str, float | None]
    distances: tuple[tuple[float, ...], ...]
    portraits: tuple[str, ...] = ()  # file names in exam/portraits, in the order of the distances


class ExaminedSwap(Record):
    """What can be had without training: the client's best photo swapped onto the base's portraits, of which `replaced` took it.

    `score` and its bounds are on the scale of the candidates; null where no candidate is nearer than the base. `beaten_by` are the
    LoRAs that are clearly nearer to the client.
    """

    model_config = ConfigDict(frozen=True)

    source: str  # name of the crop in processed/
    sha256: str
    portraits: tuple[str, ...]  # file names in exam/swaps
    replaced: int
    score: float | None
    low: float | None
    high: float | None
    beaten_by: tuple[str, ...]
    distances: tuple[tuple[float, ...], ...]


class ExamFile(Record):
    """The whole file; portraits go prompt by prompt, each with every seed. Photos are those of `scenes`, in their order."""

    model_config = ConfigDict(frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    verdict: Word
    reasons: tuple[ExamReason, ...]
    lora: str  # file name of what was chosen; empty: none was
    step: int | None
    weight: float | None
    score: float | None
    low: float | None
    high: float | None
    flags: tuple[Flag, ...]
    ruler: str
    base: str
    base_digest: str
    prompts: tuple[str, ...]
    stranger_prompts: tuple[str, ...]
    seeds: tuple[int, ...]
    photos: tuple[str, ...]
    scenes: tuple[int, ...]
    base_distances: tuple[tuple[float, ...], ...]
    stranger_distances: tuple[tuple[float, ...], ...]
    candidates: tuple[ExaminedCandidate, ...]
    tied: tuple[str, ...]  # file names
    left_out: tuple[str, ...]  # checkpoints for which there was no time
    base_portraits: tuple[str, ...] = ()  # file names, as those of the candidates
    swap: ExaminedSwap | None = None  # where InsightFace's models may be used and are here, and the client agreed to a swap


@dataclass(frozen=True, slots=True)
class ExamReport:
    """What `exam` leaves."""

    file: ExamFile
    verdict: ExamVerdict
    report: Path
    sheet: Path
    plot: Path
    practice: bool
    agreement: Agreement | None = None  # of a person who took the blind test of this very exam
