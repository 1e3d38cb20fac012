"""How the demo's report looks: what came out of each step, and how much of the way to the client the LoRA went."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from actions.demo import DemoReport
from exam.likeness import ENOUGH_CLOSED, OTHERS_SHARE, Likeness
from locales.language import N_, _
from terminal.screens import Views, outcome, practice_lines, stage_label, table

NEARLY_ALL = 0.9  # of the gap: the portraits lie among the crops
AS_NEAR = N_("With the LoRA the portraits are as near to the sample client as her own pictures are to one another.")
NEARER = N_("With the LoRA the portraits are clearly nearer to the sample client than without it.")
HARDLY = N_("With the LoRA the portraits are hardly nearer to the sample client than without it.")
OTHERS_KEPT = N_("Other people are painted as before.")
OTHERS_MOVED = N_("Other people are changed by it too.")
OWN = N_("Now your own client: New client in the menu, then pictures and photos. Everything goes as it did here.")


def _demo(report: DemoReport) -> RenderableType:
    rows = table("", _("step"), _("what came out"), _("seconds"))
    for step in report.steps:
        rows.add_row(stage_label(step.name), outcome(step.outcome), f"{step.seconds:.1f}")
    return Group(
        rows, Text(_seen(report.likeness), style="bold"), Text(_measured(report.likeness), style="dim"),
        *practice_lines(report.practice), Text(_(OWN)),
    )  # fmt: skip


def _seen(likeness: Likeness) -> str:
    """What the measures say, in words for people."""
    near = _(AS_NEAR) if likeness.closed >= NEARLY_ALL else _(NEARER) if likeness.closed >= ENOUGH_CLOSED else _(HARDLY)
    kept = abs(likeness.others_moved) < OTHERS_SHARE * max(likeness.closed, 0)
    return f"{near} {_(OTHERS_KEPT) if kept else _(OTHERS_MOVED)}"


def _measured(likeness: Likeness) -> str:
    sentence = _("Mean distance to her pictures: base {base:.1f}, with the LoRA {lora:.1f}, her own among themselves {crops:.1f}.")
    return sentence.format(base=likeness.base, lora=likeness.lora, crops=likeness.crops)


VIEWS: Views = {DemoReport: _demo}
