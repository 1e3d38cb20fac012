"""The documents: links lead somewhere, commands are ones that the program takes, tables say what the code says."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from actions.table import ROWS, action_named
from config import VERSION, DatasetDistribution, QualityControlConfig, QualityLimits, RawLimits, Settings
from terminal.command_line import build_parser, read_request

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "embedded" / "README.md",
    ROOT / "clients" / "README.md",
]
PROGRAM = re.compile(r"^(?:\$ )?(?:python|\.venv/bin/python|\.venv\\Scripts\\python) avatar_pipeline\.py(.*)$", re.MULTILINE)


def named(page):
    return page.relative_to(ROOT).as_posix()


def anchors(page):
    """The names that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _hash, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_is_one_that_the_program_takes(page):
    for line in PROGRAM.findall(page.read_text(encoding="utf-8")):
        words = shlex.split(line, comments=True)
        if "--help" in words or "--version" in words:
            continue
        options = build_parser(words).parse_args(words)  # it ends the program with 2 where it does not know a word
        if options.action:
            assert read_request(options, action_named(options.action).request), line


@pytest.mark.parametrize("page", ["docs/guide.md", "docs/es/guia.md", "docs/command-line.md"])
def test_every_action_stands_in(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert [row.name for row in ROWS if not re.search(rf"`{row.name}[ `]", text)] == []


def test_the_generated_tables_are_what_the_code_says():
    checked = subprocess.run([sys.executable, "docs/write_reference.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, f"run python docs/write_reference.py for: {checked.stdout}{checked.stderr}"


@pytest.mark.parametrize(
    ("model", "prefix"),
    [(Settings, ""), (QualityLimits, "quality."), (RawLimits, "quality.raw."), (DatasetDistribution, "distribution.")],
)
def test_every_setting_stands_in_its_page_with_default_and_meaning(model, prefix):
    rows = {}
    for line in (ROOT / "docs" / "settings-and-limits.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5:
            rows[cells[0]] = cells
    for name, field in model.model_fields.items():
        _key, default, _extent, _unit, meaning = rows[f"`{prefix}{field.alias or name}`"]
        assert meaning
        if isinstance(field.default, int | float | str) and field.default != "":
            assert default == f"`{field.default}`", name


def test_a_limit_without_a_meaning_would_be_noticed():
    """The page is only as good as the descriptions; each model has one for each of its fields."""
    for model in (Settings, QualityControlConfig, RawLimits, DatasetDistribution):
        assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_the_version_is_the_same_wherever_it_stands():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["version"] == VERSION
    shown = subprocess.run(
        [sys.executable, "avatar_pipeline.py", "--version"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert shown.stdout == f"avatar-pipeline {VERSION}\n"
    newest = re.search(r"^## \[?([\d.]+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest and newest[1] == VERSION
