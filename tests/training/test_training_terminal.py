"""Training from the menu in a real terminal of 80x24: plan, train, Ctrl-C, again, export; a failure answered with one key."""

import os
import sys
from pathlib import Path

import pytest
from one_file import write_stub
from PIL import Image
from pseudo_terminal import Terminal

from client_folder.client import create_client
from client_folder.consent import What, has_consent
from config import Settings, save_settings
from training.checkpoints import final_lora, is_whole, read_plan

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pexpect has no pseudo-terminal on Windows")
STANDIN = Path(__file__).resolve().parents[1] / "data" / "standin_trainer"
MAIN, NEXT = "What shall we work on?", "Next for ana:"


@pytest.fixture
def client(tmp_path):
    base = write_stub(tmp_path / "sdxl.safetensors")  # the stand-in never opens it
    save_settings(tmp_path, Settings(base_model=str(base), sd_scripts=str(STANDIN), gpu="RTX 3060 12GB"))
    client = create_client(tmp_path, "ana")
    folder = client.training_data / "40_ana"
    folder.mkdir(parents=True)
    for number in range(2):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text("portrait of ana person, smiling\n")
    return client


def choose(terminal, label):
    """Move to a row of the menu by its label and take it."""
    for _ in range(20):
        if any(line.strip().startswith(">") and label in line for line in terminal.screen().splitlines()):
            terminal.press("enter")
            return
        terminal.press("down")
        terminal.settle()
    raise AssertionError(f"no row {label}\n{terminal.screen()}")


def begin_training(terminal, client):
    terminal.wait_for(NEXT)
    choose(terminal, "Train the LoRA")
    terminal.wait_for("Not ready to train", "Train all the same?", "> 0) No")
    terminal.press("up", "enter")
    terminal.wait_for("Training of ana", "balanced, about ")
    if not has_consent(client, What.TRAINING):
        terminal.wait_for("> consent")
        terminal.press("Ana, by mail, 3 May")
    terminal.to_row("Go on")
    terminal.press("enter")
    terminal.wait_for("it fits", "Go ahead?")
    terminal.press("enter")


def test_plan_train_stop_resume_and_export(client, tmp_path):
    with Terminal(tmp_path, STANDIN="success", STANDIN_PAUSE="0.01") as terminal:
        terminal.wait_for(MAIN)
        terminal.press("enter")
        begin_training(terminal, client)
        terminal.wait_for("Training the LoRA", "loss 0.124", "checkpoint ana_avatar_v1-step")
        terminal.press("ctrl-c")
        terminal.wait_for("Stopped. The next training goes on from step", NEXT)
        assert not is_whole(final_lora(client, read_plan(client)))
        begin_training(terminal, client)
        terminal.wait_for("It went on from step", NEXT, seconds=120)
        assert is_whole(final_lora(client, read_plan(client)))
        choose(terminal, "Show or export")
        terminal.wait_for("What to do with the LoRAs:")
        choose(terminal, "export one")
        terminal.wait_for("Which one")
        terminal.press("enter")
        terminal.wait_for("Folder of a ComfyUI")
        terminal.press("enter")
        terminal.wait_for("pytorch_lora_weights.safetensors", NEXT, "0) Back")
        assert "trigger word ana" in terminal.everything()
    assert has_consent(client, What.TRAINING), "asked once, kept"
    assert (client.exports("comfyui") / "models" / "loras" / "ana_avatar_v1.safetensors").is_file()


def test_a_card_that_is_too_small_is_answered_with_one_key(client, tmp_path):
    with Terminal(tmp_path, STANDIN="oom", STANDIN_FITS="8") as terminal:
        terminal.wait_for(MAIN)
        terminal.press("enter")
        begin_training(terminal, client)
        for smaller in ("pictures of 768 px painted while training", "rank 16"):
            terminal.wait_for("the GPU's memory is full", f"Train again with {smaller}?")
            terminal.press("enter")
        terminal.wait_for("ana_avatar_v1.safetensors", NEXT, seconds=120)
    assert (read_plan(client).resolution, read_plan(client).dim) == (1024, 16)


def test_tensorboard_is_started_from_the_menu_and_its_address_shown(client, tmp_path):
    client.logs.mkdir(parents=True)
    with Terminal(tmp_path) as terminal:
        terminal.wait_for(MAIN)
        terminal.press("enter")
        terminal.wait_for(NEXT)
        choose(terminal, "dataset doctor")
        for verb, shown in (("start it", "http://"), ("stop it", "does not run")):  # the list stays open between the two
            terminal.wait_for(NEXT, "TensorBoard", "0) Back")
            choose(terminal, "TensorBoard")
            terminal.wait_for("TensorBoard:", verb)
            choose(terminal, verb)
            terminal.wait_for(shown, NEXT, seconds=120)
    assert not client.tensorboard_file.exists()
    assert os.environ.get("STANDIN") is None
