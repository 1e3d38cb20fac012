"""Where the faces are: the contract of a detector, and MTCNN behind it.

TensorFlow is imported by `MtcnnDetector()` and by nothing else.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Generator, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from utils import Event

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Pixels: TypeAlias = npt.NDArray[np.uint8]

LOOK_PX = 1024  # longer side for the first look; at native size 12 Mpix take 28 s and 4.6 GB and find no more faces
LOOK_FACE_PX = 80  # smallest face of the first look: a smaller one would be enlarged too much anyway
SECOND_LOOK_PX = 640  # with faces down to 20 px this finds 130 of 131, where the first look finds 128 and is twice as fast
SECOND_LOOK_FACE_PX = 20
TURNED_LOOK_FACE_PX = 60  # a photo that lies on its side is looked for by larger and surer faces: it is the rarer mistake
TURNED_CONFIDENCE = 0.97
SURE = 0.9  # of 131 main faces 127 have more; a head upside down has less
TICK_SECONDS = 0.25  # between two events while MTCNN is loaded
_CELL = 12  # pixels a face covers in the picture that MTCNN's first net sees
_STEP = 0.709  # from one level of its pyramid to the next: half the area


@dataclass(frozen=True, slots=True)
class Detection:
    """One face, in the pixels of the picture that was looked at; the box is left, top, width, height, inside the picture."""

    box: tuple[int, int, int, int]
    landmarks: dict[str, tuple[int, int]]
    confidence: float

    @property
    def area(self) -> int:
        """Pixels of the box."""
        return self.box[2] * self.box[3]

    def scaled(self, scale: tuple[float, float], size: tuple[int, int]) -> Detection:
        """The same face in a picture that is so many times as wide and high, and has that size (width, height)."""
        (across, down), (left, top, width, height) = scale, self.box
        x0, y0 = max(0, round(left * across)), max(0, round(top * down))
        x1, y1 = min(size[0], round((left + width) * across)), min(size[1], round((top + height) * down))
        points = {name: (round(x * across), round(y * down)) for name, (x, y) in self.landmarks.items()}
        return Detection((x0, y0, max(0, x1 - x0), max(0, y1 - y0)), points, self.confidence)

    def turned_back(self, quarters: int, size: tuple[int, int]) -> Detection:
        """The same face in the picture of that size (width, height) before it was turned counterclockwise so many times."""
        width, height = size if quarters % 2 == 0 else (size[1], size[0])  # of the turned picture
        left, top, wide, high = self.box
        corners = [_back(point, quarters, (width, height)) for point in ((left, top), (left + wide, top + high))]
        x0, x1 = sorted(x for x, _y in corners)
        y0, y1 = sorted(y for _x, y in corners)
        points = {name: _back(point, quarters, (width, height)) for name, point in self.landmarks.items()}
        return Detection((x0, y0, x1 - x0, y1 - y0), points, self.confidence)


def _back(point: tuple[int, int], quarters: int, size: tuple[int, int]) -> tuple[int, int]:
    """A point of a picture of that size where it lay before the picture was turned counterclockwise so many times."""
    (x, y), (width, height) = point, size
    return {1: (height - y, x), 2: (width - x, height - y), 3: (y, width - x)}[quarters]


class Detector(Protocol):
    """Whatever finds faces in an RGB picture of shape (height, width, 3)."""

    def find(self, rgb: Pixels) -> tuple[Detection, ...]:
        """Every face, the largest first; none is an empty tuple."""
        ...


class MtcnnDetector:
    """MTCNN on the CPU, in one thread: the same picture gives the same boxes, and a training beside it keeps its cores."""

    def __init__(self) -> None:
        self._mtcnn = _load_mtcnn()

    def find(self, rgb: Pixels) -> tuple[Detection, ...]:
        """Every face, the largest first; small, dark and turned ones are looked for only where no other is sure."""
        view = _reduced(rgb, LOOK_PX)
        found = self._look(view, LOOK_FACE_PX, rgb.shape)
        if _is_sure(found):
            return found
        view = _reduced(view, SECOND_LOOK_PX)
        found = found or self._look(_stretched(view), SECOND_LOOK_FACE_PX, rgb.shape)
        return found if _is_sure(found) else self._look_turned(view, rgb.shape) or found

    def _look_turned(self, view: Pixels, shape: tuple[int, ...]) -> tuple[Detection, ...]:
        """The faces of a picture that lies on a side or stands on its head."""
        import numpy as np

        height, width = shape[:2]
        for quarters in (1, 3, 2):
            turned = np.ascontiguousarray(np.rot90(view, quarters))
            found = self._look(turned, TURNED_LOOK_FACE_PX, (width, height) if quarters % 2 else (height, width))
            sure = [face.turned_back(quarters, (width, height)) for face in found if face.confidence >= TURNED_CONFIDENCE]
            if sure:
                return tuple(sure)
        return ()

    def _look(self, view: Pixels, face_px: int, shape: tuple[int, ...]) -> tuple[Detection, ...]:
        """The faces of at least `face_px` in a view of a picture of that shape, in the picture's pixels."""
        if min(view.shape[:2]) < face_px:
            return ()
        scale = shape[1] / view.shape[1], shape[0] / view.shape[0]
        found: list[Detection] = []
        for face in self._mtcnn.detect_faces(view, min_face_size=face_px):
            left, top, width, height = (int(edge) for edge in face["box"])
            points = {name: (int(x), int(y)) for name, (x, y) in face["keypoints"].items()}
            seen = Detection((left, top, width, height), points, float(face["confidence"]))
            found.append(seen.scaled(scale, (shape[1], shape[0])))
        return tuple(sorted((face for face in found if face.area), key=lambda face: (-face.area, face.box)))


