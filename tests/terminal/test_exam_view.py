"""How a verdict looks where there is little to say: one checkpoint, and none that is nearer than the base."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from exam_kit import lay_exam
from rich.console import Console

from client_folder.client import Client, create_client
from exam.records import Examinee, ExamReason, ExamVerdict, Interval, Judged, Word
from exam.report import ExamReport
from terminal.view_exam import VIEWS

SCORE = Interval(1.0, 0.9, 1.1)
NOWHERE = Interval(-0.0, -0.0, -0.0)  # a share of an infinite way


@pytest.fixture
def client(tmp_path: Path) -> Client:
    client = create_client(tmp_path, "ana", "woman")
    client.models.mkdir()
    (client.models / "one.safetensors").write_bytes(b"")
    return client


def shown(client: Client, chosen: int | None, score: Interval, reasons: tuple[ExamReason, ...] = ()) -> str:
    verdict = ExamVerdict(
        Word.NONE if chosen is None else Word.STEP, chosen, 0, (Judged(Examinee(220), 20.0, score, score, acceptable=True),),
        reasons=reasons,
    )  # fmt: skip
    file = lay_exam(client, {220: client.models / "one.safetensors"}, None if chosen is None else 220)
    report = ExamReport(file, verdict, client.exam_report, client.exam_sheet, client.exam_plot, practice=True)
    console = Console(file=io.StringIO(), width=80)
    console.print(VIEWS[ExamReport](report))
    return " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]


def test_one_checkpoint_is_not_counted(client: Client) -> None:
    assert "Step 220 at weight 1 is like the client; it was the one checkpoint examined." in shown(client, 0, SCORE)
    assert "The one checkpoint examined cannot be recommended." in shown(client, None, SCORE, (ExamReason.GATE,))


def test_where_nothing_is_nearer_than_the_base_there_are_no_shares(client: Client) -> None:
    told = shown(client, None, NOWHERE, (ExamReason.NO_NEARER,))
    assert "no checkpoint is nearer to the client than the base alone" in told
    assert "%" not in told
    assert "90% ... 110%" in shown(client, 0, SCORE)
