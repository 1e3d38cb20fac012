"""The errors of pictures as files that several modules raise, here and in `image_processor`."""

from __future__ import annotations

from locales.language import N_
from utils import PipelineError


class NoPictures(PipelineError):
    """Facts: path, kinds."""

    message = N_("{path} holds no picture that can be imported.")
    hint = N_("Kinds that can be read: {kinds}. Folders inside are searched too.")
