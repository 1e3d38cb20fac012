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
    with Terminal(tmp_path, fresh=True) as terminal:
        terminal.wait_for("Which base model?")
        terminal.press("escape")
        screen = terminal.wait_for(MAIN, "1) New client", "> 2) ana", "sample client", "0) Quit")
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


def test_a_client_is_made_with_a_name_in_any_letters_and_its_screen_offers_the_next_step(home):
    with Terminal(home) as terminal:
        terminal.wait_for(MAIN)
        terminal.press("1", "enter")
        terminal.wait_for("Name of the client")
        terminal.press("José Ñandú", "enter")
        terminal.wait_for("Trigger word", "jose_nandu")
        terminal.press("enter")
        terminal.wait_for("The client is a:", "4) another word")
        terminal.press("4", "enter")
        terminal.wait_for("What the client is, in English")
        terminal.press("mujer", "enter")
        screen = terminal.wait_for("Next for José Ñandú:", "> 3) → Import MidJourney images", "José Ñandú (jose_nandu)")
        assert "5) · Find and crop faces (import pictures first)" in screen
        terminal.press("escape")
        terminal.wait_for("> 2) José Ñandú (jose_nandu)", "next: Import MidJourney images")
    state = open_client(home, "jose_nandu").state()
    assert (state.class_word, state.name) == ("woman", "José Ñandú")


def test_a_trigger_word_that_cannot_be_is_refused_with_the_reason_and_kept_to_be_corrected(home):
    with Terminal(home) as terminal:
        terminal.wait_for(MAIN)
        terminal.press("1", "enter")
        terminal.wait_for("Name of the client")
        terminal.press("María", "enter")
        terminal.wait_for('The base knows the word "María" already', "Trigger word, for prompts and the folder: maria_x")
        terminal.press("\x15", "con", "enter")
        terminal.wait_for('"con" is the name of a device on Windows', "folder: con")
        terminal.press("\x15", "woman", "enter")
        terminal.wait_for('The base knows the word "woman" already', "such as woman_x", "folder: woman")
        terminal.press("_x", "enter")
        terminal.wait_for("The client is a:")
        terminal.press("escape")
        terminal.wait_for(MAIN)
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
        terminal.wait_for("What the files do not tell:", "master prompt", "0.png (1)")
        terminal.press("escape")
        terminal.wait_for("> 4) → Import real photos")
        assert "3 imported" in terminal.everything()
        assert not client.user_notes_file.exists(), "Esc writes nothing"
        terminal.press("3", "enter")
        terminal.wait_for("Folder of the pictures", str(pictures)[:40])  # the last folder stands there
        terminal.press("enter")
        terminal.wait_for("Go ahead?")
        terminal.press("enter")
        terminal.wait_for("What the files do not tell:", "master prompt")
        terminal.to_row("Skip all of it")
        terminal.press("enter")
        terminal.wait_for("0 of 3 jobs have a whole prompt.", NEXT)
    assert len(client.pictures()) == 3
    assert len(json.loads(client.user_notes_file.read_text())["skipped"]) == 3


def test_what_the_files_do_not_tell_is_filled_in_on_one_screen_and_asked_once(home, pictures):
    client = create_client(home, "ana")
    with Terminal(home) as terminal:
        terminal.wait_for(MAIN)
        terminal.press("enter")
        for folder in (pictures, pictures):
            terminal.wait_for(NEXT)
            terminal.press("3", "enter")
            terminal.wait_behind(NEXT, "Folder of the pictures")
            terminal.press(str(folder))
            terminal.settle(1.0)
            terminal.press("enter")
            terminal.wait_behind("Folder of the pictures", "Go ahead?")
            terminal.press("enter")
            if client.user_notes_file.exists():
                break
            terminal.wait_for("What the files do not tell:")
            terminal.to_row("master prompt")
            terminal.press("studio portrait", "enter")
            terminal.to_row("0.png (1)")
            terminal.press("studio portrait, smiling --v 7", "page down", "enter")
            terminal.wait_for("1 of 3 jobs has a whole prompt.")
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
        terminal.wait_for("1 picture", "Go ahead?")
        terminal.press("enter")
        terminal.wait_for("1 grid of four, to be split", "Go ahead?")
        terminal.press("enter")
        terminal.wait_for("What the files do not tell:", "a cat")
        terminal.press("page down", "enter")
        terminal.wait_for("1 of 1 jobs has a whole prompt.", NEXT)
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


