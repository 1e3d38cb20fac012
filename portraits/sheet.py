"""The contact sheet of portraits: the crops of the client above, then the portraits by LoRA and weight."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from client_folder.client import Client
from pictures.contact_sheet import Cell, in_rows
from portraits.portrait import Portrait

SHEET_COLUMNS = 8
SHEET_CELL_PX = 192


def sheet_rows(client: Client, images: Sequence[Portrait]) -> list[tuple[Cell, ...]]:
    """The client's crops, then the portraits by LoRA and weight, as rows of at most eight; a grid keeps its columns."""
    crops = [Cell(client.processed / face.crop, face.source.value) for face in client.crops()]
    rows = [tuple(crops[:SHEET_COLUMNS])] if crops else []
    for at in dict.fromkeys((image.lora, image.weight) for image in images):
        cells = [Cell(image.file, portrait_label(image)) for image in images if (image.lora, image.weight) == at]
        rows += in_rows(cells, SHEET_COLUMNS)
    return rows


def portrait_label(image: Portrait) -> str:
    """What stands under a portrait on the sheet."""
    lora = f", {Path(image.lora).stem.rpartition('_')[2]} {image.weight:g}" if image.lora else ""
    return f"{image.prompt}\nseed {image.seed}{lora}"
