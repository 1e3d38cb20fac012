"""Tokens among the options of a training: the trainer has them, no file does, and what was begun without them goes on."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from one_file import write_stub
from PIL import Image

from actions.form import request_form
from actions.request import Job, Session
from actions.train_request import TrainRequest
from avatar_pipeline import main
from client_folder.client import create_client
from client_folder.last_used import read_last_used
from config import Settings
from machine.model_process import ModelProcess
from training.checkpoints import read_plan
from training.runs import read_runs
from training.secret_options import mask_files, part_text

STANDIN = Path(__file__).resolve().parents[1] / "data" / "standin_trainer"
TOKEN, KEY = "hf_TellNobody", "wb_TellNobody"
EXTRA = f"--huggingface_token={TOKEN} --noise_offset 0.05 --wandb_api_key {KEY}"


@pytest.fixture
def home(tmp_path):
    """A client that can be trained by a stand-in which writes down, outside the home, what its environment holds."""
    home, trainer, told = tmp_path / "home", tmp_path / "trainer", tmp_path / "environment.json"
    shutil.copytree(STANDIN, trainer)
    script = trainer / "sdxl_train_network.py"
    recorded = f"import json, os\nopen({str(told)!r}, 'w').write(json.dumps(dict(os.environ)))\n"
    options = f"OPTIONS = Path({str(STANDIN.parents[2] / 'training' / 'sd_scripts_options.json')!r})\n"
    lines = [options if line.startswith("OPTIONS = ") else line for line in script.read_text().splitlines(keepends=True)]
    script.write_text("".join(lines) + recorded)
    client = create_client(home, "ana")
    folder = client.training_data / "2_ana"
    folder.mkdir(parents=True)
    for number in range(2):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text("portrait of ana person, smiling\n")
    settings = {"schema": 1, "base_model": str(write_stub(tmp_path / "sdxl.safetensors")), "sd_scripts": str(trainer)}
    (home / "settings.json").write_text(json.dumps(settings))
    return home


def train(home, extra):
    words = ["train", "--client", "ana", "--yes", "--anyway", "--consent", "signed", "--gpu", "RTX 3060 12GB", "--steps", "4"]
    return main(["--home", str(home), "--language", "en", *words, f"--extra={extra}"])


def holders(folder):
    """The files in which a token stands."""
    return [file.name for file in folder.rglob("*") if file.is_file() and b"TellNobody" in file.read_bytes()]


def test_the_trainer_has_them_and_no_file_of_ours_does(home, tmp_path, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    assert train(home, EXTRA) == 0
    environment = json.loads((tmp_path / "environment.json").read_text())
    assert (environment["HF_TOKEN"], environment["WANDB_API_KEY"]) == (TOKEN, KEY)
    assert holders(home) == []
    client = create_client(home, "eva").__class__(home / "clients" / "ana")
    assert "0.05" in read_runs(client)[0].argv
    # Without them it is the same training: finished, and not begun again.
    assert train(home, "--noise_offset 0.05") == 0
    assert read_plan(client).version == 1 and len(read_runs(client)) == 1


def test_what_an_older_version_wrote_is_masked_and_the_training_is_the_same(home):
    assert train(home, "--noise_offset 0.05") == 0
    client = create_client(home, "eva").__class__(home / "clients" / "ana")
    plan = json.loads(client.plan_file.read_text())
    client.plan_file.write_text(
        json.dumps({**plan, "extra": [f"--huggingface_token={TOKEN}", "--wandb_api_key", KEY, *plan["extra"]]})
    )
    run = next(client.runs.glob("*.json"))
    run.write_text(run.read_text().replace('"--noise_offset"', f'"--wandb_api_key",\n    "{KEY}",\n    "--noise_offset"'))
    client.train_log.write_text(f"Namespace(huggingface_token='{TOKEN}', wandb_api_key=None)\n--wandb_api_key {KEY}\n")
    assert len(holders(client.root)) == 3
    assert read_plan(client).extra == ("--noise_offset", "0.05")
    assert main(["--home", str(home), "client", "export", "ana"]) == 0
    assert holders(client.root) == []
    with zipfile.ZipFile(next((home / "exports").glob("*.zip"))) as packed:
        assert not any(b"TellNobody" in packed.read(name) for name in packed.namelist())
    assert "wandb_api_key=None" in client.train_log.read_text()
    assert len(read_runs(client)) == 1 and read_plan(client).extra == ("--noise_offset", "0.05")
    mask_files(client)
    assert train(home, "--noise_offset 0.05") == 0 and read_plan(client).version == 1


def test_another_process_is_told_them_by_variables_and_a_form_keeps_none(tmp_path):
    request, secrets = TrainRequest(client="ana", extra=EXTRA).handed_over()
    assert (request.extra, secrets) == ("--noise_offset 0.05", {"HF_TOKEN": TOKEN, "WANDB_API_KEY": KEY})
    assert part_text("--noise_offset '0.05") == ("--noise_offset '0.05", {})
    client = create_client(tmp_path, "ana")
    session = Session(tmp_path, Settings(), ModelProcess(tmp_path / "worker.log"))
    job = Job(session, TrainRequest.model_construct(client="ana"), client)
    made = request_form("train", job, "", lambda _job: "").request({"extra": EXTRA})
    assert made.secrets["HF_TOKEN"] == TOKEN
    assert read_last_used(client, "train")["extra"] == "--noise_offset 0.05"
