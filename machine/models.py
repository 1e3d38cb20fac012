"""What models there are: source and revision, files, size, SHA-256, licence and what it allows, video memory; and where they lie.

A model is looked for where a user may have put its files by hand, then in the hub's cache. Hashes stand here only where the
publisher's own were compared; for other files of the hub the download is checked against the hub's own hash.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from config import EMBEDDED_FOLDER, SDXL_ID, Settings
from locales.language import N_, Labelled
from machine.errors import ModelUnknown

SMALL = 200_000  # bytes counted for a configuration whose size is not listed


class Allows(Labelled):
    """What a licence lets a user do with what the model makes."""

    ALL = "all", N_("any use")
    RULES = "rules", N_("commercial use too, within the licence's rules")  # a list of forbidden uses
    RESEARCH = "research", N_("non-commercial research only")  # unless a licence was bought


class Origin(StrEnum):
    """Who keeps the files, and so how they are fetched."""

    HUB = "hub"
    RELEASE = "release"  # a file of a GitHub release
    HERE = "here"  # it comes with the program


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model; `member_of` names the archive that it is taken out of."""

    path: str
    bytes: int = SMALL
    sha256: str = ""  # empty: not known for sure
    member_of: str = ""


@dataclass(frozen=True, slots=True)
class Model:
    """One row of the table. `source` is a repository of the hub, or the address that files or archives are below."""

    name: str
    title: str
    origin: Origin
    source: str
    revision: str
    files: tuple[ModelFile, ...]
    licence: str
    allows: Allows
    vram_gb: float  # while it works, from the original plan's table where it has the model
    archives: tuple[ModelFile, ...] = ()

    @property
    def bytes(self) -> int:
        """What has to be downloaded."""
        return sum(file.bytes for file in (*self.archives, *(file for file in self.files if not file.member_of)))

    @property
    def page(self) -> str:
        """Where a person finds the files."""
        return f"https://huggingface.co/{self.source}/tree/{self.revision}" if self.origin is Origin.HUB else self.source


def _whisper(size: str, revision: str, size_bytes: int, sha256: str = "", vram_gb: float = 1.0) -> Model:
    # large-v3 keeps its vocabulary as JSON and has a configuration of its sound; the others have neither.
    large = size.startswith("large")
    names = ("vocabulary.json", "preprocessor_config.json") if large else ("vocabulary.txt",)
    files = (ModelFile("model.bin", size_bytes, sha256), *(ModelFile(name, 1_100_000) for name in names),
             ModelFile("config.json"), ModelFile("tokenizer.json", 2_200_000))  # fmt: skip
    return Model(
        f"whisper-{size}", f"faster-whisper {size}", Origin.HUB, f"Systran/faster-whisper-{size}", revision, files,
        "MIT", Allows.ALL, vram_gb,
    )  # fmt: skip


_LIGHTNING = "ByteDance/SDXL-Lightning"
_LIGHTNING_REVISION = "c9a24f48e1c025556787b0c58dd67a091ece2e44"
_INSIGHTFACE = "https://github.com/deepinsight/insightface/releases/download/model-zoo/"
_RESEARCH = "InsightFace: non-commercial research"
# What diffusers reads beside a checkpoint in one file, so that it opens with no connection.
_SDXL_PARTS = (
    "model_index.json", "scheduler/scheduler_config.json", "text_encoder/config.json", "text_encoder_2/config.json",
    "tokenizer/merges.txt", "tokenizer/special_tokens_map.json", "tokenizer/tokenizer_config.json", "tokenizer/vocab.json",
    "tokenizer_2/merges.txt", "tokenizer_2/special_tokens_map.json", "tokenizer_2/tokenizer_config.json", "tokenizer_2/vocab.json",
    "unet/config.json", "vae/config.json",
)  # fmt: skip
_BUFFALO = "buffalo_l.zip"

