"""What a prompt says of light, expression and looks, found by whole words in English and Spanish.

Pure. Reads the prose only: parameters are taken off first, so nothing under `--no` counts; neither does what a negative
weight (`beard::-1`) or "without", "no", "sin" takes away, nor the last word of a cut text. What pixels say is not here.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from pictures.midjourney import MidJourneyRecord
from pictures.midjourney_parameters import split_parameters


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


NEGATIONS = _set("no not non without never nor lacking excluding avoid avoiding sin nunca ni evita evitar evitando")
NEGATION_REACH = 5  # words: "without any trace of harsh dramatic light"
# A negation ends sooner where something is granted: "sin barba con luz suave"; so does it at punctuation.
NEGATION_ENDS = _set("but with in on at under pero con en bajo sino")
# Beside these a word of light speaks of something else: "soft smile", "piel natural".
NOT_LIGHT = _set(
    "smile smiles skin texture textures hair beard focus background backdrop features expression pose makeup fabric "
    "colors colours tones gaze look beauty eyes fur sonrisa piel textura texturas pelo cabello barba enfoque fondo "
    "rasgos expresion maquillaje tela colores tonos mirada belleza ojos"
)
NOT_EXPRESSION = _set("camera lens photography lighting retouching quality camara lente fotografia calidad")

# Spanish adjectives stand with every ending: their "o" or "a" is written "@".
WORDS: dict[tuple[str, str], str] = {
    ("lighting", "studio"): "studio|studio light|studio lighting|estudio|luz de estudio|iluminacion de estudio|softbox",
    ("lighting", "natural"): "natural|natural light|natural lighting|window light|daylight|sunlight|available light|"
    "golden hour|luz natural|iluminacion natural|luz de ventana|luz del dia|luz del sol|hora dorada|naturales",
    ("lighting", "dramatic"): "dramatic|dramatic light|dramatic lighting|chiaroscuro|low key|rembrandt lighting|"
    "dramatic@|iluminacion dramatica|luz dramatica|claroscuro|clave baja",
    ("lighting", "soft"): "soft|soft light|soft lighting|softly lit|diffused|diffuse light|suave|suaves|luz suave|"
    "iluminacion suave|luz difusa|iluminacion difusa|luz tenue",
    ("lighting", "cinematic"): "cinematic|cinematic light|cinematic lighting|filmic|cinematografic@|cinematic@|"
    "iluminacion cinematografica|luz de cine|iluminacion de cine",
    ("expression", "confident"): "confident|confidently|self confident|self assured|assertive|with confidence|confiad@|"
    "self confidence|segur@ de si|segur@ de si mism@|con confianza|con seguridad",
    ("expression", "serene"): "serene|serenely|serenity|serenidad|calm|calmly|tranquil|seren@|tranquil@|calmad@|sosegad@|apacible",
    ("expression", "trustworthy"): "trustworthy|reliable|dependable|honest|confiable|confiables|fiable|honest@|"
    "dign@ de confianza|de confianza|inspira confianza|transmite confianza",
    ("expression", "wise"): "wise|wisely|wisdom|sabi@|sabiduria|sagaz",
    ("expression", "professional"): "professional|professionally|businesslike|corporate|profesional|profesionales|"
    "corporativ@|ejecutiv@|professionalism|profesionalidad|profesionalismo",
    ("physical", "clean_shaven"): "clean shaven|cleanshaven|clean shave|smooth shaven|freshly shaven|afeitad@|"
    "bien afeitad@|recien afeitad@|rasurad@|bien rasurad@",
    ("physical", "stubble"): "stubble|stubbled|stubbly|unshaven|scruff|five oclock shadow|5 oclock shadow|"
    "three day beard|3 day beard|barba de tres dias|barba de 3 dias|barba de varios dias|barba incipiente|mal afeitad@|sin afeitar",
    ("physical", "well_groomed"): "well groomed|groomed|neatly groomed|bien arreglad@|bien cuidad@|bien peinad@|"
    "pulcr@|asead@|acicalad@|aspecto cuidado|barba cuidada",
    ("physical", "refined"): "refined|elegant|polished|sophisticated|distinguished|refinad@|elegante|elegantes|"
    "distinguid@|sofisticad@|elegance|elegancia",
}

_WEIGHT = re.compile(r"-?[0-9.]*")
_CLAUSE = re.compile(r"[,;.:!?()\[\]|\n–—]+")
_APOSTROPHES = str.maketrans("", "", "'’`´")
_TOKEN = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Trait:
    """One finding: its kind ("lighting"), its name ("studio"), the words that say so and the text they stand in."""

    kind: str
    name: str
    words: str
    source: str


def _forms(phrases: str) -> Iterator[tuple[str, ...]]:
    """Write out the phrases of a row, as words without accents; "@" stands for the endings o, a, os, as."""
    for phrase in phrases.split("|"):
        endings = ("o", "a", "os", "as") if "@" in phrase else ("",)
        for ending in endings:
            yield tuple(phrase.replace("@", ending).split())


_PHRASES = {form: key for key, phrases in WORDS.items() for form in _forms(phrases)}
_LONGEST = max(map(len, _PHRASES))


@lru_cache(maxsize=256)  # the pictures of a job share their prompt, and stand side by side
def traits(text: str, source: str = "prompt", *, cut: bool = False) -> tuple[Trait, ...]:
    """Find the traits that a text states, each once; `cut` says that its last word may be half a word."""
    words, _ = split_parameters(text.replace("_", " ").split())
    if cut:
        words = words[:-1]
    found: dict[tuple[str, str], Trait] = {}
    for clause in _clauses(" ".join(words)):
        for start, phrase in _matches(clause):
            kind, name = _PHRASES[phrase]
            if not _speaks_of_else(clause, start, start + len(phrase), kind):
                found.setdefault((kind, name), Trait(kind, name, " ".join(phrase), source))
    return tuple(found.values())


def traits_of(record: MidJourneyRecord) -> tuple[Trait, ...]:
    """Find the traits in a record's prompt."""
    return traits(record.prompt or "", record.source, cut=record.truncated)


