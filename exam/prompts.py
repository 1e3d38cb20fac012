"""What an exam has painted: sixteen scenes, once as the client and once as strangers whose looks are named.

Scenes are in words that the base follows. Strangers have looks of their own at the same scene: "a woman" without any gives one
averaged, smooth face, which is near to average-looking clients.
"""

from __future__ import annotations

SEEDS = (11, 12)  # two a prompt: sixteen prompts with two seeds say more than four with eight
SCENES = 16

_PRACTICE_SCENES = tuple(
    f"{expression}, wearing a {clothes} shirt, {background} background, {light}"
    for expression, clothes, background, light in (
        ("smiling", "black", "white", "studio lighting"), ("serious", "white", "green", "studio lighting"),
        ("laughing", "red", "beach", "bright light"), ("smiling", "white", "yellow", "bright light"),
        ("serious", "grey", "red", "studio lighting"), ("smiling", "green", "city", "bright light"),
        ("laughing", "blue", "grey", "studio lighting"), ("serious", "orange", "forest", "studio lighting"),
        ("smiling", "red", "grey", "bright light"), ("laughing", "black", "green", "studio lighting"),
        ("serious", "blue", "white", "bright light"), ("smiling", "orange", "beach", "studio lighting"),
        ("laughing", "white", "city", "studio lighting"), ("serious", "red", "yellow", "studio lighting"),
        ("smiling", "blue", "forest", "bright light"), ("laughing", "grey", "red", "bright light"),
    )
)  # fmt: skip
_SDXL_SCENES = (
    "professional headshot, studio lighting, grey background", "smiling in a park, natural light",
    "at a desk in an office, window light", "walking in a city street, overcast day", "on a beach, bright sunlight",
    "in a kitchen, warm indoor light", "reading in a library, soft light", "in a cafe, evening light",
    "wearing a white shirt, white background, studio lighting", "wearing a black coat, snow in the background",
    "laughing, wearing a red sweater, plain wall", "serious expression, dramatic side lighting, dark background",
    "in a forest, dappled light", "in a museum, looking at the camera", "on a balcony at sunset",
    "wearing a suit, conference room, daylight",
)  # fmt: skip
# Hair and skin, told as either base knows them.
_LOOKS = (
    ("short black hair", "light skin"), ("long blonde hair", "pale skin"), ("short grey hair", "tan skin"),
    ("long brown hair", "light skin"), ("long red hair", "pale skin"), ("short brown hair", "dark skin"),
    ("long black hair", "tan skin"), ("short blonde hair", "light skin"),
)  # fmt: skip


def exam_prompts(trigger: str, class_word: str, *, practice: bool) -> tuple[str, ...]:
    """The sixteen scenes with the client in them."""
    return tuple(f"portrait of {trigger} {class_word}, {scene}" for scene in _scenes(practice))


def stranger_prompts(class_word: str, *, practice: bool) -> tuple[str, ...]:
    """The same scenes with other people, of the client's sex where that is known; each look comes twice."""
    prompts = []
    for at, scene in enumerate(_scenes(practice)):
        hair, skin = _LOOKS[at % len(_LOOKS)]
        who = class_word if class_word in ("woman", "man") else ("woman", "man")[at // len(_LOOKS)]
        prompts.append(f"portrait of a {who}, {hair}, {skin}, {scene}")
    return tuple(prompts)


def _scenes(practice: bool) -> tuple[str, ...]:
    return _PRACTICE_SCENES if practice else _SDXL_SCENES
