"""Identity: dlib's network on onnxruntime beside dlib's own, on the same faces in the same run.

`python benchmarks/identity.py [FOLDER] [ROUNDS]`
Without FOLDER the photos of the tests are taken. Each round shows every face to both, in an order drawn anew, so that whatever else
the machine does meets both alike. What counts is the ratio of processor time: wall time depends on who else computes. The landmarks
and the alignment, which stay dlib's, are measured apart; `benchmarks/faces.py` measures the whole step.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from faces.face_network import FaceNetwork  # noqa: E402 - the program's folder has to be on the path first
from faces.identity import model_file  # noqa: E402
from utils import sha256_file  # noqa: E402

LOOK_PX, CHIP_PX, CHIP_PADDING = 600, 150, 0.25


def aligned(folder: Path) -> tuple[list[Any], list[float]]:
    """The faces that dlib's own detector finds, aligned, and how many seconds landmarks and alignment took of each."""
    import dlib
    import numpy as np
    from PIL import Image

    find, landmarks = (
        dlib.get_frontal_face_detector(),
        dlib.shape_predictor(str(model_file("shape_predictor_5_face_landmarks.dat"))),
    )
    chips, seconds = [], []
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png")):
        with Image.open(path) as image:
            image.thumbnail((LOOK_PX, LOOK_PX))
            pixels = np.asarray(image.convert("RGB"))
        for box in find(pixels, 1):
            start = time.process_time()
            chips.append(dlib.get_face_chip(pixels, landmarks(pixels, box), CHIP_PX, CHIP_PADDING))
            seconds.append(time.process_time() - start)
    return chips, seconds


def clocked(describe: Callable[[Any], Any], chip: Any) -> tuple[float, float, Any]:
    """Wall and processor seconds, and the numbers."""
    wall, processor = time.perf_counter(), time.process_time()
    numbers = describe(chip)
    return time.perf_counter() - wall, time.process_time() - processor, numbers


def main() -> None:
    """Measure and print."""
    import dlib
    import numpy as np

    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests" / "data" / "photos"
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    chips, before = aligned(folder)
    if not chips:
        sys.exit(f"no face in {folder}")
    weights = model_file("dlib_face_recognition_resnet_model_v1.dat")
    own = dlib.face_recognition_model_v1(str(weights))
    with tempfile.TemporaryDirectory() as cache:
        loads = []
        for _first_then_kept in range(2):
            start = time.perf_counter()
            network = FaceNetwork(weights.read_bytes(), sha256_file(weights), Path(cache))
            loads.append(time.perf_counter() - start)
    ways: dict[str, Callable[[Any], Any]] = {
        "dlib": own.compute_face_descriptor, "onnxruntime": lambda chip: network.numbers(chip[None])[0]
    }  # fmt: skip
    wall: dict[str, list[float]] = {way: [] for way in ways}
    processor: dict[str, list[float]] = {way: [] for way in ways}
    furthest, order = 0.0, random.Random(1)
    for _round in range(rounds):
        for chip in chips:
            found = {}
            for way in order.sample(sorted(ways), len(ways)):
                elapsed, busy, numbers = clocked(ways[way], chip)
                wall[way].append(elapsed)
                processor[way].append(busy)
                found[way] = np.array(numbers)
            furthest = max(furthest, float(np.abs(found["dlib"] - found["onnxruntime"]).max()))
    for way in ways:
        busy, best = statistics.median(processor[way]) * 1e3, min(wall[way]) * 1e3
        print(f"{way:12} {busy:6.1f} ms of processor a face, {best:6.1f} ms at best")
    ratio = statistics.median(processor["dlib"]) / statistics.median(processor["onnxruntime"])
    print(f"dlib / onnxruntime: processor {ratio:.1f}, at best {min(wall['dlib']) / min(wall['onnxruntime']):.1f}")
    aligning = statistics.median(before) * 1e3
    print(f"{len(chips)} faces, {rounds} rounds, furthest number {furthest:.1e}, landmarks and alignment {aligning:.1f} ms")
    print(f"ready in {loads[0]:.2f} s the first time, {loads[1]:.2f} s from then on")


if __name__ == "__main__":
    main()