def _clauses(prose: str) -> Iterator[list[str]]:
    """Give the words between two punctuation marks, plain: no case, accents, hyphens or weights."""
    for part in _CLAUSE.split(_without_negative(prose)):
        decomposed = unicodedata.normalize("NFKD", part.translate(_APOSTROPHES).casefold())
        words = _TOKEN.findall("".join(char for char in decomposed if not unicodedata.combining(char)))
        if words:
            yield words


def _without_negative(prose: str) -> str:
    """Take the `::` weights off, and with a negative one the part of the prompt that it stands behind."""
    first, *rest = prose.split("::")
    parts = [first, *(_WEIGHT.sub("", part, count=1) for part in rest)]
    negative = [part.startswith("-") for part in rest]
    return ",".join(part for part, taken in zip(parts, [*negative, False], strict=True) if not taken)


def _matches(clause: list[str]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Walk a clause and give the longest known phrase at each place, but none within a negation's reach."""
    at = negated_until = 0
    while at < len(clause):
        phrase = _phrase_at(clause, at)
        if phrase:
            if at >= negated_until:
                yield at, phrase
            at += len(phrase)
            continue
        if clause[at] in NEGATIONS:
            negated_until = at + 1 + NEGATION_REACH
        elif clause[at] in NEGATION_ENDS:
            negated_until = 0
        at += 1


def _phrase_at(clause: list[str], at: int) -> tuple[str, ...]:
    for length in range(min(_LONGEST, len(clause) - at), 0, -1):
        phrase = tuple(clause[at : at + length])
        if phrase in _PHRASES:
            return phrase
    return ()


def _speaks_of_else(clause: list[str], start: int, end: int, kind: str) -> bool:
    """Look at the noun after the word (English) or before it (Spanish): a soft smile is no soft light."""
    others = {"lighting": NOT_LIGHT, "expression": NOT_EXPRESSION}.get(kind)
    if others is None or end - start > 1:
        return False
    neighbours = (clause[end] if end < len(clause) else "", clause[start - 1] if start else "")
    return neighbours[0] in others or neighbours[1] in others
