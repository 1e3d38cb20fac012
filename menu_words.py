"""The words for what the menu and the screens name: stages, states, choices, and what came out of a step."""

from __future__ import annotations

from collections.abc import Mapping

from journey import State
from language import N_, _

STAGES = {
    "setup": N_("Setting up"),
    "sample": N_("Drawing the sample client"),
    "client": N_("Creating the client"),
    "client-export": N_("Packing the client (MB)"),
    "client-check": N_("Reading it back (MB)"),
    "import-mj": N_("Importing MidJourney images"),
    "import-photos": N_("Importing photos"),
    "process": N_("Finding and cropping faces"),
    "verdicts": N_("Putting the pictures where they belong"),
    "describe": N_("Describing the photos"),
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
    "upscale": N_("Enlarging portraits"),
    "swap": N_("Swapping faces"),
    "transcribe": N_("Listening"),
    "preload": N_("Downloading models"),
}
STATES = {State.DONE: N_("done"), State.NEXT: N_("next"), State.OPEN: N_("open"), State.WAITING: N_("waiting")}
CHOICES = {
    "person": N_("person"),
    "woman": N_("woman"),
    "man": N_("man"),
    "show": N_("show it"),
    "client show": N_("show it"),
    "client export": N_("export it: everything known of it in one .zip"),
    "client erase": N_("erase it, with everything made for it"),
    "quick": N_("quick"),
    "balanced": N_("balanced"),
    "quality": N_("quality"),
    "auto": N_("what fits this machine"),
    "program": N_("folders and settings"),
    "sd-scripts": N_("Kohya's sd-scripts too, which trains SDXL (downloads about 5 GB)"),
    "recommended": N_("the recommended values"),
    "original": N_("the original plan's values (more than the card is likely to hold)"),
    "list": N_("show them"),
    "export": N_("export one for ComfyUI, A1111, InvokeAI and diffusers"),
    "strip": N_("take the captions out of their headers"),
    "start": N_("start it"),
    "stop": N_("stop it"),
    "yes": N_("yes"),
    "no": N_("no"),
    "base": N_("SDXL in full quality"),
    "lightning-4": N_("SDXL-Lightning in 4 steps"),
    "lightning-8": N_("SDXL-Lightning in 8 steps"),
    "preload": N_("download what is missing"),
    "free": N_("free the memory that models of this menu hold"),
    "research": N_("research, not commercial"),
    "licensed": N_("commercial, with a licence bought from InsightFace"),
    "commercial": N_("commercial, without a licence"),
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
    return _(CHOICES.get(name, name))


def outcome(values: Mapping[str, int | float | str]) -> str:
    """What came out of a step, as one short line."""
    return ", ".join(_(OUTCOMES[name]).format(value=value) for name, value in values.items())
