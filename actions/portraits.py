"""The action that paints portraits."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator

import generation
from actions.action import Action, Answer, FollowUp, Shown, Stage, always
from actions.base_choice import BASE_HELP, BASE_ROW, offer_bases
from actions.form import request_form
from actions.gallery import after_painting
from actions.request import Ask, ClientRequest, Job, UserPath
from client_folder.recommended_prompts import default_prompts, prompt_labels
from generation import PortraitPlan, PortraitReport
from locales.language import N_, _, ngettext, spoken
from machine.base_models import BaseModel, base_of
from machine.models import models_folder
from portraits.errors import RecipeRefused
from portraits.magic_prompt import MagicPrompt
from portraits.prompts import PromptOptions, read_prompts, read_transcript
from portraits.recipes import (
    BASE_RECIPE,
    BASE_SAMPLERS,
    DEFAULT_SEEDS,
    DEFAULT_WEIGHT,
    HIGHEST_WEIGHT,
    LIGHTNING_RECIPES,
    RECIPES,
    SIZES,
    Recipe,
    RecipeChoice,
    RecipeKind,
    guidance_of,
    recipe_for,
    sides_of,
    steps_of,
)
from portraits.sdxl import Sampler
from portraits.styles import load_styles
from portraits.upscaler import FOLDER, list_upscalers
from training.checkpoints import exam_choice, list_checkpoints
from utils import PipelineError

USUAL_PICK, OWN_PICK, ALL_LORAS = "usual", "own", "all"
MOST_SEEDS = 64
MORE = 4  # portraits that are offered after those that were painted

_WEIGHT_HELP = N_("Weight of the LoRA, 0.7 to 1.0; 0 paints without it; several with commas make a grid:")
_SEED_HELP = N_("Seeds, with commas between them, or random:4 for four new ones:")
_COUNT_HELP = N_("so many new seeds a prompt: other pictures each time")
_MAGIC_HELP = N_("Magic prompt: add words of light, lens and quality; Spanish is put into English?")
_DETAIL_HELP = N_("paint it over at 1.5 times the size: share of the walk, such as 0.3")
_UPSCALE_HELP = N_("enlarge with this upscaler, realesrgan-x4plus or one of models/upscalers")
_BASE_HELP = N_("base model: embedded, sdxl, a diffusers folder or a .safetensors file; empty: the client's")
_PICK_ROW_HELP = N_("The recommended prompts name the client in words that the base model knows.")
_PROMPT_ROW_HELP = N_("What is to be seen; Spanish needs magic prompt. The trigger word is put in front where it is missing.")
_NEGATIVE_ROW_HELP = N_("What must not be seen, such as: hat, glasses, text.")
_STYLE_ROW_HELP = N_("Words of light and place that are put behind the prompt.")
_MAGIC_ROW_HELP = N_("Adds words of light, lens and quality, and puts Spanish into English.")
_LORA_ROW_HELP = N_("Which checkpoint: the one that the exam chose, or one by eye; an earlier one is less alike and more free.")
_WEIGHT_ROW_HELP = N_("How strongly the LoRA counts; 0 paints without it; several with commas make a grid.")
_COUNT_ROW_HELP = N_("Pictures of each prompt, with new seeds: other pictures each time.")
_SEED_ROW_HELP = N_("With commas. The same request with the same seeds is answered from disk, nothing is painted again.")
_ASPECT_ROW_HELP = N_("The shape of the picture, width to height.")
_RECIPE_ROW_HELP = N_("Lightning paints in 4 or 8 steps, fast and a little plainer.")
_STEPS_ROW_HELP = N_("More steps take longer and give finer pictures.")
_CFG_ROW_HELP = N_("How closely the prompt is followed; too much looks burnt.")
_SAMPLER_ROW_HELP = N_("In which way noise becomes a picture.")
_SIDE_ROW_HELP = N_("Side in pixels of the square of the same area.")
_DETAIL_ROW_HELP = N_("Paints it over at 1.5 times the size, so that small faces get detail; 0.3 is usual, 0 does not.")
_UPSCALE_ROW_HELP = N_("Enlarges the finished portraits; the originals stay.")
_LIKE_RECIPE = {"": N_("as the recipe has it")}
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
        raise ValueError(_("numbers are wanted: 0.8, or 0.7,0.85,1")) from error


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
        raise ValueError(_("whole numbers are wanted: 11,12, or random:4 for four new ones")) from error
    if not 1 <= drawn <= MOST_SEEDS:
        raise ValueError(_("from random:1 to random:{most}").format(most=MOST_SEEDS))
    return generation.random_seeds(drawn)


def _base(job: Job[GenerateRequest]) -> BaseModel:
    return base_of(job.who, job.settings, job.request.base)


def _recommended(job: Job[GenerateRequest]) -> tuple[str, ...]:
    return default_prompts(job.who.id, job.who.state().class_word, _base(job).practice)


def _picks(job: Job[GenerateRequest]) -> list[tuple[str, str]]:
    """What the menu offers to paint: the recommended prompts of this client, together or one of them, or one's own."""
    labels = prompt_labels(base_of(job.who, job.settings).practice)
    ready = [(str(number), label) for number, label in enumerate(labels, 1)]
    return [(USUAL_PICK, _("the recommended prompts")), *ready, (OWN_PICK, _("a prompt of my own"))]


