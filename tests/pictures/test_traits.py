"""Light, expression and looks in English and Spanish prompts, and all that must not count."""

import random

import pytest

from pictures.midjourney import parse
from pictures.traits import WORDS, traits, traits_of


def names(text: str, *, cut: bool = False) -> set[str]:
    return {trait.name for trait in traits(text, cut=cut)}


@pytest.mark.parametrize("key", WORDS, ids=lambda key: key[1])
def test_every_phrase_tells_its_trait_in_every_form(key: tuple[str, str]) -> None:
    for phrase in WORDS[key].split("|"):
        for ending in ("o", "a", "os", "as"):
            words = phrase.replace("@", ending)
            for text in (words, words.upper(), words.replace(" ", "-"), f"un retrato, {words}, 50mm"):
                assert key in {(trait.kind, trait.name) for trait in traits(text)}, text


def test_no_phrase_stands_in_two_rows() -> None:
    phrases = [phrase for row in WORDS.values() for phrase in row.split("|")]
    assert len(phrases) == len(set(phrases))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Confident man, clean-shaven, soft natural light", {"confident", "clean_shaven", "soft", "natural"}),
        ("retrato, mirada serena, iluminación dramática, recién afeitado", {"serene", "dramatic", "clean_shaven"}),
        ("well_groomed five o'clock shadow CINEMATIC", {"well_groomed", "stubble", "cinematic"}),
        ("seguro de sí mismo y digno de confianza", {"confident", "trustworthy"}),
        ("hombre sin afeitar", {"stubble"}),
        ("studio::2 wise man::1", {"studio", "wise"}),
        ("no hat, stubble", {"stubble"}),
        ("sin barba de tres días, con luz suave", {"soft"}),
        ("hombre sin maquillaje con luz de estudio", {"studio"}),
    ],
)
def test_what_the_text_says_is_found(text: str, expected: set[str]) -> None:
    assert names(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a portrait --no stubble, dramatic light --ar 1:1",
        "a man without stubble or a dramatic light",
        "no cinematic and soft lighting",
        "sin expresión sabia ni serena",
        "a man stubble::-1",
        "a hat, soft light::-.5",
        "soft smile, natural skin",
        "sonrisa suave, piel natural",
        "professional photography",
        "clockwise studios softness unprofessional",
        "",
    ],
)
def test_what_it_does_not_say_is_not_found(text: str) -> None:
    assert names(text) == set()


def test_the_last_word_of_a_cut_text_may_be_half_a_word() -> None:
    assert names("a serene professional", cut=True) == {"serene"}
    head = "u7000000001_calm_doctor_who_looks_at_us_in_soft_and_cinematic"  # 61 characters: the cut
    record = parse(f"{head}_5c0ffee0-1a2b-4c3d-8e4f-0123456789ab_0.png")
    assert record.truncated
    assert {trait.name for trait in traits_of(record)} == {"serene", "soft"}


def test_a_trait_tells_where_it_was_read() -> None:
    (trait,) = traits_of(parse("x.png", "hombre, luz dramática"))
    assert (trait.kind, trait.name, trait.words, trait.source) == ("lighting", "dramatic", "luz dramatica", "embedded_text")
    assert traits_of(parse("camera.jpg")) == ()


def test_hostile_text_neither_raises_nor_takes_long() -> None:
    chance = random.Random(5)
    pieces = ["::", "::-", ":", "--no", " ", ",", "sin ", "soft", "luz ", "de ", "\ud800", "é", "İ", "ﬃ", "'", "_", "\r\n", "٣"]
    for size in [*range(0, 60), 20_000]:
        traits("".join(chance.choices(pieces, k=size)), cut=bool(size % 2))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("non-dramatic lighting, avoid studio light", set()),
        ("three-day beard, serenity and elegance", {"stubble", "serene", "refined"}),
        ("aspecto cuidado, elegancia y serenidad, profesionalidad", {"well_groomed", "refined", "serene", "professional"}),
    ],
)
def test_nouns_and_further_negations(text: str, names: set[str]) -> None:
    assert {trait.name for trait in traits(text)} == names
