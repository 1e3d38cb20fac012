"""What is to be seen in portraits: prompts out of files, transcripts or a request, with what magic and a style make of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from client_folder.client import Client
from client_folder.recommended_prompts import default_prompts
from locales.language import N_, _
from portraits.clip_tokens import counter_for
from portraits.magic_prompt import MagicPrompt, enhance, names_client, styled
from portraits.portrait import PromptText
from portraits.recipes import PipelineSetup, Recipe
from portraits.styles import style_named
from utils import BrokenFile, FolderMissing, PipelineError, reading

PROMPT_FILE_BYTES = 1_000_000


class PromptsMissing(PipelineError):
    """Facts: path."""

    message = N_("{path} holds no prompt.")
    hint = N_("Write one prompt a line; lines that begin with # are passed over.")


class PromptEmpty(PipelineError):
    """Facts: none."""

    message = N_("The prompt is empty.")
    hint = N_("Write what is to be seen, or leave the prompt out: then the recommended ones are painted.")


@dataclass(frozen=True, slots=True)
class PromptOptions:
    """What is to be seen: prompts as the user gave them, what magic and a style make of them, what must not be seen."""

    prompts: tuple[str, ...] = ()
    negative: str = ""
    style: str = ""
    magic: bool = False


def read_prompts(path: Path) -> tuple[str, ...]:
    """The prompts of a file: one a line, `#` begins a remark; or a JSON list.

    Raises FolderMissing, BrokenFile or PromptsMissing.
    """
    if not path.is_file():
        raise FolderMissing(path=path)
    if path.stat().st_size > PROMPT_FILE_BYTES:
        raise BrokenFile(path=path, line=1, reason=_("too large for a file of prompts"))
    with reading(path):
        text = path.read_text(encoding="utf-8-sig")
        lines = json.loads(text) if path.suffix.lower() == ".json" else text.splitlines()
    if not (isinstance(lines, list) and all(isinstance(line, str) for line in lines)):
        raise BrokenFile(path=path, line=1, reason=_("a list of texts is wanted"))
    prompts = tuple(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))
    if not prompts:
        raise PromptsMissing(path=path)
    return prompts


def read_transcript(client: Client, name: str) -> str:
    """What was said in a recording, as one prompt; raises FolderMissing."""
    here = {path.stem: path for path in client.transcripts.glob("*.txt")}
    if name.removesuffix(".txt") not in here:
        raise FolderMissing(path=client.transcripts / f"{name.removesuffix('.txt')}.txt")
    return " ".join(here[name.removesuffix(".txt")].read_text(encoding="utf-8").split())


def settle_prompts(client: Client, setup: PipelineSetup, prompt_options: PromptOptions) -> tuple[MagicPrompt, ...]:
    """Every prompt with what magic or a style makes of it; without prompts, the recommended ones of the client.

    One that does not name the client gets the trigger word in front: without it, the LoRA paints somebody else. Raises PromptEmpty
    where prompts were given and none has a word in it.
    """
    base = setup.base
    class_word = client.state().class_word
    given = []
    for prompt in prompt_options.prompts:
        if prompt.strip():  # written for any client, it is put in the words of this one
            given.append(_one_line(prompt).replace("{trigger}", client.id).replace("{class_word}", class_word))
    if prompt_options.prompts and not given:
        raise PromptEmpty()
    wanted = given or default_prompts(client.id, class_word, base.practice)
    style, count = style_named(client.home, prompt_options.style), counter_for(setup.files.base)

    def made(prompt: str) -> MagicPrompt:
        if prompt_options.magic:
            return enhance(prompt, client.id, class_word, count, style=style, embedded=base.practice)
        return styled(prompt, style, count)

    return tuple(_named(client.id, class_word, one, made) for one in wanted)


def _named(trigger: str, class_word: str, prompt: str, make: Callable[[str], MagicPrompt]) -> MagicPrompt:
    """What is made of a prompt, with the trigger word in it whatever the user wrote; magic finds the better place for it."""
    made = make(prompt)
    if names_client(prompt, trigger):
        return made
    if not names_client(made.prompt, trigger):
        made = make(f"{trigger} {class_word}, {prompt}")
    return replace(made, original=prompt, trigger_added=True)


def _one_line(text: str) -> str:
    """Without line breaks, control characters and halves of letters, none of which a picture's texts can hold."""
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return " ".join("".join(letter if letter.isprintable() else " " for letter in whole).split())


def prompt_text_of(prompt: MagicPrompt, prompt_options: PromptOptions, recipe: Recipe) -> PromptText:
    """A prompt as it is painted and recorded; where the recipe cannot use a negative prompt, there is none."""
    parts = [_one_line(prompt_options.negative), prompt.negative] if recipe.negative else []
    negative = ", ".join(part for part in parts if part)
    original = prompt.original if prompt.original != prompt.prompt else ""
    return PromptText(prompt.prompt, negative, original, prompt_options.style if prompt_options.style != "none" else "")
