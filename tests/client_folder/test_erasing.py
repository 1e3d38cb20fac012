"""Erasing a client: cut off at any moment, the client is gone, the rest follows, and nobody inherits its pictures."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from conftest import program
from rich.console import Console

from actions.action import Action, Answer, at_once
from actions.request import ClientRequest, Job, Session
from client_folder.client import Client, ClientFolderTaken, ClientMissing, clients_folder, create_client, list_clients, open_client
from client_folder.erasing import erase_folder, sweep_erased
from config import Settings
from machine.model_process import ModelProcess
from terminal.performing import perform
from training.queue import QueueRecord, QueueRow, queue_file
from utils import read_record, write_record

FILES = 400


@pytest.fixture
def client(tmp_path: Path) -> Client:
    client = create_client(tmp_path, "ana")
    for number in range(FILES):
        (client.raw_real / f"{number}.jpg").write_bytes(b"a face")
    return client


def test_nothing_is_left_and_files_are_counted(client: Client, tmp_path: Path) -> None:
    assert erase_folder(client) == FILES + 1, "the photos and the state"
    assert list(clients_folder(tmp_path).iterdir()) == []


def test_killed_at_any_moment_the_client_is_whole_or_gone_and_the_next_start_removes_the_rest(
    client: Client, tmp_path: Path
) -> None:
    code = "import sys; from pathlib import Path; from client_folder.client import open_client; " \
        "from client_folder.erasing import erase_folder; client = open_client(Path(sys.argv[1]), 'ana'); print('.', flush=True); " \
        "erase_folder(client)"  # fmt: skip
    root = Path(__file__).resolve().parents[2]
    for delay in (0.0, 0.002, 0.004, 0.008, 0.016, 0.032):
        erasing = subprocess.Popen([sys.executable, "-c", code, tmp_path], cwd=root, stdout=subprocess.PIPE)
        assert erasing.stdout is not None and erasing.stdout.readline().strip() == b"."
        time.sleep(delay)
        erasing.send_signal(signal.SIGKILL if os.name != "nt" else signal.SIGTERM)
        erasing.wait()
        erasing.stdout.close()
        if client.root.exists():
            assert len(list(client.raw_real.iterdir())) == FILES, "not begun: all of it is there"
        else:
            with pytest.raises(ClientMissing):
                open_client(tmp_path, "ana")
            heir = create_client(tmp_path, "ana")
            assert list(heir.raw_real.iterdir()) == []
            assert list_clients(tmp_path) == (heir,)
            for number in range(FILES):
                (heir.raw_real / f"{number}.jpg").write_bytes(b"another face")
        assert subprocess.run(program(tmp_path, "client", "list"), capture_output=True).returncode == 0
        assert [folder.name for folder in clients_folder(tmp_path).iterdir()] == ["ana"]


def test_cut_off_before_its_first_file_the_client_is_gone_all_the_same(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A removal that does not come to its first file, as where the power goes: the folder has its other name by then."""
    monkeypatch.setattr(shutil, "rmtree", lambda *_place, **_how: None)
    erase_folder(client)
    assert not client.root.exists() and list_clients(tmp_path) == ()
    with pytest.raises(ClientMissing):
        open_client(tmp_path, "ana")
    assert list(create_client(tmp_path, "ana").raw_real.iterdir()) == []
    monkeypatch.undo()
    sweep_erased(tmp_path)
    assert [folder.name for folder in clients_folder(tmp_path).iterdir()] == ["ana"]


@pytest.mark.skipif(os.name == "nt", reason="links need a right of their own there")
def test_a_client_that_was_moved_elsewhere_and_linked_is_erased_there(client: Client, tmp_path: Path) -> None:
    elsewhere = tmp_path / "other disk" / "ana"
    elsewhere.parent.mkdir()
    client.root.rename(elsewhere)
    client.root.symlink_to(elsewhere)
    assert erase_folder(client) == FILES + 1
    assert list(elsewhere.parent.iterdir()) == []
    assert list(clients_folder(tmp_path).iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="no folder is closed to this user")
