"""A portrait's name: every wish that changes pixels changes it, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from client_folder.client import create_client
from config import EMBEDDED_FOLDER, Settings
from generation import ImageOptions, plan_portraits
from machine.base_models import base_at
from portraits.errors import RecipeRefused
from portraits.portrait import PortraitRecord, PortraitRequest, PromptText, parameters_text, portrait_jobs, write_portrait
from portraits.prompts import PromptOptions
from portraits.recipes import BASE_RECIPE, LIGHTNING_RECIPES, PipelineSetup, RecipeKind
from portraits.sdxl import ModelFiles, Sampler

RECORD = PortraitRecord(
    prompt="ana", negative="blurry", seed=11, steps=30, guidance=7.0, sampler=Sampler.EULER_A, width=1024, height=1024, base="b",
    base_digest="1", lora="ana_avatar_v1.safetensors", lora_sha256="2", weight=1.0,
)  # fmt: skip
CHANGES_PIXELS = {
    "prompt": "eva", "negative": "", "seed": 12, "steps": 29, "guidance": 7.5, "sampler": Sampler.DPMPP_2M, "width": 1032,
    "height": 1032, "base_digest": "x", "lora_sha256": "x", "weight": 0.9, "unet_digest": "x", "vae_digest": "x", "detail": 0.3,
}  # fmt: skip
CHANGES_NONE = {
    "base": "renamed", "lora": "renamed", "unet": "renamed", "vae": "renamed", "kind": RecipeKind.EMBEDDED, "original": "retrato",
    "style": "studio",
}  # fmt: skip


@pytest.mark.parametrize("field", CHANGES_PIXELS)
def test_another_wish_is_another_file(field):
    other = RECORD.model_copy(update={field: CHANGES_PIXELS[field]})
    assert getattr(RECORD, field) != CHANGES_PIXELS[field]
    assert other.digest() != RECORD.digest(), "or the old picture would be the answer to it"


@pytest.mark.parametrize("field", CHANGES_NONE)
def test_the_same_pixels_are_the_same_file(field):
    assert RECORD.model_copy(update={field: CHANGES_NONE[field]}).digest() == RECORD.digest()


def test_every_value_of_a_record_is_known_to_be_one_or_the_other():
    assert set(CHANGES_PIXELS) | set(CHANGES_NONE) | {"schema_"} == set(PortraitRecord.model_fields)


@pytest.fixture
def setup():
    return PipelineSetup(base_at(EMBEDDED_FOLDER), ModelFiles(EMBEDDED_FOLDER), BASE_RECIPE)


def names(tmp_path, setup, request):
    return [job.file.name for job in portrait_jobs(tmp_path / "output", setup, request)]


def test_what_is_asked_for_reaches_the_record(tmp_path, setup):
    lora = tmp_path / "ana_avatar_v1.safetensors"
    lora.write_bytes(b"a lora")
    text = PromptText("ana, smiling", "blurry", "ana sonriendo", "studio")
    (job,) = portrait_jobs(tmp_path, setup, PortraitRequest((text,), (7,), lora, 0.8, (512, 768), 0.25))
    record = job.record
    assert (record.prompt, record.negative, record.original, record.style, record.seed) == (
        "ana, smiling", "blurry", "ana sonriendo", "studio", 7
    )  # fmt: skip
    assert (record.steps, record.guidance, record.sampler) == (30, 7.0, Sampler.EULER_A)
    assert (record.width, record.height, record.detail, record.weight, record.lora) == (512, 768, 0.25, 0.8, lora.name)
    assert len(record.lora_sha256) == 64 and job.file.name == f"portrait_7_{record.digest()}.png"
    lora.write_bytes(b"another")
    (again,) = portrait_jobs(tmp_path, setup, PortraitRequest((text,), (7,), lora, 0.8, (512, 768), 0.25))
    assert again.file != job.file


def test_a_weight_of_nothing_is_the_base_alone(tmp_path, setup):
    lora = tmp_path / "ana_avatar_v1.safetensors"
    lora.write_bytes(b"a lora")
    text = (PromptText("ana"),)
    without = names(tmp_path, setup, PortraitRequest(text, (1,)))
    assert names(tmp_path, setup, PortraitRequest(text, (1,), lora, 0.0)) == without
    assert names(tmp_path, setup, PortraitRequest(text, (1,), lora, 1.0)) != without


def test_a_negative_prompt_counts_only_where_it_has_an_effect(tmp_path, setup):
    fast = PipelineSetup(setup.base, setup.files, LIGHTNING_RECIPES[4])
    for recipe, differ in ((setup, True), (fast, False)):
        one, other = (
            names(tmp_path, recipe, PortraitRequest((PromptText("ana", negative),), (1,))) for negative in ("", "blurry")
        )  # fmt: skip
        assert (one != other) is differ


def test_the_text_inside_says_how_it_was_made(tmp_path):
    write_portrait(tmp_path / "portrait_11_x.png", Image.new("RGB", (8, 8)), RECORD)
    with Image.open(tmp_path / "portrait_11_x.png") as picture:
        told = picture.text["parameters"]
        assert "trainedAlgorithmicMedia" in picture.text["XML:com.adobe.xmp"]
    assert told == parameters_text(RECORD)
    for words in ("Negative prompt: blurry", "Steps: 30", "Sampler: Euler a", "CFG scale: 7", "Seed: 11", "Size: 1024x1024",
                  "<lora:ana_avatar_v1:1>"):  # fmt: skip
        assert words in told
    assert PortraitRecord.model_validate_json(Path(tmp_path / "portrait_11_x.json").read_text()) == RECORD


@pytest.mark.parametrize(
    ("wish", "allowed"),
    [({"seeds": (0,)}, True), ({"seeds": (4294967295,)}, True), ({"seeds": (-1,)}, False), ({"seeds": (4294967296,)}, False),
     ({"image_options": ImageOptions(detail=0.04)}, False), ({"image_options": ImageOptions(detail=0.05)}, True),
     ({"image_options": ImageOptions(detail=0.91)}, False), ({"weights": (0.0, 2.1)}, False), ({"weights": (-0.1,)}, False)],
)  # fmt: skip
def test_what_no_model_takes_is_refused_before_one_is_loaded(tmp_path, wish, allowed):
    """Seeds as A1111 and its kin have them, 32 bits; a weight beyond 2 only paints noise."""
    client = create_client(tmp_path, "ana")
    told = {"prompt_options": PromptOptions(("ana",)), "weights": (0.0,), "seeds": (1,), **wish}
    if allowed:
        assert plan_portraits(client, Settings(), **told).total == 1
    else:
        with pytest.raises(RecipeRefused):
            plan_portraits(client, Settings(), **told)
