"""A small client that tests of its folder share."""

import os

import pytest
from PIL import Image

from client_folder.client import create_client
from client_folder.export import CHUNK_BYTES


@pytest.fixture
def ana(tmp_path):
    """A client with a file of every kind that counts."""
    client = create_client(tmp_path / "home", "ana", "woman")
    folder = client.dataset_folder(10)
    folder.mkdir(parents=True)
    Image.effect_noise((64, 64), 50).save(folder / "a.png")
    (folder / "a.txt").write_text("portrait of ana woman, señora\n" * 200, encoding="utf-8")
    (client.raw_real / "niña ñ.jpg").write_bytes(os.urandom(1000))
    client.models.mkdir()
    (client.models / "ana_avatar_v1.safetensors").write_bytes(os.urandom(CHUNK_BYTES + 5))
    client.training.mkdir()
    (client.training / "empty.log").touch()
    return client
