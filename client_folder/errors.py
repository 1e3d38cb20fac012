"""The errors of a client's folder that several modules raise, here and in `actions`."""

from __future__ import annotations

from locales.language import N_
from utils import PipelineError


class PictureMissing(PipelineError):
    """Facts: name, client."""

    message = N_('"{client}" has no picture "{name}".')
    hint = N_("Name it as the list does: rejected --client {client}")
