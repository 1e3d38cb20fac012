"""The whole path on the sample client, by the real program: what comes out, how like the client it is, and what a kill costs."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import program
from PIL import Image
from safetensors.numpy import load_file

from client_folder.client import Client
from client_folder.reasons import Reason
from config import Settings, save_settings

pytestmark = pytest.mark.timeout(2400)
STEPS = ["setup", "sample", "client", "import-mj", "import-photos", "process", "dataset", "train", "exam", "generate"]


def test_it_walks_every_step_and_says_how_long_each_took(demo):
    assert [step["name"] for step in demo.answer["steps"]] == STEPS
    assert all(step["seconds"] >= 0 for step in demo.answer["steps"])


def test_the_sample_is_what_a_client_brings(demo):
    client = Client(demo.client)
    pictures = client.pictures()
    assert sum(picture.source == "mj" for picture in pictures) + sum(picture.source == "real" for picture in pictures) == 24
    reasons = {face.rejection.reason for face in client.faces() if face.rejection}
    assert reasons >= {Reason.BLURRED, Reason.TOO_DARK, Reason.NO_FACE}
    prompts = json.loads(client.midjourney_file.read_text(encoding="utf-8"))["images"]
    assert all(record["prompt"] and record["uuid"] for record in prompts)


def test_the_exam_on_photos_that_training_never_saw_chooses_a_checkpoint(demo):
    """No flag: it follows prompts, leaves other people alone, and a second ruler takes her for the client too."""
    found = demo.answer["exam"]
    assert found["verdict"] in ("step", "tied")
    assert found["low"] <= found["score"] <= found["high"] and found["score"] >= 0.9
    assert found["flags"] == []
    assert Path(found["sheet"]).is_file() and Path(found["report"]).is_file()
    client = Client(demo.client)
    held = {photo.stem for photo in client.exam.glob("real_*.png")}
    assert len(held) == 3
    assert not held & {picture.stem for picture in client.training_data.rglob("*.png")}
    painted = {json.loads(record.read_text())["lora"] for record in client.output.glob("portrait_*.json")}
    assert painted == {"", found["lora"]}


def test_the_contact_sheet_shows_crops_base_and_lora(demo):
    sheet = Path(demo.answer["contact_sheet"])
    assert sheet == demo.client / "output" / "sheets" / "portraits_001.png"
    with Image.open(sheet) as image:
        assert image.width >= 800
        assert image.height >= 400
        assert len(set(image.convert("RGB").resize((64, 64)).get_flattened_data())) > 500


def files_of(home):
    """Every file with the moment it was written; the lock is touched by every run."""
    return {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file() and path.name != ".lock"}


def test_a_second_run_does_only_what_is_missing(own_demo):
    before = files_of(own_demo.home)
    drawn_anew = [own_demo.client / "exam" / name for name in ("sheet.jpg", "likeness.png", "report.json")]
    contents = [file.read_bytes() for file in drawn_anew]
    again = subprocess.run(program(own_demo.home, "demo", "--json"), capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert again.returncode == 0, again.stderr
    after = files_of(own_demo.home)
    assert set(after) == set(before)
    written = {
        path.name
        for path in after
        if after[path] != before[path] and path.suffix in (".png", ".safetensors", ".jpg", ".dng", ".txt")
    }
    assert written <= {"sheet.jpg", "likeness.png"}, "of what was painted, and they say the same"
    assert [file.read_bytes() for file in drawn_anew] == contents
    assert json.loads(again.stdout)["exam"] == own_demo.answer["exam"]


def test_portraits_can_be_asked_for_at_any_weight_and_come_from_disk_the_second_time(own_demo):
    words = ("generate", "--client", "demo", "--prompt", "portrait of demo woman, beach background", "--seed", 3, "--json")
    answers = []
    for _time in range(2):
        asked = program(own_demo.home, *words, "--weight", "0.7,1.0")
        finished = subprocess.run(asked, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert finished.returncode == 0, finished.stderr
        answers.append(json.loads(finished.stdout))
    assert [(image["seed"], image["weight"]) for image in answers[0]["images"]] == [(3, 0.7), (3, 1.0)]
    assert all(Path(image["file"]).is_file() for image in answers[0]["images"])
    assert answers[0]["images"] == answers[1]["images"]


def steps_seen(child, wanted):
    """Read the child's lines until the heading of a step stands there."""
    number = STEPS.index(wanted) + 1
    return any(line.startswith(f"[{number}/{len(STEPS)}]") for line in child.stdout)


def stable_files(client):
    """What must be the same bytes whatever happened on the way: everything but clocks, logs and what hangs on a LoRA's own file."""
    folders = ("raw_mj", "raw_real", "processed", "rejected", "training_data", "metadata")
    paths = [path for folder in folders for path in (client / folder).rglob("*") if path.is_file()]
    # Prompts are laid out again whenever records of pictures changed since; when that was is no part of what they say.
    made_of = re.compile(rb'"made_of": "[0-9a-f]{64}"')
    return {path.relative_to(client): made_of.sub(b"", path.read_bytes(), count=1) for path in paths}


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_once_in_every_step_it_ends_as_if_undisturbed(demo, tmp_path):
    """A training of the quick preset: what is looked at is not how long it trains."""
    save_settings(tmp_path, Settings(preset="quick"))
    for number, step in enumerate(STEPS):
        child = subprocess.Popen(
            program(tmp_path, "demo"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True
        )
        assert steps_seen(child, step), f"never came to {step}"
        time.sleep(0.1 + 0.35 * (number % 4) + (5 if step == "train" else 0))
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
    finished = subprocess.run(program(tmp_path, "demo", "--json"), capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert finished.returncode == 0, finished.stderr
    client = tmp_path / "clients" / "demo"
    assert list(tmp_path.rglob("*.part")) == []
    assert stable_files(client) == stable_files(demo.client)
    names, others = ({path.name for path in (folder / "models").iterdir()} for folder in (client, demo.client))
    assert names == others - {"demo_avatar_v1-step00000220.safetensors"}, "150 steps do not come by it"
    ours, theirs = (load_file(next(folder.glob("models/*v1.safetensors"))) for folder in (client, demo.client))
    assert ours.keys() == theirs.keys()
    assert json.loads(finished.stdout)["exam"]["verdict"] in ("step", "tied")
