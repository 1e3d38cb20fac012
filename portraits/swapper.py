"""InsightFace in the worker: finds faces, knows which is whose, puts the client's face in the place of another.

The 128-pixel result of inswapper is blended into the picture by InsightFace's own code; how much it had to be enlarged is measured,
for that is how soft it looks. Which device computes is asked of the open session: the library lists CUDA even where it cannot load.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ConfigDict, Field

from client_folder.client import Client
from client_folder.records import Source, Verdict
from machine.gpu import find_gpus
from machine.vram import ModelCache
from machine.worker_tasks import TaskReporter
from pictures.picture_file import UnreadablePicture, decode
from portraits.portrait import marked
from utils import BrokenModel, Record, replacing, write_record

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

DETECTION_PX = 640
DETECTION_LIMIT = 0.5  # InsightFace's own
SWAP_PX = 128
MARKED = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
NUMBER_SHARE = 0.25  # height of a number over that of its face, in the preview


class FaceFiles(Record):
    """Where the models lie: the folder of buffalo_l, and inswapper_128, which finding faces does not need."""

    analysis: Path
    swapper: Path


class TargetFace(Record):
    """A face of a picture; `number` counts from left to right, from 1. The box is left, top, right, bottom in pixels."""

    number: int
    box: tuple[int, int, int, int]
    score: float
    similarity: float  # cosine to the face it is compared with, -1 to 1


class Target(Record):
    """A picture to work on, and what comes of it: the result, its record, the preview with numbers."""

    source: Path
    result: Path
    preview: Path
    record: dict[str, Any] = {}


class SwapOrder(Record):
    """What to do: in every target, replace the chosen faces by that of the sources.

    `choice`: `client` for the face most like the sources, `like` for the one most like `reference`, `all`, or numbers.
    """

    files: FaceFiles
    sources: tuple[Path, ...]
    targets: tuple[Target, ...]
    choice: str = "client"
    numbers: tuple[int, ...] = ()
    reference: Path | None = None


class SwapRecord(Record):
    """The JSON beside a swap."""

    model_config = ConfigDict(extra="allow", frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    faces: tuple[TargetFace, ...]
    replaced: tuple[int, ...]
    enlarged: float
    device: str


def best_crops(client: Client) -> tuple[Path, ...]:
    """The accepted crops, the best first: photos before MidJourney images, then what was enlarged least, then what is sharpest."""

    def rank(face: Verdict) -> tuple[bool, float, float, str]:
        upscale, sharpness = face.measures.get("upscale", 1.0), face.measures.get("sharpness", 0.0)
        return (face.source is not Source.REAL, max(1.0, upscale), -sharpness, face.crop)

    return tuple(client.processed / face.crop for face in sorted(client.crops(), key=rank))


# --- the models -------------------------------------------------------------------------------------------------------
class FaceModels:
    """The loaded models."""

    def __init__(self, files: FaceFiles) -> None:
        """Open them on the GPU where that truly loads; raises BrokenModel where a file is none of InsightFace's."""
        warnings.filterwarnings("ignore", category=FutureWarning, module="insightface|skimage")
        from insightface.app import FaceAnalysis
        from insightface.model_zoo import get_model

        self._files = files
        try:
            self._analysis = FaceAnalysis(
                name=str(files.analysis), allowed_modules=["detection", "recognition"], providers=_providers()
            )
            self._analysis.prepare(
                ctx_id=0 if find_gpus() else -1, det_thresh=DETECTION_LIMIT, det_size=(DETECTION_PX, DETECTION_PX)
            )
            self._swapper = get_model(str(files.swapper), providers=_providers())
        except Exception as error:  # onnxruntime and protobuf have a dozen kinds for a file that is torn
            raise BrokenModel(path=files.analysis, reason=str(error).splitlines()[0][:200]) from error
        if self._swapper is None or not hasattr(self._swapper, "get"):
            raise BrokenModel(path=files.swapper, reason="not inswapper_128")

    @property
    def gb(self) -> float:
        """What the files take, which is about what the sessions take."""
        paths = [*self._files.analysis.glob("*.onnx"), self._files.swapper]
        return sum(path.stat().st_size for path in paths) / 1e9

    def to_ram(self) -> bool:
        """A session cannot leave its GPU; on a processor it is in RAM."""
        return self.device == "cpu"

    def to_gpu(self) -> None:
        """It never left."""

    @property
    def device(self) -> str:
        """Where the open session computes."""
        return "gpu" if self._swapper.session.get_providers()[0].startswith("CUDA") else "cpu"

    def faces(self, pixels: np.ndarray) -> list[Any]:
        """The faces of a BGR picture with their embeddings, from left to right."""
        found = [face for face in self._analysis.get(pixels) if face.normed_embedding is not None]
        return sorted(found, key=lambda face: float(face.bbox[0] + face.bbox[2]))

    def mean_face(self, pictures: Sequence[Path]) -> Any:
        """A face that has the mean embedding of the largest faces of the pictures; None where none has a face."""
        import numpy as np
        from insightface.app.common import Face

        embeddings = []
        for picture in pictures:
            faces = self.faces(_bgr(decode(picture)))
            if faces:
                largest = max(faces, key=lambda face: (face.bbox[2] - face.bbox[0]) * (face.bbox[3] - face.bbox[1]))
                embeddings.append(largest.normed_embedding)
        return Face(embedding=np.mean(embeddings, axis=0)) if embeddings else None

    def swap(self, pixels: np.ndarray, faces: Sequence[Any], source: Any) -> np.ndarray:
        """The picture with those faces replaced, one after another."""
        for face in faces:
            pixels = self._swapper.get(pixels, face, source, paste_back=True)
        return pixels


