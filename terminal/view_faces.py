"""How verdicts on faces look: what was accepted and refused, who the client is, and what other limits would do."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from actions.limits import LimitsMove, LimitsPlan, LimitsReport, Scope
from actions.review import Rejected, Reviewed
from actions.who import FIRST, Candidates, WhoPlan
from dataset.signs import Level
from faces.crops import face_picture
from faces.quality import WARNINGS
from image_processor import FaceReport, ProcessPlan
from locales.language import _, ngettext
from terminal.screens import NAME_COLUMNS, ROWS, Indented, OneLine, Views, refusal, refusals, table
from utils import shortened

if TYPE_CHECKING:
    from PIL import Image

ROW_COLUMNS = 76  # of faces side by side
FACE_COLUMNS = 24  # of the one face that is about to become the client's
FEW = 4  # pictures named where the numbers say it already
_LOOKS = {Level.NOTE: "", Level.WARNING: "yellow", Level.NO_GO: "bold red"}


def _process_plan(plan: ProcessPlan) -> RenderableType:
    new = ngettext("{count} picture to look at", "{count} pictures to look at", plan.new).format(count=plan.new)
    done = ngettext("{count} is judged already", "{count} are judged already", plan.done).format(count=plan.done)
    return Text(f"{new}, {done}." if plan.done else f"{new}.")


def _faces(report: FaceReport) -> RenderableType:
    """The refused, what is to be said of the accepted, and last how many there are of each."""
    return Group(*refusals(report.rejected), *_told(report), _look(), _counts(report))


def _counts(report: FaceReport) -> RenderableType:
    return Text(_passed(len(report.accepted), len(report.rejected)), style="bold")


def _passed(accepted: int, rejected: int) -> str:
    """How many passed, and how many did not."""
    passed = ngettext("{count} accepted", "{count} accepted", accepted).format(count=accepted)
    return passed + ", " + ngettext("{count} rejected", "{count} rejected", rejected).format(count=rejected)


def _accepted_then(before: int, after: int) -> str:
    """How many pictures are accepted, and how many would be."""
    now = ngettext("{count} picture is accepted now", "{count} pictures are accepted now", before).format(count=before)
    return f"{now}, " + ngettext("{count} would be.", "{count} would be.", after).format(count=after)


def _look() -> RenderableType:
    return Text(_("Look at them:"))


def _told(report: FaceReport) -> list[RenderableType]:
    """Who the client is, whom the pictures show, and what came near a limit."""
    told: list[RenderableType] = []
    if report.identity.known:
        told.append(Text(report.identity.said(report.references)))
    told += [Text(symptom.sentence[:1].upper() + symptom.sentence[1:], style=_LOOKS[symptom.level]) for symptom in report.others]
    strangers = {stem for symptom in report.others for stem in symptom.pictures}
    near = Counter(
        name for face in report.accepted for name in face.warnings if name != "warn_distance" or face.stem not in strangers
    )
    if near:
        listed = ", ".join(f"{_(WARNINGS[name])} {count}" for name, count in near.most_common())
        told.append(Text(_("Accepted with a warning: {listed}").format(listed=listed)))
    if others := sum(face.bystanders > 0 for face in report.accepted):
        beside = ngettext(
            "Other people stand in {count} accepted picture.", "Other people stand in {count} accepted pictures.", others
        )
        told.append(Text(beside.format(count=others)))
    return told


def _reviewed(report: Reviewed) -> RenderableType:
    """What a decision changed, and how things stand."""
    lines: list[RenderableType] = []
    for name in report.accepted[:ROWS]:
        lines.append(OneLine(_("{name} is accepted now").format(name=shortened(name, NAME_COLUMNS)), style="green"))
    if len(report.accepted) > ROWS:
        lines.append(Text(_("  ... and {more} more").format(more=len(report.accepted) - ROWS)))
    lines += refusals(report.refused)
    if not lines:
        lines.append(Text(_("No picture was accepted or refused anew.")))
    return Group(*lines, *_told(report.faces), _counts(report.faces))


# --- who the client is ------------------------------------------------------------------------------------------------
def _candidates(found: Candidates) -> RenderableType:
    """The people to choose from, a face of each, as many as a screen has room for."""
    if not found.people:
        return Text(_("No face is good enough to tell who it is; point at one in a group photo."))
    count = len(found.people)
    said = ngettext(
        "These pictures show one person:", "These pictures show {count} people, whoever is in most of them first:", count
    ).format(count=count)
    first = found.people[:FIRST]
    row = faces_in_a_row([face_picture(one.file, one.square) for one in first], [str(at) for at in range(1, len(first) + 1)])
    chosen = [one for one in (*found.people, *found.singles) if one.chosen]
    now = _("The client now: {name}").format(name=chosen[0].label) if chosen else _("Nobody is the client yet.")
    return Group(Text(said, style="bold"), row, OneLine(now))


def _who_plan(plan: WhoPlan) -> RenderableType:
    """The face, and what would follow."""
    now, then, pictures = plan.effect.now, plan.effect.then, plan.effect.pictures
    lines: list[RenderableType] = []
    for face in plan.faces:
        lines.append(faces_in_a_row([face_picture(face.file, face.square)], [""], FACE_COLUMNS))
        lines.append(Text(_("This face would be the client's: {name}").format(name=face.label), style="bold"))
    if now.references:
        agree = ngettext("{count} picture says who the client is now", "{count} pictures agree on the client now", now.references)
        lines.append(Text(f"{agree.format(count=now.references)}; {_others(now.others, pictures)}."))
    else:
        lines.append(Text(_("Nobody knows who the client is now.")))
    if then.references:
        agree = ngettext(
            "Then {count} picture says who the client is", "Then {count} pictures agree on the client", then.references
        )
        style = "yellow" if then.others > now.others else ""
        lines.append(Text(f"{agree.format(count=then.references)}; {_others(then.others, pictures)}.", style=style))
    else:
        lines.append(Text(_("Then nobody knows who the client is."), style="yellow"))
    lines += _named("+", plan.effect.gained) + _named("-", plan.effect.lost)
    return Group(*lines, Text(_accepted_then(now.accepted, then.accepted), style="bold"))


def _others(others: int, pictures: int) -> str:
    """In how many of the pictures somebody else is seen."""
    said = ngettext("{count} of {pictures} shows somebody else", "{count} of {pictures} show somebody else", others)
    return said.format(count=others, pictures=pictures)


def _named(sign: str, names: Sequence[str]) -> list[RenderableType]:
    """Pictures by name, a few of them."""
    lines: list[RenderableType] = [OneLine(f"  {sign} {shortened(name, NAME_COLUMNS)}") for name in names[:FEW]]
    if len(names) > FEW:
        lines.append(Text(_("  ... and {more} more").format(more=len(names) - FEW)))
    return lines


def faces_in_a_row(images: Sequence[Image.Image | None], captions: Sequence[str], columns: int = ROW_COLUMNS) -> RenderableType:
    """Faces side by side, each with a word under it, where the terminal can show pictures; else nothing."""
    if importlib.util.find_spec("terminal.picture") is None:
        return Group()
    drawn: RenderableType = importlib.import_module("terminal.picture").pictures(
        [image for image in images if image], columns, [caption for image, caption in zip(images, captions, strict=True) if image]
    )
    return drawn


# --- the rejected, the limits -----------------------------------------------------------------------------------------
def _rejected(report: Rejected) -> RenderableType:
    """The refused by reason, each reason with its cure."""
    lines: list[RenderableType] = []
    shown = max(1, ROWS // max(1, len(report.reasons)))
    for reason, group in report.reasons:
        lines.append(Text(f"{reason.label}: {len(group)}", style="bold"))
        lines += [refusal(refused) for refused in group[:shown]]
        if len(group) > shown:
            lines.append(Text(_("  ... and {more} more").format(more=len(group) - shown)))
        lines.append(Indented(reason.cure, "cyan", "  -> "))
    if report.by_hand:
        lines.append(Text(_("Accepted by hand: {names}").format(names=", ".join(report.by_hand))))
    count = sum(len(group) for _reason, group in report.reasons)
    lines.append(Text(_passed(report.accepted, count), style="bold"))
    return Group(*lines)


def _limits(plan: LimitsPlan) -> RenderableType:
    """What other limits would do, or the limits as they are and whose they are."""
    if not plan.move.changes:
        return Group(*_limits_table(plan.move), Text(_("No limit changes.")))
    effect = plan.effect
    numbers = _accepted_then(effect.before, effect.after)
    gained = [refusal(refused, "  +") for refused in effect.gained[:ROWS]]
    lost = [refusal(refused, "  -") for refused in effect.lost[:ROWS]]
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
    Reviewed: _reviewed,
    Candidates: _candidates,
    WhoPlan: _who_plan,
    LimitsPlan: _limits,
    LimitsReport: _limits_moved,
}
