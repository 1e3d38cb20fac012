"""What may lie in a client's `models/` under our names: folders, pipes, links, odd headers, files in place of states."""

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from one_file import write_stub
from PIL import Image
from safetensors.numpy import save_file
from stages import run

from avatar_pipeline import main
from client_folder.client import create_client
from config import Settings
from lora_trainer import plan_training, train
from training.checkpoints import find_resume, list_checkpoints
from training.monitor import TrainerFailed
from training.plan import Overrides

STANDIN = Path(__file__).resolve().parents[1] / "data" / "standin_trainer"
LAYER = "lora_unet_down_blocks_1_attn2_to_k.lora_down.weight"


@pytest.fixture
def client(tmp_path):
    client = create_client(tmp_path, "ana")
    folder = client.training_data / "2_ana"
    folder.mkdir(parents=True)
    for number in range(2):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text("portrait of ana person, smiling\n")
    client.models.mkdir()
    return client


@pytest.fixture
def settings(tmp_path):
    settings = {"schema": 1, "base_model": str(write_stub(tmp_path / "sdxl.safetensors")), "sd_scripts": str(STANDIN)}
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    return Settings.model_validate(settings)


def planned(client, settings):
    return plan_training(client, settings, gpu="RTX 3060 12GB", overrides=Overrides(steps=10, save_every=2, warmup=1)).plan


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes and few links")
def test_what_only_bears_the_name_of_a_lora_is_torn(client, settings, tmp_path, capsys):
    strange = {number: client.models / f"ana_avatar_v{number}.safetensors" for number in range(1, 6)}
    strange[1].mkdir()
    os.mkfifo(strange[2])  # opened, it would be waited for without end
    strange[3].symlink_to("nowhere")
    strange[4].symlink_to(strange[4].name)
    save_file({LAYER: np.zeros((4, 2048), np.float32)}, strange[5], {"ss_steps": "many"})
    found = {one.version: one for one in list_checkpoints(client)}
    assert sorted(found) == [1, 2, 3, 4, 5] and [one.whole for one in found.values()] == [False] * 4 + [True]
    assert found[5].step == 0 and found[5].size == strange[5].stat().st_size
    for words in (["client", "show", "ana"], ["checkpoints", "list", "--client", "ana"], ["generate", "--client", "ana", "--plan"]):
        code = main(["--home", str(tmp_path), "--language", "en", *words])
        said = capsys.readouterr()
        assert "A fault of the program" not in said.err, said.err
        assert code == 0 or words[0] == "generate", said.err  # the stand-in of a base has nothing to paint with
    assert main(["--home", str(tmp_path), "checkpoints", "strip", "--client", "ana"]) == 0


@pytest.mark.parametrize("steps", ["-1", "9" * 5000, "1e3", "", "\u0661\u0662", "0x10"])
def test_a_header_may_count_steps_in_any_way(client, steps):
    save_file({LAYER: np.zeros((4, 2048), np.float32)}, client.models / "ana_avatar_v1.safetensors", {"ss_steps": steps})
    assert [one.step for one in list_checkpoints(client)] == [0]


def test_a_file_is_no_state(client, settings):
    plan = planned(client, settings)
    (client.models / "ana_avatar_v1-step00000002-state").write_text("a file")
    spoilt = client.models / "ana_avatar_v1-step00000004-state"
    spoilt.mkdir()
    for name in ("optimizer.bin", "scheduler.bin", "random_states_0.pkl"):
        with zipfile.ZipFile(spoilt / name, "w") as archive:
            archive.writestr("data.pkl", "x")
    save_file({LAYER: np.zeros((4, 2048), np.float32)}, spoilt / "model.safetensors")
    for progress in ("3", '"current_step"', "[" * 100_000, '{"current_step": "4"}', "\0"):
        (spoilt / "train_state.json").write_text(progress)
        assert find_resume(client, plan) is None
    (spoilt / "train_state.json").write_text('{"current_step": 4}')
    assert find_resume(client, plan).step == 4


def test_a_state_that_the_trainer_refuses_is_put_aside(client, settings, monkeypatch):
    monkeypatch.setenv("STANDIN", "unknown")  # it ends at step 5, with states of the steps 2 and 4
    with pytest.raises(TrainerFailed):
        run(train(client, settings, planned(client, settings)))
    monkeypatch.setenv("STANDIN", "success")
    newest = find_resume(client, planned(client, settings)).state
    with zipfile.ZipFile(newest / "optimizer.bin", "w") as archive:
        archive.writestr("data.pkl", "cos.system")
    with pytest.raises(TrainerFailed) as failed:
        run(train(client, settings, planned(client, settings)))
    assert "-refused" in failed.value.cure() and "Weights only load failed" in failed.value.text()
    assert newest.with_name(f"{newest.name}-refused").is_dir() and not newest.exists()
    report = run(train(client, settings, planned(client, settings)))[1]
    assert report.resumed_from == 2 and report.steps == 10
