"""Portraits on a small random model of SDXL's shape: real diffusers, real files, real child processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image
from stages import run
from tiny_sdxl import SIDE_PX, make_base, make_lora

from client_folder.client import Client, create_client
from client_folder.recommended_prompts import default_prompts
from client_folder.records import Faces, Source, Verdict
from config import Settings
from generation import ImageOptions, PortraitPlan, generate, plan_portraits
from machine.base_models import base_at
from machine.model_process import ModelProcess, WorkerDied
from portraits.errors import RecipeRefused
from portraits.portrait import PortraitRecord, parameters_text, portrait_jobs
from portraits.prompts import PromptOptions, PromptsMissing, read_prompts
from portraits.recipes import BASE_RECIPE, EMBEDDED_RECIPE, SIZES, RecipeChoice, recipe_for, size_of
from portraits.sdxl import ImageRequest, Sampler, SdxlPipeline, scheduler_for
from portraits.styles import StyleMissing
from training.checkpoints import NoCheckpoint, choose_lora
from utils import BrokenFile, FolderMissing, ModelMissing, NotReady, Progress, write_record

ROOT = Path(__file__).resolve().parent.parent
STEPS = 4  # fewer than a base may take, see `short_walks`
STROKE = ImageRequest("portrait of demo woman", "", 7, 2, 2.0, Sampler.OWN, SIDE_PX, SIDE_PX)
CHILD = """
import sys
from pathlib import Path
from client_folder.client import open_client
from config import Settings
from generation import PromptOptions, generate, plan_portraits
from machine.model_process import ModelProcess
from portraits.recipes import RecipeChoice
home, base = Path(sys.argv[1]), sys.argv[2]
client, settings = open_client(home, "demo"), Settings(base_model=base)
options, seeds = PromptOptions(("a", "b")), tuple(range(1, 5))
plan = plan_portraits(client, settings, prompt_options=options, seeds=seeds, weights=(0.0, 1.0), choice=RecipeChoice(steps=20))
with ModelProcess() as shop:
    for event in generate(client, settings, plan, shop):
        print(f"{shop.pid}:{getattr(event, 'done', 0)}", flush=True)
    print(shop.starts, "torch" in sys.modules, flush=True)
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_lora(tmp_path_factory.mktemp("loras") / "random.safetensors")


@pytest.fixture(scope="module")
def session(base: Path) -> SdxlPipeline:
    return SdxlPipeline(base)


@pytest.fixture(scope="module")
def model_process(tmp_path_factory: pytest.TempPathFactory) -> Generator[ModelProcess, None, None]:
    """One worker for all tests of the file: starting one loads torch."""
    with ModelProcess(tmp_path_factory.mktemp("logs") / "worker.log") as model_process:
        yield model_process


