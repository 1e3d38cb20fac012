"""The menu in a real terminal of 80x24: what it opens on, how it is left, what it says when something is wrong."""

import json
import sys

import pytest
from PIL import Image
from pseudo_terminal import Terminal

from client_folder.client import create_client, list_clients, open_client

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pexpect has no pseudo-terminal on Windows")
MAIN, NEXT = "What shall we work on?", "Next for ana:"


@pytest.fixture
def home(tmp_path):
    (tmp_path / "settings.json").write_text("{}")
    return tmp_path


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        Image.new("RGB", (64, 64), (number * 60, 90, 120)).save(folder / f"{number}.png")
    return folder


def test_it_opens_on_clients_and_tools_and_says_what_to_do_first(tmp_path):
    create_client(tmp_path, "ana")
    with Terminal(tmp_path) as terminal:
        screen = terminal.wait_for(MAIN, "1) ana", "New client", "sample client", "0) Quit")
        assert "First time here?" in screen
        terminal.press("0", "enter")
        assert terminal.wait_for_end() == 0


@pytest.mark.parametrize("key", ["escape", "ctrl-c"])
def test_both_keys_lead_back_and_out(home, key):
    create_client(home, "ana")
    with Terminal(home) as terminal:
        terminal.wait_for(MAIN)
        terminal.press("enter")
        terminal.wait_for(NEXT)
        terminal.press(key)
        terminal.wait_for("0) Quit")
        terminal.press(key)
        assert terminal.wait_for_end() == 0


def test_a_client_is_made_and_its_screen_offers_the_next_step(home):
    with Terminal(home) as terminal:
        terminal.wait_for(MAIN)
        terminal.press("1", "enter")
        terminal.wait_for("Name of the client")
        terminal.press("ana", "enter")
        terminal.wait_for("The client is a:")
        terminal.press("down", "enter")
        screen = terminal.wait_for(NEXT, "> 3) → Import MidJourney images")
        assert "Find and crop faces (import pictures first)" in screen
    assert open_client(home, "ana").state().class_word == "woman"


def test_a_name_that_cannot_be_is_refused_in_words(home):
    with Terminal(home) as terminal:
        terminal.wait_for(MAIN)
        terminal.press("1", "enter")
        terminal.wait_for("Name of the client")
        terminal.press("CON", "enter")
        terminal.wait_for('"CON" cannot be the name of a client.', MAIN)
    assert list_clients(home) == ()


def test_pictures_are_imported_after_the_plan_is_shown(home, pictures):
    client = create_client(home, "ana")
    with Terminal(home) as terminal:
        terminal.wait_for(MAIN)
        terminal.press("enter")
        terminal.wait_for(NEXT)
        terminal.press("enter")
        terminal.wait_for("Folder of the pictures")
        terminal.press(f"'{pictures}' ", "enter")  # as a folder dragged into the terminal arrives
        terminal.wait_for("3 pictures", "Go ahead?")
        assert client.pictures() == ()
        terminal.press("enter")
        terminal.wait_for("3 imported", "What the files do not tell:", "master prompt: -", "0.png (1): -")
        terminal.press("escape")
        terminal.wait_for("0 of 3 jobs have a whole prompt.", "> 4) → Import real photos")
    assert len(client.pictures()) == 3


def test_what_the_files_do_not_tell_is_filled_in_on_one_screen_and_asked_once(home, pictures):
    client = create_client(home, "ana")
    with Terminal(home) as terminal:
        terminal.wait_for(MAIN)
        terminal.press("enter")
        for folder in (pictures, pictures):
            terminal.wait_for(NEXT)
            terminal.press("3", "enter")
            terminal.wait_for("Folder of the pictures")
            terminal.press(str(folder), "enter")
            terminal.wait_for("Go ahead?")
            terminal.press("enter")
            if client.user_notes_file.exists():
                break
            terminal.wait_for("What the files do not tell:")
            terminal.press("2", "enter")
            terminal.wait_for("master prompt:")
            terminal.press("studio portrait", "enter")
            terminal.wait_for("master prompt: studio portrait", "Skip all of it")
            terminal.press("3", "enter")
            terminal.wait_for("0.png (1):")
            terminal.press("studio portrait, smiling --v 7", "enter")
            terminal.wait_for("0.png (1): studio portrait, smiling --v 7", "Skip all of it")
            terminal.press("1", "enter")
            terminal.wait_for("1 of 3 jobs have a whole prompt.")
        screen = terminal.wait_for("3 here already", NEXT)
        assert "What the files do not tell" not in screen.rpartition("3 here already")[2]
    first = json.loads(client.midjourney_file.read_text())["images"][0]
    assert (first["prompt"], first["params"], first["difference"]["added"]) == ("studio portrait, smiling", {"v": "7"}, ["smiling"])


