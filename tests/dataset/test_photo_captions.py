"""BLIP in small, built here from random numbers: described once, asked of a folder and of nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from PIL import Image

from client_folder.client import Client, create_client
from client_folder.records import Faces, Source, Verdict
from config import Settings
from data_preprocessor import prepare_dataset
from dataset.files import list_captions
from dataset.photo_captions import Captioner, descriptions
from utils import ModelMissing, write_record


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BLIP of a few thousand parameters that says a few of its twenty words."""
    import torch
    from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration, BlipImageProcessor, BlipProcessor

    folder = tmp_path_factory.mktemp("blip")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]"]
    words = [*special, "a", "the", "park", "red", "coat", "smiling", "in", "with", "tree", "sky"]
    (folder / "vocab.txt").write_text("\n".join(words))
    text = {
        "vocab_size": len(words), "hidden_size": 16, "encoder_hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "bos_token_id": 5, "eos_token_id": 3, "sep_token_id": 3, "pad_token_id": 0, "projection_dim": 16,
    }  # fmt: skip
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 32}
    torch.manual_seed(1)
    config = BlipConfig(
        text_config=text, vision_config={**vision, "patch_size": 16, "projection_dim": 16}, image_text_hidden_size=16
    )
    BlipForConditionalGeneration(config).save_pretrained(folder)
    tokenizer = BertTokenizer(str(folder / "vocab.txt"))
    BlipProcessor(BlipImageProcessor(size={"height": 32, "width": 32}), tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture
def client(tmp_path: Path) -> Client:
    client = create_client(tmp_path, "ana", "woman")
    client.processed.mkdir()
    faces = []
    for number in range(4):
        sha = hashlib.sha256(str(number).encode()).hexdigest()
        Image.new("RGB", (64, 64), (60 * number, 90, 120)).save(client.processed / f"real_{sha[:12]}.png")
        faces.append(Verdict(file=f"{number}.jpg", sha256=sha, source=Source.REAL, crop=f"real_{sha[:12]}.png", settings="s"))
    write_record(client.faces_file, Faces(faces=tuple(faces)))
    return client


def test_photos_are_described_once_and_the_words_stand_in_the_captions(client: Client, model: Path) -> None:
    settings = Settings(caption_model=str(model))
    events = [event for event in prepare_dataset(client, settings) if getattr(event, "stage", "") == "describe"]
    assert len(events) == 4
    said = descriptions(client, settings)
    assert len(said) == 4
    assert not [event for event in prepare_dataset(client, settings) if getattr(event, "stage", "") == "describe"]
    assert all(row.text.startswith("portrait of ana woman") and "\n" not in row.text for row in list_captions(client))


def test_without_a_model_nothing_is_described(client: Client) -> None:
    list(prepare_dataset(client, Settings()))
    assert not client.descriptions_file.exists()


def test_a_folder_without_a_model_is_named(client: Client, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing):
        list(prepare_dataset(client, Settings(caption_model=str(tmp_path))))
    with pytest.raises(ModelMissing):
        Captioner(tmp_path)
