"""The action that writes down what is said in recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from actions.action import Action, Answer, Stage, always
from actions.request import Ask, ClientRequest, Job, Menu, UserPath
from locales.language import N_
from machine.models import WHISPER_SIZES
from media import transcription
from media.transcription import DEFAULT_MODEL, DEVICES, FORMATS, TranscriptPlan, TranscriptReport

_RECORDINGS_HELP = N_("Audio or video file, or a folder of them:")
_MODEL_HELP = N_("Model (larger hears better and takes longer):")
# Whisper's own sizes; "base" is one of them, and no base model of SDXL's.
_SIZE_LABELS = {
    "tiny": N_("tiny: the fastest, for clear speech"),
    "base": N_("base: usual speech"),
    "small": N_("small: hears better"),
    "medium": N_("medium: slow without a graphics card"),
    "large-v3": N_("large-v3: hears best, for a graphics card"),
}
_SPOKEN_HELP = N_("Language that is spoken, such as es (empty: found by itself):")


class TranscribeRequest(ClientRequest):
    """Which recordings to write down, and how."""

    recordings: Annotated[tuple[UserPath, ...], Ask(_RECORDINGS_HELP, menu=Menu.PATH)]
    model: Annotated[str, Ask(_MODEL_HELP, "--model", "SIZE", menu=Menu.CHOICE, offered=WHISPER_SIZES, labels=_SIZE_LABELS)] = (
        DEFAULT_MODEL
    )
    # Not --language, which is the program's own.
    spoken: Annotated[str, Ask(_SPOKEN_HELP, "--spoken", "CODE", menu=Menu.TEXT)] = ""
    device: Annotated[str, Ask(N_("auto, cpu or gpu"), "--device", choices=DEVICES)] = "auto"


def plan_transcripts(job: Job[TranscribeRequest]) -> TranscriptPlan:
    """What would be written down."""
    request = job.request
    return transcription.plan_transcripts(
        job.who, job.settings, request.recordings, model=request.model, language=request.spoken, device=request.device
    )  # fmt: skip


def transcribe(job: Job[TranscribeRequest]) -> Stage:
    """Write down what was planned."""
    return transcription.transcribe(job.who, job.settings, job.plan, job.session.model_process)


class TranscriptPlanAnswer(Answer):
    """Which recordings would be written down, by which model; how many are missing."""

    recordings: tuple[Path, ...]
    model: Path
    missing: int

    @classmethod
    def of(cls, plan: TranscriptPlan) -> Self:
        """The plan."""
        return cls(recordings=plan.recordings, model=plan.folder, missing=plan.missing)


class TranscriptAnswer(Answer):
    """A transcript: its file, its recording, the language spoken in it, its length."""

    file: Path
    recording: str
    language: str
    seconds: float
    words: int
    device: str


class TranscribeAnswer(Answer):
    """Every file that was written; `language` is a list where the recordings are not all of one."""

    files: tuple[Path, ...]
    language: str | tuple[str, ...]
    made: int
    transcripts: tuple[TranscriptAnswer, ...]

    @classmethod
    def of(cls, report: TranscriptReport) -> Self:
        """The report."""
        languages = tuple(dict.fromkeys(one.language for one in report.transcripts))
        return cls(
            files=tuple(one.file.with_suffix(kind) for one in report.transcripts for kind in FORMATS),
            language=languages[0] if len(languages) == 1 else languages, made=report.made,
            transcripts=tuple(TranscriptAnswer.of(one) for one in report.transcripts),
        )  # fmt: skip


TRANSCRIBE = Action(
    "transcribe", TranscribeRequest, transcribe, TranscribeAnswer.of,
    plan=plan_transcripts, plan_answer=TranscriptPlanAnswer.of,
    made=lambda _job, report: tuple(one.file for one in report.transcripts), gpu=True, lasts=always,
)  # fmt: skip
ACTIONS = (TRANSCRIBE,)
