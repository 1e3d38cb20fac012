"""Jobs outlive what runs them: a service that is killed, a process of theirs that is killed, a client that is held elsewhere."""

import os
import signal
import time

import psutil
import pytest
from service_kit import Served

from client_folder.client import open_client


def start_home(folder):
    folder.mkdir()
    (folder / "settings.json").write_text('{"schema": 1, "base_model": "embedded"}')
    return folder


@pytest.fixture
def own(tmp_path):
    """A service of this test's own."""
    service = Served(start_home(tmp_path / "home"))
    yield service
    service.close()


def process_of(home, job):
    return next(
        (
            one
            for one in psutil.process_iter(["cmdline"])
            if job in (one.info["cmdline"] or ()) and str(home) in one.info["cmdline"]
        ),
        None,
    )


def test_a_killed_service_goes_on_with_its_queue(tmp_path):
    home = start_home(tmp_path / "home")
    first = Served(home)
    running = first.post("/actions/demo").json()["id"]
    waiting = first.post("/actions/demo").json()["id"]  # the GPU is taken
    first.wait_for(running, "running")
    assert first.get(f"/jobs/{waiting}").json()["position"] == 1
    worker = process_of(home, running)
    first.kill()
    time.sleep(1)
    assert worker.is_running()  # what was begun goes on
    again = Served(home)
    try:
        assert again.token == first.token
        assert again.get(f"/jobs/{running}").json()["state"] == "running"
        assert process_of(home, running).pid == worker.pid
        again.post(f"/jobs/{running}/cancel")
        again.wait_for(running, "stopped")
        again.wait_for(waiting, "running")
        again.post(f"/jobs/{waiting}/cancel?now=true")
        again.wait_for(waiting, "stopped")
    finally:
        again.close()


def test_a_job_whose_process_is_killed_is_begun_once_more_and_then_given_up(own):
    job = own.post("/actions/demo").json()["id"]
    for attempt in (1, 2):
        until = time.monotonic() + 60
        while own.get(f"/jobs/{job}").json()["attempts"] < attempt or (found := process_of(own.home, job)) is None:
            assert time.monotonic() < until
            time.sleep(0.1)
        os.kill(found.pid, signal.SIGKILL)
    given_up = own.wait_for(job, "failed")
    assert given_up["problem"]["code"] == "RunLost"
    assert str(own.home) not in str(given_up)


def test_a_job_waits_for_a_client_that_another_program_holds(own):
    assert own.post("/actions/client", {"verb": "create", "name": "held_x"}).status_code == 200
    with open_client(own.home, "held_x").lock():
        job = own.post("/actions/grids", {"client": "held_x"}).json()["id"]
        until = time.monotonic() + 60
        while (told := own.get(f"/jobs/{job}").json())["waits_for"] != "ClientBusy":
            assert time.monotonic() < until, told
            time.sleep(0.1)
        assert told["state"] == "waiting"
    assert own.wait_for(job, "done", "failed")["state"] == "done"


def test_jobs_that_wait_are_moved_and_cancelled(own):
    running, *waiting = [own.post("/actions/demo").json()["id"] for _number in range(4)]
    own.wait_for(running, "running")
    moved = own.post(f"/jobs/{waiting[2]}/move", {"before": waiting[0]}).json()
    assert moved["position"] == 1
    assert own.post(f"/jobs/{waiting[2]}/move", {}).json()["position"] == 3
    assert own.post(f"/jobs/{waiting[1]}/cancel").json()["state"] == "stopped"
    assert [own.get(f"/jobs/{job}").json()["position"] for job in waiting] == [1, None, 2]
    for job in (waiting[0], waiting[2], running):
        own.post(f"/jobs/{job}/cancel?now=true")
    own.wait_for(running, "stopped")
    assert own.get("/jobs?state=waiting").json()["total"] == 0
    assert own.post("/jobs/20200101-000000-00000000/cancel").status_code == 404
    assert own.post("/jobs/none/cancel").status_code == 422
