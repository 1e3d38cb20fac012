"""The shape of the house, read from its own source: who imports whom, what stays unloaded."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = {path.stem: path for path in ROOT.glob("*.py")}
HEAVY = (
    "torch",
    "tensorflow",
    "mtcnn",
    "diffusers",
    "transformers",
    "cv2",
    "skimage",
    "scipy",
    "numpy",
    "PIL",
    "rawpy",
    "insightface",
    "faster_whisper",
    "onnxruntime",
)
STAGES = {
    "client_export",
    "data_preprocessor",
    "dataset",
    "image_processor",
    "lora_trainer",
    "generation",
    "face_swap",
    "transcription",
    "downloads",
}
COMMANDS = {
    "actions",
    "demo",
    "journey",
    "screens",
    "installation",
    "avatar_pipeline",
    "likeness",
    "clients",
    "import_actions",
    "face_actions",
    "limits",
    "action_table",
    "program_actions",
    "stage_watch",
    "training_actions",
    "doctor_action",
    "training_queue",
    "studio_actions",
    "view_program",
    "view_demo",
    "view_doctor",
    "view_pictures",
    "view_faces",
    "view_dataset",
    "view_training",
    "view_portraits",
    "view_media",
    "view_machine",
    "worker",
}
FIRST_SCREEN = {
    "avatar_pipeline",
    "actions",
    "action_table",
    "forms",
    "journey",
    "screens",
    "reasons",
    "stage_watch",
    "workshop",
    "orders",
    "studio_errors",
    "client",
    "client_records",
    "config",
    "language",
    "utils",
}


def imports_of(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def test_nobody_imports_the_program():
    for name, path in MODULES.items():
        assert "avatar_pipeline" not in imports_of(path), name


def test_stages_never_import_one_another():
    for stage in STAGES:
        assert not imports_of(MODULES[stage]) & (STAGES - {stage}), stage


def test_stages_know_nothing_of_screens_and_commands():
    for name in set(MODULES) - COMMANDS:
        assert not imports_of(MODULES[name]) & COMMANDS, name


def test_only_the_program_prints_or_asks():
    for name, path in MODULES.items():
        calls = {
            node.func.id
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        if name != "avatar_pipeline":
            assert not calls & {"print", "input"}, name
            assert "questionary" not in imports_of(path), name


def test_no_action_loads_a_heavy_library_before_it_is_run():
    code = (
        "import importlib, sys, actions, avatar_pipeline\n"
        "avatar_pipeline.build_parser([row.name for row in actions.ROWS])\n"
        "[importlib.import_module(row.view) for row in actions.ROWS]\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"


@pytest.mark.skipif(sys.platform == "win32", reason="pexpect has no pseudo-terminal on Windows")
def test_the_first_screen_waits_for_no_stage(tmp_path):
    """Half a second is all it may take, and a module of ours costs three milliseconds: a new one here has to be worth them."""
    import pexpect

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
        assert text.count("\n") <= 500, name
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 60, f"{name}.{node.name}"


def test_every_action_has_help_on_the_command_line():
    from actions.table import ROWS

    for row in ROWS:
        shown = subprocess.run([sys.executable, "avatar_pipeline.py", row.name, "--help"], cwd=ROOT, capture_output=True, text=True)
        assert shown.returncode == 0, row.name
        assert "--json" in shown.stdout


def test_records_kept_on_disk_carry_a_schema():
    for kind in ("Settings", "ClientState", "Pictures", "Faces"):
        module = __import__({"Settings": "config", "ClientState": "client"}.get(kind, "client_records"))
        fields = getattr(module, kind).model_fields
        assert json.dumps(fields["schema_"].default) == "1"
