"""What a base model is, told in one place: where it lies, its kind, the side it was trained at, its digests, how to come by it.

A base is the small one that comes with the program, SDXL itself, a folder in diffusers' layout or a checkpoint in one file. Looking
at one reads its configurations, or the header of its file; weights are read for a digest only, and torch is never imported.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from client_folder.client import Client
from config import EMBEDDED_BASE, EMBEDDED_FOLDER, SDXL_BASE, Settings
from locales.language import N_, Labelled, _
from machine.models import Allows, Model, Origin, find, model_named, not_here, require
from utils import BrokenModel, ModelMissing, PipelineError, Record, read_record, sha256_file

SDXL_MODEL, SDXL_CONFIG = "sdxl-base", "sdxl-config"  # in the table of models: SDXL itself, and what it is configured by
SINGLE_FILE_PX = 1024  # what SDXL was trained at; a checkpoint in one file does not say
INDEX = "model_index.json"  # what makes a folder one of diffusers'
SAMPLED_BLOCKS, BLOCK_BYTES = 64, 1 << 16
_ENDS_BYTES = 1 << 20
_NAMES_SHOWN = 8
_SDXL_WIDTH = 320  # channels of the first block of SDXL's U-Net
_Config = TypeVar("_Config", bound=Record)


class Family(Labelled):
    """What a file of weights is, by the names of its tensors."""

    SDXL = "sdxl", N_("SDXL")
    REFINER = "refiner", N_("SDXL's refiner, which cannot paint alone")
    SD1 = "sd1", N_("Stable Diffusion 1")
    SD2 = "sd2", N_("Stable Diffusion 2")
    SD3 = "sd3", N_("Stable Diffusion 3")
    FLUX = "flux", N_("Flux")
    LORA = "lora", N_("a LoRA, no checkpoint")
    UNET = "unet", N_("a U-Net alone, without text encoders")
    VAE = "vae", N_("a VAE alone")
    OTHER = "other", N_("a model of another kind")


PRACTICE_CAPTION = N_("practice model, no photographs")


class NotSdxl(PipelineError):
    """Facts: model, kind."""

    message = N_("{model} is not SDXL: {kind}.")
    hint = N_("Name SDXL, a checkpoint made from it, or the embedded base in the settings (base_model).")


class BaseMissing(ModelMissing):
    """Facts: model, near."""

    message = N_("There is no base model {model}.")
    hint = N_("{near}")


class BaseKind(StrEnum):
    """How large the base model is, by its files."""

    EMBEDDED = "embedded"  # of SDXL's layout, but small, as the one that comes with the program
    SDXL = "sdxl"
    OTHER = "other"  # not of SDXL's layout, or not here to be looked at


def practice_caption(kind: BaseKind | None) -> str:
    """What stands on a sheet of pictures that a small model painted; empty for any other."""
    return _(PRACTICE_CAPTION) if kind is BaseKind.EMBEDDED else ""


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A base model. `native_px` is the side in pixels of the square it was trained at; `path` is None where it is not here."""

    name: str  # as the user wrote it
    path: Path | None
    kind: BaseKind
    native_px: int = SINGLE_FILE_PX
    few_steps: int | None = None  # that it was distilled to
    family: Family = Family.SDXL  # what its weights are; of what is not here, what its name promises
    source: Model | None = None  # its row in the table of models, where it is one of those

    @property
    def practice(self) -> bool:
        """Whether this is the base that comes with the program."""
        return self.path == EMBEDDED_FOLDER

    @property
    def distilled(self) -> str:
        """The method by which it was made to paint in few steps ("Lightning"), by its file's name; empty for a full model."""
        return distilled_as(self.path.name) if self.path is not None else ""

    @property
    def preload(self) -> str:
        """The name that `models preload` fetches it by; empty where it cannot be fetched, or is here."""
        fetched = self.path is None and self.source is not None and self.source.origin is Origin.HUB
        return self.source.name if self.source is not None and fetched else ""

    @property
    def licence(self) -> str:
        """Its licence; empty where the table of models does not know it."""
        return self.source.licence if self.source is not None else ""

    @property
    def allows(self) -> Allows | None:
        """What its licence lets a user do; None where the table of models does not know it."""
        return self.source.allows if self.source is not None else None

    def require(self) -> Path:
        """Its folder or file; raises NotDownloaded or BaseMissing, or NotSdxl where nothing can be painted or trained with it."""
        if self.path is None and self.source is not None and self.preload:
            raise not_here([self.source], self.source.bytes)
        if self.path is None:
            raise BaseMissing(model=self.name, near=what_is_there(Path(self.name).expanduser()))
        if self.kind is BaseKind.OTHER:
            raise NotSdxl(model=self.path, kind=self.family.label)
        return self.path

    @property
    def digest(self) -> str:
        """The digest that portraits hold, see `digest_model`; raises as `require` does."""
        return digest_model(self.require())

    @property
    def weights_digest(self) -> str:
        """The digest that trainings hold: of the U-Net's weights or of the file; raises as `require` does."""
        path = self.require()
        weights = [path] if path.is_file() else sorted((path / "unet").glob("*.safetensors"))
        return _digest_ends(weights[0]) if weights else ""


