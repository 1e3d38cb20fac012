"""The action that paints portraits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator

import generation
from actions.action import Action, Answer, FollowUp, Shown, Stage
from actions.gallery import after_painting
from actions.request import Ask, ClientRequest, Job, Menu, UserPath
from client_folder.recommended_prompts import default_prompts
from generation import PortraitPlan, PortraitReport
from locales.language import N_, _, spoken
from machine.base_models import base_of
from portraits.magic_prompt import MagicPrompt
from portraits.prompts import PromptOptions, read_prompts, read_transcript
from portraits.recipes import (
    BASE_SAMPLERS,
    DEFAULT_SEEDS,
    DEFAULT_WEIGHT,
    RECIPES,
    SIZES,
    RecipeChoice,
    RecipeKind,
)
from portraits.sdxl import Sampler
from portraits.styles import load_styles
from training.checkpoints import list_checkpoints

USUAL_PICK, OWN_PICK, ALL_LORAS = "usual", "own", "all"
MOST_SEEDS = 64
MORE = 4  # portraits that are offered after those that were painted

_WEIGHT_HELP = N_("Weight of the LoRA, 0.7 to 1.0; 0 paints without it; several with commas make a grid:")
_SEED_HELP = N_("Seeds, with commas between them, or random:4 for four new ones:")
_MAGIC_HELP = N_("Magic prompt: add words of light, lens and quality; Spanish is put into English?")
_DETAIL_HELP = N_("paint it over at 1.5 times the size: share of the walk, such as 0.3")
_UPSCALE_HELP = N_("enlarge with this upscaler, realesrgan-x4plus or one of models/upscalers")
_RECIPE_LABELS = {
    "auto": N_("what fits this machine"),
    "base": N_("SDXL in full quality"),
    "lightning-4": N_("SDXL-Lightning in 4 steps"),
    "lightning-8": N_("SDXL-Lightning in 8 steps"),
}


# --- what is asked ----------------------------------------------------------------------------------------------------
def read_weights(given: Any) -> Any:
    """Weights, each a number or a text of numbers with commas or blanks between them; raises ValueError."""
    try:
        return [float(word) for one in given for word in (one.replace(",", " ").split() if isinstance(one, str) else [one])]
    except ValueError as error:
        raise ValueError(f"0.8 / 0.7,0.85,1: {error}") from error


def read_seeds(given: Any) -> Any:
    """Seeds, each a number, a text of numbers, or `random:4` for four that are drawn now; raises ValueError."""
    return [seed for one in given for seed in (_seeds(one) if isinstance(one, str) else [one])]


def _seeds(text: str) -> Sequence[int]:
    kind, _colon, count = text.partition(":")
    try:
        if kind.strip() != "random":
            return [int(word) for word in text.replace(",", " ").split()]
        drawn = int(count or 1)
    except ValueError as error:
        raise ValueError(f"11,12 / random:4: {error}") from error
    if not 1 <= drawn <= MOST_SEEDS:
        raise ValueError(f"random:1 - random:{MOST_SEEDS}")
    return generation.random_seeds(drawn)


def _recommended(job: Job[GenerateRequest]) -> tuple[str, ...]:
    return default_prompts(job.who.id, job.who.state().class_word, base_of(job.who, job.settings).practice)


def _picks(job: Job[GenerateRequest]) -> list[tuple[str, str]]:
    """What the menu offers to paint: the recommended prompts of this client, together or one of them, or one's own."""
    ready = [(str(number), prompt) for number, prompt in enumerate(_recommended(job), 1)]
    return [(USUAL_PICK, _("the recommended prompts, with the usual settings")), *ready, (OWN_PICK, _("a prompt of my own"))]


def _details(job: Job[GenerateRequest]) -> bool:
    """Whether the menu asks for more than what to paint."""
    return job.request.pick != USUAL_PICK


def _styles(job: Job[GenerateRequest]) -> list[tuple[str, str]]:
    return [("none", _("no style")), *((name, style.label(spoken())) for name, style in load_styles(job.home).items())]


