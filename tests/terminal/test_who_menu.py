"""Who the client is, asked, shown before it counts and taken back in a real terminal; and several pictures accepted at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import program
from people_kit import GOOD, photos_of, seen_client
from pseudo_terminal import Terminal
from stages import finish

from client_folder.client import Client
from client_folder.records import DetectedFaces
from config import Settings
from data_preprocessor import prepare_dataset
from image_processor import process_faces
from utils import read_record, write_record

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pexpect has no pseudo-terminal on Windows")
LONG = "peterkaminski_portrait_of_ana_woman_in_a_red_dress_by_the_sea_at_dusk_a1b2c3d4.png"


def open_list(terminal: Any, row: str, *, inside: bool = False) -> None:
    """Go to a row of the client's second list, in which one may be already."""
    for text in (row,) if inside else ("Pictures, limits", row):
        terminal.wait_for(text)
        for _step in range(20):
            if any(line.strip().startswith(">") and text in line for line in terminal.screen().splitlines()):
                break
            terminal.press("down")
            terminal.settle()
        terminal.press("enter")
        terminal.settle()


def begin(terminal: Any) -> None:
    terminal.wait_for("What shall we work on?")
    terminal.press("enter")
    terminal.wait_for("Next for ana:")


def accepted(client: Client) -> set[str]:
    return {face.file for face in client.faces() if face.crop}


