# ruff: noqa: F401, F811 - fixtures of another test are used by their names
"""What comes of a training: listed closely, freed of captions, exported for other programs, watched, queued, locked."""

import json
import multiprocessing
import os
import subprocess
import sys
import urllib.request

import pytest
from embedded_lora import make_embedded_lora
from PIL import Image
from rich.console import Console
from safetensors.numpy import load_file
from stages import run
from test_lora_trainer import SHORT, client, play, prepare, settings, train_now

from actions.action import dump
from actions.checkpoints import answer
from actions.queue import run_queue
from client_folder.client import ClientMissing, create_client
from config import EMBEDDED_BASE, EMBEDDED_FOLDER
from pictures.contact_sheet import GAP
from terminal.view_training import VIEWS
from training.checkpoints import NoCheckpoint, TornCheckpoint, choose_lora, list_checkpoints
from training.exports import TITLES, App, ExportRefused, NoSDXL, export_lora
from training.lock import GPUBusy, forget_client, hold_gpu
from training.lora_files import look_closely, read_metadata, strip_captions
from training.queue import Outcome, last_queue
from training.samples import CELL_PX
from training.tensorboard_server import find_server, start_server, stop_server
from utils import FolderMissing, NotReady, TrainingTick, sha256_file


@pytest.fixture
def trained(client, settings, play):
    play("success", pause=0.02)
    train_now(client, settings, type(SHORT)(steps=10, save_every=2, warmup=1, sample_every=2))
    return client


def test_every_checkpoint_is_listed_with_what_is_known_of_it(trained):
    _events, report = run(look_closely(trained))
    assert [file.checkpoint.step for file in report.files] == [2, 4, 6, 8, 10, 10]
    last = report.files[-1]
    assert last.sha256 == sha256_file(last.checkpoint.path)
    assert all(file.captions and file.loss == 0.124 and len(file.samples) == 2 for file in report.files[1:])


def test_samples_lie_side_by_side_a_column_a_step(trained):
    sheet = trained.samples_sheet(1)
    with Image.open(sheet) as written:  # by the training itself
        size = written.size
    cell = CELL_PX + GAP
    assert size[0] == 5 * cell + GAP
    assert size[1] > 2 * cell
    for number in range(2):
        (trained.samples / f"ana_avatar_v1-step00000010-{number}.png").unlink()
    _events, report = run(look_closely(trained))
    assert report.sheets == (sheet,)
    with Image.open(sheet) as written:
        assert written.width == 4 * cell + GAP


def test_a_torn_file_is_listed_and_never_chosen(trained):
    final = trained.models / "ana_avatar_v1.safetensors"
    os.truncate(final, final.stat().st_size - 3)
    _events, report = run(look_closely(trained))
    assert not report.files[-1].checkpoint.whole
    assert choose_lora(trained).step == 10
    assert choose_lora(trained).path != final
    with pytest.raises(TornCheckpoint, match="ana_avatar_v1"):
        choose_lora(trained, "ana_avatar_v1")


def test_captions_are_taken_out_and_the_tensors_stay(trained):
    file = trained.models / "ana_avatar_v1.safetensors"
    before = load_file(file)
    _events, report = run(strip_captions(trained))
    assert len(report.files) == 6
    assert "ss_tag_frequency" not in read_metadata(file)
    assert read_metadata(file)["ss_steps"] == "10"
    after = load_file(file)
    assert {name: tensor.tobytes() for name, tensor in after.items()} == {name: tensor.tobytes() for name, tensor in before.items()}
    assert run(strip_captions(trained))[1].files == ()


# All that sd-scripts writes into a header of captions, folders and people's own words (train_util.py and sdxl_train_network.py).
TELLS_OF_THE_CLIENT = {
    "ss_tag_frequency": '{"2_ana": {"ana smiling": 2}}', "ss_datasets": '[{"subsets": [{"image_dir": "2_ana"}]}]',
    "ss_dataset_dirs": '{"2_ana": {"n_repeats": 2}}', "ss_reg_dataset_dirs": '{"1_person": {}}', "ss_training_comment": "for ana",
}  # fmt: skip


