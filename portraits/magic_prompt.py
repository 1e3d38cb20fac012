"""Magic prompt: a short prompt made into one that SDXL paints well, by rules, without a model.

Pure. What the user wrote is kept, the trigger word and weights included; words of quality, light, lens and skin go behind it
where it does not speak of them already; what CLIP cannot read, beyond 77 tokens, is said. Spanish is put into the English that
CLIP knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from portraits.prompt_weights import plain
from portraits.spanish_prompts import in_english, is_spanish
from portraits.styles import Style

CLIP_TOKENS = 75  # 77 with the marks of begin and end
Counter = Callable[[str], int]


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_PERSONS = _set("woman man person girl boy lady guy child people women men elderly")
_PORTRAIT = _PERSONS | _set(
    "portrait headshot face selfie close-up closeup smiling smile laughing eyes hair beard blonde bald glasses"
)


@dataclass(frozen=True, slots=True)
class _Group:
    """Words of one kind: `said` are those that show that a prompt speaks of it already."""

    said: frozenset[str]
    portrait: str
    general: str


# In the order of their weight: what does not fit into CLIP's tokens is left out from the end.
_GROUPS = (
    _Group(_set("light lighting lit sunlight sunset sunrise neon backlight shadows golden daylight chiaroscuro"),
           "soft studio lighting", "natural lighting"),
    _Group(_set("detailed sharp quality masterpiece 8k 4k hd uhd"), "highly detailed, sharp focus", "highly detailed, sharp focus"),
    _Group(_set("skin pores freckles"), "natural skin texture", ""),
    _Group(_set("lens mm bokeh 35mm 50mm 85mm f/1.8 aperture depth wide-angle macro anamorphic"),
           "85mm lens, shallow depth of field", ""),
    _Group(_set("photo photography photograph photorealistic film editorial"),
           "professional photography", "professional photography"),
    _Group(_set("composition colors colours vibrant"), "", "vibrant colors, balanced composition"),
)  # fmt: skip
_NEGATIVE = {
    "portrait": "blurry, low quality, deformed, disfigured, bad anatomy, extra fingers, cross-eyed, plastic skin, watermark, text,"
    " jpeg artifacts",
    "general": "blurry, low quality, distorted, oversaturated, watermark, text, jpeg artifacts",
}
_DRAWN = _set("painting drawing sketch watercolour watercolor illustration anime cartoon pencil comic")
_BACKGROUND = "background"
_EMBEDDED_LIGHT = "studio lighting"  # one of the few words of light that the embedded base knows


@dataclass(frozen=True, slots=True)
class MagicPrompt:
    """What came of a prompt: `left_out` are words of ours that did not fit, `cut` are the user's that CLIP will not read."""

    original: str
    prompt: str
    negative: str
    subject: str  # portrait or general
    spanish: bool
    tokens: int
    left_out: tuple[str, ...] = ()
    cut: str = ""
    trigger_added: bool = False  # the user's words did not name the client


def enhance(
    original: str, trigger: str, class_word: str, count: Counter, *, style: Style | None = None, embedded: bool = False
) -> MagicPrompt:
    """The prompt with what it lacks. `count` says how many tokens of the base's own text encoder a text takes."""
    spanish = is_spanish(plain(original).replace(trigger, ""))
    wish = in_english(original, frozenset({trigger})) if spanish else original
    wish = ", ".join(_parts(re.sub(r"\s+", " ", wish)))  # without doubled blanks and commas; A1111's brackets stay
    subject = "portrait" if _words(wish) & (_PORTRAIT | {trigger.lower()}) else "general"
    kept = _trigger_first(_with_trigger(wish, trigger, class_word, subject), trigger)
    additions = _additions(kept, subject, style, embedded)
    prompt, left_out = _fitted(kept, additions, count)
    if _has(_cut(prompt, count), trigger):
        # One long sentence names the client only where CLIP has stopped reading.
        prompt = f"{trigger} {class_word}, {prompt}"
    # The embedded base knows none of these words: being turned away from them would only disturb it.
    negative = "" if embedded else negative_for(prompt, subject, style)
    return MagicPrompt(original, prompt, negative, subject, spanish, count(plain(prompt)), left_out, _cut(prompt, count))


