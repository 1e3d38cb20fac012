"""What GPU is here: the real driver's answer, and the profile chosen for cards as drivers name them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from actions import machine as machine_actions
from actions.action import dump
from actions.request import Job, Request, Session
from config import Settings
from machine.gpu import CPU, GPUState, find_gpus, profile_here, profile_of
from machine.model_process import ModelProcess


def card(name, total_gb, capability=(8, 6)):
    return GPUState(name, "550.54", capability, total_gb, 1.0, total_gb - 1.0, 3, 40)


@pytest.mark.parametrize(
    ("name", "total_gb", "profile"),
    [
        ("NVIDIA GeForce RTX 3060", 12.0, "RTX 3060 12GB"),
        ("NVIDIA GeForce RTX 3060", 7.9, "RTX 3060 8GB"),
        ("NVIDIA GeForce RTX 3050 Laptop GPU", 6.0, "RTX 3050 6GB"),
        ("NVIDIA GeForce RTX 4060 Ti", 15.99, "RTX 4060 Ti 16GB"),
        ("NVIDIA GeForce RTX 4060", 7.99, "RTX 4060 8GB"),
        ("NVIDIA GeForce RTX 4090", 23.99, "RTX 4090 24GB"),
        ("NVIDIA GeForce GTX 1650", 3.9, "GTX 1650 4GB"),
    ],
)
def test_known_cards_have_their_profile(name, total_gb, profile):
    assert profile_of(card(name, total_gb)).name == profile


@pytest.mark.parametrize(
    ("name", "total_gb", "capability", "architecture"),
    [
        ("NVIDIA GeForce GTX 1660 SUPER", 6.0, (7, 5), "turing-gtx"),
        ("NVIDIA GeForce RTX 2070", 8.0, (7, 5), "turing"),
        ("NVIDIA GeForce RTX 4060 Ti", 8.0, (8, 9), "ada"),
        ("NVIDIA GeForce RTX 4080 SUPER", 16.0, (8, 9), "ada"),
        ("NVIDIA H100 80GB HBM3", 79.6, (9, 0), "ada"),
        ("NVIDIA GeForce RTX 5090", 31.8, (12, 0), "blackwell"),
        ("NVIDIA A100-SXM4-40GB", 39.4, (8, 0), "ampere"),
        ("Tesla V100-SXM2-16GB", 15.8, (7, 0), "turing"),
        ("NVIDIA GeForce MX150", 2.0, (6, 1), "turing"),
    ],
)
def test_unknown_cards_speak_for_themselves(name, total_gb, capability, architecture):
    profile = profile_of(card(name, total_gb, capability))
    assert (profile.name, profile.architecture, profile.vram_gb) == (name, architecture, round(total_gb))
    assert 0 < profile.seconds_per_step < CPU.seconds_per_step


def test_what_is_here_is_asked_from_the_real_driver():
    gpus = find_gpus()
    if not gpus:
        assert profile_here() == CPU
    for gpu in gpus:
        assert gpu.name
        assert gpu.total_gb > 0
        assert gpu.free_gb <= gpu.total_gb


def test_asking_loads_no_torch():
    code = "import sys; from machine import gpu; gpu.profile_here(); print('torch' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    asked = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert asked.stdout.strip() == "False"


# --- what is shown ----------------------------------------------------------------------------------------------------
# NVML as it answers for one card: this test computes and draws on it, a program that is no longer there draws. Amounts in bytes.
DRIVER = """
import os
from types import SimpleNamespace as Facts
class NVMLError(Exception): pass
NVML_TEMPERATURE_GPU = 0
HERE = Facts(pid=int(os.environ["HERE"]), usedGpuMemory=3 * 2**30)
GONE = Facts(pid=2**22 + 1, usedGpuMemory=None)
nvmlInit = nvmlShutdown = lambda: None
nvmlSystemGetDriverVersion, nvmlSystemGetCudaDriverVersion_v2, nvmlDeviceGetCount = lambda: "550.54", lambda: 12040, lambda: 1
nvmlDeviceGetHandleByIndex = lambda index: index
nvmlDeviceGetName, nvmlDeviceGetUUID = lambda card: "NVIDIA GeForce RTX 3060", lambda card: "GPU-1"
nvmlDeviceGetMemoryInfo = lambda card: Facts(total=12 * 2**30, used=4 * 2**30, free=8 * 2**30)
nvmlDeviceGetCudaComputeCapability = lambda card: (8, 6)
nvmlDeviceGetUtilizationRates = lambda card: Facts(gpu=7)
nvmlDeviceGetTemperature = lambda card, kind: 40
nvmlDeviceGetComputeRunningProcesses = lambda card: [HERE]
def nvmlDeviceGetGraphicsRunningProcesses(card):
    if "HEADLESS" in os.environ:
        raise NVMLError
    return [HERE, GONE]
"""


def shown(home, *words, **environment):
    """What `gpu` prints on the command line of a machine with that card."""
    (home / "driver").mkdir(exist_ok=True)
    (home / "driver" / "pynvml.py").write_text(DRIVER)
    root = Path(__file__).resolve().parents[2]
    clean = {name: value for name, value in os.environ.items() if name not in ("LANGUAGE", "LC_ALL", "LANG")}
    here = {"PYTHONPATH": str(home / "driver"), "HERE": str(os.getpid()), "COLUMNS": "100"}
    command = [sys.executable, "avatar_pipeline.py", "--home", str(home), "gpu", *words]
    return subprocess.run(
        command, cwd=root, env={**clean, **here, **environment}, capture_output=True, text=True, check=True
    ).stdout


def test_the_command_line_names_every_process_on_the_card_and_claims_nothing_of_models(tmp_path):
    answer = json.loads(shown(tmp_path, "--json"))
    here, gone = answer["gpus"][0]["processes"]
    assert (here["pid"], here["memory_gb"], gone["memory_gb"]) == (os.getpid(), 3.0, 0.0)
    assert "py" in here["program"] and gone["program"] == ""
    assert not answer["worker"]["running"] and answer["note"] == "only_this_program"
    text = shown(tmp_path)
    assert str(os.getpid()) in text and "3.0 GB" in text
    assert "Loaded models: none in this window" in text
    assert "allocated" not in text, "nothing was asked of a worker, so nothing of one is said"
    assert len(json.loads(shown(tmp_path, "--json", HEADLESS="1"))["gpus"][0]["processes"]) == 1


def test_where_a_worker_runs_its_models_are_named_and_freed(tmp_path):
    from stages import finish

    from terminal.view_machine import VIEWS

    def said(report):
        console = Console(width=200)
        with console.capture() as captured:
            console.print(VIEWS[type(report)](report))
        return captured.get()

    with ModelProcess(tmp_path / "worker.log") as model_process:
        finish(model_process.ask("status"))
        session = Session(tmp_path, Settings(), model_process)
        job = Job(session, machine_actions.ModelsRequest(verb="free"))
        report = finish(machine_actions.GPU.run(Job(session, Request())))
        assert report.worker.running and report.worker.pid == model_process.pid
        assert machine_actions.GPU.answer(report).note == ""
        assert "Loaded models: -" in said(report)
        freed = finish(machine_actions.MODELS.run(job))
        assert model_process.pid is None and dump(machine_actions.MODELS.answer(freed)) == {"freed": [], "note": ""}
        assert "No model was loaded." in said(freed)
        nothing = finish(machine_actions.MODELS.run(job))
        assert machine_actions.MODELS.answer(nothing).note == "only_this_program"
        assert "Only a menu frees its own" in said(nothing)
