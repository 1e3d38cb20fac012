"""How an exam's verdict looks: two plain sentences, why, and every checkpoint with its numbers."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from exam.records import ExamVerdict, Judged, Word
from exam.report import ExamReport
from locales.language import N_, _
from terminal.screens import Views, practice_lines, table
from terminal.view_blind import agreement_lines

STEP = N_("Step {step} looks most like the client among the {count} checkpoints examined.")
TIED = N_("Step {step} is as like the client as any of the {count} checkpoints examined; it is the earliest of {tied} that are.")
NONE = N_("None of the {count} checkpoints examined can be recommended.")
HOW_SURE = N_("It went {score:.0%} of the way from the base to the best, between {low:.0%} and {high:.0%} at 90 % certainty.")
BRING = N_("Bring more real photos of other days and places, or train longer, and examine again.")


def _exam(report: ExamReport) -> RenderableType:
    verdict = report.verdict
    lines: list[RenderableType] = [Text(_said(verdict), style="bold")]
    if verdict.chosen is not None:
        score = verdict.judged[verdict.chosen].score
        lines.append(Text(_(HOW_SURE).format(score=score.value, low=score.low, high=score.high)))
    else:
        lines.append(Text(_(BRING)))
    lines += [Text(f"- {reason.label}", style="yellow") for reason in verdict.reasons]
    if report.file.left_out:
        lines.append(Text(_("No time was left for: {names}").format(names=", ".join(report.file.left_out)), style="yellow"))
    if report.agreement:
        lines += agreement_lines(report.agreement)
    return Group(*lines, _table(report), *practice_lines(report.practice))


def _said(verdict: ExamVerdict) -> str:
    """The verdict in a sentence."""
    if verdict.chosen is None:
        return _(NONE).format(count=len(verdict.judged))
    step = verdict.judged[verdict.chosen].candidate.step
    return _(TIED if verdict.word is Word.TIED else STEP).format(step=step, count=len(verdict.judged), tied=len(verdict.tied))


def _table(report: ExamReport) -> RenderableType:
    rows = table("", _("step"), _("likeness"), _("interval"), _("remarks"))
    for at, one in enumerate(report.verdict.judged):
        mark = "*" if at == report.verdict.chosen else " "
        interval = f"{one.score.low:.0%} ... {one.score.high:.0%}"
        rows.add_row(f"{mark}{one.candidate.step}", f"{one.score.value:.0%}", interval, _remarks(one))
    if (swap := report.file.swap) and swap.score is not None:
        rows.add_row(_(" swap"), f"{swap.score:.0%}", f"{swap.low:.0%} ... {swap.high:.0%}", _("without training"))
    return rows


def _remarks(judged: Judged) -> str:
    """What speaks against a checkpoint, in words."""
    return ", ".join(flag.label for flag in sorted(judged.candidate.flags))


VIEWS: Views = {ExamReport: _exam}
