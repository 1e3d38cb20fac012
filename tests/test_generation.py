"""Portraits on a small random model of SDXL's shape: real diffusers, real files, real child processes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tiny_sdxl import SIDE_PX, make_base, make_lora

from client import Client, Face, Faces, Source, create_client
from config import Settings
from generation import PortraitPlan, PortraitReport, generate, plan_portraits
from portrait import PortraitRecord, commission, parameters_text
from recipes import BASE_RECIPE, EMBEDDED_RECIPE, FEW_STEP_RECIPE, choose_lora, default_prompts, recipe_for
from sdxl import Sampler, Session, Stroke, native_px, scheduler_for
from utils import BrokenFile, Event, ModelMissing, NotReady, Progress, write_record

ROOT = Path(__file__).resolve().parent.parent
STROKE = Stroke("portrait of demo woman", "", 7, 2, 2.0, Sampler.OWN, SIDE_PX, SIDE_PX)
CHILD = """
import sys
from pathlib import Path
from client import open_client
from config import Settings
from generation import PortraitPlan, PortraitReport, generate, plan_portraits
home, base = Path(sys.argv[1]), sys.argv[2]
client, settings = open_client(home, "demo"), Settings(base_model=base)
plan = plan_portraits(client, settings, prompts=("a", "b"), seeds=(1, 2), weights=(0.0, 1.0), few_step=True)
for event in generate(client, settings, plan.requests):
    print(event.done, flush=True)
print("torch" in sys.modules, flush=True)
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_lora(tmp_path_factory.mktemp("loras") / "random.safetensors")


@pytest.fixture(scope="module")
def session(base: Path) -> Session:
    return Session(base)


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
    face = Face(file="raw_mj/one.png", sha256="0" * 64, source=Source.MIDJOURNEY, crop="one.png", settings="")
    write_record(client.faces_file, Faces(faces=(face,)))
    return client


def run(stage: Generator[Event, None, PortraitReport]) -> tuple[list[Event], PortraitReport]:
    """The events of a stage, and its report."""
    events = []
    while True:
        try:
            events.append(next(stage))
        except StopIteration as end:
            return events, end.value


def small(client: Client, settings: Settings, **wishes: Any) -> PortraitPlan:
    """A plan of few steps."""
    return plan_portraits(client, settings, **{"prompts": ("a", "b"), "seeds": (1, 2), "few_step": True, **wishes})


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
    from config import EMBEDDED_BASE, resolve_base

    assert recipe_for(resolve_base(EMBEDDED_BASE)) == EMBEDDED_RECIPE
    assert recipe_for(base) == BASE_RECIPE
    assert (BASE_RECIPE.steps, BASE_RECIPE.guidance, BASE_RECIPE.sampler) == (30, 7.0, Sampler.EULER_A)
    assert recipe_for(base, few_step=True) == FEW_STEP_RECIPE
    assert FEW_STEP_RECIPE.guidance == 0


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
    with pytest.raises(ModelMissing, match=r"demo_avatar_v7\.safetensors"):
        small(client, settings, lora="demo_avatar_v7")


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
        assert choose_lora(client).stem == name
    (client.models / "demo_avatar_v11.safetensors").write_bytes(lora.read_bytes()[:-9])
    assert choose_lora(client).stem == "demo_avatar_v10", "a torn file is not chosen"
    assert choose_lora(client, "demo_avatar_v2.safetensors").stem == "demo_avatar_v2"


# --- the pipeline -----------------------------------------------------------------------------------------------------
def test_the_size_is_the_bases_own(base: Path, session: Session) -> None:
    assert native_px(base) == SIDE_PX
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


def test_a_lora_changes_pictures_by_its_weight_and_comes_off_without_a_trace(session: Session, lora: Path) -> None:
    session.wear(None, 0.0)
    bare = session.paint(STROKE).tobytes()
    session.wear(lora, 1.0)
    full = session.paint(STROKE).tobytes()
    session.wear(lora, 0.7)
    light = session.paint(STROKE).tobytes()
    assert len({bare, full, light}) == 3
    session.wear(None, 0.0)
    assert session.paint(STROKE).tobytes() == bare


