"""Draws screens of the program as pictures: `python docs/draw_screens.py [NAME ...]`.

Each scene drives the real program in a pseudo-terminal of 80x24, as the tests do, in a home of its own, and draws what stands on
the screen, colours and all, to `docs/images/screens/NAME.LANGUAGE.png`. Only the graphics card is pretended, by a stand-in for the
driver's binding, and in the scenes of a training the trainer, by the stand-in of the tests. Texts are waited for in the language of
the scene. Needs what requirements-dev.txt names; the font is DejaVu Sans Mono, which comes with matplotlib.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # the program's modules and the tests' terminal, wherever this was started from

from one_file import write_stub  # noqa: E402
from PIL import Image, ImageDraw, ImageFont  # noqa: E402
from pseudo_terminal import Terminal  # noqa: E402

from client_folder.client import Client, create_client  # noqa: E402
from client_folder.consent import What, record_consent  # noqa: E402
from config import Settings, save_settings  # noqa: E402
from embedded.drawing.painting import draw  # noqa: E402
from embedded.drawing.portraits import caption, random_portrait  # noqa: E402
from embedded.drawing.sample_client import LOOK  # noqa: E402
from locales.language import LANGUAGES, _, speak  # noqa: E402

FOLDER = DOCS / "images" / "screens"
PLACE = Path(tempfile.gettempdir(), "avatar-pipeline")
CELL_PX, LINE_PX, MARGIN_PX, FONT_PX = 9, 18, 10, 15  # DejaVu Sans Mono is 0.602 of its size wide
COLOURS = 32  # of a picture's palette: a screen of 80x24 then takes about 20 kB
INK, PAPER = "d4d4d4", "1e1e1e"
# What pyte calls the sixteen colours; any other is six hexadecimal digits already.
NAMED = {
    "black": "000000", "red": "cd3131", "green": "0dbc79", "brown": "e5e510", "blue": "2472c8", "magenta": "bc3fbc",
    "cyan": "11a8cd", "white": "e5e5e5", "brightblack": "767676", "brightred": "f14c4c", "brightgreen": "23d18b",
    "brightbrown": "f5f543", "brightyellow": "f5f543", "brightblue": "3b8eea", "brightmagenta": "d670d6", "brightcyan": "29b8db",
    "brightwhite": "ffffff",
}  # fmt: skip
# In the place of the driver's binding: one card; what is not named here is answered as a driver answers that cannot tell.
BINDING = """
class NVMLError(Exception): ...
class NVMLError_NotSupported(NVMLError): ...
class _Facts:
    def __init__(self, **facts): self.__dict__.update(facts)
NVML_TEMPERATURE_GPU = 0
def nvmlInit(): ...
def nvmlShutdown(): ...
def nvmlSystemGetDriverVersion(): return "581.15"
def nvmlSystemGetCudaDriverVersion_v2(): return 13000
nvmlSystemGetCudaDriverVersion = nvmlSystemGetCudaDriverVersion_v2
def nvmlDeviceGetCount(): return 1
def nvmlDeviceGetHandleByIndex(index): return index
def nvmlDeviceGetMemoryInfo(handle): return _Facts(total=24564 << 20, used=1100 << 20, free=23464 << 20)
def nvmlDeviceGetCudaComputeCapability(handle): return (8, 9)
def nvmlDeviceGetName(handle): return "NVIDIA GeForce RTX 4090"
def nvmlDeviceGetUtilizationRates(handle): return _Facts(gpu=2)
def nvmlDeviceGetTemperature(handle, sensor): return 41
def nvmlDeviceGetUUID(handle): return "GPU-00000000-0000-0000-0000-000000000000"
def nvmlDeviceGetComputeRunningProcesses(handle): return []
def nvmlDeviceGetGraphicsRunningProcesses(handle): return []
def __getattr__(name):
    if not name.startswith("nvml"): raise AttributeError(name)
    def refuse(*_words): raise NVMLError_NotSupported(name)
    return refuse
"""


# --- drawing ----------------------------------------------------------------------------------------------------------
def _font(bold: bool) -> ImageFont.FreeTypeFont:
    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise SystemExit("matplotlib is not installed: pip install -r requirements-dev.txt")
    name = "DejaVuSansMono-Bold.ttf" if bold else "DejaVuSansMono.ttf"
    return ImageFont.truetype(str(Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / name), FONT_PX)


def _colour(name: str, otherwise: str) -> str:
    return f"#{otherwise if name == 'default' else NAMED.get(name, name)}"


def draw_screen(screen: Any) -> Image.Image:
    """A screen of pyte's as a picture: each character in its cell, in its colours."""
    fonts = {bold: _font(bold) for bold in (False, True)}
    size = (screen.columns * CELL_PX + 2 * MARGIN_PX, screen.lines * LINE_PX + 2 * MARGIN_PX)
    picture = Image.new("RGB", size, f"#{PAPER}")
    brush = ImageDraw.Draw(picture)
    for row in range(screen.lines):
        for column in range(screen.columns):
            cell = screen.buffer[row][column]
            ink, paper = _colour(cell.fg, INK), _colour(cell.bg, PAPER)
            if cell.reverse:
                ink, paper = paper, ink
            left, top = MARGIN_PX + column * CELL_PX, MARGIN_PX + row * LINE_PX
            if paper != f"#{PAPER}":
                brush.rectangle((left, top, left + CELL_PX - 1, top + LINE_PX - 1), fill=paper)
            if cell.data.strip():
                brush.text((left, top), cell.data, font=fonts[cell.bold], fill=ink)
    return picture.quantize(COLOURS, dither=Image.Dither.NONE)


