"""How the GPU and the models look: what is here, what would be downloaded, what is loaded."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from actions.machine import WITHOUT_GPU, Freed, GPUs, ModelList
from locales.language import N_, _, ngettext
from machine.downloads import PreloadPlan, PreloadReport
from machine.model_process import ModelProcessStatus
from machine.models import in_gb
from terminal.screens import Views, table

NO_GPU = N_("No NVIDIA GPU here. The embedded model paints and trains on the processor; SDXL itself needs a card.")
NOT_LOADED = N_("Loaded models: none in this window. Those of a menu in another window, that menu shows.")
NOT_FREED = N_("No model is loaded in this window. Only a menu frees its own: under Models, or when it ends.")


def _models(report: ModelList) -> RenderableType:
    rows = table("", _("model"), _("size"), "VRAM", _("licence"), _("allows"), _("here"))
    for found in report.models:
        model = found.model
        rows.add_row(
            model.name,
            in_gb(model.bytes),
            f"{model.vram_gb:g} GB",
            model.licence,
            model.allows.label,
            "✓" if found.here else "-",
        )
    hint = _("Download: models preload NAME. By hand: put the files into the folder that models list --json names for each.")
    return Group(rows, Text(hint))


def _preload_plan(plan: PreloadPlan) -> RenderableType:
    rows = table("", _("model"), _("size"), _("licence"), _("source"))
    for found in plan.models:
        rows.add_row(found.model.name, in_gb(found.missing_bytes), found.model.licence, found.model.page)
    here = [Text(_("Here already: {names}").format(names=", ".join(plan.here)))] if plan.here else []
    return Group(*([rows] if plan.models else []), *here, Text(room(plan)))


def room(plan: PreloadPlan) -> str:
    """What would come, and what is free for it."""
    return _("{need} to download, {free} free on the disk.").format(need=in_gb(plan.bytes), free=in_gb(plan.free))


def _preloaded(report: PreloadReport) -> RenderableType:
    fetched = ", ".join(report.fetched) or "-"
    said = ngettext(
        "Downloaded: {fetched}; {count} file checked against its published hash.",
        "Downloaded: {fetched}; {count} files checked against their published hash.",
        report.checked,
    )
    return Text(said.format(fetched=fetched, count=report.checked))


def _freed(report: Freed) -> RenderableType:
    if not report.running:
        return Text(_(NOT_FREED))
    return Text(_("Freed: {names}").format(names=", ".join(report.models)) if report.models else _("No model was loaded."))


def _gpus(report: GPUs) -> RenderableType:
    loaded = _loaded(report.worker)
    if not report.gpus:
        works = [Text(f"  - {_(label)}") for label in WITHOUT_GPU.values()]
        others = [Text(f"{card.name}: {_(card.maker.use)}") for card in report.others]
        return Group(Text(_(NO_GPU)), *others, Text(_("What works without one:")), *works, *loaded)
    rows = table("", _("GPU"), _("driver"), "CUDA", _("memory used"), _("free"), _("load"), "°C")
    for gpu in report.gpus:
        memory = f"{_told(gpu.used_gb, '{:.1f}')} / {_told(gpu.total_gb or None, '{:.1f}')} GB"
        rows.add_row(
            gpu.name.removeprefix("NVIDIA "),
            gpu.driver or "-", gpu.cuda or "-", memory, _told(gpu.free_gb, "{:.1f} GB"), _told(gpu.utilisation, "{} %"),
            _told(gpu.temperature, "{}"),
        )  # fmt: skip
    holders = table("", _("on the GPU"), "PID", _("memory used"), "")
    processes = [process for gpu in report.gpus for process in gpu.processes]
    for process in processes:
        memory = f"{process.memory_gb:.1f} GB" if process.memory_gb else "?"
        ours = _("this program's models") if process.pid == report.worker.pid else ""
        holders.add_row(process.program or "?", str(process.pid), memory, ours)
    return Group(rows, *([holders] if processes else []), *loaded)


def _told(figure: float | None, form: str) -> str:
    """A figure, or a dash where the driver does not tell it."""
    return "-" if figure is None else form.format(figure)


def _loaded(worker: ModelProcessStatus) -> list[RenderableType]:
    """What this program's own worker holds: that of a menu in another window is only a process on the GPU."""
    if not worker.running:
        return [Text(_(NOT_LOADED))]
    held = _("Ours: {allocated:.1f} GB allocated, {reserved:.1f} GB reserved.")
    names = ", ".join(f"{model['name']} ({model['where']}, {model['gb']:.1f} GB)" for model in worker.loaded)
    sums = [Text(held.format(allocated=worker.allocated_gb, reserved=worker.reserved_gb))] if worker.reserved_gb else []
    return [*sums, Text(_("Loaded models: {names}").format(names=names or "-"))]


VIEWS: Views = {
    ModelList: _models,
    PreloadPlan: _preload_plan,
    PreloadReport: _preloaded,
    Freed: _freed,
    GPUs: _gpus,
}
