"""Setting up: which base model, asked in a real terminal beside pretended cards; what is fetched, declined, or still to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from one_file import write_stub
from pseudo_terminal import NOT_A_USERS, ROOT, Terminal
from stages import run

from config import Settings, load_settings, save_settings
from machine.base_models import NotSdxl
from training.installation import SetupItem, bases_to_choose, declined, plan_setup, set_up

# NVML as it answers for one card of 24 GB and the like: `CARD` is name, GiB and compute capability; REFUSED are what it keeps back.
DRIVER = """
import os
from types import SimpleNamespace as Facts
class NVMLError(Exception): pass
NVML_TEMPERATURE_GPU = 0
NAME, GIB, CAPABILITY = os.environ["CARD"].split("|")
nvmlInit = nvmlShutdown = lambda: None
nvmlSystemGetDriverVersion, nvmlSystemGetCudaDriverVersion_v2, nvmlDeviceGetCount = lambda: "581.54", lambda: 13000, lambda: 1
nvmlDeviceGetHandleByIndex = lambda index: index
nvmlDeviceGetName, nvmlDeviceGetUUID = lambda card: NAME, lambda card: "GPU-1"
nvmlDeviceGetMemoryInfo = lambda card: Facts(total=int(GIB) * 2**30, used=2**30, free=(int(GIB) - 1) * 2**30)
nvmlDeviceGetCudaComputeCapability = lambda card: tuple(map(int, CAPABILITY.split(".")))
nvmlDeviceGetUtilizationRates = lambda card: Facts(gpu=7)
nvmlDeviceGetTemperature = lambda card, kind: 40
nvmlDeviceGetComputeRunningProcesses = nvmlDeviceGetGraphicsRunningProcesses = lambda card: []
def refuse(*_about):
    raise NVMLError("Not Supported")
for query in os.environ.get("REFUSED", "").split():
    globals()[query] = refuse
