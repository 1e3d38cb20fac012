"""Recordings: `speech_to_text` listens in the worker, `transcription` is the stage that plans and writes."""
