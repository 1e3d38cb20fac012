"""What README, the guide and the requirements claim, held to the code; and that the Spanish pages say what the English ones say."""

import ast
import json
import re
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest

from config import PRESETS
from machine.base_models import BaseKind
from machine.cards import GPU_PROFILES
from machine.gpu import GPUState
from portraits.magic_prompt import enhance
from training.arguments import build_parser, read_extra
from training.cost import estimate
from training.errors import PlanRefused
from training.machine_doctor import look_at_driver
from training.plan import BaseFacts, DatasetFacts, Fit, TrainerKind, make_plan

ROOT = Path(__file__).resolve().parent.parent
PAIRS = [("README.md", "README.es.md"), ("docs/guide.md", "docs/es/guia.md"), ("docs/original-plans.md", "docs/es/planes.md")]
PROGRAM = re.compile(r"^(?:python|\.venv/bin/python) avatar_pipeline\.py.*$", re.MULTILINE)
TESTS_ALONE = {"tests", "benchmarks", "docs", "notebooks", "vendor", ".venv", "build"}
GPUS = {profile.name: profile for profile in GPU_PROFILES}
SDXL = BaseFacts(BaseKind.SDXL, Path("/models/sdxl.safetensors"), TrainerKind.SD_SCRIPTS)


def read(page):
    return (ROOT / page).read_text(encoding="utf-8")


# --- the same in both languages ---------------------------------------------------------------------------------------
def sections(text):
    """Level and text of each section, the heading's own code with it."""
    parts = re.split(r"^(#+) (.+)$", text, flags=re.MULTILINE)
    return [(len(level), title, body) for level, title, body in zip(parts[1::3], parts[2::3], parts[3::3], strict=True)]


def code_words(text):
    """What stands between backticks and is the same in any language: options, settings, files, actions; not its example values."""
    found = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return sorted({re.split(r"[ =]", one)[0] for one in found} - {""})


def numbers(text):
    """Every number of a text, the way English writes it."""
    plain = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)", "", text, flags=re.DOTALL)
    return sorted(re.findall(r"\d+(?:\.\d+)?", re.sub(r"(\d),(\d)", r"\1.\2", plain)))


@pytest.mark.parametrize(("english", "spanish"), PAIRS)
def test_headings_code_and_numbers_are_the_same_section_by_section(english, spanish):
    ours, theirs = sections(read(english)), sections(read(spanish))
    assert [(level, code_words(title)) for level, title, _ in ours] == [(level, code_words(title)) for level, title, _ in theirs]
    for (_level, title, body), (_, _, told) in zip(ours, theirs, strict=True):
        assert code_words(told) == code_words(body), title
        assert numbers(told) == numbers(body), title


@pytest.mark.parametrize(("english", "spanish"), PAIRS)
def test_commands_are_the_same_but_for_files_and_what_is_said(english, spanish):
    def plain(page):
        """Actions and options; texts in quotes, folders, names of files and the language spoken are translated."""
        lines = PROGRAM.findall(re.sub(r" +#.*$", "", read(page), flags=re.MULTILINE))
        same = [re.sub(r'"[^"]*"|\S*[/.]\S*|(?<=--spoken )..', "", line) for line in lines]
        return [re.findall(r"--[a-z-]+|(?:^| )[a-z-]+(?= |$)", line) for line in same]

    assert plain(english) == plain(spanish)


@pytest.mark.parametrize(("english", "spanish"), PAIRS)
def test_tables_have_the_same_rows_with_the_same_numbers(english, spanish):
    def rows(page):
        lines = [line for line in read(page).splitlines() if line.startswith("|")]
        return [[(code_words(cell), numbers(cell), bool(cell.strip())) for cell in line.strip("|").split("|")] for line in lines]

    ours, theirs = rows(english), rows(spanish)
    assert len(ours) == len(theirs) > 5
    for mine, other in zip(ours, theirs, strict=True):
        assert mine == other