@pytest.mark.parametrize("name", TELLS_OF_THE_CLIENT)
def test_nothing_in_a_header_tells_of_the_client_after_it(client, settings, tmp_path, name):
    import numpy as np
    from safetensors.numpy import save_file

    client.models.mkdir(exist_ok=True)
    file = client.models / "ana_avatar_v1.safetensors"
    layer = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k.lora_down.weight"
    save_file({layer: np.ones((4, 2048), np.float16)}, file, {name: TELLS_OF_THE_CLIENT[name], "ss_steps": "7"})
    assert run(look_closely(client))[1].files[0].captions
    exported = run(export_lora(client, settings, apps=(App.COMFYUI,)))[1].files["comfyui"]
    assert read_metadata(exported) == {"ss_steps": "7"}
    assert run(strip_captions(client))[1].files == (file,)
    assert read_metadata(file) == {"ss_steps": "7"} and load_file(file)[layer].shape == (4, 2048)
    assert TELLS_OF_THE_CLIENT[name].encode() not in file.read_bytes()


def test_an_export_lies_where_each_program_looks_for_it(trained, settings):
    _events, report = run(export_lora(trained, settings))
    assert set(report.files) == {app.value for app in App}
    comfyui, a1111 = report.files["comfyui"], report.files["a1111"]
    assert comfyui.parent.parts[-2:] == ("models", "loras")
    assert a1111.parent.parts[-2:] == ("models", "Lora")
    assert report.files["diffusers"].name == "pytorch_lora_weights.safetensors"
    card = json.loads(a1111.with_suffix(".json").read_text())
    assert (card["activation text"], card["sd version"]) == ("ana", "SDXL")
    assert 0.7 <= card["preferred weight"] <= 1.0
    assert a1111.with_suffix(".preview.png").is_file()
    assert comfyui.with_suffix(".png").is_file()
    assert "ana" in comfyui.with_suffix(".txt").read_text()
    assert "ss_tag_frequency" not in read_metadata(comfyui)
    assert report.weights == (0.7, 1.0)


def test_captions_may_be_kept_on_purpose_and_a_step_chosen(trained, settings):
    _events, report = run(export_lora(trained, settings, "4", (App.COMFYUI,), keep_captions=True))
    assert report.lora.name == "ana_avatar_v1-step00000004.safetensors"
    assert "ss_tag_frequency" in read_metadata(report.files["comfyui"])


@pytest.mark.parametrize(("folder", "name"), [("models/loras", "ComfyUI"), ("models/Lora", "webui")])
def test_an_installed_program_gets_its_copy(trained, settings, tmp_path, folder, name):
    program = tmp_path / name
    (program / folder).mkdir(parents=True)
    _events, report = run(export_lora(trained, settings, to=program))
    assert report.installed == (program / folder / "ana_avatar_v1.safetensors",)
    assert report.installed[0].is_file()
    named = settings.model_copy(update={"comfyui" if name == "ComfyUI" else "a1111": str(program)})
    assert run(export_lora(trained, named))[1].installed == report.installed


def test_what_a_killed_export_left_goes_with_the_next(trained, settings, tmp_path):
    loras, diffusers = tmp_path / "ComfyUI" / "models" / "loras", trained.exports("diffusers") / "ana_avatar_v1"
    left = loras / ".ana_avatar_v1.safetensors.999999999-815.part", diffusers / ".README.md.999999999-815.part"
    others = loras / ".somebody_else.safetensors.999999999-815.part"
    for path in (*left, others):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    run(export_lora(trained, settings, to=tmp_path / "ComfyUI"))
    assert [path.exists() for path in (*left, others)] == [False, False, True]


def test_a_folder_that_is_no_such_program_is_refused(trained, settings, tmp_path):
    with pytest.raises(FolderMissing):
        run(export_lora(trained, settings, to=tmp_path / "nowhere"))
    with pytest.raises(ExportRefused):
        run(export_lora(trained, settings, to=tmp_path))
    (tmp_path / "c" / "models" / "loras").mkdir(parents=True)
    with pytest.raises(ExportRefused, match="AUTOMATIC1111"):
        run(export_lora(trained, settings.model_copy(update={"a1111": str(tmp_path / "c")})))


def test_a_checkpoint_that_is_not_there_names_those_that_are(trained, settings):
    with pytest.raises(NoCheckpoint) as missing:
        run(export_lora(trained, settings, "99"))
    assert "ana_avatar_v1-step00000004" in missing.value.cure()


# --- a LoRA of the embedded base --------------------------------------------------------------------------------------
@pytest.fixture
def practised(tmp_path):
    """A client whose LoRA fits the embedded base, under a header that calls it SDXL's, as the version before wrote it."""
    from safetensors.numpy import save_file

    ben = create_client(tmp_path, "ben", "man")
    ben.models.mkdir()
    file = make_embedded_lora(ben.models / "ben_avatar_v1.safetensors")
    save_file(load_file(file), file, {"ss_base_model_version": "sdxl_base_v1-0", "ss_steps": "600"})
    return ben