def test_a_client_is_erased_after_its_effect_was_shown_it_was_exported_and_its_name_typed(home):
    client = create_client(home, "ana", display_name="Ana Ñ")
    (home / "elsewhere").mkdir()
    with Terminal(home) as terminal:
        terminal.wait_for(MAIN)
        terminal.press("enter")
        terminal.wait_for("Next for Ana Ñ:")
        terminal.press("2", "enter")
        terminal.wait_for("What to do with the client:", "1) show it", "2) export it", "3) erase it")
        terminal.press("3", "enter")
        terminal.wait_for("Ana Ñ (ana): 1 files, 0.0 MB (originals: 0", "Export everything known of the client", "> 2) Yes")
        terminal.press("enter")
        terminal.wait_for("Where to: a folder or FILE.zip")
        terminal.press(f"{home / 'elsewhere'}", "enter")
        terminal.wait_for("Erased for good", "To go ahead, type the name, ana:")
        terminal.press("enter")
        terminal.wait_for('To go ahead, type "ana"')
        terminal.press("escape")
        terminal.wait_for("Nothing was done.", "Next for Ana Ñ:")
        assert client.state() and not list((home / "elsewhere").iterdir())
        terminal.press("2", "enter")
        terminal.wait_for("3) erase it")
        terminal.press("3", "enter")
        terminal.wait_for("> 2) Yes")
        terminal.press("enter")
        terminal.wait_for("Where to:")
        terminal.press(f"{home / 'elsewhere'}", "enter")
        terminal.wait_for("type the name")
        terminal.press("ana ñ", "enter")
        terminal.wait_for("ana is erased", MAIN)
    assert len(list((home / "elsewhere").iterdir())) == 1
    assert list_clients(home) == ()


def test_a_client_is_exported(home):
    create_client(home, "ana")
    with Terminal(home) as terminal:
        terminal.wait_for(MAIN)
        terminal.press("enter")
        terminal.wait_for(NEXT)
        terminal.press("2", "enter")
        terminal.wait_for("2) export it")
        terminal.press("2", "enter")
        terminal.wait_for("Where to: a folder or FILE.zip")
        terminal.press("enter")
        terminal.wait_for("1 files", "SHA-256", NEXT)
    assert len(list((home / "exports").glob("ana_*.zip"))) == 1


def test_on_the_command_line_the_name_is_typed_too(home):
    create_client(home, "ana")
    with Terminal(home, "client", "erase", "ana") as terminal:
        terminal.wait_for("Erased for good", "1 files", "type the name, ana:")
        terminal.press("yes", "enter")
        terminal.wait_for('type "ana"')
        terminal.press("escape")
        terminal.wait_for("Nothing was done.")
        assert terminal.wait_for_end() == 130
    assert [client.id for client in list_clients(home)] == ["ana"]


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
        terminal.wait_for("There is a file", "Write over it?", "> 0) No")
        assert (home / "mine.zip").read_text() == "mine"
        terminal.press("enter")
        terminal.wait_for(NEXT)
        assert (home / "mine.zip").read_text() == "mine", "Enter alone writes over nothing"
        terminal.press("2", "enter")
        terminal.wait_for("2) export it")
        terminal.press("2", "enter")
        terminal.wait_for("Where to:")
        terminal.press(str(home / "mine.zip"), "enter")
        terminal.wait_for("> 0) No")
        terminal.press("1", "enter")
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


