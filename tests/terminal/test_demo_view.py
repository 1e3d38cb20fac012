"""What the demo says at its end: the steps, and the exam's verdict in plain sentences."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from exam_kit import lay_exam
from rich.console import Console

from actions.demo import STEPS, DemoReport, DemoStep
from client_folder.client import Client, create_client
from exam.records import Examinee, ExamVerdict, Flag, Interval, Judged, Word
from exam.report import ExamReport
from generation import PortraitReport
from locales.language import speak
from terminal.view_demo import VIEWS

ALL = Interval(1.0, 0.9, 1.1)


@pytest.fixture
def client(tmp_path: Path) -> Client:
    client = create_client(tmp_path, "demo", "woman")
    client.models.mkdir()
    for name in ("half", "whole"):
        (client.models / f"{name}.safetensors").write_bytes(b"")
    return client


def shown(client: Client, chosen: int | None, flags: frozenset[Flag] = frozenset()) -> str:
    """The report on a screen of 80 columns, of an exam that chose the step at that place."""
    judged = tuple(Judged(Examinee(step, flags=flags), 20.0, ALL, ALL, acceptable=True) for step in (110, 220))
    word = Word.NONE if chosen is None else Word.TIED
    verdict = ExamVerdict(word, chosen, 1, judged, tied=(0, 1) if chosen is not None else ())
    loras = {110: client.models / "half.safetensors", 220: client.models / "whole.safetensors"}
    file = lay_exam(client, loras, None if chosen is None else judged[chosen].candidate.step)
    tied = () if chosen is None else tuple(path.name for path in loras.values())
    file = file.model_copy(update={"verdict": word, "flags": tuple(flags), "tied": tied})
    exam = ExamReport(file, verdict, client.exam_report, client.exam_sheet, client.exam_plot, practice=True)
    steps = tuple(DemoStep(name, {}, 1.0) for name in STEPS)
    report = DemoReport(steps, exam, PortraitReport((), 0, client.sheets / "portraits_001.png", practice=True))
    console = Console(file=io.StringIO(), width=80)
    console.print(VIEWS[DemoReport](report))
    return " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]


def test_it_says_which_step_looks_most_like_her_and_how_sure_that_is(client: Client) -> None:
    told = shown(client, 0)
    assert "Step 110 at weight 1 is as like the client as the best of 2 checkpoints examined" in told
    assert "between 90% and 110%" in told
    assert "Now your own client" in told and "speaks against" not in told
    assert "%" not in told.replace("100%", "").replace("90%", "").replace("110%", ""), "no other percentage of likeness"


def test_it_says_what_speaks_against_it_and_where_there_is_none(client: Client) -> None:
    assert "What speaks against it: looks alike, but it may be another person." in shown(
        client, 0, frozenset({Flag.IDENTITY_UNSURE})
    )
    told = shown(client, None)
    assert "None of the 2 checkpoints examined can be recommended." in told and "Bring more real photos" in told


def test_it_speaks_spanish(client: Client) -> None:
    speak("es")
    told = shown(client, 0, frozenset({Flag.IDENTITY_UNSURE}))
    assert "El paso 110" in told and "Lo que habla en su contra:" in told and "Step" not in told
