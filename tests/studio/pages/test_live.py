"""What happens now, in a real browser: a training as it goes, the queue put in order, a job that is stopped."""

import time
from contextlib import contextmanager

import psutil
from PIL import Image

from machine import background
from machine.background import Place, Recorder, RunProcess
from studio.job_records import place_of_job
from utils import TrainingTick, read_record


def queued(studio):
    """One job more."""
    return studio.post("/actions/process", {"client": "ana"}, params={"job": "true"}).json()["id"]


@contextmanager
def held(studio):
    """A job of the client that runs and stands still, so that the next ones wait."""
    job = queued(studio)
    studio.wait_for(job, "running")
    process = psutil.Process(read_record(place_of_job(studio.home, job).record, RunProcess).pid)
    process.suspend()
    try:
        yield
    finally:
        process.resume()
        studio.wait_for(job, "done")


def order(page):
    return page.evaluate("[...document.querySelectorAll('#waiting > .job')].map(one => one.dataset.job)")


def in_order(page, *jobs):
    """Wait until the page shows them so."""
    page.wait_for_function(
        "jobs => [...document.querySelectorAll('#waiting > .job')].map(one => one.dataset.job).join() === jobs", arg=",".join(jobs)
    )


def positions(studio):
    jobs = studio.get("/jobs?state=waiting").json()["jobs"]
    return [job["id"] for job in sorted(jobs, key=lambda job: job["position"])]


def test_a_queue_is_put_in_order_by_keys_by_buttons_and_by_dragging(page, studio):
    with held(studio):
        first, second, third = (queued(studio) for _number in range(3))
        page.goto("/page/jobs")
        assert order(page) == positions(studio) == [first, second, third]
        page.locator(f"#job-{third}").focus()
        page.keyboard.press("Shift+ArrowUp")
        in_order(page, first, third, second)
        assert positions(studio) == [first, third, second]
        assert page.evaluate("document.activeElement.dataset.job") == third  # so that it can be moved on
        page.locator(f"#job-{first}").get_by_role("button", name="Move down").click()
        in_order(page, third, first, second)
        assert positions(studio) == [third, first, second]
        page.locator(f"#job-{second}").drag_to(page.locator(f"#job-{third}"), target_position={"x": 40, "y": 4})
        page.wait_for_function("() => document.querySelector('#toast').textContent.includes('Moved')")
        in_order(page, second, third, first)
        until = time.monotonic() + 10
        while positions(studio) != [second, third, first]:
            assert time.monotonic() < until
            time.sleep(0.1)
        for job in (second, third, first):
            page.locator(f"#job-{job}").focus()
            page.keyboard.press("x")
            page.locator(f"#waiting > #job-{job}").wait_for(state="detached")
            assert studio.get(f"/jobs/{job}").json()["state"] == "stopped"


def test_a_training_is_shown_as_it_goes(page, studio, ana):
    place = Place(ana.background_file, "a training", "")
    background.take(place)  # this test is the process that trains
    recorder = Recorder(place)
    for step in range(1, 31):
        recorder.show(TrainingTick(step, 60, loss=0.5 - step / 100, seconds_per_step=2.0, vram_gb=7.5, vram_total_gb=12.0))
    page.goto("/page/clients/ana/training")
    page.wait_for_function("() => document.querySelector('#live-line').textContent.includes('step 30 of 60')")
    line = page.locator("#live-line").inner_text()
    assert "loss 0.2000" in line and "1 min left" in line and "7.5 / 12.0 GB" in line
    assert len(page.locator("#live-loss polyline").get_attribute("points").split()) == 30
    sample = ana.samples / "ana_avatar_v1-step00000031-0.png"
    Image.new("RGB", (64, 64), (200, 20, 20)).save(sample)
    recorder.show(TrainingTick(31, 60, loss=0.19, sample=str(sample), control=str(ana.trainer_control)))
    page.locator("#sample-ana_avatar_v1-step00000031-0 img").wait_for()
    page.get_by_role("button", name="Save now").click()
    page.wait_for_function("() => document.querySelector('#toast').textContent.includes('Saving after this step')")
    assert [file.name for file in ana.trainer_control.iterdir()] == ["save"]
    recorder.stopped(None)
    page.wait_for_function("() => document.querySelector('#live-line').textContent.includes('It was stopped.')")
    assert not page.locator("#wishes").is_visible()
    background.forget(place)
    sample.unlink()


def test_a_job_that_ends_moves_to_what_is_over_by_itself(page, studio):
    page.goto("/page/jobs")
    job = studio.post("/actions/process", {"client": "ana"}, params={"job": "true"}).json()["id"]
    page.locator(f"#job-{job}.done").wait_for(timeout=90_000)
    assert place_of_job(studio.home, job).events.exists()
    until = time.monotonic() + 10
    while not page.locator(f"#job-{job}.done a").count():
        assert time.monotonic() < until
        time.sleep(0.2)
