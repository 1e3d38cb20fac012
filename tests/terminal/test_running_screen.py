"""The screen of what runs, in a real terminal: keys while it runs, leaving it, coming back, stopping it, closing the window."""

import http.server
import json
import os
import subprocess
import sys
import termios
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from one_file import write_stub
from PIL import Image
from pseudo_terminal import ROOT, Terminal

from client_folder.client import create_client
from client_folder.consent import What, record_consent
from config import Settings, save_settings
from training.checkpoints import final_lora, is_whole, read_plan

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pexpect has no pseudo-terminal on Windows")
STANDIN = Path(__file__).resolve().parents[1] / "data" / "standin_trainer"
TRAIN = ("train", "--client", "ana", "--anyway", "--yes", "--save-every", "10")
BACK = ("train", "--client", "ana", "--attach")
SLOW = {"STANDIN_PAUSE": "0.2"}


@pytest.fixture
def client(tmp_path):
    base = write_stub(tmp_path / "sdxl.safetensors")  # the stand-in never opens it
    save_settings(tmp_path, Settings(base_model=str(base), sd_scripts=str(STANDIN), gpu="RTX 3060 12GB", notify_desktop=False))
    client = create_client(tmp_path, "ana")
    record_consent(client, What.TRAINING, "Ana, by mail")
    folder = client.training_data / "40_ana"
    folder.mkdir(parents=True)
    for number in range(2):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text("portrait of ana person, smiling\n")
    yield client
    for process in ours(tmp_path):
        process.kill()