def _providers() -> list[str]:
    """Which to ask for: CUDA only where a driver has a GPU; whether it loads is seen afterwards."""
    import onnxruntime

    wanted = ["CUDAExecutionProvider"] if find_gpus() and "CUDAExecutionProvider" in onnxruntime.get_available_providers() else []
    if wanted and hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()
    return [*wanted, "CPUExecutionProvider"]


def _bgr(picture: Image.Image) -> np.ndarray:
    import numpy as np

    return np.ascontiguousarray(np.asarray(picture.convert("RGB"))[:, :, ::-1])


def _enlargement(face: Any) -> float:
    """How many times the 128 pixels of the swap are enlarged where this face stands."""
    from insightface.utils import face_align

    matrix = face_align.estimate_norm(face.kps, SWAP_PX)
    return float(1 / (matrix[0, 0] ** 2 + matrix[0, 1] ** 2) ** 0.5)


# --- orders -----------------------------------------------------------------------------------------------------------
def swap_order(facts: dict[str, Any], models_in_memory: ModelCache, reporter: TaskReporter) -> dict[str, Any]:
    """Swap in every target; what cannot be done is said for each, and the rest goes on."""
    order, models, source, compared = _prepared(facts, models_in_memory, reporter)
    if source is None:
        return {"no_source": True, "device": models.device}
    for done, target in enumerate(order.targets):
        reporter.progress(done, len(order.targets), target.source.name)
        reporter.item(**_swap_one(order, models, target, source, compared))
    reporter.progress(len(order.targets), len(order.targets))
    return {"device": models.device}


def faces_order(facts: dict[str, Any], models_in_memory: ModelCache, reporter: TaskReporter) -> dict[str, Any]:
    """Only find the faces of every target, and draw them with their numbers."""
    order, models, _source, compared = _prepared(facts, models_in_memory, reporter)
    for done, target in enumerate(order.targets):
        reporter.progress(done, len(order.targets), target.source.name)
        try:
            picture = decode(target.source)
        except UnreadablePicture as error:
            reporter.item(source=str(target.source), refused=error.reason.value)
            continue
        seen = _seen(models.faces(_bgr(picture)), compared)
        _draw_preview(picture, seen, target.preview)
        reporter.item(source=str(target.source), preview=str(target.preview), faces=[face.model_dump() for face in seen])
    reporter.progress(len(order.targets), len(order.targets))
    return {"device": models.device}


