"""In which steps each kind of model denoises, in which sizes, and which model a client gets.

Kinds of recipe that cannot be mixed up: a base takes 20 to 30 steps with guidance, a few-step model in exactly the steps it
was distilled to and without guidance. Which one it is, is told by the files, not by the user: SDXL-Lightning's U-Nets carry their
steps in their names. The embedded base has a recipe of its own, for it is small and was trained for few steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from client_folder.client import Client
from config import Settings
from locales.language import N_, _
from machine.base_models import SINGLE_FILE_PX, BaseModel, base_of, configuration_of, few_steps
from machine.gpu import find_gpus
from machine.models import find, require
from portraits.errors import RecipeRefused
from portraits.sdxl import LATENT_PX, ModelFiles, Sampler

MIN_WEIGHT, MAX_WEIGHT = 0.7, 1.0  # of a LoRA, from the original plan; 0 paints with the base alone
HIGHEST_WEIGHT = 2.0  # beyond, a LoRA only paints noise
DEFAULT_WEIGHT = 1.0
DEFAULT_SEEDS = (11, 12)
MIN_STEPS, MAX_STEPS = 20, 30  # of a base, from the original plan
MIN_GUIDANCE, MAX_GUIDANCE = 1.5, 12.0
EMBEDDED_MIN_GUIDANCE = 1.0  # none at all: the embedded base needs little


class RecipeKind(StrEnum):
    """What kind of model it is for."""

    EMBEDDED = "embedded"
    BASE = "base"
    LIGHTNING = "lightning"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a kind of model is sampled: its steps from noise to picture, guidance and sampler."""

    kind: RecipeKind
    steps: int
    guidance: float
    sampler: Sampler

    @property
    def negative(self) -> bool:
        """Whether a negative prompt has any effect: without guidance there is nothing to steer away from."""
        return self.guidance > 1


# Little guidance: a LoRA also moves what an empty prompt paints toward the client, and guidance pushes other people away from that.
# Measured with the demo's LoRA: they move by -30 % of the gap at 2.0, by -22 % at 1.5, by 1 % without guidance.
EMBEDDED_RECIPE = Recipe(RecipeKind.EMBEDDED, steps=12, guidance=1.25, sampler=Sampler.OWN)
BASE_RECIPE = Recipe(
    RecipeKind.BASE, steps=30, guidance=7.0, sampler=Sampler.EULER_A
)  # the original plan: 20 to 30 steps, CFG 7 to 8
LIGHTNING_RECIPES = {steps: Recipe(RecipeKind.LIGHTNING, steps, 0.0, Sampler.EULER_TRAILING) for steps in (4, 8)}

# What a user asks for by name; "auto" is what the files say.
RECIPES = ("auto", "base", "lightning-4", "lightning-8")
BASE_SAMPLERS = (Sampler.EULER_A.value, Sampler.DPMPP_2M.value)


@dataclass(frozen=True, slots=True)
class RecipeChoice:
    """What a user asks of a recipe; None or "auto": as the recipe has it. `base` names a base model, empty: the client's."""

    recipe: str = "auto"
    steps: int | None = None
    guidance: float | None = None
    sampler: str = ""
    base: str = ""


@dataclass(frozen=True, slots=True)
class PipelineSetup:
    """The base, the files to paint with, and the recipe for them."""

    base: BaseModel
    files: ModelFiles
    recipe: Recipe


# Width and height at 1024 px: each is one of the sizes SDXL was trained at (appendix I of its paper), the nearest to the ratio.
SIZES = {
    "1:1": (1024, 1024), "3:4": (896, 1152), "4:3": (1152, 896), "9:16": (768, 1344), "16:9": (1344, 768),
    "8:11": (832, 1152), "11:8": (1152, 832), "21:9": (1536, 640), "9:21": (640, 1536),
}  # fmt: skip
_BUCKET_PX = 32  # U-Net levels times latents: a size that is no multiple is padded inside and comes out softer at an edge


def recipe_for(base: BaseModel, unet: Path | None = None) -> Recipe:
    """How to sample a base or a U-Net in its place, by what they are; raises RecipeRefused for steps no recipe is known for."""
    steps = few_steps(unet.name) if unet else base.few_steps
    if steps is None and unet is None:
        return EMBEDDED_RECIPE if base.practice else BASE_RECIPE
    if steps not in LIGHTNING_RECIPES:
        problem = _("{file} does not say in its name whether it is SDXL-Lightning of 4 or of 8 steps.")
        raise RecipeRefused(
            problem=problem.format(file=(unet or base.require()).name), cure=_("Keep the name it was published under.")
        )
    return LIGHTNING_RECIPES[steps]


def setup_of(client: Client, settings: Settings, choice: RecipeChoice = RecipeChoice()) -> PipelineSetup:
    """What to paint a client with and how.

    Raises NotDownloaded, BaseMissing, BrokenFile or NotSdxl, or RecipeRefused where a wish and the files do not go together.
    """
    base = base_of(client, settings, choice.base)
    path = base.require()
    unet = None
    if choice.recipe.startswith("lightning-") and base.few_steps is None:
        unet = _lightning_unet(client, settings, base, choice.recipe)
    recipe = recipe_for(base, unet)
    _check_kind(recipe, choice, path)
    files = ModelFiles(path, unet, _safe_vae(client, settings, base), configuration_of(path, client.home, settings))
    return PipelineSetup(base, files, _adjusted(recipe, choice))


