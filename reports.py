"""Plans and reports in, what rich draws out: what an action is about to do, what came of it. Asks and prints nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import singledispatch
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

import words
from actions import GPUs
from client import Rejection
from clients import ClientErased, ClientList, ClientView
from config import Settings
from data_preprocessor import ImportPlan, ImportReport
from dataset import DatasetPlan, DatasetReport
from demo import DemoReport
from exports import TITLES, App, Exported
from generation import PortraitPlan, PortraitReport
from image_processor import FaceReport, ProcessPlan
from installation import Installation
from language import _, ngettext
from lora_files import LoraFiles, Stripped
from lora_trainer import PreparedTraining, TrainingReport
from machine_doctor import Check, MachineReport
from screens import guided, table
from tensorboard_server import Curves
from training_cost import estimate, explain, find_refusals
from training_plan import TrainingPlan
from training_queue import QueueReport

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
    return Group(Text(counts, style="bold"), *repeats, *_refusals(report.refused))


def _refusals(refused: Iterable[Rejection]) -> list[RenderableType]:
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
    return Group(Text(counts, style="bold"), *_refusals(report.rejected), Text(look))


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
    plan, cost, original = prepared.plan, prepared.estimate, prepared.original
    beside = original if original and not plan.insisted else None
    rows = table(_("The plan"), "", _("this plan"), *([_("the original plan")] if beside else []))
    columns = [_plan_column(plan), _plan_column(beside) if beside else {}]
    for label, value in columns[0].items():
        rows.add_row(label, value, *([columns[1].get(label, "")] if beside else []))
    lines: list[RenderableType] = [rows, Text(_(words.FITS[cost.verdict]), style="bold")]
    lines += [Text("  " + "\n  ".join(explain(plan, refusal))) for refusal in cost.refusals]
    if plan.insisted:
        lines.append(
            Text(_("These are the original plan's values. They are tried, and stopped early if they fail."), style="yellow")
        )
    if plan.changes:
        lines.append(Text(_("Changed because memory was full: {changes}").format(changes="; ".join(plan.changes))))
    if beside and (told := [explain(beside, refusal) for refusal in find_refusals(beside)]):
        warning = _("The original plan's values (--values original) are likely to fail: {why}")
        lines.append(Text(warning.format(why=" ".join(reason for reason, _cure in told)), style="yellow"))
    return Group(*lines)


def _plan_column(plan: TrainingPlan) -> dict[str, str]:
    """A plan and its cost, a line each."""
    cost = estimate(plan)
    column = {
        _("GPU"): plan.gpu.name,
        _("base model"): plan.base,
        _("steps"): f"{plan.steps} ({plan.preset}), " + _("{epochs:.1f} epochs").format(epochs=cost.epochs),
        _("rank, alpha"): f"{plan.dim}, {plan.alpha:g}",
        _("resolution, batch"): f"{plan.resolution} px, {plan.batch} x {plan.accumulation}",
        _("optimizer"): f"{plan.optimizer}, {plan.learning_rate:g}, {plan.scheduler}",
        _("precision"): plan.precision + (", fp8" if plan.fp8 else ""),
    }
    if plan.gpu.vram_gb:
        parts = ", ".join(f"{_(words.PARTS[part.part])} {part.gb:.1f}" for part in cost.vram_parts if part.gb >= 0.05)
        column[_("video memory")] = f"{cost.vram_gb:.1f} / {plan.gpu.vram_gb:.0f} GB ({parts})"
    column[_("time")] = _duration(cost.seconds)
    column[_("disk")] = _("{count} checkpoints of {size:.0f} MB, {total:.1f} GB with states").format(
        count=cost.checkpoints, size=cost.checkpoint_mb, total=cost.disk_gb
    )
    return column


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
def _lora_files(report: LoraFiles) -> RenderableType:
    if not report.files:
        return Text(_("Nothing was trained yet."))
    rows = table("", _("file"), _("step"), _("loss"), _("size"), "SHA-256", _("samples"), "")
    for file in report.files:
        checkpoint = file.checkpoint
        state = _("torn: do not use") if not checkpoint.whole else _("holds captions") if file.captions else ""
        loss = "" if file.loss is None else f"{file.loss:.3f}"
        size = f"{checkpoint.size / 1e6:.1f} MB"
        rows.add_row(checkpoint.path.stem, str(checkpoint.step), loss, size, file.sha256[:8], str(len(file.samples)), state)
    return rows


@view.register
def _stripped(report: Stripped) -> RenderableType:
    count = ngettext("{count} file lost its captions.", "{count} files lost their captions.", len(report.files))
    return Text(count.format(count=len(report.files)))


@view.register
def _exported(report: Exported) -> RenderableType:
    sentence = _("{lora}: trigger word {trigger}, weight {low} to {high}, SHA-256 {digest}").format(
        lora=report.lora.name, trigger=report.trigger, low=report.weights[0], high=report.weights[1], digest=report.sha256[:16]
    )
    rows = table("", _("for"), _("file"))
    for app, file in report.files.items():
        rows.add_row(TITLES[App(app)], str(Path("...", *file.parts[-4:])))
    for file in report.installed:
        rows.add_row(_("installed"), str(file))
    preview = [Text(_("There is no picture for a preview yet: paint a portrait first."))] if report.preview is None else []
    return Group(rows, *preview, Text(sentence, style="bold"))


@view.register
def _curves(report: Curves) -> RenderableType:
    return Text(_("TensorBoard: {address}").format(address=report.address) if report.address else _("TensorBoard does not run."))


@view.register
def _queue(report: QueueReport) -> RenderableType:
    if not report.rows:
        return Text(_("There was no queue yet."))
    rows = table(_("The queue"), _("client"), "", _("steps"), _("loss"), _("time"), _("what came out"))
    for row in report.rows:
        came = row.lora or row.error
        came += f" ({'; '.join(row.changes)})" if row.changes else ""
        loss = "" if row.loss is None else f"{row.loss:.3f}"
        rows.add_row(row.client, _(words.QUEUE[row.outcome]), str(row.steps), loss, _duration(row.seconds), came)
    return rows


# --- portraits --------------------------------------------------------------------------------------------------------
@view.register
def _portrait_plan(plan: PortraitPlan) -> RenderableType:
    sentence = _("{missing} portraits to paint, {done} are on disk. Base: {base}; LoRA: {lora}")
    lora = plan.lora.name if plan.lora else "-"
    return Text(sentence.format(missing=plan.missing, done=plan.total - plan.missing, base=plan.base.name, lora=lora))


@view.register
def _portraits(report: PortraitReport) -> RenderableType:
    sentence = _("{painted} portraits painted, {done} were there. Look at them: {sheet}")
    done = len(report.images) - report.painted
    return Text(sentence.format(painted=report.painted, done=done, sheet=report.contact_sheet))


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
    made = [Text(_("Made: {path}").format(path=path)) for path in report.made]
    return Group(*made, _checks(str(report.home), report.checks))


@view.register
def _machine(report: MachineReport) -> RenderableType:
    wrong = [check for check in report.checks if not check.well and check.command]
    commands = [Text(f"{_(check.cure)}\n    {check.command}") for check in wrong]
    return Group(_checks("", report.checks, told=False), *commands)


def _checks(title: str, checks: tuple[Check, ...], told: bool = True) -> RenderableType:
    rows = table(title)
    for check in checks:
        cure = "" if check.well or not (told or not check.command) else _(check.cure)
        rows.add_row("✓" if check.well else "!", _(check.label), check.found, cure)
    return rows


@view.register
def _gpus(report: GPUs) -> RenderableType:
    if not report.gpus:
        return Text(_("No NVIDIA GPU here. The embedded model paints and trains on the processor; SDXL itself needs a card."))
    rows = table("", _("GPU"), _("driver"), _("memory used"), _("load"), "°C")
    for gpu in report.gpus:
        memory = f"{gpu.used_gb:.1f} / {gpu.total_gb:.1f} GB"
        rows.add_row(gpu.name, gpu.driver, memory, f"{gpu.utilisation} %", str(gpu.temperature))
    return rows


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