# --- what the scenes start from ---------------------------------------------------------------------------------------
def _with_card(home: Path) -> dict[str, str]:
    """The environment in which one card is pretended."""
    folder = home.parent / "binding"
    folder.mkdir(exist_ok=True)
    (folder / "pynvml.py").write_text(BINDING, encoding="utf-8")
    return {"PYTHONPATH": str(folder)}


def _draw_client(home: Path) -> Client:
    """A client of drawn pictures with a dataset, who agreed to be trained; SDXL as a stub that nobody opens."""
    trainer, base = ROOT / "tests" / "data" / "standin_trainer", write_stub(home.parent / "sdxl.safetensors")
    save_settings(home, Settings(base_model=str(base), sd_scripts=str(trainer)))
    client = create_client(home, "ana", "woman")
    record_consent(client, What.TRAINING, "Ana, 3 May")
    folder = client.dataset_folder(10)
    folder.mkdir(parents=True)
    rng = random.Random(7)
    for number in range(12):
        portrait = random_portrait(rng, **LOOK)
        Image.fromarray(draw([portrait], 96, 96)[0]).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(caption(portrait, subject="ana woman") + "\n", encoding="utf-8")
    return client


def _choose(terminal: Terminal, label: str) -> None:
    """Move to a row of a menu by its label and take it; raises SystemExit where there is no such row."""
    for _press in range(40):
        if any(line.strip().startswith(">") and label in line for line in terminal.screen().splitlines()):
            terminal.press("enter")
            return
        terminal.press("down")
        terminal.settle(0.1)
    raise SystemExit(f"no row {label}:\n{terminal.screen()}")


def _read_to_end(terminal: Terminal) -> None:
    """Read until the program has ended; its last screen stays."""
    while terminal.child.isalive() or terminal._read(0):
        if not terminal._read(0.2):
            return


def _next_for() -> str:
    return _("Next for {client}:").format(client="ana")


# --- the scenes: each hands back the terminal as it is to be drawn ----------------------------------------------------
Scene = Callable[[Path, dict[str, str]], Terminal]


def first_start(home: Path, said: dict[str, str]) -> Terminal:
    """The first screen of a new home, with a card."""
    terminal = Terminal(home, **said, **_with_card(home))
    terminal.wait_for(_("What shall we work on?"))
    return terminal


def client(home: Path, said: dict[str, str]) -> Terminal:
    """A client's eight steps."""
    _draw_client(home)
    terminal = Terminal(home, **said, **_with_card(home))
    terminal.wait_for(_("What shall we work on?"))
    _choose(terminal, "ana")
    terminal.wait_for(_next_for())
    return terminal


def plan(home: Path, said: dict[str, str]) -> Terminal:
    """The plan of a training for the card that is here."""
    _draw_client(home)
    terminal = Terminal(home, "train", "--plan", "--client", "ana", **said, **_with_card(home))
    _read_to_end(terminal)
    return terminal


def training(home: Path, said: dict[str, str]) -> Terminal:
    """A training that runs."""
    _draw_client(home)
    words = ("train", "--client", "ana", "--preset", "quick", "--yes", "--anyway")
    terminal = Terminal(home, *words, STANDIN="success", STANDIN_PAUSE="0.02", **said, **_with_card(home))
    terminal.wait_for("ana_avatar_v1-step")
    return terminal


def no_card(home: Path, said: dict[str, str]) -> Terminal:
    """A plan for SDXL without a card, and what may be done instead."""
    _draw_client(home)
    terminal = Terminal(home, **said)
    terminal.wait_for(_("What shall we work on?"))
    _choose(terminal, "ana")
    terminal.wait_for(_next_for())
    _choose(terminal, _("Train the LoRA"))
    terminal.wait_for(_("How long to train:"))
    terminal.press("enter")
    terminal.wait_for(_("Go ahead?"))
    return terminal


def colab(home: Path, said: dict[str, str]) -> Terminal:
    """A client packed for the notebook."""
    _draw_client(home)
    terminal = Terminal(home, "colab", "--client", "ana", **said)
    _read_to_end(terminal)
    return terminal


def gpu(home: Path, said: dict[str, str]) -> Terminal:
    """What this machine is like."""
    _draw_client(home)
    terminal = Terminal(home, "gpu", **said, **_with_card(home))
    _read_to_end(terminal)
    return terminal


SCENES: dict[str, Scene] = {
    "first_start": first_start,
    "client": client,
    "plan": plan,
    "training": training,
    "no_card": no_card,
    "colab": colab,
    "gpu": gpu,
}


def main(names: Sequence[str]) -> int:
    """Draw the named scenes, or all, in every language; returns the exit code."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    PLACE.mkdir()  # where it is there already, somebody else draws; its name is seen on the screens, so it is always the same
    try:
        for name in names or SCENES:
            for language in LANGUAGES:
                speak(language)
                home = PLACE / f"{name}_{language}" / "avatars"
                home.mkdir(parents=True)
                with SCENES[name](home, {"LANG": f"{language}_{language.upper()}.UTF-8"}) as terminal:
                    terminal.settle()
                    file = FOLDER / f"{name}.{language}.png"
                    draw_screen(terminal._screen).save(file, optimize=True)
                print(file.relative_to(ROOT), file.stat().st_size)
    finally:
        shutil.rmtree(PLACE)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
