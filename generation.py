"""Portraits of a client: what is about to be painted, and the stage that has it painted."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from client_folder.client import Client
from client_folder.recommended_prompts import default_prompts
from config import Settings
from locales.language import _
from machine.errors import PromptsMissing, RecipeRefused
from machine.model_process import Workshop, relay
from pictures.contact_sheet import Cell, contact_sheet, in_rows
from portraits.clip_tokens import counter_for
from portraits.magic_prompt import MagicPrompt, enhance, styled
from portraits.painter import paint_missing
from portraits.portrait import Commission, Portrait, PortraitRequest, Wording, commission
from portraits.recipes import (
    DEFAULT_SEEDS,
    DEFAULT_WEIGHT,
    Recipe,
    Studio,
    Wish,
    check_weight,
    size_of,
    studio_of,
)
from portraits.styles import style_named
from portraits.upscaler import choose_upscaler, enlarged_name, missing_order
from training.checkpoints import choose_lora
from utils import BrokenFile, Event, FolderMissing

STAGE = "generate"
SHEET_COLUMNS = 8
SHEET_CELL_PX = 192
MAX_SEED = 2**32 - 1  # what A1111 and ComfyUI take too
MAX_PORTRAITS = 2000  # of one request: more is a slip of the finger
PROMPT_FILE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Look:
    """How the portraits are to look: size and after-steps. `aspect` as in `recipes.SIZES`, `side` in pixels of its square."""

    aspect: str = "1:1"
    side: int | None = None
    detail: float = 0.0
    upscaler: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """What is to be seen: prompts as the user gave them, what magic and a style make of them, what must not be seen."""

    prompts: tuple[str, ...] = ()
    negative: str = ""
    style: str = ""
    magic: bool = False


@dataclass(frozen=True, slots=True)
class PortraitPlan:
    """What `generate` is about to do: `missing` of `total` portraits have to be painted, the others are on disk."""

    studio: Studio
    loras: tuple[Path, ...]
    requests: tuple[PortraitRequest, ...]
    prompts: tuple[MagicPrompt, ...]
    size: tuple[int, int]
    total: int
    missing: int
    negative_ignored: bool  # one was asked for, and the recipe cannot use it
    upscaler: Path | None = None

    @property
    def base(self) -> Path:
        """The base model."""
        return self.studio.files.base

    @property
    def recipe(self) -> Recipe:
        """How it is walked."""
        return self.studio.recipe

    @property
    def lora(self) -> Path | None:
        """The first LoRA that is worn."""
        return self.loras[0] if self.loras else None


@dataclass(frozen=True, slots=True)
class PortraitReport:
    """What `generate` leaves: the portraits in the order they were asked for, `painted` of them made now, and the sheet."""

    images: tuple[Portrait, ...]
    painted: int
    contact_sheet: Path
    enlarged: tuple[Path, ...] = ()


def plan_portraits(
    client: Client,
    settings: Settings,
    *,
    words: Words = Words(),
    seeds: Sequence[int] = DEFAULT_SEEDS,
    loras: Sequence[str] = (),
    weights: Sequence[float] = (DEFAULT_WEIGHT,),
    wish: Wish = Wish(),  # noqa: B008 - frozen
    look: Look = Look(),
) -> PortraitPlan:
    """Settle a request for every LoRA and weight, with the same prompts and seeds; a weight of 0 is the base alone, for comparison.

    Raises NotReady where a LoRA is wanted and none was trained, NoCheckpoint or TornCheckpoint where the named one cannot be used,
    ModelMissing where a model is not there, RecipeRefused for what cannot work.
    """
    studio = studio_of(client, settings, wish)
    weights = tuple(dict.fromkeys(check_weight(weight) for weight in weights))
    size = size_of(look.aspect, studio.base.native_px, look.side)
    _check(seeds, look)
    prompts = _prompts(client, studio, words)
    wordings = tuple(dict.fromkeys(_wording(prompt, words, studio.recipe) for prompt in prompts))
    files = tuple(choose_lora(client, name).path for name in dict.fromkeys(loras or ("",))) if any(weights) else ()
    worn: list[tuple[Path | None, float]] = [(None, 0.0)] if 0 in weights else []
    worn += [(file, weight) for file in files for weight in weights if weight]
    seeds = tuple(dict.fromkeys(seeds))
    requests = tuple(PortraitRequest(wordings, seeds, file, weight, size, look.detail) for file, weight in worn)
    pieces = _commissions(client, studio, requests)
    if len(pieces) > MAX_PORTRAITS:
        raise RecipeRefused(
            problem=_("{count} portraits at once.").format(count=len(pieces)), cure=_("Ask for fewer prompts, seeds or weights.")
        )
    return PortraitPlan(
        studio, files, requests, prompts, size, len(pieces), sum(not piece.file.exists() for piece in pieces),
        negative_ignored=not studio.recipe.negative and bool(words.negative),
        upscaler=choose_upscaler(client.home, settings, look.upscaler) if look.upscaler else None,
    )  # fmt: skip


def generate(
    client: Client, _settings: Settings, plan: PortraitPlan, workshop: Workshop | None = None
) -> Generator[Event, None, PortraitReport]:
    """Paint what is missing of a plan into the client's output, and lay all of it out on the contact sheet."""
    pieces = _commissions(client, plan.studio, plan.requests)
    painted = sum(not piece.file.exists() for piece in pieces)
    with contextlib.ExitStack() as owned:
        shop = workshop or owned.enter_context(Workshop())
        images = yield from paint_missing(client.output, pieces, STAGE, shop)
        enlarged = yield from _enlarge(plan.upscaler, images, shop)
    contact_sheet(_rows(client, images), client.portraits_sheet, cell_px=SHEET_CELL_PX)
    return PortraitReport(images, painted, client.portraits_sheet, enlarged)


