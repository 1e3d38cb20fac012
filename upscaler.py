"""Enlarging finished portraits with a Real-ESRGAN-family model, where one is there and the package `spandrel` is installed.

`spandrel` is not among the requirements: it asks for torchvision, which must fit torch's own build. Only .safetensors files are
read: the .pth files such models are often published as can hold programs.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config import Settings
from models import models_folder
from orders import Mouth
from portrait import MADE_BY_AI, marked
from utils import BrokenFile, MissingLibrary, ModelMissing, Record, replacing
from vram import Shelf

if TYPE_CHECKING:
    import torch

FOLDER = "upscalers"
TILE_PX, OVERLAP_PX = 512, 32  # a part of the picture at a time, so that memory does not grow with it


class UpscaleOrder(Record):
    """Pictures to enlarge: from where to where."""

    model: Path
    files: tuple[tuple[Path, Path], ...]


def choose_upscaler(home: Path, settings: Settings, name: str) -> Path:
    """The named model in `models/upscalers`; raises ModelMissing or MissingLibrary."""
    folder = models_folder(home, settings) / FOLDER
    here = {path.stem: path for path in sorted(folder.glob("*.safetensors"))}
    stem = name.removesuffix(".safetensors")
    if stem not in here:
        raise ModelMissing(model=folder / f"{stem}.safetensors")
    if importlib.util.find_spec("spandrel") is None:
        raise MissingLibrary(package="spandrel (pip install spandrel)")
    return here[stem]


def enlarged_name(portrait: Path, model: Path) -> Path:
    """Where the enlargement of a portrait lies."""
    return portrait.with_name(f"enlarged_{portrait.stem.removeprefix('portrait_')}_{model.stem}.png")


def missing_order(model: Path, portraits: Sequence[Path]) -> UpscaleOrder:
    """The order for the portraits that are not enlarged yet."""
    pairs = ((file, enlarged_name(file, model)) for file in portraits)
    return UpscaleOrder(model=model, files=tuple(pair for pair in pairs if not pair[1].exists()))


# --- the worker's side ------------------------------------------------------------------------------------------------
class Upscaler:
    """A loaded model."""

    def __init__(self, file: Path) -> None:
        """Raises BrokenFile where the file is none that spandrel knows."""
        import torch
        from spandrel import ImageModelDescriptor, ModelLoader

        try:
            model = ModelLoader(device="cpu").load_from_file(file)
        except Exception as error:
            raise BrokenFile(path=file, line=1, reason=str(error).splitlines()[0]) from error
        if not isinstance(model, ImageModelDescriptor):
            raise BrokenFile(path=file, line=1, reason="no model for single pictures")
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = model.to(self._device).eval()

    @property
    def gb(self) -> float:
        """What the weights take, in GB."""
        return sum(value.numel() * value.element_size() for value in self._model.model.parameters()) / 1e9

    def to_ram(self) -> bool:
        """Leave the GPU."""
        self._model.to("cpu")
        return True

    def to_gpu(self) -> None:
        """Come back."""
        self._model.to(self._device)

    def enlarge(self, pixels: torch.Tensor) -> torch.Tensor:
        """(3, height, width) from 0 to 1, the same times the model's scale; in tiles that overlap, so that no seam shows."""
        import torch

        scale, (_channels, height, width) = self._model.scale, pixels.shape
        out = torch.zeros(3, height * scale, width * scale)
        step = TILE_PX - OVERLAP_PX
        edge = OVERLAP_PX // 2
        with torch.inference_mode():
            for top in range(0, max(1, height - OVERLAP_PX), step):
                for left in range(0, max(1, width - OVERLAP_PX), step):
                    tile = pixels[None, :, top : top + TILE_PX, left : left + TILE_PX].to(self._device)
                    made = self._model(tile)[0].float().cpu()
                    # The half of the overlap nearest to the tile's edge is left to its neighbour.
                    up, back = (edge if top else 0), (edge if left else 0)
                    part = made[:, up * scale :, back * scale :]
                    y, x = (top + up) * scale, (left + back) * scale
                    out[:, y : y + part.shape[1], x : x + part.shape[2]] = part
        return out.clamp(0, 1)


def upscale_order(facts: dict[str, Any], shelf: Shelf, mouth: Mouth) -> dict[str, Any]:
    """Enlarge pictures, each written as soon as it is done, with the texts of the one it was made of."""
    import numpy as np
    import torch
    from PIL import Image

    order = UpscaleOrder.model_validate(facts)
    model = shelf.take(f"{order.model.name}", lambda: Upscaler(order.model))
    for done, (source, target) in enumerate(order.files):
        mouth.progress(done, len(order.files), target.name)
        with Image.open(source) as opened:
            text = marked(MADE_BY_AI)
            if "parameters" in opened.info:
                text.add_text("parameters", f"{opened.info['parameters']}, Hires upscaler: {order.model.stem}")
            pixels = torch.from_numpy(np.array(opened.convert("RGB"))).permute(2, 0, 1).float() / 255
        large = model.enlarge(pixels)
        picture = Image.fromarray((large.permute(1, 2, 0).numpy() * 255).round().astype("uint8"))
        with replacing(target) as part:
            picture.save(part, format="PNG", pnginfo=text)
        mouth.item(file=str(target))
    mouth.progress(len(order.files), len(order.files))
    return {"files": [str(target) for _source, target in order.files]}