# --- what is installed ------------------------------------------------------------------------------------------------
def listed(page):
    """Names of the packages that a requirements file asks for."""
    found = re.findall(r"^([A-Za-z0-9][\w.-]*)(?=[=<>! ;]|$)", read(page), re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower() for name in found}


def product_files():
    return [path for path in ROOT.rglob("*.py") if path.relative_to(ROOT).parts[0] not in TESTS_ALONE]


def imported(files):
    """Top-level names that files import, wherever in them."""
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                yield node.module.partition(".")[0]


def distributions(names):
    """The packages that these modules come from."""
    known = packages_distributions()
    return {re.sub(r"[-_.]+", "-", one).lower() for name in names for one in known.get(name, ())}


# Used in another way than by an import: as a program, as weights, as what another package loads.
OTHERWISE = {
    "tensorboard",
    "dlib-bin",
    "face-recognition-models",
    "onnxruntime-gpu",
    "onnxruntime",
    "tensorflow-cpu",
    "tensorflow",
    "mtcnn",
    "websockets",
    "python-multipart",
}


def test_every_package_is_used_by_the_program_and_what_it_uses_is_listed():
    used = distributions(imported(product_files()))
    asked = listed("requirements.txt")
    assert asked - used - OTHERWISE == set(), "nobody uses these"
    optional = (
        listed("requirements-upscale.txt")
        | listed("requirements-tune.txt")
        | listed("requirements-machines.txt")
        | {"spandrel", "dlib", "torchvision"}
    )
    assert {"imageio", "opencv-python"} <= used
    missing = used - asked - optional - OTHERWISE - {"pydantic-core", "tokenizers", "starlette", "anyio"}  # pinned by others
    assert missing == set(), "imported, but no requirements file asks for these"


def test_what_only_tests_use_is_not_installed_for_everybody():
    used = distributions(imported(product_files()))
    assert listed("requirements-dev.txt") & used == set()
    assert "imageio-ffmpeg" in listed("requirements-dev.txt")


def test_comments_on_who_asks_for_a_package_are_true():
    """`scikit-image asks for it too`, `insightface asks for it too`: asked of the packages themselves."""
    found = re.findall(r"^([\w-]+)\S*\s+#.*?([\w-]+) asks for it too", read("requirements.txt"), re.MULTILINE)
    assert len(found) >= 2
    for package, asking in found:
        assert any(re.match(rf"{package}\b", need, re.IGNORECASE) for need in requires(asking)), (package, asking)


