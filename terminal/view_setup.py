"""How set-up looks: what would be fetched and where, what was made and found, what is still to do."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from locales.language import _
from terminal.screens import Views
from terminal.view_doctor import checks_table
from training.installation import Installation, SetupPlan

GB = 1e9


def _plan(plan: SetupPlan) -> RenderableType:
    lines: list[RenderableType] = []
    if plan.kept:
        kept = _("The base model stays as it is: {base}. Another one: setup --base sdxl, embedded or a path.")
        lines.append(Text(kept.format(base=plan.base.name)))
    if plan.items:
        lines.append(Text(_("To be downloaded:"), style="bold"))
        for one in plan.items:
            lines.append(Text(_("  {what}, about {gb:.1f} GB").format(what=one.item.label, gb=max(one.bytes / GB, 0.1))))
            source_and_place = _("    from {source}\n    to {place}").split("\n")
            lines += [Text(line.format(source=one.source, place=one.place), style="dim") for line in source_and_place]
        space = _("About {need:.1f} GB in all; {free:.0f} GB are free on the disk.")
        lines.append(Text(space.format(need=plan.bytes / GB, free=plan.free / GB), style="red" if plan.bytes > plan.free else ""))
    return Group(*lines)


def _installation(report: Installation) -> RenderableType:
    lines: list[RenderableType] = [Text(_("Made: {path}").format(path=path)) for path in report.made]
    lines.append(checks_table(str(report.home), report.checks))
    base = _("Base model: {base}").format(base=report.base)
    if report.practice:
        base += ". " + _("This is the practice model, to learn the program: it paints dolls of 96 px, no photographs.")
    lines.append(Text(base, style="bold"))
    if report.todo:
        lines.append(Text(_("Still to do:"), style="bold yellow"))
    for one in report.todo:
        reason = _(" (it failed: {reason})").format(reason=" ".join(one.reason.split())) if one.reason else ""
        lines += [Text(f"  {one.item.label}{reason}"), Text(f"    {one.command}")]
    return Group(*lines)


VIEWS: Views = {SetupPlan: _plan, Installation: _installation}
