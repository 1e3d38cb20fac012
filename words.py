"""The words for every code a record may carry: stages, reasons, findings, verdicts. A code without words fails a test."""

from __future__ import annotations

from collections.abc import Mapping

from client import Reason, Rejection
from dataset import Finding, FindingCode, Verdict
from journey import State
from language import N_, _
from training_cost import Part
from training_plan import Fit
from training_queue import Outcome

STAGES = {
    "setup": N_("Setting up"),
    "sample": N_("Drawing the sample client"),
    "client": N_("Creating the client"),
    "import-mj": N_("Importing MidJourney images"),
    "import-photos": N_("Importing photos"),
    "process": N_("Finding and cropping faces"),
    "dataset": N_("Building the dataset"),
    "regularisation": N_("Drawing other people"),
    "trainer": N_("Setting up sd-scripts"),
    "doctor": N_("Examining this machine"),
    "checkpoints": N_("Reading the LoRAs"),
    "export": N_("Exporting the LoRA"),
    "tensorboard": N_("Starting TensorBoard"),
    "train": N_("Training the LoRA"),
    "generate": N_("Painting portraits"),
    "likeness": N_("Measuring the likeness"),
}
REASONS = {
    Reason.UNREADABLE: N_("cannot be read: damaged or cut off"),
    Reason.EMPTY: N_("the file is empty"),
    Reason.NOT_A_PICTURE: N_("not a picture, whatever its name says"),
    Reason.ANIMATED: N_("an animation; only still pictures are used"),
    Reason.TOO_LARGE: N_("too many pixels to open safely"),
    Reason.LINK_OUTSIDE: N_("a link that leads out of the folder"),
    Reason.NO_FACE: N_("no face was found"),
    Reason.LOW_CONFIDENCE: N_("hardly a face: confidence {measured:.2f}, at least {limit:.2f} is needed"),
    Reason.FACE_TOO_SMALL: N_("the face is too small: enlarged {measured:.1f} times, at most {limit:.1f}"),
    Reason.SEVERAL_FACES: N_("several people of similar size: crop it to the client"),
    Reason.TOO_DARK: N_("too dark: brightness {measured:.0f}, at least {limit:.0f}"),
    Reason.TOO_BRIGHT: N_("too bright: brightness {measured:.0f}, at most {limit:.0f}"),
    Reason.BURNT: N_("overexposed: {measured:.0%} of the face is white, at most {limit:.0%}"),
    Reason.LOW_CONTRAST: N_("too flat: contrast {measured:.0f}, at least {limit:.0f}"),
    Reason.BLURRED: N_("blurred: measured {measured:.2f}, limit {limit:.2f}"),
}
STATES = {State.DONE: N_("done"), State.NEXT: N_("next"), State.OPEN: N_("open"), State.WAITING: N_("waiting")}
FITS = {Fit.FITS: N_("it fits"), Fit.TIGHT: N_("it is tight"), Fit.NO: N_("it will not fit")}
VERDICTS = {
    Verdict.GO: N_("ready to train"),
    Verdict.WARNINGS: N_("can be trained, with warnings"),
    Verdict.NO_GO: N_("not ready to train"),
}
FINDINGS = {
    FindingCode.ONLY_MIDJOURNEY: N_("only MidJourney images ({measured:.0f}): the LoRA learns what MidJourney made of the client"),
    FindingCode.ONLY_PHOTOS: N_("only photos ({measured:.0f}): good, as long as light and background vary"),
    FindingCode.SHARE_OFF: N_("{measured:.1%} of what is seen is real, {limit:.1%} was wanted: whole repeats come no nearer"),
    FindingCode.FEW_PICTURES: N_("{measured:.0f} pictures are few; from {limit:.0f} on, less is learned by heart"),
    FindingCode.ENLARGED: N_("{measured:.0f} crops were enlarged more than {limit:.1f} times and are soft"),
}
CHOICES = {
    "person": N_("person"),
    "woman": N_("woman"),
    "man": N_("man"),
    "show": N_("show it"),
    "erase": N_("erase it, with everything made for it"),
    "quick": N_("quick"),
    "balanced": N_("balanced"),
    "quality": N_("quality"),
    "auto": N_("what this machine can use"),
    "program": N_("folders and settings"),
    "sd-scripts": N_("Kohya's sd-scripts too, which trains SDXL (downloads about 5 GB)"),
    "recommended": N_("the recommended values"),
    "original": N_("the original plan's values (more than the card is likely to hold)"),
    "list": N_("list them"),
    "export": N_("export one for ComfyUI, A1111, InvokeAI and diffusers"),
    "strip": N_("take the captions out of their headers"),
    "start": N_("start it"),
    "stop": N_("stop it"),
}
QUEUE = {
    Outcome.WAITING: N_("not begun"),
    Outcome.RUNNING: N_("training, or cut off there"),
    Outcome.DONE: N_("trained"),
    Outcome.FAILED: N_("failed"),
    Outcome.STOPPED: N_("stopped"),
}
PARTS = {
    Part.UNET: N_("U-Net"),
    Part.TEXT_ENCODERS: N_("text encoders"),
    Part.LORA: N_("LoRA and optimizer"),
    Part.ACTIVATIONS: N_("activations"),
    Part.CONTEXT: N_("CUDA itself"),
}
OUTCOMES = {
    "checks": N_("{value} checks"),
    "midjourney": N_("{value} MidJourney images"),
    "photos": N_("{value} photos"),
    "client": N_("trigger word {value}"),
    "added": N_("new: {value}"),
    "here": N_("{value} here"),
    "duplicates": N_("duplicates: {value}"),
    "refused": N_("refused: {value}"),
    "accepted": N_("accepted: {value}"),
    "rejected": N_("rejected: {value}"),
    "images": N_("{value} pictures"),
    "share_real": N_("{value:.0%} real"),
    "steps": N_("{value} steps"),
    "lora": N_("{value}"),
    "closed": N_("{value:.0%} of the way to the client"),
}


def stage(name: str) -> str:
    """What a stage is doing, in the user's language."""
    return _(STAGES[name])


def choice(name: str) -> str:
    """A choice of the menu, in the user's language."""
    return _(CHOICES[name])


def reason(rejection: Rejection) -> str:
    """Why a picture was refused, with the measure and its limit, in the user's language."""
    return _(REASONS[rejection.reason]).format(measured=rejection.measured or 0.0, limit=rejection.limit or 0.0)


def finding(found: Finding) -> str:
    """What is worth knowing of a dataset, with its numbers, in the user's language."""
    return _(FINDINGS[found.code]).format(measured=found.measured, limit=found.limit)


def outcome(values: Mapping[str, int | float | str]) -> str:
    """What came out of a step, as one short line."""
    return ", ".join(_(OUTCOMES[name]).format(value=value) for name, value in values.items())
