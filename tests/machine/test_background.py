"""Runs in a process of their own: what is written down inside is what comes out, and every way that one can end is told."""

import subprocess
import sys
import time
from contextlib import closing

import psutil
import pytest

from machine import background
from machine.background import NothingRuns, Place, Recorder, RunLost, RunsAlready, RunState
from utils import Notice, NotReady, Progress, Stopped, TrainingTick, write_record


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path / "run.json", "The training of ana", "train --client ana --attach")


@pytest.fixture
def running(place):
    """A process that does nothing, put on record as the one that runs."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    created = psutil.Process(child.pid).create_time()
    write_record(place.record, background.RunProcess(pid=child.pid, created=created, started="2026-11-28T00:00:00+00:00"))
    yield child
    child.kill()
    child.wait()


def all_of(stage):
    events = []
    with closing(stage):
        while True:
            try:
                events.append(next(stage))
            except StopIteration as end:
                return events, end.value


def test_events_and_report_come_out_as_they_went_in(place, running):
    recorder = Recorder(place)
    went = [
        Progress("regularisation", 1, 2), TrainingTick(3, 10, 0.5, 0.2, checkpoint="a.safetensors", kept_step=2),
        Notice("{cause} again", {"cause": "full"}), TrainingTick(4, 10, 0.4, 0.2),
    ]  # fmt: skip
    for event in (*went, went[-1]):
        recorder.show(event)
    assert background.find(place) is RunState.RUNNING
    assert background.last_event(place) == went[-1]
    recorder.done({"steps": 10})
    came, report = all_of(background.follow(place))
    assert came == went, "what says the same twice is written once"
    assert report == {"steps": 10}
    assert background.find(place) is RunState.ENDED, "though the process still runs: it tells others of its end"


def test_a_failure_crosses_by_its_name_and_facts(place, running):
    Recorder(place).failed(NotReady(step="The training", reason="there is no dataset yet."))
    with pytest.raises(NotReady, match="there is no dataset yet"):
        all_of(background.follow(place))


def test_a_run_that_was_stopped_says_what_is_kept(place, running):
    Recorder(place).stopped(Notice("on from {step}", {"step": 7}))
    with pytest.raises(Stopped) as stopped:
        all_of(background.follow(place))
    assert stopped.value.told == Notice("on from {step}", {"step": 7})


def test_who_was_killed_left_no_word_and_that_is_told(place, running):
    Recorder(place).show(TrainingTick(3, 10))
    running.kill()
    assert wait_until(lambda: background.find(place) is RunState.LOST), "a dead child that nobody asked for its code runs no more"
    with pytest.raises(RunLost, match="The training of ana was cut off"):
        all_of(background.follow(place))


def test_what_never_ran_has_nothing_to_tell(place):
    with pytest.raises(NothingRuns):
        next(background.follow(place))


def test_a_second_start_is_refused(place, running):
    with pytest.raises(RunsAlready):
        background.start(place, ["settings"])


def test_stopped_by_who_started_it_the_run_is_asked_and_its_end_waited_for(place, running):
    recorder, stage = Recorder(place), background.follow(place, ours=True)
    recorder.show(TrainingTick(3, 10))
    assert next(stage) == TrainingTick(3, 10)
    assert recorder.presses(0, False) == 0
    stage.throw(Stopped())
    assert recorder.presses(0, False) == 1, "it is asked to end its piece"
    stage.throw(Stopped())
    assert recorder.presses(0, False) == 2, "and then to end at once"
    recorder.stopped(None)
    with pytest.raises(Stopped):
        all_of(stage)


def test_stopped_by_who_came_to_look_the_run_goes_on(place, running):
    recorder, stage = Recorder(place), background.follow(place)
    next(stage)
    with pytest.raises(Stopped):
        stage.throw(Stopped())
    assert recorder.presses(0, False) == 0
    assert running.poll() is None


def test_half_a_line_is_waited_for(place, running):
    Recorder(place).show(TrainingTick(3, 10))
    whole = place.events.read_bytes()
    place.events.write_bytes(whole + whole[:20])
    stage = background.follow(place)
    assert next(stage) == TrainingTick(3, 10)
    place.events.write_bytes(whole + whole.replace(b'"step": 3', b'"step": 4'))
    until = time.monotonic() + 10
    while (event := next(stage)) != TrainingTick(4, 10):
        assert event == TrainingTick(3, 10)
        assert time.monotonic() < until


def test_our_own_program_is_started_and_its_end_is_told(place, tmp_path):
    """`settings --recorded` is no word of its command line: it ends with usage, and without a word of its end."""
    background.start(place, ["--home", str(tmp_path), "settings", "--recorded"])
    with pytest.raises(RunLost):
        all_of(background.follow(place))
    assert "--recorded" in place.log.read_text()
    background.forget(place)
    assert background.find(place) is RunState.NONE
    assert place.log.is_file(), "what it said stays"


def wait_until(true, seconds=10):
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True
