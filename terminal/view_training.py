"""How trainings look: the plan beside the original plan, what was trained, checkpoints, exports, curves, the queue."""

from __future__ import annotations

from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from config import PRESET_LABELS, TUNED, TUNED_LABEL
from locales.language import _, ngettext
from lora_trainer import PreparedTraining, TrainingReport
from machine.downloads import PreloadPlan
from terminal.screens import Indented, Views, practice_lines, table
from terminal.view_machine import room
from training.cost import Estimate, at_peak, duration, estimate, explain, find_refusals
from training.exports import TITLES, App, Exported
from training.lora_files import LoraFiles, Stripped
from training.plan import TrainingPlan
from training.queue import Examined, QueueReport
from training.tensorboard_server import Curves

_PLAN_LABELS = {**PRESET_LABELS, TUNED: TUNED_LABEL}


def _training_plan(prepared: PreparedTraining) -> RenderableType:
    plan, cost, original = prepared.plan, prepared.estimate, prepared.original
    beside = original if original and not plan.insisted else None
    rows = table(_("The plan"), "", _("this plan"), *([_("original values")] if beside else []))
    columns = [_plan_column(plan, cost), _plan_column(beside, estimate(beside)) if beside else {}]
    for label, value in columns[0].items():
        rows.add_row(label, value, *([columns[1].get(label, "")] if beside else []))
    lines: list[RenderableType] = [
        rows,
        *practice_lines(plan.practice),
        *_to_download(prepared.download),
        Text(cost.verdict.label, style="bold"),
    ]
    if prepared.begins_at == plan.steps:
        lines.append(Text(_("It is trained already: nothing is left to do."), style="bold"))
    elif prepared.begins_at:
        goes_on = _("It goes on from step {step} of {total}.")
        lines.append(Text(goes_on.format(step=prepared.begins_at, total=plan.steps), style="bold"))
    lines += [Indented(line, begins="  ") for refusal in cost.refusals for line in explain(plan, refusal)]
    if beside:
        lines.append(
            Text(_("The original values are those of the plan that this program was made after, to compare."), style="dim")
        )
    if plan.gpu.vram_gb and not plan.practice and cost.measured is None:
        lines.append(
            Text(_("Memory and time are estimates, tried by nobody on this card: your first run corrects them."), style="dim")
        )
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


def _to_download(plan: PreloadPlan | None) -> list[RenderableType]:
    """What the training needs and is not here, with its size and the room there is."""
    if plan is None:
        return []
    titles = ", ".join(one.model.title for one in plan.models)
    return [Text(_("{model} is not here yet: {room}").format(model=titles, room=room(plan)), style="bold yellow")]


def _plan_column(plan: TrainingPlan, cost: Estimate) -> dict[str, str]:
    """A plan and its cost, a line each."""
    column = {
        _("GPU"): _("none, the processor (CPU)") if plan.gpu.architecture == "cpu" else plan.gpu.name,
        _("base model"): _("practice model (96 px)") if plan.practice else Path(plan.base).name,
        _("steps"): f"{plan.steps} ({_(_PLAN_LABELS.get(plan.preset, plan.preset))}), "
        + _("{epochs:.1f} epochs").format(epochs=cost.epochs),
        _("rank, alpha"): f"{plan.dim}, {plan.alpha:g}",
        _("resolution, batch"): f"{plan.resolution} px, {plan.batch} x {plan.accumulation}",
        _("optimizer"): f"{plan.optimizer}, {plan.learning_rate:g}, {plan.scheduler}",
        _("precision"): ("fp32" if plan.precision == "no" else plan.precision) + (", fp8" if plan.fp8 else ""),
    }
    if plan.gpu.vram_gb:
        parts = ", ".join(f"{part.part.label} {part.gb:.1f}" for part in at_peak(cost.vram_parts) if part.gb >= 0.05)
        known = _("measured here") if cost.measured and cost.measured.vram_gb else _("estimated: {parts}").format(parts=parts)
        column[_("video memory")] = f"{cost.vram_gb:.1f} / {plan.gpu.vram_gb:.0f} GB ({known})"
    column[_("samples")] = _samples_told(plan)
    known = _("measured here, {day}").format(day=cost.measured.when) if cost.measured else _("estimated")
    column[_("time")] = f"{duration(cost.seconds)} ({known})"
    kept = ngettext(
        "{count} checkpoint of {size:.0f} MB, {total:.1f} GB with states",
        "{count} checkpoints of {size:.0f} MB, {total:.1f} GB with states",
        cost.checkpoints,
    )
    column[_("disk")] = kept.format(count=cost.checkpoints, size=cost.checkpoint_mb, total=cost.disk_gb)
    return column


