"""The demo, walked once by the real program; several tests look at what it left. And the order in which files are run."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from locales.language import speak

ROOT = Path(__file__).resolve().parent.parent


def program(home, *words):
    """The program's command line for a home of its own, in English."""
    return [sys.executable, str(ROOT / "avatar_pipeline.py"), "--home", str(home), "--language", "en", *map(str, words)]


@dataclass(frozen=True)
class Demo:
    """A home in which the demo ran to its end, and what it answered."""

    home: Path
    answer: dict

    @property
    def client(self):
        return self.home / "clients" / "demo"


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """Walked by the first worker that needs it, while the others wait; it is nobody's to change, see `own_demo`."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # the folders of a run's workers lie side by side
        folder = folder.parent
    home, answer = folder / "demo", folder / "demo.json"
    with FileLock(folder / "demo.lock"):
        if not answer.exists():
            shutil.rmtree(home, ignore_errors=True)  # of a worker for which it failed
            finished = subprocess.run(program(home, "demo", "--json"), capture_output=True, text=True, stdin=subprocess.DEVNULL)
            assert finished.returncode == 0, finished.stderr
            answer.write_text(finished.stdout)
    return Demo(home, json.loads(answer.read_text()))


@pytest.fixture(scope="module")
def own_demo(demo, tmp_path_factory):
    """A copy of the demo's home for the tests of a file that change it; paths in the answer are those of the copy."""
    home = tmp_path_factory.mktemp("own") / "home"
    shutil.copytree(demo.home, home)
    return Demo(home, json.loads(json.dumps(demo.answer).replace(json.dumps(str(demo.home))[1:-1], json.dumps(str(home))[1:-1])))


# Files of minutes, begun first, so that none of them is left to one worker alone at the end. The first walks the demo meanwhile;
# those that need it too come later.
LONG_FILES = (
    "actions/test_demo.py", "embedded/test_embedded_trainer.py", "training/test_training_kills.py", "test_menu.py",
    "actions/test_json_keys.py", "test_journey.py", "exam/test_examination.py", "test_generation.py", "test_torn_files.py",
    "training/test_training_terminal.py", "test_colab_notebook.py", "terminal/test_studio_menu.py", "test_lora_trainer.py",
    "terminal/test_form.py", "terminal/test_missing.py", "terminal/test_running_screen.py", "terminal/test_blind.py",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    """Long files first, the others as they are; `make test` leaves that order as it is."""
    ranks = {ROOT / "tests" / name: rank for rank, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


@pytest.fixture(autouse=True)
def _in_english():
    """Each test begins in English, whatever language the one before it spoke."""
    speak("en")