def _styles(job: Job[GenerateRequest]) -> list[tuple[str, str]]:
    return [("none", _("no style")), *((name, style.label(spoken())) for name, style in load_styles(job.home).items())]


def _checkpoints(job: Job[GenerateRequest]) -> list[tuple[str, str]]:
    """The exam's choice first, or else the newest finished one; then each, the newest first; and all of them, side by side."""
    choice, whole = exam_choice(job.who), [one for one in list_checkpoints(job.who) if one.whole]
    first = choice.words if choice else _("the newest finished one")
    told = _("step {step}: {name}")
    each = [(one.path.stem, told.format(step=one.step, name=one.path.stem)) for one in reversed(whole)]
    all_of_them = [(ALL_LORAS, _("all of them, side by side"))] if len(whole) > 1 else []
    return [("", first), *each, *all_of_them]


def _upscalers(job: Job[GenerateRequest]) -> list[tuple[str, str]]:
    names = list_upscalers(models_folder(job.home, job.settings) / FOLDER)
    return [("", _("no")), *((name, name) for name in names)]


def _recipe(job: Job[GenerateRequest]) -> Recipe:
    """The recipe that the rows above name; the base's own where it cannot be told."""
    steps = job.request.recipe.removeprefix("lightning-")
    if steps.isdigit() and int(steps) in LIGHTNING_RECIPES:
        return LIGHTNING_RECIPES[int(steps)]
    base = _base(job)
    with contextlib.suppress(PipelineError):
        return recipe_for(base)
    return BASE_RECIPE