def test_a_folder_that_is_not_there_is_asked_again_with_the_text_kept(home, tmp_path):
    create_client(home, "ana")
    there = tmp_path / "Imágenes de José"
    there.mkdir()
    Image.new("RGB", (64, 64)).save(there / "0.png")
    with Terminal(home) as terminal:
        terminal.wait_for(MAIN)
        terminal.press("enter")
        terminal.wait_for(NEXT)
        terminal.press("enter")
        terminal.wait_for("Folder of the pictures")
        assert "Tab completes" in terminal.screen()
        terminal.press("/nowhere/at/all", "enter")
        screen = terminal.wait_for("There is no folder or file /nowhere/at/all.")
        terminal.settle()
        screen = terminal.screen().rpartition("Check the spelling")[2]
        assert "/nowhere/at/all" in screen and "Next for" not in screen
        terminal.press("\x15", str(there).replace(" ", "\\ "), "enter")  # as macOS' Terminal writes a folder dragged into it
        terminal.wait_for("1 picture", "Go ahead?")
        terminal.press("escape")
        terminal.wait_for(NEXT)
        terminal.press("3", "enter")
        terminal.wait_for("Folder of the pictures")
        terminal.press(there.as_uri(), "enter")  # as GNOME's and KDE's do
        terminal.wait_for("1 picture", "Go ahead?")


def test_settings_change_the_language_at_once(home):
    with Terminal(home) as terminal:
        terminal.wait_for(MAIN)
        terminal.press("5", "enter")
        terminal.wait_for("Settings", "> Language")
        terminal.press("left", "page down")
        terminal.wait_for("1 value changes")
        terminal.press("enter")
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


# --- the list itself --------------------------------------------------------------------------------------------------
def bar(terminal):
    """The text of the rows that are drawn in reverse."""
    lines = []
    for row in range(24):
        cells = terminal._screen.buffer[row]
        text = "".join(cells[column].data for column in range(80) if cells[column].reverse)
        lines += [text.strip()] if text.strip() else []
    return lines


def test_pointer_and_bar_are_on_the_same_row_and_every_row_has_its_number(home):
    create_client(home, "ana")
    with Terminal(home) as terminal:
        terminal.wait_for(MAIN)
        terminal.press("enter")
        screen = terminal.wait_for(
            NEXT, " 8) · Paint portraits (train the LoRA first)", "11) Show or export", "13) Transcribe", "0) Back"
        )
        assert "-)" not in screen
        assert [line[:4] for line in bar(terminal)] == ["> 3)"]
        terminal.press("up")
        terminal.wait_for("> 2) ✓ Create the client")
        assert [line[:4] for line in bar(terminal)] == ["> 2)"]
        terminal.press("1", "3")
        terminal.wait_for(">13) Transcribe a recording", "Writes down what is said")
        assert [line[:4] for line in bar(terminal)] == [">13)"]
        terminal.press("5")
        terminal.settle()
        assert [line[:4] for line in bar(terminal)] == [">13)"], "what waits cannot be taken"


def test_colours_tell_the_state_of_a_step(home):
    create_client(home, "ana")
    with Terminal(home) as terminal:
        terminal.wait_for(MAIN)
        terminal.press("enter")
        terminal.wait_for(NEXT)
        terminal.settle()
        colours = {}
        for row in range(24):
            cells = terminal._screen.buffer[row]
            text = "".join(cells[column].data for column in range(80))
            colours |= {text[2:5].strip(): cells[10].fg} if text[4:5] == ")" else {}
    assert (colours["1)"], colours["5)"], colours["4)"]) == ("green", "brightblack", "default")


def test_150_clients_are_found_by_typing_and_the_last_used_is_preselected(home):
    for number in range(150):
        create_client(home, f"c{number:03}", display_name=f"Cliente Número {number}")
    open_client(home, "c077").mark_used()
    with Terminal(home) as terminal:
        terminal.wait_for(MAIN, "1) New client", "> 2) Cliente Número 77 (c077)", "All 150 clients", "0) Quit")
        terminal.press("7", "enter")
        terminal.wait_for(
            "numbers or type to search", ">127) Cliente Número 77 (c077)"
        )  # the first list has it too, as its second row
        assert "Cliente Número 77" in bar(terminal)[0]
        terminal.press("numero 14")
        screen = terminal.wait_for("search: numero 14", "Cliente Número 14 ", "Cliente Número 149 ")
        assert "Número 77" not in screen.rpartition("search")[2]
        terminal.press("9", "enter")
        terminal.wait_for("Next for Cliente Número 149:")
        terminal.press("escape")
        terminal.wait_for("> 2) Cliente Número 149 (c149)")


