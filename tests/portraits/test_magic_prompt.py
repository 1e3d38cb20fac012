"""Magic prompt, styles and weights: what is added, what is kept, what is cut, in English and Spanish."""

from __future__ import annotations

from pathlib import Path

import pytest

from config import EMBEDDED_FOLDER
from locales.language import LOCALES
from portraits.clip_tokens import counter_for, estimate
from portraits.magic_prompt import CLIP_TOKENS, enhance, styled
from portraits.prompt_weights import plain, weigh
from portraits.spanish_prompts import in_english, is_spanish
from portraits.styles import StyleMissing, load_styles, style_named
from utils import BrokenFile


def magic(prompt, **wishes):
    return enhance(prompt, "ana", "woman", estimate, **wishes)


def test_a_general_prompt_gets_quality_but_no_skin():
    made = magic("a cat in a garden")
    assert made.prompt.startswith("a cat in a garden, ")
    assert made.subject == "general"
    assert "sharp focus" in made.prompt and "skin" not in made.prompt and "ana" not in made.prompt
    assert "anatomy" not in made.negative


def test_a_portrait_gets_light_lens_and_skin_and_a_negative_prompt():
    made = magic("portrait of ana woman, smiling")
    assert made.prompt.startswith("portrait of ana woman, smiling, ")
    for words in ("studio lighting", "85mm lens", "natural skin texture", "sharp focus", "professional photography"):
        assert words in made.prompt
    assert "bad anatomy" in made.negative


@pytest.mark.parametrize(
    ("said", "absent"),
    [
        ("neon light", "studio lighting"),
        ("50mm", "85mm"),
        ("detailed skin", "natural skin texture"),
        ("film still", "professional"),
    ],
)
def test_what_is_said_already_is_not_said_again(said, absent):
    assert absent not in magic(f"portrait of ana woman, {said}").prompt


def test_a_second_pass_changes_nothing():
    once = magic("portrait of ana woman, smiling").prompt
    assert magic(once).prompt == once


def test_a_painting_gets_no_lens():
    made = magic("watercolour painting of ana woman")
    assert "lens" not in made.prompt and "skin" not in made.prompt and "photography" not in made.prompt


@pytest.mark.parametrize(
    ("spanish", "english"),
    [
        ("retrato de ana mujer sonriendo, fondo de playa", "portrait of ana woman smiling, beach background"),
        ("un gato en el jardín", "a cat in the garden"),
        ("primer plano de ana con gafas de sol y pelo largo", "close-up of ana with sunglasses and long hair"),
        ("fotografia de ana al atardecer, luz calida", "photograph of ana at sunset, warm light"),
    ],
)
def test_spanish_is_put_into_english(spanish, english):
    assert is_spanish(spanish)
    assert in_english(spanish, frozenset({"ana"})) == english
    made = magic(spanish)
    assert made.spanish and made.original == spanish
    assert set(plain(english).split()) <= set(made.prompt.replace(",", " ,").split()) | {","} or made.prompt.startswith(
        english[:10]
    )


@pytest.mark.parametrize(
    "prompt", ["portrait of ana woman, blue background", "a man with a red car", "close-up, dramatic lighting", "ana", "no idea"]
)
def test_english_is_left_as_it_is(prompt):
    assert not is_spanish(prompt)


def test_a_trigger_that_is_a_spanish_word_stays():
    made = enhance("retrato de Rosa mujer, fondo rosa", "Rosa", "woman", estimate)
    assert made.prompt.startswith("portrait of Rosa woman, pink background")


