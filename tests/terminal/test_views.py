"""What people are shown: codes and stages have labels in both languages, rows have views, and showing waits for its view alone."""

import ast
import gettext
import importlib
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from actions.demo import STEPS
from actions.table import ROWS
from locales.language import DOMAIN, LOCALES
from terminal.screens import STAGES, BarState, plain_line

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "actions", "client_folder", "dataset", "embedded", "exam", "faces", "locales", "machine", "machines", "media", "pictures",
    "portraits", "studio", "terminal", "training",
)  # fmt: skip
FRONTS = {"data_preprocessor", "image_processor", "lora_trainer", "generation"}
HEAVY = {"torch", "diffusers", "transformers", "cv2", "scipy", "numpy", "PIL", "onnxruntime"}


@cache
def modules():
    """The syntax tree of every module of the program, by its dotted name."""
    files = [*ROOT.glob("*.py"), *(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))]
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in files if path.stem != "__init__"}
    return {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in names.items()}


class Untranslated(gettext.NullTranslations):
    """What a catalogue is asked last: reached only by a text that it has no translation of."""

    def gettext(self, message):
        raise LookupError(message)


def labelled_enums():
    """Every enum of the program that carries labels, its module imported for it."""
    for name, tree in modules().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and "Labelled" in {base.id for base in node.bases if isinstance(base, ast.Name)}:
                yield getattr(importlib.import_module(name), node.name)


def test_every_label_stands_in_both_languages():
    spanish = gettext.translation(DOMAIN, str(LOCALES), ["es"])
    spanish.add_fallback(Untranslated())
    enums = list(labelled_enums())
    assert len(enums) >= 13
    for member in (member for enum in enums for member in enum):
        texts = {name: text for name, text in vars(member).items() if name.startswith("english_") and text}
        assert "english_label" in texts, repr(member)
        assert all(spanish.gettext(text) for text in texts.values())


def stage_codes(tree):
    """The codes of stages in a module: a constant given to `Progress`, or one that its module calls STAGE."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Progress" and node.args:
            yield node.args[0]
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.endswith("STAGE"):
            yield node.value


def test_every_stage_that_reports_progress_has_a_label():
    codes = {node.value for tree in modules().values() for node in stage_codes(tree) if isinstance(node, ast.Constant)}
    assert {"process", "exam", "preload"} <= codes <= set(STAGES)
    assert set(STEPS) <= set(STAGES)


def test_every_row_names_the_module_that_draws_its_reports():
    views = {row.view for row in ROWS}
    assert views == {name for name in modules() if name.startswith("terminal.view_")}
    for view in views:
        for kind, draw in importlib.import_module(view).VIEWS.items():
            first = next(iter(get_type_hints(draw).values()))
            assert kind in (get_args(first) or (first,)), f"{view}: {kind.__name__}"


def loaded_by(home, *words):
    """The modules of ours, and the heavy libraries, that one action brings with it."""
    code = (
        "import sys, avatar_pipeline\n"
        f"code = avatar_pipeline.main(['--home', {str(home)!r}, *{words!r}])\n"
        f"print('loaded:', *({set(modules()) | HEAVY!r} & set(sys.modules)))\n"
        "sys.exit(code)"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return set(said.rpartition("loaded: ")[2].split())


@pytest.mark.parametrize("words", [("settings",), ("client",), ("gpu",), ("models",)])
def test_an_answer_for_people_waits_for_no_more_than_its_view(tmp_path, words):
    view = next(row.view for row in ROWS if row.name == words[0])
    shown, answered = loaded_by(tmp_path, *words), loaded_by(tmp_path, *words, "--json")
    assert shown - answered == {view}
    if words[0] in ("settings", "client"):
        assert not shown & (HEAVY | FRONTS | {"portraits.sdxl", "portraits.recipes", "actions.demo"})


@pytest.mark.parametrize(
    ("state", "seconds", "line"),
    [
        (BarState("process", "Faces", 0, 0, ""), 0.0, "Faces: ..."),
        (BarState("process", "Faces", 30, 120, ""), 10.0, "Faces: 30/120, 3.0 a second, 00:30 left"),
        (BarState("generate", "Painting", 9, 16, ""), 300.0, "Painting: 9/16, 33.3 s each, 03:53 left"),
        (BarState("train", "Training", 900, 2000, "loss 0.1", 3.3), 20.0, "Training: 900/2000, 3.3 s each, 1:00:30 left, loss 0.1"),
    ],
)  # fmt: skip
def test_a_line_of_a_log_tells_rate_and_time_left_of_quick_and_of_slow_work(state, seconds, line):
    """A training that went on from step 880 knows its own speed: 900 steps in twenty seconds would be another one."""
    assert str(plain_line(state, seconds)) == line
