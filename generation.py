"""Portraits of a client: what is about to be painted, and the stage that paints it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from client import Client
from config import Settings
from contact_sheet import Cell, contact_sheet
from portrait import Portrait, PortraitRequest, commission, paint_missing
from recipes import DEFAULT_SEEDS, DEFAULT_WEIGHT, base_of, choose_lora, default_prompts, is_embedded, recipe_for
from utils import Event

STAGE = "generate"
SHEET_COLUMNS = 8
SHEET_CELL_PX = 192


@dataclass(frozen=True, slots=True)
class PortraitPlan:
    """What `generate` is about to do: `missing` of `total` portraits have to be painted, the others are on disk."""

    base: Path
    lora: Path | None
    requests: tuple[PortraitRequest, ...]
    total: int
    missing: int


@dataclass(frozen=True, slots=True)
class PortraitReport:
    """What `generate` leaves: the portraits in the order they were asked for, `painted` of them made now, and the sheet."""

    images: tuple[Portrait, ...]
    painted: int
    contact_sheet: Path


def plan_portraits(
    client: Client,
    settings: Settings,
    *,
    prompts: Sequence[str] = (),
    seeds: Sequence[int] = DEFAULT_SEEDS,
    lora: str = "",
    weights: Sequence[float] = (DEFAULT_WEIGHT,),
    few_step: bool = False,
    negative: str = "",
) -> PortraitPlan:
    """Settle a request for every weight, with the same prompts and seeds; a weight of 0 is the base alone, for comparison.

    Raises NotReady where a LoRA is wanted and none was trained, ModelMissing where the base or the LoRA is not there.
    """
    base = base_of(client, settings)
    recipe = recipe_for(base, few_step)
    wanted = tuple(prompts) or default_prompts(client.id, client.state().class_word, is_embedded(base))
    file = choose_lora(client, lora) if any(weights) else None
    requests = tuple(
        PortraitRequest(
            wanted, tuple(seeds), recipe.steps, recipe.guidance, recipe.sampler, file if weight else None, weight, negative
        )
        for weight in weights
    )
    pieces = [piece for request in requests for piece in commission(client.output, base, request)]
    return PortraitPlan(base, file, requests, len(pieces), sum(not piece.file.exists() for piece in pieces))


def generate(client: Client, settings: Settings, requests: Sequence[PortraitRequest]) -> Generator[Event, None, PortraitReport]:
    """Paint what is missing of the requests into the client's output, and lay all of it out on the contact sheet."""
    base = base_of(client, settings)
    batches = [commission(client.output, base, request) for request in requests]
    pieces = [piece for batch in batches for piece in batch]
    painted = sum(not piece.file.exists() for piece in pieces)
    images = yield from paint_missing(client.output, base, pieces, STAGE)
    sheet = client.output / "contact_sheet.png"
    contact_sheet(_rows(client, images), sheet, cell_px=SHEET_CELL_PX)
    return PortraitReport(images, painted, sheet)


def _rows(client: Client, images: Sequence[Portrait]) -> list[list[Cell]]:
    """The client's crops, then the portraits by model, as rows of at most eight."""
    crops = [
        Cell(client.processed / face.crop, face.source.value)
        for face in client.faces()
        if face.crop and (client.processed / face.crop).is_file()
    ]
    rows = [crops[:SHEET_COLUMNS]] if crops else []
    for worn in dict.fromkeys((image.lora, image.weight) for image in images):
        cells = [Cell(image.file, portrait_label(image)) for image in images if (image.lora, image.weight) == worn]
        rows += [cells[start : start + SHEET_COLUMNS] for start in range(0, len(cells), SHEET_COLUMNS)]
    return rows


def portrait_label(image: Portrait) -> str:
    """What stands under a portrait on the sheet."""
    return f"{image.prompt}\nseed {image.seed}" + (f", {image.weight:g}" if image.lora else "")
