"""What a caption can be made of, by picture: MidJourney's prompt and its traits, what was measured, what BLIP saw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from client_folder.client import Client
from client_folder.records import Source, Verdict
from config import Settings, client_limits
from dataset.captions import details_of, kind_of, measured_details
from pictures.midjourney_jobs import may_be_username
from utils import Record

PHOTO = "photo"  # tells photos from MidJourney's pictures, where there are both


class _PromptTrait(Record):
    kind: str
    name: str


class _KnownPrompt(Record):
    """The part of an entry of `midjourney.json` that captions are made of."""

    sha256: str
    prompt: str | None = None
    group_prompt: str | None = None
    truncated: bool = False
    source: str = ""
    username: str | None = None
    traits: tuple[_PromptTrait, ...] = ()


class _KnownPrompts(Record):
    images: tuple[_KnownPrompt, ...] = ()


_TRAITS = {"lighting": "{} lighting", "expression": "{} expression"}  # what makes the face ("physical") is never named


def details(
    client: Client, faces: Iterable[Verdict], settings: Settings, described: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """What is to be said of each picture, by the hash of its original; what a person or MidJourney said comes first.

    `described` are sentences about pictures, by the same hash.
    """
    told = client.read(client.midjourney_file, _KnownPrompts)
    prompts = {prompt.sha256: prompt for prompt in (told.images if told else ())}
    faces, turned = tuple(faces), client_limits(settings, client.state().limits).warn_turn
    mixed = any(face.source is Source.MIDJOURNEY for face in faces)
    said = {}
    for face in faces:
        words: tuple[str, ...] = ()
        prompt = prompts.get(face.sha256)
        if prompt and face.source is Source.MIDJOURNEY:
            # A prompt that was cut off gives way to the one of its job. Traits fill in a kind it has no words for.
            whole = prompt.prompt if prompt.prompt and not prompt.truncated else prompt.group_prompt
            text = _without_user(prompt, whole or prompt.prompt or "")
            words = details_of(text, cut=prompt.truncated and whole in (None, prompt.prompt))
            named = [_TRAITS[trait.kind].format(trait.name) for trait in prompt.traits if trait.kind in _TRAITS]
            words = _completed(words, named)
        words += details_of(described.get(face.sha256, ""))
        words += (PHOTO,) if mixed and face.source is Source.REAL else ()
        said[face.sha256] = _completed(words, measured_details(face, turned))
    return said


def _without_user(prompt: _KnownPrompt, text: str) -> str:
    """The text without the user name that a file name begins with, where nobody said which word that is."""
    first, _blank, rest = text.partition(" ")
    return rest if prompt.source == "filename" and not prompt.username and may_be_username(first) else text


def _completed(words: tuple[str, ...], more: Iterable[str]) -> tuple[str, ...]:
    """The words, and of the others those of a kind that nothing was said of."""
    kinds = {kind_of(word) for word in words}
    return words + tuple(word for word in more if kind_of(word) not in kinds)
