"""Portraits, a swap, models and the GPU as a person reaches them: the real program in a real terminal of 80x24."""

import json
import re
import sys

import pytest
from embedded_lora import make_embedded_lora
from onnx_standins import make_models, picture
from pseudo_terminal import Terminal

from client_folder.client import create_client
from client_folder.records import Faces, Source, Verdict
from utils import write_record

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pexpect has no pseudo-terminal on Windows")
NEXT = "Next for ana:"


@pytest.fixture
def client(tmp_path):
    """A client with crops and a LoRA, and stand-ins for InsightFace's models."""
    client = create_client(tmp_path, "ana", "woman")
    client.models.mkdir()
    client.processed.mkdir()
    make_embedded_lora(client.models / "ana_avatar_v1.safetensors")
    picture(client.processed / "0.png", [(320, 320, "#ff7a1e")])
    face = Verdict(file="raw_real/0.jpg", sha256="0" * 64, source=Source.REAL, crop="0.png", settings="")
    write_record(client.faces_file, Faces(faces=(face,)))
    make_models(tmp_path / "models")
    (tmp_path / "settings.json").write_text("{}")
    return client


def choose(terminal, text, most=30):
    """Walk down to the row that begins with a text, and take it."""
    row = re.compile(rf"^\s*>\s*(\S+\)\s)?[✓→·]?\s*{re.escape(text)}", re.MULTILINE)
    for _ in range(most):
        terminal._read(0.5)
        if row.search(terminal.screen()):
            terminal.press("enter")
            return
        terminal.press("down")
    raise AssertionError(f"no row {text}\n{terminal.screen()}")


def test_portraits_with_magic_a_style_and_a_grid_then_a_swap(client, tmp_path):  # noqa: PLR0915 - one walk
    target = picture(tmp_path / "group.png", [(160, 320, "#ffd11a"), (480, 320, "#fa761c")])
    with Terminal(tmp_path) as terminal:
        terminal.wait_for("What shall we work on?")
        terminal.press("enter")
        terminal.wait_for(NEXT)
        choose(terminal, "Paint portraits")
        terminal.wait_for("> what to paint", "the recommended prompts")
        terminal.press("left")
        terminal.to_row("prompt")
        terminal.press("retrato de ana mujer sonriendo")
        terminal.to_row("style")
        while "At the beach" not in terminal.form_row():
            terminal.press("right")
            terminal.settle()
        terminal.to_row("magic prompt")
        terminal.press("right")
        terminal.to_row("weight of the LoRA")
        terminal.press("0,0.8,1")
        terminal.to_row("pictures of each prompt")
        terminal.press("1", "page down")
        terminal.wait_for("3 portraits to paint")
        terminal.press("enter")
        screen = terminal.wait_for("Go ahead?", "3 portraits to paint")
        assert "retrato de ana mujer sonriendo" in screen, "what was written stands beside what is painted"
        assert "portrait of ana woman smiling, beach background, bright light" in " ".join(screen.split())
        terminal.press("enter")
        terminal.wait_for("3 portraits painted.", "And now?", seconds=120)
        assert client.sheets.joinpath("portraits_001.png").is_file()
        choose(terminal, "3 more, with new seeds")
        terminal.wait_for("3 portraits painted.", "portraits_002.png", "And now?", "1) Go on", seconds=120)
        terminal.settle(1.0)
        terminal.press("enter")
        terminal.wait_for(NEXT)

        choose(terminal, "Swap a face")
        terminal.wait_for("non-commercial research only", "commercial, without a licence")
        choose(terminal, "research, not commercial")
        terminal.wait_for("that get the client's face")
        terminal.press(str(target), "enter")
        terminal.wait_for("Did the person agree")
        terminal.press("Ana, on paper", "enter")
        terminal.wait_for("Only show the faces")
        terminal.press("enter")
        terminal.wait_for("Which face:")
        terminal.press("enter")
        terminal.wait_for("Consent: Ana, on paper", "Go ahead?")
        terminal.press("enter")
        terminal.wait_for("2 faces, numbered in", NEXT, "0) Back", seconds=120)
        assert "group.png: face 2" in terminal.everything()
        assert "1 picture made" in terminal.everything()
        assert "Traceback" not in terminal.everything()
    assert len(list(client.output.glob("portrait_*.png"))) == 6
    assert len(list(client.swaps.glob("group_*.json"))) == 1
    assert json.loads((tmp_path / "settings.json").read_text())["insightface_use"] == "research"


def test_models_and_the_gpu_are_shown_from_the_first_screen(client, tmp_path):
    with Terminal(tmp_path) as terminal:
        terminal.wait_for("What shall we work on?")
        choose(terminal, "Show the GPU")
        terminal.wait_for("Loaded models: none in this window")
        terminal.wait_for("What shall we work on?")
        choose(terminal, "Models: show")
        terminal.wait_for("What to do with the models:")
        choose(terminal, "free the memory")
        terminal.wait_for("No model is loaded in this window")
        choose(terminal, "Models: show")
        terminal.wait_for("What to do with the models:")
        terminal.press("enter")
        terminal.wait_for("inswapper_128", "non-commercial")