@pytest.mark.parametrize("app", [App.COMFYUI, App.A1111, App.INVOKEAI])
def test_no_program_that_paints_with_sdxl_gets_a_lora_of_the_embedded_base(practised, settings, app):
    with pytest.raises(NoSDXL, match="ben_avatar_v1") as refused:
        run(export_lora(practised, settings, apps=(app,)))
    assert TITLES[app] in refused.value.text()
    assert "settings base_model=sdxl" in refused.value.cure()
    assert not practised.output.exists()


def test_an_installed_program_gets_none_either(practised, settings, tmp_path):
    loras = tmp_path / "ComfyUI" / "models" / "loras"
    loras.mkdir(parents=True)
    with pytest.raises(NoSDXL, match="ComfyUI"):
        run(export_lora(practised, settings, apps=(App.DIFFUSERS,), to=tmp_path / "ComfyUI"))
    named = settings.model_copy(update={"comfyui": str(tmp_path / "ComfyUI")})
    _events, report = run(export_lora(practised, named, apps=(App.DIFFUSERS,)))
    assert (report.installed, report.left_out) == ((), (App.COMFYUI,))
    assert list(loras.iterdir()) == []


def test_for_all_programs_it_goes_to_diffusers_alone_and_loads_there_onto_the_base_it_names(practised, settings):
    from diffusers import StableDiffusionXLPipeline

    _events, report = run(export_lora(practised, settings))
    assert set(report.files) == {"diffusers"}
    assert report.left_out == (App.COMFYUI, App.A1111, App.INVOKEAI)
    shown = dump(answer(report))
    assert (shown["base_kind"], shown["left_out"]) == ("embedded", ["comfyui", "a1111", "invokeai"])
    folder = report.files["diffusers"].parent
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "practice base that comes with Avatar Pipeline (embedded/base), and no SDXL model" in card
    assert "sdxl_base" not in card and "stable-diffusion-xl" not in card
    pipeline = StableDiffusionXLPipeline.from_pretrained(EMBEDDED_FOLDER, local_files_only=True)
    pipeline.load_lora_weights(folder, adapter_name="ben", local_files_only=True)
    assert pipeline.get_active_adapters() == ["ben"]


def test_people_read_of_which_base_it_is_and_what_was_left_out(practised, settings, capsys):
    for record, told in (
        (run(look_closely(practised))[1], "practice model"),
        (run(export_lora(practised, settings))[1], "Left out:"),
    ):
        Console(width=120).print(VIEWS[type(record)](record))
        assert told in capsys.readouterr().out
    listed, exported = (
        dump(answer(record)) for record in (run(look_closely(practised))[1], run(export_lora(practised, settings))[1])
    )
    assert all(one["practice"] for one in listed["checkpoints"]) and exported["practice"]


# --- TensorBoard ------------------------------------------------------------------------------------------------------
def test_without_curves_there_is_nothing_to_show(client):
    with pytest.raises(NotReady):
        run(start_server(client))
    assert find_server(client).address == ""


def test_tensorboard_is_started_found_and_stopped(client):
    client.logs.mkdir(parents=True)
    try:
        _events, started = run(start_server(client))
        assert started.address.startswith("http://")
        assert find_server(client) == started
        assert run(start_server(client))[1] == started
        address = started.address.replace("localhost", "127.0.0.1")
        with urllib.request.urlopen(address, timeout=30) as page:
            assert page.status == 200
    finally:
        assert stop_server(client).address == ""
    assert find_server(client).address == ""


# --- the queue --------------------------------------------------------------------------------------------------------
def dataset_of(client, like):
    import shutil

    shutil.copytree(like.training_data / "2_ana", client.training_data / f"2_{client.id}")


def test_one_failing_client_does_not_stop_the_next(client, settings, play, tmp_path):
    play("success")
    eva = create_client(tmp_path, "eva")  # has no dataset
    ben = create_client(tmp_path, "ben")
    dataset_of(ben, client)
    quick = settings.model_copy(update={"gpu": "RTX 3060 12GB"})
    _events, report = run(run_queue(tmp_path, quick, ["ana", "eva", "ben", "ana"], "quick"))
    assert [(row.client, row.outcome) for row in report.rows] == [
        ("ana", Outcome.DONE), ("eva", Outcome.FAILED), ("ben", Outcome.DONE),
    ]  # fmt: skip
    assert "dataset" in report.rows[1].error
    assert report.rows[0].steps == 1500
    assert report.rows[2].lora == "ben_avatar_v1.safetensors"
    assert last_queue(tmp_path) == report
    assert eva.root.is_dir()


