"""Who may hold the video memory: one model on the GPU at a time, the others in RAM while there is room, else dropped.

Knows nothing of what a model does; it must say what it takes, and be able to leave the GPU and to come back.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeVar

import psutil

from machine.gpu import find_gpus
from machine.worker_tasks import TaskReporter

RAM_KEPT_FREE_GB = 4.0  # for the system, the pictures and whatever else the user runs; chosen


class CachedModel(Protocol):
    """A model in memory."""

    @property
    def gb(self) -> float:
        """What its weights take, in GB."""

    def to_ram(self) -> bool:
        """Leave the GPU; False where it cannot, and must be dropped instead."""

    def to_gpu(self) -> None:
        """Come back."""


Model = TypeVar("Model", bound=CachedModel)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is loaded, as `gpu` shows it."""

    name: str
    where: str  # gpu, ram, or cpu where there is no GPU
    gb: float


def dropped(waiting: Sequence[tuple[str, float]], ram_free_gb: float) -> tuple[str, ...]:
    """Which of the waiting models (name and GB, the longest unused first) have to go so that the rest fits beside the reserve."""
    names = []
    missing_gb = RAM_KEPT_FREE_GB - ram_free_gb
    for name, gb in waiting:
        if missing_gb <= 0:
            break
        names.append(name)
        missing_gb -= gb
    return tuple(names)


class ModelCache:
    """Every model of a worker. `take` hands one out, loaded only where it is not here; the last one taken is the one on the GPU."""

    def __init__(self, ram_free_gb: Callable[[], float] = lambda: psutil.virtual_memory().available / 1e9) -> None:
        self._models: dict[str, Any] = {}  # the last one used last
        self._ram_free_gb = ram_free_gb
        self.loads = 0

    def take(self, name: str, load: Callable[[], Model]) -> Model:
        """The model of that name, on the GPU where there is one; every other leaves it first."""
        self._make_room(name)
        if name in self._models:
            model = self._models.pop(name)
            model.to_gpu()
        else:
            model = load()
            self.loads += 1
        self._models[name] = model
        return model

    def drop(self, name: str) -> None:
        """Forget one model."""
        self._models.pop(name, None)
        _collect()

    def clear(self) -> tuple[str, ...]:
        """Forget every model; their names."""
        names = tuple(self._models)
        self._models.clear()
        _collect()
        return names

    def _make_room(self, wanted: str) -> None:
        """Take the others off the GPU, and drop what RAM has no room for; without a GPU they are in RAM already."""
        others = [name for name in self._models if name != wanted]
        for name in others:
            if not self._models[name].to_ram():
                del self._models[name]
        waiting = [(name, self._models[name].gb) for name in others if name in self._models]
        for name in dropped(waiting, self._ram_free_gb()):
            del self._models[name]
        if others:
            _collect()

    def loaded(self) -> tuple[Loaded, ...]:
        """What is loaded, the last one used first."""
        names = list(reversed(self._models))
        places = ["gpu" if find_gpus() else "cpu", *["ram"] * len(names)]
        return tuple(Loaded(name, place, round(self._models[name].gb, 2)) for name, place in zip(names, places, strict=False))


def video_memory() -> tuple[float, float]:
    """What torch has allocated and reserved on the GPU, in GB; zeros without one, or before torch is loaded."""
    import sys

    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return 0.0, 0.0
    return torch.cuda.memory_allocated() / 1e9, torch.cuda.memory_reserved() / 1e9


def status_order(_facts: dict[str, Any], models_in_memory: ModelCache, _reporter: TaskReporter) -> dict[str, Any]:
    """A worker's task: which models are loaded, and what torch holds of the GPU, in GB."""
    allocated, reserved = video_memory()
    return {"loaded": [asdict(model) for model in models_in_memory.loaded()], "allocated_gb": allocated, "reserved_gb": reserved}


def _collect() -> None:
    """Give freed memory back to the system and to the driver."""
    import sys

    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