def test_the_glossary_has_each_phrase_once():
    lines = [line for line in (LOCALES / "es" / "prompts.txt").read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    phrases = [line.split("=")[0] for line in lines]
    assert all(line.count("=") == 1 and all(part.strip() == part != "" for part in line.split("=")) for line in lines)
    assert len(phrases) == len(set(phrases)) > 150


def test_the_trigger_comes_first_and_is_added_where_the_client_is_meant():
    assert magic("dramatic light, portrait of ana woman").prompt.startswith("portrait of ana woman, dramatic light")
    assert magic("close-up of a woman").prompt.startswith("close-up of ana woman")
    assert magic("smiling at the beach").prompt.startswith("portrait of ana woman, smiling at the beach")
    assert "ana" not in magic("a man with a dog").prompt, "that is somebody else"


def test_weights_are_kept():
    made = magic("ana woman, (smiling:1.3), [hat] <lora:x:0.7>")
    assert made.prompt.startswith("ana woman, (smiling:1.3), [hat] <lora:x:0.7>, ")


def test_what_clip_cannot_read_is_said_and_ours_goes_first():
    nearly = "ana woman, " + "red, " * 33 + "hat"
    made = magic(nearly)
    assert made.tokens <= CLIP_TOKENS and made.cut == "" and made.left_out
    long = "very " * 90 + "tall ana woman"
    made = magic(long)
    assert made.prompt.startswith("ana woman, very"), "else the trigger would not be read"
    assert made.cut.endswith("tall ana woman") and made.tokens > CLIP_TOKENS
    assert estimate(made.prompt.removesuffix(made.cut)) <= CLIP_TOKENS


def test_clip_reads_77_tokens_of_which_two_are_its_own():
    """As many as the text encoder of every SDXL has places for; counted here by a tokenizer that takes a word for a token."""
    from transformers import CLIPTokenizer

    places = CLIPTokenizer.from_pretrained(EMBEDDED_FOLDER / "tokenizer").model_max_length
    assert places == 77

    def words(text):
        return len(text.split())

    made = styled(" ".join(f"w{number}" for number in range(80)), None, words)
    assert made.cut.split() == [f"w{number}" for number in range(places - 2, 80)]
    assert styled(" ".join(["w"] * 75), None, words).cut == ""
    assert styled(" ".join(["w"] * 76), None, words).cut == "w"


def test_tokens_are_counted_by_the_bases_own_tokenizer():
    from transformers import CLIPTokenizer

    base = EMBEDDED_FOLDER
    count = counter_for(base)
    tokenizer = CLIPTokenizer.from_pretrained(base / "tokenizer")
    for text in ("portrait of a woman, smiling", "", "añil 85mm (x)"):
        assert count(text) == len(tokenizer(text, add_special_tokens=False).input_ids)


def test_the_embedded_base_is_told_only_words_it_knows():
    made = magic("portrait of ana woman, smiling", embedded=True)
    assert (made.prompt, made.negative) == ("portrait of ana woman, smiling, studio lighting", "")


def test_the_negative_prompt_never_forbids_what_is_asked_for():
    assert "text" not in [part.strip() for part in magic("ana woman with a text on her shirt").negative.split(",")]


# --- styles -----------------------------------------------------------------------------------------------------------
def test_every_style_of_ours_has_names_in_both_languages(tmp_path: Path):
    styles = load_styles(tmp_path)
    assert len(styles) >= 10
    assert all(style.en and style.es and style.label("es") == style.es for style in styles.values())


def test_a_style_stands_behind_the_prompt_and_repeats_nothing(tmp_path: Path):
    style = style_named(tmp_path, "studio")
    made = styled("portrait of ana woman, studio lighting", style, estimate)
    assert made.prompt == "portrait of ana woman, studio lighting, professional headshot, neutral background"
    assert styled("portrait of ana, blue background", style, estimate).prompt.count("background") == 1
    assert "lens" not in magic("ana woman", style=style_named(tmp_path, "oil-painting")).prompt
    assert style_named(tmp_path, "none") is style_named(tmp_path, "") is None
    with pytest.raises(StyleMissing):
        style_named(tmp_path, "nonesuch")


def test_users_add_styles_and_change_ours(tmp_path: Path):
    folder = tmp_path / "styles"
    folder.mkdir()
    (folder / "mine.toml").write_text(
        '[[style]]\nname = "noir"\nadd = "film noir"\n\n[[style]]\nname = "studio"\nadd = "my studio"\n'
    )
    styles = load_styles(tmp_path)
    assert styles["noir"].label("es") == "noir" and styles["studio"].add == "my studio"


@pytest.mark.parametrize(
    ("text", "line"),
    [("[[style]]\nname = \n", 2), ('[[style]]\nname = "a"\nadd = "x"\n\n[[style]]\nname = "b c"\nadd = "x"\n', 5), ("x = 1\n", 1)],
)
def test_a_broken_style_file_is_named_with_its_line(tmp_path: Path, text: str, line: int):
    folder = tmp_path / "styles"
    folder.mkdir()
    (folder / "mine.toml").write_text(text)
    with pytest.raises(BrokenFile, match=rf"mine\.toml cannot be read: line {line}"):
        load_styles(tmp_path)


# --- weights ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("prompt", "text", "weights"),
    [
        ("a (cat:1.3) here", "a cat here", {"cat": 1.3}),
        ("a ((big)) dog", "a big dog", {"big": 1.21}),
        ("[small] dog", "small dog", {"small": 1 / 1.1}),
        (r"a \(real\) bracket", "a (real) bracket", {}),
        (r"(a \) b:1.3) c", "a ) b c", {"a ) b": 1.3}),
        ("at 10:30 <lora:x:0.8>", "at 10:30", {}),
        ("(never closed", "never closed", {"never closed": 1.1}),
        ("closed) never", "closed) never", {}),
        ("", "", {}),
    ],
)
def test_weights_are_read_as_a1111_writes_them(prompt, text, weights):
    read = weigh(prompt)
    assert read.text == text
    assert {read.text[start:end]: round(weight, 6) for start, end, weight in read.spans} == {
        word: round(weight, 6) for word, weight in weights.items()
    }
