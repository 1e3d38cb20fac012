# ruff: noqa: F401, F811 - fixtures of another test are used by their names
"""What a trainer says, line by line: a loss that is no number ends the run, silence is said, nothing else is taken for either."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from stages import run
from test_lora_trainer import client, prepare, settings

from machine.processes import Heartbeat, Line, ProcessResult
from training import monitor
from training.monitor import TrainerFailed, Watched, watch
from training.runs import begin_run, read_runs
from utils import TrainingTick


def bar(step, loss):
    return Line(f"steps: {step}%|#| {step}/10 [00:01<00:05, 2.00s/it, avr_loss={loss}]")


def heard(client, settings, *lines, before=lambda _line: None):
    def child():
        for line in lines:
            before(line)
            yield line
        return ProcessResult((), 0, 1.0, ())

    plan = prepare(client, settings).plan
    return run(watch(child(), Watched(client, plan, 0, *begin_run(client, plan, (), 0))))


@pytest.mark.parametrize("loss", ["nan", "inf", "-inf"])
def test_a_loss_that_is_no_number_ends_the_run(client, settings, loss):
    with pytest.raises(TrainerFailed, match="not a number"):
        heard(client, settings, bar(1, 0.1), bar(2, loss), bar(3, 0.1))
    assert read_runs(client)[-1].outcome == "nan"


@pytest.mark.parametrize("loss", ["0", "1e-30", "1e30", "9999.5"])
def test_any_number_is_one(client, settings, loss):
    events, ended = heard(client, settings, bar(1, 0.1), bar(2, loss))
    assert (events[-1].step, events[-1].loss, ended.returncode) == (2, float(loss), 0)


def test_two_minutes_without_a_word_are_said_and_the_next_word_ends_them(client, settings, monkeypatch):
    """Loading SDXL and the first step take less; a person at a screen that stands still wants to know."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(monitor, "time", SimpleNamespace(monotonic=lambda: clock.now))
    waits = iter((0.0, 119.0, 1.0, 60.0, 0.0, 119.0))

    def wait(_line):
        clock.now += next(waits)

    said = (bar(1, 0.1), Heartbeat(), Heartbeat(), Heartbeat(), bar(2, 0.1), Heartbeat())
    events, _ended = heard(client, settings, *said, before=wait)
    assert [event.silent_seconds for event in events if isinstance(event, TrainingTick)] == [0, 0, 0, 120, 180, 0, 0]


def test_the_last_lines_are_kept_without_the_bars(client, settings):
    lines = [Line(f"line {number}") for number in range(250)]
    _events, ended = heard(client, settings, bar(1, 0.1), *lines, bar(2, 0.1))
    assert ended.lines == tuple(f"line {number}" for number in range(50, 250))
