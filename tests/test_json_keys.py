"""The JSON that scripts rely on: what each action answers on the demo's client has the keys and types that are on record.

`python tests/test_json_keys.py HOME` writes the record anew, from a home in which the demo ran: only for keys added on purpose.
"""

import json
import subprocess
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / "tests" / "data" / "json_keys.json"
# Objects whose keys are data: reasons, file names, parts. What counts is that they are objects, and what they hold.
MAPS = {"repeats", "by_reason", "warnings", "bystanders", "cures", "files"}
PLAN = ("--plan",)


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
        "generate plan": ("generate", "--client", "demo", "--prompt", "portrait of demo", "--seed", "11", *PLAN),
        "generate": ("generate", "--client", "demo", "--prompt", "portrait of demo", "--seed", "11"),
        "queue that never was": ("queue",),
        "queue": ("queue", "demo"),
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


def asked(home):
    """Every case asked of a home in which the demo ran: name -> (exit code, answer)."""
    (home / "new").mkdir()
    Image.effect_noise((300, 300), 90).convert("RGB").save(home / "new" / "noise.png")
    (home / "new" / "broken.png").write_text("no picture")
    answers = {}
    for name, words in cases(home).items():
        command = [
            sys.executable,
            str(ROOT / "avatar_pipeline.py"),
            "--home",
            str(home),
            "--language",
            "en",
            *map(str, words),
            "--json",
        ]
        finished = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        answers[name] = finished.returncode, json.loads(finished.stdout)
    return answers


if __name__ == "__main__":
    told = asked(Path(sys.argv[1]).resolve())
    RECORD.write_text(json.dumps({name: [code, shape(answer)] for name, (code, answer) in told.items()}, indent=1) + "\n")
    if len(sys.argv) > 2:
        Path(sys.argv[2]).write_text(json.dumps(told, indent=1))