def _samples_told(plan: TrainingPlan) -> str:
    if not plan.sample_every:
        return _("none")
    told = _("every {steps} steps, {side} px").format(steps=plan.sample_every, side=plan.sample_side)
    return told + (_(" (smaller, to save memory)") if plan.sample_side < plan.resolution else "")


def _training(report: TrainingReport) -> RenderableType:
    sentence = _("{steps} steps, {lora}").format(steps=report.steps, lora=report.lora.name)
    if report.resumed_from == report.steps:
        sentence += _("  It was trained already.")
    elif report.resumed_from:
        sentence += _("  It went on from step {step}.").format(step=report.resumed_from)
    return Group(Text(sentence, style="bold"), *practice_lines(report.practice))


def _lora_files(report: LoraFiles) -> RenderableType:
    if not report.files:
        return Text(_("Nothing was trained yet."))
    rows, choice = table("", _("file"), _("step"), _("loss"), _("size"), "SHA-256", _("samples"), ""), report.exam_choice
    for file in report.files:
        checkpoint = file.checkpoint
        by = choice.words if choice and choice.lora == checkpoint.path else ""
        states = (by, "" if checkpoint.whole else _("torn: do not use"), _("practice model") if checkpoint.practice else "")
        state = ", ".join(filter(None, (*states, _("holds captions") if file.captions else "")))
        loss = "" if file.loss is None else f"{file.loss:.3f}"
        size = f"{checkpoint.size / 1e6:.1f} MB"
        rows.add_row(checkpoint.path.stem, str(checkpoint.step), loss, size, file.sha256[:8], str(len(file.samples)), state)
    return rows


def _stripped(report: Stripped) -> RenderableType:
    count = ngettext("{count} file lost its captions.", "{count} files lost their captions.", len(report.files))
    return Text(count.format(count=len(report.files)))


def _exported(report: Exported) -> RenderableType:
    sentence = _("{lora}: trigger word {trigger}, weight {low} to {high}, SHA-256 {digest}").format(
        lora=report.lora.name, trigger=report.trigger, low=report.weights[0], high=report.weights[1], digest=report.sha256[:16]
    )
    rows = table("", _("for"), _("file"))
    for app, file in report.files.items():
        rows.add_row(TITLES[App(app)], file.name)
    for file in report.installed:
        rows.add_row(_("installed"), file.name)
    notes = [Text(_("There is no picture for a preview yet: paint a portrait first."))] if report.preview is None else []
    if report.left_out:
        apps = ", ".join(TITLES[app] for app in report.left_out)
        notes.append(Text(_("Left out: {apps}. A LoRA of the practice base fits no SDXL model.").format(apps=apps)))
    if report.exam_choice:
        notes.append(Text(_("LoRA: {lora}").format(lora=report.exam_choice.words)))
    return Group(rows, *practice_lines(report.practice), *notes, Text(sentence, style="bold"))


def _curves(report: Curves) -> RenderableType:
    return Text(_("TensorBoard: {address}").format(address=report.address) if report.address else _("TensorBoard does not run."))


def _queue(report: QueueReport) -> RenderableType:
    if not report.rows:
        return Text(_("There was no queue yet."))
    several = len({row.machine for row in report.rows if row.machine}) > 1
    columns = (_("client"), "", *([_("machine")] if several else []), _("steps"), _("loss"), _("time"), _("exam"))
    rows = table(_("The queue"), *columns, _("what came out"))
    for row in report.rows:
        came = row.lora or row.error
        exam = row.exam.label.format(step=row.exam_step) if row.exam is not Examined.NO else ""
        exam += f": {row.exam_error}" if row.exam_error else ""
        came += f" ({'; '.join(row.changes)})" if row.changes else ""
        loss = "" if row.loss is None else f"{row.loss:.3f}"
        where = [row.machine] if several else []
        rows.add_row(row.client, row.outcome.label, *where, str(row.steps), loss, duration(row.seconds), exam, came)
    return rows


VIEWS: Views = {
    PreparedTraining: _training_plan,
    TrainingReport: _training,
    LoraFiles: _lora_files,
    Stripped: _stripped,
    Exported: _exported,
    Curves: _curves,
    QueueReport: _queue,
}