def styled(original: str, style: Style | None, count: Counter) -> MagicPrompt:
    """A prompt with the words of a style behind it, and nothing else changed."""
    additions = _missing(original, _parts(style.add)) if style else []
    prompt, left_out = _fitted(original, additions, count)
    negative = style.negative if style else ""
    return MagicPrompt(original, prompt, negative, "", False, count(plain(prompt)), left_out, _cut(prompt, count))


def negative_for(prompt: str, subject: str, style: Style | None = None) -> str:
    """What must not be seen, without anything that the prompt asks for."""
    wanted = _words(prompt)
    parts = _parts(_NEGATIVE[subject]) + (_parts(style.negative) if style else [])
    return ", ".join(dict.fromkeys(part for part in parts if not _words(part) <= wanted))


def _with_trigger(wish: str, trigger: str, class_word: str, subject: str) -> str:
    """The trigger word belongs into every portrait of the client, unless it is of somebody else by the words used."""
    if _has(wish, trigger) or subject != "portrait":
        return wish
    others = (_words(wish) & _PERSONS) - {class_word.lower()}
    if others:
        return wish
    named = re.compile(rf"\b(a |an |the )?{re.escape(class_word)}\b", re.IGNORECASE)
    if named.search(wish):
        return named.sub(f"{trigger} {class_word}", wish, count=1)
    return f"portrait of {trigger} {class_word}, {wish}"


def _trigger_first(prompt: str, trigger: str) -> str:
    """The part that names the trigger in front: what stands first counts most, and is never cut."""
    parts = _parts(prompt)
    for at, part in enumerate(parts):
        if _has(part, trigger):
            return ", ".join([part, *parts[:at], *parts[at + 1 :]])
    return prompt


def _additions(prompt: str, subject: str, style: Style | None, embedded: bool) -> list[str]:
    """What the prompt does not speak of yet: the style's words, then ours group by group."""
    of_style = _missing(prompt, _parts(style.add)) if style else []
    said = _words(", ".join([prompt, *of_style]))
    if embedded:
        return of_style if said & _GROUPS[0].said else [*of_style, _EMBEDDED_LIGHT]
    drawn = (style is not None and not style.photo) or bool(said & _DRAWN)
    groups = [_GROUPS[0], _GROUPS[1]] if drawn else list(_GROUPS)
    ours = [getattr(group, subject) for group in groups if not said & group.said]
    return of_style + [part for words in ours for part in _parts(words)]


def _missing(prompt: str, parts: Sequence[str]) -> list[str]:
    """The parts whose every word is not in the prompt already; a second background is none."""
    said = _words(prompt)
    return [part for part in parts if not _words(part) <= said and not (_BACKGROUND in said and _BACKGROUND in _words(part))]


def _fitted(prompt: str, additions: Sequence[str], count: Counter) -> tuple[str, tuple[str, ...]]:
    """The prompt with as many additions as CLIP can read, and those that it cannot."""
    taken: list[str] = []
    left_out = []
    for part in additions:
        if count(plain(", ".join([prompt, *taken, part]))) <= CLIP_TOKENS:
            taken.append(part)
        else:
            left_out.append(part)
    return ", ".join([prompt, *taken]), tuple(left_out)


def _cut(prompt: str, count: Counter) -> str:
    """The end of a prompt that CLIP will not read, from the first word that does not fit."""
    words = plain(prompt).split(" ")
    if count(" ".join(words)) <= CLIP_TOKENS:
        return ""
    low, high = 0, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if count(" ".join(words[:middle])) <= CLIP_TOKENS else (low, middle - 1)
    return " ".join(words[low:])


def _parts(text: str) -> list[str]:
    """The parts of a prompt between commas that stand in no bracket."""
    parts, depth, start = [], 0, 0
    for at, letter in enumerate(text):
        depth += (letter in "([<") - (letter in ")]>")
        if letter == "," and depth <= 0:
            parts.append(text[start:at])
            start = at + 1
    return [part.strip() for part in [*parts, text[start:]] if part.strip()]


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[\w/.-]*\w", plain(text).lower()))


def names_client(prompt: str, trigger: str) -> bool:
    """Whether the trigger word stands in a prompt; CLIP reads capitals as small letters."""
    return _has(prompt, trigger)


def _has(text: str, word: str) -> bool:
    return bool(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE))
