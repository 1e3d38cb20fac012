"""What an exam leaves in the client's `exam/`: the report, and the sheet of what it judged by; the plot is drawn by `plot`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from statistics import fmean

from client_folder.client import Client
from exam.blind import agreement_with
from exam.judging import Evidence
from exam.plot import write_plot
from exam.prompts import SEEDS
from exam.records import ExamVerdict, Judged
from exam.report import ExamFile, ExaminedCandidate, ExaminedSwap, ExamReport
from exam.verdict import Array
from locales.language import _
from machine.base_models import BaseModel, known_sha256, practice_caption
from pictures.contact_sheet import Cell, Tone, contact_sheet
from utils import write_record

SHEET_CELL_PX = 128


def write_exam(
    client: Client,
    base: BaseModel,
    evidence: Evidence,
    verdict: ExamVerdict,
    prompts: Sequence[str],
    strangers: Sequence[str],
    left_out: tuple[str, ...],
    swap: ExaminedSwap | None = None,
) -> ExamReport:
    """Write sheet and plot, then the report, each whole or not at all: where the report stands, all three do."""
    file = exam_file(base, evidence, verdict, prompts, strangers, left_out).model_copy(update={"swap": swap})
    _write_sheet(client, evidence, verdict, practice_caption(base.kind), swap)
    write_plot(client.exam_plot, verdict)
    write_record(client.exam_report, file)
    agreement = agreement_with(client.exam_report, client.blind_record)
    return ExamReport(file, verdict, client.exam_report, client.exam_sheet, client.exam_plot, base.practice, agreement)


def exam_file(
    base: BaseModel,
    evidence: Evidence,
    verdict: ExamVerdict,
    prompts: Sequence[str],
    strangers: Sequence[str],
    left_out: tuple[str, ...],
) -> ExamFile:
    """The report as it is kept."""
    chosen = verdict.judged[verdict.chosen] if verdict.chosen is not None else None
    return ExamFile(
        verdict=verdict.word, reasons=verdict.reasons,
        lora=chosen.candidate.lora if chosen else "", step=chosen.candidate.step if chosen else None,
        weight=chosen.candidate.weight if chosen else None, score=_round(chosen.score.value) if chosen else None,
        low=_round(chosen.score.low) if chosen else None, high=_round(chosen.score.high) if chosen else None,
        flags=tuple(sorted(chosen.candidate.flags)) if chosen else (), ruler=evidence.ruler, base=base.require().name,
        base_digest=base.digest, prompts=tuple(prompts), stranger_prompts=tuple(strangers), seeds=SEEDS,
        photos=tuple(photo.name for photo in evidence.photos), scenes=evidence.scenes,
        base_distances=_table(evidence.base_distances), stranger_distances=_table(evidence.stranger_distances),
        candidates=tuple(_candidate(evidence, at, one) for at, one in enumerate(verdict.judged)),
        tied=tuple(verdict.judged[at].candidate.lora for at in verdict.tied), left_out=left_out,
        base_portraits=tuple(one.file.name for one in evidence.painted.base),
    )  # fmt: skip


def _candidate(evidence: Evidence, at: int, judged: Judged) -> ExaminedCandidate:
    gate, signs, portraits = evidence.gates[at], asdict(evidence.signs[at]), evidence.painted.sets[evidence.candidates[at]]
    signs.pop("identity_unsure")
    return ExaminedCandidate(
        lora=judged.candidate.lora, sha256=known_sha256(evidence.candidates[at].checkpoint.path), step=judged.candidate.step,
        weight=judged.candidate.weight, score=_round(judged.score.value), low=_round(judged.score.low),
        high=_round(judged.score.high), lacks_high=_round(judged.lacks.high), gate=gate.standing, gate_value=_round(gate.value),
        gate_bound=None if gate.bound is None else _round(gate.bound), flags=tuple(sorted(judged.candidate.flags)),
        signs={name: None if value is None else _round(value) for name, value in signs.items()},
        distances=_table(evidence.distances[at]), portraits=tuple(one.file.name for one in portraits),
    )  # fmt: skip


def _round(value: float) -> float:
    return round(float(value), 4)


def _table(distances: Array) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(_round(value) for value in row) for row in distances)


def _write_sheet(client: Client, evidence: Evidence, verdict: ExamVerdict, caption: str, swap: ExaminedSwap | None) -> None:
    """The held-back photos, then a row a candidate with the first seed of every prompt, each with its distance under it."""
    rows: list[tuple[Cell, ...]] = [tuple(Cell(photo, _("held back")) for photo in evidence.photos)]
    titles = [_("The client, in photos held back from training. Under each portrait: how far it is from them, on average.")]
    sets = [(_("The base alone, without a LoRA"), evidence.painted.base, evidence.base_distances, Tone.PLAIN)]
    for at, judged in enumerate(verdict.judged):
        portraits = evidence.painted.sets[evidence.candidates[at]]
        sets.append((_row_title(judged, at == verdict.chosen), portraits, evidence.distances[at], _tone(verdict, at)))
    for title, portraits, distances, tone in sets:
        shown = range(0, len(portraits), len(SEEDS))
        rows.append(tuple(Cell(portraits[at].file, f"{distances[at].mean():.3g}", tone) for at in shown))
        titles.append(title)
    if swap:
        shown = range(0, len(swap.portraits), len(SEEDS))
        rows.append(tuple(Cell(client.exam_swaps / swap.portraits[at], f"{fmean(swap.distances[at]):.3g}") for at in shown))
        titles.append(_("Without training: the client's best photo swapped onto the base's portraits"))
    contact_sheet(rows, client.exam_sheet, titles=titles, caption=caption, cell_px=SHEET_CELL_PX, thumbnails=client.thumbnails)


def _row_title(judged: Judged, chosen: bool) -> str:
    """Which checkpoint at which weight, how far it went, and what speaks against it."""
    title = _("Step {step}, weight {weight:g}: {score:.0%}").format(
        step=judged.candidate.step, weight=judged.candidate.weight, score=judged.score.value
    )
    remarks = [*([_("chosen")] if chosen else []), *(flag.label for flag in sorted(judged.candidate.flags))]
    return f"{title} ({', '.join(remarks)})" if remarks else title


def _tone(verdict: ExamVerdict, at: int) -> Tone:
    """Green what was chosen, red what may not be."""
    return Tone.GOOD if at == verdict.chosen else Tone.BAD if verdict.judged[at].candidate.vetoed else Tone.PLAIN