def _prepared(
    facts: dict[str, Any], models_in_memory: ModelCache, reporter: TaskReporter
) -> tuple[SwapOrder, FaceModels, Any, Any]:
    """The order, the models, the client's face, and the one that faces are compared with."""
    order = SwapOrder.model_validate(facts)
    if not any(one.name == "InsightFace" for one in models_in_memory.loaded()):
        reporter.note("loading", model="InsightFace")
    models = models_in_memory.take("InsightFace", lambda: FaceModels(order.files))
    source = models.mean_face(order.sources)
    compared = models.mean_face([order.reference]) if order.reference else source
    return order, models, source, compared


def _swap_one(order: SwapOrder, models: FaceModels, target: Target, source: Any, compared: Any) -> dict[str, Any]:
    """One target: what was replaced, or why nothing was."""
    try:
        picture = decode(target.source)
    except UnreadablePicture as error:
        return {"source": str(target.source), "refused": error.reason.value}
    pixels = _bgr(picture)
    found = models.faces(pixels)
    seen = _seen(found, compared)
    if len(seen) > 1:
        _draw_preview(picture, seen, target.preview)
    numbers = _chosen(order, seen)
    answer = {"source": str(target.source), "faces": [face.model_dump() for face in seen], "replaced": list(numbers)}
    answer |= {"preview": str(target.preview)} if len(seen) > 1 else {}
    if not numbers:
        return answer | {"refused": "no_face" if not seen else "no_such_number"}
    faces = [found[number - 1] for number in numbers]
    enlarged = max(_enlargement(face) for face in faces)
    record = SwapRecord(faces=tuple(seen), replaced=numbers, enlarged=round(enlarged, 2), device=models.device, **target.record)
    _write(target.result, models.swap(pixels, faces, source), record)
    return answer | {"file": str(target.result), "enlarged": round(enlarged, 2)}


def _seen(faces: Sequence[Any], compared: Any) -> list[TargetFace]:
    """The faces with their numbers and how much each is like the one compared with."""
    seen = []
    for number, face in enumerate(faces, 1):
        left, top, right, bottom = (round(float(edge)) for edge in face.bbox)
        similarity = round(float(face.normed_embedding @ compared.normed_embedding), 3) if compared is not None else 0.0
        box, score = (left, top, right, bottom), round(float(face.det_score), 3)
        seen.append(TargetFace(number=number, box=box, score=score, similarity=similarity))
    return seen


def _chosen(order: SwapOrder, seen: Sequence[TargetFace]) -> tuple[int, ...]:
    """The numbers to replace; none where there is no such face."""
    if order.choice == "all":
        return tuple(face.number for face in seen)
    if order.choice == "numbers":
        here = {face.number for face in seen}
        return tuple(number for number in order.numbers if number in here)
    return (max(seen, key=lambda face: face.similarity).number,) if seen else ()


def _write(path: Path, pixels: np.ndarray, record: SwapRecord) -> None:
    """The record, then the picture with the mark of one that AI changed."""
    from PIL import Image

    write_record(path.with_suffix(".json"), record)
    with replacing(path) as part:
        Image.fromarray(pixels[:, :, ::-1]).save(part, format="PNG", pnginfo=marked(MARKED))


def _draw_preview(picture: Image.Image, seen: Sequence[TargetFace], path: Path) -> None:
    """The picture with a frame and a number on every face."""
    from PIL import ImageDraw, ImageFont

    shown = picture.convert("RGB")
    draw = ImageDraw.Draw(shown)
    for face in seen:
        left, top, _right, bottom = face.box
        width = max(2, (bottom - top) // 40)
        draw.rectangle(face.box, outline=(255, 215, 0), width=width)
        font = ImageFont.load_default(max(14, int((bottom - top) * NUMBER_SHARE)))
        label = str(face.number)
        place = (left + width, top)
        draw.rectangle(draw.textbbox(place, label, font=font), fill=(255, 215, 0))
        draw.text(place, label, fill=(0, 0, 0), font=font)
    with replacing(path) as part:
        shown.save(part, format="PNG")
