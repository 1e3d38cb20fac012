"""How verdicts on faces look: what was accepted and refused, and what other limits would do."""

from __future__ import annotations

from collections import Counter

from rich.console import Group, RenderableType
from rich.text import Text

from actions.limits import LimitsMove, LimitsPlan, LimitsReport, Scope
from actions.review import Rejected
from faces.quality import WARNINGS
from image_processor import FaceReport, ProcessPlan
from locales.language import _
from terminal.screens import ROWS, Views, refusals, table


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
    return Group(Text(counts, style="bold"), *refusals(report.rejected), *told, Text(_("Look at them:")))


def _rejected(report: Rejected) -> RenderableType:
    """The refused by reason, each reason with its cure."""
    lines: list[RenderableType] = []
    shown = max(1, ROWS // max(1, len(report.reasons)))
    for reason, group in report.reasons:
        lines.append(Text(f"{reason.label}: {len(group)}", style="bold"))
        lines += [Text(f"  {refused.source}: {refused.sentence}") for refused in group[:shown]]
        if len(group) > shown:
            lines.append(Text(_("  ... and {more} more").format(more=len(group) - shown)))
        lines.append(Text(f"  -> {reason.cure}", style="cyan"))
    if report.by_hand:
        lines.append(Text(_("Accepted by hand: {names}").format(names=", ".join(report.by_hand))))
    count = sum(len(group) for _reason, group in report.reasons)
    lines.append(Text(_("{accepted} accepted, {rejected} rejected").format(accepted=report.accepted, rejected=count), style="bold"))
    return Group(*lines)


def _limits(plan: LimitsPlan) -> RenderableType:
    """What other limits would do, or the limits as they are and whose they are."""
    if not plan.move.changes:
        return Group(*_limits_table(plan.move), Text(_("No limit changes.")))
    effect = plan.effect
    numbers = _("{before} pictures are accepted now, {after} would be.").format(before=effect.before, after=effect.after)
    gained = [Text(f"  + {refused.source}: {refused.sentence}") for refused in effect.gained[:ROWS]]
    lost = [Text(f"  - {refused.source}: {refused.sentence}") for refused in effect.lost[:ROWS]]
    again = [
        Text(_("Every picture is looked at again, for the squares change; the numbers are of the old ones."))
    ] * effect.looks_again
    return Group(*_moved(plan.move), *gained, *lost, *again, Text(numbers, style="bold"))


def _limits_moved(report: LimitsReport) -> RenderableType:
    return Group(_faces(report.faces), *_moved(report.move))


def _moved(move: LimitsMove) -> list[RenderableType]:
    """What is moved, and for whom."""
    if not move.changes:
        return []
    everywhere = _("Of the program, for every client that has none of its own; each is judged by them at its next process:")
    alone = _("Of {client} alone:").format(client=move.client)
    lines = [Text(everywhere if move.scope is Scope.PROGRAM else alone)]
    own = {limit.name for limit in move.limits if limit.own}
    for name, old, new in move.changes:
        back = _(" (the program's again)") if move.scope is Scope.CLIENT and name not in own else ""
        lines.append(Text(f"  {name}: {old} -> {new}{back}", style="bold"))
    if move.own_stays:
        stays = _("{client} has its own and keeps it: {names}. To give it back: default:NAME")
        lines.append(Text(stays.format(client=move.client, names=", ".join(move.own_stays)), style="yellow"))
    return [*lines]


def _limits_table(move: LimitsMove) -> list[RenderableType]:
    """Every limit with its value for the client, and whose it is."""
    rows = table("", _("limit"), _("value"), _("whose"))
    for limit in move.limits:
        whose = _("of {client} alone; the program's is {value:g}").format(client=move.client, value=limit.program)
        rows.add_row(limit.name, f"{limit.value:g}", whose if limit.own else _("the program's"), style="bold" if limit.own else "")
    return [rows]


VIEWS: Views = {
    ProcessPlan: _process_plan,
    FaceReport: _faces,
    Rejected: _rejected,
    LimitsPlan: _limits,
    LimitsReport: _limits_moved,
}
