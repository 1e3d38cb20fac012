"""The errors of a portrait that several modules raise, here, in `generation` and in `media`."""

from __future__ import annotations

from locales.language import N_
from utils import PipelineError


class RecipeRefused(PipelineError):
    """Facts: problem, cure."""

    message = N_("This cannot be painted so: {problem}")
    hint = N_("{cure}")


class OutOfMemory(PipelineError):
    """Facts: model."""

    message = N_("{model} does not fit into the memory, though everything that saves some was tried.")
    hint = N_("Close other programs that use the GPU, ask for a smaller size (--aspect, --side), or use another machine.")
