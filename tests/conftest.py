"""The demo, walked once by the real program; several tests look at what it left."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

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
    home = tmp_path_factory.mktemp("demo")
    finished = subprocess.run(program(home, "demo", "--json"), capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert finished.returncode == 0, finished.stderr
    return Demo(home, json.loads(finished.stdout))


@pytest.fixture(autouse=True)
def _in_english():
    """Each test begins in English, whatever language the one before it spoke."""
    speak("en")