def test_keys_typed_while_there_was_no_question_are_forgotten(home, pictures):
    client = create_client(home, "ana")
    with Terminal(home) as terminal:
        terminal.wait_for(MAIN)
        terminal.child.send("\r")
        terminal.child.send("3\r\r")  # at once: the next question is not on the screen yet
        terminal.wait_for(NEXT, "> 3) → Import")
        terminal.settle(1)
        assert "Folder of the pictures" not in terminal.screen()
        terminal.press("enter")
        terminal.wait_for("Folder of the pictures")
        terminal.press(str(pictures), "enter")
        terminal.wait_for("Go ahead?")
        terminal.child.send("\r" + 12 * "2\r")  # the first is meant, the others arrive while the import runs
        terminal.wait_for("What the files do not tell:")
        terminal.settle(1)
        assert "What the files do not tell:" in terminal.screen() and not client.user_notes_file.exists()


def test_the_more_list_stays_until_one_goes_back(home):
    create_client(home, "ana")
    with Terminal(home) as terminal:
        terminal.wait_for(MAIN)
        terminal.press("enter")
        terminal.wait_for(NEXT)
        terminal.press("9", "enter")
        terminal.wait_for("> 1) Look at what was rejected")
        terminal.press("prompts", "enter")
        terminal.wait_for("Why this is asked")
        terminal.press("escape")
        terminal.wait_for(">11) Prompts: the master")
        terminal.press("escape")
        terminal.wait_for(NEXT, "> 3) → Import")


def test_in_120_columns_what_a_row_does_stands_beside_the_list(home):
    create_client(home, "ana")
    with Terminal(home, size=(120, 24)) as terminal:
        terminal.wait_for(MAIN)
        terminal.press("enter")
        screen = terminal.wait_for(NEXT, "> 3) → Import MidJourney images", "│ → Import MidJourney images")
        beside = " ".join(line.partition("│")[2].strip() for line in screen.splitlines() if "│" in line)
        assert "Copies MidJourney's pictures from a folder or .zip" in " ".join(beside.split())


def test_the_doctor_offers_a_client_and_the_queue_is_ticked(home):
    create_client(home, "ana", display_name="Ana Ñ")
    create_client(home, "berta")
    with Terminal(home) as terminal:
        terminal.wait_for(MAIN)
        terminal.press("examine", "enter")
        terminal.wait_for("1) this machine", "Ana Ñ (ana)", "next: Import MidJourney images")
        terminal.press("escape")
        terminal.wait_for(MAIN)
        terminal.press("several", "enter")
        terminal.wait_for("[ ] Ana Ñ (ana)", "[ ] berta", "space ticks")
        terminal.press("2", " ", "1", " ")
        terminal.wait_for("[x] Ana Ñ (ana)", "[x] berta")
        terminal.press("enter")
        terminal.wait_for("Examine each LoRA after its training?", "> 1) yes")
        terminal.press("enter")
        terminal.wait_for("berta", "failed", MAIN)


def test_sizes_of_whisper_carry_whispers_names(home, tmp_path):
    """One of them is called base, and was once shown as SDXL."""
    create_client(home, "ana")
    recording = tmp_path / "a.wav"
    recording.write_bytes(b"RIFF")
    with Terminal(home) as terminal:
        terminal.wait_for(MAIN)
        terminal.press("enter")
        terminal.wait_for(NEXT)
        terminal.press("transcribe", "enter")
        terminal.wait_for("Audio or video file")
        terminal.press(str(recording), "enter")
        screen = terminal.wait_for("Model (larger hears better", "large-v3: hears best")
        sizes = [
            line.split(") ")[1].split(":")[0]
            for line in screen.splitlines()
            if ": " in line and ") " in line and "Model" not in line
        ]
        assert sizes == ["tiny", "base", "small", "medium", "large-v3"] and "SDXL" not in screen.partition("Model (larger")[2]
