"""Painting portraits: the program's side, which asks a worker for what is missing, and the worker's, which paints it.

Portraits of one model, size and recipe are painted in batches of a fixed size, which is the machine's. A batch of which some
pictures are there is painted whole and only the missing ones are written: so a run that was killed ends with the same pixels.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from machine.gpu import find_gpus
from machine.model_process import ModelProcess, relay
from machine.vram import ModelCache
from machine.worker_tasks import TaskReporter
from portraits.errors import OutOfMemory
from portraits.portrait import Portrait, PortraitJob, PortraitRecord, write_portrait
from portraits.sdxl import ImageRequest, ModelFiles, SdxlPipeline, is_out_of_memory
from utils import Event, Progress, Record, sweep_parts, whole_png

if TYPE_CHECKING:
    from PIL import Image

SMALL_PX = 256 * 256
CPU_BATCH = 4  # of small pictures: more gain nothing on two cores (benchmarks/portraits.py)
MAX_BATCH = 8
SDXL_GB = 7.0  # weights and text encoders in fp16
GB_A_MEGAPIXEL = 1.2  # of a picture in the batch, with guidance, in fp16; an estimate; what it misses, saving memory catches
DETAIL_SCALE = 1.5  # how much larger the second pass paints


class Piece(Record):
    """One portrait of an order."""

    record: PortraitRecord
    file: Path
    missing: bool


class PaintOrder(Record):
    """Portraits to paint with one set of models; LoRA and weight may change from batch to batch."""

    base: Path
    unet: Path | None = None
    vae: Path | None = None
    config: Path | None = None
    batches: tuple[tuple[Path | None, tuple[Piece, ...]], ...]  # LoRA, and the pieces it is loaded for at one weight


# --- the program's side -----------------------------------------------------------------------------------------------
def paint_missing(
    folder: Path, jobs: Sequence[PortraitJob], stage: str, model_process: ModelProcess | None = None
) -> Generator[Event, None, tuple[Portrait, ...]]:
    """Paint the portraits that are not on disk yet; where none is missing, no worker is started.

    Without a model process one is started, and closed at the end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sweep_parts(folder)
    if all(whole_png(piece.file) for piece in jobs):
        yield Progress(stage, len(jobs), len(jobs))
        return tuple(piece.portrait for piece in jobs)
    with contextlib.ExitStack() as owned:
        model_process = model_process or owned.enter_context(ModelProcess())
        for order in _orders(jobs):
            yield from relay(model_process.ask("paint", order), stage)
    return tuple(piece.portrait for piece in jobs)


def _orders(jobs: Sequence[PortraitJob]) -> list[PaintOrder]:
    """One order for each set of models, its pieces by LoRA, weight and recipe in the order of the jobs."""
    orders: dict[ModelFiles, dict[tuple[Any, ...], list[Piece]]] = {}
    loras: dict[tuple[Any, ...], Path | None] = {}
    for one in jobs:
        record = one.record
        key = (one.lora, record.weight, record.steps, record.guidance, record.sampler, record.width, record.height, record.detail)
        loras[key] = one.lora
        groups = orders.setdefault(one.setup.files, {})
        groups.setdefault(key, []).append(Piece(record=record, file=one.file, missing=not whole_png(one.file)))
    paint_orders = []
    for files, groups in orders.items():
        batches = tuple((loras[key], tuple(pieces)) for key, pieces in groups.items())
        paint_orders.append(PaintOrder(base=files.base, unet=files.unet, vae=files.vae, config=files.config, batches=batches))
    return paint_orders


