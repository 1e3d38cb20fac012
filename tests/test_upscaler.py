"""Enlarging with a real spandrel, where it is installed; and what is said where it is not."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from config import Settings
from upscaler import choose_upscaler, enlarged_name
from utils import BrokenFile, MissingLibrary, ModelMissing


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="upscalers"):
        choose_upscaler(tmp_path, Settings(), "x4")
    folder = tmp_path / "models" / "upscalers"
    folder.mkdir(parents=True)
    (folder / "x4.safetensors").write_bytes(b"x")
    if importlib.util.find_spec("spandrel") is None:
        with pytest.raises(MissingLibrary, match="spandrel"):
            choose_upscaler(tmp_path, Settings(), "x4")
    with pytest.raises(ModelMissing):
        choose_upscaler(tmp_path, Settings(), "../x4")
    assert enlarged_name(Path("portrait_1_ab.png"), Path("x4.safetensors")) == Path("enlarged_1_ab_x4.png")


def test_tiles_leave_no_seam(tmp_path: Path) -> None:
    pytest.importorskip("spandrel", reason="spandrel is optional")
    import torch
    from safetensors.torch import save_file

    from upscaler import Upscaler

    network = importlib.import_module("spandrel.architectures.ESRGAN.__arch.RRDB").RRDBNet(num_filters=8, num_blocks=1, scale=2)
    save_file(network.state_dict(), tmp_path / "x2.safetensors")
    upscaler = Upscaler(tmp_path / "x2.safetensors")
    pixels = torch.rand(3, 600, 700)
    with torch.inference_mode():
        whole = upscaler._model(pixels[None])[0].clamp(0, 1)
    assert torch.allclose(upscaler.enlarge(pixels), whole, atol=1e-5)
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    with pytest.raises(BrokenFile):
        Upscaler(tmp_path / "torn.safetensors")