def test_a_stopped_queue_says_where_it_was(client, settings, play, tmp_path):
    play("success", pause=0.05)
    stage = run_queue(tmp_path, settings.model_copy(update={"gpu": "RTX 3060 12GB"}), ["ana"])
    for _ in range(12):
        next(stage)
    stage.close()
    assert last_queue(tmp_path).rows[0].outcome is Outcome.STOPPED


def test_nobody_is_asked_in_the_night_so_smaller_plans_are_taken(client, settings, play, monkeypatch, tmp_path):
    play("oom")
    monkeypatch.setenv("STANDIN_FITS", "8")  # the alpha of rank 16
    quick = settings.model_copy(update={"gpu": "RTX 3060 12GB"})
    _events, report = run(run_queue(tmp_path, quick, ["ana"], "quick"))
    assert (report.rows[0].outcome, report.rows[0].changes) == (Outcome.DONE, ("sample_px: 1024 -> 768", "dim: 32 -> 16"))


def test_a_client_in_the_queue_is_held_while_it_trains_and_free_after(client, settings, play, tmp_path):
    play("success", pause=0.05)
    stage = run_queue(tmp_path, settings.model_copy(update={"gpu": "RTX 3060 12GB"}), ["ana"])
    while not (isinstance(event := next(stage), TrainingTick) and event.step >= 1):
        pass
    other = "from pathlib import Path; import sys; from client_folder.client import Client\n" \
        "with Client(Path(sys.argv[1])).lock(): print('free')"  # fmt: skip

    def asked():
        return subprocess.run([sys.executable, "-c", other, str(client.root)], capture_output=True, text=True)

    held = asked()
    assert held.returncode != 0 and "ClientBusy" in held.stderr
    stage.close()
    assert asked().stdout.strip() == "free"


def test_a_client_that_is_not_there_is_named_before_anything_begins(client, settings, tmp_path):
    with pytest.raises(ClientMissing):
        run(run_queue(tmp_path, settings, ["ana", "nobody"]))
    assert last_queue(tmp_path).rows == ()


# --- one training a GPU -----------------------------------------------------------------------------------------------
def _hold(folder, held, release):
    with hold_gpu("GPU-1", "RTX 3060 12GB", "ana", folder):
        held.set()
        release.wait(30)


def test_a_gpu_trains_one_client_at_a_time_and_a_crash_frees_it(tmp_path):
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(tmp_path, held, release))
    holder.start()
    assert held.wait(30)
    with pytest.raises(GPUBusy, match="ana"), hold_gpu("GPU-1", "RTX 3060 12GB", "ben", tmp_path):
        pass
    with hold_gpu("GPU-2", "RTX 3090 24GB", "ben", tmp_path):  # another card is free
        pass
    holder.kill()
    holder.join()
    with hold_gpu("GPU-1", "RTX 3060 12GB", "ben", tmp_path) as beside:
        assert beside == (tmp_path / "GPU-1.json",)


def test_who_was_erased_stands_in_no_note_of_a_trainer_that_was_killed(tmp_path):
    for number, who in enumerate(("ana", "anabel", "ben")):
        (tmp_path / f"GPU-{number}.txt").write_text(who)
    forget_client("ana", tmp_path)
    assert sorted(path.read_text() for path in tmp_path.iterdir()) == ["anabel", "ben"]


def test_a_trainer_left_behind_on_a_gpu_is_ended_before_the_next_begins(tmp_path):
    import psutil

    orphan = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    try:
        created = psutil.Process(orphan.pid).create_time()
        (tmp_path / "GPU-1.json").write_text(json.dumps({"pid": orphan.pid, "created": created}))
        with hold_gpu("GPU-1", "RTX 3060 12GB", "ben", tmp_path):
            assert orphan.wait(10) is not None
    finally:
        orphan.kill()


def test_the_processor_needs_no_lock(tmp_path):
    with hold_gpu("", "CPU", "ana", tmp_path) as beside, hold_gpu("", "CPU", "ben", tmp_path):
        assert beside == ()
    assert list_checkpoints(create_client(tmp_path, "ana")) == ()
