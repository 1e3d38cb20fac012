"""What the embedded trainer does when it is asked to while it trains: real child processes on the embedded base, small pictures."""

import random
import sys
import types
from pathlib import Path

import pytest
from PIL import Image
from warm_trainer import start_trainer

from config import EMBEDDED_FOLDER
from embedded.trainer.trainer_control import SAMPLE, SAVE, STOP, STOPPED_CODE, VARIABLE, ask_trainer, take_wishes
from embedded.trainer.trainer_state import Names, prune_asked
from training.checkpoints import is_whole

STEPS = 5
pytestmark = [
    pytest.mark.skipif(not (EMBEDDED_FOLDER / "unet").is_dir(), reason="no embedded base"),
    pytest.mark.skipif(sys.platform == "win32", reason="the trainer is forked from a process that has its libraries"),
]


def words(folder, *more):
    return [
        "--pretrained_model_name_or_path", str(EMBEDDED_FOLDER),
        "--train_data_dir", str(folder / "data"), "--resolution", "64", "--caption_extension", ".txt",
        "--network_module", "networks.lora", "--network_train_unet_only", "--network_dim", "2", "--max_train_steps", str(STEPS),
        "--learning_rate", "1e-3", "--seed", "1", "--output_dir", str(folder), "--output_name", "ana",
        "--save_every_n_steps", "4", "--save_state", "--save_last_n_steps_state", "4",
        "--sample_prompts", str(folder / "prompts.txt"), "--sample_every_n_steps", "4", *more,
    ]  # fmt: skip


def train(folder, *more):
    """One training, and its exit code; it is asked what lies in its folder after its first step."""
    child = start_trainer(words(folder, *more), folder, folder / "out", folder / "err", **{VARIABLE: str(folder / "control")})
    child.join(300)
    return child.exitcode


@pytest.fixture
def folder(tmp_path):
    data = tmp_path / "data" / "2_ana"
    data.mkdir(parents=True)
    for number in range(2):
        Image.frombytes("RGB", (64, 64), random.Random(number).randbytes(3 * 64 * 64)).save(data / f"{number}.png")
        (data / f"{number}.txt").write_text("portrait of ana person\n")
    (tmp_path / "prompts.txt").write_text("portrait of ana --w 64 --h 64 --d 1 --l 2 --s 1\n")
    return tmp_path


def sampled_steps(folder):
    return sorted({int(picture.name.split("_")[1]) for picture in (folder / "sample").glob("*.png")})


def test_asked_to_save_to_paint_and_to_stop_it_goes_on_from_that_step(folder):
    ask_trainer(folder / "control", SAVE)
    ask_trainer(folder / "control", SAMPLE)
    ask_trainer(folder / "control", STOP)
    assert train(folder) == STOPPED_CODE
    assert (folder / "ana-step00000001.safetensors").is_file(), "saved, as asked"
    assert (folder / "ana-step00000001-state" / "train_state.json").is_file()
    assert sampled_steps(folder) == [1]
    assert not (folder / "ana.safetensors").exists()
    assert not any((folder / "control").iterdir()), "each wish is heeded once"
    resume = ("--resume", str(folder / "ana-step00000001-state"), "--skip_until_initial_step")
    assert train(folder, *resume) == 0
    assert is_whole(folder / "ana.safetensors")
    assert sampled_steps(folder) == [1, 4, STEPS], "the finished LoRA has its picture too, due or not"


def test_of_the_states_that_were_asked_for_the_newest_is_kept(tmp_path):
    flags = types.SimpleNamespace(save_every_n_steps=4)
    for step in (3, 4, 5, 7):
        (tmp_path / f"ana-step{step:08d}-state").mkdir()
    prune_asked(flags, Names(tmp_path, "ana"), 7)
    assert sorted(state.name for state in tmp_path.iterdir()) == ["ana-step00000004-state", "ana-step00000007-state"]


def test_what_nobody_asked_is_no_wish(tmp_path):
    assert take_wishes(tmp_path / "nowhere") == frozenset()
    (tmp_path / "else").touch()
    ask_trainer(tmp_path, SAVE)
    assert take_wishes(tmp_path) == {SAVE}
    assert take_wishes(tmp_path) == frozenset()
    assert Path(tmp_path / "else").exists()
