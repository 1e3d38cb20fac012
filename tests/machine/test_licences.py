"""Licences, commits and hashes of models, by what their publishers say and not by our own table."""

from __future__ import annotations

import pytest

from config import Settings
from machine.models import MODELS, Allows, Model, ModelFile, Origin, find, locate, model_named

# The licence that each page of the hub states, and what it lets people do: https://huggingface.co/PAGE (InsightFace: its README).
STATED = {
    "embedded": ("embedded/base", "MIT", "all"),
    "sdxl-base": ("stabilityai/stable-diffusion-xl-base-1.0", "CreativeML Open RAIL++-M", "rules"),
    "sdxl-config": ("stabilityai/stable-diffusion-xl-base-1.0", "CreativeML Open RAIL++-M", "rules"),
    "sdxl-vae": ("madebyollin/sdxl-vae-fp16-fix", "MIT", "all"),
    "sdxl-lightning-4": ("ByteDance/SDXL-Lightning", "CreativeML Open RAIL++-M", "rules"),
    "sdxl-lightning-8": ("ByteDance/SDXL-Lightning", "CreativeML Open RAIL++-M", "rules"),
    "whisper-tiny": ("Systran/faster-whisper-tiny", "MIT", "all"),
    "whisper-base": ("Systran/faster-whisper-base", "MIT", "all"),
    "whisper-small": ("Systran/faster-whisper-small", "MIT", "all"),
    "whisper-medium": ("Systran/faster-whisper-medium", "MIT", "all"),
    "whisper-large-v3": ("Systran/faster-whisper-large-v3", "MIT", "all"),
    "buffalo_l": ("https://github.com/deepinsight/insightface/releases/download/model-zoo/", "InsightFace", "research"),
    "inswapper_128": ("https://github.com/deepinsight/insightface/releases/download/model-zoo/", "InsightFace", "research"),
}


def test_every_model_of_the_table_is_known_here():
    assert {model.name for model in MODELS} == set(STATED)


@pytest.mark.parametrize("name", STATED)
def test_a_model_is_shown_under_the_licence_it_is_published_under(name):
    model, (source, licence, allows) = model_named(name), STATED[name]
    assert (model.source, model.allows.value) == (source, allows)
    assert model.licence.startswith(licence)


def test_what_cannot_be_checked_by_the_hub_has_its_hash_in_the_table():
    """A release states no hash: without one here, nothing would be known of what came. SDXL's weights are those of the release."""
    for model in MODELS:
        if model.origin is Origin.RELEASE:
            assert all(file.sha256 for file in (*model.files, *model.archives)), model.name
    weights = model_named("sdxl-base").files[0]
    assert weights.sha256 == "31e35c80fc4829d14f90153f4c74cd59c90b779f6afe05a74cd6120b893f7e5b"
    assert model_named("sdxl-base").bytes > 6_938_078_334 and model_named("sdxl-config").bytes < 10_000_000
    assert all(file.sha256 for file in model_named("sdxl-vae").files)
    assert all(file.sha256 for model in MODELS if model.name.startswith("whisper-") for file in model.files)


def test_only_files_of_the_pinned_commit_count_as_here(tmp_path, monkeypatch):
    model, cache = model_named("whisper-tiny"), tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    repository = cache / "models--Systran--faster-whisper-tiny"
    for commit in ("0" * 40, model.revision):
        (repository / "snapshots" / commit).mkdir(parents=True)
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / "main").write_text("0" * 40)
        assert not find("whisper-tiny", tmp_path, Settings()).here
        for file in model.files:
            (repository / "snapshots" / commit / file.path).write_bytes(b"x")
    found = find("whisper-tiny", tmp_path, Settings())
    assert found.here and found.path is not None and found.path.parent.name == model.revision


def test_a_file_of_a_model_is_not_taken_for_one_of_another(tmp_path):
    """Several models have a `config.json`, and any folder may hold somebody's `diffusion_pytorch_model.safetensors`."""
    for name in ("config.json", "diffusion_pytorch_model.safetensors", "model.bin", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"x")
    for name in ("sdxl-vae", "whisper-base", "sdxl-config"):
        assert not locate(model_named(name), tmp_path).files, name


def test_bytes_to_come_are_those_of_what_is_missing(tmp_path):
    file, packed = ModelFile("a.onnx", 0, "1" * 64, "pack.zip"), ModelFile("pack.zip", 1000, "2" * 64)
    alone = ModelFile("b.onnx", 50, "3" * 64)
    model = Model("m", "M", Origin.RELEASE, "http://x/", "1", (file, alone), "MIT", Allows.ALL, 1.0, archives=(packed,))
    assert model.bytes == 1050 and locate(model, tmp_path).missing_bytes == 1050
    (tmp_path / "a.onnx").write_bytes(b"x")
    assert locate(model, tmp_path).missing_bytes == 50
    (tmp_path / "a.onnx").unlink()
    (tmp_path / "b.onnx").write_bytes(b"x")
    assert locate(model, tmp_path).missing_bytes == 1000
