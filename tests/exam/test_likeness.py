"""The measure of a demo, on a small random model: real portraits, real latents, and its arithmetic by hand."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stages import finish
from tiny_sdxl import SIDE_PX, make_base, make_lora

from client_folder.client import Client, create_client
from client_folder.records import Faces, Source, Verdict
from config import Settings
from exam.likeness import OTHERS_PROMPTS, Likeness, measure_likeness
from generation import generate, plan_portraits
from machine.model_process import ModelProcess
from portraits.recipes import DEFAULT_SEEDS
from portraits.sdxl import latents_of
from utils import NotReady, write_record


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_lora(tmp_path_factory.mktemp("loras") / "random.safetensors")


@pytest.fixture(scope="module")
def model_process(tmp_path_factory: pytest.TempPathFactory) -> Generator[ModelProcess, None, None]:
    with ModelProcess(tmp_path_factory.mktemp("logs") / "worker.log") as model_process:
        yield model_process


@pytest.fixture(autouse=True)
def short_walks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps a portrait instead of thirty: what is measured here is arithmetic, not beauty."""
    from portraits import recipes
    from portraits.sdxl import Sampler

    monkeypatch.setattr(recipes, "BASE_RECIPE", recipes.Recipe(recipes.RecipeKind.BASE, 2, 1.0, Sampler.OWN))


def make_client(home: Path, lora: Path, crops: int = 3) -> Client:
    client = create_client(home, "demo", "woman")
    client.models.mkdir()
    (client.models / "demo_avatar_v1.safetensors").write_bytes(lora.read_bytes())
    client.processed.mkdir()
    noise = np.random.default_rng(0)
    faces = []
    for number in range(crops):
        pixels = noise.integers(0, 255, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((256, 256)).save(client.processed / f"{number}.png")
        faces.append(
            Verdict(file=f"raw_mj/{number}.png", sha256="0" * 64, source=Source.MIDJOURNEY, crop=f"{number}.png", settings="")
        )
    write_record(client.faces_file, Faces(faces=tuple(faces)))
    return client


def test_shares_of_the_gap() -> None:
    likeness = Likeness(base=80.0, lora=70.0, crops=60.0, others_base=90.0, others_lora=88.0)
    assert likeness.closed == pytest.approx(0.5)
    assert likeness.others_moved == pytest.approx(0.1)
    assert likeness.good
    assert not likeness.model_copy(update={"lora": 71.0}).good, "less than half of the gap"
    assert not likeness.model_copy(update={"others_lora": 87.0}).good, "others moved by more than a quarter of it"
    assert not likeness.model_copy(update={"others_lora": 93.0}).good, "away from the client is moved too"


def test_measured_once_shown_and_answered_from_disk(tmp_path: Path, base: Path, lora: Path, model_process: ModelProcess) -> None:
    client, settings = make_client(tmp_path, lora), Settings(base_model=str(base))
    (client.models / "demo_avatar_v2-step00000250.safetensors").write_bytes(lora.read_bytes())  # of a training that was cut off
    report = finish(measure_likeness(client, settings, model_process=model_process))
    records = [json.loads(file.read_text(encoding="utf-8")) for file in client.output.glob("portrait_*.json")]
    assert {record["lora"] for record in records} == {"", "demo_avatar_v1.safetensors"}
    likeness = report.likeness
    assert report.images == 2 * 3 * len(DEFAULT_SEEDS)
    assert len(list(client.output.glob("portrait_*.png"))) == report.images
    assert len(list(client.likeness.glob("portrait_*.png"))) == 2 * len(OTHERS_PROMPTS) * len(DEFAULT_SEEDS)
    with Image.open(report.contact_sheet) as sheet:
        assert sheet.height > 3 * 192 and sheet.width > 6 * 192
    files = [path for path in client.root.rglob("*") if path.is_file() and path != report.contact_sheet]
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}
    sheet_bytes = report.contact_sheet.read_bytes()
    again = finish(measure_likeness(client, settings, model_process=model_process))
    assert again.likeness == likeness
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files} == before
    assert report.contact_sheet.read_bytes() == sheet_bytes
    assert plan_portraits(client, settings, weights=(0.0, 1.0)).missing == 0, "these are the portraits that generate paints"


def test_distances_are_those_of_the_bases_latents(tmp_path: Path, base: Path, lora: Path, model_process: ModelProcess) -> None:
    client, settings = make_client(tmp_path, lora), Settings(base_model=str(base))
    report = finish(measure_likeness(client, settings, model_process=model_process))
    plan = plan_portraits(client, settings, weights=(0.0,))
    portraits = [image.file for image in finish(generate(client, settings, plan, model_process)).images]

    def latents(files: list[Path]) -> np.ndarray:
        pictures = [Image.open(file).convert("RGB").resize((SIDE_PX, SIDE_PX), Image.Resampling.BOX) for file in files]
        return np.asarray(latents_of(base, pictures), np.float64)

    crops = latents(sorted(client.processed.glob("*.png")))
    apart = [np.linalg.norm(one - other) for one in latents(portraits) for other in crops]
    among = [np.linalg.norm(crops[i] - crops[j]) for i in range(3) for j in range(3) if i != j]
    assert report.likeness.base == pytest.approx(np.mean(apart), rel=1e-4)
    assert report.likeness.crops == pytest.approx(np.mean(among), rel=1e-4)
    assert report.likeness.lora != report.likeness.base


def test_new_crops_are_measured_anew(tmp_path: Path, base: Path, lora: Path, model_process: ModelProcess) -> None:
    client, settings = make_client(tmp_path, lora), Settings(base_model=str(base))
    first = finish(measure_likeness(client, settings, model_process=model_process)).likeness
    Image.new("RGB", (256, 256), "white").save(client.processed / "0.png")
    second = finish(measure_likeness(client, settings, model_process=model_process)).likeness
    assert second.key != first.key and second.crops != first.crops


def test_it_waits_for_crops_and_a_lora(tmp_path: Path, base: Path, lora: Path, model_process: ModelProcess) -> None:
    settings = Settings(base_model=str(base))
    with pytest.raises(NotReady):
        next(measure_likeness(make_client(tmp_path / "one", lora, crops=1), settings))
    untrained = make_client(tmp_path / "two", lora)
    (untrained.models / "demo_avatar_v1.safetensors").unlink()
    with pytest.raises(NotReady):
        next(measure_likeness(untrained, settings))
