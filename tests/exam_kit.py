"""The report of an exam, written as the exam writes it, for tests of what the program does with one."""

from __future__ import annotations

from pathlib import Path

from client_folder.client import Client
from exam.records import Standing, Word
from exam.report import ExamFile, ExaminedCandidate
from utils import sha256_file, write_record


def lay_exam(
    client: Client, examined: dict[int, Path], chosen: int | None, weight: float = 1.0, word: Word | None = None
) -> ExamFile:  # fmt: skip
    """Lay down what an exam of these LoRAs, by step, would have left, had it chosen that step; None: none of them."""
    candidates = tuple(
        ExaminedCandidate(
            lora=path.name, sha256=sha256_file(path), step=step, weight=weight, score=1.0, low=0.9, high=1.1, lacks_high=0.0,
            gate=Standing.GOOD if chosen else Standing.NOT, gate_value=1.0, gate_bound=1.0, flags=(), signs={}, distances=((1.0,),),
        )
        for step, path in examined.items()
    )  # fmt: skip
    none = chosen is None
    file = ExamFile(
        verdict=word or (Word.NONE if none else Word.STEP), reasons=(), lora="" if chosen is None else examined[chosen].name,
        step=chosen, weight=None if none else weight, score=None if none else 1.0, low=None if none else 0.9,
        high=None if none else 1.1, flags=(), ruler="lab_map", base="base", base_digest="0" * 64, prompts=("portrait",),
        stranger_prompts=("portrait",), seeds=(11,), photos=("real_0.png",), scenes=(0,), base_distances=((2.0,),),
        stranger_distances=((2.0,),), candidates=candidates, tied=(), left_out=(),
    )  # fmt: skip
    client.exam.mkdir(exist_ok=True)
    write_record(client.exam_report, file)
    return file
