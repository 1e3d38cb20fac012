"""How the demo's report looks: what came out of each step, and how much of the way to the client the LoRA went."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from actions.demo import DemoReport
from locales.language import _
from terminal.screens import Views, outcome, stage_label, table


def _demo(report: DemoReport) -> RenderableType:
    rows = table("", _("step"), _("what came out"), _("seconds"))
    for step in report.steps:
        rows.add_row(stage_label(step.name), outcome(step.outcome), f"{step.seconds:.1f}")
    likeness = report.likeness
    sentence = _(
        "Mean distance to the client's crops: base {base:.1f}, with the LoRA {lora:.1f}, the crops among themselves {crops:.1f}.\n"
        "The LoRA closes {closed:.0%} of the gap; portraits of other people move by {others:.0%} of it."
    )
    measured = sentence.format(
        base=likeness.base, lora=likeness.lora, crops=likeness.crops, closed=likeness.closed, others=likeness.others_moved
    )
    return Group(rows, Text(measured), Text(_("Look at it:"), style="bold"))


VIEWS: Views = {DemoReport: _demo}
