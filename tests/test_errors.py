"""The tree of errors: what each says, in both languages, and that it stands beside who raises it."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys

import pytest
from babel.messages.pofile import read_po
from test_house import FLOOR_OF, HEAVY, MODULES, ROOT

from utils import PipelineError

# Every module of the program, as read from its file; what the embedded base is made with is a program of its own.
SOURCES = {name: ast.parse(path.read_text("utf-8")) for name, path in MODULES.items() if name.partition(".")[0] in FLOOR_OF}


@pytest.fixture(scope="module")
def kinds():
    """Every class of the program's tree, once all its modules are loaded."""
    for module in SOURCES:
        importlib.import_module(module)
    return {name: kind for name, kind in PipelineError.known.items() if kind.__module__ in SOURCES}


def uses(tree, names):
    """Which errors a module makes, and which it names at all."""
    made = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    named = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return made & names, named & names


def test_the_registry_knows_each_error_by_its_name(kinds):
    derived, grown = {"PipelineError"}, True
    classes = {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)}
        for tree in SOURCES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    while grown:
        grown = {name for name, bases in classes.items() if bases & derived} - derived
        derived |= grown
    assert set(kinds) == derived - {"PipelineError"}
    assert all(getattr(sys.modules[kind.__module__], name) is kind for name, kind in kinds.items())


def test_two_errors_cannot_have_one_name(monkeypatch):
    monkeypatch.setattr(PipelineError, "known", dict(PipelineError.known))
    first = type("Twice", (PipelineError,), {"__module__": "one", "__qualname__": "Twice"})
    with pytest.raises(TypeError, match="Twice: one in one, one in two"):
        type("Twice", (PipelineError,), {"__module__": "two", "__qualname__": "Twice"})
    assert PipelineError.known["Twice"] is first
    again = type("Twice", (PipelineError,), {"__module__": "one", "__qualname__": "Twice"})
    assert PipelineError.known["Twice"] is again, "the module was loaded again"


def test_every_error_says_what_happened_and_what_to_do_in_both_languages(kinds):
    with open(ROOT / "locales" / "es" / "LC_MESSAGES" / "avatar_pipeline.po", "rb") as file:
        spanish = read_po(file)
    for name, kind in kinds.items():
        for text in (kind.message, kind.hint):
            assert text.strip(), name
            assert text in spanish and str(spanish[text].string).strip(), (name, text)
        assert kind.message != PipelineError.message, f"{name} does not say what happened"


def test_every_error_speaks_of_its_facts(kinds):
    for kind in kinds.values():
        assert kind.__doc__ and kind.__doc__.startswith("Facts:"), kind
        named = {fact.split()[0].strip(".,:") for fact in kind.__doc__.removeprefix("Facts:").split(",") if fact.strip()}
        error = kind(**dict.fromkeys(named, "X"))
        assert error.text() and error.cure()


def test_every_error_stands_beside_who_raises_it(kinds):
    using = {module: uses(tree, set(kinds)) for module, tree in SOURCES.items()}
    for name, kind in kinds.items():
        home, package = kind.__module__, kind.__module__.split(".")[0]
        makers = {module for module, (made, _named) in using.items() if name in made}
        users = {module for module, (_made, named) in using.items() if name in named} - {home}
        packages = {module.split(".")[0] for module in makers}
        assert makers, f"nobody raises {name}"
        assert all(FLOOR_OF[other] < FLOOR_OF[package] or other == package for other in packages), (name, makers)
        if package == "utils":
            assert "utils" in packages or len(packages) > 1 or "avatar_pipeline" in packages, (name, makers)
        elif home == f"{package}.errors":
            assert package in packages and len(users) > 1, f"{name} is the affair of {users}"
        else:
            assert home in makers, f"{name} stands in {home}, but is raised by {makers}"


def test_an_error_can_be_loaded_without_a_heavy_library(kinds):
    modules = sorted({kind.__module__ for kind in kinds.values()})
    code = (
        "import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"
