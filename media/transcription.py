"""What is said in recordings, as text, subtitles (SRT, VTT) and JSON with the time of every word."""

from __future__ import annotations

import contextlib
import html
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field

from client_folder.client import Client
from config import Settings
from locales.language import N_
from machine.base_models import known_sha256
from machine.model_process import ModelProcess, relay
from machine.models import WHISPER_SIZES, models_folder, require
from media.speech_to_text import Segment, Speech, SpeechOrder
from utils import (
    Event,
    FolderMissing,
    ModelMissing,
    Progress,
    Record,
    read_record,
    sweep_parts,
    write_record,
    write_text,
)

STAGE = "transcribe"
DEFAULT_MODEL = "base"
FORMATS = (".txt", ".srt", ".vtt", ".json")
DEVICES = ("auto", "cpu", "gpu")
# What a folder is searched for; a file that is named is tried whatever its ending.
RECORDINGS = frozenset(
    [
        ".wav",
        ".mp3",
        ".m4a",
        ".aac",
        ".ogg",
        ".oga",
        ".opus",
        ".flac",
        ".wma",
        ".aiff",
        ".aif",
        ".amr",
        ".mp4",
        ".m4v",
        ".mkv",
        ".mov",
        ".avi",
        ".webm",
        ".mpg",
        ".mpeg",
        ".3gp",
        ".wmv",
    ]
)
SHA_DIGITS = 8


class SpeechModelMissing(ModelMissing):
    """Facts: model, sizes."""

    message = N_('"{model}" is no size of Whisper, and no folder that holds a model.bin.')
    hint = N_("Sizes: {sizes}. Or name the folder of a model that CTranslate2 reads.")