def random_seeds(count: int) -> tuple[int, ...]:
    """Seeds that nobody chose; they stand in the portraits, so that each can be painted again."""
    return tuple(secrets.randbelow(MAX_SEED) + 1 for _ in range(count))


def read_prompts(path: Path) -> tuple[str, ...]:
    """The prompts of a file: one a line, `#` begins a remark; or a JSON list.

    Raises FolderMissing, BrokenFile or PromptsMissing.
    """
    if not path.is_file():
        raise FolderMissing(path=path)
    if path.stat().st_size > PROMPT_FILE_BYTES:
        raise BrokenFile(path=path, line=1, reason=_("too large for a file of prompts"))
    try:
        text = path.read_text(encoding="utf-8-sig")
        lines = json.loads(text) if path.suffix.lower() == ".json" else text.splitlines()
    except UnicodeDecodeError as error:
        raise BrokenFile(path=path, line=1, reason=str(error)) from error
    except json.JSONDecodeError as error:
        raise BrokenFile(path=path, line=error.lineno, reason=error.msg) from error
    if not (isinstance(lines, list) and all(isinstance(line, str) for line in lines)):
        raise BrokenFile(path=path, line=1, reason=_("a list of texts is wanted"))
    prompts = tuple(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))
    if not prompts:
        raise PromptsMissing(path=path)
    return prompts


def read_transcript(client: Client, name: str) -> str:
    """What was said in a recording, as one prompt; raises FolderMissing."""
    here = {path.stem: path for path in client.transcripts.glob("*.txt")}
    if name.removesuffix(".txt") not in here:
        raise FolderMissing(path=client.transcripts / f"{name.removesuffix('.txt')}.txt")
    return " ".join(here[name.removesuffix(".txt")].read_text(encoding="utf-8").split())


# --- the parts of a plan ----------------------------------------------------------------------------------------------
def _check(seeds: Sequence[int], look: Look) -> None:
    """Raises RecipeRefused for what no model can take."""
    wrong = next((seed for seed in seeds if not 0 <= seed <= MAX_SEED), None)
    if wrong is not None:
        raise RecipeRefused(
            problem=_("seed {seed}.").format(seed=wrong),
            cure=_("Seeds are whole numbers from 0 to {highest}.").format(highest=MAX_SEED),
        )
    if not (look.detail == 0 or 0.05 <= look.detail <= 0.9):
        raise RecipeRefused(
            problem=_("detail pass of {share:g}.").format(share=look.detail), cure=_("From 0.05 to 0.9; 0.3 is usual.")
        )


def _prompts(client: Client, studio: Studio, words: Words) -> tuple[MagicPrompt, ...]:
    """Every prompt with what magic or a style makes of it; without prompts, the recommended ones of the client."""
    base = studio.base
    class_word = client.state().class_word
    given = [_filled(prompt, client.id, class_word) for prompt in words.prompts if prompt.strip()]
    wanted = given or default_prompts(client.id, class_word, base.practice)
    style, count = style_named(client.home, words.style), counter_for(studio.files.base)
    if words.magic:
        return tuple(enhance(one, client.id, class_word, count, style=style, embedded=base.practice) for one in wanted)
    return tuple(styled(one, style, count) for one in wanted)


def _filled(prompt: str, trigger: str, class_word: str) -> str:
    """A prompt written for any client, in the words of this one."""
    return _one_line(prompt).replace("{trigger}", trigger).replace("{class_word}", class_word)


def _one_line(text: str) -> str:
    """Without line breaks, control characters and halves of letters, none of which a picture's texts can hold."""
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return " ".join("".join(letter if letter.isprintable() else " " for letter in whole).split())


def _wording(prompt: MagicPrompt, words: Words, recipe: Recipe) -> Wording:
    parts = [_one_line(words.negative), prompt.negative] if recipe.negative else []
    negative = ", ".join(part for part in parts if part)
    original = prompt.original if prompt.original != prompt.prompt else ""
    return Wording(prompt.prompt, negative, original, words.style if words.style != "none" else "")


def _commissions(client: Client, studio: Studio, requests: Sequence[PortraitRequest]) -> list[Commission]:
    pieces = (piece for request in requests for piece in commission(client.output, studio, request))
    return list({piece.file: piece for piece in pieces}.values())


def _enlarge(model: Path | None, images: Sequence[Portrait], shop: Workshop) -> Generator[Event, None, tuple[Path, ...]]:
    """The enlargements of the portraits, those that are missing made now."""
    if model is None:
        return ()
    files = [image.file for image in images]
    order = missing_order(model, files)
    if order.files:
        yield from relay(shop.ask("upscale", order), "upscale")
    return tuple(enlarged_name(file, model) for file in files)


# --- the sheet --------------------------------------------------------------------------------------------------------
def _rows(client: Client, images: Sequence[Portrait]) -> list[tuple[Cell, ...]]:
    """The client's crops, then the portraits by LoRA and weight, as rows of at most eight; a grid keeps its columns."""
    crops = [Cell(client.processed / face.crop, face.source.value) for face in client.crops()]
    rows = [tuple(crops[:SHEET_COLUMNS])] if crops else []
    for worn in dict.fromkeys((image.lora, image.weight) for image in images):
        cells = [Cell(image.file, portrait_label(image)) for image in images if (image.lora, image.weight) == worn]
        rows += in_rows(cells, SHEET_COLUMNS)
    return rows


def portrait_label(image: Portrait) -> str:
    """What stands under a portrait on the sheet."""
    worn = f", {Path(image.lora).stem.rpartition('_')[2]} {image.weight:g}" if image.lora else ""
    return f"{image.prompt}\nseed {image.seed}{worn}"
