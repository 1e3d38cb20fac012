"""Portraits as files: what was asked for, the name that follows from it, and what stands inside the picture and beside it.

A portrait's name holds a digest of everything its pixels depend on, so the same request again is answered from disk. Each PNG
carries the text that AUTOMATIC1111, ComfyUI's viewers and Civitai read, and the IPTC mark of pictures made by AI; the JSON beside
it holds all that is needed to paint it again. The JSON is written first: where the PNG stands, both do.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ConfigDict, Field

from machine.base_models import digest_model, known_sha256
from portraits.recipes import PipelineSetup, RecipeKind
from portraits.sdxl import ImageRequest, Sampler
from utils import ModelMissing, Record, replacing, write_record

if TYPE_CHECKING:
    from PIL import Image

NAME = "portrait_{seed}_{digest}.png"
DIGEST_DIGITS = 16
MADE_BY_AI = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


@dataclass(frozen=True, slots=True)
class PromptText:
    """A prompt as it is painted, its negative one, and what the user wrote, where magic or a style made it of that."""

    prompt: str
    negative: str = ""
    original: str = ""
    style: str = ""


@dataclass(frozen=True, slots=True)
class PortraitRequest:
    """Every wording with every seed, by one model. `lora` None, or a weight of 0, paints with the base alone."""

    prompt_texts: tuple[PromptText, ...]
    seeds: tuple[int, ...]
    lora: Path | None = None
    weight: float = 1.0
    size: tuple[int, int] | None = None  # width, height in pixels; None: the square that the base was trained at
    detail: float = 0.0  # the share of the steps that a second pass takes, at a larger size; 0: no such pass


@dataclass(frozen=True, slots=True)
class Portrait:
    """One finished portrait."""

    file: Path
    seed: int
    lora: str  # file name, empty for the base alone
    weight: float  # 0 for the base alone
    prompt: str


class PortraitRecord(Record):
    """The JSON beside a portrait: everything needed to paint it again."""

    model_config = ConfigDict(frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    prompt: str
    negative: str
    seed: int
    steps: int
    guidance: float
    sampler: Sampler
    width: int
    height: int
    base: str
    base_digest: str  # of samples of every file, see `base_models.digest_model`
    lora: str
    lora_sha256: str
    weight: float
    kind: RecipeKind = RecipeKind.BASE
    unet: str = ""  # a few-step U-Net in place of the base's
    unet_digest: str = ""
    vae: str = ""
    vae_digest: str = ""
    detail: float = 0.0
    original: str = ""  # what the user wrote, where the prompt was made of it
    style: str = ""

    def digest(self) -> str:
        """What the pixels depend on, as hexadecimal digits; names of files, and where the words came from, do not count."""
        facts = self.model_dump(mode="json", exclude={"base", "lora", "unet", "vae", "kind", "original", "style"})
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:DIGEST_DIGITS]

    def image_request(self) -> ImageRequest:
        """The record as a session takes it."""
        return ImageRequest(
            self.prompt, self.negative, self.seed, self.steps, self.guidance, self.sampler, self.width, self.height
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class PortraitJob:
    """One portrait to have: its record, its file, the files to paint it with."""

    record: PortraitRecord
    file: Path
    setup: PipelineSetup
    lora: Path | None

    @property
    def portrait(self) -> Portrait:
        """The portrait, as reports show it."""
        return Portrait(self.file, self.record.seed, self.record.lora, self.record.weight, self.record.prompt)


def portrait_jobs(folder: Path, setup: PipelineSetup, request: PortraitRequest) -> tuple[PortraitJob, ...]:
    """The portraits that a request asks for, in its order; nothing is painted. Raises ModelMissing."""
    lora = request.lora if request.weight else None
    if lora is not None and not lora.is_file():
        raise ModelMissing(model=lora)
    files, recipe = setup.files, setup.recipe
    side = setup.base.native_px
    width, height = request.size or (side, side)
    shared = PortraitRecord(
        prompt="", negative="", seed=0, steps=recipe.steps, guidance=recipe.guidance, sampler=recipe.sampler, width=width,
        height=height, base=files.base.name, base_digest=setup.base.digest, lora=lora.name if lora else "",
        lora_sha256=known_sha256(lora) if lora else "", weight=request.weight if lora else 0.0, kind=recipe.kind,
        unet=files.unet.name if files.unet else "", unet_digest=digest_model(files.unet) if files.unet else "",
        vae=files.vae.name if files.vae else "", vae_digest=digest_model(files.vae) if files.vae else "", detail=request.detail,
    )  # fmt: skip
    records = [
        shared.model_copy(
            update={
                "prompt": prompt_text.prompt, "negative": prompt_text.negative if recipe.negative else "", "seed": seed,
                "original": prompt_text.original, "style": prompt_text.style,
            }
        )
        for prompt_text in request.prompt_texts
        for seed in request.seeds
    ]  # fmt: skip
    return tuple(PortraitJob(one, folder / NAME.format(seed=one.seed, digest=one.digest()), setup, lora) for one in records)


def write_portrait(file: Path, picture: Image.Image, record: PortraitRecord) -> None:
    """Write the record, then the picture with its texts, each whole or not at all."""
    write_record(file.with_suffix(".json"), record)
    text = marked(MADE_BY_AI)
    # Latin-1 is what A1111 writes and every viewer reads; a prompt in other letters needs the international chunk.
    text.add_text("parameters", parameters_text(record))
    with replacing(file) as part:
        picture.save(part, format="PNG", pnginfo=text)


# What A1111 calls the samplers: sampling few-step models with trailing steps is its schedule "SGM Uniform".
_A1111 = {Sampler.EULER_TRAILING: ("Euler", "SGM Uniform"), Sampler.OWN: ("Euler", "SGM Uniform")}


def parameters_text(record: PortraitRecord) -> str:
    """The record in the form that AUTOMATIC1111 writes into its pictures."""
    lora = f" <lora:{Path(record.lora).stem}:{record.weight:g}>" if record.lora else ""
    negative = [f"Negative prompt: {record.negative}"] if record.negative else []
    sampler, schedule = _A1111.get(record.sampler, (record.sampler.value, "Automatic"))
    facts = {
        "Steps": record.steps, "Sampler": sampler, "Schedule type": schedule, "CFG scale": f"{record.guidance:g}",
        "Seed": record.seed, "Size": f"{record.width}x{record.height}", "Model": Path(record.unet or record.base).stem,
    }  # fmt: skip
    if record.vae:
        facts["VAE"] = record.vae
    if record.detail:
        facts["Denoising strength"] = f"{record.detail:g}"
    if record.lora:
        facts["Lora hashes"] = f'"{Path(record.lora).stem}: {record.lora_sha256[:12]}"'
    return "\n".join([record.prompt + lora, *negative, ", ".join(f"{name}: {fact}" for name, fact in facts.items())])


def marked(source_type: str) -> Any:
    """PNG texts that hold the IPTC mark of how a picture came to be."""
    from PIL.PngImagePlugin import PngInfo

    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", _XMP.format(source_type=source_type))
    return text


_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    'Iptc4xmpExt:DigitalSourceType="{source_type}"/></rdf:RDF></x:xmpmeta>'
)