class TranscriptRecord(Record):
    """The JSON of a transcript; it is written last: where it stands, all four files do."""

    model_config = ConfigDict(frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    file: str
    sha256: str
    model: str
    asked_language: str  # empty: found
    text: str
    speech: Speech


@dataclass(frozen=True, slots=True)
class TranscriptPlan:
    """What `transcribe` is about to do: `missing` of the recordings have no transcript yet."""

    recordings: tuple[Path, ...]
    model: str
    folder: Path
    language: str
    device: str
    missing: int


@dataclass(frozen=True, slots=True)
class Transcript:
    """One recording and what came of it: the text file has three siblings."""

    file: Path
    recording: str
    language: str
    seconds: float
    words: int
    device: str


@dataclass(frozen=True, slots=True)
class TranscriptReport:
    """What `transcribe` leaves, `made` of it now."""

    transcripts: tuple[Transcript, ...]
    made: int


def plan_transcripts(
    client: Client, settings: Settings, recordings: Sequence[Path], *,
    model: str = DEFAULT_MODEL, language: str = "", device: str = "auto",
) -> TranscriptPlan:  # fmt: skip
    """Raises FolderMissing or ModelMissing. `model` is a size, or a folder that holds a CTranslate2 model."""
    files = tuple(dict.fromkeys(file for recording in recordings for file in _recordings(recording.expanduser())))
    folder = _model_folder(client, settings, model)
    language = language.strip().lower()
    missing = sum(_known(client, file, folder, language) is None for file in files)
    return TranscriptPlan(files, folder.name if model not in WHISPER_SIZES else model, folder, language, device, missing)


def transcribe(
    client: Client, _settings: Settings, plan: TranscriptPlan, model_process: ModelProcess | None = None
) -> Generator[Event, None, TranscriptReport]:  # fmt: skip
    """Listen to every recording that has no transcript yet; raises NoSpeech."""
    client.transcripts.mkdir(parents=True, exist_ok=True)
    sweep_parts(client.transcripts)
    made, transcripts = 0, []
    with contextlib.ExitStack() as owned:
        model_process = model_process or owned.enter_context(ModelProcess())
        for file in plan.recordings:
            known = _known(client, file, plan.folder, plan.language)
            if known is None:
                order = SpeechOrder(model=plan.folder, file=file.resolve(), language=plan.language, device=plan.device)
                facts = yield from relay(model_process.ask("transcribe", order), STAGE)
                known = _write(client, file, plan, Speech.model_validate(facts))
                made += 1
            transcripts.append(known)
    if not made:
        yield Progress(STAGE, len(transcripts), len(transcripts))
    return TranscriptReport(tuple(transcripts), made)


def as_srt(segments: Sequence[Segment]) -> str:
    """Subtitles as SubRip has them."""
    blocks = [
        f"{number}\n{_time(one.start, ',')} --> {_time(one.end, ',')}\n{one.text}\n" for number, one in enumerate(segments, 1)
    ]
    return "\n".join(blocks)


def as_vtt(segments: Sequence[Segment]) -> str:
    """Subtitles as browsers have them (WebVTT, section 4: `&` and `<` are escaped)."""
    blocks = [f"{_time(one.start, '.')} --> {_time(one.end, '.')}\n{html.escape(one.text, quote=False)}\n" for one in segments]
    return "\n".join(["WEBVTT\n", *blocks])


def _time(seconds: float, mark: str) -> str:
    """00:00:00,000, the milliseconds behind the mark."""
    thousandths = round(seconds * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}{mark}{rest % 1000:03d}"


def _recordings(path: Path) -> tuple[Path, ...]:
    """The file, or the recordings of a folder; raises FolderMissing."""
    if path.is_dir():
        found = tuple(file for file in sorted(path.rglob("*")) if file.suffix.lower() in RECORDINGS and file.is_file())
        if found:
            return found
    if not path.is_file():
        raise FolderMissing(path=path)
    return (path,)


def _model_folder(client: Client, settings: Settings, model: str) -> Path:
    """Where the model lies; raises ModelMissing."""
    if model in WHISPER_SIZES:
        by_hand = models_folder(client.home, settings) / f"whisper-{model}"  # as faster-whisper reads one, with fewer files too
        if (by_hand / "model.bin").is_file():
            return by_hand
        return require([f"whisper-{model}"], client.home, settings)[0].parent
    folder = Path(model).expanduser()
    if not (folder / "model.bin").is_file():
        raise SpeechModelMissing(model=model, sizes=", ".join(WHISPER_SIZES))
    return folder


def _known(client: Client, file: Path, folder: Path, language: str) -> Transcript | None:
    """The transcript of this very recording by this model, None where there is none yet."""
    digest = known_sha256(file)
    for record_file in sorted(client.transcripts.glob("*.json")):
        record = read_record(record_file, TranscriptRecord)
        if (record.sha256, record.model, record.asked_language) == (digest, _model_name(folder), language):
            return _transcript(record_file.with_suffix(".txt"), record)
    return None


def _model_name(folder: Path) -> str:
    """What tells a model from another: its folder's name says nothing where the hub's cache made it."""
    return f"{(folder / 'model.bin').stat().st_size}"


def _write(client: Client, file: Path, plan: TranscriptPlan, speech: Speech) -> Transcript:
    """The four files, JSON last."""
    digest = known_sha256(file)
    target = client.transcripts / f"{_free_stem(client, file, digest, _model_name(plan.folder))}.txt"
    text = "\n".join(one.text for one in speech.segments)
    record = TranscriptRecord(
        file=file.name, sha256=digest, model=_model_name(plan.folder), asked_language=plan.language, text=text, speech=speech
    )
    write_text(target, text + "\n" if text else "")
    write_text(target.with_suffix(".srt"), as_srt(speech.segments))
    write_text(target.with_suffix(".vtt"), as_vtt(speech.segments))
    write_record(target.with_suffix(".json"), record)
    return _transcript(target, record)


def _free_stem(client: Client, file: Path, digest: str, model: str) -> str:
    """The recording's own name, unless a transcript of something else, or by another model, has it."""
    stem = file.stem.replace("/", "_").lstrip(".") or "recording"
    for name in (stem, f"{stem}_{digest[:SHA_DIGITS]}", f"{stem}_{digest[:SHA_DIGITS]}_{model}"):
        record = client.transcripts / f"{name}.json"
        if not record.exists():
            return name
        known = read_record(record, TranscriptRecord)
        if (known.sha256, known.model) == (digest, model):
            return name
    return f"{stem}_{digest}_{model}"


def _transcript(file: Path, record: TranscriptRecord) -> Transcript:
    speech = record.speech
    words = sum(len(one.words) for one in speech.segments)
    return Transcript(file, record.file, speech.language, speech.duration, words, speech.device)