def _is_sure(found: tuple[Detection, ...]) -> bool:
    return any(face.confidence >= SURE for face in found)


def _reduced(rgb: Pixels, longer_side: int) -> Pixels:
    """The picture with its longer side at most so many pixels."""
    import numpy as np
    from PIL import Image

    if max(rgb.shape[:2]) <= longer_side:
        return rgb
    image = Image.fromarray(rgb)
    image.thumbnail((longer_side, longer_side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return np.asarray(image)


def _stretched(rgb: Pixels) -> Pixels:
    """The picture with its grey levels spread over the whole range, so that a face in the dark shows."""
    import numpy as np
    from PIL import Image, ImageOps

    return np.asarray(ImageOps.autocontrast(Image.fromarray(rgb), cutoff=1, preserve_tone=True))


def load_detector(event: Event) -> Generator[Event, None, MtcnnDetector]:
    """MTCNN, loaded in a thread; `event` comes again four times a second, so that the stage can be stopped: TensorFlow takes up to
    20 s on a busy machine. Where it is stopped, what was begun is loaded all the same, or ends with the program.
    """
    loaded: Future[MtcnnDetector] = Future()

    def load() -> None:
        try:
            loaded.set_result(MtcnnDetector())
        except BaseException as error:  # noqa: BLE001 - raised by result() below, in the thread that waits
            loaded.set_exception(error)

    thread = Thread(target=load, daemon=True)
    thread.start()
    while thread.is_alive():
        yield event
        thread.join(TICK_SECONDS)
    return loaded.result()


def load_tensorflow() -> Any:
    """TensorFlow, quiet, on the CPU and in one thread; whoever wants MTCNN loads it this way first."""
    # TensorFlow reads these while it is imported; without them it fills the terminal.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    # It comes with PyTorch for CUDA. Loaded after TensorFlow, as diffusers would, it ends the program with a segmentation fault.
    with contextlib.suppress(ImportError):
        importlib.import_module("triton")
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):  # a TensorFlow that is already at work in this process keeps its threads
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.set_visible_devices([], "GPU")
    return tf


def _load_mtcnn() -> Any:
    """MTCNN 1.0.0 with two cures: the same faces in a quarter of the time (245 ms to 64 ms for a picture of 1024 px)."""
    tf = load_tensorflow()
    from mtcnn import MTCNN
    from mtcnn.stages import stage_pnet

    stage_pnet.build_scale_pyramid = _pyramid
    with _deaf_to_closed_files():
        mtcnn = MTCNN()
    # Most of the time goes into starting small operations one by one; a traced graph starts them together.
    for stage, side in zip(mtcnn.stages, (None, 24, 48), strict=True):
        stage._model = tf.function(stage.model, input_signature=[tf.TensorSpec((None, side, side, 3), tf.float32)])
    return mtcnn


@contextlib.contextmanager
def _deaf_to_closed_files() -> Iterator[None]:
    """From Python 3.13 on, lz4's reader of MTCNN's weights complains in the terminal of its closed file when it is thrown away."""
    heard = sys.unraisablehook
    sys.unraisablehook = lambda complaint: None if isinstance(complaint.exc_value, ValueError) else heard(complaint)
    try:
        yield
    finally:
        sys.unraisablehook = heard


def _pyramid(width: int, height: int, min_face_size: int, scale_factor: float = _STEP) -> npt.NDArray[np.float64]:
    """The scales at which the first net looks. MTCNN's own counts levels that are smaller than the net's cell and fails on them."""
    import numpy as np

    first = _CELL / min_face_size
    smallest = min(int(width), int(height)) * first
    levels = 1 + int(np.log(_CELL / smallest) / np.log(scale_factor)) if smallest >= _CELL else 0
    return np.asarray(first * scale_factor ** np.arange(levels), dtype=np.float64)
