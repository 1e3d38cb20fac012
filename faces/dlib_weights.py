"""The weights of dlib's face network, read from dlib's own serialisation with numpy alone.

The file is a dump of `dlib::net`: the loss, a version for each of 130 nested layers from the outermost inwards, the input, and
then every layer that computes, from the innermost outwards. What the format is stands in dlib's headers: `serialize.h` (integers,
reals), `cuda/tensor.h` (tensors), `dnn/core.h` (layers), `dnn/layers.h` (what each layer keeps), `dnn/input.h`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

CHIP_PX = 150  # the side of the aligned face that the network is shown
# The residual blocks from the picture on; those that are True halve the side. 32, 64, 128, 256 and again 256 channels.
HALVING = (False,) * 3 + (True, False, False, False) + (True, False, False) + (True, False, False) + (True,)
_STEM, _END = ("con", "affine", "relu", "max_pool"), ("avg_pool", "fc")
_PLAIN_BLOCK = ("tag", "con", "affine", "relu", "con", "affine", "add", "relu")
_HALVING_BLOCK = ("tag", "con", "affine", "relu", "con", "affine", "tag", "skip", "avg_pool", "add", "relu")
_WITHOUT_DATA = ("tag", "skip")  # a layer that only names another one keeps nothing but its version
_PER_CHANNEL, _NO_BIAS = 0, 1  # dlib's `CONV_MODE` of an affine layer, `FC_NO_BIAS` of the last one
_INFINITE = 32000  # exponents from here on stand for infinity and NaN
_MULTIPLIERS = 4  # learning rate and weight decay of weights and of biases: only training reads them


@dataclass(frozen=True, slots=True)
class Convolution:
    """Filters (out, in, rows, columns) and biases in float64, with the affine layer that follows it multiplied in."""

    filters: Any
    biases: Any
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Pool:
    """A window that takes the largest value or the mean; a window of 0 x 0 is the whole picture."""

    window: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Block:
    """A residual block: two convolutions, and the pool of its shortcut where it halves the side."""

    first: Convolution
    second: Convolution
    shortcut: Pool | None


@dataclass(frozen=True, slots=True)
class FaceWeights:
    """All that the network computes with: mean colour (red, green, blue), convolutions, and the last matrix (256 x 128)."""

    mean: Any
    stem: Convolution
    pool: Pool
    blocks: tuple[Block, ...]
    last_pool: Pool
    projection: Any


def parse_weights(data: bytes) -> FaceWeights:
    """The weights in a .dat file; raises ValueError where it is anything but this network, whole, to its last byte."""
    reader = _Reader(data)
    layers = [*_STEM]
    for halves in HALVING:
        layers += _HALVING_BLOCK if halves else _PLAIN_BLOCK
    layers += _END
    reader.expect_version(1)
    reader.expect_name("loss_metric_2")
    reader.real(), reader.real()  # margin and threshold of the loss
    for outer in reversed(layers[1:]):
        reader.expect_version(1 if outer in _WITHOUT_DATA else 2)
    reader.expect_version(3)  # the innermost layer, which holds the input
    reader.expect_name("input_rgb_image_sized")
    mean = [reader.real() for _colour in range(3)]
    if reader.pair() != (CHIP_PX, CHIP_PX):
        raise ValueError(f"the network is not for faces of {CHIP_PX} px")
    found = _assembled(mean, reader, _computing(reader, layers))
    if reader.place != len(data):
        raise ValueError(f"{len(data) - reader.place} bytes are left after the network")
    return found


def _computing(reader: _Reader, layers: list[str]) -> Iterator[Any]:
    """What each layer that computes keeps; after it comes what dlib keeps of any layer, which only training needs."""
    kinds = {
        "con": _read_con, "affine": _read_affine, "relu": _read_relu, "add": _read_add, "fc": _read_fc,
        "max_pool": _read_max_pool, "avg_pool": _read_avg_pool,
    }  # fmt: skip
    innermost = True
    for layer in layers:
        if layer in _WITHOUT_DATA:
            continue
        own = kinds[layer](reader)
        reader.flag(), reader.flag(), reader.flag()
        reader.tensor(), reader.tensor(), reader.tensor()  # gradients and the last output: empty in a finished network
        if innermost:
            reader.integer()  # how many samples a picture gives
            innermost = False
        if own is not None:
            yield own


def _assembled(mean: list[float], reader: _Reader, layers: Iterator[Any]) -> FaceWeights:
    """The layers in the order of the network, put together as its blocks."""
    import numpy as np

    def convolution() -> Convolution:
        plain: Convolution = next(layers)
        scale, offset = next(layers)
        # The bias is scaled too. dlib's are so small that forgetting it here shows in no picture, but the mean colour joins the
        # first one later, and then it does.
        filters = plain.filters * scale[:, None, None, None]
        return Convolution(filters, plain.biases * scale + offset, plain.stride, plain.padding)

    stem, pool = convolution(), next(layers)
    blocks = [Block(convolution(), convolution(), next(layers) if halves else None) for halves in HALVING]
    last_pool, projection = next(layers), next(layers)
    if next(layers, None) is not None:
        raise ValueError(f"more layers than the network has, before byte {reader.place}")
    return FaceWeights(np.array(mean), stem, pool, tuple(blocks), last_pool, projection)


# --- what each layer keeps --------------------------------------------------------------------------------------------
def _read_con(reader: _Reader) -> Convolution:
    reader.expect_name("con_4")
    numbers = reader.tensor().ravel()  # all filters, then all biases
    count, window, stride, padding = reader.integer(), reader.pair(), reader.pair(), reader.pair()
    shape, _biases = reader.alias(), reader.alias()
    reader.skip_reals(_MULTIPLIERS)
    size = math.prod(shape)
    if shape[0] != count or shape[2:] != window or len(numbers) != size + count:
        raise ValueError(f"filters of {shape} do not fit {len(numbers)} numbers, before byte {reader.place}")
    return Convolution(numbers[:size].reshape(shape), numbers[size:], stride, padding)


def _read_affine(reader: _Reader) -> tuple[Any, Any]:
    """Scale and offset of each channel: dlib had made these of the batch norm before it wrote the file."""
    reader.expect_name("affine_")
    numbers = reader.tensor().ravel()
    scales, offsets = math.prod(reader.alias()), math.prod(reader.alias())
    if reader.integer() != _PER_CHANNEL or scales != offsets or len(numbers) != scales + offsets:
        raise ValueError(f"an affine layer that is not one pair a channel, before byte {reader.place}")
    return numbers[:scales], numbers[scales:]


def _read_relu(reader: _Reader) -> None:
    reader.expect_name("relu_")


def _read_add(reader: _Reader) -> None:
    reader.expect_name("add_prev_")


def _read_max_pool(reader: _Reader) -> Pool:
    reader.expect_name("max_pool_2")
    return Pool(reader.pair(), reader.pair(), reader.pair())


def _read_avg_pool(reader: _Reader) -> Pool:
    reader.expect_name("avg_pool_2")
    return Pool(reader.pair(), reader.pair(), reader.pair())


def _read_fc(reader: _Reader) -> Any:
    reader.expect_name("fc_2")
    outputs, inputs = reader.pair()
    numbers = reader.tensor().ravel()
    reader.alias(), reader.alias()
    if reader.integer() != _NO_BIAS or len(numbers) != inputs * outputs:
        raise ValueError(f"a last layer of another form, before byte {reader.place}")
    reader.skip_reals(_MULTIPLIERS)
    return numbers.reshape(inputs, outputs)  # one row for each of the 256 inputs: read as 128 x 256 it is another network


# --- dlib's bytes -----------------------------------------------------------------------------------------------------
class _Reader:
    """dlib's serialisation from the front to the back; raises ValueError at the first byte that does not fit."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.place = 0

    def integer(self) -> int:
        """A control byte (its highest bit: negative; its lowest four: how many bytes follow), then the magnitude, lowest first."""
        control = self._take(1)[0]
        length = control & 0x0F
        if control & 0x70 or not 1 <= length <= 8:
            raise ValueError(f"no integer at byte {self.place - 1}")
        magnitude = int.from_bytes(self._take(length), "little")
        return -magnitude if control & 0x80 else magnitude

    def pair(self) -> tuple[int, int]:
        """Two integers, mostly rows and columns."""
        return self.integer(), self.integer()

    def real(self) -> float:
        """A float or double: mantissa and binary exponent, both integers."""
        mantissa, exponent = self.integer(), self.integer()
        if abs(exponent) >= _INFINITE:
            raise ValueError(f"no number at byte {self.place}")
        return math.ldexp(mantissa, exponent)

    def skip_reals(self, count: int) -> None:
        """Numbers that nothing here needs."""
        for _number in range(count):
            self.real()

    def flag(self) -> bool:
        """A bool: the letter 0 or 1."""
        letter = self._take(1)
        if letter not in (b"0", b"1"):
            raise ValueError(f"neither 0 nor 1 at byte {self.place - 1}")
        return letter == b"1"

    def tensor(self) -> Any:
        """Four sizes (samples, channels, rows, columns), then plain float32, lowest byte first; here as float64."""
        import numpy as np

        self.expect_version(2)
        shape = self._sizes()
        return np.frombuffer(self._take(4 * math.prod(shape)), "<f4").astype(np.float64).reshape(shape)

    def alias(self) -> tuple[int, ...]:
        """The sizes of a part of a tensor."""
        self.expect_version(1)
        return self._sizes()

    def expect_version(self, version: int) -> None:
        """Read the version that begins most things."""
        if (found := self.integer()) != version:
            raise ValueError(f"version {found} where {version} should be, before byte {self.place}")

    def expect_name(self, name: str) -> None:
        """Read the name that begins every layer that computes."""
        if (found := self._take(self.integer())) != name.encode():
            raise ValueError(f"{found[:40]!r} where {name} should be, before byte {self.place}")

    def _sizes(self) -> tuple[int, ...]:
        sizes = tuple(self.integer() for _side in range(4))
        if min(sizes) < 0:
            raise ValueError(f"a negative size before byte {self.place}")
        return sizes

    def _take(self, length: int) -> bytes:
        end = self.place + length
        if not self.place <= end <= len(self._data):
            raise ValueError(f"the file ends within a value at byte {self.place}")
        piece = self._data[self.place : end]
        self.place = end
        return piece
