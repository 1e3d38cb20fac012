"""Plans and reports in, what rich draws out: what an action is about to do, what came of it. Asks and prints nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import singledispatch
from pathlib import Path
from textwrap import shorten

from rich.console import Group, RenderableType
from rich.text import Text

import menu_words
import words
from client_export import MB, ExportedClient
from clients import ClientErased, ClientList, ClientView
from config import Settings
from data_preprocessor import GridPlan, ImportReport
from dataset import DatasetPlan, DatasetReport
from dataset_doctor import Examination, Level, Symptom
from demo import DemoReport
from exports import TITLES, App, Exported
from face_quality import WARNINGS
from image_processor import FaceReport, ProcessPlan
from import_plan import ImportPlan
from installation import Installation
from language import _, ngettext
from limits import LimitsMove, LimitsPlan, LimitsReport, Scope
from lora_files import LoraFiles, Stripped
from lora_trainer import PreparedTraining, TrainingReport
from machine_doctor import Check, MachineReport
from prompts import JobPrompt, Prompts
from reasons import Rejection
from review import Captions, Quarantined, Rejected
from screens import guided, table
from tensorboard_server import Curves
from training_cost import estimate, explain, find_refusals
from training_plan import TrainingPlan
from training_queue import QueueReport

PROMPT_CHARS = 110  # two lines of a table on 80 columns
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
    erased = Text(_("{client} is erased, {files} files in all.").format(client=report.client, files=report.files))
    return Group(view(report.exported), erased) if report.exported else erased


@view.register
def _client_exported(report: ExportedClient) -> RenderableType:
    sentence = _("{client}: {files} files, {size:.1f} MB. Unpacked in the folder clients of another machine, it works there.")
    told = Text(sentence.format(client=report.client, files=report.files, size=report.bytes / MB), style="bold")
    left_out = [Text(_shown(f"  {name}")) for name in report.left_out[:ROWS]]
    if report.left_out:
        left_out.insert(0, Text(_("Links and odd files were left out: {count}").format(count=len(report.left_out)), style="yellow"))
    return Group(*left_out, told, Text(str(report.file)), Text(f"SHA-256 {report.sha256}"))


# --- pictures ---------------------------------------------------------------------------------------------------------
@view.register
def _import_plan(plan: ImportPlan) -> RenderableType:
    stay = _("{count} pictures, {size:.1f} MB, {raw} of them camera RAW. They are copied; yours stay as they are.")
    leave = _("{count} pictures, {size:.1f} MB, {raw} of them camera RAW. They are copied, then taken out of your folder.")
    return Text((leave if plan.move else stay).format(count=len(plan.pictures), size=plan.bytes / 1e6, raw=plan.raw))


@view.register
def _import(report: ImportReport) -> RenderableType:
    counts = _("{added} imported, {duplicates} here already, {refused} refused").format(
        added=len(report.added), duplicates=len(report.duplicates), refused=len(report.refused)
    )
    news = [item for item in report.duplicates if not item.again]
    same = _("  {file} is the same picture as {other}")
    repeats = [Text(_shown(same.format(file=item.file, other=item.repeats))) for item in news[:ROWS]]
    if len(news) > ROWS:
        repeats.append(Text(_("  ... and {more} more repeat others").format(more=len(news) - ROWS)))
    notes = [Text(_shown(f"  {note.file}: {_(words.NOTES[note.code])}")) for note in report.notes[:ROWS]]
    lines = [Text(line.format(count=count)) for line, count in _also(report) if count]
    return Group(Text(counts, style="bold"), *repeats, *notes, *lines, *refusals(report.refused))


def _also(report: ImportReport) -> Iterable[tuple[str, int]]:
    """Sentences with a number, and the number; what is none is not worth a line."""
    more, told, moved, grids = max(0, len(report.notes) - ROWS), report.told, report.moved, len(report.grids)
    yield ngettext("{count} more note like these", "{count} more notes like these", more), more
    yield (
        ngettext(
            "{count} prompt read from what lies beside the pictures",
            "{count} prompts read from what lies beside the pictures",
            told,
        ),
        told,
    )
    yield ngettext("{count} picture taken out of your folder", "{count} pictures taken out of your folder", moved), moved
    yield ngettext(
        "{count} grid of four pictures, of no use as it is; the action grids makes single pictures of it",
        "{count} grids of four pictures, of no use as they are; the action grids makes single pictures of them", grids,
    ), grids  # fmt: skip


def _shown(name: str) -> str:
    """A line with a name of somebody else's choosing, without what would move the cursor or break the line."""
    return "".join(character if character.isprintable() else "?" for character in name)


