"""The errors of a training that several modules raise, here and in `lora_trainer`."""

from __future__ import annotations

from locales.language import N_
from utils import PipelineError


class PlanRefused(PipelineError):
    """Facts: reason, cure."""

    message = N_("This training cannot work: {reason}")
    hint = N_("{cure}")
