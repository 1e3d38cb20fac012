"""The errors of a client's folder that several modules raise, here and in `actions`."""

from __future__ import annotations

from locales.language import N_
from utils import PipelineError


class PictureMissing(PipelineError):
    """Facts: name, client."""

    message = N_('"{client}" has no picture "{name}".')
    hint = N_("Name it as the list does: rejected --client {client}")


class EraseBlocked(PipelineError):
    """Facts: client, path, reason."""

    message = N_("{client} cannot be erased: {path}: {reason}. Nothing was changed.")
    hint = N_("Close the programs that hold files of it open, such as a viewer or ComfyUI, and erase it again.")


class EraseUnfinished(PipelineError):
    """Facts: client, count, path."""

    message = N_("{client} is no client any more, but {count} files could not be removed: {path}")
    hint = N_("Close the programs that hold them open; the next start of this program removes the rest.")
