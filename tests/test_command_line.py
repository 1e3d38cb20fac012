"""The command line as a script uses it: exit codes, one JSON object on stdout, what is said when things go wrong."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from actions.action import Action, Answer, at_once
from actions.request import Job, Request, Session
from avatar_pipeline import perform
from client_folder.client import Client, create_client
from config import Settings
from machine.model_process import ModelProcess

ROOT = Path(__file__).resolve().parent.parent
DONE, FAILED, WRONG_WORDS, STOPPED = 0, 1, 2, 130


def command(home, *words):
    return [sys.executable, str(ROOT / "avatar_pipeline.py"), "--home", str(home), "--language", "en", *map(str, words)]


def run(home, *words):
    return subprocess.run(command(home, *words), capture_output=True, text=True, stdin=subprocess.DEVNULL)


def answer(home, *words):
    """What the program answers as JSON, and its exit code; nothing but one object may stand on stdout."""
    finished = run(home, *words, "--json")
    return json.loads(finished.stdout), finished.returncode


@pytest.fixture
def ana(tmp_path):
    return create_client(tmp_path, "ana")


def pictures(folder, count, side=64):
    folder.mkdir()
    for number in range(count):
        Image.effect_noise((side, side), 40 + number % 50).convert("RGB").save(
            folder / f"{number:04}.png", pnginfo=None, compress_level=0
        )
    return folder


def test_words_that_mean_nothing_end_with_2(tmp_path):
    for words in (["paint"], ["process"], ["client", "sell"], ["gpu", "--fast"], ["train", "--client"]):
        finished = run(tmp_path, *words)
        assert finished.returncode == WRONG_WORDS, words
        assert "usage:" in finished.stderr


def test_without_a_terminal_the_menu_says_what_to_do_instead(tmp_path):
    finished = run(tmp_path)
    assert finished.returncode == WRONG_WORDS
    assert "Name an action" in finished.stdout


def test_setup_makes_what_is_missing_once(tmp_path):
    first, code = answer(tmp_path, "setup")
    assert code == DONE
    assert len(first["made"]) == 2
    assert answer(tmp_path, "setup")[0]["made"] == []
    assert {check["label"] for check in first["checks"]} >= {"Python", "Packages", "GPU"}


def test_clients_are_made_listed_shown_and_erased(tmp_path):
    made, code = answer(tmp_path, "client", "create", "ana", "--class-word", "woman")
    assert code == DONE
    assert made["steps"][0] == {"action": "setup", "state": "next", "count": 0}
    assert answer(tmp_path, "client", "list")[0] == {"clients": ["ana"]}
    assert answer(tmp_path, "client", "show", "--client", "ana")[0]["client"] == "ana"
    assert run(tmp_path, "client", "erase", "ana").returncode == STOPPED
    assert (tmp_path / "clients" / "ana").is_dir()
    assert answer(tmp_path, "client", "erase", "ana", "--yes")[1] == DONE
    assert not (tmp_path / "clients" / "ana").exists()


@pytest.mark.parametrize("name", ["../x", "CON", "a b", ""])
def test_a_name_that_cannot_be_costs_nothing(tmp_path, name):
    told, code = answer(tmp_path, "client", "create", name)
    assert code == FAILED
    assert set(told) == {"error", "hint"}
    assert not (tmp_path / "clients").exists()


def test_errors_stand_on_stderr_with_their_hint(tmp_path):
    finished = run(tmp_path, "process", "--client", "eva")
    assert finished.returncode == FAILED
    assert finished.stdout == ""
    assert 'There is no client "eva".' in finished.stderr
    assert "client create" in finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize(
    ("action", "word"), [("process", "picture"), ("dataset", "pictures"), ("train", "dataset"), ("generate", "train")]
)
def test_a_step_too_early_says_what_it_waits_for(ana, tmp_path, action, word):
    told, code = answer(tmp_path, action, "--client", "ana", "--yes")
    assert code == FAILED
    assert word in told["error"] + told["hint"]


def test_a_folder_without_pictures_is_said_to_have_none(ana, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no picture")
    told, code = answer(tmp_path, "import-photos", "--client", "ana", tmp_path / "empty")
    assert code == FAILED
    assert "holds no picture" in told["error"]


def test_unreadable_files_are_listed_with_their_reason_and_nothing_else_is_lost(ana, tmp_path):
    folder = pictures(tmp_path / "mixed", 3)
    (folder / "broken.png").write_bytes((folder / "0000.png").read_bytes()[:40])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.png").write_text("hello")
    told, code = answer(tmp_path, "import-photos", "--client", "ana", folder)
    assert code == DONE
    assert len(told["added"]) == 3
    assert {Path(refused["file"]).name for refused in told["refused"]} == {"broken.png", "empty.jpg", "text.png"}
    again, code = answer(tmp_path, "import-photos", "--client", "ana", folder)
    assert (code, again["added"], len(again["duplicates"])) == (DONE, [], 3)


def test_a_folder_of_broken_files_only_is_a_failure(ana, tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_text("hello")
    told, code = answer(tmp_path, "import-photos", "--client", "ana", tmp_path / "bad")
    assert code == FAILED
    assert told["refused"] == [{"file": str(tmp_path / "bad" / "a.png"), "reason": "not_a_picture"}]
    assert told["hint"]


def test_a_second_program_on_a_client_is_turned_away(ana, tmp_path):
    folder = pictures(tmp_path / "many", 2)
    with ana.lock():
        told, code = answer(tmp_path, "import-mj", "--client", "ana", folder)
    assert code == FAILED
    assert "Another program" in told["error"]
    assert answer(tmp_path, "import-mj", "--client", "ana", folder)[1] == DONE


@pytest.mark.parametrize("file", ["settings.json", "clients/ana/state.json"])
def test_a_broken_file_is_named_with_its_line_and_kept(ana, tmp_path, file):
    (tmp_path / file).write_text('{\n"schema": 1,\n"what": 2}')
    told, code = answer(tmp_path, "client", "show", "ana")
    if file == "settings.json":
        assert code == FAILED
        assert "line 3" in told["error"]
    told, code = answer(tmp_path, "dataset", "--client", "ana")
    assert code == FAILED
    assert (tmp_path / file).read_text() == '{\n"schema": 1,\n"what": 2}'


def test_settings_are_shown_and_changed_and_wrong_ones_refused(tmp_path):
    told, code = answer(tmp_path, "settings", "language=es", "distribution.share_real=0.3")
    assert (code, told["language"], told["distribution"]["share_real"]) == (DONE, "es", 0.3)
    for change in ("colour=red", "distribution.share_real=3", "quality=1", "language"):
        assert answer(tmp_path, "settings", change)[1] == FAILED
    assert answer(tmp_path, "settings")[0] == told


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_to_stop_keeps_what_is_finished_and_the_next_run_goes_on(ana, tmp_path, number):
    folder = pictures(tmp_path / "many", 400, side=256)
    child = subprocess.Popen(
        command(tmp_path, "import-photos", "--client", "ana", folder), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while len(list(ana.raw_real.glob("[!.]*.png"))) < 5 and child.poll() is None:
        time.sleep(0.01)
    child.send_signal(number)
    _out, _errors = child.communicate(timeout=60)
    assert child.returncode == STOPPED
    there = len(list(ana.raw_real.glob("[!.]*.png")))
    assert 5 <= there < 400, "it was in the middle of its work"
    assert list(ana.root.rglob("*.part")) == []
    assert answer(tmp_path, "import-photos", "--client", "ana", folder)[1] == DONE
    assert len(Client(ana.root).pictures()) == 400


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = (
        sys.platform == "linux"
        and os.geteuid() == 0
        and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True).returncode == 0
    )
    if not mounted:
        pytest.skip("a disk of 1 MB can be mounted by root on Linux only")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk_loses_nothing_and_the_next_run_goes_on(small_disk, tmp_path):
    client = create_client(small_disk, "ana")
    folder = pictures(tmp_path / "many", 12, side=256)  # 200 KB each
    told, code = answer(small_disk, "import-photos", "--client", "ana", folder)
    assert code == FAILED
    assert "disk is full" in told["error"]
    assert list(client.root.rglob("*.part")) == []
    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    assert answer(small_disk, "import-photos", "--client", "ana", folder)[1] == DONE
    assert len(client.pictures()) == 12


def test_pictures_without_a_face_end_with_a_reason_each(ana, tmp_path):
    folder = pictures(tmp_path / "noise", 2, side=300)
    assert answer(tmp_path, "import-photos", "--client", "ana", folder)[1] == DONE
    told, code = answer(tmp_path, "process", "--client", "ana")
    assert code == FAILED
    assert told["accepted"] == []
    assert {refused["reason"] for refused in told["rejected"]} == {"no_face"}
    assert set(told["rejected"][0]) >= {"file", "source", "reason", "measured", "limit"}
    assert told["hint"]


@pytest.fixture
def ready(ana):
    """A client with a dataset of one picture: enough to plan for."""
    folder = ana.training_data / "10_ana"
    folder.mkdir(parents=True)
    Image.new("RGB", (64, 64)).save(folder / "a.png")
    (folder / "a.txt").write_text("portrait of ana woman\n")
    return ana


@pytest.mark.parametrize(
    ("gpu", "more", "verdict"),
    [
        ("RTX 3060 12GB", (), "fits"),
        ("RTX 4090 24GB", ("--preset", "quality"), "fits"),
        ("RTX 3060 8GB", ("--dim", "96"), "no"),
        ("GTX 1650 4GB", (), "no"),
        ("CPU", (), "no"),
    ],
)
def test_a_plan_for_sdxl_needs_neither_gpu_nor_model(ready, tmp_path, gpu, more, verdict):
    words = ("train", "--client", "ana", "--plan", "--base", "sdxl", "--gpu", gpu, *more)
    told, code = answer(tmp_path, *words)
    assert (code, told["verdict"]) == (DONE, verdict)
    assert told["hours"] > 0
    assert {"--no_half_vae", "--train_data_dir", "--network_train_unet_only"} <= set(told["argv"])
    shown = run(tmp_path, *words)
    assert shown.returncode == DONE
    assert gpu in shown.stdout
    assert list(ready.models.glob("*")) == []


def test_training_without_the_base_model_says_that_it_is_missing(ready, tmp_path):
    words = ("train", "--client", "ana", "--base", "sdxl", "--gpu", "RTX 3060 12GB", "--yes", "--anyway")
    told, code = answer(tmp_path, *words)
    assert code == FAILED
    assert told["error"].startswith("SDXL base 1.0 (fp16) is not here")
    assert told["hint"] == "python avatar_pipeline.py models preload sdxl-base", "one exact command"


def test_not_to_be_asked_overrules_no_doctor(ready, tmp_path):
    words = ("train", "--client", "ana", "--base", "sdxl", "--gpu", "RTX 3060 12GB", "--yes")
    told, code = answer(tmp_path, *words)
    assert code == FAILED
    assert "Not ready to train" in told["error"]
    assert "--anyway" in told["hint"]
    assert "Not ready" not in answer(tmp_path, *words, "--anyway")[0]["error"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX pipe")
def test_a_reader_that_has_enough_ends_nothing_with_a_traceback(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    finished = subprocess.run(
        command(tmp_path, "client", "list", "--json"), stdout=writer, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    os.close(writer)
    assert finished.returncode == DONE
    assert finished.stderr == ""


def test_the_plan_that_is_shown_is_the_one_that_is_run_and_it_is_made_once(tmp_path):
    plans = count()
    row = Action("walk", Request, at_once(lambda job: job.plan), Answer.of, plan=lambda _job: [next(plans)])
    asked = Job(Session(tmp_path, Settings(), ModelProcess()), Request())
    job = row.planned(asked)
    assert job.plan == [0]
    assert perform(row, job, Console(file=io.StringIO()), quiet=True) == [0]
    assert replace(row, plans=lambda _job: False).planned(asked).plan is None
    assert next(plans) == 1