class GenerateRequest(ClientRequest):
    """What to paint and how: every prompt with every seed, LoRA and weight. What is left out is what suits the base model."""

    pick: Annotated[
        str,
        Ask(N_("What shall be painted?"), "--pick", "N", row=N_("what to paint"), row_help=_PICK_ROW_HELP, offer=_picks),
    ] = ""  # fmt: skip
    prompt: Annotated[
        tuple[str, ...],
        Ask(
            N_("Prompt:"), "--prompt", "TEXT", row=N_("prompt"), row_help=_PROMPT_ROW_HELP, needed=True,
            when=lambda job: job.request.pick == OWN_PICK,
        ),
    ] = ()  # fmt: skip
    prompt_file: Annotated[UserPath | None, Ask(N_("file of prompts, one a line"), "--prompt-file", "FILE")] = None
    transcript: Annotated[str, Ask(N_("transcript of the client, used as a prompt"), "--transcript", "NAME")] = ""
    negative: Annotated[
        str, Ask(N_("what must not be seen"), "--negative", "TEXT", row=N_("not to be seen"), row_help=_NEGATIVE_ROW_HELP)
    ] = ""  # fmt: skip
    style: Annotated[str, Ask(N_("Style:"), "--style", "NAME", row=N_("style"), row_help=_STYLE_ROW_HELP, offer=_styles)] = ""
    magic: Annotated[bool, Ask(_MAGIC_HELP, "--magic", row=N_("magic prompt"), row_help=_MAGIC_ROW_HELP)] = False
    base: Annotated[
        str, Ask(_BASE_HELP, "--base", "NAME", row=BASE_ROW, row_help=BASE_HELP, offer=offer_bases)
    ] = ""  # fmt: skip
    lora: Annotated[
        tuple[str, ...],
        Ask(N_("Checkpoint:"), "--lora", "NAME", row=N_("checkpoint"), row_help=_LORA_ROW_HELP, offer=_checkpoints),
    ] = ()  # fmt: skip
    weight: Annotated[
        tuple[float, ...],
        BeforeValidator(read_weights),
        Ask(
            _WEIGHT_HELP, "--weight", "X", row=N_("weight of the LoRA"), row_help=_WEIGHT_ROW_HELP,
            bounds=lambda _job: (0, HIGHEST_WEIGHT),
        ),
    ] = ()  # fmt: skip
    seed: Annotated[
        tuple[int, ...],
        BeforeValidator(read_seeds),
        Ask(
            _SEED_HELP, "--seed", "N", row=N_("seeds"), row_help=_SEED_ROW_HELP, more=True, kept=False,
            bounds=lambda _job: (0, generation.MAX_SEED),
        ),
    ] = ()  # fmt: skip
    count: Annotated[
        int | None,
        Ask(
            _COUNT_HELP, "--count", "N", row=N_("pictures of each prompt"), row_help=_COUNT_ROW_HELP, needed=True,
            suggest=lambda _job: str(len(DEFAULT_SEEDS)), bounds=lambda _job: (1, MOST_SEEDS),
            when=lambda job: not job.request.seed,
        ),
    ] = None  # fmt: skip
    aspect: Annotated[
        str,
        Ask(N_("Width to height:"), "--aspect", row=N_("width to height"), row_help=_ASPECT_ROW_HELP, choices=tuple(SIZES)),
    ] = "1:1"  # fmt: skip
    recipe: Annotated[
        str,
        Ask(
            N_("Recipe:"), "--recipe", row=N_("recipe"), row_help=_RECIPE_ROW_HELP, choices=RECIPES, labels=_RECIPE_LABELS,
            more=True, when=lambda job: not _base(job).practice,
        ),
    ] = "auto"  # fmt: skip
    steps: Annotated[
        int | None,
        Ask(
            N_("steps of a base, 20 to 30"), "--steps", "N", row=N_("steps"), row_help=_STEPS_ROW_HELP, more=True,
            bounds=lambda job: steps_of(_recipe(job)),
        ),
    ] = None  # fmt: skip
    cfg: Annotated[
        float | None,
        Ask(
            N_("guidance of a base, 7 to 8 is usual"), "--cfg", "X", row=N_("guidance (CFG)"), row_help=_CFG_ROW_HELP, more=True,
            bounds=lambda job: guidance_of(_recipe(job)),
        ),
    ] = None  # fmt: skip
    sampler: Annotated[
        str | None,
        Ask(
            N_("sampler of a base"), "--sampler", row=N_("sampler"), row_help=_SAMPLER_ROW_HELP, choices=BASE_SAMPLERS,
            labels=_LIKE_RECIPE, more=True,
        ),
    ] = None  # fmt: skip
    side: Annotated[
        int | None,
        Ask(
            N_("side in pixels of the square of the same area"), "--side", "PX", row=N_("side in pixels"), row_help=_SIDE_ROW_HELP,
            more=True, bounds=lambda job: sides_of(_base(job).native_px),
        ),
    ] = None  # fmt: skip
    detail: Annotated[
        float,
        Ask(
            _DETAIL_HELP, "--detail", "X", row=N_("detail pass"), row_help=_DETAIL_ROW_HELP, more=True,
            bounds=lambda _job: (0, generation.MOST_DETAIL),
        ),
    ] = 0.0  # fmt: skip
    upscale: Annotated[
        str, Ask(_UPSCALE_HELP, "--upscale", "NAME", row=N_("enlarge"), row_help=_UPSCALE_ROW_HELP, offer=_upscalers, more=True)
    ] = ""  # fmt: skip