def ours(home):
    """Every process that works in that home, in whatever session."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(home) in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_until(true, seconds=60):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.05)


def steps_done(client):
    """The last step that a background run wrote down."""
    lines = (client.background_file.with_suffix(".jsonl")).read_text().splitlines()
    return max((json.loads(line).get("step", 0) for line in lines), default=0)


def mode(terminal):
    """Whether the terminal echoes what is typed, and hands over whole lines only."""
    flags = termios.tcgetattr(terminal.child.child_fd)[3]
    return bool(flags & termios.ECHO), bool(flags & termios.ICANON)


def test_esc_stops_as_ctrl_c_does_and_other_keys_do_nothing(client, tmp_path):
    with Terminal(tmp_path, *TRAIN, **SLOW) as terminal:
        before = mode(terminal)
        terminal.wait_for("Esc: stop; the last state is of step 10,")
        assert mode(terminal) == (False, False)
        terminal.press("x", "down", "9", "enter", "s")
        terminal.settle()
        screen = terminal.screen()
        assert screen.count("Training the LoRA") == 1, "no bar is left behind by a key"
        assert "save now" not in screen, "sd-scripts cannot be asked"
        terminal.press("escape")
        terminal.wait_for("Stopping after this piece", "Stopped. The next training goes on from step")
        assert terminal.wait_for_end() == 130
    assert before == (True, True)
    wait_until(lambda: not ours(tmp_path))
    plan = subprocess.run(
        [sys.executable, str(ROOT / "avatar_pipeline.py"), "--home", str(tmp_path), "--language", "en", *TRAIN, "--plan"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "It goes on from step" in plan
    assert "of 2000" in plan


def test_the_terminal_is_as_it_was_when_the_trainer_is_killed(client, tmp_path):
    with Terminal(tmp_path, *TRAIN, command=("/bin/sh",), **SLOW) as terminal:
        before = mode(terminal)
        terminal.child.send(f"'{sys.executable}' '{ROOT / 'avatar_pipeline.py'}' --home '{tmp_path}' {' '.join(TRAIN)}\r")
        terminal.wait_for("Esc: stop; the last state is of step")
        for process in ours(tmp_path):
            if "sdxl_train_network" in " ".join(process.cmdline()):
                process.kill()
        terminal.wait_for("The training stopped")
        terminal.settle()
        assert mode(terminal) == before == (True, True)


def test_a_training_is_left_come_back_to_and_stopped(client, tmp_path):
    with Terminal(tmp_path, *TRAIN, **SLOW) as terminal:
        terminal.wait_for("b: go on in the background", "loss 0.124")
        terminal.press("b")
        terminal.wait_for("It goes on in the background", "train --client ana --attach")
        assert terminal.wait_for_end() == 0
    done = steps_done(client)
    wait_until(lambda: steps_done(client) > done)
    with Terminal(tmp_path, *TRAIN) as terminal:
        terminal.wait_for("The training of ana is running in the background already.")
    with Terminal(tmp_path, *BACK) as terminal:
        terminal.wait_for("Training the LoRA", "loss 0.124", "leave it running, or stop it")
        terminal.press("escape")
        terminal.wait_for("The training of ana is still running.", "stop it")
        terminal.press("enter")
        terminal.wait_for("It goes on in the background")
        assert terminal.wait_for_end() == 0
    with Terminal(tmp_path) as terminal:
        terminal.wait_for("The training of ana: in the background, step", "What shall we work on?")
        terminal.press("enter")
        terminal.wait_for("leave it running, or stop it", "loss 0.124")
        terminal.press("ctrl-c")
        terminal.wait_for("The training of ana is still running.")
        terminal.press("down", "enter")
        terminal.wait_for("Stopped. The next training goes on from step", "2) ana")
    wait_until(lambda: not ours(tmp_path))


def test_a_closed_terminal_ends_nothing_and_the_end_is_told_when_one_comes_back(client, tmp_path):
    with told() as (url, posts):
        settings = Settings.model_validate_json((tmp_path / "settings.json").read_text())
        save_settings(tmp_path, settings.model_copy(update={"notify_url": url}))
        with Terminal(tmp_path, *TRAIN, "--steps", "60", **SLOW) as terminal:
            terminal.wait_for("loss 0.124")
            begun = steps_done(client)
        wait_until(lambda: steps_done(client) > begun + 3)
        wait_until(lambda: not ours(tmp_path), seconds=120)
    assert is_whole(final_lora(client, read_plan(client)))
    assert [(post["client"], post["outcome"]) for post in posts] == [("ana", "done")]
    with Terminal(tmp_path) as terminal:
        terminal.wait_for("The training of ana: ended in the background, see how")
        terminal.press("enter")
        terminal.wait_for("60 steps, ana_avatar_v1.safetensors", "2) ana")  # and the row is gone: it was told


def test_without_a_terminal_it_is_begun_in_the_background_and_a_crash_is_told(client, tmp_path):
    words = [sys.executable, str(ROOT / "avatar_pipeline.py"), "--home", str(tmp_path), "--language", "en"]
    environment = {**os.environ, **SLOW}
    begun = subprocess.run([*words, *TRAIN, "--background", "--json"], capture_output=True, text=True, env=environment, check=True)
    assert json.loads(begun.stdout) == {"background": str(client.background_file)}
    wait_until(lambda: client.background_file.with_suffix(".jsonl").exists() and steps_done(client) >= 15)
    psutil.Process(json.loads(client.background_file.read_text())["pid"]).kill()
    back = subprocess.run([*words, *BACK, "--json"], capture_output=True, text=True)
    assert back.returncode == 1
    assert "was cut off in the background" in json.loads(back.stdout)["error"]
    again = subprocess.run([*words, *BACK], capture_output=True, text=True)
    assert "has nothing to tell" in again.stderr
    wait_until(lambda: not ours(tmp_path))  # the trainer that was left behind has nobody to speak to


def test_a_queue_goes_on_in_the_background_too(client, tmp_path):
    words = [sys.executable, str(ROOT / "avatar_pipeline.py"), "--home", str(tmp_path), "--language", "en", "queue"]
    subprocess.run([*words, "ana", "--background"], capture_output=True, env=os.environ, check=True)
    table = subprocess.run([*words, "--attach"], capture_output=True, text=True)
    assert table.returncode == 0
    assert "ana_avatar_v1" in table.stdout


@contextmanager
def told():
    """A server on loopback that keeps what it is told."""
    posts = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_words):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/hook", posts
        server.shutdown()
