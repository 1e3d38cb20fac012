"""The program as a process: closed streams, Ctrl-C while it is loaded, and who may look into its folders."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from stages import finish

from client_folder.client import create_client
from client_folder.export import export_client, exports_folder

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.skipif(os.name == "nt", reason="rights, signals and closed streams of POSIX")


def words(home, *more):
    return [sys.executable, str(ROOT / "avatar_pipeline.py"), "--home", str(home), "--language", "en", *more]


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("more", [[], ["client", "erase", "ana"]])
def test_closed_streams_are_no_fault(tmp_path, closed, more):
    create_client(tmp_path, "ana")
    ended = subprocess.run(["sh", "-c", f'"$@" {closed}', "sh", *words(tmp_path, *more)], capture_output=True, text=True)
    assert ended.returncode in (2, 130)
    assert "Error" not in ended.stderr and "fault" not in ended.stderr
    assert (tmp_path / "clients" / "ana" / "state.json").exists()


@pytest.mark.parametrize("after", [0.12, 0.2, 0.35, 0.5, 0.8])
def test_ctrl_c_while_it_is_loaded_leaves_no_traceback(tmp_path, after):
    child = subprocess.Popen(words(tmp_path, "settings"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(after)
    child.send_signal(signal.SIGINT)
    _out, said = child.communicate(timeout=60)
    assert "avatar_pipeline.py" not in said and child.returncode in (130, 0, -signal.SIGINT), said


def test_process_stops_while_the_detector_is_loaded(tmp_path):
    client = create_client(tmp_path, "ana")
    photo = tmp_path / "IMG_1.png"
    Image.new("RGB", (300, 300), "grey").save(photo)
    assert subprocess.run(words(tmp_path, "import-photos", "--client", "ana", str(photo)), capture_output=True).returncode == 0
    client.processed_sheet.parent.mkdir(parents=True, exist_ok=True)
    client.processed_sheet.write_bytes(b"x")  # it goes the moment before TensorFlow is loaded, which takes seconds
    child = subprocess.Popen(
        words(tmp_path, "process", "--client", "ana"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while client.processed_sheet.exists() and child.poll() is None:
        time.sleep(0.01)
    time.sleep(0.5)  # now it is being loaded
    child.send_signal(signal.SIGINT)
    _out, said = child.communicate(timeout=60)
    assert child.returncode == 130 and "Traceback" not in said, said
    assert list(client.looks.glob("*")) == [], "it did not wait until a picture had been looked at"


def test_nobody_else_may_look_into_clients(tmp_path):
    mask = os.umask(0o022)
    try:
        client = create_client(tmp_path, "ana")
        finish(export_client(client))
        finish(export_client(client, tmp_path / "mine.zip"))
        (tmp_path / "logs").mkdir()
        (tmp_path / "clients").chmod(0o755)  # as an older version made it
        assert subprocess.run(words(tmp_path, "client", "list"), capture_output=True).returncode == 0
    finally:
        os.umask(mask)
    folders = {
        folder: folder.stat().st_mode & 0o777 for folder in (client.root.parent, exports_folder(tmp_path), tmp_path / "logs")
    }
    assert set(folders.values()) == {0o700}, folders
    assert (tmp_path / "mine.zip").stat().st_mode & 0o777 == 0o600