def _usual(job: Job[GenerateRequest]) -> dict[str, str]:
    """What is taken where a row is left empty."""
    recipe, choice = _recipe(job), None if any(job.request.lora) else exam_choice(job.who)
    return {
        "weight": f"{choice.weight if choice else DEFAULT_WEIGHT:g}", "seed": _("new ones each time"),
        "steps": str(recipe.steps), "cfg": f"{recipe.guidance:g}", "side": str(_base(job).native_px), "detail": "0",
    }  # fmt: skip


def _go_on(job: Job[GenerateRequest]) -> str:
    """How many portraits the rows ask for, or why they cannot be painted."""
    try:
        plan = plan_portraits(job)
    except PipelineError as error:
        return error.text()
    if plan.missing < plan.total:
        return _("{missing} of {total} portraits to paint, the others are on disk").format(missing=plan.missing, total=plan.total)
    return ngettext("{count} portrait to paint", "{count} portraits to paint", plan.total).format(count=plan.total)


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
    return prompts if prompts or request.pick != OWN_PICK else ("",)  # which is refused: the recommended ones are not meant


def _seeds_of(request: GenerateRequest) -> Sequence[int]:
    """The seeds that are named, else as many new ones as pictures are wanted; raises RecipeRefused where both are asked for."""
    if request.count is None:
        return request.seed or DEFAULT_SEEDS
    if request.seed or not 1 <= request.count <= MOST_SEEDS:
        problem, cure = _("{count} new seeds.").format(count=request.count), _("From 1 to {most}, and no seeds beside them.")
        raise RecipeRefused(problem=problem, cure=cure.format(most=MOST_SEEDS))
    return generation.random_seeds(request.count)


def plan_portraits(job: Job[GenerateRequest]) -> PortraitPlan:
    """What would be painted."""
    request = job.request
    prompt_options = PromptOptions(_prompts(job), request.negative, request.style, request.magic)
    loras = tuple(name for name in request.lora if name)
    if ALL_LORAS in loras:
        loras = tuple(checkpoint.path.name for checkpoint in list_checkpoints(job.who) if checkpoint.whole)
    return generation.plan_portraits(
        job.who, job.settings, prompt_options=prompt_options, seeds=_seeds_of(request), loras=loras,
        weights=request.weight,
        choice=RecipeChoice(request.recipe, request.steps, request.cfg, request.sampler or "", request.base),
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
    practice: bool
    chosen_by_exam: bool  # the LoRA, for none was named

    @classmethod
    def of(cls, plan: PortraitPlan) -> Self:
        """The plan."""
        return cls(
            base=plan.base, lora=plan.lora, total=plan.total, missing=plan.missing,
            recipe=RecipeAnswer(**asdict(plan.recipe), unet=plan.setup.files.unet),
            width=plan.size[0], height=plan.size[1], prompts=plan.prompts, practice=plan.practice,
            chosen_by_exam=plan.exam_choice is not None,
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
    trigger_added: int  # prompts that did not name the client, and got the trigger word in front
    practice: bool
    chosen_by_exam: bool  # the LoRA, for none was named


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
    again = job.request.model_copy(update={"seed": generation.random_seeds(seeds), "count": None})
    more = FollowUp(_("{count} more, with new seeds").format(count=seeds * each), "generate", again)
    return (more, *after_painting(job.who.id))


GENERATE = Action(
    "generate", GenerateRequest, generate, GenerateAnswer.of, plan=plan_portraits, plan_answer=PortraitPlanAnswer.of,
    form=lambda job: request_form("generate", job, _("Portraits of {client}").format(client=job.who.display_name), _go_on, _usual),
    made=_made, shown=_shown, offers=_offers, gpu=True, lasts=always,
)  # fmt: skip
ACTIONS = (GENERATE,)
