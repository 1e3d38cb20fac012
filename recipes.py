"""How each kind of base is walked from noise to picture, the prompts it understands, and which model a client is painted with.

Two kinds of recipe, never mixed: a base is walked in full with guidance, a few-step model in the steps it was distilled for and
without guidance. The embedded base has its own, for it is small and was trained for short walks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from checkpoints import list_checkpoints
from client import Client
from config import EMBEDDED_BASE, Settings, resolve_base
from language import _
from sdxl import Sampler, check_base
from utils import ModelMissing, NotReady

MIN_WEIGHT, MAX_WEIGHT = 0.7, 1.0  # of a LoRA, from the original plan; 0 paints with the base alone
DEFAULT_WEIGHT = 1.0
DEFAULT_SEEDS = (11, 12)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a kind of model wants to be walked from noise to picture."""

    steps: int
    guidance: float
    sampler: Sampler


# Little guidance: a LoRA also moves what an empty prompt paints toward the client, and guidance pushes other people away from that.
# Measured with the demo's LoRA: they move by -30 % of the gap at 2.0, by -22 % at 1.5, by 1 % without guidance.
EMBEDDED_RECIPE = Recipe(steps=12, guidance=1.25, sampler=Sampler.OWN)
BASE_RECIPE = Recipe(steps=30, guidance=7.0, sampler=Sampler.EULER_A)  # the original plan: 20 to 30 steps, CFG 7 to 8
FEW_STEP_RECIPE = Recipe(steps=4, guidance=0.0, sampler=Sampler.EULER_TRAILING)

# The three that the original plan recommends.
PROMPTS = (
    "portrait of {trigger} {class_word}, professional headshot, studio lighting, detailed face",
    "{trigger} {class_word} smiling, natural lighting, high quality photography",
    "close-up of {trigger} {class_word}, artistic portrait, dramatic lighting",
)
# The embedded base knows few words; these are among them.
EMBEDDED_PROMPTS = (
    "portrait of {trigger} {class_word}, smiling, blue background, studio lighting",
    "portrait of {trigger} {class_word}, serious, wearing a black shirt, white background, studio lighting",
    "portrait of {trigger} {class_word}, laughing, wearing a red shirt, beach background, bright light",
    "portrait of {trigger} {class_word}, smiling, wearing a white shirt, green background, bright light",
)


def base_of(client: Client, settings: Settings) -> Path:
    """The client's base model, or the settings'; raises ModelMissing."""
    return check_base(resolve_base(client.state().base_model or settings.base_model))


def is_embedded(base: Path) -> bool:
    """Whether this is the base that comes with the program."""
    return base == resolve_base(EMBEDDED_BASE)


def recipe_for(base: Path, few_step: bool = False) -> Recipe:
    """How to walk a base; `few_step` for a checkpoint distilled to four steps."""
    if few_step:
        return FEW_STEP_RECIPE
    return EMBEDDED_RECIPE if is_embedded(base) else BASE_RECIPE


def default_prompts(trigger: str, class_word: str, embedded: bool = False) -> tuple[str, ...]:
    """The recommended prompts of a client, in words that the base understands."""
    templates = EMBEDDED_PROMPTS if embedded else PROMPTS
    return tuple(template.format(trigger=trigger, class_word=class_word) for template in templates)


def choose_lora(client: Client, name: str = "") -> Path:
    """The LoRA of that file name, with or without its ending; by default the newest finished one, else the latest step.

    Raises NotReady where none was trained, ModelMissing where the named one is not there.
    """
    if name:
        found = client.models / (name if name.endswith(".safetensors") else f"{name}.safetensors")
        if not found.is_file():
            raise ModelMissing(model=found.name)
        return found
    whole = [checkpoint for checkpoint in list_checkpoints(client) if checkpoint.whole]
    if not whole:
        raise NotReady(step=_("Portraits"), reason=_("train the LoRA first"))
    finished = [checkpoint for checkpoint in whole if checkpoint.final]
    return (finished or whole)[-1].path
