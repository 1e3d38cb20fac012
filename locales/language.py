"""The language of every text a user sees: English in the source, the others in `locales/`.

Python's own gettext does the work. Modules mark a text with `N_` where it is defined and translate it with `_` where it is shown,
so that the language may be chosen after the modules are imported. argparse looks its texts up in the same catalogue. A closed set
of codes that people are shown is a `Labelled` enum: the text stands behind each code.
"""

from __future__ import annotations

import gettext
import locale
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Self

DOMAIN = "avatar_pipeline"
LOCALES = Path(__file__).resolve().parent
LANGUAGES = ("en", "es")
# The language of one request of the service, whose readers need not speak the program's; empty elsewhere.
_asked_for: ContextVar[str] = ContextVar("language", default="")


def _(text: str) -> str:
    """The text in the user's language."""
    language = _asked_for.get()
    return _catalogue(language).gettext(text) if language else gettext.gettext(text)


def ngettext(one: str, several: str, count: int) -> str:
    """The text for so many in the user's language."""
    language = _asked_for.get()
    return _catalogue(language).ngettext(one, several, count) if language else gettext.ngettext(one, several, count)


@cache
def _catalogue(language: str) -> gettext.NullTranslations:
    return gettext.translation(DOMAIN, str(LOCALES), [language], fallback=True)


def N_(text: str) -> str:  # noqa: N802 - the name every gettext tool looks for
    """Mark a text for translation without translating it yet."""
    return text


class Labelled(StrEnum):
    """Codes with the text that people read: `FITS = "fits", N_("it fits")`. Records keep the code, screens show the label.

    The code alone takes part in comparing and looking up, so that `Fit("fits")` is the member whatever its text is.
    """

    _value_: str
    english_label: str

    def __new__(cls, code: str, *_texts: str) -> Self:
        """A member from its code and its texts; an enum with more texts than one names them in its own `__init__`."""
        member = str.__new__(cls, code)
        member._value_ = code
        return member

    def __init__(self, _code: str, label: str = "") -> None:
        self.english_label = label

    @property
    def label(self) -> str:
        """The text in the user's language."""
        return _(self.english_label)


# What argparse says: it looks its texts up in our catalogue, so that they have to be found in our source.
ARGPARSE_TEXTS = (
    N_("usage: "), N_("options"), N_("positional arguments"), N_("show this help message and exit"),
    N_("%(prog)s: error: %(message)s\n"),
    N_("argument %(argument_name)s: %(message)s"), N_("expected one argument"), N_("expected at least one argument"),
    N_("invalid %(type)s value: %(value)r"), N_("invalid choice: %(value)r (choose from %(choices)s)"),
    N_("the following arguments are required: %s"), N_("unrecognized arguments: %s"),
)  # fmt: skip


def language_of_system(environment: Mapping[str, str]) -> str:
    """The first language of ours that the environment or, on Windows, the system's locale asks for; else English."""
    wishes = [environment.get(name, "") for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")]
    wishes.append(locale.getlocale()[0] or "")
    codes = [_code_of(part) for wish in wishes for part in wish.split(":") if part]
    return next((code for code in codes if code in LANGUAGES), "en")


def _code_of(wish: str) -> str:
    # "Spanish_Spain" is how Windows spells it; its first two letters are not a code of ours.
    return "es" if wish.lower().startswith("spanish") else wish[:2].lower()


def spoken() -> str:
    """The language that texts are shown in now."""
    return _asked_for.get() or os.environ.get("LANGUAGE", "en")[:2]


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Show texts in `language` as long as the block lasts, in this thread or task and what it starts alone."""
    before = _asked_for.set(language)
    try:
        yield
    finally:
        _asked_for.reset(before)


def speak(language: str) -> None:
    """Show texts in `language` ("en", "es", or "auto" for the system's) from now on, in this process and its children."""
    chosen = language_of_system(os.environ) if language == "auto" else language
    os.environ["LANGUAGE"] = chosen
    gettext.bindtextdomain(DOMAIN, str(LOCALES))
    gettext.textdomain(DOMAIN)
