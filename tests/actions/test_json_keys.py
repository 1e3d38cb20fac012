"""The JSON that scripts rely on: what each action answers on the demo's client has the keys and types that are on record.

`PYTHONPATH=. python tests/actions/test_json_keys.py HOME ANSWER` writes the record anew, only for keys added on purpose: from a
home in which the demo ran, and from the file of its answer.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from PIL import Image

from actions.reference import schemas_of
from actions.table import ROWS, action_named

ROOT = Path(__file__).resolve().parents[2]
RECORD = ROOT / "tests" / "data" / "json_keys.json"
# Objects whose keys are data: reasons, file names, parts. What counts is that they are objects, and what they hold.
MAPS = {"repeats", "by_reason", "warnings", "bystanders", "cures", "files"}
PLAN = ("--plan",)
# The command line itself, word for word, in one process for all cases: a start costs a second or two each.
ASK = """
import contextlib, io, json, sys
from avatar_pipeline import main
told = {}
for name, words in json.load(sys.stdin).items():
    with contextlib.redirect_stdout(io.StringIO()) as said:
        told[name] = main(words), said.getvalue()
print(json.dumps(told))
"""


def cases(home):
    """What is asked, in this order, and the name that it is on record under; what is changed is changed back."""
    new, sample = home / "new", home / "sample"
    return {
        "setup": ("setup", "program"),
        "client list": ("client", "list"),
        "client create": ("client", "create", "eva"),
        "client show": ("client", "show", "demo"),
        "client erase": ("client", "erase", "eva", "--yes"),
        "client create again": ("client", "create", "eva"),
        "client erase with export": ("client", "erase", "eva", "--yes", "--export-first", "--to", home / "eva.zip"),
        "client export": ("client", "export", "demo", "--to", home / "demo.zip"),
        "client export refused": ("client", "export", "demo", "--to", home / "demo.zip"),
        "client import": ("client", "import", home / "demo.zip", "--as", "again"),
        "client import undone": ("client", "erase", "again", "--yes"),
        "colab": ("colab", "--client", "demo", "--to", home),
        "import-mj plan": ("import-mj", "--client", "demo", sample / "midjourney", *PLAN),
        "import-mj": ("import-mj", "--client", "demo", sample / "midjourney"),
        "grids plan": ("grids", "--client", "demo", *PLAN),
        "grids": ("grids", "--client", "demo"),
        "prompts": ("prompts", "--client", "demo", "--master", "portrait of a woman"),
        "process plan": ("process", "--client", "demo", *PLAN),
        "process": ("process", "--client", "demo"),
        "rejected": ("rejected", "--client", "demo"),
        "limits plan": ("limits", "--client", "demo", "min_brightness=90", *PLAN),
        "limits": ("limits", "--client", "demo"),
        "dataset plan": ("dataset", "--client", "demo", *PLAN),
        "dataset": ("dataset", "--client", "demo"),
        "captions": ("captions", "--client", "demo"),
        "doctor": ("doctor",),
        "doctor of a dataset": ("doctor", "--client", "demo"),
        "train plan": ("train", "--client", "demo", *PLAN),
        "train plan of a card": ("train", "--client", "demo", "--base", "sdxl", "--gpu", "RTX 3060 12GB", *PLAN),
        "train": ("train", "--client", "demo", "--yes", "--anyway"),
        "checkpoints": ("checkpoints", "--client", "demo"),
        "checkpoints export": ("checkpoints", "export", "--client", "demo", "--for", "comfyui"),
        "checkpoints strip": ("checkpoints", "strip", "--client", "demo"),
        "tensorboard": ("tensorboard", "show", "--client", "demo"),
        "tune with nothing to take back": ("tune", "take-back", "--client", "demo"),
        "generate plan": ("generate", "--client", "demo", "--prompt", "portrait of demo", "--seed", "11", *PLAN),
        "generate": ("generate", "--client", "demo", "--prompt", "portrait of demo", "--seed", "11"),
        "portraits": ("portraits", "--client", "demo"),
        "portraits favourite": ("portraits", "favourite", "1", "--client", "demo"),
        "portraits deliver": ("portraits", "deliver", "--client", "demo", "--to", home / "chosen.zip"),
        "queue that never was": ("queue",),
        "queue": ("queue", "demo", "--exam", "no"),  # which has a test of its own
        "machines of no scheduler": ("machines",),
        "models": ("models",),
        "models preload plan": ("models", "preload", "whisper-tiny", *PLAN),
        "models free": ("models", "free"),
        "gpu": ("gpu",),
        "settings": ("settings",),
        "import-photos plan": ("import-photos", "--client", "demo", new, *PLAN),
        "import-photos": ("import-photos", "--client", "demo", new),
        "quarantine": ("quarantine", "--client", "demo", "IMG_2044.heic"),
        "quarantine undone": ("quarantine", "--client", "demo", "undo:IMG_2044.heic"),
        "accept": ("accept", "--client", "demo", "undo:nothing"),
        "who": ("who", "--client", "demo", "nothing:1"),
        "swap": ("swap", "--client", "demo", new),
        "transcribe": ("transcribe", "--client", "demo", new),
        "a client that is not there": ("dataset", "--client", "nobody"),
    }  # fmt: skip


def shape(value, name=""):
    """What a value is made of: names of types, and of objects their keys."""
    if isinstance(value, dict):
        if name in MAPS:
            return {"*": merged([shape(one) for one in value.values()])}
        return {key: shape(one, key) for key, one in value.items()}
    if isinstance(value, list):
        return [merged([shape(one) for one in value])]
    return {bool: "bool", int: "number", float: "number", str: "text", type(None): "null"}[type(value)]


def merged(shapes):
    """One shape for all things of a list: the first of those that differ, text first."""
    return sorted(shapes, key=json.dumps)[-1] if shapes else None


def alike(seen, recorded):
    """Whether a shape is the one on record; what holds nothing on this machine may hold anything."""
    if isinstance(seen, dict) and isinstance(recorded, dict):
        return set(seen) == set(recorded) and all(alike(seen[key], recorded[key]) for key in seen)
    if isinstance(seen, list) and isinstance(recorded, list):
        return None in (*seen, *recorded) or alike(seen[0], recorded[0])
    return seen == recorded or "null" in (seen, recorded) or None in (seen, recorded)


def asked(home):
    """Every case asked of a home in which the demo ran: name -> (exit code, answer)."""
    (home / "new").mkdir()
    Image.effect_noise((300, 300), 90).convert("RGB").save(home / "new" / "noise.png")
    (home / "new" / "broken.png").write_text("no picture")
    asks = {name: ["--home", str(home), "--language", "en", *map(str, words), "--json"] for name, words in cases(home).items()}
    finished = subprocess.run([sys.executable, "-c", ASK], input=json.dumps(asks), capture_output=True, text=True, cwd=ROOT)
    assert finished.returncode == 0, finished.stderr
    return {name: (code, json.loads(told)) for name, (code, told) in json.loads(finished.stdout).items()}


@pytest.fixture(scope="module")
def answers(demo, tmp_path_factory):
    home = tmp_path_factory.mktemp("asked") / "home"
    shutil.copytree(demo.home, home)
    return {"demo": (0, demo.answer)} | asked(home)


@pytest.mark.parametrize("name", json.loads(RECORD.read_text()))
def test_the_keys_on_record_are_there_with_their_types(answers, name):
    (code, answer), (code_then, shape_then) = answers[name], json.loads(RECORD.read_text())[name]
    assert code == code_then
    assert alike(shape(answer), shape_then)


def test_every_answer_is_what_its_schema_promises(answers, tmp_path):
    schemas = {row.name: schemas_of(action_named(row.name)) for row in ROWS}
    words = {name: words for name, words in cases(tmp_path).items() if answers[name][0] == 0} | {"demo": ("demo",)}
    for name, (action, *rest) in words.items():
        jsonschema.validate(answers[name][1], schemas[action]["plan" if "--plan" in rest else "answer"])
    assert len(words) > 40


if __name__ == "__main__":
    told = asked(Path(sys.argv[1]).resolve())
    told = {"demo": (0, json.loads(Path(sys.argv[2]).read_text()))} | told
    RECORD.write_text(json.dumps({name: [code, shape(answer)] for name, (code, answer) in told.items()}, indent=1) + "\n")
