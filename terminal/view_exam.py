"""How an exam's verdict looks: two plain sentences, why, and every checkpoint with its numbers."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from exam.records import ExamReason, ExamVerdict, Judged, Word
from exam.report import ExamReport
from locales.language import N_, _
from terminal.screens import Views, practice_lines, table
from terminal.view_blind import agreement_lines

STEP = N_("Step {step} at weight {weight:g} looks most like the client, of {count} checkpoints examined.")
TIED = N_(
    "Step {step} at weight {weight:g} is as like the client as the best of {count} checkpoints examined; "
    "of the {tied} that are, it is the earliest."
)
NONE = N_("None of the {count} checkpoints examined can be recommended.")
HOW_SURE = N_("It went {score:.0%} of the way from the base to the best, between {low:.0%} and {high:.0%}, nine times in ten.")
BRING = N_("Bring more real photos of other days and places, or train longer, and examine again.")
BRING_SCENES = N_("Bring real photos of other days and places, nine in all: three of them are then held back.")
LINE_COLUMNS, SHORT_LINE_COLUMNS = 25, 15  # of an interval drawn in the table; the short one in a window of 80
WIDE_COLUMNS = 100  # of a window that has room for the long one
LINE_LOW, LINE_HIGH = -0.1, 1.1  # the shares at its ends


def _exam(report: ExamReport) -> RenderableType:
    verdict = report.verdict
    lines: list[RenderableType] = [Text(_said(verdict), style="bold")]
    if verdict.chosen is not None:
        score = verdict.judged[verdict.chosen].score
        lines.append(Text(_(HOW_SURE).format(score=score.value, low=score.low, high=score.high)))
    else:
        lines.append(Text(_(BRING)))
    lines += [Text(f"- {reason.label}", style="yellow") for reason in verdict.reasons]
    if ExamReason.FEW_SCENES in verdict.reasons and verdict.chosen is not None:
        lines.append(Text(_(BRING_SCENES), style="yellow"))
    if report.file.left_out:
        lines.append(Text(_("No time was left for: {names}").format(names=", ".join(report.file.left_out)), style="yellow"))
    if report.agreement:
        lines += agreement_lines(report.agreement)
    return Group(*lines, _CheckpointTable(report), *practice_lines(report.practice))


def _said(verdict: ExamVerdict) -> str:
    """The verdict in a sentence; checkpoints are counted, not their weights."""
    count = len({one.candidate.step for one in verdict.judged})
    if verdict.chosen is None:
        return _(NONE).format(count=count)
    chosen, tied = verdict.judged[verdict.chosen].candidate, len({verdict.judged[at].candidate.step for at in verdict.tied})
    sentence = TIED if verdict.word is Word.TIED and tied > 1 else STEP
    return _(sentence).format(step=chosen.step, weight=chosen.weight, count=count, tied=tied)


@dataclass(frozen=True, slots=True)
class _CheckpointTable:
    """Every checkpoint at every weight with its numbers; where there is a terminal, its interval is drawn as well."""

    report: ExamReport

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        drawn = options.is_terminal and options.max_width >= 4 * SHORT_LINE_COLUMNS
        columns = LINE_COLUMNS if options.max_width >= WIDE_COLUMNS else SHORT_LINE_COLUMNS
        line = [_("base ... best")] if drawn else []
        rows = table("", _("step"), _("weight"), _("likeness"), _("interval"), *line, _("remarks"))
        verdict, swap = self.report.verdict, self.report.file.swap
        for at, one in enumerate(verdict.judged):
            mark = "*" if at == verdict.chosen else " "
            interval = f"{one.score.low:.0%} ... {one.score.high:.0%}"
            cells: list[str | Text] = [
                f"{mark}{one.candidate.step}",
                f"{one.candidate.weight:g}",
                f"{one.score.value:.0%}",
                interval,
            ]
            if drawn:
                cells.append(Text(_line(one, columns, options.encoding), style="green" if mark == "*" else "cyan"))
            rows.add_row(*cells, _remarks(one))
        if swap and swap.score is not None:
            interval = f"{swap.low:.0%} ... {swap.high:.0%}"
            rows.add_row(_(" swap"), "", f"{swap.score:.0%}", interval, *([""] if drawn else []), _("without training"))
        yield rows


def _line(one: Judged, columns: int, encoding: str) -> str:
    """An interval from the base to the best in a line of letters; what lies beyond its ends is drawn at them."""
    point, dash, empty = ("●", "─", "·") if encoding.startswith("utf") else ("o", "-", ".")

    def column(share: float) -> int:
        within = (min(max(share, LINE_LOW), LINE_HIGH) - LINE_LOW) / (LINE_HIGH - LINE_LOW)
        return round(within * (columns - 1))

    low, middle, high = (column(share) for share in (one.score.low, one.score.value, one.score.high))
    letters = [dash if low <= at <= high else empty for at in range(columns)]
    letters[middle] = point
    return "".join(letters)


def _remarks(judged: Judged) -> str:
    """What speaks against a checkpoint, in words."""
    return ", ".join(flag.label for flag in sorted(judged.candidate.flags))


VIEWS: Views = {ExamReport: _exam}
