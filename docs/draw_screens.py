"""Draws screens of the program as pictures: `python docs/draw_screens.py [NAME ...]`.

Each scene drives the real program in a pseudo-terminal of 80x24, as the tests do, in a home of its own, and draws what stands on
the screen, colours and all, to `docs/images/screens/NAME.LANGUAGE.png`. Only the graphics card is pretended, by a stand-in for the
driver's binding, and in the scenes of a training the trainer, by the stand-in of the tests. Texts are waited for in the language of
the scene. Needs what requirements-dev.txt names; the font is DejaVu Sans Mono, which comes with matplotlib.
"""

from __future__ import annotations

import contextlib
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

import psutil  # noqa: E402
from embedded_lora import make_embedded_lora  # noqa: E402
from one_file import write_stub  # noqa: E402
from people_kit import SIDE, photos_of, seen_client  # noqa: E402
from PIL import Image, ImageDraw, ImageFont  # noqa: E402
from pseudo_terminal import Terminal  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from stages import finish  # noqa: E402

from client_folder.client import Client, create_client  # noqa: E402
from client_folder.consent import What, record_consent  # noqa: E402
from client_folder.last_used import keep_last_used  # noqa: E402
from client_folder.records import DetectedFaces  # noqa: E402
from config import Settings, save_settings  # noqa: E402
from data_preprocessor import prepare_dataset  # noqa: E402
from embedded.drawing.painting import draw  # noqa: E402
from embedded.drawing.palette import HAIR, SKIN  # noqa: E402
from embedded.drawing.portraits import caption, random_face, random_portrait  # noqa: E402
from embedded.drawing.sample_client import LOOK  # noqa: E402
from image_processor import process_faces  # noqa: E402
from locales.language import LANGUAGES, _, speak  # noqa: E402
from utils import read_record, write_record  # noqa: E402