def _checkpoints(job: Job[GenerateRequest]) -> list[tuple[str, str]]:
    """The newest first; and all of them, side by side."""
    names = [checkpoint.path.stem for checkpoint in list_checkpoints(job.who) if checkpoint.whole]
    return [
        ("", _("the newest finished one")),
        *((name, name) for name in reversed(names)),
        (ALL_LORAS, _("all of them, side by side")),
    ]


class GenerateRequest(ClientRequest):
    """What to paint and how: every prompt with every seed, LoRA and weight. What is left out is what suits the base model."""

    pick: Annotated[str, Ask(N_("What shall be painted?"), "--pick", "N", menu=Menu.CHOICE, offer=_picks)] = ""
    prompt: Annotated[
        tuple[str, ...], Ask(N_("Prompt:"), "--prompt", "TEXT", menu=Menu.TEXT, when=lambda job: job.request.pick == OWN_PICK)
    ] = ()
    prompt_file: Annotated[UserPath | None, Ask(N_("file of prompts, one a line"), "--prompt-file", "FILE")] = None
    transcript: Annotated[str, Ask(N_("transcript of the client, used as a prompt"), "--transcript", "NAME")] = ""
    style: Annotated[str, Ask(N_("Style:"), "--style", "NAME", menu=Menu.CHOICE, offer=_styles, when=_details)] = ""
    magic: Annotated[bool, Ask(_MAGIC_HELP, "--magic", menu=Menu.CHOICE, when=_details)] = False
    negative: Annotated[str, Ask(N_("what must not be seen"), "--negative", "TEXT")] = ""
    recipe: Annotated[
        str,
        Ask(
            N_("Recipe:"), "--recipe", menu=Menu.CHOICE, choices=RECIPES, labels=_RECIPE_LABELS,
            when=lambda job: _details(job) and not base_of(job.who, job.settings).practice,
        ),
    ] = "auto"  # fmt: skip
    steps: Annotated[int | None, Ask(N_("steps of a base, 20 to 30"), "--steps", "N")] = None
    cfg: Annotated[float | None, Ask(N_("guidance of a base, 7 to 8 is usual"), "--cfg", "X")] = None
    sampler: Annotated[str | None, Ask(N_("sampler of a base"), "--sampler", choices=BASE_SAMPLERS)] = None
    lora: Annotated[
        tuple[str, ...],
        Ask(
            N_("Checkpoint:"), "--lora", "NAME", menu=Menu.CHOICE, offer=_checkpoints,
            when=lambda job: _details(job) and sum(one.whole for one in list_checkpoints(job.who)) > 1,
        ),
    ] = ()  # fmt: skip
    weight: Annotated[
        tuple[float, ...], BeforeValidator(read_weights), Ask(_WEIGHT_HELP, "--weight", "X", menu=Menu.TEXT, when=_details)
    ] = ()
    seed: Annotated[
        tuple[int, ...], BeforeValidator(read_seeds), Ask(_SEED_HELP, "--seed", "N", menu=Menu.TEXT, when=_details)
    ] = ()
    aspect: Annotated[str, Ask(N_("Width to height:"), "--aspect", menu=Menu.CHOICE, choices=tuple(SIZES), when=_details)] = "1:1"
    side: Annotated[int | None, Ask(N_("side in pixels of the square of the same area"), "--side", "PX")] = None
    detail: Annotated[float, Ask(_DETAIL_HELP, "--detail", "X")] = 0.0
    upscale: Annotated[str, Ask(_UPSCALE_HELP, "--upscale", "NAME")] = ""


# --- what is done -----------------------------------------------------------------------------------------------------
def _prompts(job: Job[GenerateRequest]) -> tuple[str, ...]:
    request = job.request
    prompts = request.prompt
    if request.prompt_file:
        prompts += read_prompts(request.prompt_file)
    if request.transcript:
        prompts += (read_transcript(job.who, request.transcript),)
    if not prompts and request.pick.isdigit():
        ready = _recommended(job)
        prompts = (ready[min(int(request.pick), len(ready)) - 1],)
    return prompts


