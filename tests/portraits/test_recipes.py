"""Recipes on tiny pipelines of the real classes: scheduler, guidance, steps and U-Net are those of each, and never mixed."""

from __future__ import annotations

from pathlib import Path

import pytest
from one_file import write_stub
from safetensors.torch import load_file, save_file
from tiny_sdxl import SIDE_PX, make_base

from client_folder.client import Client, create_client
from config import Settings
from generation import plan_portraits
from machine.base_models import base_at
from machine.models import NotDownloaded
from portraits.errors import OutOfMemory, RecipeRefused
from portraits.prompts import PromptOptions
from portraits.recipes import BASE_RECIPE, LIGHTNING_RECIPES, RecipeChoice, RecipeKind, recipe_for, setup_of
from portraits.sdxl import ImageRequest, MemorySaver, ModelFiles, SdxlPipeline, fits, is_out_of_memory
from utils import BrokenFile

LIGHTNING = "sdxl_lightning_4step_unet.safetensors"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("models") / "tiny", prediction="epsilon")


@pytest.fixture(scope="module")
def unet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another U-Net of the same shape under the name that SDXL-Lightning is published under."""
    folder = tmp_path_factory.mktemp("lightning")
    other = make_base(folder / "other", prediction="epsilon", seed=3)
    (weights,) = (other / "unet").glob("*.safetensors")
    (folder / LIGHTNING).write_bytes(weights.read_bytes())
    return folder / LIGHTNING


@pytest.fixture
def client(tmp_path: Path, unet: Path) -> Client:
    client = create_client(tmp_path, "demo", "woman")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / LIGHTNING).write_bytes(unet.read_bytes())
    return client


@pytest.fixture
def settings(base: Path) -> Settings:
    return Settings(base_model=str(base))


def image_request(recipe, prompt="portrait of demo woman", negative="") -> ImageRequest:
    return ImageRequest(prompt, negative, 7, recipe.steps, recipe.guidance, recipe.sampler, SIDE_PX, SIDE_PX)


class Walk:
    """What a real pipeline was seen to do while it painted: every call of its U-Net and text encoders."""

    def __init__(self, session: SdxlPipeline, painted: ImageRequest) -> None:
        self.rows, self.times, self.texts = [], [], 0
        pipe = session._pipe
        hooks = [
            pipe.unet.register_forward_pre_hook(self._unet, with_kwargs=True),
            pipe.text_encoder.register_forward_pre_hook(self._text),
        ]
        try:
            session.paint(painted)
        finally:
            for hook in hooks:
                hook.remove()
        self.scheduler = pipe.scheduler

    def _unet(self, _module, args, _options):
        self.rows.append(args[0].shape[0])
        self.times.append(int(args[1]))

    def _text(self, _module, args):
        self.texts += 1


def test_lightning_is_walked_as_it_was_distilled(client, settings, unet):
    setup = setup_of(client, settings, RecipeChoice("lightning-4"))
    assert setup.recipe == LIGHTNING_RECIPES[4]
    assert setup.files.unet == client.home / "models" / LIGHTNING
    session = SdxlPipeline(setup.files)
    walk = Walk(session, image_request(setup.recipe, negative="blurry"))
    assert type(walk.scheduler).__name__ == "EulerDiscreteScheduler"
    assert walk.scheduler.config.timestep_spacing == "trailing"
    assert walk.times == [999, 749, 499, 249], "trailing: from the very last time, in exactly four steps"
    assert walk.rows == [1] * 4, "no guidance: one row a step"
    assert walk.texts == 1, "the negative prompt is not even encoded"
    loaded = session._pipe.unet.state_dict()
    published = load_file(unet)
    assert set(loaded) == set(published) and all((loaded[name] == published[name]).all() for name in loaded)


def test_lightning_of_eight_steps_takes_eight(base, unet, tmp_path):
    eight = tmp_path / "sdxl_lightning_8step_unet.safetensors"
    eight.write_bytes(unet.read_bytes())
    recipe = recipe_for(base_at(base), eight)
    walk = Walk(SdxlPipeline(ModelFiles(base, eight)), image_request(recipe))
    assert len(walk.times) == recipe.steps == 8 and walk.times[0] == 999


@pytest.mark.parametrize(
    ("sampler", "name"), [("", "EulerAncestralDiscreteScheduler"), ("DPM++ 2M", "DPMSolverMultistepScheduler")]
)
def test_a_base_is_walked_with_guidance(client, settings, base, sampler, name):
    setup = setup_of(client, settings, RecipeChoice(sampler=sampler, steps=20))
    assert (setup.recipe.kind, setup.recipe.guidance, setup.files.unet) == (RecipeKind.BASE, 7.0, None)
    session = SdxlPipeline(setup.files)
    walk = Walk(session, image_request(setup.recipe, negative="blurry"))
    assert type(walk.scheduler).__name__ == name
    assert walk.scheduler.config.beta_schedule == "linear" or walk.scheduler.config.prediction_type == "epsilon"
    assert walk.rows == [2] * 20, "guidance: with and without the prompt in every step"
    assert walk.texts == 2, "prompt and negative prompt"
    (weights,) = (base / "unet").glob("*.safetensors")
    own = load_file(weights)
    assert all((value == own[key]).all() for key, value in session._pipe.unet.state_dict().items())
    if sampler:
        assert (walk.scheduler.config.algorithm_type, walk.scheduler.config.solver_order) == ("dpmsolver++", 2)


@pytest.mark.parametrize(("steps", "strength"), [(20, 0.3), (20, 0.5), (8, 0.25), (4, 0.5)])
def test_the_detail_pass_takes_as_many_steps_as_the_picture_did(base, steps, strength):
    """A few-step model needs every one of its steps, and a base gains little from six of twenty: calls of the U-Net are counted."""
    from dataclasses import replace

    session = SdxlPipeline(base)
    request = replace(image_request(BASE_RECIPE), steps=steps)
    first = session.paint(request)
    calls = []
    hook = session._pipe.unet.register_forward_pre_hook(lambda _module, args: calls.append(int(args[1])))
    refined = session.refine(first, request, strength)
    hook.remove()
    assert len(calls) == steps
    assert max(calls) <= 1000 * strength, "only the last part of the way is taken again"
    assert refined.size == first.size and refined.tobytes() != first.tobytes()


def test_negative_prompts_change_pictures_of_a_base_only(base, unet):
    plain, turned = SdxlPipeline(base), SdxlPipeline(ModelFiles(base, unet))
    guided = image_request(BASE_RECIPE)
    other = image_request(BASE_RECIPE, negative="smile")
    assert plain.paint(guided).tobytes() != plain.paint(other).tobytes()
    recipe = LIGHTNING_RECIPES[4]
    assert turned.paint(image_request(recipe)).tobytes() == turned.paint(image_request(recipe, negative="smile")).tobytes()


@pytest.mark.parametrize(
    "choice",
    [RecipeChoice("lightning-4", steps=8), RecipeChoice("lightning-4", guidance=7.0),
     RecipeChoice("lightning-4", sampler="Euler a"), RecipeChoice("base", steps=4),
     RecipeChoice(steps=50), RecipeChoice(guidance=0.0), RecipeChoice(guidance=40.0)],
)  # fmt: skip
def test_recipes_are_never_mixed(client, settings, choice):
    with pytest.raises(RecipeRefused):
        setup_of(client, settings, choice)


def test_a_lightning_checkpoint_named_as_base_has_its_own_recipe(client, tmp_path):
    merged = tmp_path / "juggernautXL_lightning_8steps.safetensors"
    write_stub(merged)
    settings = Settings(base_model=str(merged))
    with pytest.raises(NotDownloaded, match="configuration only"):
        setup_of(client, settings)
    (tmp_path / "model_index.json").write_text("{}")
    assert setup_of(client, settings).recipe == LIGHTNING_RECIPES[8]
    with pytest.raises(RecipeRefused):
        setup_of(client, settings, RecipeChoice("base"))
    with pytest.raises(RecipeRefused):
        setup_of(client, settings, RecipeChoice("lightning-4"))


def test_a_lightning_unet_that_is_missing_or_does_not_fit_is_named(client, settings, base, tmp_path):
    with pytest.raises(NotDownloaded) as missing:
        setup_of(client, settings, RecipeChoice("lightning-8"))
    assert missing.value.facts["names"] == "sdxl-lightning-8"
    with pytest.raises(RecipeRefused, match="embedded"):
        setup_of(client, Settings(), RecipeChoice("lightning-4"))
    with pytest.raises(RecipeRefused, match="4 or of 8"):
        recipe_for(base_at(base), tmp_path / "unet.safetensors")
    torn = tmp_path / "torn_lightning_4step_unet.safetensors"
    torn.write_bytes(b"torn")
    with pytest.raises(BrokenFile, match="torn"):
        SdxlPipeline(ModelFiles(base, torn))
    import torch

    save_file({"conv_in.weight": torch.zeros(3)}, torn)
    with pytest.raises(BrokenFile, match="torn"):
        SdxlPipeline(ModelFiles(base, torn))


def test_a_negative_prompt_for_lightning_is_said_to_be_without_effect(client, settings):
    plan = plan_portraits(
        client, settings, prompt_options=PromptOptions(("a",), negative="hat"), weights=(0.0,), choice=RecipeChoice("lightning-4")
    )
    assert plan.negative_ignored
    assert plan.requests[0].prompt_texts[0].negative == ""


# --- memory -----------------------------------------------------------------------------------------------------------
def test_what_is_given_up_for_memory_comes_in_order_and_then_a_refusal(base):
    from diffusers.models.attention_processor import SlicedAttnProcessor

    session = SdxlPipeline(base)
    session._ladder = list(MemorySaver)
    assert list(MemorySaver) == ["offload", "attention_slicing", "vae_tiling", "sequential_offload"]
    session._ladder = session._ladder[1:3]  # the other two need a GPU
    before = session.paint(image_request(BASE_RECIPE)).tobytes()
    assert session.save_memory() is MemorySaver.ATTENTION
    assert all(isinstance(one, SlicedAttnProcessor) for one in session._pipe.unet.attn_processors.values())
    assert session.save_memory() is MemorySaver.TILING
    assert session._pipe.vae.use_tiling
    assert len(session.paint(image_request(BASE_RECIPE)).tobytes()) == len(before)
    with pytest.raises(OutOfMemory, match="tiny"):
        session.save_memory()


def test_a_card_that_cannot_hold_sdxl_is_not_asked_to():
    assert fits(6.9, 11.5) and fits(6.9, 14.7)
    assert not fits(6.9, 7.6), "8 GB: offloaded from the start"
    assert fits(0.03, 3.5)


def test_out_of_memory_is_known_by_its_exceptions():
    import torch

    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    assert is_out_of_memory(RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_weights_of_words_change_a_picture(base):
    session = SdxlPipeline(base)
    pictures = {
        prompt: session.paint(image_request(BASE_RECIPE, prompt)).tobytes()
        for prompt in ("a hat", "a (hat:1.5)", "a (hat:0.5)", "a (hat:1.0)")
    }
    assert len(set(pictures.values())) == 3
    assert pictures["a hat"] == pictures["a (hat:1.0)"]
