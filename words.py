"""The words for every code a record may carry: stages, reasons, findings, verdicts. A code without words fails a test."""

from __future__ import annotations

from collections.abc import Mapping

from client import Reason, Rejection
from dataset import Finding, FindingCode, Verdict
from journey import State
from language import N_, _
from models import WHISPER_SIZES, Allows
from recipes import SIZES
from training_plan import Fit
from utils import Notice

STAGES = {
    "setup": N_("Setting up"),
    "sample": N_("Drawing the sample client"),
    "client": N_("Creating the client"),
    "import-mj": N_("Importing MidJourney images"),
    "import-photos": N_("Importing photos"),
    "process": N_("Finding and cropping faces"),
    "dataset": N_("Building the dataset"),
    "regularisation": N_("Drawing other people"),
    "train": N_("Training the LoRA"),
    "generate": N_("Painting portraits"),
    "likeness": N_("Measuring the likeness"),
    "upscale": N_("Enlarging portraits"),
    "swap": N_("Swapping faces"),
    "transcribe": N_("Listening"),
    "preload": N_("Downloading models"),
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
    Reason.NO_SUCH_NUMBER: N_("no face has that number; the preview shows them"),
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
    "yes": N_("yes"),
    "no": N_("no"),
    "auto": N_("as the model wants it"),
    "base": N_("SDXL in full quality"),
    "lightning-4": N_("SDXL-Lightning in 4 steps"),
    "lightning-8": N_("SDXL-Lightning in 8 steps"),
    "list": N_("show them"),
    "preload": N_("download what is missing"),
    "free": N_("free the memory that models hold"),
    "research": N_("research, not commercial"),
    "licensed": N_("commercial, with a licence bought from InsightFace"),
    "commercial": N_("commercial, without a licence"),
    **{ratio: ratio for ratio in SIZES},
    **{size: size for size in WHISPER_SIZES},
}
NOTICES = {
    "loading": N_("Loading {model}..."),
    "one_by_one": N_("The memory does not suffice for several at once: painting one by one."),
    "offload": N_("The GPU's memory does not suffice: models now wait in RAM until it is their turn. This is slower."),
    "attention_slicing": N_("Still too little memory: attention is computed in slices."),
    "vae_tiling": N_("Still too little memory: pictures are decoded in tiles."),
    "sequential_offload": N_("Still too little memory: the model comes to the GPU layer by layer. This is much slower."),
    "cpu_instead": N_("The GPU cannot be used for this ({reason}): the processor does it."),
}
ALLOWS = {
    Allows.ALL: N_("any use"),
    Allows.RULES: N_("commercial use too, within the licence's rules"),
    Allows.RESEARCH: N_("non-commercial research only"),
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


def reason(rejection: Rejection) -> str:
    """Why a picture was refused, with the measure and its limit, in the user's language."""
    return _(REASONS[rejection.reason]).format(measured=rejection.measured or 0.0, limit=rejection.limit or 0.0)


def finding(found: Finding) -> str:
    """What is worth knowing of a dataset, with its numbers, in the user's language."""
    return _(FINDINGS[found.code]).format(measured=found.measured, limit=found.limit)


def notice(told: Notice) -> str:
    """What a stage wants said, in the user's language."""
    return _(NOTICES[told.code]).format(**told.facts)


def allows(what: Allows) -> str:
    """What a licence allows, in the user's language."""
    return _(ALLOWS[what])


def outcome(values: Mapping[str, int | float | str]) -> str:
    """What came out of a step, as one short line."""
    return ", ".join(_(OUTCOMES[name]).format(value=value) for name, value in values.items())
