"""The same `view` as in `reports`, with the records of portraits, swaps, transcripts, models and the GPU."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

import menu_words
import words
from downloads import PreloadPlan, PreloadReport
from face_swap import SwapPlan, SwapReport
from generation import PortraitPlan, PortraitReport
from language import N_, _
from machine_actions import WITHOUT_GPU, Freed, GPUs, ModelList
from magic_prompt import MagicPrompt
from recipes import NOTE_NO_NEGATIVE
from reports import refusals, view
from screens import table
from transcription import TranscriptPlan, TranscriptReport

__all__ = ["view"]
ROWS = 8
NO_GPU = N_("No NVIDIA GPU here. The embedded model paints and trains on the processor; SDXL itself needs a card.")
GB = 1e9
EXCERPT = 400  # letters of a transcript that are shown


# --- portraits --------------------------------------------------------------------------------------------------------
@view.register
def _portrait_plan(plan: PortraitPlan) -> RenderableType:
    sentence = _("{missing} portraits to paint, {done} are on disk. Base: {base}; LoRA: {lora}")
    loras = ", ".join(lora.name for lora in plan.loras) or "-"
    counted = sentence.format(missing=plan.missing, done=plan.total - plan.missing, base=plan.base.name, lora=loras)
    recipe = plan.recipe
    walked = _("{kind}: {steps} steps, {sampler}, CFG {guidance:g}, {width} x {height} px").format(
        kind=recipe.kind.value,
        steps=recipe.steps,
        sampler=recipe.sampler.value,
        guidance=recipe.guidance,
        width=plan.size[0],
        height=plan.size[1],
    )
    notes = [Text(_(NOTE_NO_NEGATIVE), style="yellow")] if plan.negative_ignored else []
    return Group(*_told(plan.prompts, recipe.negative), Text(counted), Text(walked), *notes)


def _told(prompts: tuple[MagicPrompt, ...], negative: bool) -> list[RenderableType]:
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


@view.register
def _portraits(report: PortraitReport) -> RenderableType:
    sentence = _("{painted} portraits painted, {done} were there. Look at them: {sheet}")
    done = len(report.images) - report.painted
    told = sentence.format(painted=report.painted, done=done, sheet=report.contact_sheet)
    enlarged = [Text(_("{count} enlarged").format(count=len(report.enlarged)))] if report.enlarged else []
    return Group(Text(told), *enlarged)


# --- face swap --------------------------------------------------------------------------------------------------------
@view.register
def _swap_plan(plan: SwapPlan) -> RenderableType:
    sentence = _("{count} pictures, {missing} of them without a result; the face comes from {sources} of the client's crops.")
    counted = sentence.format(count=len(plan.order.targets), missing=plan.missing, sources=len(plan.order.sources))
    gate = _("InsightFace: {use}. Consent: {by}").format(use=menu_words.choice(plan.use.value), by=plan.consent.by)
    return Group(Text(counted), Text(gate))


@view.register
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
        count = _("  {target}: {count} faces, numbered in {file}")
        lines.append(Text(count.format(target=preview.target, count=len(preview.faces), file=preview.file)))
    made = _("{made} pictures made, {here} were there, {refused} refused").format(
        made=report.made, here=len(report.images) - report.made, refused=len(report.refused)
    )
    return Group(Text(made, style="bold"), *lines, *refusals(report.refused))


# --- transcripts ------------------------------------------------------------------------------------------------------
@view.register
def _transcript_plan(plan: TranscriptPlan) -> RenderableType:
    sentence = _("{count} recordings, {missing} to listen to, with faster-whisper {model}.")
    return Text(sentence.format(count=len(plan.recordings), missing=plan.missing, model=plan.model))


@view.register
def _transcripts(report: TranscriptReport) -> RenderableType:
    lines: list[RenderableType] = []
    for one in report.transcripts[:ROWS]:
        told = _("  {recording}: {seconds:.0f} s, {language}, {words} words, computed on {device} -> {file}")
        lines.append(
            Text(
                told.format(
                    recording=one.recording,
                    seconds=one.seconds,
                    language=one.language,
                    words=one.words,
                    device=one.device,
                    file=one.file,
                )
            )
        )
    if len(report.transcripts) == 1:
        text = report.transcripts[0].file.read_text(encoding="utf-8").strip()
        lines.append(Text((text[:EXCERPT] + ("..." if len(text) > EXCERPT else "")) or _("Nothing was said.")))
    made = _("{made} transcripts written, {here} were there").format(made=report.made, here=len(report.transcripts) - report.made)
    return Group(Text(made, style="bold"), *lines)


# --- models and the GPU -----------------------------------------------------------------------------------------------
@view.register
def _models(report: ModelList) -> RenderableType:
    rows = table("", _("model"), _("size"), "VRAM", _("licence"), _("allows"), _("here"))
    for found in report.models:
        model = found.model
        rows.add_row(
            model.name,
            f"{model.bytes / GB:.1f} GB",
            f"{model.vram_gb:g} GB",
            model.licence,
            words.allows(model.allows),
            "✓" if found.here else "-",
        )
    hint = _("Download: models preload NAME. By hand: put the files into the folder that models list --json names for each.")
    return Group(rows, Text(hint))


@view.register
def _preload_plan(plan: PreloadPlan) -> RenderableType:
    rows = table("", _("model"), _("size"), _("licence"), _("source"))
    for found in plan.models:
        rows.add_row(found.model.name, f"{found.model.bytes / GB:.2f} GB", found.model.licence, found.model.page)
    here = [Text(_("Here already: {names}").format(names=", ".join(plan.here)))] if plan.here else []
    room = _("{need:.1f} GB to download, {free:.1f} GB free on the disk.").format(need=plan.bytes / GB, free=plan.free / GB)
    return Group(*([rows] if plan.models else []), *here, Text(room))


@view.register
def _preloaded(report: PreloadReport) -> RenderableType:
    fetched = ", ".join(report.fetched) or "-"
    return Text(_("Downloaded: {fetched}; {checked} files checked by SHA-256.").format(fetched=fetched, checked=report.checked))


@view.register
def _freed(report: Freed) -> RenderableType:
    return Text(_("Freed: {names}").format(names=", ".join(report.models)) if report.models else _("No model was loaded."))


@view.register
def _gpus(report: GPUs) -> RenderableType:
    loaded = [_loaded(report)]
    if not report.gpus:
        works = [Text(f"  - {_(label)}") for label in WITHOUT_GPU.values()]
        return Group(Text(_(NO_GPU)), Text(_("What works without one:")), *works, *loaded)
    rows = table("", _("GPU"), _("driver"), "CUDA", _("memory used"), _("free"), _("load"), "°C")
    for gpu in report.gpus:
        memory = f"{gpu.used_gb:.1f} / {gpu.total_gb:.1f} GB"
        rows.add_row(gpu.name, gpu.driver, gpu.cuda, memory, f"{gpu.free_gb:.1f} GB", f"{gpu.utilisation} %", str(gpu.temperature))
    ours = _("Ours: {allocated:.1f} GB allocated, {reserved:.1f} GB reserved.")
    return Group(rows, Text(ours.format(allocated=report.worker.allocated_gb, reserved=report.worker.reserved_gb)), *loaded)


def _loaded(report: GPUs) -> RenderableType:
    names = ", ".join(f"{model['name']} ({model['where']}, {model['gb']:.1f} GB)" for model in report.worker.loaded)
    return Text(_("Loaded models: {names}").format(names=names or "-"))
