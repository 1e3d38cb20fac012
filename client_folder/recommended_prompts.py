"""The prompts that a client is painted from where nobody says otherwise: portraits, samples of a training, notes of an export."""

from __future__ import annotations

from locales.language import N_, _

# The three that the original plan recommends.
_PROMPTS = (
    "portrait of {trigger} {class_word}, professional headshot, studio lighting, detailed face",
    "{trigger} {class_word} smiling, natural lighting, high quality photography",
    "close-up of {trigger} {class_word}, artistic portrait, dramatic lighting",
)
# The embedded base knows few words; these are among them.
_EMBEDDED_PROMPTS = (
    "portrait of {trigger} {class_word}, smiling, blue background, studio lighting",
    "portrait of {trigger} {class_word}, serious, wearing a black shirt, white background, studio lighting",
    "portrait of {trigger} {class_word}, laughing, wearing a red shirt, beach background, bright light",
    "portrait of {trigger} {class_word}, smiling, wearing a white shirt, green background, bright light",
)
# What people read of each, in their language.
_LABELS = (
    N_("professional headshot, studio lighting"),
    N_("smiling, natural lighting"),
    N_("close-up, artistic portrait, dramatic lighting"),
)
_EMBEDDED_LABELS = (
    N_("smiling, blue background, studio lighting"),
    N_("serious, black shirt, white background, studio lighting"),
    N_("laughing, red shirt, at the beach"),
    N_("smiling, white shirt, green background, bright light"),
)


def prompt_labels(embedded: bool = False) -> tuple[str, ...]:
    """What the recommended prompts show, in the user's language and in their order."""
    return tuple(map(_, _EMBEDDED_LABELS if embedded else _LABELS))


def default_prompts(trigger: str, class_word: str, embedded: bool = False) -> tuple[str, ...]:
    """The recommended prompts of a client, in words that the base understands."""
    templates = _EMBEDDED_PROMPTS if embedded else _PROMPTS
    return tuple(template.format(trigger=trigger, class_word=class_word) for template in templates)
