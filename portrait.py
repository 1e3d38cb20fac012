"""Portraits as files: what was asked for, the name that follows from it, and what stands inside the picture and beside it.

A portrait's name holds a digest of everything its pixels depend on, so the same request again is answered from disk. Each PNG
carries the text that AUTOMATIC1111, ComfyUI's viewers and Civitai read, and the IPTC mark of pictures made by AI; the JSON beside
it holds all that is needed to paint it again. The JSON is written first: where the PNG stands, both do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from sdxl import Sampler, Session, Stroke, check_base, native_px
from utils import Event, ModelMissing, Progress, replacing, sha256_file, sweep_parts, write_record

if TYPE_CHECKING:
    from PIL import Image

NAME = "portrait_{seed}_{digest}.png"
DIGEST_DIGITS = 16
SAMPLED_BLOCKS, BLOCK_BYTES = 64, 1 << 16
MADE_BY_AI = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


@dataclass(frozen=True, slots=True)
class PortraitRequest:
    """Every prompt with every seed, by one model. `lora` None, or a weight of 0, paints with the base alone."""

    prompts: tuple[str, ...]
    seeds: tuple[int, ...]
    steps: int
    guidance: float
    sampler: Sampler
    lora: Path | None = None
    weight: float = 1.0
    negative: str = ""
    width: int | None = None  # pixels; None: the size that the base was trained at
    height: int | None = None


@dataclass(frozen=True, slots=True)
class Portrait:
    """One finished portrait."""

    file: Path
    seed: int
    lora: str  # file name, empty for the base alone
    weight: float  # 0 for the base alone
    prompt: str


class PortraitRecord(BaseModel):
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
    base_digest: str  # of samples of every file, see `digest_base`
    lora: str
    lora_sha256: str
    weight: float

    def digest(self) -> str:
        """What the pixels depend on, as hexadecimal digits; names of files do not count."""
        facts = self.model_dump(mode="json", exclude={"base", "lora"})
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:DIGEST_DIGITS]

    def stroke(self) -> Stroke:
        """The record as a session takes it."""
        return Stroke(
            self.prompt, self.negative, self.seed, self.steps, self.guidance, self.sampler, self.width, self.height
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Commission:
    """One portrait to have: its record, its file, and the LoRA to paint it with."""

    record: PortraitRecord
    file: Path
    lora: Path | None

    @property
    def portrait(self) -> Portrait:
        """The portrait, as reports show it."""
        return Portrait(self.file, self.record.seed, self.record.lora, self.record.weight, self.record.prompt)


def commission(folder: Path, base: Path, request: PortraitRequest) -> tuple[Commission, ...]:
    """The portraits that a request asks for, in its order; nothing is painted. Raises ModelMissing."""
    lora = request.lora if request.weight else None
    if lora is not None and not lora.is_file():
        raise ModelMissing(model=lora)
    side = native_px(base)
    shared = PortraitRecord(
        prompt="", negative=request.negative if request.guidance > 1 else "", seed=0, steps=request.steps,
        guidance=request.guidance, sampler=request.sampler, width=request.width or side, height=request.height or side,
        base=base.name, base_digest=digest_base(base), lora=lora.name if lora else "",
        lora_sha256=sha256_file(lora) if lora else "", weight=request.weight if lora else 0.0,
    )  # fmt: skip
    records = [shared.model_copy(update={"prompt": prompt, "seed": seed}) for prompt in request.prompts for seed in request.seeds]
    return tuple(Commission(record, folder / NAME.format(seed=record.seed, digest=record.digest()), lora) for record in records)


def paint_missing(
    folder: Path, base: Path, commissions: Sequence[Commission], stage: str
) -> Generator[Event, None, tuple[Portrait, ...]]:
    """Paint the portraits that are not on disk yet; no model is loaded where none is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    sweep_parts(folder)
    session: Session | None = None
    for done, piece in enumerate(commissions):
        yield Progress(stage, done, len(commissions), piece.file.name)
        if piece.file.exists():
            continue
        session = session or Session(base)
        session.wear(piece.lora, piece.record.weight)
        write_portrait(piece.file, session.paint(piece.record.stroke()), piece.record)
    yield Progress(stage, len(commissions), len(commissions))
    return tuple(piece.portrait for piece in commissions)


def write_portrait(file: Path, picture: Image.Image, record: PortraitRecord) -> None:
    """Write the record, then the picture with its texts, each whole or not at all."""
    from PIL.PngImagePlugin import PngInfo

    write_record(file.with_suffix(".json"), record)
    text = PngInfo()
    text.add_text("parameters", parameters_text(record))
    text.add_itxt("XML:com.adobe.xmp", _XMP)
    with replacing(file) as part:
        picture.save(part, format="PNG", pnginfo=text)


def parameters_text(record: PortraitRecord) -> str:
    """The record in the form that AUTOMATIC1111 writes into its pictures."""
    worn = f" <lora:{Path(record.lora).stem}:{record.weight:g}>" if record.lora else ""
    negative = [f"Negative prompt: {record.negative}"] if record.negative else []
    facts = {
        "Steps": record.steps, "Sampler": record.sampler.value, "CFG scale": f"{record.guidance:g}", "Seed": record.seed,
        "Size": f"{record.width}x{record.height}", "Model": Path(record.base).stem,
    }  # fmt: skip
    if record.lora:
        facts["Lora hashes"] = f'"{Path(record.lora).stem}: {record.lora_sha256[:12]}"'
    return "\n".join([record.prompt + worn, *negative, ", ".join(f"{name}: {fact}" for name, fact in facts.items())])


def digest_base(base: Path) -> str:
    """A digest of a base model: the names and sizes of its files, and 64 blocks of each, for reading 7 GB whole takes too long."""
    digest = hashlib.sha256()
    files = [base] if check_base(base).is_file() else sorted(path for path in base.rglob("*") if path.is_file())
    for path in files:
        size = path.stat().st_size
        name = "" if path == base else path.relative_to(base).as_posix()
        digest.update(f"{name}\0{size}\0".encode())
        with path.open("rb") as file:
            for block in range(SAMPLED_BLOCKS):
                file.seek(max(0, size - BLOCK_BYTES) * block // (SAMPLED_BLOCKS - 1))
                digest.update(file.read(BLOCK_BYTES))
                if size <= BLOCK_BYTES:
                    break
    return digest.hexdigest()


_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    f'Iptc4xmpExt:DigitalSourceType="{MADE_BY_AI}"/></rdf:RDF></x:xmpmeta>'
)
