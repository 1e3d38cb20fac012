"""Speech for tests: a text, spoken by eSpeak NG into a WAV file.

The library and all its voices come in the package espeakng-loader; no program of the system is needed. It keeps its state in
globals, and its licence is the GPL: so it is loaded in a process of its own, which this file is when it is started.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import wave
from pathlib import Path

WORDS_A_MINUTE = 140
# Of espeak-ng/speak_lib.h.
AUDIO_OUTPUT_SYNCHRONOUS = 2
RATE = 1
POS_CHARACTER = 1
CHARS_UTF8 = 1


def speak(file: Path, text: str, voice: str = "en-us") -> Path:
    """Write `text` as speech to `file` (16 bit, mono, 22.05 kHz); raises CalledProcessError where that fails."""
    subprocess.run([sys.executable, __file__, str(file), text, voice], check=True)
    return file


def synthesize(text: str, voice: str) -> tuple[int, bytes]:
    """Samples a second, and the samples."""
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = library.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0)
    spoken = bytearray()

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
    def take(samples: int | None, count: int, _events: int | None) -> int:
        if samples and count:
            spoken.extend(ctypes.string_at(samples, 2 * count))
        return 0

    library.espeak_SetSynthCallback(take)
    data = text.encode() + b"\0"
    codes = [
        library.espeak_SetVoiceByName(voice.encode()),
        library.espeak_SetParameter(RATE, WORDS_A_MINUTE, 0),
        library.espeak_Synth(data, ctypes.c_size_t(len(data)), 0, POS_CHARACTER, 0, CHARS_UTF8, None, None),
        library.espeak_Synchronize(),
    ]
    if rate <= 0 or any(codes) or not spoken:
        raise SystemExit(f"eSpeak NG does not speak: rate {rate}, codes {codes}")
    return rate, bytes(spoken)


if __name__ == "__main__":
    target, words, voice_name = sys.argv[1:]
    samples_a_second, sound = synthesize(words, voice_name)
    with wave.open(target, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(samples_a_second)
        out.writeframes(sound)