def plan_portraits(job: Job[GenerateRequest]) -> PortraitPlan:
    """What would be painted."""
    request = job.request
    prompt_options = PromptOptions(_prompts(job), request.negative, request.style, request.magic)
    loras = tuple(name for name in request.lora if name)
    if ALL_LORAS in loras:
        loras = tuple(checkpoint.path.name for checkpoint in list_checkpoints(job.who) if checkpoint.whole)
    return generation.plan_portraits(
        job.who, job.settings, prompt_options=prompt_options, seeds=request.seed or DEFAULT_SEEDS, loras=loras,
        weights=request.weight or (DEFAULT_WEIGHT,),
        choice=RecipeChoice(request.recipe, request.steps, request.cfg, request.sampler or ""),
        image_options=generation.ImageOptions(request.aspect, request.side, request.detail, request.upscale),
    )  # fmt: skip


def generate(job: Job[GenerateRequest]) -> Stage:
    """Paint what was planned."""
    return generation.generate(job.who, job.settings, job.plan, job.session.model_process)


# --- what is answered -------------------------------------------------------------------------------------------------
class RecipeAnswer(Answer):
    """In which steps the model paints; `unet` is the few-step model where one is used."""

    kind: RecipeKind
    steps: int
    guidance: float
    sampler: Sampler
    unet: Path | None


class PortraitPlanAnswer(Answer):
    """What would be painted: how many pictures in all, how many are missing, in which size in pixels."""

    base: Path
    lora: Path | None
    total: int
    missing: int
    recipe: RecipeAnswer
    width: int
    height: int
    prompts: tuple[MagicPrompt, ...]

    @classmethod
    def of(cls, plan: PortraitPlan) -> Self:
        """The plan."""
        return cls(
            base=plan.base, lora=plan.lora, total=plan.total, missing=plan.missing,
            recipe=RecipeAnswer(**asdict(plan.recipe), unet=plan.setup.files.unet),
            width=plan.size[0], height=plan.size[1], prompts=plan.prompts,
        )  # fmt: skip


class PortraitAnswer(Answer):
    """A finished portrait; `lora` is empty and `weight` 0 for one of the base alone."""

    file: Path
    seed: int
    lora: str
    weight: float
    prompt: str


class GenerateAnswer(Answer):
    """Every portrait that was asked for, how many of them were painted now, and the sheet that shows them."""

    images: tuple[PortraitAnswer, ...]
    contact_sheet: Path
    painted: int
    enlarged: tuple[Path, ...]


# --- what may follow ---------------------------------------------------------------------------------------------------
def _made(_job: Job[GenerateRequest], report: PortraitReport) -> tuple[Path, ...]:
    return (report.contact_sheet,)


def _shown(_job: Job[GenerateRequest], report: PortraitReport) -> tuple[Shown, ...]:
    """The portraits, under the numbers by which they can be marked."""
    return tuple(Shown(image.file, str(number)) for number, image in enumerate(report.images, 1))


def _offers(job: Job[GenerateRequest], report: PortraitReport) -> tuple[FollowUp, ...]:
    """The same again with other seeds, about four portraits of it, and what can be done with what is there."""
    each = max(1, len(report.images) // max(1, len({image.seed for image in report.images})))  # portraits a seed
    seeds = max(1, MORE // each)
    again = job.request.model_copy(update={"seed": generation.random_seeds(seeds)})
    more = FollowUp(_("{count} more, with new seeds").format(count=seeds * each), "generate", again)
    return (more, *after_painting(job.who.id))


GENERATE = Action(
    "generate", GenerateRequest, generate, GenerateAnswer.of, plan=plan_portraits, plan_answer=PortraitPlanAnswer.of,
    made=_made, shown=_shown, offers=_offers,
)  # fmt: skip
ACTIONS = (GENERATE,)
