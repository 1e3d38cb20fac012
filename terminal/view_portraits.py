"""How portraits and face swaps look, planned and made."""

from __future__ import annotations

from datetime import datetime

from rich.console import Group, RenderableType
from rich.text import Text

from actions.gallery import Gallery
from generation import PortraitPlan, PortraitReport, SwapPlan, SwapReport
from locales.language import _, ngettext
from pictures.contact_sheet import differing_words
from portraits.delivery import Delivered
from portraits.magic_prompt import MagicPrompt
from portraits.recipes import NOTE_NO_NEGATIVE
from terminal.screens import Views, practice_lines, refusals, table

RUNS = 20  # of the history
SEEDS = 6  # of a run, by number
ROWS = 8  # prompts or pictures named one by one; each may take several lines


def _portrait_plan(plan: PortraitPlan) -> RenderableType:
    missing, done = plan.missing, plan.total - plan.missing
    loras = ", ".join(lora.name for lora in plan.loras) or "-"
    loras += f" ({plan.exam_choice.words})" if plan.exam_choice else ""
    counted = ngettext("{count} portrait to paint", "{count} portraits to paint", missing).format(count=missing)
    if done:
        counted += ", " + ngettext("{count} is on disk", "{count} are on disk", done).format(count=done)
    counted += ". " + _("Base: {base}; LoRA: {lora}").format(base=plan.base.name, lora=loras)
    recipe = plan.recipe
    sampling = _("{kind}: {steps} steps, {sampler}, CFG {guidance:g}, {width} x {height} px").format(
        kind=recipe.kind.value,
        steps=recipe.steps,
        sampler=recipe.sampler.value,
        guidance=recipe.guidance,
        width=plan.size[0],
        height=plan.size[1],
    )
    notes = [Text(_(NOTE_NO_NEGATIVE), style="yellow")] if plan.negative_ignored else []
    return Group(
        *_prompts(plan.prompts, recipe.negative), *_named(plan.trigger_added), Text(counted), Text(sampling),
        *practice_lines(plan.practice), *notes,
    )  # fmt: skip


def _named(prompts: int) -> list[RenderableType]:
    """That prompts did not name the client, and do now."""
    if not prompts:
        return []
    told = ngettext(
        "{count} prompt did not name the client: the trigger word was put in, else somebody else is painted.",
        "{count} prompts did not name the client: the trigger word was put in, else somebody else is painted.",
        prompts,
    )
    return [Text(told.format(count=prompts), style="yellow")]


def _prompts(prompts: tuple[MagicPrompt, ...], negative: bool) -> list[RenderableType]:
    """Every prompt as it will be painted, beside what the user wrote where that differs."""
    rows = table()
    for prompt in prompts[:ROWS]:
        if prompt.original != prompt.prompt:
            rows.add_row(_("yours"), prompt.original, style="dim")
        rows.add_row(_("painted"), prompt.prompt)
        if prompt.negative and negative:
            rows.add_row(_("not"), prompt.negative)
        if prompt.cut:
            rows.add_row(
                _("cut"),
                _("{tokens} of 75 tokens; not read: {words}").format(tokens=prompt.tokens, words=prompt.cut),
                style="yellow",
            )
    more = [Text(_("  ... and {more} more").format(more=len(prompts) - ROWS))] if len(prompts) > ROWS else []
    return [rows, *more]


def _portraits(report: PortraitReport) -> RenderableType:
    done, larger = len(report.images) - report.painted, len(report.enlarged)
    counted = ngettext("{count} portrait painted", "{count} portraits painted", report.painted).format(count=report.painted)
    if done:
        counted += ", " + ngettext("{count} was there", "{count} were there", done).format(count=done)
    counted += "."
    enlarged = [Text(ngettext("{count} enlarged", "{count} enlarged", larger).format(count=larger))] if larger else []
    choice = [Text(_("LoRA: {lora}").format(lora=report.exam_choice.words))] if report.exam_choice else []
    return Group(Text(counted), *choice, *_named(report.trigger_added), *enlarged, *practice_lines(report.practice))


def _gallery(report: Gallery) -> RenderableType:
    """Every run, the newest last, and how many favourites there are."""
    if not report.history.runs:
        return Text(_("No portrait was painted yet."))
    rows = table("", "", _("when"), _("portraits"), _("prompt"), _("seeds"))
    for run in report.history.runs[-RUNS:]:
        when = datetime.fromisoformat(run.when).astimezone().strftime("%Y-%m-%d %H:%M")
        left, seeds = len(report.left(run)), ", ".join(map(str, run.seeds[:SEEDS])) + (" ..." if len(run.seeds) > SEEDS else "")
        count = str(left) if left == len(run.images) else _("{left} of {count}").format(left=left, count=len(run.images))
        prompts = run.prompts[0] if len(run.prompts) == 1 else "; ".join(differing_words(run.prompts))
        rows.add_row(str(run.number), when, count, prompts, seeds)
    favourites = Text(
        ngettext("{count} favourite", "{count} favourites", len(report.favourites)).format(count=len(report.favourites))
    )
    return Group(rows, favourites)


def _delivered(report: Delivered) -> RenderableType:
    count = ngettext(
        "{count} portrait in one .zip, a sheet with it", "{count} portraits in one .zip, a sheet with them", len(report.pictures)
    )
    return Text(count.format(count=len(report.pictures)), style="bold")


def _swap_plan(plan: SwapPlan) -> RenderableType:
    targets, sources = len(plan.order.targets), len(plan.order.sources)
    counted = ngettext("{count} picture", "{count} pictures", targets).format(count=targets)
    if plan.missing < targets:
        left = ngettext("{count} of them without a result", "{count} of them without a result", plan.missing)
        counted += ", " + left.format(count=plan.missing)
    face = ngettext(
        "the face comes from {count} of the client's crops.", "the face comes from {count} of the client's crops.", sources
    )
    counted += "; " + face.format(count=sources)
    gate = _("InsightFace: {use}. Consent: {by}").format(use=plan.use.label, by=plan.consent.by)
    return Group(Text(counted), Text(gate))


def _swapped(report: SwapReport) -> RenderableType:
    lines: list[RenderableType] = []
    for one in report.images[:ROWS]:
        numbers = ", ".join(map(str, one.replaced))
        soft = _("  soft: the face is enlarged {times:.1f} times from 128 px").format(times=one.enlarged) if one.soft else ""
        lines.append(
            Text(
                _("  {target}: face {numbers} -> {file}{soft}").format(target=one.target, numbers=numbers, file=one.file, soft=soft)
            )
        )
    for preview in report.previews[:ROWS]:
        count = ngettext(
            "  {target}: {count} face, numbered in {file}", "  {target}: {count} faces, numbered in {file}", len(preview.faces)
        )
        lines.append(Text(count.format(target=preview.target, count=len(preview.faces), file=preview.file)))
    here, refused = len(report.images) - report.made, len(report.refused)
    made = ngettext("{count} picture made", "{count} pictures made", report.made).format(count=report.made)
    made += ", " + ngettext("{count} was there", "{count} were there", here).format(count=here)
    made += ", " + ngettext("{count} refused", "{count} refused", refused).format(count=refused)
    return Group(Text(made, style="bold"), *lines, *refusals(report.refused))


VIEWS: Views = {
    Gallery: _gallery,
    Delivered: _delivered,
    PortraitPlan: _portrait_plan,
    PortraitReport: _portraits,
    SwapPlan: _swap_plan,
    SwapReport: _swapped,
}