def test_a_grid_is_offered_to_be_split(home, tmp_path):
    client = create_client(home, "ana")
    grid = Image.new("RGB", (128, 128), "black")
    for number, colour in enumerate(("red", "green", "blue", "white")):
        grid.paste(Image.new("RGB", (64, 64), colour), (number % 2 * 64, number // 2 * 64))
    (tmp_path / "grids").mkdir()
    grid.save(tmp_path / "grids" / "a_cat_a7421d2f-b262-44f9-977c-ac23e9c7d3e3.png")
    with Terminal(home) as terminal:
        terminal.wait_for(MAIN)
        terminal.press("enter")
        terminal.wait_for(NEXT)
        terminal.press("enter")
        terminal.wait_for("Folder of the pictures")
        terminal.press(str(tmp_path / "grids"), "enter")
        terminal.wait_for("1 pictures", "Go ahead?")
        terminal.press("enter")
        terminal.wait_for("1 grid of four, to be split", "Go ahead?")
        terminal.press("enter")
        terminal.wait_for("4 imported", "master prompt: a cat")
        terminal.press("enter")
        terminal.wait_for("1 of 1 jobs have a whole prompt.", NEXT)
    assert len(client.pictures()) == 5


def test_esc_in_a_question_of_yes_or_no_leads_back_and_is_no_answer(home):
    create_client(home, "ana")
    with Terminal(home) as terminal:
        terminal.wait_for(MAIN)
        terminal.press("enter")
        terminal.wait_for(NEXT)
        terminal.press("2", "enter")
        terminal.wait_for("3) erase it")
        terminal.press("3", "enter")
        terminal.wait_for("Export everything known of the client before it is erased?")
        terminal.press("escape")
        assert "Go ahead?" not in terminal.wait_for(NEXT, "0) Back")
    assert [client.id for client in list_clients(home)] == ["ana"]


def test_a_client_is_exported_where_it_is_erased_and_before_that(home):
    client = create_client(home, "ana")
    (home / "elsewhere").mkdir()
    with Terminal(home) as terminal:
        terminal.wait_for(MAIN)
        terminal.press("enter")
        terminal.wait_for(NEXT)
        terminal.press("2", "enter")
        terminal.wait_for("What to do with the client:", "1) show it", "2) export it", "3) erase it")
        terminal.press("2", "enter")
        terminal.wait_for("Where to: a folder or FILE.zip")
        terminal.press("enter")
        terminal.wait_for("1 files", "SHA-256", NEXT)
        assert len(list((home / "exports").glob("ana_*.zip"))) == 1
        terminal.press("2", "enter")
        terminal.wait_for("3) erase it")
        terminal.press("3", "enter")
        terminal.wait_for("Export everything known of the client before it is erased?")
        terminal.press("down", "enter")
        terminal.wait_for("Where to:")
        terminal.press(f"{home / 'elsewhere'}", "enter")
        terminal.wait_for("Go ahead?")
        assert client.state()
        terminal.press("enter")
        terminal.wait_for("ana is erased", MAIN)
    assert len(list((home / "elsewhere").iterdir())) == 1
    assert list_clients(home) == ()


def test_a_file_is_written_over_once_the_user_agrees(home):
    create_client(home, "ana")
    (home / "mine.zip").write_text("mine")
    with Terminal(home) as terminal:
        terminal.wait_for(MAIN)
        terminal.press("enter")
        terminal.wait_for(NEXT)
        terminal.press("2", "enter")
        terminal.wait_for("2) export it")
        terminal.press("2", "enter")
        terminal.wait_for("Where to:")
        terminal.press(str(home / "mine.zip"), "enter")
        terminal.wait_for("There is a file", "Write over it?")
        assert (home / "mine.zip").read_text() == "mine"
        terminal.press("enter")
        terminal.wait_for("SHA-256", NEXT)
    assert (home / "mine.zip").read_bytes()[:2] == b"PK"


def test_leaving_a_question_changes_nothing(home, pictures):
    client = create_client(home, "ana")
    with Terminal(home) as terminal:
        terminal.wait_for(MAIN)
        terminal.press("enter")
        terminal.wait_for(NEXT)
        terminal.press("enter")
        terminal.wait_for("Folder of the pictures")
        terminal.press(str(pictures), "enter")
        terminal.wait_for("Go ahead?")
        terminal.press("escape")
        terminal.wait_for("Nothing was done.", NEXT)
    assert client.pictures() == ()


def test_a_folder_that_is_not_there_leads_back_to_the_menu(home):
    create_client(home, "ana")
    with Terminal(home) as terminal:
        terminal.wait_for(MAIN)
        terminal.press("enter")
        terminal.wait_for(NEXT)
        terminal.press("enter")
        terminal.wait_for("Folder of the pictures")
        terminal.press("/nowhere/at/all", "enter")
        terminal.wait_for("There is no folder or file /nowhere/at/all.", NEXT)


def test_settings_change_the_language_at_once(home):
    with Terminal(home) as terminal:
        terminal.wait_for(MAIN)
        terminal.press("6", "enter")
        terminal.wait_for("NAME=VALUE")
        terminal.press("language=es", "enter")
        terminal.wait_for("¿En qué trabajamos?", "0) Salir")
    assert json.loads((home / "settings.json").read_text())["language"] == "es"


def test_it_speaks_spanish_when_the_system_does(home):
    with Terminal(home, LANG="es_ES.UTF-8") as terminal:
        terminal.wait_for("¿En qué trabajamos?", "Cliente nuevo")


def test_without_colour_there_is_no_colour(home):
    create_client(home, "ana")
    with Terminal(home, NO_COLOR="1") as terminal:
        terminal.wait_for(MAIN)
        terminal.press("enter")
        terminal.wait_for(NEXT)
        colours = [code for code in ("\x1b[3", "\x1b[9", "\x1b[38") for digit in "01234567" if f"{code}{digit}m" in terminal.raw]
        assert colours == []


def test_broken_settings_are_named_and_left_alone(home):
    (home / "settings.json").write_text('{"language": "xx"}')
    with Terminal(home) as terminal:
        terminal.wait_for("cannot be read: line 1: language", "move the file away")
        assert terminal.wait_for_end() == 1
    assert (home / "settings.json").read_text() == '{"language": "xx"}'