MODELS = (
    Model(
        "embedded", "Embedded base", Origin.HERE, "embedded/base", "-", (ModelFile("model_index.json"),), "MIT", Allows.ALL, 0.1,
    ),
    Model(
        "sdxl-base", "SDXL base 1.0 (fp16)", Origin.HUB, SDXL_ID, "462165984030d82259a11f4367a4eed129e94a7b",
        (
            ModelFile("sd_xl_base_1.0.safetensors", 6_938_078_334,
                      "31e35c80fc4829d14f90153f4c74cd59c90b779f6afe05a74cd6120b893f7e5b"),
            *(ModelFile(part) for part in _SDXL_PARTS),
        ),
        "CreativeML Open RAIL++-M", Allows.RULES, 7.0,
    ),
    Model(
        "sdxl-vae", "SDXL VAE safe in fp16", Origin.HUB, "madebyollin/sdxl-vae-fp16-fix",
        "207b116dae70ace3637169f1ddd2434b91b3a8cd",
        (ModelFile("config.json"), ModelFile("diffusion_pytorch_model.safetensors", 334_643_238)), "MIT", Allows.ALL, 0.4,
    ),
    Model(
        "sdxl-lightning-4", "SDXL-Lightning, 4 steps (U-Net)", Origin.HUB, _LIGHTNING, _LIGHTNING_REVISION,
        (ModelFile("sdxl_lightning_4step_unet.safetensors", 5_140_000_000),), "CreativeML Open RAIL++-M", Allows.RULES, 6.0,
    ),
    Model(
        "sdxl-lightning-8", "SDXL-Lightning, 8 steps (U-Net)", Origin.HUB, _LIGHTNING, _LIGHTNING_REVISION,
        (ModelFile("sdxl_lightning_8step_unet.safetensors", 5_140_000_000),), "CreativeML Open RAIL++-M", Allows.RULES, 6.0,
    ),
    _whisper("tiny", "main", 75_500_000),
    _whisper("base", "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66", 145_217_532,
             "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"),
    _whisper("small", "536b0662742c02347bc0e980a01041f333bce120", 483_546_902,
             "3e305921506d8872816023e4c273e75d2419fb89b24da97b4fe7bce14170d671", vram_gb=1.5),
    _whisper("medium", "main", 1_530_000_000, vram_gb=3.0),
    _whisper("large-v3", "edaa852ec7e145841d8ffdb056a99866b5f0a478", 3_087_284_237,
             "69f74147e3334731bc3a76048724833325d2ec74642fb52620eda87352e3d4f1", vram_gb=5.0),
    Model(
        "buffalo_l", "InsightFace buffalo_l", Origin.RELEASE, _INSIGHTFACE, "model-zoo",
        (
            ModelFile("buffalo_l/det_10g.onnx", 0, "5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91", _BUFFALO),
            ModelFile("buffalo_l/w600k_r50.onnx", 0, "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43", _BUFFALO),
        ),
        _RESEARCH, Allows.RESEARCH, 1.0,
        archives=(ModelFile(_BUFFALO, 288_621_354, "80ffe37d8a5940d59a7384c201a2a38d4741f2f3c51eef46ebb28218a7b0ca2f"),),
    ),
    Model(
        "inswapper_128", "InsightFace inswapper_128", Origin.RELEASE, _INSIGHTFACE, "model-zoo",
        (ModelFile("inswapper_128.onnx", 554_253_681, "e4a3f08c753cb72d04e10aa0f7dbe3deebbf39567d4ead6dce08e98aa49e16af"),),
        _RESEARCH, Allows.RESEARCH, 1.0,
    ),
)  # fmt: skip
USUAL = ("sdxl-base", "sdxl-vae", "sdxl-lightning-4", "whisper-base")  # what `preload` fetches where nothing is named
WHISPER_SIZES = tuple(model.name.removeprefix("whisper-") for model in MODELS if model.name.startswith("whisper-"))


@dataclass(frozen=True, slots=True)
class Found:
    """A model and where its files lie; those that are missing are not in `files`."""

    model: Model
    files: dict[str, Path]
    place: Path  # where its files can be put by hand

    @property
    def here(self) -> bool:
        """Whether every file is there."""
        return len(self.files) == len(self.model.files)

    @property
    def path(self) -> Path | None:
        """The first file of a model that is here, which is its weights where it has any."""
        return self.files[self.model.files[0].path] if self.here else None


def model_named(name: str) -> Model:
    """The model of that name; raises ModelUnknown."""
    for model in MODELS:
        if model.name == name:
            return model
    raise ModelUnknown(name=name, known=", ".join(model.name for model in MODELS))


def models_folder(home: Path, settings: Settings) -> Path:
    """Where models lie that were placed by hand, and InsightFace's downloads."""
    return Path(settings.models_folder).expanduser() if settings.models_folder else home / "models"


def find(name: str, home: Path, settings: Settings) -> Found:
    """Where a model lies; raises ModelUnknown."""
    return locate(model_named(name), models_folder(home, settings))


def locate(model: Model, folder: Path) -> Found:
    """Where the files of a model lie: below `folder`, in the hub's cache, in InsightFace's own folder."""
    place = folder if model.origin is Origin.RELEASE else folder / model.name
    if model.origin is Origin.HERE:
        base = EMBEDDED_FOLDER
        return Found(model, {file.path: base / file.path for file in model.files if (base / file.path).is_file()}, base)
    files = {file.path: path for file in model.files if (path := _locate_file(model, file, folder)) is not None}
    return Found(model, files, place)


def _locate_file(model: Model, file: ModelFile, folder: Path) -> Path | None:
    name = Path(file.path).name
    by_hand = [folder / model.name / file.path, folder / model.name / name]
    if model.origin is Origin.RELEASE:
        own = Path(os.environ.get("INSIGHTFACE_HOME") or Path.home() / ".insightface") / "models"
        by_hand += [folder / file.path, own / file.path]
    elif name.endswith(".safetensors") and name != "diffusion_pytorch_model.safetensors":
        by_hand.append(folder / name)  # its name says what it is
    for path in by_hand:
        if path.is_file():
            return path
    if model.origin is not Origin.HUB:
        return None
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(model.source, file.path, revision=model.revision)
    return Path(cached) if isinstance(cached, str) else None


def list_models(home: Path, settings: Settings) -> tuple[Found, ...]:
    """Every model of the table, and where it lies."""
    return tuple(locate(model, models_folder(home, settings)) for model in MODELS)
