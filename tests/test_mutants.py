"""The list of mutants cannot rot: every text is in the source once, every test is there. The score itself is `make mutants`."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from mutants.run import BadList, Mutant, chosen, mutated, read_list

ROOT = Path(__file__).resolve().parents[1]
MUTANTS = read_list()
PACKAGES = {
    "actions", "client_folder", "dataset", "embedded", "exam", "faces", "machine", "media", "pictures", "portraits", "root",
    "terminal", "training",
}  # fmt: skip


@pytest.mark.parametrize("file", sorted({mutant.file for mutant in MUTANTS}))
def test_every_mutant_still_has_its_place_and_is_python(file):
    text = (ROOT / file).read_text(encoding="utf-8")
    for mutant in MUTANTS:
        if mutant.file == file:
            changed = mutated(text, mutant)
            assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(text)), f"{mutant.name} changes nothing"


def test_every_test_that_is_named_is_there():
    known = {}
    for mutant in MUTANTS:
        assert mutant.tests and mutant.means, mutant.name
        for test in mutant.tests:
            file, _colons, name = test.partition("::")
            if file not in known:
                tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
                known[file] = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            assert not name or name in known[file], f"{mutant.name}: {test}"


def test_all_packages_have_theirs():
    assert {mutant.package for mutant in MUTANTS} == PACKAGES
    assert len(MUTANTS) >= 150


def test_a_name_that_means_nothing_and_a_text_that_has_gone_are_errors():
    with pytest.raises(BadList, match="nonesuch"):
        chosen(["nonesuch"])
    assert {one.package for one in chosen(["exam"])} == {"exam"}
    assert [one.name for one in chosen([MUTANTS[0].name])] == [MUTANTS[0].name]
    gone = Mutant("gone", "config.py", "no such text", "", "", ())
    for text in ("", "no such text, no such text"):
        with pytest.raises(BadList, match="gone"):
            mutated(text, gone)


@pytest.mark.slow
def test_one_is_really_tried(tmp_path):
    """A real one dies; with tests that do not look at it the same one survives, which the exit code says."""
    tried = subprocess.run(
        [sys.executable, "mutants/run.py", "consent-newest"], cwd=ROOT, capture_output=True, text=True, timeout=300
    )  # fmt: skip
    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert "| **all** | 1 | 1 (100.0%) |" in tried.stdout
    wrong = subprocess.run([sys.executable, "mutants/run.py", "nonesuch"], cwd=ROOT, capture_output=True, text=True)
    assert (wrong.returncode, wrong.stderr.strip()) == (2, "no mutant, package or module is called nonesuch")
