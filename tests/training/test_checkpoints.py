"""Which LoRA is meant, asked of real files in a client's folder, and which base a LoRA fits, told by its layers."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from embedded_lora import make_embedded_lora
from safetensors.numpy import save_file
from stages import run
from tiny_sdxl import make_base

from actions.action import dump
from actions.checkpoints import answer
from client_folder.client import Client, create_client
from config import Settings
from generation import plan_portraits
from training.checkpoints import NoCheckpoint, TornCheckpoint, choose_lora, list_checkpoints
from training.exports import export_lora
from training.lora_files import look_closely
from training.plan import BaseKind
from utils import NotReady

CLAIMS_SDXL = {"ss_base_model_version": "sdxl_base_v1-0", "ss_steps": "7"}  # the header of every LoRA of the version before


@pytest.fixture
def client(tmp_path: Path) -> Client:
    client = create_client(tmp_path, "ana", "woman")
    client.models.mkdir()
    return client


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(base_model=str(make_base(tmp_path_factory.mktemp("models") / "tiny")))


def lay(client: Client, stem: str, width: int = 128, torn: bool = False) -> Path:
    """A small LoRA with a layer that reads the prompt, `width` numbers a word (SDXL has 2048), under sd-scripts' names."""
    file = client.models / f"{stem}.safetensors"
    layer = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k.lora_down.weight"
    save_file({layer: np.ones((4, width), np.float16)}, file, CLAIMS_SDXL)
    if torn:
        os.truncate(file, file.stat().st_size - 3)
    return file


# --- which one --------------------------------------------------------------------------------------------------------
def test_painting_and_exporting_take_the_finished_one_where_a_newer_training_was_cut_off(
    client: Client, settings: Settings
) -> None:
    finished = lay(client, "ana_avatar_v1")
    lay(client, "ana_avatar_v1-step00000250")
    lay(client, "ana_avatar_v2-step00000250")
    lay(client, "ana_avatar_v2-step00000500", torn=True)
    assert plan_portraits(client, settings).lora == finished
    assert run(export_lora(client, settings))[1].lora == finished
    assert choose_lora(client).path == finished


def test_nothing_finished_the_newest_step_is_taken(client: Client) -> None:
    lay(client, "ana_avatar_v1-step00000500")
    lay(client, "ana_avatar_v2-step00000250")
    newest = lay(client, "ana_avatar_v2-step00000300")
    lay(client, "ana_avatar_v2", torn=True)
    assert choose_lora(client).path == newest


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("250", "ana_avatar_v2-step00000250"),
        ("500", "ana_avatar_v1-step00000500"),
        ("7", "ana_avatar_v1"),
        ("ana_avatar_v1-step00000250", "ana_avatar_v1-step00000250"),
        ("ana_avatar_v2-step00000250.safetensors", "ana_avatar_v2-step00000250"),
        ("mixed by hand", "mixed by hand"),
    ],
)
def test_every_action_knows_a_lora_by_file_name_stem_and_step(client: Client, settings: Settings, name: str, stem: str) -> None:
    for known in ("v1-step00000007", "v1-step00000250", "v1-step00000500", "v1", "v2-step00000250"):
        lay(client, f"ana_avatar_{known}")
    lay(client, "ana_avatar_v2-step00000500", torn=True)
    lay(client, "mixed by hand")
    assert choose_lora(client, name).path.stem == stem
    assert plan_portraits(client, settings, loras=(name,)).loras == (client.models / f"{stem}.safetensors",)
    assert run(export_lora(client, settings, name))[1].lora.stem == stem


def test_a_torn_file_is_handed_out_by_no_name(client: Client, settings: Settings) -> None:
    lay(client, "ana_avatar_v1-step00000250")
    lay(client, "ana_avatar_v1", torn=True)
    lay(client, "mixed by hand", torn=True)
    for name in ("ana_avatar_v1", "ana_avatar_v1.safetensors", "mixed by hand"):
        with pytest.raises(TornCheckpoint) as refused:
            plan_portraits(client, settings, loras=(name,))
        assert "ana_avatar_v1-step00000250" in refused.value.cure()
        with pytest.raises(TornCheckpoint):
            next(export_lora(client, settings, name))
    (client.models / "ana_avatar_v1-step00000250.safetensors").unlink()
    with pytest.raises(TornCheckpoint, match="ana_avatar_v1"):
        choose_lora(client)


def test_what_is_missing_is_said_the_same_way_everywhere(client: Client, settings: Settings) -> None:
    for name in ("", "250"):
        with pytest.raises(NotReady, match="train the LoRA first"):
            plan_portraits(client, settings, loras=(name,))
        with pytest.raises(NotReady, match="train the LoRA first"):
            next(export_lora(client, settings, name))
    lay(client, "ana_avatar_v1")
    beside = lay(client, "moved").rename(client.root / "secret.safetensors")
    for name in ("99", "ana_avatar_v2", "../secret", str(beside), ".."):
        with pytest.raises(NoCheckpoint) as refused:
            plan_portraits(client, settings, loras=(name,))
        assert refused.value.cure() == "Those that can be used: ana_avatar_v1"
        with pytest.raises(NoCheckpoint):
            next(export_lora(client, settings, name))


# --- of which base ----------------------------------------------------------------------------------------------------
def test_the_layers_tell_the_base_whatever_the_header_claims(client: Client) -> None:
    lay(client, "ana_avatar_v1", width=128)
    lay(client, "ana_avatar_v2", width=2048)
    lay(client, "ana_avatar_v3", torn=True)
    make_embedded_lora(client.models / "ana_avatar_v4.safetensors")  # in diffusers' names
    save_file({"lora_unet_x.lokr_w1": np.ones((2, 2), np.float16)}, client.models / "ana_avatar_v5.safetensors")
    kinds = [one.base_kind for one in list_checkpoints(client)]
    assert kinds == [BaseKind.EMBEDDED, BaseKind.SDXL, None, BaseKind.EMBEDDED, BaseKind.SDXL]
    told = dump(answer(run(look_closely(client))[1]))["checkpoints"]
    assert [one["base_kind"] for one in told] == kinds
