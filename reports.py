"""Plans and reports in, what rich draws out: what an action is about to do, what came of it. Asks and prints nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import singledispatch

from rich.console import Group, RenderableType
from rich.text import Text

import words
from client import Rejection
from clients import Checkpoints, ClientErased, ClientList, ClientView
from config import Settings
from data_preprocessor import ImportPlan, ImportReport
from dataset import DatasetPlan, DatasetReport
from demo import DemoReport
from image_processor import FaceReport, ProcessPlan
from installation import Installation
from language import _
from lora_trainer import PreparedTraining, TrainingReport
from screens import guided, table
from training_cost import explain

ROWS = 12  # pictures named one by one before the rest is only counted: a screen has 24 lines


@singledispatch
def view(record: object) -> RenderableType:
    """A plan or report as people read it."""
    return Text(str(record))


# --- clients ----------------------------------------------------------------------------------------------------------
@view.register
def _clients(report: ClientList) -> RenderableType:
    return Text("\n".join(client.id for client in report.clients) or _("There is no client yet."))


@view.register
def _client(report: ClientView) -> RenderableType:
    return guided(report.client, report.steps)


@view.register
def _erased(report: ClientErased) -> RenderableType:
    return Text(_("{client} is erased, {files} files in all.").format(client=report.client, files=report.files))


# --- pictures ---------------------------------------------------------------------------------------------------------
@view.register
def _import_plan(plan: ImportPlan) -> RenderableType:
    sentence = _("{count} pictures, {size:.1f} MB, {raw} of them camera RAW. They are copied; yours stay as they are.")
    return Text(sentence.format(count=len(plan.pictures), size=plan.bytes / 1e6, raw=plan.raw))


@view.register
def _import(report: ImportReport) -> RenderableType:
    counts = _("{added} imported, {duplicates} here already, {refused} refused").format(
        added=len(report.added), duplicates=len(report.duplicates), refused=len(report.refused)
    )
    news = [item for item in report.duplicates if not item.again]
    same = _("  {file} is the same picture as {other}")
    repeats = [Text(same.format(file=item.file, other=item.repeats)) for item in news[:ROWS]]
    return Group(Text(counts, style="bold"), *repeats, *refusals(report.refused))


def refusals(refused: Iterable[Rejection]) -> list[RenderableType]:
    """A line a refused picture; where there are too many for a screen, the rest counted by reason."""
    refused = list(refused)
    lines: list[RenderableType] = [Text(f"  {item.source}: {words.reason(item)}") for item in refused[:ROWS]]
    if len(refused) > ROWS:
        counts = Counter(item.reason for item in refused)
        summary = ", ".join(f"{reason.value} {count}" for reason, count in counts.most_common())
        lines.append(Text(_("  ... and {more} more: {summary}").format(more=len(refused) - ROWS, summary=summary)))
    return lines


@view.register
def _process_plan(plan: ProcessPlan) -> RenderableType:
    return Text(_("{new} pictures to look at, {done} are judged already.").format(new=plan.new, done=plan.done))


@view.register
def _faces(report: FaceReport) -> RenderableType:
    counts = _("{accepted} accepted, {rejected} rejected").format(accepted=len(report.accepted), rejected=len(report.rejected))
    look = _("Look at them: contact_sheet.png in processed and in rejected.")
    return Group(Text(counts, style="bold"), *refusals(report.rejected), Text(look))


# --- dataset ----------------------------------------------------------------------------------------------------------
@view.register
def _dataset_plan(plan: DatasetPlan) -> RenderableType:
    return _balance(plan)


@view.register
def _dataset(report: DatasetReport) -> RenderableType:
    findings = [Text(f"  {words.finding(finding)}") for finding in report.findings]
    return Group(_balance(report), *findings, Text(_(words.VERDICTS[report.verdict]), style="bold"))


def _balance(record: DatasetPlan | DatasetReport) -> RenderableType:
    rows = table("", _("folder"), _("pictures"), _("repeats"))
    for folder in record.folders:
        rows.add_row(folder.name, str(folder.images), str(folder.repeats))
    share = _("Of what the LoRA sees, {share:.1%} is real photos.").format(share=record.share_real)
    return Group(rows, Text(share))


# --- training ---------------------------------------------------------------------------------------------------------
@view.register
def _training_plan(prepared: PreparedTraining) -> RenderableType:
    plan, estimate = prepared.plan, prepared.estimate
    rows = table(_("The plan"))
    rows.add_row(_("GPU"), plan.gpu.name)
    rows.add_row(_("base model"), plan.base)
    rows.add_row(_("steps"), f"{plan.steps} ({plan.preset})")
    rows.add_row(_("rank, alpha"), f"{plan.dim}, {plan.alpha:g}")
    rows.add_row(_("resolution, batch"), f"{plan.resolution} px, {plan.batch}")
    rows.add_row(_("optimizer"), f"{plan.optimizer}, {plan.learning_rate:g}, {plan.scheduler}")
    if plan.gpu.vram_gb:
        rows.add_row(_("video memory"), f"{estimate.vram_gb:.1f} GB / {plan.gpu.vram_gb:.0f} GB")
    rows.add_row(_("time"), _duration(estimate.seconds))
    told = [Text("  " + "\n  ".join(explain(plan, refusal))) for refusal in estimate.refusals]
    return Group(rows, Text(_(words.FITS[estimate.verdict]), style="bold"), *told)


def _duration(seconds: float) -> str:
    if seconds < 5400:
        return _("about {minutes:.0f} min").format(minutes=max(1, seconds / 60))
    return _("about {hours:.1f} h").format(hours=seconds / 3600)


@view.register
def _training(report: TrainingReport) -> RenderableType:
    sentence = _("{steps} steps, {lora}").format(steps=report.steps, lora=report.lora.name)
    resumed = _("  It went on from step {step}.").format(step=report.resumed_from) if report.resumed_from else ""
    return Text(sentence + resumed, style="bold")


@view.register
def _checkpoints(report: Checkpoints) -> RenderableType:
    if not report.checkpoints:
        return Text(_("Nothing was trained yet."))
    rows = table("", _("file"), _("step"), _("size"), "")
    for checkpoint in report.checkpoints:
        state = "" if checkpoint.whole else _("torn: do not use")
        rows.add_row(checkpoint.path.name, str(checkpoint.step), f"{checkpoint.size / 1e6:.1f} MB", state)
    return rows


# --- the program ------------------------------------------------------------------------------------------------------
@view.register
def _demo(report: DemoReport) -> RenderableType:
    rows = table("", _("step"), _("what came out"), _("seconds"))
    for step in report.steps:
        rows.add_row(words.stage(step.name), words.outcome(step.outcome), f"{step.seconds:.1f}")
    likeness = report.likeness
    sentence = _(
        "Mean distance to the client's crops: base {base:.1f}, with the LoRA {lora:.1f}, the crops among themselves {crops:.1f}.\n"
        "The LoRA closes {closed:.0%} of the gap; portraits of other people move by {others:.0%} of it."
    )
    told = sentence.format(
        base=likeness.base, lora=likeness.lora, crops=likeness.crops, closed=likeness.closed, others=likeness.others_moved
    )
    return Group(rows, Text(told), Text(_("Look at it: {sheet}").format(sheet=report.contact_sheet), style="bold"))


@view.register
def _installation(report: Installation) -> RenderableType:
    rows = table(str(report.home))
    for check in report.checks:
        rows.add_row("✓" if check.well else "!", _(check.label), check.found, "" if check.well else _(check.cure))
    made = [Text(_("Made: {path}").format(path=path)) for path in report.made]
    return Group(*made, rows)


@view.register
def _settings(settings: Settings) -> RenderableType:
    rows = table(_("Settings"))
    for name, value in settings.model_dump(by_alias=True).items():
        if isinstance(value, dict):
            for key, part in value.items():
                rows.add_row(f"{name}.{key}", str(part))
        else:
            rows.add_row(name, str(value))
    return rows
