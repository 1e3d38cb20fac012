"""Both languages are complete, and the one that is asked for is the one that is shown."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

from locales.language import language_of_system

ROOT = Path(__file__).resolve().parents[2]
SPANISH = ROOT / "locales" / "es" / "LC_MESSAGES" / "avatar_pipeline"


def texts_of_the_source():
    keywords = {"_": None, "N_": None, "ngettext": (1, 2)}
    texts = set()
    for path in [*ROOT.glob("*.py"), *(ROOT / "embedded").glob("*.py")]:
        for _file, _line, text, _comments, _context in extract_from_dir(
            str(path.parent), [(path.name, "python")], keywords=keywords
        ):
            texts.add(text[0] if isinstance(text, tuple) else text)
    return {text for text in texts if text}


@pytest.fixture(scope="module")
def catalogue():
    with open(f"{SPANISH}.po", "rb") as file:
        return read_po(file)


def test_every_text_of_the_source_is_translated(catalogue):
    translated = {
        (message.id[0] if isinstance(message.id, tuple) else message.id)
        for message in catalogue
        if message.id and message.string and not message.fuzzy
    }
    assert sorted(texts_of_the_source() - translated) == []


def test_translations_keep_the_facts_of_their_text(catalogue):
    for message in catalogue:
        if not message.id:
            continue
        wanted = set(re.findall(r"{(\w+)", message.id if isinstance(message.id, str) else message.id[1]))
        strings = [message.string] if isinstance(message.string, str) else message.string
        for string in strings:
            assert set(re.findall(r"{(\w+)", string)) <= wanted | {"count"}, message.id


def texts(messages):
    """Every text with its translation, in a form that can be compared."""
    flat = [("".join(message.id), "".join(message.string)) for message in messages if message.id and message.string]
    return sorted(flat)


def test_the_compiled_catalogue_is_the_written_one(catalogue):
    with open(f"{SPANISH}.mo", "rb") as file:
        assert texts(read_mo(file)) == texts(catalogue)


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "es_ES.UTF-8"}, "es"),
        ({"LANGUAGE": "fr:es", "LANG": "en_GB.UTF-8"}, "es"),
        ({"LC_ALL": "es_MX", "LANG": "en_US"}, "es"),
        ({"LANG": "en_US.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
    ],
)
def test_the_language_comes_from_the_system(environment, language, monkeypatch):
    monkeypatch.setattr("locale.getlocale", lambda: (None, None))
    assert language_of_system(environment) == language


def test_windows_spells_its_locale_another_way(monkeypatch):
    monkeypatch.setattr("locale.getlocale", lambda: ("Spanish_Spain", "1252"))
    assert language_of_system({}) == "es"


def help_in(*words, **environment):
    clean = {name: value for name, value in os.environ.items() if name not in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")}
    run = subprocess.run(
        [sys.executable, "avatar_pipeline.py", *words, "--help"],
        cwd=ROOT,
        env={**clean, **environment},
        capture_output=True,
        text=True,
    )
    return run.stdout


def test_the_command_line_speaks_spanish_when_the_system_does():
    assert "Importar" in help_in(LANG="es_ES.UTF-8")
    assert "uso:" in help_in(LANG="es_ES.UTF-8")
    assert "Import " in help_in(LANG="C")


def test_a_word_on_the_command_line_wins_over_the_system():
    assert "Importar" in help_in("--language", "es", LANG="en_US.UTF-8")
    assert "Importar" not in help_in("--language", "en", LANG="es_ES.UTF-8")
