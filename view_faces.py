"""How verdicts on faces look: what was accepted and refused, and what other limits would do."""

from __future__ import annotations

from collections import Counter

from rich.console import Group, RenderableType
from rich.text import Text

from face_quality import WARNINGS
from image_processor import FaceReport, LimitsPlan, ProcessPlan
from language import _
from review import Rejected
from screens import ROWS, Views, refusals


def _process_plan(plan: ProcessPlan) -> RenderableType:
    return Text(_("{new} pictures to look at, {done} are judged already.").format(new=plan.new, done=plan.done))


def _faces(report: FaceReport) -> RenderableType:
    counts = _("{accepted} accepted, {rejected} rejected").format(accepted=len(report.accepted), rejected=len(report.rejected))
    told = [Text(report.identity.label.format(count=report.references))]
    near = Counter(name for face in report.accepted for name in face.warnings)
    if near:
        listed = ", ".join(f"{_(WARNINGS[name])} {count}" for name, count in near.most_common())
        told.append(Text(_("Accepted with a warning: {listed}").format(listed=listed)))
    if others := sum(face.bystanders > 0 for face in report.accepted):
        told.append(Text(_("Other people stand in {count} accepted pictures.").format(count=others)))
    look = _("Look at them: contact_sheet.png in processed and in rejected.")
    return Group(Text(counts, style="bold"), *refusals(report.rejected), *told, Text(look))


def _rejected(report: Rejected) -> RenderableType:
    """The refused by reason, each reason with its cure."""
    lines: list[RenderableType] = []
    room = max(1, ROWS // max(1, len(report.reasons)))
    for reason, group in report.reasons:
        lines.append(Text(f"{reason.label}: {len(group)}", style="bold"))
        lines += [Text(f"  {refused.source}: {refused.sentence}") for refused in group[:room]]
        if len(group) > room:
            lines.append(Text(_("  ... and {more} more").format(more=len(group) - room)))
        lines.append(Text(f"  -> {reason.cure}", style="cyan"))
    if report.by_hand:
        lines.append(Text(_("Accepted by hand: {names}").format(names=", ".join(report.by_hand))))
    count = sum(len(group) for _reason, group in report.reasons)
    lines.append(Text(_("{accepted} accepted, {rejected} rejected").format(accepted=report.accepted, rejected=count), style="bold"))
    return Group(*lines)


def _limits(plan: LimitsPlan) -> RenderableType:
    """What other limits would do, or the limits as they are."""
    if not plan.changes:
        return Text(_("No limit changes; settings shows them all, under quality."))
    lines = [Text(f"{name}: {old} -> {new}", style="bold") for name, old, new in plan.changes]
    effect = _("{before} pictures are accepted now, {after} would be.").format(before=plan.before, after=plan.after)
    gained = [Text(f"  + {refused.source}: {refused.sentence}") for refused in plan.gained[:ROWS]]
    lost = [Text(f"  - {refused.source}: {refused.sentence}") for refused in plan.lost[:ROWS]]
    again = [
        Text(_("Every picture is looked at again, for the squares change; the numbers are of the old ones."))
    ] * plan.looks_again
    return Group(*lines, *gained, *lost, *again, Text(effect, style="bold"))


VIEWS: Views = {ProcessPlan: _process_plan, FaceReport: _faces, Rejected: _rejected, LimitsPlan: _limits}
