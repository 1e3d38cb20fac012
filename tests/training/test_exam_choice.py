"""Who names no LoRA gets the one that the exam chose, as long as it is the file that was examined and nothing newer was trained."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from exam_kit import lay_exam
from safetensors.numpy import save_file
from stages import run
from tiny_sdxl import make_base

from actions.action import dump
from actions.checkpoints import answer
from avatar_pipeline import main
from client_folder.client import Client, create_client
from config import Settings
from generation import plan_portraits
from training.checkpoints import NoCheckpoint, choose_lora, exam_choice
from training.exports import App, export_lora
from training.lora_files import look_closely
from utils import BrokenFile

Loras = dict[int, Path]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(base_model=str(make_base(tmp_path_factory.mktemp("models") / "tiny")))


@pytest.fixture
def client(tmp_path: Path) -> Client:
    client = create_client(tmp_path, "ana", "woman")
    client.models.mkdir()
    return client


@pytest.fixture
def loras(client: Client) -> Loras:
    """A finished training with two checkpoints before its end."""
    names = {50: "ana_avatar_v1-step00000050", 150: "ana_avatar_v1-step00000150", 220: "ana_avatar_v1"}
    return {step: lay(client, name, step) for step, name in names.items()}


def lay(client: Client, stem: str, value: int) -> Path:
    """A small LoRA whose bytes are its own, with a layer that reads the prompt."""
    file = client.models / f"{stem}.safetensors"
    layer = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k.lora_down.weight"
    save_file({layer: np.full((4, 128), value, np.float16)}, file, {"ss_steps": "220"})
    return file


def test_without_an_exam_the_newest_finished_one_is_taken(client: Client, loras: Loras) -> None:
    assert exam_choice(client) is None
    assert choose_lora(client).path == loras[220]


def test_the_exams_choice_is_taken_by_whoever_names_none(client: Client, loras: Loras, settings: Settings) -> None:
    lay_exam(client, loras, 150)
    assert choose_lora(client).path == loras[150]
    plan = plan_portraits(client, settings)
    assert (plan.loras, plan.requests[0].weight) == ((loras[150],), 1.0)
    assert plan.exam_choice and plan.exam_choice.step == 150
    exported = run(export_lora(client, settings, apps=(App.DIFFUSERS,)))[1]
    assert exported.lora == loras[150] and exported.chosen_by_exam


def test_who_names_one_gets_it_and_the_usual_weight(client: Client, loras: Loras, settings: Settings) -> None:
    lay_exam(client, loras, 150, weight=0.85)
    assert choose_lora(client, "220").path == loras[220]
    plan = plan_portraits(client, settings, loras=("220",))
    assert (plan.loras, plan.requests[0].weight, plan.exam_choice) == ((loras[220],), 1.0, None)
    assert not run(export_lora(client, settings, "50", (App.DIFFUSERS,)))[1].chosen_by_exam
    with pytest.raises(NoCheckpoint):
        choose_lora(client, "151")


def test_the_weight_that_the_exam_found_best_is_taken_where_none_is_named(client: Client, loras: Loras, settings: Settings) -> None:
    lay_exam(client, loras, 150, weight=0.85)
    assert plan_portraits(client, settings).requests[0].weight == 0.85
    assert plan_portraits(client, settings, weights=(0.6,)).requests[0].weight == 0.6
    assert plan_portraits(client, settings, weights=(0.0,)).exam_choice is None, "without a LoRA nothing was chosen"


def test_none_recommended_is_no_choice(client: Client, loras: Loras) -> None:
    lay_exam(client, loras, None)
    assert exam_choice(client) is None
    assert choose_lora(client).path == loras[220]


def test_a_file_that_is_gone_or_another_one_by_now_is_not_taken(client: Client, loras: Loras) -> None:
    lay_exam(client, loras, 150)
    kept = loras[150].read_bytes()
    lay(client, loras[150].stem, 3)
    assert exam_choice(client) is None and choose_lora(client).path == loras[220]
    loras[150].write_bytes(kept)
    assert choose_lora(client).path == loras[150], "the very file is back"
    loras[150].unlink()
    assert exam_choice(client) is None and choose_lora(client).path == loras[220]


def test_a_newer_training_ends_the_choice_once_it_has_ended(client: Client, loras: Loras) -> None:
    lay_exam(client, loras, 150)
    lay(client, "ana_avatar_v2-step00000050", 1)
    assert choose_lora(client).path == loras[150], "a training that was cut off is no newer LoRA"
    newest = lay(client, "ana_avatar_v2", 2)
    assert exam_choice(client) is None and choose_lora(client).path == newest


def test_no_report_leads_out_of_the_folder_of_models(client: Client, loras: Loras) -> None:
    lay_exam(client, loras, 150)
    told = json.loads(client.exam_report.read_text(encoding="utf-8"))
    client.exam_report.write_text(json.dumps(told | {"lora": "../state.json"}), encoding="utf-8")
    with pytest.raises(BrokenFile, match=r"report\.json"):
        choose_lora(client)
    assert choose_lora(client, "150").path == loras[150], "who names one needs no report"


def test_a_report_of_a_later_program_with_more_in_it_is_read(client: Client, loras: Loras) -> None:
    lay_exam(client, loras, 50)
    told = json.loads(client.exam_report.read_text(encoding="utf-8")) | {"blind": {"answers": 20}}
    client.exam_report.write_text(json.dumps(told), encoding="utf-8")
    assert choose_lora(client).path == loras[50]


def test_a_torn_file_is_not_taken_though_the_exam_chose_it(client: Client, loras: Loras) -> None:
    os.truncate(loras[150], loras[150].stat().st_size - 3)
    lay_exam(client, loras, 150)
    assert exam_choice(client) is None and choose_lora(client).path == loras[220]


def test_the_list_says_which_one(client: Client, loras: Loras, capsys: pytest.CaptureFixture[str]) -> None:
    lay_exam(client, loras, 150, weight=0.85)
    report = run(look_closely(client))[1]
    told = dump(answer(report))["checkpoints"]
    assert [one["step"] for one in told if one["chosen_by_exam"]] == [150]
    assert main(["--home", str(client.home), "--language", "en", "checkpoints", "list", "--client", "ana"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert printed.count("chosen by") == 1
