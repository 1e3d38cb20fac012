"""Training with real child processes: a stand-in that plays recorded logs, and the embedded trainer itself where it is here."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from one_file import write_stub
from PIL import Image
from safetensors.numpy import load_file
from stages import run

from actions.queue import run_queue
from client_folder.client import create_client, open_client
from config import EMBEDDED_FOLDER, Settings, save_settings
from lora_trainer import BEGINS_ANEW, plan_training, train, trained_lora
from machine.base_models import BaseKind
from machine.models import NotDownloaded, model_named
from training.checkpoints import find_resume, is_whole, list_checkpoints, read_plan
from training.errors import PlanRefused
from training.inputs import EMBEDDED_SCRIPT, TrainerMissing, find_trainer, launch_words
from training.monitor import TrainerFailed, read_line
from training.plan import Fit, Overrides, TrainerKind
from training.queue import Outcome, last_queue
from utils import BrokenFile, ModelMissing, NotReady, Stopped, TrainingTick

ROOT = Path(__file__).resolve().parent.parent
STANDIN = Path(__file__).resolve().parent / "data" / "standin_trainer"
CARD = "RTX 3060 12GB"
SHORT = Overrides(steps=10, save_every=2, warmup=1)
KEY = "lora_unet.lora_down.weight"


@pytest.fixture
def client(tmp_path):
    client = create_client(tmp_path, "ana")
    folder = client.training_data / "2_ana"
    folder.mkdir(parents=True)
    for number in range(2):  # 2 pictures shown twice: 4 steps an epoch
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text("portrait of ana person, smiling\n")
    return client


@pytest.fixture
def settings(tmp_path):
    base = write_stub(tmp_path / "sdxl.safetensors")  # the stand-in never opens it
    return Settings(base_model=str(base), sd_scripts=str(STANDIN))


@pytest.fixture
def play(monkeypatch):
    def choose(how, pause=0.0):
        monkeypatch.setenv("STANDIN", how)
        monkeypatch.setenv("STANDIN_PAUSE", str(pause))

    return choose


def prepare(client, settings, overrides=SHORT):
    return plan_training(client, settings, gpu=CARD, overrides=overrides)


def train_now(client, settings, overrides=SHORT):
    return run(train(client, settings, prepare(client, settings, overrides).plan))


def steps_learned(lora):
    return int(load_file(lora)[KEY][0, 0])


def children():
    return [child for child in psutil.Process().children(recursive=True) if "sdxl_train_network.py" in " ".join(child.cmdline())]


# --- what it takes ----------------------------------------------------------------------------------------------------
def test_a_checkpoint_of_one_file_is_trained_by_sd_scripts(client, settings):
    trainer = find_trainer(client.home, settings, Path(settings.base_model))
    assert trainer.kind is TrainerKind.SD_SCRIPTS
    assert trainer.script.parent == STANDIN
    for broken in ({"sd_scripts": "/nowhere"}, {"sd_scripts_python": "/nowhere/python"}):
        with pytest.raises(TrainerMissing):
            find_trainer(client.home, settings.model_copy(update=broken), Path(settings.base_model))
    with pytest.raises(ModelMissing):
        find_trainer(client.home, settings, Path("/nowhere.safetensors"))


def test_without_sd_scripts_ours_trains_it_with_the_configuration_of_sdxl(client, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(client.home / "cache"))
    checkpoint = client.home / "checkpoints" / "juggernaut.safetensors"
    write_empty(checkpoint)
    with pytest.raises(NotDownloaded) as missing:
        find_trainer(client.home, Settings(), checkpoint)
    assert missing.value.cure().endswith("models preload sdxl-config")
    preloaded = client.home / "models" / "sdxl-base"
    for file in model_named("sdxl-base").files:
        (write_stub if file.path.endswith(".safetensors") else write_empty)(preloaded / file.path)
    trainer = find_trainer(client.home, Settings(), checkpoint)
    assert trainer.kind is TrainerKind.EMBEDDED
    assert launch_words(Settings(), trainer)[-2:] == ("--model_config_dir", str(preloaded))
    write_empty(checkpoint.parent / "model_index.json")
    assert find_trainer(client.home, Settings(), checkpoint).own_words == ("--model_config_dir", str(checkpoint.parent))
    assert plan_training(client, Settings(), gpu=CARD, base_model="sdxl").plan.trainer is TrainerKind.EMBEDDED


def write_empty(file):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"")


def test_without_a_dataset_there_is_nothing_to_train(client, settings):
    shutil.rmtree(client.training_data)
    with pytest.raises(NotReady):
        prepare(client, settings)
    (client.training_data / "ana").mkdir(parents=True)  # no number of repeats: sd-scripts would find 0 images
    Image.new("RGB", (8, 8)).save(client.training_data / "ana" / "a.png")
    with pytest.raises(NotReady):
        prepare(client, settings)


@pytest.mark.parametrize("content", [b"", b" \n", b"\nportrait of ana\n", "niño".encode("cp1252")])
def test_a_bad_caption_is_found_before_the_trainer_dies_of_it(client, settings, content):
    (client.training_data / "2_ana" / "1.txt").write_bytes(content)
    with pytest.raises(NotReady, match=r"1\.txt"):
        prepare(client, settings)


@pytest.mark.parametrize("wrong", [{"gpu": "Voodoo 2"}, {"preset": "perfect"}])
def test_an_unknown_choice_names_the_known_ones(client, settings, wrong):
    with pytest.raises(PlanRefused) as refused:
        plan_training(client, settings, **wrong)
    assert "balanced" in refused.value.cure() or CARD in refused.value.cure()


def test_planning_writes_nothing(client, settings):
    before = sorted(path for path in client.root.rglob("*"))
    prepared = prepare(client, settings)
    assert prepared.plan.images == 2
    assert prepared.plan.steps_per_epoch() == 4
    assert prepared.estimate.verdict is Fit.FITS
    assert prepared.argv[0] == "--pretrained_model_name_or_path"
    assert sorted(path for path in client.root.rglob("*")) == before


@pytest.mark.parametrize(
    ("gpu", "wish"),
    [("CPU", {}), ("CPU", {"fp8": False}), ("RTX 3060 8GB", {"dim": 128}), ("GTX 1650 4GB", {}),
     ("RTX 2060 6GB", {"precision": "bf16"})],
)  # fmt: skip
def test_a_plan_that_cannot_work_is_not_started(client, settings, play, gpu, wish):
    play("success")
    plan = plan_training(client, settings, gpu=gpu, overrides=Overrides(**wish)).plan
    with pytest.raises(PlanRefused):
        run(train(client, settings, plan))
    assert not client.models.exists()


# --- a run ------------------------------------------------------------------------------------------------------------
def test_a_training_ends_with_its_lora(client, settings, play):
    play("success")
    cache = client.training_data / "2_ana" / "0_0008x0008_sdxl.npz"
    cache.write_bytes(b"of a picture that was replaced")
    events, report = train_now(client, settings)
    assert report.lora == client.models / "ana_avatar_v1.safetensors"
    assert (report.steps, report.resumed_from, steps_learned(report.lora)) == (10, 0, 10)
    steps = [event.step for event in events]
    assert steps == sorted(steps)
    assert steps[-1] == 10
    assert all(isinstance(event, TrainingTick) and event.total == 10 for event in events)
    assert any(event.loss == 0.124 and event.seconds_per_step == 4.5 for event in events)
    saved = [Path(event.checkpoint).name for event in events if event.checkpoint]
    assert saved == [f"ana_avatar_v1-step{step:08d}.safetensors" for step in (2, 4, 6, 8, 10)] + ["ana_avatar_v1.safetensors"]
    assert not list(client.models.glob("*-state"))
    assert not cache.exists()
    assert not client.trainer_pid.exists()
    assert "model saved." in client.train_log.read_text(encoding="utf-8")
    assert trained_lora(client) == report.lora


def test_a_finished_training_is_not_repeated(client, settings, play):
    play("success")
    _, first = train_now(client, settings)
    play("unknown")  # would fail if it were started
    written = first.lora.stat().st_mtime_ns
    events, second = train_now(client, settings)
    assert second.lora.stat().st_mtime_ns == written
    assert (second.steps, second.resumed_from) == (10, 10)
    assert events[-1].step == 10


@pytest.mark.parametrize("change", ["plan", "picture", "caption"])
def test_another_plan_or_dataset_makes_a_new_version_and_keeps_the_old(client, settings, play, change):
    play("success")
    train_now(client, settings)
    before = {path: path.read_bytes() for path in client.models.glob("*.safetensors")}
    if change == "picture":
        Image.new("RGB", (8, 8), "red").save(client.training_data / "2_ana" / "0.png")
    if change == "caption":
        (client.training_data / "2_ana" / "0.txt").write_text("portrait of ana person, serious\n")
    if change != "plan":
        assert trained_lora(client) is None
    overrides = Overrides(steps=12, save_every=2, warmup=1) if change == "plan" else SHORT
    _, second = train_now(client, settings, overrides)
    assert second.lora.name == "ana_avatar_v2.safetensors"
    assert {path: path.read_bytes() for path in before} == before
    assert [one.version for one in list_checkpoints(client) if one.final] == [1, 2]
    assert read_plan(client).version == 2


def test_a_dataset_changed_after_the_plan_is_noticed(client, settings, play):
    play("success")
    plan = prepare(client, settings).plan
    (client.training_data / "2_ana" / "0.txt").write_text("something else\n")
    with pytest.raises(NotReady):
        run(train(client, settings, plan))


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("oom", "memory is full"), ("nan", "not a number"), ("killed", "without a word"), ("no_images", "no picture"),
        ("torn", "no whole LoRA"), ("bad_flag", "does not know an option"), ("unknown", "does not know"),
    ],
)  # fmt: skip
def test_a_failed_training_says_why(client, settings, play, how, words):
    play(how)
    with pytest.raises(TrainerFailed, match=words) as failed:
        train_now(client, settings)
    assert failed.value.facts["evidence"]
    assert failed.value.facts["log"] == client.train_log
    assert not children()
    assert trained_lora(client) is None


def test_nan_stops_the_run_at_once(client, settings, play):
    play("nan", pause=0.05)
    with pytest.raises(TrainerFailed):
        train_now(client, settings)
    assert max(one.step for one in list_checkpoints(client)) <= 4


@pytest.mark.parametrize("how", ["oom", "killed", "torn", "unknown"])
def test_after_a_failure_the_next_run_goes_on_and_ends_like_an_undisturbed_one(client, settings, play, how):
    play(how)
    with pytest.raises(TrainerFailed):
        train_now(client, settings)
    play("success")
    _, report = train_now(client, settings)
    assert report.resumed_from == (8 if how == "torn" else 4)
    assert not list(client.models.glob("*-from????????.safetensors"))
    assert steps_learned(report.lora) == 10
    assert report.lora.name == "ana_avatar_v1.safetensors"
    assert not list(client.models.glob("*-state"))
    assert all(one.whole for one in list_checkpoints(client))


def test_a_second_failure_resumes_at_the_true_step(client, settings, play):
    """sd-scripts would call the step 4 of a run begun at 4 "4" again: its own state says so too."""
    play("unknown")
    for _ in range(2):
        with pytest.raises(TrainerFailed):
            train_now(client, settings)
    resume = find_resume(client, read_plan(client))
    assert resume.step == 8
    assert resume.state.name == "ana_avatar_v1-from00000004-step00000004-state"
    play("success")
    _, report = train_now(client, settings)
    assert (report.resumed_from, steps_learned(report.lora)) == (8, 10)


def test_a_torn_state_is_passed_over(client, settings, play):
    play("unknown")
    with pytest.raises(TrainerFailed):
        train_now(client, settings)
    plan = read_plan(client)
    newest = find_resume(client, plan).state
    random_numbers = newest / "random_states_0.pkl"
    os.truncate(random_numbers, random_numbers.stat().st_size - 10)
    assert find_resume(client, plan).step == 2
    (client.models / "ana_avatar_v1-step00000002-state" / "optimizer.bin").unlink()
    assert find_resume(client, plan) is None


STATE_FILES = ("model.safetensors", "optimizer.bin", "scheduler.bin", "random_states_0.pkl", "train_state.json")


@pytest.mark.parametrize("how", ["gone", "empty", "cut"])
@pytest.mark.parametrize("name", STATE_FILES)
def test_a_state_that_lacks_anything_is_no_state(client, settings, play, name, how):
    """What accelerate writes, the random numbers last: without the schedule or them the next run would not go on as it was."""
    plan = prepare(client, settings).plan
    state = client.models / "ana_avatar_v1-step00000004-state"
    write_state(state)
    assert find_resume(client, plan).step == 4
    file = state / name
    if how == "gone":
        file.unlink()
    else:
        os.truncate(file, 0 if how == "empty" else file.stat().st_size - 4)
    assert find_resume(client, plan) is None


def test_of_two_cards_both_random_numbers_have_to_be_whole(client, settings):
    plan = prepare(client, settings).plan
    state = client.models / "ana_avatar_v1-step00000004-state"
    write_state(state)
    shutil.copy(state / "random_states_0.pkl", state / "random_states_1.pkl")
    assert find_resume(client, plan).step == 4
    os.truncate(state / "random_states_1.pkl", 50)
    assert find_resume(client, plan) is None


def write_state(folder):
    """As the stand-in's, which are laid out as accelerate's."""
    import zipfile

    from numpy import zeros
    from safetensors.numpy import save_file

    folder.mkdir(parents=True)
    save_file({KEY: zeros((4, 4))}, folder / "model.safetensors")
    for name in STATE_FILES[1:4]:
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr("data.pkl", "x" * 200)
    (folder / "train_state.json").write_text('{"current_epoch": 1, "current_step": 4}')


def test_the_last_runs_file_is_not_taken_for_this_runs_result(client, settings, play):
    """Two runs from one state bear one name; this one ends as if all were well and writes nothing."""
    play("unknown")
    with pytest.raises(TrainerFailed):
        train_now(client, settings)
    left = client.models / "ana_avatar_v1-from00000004.safetensors"
    shutil.copy(client.models / "ana_avatar_v1-step00000002.safetensors", left)
    play("no_images")
    with pytest.raises(TrainerFailed):
        train_now(client, settings)
    assert not left.exists() and trained_lora(client) is None


@pytest.mark.parametrize(
    "extra", [("--shuffle_caption",), ("--lowvram",), ("--full_fp16",), ("--noise_offset", "much")], ids=lambda words: words[0]
)
def test_words_that_sd_scripts_refuses_are_refused_before_anything_is_started(client, settings, play, extra):
    play("success")
    plan = prepare(client, settings).plan.model_copy(update={"extra": extra})
    with pytest.raises(PlanRefused):
        run(train(client, settings, plan))
    assert not client.models.exists() and not client.train_log.exists()


# --- stopping and dying -----------------------------------------------------------------------------------------------
def test_stopping_leaves_no_child(client, settings, play):
    play("success", pause=0.2)
    stage = train(client, settings, prepare(client, settings).plan)
    while next(stage).step < 3:
        pass
    assert children()
    stage.close()
    assert not children()
    assert not client.trainer_pid.exists()
    play("success")
    _, report = train_now(client, settings)
    assert report.resumed_from in (2, 4)  # the stand-in may have come to its next checkpoint before it was ended
    assert steps_learned(report.lora) == 10


def test_stopped_it_says_what_would_be_lost_before_and_where_the_next_run_goes_on_after(client, settings, play):
    play("success", pause=0.1)
    stage = train(client, settings, prepare(client, settings).plan)
    ticks = []
    while not ticks or not ticks[-1].kept_step:
        ticks.append(next(stage))
    assert ticks[-1].kept_step in (2, 4), "a bar is read when the next one begins, and the next state may be there by then"
    assert not ticks[-1].control, "sd-scripts takes no wishes"
    with pytest.raises(Stopped) as stopped:
        stage.throw(Stopped())
    assert not children()
    step = stopped.value.told.facts["step"]
    assert step >= ticks[-1].kept_step
    assert prepare(client, settings).begins_at == step
    play("success")
    _, report = train_now(client, settings)
    assert report.resumed_from == step
    assert prepare(client, settings).begins_at == report.steps, "nothing is left to do"


def test_stopped_before_the_first_state_it_does_not_say_that_anything_is_kept(client, settings, play):
    play("success", pause=0.1)
    stage = train(client, settings, prepare(client, settings).plan)
    while next(stage).step < 1:
        pass
    with pytest.raises(Stopped) as stopped:
        stage.throw(Stopped())
    assert stopped.value.told.message == BEGINS_ANEW


def test_a_queue_that_is_stopped_begins_no_other_client(client, settings, play):
    play("success", pause=0.1)
    save_settings(client.home, settings.model_copy(update={"gpu": CARD}))
    other = create_client(client.home, "eva")
    shutil.copytree(client.training_data, other.training_data)
    stage = run_queue(client.home, settings.model_copy(update={"gpu": CARD}), ["ana", "eva"])
    while not (isinstance(event := next(stage), TrainingTick) and event.step >= 1):
        pass
    with pytest.raises(Stopped):
        stage.throw(Stopped())
    assert [row.outcome for row in last_queue(client.home).rows] == [Outcome.STOPPED, Outcome.WAITING]
    assert not children()


def test_a_silent_trainer_can_be_stopped(client, settings, play):
    play("hang")
    stage = train(client, settings, prepare(client, settings).plan)
    started = time.monotonic()
    while next(stage).step < 4:  # of the fifth only half a line comes
        pass
    repeated = [next(stage) for _ in range(8)]
    assert repeated[-1] == repeated[-2]  # nothing new, and yet a place to stop
    stage.close()
    assert time.monotonic() - started < 20
    assert not children()


def test_killed_with_its_trainer_alive_the_next_run_ends_it_and_goes_on(client, settings, play):
    play("success", pause=0.3)
    code = (
        "from pathlib import Path; from config import Settings\n"
        "from client_folder.client import Client; from training.plan import Overrides\n"
        "from lora_trainer import plan_training, train\n"
        f"client, settings = Client(Path({str(client.root)!r})), Settings.model_validate({settings.model_dump(by_alias=True)!r})\n"
        f"plan = plan_training(client, settings, gpu={CARD!r}, overrides=Overrides(steps=10, save_every=2, warmup=1)).plan\n"
        "for tick in train(client, settings, plan): print(tick.step, flush=True)\n"
    )
    ours = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    while int(ours.stdout.readline()) < 3:
        pass
    (orphan,) = (child for child in psutil.Process(ours.pid).children())
    ours.send_signal(signal.SIGKILL)
    ours.wait()
    ours.stdout.close()
    assert orphan.is_running()
    play("success")
    _, report = train_now(client, settings)
    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
    assert report.resumed_from >= 2
    assert steps_learned(report.lora) == 10


# --- what is read -----------------------------------------------------------------------------------------------------
LAST = TrainingTick(0, 2000)


@pytest.mark.parametrize(
    ("line", "tick"),
    [
        ("steps:   0%|          | 0/2000 [00:00<?, ?it/s]", TrainingTick(0, 2000)),
        ("steps:  50%|█████     | 2/4 [00:29<00:29, 14.96s/it, avr_loss=1.08]", TrainingTick(2, 2000, 1.08, 14.96)),
        ("steps:  50%|#####     | 1000/2000 [1:02:03<1:02:03,  4.00it/s, avr_loss=1e-05]", TrainingTick(1000, 2000, 1e-05, 0.25)),
        ("steps: 1%| | 3/9 [00:03<05:00, 1.0s/it, Keys Scaled=0, avr_loss=1]", TrainingTick(3, 2000, 1.0, 1.0)),
        ("something first steps:   1%|1| 3/300 [00:03<05:00, 1.0s/it, avr_loss=0.1]model saved.", TrainingTick(3, 2000, 0.1, 1.0)),
        ("validation steps:  50%|█████     | 2/4 [00:29<00:29, 14.96s/it, val_avg_loss=1.08]", LAST),
        ("epoch validation steps:  50%|█████     | 2/4 [00:29<00:29, 14.96s/it]", LAST),
        ("caching latents: 100%|██████████| 4/4 [00:12<00:00,  3.1s/it]", LAST),
        ("  total optimization steps / 学習ステップ数: 4", LAST),
        ("saving checkpoint: /c/b.safetensors", TrainingTick(0, 2000, checkpoint="/c/b.safetensors", phase="saving")),
        ("running training / 学習開始", TrainingTick(0, 2000, phase="first")),
        ("generating sample images at step / サンプル画像生成 ステップ: 4", TrainingTick(0, 2000, phase="sampling")),
    ],
)  # fmt: skip
def test_the_lines_of_sd_scripts_are_understood(line, tick):
    assert read_line(line, LAST) == tick


def test_a_resumed_bar_counts_from_where_it_began():
    line = "steps:  50%|█████     | 2/4 [00:29<00:29, 14.96s/it, avr_loss=1.08]"
    assert read_line(line, LAST, begun=500).step == 502
    assert read_line(line, LAST, begun=1999).step == 2000


def test_checkpoints_are_listed_with_what_they_are(client, settings, play):
    play("torn")
    with pytest.raises(TrainerFailed):
        train_now(client, settings)
    (client.models / "notes.safetensors").write_bytes(b"not one of ours")
    listed = list_checkpoints(client)
    assert [(one.step, one.final, one.whole) for one in listed][:5] == [(step, False, True) for step in (2, 4, 6, 8, 10)]
    assert (listed[5].final, listed[5].whole) == (True, False)
    assert all(one.size == one.path.stat().st_size for one in listed)
    assert len(listed) == 6


@pytest.mark.parametrize("keep", [0, 4, 40, -1])
def test_a_torn_file_is_not_whole(tmp_path, keep):
    from numpy import zeros
    from safetensors.numpy import save_file

    path = tmp_path / "lora.safetensors"
    assert not is_whole(path)
    save_file({KEY: zeros((4, 4))}, path)
    assert is_whole(path)
    path.write_bytes(path.read_bytes()[:keep])
    assert not is_whole(path)


def test_a_broken_plan_file_is_named_and_kept(client, settings):
    client.training.mkdir(exist_ok=True)
    client.plan_file.write_text("{ not json")
    with pytest.raises(BrokenFile):
        prepare(client, settings)
    assert client.plan_file.read_text() == "{ not json"


def test_regularisation_pictures_of_the_user_are_passed_and_count(client, settings):
    without = prepare(client, settings)
    folder = client.regularisation / "1_person"
    folder.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "a.png")
    with_them = prepare(client, settings)
    assert "--reg_data_dir" in with_them.argv
    assert "--reg_data_dir" not in without.argv
    assert with_them.plan.dataset_digest != without.plan.dataset_digest


def test_importing_the_trainer_loads_no_torch():
    code = "import sys, lora_trainer; print(sorted({'torch', 'numpy', 'PIL', 'safetensors.torch'} & set(sys.modules)))"
    asked = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert asked.stdout.strip() == "[]"


# --- the embedded trainer ---------------------------------------------------------------------------------------------
EMBEDDED_HERE = EMBEDDED_SCRIPT.is_file() and (EMBEDDED_FOLDER / "unet" / "config.json").is_file()


@pytest.mark.skipif(not EMBEDDED_HERE, reason="the embedded base or its trainer is not here")
def test_the_embedded_trainer_trains_stops_and_goes_on(client):
    for number in range(2):
        Image.effect_noise((96, 96), 40 + number).convert("RGB").save(client.training_data / "2_ana" / f"{number}.png")
    brief = Overrides(steps=6, save_every=2, warmup=1, batch=2)
    prepared = plan_training(client, Settings(), overrides=brief)
    assert prepared.plan.base_kind is BaseKind.EMBEDDED
    assert prepared.estimate.verdict is Fit.FITS
    stage = train(client, Settings(), prepared.plan)
    for event in stage:
        if isinstance(event, TrainingTick) and event.step >= 1:
            break
    stopped = event
    with pytest.raises(Stopped) as told:
        event = stage.throw(Stopped())
        while True:  # the step is brought to its end, and its state saved
            stopped, event = event, next(stage)
    assert stopped.phase == "stopping"
    assert not children()
    step = told.value.told.facts["step"]
    assert step >= 1
    assert step == plan_training(client, Settings(), overrides=brief).begins_at
    _, report = run(train(client, Settings(), plan_training(client, Settings(), overrides=brief).plan))
    assert report.resumed_from == step
    assert (report.steps, [one.step for one in report.checkpoints][-1]) == (6, 6)
    assert all(one.whole for one in report.checkpoints)
    assert trained_lora(open_client(client.root.parent.parent, "ana")) == report.lora