@view.register
def _grid_plan(plan: GridPlan) -> RenderableType:
    sentence = ngettext(
        "{count} grid of four, to be split into its pictures; the grid itself stays.",
        "{count} grids of four, each to be split into its pictures; the grids themselves stay.", len(plan.grids),
    )  # fmt: skip
    names = [Text(_shown(f"  {name}")) for name in plan.grids[:ROWS]]
    return Group(Text(sentence.format(count=len(plan.grids))), *names)


@view.register
def _prompts(report: Prompts) -> RenderableType:
    master = report.master_prompt or _("none; most jobs share: {words}").format(words=report.offered or "-")
    rows = table("", _("job"), _("pictures"), _("prompt, or how it departs from the master"))
    for job in report.jobs[:ROWS]:
        rows.add_row(job.key[:8], str(len(job.files)), shorten(_shown(_departs(job)), PROMPT_CHARS, placeholder=" ..."))
    more = [Text(_("  ... and {more} more jobs").format(more=len(report.jobs) - ROWS))] if len(report.jobs) > ROWS else []
    known = _("{known} of {jobs} jobs have a whole prompt.").format(
        known=len(report.jobs) - len(report.unknown), jobs=len(report.jobs)
    )
    return Group(Text(_("Master prompt: {master}").format(master=_shown(master))), rows, *more, Text(known, style="bold"))


def _departs(job: JobPrompt) -> str:
    if job.prompt is None:
        return _("unknown")
    if job.difference is None or not (job.difference.added or job.difference.missing):
        return job.prompt + (" ..." if job.truncated else "")
    signs = [f"+ {' '.join(job.difference.added)}" if job.difference.added else ""]
    signs += [f"- {' '.join(job.difference.missing)}" if job.difference.missing else ""]
    return "  ".join(filter(None, signs)) + (" ..." if job.truncated else "")


def refusals(refused: Iterable[Rejection]) -> list[RenderableType]:
    """A line a refused picture; where there are too many for a screen, the rest counted by reason."""
    refused = list(refused)
    lines: list[RenderableType] = [Text(_shown(f"  {item.source}: {item.sentence}")) for item in refused[:ROWS]]
    if len(refused) > ROWS:
        counts = Counter(item.reason for item in refused)
        summary = ", ".join(f"{reason.label} {count}" for reason, count in counts.most_common())
        lines.append(Text(_("  ... and {more} more: {summary}").format(more=len(refused) - ROWS, summary=summary)))
    return lines


@view.register
def _process_plan(plan: ProcessPlan) -> RenderableType:
    return Text(_("{new} pictures to look at, {done} are judged already.").format(new=plan.new, done=plan.done))


@view.register
def _faces(report: FaceReport) -> RenderableType:
    counts = _("{accepted} accepted, {rejected} rejected").format(accepted=len(report.accepted), rejected=len(report.rejected))
    told = [Text(_(words.IDENTITIES[report.identity]).format(count=report.references))]
    near = Counter(name for face in report.accepted for name in face.warnings)
    if near:
        listed = ", ".join(f"{_(WARNINGS[name])} {count}" for name, count in near.most_common())
        told.append(Text(_("Accepted with a warning: {listed}").format(listed=listed)))
    if others := sum(face.bystanders > 0 for face in report.accepted):
        told.append(Text(_("Other people stand in {count} accepted pictures.").format(count=others)))
    look = _("Look at them: contact_sheet.png in processed and in rejected.")
    return Group(Text(counts, style="bold"), *refusals(report.rejected), *told, Text(look))


