"""How plans and reports of imports, grids and prompts look."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import shorten

from rich.console import Group, RenderableType
from rich.text import Text

from data_preprocessor import GridPlan, ImportReport
from locales.language import _, ngettext
from pictures.import_plan import ImportPlan
from pictures.prompts import JobPrompt, Prompts
from terminal.screens import ROWS, Views, refusals, table

PROMPT_CHARS = 110  # two lines of a table on 80 columns


def _import_plan(plan: ImportPlan) -> RenderableType:
    count = len(plan.pictures)
    said = ngettext("{count} picture, {size:.1f} MB.", "{count} pictures, {size:.1f} MB.", count).format(
        count=count, size=plan.bytes / 1e6
    )
    raw = ngettext("{count} of them is camera RAW.", "{count} of them are camera RAW.", plan.raw).format(count=plan.raw)
    copied = (
        _("Copies are made, then yours are taken out of your folder.")
        if plan.move
        else _("Copies are made; yours stay as they are.")
    )
    return Text(" ".join((said, raw, copied) if plan.raw else (said, copied)))


def _import(report: ImportReport) -> RenderableType:
    added, here, refused = len(report.added), len(report.duplicates), len(report.refused)
    counts = ", ".join(
        (
            ngettext("{count} imported", "{count} imported", added).format(count=added),
            ngettext("{count} here already", "{count} here already", here).format(count=here),
            ngettext("{count} refused", "{count} refused", refused).format(count=refused),
        )
    )
    news = [item for item in report.duplicates if not item.again]
    same = _("  {file} is the same picture as {other}")
    repeats = [Text(same.format(file=item.file, other=item.repeats)) for item in news[:ROWS]]
    if len(news) > ROWS:
        repeats.append(Text(_("  ... and {more} more repeat others").format(more=len(news) - ROWS)))
    notes = [Text(f"  {note.file}: {note.code.label}") for note in report.notes[:ROWS]]
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


def _grid_plan(plan: GridPlan) -> RenderableType:
    sentence = ngettext(
        "{count} grid of four, to be split into its pictures; the grid itself stays.",
        "{count} grids of four, each to be split into its pictures; the grids themselves stay.", len(plan.grids),
    )  # fmt: skip
    names = [Text(f"  {name}") for name in plan.grids[:ROWS]]
    return Group(Text(sentence.format(count=len(plan.grids))), *names)


def _prompts(report: Prompts) -> RenderableType:
    master = report.master_prompt or _("none; most jobs share: {words}").format(words=report.offered or "-")
    rows = table("", _("job"), _("pictures"), _("prompt, or how it departs from the master"))
    said = [job for job in report.jobs if job.prompt is not None]
    for job in said[:ROWS]:
        rows.add_row(job.key[:8], str(len(job.files)), shorten(_departs(job), PROMPT_CHARS, placeholder=" ..."))
    more = [Text(_("  ... and {more} more jobs").format(more=len(said) - ROWS))] if len(said) > ROWS else []
    known, jobs = len(report.jobs) - len(report.unknown), len(report.jobs)
    whole = ngettext("{count} of {jobs} jobs has a whole prompt.", "{count} of {jobs} jobs have a whole prompt.", known)
    table_of = [rows] if said else []  # nothing but "unknown" tells nobody anything
    last = Text(whole.format(count=known, jobs=jobs), style="bold")
    return Group(Text(_("Master prompt: {master}").format(master=master)), *table_of, *more, last)


def _departs(job: JobPrompt) -> str:
    if job.prompt is None:
        return _("unknown")
    if job.difference is None or not (job.difference.added or job.difference.missing):
        return job.prompt + (" ..." if job.truncated else "")
    signs = [f"+ {' '.join(job.difference.added)}" if job.difference.added else ""]
    signs += [f"- {' '.join(job.difference.missing)}" if job.difference.missing else ""]
    return "  ".join(filter(None, signs)) + (" ..." if job.truncated else "")


VIEWS: Views = {ImportPlan: _import_plan, ImportReport: _import, GridPlan: _grid_plan, Prompts: _prompts}
