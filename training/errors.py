"""The errors of training that have a room of their own: branches of the tree in `utils`, each with what happened and what to do."""

from __future__ import annotations

from locales.language import N_
from utils import PipelineError, TrainerFailed


class MemoryFull(TrainerFailed):
    """Facts: cause, evidence, cure, log, smaller: what would make the plan smaller, as a setting."""

    hint = N_("{cure} Smaller would be: {smaller}; --yes takes such steps by itself. Everything the trainer said: {log}")


class QueueFailed(PipelineError):
    """Facts: failed, total."""

    message = N_("{failed} of {total} trainings failed.")
    hint = N_("The table says why; the same queue again goes on with those only.")


class SetupFailed(PipelineError):
    """Facts: step, evidence, cure, log."""

    message = N_("sd-scripts could not be set up: {step}\n    {evidence}")
    hint = N_("{cure} Then run setup again: it goes on where it stopped. Everything that was said: {log}")


class GPUBusy(PipelineError):
    """Facts: gpu, client."""

    message = N_('{gpu} is training "{client}" just now.')
    hint = N_("Wait until that has ended, or train several clients one after another with: queue")


class NoCheckpoint(PipelineError):
    """Facts: name, known."""

    message = N_('There is no whole LoRA "{name}".')
    hint = N_("Those that can be used: {known}")


class TornCheckpoint(PipelineError):
    """Facts: name, known."""

    message = N_('The LoRA "{name}" is cut off: part of its file is missing.')
    hint = N_("Train again, which goes on from the last whole state. Those that can be used: {known}")


class ExportRefused(PipelineError):
    """Facts: path, app."""

    message = N_("{path} does not look like {app}.")
    hint = N_("Name the folder that holds its models folder.")


class NoSDXL(PipelineError):
    """Facts: lora, apps."""

    message = N_("{lora} was trained on the embedded practice base: it fits no SDXL model, and {apps} could not use it.")
    hint = N_(
        "To paint elsewhere, train on SDXL: settings base_model=sdxl, then train. This one can go to diffusers, with the base it "
        "fits: checkpoints export --for diffusers"
    )