@view.register
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


@view.register
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


@view.register
def _limits_moved(report: LimitsReport) -> RenderableType:
    return Group(view(report.faces), *_moved(report.move))


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


@view.register
def _examination(report: Examination) -> RenderableType:
    """The findings, the worst first, and the verdict with its reason."""
    symptoms = sorted(report.symptoms, key=lambda symptom: -symptom.level)
    lines = [line for symptom in symptoms for line in _symptom(symptom, report)]
    counts = _("{images} pictures, {effective} really different; {share:.1%} of what is seen is real.").format(
        images=report.images, effective=report.effective, share=report.share_real
    )
    spread = _("Spread: pose {pose:.3f}, light {light:.1f}, background {background:.0f}, framing {framing:.3f}").format(
        pose=report.spread.pose, light=report.spread.light, background=report.spread.background, framing=report.spread.framing
    )
    verdict = _(words.VERDICTS[report.verdict]) + (f": {words.symptom(report.reason)}" if report.reason else "")
    return Group(Text(counts), Text(spread), *lines, Text(verdict, style="bold"))


def _symptom(symptom: Symptom, report: Examination) -> list[RenderableType]:
    sign, style = {Level.NOTE: ("·", "dim"), Level.WARNING: ("!", "yellow"), Level.NO_GO: ("✗", "bold red")}[symptom.level]
    names = [report.names.get(stem, stem) for stem in symptom.pictures]
    shown = ", ".join(names[:4]) + (_(" and {more} more").format(more=len(names) - 4) if len(names) > 4 else "")
    lines = [Text(f"{sign} {words.symptom(symptom)}", style=style)]
    return [*lines, *([Text(f"    {shown}")] if shown else []), Text(f"    -> {words.remedy(symptom)}", style="cyan")]


@view.register
def _captions(report: Captions) -> RenderableType:
    if not report.rows:
        return Text(_("There is no caption yet: build the dataset."))
    rows = table("", _("picture"), _("caption"))
    for row in report.rows:
        rows.add_row(report.names.get(row.picture, row.picture) + (" *" if row.edited else ""), row.text)
    return Group(rows, Text(_("* written by you; it stays when the dataset is built again.")))


@view.register
def _quarantined(report: Quarantined) -> RenderableType:
    moved = _("{taken} taken out of training, {returned} put back.").format(taken=len(report.taken), returned=len(report.returned))
    listed = _("In quarantine: {names}").format(names=", ".join(report.pictures) or "-")
    return Group(Text(moved, style="bold"), Text(listed))


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
    return Group(Text(sentence + _how_it_began(report), style="bold"), *_samples_to_look_at(report.samples))


def _samples_to_look_at(*sheets: Path | None) -> list[Text]:
    return [Text(_("The samples side by side: {sheet}").format(sheet=sheet)) for sheet in sheets if sheet]


def _how_it_began(report: TrainingReport) -> str:
    if report.resumed_from == report.steps:
        return _("  It was trained already.")
    return _("  It went on from step {step}.").format(step=report.resumed_from) if report.resumed_from else ""


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
    return Group(rows, *_samples_to_look_at(*report.sheets))


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


# --- the program ------------------------------------------------------------------------------------------------------
@view.register
def _demo(report: DemoReport) -> RenderableType:
    rows = table("", _("step"), _("what came out"), _("seconds"))
    for step in report.steps:
        rows.add_row(menu_words.stage(step.name), menu_words.outcome(step.outcome), f"{step.seconds:.1f}")
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
def _settings(settings: Settings) -> RenderableType:
    rows = table(_("Settings"))
    for name, value in settings.model_dump(by_alias=True).items():
        if isinstance(value, dict):
            for key, part in value.items():
                rows.add_row(f"{name}.{key}", str(part))
        else:
            rows.add_row(name, str(value))
    return rows
