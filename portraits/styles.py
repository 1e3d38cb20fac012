"""Styles: words that go behind a prompt, read from data files that users extend."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import ConfigDict, Field, ValidationError

from config import PROGRAM
from locales.language import N_
from utils import BrokenFile, PipelineError, Record, explain, reading, where

FOLDER = "styles"


class StyleMissing(PipelineError):
    """Facts: style, known."""

    message = N_('There is no style "{style}".')
    hint = N_("Styles here: {known}. Add your own in a .toml file in the folder styles.")


class Style(Record):
    """One style; `photo` is False for what is painted or drawn, so that no lens is added to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")
    en: str = ""
    es: str = ""
    add: str = Field(min_length=1)
    negative: str = ""
    photo: bool = True

    def label(self, language: str) -> str:
        """What the menu shows."""
        return (self.es if language == "es" else self.en) or self.en or self.es or self.name


class _StyleFile(Record):
    model_config = ConfigDict(extra="forbid")

    style: tuple[Style, ...] = ()


def load_styles(home: Path) -> dict[str, Style]:
    """The program's styles, then the home's, by name; raises BrokenFile naming the file."""
    folders = dict.fromkeys((PROGRAM / FOLDER, home / FOLDER))
    files = [file for folder in folders for file in sorted(folder.glob("*.toml"))]
    return {style.name: style for file in files for style in _read(file)}


def style_named(home: Path, name: str) -> Style | None:
    """The style of that name, None for an empty name or "none"; raises StyleMissing or BrokenFile."""
    if name in ("", "none"):
        return None
    styles = load_styles(home)
    if name not in styles:
        raise StyleMissing(style=name, known=", ".join(styles))
    return styles[name]


def _read(file: Path) -> tuple[Style, ...]:
    try:
        with reading(file):
            text = file.read_text(encoding="utf-8")
            try:
                found = tomllib.loads(text)
            except tomllib.TOMLDecodeError as error:
                line = str(error).partition("at line ")[2].partition(",")[0]
                raise BrokenFile(path=file, line=line or 1, reason=str(error)) from error
        return _StyleFile.model_validate(found).style
    except ValidationError as error:
        first = error.errors()[0]
        reason = f"{where(error)}: {explain(error)}"
        raise BrokenFile(path=file, line=_line_of_style(file, first["loc"]), reason=reason) from error


def _line_of_style(file: Path, location: tuple[int | str, ...]) -> int:
    """The line on which the style at fault begins."""
    number = next((part for part in location if isinstance(part, int)), 0)
    lines = file.read_text(encoding="utf-8").splitlines()
    heads = [at for at, line in enumerate(lines, 1) if line.strip() == "[[style]]"]
    return heads[number] if number < len(heads) else 1