@pytest.mark.parametrize("version", [(3, 8, 18), (3, 10, 12), (3, 14, 0)])
def test_another_python_is_told_which_one_is_needed(version):
    code = (
        f"import runpy, sys; sys.version_info = {(*version, 'final', 0)}; runpy.run_path('avatar_pipeline.py', run_name='__main__')"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert told.returncode == 1 and told.stdout == ""
    assert "Python 3.11, 3.12 or 3.13 is needed" in told.stderr and "Hace falta Python" in told.stderr
    assert "Traceback" not in told.stderr
    ast.parse(read("avatar_pipeline.py"), feature_version=(3, 8))  # it can say so only if that Python can read it


@pytest.mark.skipif(sys.platform == "win32", reason="make is of POSIX systems")
def test_make_refuses_another_python_before_it_makes_anything(tmp_path):
    (tmp_path / "Makefile").write_text(read("Makefile"))
    old = tmp_path / "python3.10"
    old.write_text(f'#!/bin/sh\nexec {sys.executable} -c "import sys; sys.version_info = (3, 10, 12); exec(sys.argv[1])" "$2"\n')
    old.chmod(0o755)
    made = subprocess.run(["make", f"PYTHON={old}", ".venv/bin/python"], cwd=tmp_path, capture_output=True, text=True)
    assert made.returncode == 2 and "Python 3.11, 3.12 or 3.13 is needed" in made.stdout
    assert not (tmp_path / ".venv").exists()


# --- cards, hours, drivers --------------------------------------------------------------------------------------------
HOURS = {"GTX 1650 4GB": 11, "RTX 3050 8GB": 5, "RTX 3060 8GB": 4.5, "RTX 4060 8GB": 4, "RTX 4060 Ti 16GB": 3.5}


@pytest.mark.parametrize(("card", "hours"), HOURS.items())
def test_the_hours_of_the_original_plan_are_read_with_its_accumulation(card, hours):
    plan = make_plan(GPUS[card], PRESETS[1], DatasetFacts(60, 600), SDXL, original=True)
    assert plan.steps == 2000 and plan.accumulation > 1
    assert estimate(plan).hours == pytest.approx(hours, rel=0.01)
    told = f"{hours:g}"
    assert told in numbers(read("docs/training.md")) and told in numbers(read("docs/original-plans.md"))


CARD_ROWS = {6: "GTX 1660 6GB", 8: "RTX 3060 8GB", 12: "RTX 3060 12GB", 16: "RTX 4080 16GB", 24: "RTX 3090 24GB"}


@pytest.mark.parametrize("page", ["docs/guide.md", "docs/training.md"])
def test_the_table_of_cards_is_what_plans_are_made_of(page):
    table = dict(re.findall(r"^\| (\d+) GB[^|]*\| ([^|]+) \|", read(page), re.MULTILINE))
    assert "no plan fits" in table["4"]
    assert estimate(make_plan(GPUS["GTX 1650 4GB"], PRESETS[1], DatasetFacts(60, 600), SDXL)).verdict is Fit.NO
    for gb, card in CARD_ROWS.items():
        plan = make_plan(GPUS[card], PRESETS[1], DatasetFacts(60, 600), SDXL)
        told = table[str(gb)]
        assert f"dim {plan.dim}" in told, gb
        assert ("768 px" in told) is (plan.resolution == 768) and ("fp8" in told) is plan.fp8, gb
        assert bool(re.search(r"batch(?:es of)? 2", told)) is (plan.batch == 2), gb
    assert "nobody has tried" in read(page)


def card_with(driver):
    return GPUState("NVIDIA GeForce RTX 4090", driver, (8, 9), 24.0, 1.0, 23.0, 0, 40)


def test_the_driver_that_the_pages_name_is_the_one_that_is_asked_for():
    for page in ("README.md", "README.es.md", "docs/guide.md", "docs/es/guia.md", "docs/training.md"):
        assert "580" in read(page), page
    assert "cu130" in read("README.md") and f"torch=={pinned('torch')}" in read("README.md")
    assert look_at_driver(card_with("580.65"), "13.0").well
    assert not look_at_driver(card_with("579.99"), "13.0").well


def pinned(package):
    return re.search(rf"^{package}==(\S+)", read("requirements.txt"), re.MULTILINE)[1]


# --- what is otherwise than the original plans ------------------------------------------------------------------------
def test_the_options_of_the_web_ui_are_refused_with_their_reason():
    known = {name for action in build_parser()._actions for name in action.option_strings}
    for option in ("--lowvram", "--medvram"):
        assert option not in known and option in read("docs/original-plans.md")
        with pytest.raises(PlanRefused, match="AUTOMATIC1111's web UI"):
            read_extra(option)
        with pytest.raises(PlanRefused, match="AUTOMATIC1111's web UI"):
            read_extra(f"--noise_offset 0.05 {option}")


def test_the_magic_prompt_of_the_plans_example_is_the_one_that_is_shown():
    made = enhance("a cat in a garden", "ana", "woman", lambda words: len(words.split())).prompt
    assert f'"{made}"' in read("docs/original-plans.md") and f'"{made}"' in read("docs/es/planes.md")


def test_what_is_missing_is_said_on_the_first_page():
    for page, words in (
        ("README.md", ("videos", "talking faces", "Windows, macOS")),
        ("README.es.md", ("vídeos", "hablan", "Windows, macOS")),
    ):
        assert all(word in read(page) for word in words), page
    actions = json.dumps(re.findall(r"^### `([\w-]+)`", read("docs/command-line.md"), re.MULTILINE))
    assert "video" not in actions and "scene" not in actions, "then the pages have to change"
