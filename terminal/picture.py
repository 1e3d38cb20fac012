"""Pictures in the terminal, by what it can show: Kitty's graphics, sixel, or half blocks in colour; nothing at all elsewhere.

How is chosen once in a run, by the setting `pictures` or by the terminal itself. The library that draws (textual-image) asks the
terminal as soon as it is imported, and takes whatever key comes first for the answer; so it is imported as if there were no
terminal, and the one question that is needed is asked here: keys typed ahead are dropped before it, and what comes late after it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.text import Text

from terminal.keys import drop_typed_keys

if TYPE_CHECKING:
    from PIL import Image

AUTO = "auto"
ROWS_FOR_TEXT = 10  # lines of a screen that stay free of a picture, for what is said and asked below it
LEAST_ROWS = 6  # fewer show nobody's face
MOST_IN_A_ROW = 4
GAP_PX = 6  # between pictures in a row
SIDE_PX = 256  # of each picture in a row
LATE_SECONDS = 0.05  # an answer that missed the library's tenth of a second
LATE_SECONDS_REMOTE = 0.4  # the same through ssh
_KITTY_TERMS = frozenset({"xterm-kitty", "xterm-ghostty"})  # these place pictures by letters, as the library does; others do not


class Protocol(StrEnum):
    """How pictures get onto the screen."""

    KITTY = "kitty"
    SIXEL = "sixel"
    BLOCKS = "blocks"
    OFF = "off"


_choice = {"wanted": AUTO, "found": ""}  # of this run: the setting, and what the terminal turned out to show


def want(setting: str) -> None:
    """How pictures are to be shown from now on: the setting `pictures`."""
    _choice["wanted"] = setting


def protocol(console: Console) -> Protocol:
    """How pictures are shown on this console. The first time, the terminal is asked where nothing else tells."""
    if not _has_screen(console) or _choice["wanted"] == Protocol.OFF:
        return Protocol.OFF
    if not _choice["found"]:
        _choice["found"] = _find_protocol(console)
    wanted = _choice["found"] if _choice["wanted"] == AUTO else _choice["wanted"]
    if wanted == Protocol.KITTY and not (console.color_system == "truecolor" and not console.no_color):
        wanted = Protocol.BLOCKS  # where a picture goes is written in 24 bits of colour
    if wanted == Protocol.BLOCKS and (console.no_color or console.color_system not in ("256", "truecolor")):
        return Protocol.OFF
    return Protocol(wanted)


def _has_screen(console: Console) -> bool:
    """Whether the console writes to a terminal that moves its cursor, and that terminal is stdout."""
    if console.stderr or console.legacy_windows or console.is_dumb_terminal or not console.is_terminal:
        return False
    return bool(sys.__stdout__ and sys.__stdout__.isatty() and sys.__stdin__ and sys.__stdin__.isatty())


def _find_protocol(console: Console) -> Protocol:
    """What the terminal shows; asks it for sixel unless its name tells, and for the size of its cells unless the system does."""
    library = _library()
    with _alone():
        Measurement.get(console, console.options, library.HalfcellImage(_dot()))  # the library asks for the size once
        if os.environ.get("TERM", "") in _KITTY_TERMS:
            return Protocol.KITTY
        return Protocol.SIXEL if library.sixel.query_terminal_support() else Protocol.BLOCKS


def _library() -> Any:
    """textual-image's renderables, imported without a question to the terminal; half a second the first time."""
    logging.getLogger("textual_image").addHandler(logging.NullHandler())  # a terminal that does not answer is nothing to warn of
    logging.getLogger("textual_image").propagate = False
    stdout, sys.__stdout__ = sys.__stdout__, None  # type: ignore[misc]  # the module asks at once where it sees a terminal
    try:
        import textual_image.renderable as library
    finally:
        sys.__stdout__ = stdout  # type: ignore[misc]
    return library


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """The terminal for a question of ours: what was typed before it, and what comes late after it, is nobody's answer."""
    drop_typed_keys()
    yield
    time.sleep(LATE_SECONDS_REMOTE if os.environ.get("SSH_CONNECTION") else LATE_SECONDS)
    drop_typed_keys()


def _dot() -> Image.Image:
    from PIL import Image

    return Image.new("RGB", (1, 1))


# --- what is drawn ----------------------------------------------------------------------------------------------------
class _PictureRow:
    """A picture as rich draws it: nothing where pictures cannot be shown, or where its file has gone."""

    def __init__(self, images: Sequence[Path | Image.Image], columns: int, captions: Sequence[str] = ()) -> None:
        self._images = images
        self._columns = columns
        self._captions = captions

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it, as large as asked for and as the screen has room: rows of pictures for which there is none are left out."""
        how = protocol(console)
        if how is Protocol.OFF:
            return
        library = _library()
        kinds = {Protocol.KITTY: library.TGPImage, Protocol.SIXEL: library.SixelImage, Protocol.BLOCKS: library.HalfcellImage}
        slots, left = min(len(self._images), MOST_IN_A_ROW), max(LEAST_ROWS, console.height - ROWS_FOR_TEXT)
        for start in range(0, len(self._images), MOST_IN_A_ROW):
            strip = _side_by_side(self._images[start : start + slots], slots) if left >= LEAST_ROWS else None
            if strip is None:
                return
            room = options.update(width=min(self._columns, options.max_width)).update_height(left)
            shown = kinds[how](strip, width="auto", height="auto")
            drawn = list(console.render(shown, room))
            yield from drawn
            if captions := self._captions[start : start + slots]:
                yield Text(_under(captions, slots, Measurement.get(console, room, shown).maximum), no_wrap=True)
            left -= sum(segment.text.count("\n") for segment in drawn if not segment.control) + bool(captions)


def picture(image: Path | Image.Image, columns: int) -> RenderableType:
    """A picture, at most so many columns wide; a view can put it among its lines, also where pictures cannot be shown."""
    return _PictureRow((image,), columns)


def pictures(images: Sequence[Path | Image.Image], columns: int, captions: Sequence[str] = ()) -> RenderableType:
    """Pictures side by side in so many columns, four in a row, each with a word under it."""
    return _PictureRow(images, columns, captions)


def _side_by_side(images: Sequence[Path | Image.Image], slots: int) -> Image.Image | None:
    """One picture of all, each as high as the others and in a place as wide as theirs; None where none can be read."""
    from PIL import Image

    opened = [_opened(image) for image in images]
    if not any(opened):
        return None
    if slots == 1:
        return opened[0]
    scaled = [one and one.resize((max(1, round(one.width * SIDE_PX / one.height)), SIDE_PX)) for one in opened]
    place = max(one.width for one in scaled if one) + GAP_PX
    strip = Image.new("RGB", (place * slots - GAP_PX, SIDE_PX))
    for number, one in enumerate(scaled):
        if one:
            strip.paste(one, (number * place + (place - GAP_PX - one.width) // 2, 0))
    return strip


def _opened(image: Path | Image.Image) -> Image.Image | None:
    from PIL import Image

    if not isinstance(image, Path):
        return image.convert("RGB")
    with contextlib.suppress(OSError, ValueError), Image.open(image) as file:
        return file.convert("RGB")
    return None  # gone, or damaged: what is said of it stands without it


def _under(captions: Sequence[str], slots: int, width: int) -> str:
    """The words in line with the pictures above them."""
    share = width / slots
    line = ""
    for number, caption in enumerate(captions):
        line = line.ljust(round(number * share)) + caption[: max(1, int(share) - 1)].center(int(share))
    return line.rstrip()