@pytest.fixture(autouse=True)
def short_walks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Walks of a few steps: what is tested here is what becomes of portraits, not their beauty."""
    monkeypatch.setattr("portraits.recipes.MIN_STEPS", 2)


@pytest.fixture
def settings(base: Path) -> Settings:
    return Settings(base_model=str(base))


@pytest.fixture
def client(tmp_path: Path, lora: Path) -> Client:
    return make_client(tmp_path, lora)


def make_client(home: Path, lora: Path) -> Client:
    client = create_client(home, "demo", "woman")
    client.models.mkdir()
    (client.models / "demo_avatar_v1.safetensors").write_bytes(lora.read_bytes())
    client.processed.mkdir()
    Image.new("RGB", (64, 64), "red").save(client.processed / "one.png")
    face = Verdict(file="raw_mj/one.png", sha256="0" * 64, source=Source.MIDJOURNEY, crop="one.png", settings="")
    write_record(client.faces_file, Faces(faces=(face,)))
    return client


def small(client: Client, settings: Settings, **wishes: Any) -> PortraitPlan:
    """A plan of few steps."""
    words = PromptOptions(wishes.pop("prompts", ("a", "b")))
    settled = {"prompt_options": words, "seeds": (1, 2), "choice": RecipeChoice(steps=STEPS), **wishes}
    return plan_portraits(client, settings, **settled)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


# --- what is about to be painted --------------------------------------------------------------------------------------
def test_the_recommended_prompts_name_the_client_in_words_that_the_base_knows() -> None:
    plain = default_prompts("ClienteX", "man")
    assert plain[0] == "portrait of ClienteX man, professional headshot, studio lighting, detailed face"
    assert len(plain) == 3
    embedded = default_prompts("demo", "woman", embedded=True)
    assert all(prompt.startswith("portrait of demo woman, ") for prompt in embedded)
    assert len(set(embedded)) == len(embedded) == 4


def test_each_kind_of_base_has_its_recipe(base: Path) -> None:
    from config import EMBEDDED_FOLDER

    assert recipe_for(base_at(EMBEDDED_FOLDER)) == EMBEDDED_RECIPE
    assert recipe_for(base_at(base)) == BASE_RECIPE
    assert (BASE_RECIPE.steps, BASE_RECIPE.guidance, BASE_RECIPE.sampler) == (30, 7.0, Sampler.EULER_A)


def test_a_plan_counts_what_is_missing(client: Client, settings: Settings) -> None:
    plan = small(client, settings, weights=(0.0, 0.7, 1.0))
    assert (plan.total, plan.missing) == (12, 12)
    assert plan.lora == client.models / "demo_avatar_v1.safetensors"
    assert [request.lora for request in plan.requests] == [None, plan.lora, plan.lora]


def test_a_lora_is_needed_only_where_it_is_worn(tmp_path: Path, settings: Settings) -> None:
    fresh = create_client(tmp_path, "fresh")
    with pytest.raises(NotReady):
        small(fresh, settings)
    assert small(fresh, settings, weights=(0.0,)).total == 4


def test_missing_models_are_named(client: Client, tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(ModelMissing, match="nowhere"):
        small(client, Settings(base_model=str(tmp_path / "nowhere")))
    with pytest.raises(NoCheckpoint, match="demo_avatar_v7"):
        small(client, settings, loras=("demo_avatar_v7",))


def test_the_newest_finished_lora_is_taken_else_the_latest_step(tmp_path: Path, lora: Path) -> None:
    client = create_client(tmp_path, "demo")
    client.models.mkdir()
    order = [
        "demo_avatar_v1-step00000250",
        "demo_avatar_v1-step00001000",
        "demo_avatar_v2-step00000250",
        "demo_avatar_v2",
        "demo_avatar_v10",
    ]
    for name in order:
        (client.models / f"{name}.safetensors").write_bytes(lora.read_bytes())
        assert choose_lora(client).path.stem == name
    (client.models / "demo_avatar_v11.safetensors").write_bytes(lora.read_bytes()[:-9])
    assert choose_lora(client).path.stem == "demo_avatar_v10", "a torn file is not chosen"
    assert choose_lora(client, "demo_avatar_v2.safetensors").path.stem == "demo_avatar_v2"


# --- the pipeline -----------------------------------------------------------------------------------------------------
def test_the_size_is_the_bases_own(base: Path, session: SdxlPipeline) -> None:
    assert base_at(base).native_px == SIDE_PX
    assert session.paint(STROKE).size == (SIDE_PX, SIDE_PX)


def test_every_sampler_keeps_what_the_base_was_trained_with() -> None:
    from diffusers import EulerAncestralDiscreteScheduler, EulerDiscreteScheduler

    for prediction in ("v_prediction", "epsilon"):
        own = EulerDiscreteScheduler(prediction_type=prediction, beta_start=0.001, timestep_spacing="leading")
        kinds = {sampler: scheduler_for(own, sampler) for sampler in Sampler}
        assert all(kind.config.prediction_type == prediction for kind in kinds.values())
        assert all(kind.config.beta_start == 0.001 for kind in kinds.values())
        assert isinstance(kinds[Sampler.EULER_A], EulerAncestralDiscreteScheduler)
        assert kinds[Sampler.OWN].config.timestep_spacing == "leading"
        assert kinds[Sampler.EULER_TRAILING].config.timestep_spacing == "trailing"


def test_a_lora_changes_pictures_by_its_weight_and_comes_off_without_a_trace(session: SdxlPipeline, lora: Path) -> None:
    session.load_lora(None, 0.0)
    bare = session.paint(STROKE).tobytes()
    session.load_lora(lora, 1.0)
    full = session.paint(STROKE).tobytes()
    session.load_lora(lora, 0.7)
    light = session.paint(STROKE).tobytes()
    assert len({bare, full, light}) == 3
    session.load_lora(None, 0.0)
    assert session.paint(STROKE).tobytes() == bare


def test_a_torn_lora_is_a_clear_error(session: SdxlPipeline, lora: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(lora.read_bytes()[:-100])
    with pytest.raises(BrokenFile, match="torn"):
        session.load_lora(torn, 1.0)


# --- the stage --------------------------------------------------------------------------------------------------------
def test_portraits_say_what_they_are(client: Client, settings: Settings, model_process: ModelProcess) -> None:
    events, report = run(generate(client, settings, small(client, settings, weights=(0.0, 0.85)), model_process))
    steps = [event.done for event in events if isinstance(event, Progress) and event.total]
    assert steps == sorted(steps) and steps[-1] == 8 * STEPS, "progress is counted in steps"
    assert len(set(steps)) >= STEPS
    assert all(event.stage == "generate" for event in events if isinstance(event, Progress))
    assert report.painted == 8 and len(report.images) == len({image.file for image in report.images}) == 8
    image = report.images[-1]
    assert (image.seed, image.lora, image.weight, image.prompt) == (2, "demo_avatar_v1.safetensors", 0.85, "demo woman, b")
    with Image.open(image.file) as opened:
        assert opened.size == (SIDE_PX, SIDE_PX)
        assert opened.text["parameters"].startswith(
            "demo woman, b <lora:demo_avatar_v1:0.85>\nSteps: 4, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7, Seed: 2"
        )
        mark = opened.getxmp()["xmpmeta"]["RDF"]["Description"]["DigitalSourceType"]
    assert mark.endswith("/trainedAlgorithmicMedia")
    record = PortraitRecord.model_validate(json.loads(image.file.with_suffix(".json").read_text()))
    assert (record.seed, record.weight, record.width) == (2, 0.85, SIDE_PX)
    assert len(record.lora_sha256) == len(record.base_digest) == 64
    assert image.file.stem.endswith(record.digest())
    with Image.open(report.contact_sheet) as sheet:
        assert sheet.height > 3 * 192, "a row of crops, one of the base, one with the LoRA"


def pixels(file: Path) -> np.ndarray:
    with Image.open(file) as opened:
        return np.asarray(opened.convert("RGB")).astype(int)


def test_a_portrait_depends_on_its_own_seed_only(client: Client, settings: Settings, model_process: ModelProcess) -> None:
    run(generate(client, settings, small(client, settings, prompts=("a",), seeds=(1, 2, 3)), model_process))
    together = {file.name: pixels(file) for file in client.output.glob("portrait_*.png")}
    for file in client.output.glob("portrait_*"):
        file.unlink()
    run(generate(client, settings, small(client, settings, prompts=("a",), seeds=(3,)), model_process))
    (alone,) = client.output.glob("portrait_*.png")
    # In a batch of another size the order of sums differs, and with it a value here and there by one.
    assert np.abs(together[alone.name] - pixels(alone)).max() <= 2
    others = [picture for name, picture in together.items() if name != alone.name]
    assert all(np.abs(picture - pixels(alone)).max() > 20 for picture in others)


def test_stopped_and_run_again_ends_as_if_undisturbed(client: Client, settings: Settings, model_process: ModelProcess) -> None:
    plan = small(client, settings, prompts=("a", "b", "c"), seeds=(1, 2, 3), choice=RecipeChoice(steps=12))
    run(generate(client, settings, plan, model_process))
    whole = bytes_of(client.output)
    for file in client.output.glob("portrait_*"):
        file.unlink()
    stopped = generate(client, settings, plan, model_process)
    while len(list(client.output.glob("portrait_*.png"))) < 4:
        next(stopped)
    worker = model_process.pid
    stopped.close()
    assert len(list(client.output.glob("portrait_*.png"))) < 9
    assert model_process.pid == worker, "the worker keeps its models when an order is given up"
    next(client.output.glob("portrait_*.png")).unlink()  # in the middle of a batch
    (client.output / ".portrait_9.png.part").write_bytes(b"half")
    _, report = run(generate(client, settings, plan, model_process))
    assert 5 < report.painted < 9
    assert bytes_of(client.output) == whole


def test_a_killed_worker_loses_no_finished_picture(client: Client, settings: Settings, tmp_path: Path) -> None:
    plan = small(client, settings, prompts=("a", "b", "c"), seeds=(1, 2, 3), choice=RecipeChoice(steps=20))
    with ModelProcess(tmp_path / "worker.log") as own:
        stage = generate(client, settings, plan, own)
        while len(list(client.output.glob("portrait_*.png"))) < 4:
            next(stage)
        os.kill(own.pid, signal.SIGKILL)
        with pytest.raises(WorkerDied, match="signal 9"):
            for _event in stage:
                pass
        finished = {file: file.stat().st_mtime_ns for file in client.output.glob("portrait_*.png")}
        assert 4 <= len(finished) < 9
        assert all(file.with_suffix(".json").exists() for file in finished)
        _, report = run(generate(client, settings, plan, own))
    assert report.painted == 9 - len(finished)
    assert {file: file.stat().st_mtime_ns for file in finished} == finished


def test_killed_it_goes_on_and_answered_from_disk_it_starts_no_worker(tmp_path: Path, lora: Path, base: Path) -> None:
    client = make_client(tmp_path, lora)
    child = [sys.executable, "-c", CHILD, str(tmp_path), str(base)]
    with subprocess.Popen(child, cwd=ROOT, stdout=subprocess.PIPE, text=True) as first:
        while len(list(client.output.glob("portrait_*.png"))) < 4:
            worker = int(first.stdout.readline().partition(":")[0].replace("None", "0"))
        first.kill()
    assert gone(worker), "a worker does not outlive its program"
    finished = list(client.output.glob("portrait_*.png"))
    assert 4 <= len(finished) < 16
    before = {file: file.stat().st_mtime_ns for file in finished}
    second = subprocess.run(child, cwd=ROOT, capture_output=True, text=True, check=True)
    assert second.stdout.split()[-2:] == ["1", "False"], "one worker, and torch only in it"
    assert second.stderr == "", "the libraries keep quiet"
    assert {file: file.stat().st_mtime_ns for file in finished} == before
    painted = bytes_of(client.output)
    third = subprocess.run(child, cwd=ROOT, capture_output=True, text=True, check=True)
    assert third.stdout.split()[-2:] == ["0", "False"], "no worker is even started"
    assert bytes_of(client.output) == painted


def gone(pid: int, seconds: float = 10) -> bool:
    """Whether a process ends within that time."""
    end = time.monotonic() + seconds
    while psutil.pid_exists(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_the_second_request_needs_no_load(client: Client, settings: Settings, model_process: ModelProcess) -> None:
    run(generate(client, settings, small(client, settings), model_process))
    events, report = run(generate(client, settings, small(client, settings, seeds=(5,), weights=(0.0, 0.7, 0.9)), model_process))
    assert report.painted == 6
    assert not [event for event in events if getattr(event, "code", "") == "loading"]


def test_a_grid_over_weights_and_checkpoints_has_the_same_seeds(
    client: Client, settings: Settings, model_process: ModelProcess
) -> None:
    other = client.models / "demo_avatar_v2-step00000250.safetensors"
    make_lora(other, seed=8)
    plan = small(client, settings, loras=("demo_avatar_v1", other.name), weights=(0.0, 0.7, 1.0), prompts=("a",))
    _, report = run(generate(client, settings, plan, model_process))
    worn = [(image.lora, image.weight, image.seed) for image in report.images]
    assert len(set(worn)) == len(worn) == 10, "the base once, two checkpoints at two weights, two seeds each"
    assert {seed for _lora, _weight, seed in worn} == {1, 2}
    assert len({pixels(image.file).tobytes() for image in report.images}) == 10
    with Image.open(report.contact_sheet) as sheet:
        assert sheet.height > 6 * 192, "a row of crops and five of portraits"


def test_another_base_or_lora_makes_another_file(client: Client, settings: Settings, tmp_path: Path, lora: Path) -> None:
    plan = small(client, settings, weights=(1.0,))
    request = plan.requests[0]
    names = {piece.file.name for piece in portrait_jobs(client.output, plan.setup, request)}
    other = small(client, Settings(base_model=str(make_base(tmp_path / "other", seed=5))), weights=(1.0,))
    assert not names & {piece.file.name for piece in portrait_jobs(client.output, other.setup, request)}
    request.lora.write_bytes(make_lora(tmp_path / "b.safetensors", seed=9).read_bytes())
    assert not names & {piece.file.name for piece in portrait_jobs(client.output, plan.setup, request)}


# --- what is asked for ------------------------------------------------------------------------------------------------
def test_sizes_are_those_sdxl_was_trained_at() -> None:
    for aspect, (width, height) in SIZES.items():
        wide, high = map(int, aspect.split(":"))
        assert size_of(aspect, 1024) == (width, height)
        assert abs(width / height / (wide / high) - 1) < 0.04, aspect
        assert 0.9 < width * height / 1024**2 <= 1.01 and width % 64 == height % 64 == 0
    assert size_of("3:4", 96) == (80, 112)
    assert size_of("1:1", 1024, 768) == (768, 768)
    for aspect, side in (("2:1", None), ("1:1", 5000), ("1:1", 8)):
        with pytest.raises(RecipeRefused):
            size_of(aspect, 1024, side)


def test_an_aspect_and_a_detail_pass_are_painted(client: Client, settings: Settings, model_process: ModelProcess) -> None:
    plan = small(client, settings, prompts=("a",), seeds=(1,), weights=(0.0,), image_options=ImageOptions("3:4", 128, detail=0.3))
    _, report = run(generate(client, settings, plan, model_process))
    with Image.open(report.images[0].file) as opened:
        assert opened.size == (168, 216), "1.5 times 112 x 144"
        assert "Denoising strength: 0.3" in opened.text["parameters"]


def test_portraits_are_enlarged_by_real_weights_once(client: Client, settings: Settings, model_process: ModelProcess) -> None:
    look = ImageOptions(upscaler="realesr-animevideov3-x2")
    plan = small(client, settings, prompts=("a",), image_options=look)
    _, report = run(generate(client, settings, plan, model_process))
    assert len(report.enlarged) == len(report.images) == 2
    for portrait, large in zip(report.images, report.enlarged, strict=True):
        with Image.open(portrait.file) as before, Image.open(large) as after:
            assert after.size == (2 * before.width, 2 * before.height)
            assert after.text["parameters"].endswith("Hires upscaler: realesr-animevideov3-x2")
    made = [path.stat().st_mtime_ns for path in report.enlarged]
    run(generate(client, settings, small(client, settings, prompts=("a",), image_options=look), model_process))
    assert [path.stat().st_mtime_ns for path in report.enlarged] == made


@pytest.mark.parametrize("weights", [(-0.1,), (2.5,)])
def test_weights_beyond_sense_are_refused(client: Client, settings: Settings, weights: tuple[float, ...]) -> None:
    with pytest.raises(RecipeRefused, match="weight"):
        small(client, settings, weights=weights)


def test_prompts_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("\ufeff# my prompts\n\n one \ndós\n", encoding="utf-8")
    assert read_prompts(file) == ("one", "dós")
    listed = tmp_path / "prompts.json"
    listed.write_text('["one", "two"]')
    assert read_prompts(listed) == ("one", "two")
    for text, error in (("# nothing\n", PromptsMissing), ("", PromptsMissing)):
        file.write_text(text)
        with pytest.raises(error):
            read_prompts(file)
    for text in ("{", '{"a": 1}', "[1]"):
        listed.write_text(text)
        with pytest.raises(BrokenFile):
            read_prompts(listed)
    file.write_bytes(b"\xff\xfe\x00caf\xe9")
    with pytest.raises(BrokenFile):
        read_prompts(file)
    with pytest.raises(FolderMissing):
        read_prompts(tmp_path / "nowhere.txt")


def test_magic_and_style_are_recorded_beside_what_the_user_wrote(
    client: Client, settings: Settings, model_process: ModelProcess
) -> None:
    words = PromptOptions(("retrato de demo mujer sonriendo",), negative="hat", style="studio", magic=True)
    plan = plan_portraits(client, settings, prompt_options=words, seeds=(1,), weights=(0.0,), choice=RecipeChoice(steps=STEPS))
    assert plan.prompts[0].prompt.startswith("portrait of demo woman smiling, professional headshot, studio lighting")
    _, report = run(generate(client, settings, plan, model_process))
    record = PortraitRecord.model_validate(json.loads(report.images[0].file.with_suffix(".json").read_text()))
    assert (record.original, record.style) == ("retrato de demo mujer sonriendo", "studio")
    assert record.negative.startswith("hat, blurry") and "harsh shadows" in record.negative
    with pytest.raises(StyleMissing, match="nonesuch"):
        plan_portraits(client, settings, prompt_options=PromptOptions(("a",), style="nonesuch"))


def test_placeholders_are_filled_with_the_clients_words(client: Client, settings: Settings) -> None:
    plan = small(client, settings, prompts=("photo of {trigger} {class_word}",))
    assert plan.prompts[0].prompt == "photo of demo woman"


def test_a_lora_name_leads_nowhere_else(client: Client, settings: Settings, tmp_path: Path, lora: Path) -> None:
    (tmp_path / "clients" / "outside.safetensors").write_bytes(lora.read_bytes())
    with pytest.raises(NoCheckpoint):
        small(client, settings, loras=("../../outside",))


def test_the_parameters_text_names_negative_prompt_and_lora() -> None:
    record = PortraitRecord(
        prompt="a face", negative="blurry", seed=1, steps=30, guidance=7.0, sampler=Sampler.EULER_A, width=832, height=1216,
        base="sdxl.safetensors", base_digest="", lora="me.safetensors", lora_sha256="ab" * 32, weight=0.8,
    )  # fmt: skip
    assert parameters_text(record).splitlines() == [
        "a face <lora:me:0.8>",
        "Negative prompt: blurry",
        "Steps: 30, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7, Seed: 1, Size: 832x1216, Model: sdxl, "
        'Lora hashes: "me: abababababab"',
    ]
