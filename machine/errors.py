"""The errors of models, portraits, swaps and transcripts: a branch of the tree that `utils` draws.

::

    PipelineError
    ├── RecipeRefused      a model cannot be walked as asked
    ├── StyleMissing       there is no such style
    ├── PromptsMissing     a file of prompts holds none
    ├── OutOfMemory        a model does not fit, whatever is given up for it
    ├── WorkerDied         the process that holds the models was ended
    ├── HubUnreachable     a model cannot be downloaded
    ├── ModelDamaged       a download is not what was published
    ├── ModelUnknown       the table of models has no such name
    ├── LicenceRefused     a model must not be used for that
    ├── ConsentMissing     the person has not agreed
    ├── NoTargetFace       there is no face to replace
    └── NoSpeech           a file holds no sound that can be read
"""

from __future__ import annotations

from locales.language import N_
from utils import PipelineError


class RecipeRefused(PipelineError):
    """Facts: problem, cure."""

    message = N_("This cannot be painted so: {problem}")
    hint = N_("{cure}")


class StyleMissing(PipelineError):
    """Facts: style, known."""

    message = N_('There is no style "{style}".')
    hint = N_("Styles here: {known}. Add your own in a .toml file in the folder styles.")


class PromptsMissing(PipelineError):
    """Facts: path."""

    message = N_("{path} holds no prompt.")
    hint = N_("Write one prompt a line; lines that begin with # are passed over.")


class OutOfMemory(PipelineError):
    """Facts: model."""

    message = N_("{model} does not fit into the memory, though everything that saves some was tried.")
    hint = N_("Close other programs that use the GPU, ask for a smaller size (--aspect, --side), or use another machine.")


class WorkerDied(PipelineError):
    """Facts: cause, log."""

    message = N_("The process that holds the models was ended: {cause}")
    hint = N_("Every finished picture is kept; run the same command again. What it said: {log}")


class HubUnreachable(PipelineError):
    """Facts: model, reason, source, place."""

    message = N_("{model} cannot be downloaded: {reason}")
    hint = N_("Try again with a connection; what has arrived is kept. Or place the files by hand: from {source} into {place}")


class ModelDamaged(PipelineError):
    """Facts: path, expected, found."""

    message = N_("{path} is not the file that was published (SHA-256 {found}, published {expected}); it was removed.")
    hint = N_("Run models preload again. If it happens twice, something on the way changes the file.")


class LicenceRefused(PipelineError):
    """Facts: reason, cure."""

    message = N_("InsightFace's models are not opened: {reason}")
    hint = N_("{cure}")


class NoTargetFace(PipelineError):
    """Facts: path, problem."""

    message = N_("{path}: {problem}")
    hint = N_("swap --preview shows every face with its number.")


class NoSpeech(PipelineError):
    """Facts: path, reason."""

    message = N_("{path} holds no sound that can be read: {reason}")
    hint = N_("Any audio or video file with a sound track can be read, such as WAV, MP3, M4A, OGG, MP4, MKV.")


class ModelUnknown(PipelineError):
    """Facts: name, known."""

    message = N_('There is no model "{name}" in the table.')
    hint = N_("Models: {known}")
