"""Text that is not ours, in names, prompts, captions, paths and records: shown letter by letter, never obeyed."""

import io
import json
import re

import numpy as np
import pytest
from looked_at import looked_at
from pseudo_terminal import Terminal
from rich.console import Group
from rich.live import Live
from rich.progress import Progress
from rich.text import Text
from safetensors.numpy import save_file

from avatar_pipeline import main
from terminal.console import PlainConsole, printable
from terminal.screens import failure, progress_columns, table
from utils import ModelMissing

MARKS = "[b]bold[/b] [/x] [cow:horse:0.5] :smile: [link=file:///etc]"
ESCAPES = "a\x1b]0;owned\x07b\x1b[2Jc\x9b31md\u202ee"


def drawn(*things, width=200, **options):
    out = io.StringIO()
    PlainConsole(file=out, width=width, force_terminal=True, color_system=None, **options).print(*things)
    return out.getvalue()


@pytest.mark.parametrize(
    "wrapped", [str, Text, lambda words: Group(words), lambda words: Group(Text(words)), lambda words: rows_of(words)]
)
def test_markup_is_shown_and_escapes_are_not_obeyed(wrapped):
    assert MARKS in drawn(wrapped(MARKS))
    shown = drawn(wrapped(ESCAPES))
    assert "?]0;owned" in shown and "?[2Jc?31md?e" in shown
    assert not set("\x1b\x07\x9b\u202e") & set(shown)
    assert "one?two" in drawn(wrapped("one\ntwo"))


def rows_of(words):
    rows = table(words, words, "second")
    rows.add_row(words, Text(words))
    return rows


def test_a_table_with_them_stays_in_line():
    rows = table("", "first", "second")
    rows.add_row("x\x1b[31m\ny", "right")
    rows.add_row("plain", "right")
    lines = [line for line in drawn(rows).splitlines() if "right" in line]
    assert len({line.index("right") for line in lines}) == 1 and len(lines) == 2


def test_names_keep_their_joiners_and_blanks():
    assert printable("می\u200cخواهم 👩\u200d🚀 3.05\u202fPM\t.png") == "می\u200cخواهم 👩\u200d🚀 3.05 PM .png"


def test_bars_and_errors_show_them():
    out = io.StringIO()
    console = PlainConsole(file=out, width=120, force_terminal=True)
    bars = Progress(*progress_columns(), console=console)
    bars.add_task("work", total=2, note=f"{MARKS[:20]}\x1b[2J", seconds=None)
    with Live(bars, console=console, transient=False):
        pass
    assert MARKS[:20] in out.getvalue() and "\x1b[2J" not in out.getvalue()
    assert "[/b]?[2J" in drawn(failure(ModelMissing(model="x[/b]\x1b[2J")))


# --- the program --------------------------------------------------------------------------------------------------------
NAME = "x[/b]\x1b]0;owned\x07\x1b[2J[cow:horse:0.5]"
SHOWN = re.compile(r"x\[/b\]\?\]0;owned\?{1,2}\[2J\[cow:horse:0\.5\]")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A client in whose records and files such names stand wherever something is named."""
    home = tmp_path_factory.mktemp("home")
    client = looked_at(home, bright=120.0, dark=1.0)
    for record in client.metadata.rglob("*.json"):
        record.write_text(record.read_text().replace("IMG ", json.dumps(NAME)[1:-1]))
    state = json.loads(client.state_file.read_text())
    client.state_file.write_text(json.dumps({**state, "name": f"Ana {NAME}"}))
    client.models.mkdir(exist_ok=True)
    (client.models / f"{NAME.replace('/', '')}_avatar_v1.safetensors").write_bytes(b"torn")
    layer = {"lora_unet_down_blocks_1_attn2_to_k.lora_down.weight": np.zeros((4, 64), np.float32)}  # of the embedded base's width
    save_file(layer, client.models / "ana_avatar_v1.safetensors")
    return home


def said(home, capsys, *words, code=0):
    """What one action prints, on both streams; none of it may move the cursor."""
    assert main(["--home", str(home), "--language", "en", *words]) == code
    both = "".join(capsys.readouterr())
    assert not set("\x1b\x07\x9b") & set(both)
    return " ".join(both.split())


def test_what_is_kept_is_shown_as_it_stands(home, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    assert SHOWN.search(said(home, capsys, "client", "show", "ana"))
    assert "x[/b]?]0;owned" in said(home, capsys, "rejected", "--client", "ana")
    assert "x[b]?]0;owned" in said(home, capsys, "checkpoints", "list", "--client", "ana")
    assert SHOWN.search(said(home, capsys, "prompts", "--client", "ana", "--master", NAME))
    said(home, capsys, "settings", "comfyui=/a[/b]c")
    assert "/a[/b]c" in said(home, capsys, "settings")
    assert "x[/b]" in said(home, capsys, "client", "show", NAME, code=1)


def test_a_plan_shows_prompts_as_they_stand(home, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    prompt = "portrait of ana [/b] woman, [soft light], [cow:horse:0.5]"
    words = ("generate", "--client", "ana", "--plan", "--prompt", prompt)
    assert prompt in said(home, capsys, *words)
    assert "[/b]" in said(home, capsys, *words, "--magic")


def test_the_menu_lists_them(home):
    with Terminal(home, size=(120, 40)) as terminal:
        terminal.wait_for("What shall we work on?")
        assert SHOWN.search(terminal.everything().replace("…", "")) or "Ana x[/b]?]0;owned" in terminal.screen()
        assert "\x1b]0;owned" not in terminal.raw
