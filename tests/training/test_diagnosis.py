"""Excerpts of real logs, each with the cause that a person who read it would name."""

from pathlib import Path

import pytest

from training.diagnosis import Cause, diagnose

CORPUS = Path(__file__).parents[1] / "data" / "trainer_logs.txt"


def read_corpus():
    for excerpt in CORPUS.read_text(encoding="utf-8").split("\n== ")[1:]:
        head, *lines = excerpt.rstrip("\n").split("\n")
        cause, returncode = head.split()
        yield Cause(cause), int(returncode), tuple(lines)


LOGS = list(read_corpus())


@pytest.mark.parametrize(
    ("cause", "returncode", "lines"), LOGS, ids=[f"{log[0].value}-{number}" for number, log in enumerate(LOGS)]
)
def test_the_cause_is_found_and_shown(cause, returncode, lines):
    found = diagnose(lines, returncode)
    assert found.kind is cause
    assert found.cause
    assert found.cure
    assert found.evidence in " / ".join(lines) or found.evidence == str(returncode)
    assert found.evidence


def test_every_cause_has_an_example():
    assert {cause for cause, _, _ in LOGS} == set(Cause) - {Cause.SPILL}  # which no line shows


def test_words_that_only_look_like_a_cause_are_none():
    harmless = (
        "fatal: not a git repository (or any of the parent directories): .git",
        "A matching Triton is not available, some optimizations will not be enabled.",
        "No caption file found for 1 images. Training will continue without captions for these images.",
        "40 train images with repeats.",
        "0 reg images with repeats.",
        "no regularization images / 正則化画像が見つかりませんでした",
        "steps:  50%|█████     | 2/4 [00:29<00:29, 14.96s/it, avr_loss=1.08]",
    )
    assert diagnose(harmless, 7).kind is Cause.UNKNOWN
