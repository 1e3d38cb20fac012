"""The shape of the house, read from its own source: who imports whom, what stays unloaded, how long things are."""

import ast
import importlib
import json
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# From the top floor down. Nobody imports upward, and nobody the neighbour on the same floor: they meet through records.
FLOORS = (
    ("avatar_pipeline",),
    ("terminal", "studio"),
    ("actions",),
    ("data_preprocessor", "image_processor", "lora_trainer", "generation", "exam", "media", "machines"),
    ("dataset", "portraits", "training", "faces"),
    ("pictures", "machine"),
    ("client_folder", "config"),
    ("utils",),
    ("locales",),
)
APART = {"embedded": {"utils"}}  # drawn people, the embedded base and its trainer: whoever needs them may import them
FRONTS = {"avatar_pipeline", "config", "data_preprocessor", "image_processor", "lora_trainer", "generation", "utils"}
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted(ROOT.rglob("*.py"))
    if path.name != "__init__.py" and path.relative_to(ROOT).parts[0].removesuffix(".py") in FLOOR_OF.keys() | APART.keys()
}
PACKAGES = sorted(
    path.parent for path in ROOT.rglob("__init__.py") if path.relative_to(ROOT).parts[0] in FLOOR_OF.keys() | APART.keys()
)
HEAVY = (
    "torch", "tensorflow", "mtcnn", "diffusers", "transformers", "cv2", "skimage", "scipy", "numpy", "PIL", "rawpy", "insightface",
    "faster_whisper", "onnxruntime", "onnx", "dlib", "ncnn", "fastapi", "starlette", "uvicorn", "limits", "websockets", "anyio",
    "dask", "distributed", "cryptography",
)  # fmt: skip
FIRST_SCREEN = {
    "avatar_pipeline", "config", "utils", "actions.action", "actions.drive", "actions.journey", "actions.recent", "actions.request",
    "actions.table",
    "client_folder.client", "client_folder.erasing", "client_folder.names", "client_folder.paths", "client_folder.private",
    "client_folder.reasons", "client_folder.records", "client_folder.tuned", "locales.language", "machine.cards", "machine.gpu",
    "machine.model_process", "machine.worker_tasks", "terminal.choice_list", "terminal.command_line", "terminal.console",
    "terminal.keys", "terminal.menu", "terminal.performing", "terminal.picture",
    "terminal.questions", "terminal.screens", "terminal.watch",
}  # fmt: skip


def imports_of(path):
    """The modules that a file imports, wherever in it; `from package import module` is an import of that module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from inner if set(inner) & set(MODULES) else [node.module]


@pytest.mark.parametrize("name", MODULES)
def test_nobody_imports_upward_or_a_neighbour(name):
    room = name.partition(".")[0]
    for imported in imports_of(MODULES[name]):
        other = imported.partition(".")[0]
        if other == room or other not in FLOOR_OF.keys() | APART.keys():
            continue
        if room in APART:
            assert other in APART[room], f"{name} imports {imported}"
        elif other not in APART:
            assert FLOOR_OF[other] > FLOOR_OF[room], f"{name} imports {imported}"


def test_no_imports_go_in_a_circle():
    order = TopologicalSorter({name: set(imports_of(path)) & set(MODULES) for name, path in MODULES.items()})
    assert len(list(order.static_order())) == len(MODULES)  # raises CycleError, which names the circle


def test_the_root_shows_the_seven_modules_and_packages_of_one_noun():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("this is no checkout of git")
    assert {name.removesuffix(".py") for name in tracked.stdout.split() if re.fullmatch(r"\w+\.py", name)} == FRONTS
    # The default home is the checkout: what the program puts there must not meet a package of that name.
    assert not {folder.name for folder in PACKAGES} & {"models", "exports", "logs", "sample", "service", "clients"}
    assert not (ROOT / "trainer").is_dir() or not (ROOT / "trainer" / "__init__.py").exists()


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda folder: folder.name)
def test_a_package_says_what_its_files_are_and_does_nothing_else(folder):
    tree = ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
    assert len(tree.body) == 1
    told = ast.get_docstring(tree)
    inner = {path.stem for path in folder.glob("*.py")} - {"__init__"} | {path.parent.name for path in folder.glob("*/__init__.py")}
    assert {name for name in inner if f"`{name}`" not in told and not name.startswith("view_")} == set()


def test_only_the_program_prints_and_only_the_terminal_asks():
    for name, path in MODULES.items():
        if name.startswith("embedded."):
            continue  # programs of their own
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
        assert name == "terminal.performing" or not calls & {"print", "input"}, name
        asks = {module.partition(".")[0] for module in imports_of(path)} & {"prompt_toolkit", "questionary"}
        assert name.startswith("terminal.") or not asks, name


def test_no_action_loads_a_heavy_library_before_it_is_run():
    code = (
        "import importlib, sys\n"
        "from actions.table import ROWS\n"
        "from terminal.command_line import build_parser\n"
        "build_parser([row.name for row in ROWS])\n"
        "[importlib.import_module(row.view) for row in ROWS]\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"


@pytest.mark.skipif(sys.platform == "win32", reason="pexpect has no pseudo-terminal on Windows")
def test_the_first_screen_waits_for_no_stage(tmp_path):
    """A third of a second is all it may take, and a module of ours costs three milliseconds: a new one has to be worth them."""
    import pexpect

    # The very first start asks which base model, and looks for checkpoints.
    (tmp_path / "settings.json").write_text('{"schema": 1}')
    code = (
        f"import sys, avatar_pipeline; avatar_pipeline.main(['--home', {str(tmp_path)!r}, '--language', 'en'])\n"
        f"print('loaded:', *({set(MODULES) | set(HEAVY)!r} & set(sys.modules)))"
    )
    menu = pexpect.spawn(sys.executable, ["-c", code], cwd=str(ROOT), dimensions=(24, 80), encoding="utf-8", timeout=60)
    menu.expect("What shall we work on")
    menu.send("0\r")
    menu.expect(r"loaded: (.+?)\r\n")
    assert set(menu.match[1].split()) <= FIRST_SCREEN


def test_modules_and_functions_stay_readable():
    for name, path in MODULES.items():
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 450, name
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 40, f"{name}.{node.name}"


def test_one_class_name_means_one_thing():
    seen = {}
    for name, path in MODULES.items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                seen.setdefault(node.name.lstrip("_"), []).append(name)
    assert {kind: names for kind, names in seen.items() if len(names) > 1} == {}


def test_every_action_has_help_on_the_command_line():
    from actions.table import ROWS

    for row in ROWS:
        shown = subprocess.run([sys.executable, "avatar_pipeline.py", row.name, "--help"], cwd=ROOT, capture_output=True, text=True)
        assert shown.returncode == 0, row.name
        assert "--json" in shown.stdout


@pytest.mark.parametrize(
    ("module", "kind"),
    [("config", "Settings"), ("client_folder.client", "ClientState"), ("client_folder.records", "Pictures"),
     ("client_folder.records", "Faces")],
)  # fmt: skip
def test_records_kept_on_disk_carry_a_schema(module, kind):
    fields = getattr(importlib.import_module(module), kind).model_fields
    assert json.dumps(fields["schema_"].default) == "1"
