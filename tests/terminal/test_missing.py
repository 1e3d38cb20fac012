"""What an action misses is asked for where it is missed, in a real terminal; after a Yes it goes on with all that was answered."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from one_file import write_one_file
from PIL import Image
from pseudo_terminal import Terminal
from rich.console import Console
from stages import finish
from standin_hub import content_of, serve
from tiny_sdxl import make_base

from actions.request import Session
from client_folder.client import Client, create_client
from client_folder.consent import What, record_consent
from config import Settings, save_settings
from machine.licence import LicenceRefused, LicenceUnanswered
from machine.model_process import ModelProcess
from machine.models import model_named
from machine.packages import InstallFailed, install
from terminal.missing import fetch

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pexpect has no pseudo-terminal on Windows")
ROOT = Path(__file__).resolve().parents[2]
STANDIN = ROOT / "tests" / "standin_hub.py"
QUESTION = "is not here. Download it now"


@pytest.fixture(scope="module")
def base_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """SDXL under its real names, in miniature: what is painted with it is real, if no picture."""
    folder = make_base(tmp_path_factory.mktemp("sdxl") / "base", second_width=32)
    whole = write_one_file(folder, folder.parent / "sd_xl_base_1.0.safetensors").read_bytes()
    files = {"sdxl-base/sd_xl_base_1.0.safetensors": whole}
    for tokenizer in ("tokenizer", "tokenizer_2"):  # in the two files that CLIP was published in
        words = json.loads((folder / tokenizer / "tokenizer.json").read_text())["model"]["vocab"]
        (folder / tokenizer / "vocab.json").write_text(json.dumps(words))
        (folder / tokenizer / "merges.txt").write_text("#version: 0.2\n")
        marks = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
        (folder / tokenizer / "special_tokens_map.json").write_text(json.dumps(marks))
    return files | {f"sdxl-base/{file.path}": (folder / file.path).read_bytes() for file in model_named("sdxl-base").files[1:]}


@pytest.fixture
def client(tmp_path: Path) -> Client:
    save_settings(tmp_path, Settings(base_model="sdxl", gpu="RTX 3060 12GB"))
    client = create_client(tmp_path, "ana", "woman")
    record_consent(client, What.TRAINING, "Ana")
    record_consent(client, What.FACE_SWAP, "Ana")
    folder = client.training_data / "40_ana"
    folder.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "0.png")
    (folder / "0.txt").write_text("portrait of ana woman\n")
    return client


def terminal(hub, home, *words):
    table = hub.write_table(home / "table.json")
    command = (sys.executable, str(STANDIN), str(table), "--home", str(home), *words)
    return Terminal(home, command=command, PYTHONPATH=str(ROOT), **hub.environment(home / "cache"))


def wait_for_bytes(cache):
    """Until something of a file has arrived."""
    end = time.monotonic() + 30
    while not any(part.stat().st_size for part in cache.rglob("*.download")) and time.monotonic() < end:
        time.sleep(0.05)


def choose(shown, label):
    """Move to a row of a menu by its label and take it."""
    for _ in range(20):
        shown.settle(0.15)
        if any(line.strip().startswith(">") and label in line for line in shown.screen().splitlines()):
            shown.press("enter")
            return
        shown.press("down")
    raise AssertionError(f"no row {label}\n{shown.screen()}")


def test_a_missing_base_is_downloaded_where_it_was_missed_and_the_portrait_is_painted(client, base_files, tmp_path):
    words = (
        "generate",
        "--client",
        "ana",
        "--prompt",
        "ana woman",
        "--weight",
        "0",
        "--seed",
        "7",
        "--steps",
        "20",
        "--side",
        "64",
    )
    with serve(base_files) as hub, terminal(hub, tmp_path, *words) as shown:
        hub.faults.tampered["sd_xl_base_1.0.safetensors"] = b"!" * len(base_files["sdxl-base/sd_xl_base_1.0.safetensors"])
        shown.wait_for("SDXL base 1.0 (fp16)", "Download it now (")
        shown.press("enter")
        shown.wait_for("sd_xl_base_1.0.safetensors is not the file that was published", "Try the download again?")
        hub.faults.tampered.clear()
        shown.press("enter")
        shown.wait_for("Downloaded: sdxl-base; 15 files checked")
        assert shown.wait_for_end(120) == 0, shown.everything()
        assert "1 portrait painted" in shown.everything()
    (portrait,) = client.output.glob("portrait_7_*.png")
    assert json.loads(portrait.with_suffix(".json").read_text())["base"] == "sd_xl_base_1.0.safetensors"


def test_the_menu_says_before_it_fits_that_the_base_is_missing_and_goes_on_after_the_download(client, base_files, tmp_path):
    with serve(base_files) as hub, terminal(hub, tmp_path) as shown:
        hub.faults.seconds_a_block = 0.4
        shown.wait_for("What shall we work on?")
        shown.press("enter")
        shown.wait_for("Next for ana:")
        choose(shown, "Train the LoRA")
        shown.wait_for("Train all the same?")
        shown.press("up", "enter")
        shown.wait_for("Training of ana")
        shown.press("page down", "enter")
        screen = shown.wait_for(QUESTION, "it fits").replace("\n", " ")
        assert screen.index("is not here yet:") < screen.index("it fits") < screen.index("Download it now")
        assert "Go ahead?" not in screen
        shown.press("enter")
        shown.wait_for("Downloading (MB)", "sd_xl_base_1.0.safetensors")
        wait_for_bytes(tmp_path / "cache")
        shown.press("ctrl-c")
        shown.wait_for("Stopped.", "Next for ana:")
        hub.faults.seconds_a_block = 0.0
        choose(shown, "Train the LoRA")
        shown.wait_for("Train all the same?")
        shown.press("up", "enter")
        shown.wait_for("Training of ana")
        shown.press("page down", "enter")
        shown.wait_for(QUESTION)
        shown.press("enter")
        shown.wait_for("(balanced)", "it fits", "Go ahead?")
        assert "Downloaded: sdxl-base" in shown.everything()
        assert QUESTION not in shown.screen().rpartition("Downloaded:")[2]
    assert any("range" in headers for _path, headers in hub.asked_for("sd_xl_base_1.0.safetensors"))


def test_the_licence_is_asked_first_and_refused_at_once_with_no_command_named(client, tmp_path):
    with serve({}) as hub, terminal(hub, tmp_path) as shown:
        shown.wait_for("What shall we work on?")
        shown.press("enter")
        shown.wait_for("Next for ana:")
        choose(shown, "Swap a face")
        shown.wait_for("1) research, not commercial")
        choose(shown, "commercial, without a licence")
        screen = shown.wait_for("are not opened", "choose the same again", "Next for ana:")
        assert "--licence" not in screen and "Picture, or folder" not in screen
        choose(shown, "Swap a face")
        shown.wait_for("1) research, not commercial")
        choose(shown, "research, not commercial")
        shown.wait_for("Picture, or folder of pictures")
        shown.press(str(client.training_data / "40_ana" / "0.png"), "enter")
        shown.wait_for("Only show the faces")
        shown.press("enter")
        shown.wait_for("Which face:")
        shown.press("enter")
        shown.wait_for("InsightFace buffalo_l, InsightFace inswapper_128 are not here. Download them")
        shown.press("escape")
        shown.wait_for("Nothing was done.", "Next for ana:")
    assert hub.asked == []


@pytest.mark.parametrize(("use", "refused"), [("", LicenceUnanswered), ("commercial", LicenceRefused)])
def test_models_for_research_are_not_even_offered_without_an_answer_that_allows_them(tmp_path, use, refused):
    save_settings(tmp_path, Settings(insightface_use=use))
    with ModelProcess(tmp_path / "worker.log") as process, pytest.raises(refused):
        fetch(["buffalo_l"], Session(tmp_path, Settings(insightface_use="research"), process), Console())


def test_a_recording_is_listened_to_by_a_model_that_came_a_moment_ago(client, tmp_path):
    """Whisper's stand-in is no model: that the action went on is seen by what it says of the file that came."""
    recording = tmp_path / "a.wav"
    recording.write_bytes(content_of("sound"))
    with serve({}) as hub, terminal(hub, tmp_path, "transcribe", "--client", "ana", str(recording), "--model", "tiny") as shown:
        shown.wait_for("Whisper tiny is not here. Download it now")
        shown.press("enter")
        shown.wait_for("Downloaded: whisper-tiny; 4 files checked")
        shown.wait_for_end(60)
        assert "a.wav" in shown.everything().rpartition("Downloaded:")[2]


