"""Every example of docs/service.md and its Spanish sister, run as it stands there against a service."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from service_kit import Served

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"```(sh|python)\n(.*?)```", re.DOTALL)
PAGES = ("docs/service.md", "docs/es/servicio.md")


def examples(page):
    """The blocks of a page that call the service, in their order."""
    return [(kind, text) for kind, text in BLOCK.findall((ROOT / page).read_text(encoding="utf-8")) if "URL" in text]


def test_both_languages_show_the_same():
    first, second = (
        [[line for line in text.splitlines() if "#" not in line] for _kind, text in examples(page)] for page in PAGES
    )  # fmt: skip
    assert first == second
    assert len(first) >= 5


@pytest.mark.skipif(not shutil.which("curl") or sys.platform == "win32", reason="the examples are for a shell with curl")
def test_every_example_does_what_the_page_says(tmp_path, picture):
    home = tmp_path / "home"
    home.mkdir()
    (home / "settings.json").write_text('{"schema": 1, "base_model": "embedded"}')
    (tmp_path / "photo.png").write_bytes(picture)
    service = Served(home)
    try:
        said = []
        for kind, text in examples("docs/service.md"):
            argv = [sys.executable, "-c", text] if kind == "python" else ["sh", "-ec", text]
            variables = os.environ | {"URL": service.url, "TOKEN": service.token}
            ran = subprocess.run(argv, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=120)
            assert ran.returncode == 0, (text, ran.stderr)
            said.append(ran.stdout)
    finally:
        service.close()
    assert '"client":"ana_x"' in said[0]
    assert "event: end" in said[1]
    assert "raw_real/photo.png" in said[1]
    assert '"token":' in said[3]
    assert "sharp focus" in said[4]
