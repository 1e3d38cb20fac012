"""What happens now, in a real browser: a training as it goes, the queue put in order, a job that is stopped."""

import time

from PIL import Image

from machine import background
from machine.background import Place, Recorder
from studio.job_records import place_of_job
from utils import TrainingTick


def queued(studio, count):
    """Jobs that wait: trainings of a client whose lock this test holds."""
    return [studio.post("/actions/process", {"client": "ana"}, params={"job": "true"}).json()["id"] for _number in range(count)]


def order(page):
    return page.evaluate("[...document.querySelectorAll('#waiting > .job')].map(one => one.dataset.job)")


def positions(studio):
    jobs = studio.get("/jobs?state=waiting").json()["jobs"]
    return [job["id"] for job in sorted(jobs, key=lambda job: job["position"])]


def test_a_queue_is_put_in_order_by_keys_by_buttons_and_by_dragging(page, studio, ana):
    with ana.lock():  # so that nothing of theirs can begin
        first, second, third, fourth = queued(studio, 4)
        page.goto("/page/jobs")
        page.locator(f"#job-{fourth}").wait_for()
        waiting = order(page)
        assert waiting == positions(studio) and set(waiting) <= {first, second, third, fourth}
        last = waiting[-1]
        page.locator(f"#job-{last}").focus()
        page.keyboard.press("Shift+ArrowUp")
        page.wait_for_function("id => [...document.querySelectorAll('#waiting > .job')].at(-2).dataset.job === id", arg=last)
        assert positions(studio)[-2] == last
        assert page.evaluate("document.activeElement.dataset.job") == last
        page.locator(f"#job-{last}").get_by_role("button", name="Move down").click()
        page.wait_for_function("id => [...document.querySelectorAll('#waiting > .job')].at(-1).dataset.job === id", arg=last)
        assert positions(studio)[-1] == last
        page.locator(f"#job-{last}").drag_to(page.locator("#waiting > .job").first, target_position={"x": 40, "y": 4})
        page.wait_for_function("id => document.querySelector('#waiting > .job').dataset.job === id", arg=last)
        page.wait_for_function("() => document.querySelector('#toast').textContent.includes('Moved')")
        assert positions(studio)[0] == last
        for job in order(page):
            page.locator(f"#job-{job}").focus()
            page.keyboard.press("x")
            page.locator(f"#waiting > #job-{job}").wait_for(state="detached")
        assert positions(studio) == []
        for job in (first, second, third, fourth):
            studio.post(f"/jobs/{job}/cancel")


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
