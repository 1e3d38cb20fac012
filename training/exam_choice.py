"""Which checkpoint the exam chose, out of `exam/report.json`: no more of it than who takes that checkpoint has to know."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field

from client_folder.client import Client
from client_folder.records import FileName
from locales.language import N_, _
from machine.base_models import known_sha256
from utils import Record

STEP_CHOSEN, NONE_CHOSEN = N_("step {step} chosen"), N_("none recommended")
CHOSEN = N_("chosen by the exam, step {step}")
CHOSEN_AT = N_("chosen by the exam, step {step}, weight {weight:g}")


class ExaminedLora(Record):
    """A LoRA that was examined: its file as it was then."""

    model_config = ConfigDict(frozen=True)

    lora: str
    sha256: str


class LastExam(Record):
    """What the last exam says, as far as it is asked here; `lora` is empty where nothing could be recommended."""

    model_config = ConfigDict(frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    lora: FileName | Literal[""]
    step: int | None
    weight: float | None
    candidates: tuple[ExaminedLora, ...]

    @property
    def words(self) -> str:
        """What it said, in a few words of the user's language."""
        return _(STEP_CHOSEN).format(step=self.step) if self.lora else _(NONE_CHOSEN)


@dataclass(frozen=True, slots=True)
class ExamChoice:
    """The checkpoint that the exam chose, the optimizer step it was saved at, and the weight that it is best painted at."""

    lora: Path
    step: int
    weight: float

    @property
    def words(self) -> str:
        """That it was chosen, in the user's language; the weight where it is not the usual one."""
        return _(CHOSEN if self.weight == 1 else CHOSEN_AT).format(step=self.step, weight=self.weight)


def last_exam(client: Client) -> LastExam | None:
    """What the last exam says, None where there was none; raises BrokenFile."""
    return client.read(client.exam_report, LastExam)


def choice_of(client: Client, exam: LastExam) -> ExamChoice | None:
    """The checkpoint that an exam chose; None where it chose none, or where the file is not the one that was examined any more."""
    if not exam.lora or exam.step is None:
        return None
    lora = client.models / exam.lora
    digests = {one.sha256 for one in exam.candidates if one.lora == exam.lora}
    if not lora.is_file() or known_sha256(lora) not in digests:
        return None
    return ExamChoice(lora, exam.step, 1.0 if exam.weight is None else exam.weight)
