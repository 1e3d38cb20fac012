"""faster-whisper in the worker: a recording in, what was said and when out.

On a processor it computes in 8-bit integers. On a GPU CTranslate2 looks for its CUDA libraries only when it computes first, so a
failure there is met at the first segment: the processor then takes over, and it is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from locales.language import N_, _
from machine.gpu import find_gpus
from machine.vram import ModelCache
from machine.worker_tasks import TaskReporter
from portraits.errors import RecipeRefused
from utils import BrokenModel, PipelineError, Record

if TYPE_CHECKING:
    import numpy as np

SAMPLE_RATE = 16_000
BEAMS = 5


class NoSpeech(PipelineError):
    """Facts: path, reason."""

    message = N_("{path} holds no sound that can be read: {reason}")
    hint = N_("Any audio or video file with a sound track can be read, such as WAV, MP3, M4A, OGG, MP4, MKV.")


class SpokenWord(Record):
    """One word; times in seconds from the beginning."""

    start: float
    end: float
    word: str
    probability: float


class Segment(Record):
    """What is shown at once as a subtitle."""

    start: float
    end: float
    text: str
    words: tuple[SpokenWord, ...] = ()


class Speech(Record):
    """What was said in one recording."""

    language: str  # code such as "es"
    language_probability: float
    duration: float  # seconds
    device: str  # cpu or gpu: where it was computed
    segments: tuple[Segment, ...]


class SpeechOrder(Record):
    """A recording to listen to. `language` empty: found from the first half minute. `device`: auto, cpu or gpu."""

    model: Path  # folder of a CTranslate2 model
    file: Path
    language: str = ""
    device: str = "auto"


class SpeechModel:
    """A loaded model."""

    def __init__(self, folder: Path, device: str) -> None:
        """Raises BrokenModel where the folder holds no model that CTranslate2 reads, RuntimeError where the GPU cannot be used."""
        from faster_whisper import WhisperModel

        self.device = device
        self._folder = folder
        try:
            self._model = WhisperModel(
                str(folder), device="cuda" if device == "gpu" else "cpu", compute_type="float16" if device == "gpu" else "int8",
                local_files_only=True,
            )  # fmt: skip
        except (RuntimeError, ValueError) as error:
            if device == "gpu":
                raise RuntimeError(str(error)) from error
            raise BrokenModel(path=folder, reason=str(error).splitlines()[0]) from error

    @property
    def gb(self) -> float:
        """What the weights take."""
        return (self._folder / "model.bin").stat().st_size / 1e9

    def to_ram(self) -> bool:
        """Leave the GPU."""
        if self.device == "gpu":
            self._model.model.unload_model(to_cpu=True)
        return True

    def to_gpu(self) -> None:
        """Come back."""
        if self.device == "gpu":
            self._model.model.load_model()

    def check_language(self, code: str) -> None:
        """Raises RecipeRefused for a language that the model does not know."""
        if code and code not in self._model.supported_languages:
            known = ", ".join(self._model.supported_languages)
            raise RecipeRefused(problem=_('the language "{code}" is not known.').format(code=code), cure=known)

    def listen(self, sound: np.ndarray, language: str) -> tuple[Iterator[Any], Any]:
        """Segments as they are understood, and what is known of the whole. Pauses are passed over."""
        return self._model.transcribe(
            sound, language=language or None, beam_size=BEAMS, vad_filter=True, word_timestamps=True,
            condition_on_previous_text=False,
        )  # fmt: skip


def transcribe_order(facts: dict[str, Any], models_in_memory: ModelCache, reporter: TaskReporter) -> dict[str, Any]:
    """Listen to a recording, saying how far it is in seconds of sound."""
    order = SpeechOrder.model_validate(facts)
    sound = _sound(order.file)
    device = "gpu" if order.device == "gpu" or (order.device == "auto" and find_gpus()) else "cpu"
    try:
        speech = _listened(order, device, sound, models_in_memory, reporter)
    except RuntimeError as error:
        if device == "cpu":
            raise
        models_in_memory.drop(_name(order, device))
        reporter.note("cpu_instead", reason=str(error).splitlines()[0][:160])
        speech = _listened(order, "cpu", sound, models_in_memory, reporter)
    return speech.model_dump(mode="json")


def _name(order: SpeechOrder, device: str) -> str:
    return f"whisper {order.model.name} {device}"


def _listened(order: SpeechOrder, device: str, sound: np.ndarray, models_in_memory: ModelCache, reporter: TaskReporter) -> Speech:
    if not any(one.name == _name(order, device) for one in models_in_memory.loaded()):
        reporter.note("loading", model="faster-whisper")
    model = models_in_memory.take(_name(order, device), lambda: SpeechModel(order.model, device))
    model.check_language(order.language)
    duration = len(sound) / SAMPLE_RATE
    reporter.progress(0, duration, order.file.name)
    found, info = model.listen(sound, order.language)
    segments = []
    for segment in found:
        segments.append(_segment(segment))
        reporter.progress(min(segment.end, duration), duration, order.file.name)
    reporter.progress(duration, duration, order.file.name)
    return Speech(
        language=info.language, language_probability=round(float(info.language_probability), 4), duration=round(duration, 3),
        device=device, segments=tuple(segments),
    )  # fmt: skip


def _segment(segment: Any) -> Segment:
    words = tuple(
        SpokenWord(
            start=round(word.start, 3), end=round(word.end, 3), word=word.word.strip(), probability=round(word.probability, 4)
        )
        for word in segment.words or ()
    )
    return Segment(start=round(segment.start, 3), end=round(segment.end, 3), text=segment.text.strip(), words=words)


def _sound(file: Path) -> np.ndarray:
    """The sound track of any audio or video file, mono, 16,000 samples a second; raises NoSpeech."""
    import av
    from faster_whisper import decode_audio

    try:
        sound = decode_audio(str(file), sampling_rate=SAMPLE_RATE)
    except (av.FFmpegError, IndexError, ValueError) as error:
        reason = _("there is no sound track") if isinstance(error, IndexError) else str(error).splitlines()[0]
        raise NoSpeech(path=file, reason=reason) from error
    if not len(sound):
        raise NoSpeech(path=file, reason=_("there is no sound track"))
    return sound
