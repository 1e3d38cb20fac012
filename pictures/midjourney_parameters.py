"""MidJourney's parameters: one table of names, ranges and how a value is read, and the words parted by it.

    param = dashes name [value]      dashes = "--" | "—" | "–", directly before a letter
    value = all words up to the next parameter, of which most parameters take one, flags none and lists all

Knows nothing of file names, cuts or sources. A value that is not allowed is None here; the caller reports it.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

ParamValue = bool | int | float | str | list[str]
Taken = tuple[ParamValue | None, int]  # the value (None = not an allowed one), and how many words it took
Mark = tuple[str, list[str]]  # a parameter's name as it was typed (lower-case), and the words behind it

STRAY = ".,;:!?\"')]}*”’"  # punctuation that people leave behind a value
DASHES = "-—–"  # Apple's keyboards turn "--" into one long dash
FOREIGN_NAMES = frozenset({"variety"})  # the web slider's label, not a parameter of MidJourney: reported as an alias

_MARK = re.compile(r"(--|[—–])([A-Za-z]+)(.*)", re.DOTALL)
_NUMBER = re.compile(r"(?:[0-9]{1,10}(?:\.[0-9]{0,6})?|\.[0-9]{1,6})")
_RATIO = re.compile(r"[1-9][0-9]{0,4}:[1-9][0-9]{0,4}")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One row: the canonical name, the names people type, how its value is read and what is allowed."""

    name: str
    names: tuple[str, ...]
    read: Callable[["Parameter", str, list[str]], Taken]
    low: float = 0
    high: float = 0
    allowed: tuple[float | str, ...] = ()


def _number(word: str) -> int | float | None:
    """Read "250", "1.5", ".25" and "7."; a sign, a comma or a letter makes it no number."""
    word = word.rstrip(STRAY)
    if not _NUMBER.fullmatch(word):
        return None
    value = float(word)
    return int(value) if value.is_integer() else value


def _decimal(row: Parameter, spelled: str, words: list[str]) -> Taken:
    value = _number(words[0]) if words else None
    return (value if value is not None and row.low <= value <= row.high else None), 1


def _integer(row: Parameter, spelled: str, words: list[str]) -> Taken:
    value, used = _decimal(row, spelled, words)
    return (value if isinstance(value, int) else None), used


def _one_of(row: Parameter, spelled: str, words: list[str]) -> Taken:
    if not words:
        return None, 0
    number = _number(words[0])
    value = words[0].rstrip(STRAY).lower() if number is None else number
    return (value if value in row.allowed else None), 1


def _version(row: Parameter, spelled: str, words: list[str]) -> Taken:
    """Keep versions as text, for 6.1 is a name and no quantity; Discord echoes 7 as 7.0."""
    value, used = _decimal(row, spelled, words)
    return (None if value is None else str(value)), used


def _version_or_flag(row: Parameter, spelled: str, words: list[str]) -> Taken:
    return _version(row, spelled, words) if words and _number(words[0]) is not None else (True, 0)


def _ratio(row: Parameter, spelled: str, words: list[str]) -> Taken:
    value = words[0].rstrip(STRAY) if words else ""
    return (value if _RATIO.fullmatch(value) else None), 1


def _flag(row: Parameter, spelled: str, words: list[str]) -> Taken:
    return True, 0


def _spelling(row: Parameter, spelled: str, words: list[str]) -> Taken:
    return spelled, 0


def _word(row: Parameter, spelled: str, words: list[str]) -> Taken:
    value = bare_word(words[0]) if words else ""
    return (value.lower() if value.lower() in row.allowed else value or None), 1


def _items(row: Parameter, spelled: str, words: list[str]) -> Taken:
    return [item for item in map(bare_word, words) if item] or None, len(words)


def _items_or_flag(row: Parameter, spelled: str, words: list[str]) -> Taken:
    return _items(row, spelled, words) if words else (True, 0)


def _phrases(row: Parameter, spelled: str, words: list[str]) -> Taken:
    phrases = (phrase.strip().rstrip(STRAY) for phrase in " ".join(words).split(","))
    return [phrase for phrase in phrases if phrase] or None, len(words)


def bare_word(word: str) -> str:
    """Take off the <> that keeps Discord from showing a preview, and stray punctuation."""
    return word.strip("<>").rstrip(",.;").strip("<>")


