"""The documents: links lead somewhere, commands are ones that the program takes, tables say what the code says."""

import re
import shlex
import subprocess
import sys
import tomllib
from argparse import SUPPRESS
from pathlib import Path

import pytest
from test_house import FLOORS

from actions.reference import schemas_of
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
PACKAGES = sorted(
    init.parent
    for init in (*ROOT.glob("*/__init__.py"), *ROOT.glob("*/*/__init__.py"))
    if (ROOT / init.parts[len(ROOT.parts)] / "__init__.py").is_file()
)
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
        if {"--help", "--version", "--schema"} & set(words):
            continue
        options = build_parser(words).parse_args(words)  # it ends the program with 2 where it does not know a word
        if options.action:
            assert read_request(options, action_named(options.action).request), line


@pytest.mark.parametrize("page", ["docs/guide.md", "docs/es/guia.md", "docs/command-line.md"])
def test_every_action_stands_in(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert [row.name for row in ROWS if not re.search(rf"`{row.name}[ `]", text)] == []


def test_the_guide_is_the_same_in_both_languages():
    """Headings and commands in the same order; names of files and texts in quotes are translated, and prose is for readers."""
    told = []
    for page in ("docs/guide.md", "docs/es/guia.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        commands = [re.findall(r"^[a-z][a-z-]*|--[a-z-]+", line.strip()) for line in PROGRAM.findall(text)]
        levels = [(len(marks), re.findall(r"`[a-z-]+`", title)) for marks, title in re.findall(r"^(#+) (.+)$", text, re.MULTILINE)]
        told.append((levels, commands, text.count("\n|")))
    assert told[0] == told[1]


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


def section(page, heading):
    """What stands under a heading of a page, to the next one."""
    found = re.search(
        rf"^### {re.escape(heading)}$(.*?)(?=^#|\Z)", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert found, f"{page} has no {heading}"
    return found[1]


@pytest.mark.parametrize("action", [row.name for row in ROWS])
def test_every_option_and_key_of_an_action_stands_in_its_section(action):
    """Options as argparse has them, keys as the schemas have them: neither is asked of what writes the page."""
    told = section("docs/command-line.md", f"`{action}`")
    common = {"--help", "--json", "--yes", "--plan", "--schema"}
    subparsers = next(one for one in build_parser([action])._actions if isinstance(one.choices, dict))
    for option in subparsers.choices[action]._actions:
        name = option.option_strings[-1] if option.option_strings else option.metavar or option.dest
        if name in common or option.help == SUPPRESS:  # what the help hides is how the program starts itself
            continue
        row = re.search(rf"^\| `{re.escape(name)}[ `].*$", told, re.MULTILINE)
        assert row, name
        assert all(f"`{choice}`" in row[0] for choice in option.choices or ()), name
    schemas = schemas_of(action_named(action))
    for schema in filter(None, (schemas["answer"], schemas["plan"])):
        for shape in (
            [schema] if "properties" in schema else [schema["$defs"][one["$ref"].split("/")[-1]] for one in schema["anyOf"]]
        ):
            assert [key for key in shape["properties"] if f"`{key}`" not in told] == []


@pytest.mark.parametrize("folder", [ROOT, *PACKAGES, ROOT / "docs"], ids=lambda folder: folder.name)
def test_every_module_stands_in_the_map(folder):
    heading = "At the top" if folder == ROOT else f"`{folder.relative_to(ROOT).as_posix()}/`"
    told = section("docs/architecture.md", heading)
    lines = re.findall(r"^- `([\w.]+)`: \S", told, re.MULTILINE)
    assert sorted(lines) == sorted(path.name for path in folder.glob("*.py") if path.name != "__init__.py")


def test_every_test_stands_in_the_map():
    told = section("docs/architecture.md", "`tests/`")
    here = [path.name for path in (ROOT / "tests").rglob("*.py")]
    assert [name for name in here if f"`{name}`" not in told and f"/{name}`" not in told] == []


def test_the_floors_of_the_page_are_those_of_the_test():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    floors = re.findall(r"^\| \d+ \| (.+) \|$", text, re.MULTILINE)
    assert [tuple(re.findall(r"`(\w+)`", floor)) for floor in floors] == list(FLOORS)
