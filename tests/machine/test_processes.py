"""The runner of child processes, with real ones."""

import itertools
import signal
import subprocess
import sys
import time

import psutil
import pytest
from stages import run

from machine import processes as child_processes
from machine.processes import Heartbeat, Line, end_orphan, run_child
from utils import read_record, write_record


def run_to_end(stage):
    events, ended = run(stage)
    return [event.text for event in events if isinstance(event, Line)], ended


def python_child(tmp_path, code):
    return run_child([sys.executable, "-c", code], tmp_path / "child.log", {}, tmp_path / "child.pid")


def test_both_streams_and_both_line_endings_are_read(tmp_path):
    code = r"import sys; sys.stderr.write('a\rb\r'); sys.stderr.flush(); print('ñ'); sys.stdout.write('no end')"
    lines, result = run_to_end(python_child(tmp_path, code))
    assert sorted(lines) == ["a", "b", "no end", "ñ"]
    assert result.returncode == 0
    assert set(result.tail) == set(lines)
    assert "ñ" in (tmp_path / "child.log").read_text(encoding="utf-8")
    assert not (tmp_path / "child.pid").exists()


def test_a_child_that_floods_both_pipes_is_not_blocked(tmp_path):
    code = "import sys\nfor n in range(20000): print('x' * 50); sys.stderr.write('y' * 50 + '\\n')"
    lines, result = run_to_end(python_child(tmp_path, code))
    assert len(lines) == 40000
    assert len(result.tail) == child_processes.TAIL_LINES


GRANDPARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
print(child.pid, flush=True)
time.sleep(100)
"""


def wait_until_gone(pid):
    for _ in range(100):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def first_line(stage):
    return next(event.text for event in stage if isinstance(event, Line))


def test_closing_ends_the_child_and_its_own_child(tmp_path):
    stage = python_child(tmp_path, GRANDPARENT)
    grandchild = int(first_line(stage))
    stage.close()
    assert wait_until_gone(grandchild)


def test_a_child_that_ignores_the_request_is_ended_all_the_same(tmp_path):
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(100)"
    stage = python_child(tmp_path, code)
    assert first_line(stage) == "ready"
    pid = int(read_record(tmp_path / "child.pid", child_processes._Orphan).pid)
    stage.close()
    assert wait_until_gone(pid)


@pytest.mark.skipif(sys.platform == "win32", reason="process groups of POSIX")
def test_a_grandchild_whose_parent_has_ended_and_that_ignores_the_request_is_ended(tmp_path):
    """It is nobody's child any more, and holds the pipe open: only the group still knows it."""
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(100)"
    parent = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {stubborn!r}]).pid, flush=True)"
    stage = python_child(tmp_path, parent)
    said = [event.text for event in itertools.islice((event for event in stage if isinstance(event, Line)), 2)]
    (grandchild,) = (int(line) for line in said if line != "on")
    stage.close()
    assert wait_until_gone(grandchild)


def test_a_silent_child_still_lets_its_caller_stop(tmp_path):
    stage = python_child(tmp_path, "import time; time.sleep(100)")
    assert isinstance(next(stage), Heartbeat)
    stage.close()


OWNER = """
import sys
from pathlib import Path
from machine.processes import run_child
folder = Path(sys.argv[1])
for line in run_child([sys.executable, "-c", sys.argv[2]], folder / "log", {}, folder / "pid"):
    print(line, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_child_whose_owner_was_killed_is_ended_by_the_next_run(tmp_path):
    owner = subprocess.Popen([sys.executable, "-c", OWNER, tmp_path, GRANDPARENT], stdout=subprocess.PIPE, text=True)
    try:
        while "Line" not in (line := owner.stdout.readline()):
            assert line
    finally:
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    orphan = read_record(tmp_path / "pid", child_processes._Orphan).pid
    assert psutil.pid_exists(orphan)
    end_orphan(tmp_path / "pid")
    assert wait_until_gone(orphan)
    assert not (tmp_path / "pid").exists()


def test_a_stranger_with_the_same_number_is_left_alone(tmp_path):
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
    try:
        write_record(tmp_path / "pid", child_processes._Orphan(pid=stranger.pid, created=1.0))
        end_orphan(tmp_path / "pid")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
