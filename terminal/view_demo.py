"""How the demo's report looks: what came out of each step, and what the exam found of the LoRA."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from actions.demo import DemoReport
from exam.words import sureness_said, verdict_said
from locales.language import N_, _
from terminal.screens import Views, outcome, practice_lines, stage_label, table

FLAGGED = N_("What speaks against it: {flags}.")
OWN = N_("Now your own client: New client in the menu, then pictures and photos. Everything goes as it did here.")


def _demo(report: DemoReport) -> RenderableType:
    rows = table("", _("step"), _("what came out"), _("seconds"))
    for step in report.steps:
        rows.add_row(stage_label(step.name), outcome(step.outcome), f"{step.seconds:.1f}")
    exam = report.exam.file if report.exam else None
    lines = [Text(verdict_said(exam), style="bold"), Text(sureness_said(exam))] if exam else []
    if exam and exam.flags:
        lines.append(Text(_(FLAGGED).format(flags=", ".join(flag.label for flag in exam.flags)), style="yellow"))
    return Group(rows, *lines, *practice_lines(report.practice), Text(_(OWN)))


VIEWS: Views = {DemoReport: _demo}
