"""What GPU is here: the real driver's answer, and the profile chosen for cards as drivers name them."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from actions import machine as machine_actions
from actions.action import dump
from actions.request import Job, Request, Session
from config import Settings
from machine.gpu import CPU, GPUState, find_gpus, largest_gpu, names_like, profile_here, profile_named, profile_of
from machine.model_process import ModelProcess
from machine.other_cards import Maker, OtherCard, maker_of, on_linux
from training import machine_doctor
from training.machine_doctor import look_at_driver


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
        ("NVIDIA GeForce GTX 1660 SUPER", 6.0, "GTX 1660 SUPER 6GB"),
        ("NVIDIA GeForce RTX 2070", 8.0, "RTX 2070 8GB"),
        ("NVIDIA GeForce RTX 4060 Ti", 8.0, "RTX 4060 Ti 8GB"),
        ("NVIDIA GeForce RTX 4080 SUPER", 16.0, "RTX 4080 SUPER 16GB"),
        ("NVIDIA GeForce RTX 5090", 31.8, "RTX 5090 32GB"),
        ("NVIDIA L4", 22.5, "L4 24GB"),
        ("Tesla T4", 14.9, "Tesla T4 15GB"),
    ],
)
def test_known_cards_have_their_profile(name, total_gb, profile):
    assert profile_of(card(name, total_gb)).name == profile


@pytest.mark.parametrize(
    ("name", "total_gb", "capability", "architecture"),
    [
        ("NVIDIA GeForce RTX 4090 Laptop GPU", 16.0, (8, 9), "ada"),
        ("NVIDIA GeForce RTX 5090 Laptop GPU", 23.9, (0, 0), "blackwell"),
        ("NVIDIA GeForce GTX 1650 Ti", 4.0, (7, 5), "turing-gtx"),
        ("NVIDIA H100 80GB HBM3", 79.6, (9, 0), "ada"),
        ("NVIDIA A100-SXM4-40GB", 39.4, (8, 0), "ampere"),
        ("Tesla V100-SXM2-16GB", 15.8, (7, 0), "turing"),
        ("NVIDIA GeForce MX150", 2.0, (6, 1), "turing"),
    ],
)
def test_unknown_cards_speak_for_themselves(name, total_gb, capability, architecture):
    profile = profile_of(card(name, total_gb, capability))
    assert (profile.name, profile.architecture, profile.vram_gb) == (name, architecture, round(total_gb))
    assert 0 < profile.seconds_per_step < CPU.seconds_per_step


def test_an_unknown_card_is_as_fast_as_its_memory_and_never_promised_too_much():
    told = replace(card("RTX 4090 Laptop GPU", 16.0, (8, 9)), bandwidth_gb_s=576.0)
    assert profile_of(told).seconds_per_step == pytest.approx(970 / 576, abs=0.01)
    assert profile_of(card("Quadro of some kind", 16.0)).seconds_per_step == profile_named("RTX 4060 Ti 16GB").seconds_per_step


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("RTX 4090 24GB", "RTX 4090 24GB"), ("rtx 3070", "RTX 3070 8GB"), ("4070 ti", "RTX 4070 Ti 12GB"),
        ("4070Ti Super", "RTX 4070 Ti SUPER 16GB"), ("2060", "RTX 2060 6GB"), ("5090", "RTX 5090 32GB"),
        ("NVIDIA GeForce RTX 3060", "RTX 3060 8GB"), ("3060 12", "RTX 3060 12GB"), ("t4", "Tesla T4 15GB"), ("cpu", "CPU"),
        ("My card 20 GB", "My card 20GB (~ RTX 4000 Ada 20GB)"), ("RTX 4090 16GB", "RTX 4090 16GB (~ RTX 4060 Ti 16GB)"),
    ],
)  # fmt: skip
def test_a_card_is_known_by_what_people_call_it(name, meant):
    profile = profile_named(name)
    assert profile is not None and profile.name == meant


def test_a_name_nobody_knows_is_answered_with_names_like_it():
    assert profile_named("RTX 3O6O") is profile_named("Foo") is profile_named("12") is None
    assert "RTX 3060 12GB" in names_like("RTX 3O6O 12")


def test_what_is_here_is_asked_from_the_real_driver():
    gpus = find_gpus()
    if not gpus:
        assert profile_here() == CPU and largest_gpu() is None
    for gpu in gpus:
        assert gpu.name
        assert gpu.total_gb > 0
        assert gpu.free_gb is None or gpu.free_gb <= gpu.total_gb


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
nvmlDeviceGetMemoryBusWidth, nvmlDeviceGetMaxClockInfo = lambda card: 192, lambda card, kind: 7501
def refuse(*_about):
    raise NVMLError("Not Supported")
for query in os.environ.get("REFUSED", "").split():  # what this driver does not answer, as in WSL2 and on some laptops
    globals()[query] = refuse
"""
QUERIES = (
    "nvmlSystemGetDriverVersion nvmlSystemGetCudaDriverVersion_v2 nvmlDeviceGetName nvmlDeviceGetUUID nvmlDeviceGetMemoryInfo "
    "nvmlDeviceGetCudaComputeCapability nvmlDeviceGetUtilizationRates nvmlDeviceGetTemperature "
    "nvmlDeviceGetComputeRunningProcesses nvmlDeviceGetGraphicsRunningProcesses nvmlDeviceGetMemoryBusWidth "
    "nvmlDeviceGetMaxClockInfo"
)