FOLDER = DOCS / "images" / "screens"
PLACE = Path(tempfile.gettempdir(), "avatars")  # short: its name is seen on the screens
CELL_PX, LINE_PX, MARGIN_PX, FONT_PX = 9, 18, 10, 15  # DejaVu Sans Mono is 0.602 of its size wide
COLOURS = 32  # of a picture's palette: a screen of 80x24 then takes about 20 kB
COLOURS_OF_PICTURES = 64  # where half blocks show pictures
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
    used = [row for row, line in enumerate(screen.display) if line.strip()]  # what is blank above and below is left out
    size = (screen.columns * CELL_PX + 2 * MARGIN_PX, (used[-1] + 1 - used[0]) * LINE_PX + 2 * MARGIN_PX)
    picture = Image.new("RGB", size, f"#{PAPER}")
    brush = ImageDraw.Draw(picture)
    for row in range(used[0], used[-1] + 1):
        for column in range(screen.columns):
            cell = screen.buffer[row][column]
            ink, paper = _colour(cell.fg, INK), _colour(cell.bg, PAPER)
            if cell.reverse:
                ink, paper = paper, ink
            left, top = MARGIN_PX + column * CELL_PX, MARGIN_PX + (row - used[0]) * LINE_PX
            if paper != f"#{PAPER}":
                brush.rectangle((left, top, left + CELL_PX - 1, top + LINE_PX - 1), fill=paper)
            if cell.data == "▀":  # half of a picture's cell
                brush.rectangle((left, top, left + CELL_PX - 1, top + LINE_PX // 2 - 1), fill=ink)
            elif cell.data.strip():
                brush.text((left, top), cell.data, font=fonts[cell.bold], fill=ink)
    pictured = any("▀" in line for line in screen.display)
    return picture.quantize(COLOURS_OF_PICTURES if pictured else COLOURS, dither=Image.Dither.NONE)


# --- what the scenes start from ---------------------------------------------------------------------------------------
def _with_card(home: Path) -> dict[str, str]:
    """The environment in which one card is pretended."""
    folder = home.parent / "binding"
    folder.mkdir(exist_ok=True)
    (folder / "pynvml.py").write_text(BINDING, encoding="utf-8")
    return {"PYTHONPATH": str(folder)}


def _set_up(home: Path, **changed: str) -> None:
    """Settings as after a first start with SDXL: the base a stub that nobody opens, the trainer the stand-in of the tests."""
    base = write_stub(home.parent / "sd_xl_base_1.0.safetensors")
    given = {"base_model": str(base), "sd_scripts": str(ROOT / "tests" / "data" / "standin_trainer"), **changed}
    save_settings(home, Settings.model_validate(given))


def _draw_client(home: Path, name: str = "ana", called: str = "", photos: int = 12, **changed: str) -> Client:
    """A client of drawn pictures with a dataset, who agreed to be trained."""
    _set_up(home, **changed)
    client = create_client(home, name, "woman", called)
    record_consent(client, What.TRAINING, "Ana, 3 May")
    folder = client.dataset_folder(10)
    folder.mkdir(parents=True)
    rng = random.Random(7)
    for number in range(photos):
        portrait = random_portrait(rng, **LOOK)
        Image.fromarray(draw([portrait], 96, 96)[0]).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(caption(portrait, subject=f"{name} woman") + "\n", encoding="utf-8")
    return client


def _paint_people(people: Sequence[int], seed: int) -> Image.Image:
    """Drawn people side by side; 0 is the client, the others are whoever their number makes them."""
    row = Image.new("RGB", (SIDE * len(people), SIDE))
    for at, who in enumerate(people):
        rng = random.Random(who)
        look = LOOK if who == 0 else {"face": random_face(rng), "gender": "man" if who % 2 else "woman"}
        look = look if who == 0 else look | {"hair": rng.choice(list(HAIR)), "skin": rng.choice(list(SKIN))}
        row.paste(Image.fromarray(draw([random_portrait(random.Random(seed), **look)], SIDE, SIDE)[0]), (at * SIDE, 0))
    return row


def _judged_client(home: Path, photos: dict[str, list[int]], drawn: dict[str, list[int]]) -> Client:
    """A client whose pictures show these people, judged and laid out as a dataset."""
    _set_up(home)
    client = seen_client(home, photos, drawn, _paint_people)
    _vary(client)
    finish(process_faces(client, Settings()))
    finish(prepare_dataset(client, Settings()))
    return client


def _vary(client: Client) -> None:
    """Heads turned, lit and set before backgrounds that differ, as in pictures that were taken on different days."""
    rng = random.Random(7)
    for path in client.looks.iterdir():
        seen = read_record(path, DetectedFaces)
        spread = {"turn": 12.0, "yaw": 15.0, "brightness": 25.0, "background_red": 60.0, "background_blue": 60.0}
        faces = []
        for face in seen.faces:
            moved = {name: face.measures[name] + rng.uniform(-by, by) for name, by in spread.items()}
            faces.append(face.model_copy(update={"measures": {**face.measures, **moved}}))
        write_record(path, seen.model_copy(update={"faces": tuple(faces)}))


def _painter(home: Path) -> Client:
    """A client with a LoRA of the practice model, which changes nothing, and what her portraits are asked with."""
    client = _draw_client(home, base_model="embedded")
    client.models.mkdir()
    file = make_embedded_lora(client.models / "ana_avatar_v1.safetensors")
    save_file({name: weights * 0 for name, weights in load_file(file).items()}, file)
    prompt = "portrait of ana woman, blonde hair in a bun, dark skin, glasses, smiling, beach background"
    keep_last_used(client, "generate", {"pick": "own", "prompt": prompt, "count": "4"})
    return client


# --- what the scenes do -----------------------------------------------------------------------------------------------
def _said(message: str) -> str:
    """The beginning of a message in the scene's language, up to the first fact in it."""
    return _(message).split("{")[0].strip()


def _choose(terminal: Terminal, label: str) -> None:
    """Move to a row of a menu by its label and take it; raises SystemExit where there is no such row."""
    for _press in range(40):
        if any(line.strip().startswith(">") and label in line for line in terminal.screen().splitlines()):
            terminal.press("enter")
            return
        terminal.press("down")
        terminal.settle(0.1)
    raise SystemExit(f"no row {label}:\n{terminal.screen()}")


def _ended(home: Path, *words: str, **said: str) -> Terminal:
    """The program run with these words; it has ended, and its last screen stays."""
    terminal = Terminal(home, *words, **said)
    while terminal.child.isalive() or terminal._read(0):
        if not terminal._read(0.2):
            break
    return terminal


def _menu(home: Path, said: dict[str, str], *, card: bool = True) -> Terminal:
    """The first screen."""
    terminal = Terminal(home, **said, **(_with_card(home) if card else {}))
    terminal.wait_for(_("What shall we work on?"))
    return terminal


def _client_menu(home: Path, said: dict[str, str], *, card: bool = True) -> Terminal:
    """The client's eight steps."""
    terminal = _menu(home, said, card=card)
    _choose(terminal, "ana")
    terminal.wait_for(_("Next for {client}:").format(client="ana"))
    terminal.settle()
    return terminal


def _end_all(home: Path) -> None:
    """End what a scene leaves running in its home: a training goes on when its window closes."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if str(home.parent) in " ".join(process.cmdline()):
                process.kill()
                process.wait(10)


# --- the scenes: each hands back the terminal as it is to be drawn ----------------------------------------------------
Scene = Callable[[Path, dict[str, str]], Terminal]


def first_start(home: Path, said: dict[str, str]) -> Terminal:
    """The first question of a new home, with a card: which base?"""
    terminal = Terminal(home, fresh=True, **said, **_with_card(home))
    terminal.wait_for(_("Which base model?"))
    return terminal


def clients(home: Path, said: dict[str, str]) -> Terminal:
    """The first screen with clients at different steps."""
    create_client(home, "ben", "man", "Ben Carter")
    seen_client(home, photos_of(0, 3), paint=_paint_people)
    _draw_client(home, "jose_nandu", "José Ñandú")
    return _menu(home, said)


def client(home: Path, said: dict[str, str]) -> Terminal:
    """A client's eight steps, of which six are done."""
    _judged_client(home, photos_of(0, 14), photos_of(0, 26, "mj"))
    return _client_menu(home, said)


def who(home: Path, said: dict[str, str]) -> Terminal:
    """Photos of several people: which of them is the client?"""
    _judged_client(home, photos_of(0, 5) | photos_of(1, 3) | photos_of(2, 2) | photos_of(5, 2), {})
    terminal = _client_menu(home, said)
    _choose(terminal, _("Pictures, limits, captions, dataset doctor ..."))
    terminal.settle()
    _choose(terminal, _("Say which face is the client's"))
    terminal.wait_for("▀", _("Which face is the client?"))
    return terminal


def verdict(home: Path, said: dict[str, str]) -> Terminal:
    """What is wrong with a dataset, in plain words."""
    _judged_client(home, photos_of(0, 14), photos_of(1, 9, "mj_a") | photos_of(0, 4, "mj_b"))
    return _ended(home, "doctor", "--client", "ana", **said, **_with_card(home))


def training_form(home: Path, said: dict[str, str]) -> Terminal:
    """All that a training asks, on one screen."""
    _draw_client(home)
    terminal = _client_menu(home, said)
    _choose(terminal, _("Train the LoRA"))
    terminal.wait_for(_("Go on"))
    return terminal


def plan(home: Path, said: dict[str, str]) -> Terminal:
    """The plan of a training for the card that is here."""
    _draw_client(home, photos=30)
    return _ended(home, "train", "--plan", "--client", "ana", **said, **_with_card(home))


def training(home: Path, said: dict[str, str]) -> Terminal:
    """A training that runs."""
    client = _draw_client(home)
    words = ("train", "--client", "ana", "--preset", "quick", "--yes", "--anyway")
    falling = {"STANDIN": "success", "STANDIN_PAUSE": "0.01", "STANDIN_LOSS": "falling"}
    falling["STANDIN_SAMPLE"] = str(client.dataset_folder(10) / "4.png")
    terminal = Terminal(home, *words, **falling, **said, **_with_card(home))
    terminal.wait_for("ana_avatar_v1-step00000750", seconds=180)
    return terminal


def no_card(home: Path, said: dict[str, str]) -> Terminal:
    """A plan for SDXL without a card, and what may be done instead."""
    _draw_client(home, photos=30)
    terminal = _client_menu(home, said, card=False)
    _choose(terminal, _("Train the LoRA"))
    terminal.wait_for(_("Go on"))
    terminal.settle()
    terminal.press("page down", "enter")
    terminal.wait_for(_("Go ahead?"))
    return terminal


def colab(home: Path, said: dict[str, str]) -> Terminal:
    """A client packed for the notebook."""
    _draw_client(home, photos=30)
    return _ended(home, "colab", "--client", "ana", **said)


def portraits_form(home: Path, said: dict[str, str]) -> Terminal:
    """All that portraits ask, on one screen."""
    _painter(home)
    terminal = _client_menu(home, said)
    _choose(terminal, _("Paint portraits"))
    terminal.wait_for(_("Go on"))
    return terminal


def portraits(home: Path, said: dict[str, str]) -> Terminal:
    """Finished portraits, and what may follow."""
    terminal = portraits_form(home, said)
    terminal.settle()
    terminal.press("page down", "enter")
    terminal.wait_for(_("Go ahead?"))
    terminal.press("enter")
    terminal.wait_for(_("And now?"), seconds=180)
    return terminal


def settings(home: Path, said: dict[str, str]) -> Terminal:
    """The settings, as a form."""
    _draw_client(home)
    terminal = _menu(home, said)
    _choose(terminal, _("Show or change the settings"))
    terminal.wait_for(_("Esc: back, nothing is changed; arrows: move and choose; PgDn: the last row"))
    return terminal


def erase(home: Path, said: dict[str, str]) -> Terminal:
    """What goes when a client is erased, and the name that has to be typed."""
    client = _judged_client(home, photos_of(0, 14), photos_of(0, 26, "mj"))
    client.models.mkdir(exist_ok=True)
    make_embedded_lora(client.models / "ana_avatar_v1.safetensors")
    terminal = Terminal(home, "client", "erase", "ana", **said)
    terminal.wait_for(_said("To go ahead, type the name, {name}:"))
    return terminal


def gpu(home: Path, said: dict[str, str]) -> Terminal:
    """What this machine is like."""
    _draw_client(home)
    return _ended(home, "gpu", **said, **_with_card(home))


SCENES: dict[str, Scene] = {
    scene.__name__: scene
    for scene in (
        first_start, clients, client, who, verdict, training_form, plan, training, no_card, colab, portraits_form, portraits,
        settings, erase, gpu,
    )
}  # fmt: skip


def main(names: Sequence[str]) -> int:
    """Draw the named scenes, or all, in every language; returns the exit code."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    PLACE.mkdir()  # where it is there already, somebody else draws; its name is seen on the screens, so it is always the same
    try:
        for name in names or SCENES:
            for language in LANGUAGES:
                speak(language)
                home = PLACE / "home"
                home.mkdir()
                said = {"LANG": f"{language}_{language.upper()}.UTF-8", "COLORTERM": "truecolor", "HOME": str(home.parent)}
                with SCENES[name](home, said) as terminal:
                    terminal.settle()
                    file = FOLDER / f"{name}.{language}.png"
                    draw_screen(terminal._screen).save(file, optimize=True)
                _end_all(home)
                shutil.rmtree(PLACE)
                PLACE.mkdir()
                print(file.relative_to(ROOT), file.stat().st_size)
    finally:
        shutil.rmtree(PLACE)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
