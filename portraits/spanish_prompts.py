"""Spanish prompts in the words SDXL knows: its text encoders were trained on English.

A glossary of what portraits are described with, the longest phrase first; a word it does not have stays as it is. Knows no grammar:
adjectives keep the place they had, which CLIP does not mind.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from locales.language import LOCALES

GLOSSARY = LOCALES / "es" / "prompts.txt"
# Words that Spanish has and English prompts do not; one of them, or a letter of its own, tells the language.
_MARKS = frozenset(
    [
        "el",
        "la",
        "los",
        "las",
        "un",
        "una",
        "unos",
        "unas",
        "y",
        "con",
        "sin",
        "de",
        "del",
        "en",
        "al",
        "sobre",
        "su",
        "muy",
        "está",
    ]
)
_WORD = re.compile(r"[^\W\d_]+", re.UNICODE)


@cache
def _pairs() -> tuple[tuple[str, str], ...]:
    """The glossary, the longest phrase first."""
    lines = GLOSSARY.read_text(encoding="utf-8").splitlines()
    pairs = [line.split("=", 1) for line in lines if "=" in line and not line.startswith("#")]
    return tuple(sorted(((_bare(spanish), english) for spanish, english in pairs), key=lambda pair: -len(pair[0])))


@cache
def _entries() -> tuple[tuple[re.Pattern[str], str], ...]:
    """The glossary as patterns; accents may be missing, as in a hurry they are."""
    return tuple((re.compile(rf"(?<![\w-]){re.escape(spanish)}(?![\w-])", re.IGNORECASE), english) for spanish, english in _pairs())


@cache
def _known() -> frozenset[str]:
    """Every Spanish word of the glossary that is no English one too."""
    spanish = {word for phrase, _english in _pairs() for word in phrase.split()}
    english = {word for _spanish, phrase in _pairs() for word in phrase.split()}
    return frozenset(spanish - english - {"o", "mar", "real"})


def is_spanish(text: str) -> bool:
    """Whether a prompt is written in Spanish: by its letters, or by at least a quarter of its words."""
    if re.search(r"[ñ¿¡]", text, re.IGNORECASE):
        return True
    words = [_bare(word).lower() for word in _WORD.findall(text)]
    hits = sum(word in _MARKS or word in _known() for word in words)
    return hits >= 1 and hits * 4 >= len(words)


def in_english(text: str, keep: frozenset[str] = frozenset()) -> str:
    """The text with every phrase of the glossary in English; words in `keep`, such as the trigger, stay."""
    places: list[str] = []

    def put_away(match: re.Match[str]) -> str:
        places.append(match[0])
        return f"\x00{len(places) - 1}\x00"

    names = sorted((word for word in keep if word), key=len, reverse=True)
    kept = re.sub("|".join([*(rf"(?<!\w){re.escape(name)}(?!\w)" for name in names), r"<lora:[^>]*>"]), put_away, text)
    plain = _bare(kept)
    for pattern, english in _entries():
        # What was put in place is put away too: no English word is taken for a Spanish one afterwards.
        plain = pattern.sub(lambda _match, word=english: put_away(re.fullmatch(".*", word, re.DOTALL)), plain)  # type: ignore[misc,arg-type]
    return re.sub("\x00(\\d+)\x00", lambda match: places[int(match[1])], plain)


def _bare(text: str) -> str:
    """Without accents, but for ñ, which is a letter."""
    kept = text.replace("ñ", "\x01").replace("Ñ", "\x02")
    letters = "".join(letter for letter in unicodedata.normalize("NFD", kept) if not unicodedata.combining(letter))
    return unicodedata.normalize("NFC", letters).replace("\x01", "ñ").replace("\x02", "Ñ")
