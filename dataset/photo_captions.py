"""Sentences about photos by BLIP, where its model is here: said of everything but the face, they make captions richer.

transformers is imported by `Captioner` alone, and reads nothing but the folder named in the settings.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from client_folder.client import Client
from client_folder.records import Source, Verdict
from config import Settings
from utils import Event, ModelMissing, Progress, Record, read_record, write_record

if TYPE_CHECKING:
    from PIL import Image

MOST_TOKENS = 40
SAVE_EVERY = 10  # photos: a second or two of work each


class Descriptions(Record):
    """`metadata/descriptions.json`: what a model said of photos, by the hash of the original."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    model: str = ""
    sentences: dict[str, str] = {}


def descriptions(client: Client, settings: Settings) -> dict[str, str]:
    """What the model named in the settings has said so far; nothing where none is named."""
    return _stored(client, settings).sentences if settings.caption_model else {}


def describe(client: Client, settings: Settings, faces: Sequence[Verdict]) -> Generator[Event, None, None]:
    """Have every photo described that is not yet; raises ModelMissing where the folder holds no model."""
    if not settings.caption_model:
        return
    stored = _stored(client, settings)
    waiting = [face for face in faces if face.source is Source.REAL and face.sha256 not in stored.sentences]
    if not waiting:
        return
    from PIL import Image

    captioner = Captioner(Path(settings.caption_model).expanduser())
    for number, face in enumerate(waiting, 1):
        with Image.open(client.processed / face.crop) as crop:
            stored.sentences[face.sha256] = captioner.describe(crop.convert("RGB"))
        if number % SAVE_EVERY == 0 or number == len(waiting):
            write_record(client.descriptions_file, stored)
        yield Progress("describe", number, len(waiting), face.file)


def _stored(client: Client, settings: Settings) -> Descriptions:
    path = client.descriptions_file
    stored = read_record(path, Descriptions) if path.exists() else Descriptions()
    return stored if stored.model == settings.caption_model else Descriptions(model=settings.caption_model)


class Captioner:
    """A BLIP model on the processor."""

    def __init__(self, folder: Path) -> None:
        if not (folder / "config.json").is_file():
            raise ModelMissing(model=folder)
        from transformers import BlipForConditionalGeneration, BlipProcessor, logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        self._processor: Any = BlipProcessor.from_pretrained(folder, local_files_only=True)
        self._model: Any = BlipForConditionalGeneration.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()

    def describe(self, image: Image.Image) -> str:
        """One sentence."""
        import torch

        with torch.inference_mode():
            tokens = self._model.generate(**self._processor(images=image, return_tensors="pt"), max_new_tokens=MOST_TOKENS)
        return " ".join(str(self._processor.decode(tokens[0], skip_special_tokens=True)).split())
