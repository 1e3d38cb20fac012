"""The embedded base: it loads as any SDXL pipeline does, is small, repeats itself, and paints what it is asked to."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks import measure_base
from embedded.drawing.painting import draw
from embedded.drawing.portraits import caption, random_portrait
from embedded.making.base_model import load_base

if TYPE_CHECKING:
    from diffusers import StableDiffusionXLPipeline

BASE = Path(__file__).parents[2] / "embedded" / "base"
MOST_BYTES = 40 * 1024 * 1024
FEWEST_OF_16 = 12


@pytest.fixture(scope="module")
def base() -> StableDiffusionXLPipeline:
    return load_base(BASE)


@pytest.fixture(scope="module")
def judge() -> measure_base.Judge:
    return measure_base.Judge()


def test_the_same_portrait_is_drawn_the_same() -> None:
    once = [random_portrait(random.Random(3)) for _ in range(2)]
    again = [random_portrait(random.Random(3)) for _ in range(2)]
    assert once == again
    assert np.array_equal(draw(once, 96, 96), draw(again, 96, 96))


def test_a_tight_drawing_is_the_middle_of_a_wide_one() -> None:
    person = random_portrait(random.Random(4), background="blue")
    tight = draw([person], 128, 128)[0].astype(float)
    wide = draw([person], 256, 256, zoom=0.5)[0].astype(float)
    top = round(0.437 * 128)
    assert np.abs(wide[top : top + 128, 64:192] - tight).mean() < 3.0


def test_a_drawing_has_the_size_asked_for() -> None:
    assert draw([random_portrait(random.Random(5))], 60, 80, zoom=0.6).shape == (1, 80, 60, 3)


def test_a_caption_names_what_is_seen() -> None:
    looks = {"gender": "woman", "hair": "red", "hair_style": "long", "background": "beach", "glasses": True}
    words = caption(random_portrait(random.Random(6), **looks), subject="ohwx woman")
    assert words.startswith("portrait of ohwx woman, long red hair")
    assert "beach background" in words
    assert words.endswith("glasses")


def test_the_measure_passes_on_drawings(judge: measure_base.Judge) -> None:
    figures = measure_base.measure_drawn(judge)
    assert figures.hair_and_background >= 15
    assert figures.faces >= FEWEST_OF_16


def test_the_base_is_small() -> None:
    assert sum(file.stat().st_size for file in BASE.rglob("*") if file.is_file()) <= MOST_BYTES


def test_the_base_needs_no_code_of_ours(base: StableDiffusionXLPipeline) -> None:
    assert type(base).__module__.startswith("diffusers.")
    for part in ("vae", "unet", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "scheduler"):
        assert type(getattr(base, part)).__module__.startswith(("diffusers.", "transformers."))
    assert base.unet.config.addition_embed_type == "text_time"


def test_the_tokenizer_takes_any_words(base: StableDiffusionXLPipeline) -> None:
    for words in ("ohwx woman", "retrato de una mujer, pelo rojo, ñ", "肖像", ""):
        assert len(base.tokenizer(words).input_ids) >= 2


def test_the_same_seed_paints_the_same_picture(base: StableDiffusionXLPipeline) -> None:
    recipe = measure_base.RECIPES[1]
    first, second = (measure_base.paint_cases(base, recipe) for _ in range(2))
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize("recipe", measure_base.RECIPES, ids=lambda recipe: recipe.name)
def test_the_base_paints_what_it_is_asked_to(
    base: StableDiffusionXLPipeline, judge: measure_base.Judge, recipe: measure_base.BaseRecipe
) -> None:
    figures = measure_base.measure(base, recipe, judge)
    assert figures.faces >= FEWEST_OF_16
    assert figures.hair_and_background >= FEWEST_OF_16