def test_a_folder_without_rights_is_opened_and_removed(client: Client, tmp_path: Path) -> None:
    client.raw_real.chmod(0o500)
    erase_folder(client)
    assert list(clients_folder(tmp_path).iterdir()) == []


def test_a_folder_with_files_does_not_become_a_client(tmp_path: Path) -> None:
    stray = clients_folder(tmp_path) / "ana" / "raw_real"
    stray.mkdir(parents=True)
    (stray / "somebody.jpg").write_bytes(b"a face")
    with pytest.raises(ClientFolderTaken):
        create_client(tmp_path, "ana")
    assert (stray / "somebody.jpg").exists()


def test_the_queue_forgets_who_was_erased(tmp_path: Path) -> None:
    for name in ("ana", "eva"):
        create_client(tmp_path, name)
    write_record(queue_file(tmp_path), QueueRecord(rows=(QueueRow(client="ana"), QueueRow(client="eva"))))
    words = program(tmp_path, "client", "erase", "ana", "--yes")
    assert subprocess.run(words, capture_output=True, stdin=subprocess.DEVNULL).returncode == 0
    assert [row.client for row in read_record(queue_file(tmp_path), QueueRecord).rows] == ["eva"]
    assert b"ana" not in queue_file(tmp_path).read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="the folder of locks is named by a variable there")
def test_its_tensorboard_ends_and_notes_of_killed_trainers_forget_it(client: Client, tmp_path: Path) -> None:
    client.logs.mkdir(parents=True)
    locks = tmp_path / "cache" / "avatar-pipeline" / "locks"
    locks.mkdir(parents=True)
    for card, name in (("one", "ana"), ("two", "eva")):
        (locks / f"{card}.txt").write_text(name)
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    serving = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    try:
        created = psutil.Process(serving.pid).create_time()
        record = {"schema": 1, "pid": serving.pid, "created": created, "address": "http://127.0.0.1:1"}
        client.tensorboard_file.write_text(json.dumps(record))
        words = program(tmp_path, "client", "erase", "ana", "--yes")
        assert subprocess.run(words, capture_output=True, stdin=subprocess.DEVNULL, env=environment).returncode == 0
        assert serving.wait(timeout=10) != 0
    finally:
        serving.kill()
        serving.wait()
    assert sorted(path.name for path in locks.glob("*.txt")) == ["two.txt"]


def test_as_many_files_go_as_were_counted_before(tmp_path: Path) -> None:
    create_client(tmp_path, "ana")
    (tmp_path / "clients" / "ana" / "raw_real" / "a.jpg").write_bytes(b"a face")
    counted = [
        json.loads(
            subprocess.run(program(tmp_path, "client", "erase", "ana", word, "--json"), capture_output=True, check=True).stdout
        )
        for word in ("--plan", "--yes")
    ]
    assert counted[0]["files"] == counted[1]["files"] > 0


def test_what_was_left_of_an_erasing_is_swept(client: Client, tmp_path: Path) -> None:
    client.root.rename(clients_folder(tmp_path) / ".erasing-ana-0123")
    sweep_erased(tmp_path)
    assert list(clients_folder(tmp_path).iterdir()) == []


def test_what_fails_because_the_client_was_erased_meanwhile_says_so(tmp_path):
    client = create_client(tmp_path, "ana")

    def read_on(_job):
        shutil.rmtree(client.root)
        return (client.raw_real / "photo.jpg").read_bytes()

    action = Action("read", ClientRequest, at_once(read_on), Answer.of, changes=False)
    job = Job(Session(tmp_path, Settings(), ModelProcess()), ClientRequest(client="ana"), client)
    with pytest.raises(ClientMissing):
        perform(action, job, Console())