PARAMETERS = (
    Parameter("ar", ("ar", "aspect"), _ratio),
    Parameter("v", ("v", "version"), _version, 1, 99),  # an open list: new versions need no new release of ours
    Parameter("niji", ("niji",), _version_or_flag, 4, 99),
    Parameter("quality", ("q", "quality"), _one_of, allowed=(0.25, 0.5, 1, 2, 4)),
    Parameter("stylize", ("s", "stylize"), _integer, 0, 1000),
    Parameter("chaos", ("c", "chaos", "variety"), _integer, 0, 100),
    Parameter("weird", ("w", "weird"), _integer, 0, 3000),
    Parameter("style", ("style",), _word, allowed=("raw", "cute", "expressive", "original", "scenic", "random")),
    Parameter("style", ("raw",), _spelling),
    Parameter("no", ("no",), _phrases),
    Parameter("iw", ("iw",), _decimal, 0, 3),
    Parameter("oref", ("oref",), _items),
    Parameter("ow", ("ow",), _integer, 1, 1000),
    Parameter("cref", ("cref",), _items),
    Parameter("cw", ("cw",), _integer, 0, 100),
    Parameter("sref", ("sref",), _items),
    Parameter("sw", ("sw",), _integer, 0, 1000),
    Parameter("sv", ("sv",), _integer, 1, 6),
    Parameter("edit", ("edit",), _items),
    Parameter("seed", ("seed",), _integer, 0, 4294967295),
    Parameter("stop", ("stop",), _integer, 10, 100),
    Parameter("tile", ("tile",), _flag),
    Parameter("draft", ("draft",), _flag),
    Parameter("hd", ("hd",), _flag),
    Parameter("sd", ("sd",), _flag),
    Parameter("profile", ("p", "profile", "personalize"), _items_or_flag),
    Parameter("exp", ("exp",), _integer, 0, 100),
    Parameter("speed", ("fast", "relax", "turbo"), _spelling),
    Parameter("visibility", ("stealth", "public"), _spelling),
    Parameter("repeat", ("r", "repeat"), _integer, 2, 40),
    Parameter("video", ("video",), _version_or_flag, 1, 99),
    Parameter("motion", ("motion",), _one_of, allowed=("low", "high")),
    Parameter("bs", ("bs",), _one_of, allowed=(1, 2, 4)),
    Parameter("loop", ("loop",), _flag),
    Parameter("end", ("end",), _word),
)
BY_NAME = {name: row for row in PARAMETERS for name in row.names}


def split_parameters(words: Iterable[str]) -> tuple[list[str], list[Mark]]:
    """Part the words, none of them empty, into prose and [(parameter name, the words behind it)]."""
    prose: list[str] = []
    marks: list[Mark] = []
    current = prose
    words = list(words)
    for position, word in enumerate(words):
        mark = _parameter_mark(word) if word[0] in DASHES else None
        if mark is None or (word[0] != "-" and _is_aside(words, position)):
            current.append(word)
            continue
        spelled, glued = mark
        current = [glued] if glued else []
        marks.append((spelled, current))
    return prose, marks


def _is_aside(words: list[str], position: int) -> bool:
    """Whether a long dash opens an aside, as Spanish sets them ("—no muy alto—"): the next of its kind closes it, behind a word."""
    dash = words[position][0]
    for at in range(position, len(words)):
        later = words[at][1:] if at == position else words[at]
        if dash in later:
            return not later.startswith(dash)
    return False


def _parameter_mark(word: str) -> tuple[str, str] | None:
    """Read a parameter's name, and a value glued to it ("--v7", "--ar=3:2"); None for prose."""
    if word.startswith("--") and word[2:] in BY_NAME:  # nearly all of them: spared the pattern
        return word[2:], ""
    match = _MARK.fullmatch(word)
    if match is None:
        return None
    dashes, letters, rest = match.groups()
    name = letters.lower()
    if name in BY_NAME:
        if not rest.strip(STRAY):
            return name, ""
        if rest[0] in "=.0123456789":
            return name, rest.removeprefix("=")
    if dashes != "--":
        return None  # Spanish sets asides between long dashes: only a known name makes one a parameter
    name, _, glued = word[2:].partition("=")
    return name.rstrip(STRAY).lower(), glued
