"""Small ONNX files with the inputs and outputs of InsightFace's models, so that its real code runs on them.

None of them was trained. The detector takes an orange disc for a face: discs are what the test pictures hold. The recogniser tells
discs apart by their colour, the swapper blends its target with a tint that follows from the source. The contracts are those that
insightface 2.1 reads: nine outputs of a detector at strides 8, 16 and 32 with two anchors each, 112 px in and 512 numbers out of a
recogniser, and a swapper whose last initializer is the 512 x 512 map of the source.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

SIDE = 640  # what the detector sees
DISC_PX = 96  # diameter of a "face" in a picture of 640 px
STRIDES = (8, 16, 32)


def make_models(folder: Path) -> Path:
    """Write `buffalo_l/det_10g.onnx`, `buffalo_l/w600k_r50.onnx` and `inswapper_128.onnx` below the folder."""
    (folder / "buffalo_l").mkdir(parents=True, exist_ok=True)
    _detector(folder / "buffalo_l" / "det_10g.onnx")
    _recogniser(folder / "buffalo_l" / "w600k_r50.onnx")
    _swapper(folder / "inswapper_128.onnx")
    return folder


def picture(file: Path, faces: list[tuple[int, int, str]], side: int = SIDE) -> Path:
    """A picture with discs at (x, y) of a colour that the detector takes for skin: shades of orange."""
    image = Image.new("RGB", (side, side), (40, 60, 120))
    draw = ImageDraw.Draw(image)
    radius = DISC_PX * side // SIDE // 2
    for x, y, colour in faces:
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    image.save(file)
    return file


def _detector(file: Path) -> None:
    """Finds discs at stride 32: the mean of red minus blue over a window of the disc's size is largest at its middle."""
    from onnx import TensorProto, helper

    nodes, outputs, constants = [], {}, []

    def constant(name: str, array: Any) -> str:
        constants.append(_tensor(name, array))
        return name

    def node(kind: str, inputs: list[str], name: str, **options: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [name], **options))
        return name

    # The detector gets (RGB - 127.5) / 128: red minus blue of skin is far above zero, of the blue ground far below.
    mix = constant("mix", np.array([0.5, 0.0, -0.5], np.float32).reshape(1, 3, 1, 1))
    warm = node("Conv", ["input.1", mix], "warm")
    for stride in STRIDES:
        cells = (SIDE // stride) ** 2
        if stride == 32:
            mean = node(
                "AveragePool", [warm], "mean", kernel_shape=[33, 33], strides=[32, 32], pads=[16, 16, 0, 0], count_include_pad=1
            )
            score = node("Clip", [mean, constant("low", np.float32(0)), constant("high", np.float32(0.99))], "clipped")
            # Only a cell that is warmer than its neighbours is the middle of a disc.
            ring = node("MaxPool", [score], "ring", kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1])
            peak = node("Cast", [node("Equal", [score, ring], "is_peak")], "peak", to=TensorProto.FLOAT)
            sure = node(
                "Cast",
                [node("Greater", [score, constant("enough", np.float32(0.15))], "warm_enough")],
                "sure",
                to=TensorProto.FLOAT,
            )
            best = node("Mul", [node("Mul", [peak, sure], "both"), constant("most", np.float32(0.9))], "best")
            flat = node("Reshape", [best, constant("column", np.array([cells, 1], np.int64))], "flat")
            none = node("Mul", [flat, constant("zero", np.float32(0))], "none")
            pair = node("Concat", [flat, none], "pair", axis=1)
            outputs["score", stride] = node("Reshape", [pair, constant("rows", np.array([2 * cells, 1], np.int64))], "score_32")
        else:
            outputs["score", stride] = _constant_output(node, constant, f"score_{stride}", np.zeros((2 * cells, 1), np.float32))
        half = DISC_PX / 2 / stride
        box = np.tile(np.float32([half] * 4), (2 * cells, 1))
        # Eyes, nose and corners of the mouth of a face of that size, from its middle.
        points = np.float32([-20, -14, 20, -14, 0, 4, -16, 24, 16, 24]) / stride
        outputs["bbox", stride] = _constant_output(node, constant, f"bbox_{stride}", box)
        outputs["kps", stride] = _constant_output(node, constant, f"kps_{stride}", np.tile(points, (2 * cells, 1)))
    named = [
        helper.make_tensor_value_info(outputs[kind, stride], TensorProto.FLOAT, [2 * (SIDE // stride) ** 2, width])
        for kind, width in (("score", 1), ("bbox", 4), ("kps", 10))
        for stride in STRIDES
    ]
    seen = helper.make_tensor_value_info("input.1", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    _save(file, nodes, [seen], named, constants)


def _constant_output(node: Any, constant: Any, name: str, array: np.ndarray) -> str:
    return node("Identity", [constant(f"{name}_values", array)], name)


def _recogniser(file: Path) -> None:
    """The colour of the middle of an aligned face, far apart in 512 numbers."""
    from onnx import TensorProto, helper

    spread = np.random.default_rng(0).standard_normal((3 * 7 * 7, 512)).astype(np.float32)
    nodes = [
        helper.make_node("AveragePool", ["input.1"], ["small"], kernel_shape=[16, 16], strides=[16, 16], name="standin_0"),
        helper.make_node("Flatten", ["small"], ["flat"], axis=1, name="standin_1"),
        helper.make_node("ReduceMean", ["flat"], ["mean"], axes=[1], keepdims=1, name="standin_2"),
        helper.make_node("Sub", ["flat", "mean"], ["centred"], name="standin_3"),
        helper.make_node("MatMul", ["centred", "spread"], ["683"], name="standin_4"),
    ]
    seen = helper.make_tensor_value_info("input.1", TensorProto.FLOAT, ["None", 3, 112, 112])
    told = helper.make_tensor_value_info("683", TensorProto.FLOAT, ["None", 512])
    _save(file, nodes, [seen], [told], [_tensor("spread", spread)])


def _swapper(file: Path) -> None:
    """Half the target, half a tint of the source."""
    from onnx import TensorProto, helper

    colours = (np.random.default_rng(1).standard_normal((512, 3)) * 2).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["source", "colours"], ["mixed"]),
        helper.make_node("Sigmoid", ["mixed"], ["tint"]),
        helper.make_node("Reshape", ["tint", "shape"], ["plane"]),
        helper.make_node("Mul", ["plane", "half"], ["light"]),
        helper.make_node("Mul", ["target", "half"], ["dim"]),
        helper.make_node("Add", ["dim", "light"], ["output"]),
    ]
    constants = [
        _tensor("colours", colours), _tensor("shape", np.array([1, 3, 1, 1], np.int64)), _tensor("half", np.float32(0.5)),
        _tensor("buff2fs", np.eye(512, dtype=np.float32)),  # must be the last: insightface takes it by its place
    ]  # fmt: skip
    inputs = [
        helper.make_tensor_value_info("target", TensorProto.FLOAT, [1, 3, 128, 128]),
        helper.make_tensor_value_info("source", TensorProto.FLOAT, [1, 512]),
    ]
    told = helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 3, 128, 128])
    _save(file, nodes, inputs, [told], constants)


def _tensor(name: str, array: Any) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(np.asarray(array), name)


def _save(file: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: list[Any]) -> None:
    import onnx
    from onnx import helper

    model = helper.make_model(
        helper.make_graph(nodes, "standin", inputs, outputs, constants), opset_imports=[helper.make_opsetid("", 13)]
    )
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, file)
