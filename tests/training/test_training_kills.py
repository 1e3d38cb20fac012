"""A power cut during a training: the program and its trainer are killed at any moment, run again, and nothing is lost."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from PIL import Image
from safetensors.torch import load_file

from client_folder.client import create_client
from config import EMBEDDED_FOLDER, Settings, save_settings
from training.inputs import EMBEDDED_SCRIPT
from training.runs import losses_of, read_runs

PROGRAM = Path(__file__).resolve().parents[2] / "avatar_pipeline.py"
STEPS = 24
pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is not known to Windows"),
    pytest.mark.skipif(not (EMBEDDED_SCRIPT.is_file() and (EMBEDDED_FOLDER / "unet").is_dir()), reason="no embedded base"),
]


def make_client(home):
    save_settings(home, Settings(base_model="embedded"))
    client = create_client(home, "ana")
    folder = client.training_data / "12_ana"
    folder.mkdir(parents=True)
    for number in range(4):
        Image.frombytes("RGB", (96, 96), random.Random(number).randbytes(3 * 96 * 96)).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text("portrait of ana person, smiling\n")
    return client


def start(home):
    """The command line as a user would give it, in a session of its own so that the test can be ended without it."""
    words = [sys.executable, str(PROGRAM), "--home", str(home), "train", "--client", "ana", "--yes", "--anyway", "--json"]
    words += ["--steps", str(STEPS), "--save-every", "2", "--batch", "2", "--warmup", "1"]
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True, env={**os.environ, "NO_COLOR": "1"}
    )


def finish(home):
    program = start(home)
    said, _ = program.communicate(timeout=300)
    assert program.returncode == 0, said
    return json.loads(said)


def kill(program, with_trainer):
    """As a power cut ends both, or as the system ends the program alone and leaves its trainer at work."""
    found = psutil.Process(program.pid)
    doomed = [found, *(found.children(recursive=True) if with_trainer else ())]
    for process in doomed:
        process.kill()
    program.wait()


def wait_for_files(client, program, more):
    """Wait until so many more LoRA files and states, whole or still being written, have been begun."""
    before, until = files_begun(client), time.monotonic() + 120
    while len(files_begun(client) - before) < more:
        assert program.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < until
        time.sleep(0.002)


def files_begun(client):
    return {file.name for file in client.models.glob("*ana_avatar_v1-step*")}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    home = tmp_path_factory.mktemp("undisturbed")
    client = make_client(home)
    return load_file(finish(home)["lora"]), losses_of(read_runs(client), 1)


@pytest.mark.parametrize(
    ("with_trainer", "moments"),
    [(True, ((0, 1.5), (1, 0.0), (2, 0.013), (3, 0.08))), (False, ((2, 0.0), (1, 0.21)))],
    ids=["both killed", "the trainer left behind"],
)
def test_killed_at_any_moment_it_ends_like_an_undisturbed_one(tmp_path, undisturbed, with_trainer, moments):
    """So many files more, and so many seconds later, it is killed; starting it again is what costs here."""
    client = make_client(tmp_path)
    for more_files, seconds_later in moments:
        program = start(tmp_path)
        wait_for_files(client, program, more_files)
        time.sleep(seconds_later)
        kill(program, with_trainer)
    said = finish(tmp_path)
    assert said["steps"] == STEPS
    assert said["resumed_from"] > 0, "what the killed runs had saved was used"
    lora = load_file(said["lora"])
    tensors, losses = undisturbed
    assert lora.keys() == tensors.keys()
    assert all((lora[name] == tensors[name]).all() for name in lora), "the same numbers as one that was never killed"
    assert losses_of(read_runs(client), 1) == losses, "and the same labels"
    assert not [psutil.Process(pid) for pid in psutil.pids() if str(tmp_path) in " ".join(words_of(pid))], "nothing is left running"
    assert not list(client.models.glob(".partial-*"))


def words_of(pid):
    try:
        return psutil.Process(pid).cmdline()
    except psutil.Error:
        return []
