"""Finished files that a power cut or a bad disk emptied or cut: no step takes them for done, and the next run makes them again."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import program
from PIL import Image
from stages import finish

from client_folder.client import open_client
from embedded.drawing.regularisation import FOLDER, draw_regularisation
from utils import whole_png

CUTS = {"emptied": lambda size: 0, "cut": lambda size: size // 2, "without its end": lambda size: size - 1}


def cut(path: Path, how: Callable[[int], int]) -> None:
    """Shorten a file; one with a second name elsewhere stays as it was there."""
    whole = path.read_bytes()
    path.unlink()
    path.write_bytes(whole[: how(len(whole))])


@pytest.fixture
def home(demo, tmp_path: Path) -> Path:
    """The demo's home, to be damaged."""
    shutil.copytree(demo.home / "clients", tmp_path / "clients")
    shutil.copyfile(demo.home / "settings.json", tmp_path / "settings.json")
    return tmp_path


def answer(home: Path, *words: str) -> dict:
    done = subprocess.run(program(home, *words, "--json"), capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("how", CUTS.values(), ids=CUTS)
def test_a_torn_png_is_no_png(tmp_path: Path, how: Callable[[int], int]) -> None:
    file = tmp_path / "picture.png"
    Image.new("RGB", (64, 64), (10, 20, 30)).save(file)
    assert whole_png(file)
    cut(file, how)
    assert not whole_png(file)
    assert not whole_png(tmp_path / "not_here.png")


def test_a_torn_crop_is_cut_again_and_the_dataset_does_not_take_it(home: Path) -> None:
    client = open_client(home, "demo")
    crops = sorted(client.processed.glob("*_*.png"))
    crops = [path for path in crops if path.stem.startswith(("mj_", "real_"))]
    before = {path: path.read_bytes() for path in crops}
    for path, how in zip(crops, [*CUTS.values()], strict=False):
        cut(path, how)
    trained = {path.name for path in client.training_data.glob("*/*.png")}
    torn = {path.name for path in crops[:3]}
    answer(home, "dataset", "--client", "demo")
    assert {path.name for path in client.training_data.glob("*/*.png")} == trained - torn
    assert answer(home, "process", "--client", "demo", "--plan")["new"] == len(torn)
    answer(home, "process", "--client", "demo")
    assert {path: path.read_bytes() for path in crops} == before
    answer(home, "dataset", "--client", "demo")
    assert {path.name for path in client.training_data.glob("*/*.png")} == trained


def test_a_torn_picture_of_the_dataset_is_put_there_again(home: Path) -> None:
    client = open_client(home, "demo")
    picture = min(client.training_data.glob("*/*.png"))
    whole = picture.read_bytes()
    cut(picture, CUTS["emptied"])
    assert (client.processed / picture.name).read_bytes() == whole
    answer(home, "dataset", "--client", "demo")
    assert picture.read_bytes() == whole


def test_a_torn_portrait_is_painted_again(home: Path) -> None:
    client = open_client(home, "demo")
    portraits = sorted(client.output.glob("portrait_*.png"))
    record = json.loads(portraits[0].with_suffix(".json").read_text(encoding="utf-8"))
    words = ["generate", "--client", "demo", "--prompt", record["prompt"], "--seed", str(record["seed"]), "--plan"]
    if record["lora"]:
        words += ["--lora", record["lora"], "--weight", str(record["weight"])]
    else:
        words += ["--weight", "0"]
    assert answer(home, *words)["missing"] == 0
    cut(portraits[0], CUTS["without its end"])
    assert answer(home, *words)["missing"] == 1


def test_torn_pictures_of_other_people_are_drawn_again(tmp_path: Path) -> None:
    finish(draw_regularisation(tmp_path, count=2, size=64))
    first, second = sorted((tmp_path / FOLDER).glob("*.png"))
    whole = first.read_bytes()
    cut(first, CUTS["cut"])
    assert finish(draw_regularisation(tmp_path, count=2, size=64)) == 1
    assert first.read_bytes() == whole
    assert whole_png(second)
