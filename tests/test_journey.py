"""The path as a person walks it: the real program in a real terminal, from the first screen to the portraits.

It is started as README says: in a clone, with no option and no variable set, so that its home is the clone's own folder.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from pseudo_terminal import ROOT, Terminal

from client_folder.client import open_client

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="pexpect has no pseudo-terminal on Windows"),
    pytest.mark.timeout(1800),
]
NEXT = "Next for Ana:"


@pytest.fixture
def clone(tmp_path):
    """What a fresh clone of this tree holds, and nothing else."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("this is no checkout of git, so there is nothing to clone")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (tmp_path / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / "clone" / name)
    return tmp_path / "clone"


def test_make_run_opens_the_menu(clone):
    """With the packages of this Python as the clone's own, for installing them anew takes minutes."""
    (clone / ".venv").mkdir()
    for entry in Path(sys.prefix).iterdir():
        (clone / ".venv" / entry.name).symlink_to(entry)
    marker = clone / ".venv" / "installed"
    marker.unlink(missing_ok=True)
    marker.touch()
    with Terminal(clone, command=("make", "run"), cwd=clone) as terminal:
        terminal.wait_for("Which base model?", "SDXL 1.0", "The practice model")
        terminal.press("escape")
        terminal.wait_for("What shall we work on?", "First time here?", "0) Quit")
        terminal.press("0", "enter")
        assert terminal.wait_for_end() == 0


def test_from_the_first_screen_to_the_portraits(demo, clone):  # noqa: PLR0915 - one walk, told in one go
    pictures = demo.home / "sample"
    with Terminal(clone, command=(sys.executable, "avatar_pipeline.py"), cwd=clone) as terminal:
        terminal.wait_for("Which base model?", "> 1) The practice model")
        terminal.press("enter")
        terminal.wait_for("Base model: embedded", "What shall we work on?")
        terminal.press("1", "enter")
        terminal.wait_for("Name of the client")
        terminal.press("Ana", "enter")
        terminal.wait_for("Trigger word", "ana_x")
        terminal.press("\x15", "anademo", "enter")
        terminal.wait_for("The client is a:")
        terminal.press("2", "enter")

        terminal.wait_for(NEXT, "> 3) → Import MidJourney images")
        terminal.press("enter")
        terminal.wait_for("Folder of the pictures")
        terminal.press(str(pictures / "midjourney"), "enter")
        terminal.wait_for("Go ahead?")
        terminal.press("enter")
        terminal.wait_for("What the files do not tell:", "master prompt")
        terminal.press("page down", "enter")

        terminal.wait_for("> 4) → Import real photos")
        terminal.press("enter")
        terminal.wait_for("Folder of the pictures")
        terminal.press(str(pictures / "photos"), "enter")
        terminal.wait_for("Go ahead?")
        terminal.press("enter")

        terminal.wait_for("> 5) → Find and crop faces", "Build the dataset (no crop has passed yet)")
        terminal.press("enter")
        terminal.wait_for("24 pictures to look at", "Go ahead?")
        terminal.press("enter")

        terminal.wait_for("> 6) → Build the dataset", seconds=180)
        terminal.press("enter")
        terminal.wait_for("is real photos", "Go ahead?")
        terminal.press("enter")
        terminal.wait_for("can be trained, with warnings", "What to take out")
        terminal.press("escape")

        terminal.wait_for("> 7) → Train the LoRA")
        terminal.press("enter")
        terminal.wait_for("Training of Ana", "> consent", "balanced, about")
        terminal.press("Ana, by mail, 3 May")
        terminal.to_row("how long to train")
        terminal.press("left")
        terminal.settle()
        terminal.to_row("more")
        terminal.press("enter")
        terminal.settle()
        terminal.to_row("steps")
        terminal.press("4", "0", "page down", "enter")
        terminal.wait_for("40 (quick)", "Practice model: to learn the program.", "it fits", "Go ahead?")
        terminal.press("enter")
        terminal.wait_for("Training the LoRA", "loss", seconds=120)

        terminal.wait_for("And now?", "Examine the checkpoints", seconds=600)
        terminal.press("enter")
        terminal.wait_for("> 8) → Examine the checkpoints", "· Paint portraits")
        terminal.press("9", "enter")
        terminal.wait_for("Portraits of Ana", "the recommended prompts", "8 portraits to paint")
        terminal.press("page down", "enter")
        terminal.wait_for("portraits to paint", "Go ahead?")
        terminal.press("enter")
        terminal.wait_for("8 portraits painted", "And now?", "4 more, with new seeds", seconds=180)
        terminal.press("enter")
        terminal.wait_for(NEXT, "✓ Paint portraits")
        terminal.press("escape")
        terminal.wait_for("0) Quit")
        terminal.press("escape")
        assert terminal.wait_for_end() == 0
        assert "Traceback" not in terminal.everything()
    client = open_client(clone, "anademo")
    portraits = sorted(client.output.glob("portrait_*.png"))
    assert len(portraits) >= 4
    with Image.open(portraits[0]) as portrait:
        assert "anademo woman" in portrait.text["parameters"]
    assert (client.sheets / "portraits_001.png").is_file()


def test_training_is_stopped_by_one_key_and_goes_on_where_it_was(demo, tmp_path):
    (tmp_path / "clients").mkdir()
    shutil.copytree(
        demo.client, tmp_path / "clients" / "demo", ignore=shutil.ignore_patterns("models", "output", "lora_config.json")
    )
    shutil.copy(demo.home / "settings.json", tmp_path)
    client = open_client(tmp_path, "demo")
    words = ("train", "--client", "demo", "--yes", "--steps", "40")
    with Terminal(tmp_path, *words) as terminal:
        terminal.wait_for("Training the LoRA", "loss", seconds=120)
        terminal.press("ctrl-c")
        terminal.wait_for("Stopped. The next training goes on from step", seconds=30)
        assert terminal.wait_for_end() == 130
    assert not client.trainer_pid.exists()
    assert list(client.models.rglob("*.part")) == []
    with Terminal(tmp_path, *words) as terminal:
        terminal.wait_for("40 steps", seconds=300)
        assert terminal.wait_for_end() == 0
