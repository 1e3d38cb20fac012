"""The one measure of a demo: how far a LoRA moved the base's portraits toward the client, and how little it moved other people's.

The measure. Portraits and the client's crops are brought to the size that the base was trained at and encoded by the base's own
VAE; the distance of two pictures is the Euclidean distance of their latents. With the same prompts and seeds, B is the mean
distance of the base's portraits to the client's crops, L that of the portraits with the LoRA, and C the mean distance of different
crops to one another, which is as near as a picture can be expected to come. `closed` = (B - L) / (B - C): 0 where the LoRA changed
nothing, 1 where its portraits lie among the crops. `others_moved` is the same for portraits of other people, described in the
prompt without the trigger word: (B' - L') / (B - C). It measures how alike pictures look, colours and shapes, not who a person is:
the embedded base is too small for a face recogniser to tell.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import ConfigDict, Field

from client_folder.client import Client
from client_folder.recommended_prompts import default_prompts
from config import Settings
from locales.language import _
from machine.base_models import BaseKind, BaseModel, practice_caption
from machine.model_process import ModelProcess
from portraits.painter import paint_missing
from portraits.portrait import Portrait, PortraitRequest, PromptText, portrait_jobs
from portraits.recipes import DEFAULT_SEEDS, DEFAULT_WEIGHT, PipelineSetup, setup_of
from portraits.sdxl import latents_of
from portraits.sheet import write_sheet
from training.checkpoints import choose_lora
from utils import Event, NotReady, Progress, Record, read_record, sha256_file, write_record

if TYPE_CHECKING:
    from PIL import Image

STAGE = "likeness"
ENOUGH_CLOSED = 0.5  # of the gap; chosen
OTHERS_SHARE = 0.25  # of what was closed, that other people may move; chosen

# In words that the embedded base knows.
OTHERS_PROMPTS = (
    "portrait of a man, short black hair, light skin, serious, white background, studio lighting",
    "portrait of a woman, long blonde hair, pale skin, smiling, green background, bright light",
    "portrait of a man, bald, tan skin, smiling, yellow background, studio lighting",
    "portrait of a woman, long brown hair, light skin, laughing, blue background, studio lighting",
)


class Likeness(Record):
    """Mean distances of latents to the client's crops; `key` says which pictures were measured."""

    model_config = ConfigDict(frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    base: float
    lora: float
    crops: float  # of the crops among themselves
    others_base: float
    others_lora: float
    key: str = ""

    @property
    def closed(self) -> float:
        """The share of the gap between base and crops that the LoRA closed."""
        return (self.base - self.lora) / (self.base - self.crops)

    @property
    def others_moved(self) -> float:
        """How far portraits of other people moved toward the client, as a share of the same gap; negative is away from her."""
        return (self.others_base - self.others_lora) / (self.base - self.crops)

    @property
    def good(self) -> bool:
        """Whether the LoRA closed at least half of the gap and moved others by less than a quarter of what it closed."""
        return self.closed >= ENOUGH_CLOSED and abs(self.others_moved) < OTHERS_SHARE * self.closed


@dataclass(frozen=True, slots=True)
class LikenessReport:
    """The measure, the number of portraits of the client it rests on (base and LoRA), and the sheet that shows them."""

    likeness: Likeness
    images: int
    contact_sheet: Path
    practice: bool = False  # measured on the practice model


@dataclass(frozen=True, slots=True)
class _Sets:
    """The four sets of portraits, prompt by prompt and seed by seed in the same order."""

    base: tuple[Portrait, ...]
    lora: tuple[Portrait, ...]
    others_base: tuple[Portrait, ...]
    others_lora: tuple[Portrait, ...]

    def all(self) -> tuple[Portrait, ...]:
        """Every portrait."""
        return self.base + self.lora + self.others_base + self.others_lora


def measure_likeness(
    client: Client, settings: Settings, lora: str = "", weight: float = DEFAULT_WEIGHT, model_process: ModelProcess | None = None
) -> Generator[Event, None, LikenessReport]:
    """Paint client and others with and without the LoRA, measure, and lay crops, base and LoRA out on the contact sheet.

    What is on disk is neither painted nor measured again. The client's portraits are those that `generate` paints by default.
    Raises NotReady with fewer than two crops or without a LoRA, NoCheckpoint, TornCheckpoint, ModelMissing, BrokenFile.
    """
    setup, file = setup_of(client, settings), choose_lora(client, lora).path
    crops = [client.processed / face.crop for face in client.crops()]
    if len(crops) < 2:
        raise NotReady(step=_("Likeness"), reason=_("no crop has passed yet"))
    with contextlib.ExitStack() as owned:
        model_process = model_process or owned.enter_context(ModelProcess())
        sets = yield from _paint_sets(client, setup, file, weight, model_process)
    yield Progress(STAGE, 0, 1)
    likeness = _measured(client.likeness_file, setup.base, sets, crops)
    sheet = write_sheet(client, sets.base + sets.lora, caption=practice_caption(setup.base.kind))
    yield Progress(STAGE, 1, 1)
    return LikenessReport(likeness, len(sets.base) + len(sets.lora), sheet, setup.base.kind is BaseKind.EMBEDDED)


def _paint_sets(
    client: Client, setup: PipelineSetup, lora: Path, weight: float, model_process: ModelProcess
) -> Generator[Event, None, _Sets]:
    """The four sets, the client's among her portraits and the others' apart; without a LoRA first, so that it is put on once."""
    own = default_prompts(client.id, client.state().class_word, setup.base.practice)
    painted = []
    for file in (None, lora):
        for folder, prompts in ((client.output, own), (client.likeness, OTHERS_PROMPTS)):
            request = PortraitRequest(tuple(map(PromptText, prompts)), DEFAULT_SEEDS, file, weight)
            painted.append((yield from paint_missing(folder, portrait_jobs(folder, setup, request), STAGE, model_process)))
    return _Sets(base=painted[0], others_base=painted[1], lora=painted[2], others_lora=painted[3])


def _measured(record: Path, base: BaseModel, sets: _Sets, crops: Sequence[Path]) -> Likeness:
    """The measure from disk where these very pictures were measured before, else now."""
    key = hashlib.sha256(
        "\n".join([image.file.name for image in sets.all()] + [sha256_file(crop) for crop in crops]).encode()
    ).hexdigest()
    if record.exists():
        known = read_record(record, Likeness)
        if known.key == key:
            return known
    likeness = _measure(base, sets, crops).model_copy(update={"key": key})
    write_record(record, likeness)
    return likeness


def _measure(base: BaseModel, sets: _Sets, crops: Sequence[Path]) -> Likeness:
    """Encode every picture once and compare: distances are Euclidean, between the rows that latents are."""
    import torch

    path, side = base.require(), base.native_px
    own = latents_of(path, [_open(crop, side) for crop in crops])

    def far(portraits: Sequence[Portrait]) -> float:
        """How far portraits are from the crops, on the mean."""
        latents = latents_of(path, [_open(image.file, side) for image in portraits])
        return float(torch.cdist(latents, own).mean())

    among = float(torch.cdist(own, own).sum()) / (len(own) * (len(own) - 1))  # a crop is not compared with itself
    return Likeness(
        base=far(sets.base), lora=far(sets.lora), crops=among,
        others_base=far(sets.others_base), others_lora=far(sets.others_lora),
    )  # fmt: skip


def _open(file: Path, side: int) -> Image.Image:
    """A picture as a square of `side` pixels, each the mean of what it covers."""
    from PIL import Image

    with Image.open(file) as opened:
        return opened.convert("RGB").resize((side, side), Image.Resampling.BOX)
