"""The contact sheet of a run of portraits: the client's real photos above, then the portraits by LoRA and weight."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

from client_folder.client import Client
from client_folder.records import Source
from locales.language import _
from pictures.contact_sheet import Cell, contact_sheet, differing_words, in_rows
from portraits.history import keep_run, new_run, sheet_of
from portraits.portrait import Portrait

SHEET_COLUMNS = 8
SHEET_CELL_PX = 192
LABEL_LETTERS = 26  # of a line of a label: what fits under a picture
_VERSION = re.compile(r"_v(?P<version>\d+)(-step(?P<step>\d+))?")


def write_sheet(client: Client, images: Sequence[Portrait], *, caption: str = "") -> Path:
    """Lay a run of portraits out on a sheet of its own, and keep the run in the client's history; hands back the sheet.

    The same portraits beside the same photos have a sheet already: that one. `caption` stands above all, such as what the base is.
    """
    references = _references(client)
    names = [path.name for path, _source in references]
    if known := sheet_of(client, images, names):
        return client.sheets / known.sheet
    rows, titles = _reference_rows(references)
    for (lora, weight), cells in _groups(images).items():
        in_order = in_rows(cells, SHEET_COLUMNS)
        rows += in_order
        titles += [_model_title(lora, weight), *([""] * (len(in_order) - 1))]
    run = new_run(client, images, names)
    sheet = client.sheets / run.sheet
    contact_sheet(rows, sheet, titles=titles, caption=caption, cell_px=SHEET_CELL_PX, thumbnails=client.thumbnails)
    keep_run(client, run)
    return sheet


def _references(client: Client) -> list[tuple[Path, Source]]:
    """The client's crops to compare with: the real photos, and MidJourney's pictures only where there are not enough of those."""
    crops = sorted(client.crops(), key=lambda face: face.source is not Source.REAL)  # stable: else as they are
    return [(client.processed / face.crop, face.source) for face in crops[:SHEET_COLUMNS]]


def _reference_rows(references: Sequence[tuple[Path, Source]]) -> tuple[list[tuple[Cell, ...]], list[str]]:
    """The row of references, if there are any, and what stands above it."""
    if not references:
        return [], []
    names = {Source.REAL: _("real photo"), Source.MIDJOURNEY: "MidJourney"}
    row = tuple(Cell(path, names[source]) for path, source in references)
    kinds = {source for _path, source in references}
    if kinds == {Source.REAL}:
        title = _("The client, in real photos")
    elif kinds == {Source.MIDJOURNEY}:
        title = _("MidJourney's pictures of the client: there is no real photo to compare with")
    else:
        title = _("The client: real photos first, then MidJourney's pictures")
    return [row], [title]


def _groups(images: Sequence[Portrait]) -> dict[tuple[str, float], list[Cell]]:
    """The portraits as cells, by LoRA and weight; a grid keeps its columns."""
    words = dict(zip((image.prompt for image in images), differing_words([image.prompt for image in images]), strict=True))
    groups: dict[tuple[str, float], list[Cell]] = {}
    for image in images:
        lines = textwrap.wrap(words[image.prompt], LABEL_LETTERS, max_lines=2, placeholder=" ...")
        label = "\n".join([*lines, _("seed {seed}").format(seed=image.seed)])
        groups.setdefault((image.lora, image.weight), []).append(Cell(image.file, label))
    return groups


def _model_title(lora: str, weight: float) -> str:
    """What painted a row, in words: the version of the client's LoRA, its step where it is not the last, its weight."""
    if not lora:
        return _("The base alone, without a LoRA")
    named = _VERSION.search(Path(lora).stem)
    if named is None:
        return _("With the LoRA {name}, weight {weight:g}").format(name=Path(lora).stem, weight=weight)
    if named["step"]:
        told = _("With the LoRA, version {version} at step {step}, weight {weight:g}")
        return told.format(version=named["version"], step=int(named["step"]), weight=weight)
    return _("With the LoRA, version {version}, weight {weight:g}").format(version=named["version"], weight=weight)