def _lightning_unet(client: Client, settings: Settings, base: BaseModel, name: str) -> Path:
    """The few-step U-Net of that name, where the base has SDXL's size."""
    if base.practice:
        raise RecipeRefused(
            problem=_("SDXL-Lightning's U-Net does not fit into the embedded base."),
            cure=_("Name SDXL as base model first: settings base_model=sdxl"),
        )
    return require([f"sdxl-{name}"], client.home, settings)[0]


def _check_kind(recipe: Recipe, choice: RecipeChoice, base: Path) -> None:
    """Raises RecipeRefused where the user names a recipe that the files are not made for."""
    named = f"lightning-{recipe.steps}" if recipe.kind is RecipeKind.LIGHTNING else "base"
    if choice.recipe not in ("auto", named):
        problem = _("{file} has to be walked by the recipe {recipe}, not by {wish}.")
        raise RecipeRefused(
            problem=problem.format(file=base.name, recipe=named, wish=choice.recipe),
            cure=_("Leave --recipe out, or name another base model."),
        )


def steps_of(recipe: Recipe) -> tuple[int, int]:
    """The fewest and the most steps that may be asked for."""
    if recipe.kind is RecipeKind.LIGHTNING:
        return recipe.steps, recipe.steps
    return (1, 50) if recipe.kind is RecipeKind.EMBEDDED else (MIN_STEPS, MAX_STEPS)


def guidance_of(recipe: Recipe) -> tuple[float, float]:
    """The least and the greatest guidance that may be asked for."""
    if recipe.kind is RecipeKind.LIGHTNING:
        return recipe.guidance, recipe.guidance
    return (EMBEDDED_MIN_GUIDANCE if recipe.kind is RecipeKind.EMBEDDED else MIN_GUIDANCE), MAX_GUIDANCE


def _adjusted(recipe: Recipe, choice: RecipeChoice) -> Recipe:
    """The recipe with the wishes it allows; raises RecipeRefused for the others."""
    if recipe.kind is RecipeKind.LIGHTNING:
        asked = (
            choice.steps not in (None, recipe.steps)
            or choice.guidance not in (None, 0.0)
            or choice.sampler not in ("", recipe.sampler)
        )
        if asked:
            problem = _("SDXL-Lightning was distilled to {steps} steps without guidance; anything else spoils the picture.")
            raise RecipeRefused(
                problem=problem.format(steps=recipe.steps), cure=_("Leave out --steps, --cfg and --sampler, or use --recipe base.")
            )
        return recipe
    low, high = steps_of(recipe)
    steps = recipe.steps if choice.steps is None else choice.steps
    guidance = recipe.guidance if choice.guidance is None else choice.guidance
    if choice.steps is not None and not low <= steps <= high:
        raise RecipeRefused(
            problem=_("{steps} steps.").format(steps=steps), cure=_("From {low} to {high} steps.").format(low=low, high=high)
        )
    least, most = guidance_of(recipe)
    if choice.guidance is not None and not least <= guidance <= most:
        limits = _("From {low} to {high}; {usual:g} is usual.").format(low=least, high=most, usual=recipe.guidance)
        raise RecipeRefused(problem=_("CFG {guidance:g}.").format(guidance=guidance), cure=limits)
    return replace(recipe, steps=steps, guidance=guidance, sampler=Sampler(choice.sampler) if choice.sampler else recipe.sampler)


def _safe_vae(client: Client, settings: Settings, base: BaseModel) -> Path | None:
    """The VAE that does not overflow in fp16, where it is here and fp16 is used: on a GPU, for SDXL."""
    if base.practice or base.native_px != SINGLE_FILE_PX or not find_gpus():
        return None
    found = find("sdxl-vae", client.home, settings)
    return found.path.parent if found.path else None


def size_of(aspect: str, native: int, side: int | None = None) -> tuple[int, int]:
    """Width and height in pixels of an aspect ratio, for a base trained at `native` or asked for `side`; raises RecipeRefused."""
    if aspect not in SIZES:
        raise RecipeRefused(problem=_("there is no aspect ratio {aspect}.").format(aspect=aspect), cure=", ".join(SIZES))
    wanted = side or native
    low, high = sides_of(native)
    if not low <= wanted <= high:
        limits = _("From {low} to {high} pixels.").format(low=low, high=high)
        raise RecipeRefused(problem=_("{side} pixels a side.").format(side=wanted), cure=limits)
    unit = _BUCKET_PX if wanted >= 16 * _BUCKET_PX else LATENT_PX
    width, height = (max(unit, round(length * wanted / SINGLE_FILE_PX / unit) * unit) for length in SIZES[aspect])
    return width, height


def sides_of(native: int) -> tuple[int, int]:
    """The shortest and the longest side in pixels of the square that a base trained at `native` may be asked for."""
    return LATENT_PX * LATENT_PX, 2 * native


def check_weight(weight: float) -> float:
    """A weight of a LoRA; raises RecipeRefused."""
    if not 0 <= weight <= HIGHEST_WEIGHT:
        usual = _("Usual are {low} to {high}; 0 paints without the LoRA.").format(low=MIN_WEIGHT, high=MAX_WEIGHT)
        raise RecipeRefused(problem=_("weight {weight:g}.").format(weight=weight), cure=usual)
    return weight


NOTE_NO_NEGATIVE = N_("Without guidance the negative prompt has no effect and is left out.")