def shown(home, *words, action="gpu", **environment):
    """What an action prints on the command line of a machine with that card."""
    (home / "driver").mkdir(exist_ok=True)
    (home / "driver" / "pynvml.py").write_text(DRIVER)
    root = Path(__file__).resolve().parents[2]
    clean = {name: value for name, value in os.environ.items() if name not in ("LANGUAGE", "LC_ALL", "LANG")}
    here = {"PYTHONPATH": str(home / "driver"), "HERE": str(os.getpid()), "COLUMNS": "100"}
    command = [sys.executable, "avatar_pipeline.py", "--home", str(home), action, *words]
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


def test_a_drivers_figures_are_shown_as_they_are(tmp_path):
    """The card of DRIVER: amounts in GiB, CUDA 12.4 as 12040, and 192 bit at 7501 MHz, twice a cycle: 360 GB a second."""
    (card,) = json.loads(shown(tmp_path, "--json"))["gpus"]
    figures = {name: card[name] for name in ("name", "driver", "total_gb", "used_gb", "free_gb", "temperature")}
    assert figures == {
        "name": "NVIDIA GeForce RTX 3060", "driver": "550.54", "total_gb": 12.0, "used_gb": 4.0, "free_gb": 8.0, "temperature": 40,
    }  # fmt: skip
    assert 7 in card.values() and "12.4" in card.values() and card["bandwidth_gb_s"] == pytest.approx(360.05, abs=0.01)


def test_of_two_cards_the_larger_trains(monkeypatch):
    small, large = card("NVIDIA GeForce RTX 3060", 12.0), card("NVIDIA GeForce RTX 4090", 24.0, (8, 9))
    for both in ((small, large), (large, small)):
        monkeypatch.setattr("machine.gpu.find_gpus", lambda both=both: both)
        assert largest_gpu() is large and profile_here().name == "RTX 4090 24GB"
    monkeypatch.setattr("machine.gpu.find_gpus", lambda: ())
    assert largest_gpu() is None and profile_here() is CPU


def test_what_a_driver_does_not_answer_costs_that_figure_and_nothing_else(tmp_path):
    kept = json.loads(shown(tmp_path, "--json"))["gpus"][0]
    assert kept["bandwidth_gb_s"] == pytest.approx(360, abs=0.1)
    for query in QUERIES.split():
        (gpu,) = json.loads(shown(tmp_path, "--json", REFUSED=query))["gpus"]
        lost = {name for name, value in gpu.items() if value != kept[name]}
        assert len(lost) <= 3, (query, lost)  # the figures of one answer, and no other
        assert gpu["total_gb"] in (kept["total_gb"], 8.0), "where it does not tell, as little as such a card is sold with"
    wsl = "nvmlDeviceGetUtilizationRates nvmlDeviceGetTemperature nvmlDeviceGetComputeRunningProcesses"
    text = shown(tmp_path, REFUSED=wsl, COLUMNS="140")
    assert "4.0 / 12.0 GB" in text and " - " in text
    assert json.loads(shown(tmp_path, "--json", REFUSED="nvmlDeviceGetCount"))["gpus"] == []


