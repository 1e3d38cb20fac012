"""The pictures of screens in the documentation: there for every scene and language, small, shown with words, and drawable today."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from locales.language import LANGUAGES, speak

ROOT = Path(__file__).resolve().parent.parent
SCREENS = ROOT / "docs" / "images" / "screens"
MOST_BYTES = 32_000
PAGES = ("README.md", "README.es.md", "docs/guide.md", "docs/es/guia.md")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pexpect has no pseudo-terminal on Windows")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """`docs/draw_screens.py`, which is no module of the program."""
    spec = importlib.util.spec_from_file_location("draw_screens", ROOT / "docs" / "draw_screens.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_scene_has_a_small_picture_in_every_language_and_there_is_no_other(script: ModuleType) -> None:
    assert len(script.SCENES) >= 10
    assert {file.name for file in SCREENS.iterdir()} == {
        f"{scene}.{language}.png" for scene in script.SCENES for language in LANGUAGES
    }
    for file in SCREENS.iterdir():
        assert file.stat().st_size <= MOST_BYTES, file.name
        with Image.open(file) as picture:
            assert picture.width == 80 * script.CELL_PX + 2 * script.MARGIN_PX, file.name


@pytest.mark.parametrize("page", PAGES)
def test_the_pages_show_screens_of_their_own_language_with_words_for_who_sees_none(page: str) -> None:
    shown = re.findall(r"!\[([^\]]*)\]\(([^)]*images/screens/[^)]*)\)", (ROOT / page).read_text(encoding="utf-8"))
    assert len(shown) >= 2
    language = "es" if "es" in re.split(r"[./]", page) else "en"
    for words, place in shown:
        assert len(words) > 20 and place.endswith(f".{language}.png")
        assert ((ROOT / page).parent / place).is_file(), place


def test_the_cheapest_scene_is_drawn_as_the_program_is_today(script: ModuleType, tmp_path: Path) -> None:
    speak("es")
    home = tmp_path / "home"
    with script.SCENES["first_start"](home, {"LANG": "es_ES.UTF-8", "HOME": str(tmp_path)}) as terminal:
        terminal.settle()
        screen = terminal.screen()
        drawn = script.draw_screen(terminal._screen)
    assert "RTX 4090" in screen and "> 1) SDXL 1.0" in screen
    lines = len(screen.strip().splitlines())
    assert drawn.size == (80 * script.CELL_PX + 2 * script.MARGIN_PX, lines * script.LINE_PX + 2 * script.MARGIN_PX)
    assert len(drawn.getcolors()) > 2
