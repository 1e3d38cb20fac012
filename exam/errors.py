"""The error of an exam that several modules raise."""

from __future__ import annotations

from locales.language import N_
from utils import PipelineError


class NoHeldBackPhotos(PipelineError):
    """Facts: client."""

    message = N_("No photo of {client} with a face was held back from training, so there is nothing to examine the LoRA with.")
    hint = N_("Import real photos of other days and places, at least six in all, then build the dataset and train again.")