@pytest.mark.parametrize("action", ["setup", "doctor"])
def test_a_driver_that_answers_nothing_but_a_name_ends_no_action(tmp_path, action):
    everything = QUERIES.replace("nvmlDeviceGetName ", "")
    checks = {check["label"]: check for check in json.loads(shown(tmp_path, "--json", action=action, REFUSED=everything))["checks"]}
    assert checks["GPU"]["found"].startswith("NVIDIA GeForce RTX 3060")
    if action == "doctor":
        assert checks["Driver"]["found"] == "-" and checks["Driver"]["well"]
        assert checks["Video memory"]["found"] == "- / 8.0 GB"


@pytest.mark.parametrize(
    ("driver", "cuda", "capability", "well"),
    [
        ("535.10", "13.0", (8, 9), False), ("576.88", "13.0", (8, 9), False), ("580.65", "13.0", (8, 9), True),
        ("535.10", "12.6", (8, 6), True), ("522.06", "12.6", (8, 6), False), ("566.03", "12.8", (12, 0), False),
        ("572.16", "12.8", (12, 0), True), ("580.65", "", (8, 6), True), ("470.2", "", (8, 6), False),
        ("460.1", "11.8", (8, 6), True),
    ],
)  # fmt: skip
def test_the_driver_has_to_run_the_cuda_of_the_installed_torch(driver, cuda, capability, well):
    check = look_at_driver(replace(card("NVIDIA card", 12.0, capability), driver=driver), cuda)
    assert check.well is well
    assert (cuda[:2] or "12") in check.cure


def test_a_driver_without_a_version_is_judged_by_the_cuda_it_runs():
    silent = replace(card("NVIDIA card", 12.0), driver="")
    assert look_at_driver(replace(silent, cuda="13.0"), "13.0").well and look_at_driver(silent, "13.0").well
    assert not look_at_driver(replace(silent, cuda="12.4"), "13.0").well


# --- other makers' cards ----------------------------------------------------------------------------------------------
def test_cards_of_other_makers_are_named_with_what_they_can_do(tmp_path):
    for name, vendor in (("card0", "0x8086"), ("card1", "0x1002"), ("card1-DP-1", "0x1002"), ("card2", "0x1a03")):
        (tmp_path / name / "device").mkdir(parents=True)
        (tmp_path / name / "device" / "vendor").write_text(f"{vendor}\n")
    (tmp_path / "card3").mkdir()
    assert [found.maker.value for found in on_linux(tmp_path)] == ["intel", "amd"]
    assert maker_of("NVIDIA GeForce RTX 4070").value == "nvidia"
    assert maker_of("AMD Radeon(TM) Graphics").value == maker_of("Radeon RX 7900 XTX").value == "amd"
    assert maker_of("Microsoft Remote Display Adapter") is None


def test_without_an_nvidia_card_the_doctor_says_what_the_other_one_can_do(monkeypatch):
    monkeypatch.setattr(machine_doctor, "find_other_cards", lambda: (OtherCard(Maker.AMD, "Radeon RX 7900 XTX"),))
    check = machine_doctor.look_at_gpu(None)
    assert (check.found, check.well, check.command) == ("Radeon RX 7900 XTX", False, "")
    assert "AMD" in check.cure and "ComfyUI" in check.cure
    monkeypatch.setattr(machine_doctor, "find_other_cards", lambda: (OtherCard(Maker.NVIDIA, "GA104"),))
    assert "driver" in machine_doctor.look_at_gpu(None).cure


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
