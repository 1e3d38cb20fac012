"""The notebook for Colab: run whole on the practice base from the folder that `colab` packs, then again after a disconnect."""

import json
import random
import sys
import zipfile
from pathlib import Path

import nbclient
import nbformat
import pytest
from one_file import write_stub
from PIL import Image
from pseudo_terminal import Terminal
from test_command_line import DONE, answer
from test_command_line import run as run_program

from client_folder.client import create_client
from client_folder.consent import What, record_consent
from config import Settings, save_settings
from embedded.drawing.painting import draw
from embedded.drawing.portraits import caption, random_portrait
from embedded.drawing.sample_client import LOOK

ROOT = Path(__file__).resolve().parent.parent
PICTURES, STEPS = 12, 2
STANDIN = ROOT / "tests" / "data" / "standin_trainer"


@pytest.fixture
def eva(tmp_path):
    """A drawn client with a dataset, as small as the dataset doctor lets it be trained."""
    client = create_client(tmp_path / "home", "eva", "woman")
    record_consent(client, What.TRAINING, "Eva, by mail, 3 May")
    folder = client.dataset_folder(2)
    folder.mkdir(parents=True)
    rng = random.Random(7)
    for number in range(PICTURES):
        portrait = random_portrait(rng, **LOOK)
        Image.fromarray(draw([portrait], 96, 96)[0]).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(caption(portrait, subject="eva woman") + "\n")
    return client


def cells_of(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(notebook):
    """What the cells wrote."""
    return "".join(output.get("text", "") for cell in cells_of(notebook) for output in cell.outputs)


def run_whole(path, tmp_path, **parameters):
    """Run every cell in a kernel of its own with these parameters instead; the notebook with its outputs."""
    notebook = nbformat.read(path, as_version=4)
    told = next(cell for cell in cells_of(notebook) if "parameters" in cell.metadata.get("tags", ()))
    told.source += "\n" + "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    return notebook


@pytest.mark.slow  # 52 s on two idle cores: it trains and paints, and starts the program some twenty times
def test_the_notebook_trains_and_gives_the_client_back(eva, tmp_path, monkeypatch):
    monkeypatch.setenv("LANGUAGE", "en")  # the notebook speaks as the machine does
    told, code = answer(eva.home, "colab", "--client", "eva", "--to", tmp_path)
    drive = tmp_path / "colab_eva"
    assert (code, Path(told["folder"])) == (DONE, drive)
    assert sorted(path.name for path in drive.iterdir()) == ["avatar_pipeline.zip", "colab.ipynb", "eva.zip"]
    parameters = {
        "BASE": "practice", "FOLDER": str(drive), "STEPS": STEPS, "PROMPTS": ["portrait of eva"],
        "LOCAL": str(tmp_path / "content"), "PYTHON": sys.executable,
    }  # fmt: skip
    said = printed(run_whole(drive / "colab.ipynb", tmp_path, **parameters))
    assert "eva is here: " in said
    assert f"{STEPS} steps, eva_avatar_v1.safetensors" in said
    back, code = answer(eva.home, "client", "import", drive / "eva_trained.zip", "--update")
    assert (code, back["updated"], back["kept"]) == (DONE, True, [])
    assert (eva.models / "eva_avatar_v1.safetensors").is_file()
    assert list(eva.output.rglob("*.png"))
    # Colab took the machine away: what lay on its own disk is gone, what lies on Drive is not.
    again = printed(run_whole(drive / "colab.ipynb", tmp_path, **parameters | {"LOCAL": str(tmp_path / "another")}))
    assert "It was trained already." in again
    assert "eva is here: " not in again


def test_what_is_packed_is_the_program_and_nothing_of_other_clients(eva, tmp_path):
    create_client(eva.home, "somebody")
    answer(eva.home, "colab", "--client", "eva")
    folder = eva.home / "exports" / "colab_eva"
    with zipfile.ZipFile(folder / "avatar_pipeline.zip") as program, zipfile.ZipFile(folder / "eva.zip") as export:
        names = program.namelist()
        assert {name.split("/")[0] for name in export.namelist()} == {"eva"}
    assert {"avatar_pipeline.py", "install.sh", "requirements.txt", "embedded/base/model_index.json"} <= set(names)
    assert not {name.split("/")[0] for name in names} & {"clients", "exports", "tests", ".git", ".venv", "settings.json", "logs"}
    source = "".join("".join(cell["source"]) for cell in json.loads((folder / "colab.ipynb").read_text(encoding="utf-8"))["cells"])
    assert 'CLIENT = "eva"' in source
    assert 'FOLDER = "colab_eva"' in source
    assert answer(eva.home, "colab", "--client", "eva")[1] == DONE, "packed again, it is packed anew"


def test_the_notebook_is_kept_without_outputs_and_calls_only_the_command_line():
    notebook = nbformat.read(ROOT / "notebooks" / "colab.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert [cell.outputs for cell in cells_of(notebook) if cell.outputs or cell.execution_count] == []
    source = "\n".join(cell.source for cell in cells_of(notebook))
    modules = {path.stem for path in ROOT.glob("*.py")} | {path.parent.name for path in ROOT.glob("*/__init__.py")}
    imported = {line.split()[1].split(".")[0] for line in source.splitlines() if line.strip().startswith(("import ", "from "))}
    assert not imported & modules


def test_a_plan_that_needs_a_card_offers_the_notebook_where_there_is_none(eva, tmp_path):
    save_settings(eva.home, Settings(base_model=str(write_stub(tmp_path / "sdxl.safetensors")), sd_scripts=str(STANDIN)))
    assert "colab --client ID" in run_program(eva.home, "train", "--client", "eva", "--plan").stdout
    assert "avatar_pipeline.py colab --client ID" in run_program(eva.home, "doctor").stdout
    if sys.platform == "win32":
        return
    with Terminal(eva.home) as terminal:
        terminal.wait_for("What shall we work on?")
        terminal.press("enter")
        terminal.wait_for("Next for eva:")
        while not any(line.startswith(" >") and "Train the LoRA" in line for line in terminal.screen().splitlines()):
            terminal.press("down")
            terminal.settle(0.1)
        terminal.press("enter")
        terminal.wait_for("Training of eva", "how long to train")
        terminal.press("page down", "enter")
        terminal.wait_for("Go ahead?", "> 2) Train without a card, on Google Colab")
        terminal.press("enter")
        terminal.wait_for("Where to: a folder")
        terminal.press("enter")
        terminal.wait_for("download eva_trained.zip", "Next for eva:", "0) Back")
        assert "Upload the folder colab_eva" in terminal.everything()
    assert (eva.home / "exports" / "colab_eva" / "colab.ipynb").is_file()
