"""How the dataset looks: its folders and balance, its captions, what the dataset doctor found, what is in quarantine."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from actions.review import Captions, Quarantined, QuarantinePlan
from data_preprocessor import DatasetPlan, DatasetReport
from dataset.doctor import Examination
from dataset.signs import Level
from locales.language import _, ngettext
from terminal.screens import NAME_COLUMNS, ROWS, Indented, OneLine, Views, table
from utils import shortened

FEW = 4  # pictures named of a finding


def _dataset(report: DatasetReport) -> RenderableType:
    return Group(_balance(report), _examination(report.examination))


def _balance(record: DatasetPlan | DatasetReport) -> RenderableType:
    rows = table("", _("folder"), _("pictures"), _("repeats"))
    for folder in record.folders:
        rows.add_row(folder.name, str(folder.images), str(folder.repeats))
    share = _("Of what the LoRA sees, {share:.1%} is real photos.").format(share=record.share_real)
    return Group(rows, Text(share))


def _examination(report: Examination) -> RenderableType:
    """The findings, the worst first, and the verdict with its reason."""
    symptoms = sorted(report.symptoms, key=lambda symptom: -symptom.level)
    lines: list[RenderableType] = []
    for symptom in symptoms:
        sign, style = {Level.NOTE: ("·", "dim"), Level.WARNING: ("!", "yellow"), Level.NO_GO: ("✗", "bold red")}[symptom.level]
        lines.append(Text(f"{sign} {symptom.sentence}", style=style))
        names = [shortened(report.names.get(stem, stem), NAME_COLUMNS) for stem in symptom.pictures]
        if names:
            more = _(" and {more} more").format(more=len(names) - FEW) if len(names) > FEW else ""
            lines.append(Indented(f"{', '.join(names[:FEW])}{more}"))
        if symptom.detail:
            lines.append(Indented(symptom.detail, "dim"))
        if symptom.sign.remedy:
            lines.append(Indented(symptom.sign.remedy, "cyan", "    -> "))
    pictures = ngettext("{count} picture", "{count} pictures", report.images).format(count=report.images)
    counts = _("{pictures}, {effective} really different; {share:.1%} of what is seen is real.").format(
        pictures=pictures, effective=report.effective, share=report.share_real
    )
    spread = _("Spread: pose {pose:.3f}, light {light:.1f}, background {background:.0f}, framing {framing:.3f}").format(
        pose=report.spread.pose, light=report.spread.light, background=report.spread.background, framing=report.spread.framing
    )
    verdict = report.verdict.label + (f": {report.reason.sentence}" if report.reason else "")
    return Group(Text(counts), Text(spread, style="dim"), *lines, Text(verdict, style="bold"))


def _captions(report: Captions) -> RenderableType:
    if not report.rows:
        return Text(_("There is no caption yet: build the dataset."))
    rows = table("", _("picture"), _("caption"))
    for row in report.rows:
        rows.add_row(shortened(report.names.get(row.picture, row.picture), NAME_COLUMNS) + (" *" if row.edited else ""), row.text)
    return Group(rows, Text(_("* written by you; it stays when the dataset is built again.")))


def _quarantine_plan(plan: QuarantinePlan) -> RenderableType:
    """What would go, and what would remain: told before many pictures are taken out at once."""
    lines: list[RenderableType] = [OneLine(f"  - {shortened(name, NAME_COLUMNS)}") for name in plan.taken[:ROWS]]
    if len(plan.taken) > ROWS:
        lines.append(Text(_("  ... and {more} more").format(more=len(plan.taken) - ROWS)))
    taken, remaining = len(plan.taken), plan.remaining
    said = (
        ngettext("{count} picture would be taken out of training,", "{count} pictures would be taken out of training,", taken)
        .format(count=taken),
        ngettext("{count} would remain.", "{count} would remain.", remaining).format(count=remaining),
        _("They can be put back."),
    )  # fmt: skip
    return Group(*lines, Text(" ".join(said), style="bold yellow"))


def _quarantined(report: Quarantined) -> RenderableType:
    taken, returned = len(report.taken), len(report.returned)
    out = ngettext("{count} taken out of training", "{count} taken out of training", taken).format(count=taken)
    back = ngettext("{count} put back", "{count} put back", returned).format(count=returned)
    moved = f"{out}, {back}."
    names = [shortened(name, NAME_COLUMNS) for name in report.pictures[:FEW]]
    more = _(" and {more} more").format(more=len(report.pictures) - FEW) if len(report.pictures) > FEW else ""
    listed = _("In quarantine: {names}").format(names=(", ".join(names) or "-") + more)
    return Group(Text(listed), Text(moved, style="bold"))


VIEWS: Views = {
    DatasetPlan: _balance,
    DatasetReport: _dataset,
    Examination: _examination,
    Captions: _captions,
    QuarantinePlan: _quarantine_plan,
    Quarantined: _quarantined,
}
