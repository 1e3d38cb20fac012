"""How an exam's verdict looks: two plain sentences, why, and every checkpoint with its numbers."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from exam.records import ExamReason, Judged
from exam.report import ExamReport
from exam.words import remarks_said, sureness_said, verdict_said
from locales.language import _
from terminal.screens import Views, practice_lines, table
from terminal.view_blind import agreement_lines

LINE_COLUMNS, SHORT_LINE_COLUMNS = 25, 15  # of an interval drawn in the table; the short one in a window of 80
WIDE_COLUMNS = 100  # of a window that has room for the long one
LINE_LOW, LINE_HIGH = -0.1, 1.1  # the shares at its ends


def _exam(report: ExamReport) -> RenderableType:
    file = report.file
    lines: list[RenderableType] = [Text(verdict_said(file), style="bold"), Text(sureness_said(file))]
    lines += [Text(f"- {reason.label}", style="yellow") for reason in report.verdict.reasons]
    lines += [Text(remark, style="yellow") for remark in remarks_said(file)]
    if report.agreement:
        lines += agreement_lines(report.agreement)
    return Group(*lines, _CheckpointTable(report), *practice_lines(report.practice))


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
            # Where nothing is nearer than the base there is no way from it to the best to be told in shares.
            scaled = verdict.best is not None and ExamReason.NO_NEARER not in verdict.reasons
            interval = f"{one.score.low:.0%} ... {one.score.high:.0%}" if scaled else "-"
            cells: list[str | Text] = [
                f"{mark}{one.candidate.step}", f"{one.candidate.weight:g}", f"{one.score.value:.0%}" if scaled else "-", interval,
            ]  # fmt: skip
            if drawn and not scaled:
                cells.append("")
            elif drawn:
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
