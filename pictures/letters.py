"""Letters in pictures: the one font of sheets and plots, the same on every machine, with the accents of every European language.

Pillow's own font knows no accents: "práctica" and "línea" lost theirs. Open Sans has them, and comes as a package.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import ImageFont


def letters(height: int) -> ImageFont.FreeTypeFont:
    """The font at a height in pixels."""
    from PIL import ImageFont
    from ttf_opensans import OPENSANS_REGULAR

    return ImageFont.truetype(
        OPENSANS_REGULAR.path, height, layout_engine=ImageFont.Layout.BASIC
    )  # not raqm, which is not on every machine


def drawable(text: str) -> str:
    """The text as it can be drawn: an accent and its letter as one sign, and what is no text at all as a question mark.

    A sign that the font does not have shows as a box.
    """
    return unicodedata.normalize("NFC", text).encode("utf-8", "replace").decode("utf-8")
