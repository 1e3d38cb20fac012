"""Captions: what makes the face is dropped, what must stay changeable is kept, and the line is always one line."""

from __future__ import annotations

import pytest

from client_folder.records import Analysis, Source, Verdict
from config import DETAIL_KINDS, DetailKind
from dataset.captions import FACE_WORDS, SUBJECT_WORDS, caption, details_of, kind_of, measured_details

TEMPLATE = "portrait of {trigger} {class_word}, {details}"


@pytest.mark.parametrize(
    ("prompt", "details"),
    [
        (
            "portrait of a woman, long red hair, green eyes, smiling, wearing a blue shirt, beach background, studio lighting",
            ("smiling", "wearing a blue shirt", "beach background", "studio lighting"),
        ),
        (
            "close-up photo of a confident 45-year-old man with a beard, in a grey suit, soft window light, 85mm f/1.8",
            ("close-up", "confident", "in a grey suit", "soft window light", "85mm f/1.8"),
        ),
        ("a young woman smiling on a beach, blue-eyed, pale skin, light brown hair", ("smiling on a beach",)),
        ("serious face, freckled cheeks", ("serious",)),
        (
            "retrato de una mujer joven sonriente, ojos verdes, luz de estudio, fondo blanco, vestido rojo, pelo largo",
            ("sonriente", "luz de estudio", "fondo blanco", "vestido rojo"),
        ),
        ("hombre de 40 años, iluminación suave, barba corta", ("iluminación suave",)),
        ("cinematic portrait of a man, clean-shaven, full body shot, rain", ("full body shot", "rain")),
        ("a woman in a red dress --ar 2:3 --no freckles --v 7", ("in a red dress",)),
        ("a woman in a red dress —ar 2:3 —v 6", ("in a red dress",)),
        ("red dress::2 city::1 blur::-0.5", ("red dress", "city")),
        ("smiling, Smiling, SMILING", ("smiling",)),
        ("portrait photo", ()),
        ("woman", ()),
        ("", ()),
    ],
)
def test_a_prompt_says_everything_but_the_face(prompt: str, details: tuple[str, ...]) -> None:
    assert details_of(prompt) == details


@pytest.mark.parametrize("word", sorted(FACE_WORDS | SUBJECT_WORDS))
def test_no_word_for_the_face_ever_reaches_a_caption(word: str) -> None:
    said = details_of(f"a portrait, some {word} here, red coat")
    assert word not in " ".join(said).split()
    assert said[-1] == "red coat"


@pytest.mark.parametrize(
    "age",
    [
        "35 years old",
        "35-years-old",
        "45 year old",
        "45-year-old",
        "45yo",
        "45 yo",
        "60 yrs",
        "60yr",
        "a 7 year old",
        "in her 20 years",
    ],
)
def test_no_age_ever_reaches_a_caption(age: str) -> None:
    assert details_of(f"portrait, {age}, red coat") == ("red coat",)
    assert details_of(f"portrait, smiling, {age}, red coat") == ("smiling", "red coat")


@pytest.mark.parametrize("kept", ["35mm film", "85mm f/1.8", "1960s style", "3 candles", "2 yellow flowers"])
def test_a_number_that_is_no_age_stays(kept: str) -> None:
    assert details_of(f"portrait, {kept}, red coat") == (kept, "red coat")


def test_accents_do_not_hide_a_word_for_the_face() -> None:
    assert details_of("PÓMULOS altos, mentón fino, Pestañas largas, ñandú de fondo") == ("ñandú de fondo",)


def test_the_half_word_of_a_prompt_that_was_cut_is_left_out() -> None:
    assert details_of("red coat, snow, studio ligh", cut=True) == ("red coat", "snow", "studio")
    assert details_of("coat", cut=True) == ()


def test_a_caption_is_filled_in() -> None:
    made = caption(TEMPLATE, "ana", "woman", ("smiling", "red coat"))
    assert made == "portrait of ana woman, smiling, red coat"


@pytest.mark.parametrize(
    ("template", "details", "made"),
    [
        (TEMPLATE, (), "portrait of ana woman"),
        ("{details}, {trigger}", (), "ana"),
        ("{details}", (), "ana"),
        ("", ("x",), "ana"),
        ("{trigger} ,, {details},", ("a", "b"), "ana, a, b"),
        ("{trigger},\n {details}\n", ("a\nb",), "ana, a b"),
        ("{trigger} {mood} {", ("x",), "ana {mood} {"),
        ("{trigger}, {details}", ("{trigger}",), "ana, {trigger}"),
    ],
)
def test_a_caption_is_one_clean_line_whatever_the_template(template: str, details: tuple[str, ...], made: str) -> None:
    assert caption(template, "ana", "woman", details) == made


@pytest.mark.parametrize(
    ("detail", "kind"),
    [
        ("smiling", "expression"),
        ("wearing a blue shirt", "clothes"),
        ("beach background", "background"),
        ("studio lighting", "light"),
        ("close-up", "framing"),
        ("turned to the side", "framing"),
        ("35mm film", "other"),
        ("fondo de ciudad", "background"),
        ("luz suave", "light"),
    ],
)
def test_every_detail_is_of_a_kind(detail: str, kind: str) -> None:
    assert kind_of(detail) == kind


DETAILS = ("35mm film", "studio lighting", "smiling", "red coat", "beach background")


@pytest.mark.parametrize(
    ("template", "order", "line"),
    [
        (
            "{trigger} {class_word}, {details}",
            DETAIL_KINDS,
            "ana woman, smiling, red coat, beach background, studio lighting, 35mm film",
        ),
        ("{trigger}, {details}", ("light", "expression"), "ana, studio lighting, smiling"),
        ("{light}, {trigger}, {details}", ("light", "clothes"), "studio lighting, ana, red coat"),
        ("{trigger}, {framing}, {expression}", DETAIL_KINDS, "ana, smiling"),
    ],
)
def test_order_and_template_are_the_users(template: str, order: tuple[DetailKind, ...], line: str) -> None:
    assert caption(template, "ana", "woman", DETAILS, order) == line


def test_measures_say_what_stands_out_and_never_the_face() -> None:
    analysis = Analysis(
        width=9, height=9, phash="0" * 16, sharpness=1, brightness=50, contrast=20, clipped=0, light="dark", colour_cast="warm",
        background="plain", faces=1,
    )  # fmt: skip
    face = Verdict(
        file="x", sha256="0", source=Source.REAL, settings="s", background="plain", analysis=analysis,
        measures={"turn": 0.4, "brightness": 50.0, "contrast": 30.0},
    )  # fmt: skip
    assert measured_details(face, 0.25) == ("plain background", "low light", "warm light", "turned to the side")
    ordinary = analysis.model_copy(update={"colour_cast": "none"})
    plain = face.model_copy(
        update={"background": "soft", "analysis": ordinary, "measures": {"brightness": 120.0, "contrast": 45.0}}
    )
    assert measured_details(plain, 0.25) == ()


def test_nothing_dangles_where_a_text_was_cut_or_a_word_is_not_told():
    assert details_of("portrait of a woman with hat in a gard", cut=True) == ("with hat",)
    assert details_of("reading by the", cut=False) == ("reading",)
    assert details_of("mujer con sombrero en la pl", cut=True) == ("con sombrero",)
