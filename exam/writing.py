"""What an exam leaves in the client's `exam/`: the report, the sheet of what it judged by, likeness over steps as a plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from statistics import fmean

from client_folder.client import Client
from exam.blind import agreement_with
from exam.judging import Evidence
from exam.prompts import SEEDS
from exam.records import ExamVerdict, Judged
from exam.report import ExamFile, ExaminedCandidate, ExaminedSwap, ExamReport
from exam.verdict import Array
from locales.language import _
from machine.base_models import BaseModel, known_sha256, practice_caption
from pictures.contact_sheet import Cell, Tone, contact_sheet
from utils import replacing, write_record

SHEET_CELL_PX = 128
PLOT_PX = (960, 480)
_MARGIN = 70  # pixels around the plot
_INK, _PAPER, _RULE, _LINE, _CHOSEN = (38, 38, 42), (250, 250, 248), (205, 205, 202), (70, 110, 190), (46, 160, 82)


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
    _write_plot(client, verdict)
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
        flags=tuple(sorted(chosen.candidate.flags)) if chosen else (), ruler=evidence.ruler.name, base=base.require().name,
        base_digest=base.digest, prompts=tuple(prompts), stranger_prompts=tuple(strangers), seeds=SEEDS,
        photos=tuple(photo.name for photo in evidence.photos), scenes=evidence.scenes,
        base_distances=_table(evidence.base_distances), stranger_distances=_table(evidence.stranger_distances),
        candidates=tuple(_candidate(evidence, at, one) for at, one in enumerate(verdict.judged)),
        tied=tuple(verdict.judged[at].candidate.lora for at in verdict.tied), left_out=left_out,
        base_portraits=tuple(one.file.name for one in evidence.base),
    )  # fmt: skip


def _candidate(evidence: Evidence, at: int, judged: Judged) -> ExaminedCandidate:
    gate, signs = evidence.gates[at], asdict(evidence.signs[at])
    signs.pop("identity_unsure")
    return ExaminedCandidate(
        lora=judged.candidate.lora, sha256=known_sha256(evidence.checkpoints[at].path), step=judged.candidate.step,
        weight=judged.candidate.weight, score=_round(judged.score.value), low=_round(judged.score.low),
        high=_round(judged.score.high), lacks_high=_round(judged.lacks.high), gate=gate.standing, gate_value=_round(gate.value),
        gate_bound=None if gate.bound is None else _round(gate.bound), flags=tuple(sorted(judged.candidate.flags)),
        signs={name: None if value is None else _round(value) for name, value in signs.items()},
        distances=_table(evidence.distances[at]), portraits=tuple(one.file.name for one in evidence.painted[at]),
    )  # fmt: skip


def _round(value: float) -> float:
    return round(float(value), 4)


def _table(distances: Array) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(_round(value) for value in row) for row in distances)


def _write_sheet(client: Client, evidence: Evidence, verdict: ExamVerdict, caption: str, swap: ExaminedSwap | None) -> None:
    """The held-back photos, then a row a candidate with the first seed of every prompt, each with its distance under it."""
    rows: list[tuple[Cell, ...]] = [tuple(Cell(photo, _("held back")) for photo in evidence.photos)]
    titles = [_("The client, in photos held back from training: distances are to these")]
    sets = [(_("The base alone, without a LoRA"), evidence.base, evidence.base_distances, Tone.PLAIN)]
    for at, judged in enumerate(verdict.judged):
        title = _("Step {step}, weight {weight:g}").format(step=judged.candidate.step, weight=judged.candidate.weight)
        tone = Tone.GOOD if at == verdict.chosen else Tone.PLAIN
        sets.append((title, evidence.painted[at], evidence.distances[at], tone))
    for title, portraits, distances, tone in sets:
        shown = range(0, len(portraits), len(SEEDS))
        rows.append(tuple(Cell(portraits[at].file, f"{distances[at].mean():.3g}", tone) for at in shown))
        titles.append(title)
    if swap:
        shown = range(0, len(swap.portraits), len(SEEDS))
        rows.append(tuple(Cell(client.exam_swaps / swap.portraits[at], f"{fmean(swap.distances[at]):.3g}") for at in shown))
        titles.append(_("Without training: the client's best photo swapped onto the base's portraits"))
    contact_sheet(rows, client.exam_sheet, titles=titles, caption=caption, cell_px=SHEET_CELL_PX, thumbnails=client.thumbnails)


def _write_plot(client: Client, verdict: ExamVerdict) -> None:
    """Share of the way from base to best over steps, each with its interval, the chosen step in green."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", PLOT_PX, _PAPER)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(14)
    steps = [one.candidate.step for one in verdict.judged]
    bottom = min(0.0, *(one.score.low for one in verdict.judged)) - 0.05
    top = max(1.0, *(one.score.high for one in verdict.judged)) + 0.05
    width, height = PLOT_PX

    def place(step: int, score: float) -> tuple[float, float]:
        """Where a point lies in the picture."""
        across = (step - steps[0]) / max(1, steps[-1] - steps[0])
        return _MARGIN + across * (width - 2 * _MARGIN), height - _MARGIN - (score - bottom) / (top - bottom) * (
            height - 2 * _MARGIN
        )

    for level in (0.0, 0.5, 1.0):
        y = place(steps[0], level)[1]
        draw.line((_MARGIN, y, width - _MARGIN, y), fill=_RULE)
        draw.text((_MARGIN - 12, y), f"{level:.0%}", fill=_INK, font=font, anchor="rm")
    draw.line([place(one.candidate.step, one.score.value) for one in verdict.judged], fill=_LINE, width=2)
    for at, one in enumerate(verdict.judged):
        colour = _CHOSEN if at == verdict.chosen else _LINE
        (x, y), (_x, low), (_x, high) = (place(one.candidate.step, s) for s in (one.score.value, one.score.low, one.score.high))
        draw.line((x, low, x, high), fill=colour, width=3)
        draw.ellipse((x - 5, y - 5, x + 5, y + 5), fill=colour)
        draw.text((x, height - _MARGIN + 10), str(one.candidate.step), fill=_INK, font=font, anchor="mt")
    with replacing(client.exam_plot) as part:
        image.save(part, format="PNG")
