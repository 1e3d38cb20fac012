"""Names of clients: the trigger word that a person's name makes, which words cannot be one and why, and class words in English."""

from __future__ import annotations

import re
from collections.abc import Collection

from locales.language import N_
from utils import PipelineError, fold

_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]{1,39}")
MOST_LETTERS = 40  # of a trigger word, which is a folder's name too
MARK = "x"  # what makes a word one of its own: maria_x
# Windows refuses these as names of folders, whatever their ending.
RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))})
# A base has learned these from many pictures of many people: as a trigger word each would bring them along. First names and words
# for people, in English and Spanish, and words of the trade; lower case, no accents. By far not all that a base knows.
_WORDS = (
    "person people human woman women man men girl girls boy boys lady gentleman guy child children kid baby mother father "
    "mom dad sister brother son daughter wife husband bride model actor actress doctor nurse teacher boss client friend "
    "king queen princess prince angel star love beauty face portrait photo picture image avatar character style photography "
    "studio art persona personas mujer mujeres hombre hombres chica chico nina nino senora senor dama caballero madre padre "
    "hermana hermano hija hijo esposa esposo novia novio modelo actriz doctora profesora jefa jefe cliente clienta amiga "
    "amigo reina rey princesa principe sol luz estrella amor cara retrato foto imagen arte belleza cielo rosa flor mar luna "
    "paz vida alma nieve maria jose juan ana luis carlos pedro pablo miguel jesus david daniel javier antonio manuel "
    "francisco alejandro rafael fernando sergio jorge alberto diego ramon raul ruben mario adrian alvaro ivan oscar andres "
    "victor martin hugo mateo lucas leo nicolas gabriel samuel santiago sebastian tomas emilio enrique ricardo roberto "
    "eduardo guillermo gonzalo ignacio julio marcos felipe carmen lucia laura marta paula sara elena cristina isabel pilar "
    "teresa beatriz silvia patricia raquel andrea julia alba claudia irene eva nuria monica natalia alicia sofia valentina "
    "camila daniela gabriela victoria martina valeria mariana fernanda guadalupe dolores mercedes angela lola ines clara "
    "carla noelia sandra susana veronica yolanda rocio lorena adriana carolina diana esther gloria luisa juana josefa "
    "antonia james john robert michael william richard joseph thomas charles chris christopher matthew anthony mark donald "
    "steven paul andrew joshua kenneth kevin brian george timothy ronald edward jason jeffrey ryan jacob gary eric jonathan "
    "stephen larry justin scott brandon benjamin frank gregory raymond alexander alex patrick jack dennis jerry tyler aaron "
    "adam nathan henry peter kyle noah ethan liam mason logan jackson max tom tim ben sam joe bob bill mike nick tony steve "
    "dan matt rob jim mary jennifer linda elizabeth barbara susan jessica sarah karen lisa nancy betty margaret ashley "
    "kimberly emily donna michelle carol amanda melissa deborah stephanie rebecca sharon cynthia kathleen amy anna anne ann "
    "brenda pamela emma nicole helen samantha katherine kate christine rachel janet catherine heather ruth olivia joyce "
    "virginia judith kelly christina lauren joan evelyn megan cheryl hannah jacqueline martha ava mia isabella charlotte "
    "amelia harper abigail jane rose grace lily chloe zoe ella lucy jenny jess beth meg sue kim tina"
)
COMMON_WORDS = frozenset(_WORDS.split())
# What a client is, as people say it, in the English that a base was taught.
_ENGLISH_CLASS_WORDS = {
    "persona": "person", "mujer": "woman", "senora": "woman", "dama": "woman", "hombre": "man", "senor": "man", "caballero": "man",
    "chica": "girl", "nina": "girl", "muchacha": "girl", "chico": "boy", "nino": "boy", "muchacho": "boy",
    "perro": "dog", "perra": "dog", "gato": "cat", "gata": "cat",
}  # fmt: skip


class BadClientId(PipelineError):
    """Facts: name."""

    message = N_('"{name}" cannot be the name of a client.')
    hint = N_("Use 2 to 40 letters, digits, _ or -, beginning with a letter: the name is a folder and the trigger word.")


class ReservedName(BadClientId):
    """Facts: name."""

    message = N_('"{name}" is the name of a device on Windows, where no folder can be called that.')
    hint = N_("Choose another one, such as {name}_x: the folder has to work on every system.")


class CommonWord(PipelineError):
    """Facts: name, proposal."""

    message = N_('The base knows the word "{name}" already: what it knows of it would be in every portrait.')
    hint = N_("Take a trigger word that means nothing yet, such as {proposal}.")


def check_client_id(name: str) -> str:
    """The name, if it can be a folder on every system and a word of a prompt; raises BadClientId."""
    if name.lower() in RESERVED:
        raise ReservedName(name=name)
    if not _ID.fullmatch(name):
        raise BadClientId(name=name)
    return name


def english_class_word(said: str) -> str:
    """A class word in English where we know it, else as it was said."""
    return _ENGLISH_CLASS_WORDS.get(fold(said.strip()), said.strip())


def is_common(word: str) -> bool:
    """Whether a base is known to know this word, alone."""
    return fold(word) in COMMON_WORDS


def propose_trigger(name: str, taken: Collection[str] = ()) -> str:
    """A trigger word out of a name in any letters: "José Ñandú" -> jose_nandu. One that is common, refused or taken gets a mark."""
    word = re.sub(r"[^a-z0-9]+", "_", fold(name)).strip("_")
    word = re.sub(r"^[^a-z]+", "", word)[: MOST_LETTERS - 4].strip("_")
    if not word or len(word) < 2:
        word = f"{word}_client".strip("_")  # a name in letters that have no Latin ones beside them
    known = {one.lower() for one in taken}
    proposals = [word] if word not in RESERVED and not is_common(word) else []
    proposals += [f"{word}_{MARK}", *(f"{word}_{number}" for number in range(2, len(known) + 3))]
    return next(one for one in proposals if one not in known)


def complaint_about(word: str, taken: Collection[str] = ()) -> CommonWord | None:
    """Why a word is no good trigger word, with another one; None where no base is known to know it."""
    return CommonWord(name=word, proposal=propose_trigger(word, taken)) if is_common(word) else None