# --- the worker's side ------------------------------------------------------------------------------------------------
def paint_order(facts: dict[str, Any], models_in_memory: ModelCache, reporter: TaskReporter) -> dict[str, Any]:
    """Paint an order, each picture written as soon as its batch is done; what does not fit the memory is painted slower."""
    order = PaintOrder.model_validate(facts)
    files = ModelFiles(order.base, order.unet, order.vae, order.config)
    first = order.batches[0][1][0].record
    name = f"{first.unet or first.base} ({(first.unet_digest or first.base_digest)[:8]}{first.vae_digest[:4]})"
    loads = models_in_memory.loads
    if not any(name == loaded.name for loaded in models_in_memory.loaded()):
        reporter.note("loading", model=first.unet or first.base)
    pipeline = models_in_memory.take(name, lambda: SdxlPipeline(files))
    if pipeline.begun_with and models_in_memory.loads > loads:
        reporter.note(pipeline.begun_with.value)
    painter = _BatchPainter(pipeline, reporter, batch_size(first.width * first.height))
    batches = [(lora, some) for lora, pieces in order.batches for some in painter.batches(pieces)]
    painter.total = sum(piece.record.steps * len(some) for _lora, some in batches for piece in some[:1])
    try:
        for lora, some in batches:
            painter.paint(lora, some)
    except OutOfMemory:
        models_in_memory.drop(name)  # half of it may lie anywhere
        raise
    return {"painted": painter.written, "loads": models_in_memory.loads - loads}


def batch_size(pixels: int) -> int:
    """How many pictures this machine paints at once: by its whole memory, not by what is free, so that it stays the same."""
    gpus = find_gpus()
    if not gpus:
        return CPU_BATCH if pixels <= SMALL_PX else 1
    if pixels <= SMALL_PX:
        return MAX_BATCH
    free_gb = max(gpu.total_gb for gpu in gpus) - SDXL_GB
    return max(1, min(MAX_BATCH, int(free_gb / (GB_A_MEGAPIXEL * pixels / 1e6))))


class _BatchPainter:
    """Paints the batches of one order and counts their steps."""

    def __init__(self, pipeline: SdxlPipeline, reporter: TaskReporter, size: int) -> None:
        self._pipeline = pipeline
        self._reporter = reporter
        self._size = size
        self._done = 0
        self.total = 0
        self.written = 0

    def batches(self, pieces: Sequence[Piece]) -> list[tuple[Piece, ...]]:
        """The pieces in batches, those left out of which nothing is missing."""
        batches = []
        for start in range(0, len(pieces), self._size):
            batch = tuple(pieces[start : start + self._size])
            if any(piece.missing for piece in batch):
                batches.append(batch)
        return batches

    def paint(self, lora: Path | None, pieces: Sequence[Piece]) -> None:
        """One batch: paint, write what is missing, say so."""
        self._pipeline.load_lora(lora, pieces[0].record.weight)
        pictures = self._within_memory([piece.record.image_request() for piece in pieces])
        for piece, picture in zip(pieces, pictures, strict=True):
            if not piece.missing:
                continue
            finished = self._refined(picture, piece.record) if piece.record.detail else picture
            write_portrait(piece.file, finished, piece.record)
            self.written += 1
            self._reporter.item(file=str(piece.file), seed=piece.record.seed)
        self._done += pieces[0].record.steps * len(pieces)
        self._reporter.progress(self._done, self.total, pieces[-1].file.name)

    def _within_memory(self, requests: Sequence[ImageRequest]) -> list[Image.Image]:
        """The pictures; where memory runs out, one by one, then with one more memory saver each time; raises OutOfMemory."""

        def on_step(step: int) -> None:
            self._reporter.progress(self._done + step * min(len(requests), self._size), self.total)

        while True:
            size = min(self._size, len(requests))
            try:
                pictures: list[Image.Image] = []
                for start in range(0, len(requests), size):
                    pictures += self._pipeline.paint_batch(requests[start : start + size], on_step)
                return pictures
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            if self._size > 1:
                self._size = 1
                self._reporter.note("one_by_one")
            else:
                self._reporter.note(self._pipeline.save_memory().value)

    def _refined(self, picture: Image.Image, record: PortraitRecord) -> Image.Image:
        """The picture painted over at a larger size, which gives small faces their detail."""
        from PIL import Image

        unit = 8
        size = (round(record.width * DETAIL_SCALE / unit) * unit, round(record.height * DETAIL_SCALE / unit) * unit)
        larger = picture.resize(size, Image.Resampling.LANCZOS)
        return self._pipeline.refine(larger, record.image_request(), record.detail)
