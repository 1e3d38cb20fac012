"""dlib's face network on onnxruntime: the same 128 numbers as dlib's own, at a tenth of its processor time.

dlib computes on one core, without a fast matrix product, and holds Python's lock meanwhile. So the weights (CC0, of
`face-recognition-models`) are written as ONNX when they are first needed and kept in the user's cache by the SHA-256 of the file
they come from. Measured on 200 real faces: no number differs by more than 4.5e-7. Each comment on the graph below names a
mistake that runs without an error, and that most pairs of photos would not show: a test holds the numbers to dlib's at 1e-5.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from faces import dlib_weights
from faces.dlib_weights import CHIP_PX, Convolution, FaceWeights, Pool, parse_weights
from machine.cache_folder import cache_folder
from utils import log, replacing, sweep_parts

_OPSET, _IR_VERSION = 17, 8  # old enough for every onnxruntime of the last years
_DIGITS = 16  # of a SHA-256 in a file's name


class FaceNetwork:
    """The network, loaded, on one thread of the processor; several threads may call it at once."""

    def __init__(self, weights: bytes, sha256: str, folder: Path | None = None) -> None:
        """`weights` are the bytes of dlib's .dat file, whose digest is known; raises ValueError where they are no such network.

        `folder` is where the converted network is kept: the user's cache where none is named.
        """
        # It must stand before the import: else onnxruntime makes an identifier of this machine and reports its use to Microsoft.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # Two threads are slower than one where anything else runs: the one that waits spins. Measured: 12 ms a face, not 6.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # The processor, also where there is a card: its numbers must not depend on the machine, and training wants the card.
        self._session: Any = onnxruntime.InferenceSession(
            converted(weights, sha256, folder), options, providers=["CPUExecutionProvider"]
        )  # fmt: skip

    def numbers(self, chips: Any) -> Any:
        """128 numbers (float32) for each aligned face: chips are uint8 of N x 150 x 150 x 3, red first."""
        return self._session.run(None, {"chips": chips})[0]


def converted(weights: bytes, sha256: str, folder: Path | None = None) -> bytes:
    """The network as ONNX, from the cache or made now and kept there; raises ValueError where the weights are no such network.

    A file of the cache says in its name of what weights and by what code it was made and what its own digest is, so that one that
    is torn, changed or made by another version is never used: it is removed and made again. Where nothing can be kept (a full disk,
    a folder of somebody else) it is made each time, which takes a third of a second.
    """
    folder = folder or cache_folder() / "face_network"
    code = _digest(b"".join(Path(file).read_bytes() for file in (__file__, dlib_weights.__file__)))
    origin = f"{sha256[:_DIGITS]}-{code}"
    with contextlib.suppress(OSError):
        for kept in folder.glob(f"{sha256[:_DIGITS]}-*.onnx"):
            if kept.stem.startswith(origin) and kept.stem == f"{origin}-{_digest(model := kept.read_bytes())}":
                return model
            kept.unlink()
    model = _as_onnx(parse_weights(weights))
    try:
        sweep_parts(folder)  # what a program left that was killed while it wrote; that of one still running stays
        with replacing(folder / f"{origin}-{_digest(model)}.onnx") as part:
            part.write_bytes(model)
    except OSError as error:
        log.info("the converted face network is not kept: %s", error)
    return model


def _digest(model: bytes) -> str:
    return hashlib.sha256(model).hexdigest()[:_DIGITS]


# --- the graph --------------------------------------------------------------------------------------------------------
def _as_onnx(weights: FaceWeights) -> bytes:
    """The graph: chips (uint8, N x 150 x 150 x 3, red first) -> numbers (float32, N x 128)."""
    graph = _Graph()
    x = graph.add("Transpose", [graph.add("Cast", ["chips"], (), to=graph.float32)], (3, CHIP_PX, CHIP_PX), perm=[0, 3, 1, 2])
    x = graph.relu(graph.convolve(x, _seeing_pixels(weights.stem, weights.mean)))
    x = graph.pool("MaxPool", x, weights.pool)
    for block in weights.blocks:
        inner = graph.convolve(graph.relu(graph.convolve(x, block.first)), block.second)
        # The shortcut starts at the block's input. dlib's file says so by tags alone: its "skip" leads to the first of two.
        shortcut = graph.pool("AveragePool", x, block.shortcut) if block.shortcut else x
        x = graph.relu(graph.add_padded(inner, shortcut))
    if weights.last_pool.window != (0, 0):
        raise ValueError("the last pool is not over the whole picture")
    channels = graph.shapes[x][0]
    x = graph.add("Flatten", [graph.add("GlobalAveragePool", [x], (channels, 1, 1))], (channels,), axis=1)
    # The face on the left, and no bringing to length 1 after it: dlib's numbers have lengths from 1.2 to 1.7, and its limits of
    # distance are for those.
    graph.add("MatMul", [x, graph.constant(weights.projection)], (weights.projection.shape[1],), name="numbers")
    return graph.serialised(["N", CHIP_PX, CHIP_PX, 3], ["N", weights.projection.shape[1]])


def _seeing_pixels(stem: Convolution, mean: Any) -> Convolution:
    """The first convolution with dlib's (pixel - mean) / 256 in it; by 256, not 255, and red, green, blue in this order.

    Exact because it has no padding: the zeros of one would stand for the mean colour.
    """
    if stem.padding != (0, 0):
        raise ValueError("the first convolution has padding")
    filters = stem.filters / 256
    biases = stem.biases - (filters * mean[None, :, None, None]).sum((1, 2, 3))
    return Convolution(filters, biases, stem.stride, stem.padding)


class _Graph:
    """Nodes and weights of an ONNX graph, and the shape (channels, rows, columns) of what each node gives."""

    def __init__(self) -> None:
        from onnx import TensorProto

        self.float32: int = TensorProto.FLOAT
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def add(self, kind: str, inputs: list[str], shape: tuple[int, ...], name: str = "", **attributes: Any) -> str:
        """Add a node and give the name of its output."""
        from onnx import helper

        name = name or f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        self.shapes[name] = shape
        return name

    def constant(self, values: Any, kind: str = "float32") -> str:
        """Add weights, by default as float32, and give their name."""
        import numpy as np
        from onnx import numpy_helper

        name = f"weights_{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(values, kind), name))
        return name

    def relu(self, x: str) -> str:
        """What is negative becomes 0."""
        return self.add("Relu", [x], self.shapes[x])

    def convolve(self, x: str, layer: Convolution) -> str:
        """A convolution as dlib computes it: filters as they stand, not turned by half; padding as the file has it.

        dlib pads by half a window where the stride is 1 and by nothing where it is 2; the habit of others, half a window always,
        gives other numbers.
        """
        count, channels, *window = layer.filters.shape
        if channels != self.shapes[x][0]:
            raise ValueError(f"filters for {channels} channels on {self.shapes[x][0]}")
        inputs = [x, self.constant(layer.filters), self.constant(layer.biases)]
        shape = (count, *self._sides(x, window, layer.stride, layer.padding))
        return self.add("Conv", inputs, shape, kernel_shape=window, strides=layer.stride, pads=layer.padding * 2)

    def pool(self, kind: str, x: str, layer: Pool) -> str:
        """A pool without padding, which all of these are: dlib's mean over a window that leaves the picture is not ONNX's."""
        if layer.padding != (0, 0):
            raise ValueError("a pool has padding")
        shape = (self.shapes[x][0], *self._sides(x, layer.window, layer.stride, layer.padding))
        return self.add(kind, [x], shape, kernel_shape=layer.window, strides=layer.stride)

    def add_padded(self, one: str, other: str) -> str:
        """The sum, as dlib adds what differs in size: the larger of each, what one lacks being 0 at its end.

        It happens in both: a shortcut has half the channels of its block, and where a side is odd (35 -> 17, 17 -> 8 ...) the
        block, whose convolution does not pad, can be a row and a column smaller than its shortcut.
        """
        pairs = zip(self.shapes[one], self.shapes[other], strict=True)
        shape = tuple(max(pair) for pair in pairs)
        return self.add("Add", [self._filled(one, shape), self._filled(other, shape)], shape)

    def _filled(self, x: str, shape: tuple[int, ...]) -> str:
        """Zeros behind the last channel, below the last row, right of the last column."""
        lacking = [wanted - have for wanted, have in zip(shape, self.shapes[x], strict=True)]
        if not any(lacking):
            return x
        return self.add("Pad", [x, self.constant([0, 0, 0, 0, 0, *lacking], "int64")], shape, mode="constant")

    def _sides(self, x: str, window: Sequence[int], stride: Sequence[int], padding: Sequence[int]) -> list[int]:
        """Rows and columns after a window went over it; what is left over at the end is not looked at."""
        sides = zip(self.shapes[x][1:], window, stride, padding, strict=True)
        return [(side + 2 * padded - wide) // step + 1 for side, wide, step, padded in sides]

    def serialised(self, chips: list[Any], numbers: list[Any]) -> bytes:
        """The whole graph as an .onnx file's bytes, checked by onnx itself."""
        import onnx
        from onnx import TensorProto, helper

        graph = helper.make_graph(
            self._nodes, "dlib_face_recognition_resnet_model_v1",
            [helper.make_tensor_value_info("chips", TensorProto.UINT8, chips)],
            [helper.make_tensor_value_info("numbers", TensorProto.FLOAT, numbers)], self._weights,
        )  # fmt: skip
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION, producer_name="avatar-pipeline",
            doc_string="Weights: dlib_face_recognition_resnet_model_v1.dat by Davis E. King, CC0.",
        )  # fmt: skip
        onnx.checker.check_model(model, full_check=True)
        data: bytes = model.SerializeToString(deterministic=True)
        return data