def base_of(client: Client, settings: Settings, name: str = "") -> BaseModel:
    """The named base model, else the client's, else the settings'; raises BrokenFile."""
    return find_base(client.home, settings, name or client.state().base_model)


def find_base(home: Path, settings: Settings, name: str = "") -> BaseModel:
    """The base model of that name, else the settings': "embedded", "sdxl", a folder or a file; raises BrokenFile.

    One that is not here is described as far as its name tells; `BaseModel.require` raises for it.
    """
    name = name or settings.base_model
    if name == SDXL_BASE:
        found = find(SDXL_MODEL, home, settings)
        if found.path is None:
            return BaseModel(name, None, BaseKind.SDXL, source=found.model)
        return replace(base_at(found.path, name), source=found.model)
    path = EMBEDDED_FOLDER if name == EMBEDDED_BASE else Path(name).expanduser()
    base = base_at(path, name)
    return replace(base, source=model_named(EMBEDDED_BASE)) if path == EMBEDDED_FOLDER else base


def base_at(path: Path, name: str = "") -> BaseModel:
    """What lies at a path: a folder in diffusers' layout, or a checkpoint in one file.

    Raises BrokenFile, or ModelMissing for a part of a folder.
    """
    name = name or str(path)
    if path.is_file():
        family = Family.OTHER  # no other file is read: what others hold, only running them would tell
        if path.suffix.lower() == ".safetensors":
            found = path.stat()
            family = _family_by_header(path, found.st_size, found.st_mtime_ns)
        kind = BaseKind.SDXL if family is Family.SDXL else BaseKind.OTHER
        return BaseModel(name, path, kind, few_steps=few_steps(path.name), family=family)
    if not (path / INDEX).is_file():
        return BaseModel(name, None, BaseKind.OTHER, family=Family.OTHER)
    unet, vae = _read_config(path / "unet", _UNetConfig), _read_config(path / "vae", _VAEConfig)
    kind = BaseKind.EMBEDDED if unet.block_out_channels[0] < _SDXL_WIDTH else BaseKind.SDXL
    family = Family.SDXL
    if not (path / "text_encoder_2").is_dir():  # which SDXL has and SD 1 and 2 have not
        kind, family = BaseKind.OTHER, Family.SD1
    levels = len(vae.block_out_channels or vae.encoder_block_out_channels)
    return BaseModel(name, path, kind, unet.sample_size * 2 ** (levels - 1), few_steps(path.name), family)


def configuration_of(base: Path, home: Path, settings: Settings) -> Path | None:
    """The folder of SDXL's configuration and tokenizers for a checkpoint in one file, which holds neither; None for a folder.

    They lie beside it, or where SDXL's own were downloaded to. Raises NotDownloaded.
    """
    if base.is_dir() or (base.parent / INDEX).is_file():
        return None if base.is_dir() else base.parent
    return require([SDXL_CONFIG], home, settings)[0].parent


def few_steps(name: str) -> int | None:
    """The steps that a few-step checkpoint was distilled to, by its file's name; None for any other model.

    ByteDance publishes `sdxl_lightning_4step_unet.safetensors`; merged checkpoints keep "lightning" and the steps in their names.
    """
    found = re.search(r"lightning.*?(\d)[-_ ]?step|(\d)[-_ ]?step.*?lightning", name, re.IGNORECASE)
    return int(found[1] or found[2]) if found else None


_DISTILLED = re.compile(r"(?<![a-z])(lightning|turbo|hyper|lcm|dmd2)(?![a-z])", re.IGNORECASE)
_METHODS = {"lightning": "Lightning", "turbo": "Turbo", "hyper": "Hyper", "lcm": "LCM", "dmd2": "DMD2"}


def distilled_as(name: str) -> str:
    """The method of distillation that a file's name tells, as it is usually written (empty where it tells none)."""
    found = _DISTILLED.search(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name))
    return _METHODS[found[1].lower()] if found else ""


