"""What models there are: source and revision, files, size, SHA-256, licence and what it allows, video memory; and where they lie.

A model is looked for where a user may have put its files by hand, then in the hub's cache. Every revision is one commit of the
hub's, never a branch, which may mean other files tomorrow. Hashes stand here where several sources told the same; with one here or
without, a download is checked by what the hub states for the file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from config import EMBEDDED_FOLDER, SDXL_ID, Settings
from locales.language import N_, Labelled
from utils import ModelMissing, PipelineError

SMALL = 2_000  # bytes counted for a configuration whose size is not listed


class ModelUnknown(PipelineError):
    """Facts: name, known."""

    message = N_('There is no model "{name}" in the table.')
    hint = N_("Models: {known}")


class NotDownloaded(ModelMissing):
    """Facts: model, names, size. Models of the table that are not here; `names` as `models preload` takes them."""

    message = N_("{model} is not here; to download: {size}.")
    hint = N_("python avatar_pipeline.py models preload {names}")
    menu_hint = N_("Choose it again, and say Yes to the download; or download it under: Models.")


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


def _whisper(size: str, revision: str, weights: ModelFile, config: ModelFile, vram_gb: float = 1.0) -> Model:
    # large-v3 keeps its vocabulary as JSON and has a configuration of its sound; the others share both files of words.
    words = _WORDS_LARGE if size.startswith("large") else _WORDS
    return Model(
        f"whisper-{size}", f"Whisper {size}", Origin.HUB, f"Systran/faster-whisper-{size}", revision, (weights, config, *words),
        "MIT", Allows.ALL, vram_gb,
    )  # fmt: skip


_WORDS = (
    ModelFile("tokenizer.json", 2_203_239, "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab"),
    ModelFile("vocabulary.txt", 459_861, "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913"),
)
_WORDS_LARGE = (
    ModelFile("tokenizer.json", 2_480_617, "6d8cbd7cd0d8d5815e478dac67b85a26bbe77c1f5e0c6d76d1ce2abc0e5f21ca"),
    ModelFile("vocabulary.json", 1_068_114, "c69260f2ab26d659b7c398f9a2b2b48ed0df16c3b47d7326782fd9cba71690c1"),
    ModelFile("preprocessor_config.json", 340, "7ccc62c6f2765af1f3b46c00c9b5894426835a05021c8b9c01eecb6dfb542711"),
)
_LIGHTNING = "ByteDance/SDXL-Lightning"
_LIGHTNING_REVISION = "c9a24f48e1c025556787b0c58dd67a091ece2e44"
_INSIGHTFACE = "https://github.com/deepinsight/insightface/releases/download/model-zoo/"
_RESEARCH = "InsightFace: non-commercial research"
_SDXL_REVISION = "462165984030d82259a11f4367a4eed129e94a7b"
_MERGES_BYTES, _VOCABULARY_BYTES = 524_619, 1_059_962
# What diffusers and the trainer read beside a checkpoint in one file, so that it opens with no connection.
_SDXL_PARTS = (
    *(ModelFile(path) for path in (
        "model_index.json", "scheduler/scheduler_config.json", "text_encoder/config.json", "text_encoder_2/config.json",
        "unet/config.json", "vae/config.json",
    )),
    *(file for folder in ("tokenizer", "tokenizer_2") for file in (
        ModelFile(f"{folder}/merges.txt", _MERGES_BYTES), ModelFile(f"{folder}/vocab.json", _VOCABULARY_BYTES),
        ModelFile(f"{folder}/special_tokens_map.json"), ModelFile(f"{folder}/tokenizer_config.json"),
    )),
)  # fmt: skip
_BUFFALO = "buffalo_l.zip"

MODELS = (
    Model(
        "embedded", "Embedded base", Origin.HERE, "embedded/base", "-", (ModelFile("model_index.json"),), "MIT", Allows.ALL, 0.1,
    ),
    Model(
        "sdxl-base", "SDXL base 1.0 (fp16)", Origin.HUB, SDXL_ID, _SDXL_REVISION,
        (
            ModelFile("sd_xl_base_1.0.safetensors", 6_938_078_334,
                      "31e35c80fc4829d14f90153f4c74cd59c90b779f6afe05a74cd6120b893f7e5b"),
            *_SDXL_PARTS,
        ),
        "CreativeML Open RAIL++-M", Allows.RULES, 7.0,
    ),
    Model(
        "sdxl-config", "SDXL base 1.0, configuration only", Origin.HUB, SDXL_ID, _SDXL_REVISION, _SDXL_PARTS,
        "CreativeML Open RAIL++-M", Allows.RULES, 0.0,
    ),
    Model(
        "sdxl-vae", "SDXL VAE safe in fp16", Origin.HUB, "madebyollin/sdxl-vae-fp16-fix",
        "207b116dae70ace3637169f1ddd2434b91b3a8cd",
        (
            ModelFile("config.json", 631, "f18b16fa4381c90ab44a3d7abd2e90afd05a2c31b8ca69998bc93c6453aeb7b7"),
            ModelFile("diffusion_pytorch_model.safetensors", 334_643_238,
                      "1b909373b28f2137098b0fd9dbc6f97f8410854f31f84ddc9fa04b077b0ace2c"),
        ),
        "MIT", Allows.ALL, 0.4,
    ),
    Model(
        "sdxl-lightning-4", "SDXL-Lightning, 4 steps (U-Net)", Origin.HUB, _LIGHTNING, _LIGHTNING_REVISION,
        (ModelFile("sdxl_lightning_4step_unet.safetensors", 5_140_000_000),), "CreativeML Open RAIL++-M", Allows.RULES, 6.0,
    ),
    Model(
        "sdxl-lightning-8", "SDXL-Lightning, 8 steps (U-Net)", Origin.HUB, _LIGHTNING, _LIGHTNING_REVISION,
        (ModelFile("sdxl_lightning_8step_unet.safetensors", 5_140_000_000),), "CreativeML Open RAIL++-M", Allows.RULES, 6.0,
    ),
    _whisper(
        "tiny", "d90ca5fe260221311c53c58e660288d3deb8d356",
        ModelFile("model.bin", 75_538_270, "dcb76c6586fc06cbdac6dd21f14cfd129cc4cdd9dce19bf4ffa62e59cbe6e6d1"),
        ModelFile("config.json", 2_249, "a73a28cdfe1c43ccc7202fa333d1f89c202477271407ae9a7f19afa52039cac8"),
    ),
    _whisper(
        "base", "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66",
        ModelFile("model.bin", 145_217_532, "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"),
        ModelFile("config.json", 2_309, "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"),
    ),
    _whisper(
        "small", "536b0662742c02347bc0e980a01041f333bce120",
        ModelFile("model.bin", 483_546_902, "3e305921506d8872816023e4c273e75d2419fb89b24da97b4fe7bce14170d671"),
        ModelFile("config.json", 2_370, "b55496ac7940a7ae47d2c01eab40edfd8701feec1229d9cce3b40014383fb828"), vram_gb=1.5,
    ),
    _whisper(
        "medium", "08e178d48790749d25932bbc082711ddcfdfbc4f",
        ModelFile("model.bin", 1_527_906_378, "9b45e1009dcc4ab601eff815b61d80e60ce3fd8c74c1a14f4a282258286b51ae"),
        ModelFile("config.json", 2_257, "3622a2ddc41ec0e0fd4e68c13c6830f03b90c38d89aaad184de02c8c642cf807"), vram_gb=3.0,
    ),
    _whisper(
        "large-v3", "edaa852ec7e145841d8ffdb056a99866b5f0a478",
        ModelFile("model.bin", 3_087_284_237, "69f74147e3334731bc3a76048724833325d2ec74642fb52620eda87352e3d4f1"),
        ModelFile("config.json", 2_394, "a9306624f5ec14270a014b647e5c316b6e03a662c369758d1b90697a7b0655b9"), vram_gb=5.0,
    ),
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

    @property
    def missing_bytes(self) -> int:
        """What has to be downloaded of it."""
        return sum(file.bytes for file in self.to_fetch)

    @property
    def to_fetch(self) -> tuple[ModelFile, ...]:
        """The files and archives that have to come."""
        missing = [file for file in self.model.files if file.path not in self.files]
        packed = {file.member_of for file in missing}
        alone = (file for file in missing if not file.member_of)
        return (*alone, *(archive for archive in self.model.archives if archive.path in packed))


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


def require(names: Sequence[str], home: Path, settings: Settings) -> tuple[Path, ...]:
    """The first file of each named model; raises NotDownloaded for all that are not here, together, and ModelUnknown."""
    found = [find(name, home, settings) for name in names]
    missing = [one for one in found if not one.here]
    if missing:
        raise not_here([one.model for one in missing], sum(one.missing_bytes for one in missing))
    return tuple(one.files[one.model.files[0].path] for one in found)


def not_here(models: Sequence[Model], size: int) -> NotDownloaded:
    """The error for models that are not here, of `size` bytes in all."""
    return NotDownloaded(
        model=", ".join(one.title for one in models), names=" ".join(one.name for one in models), size=in_gb(size)
    )  # fmt: skip


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
    same = [one.name for one in MODELS if (one.source, one.revision) == (model.source, model.revision)]  # SDXL, and its parts alone
    by_hand = [folder / model.name / name, *(folder / row / file.path for row in dict.fromkeys((model.name, *same)))]
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


def in_gb(size: float) -> str:
    """A size in bytes as people read it: 6.9 GB, 76 MB; as disks and downloads are told, a GB is 10^9 bytes."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(round(size / 1e6), 1 if size else 0)} MB"