def test_a_torn_lora_is_a_clear_error(session: Session, lora: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(lora.read_bytes()[:-100])
    with pytest.raises(BrokenFile, match="torn"):
        session.wear(torn, 1.0)


# --- the stage --------------------------------------------------------------------------------------------------------
def test_portraits_say_what_they_are(client: Client, settings: Settings) -> None:
    events, report = run(generate(client, settings, small(client, settings, weights=(0.0, 0.85)).requests))
    assert [(event.done, event.total) for event in events] == [(done, 8) for done in range(9)]
    assert all(isinstance(event, Progress) and event.stage == "generate" for event in events)
    assert report.painted == 8 and len(report.images) == len({image.file for image in report.images}) == 8
    image = report.images[-1]
    assert (image.seed, image.lora, image.weight, image.prompt) == (2, "demo_avatar_v1.safetensors", 0.85, "b")
    with Image.open(image.file) as opened:
        assert opened.size == (SIDE_PX, SIDE_PX)
        assert opened.text["parameters"].startswith(
            "b <lora:demo_avatar_v1:0.85>\nSteps: 4, Sampler: Euler trailing, CFG scale: 0, Seed: 2"
        )
        mark = opened.getxmp()["xmpmeta"]["RDF"]["Description"]["DigitalSourceType"]
    assert mark.endswith("/trainedAlgorithmicMedia")
    record = PortraitRecord.model_validate(json.loads(image.file.with_suffix(".json").read_text()))
    assert (record.seed, record.weight, record.width) == (2, 0.85, SIDE_PX)
    assert len(record.lora_sha256) == len(record.base_digest) == 64
    assert image.file.stem.endswith(record.digest())
    with Image.open(report.contact_sheet) as sheet:
        assert sheet.height > 3 * 192, "a row of crops, one of the base, one with the LoRA"


def test_a_portrait_depends_on_its_own_seed_only(client: Client, settings: Settings) -> None:
    run(generate(client, settings, small(client, settings, prompts=("a",), seeds=(1, 2, 3)).requests))
    together = bytes_of(client.output)
    for file in client.output.iterdir():
        file.unlink()
    run(generate(client, settings, small(client, settings, prompts=("a",), seeds=(3,)).requests))
    alone = {name: data for name, data in bytes_of(client.output).items() if name != "contact_sheet.png"}
    assert alone and all(together[name] == data for name, data in alone.items())


def test_stopped_and_run_again_ends_as_if_undisturbed(client: Client, settings: Settings) -> None:
    requests = small(client, settings).requests
    run(generate(client, settings, requests))
    whole = bytes_of(client.output)
    for file in client.output.iterdir():
        file.unlink()
    stopped = generate(client, settings, requests)
    for _ in range(3):
        next(stopped)
    stopped.close()
    assert len(list(client.output.glob("portrait_*.png"))) == 2
    (client.output / ".portrait_9.png.part").write_bytes(b"half")
    _, report = run(generate(client, settings, requests))
    assert report.painted == 2
    assert bytes_of(client.output) == whole


def test_killed_it_goes_on_and_answered_from_disk_it_loads_nothing(tmp_path: Path, lora: Path, base: Path) -> None:
    client = make_client(tmp_path, lora)
    child = [sys.executable, "-c", CHILD, str(tmp_path), str(base)]
    with subprocess.Popen(child, cwd=ROOT, stdout=subprocess.PIPE, text=True) as first:
        while first.stdout.readline().strip() != "3":
            time.sleep(0.001)
        first.kill()
    finished = list(client.output.glob("portrait_*.png"))
    assert 3 <= len(finished) < 8
    before = {file: file.stat().st_mtime_ns for file in finished}
    second = subprocess.run(child, cwd=ROOT, capture_output=True, text=True, check=True)
    assert second.stdout.split()[-1] == "True"
    assert second.stderr == "", "the libraries keep quiet"
    assert {file: file.stat().st_mtime_ns for file in finished} == before
    painted = bytes_of(client.output)
    third = subprocess.run(child, cwd=ROOT, capture_output=True, text=True, check=True)
    assert third.stdout.split()[-1] == "False", "torch is not even imported"
    assert bytes_of(client.output) == painted


def test_another_base_or_lora_makes_another_file(client: Client, settings: Settings, tmp_path: Path, lora: Path) -> None:
    request = small(client, settings, weights=(1.0,)).requests[0]
    names = {piece.file.name for piece in commission(client.output, Path(settings.base_model), request)}
    other = make_base(tmp_path / "other", seed=5)
    assert not names & {piece.file.name for piece in commission(client.output, other, request)}
    request.lora.write_bytes(make_lora(tmp_path / "b.safetensors", seed=9).read_bytes())
    assert not names & {piece.file.name for piece in commission(client.output, Path(settings.base_model), request)}


def test_the_parameters_text_names_negative_prompt_and_lora() -> None:
    record = PortraitRecord(
        prompt="a face", negative="blurry", seed=1, steps=30, guidance=7.0, sampler=Sampler.EULER_A, width=832, height=1216,
        base="sdxl.safetensors", base_digest="", lora="me.safetensors", lora_sha256="ab" * 32, weight=0.8,
    )  # fmt: skip
    assert parameters_text(record).splitlines() == [
        "a face <lora:me:0.8>",
        "Negative prompt: blurry",
        'Steps: 30, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 832x1216, Model: sdxl, Lora hashes: "me: abababababab"',
    ]