def what_is_there(path: Path) -> str:
    """Where a base is not at a path: the nearest name, else what that folder holds, for people."""
    folder = next(parent for parent in (path.parent, *path.parent.parents) if parent.is_dir())
    here = [one.name for one in sorted(folder.iterdir()) if one.suffix.lower() == ".safetensors" or (one / INDEX).is_file()]
    words = [EMBEDDED_BASE, SDXL_BASE] if folder == path.parent else []
    if near := difflib.get_close_matches(path.name, [*here, *words], 1):
        return _("The nearest name: {name}").format(name=near[0] if near[0] in words else folder / near[0])
    if folder != path.parent:
        return _("There is a folder {folder}, but none {missing} in it.").format(
            folder=folder, missing=path.relative_to(folder).parts[0]
        )
    if not here:
        return _("{folder} holds no checkpoint (.safetensors) and no folder in diffusers' layout.").format(folder=folder.resolve())
    more = ", ..." if len(here) > _NAMES_SHOWN else ""
    return _("In {folder}: {names}").format(folder=folder.resolve(), names=", ".join(here[:_NAMES_SHOWN]) + more)


# --- what its files say -----------------------------------------------------------------------------------------------
class _UNetConfig(Record):
    """What is asked of a U-Net's `config.json`."""

    block_out_channels: tuple[int, ...]
    sample_size: int  # latents a side


class _VAEConfig(Record):
    """What is asked of a VAE's `config.json`; a tiny autoencoder names the blocks of its encoder only."""

    block_out_channels: tuple[int, ...] = ()
    encoder_block_out_channels: tuple[int, ...] = ()


def _read_config(folder: Path, kind: type[_Config]) -> _Config:
    file = folder / "config.json"
    if not file.is_file():
        raise ModelMissing(model=file)
    return read_record(file, kind)


# What only one family's tensors are called, asked in this order; as the published checkpoints have them.
_MARKS = (
    (Family.LORA, re.compile(r"^lora_(?:unet|te)|\.lora_(?:up|down|A|B)\.|\.lora_linear_layer\.")),
    (Family.SDXL, re.compile(r"^conditioner\.embedders\.(?:1\.|0\.transformer\.)")),
    (Family.REFINER, re.compile(r"^conditioner\.embedders\.0\.model\.")),
    (Family.SD1, re.compile(r"^cond_stage_model\.transformer\.")),
    (Family.SD2, re.compile(r"^cond_stage_model\.model\.")),
    (Family.FLUX, re.compile(r"(?:^|\.)(?:double_blocks|single_transformer_blocks)\.\d+\.")),
    (Family.SD3, re.compile(r"(?:^|\.)joint_blocks\.\d+\.")),
    (Family.UNET, re.compile(r"^(?:model\.diffusion_model\.)?(?:input_blocks|down_blocks)\.\d+\.")),
    (Family.VAE, re.compile(r"^(?:first_stage_model\.)?(?:encoder|decoder)\.conv_in\.")),
)


@lru_cache(maxsize=512)
def _family_by_header(path: Path, _size: int, _written_ns: int) -> Family:
    """What the header of a safetensors file says, read again only where the file was written again."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:  # it checks that the file holds every byte its header promises
            names = tuple(file.keys())
    except SafetensorError as error:
        raise BrokenModel(path=path, reason=str(error).splitlines()[0]) from error
    return next((family for family, mark in _MARKS if any(mark.search(name) for name in names)), Family.OTHER)


# --- digests: names of portraits and records of trainings hold them, so that neither may change -----------------------------
def known_sha256(path: Path) -> str:
    """The SHA-256 of a file, read once for as long as it is not written again: plans and screens ask for it over and over."""
    found = path.stat()
    return _sha256_as_of(path, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=4096)
def _sha256_as_of(path: Path, _size: int, _written_ns: int) -> str:
    return sha256_file(path)


def digest_model(model: Path) -> str:
    """A digest of a model: the names and sizes of its files, and 64 blocks of each, for reading 7 GB whole takes too long.

    It is read once for as long as no file is written again.
    """
    files = [model] if model.is_file() else sorted(path for path in model.rglob("*") if path.is_file())
    states = [(path, path.stat()) for path in files]
    return _digest_blocks(model, tuple((path, state.st_size, state.st_mtime_ns) for path, state in states))


@lru_cache(maxsize=64)
def _digest_blocks(model: Path, files: tuple[tuple[Path, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for path, size, _written_ns in files:
        name = "" if path == model else path.relative_to(model).as_posix()
        digest.update(f"{name}\0{size}\0".encode())
        with path.open("rb") as file:
            for block in range(SAMPLED_BLOCKS):
                file.seek(max(0, size - BLOCK_BYTES) * block // (SAMPLED_BLOCKS - 1))
                digest.update(file.read(BLOCK_BYTES))
                if size <= BLOCK_BYTES:
                    break
    return digest.hexdigest()


def _digest_ends(path: Path) -> str:
    """A digest of size, beginning and end of a file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        digest = hashlib.sha256(f"{size}:".encode() + file.read(_ENDS_BYTES))
        file.seek(max(0, size - _ENDS_BYTES))
        digest.update(file.read())
    return digest.hexdigest()[:16]
