"""The colours and words of the drawn portraits."""

from __future__ import annotations

from typing import TypeAlias

Colour: TypeAlias = tuple[float, float, float]
"""Red, green and blue, 0 to 1."""

HAIR: dict[str, Colour] = {
    "black": (0.09, 0.08, 0.09),
    "brown": (0.36, 0.22, 0.12),
    "blonde": (0.88, 0.72, 0.36),
    "red": (0.72, 0.25, 0.08),
    "grey": (0.62, 0.62, 0.64),
    "pink": (0.93, 0.45, 0.66),
}
SKIN: dict[str, Colour] = {
    "pale": (0.97, 0.85, 0.78),
    "light": (0.93, 0.75, 0.64),
    "tan": (0.79, 0.58, 0.44),
    "dark": (0.50, 0.33, 0.24),
}
BACKGROUNDS: dict[str, Colour] = {
    "white": (0.95, 0.95, 0.94),
    "grey": (0.55, 0.55, 0.57),
    "blue": (0.22, 0.42, 0.80),
    "green": (0.28, 0.60, 0.32),
    "red": (0.74, 0.18, 0.17),
    "black": (0.07, 0.07, 0.08),
    "yellow": (0.94, 0.80, 0.28),
}
SCENES = ("beach", "forest", "city")
"""Backgrounds that are painted, not one colour."""
CLOTHES: dict[str, Colour] = {
    "black": (0.10, 0.10, 0.12),
    "white": (0.93, 0.93, 0.92),
    "red": (0.76, 0.13, 0.13),
    "blue": (0.16, 0.27, 0.64),
    "green": (0.16, 0.47, 0.26),
    "orange": (0.95, 0.50, 0.12),
    "grey": (0.50, 0.50, 0.52),
}
EYES: dict[str, Colour] = {
    "brown": (0.34, 0.20, 0.11),
    "blue": (0.28, 0.50, 0.80),
    "green": (0.28, 0.54, 0.34),
}
EXPRESSIONS = ("smiling", "laughing", "serious", "surprised")
LIGHTS = ("studio lighting", "side lighting", "dark moody lighting", "bright light")
HAIR_STYLES = ("short", "long", "bun", "bald")
