"""The checkout as the program's home, which is the default: what the program puts there is nothing to git, and no code of ours."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from training import queue as training_queue
from training.sd_scripts import trainer_folder

ROOT = Path(__file__).resolve().parent.parent
FOREIGN = "trainer/sd-scripts/library/foreign.py"
BROKEN = "import os, sys\ndef shout( :\n    print('loud')\n"


def paths_beside_the_code(checkout):
    """Every name that some module joins to a home, read from the source."""
    names = set()
    for file in git(checkout, "ls-files", "*.py", ":!tests", ":!benchmarks").splitlines():
        for node in ast.walk(ast.parse((checkout / file).read_text(encoding="utf-8"))):
            joined = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
            # Not what a record says: that file has its name already.
            if joined and ast.unparse(node.left).split(".")[-1] == "home" and not isinstance(node.right, ast.Subscript):
                names.add(ast.unparse(node.right).strip("'"))
    return names


@pytest.fixture
def checkout(tmp_path):
    """The files of this tree that git knows, as a repository of its own."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no checkout of git")
    copy = tmp_path / "checkout"
    for name in filter(None, listed.stdout.split("\0")):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy / name)
    git(copy, "init", "-q")
    git(copy, "add", "--all")
    git(copy, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-q", "-m", "as cloned")
    return copy


def git(folder, *words):
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout


def program(home, *words):
    """The copy's own program, with nothing said of a home."""
    done = subprocess.run(
        [sys.executable, "avatar_pipeline.py", *words, "--json"],
        cwd=home, capture_output=True, text=True, env={"PATH": "", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return json.loads(done.stdout)


def put(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_what_the_program_leaves_in_a_checkout_is_nothing_to_git(checkout):
    program(checkout, "settings", "language=en")
    program(checkout, "client", "create", "ana")
    exported = program(checkout, "client", "export", "ana")
    program(checkout, "queue", "ana")
    assert Path(exported["file"]).is_relative_to(checkout)
    assert (checkout / "settings.json").is_file() and training_queue.queue_file(checkout).is_file()
    put(trainer_folder(checkout) / "setup.json")
    put(checkout / "styles" / "mine.toml", '[[style]]\nname = "mine"\nadd = "oil"\n')
    put(checkout / ".queue.json.part")  # a program was killed while it wrote
    assert git(checkout, "status", "--porcelain") == ""


def test_every_path_that_the_source_derives_from_a_home_is_ignored(checkout):
    names = paths_beside_the_code(checkout)
    assert {"trainer", "queue.json", "logs", "clients", "exports"} <= names
    for name in names:
        name = {"FOLDER": "styles"}.get(name, name)
        put(checkout / name if "." in name else checkout / name / "something" / "new.txt")
    put(checkout / "embedded" / "trainer" / "ours.py")  # a package of ours may have such a name further down
    assert git(checkout, "status", "--porcelain", "--untracked-files=all") == "?? embedded/trainer/ours.py\n"


def test_checks_look_at_no_code_of_others(checkout):
    put(checkout / FOREIGN, BROKEN)
    put(checkout / "embedded" / "trainer" / "ours.py", '"""Ours."""\n')
    shutil.rmtree(checkout / ".git")  # ruff passes over what git ignores; a downloaded archive has no git
    (checkout / ".gitignore").unlink()
    tool = [sys.executable, "-m"]
    for words in (["check", "."], ["format", "--check", "."]):
        done = subprocess.run([*tool, "ruff", *words], cwd=checkout, capture_output=True, text=True)
        assert done.returncode == 0 and "foreign" not in done.stdout, done.stdout[-2000:]
    looked_at = subprocess.run([*tool, "ruff", "check", "--show-files", "."], cwd=checkout, capture_output=True, text=True).stdout
    assert "embedded/trainer/ours.py" in looked_at
    # mypy's own list of what it would check; to check it takes minutes.
    code = "from mypy.main import process_options; print(*[source.path for source in process_options([])[0]], sep='\\n')"
    typed = subprocess.run([sys.executable, "-c", code], cwd=checkout, capture_output=True, text=True, check=True).stdout
    assert "foreign" not in typed
    assert "avatar_pipeline.py" in typed and "embedded/trainer/ours.py" in typed


def test_texts_are_read_from_no_code_of_others(checkout, tmp_path):
    put(checkout / FOREIGN, "from locales.language import _\n_('a foreign text')\n")
    babel = [sys.executable, "-m", "babel.messages.frontend", "-q", "extract", "-F", "locales/babel.cfg"]
    subprocess.run([*babel, "-o", tmp_path / "all.pot", "."], cwd=checkout, capture_output=True, check=True)
    texts = (tmp_path / "all.pot").read_text(encoding="utf-8")
    assert "Go ahead?" in texts and "a foreign text" not in texts