def test_another_face_is_shown_with_its_effect_needs_a_yes_and_can_be_taken_back(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text("{}")
    client = seen_client(tmp_path, photos_of(0, 5) | {"group_of_3.png": [1, 2, 0]})
    finish(process_faces(client, Settings()))
    right = accepted(client)
    with Terminal(tmp_path) as terminal:
        begin(terminal)
        open_list(terminal, "Say which face is the client's")
        screen = terminal.wait_for("The client now: p0_0.png and 5 more", "6 pictures, the client now: p0_0.png and 5 more")
        assert "1 picture: group_of_3.png, face 1 of 3, raw_real/group_of_3.png" in screen
        terminal.press("down", "enter")
        screen = terminal.wait_for("This face would be the client's: group_of_3.png, face 1 of 3", "> 0) No")
        assert "5 pictures agree on the client now; 0 of 6 show somebody else." in screen
        assert "Then 1 picture says who the client is; 5 of 6 show somebody else." in screen
        terminal.press("enter")
        terminal.wait_for("Nothing was done.", "Next for ana:")
        assert accepted(client) == right and not client.decisions().pointed
        open_list(terminal, "Say which face is the client's", inside=True)
        terminal.wait_for("The client now")
        terminal.press("down", "enter")
        terminal.wait_for("> 0) No")
        terminal.press("up", "enter")
        terminal.wait_for("1 accepted, 5 rejected", "Next for ana:", "0) Back")
        assert "p0_0.png: someone else" in terminal.everything()
        open_list(terminal, "Say which face is the client's", inside=True)
        terminal.wait_for("<- as it was before")
        terminal.press("4", "enter")
        terminal.wait_for("Then 5 pictures agree on the client; 0 of 6 show somebody else.", "> 0) No")
        terminal.press("up", "enter")
        terminal.wait_for("6 accepted, 0 rejected", "Next for ana:", "0) Back")
        assert "p0_0.png is accepted now" in terminal.everything()
    assert accepted(client) == right


def test_photos_of_several_people_are_asked_about_in_spanish_too(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text("{}")
    client = seen_client(tmp_path, photos_of(0, 2) | photos_of(1, 2) | photos_of(2, 1))
    finish(process_faces(client, Settings()))
    finish(prepare_dataset(client, Settings()))
    with Terminal(tmp_path, LANG="es_ES.UTF-8") as terminal:
        terminal.wait_for("¿En qué trabajamos?")
        terminal.press("enter")
        terminal.wait_for("> 7) → Entrenar el LoRA", "0) Atrás")
        terminal.press("enter")
        terminal.wait_for("estas fotos muestran a 3 personas: ¿cuál", "> 0) No")
        terminal.press("enter")
        terminal.wait_for("No se ha hecho nada", "Entrenar el LoRA")
    assert not client.training.joinpath("lora_config.json").exists()


def test_several_pictures_are_accepted_at_once_and_the_list_stays(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text("{}")
    names = ["a.png", "b.png", LONG]
    client = seen_client(tmp_path, photos_of(0, 2) | {name: [0] for name in names})
    for path in client.looks.iterdir():
        seen = read_record(path, DetectedFaces)
        if seen.file in names:
            small = seen.faces[0].model_copy(update={"measures": {**GOOD, "upscale": 9.0}})
            write_record(path, seen.model_copy(update={"faces": (small,)}))
    finish(process_faces(client, Settings()))
    assert accepted(client) == set(photos_of(0, 2))
    with Terminal(tmp_path) as terminal:
        begin(terminal)
        open_list(terminal, "Accept a picture by hand")
        screen = terminal.wait_for("Pictures to accept", "a.png  (face too small)")
        (line,) = [line for line in screen.splitlines() if "peterkaminski" in line]
        assert "a1b2c3d4.png  (face too small)" in line
        terminal.press(" ", "down", " ", "enter")
        terminal.wait_for("a.png is accepted now", "b.png is accepted now", "4 accepted, 1 rejected")
        screen = terminal.wait_for("Pictures to accept", "take back: a.png")
        assert "> " in screen and "…" in screen
        terminal.press("enter")  # nothing is ticked: the row under the pointer
        terminal.wait_for("a1b2c3d4.png is accepted now", "5 accepted, 0 rejected", "take back: b.png")
        terminal.press("escape")
        terminal.wait_for("Next for ana:")
    assert accepted(client) == {*photos_of(0, 2), *names}


def test_many_pictures_are_taken_out_only_after_a_yes_and_put_back_together(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text("{}")
    client = seen_client(tmp_path, photos_of(0, 3), photos_of(1, 6, "mj") | photos_of(0, 1, "right"))
    finish(process_faces(client, Settings()))
    finish(prepare_dataset(client, Settings()))
    with Terminal(tmp_path) as terminal:
        begin(terminal)
        open_list(terminal, "Take pictures out of training")
        terminal.wait_for("6 of 7 MidJourney pictures show somebody else")
        terminal.press("enter")
        terminal.wait_for("6 pictures would be taken out of training, 4 would remain.", "- mj_0.png", "> 0) No")
        terminal.press("enter")
        terminal.wait_for("Nothing was done.", "Next for ana:")
        assert len(client.crops()) == 10
        open_list(terminal, "Take pictures out of training", inside=True)
        terminal.wait_for("6 of 7 MidJourney pictures show somebody else")
        terminal.press("enter")
        terminal.wait_for("> 0) No")
        terminal.press("up", "enter")
        terminal.wait_for("6 taken out of training, 0 put back.", "put all 6 back")
        assert len(client.crops()) == 4
        for _row in range(10):
            if any(line.strip().startswith(">") and "put all 6 back" in line for line in terminal.screen().splitlines()):
                break
            terminal.press("down")
            terminal.settle()
        terminal.press("enter")
        terminal.wait_for("0 taken out of training, 6 put back.")
    assert len(client.crops()) == 10


def test_the_command_line_chooses_plans_and_takes_back(tmp_path: Path) -> None:
    client = seen_client(tmp_path, photos_of(0, 3) | {"group_of_3.png": [1, 2, 0]})
    finish(process_faces(client, Settings()))

    def answer(*words: str, code: int = 0) -> dict[str, Any]:
        done = subprocess.run(
            program(tmp_path, "who", "--client", "ana", *words, "--json"), capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        assert done.returncode == code, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    assert "nothing to take back" in answer("undo", code=1)["error"]
    plan = answer("group_of_3.png:1", "--plan")
    assert (plan["now"]["references"], plan["then"]["references"], plan["then"]["others"], plan["pictures"]) == (3, 1, 3, 4)
    assert len(answer("group_of_3.png:1")["accepted"]) == 1
    assert len(answer("undo")["accepted"]) == 4
    assert len(answer("undo")["accepted"]) == 1
    assert len(answer("undo:group_of_3.png")["accepted"]) == 4