def test_where_nobody_can_be_asked_the_hint_is_one_command(client, tmp_path):
    for words, name in (
        (("generate", "--client", "ana", "--prompt", "ana", "--weight", "0"), "sdxl-base"),
        (("transcribe", "--client", "ana", str(client.state_file), "--model", "tiny"), "whisper-tiny"),
        (("swap", "--client", "ana", "--licence", "research", str(client.state_file)), "buffalo_l inswapper_128"),
    ):
        done = subprocess.run(
            [sys.executable, "avatar_pipeline.py", "--home", str(tmp_path), *words, "--json"], cwd=ROOT, capture_output=True,
            text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert json.loads(done.stdout)["hint"] == f"python avatar_pipeline.py models preload {name}"


# The program where Optuna is not installed: Python's own search for packages does not find it until pip was run.
WITHOUT_OPTUNA = """
import sys
from importlib.machinery import PathFinder
from pathlib import Path

root, home, *words = sys.argv[1:]
sys.path.insert(0, root)

class Shy:
    def find_spec(self, name, path=None, target=None):
        hidden = name == "optuna" and not Path(home, "logs", "packages.log").exists()
        return None if hidden else PathFinder.find_spec(name, path, target)

sys.meta_path[:] = [Shy() if finder is PathFinder else finder for finder in sys.meta_path]
from avatar_pipeline import main
sys.exit(main(["--home", home, "--language", "en", *words]))
"""


def test_the_package_of_a_search_is_installed_where_it_is_missed_and_the_search_goes_on(client, tmp_path):
    """pip finds it installed already; that the search went on is seen by what it lacks next: photos held back."""
    words = (sys.executable, "-c", WITHOUT_OPTUNA, str(ROOT), str(tmp_path), "tune", "--client", "ana")
    with Terminal(tmp_path, command=words) as shown:
        shown.wait_for("This needs the package optuna", "Install it now?", "requirements-tune.txt")
        shown.press("escape")
        shown.wait_for("Nothing was done.")
        assert shown.wait_for_end(30) == 130
    assert not (tmp_path / "logs" / "packages.log").exists()
    done = subprocess.run([*words, "--json"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 1 and json.loads(done.stdout)["hint"] == "Install it: pip install -r requirements-tune.txt"
    with Terminal(tmp_path, command=words, PIP_NO_INDEX="1") as shown:
        shown.wait_for("Install it now?")
        shown.press("enter")
        shown.wait_for_end(120)
        assert "No photo of ana with a face was held back" in shown.everything()
    assert "Requirement already satisfied: optuna" in (tmp_path / "logs" / "packages.log").read_text()


def test_what_pip_could_not_install_is_told_with_its_own_words_and_the_command(tmp_path):
    with pytest.raises(InstallFailed) as told:
        finish(install("requirements-nowhere.txt", tmp_path / "log"))
    assert "requirements-nowhere.txt" in told.value.text() and str(told.value.facts["evidence"]).startswith("ERROR: Could not open")
    assert f"{sys.executable} -m pip install -r" in told.value.cure()