"""
WSL = "nvmlDeviceGetUtilizationRates nvmlDeviceGetTemperature nvmlDeviceGetComputeRunningProcesses"
CARDS = {
    "4090": "NVIDIA GeForce RTX 4090|24|8.9", "3060": "NVIDIA GeForce RTX 3060|12|8.6", "1650": "NVIDIA GeForce GTX 1650|4|7.5",
    "wsl": "NVIDIA GeForce RTX 4070|12|8.9", "none": "",
}  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """What the environment of a machine says where a user has no models, and no network is: a driver to be named by CARD."""
    (tmp_path / "driver").mkdir()
    (tmp_path / "driver" / "pynvml.py").write_text(DRIVER)
    (tmp_path / "user").mkdir()
    nowhere = "http://127.0.0.1:9"
    return {
        "HOME": str(tmp_path / "user"), "HF_HUB_CACHE": str(tmp_path / "cache"), "HF_ENDPOINT": nowhere, "https_proxy": nowhere,
        "http_proxy": nowhere, "PIP_NO_INDEX": "1",
    }  # fmt: skip


def with_card(machine: dict[str, str], tmp_path: Path, card: str) -> dict[str, str]:
    if not CARDS[card]:
        return machine
    driver = {"PYTHONPATH": str(tmp_path / "driver"), "CARD": CARDS[card]}
    return machine | driver | ({"REFUSED": WSL} if card == "wsl" else {})


def answer(home: Path, environment: dict[str, str], *words: str) -> tuple[dict, int]:
    """What `setup` answers as JSON where nobody can be asked, and its exit code."""
    clean = {name: value for name, value in os.environ.items() if name not in NOT_A_USERS}
    command = [sys.executable, "avatar_pipeline.py", "--home", str(home), "setup", *words, "--json"]
    done = subprocess.run(
        command, cwd=ROOT, env={**clean, **environment}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return json.loads(done.stdout), done.returncode


# --- the first start --------------------------------------------------------------------------------------------------
SDXL_FIRST, PRACTICE_FIRST = ("> 1) SDXL 1.0", "2) The practice model"), ("> 1) The practice model", "2) SDXL 1.0")


@pytest.mark.parametrize(
    ("card", "seen", "spanish"),
    [
        ("4090", ("RTX 4090, 24 GB", *SDXL_FIRST), ("RTX 4090, 24 GB", "¿Qué modelo base?", "> 1) SDXL 1.0: fotografías")),
        ("3060", ("RTX 3060, 12 GB", *SDXL_FIRST), ()),
        ("wsl", ("RTX 4070, 12 GB", *SDXL_FIRST), ()),
        ("1650", ("GTX 1650, 4 GB", "too little to train", *PRACTICE_FIRST), ("muy poco", "> 1) El modelo de práctica")),
        ("none", ("no NVIDIA card", "8 GB or more", *PRACTICE_FIRST), ("> 1) El modelo de práctica", "2) SDXL 1.0: fotografías")),
    ],
)
def test_the_first_start_leads_where_a_person_with_that_card_wants(tmp_path, machine, card, seen, spanish):
    environment = with_card(machine, tmp_path, card)
    with Terminal(tmp_path / "home", fresh=True, **environment) as terminal:
        terminal.wait_for(*seen, "by its path")
        terminal.press("escape")
        terminal.wait_for("What shall we work on?")
    assert not (tmp_path / "home" / "settings.json").exists(), "who goes back is asked again at the next start"
    if spanish:
        with Terminal(tmp_path / "home", fresh=True, LANG="es_ES.UTF-8", **environment) as terminal:
            terminal.wait_for(*spanish)


def test_a_checkpoint_that_is_here_is_chosen_by_one_enter_and_the_trainer_declined(tmp_path, machine):
    found = write_stub(tmp_path / "user" / "ComfyUI" / "models" / "checkpoints" / "juggernautXL_v9.safetensors")
    home = tmp_path / "home"
    with Terminal(home, fresh=True, **with_card(machine, tmp_path, "4090")) as terminal:
        terminal.wait_for("> 1) juggernautXL_v9.safetensors (SDXL)", "2) SDXL 1.0")
        terminal.press("enter")
        terminal.wait_for("To be downloaded:", "sd-scripts", "5.0 GB", "free on the disk", "Go ahead?")
        assert "the base model, about" not in terminal.everything(), "that is here"
        terminal.press("0", "enter")
        terminal.wait_for("What shall we work on?")
        assert "Still to do:" in terminal.everything() and "setup sd-scripts" in terminal.everything()
    assert load_settings(home).base_model == str(found)
    assert not (home / "trainer").exists()


def test_the_practice_model_needs_no_further_question(tmp_path, machine):
    home = tmp_path / "home"
    with Terminal(home, fresh=True, **machine) as terminal:
        terminal.wait_for("> 1) The practice model")
        terminal.press("enter")
        terminal.wait_for("What shall we work on?")
        assert "no photographs" in terminal.everything() and "Go ahead?" not in terminal.everything()
    assert load_settings(home).base_model == "embedded"


def test_setup_on_the_command_line_asks_too_and_a_path_may_be_typed(tmp_path, machine):
    home, mine = tmp_path / "home", write_stub(tmp_path / "mine.safetensors")
    old = write_stub(tmp_path / "old.safetensors", "cond_stage_model.transformer.text_model.x")
    for file, wanted in ((old, "Stable Diffusion 1"), (mine, "mine.safetensors")):
        with Terminal(home, "setup", **machine) as terminal:
            terminal.wait_for("by its path")
            terminal.press("3", "enter")
            terminal.wait_for("SDXL's kind, or a folder")
            terminal.press(str(file), "enter")
            terminal.wait_for_end()
            assert wanted in "".join(terminal.everything().split("\n")), "what it is is said by its header"
    assert load_settings(home).base_model == str(mine)


# --- where nobody can be asked ----------------------------------------------------------------------------------------
def test_in_a_pipe_the_settings_stay_and_nothing_is_fetched(tmp_path, machine):
    home, environment = tmp_path / "home", with_card(machine, tmp_path, "4090")
    told, code = answer(home, environment)
    assert (code, told["base"], told["kept"], told["practice"], told["todo"]) == (0, "embedded", True, True, [])
    told, code = answer(home, environment, "--base", "sdxl")
    assert (code, told["base"], told["kept"], told["practice"]) == (0, "sdxl", False, False)
    assert [one["item"] for one in told["todo"]] == ["base", "trainer"]
    assert [one["command"].partition("avatar_pipeline.py ")[2] for one in told["todo"]] == [
        "models preload sdxl-base", "setup sd-scripts",
    ]  # fmt: skip
    assert not (home / "trainer").exists() and not (tmp_path / "cache").exists()
    assert answer(home, environment)[0]["base"] == "sdxl", "and stays"
    plan, code = answer(home, environment, "--plan")
    assert [one["item"] for one in plan["fetch"]] == ["base", "trainer", "trainer-python"] and plan["bytes"] > 11e9


def test_offline_nothing_fails_and_what_failed_is_still_to_do(tmp_path, machine):
    save_settings(tmp_path / "home", Settings(sd_scripts_source=str(tmp_path / "no-repository")))
    told, code = answer(tmp_path / "home", with_card(machine, tmp_path, "4090"), "--base", "sdxl", "--yes")
    assert code == 0 and load_settings(tmp_path / "home").base_model == "sdxl"
    assert {one["item"] for one in told["todo"]} == {"base", "trainer"}
    assert all(one["reason"] for one in told["todo"])


def test_a_base_that_cannot_be_used_is_refused_and_nothing_changes(tmp_path, machine):
    lora = write_stub(tmp_path / "lora.safetensors", "lora_unet_x.lora_up.weight")
    told, code = answer(tmp_path / "home", machine, "--base", str(lora))
    assert code == 1 and "LoRA" in told["error"]
    assert not (tmp_path / "home" / "settings.json").exists()


# --- the stage itself -------------------------------------------------------------------------------------------------
@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "home"


def test_a_clients_own_base_stays_and_declined_items_are_listed(empty: Path) -> None:
    from client_folder.client import create_client
    from machine.base_models import base_of
    from utils import write_record

    client = create_client(empty, "ana")
    write_record(client.state_file, client.state().model_copy(update={"base_model": "embedded"}))
    plan = plan_setup(empty, Settings(), "sdxl")
    assert [one.item for one in plan.items] == [SetupItem.BASE]
    _events, report = run(set_up(empty, Settings(), declined(plan)))
    assert [(one.item, one.reason) for one in report.todo] == [(SetupItem.BASE, "")]
    assert base_of(client, load_settings(empty)).practice and not report.practice


def test_a_torn_base_in_the_settings_is_told_by_a_check_and_ends_nothing(empty: Path) -> None:
    torn = write_stub(empty / "torn.safetensors")
    torn.write_bytes(torn.read_bytes()[:-1])
    settings = Settings(base_model=str(torn))
    save_settings(empty, settings)
    _events, report = run(set_up(empty, settings, plan_setup(empty, settings)))
    assert not report.practice and not next(check for check in report.checks if check.label == "Base model").well


def test_what_the_settings_name_is_offered_first(empty: Path) -> None:
    assert bases_to_choose(empty, Settings(base_model="sdxl"))[0].name == "sdxl"
    with pytest.raises(NotSdxl):
        plan_setup(empty, Settings(), str(write_stub(empty / "sd1.safetensors", "cond_stage_model.transformer.x")))
