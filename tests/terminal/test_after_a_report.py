"""After a report: the whole path, the picture or folder opened by a stand-in for xdg-open, favourites and a delivery by menu."""

import os
import sys
import time
import zipfile

import pytest
from PIL import Image
from pseudo_terminal import Terminal

from client_folder.client import create_client
from portraits.history import read_history
from portraits.portrait import Portrait
from portraits.sheet import write_sheet

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pexpect has no pseudo-terminal on Windows")
NEXT = "Next for ana:"


@pytest.fixture
def client(tmp_path):
    """A client with one run of two portraits, in a folder whose path is longer than a line."""
    home = tmp_path / ("a_folder_with_a_name_that_is_quite_long_" * 2)
    client = create_client(home, "ana")
    (home / "settings.json").write_text("{}")
    client.output.mkdir()
    images = []
    for seed, words in ((11, "smiling"), (12, "serious")):
        file = client.output / f"portrait_{seed}_0123456789abcdef.png"
        Image.new("RGB", (64, 64), (200, 0, 0)).save(file)
        images.append(Portrait(file, seed, "", 0.0, f"portrait of ana, {words}"))
    write_sheet(client, images)
    return client


@pytest.fixture
def desktop(tmp_path):
    """A desktop whose xdg-open writes down what it was given."""
    bin_folder, told = tmp_path / "bin", tmp_path / "opened.txt"
    bin_folder.mkdir()
    program = bin_folder / "xdg-open"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> "{told}"\n')
    program.chmod(0o755)
    return told, {"PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", "DISPLAY": ":9"}


def to_the_gallery(terminal):
    terminal.wait_for("What shall we work on?")
    terminal.press("enter")
    terminal.wait_for(NEXT)
    terminal.press("1", "0", "enter")
    terminal.wait_for("What to do with the portraits:")


def opened(told, count):
    end = time.monotonic() + 20
    while time.monotonic() < end and (not told.exists() or len(told.read_text().splitlines()) < count):
        time.sleep(0.1)
    return told.read_text().splitlines()


def test_the_sheet_and_its_folder_are_opened_by_the_desktop(client, desktop):
    told, environment = desktop
    sheet = client.sheets / "portraits_001.png"
    with Terminal(client.home, **environment) as terminal:
        to_the_gallery(terminal)
        terminal.press("enter")
        terminal.wait_for("And now?", "1) Go on", "Open the picture", "Open the folder")
        assert str(sheet) in terminal.everything().replace("\n", ""), "the whole path, however long"
        assert "smiling; serious" in terminal.everything()
        terminal.press("4", "enter")
        assert opened(told, 1) == [str(sheet)]
        terminal.wait_for("And now?")
        terminal.press("5", "enter")
        assert opened(told, 2) == [str(sheet), str(client.sheets)]
        terminal.wait_for("And now?")
        terminal.press("enter")
        terminal.wait_for(NEXT)


def test_without_a_desktop_there_is_no_row_that_opens_and_favourites_are_delivered(client):
    with Terminal(client.home) as terminal:
        to_the_gallery(terminal)
        terminal.press("enter")
        screen = terminal.wait_for("And now?", "2) Mark favourites", "3) Deliver the chosen ones")
        assert "Open the" not in screen
        terminal.press("2", "enter")
        terminal.wait_for("Which portraits?")
        terminal.press("1 2", "enter")
        terminal.wait_for("2 favourites")
        terminal.settle(1.5)  # what is asked next is asked once the pictures are drawn
        terminal.press("3", "enter")
        terminal.settle(1.0)
        terminal.press("enter")
        terminal.wait_for("Where to:")
        terminal.press("enter")
        terminal.wait_for("What the pictures tell of themselves:", "only that a machine made them")
        terminal.press("enter")
        terminal.wait_for("2 portraits in one .zip", "And now?")
        terminal.press("escape")
        terminal.wait_for(NEXT)
    assert len(read_history(client).favourites) == 2
    (archive,) = (client.home / "exports").glob("ana_portraits_*.zip")
    with zipfile.ZipFile(archive) as file:
        assert file.namelist() == ["ana_01.png", "ana_02.png", "contact_sheet.jpg"]
