"""An exam that was made, without a model: small portraits of one colour each, and a report with distances as a test wants them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from client_folder.client import Client, create_client
from exam.records import Standing, Word
from exam.report import ExamFile, ExaminedCandidate
from utils import write_record

SIDE_PX = 24
PHOTOS = ("real_a.png", "real_b.png")
BASE_COLOUR, PHOTO_COLOUR = (90, 90, 90), (250, 250, 250)


def colour_of(step: int, portrait: int) -> tuple[int, int, int]:
    """The colour of a checkpoint's portrait: what is shown can be told from a pixel."""
    return (step, 200 - step, portrait)


def _paint(file: Path, colour: tuple[int, int, int]) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (SIDE_PX, SIDE_PX), colour).save(file)
    return file.name


def examined_client(home: Path, distances: Mapping[int, Sequence[float]], base: Sequence[float] = ()) -> Client:
    """A client with an exam of these checkpoints: by step, how far each portrait lies from both photos, which are two scenes."""
    client = create_client(home, "ana", "woman", "Ana Gómez")
    for photo in PHOTOS:
        _paint(client.exam / photo, PHOTO_COLOUR)
    write_exam(client, distances, base)
    return client


def write_exam(client: Client, distances: Mapping[int, Sequence[float]], base: Sequence[float] = ()) -> None:
    """Write the report, and the portraits that it is about."""
    count = len(next(iter(distances.values())))
    base = base or [9.0] * count
    candidates = []
    for step, own in distances.items():
        names = tuple(
            _paint(client.exam_portraits / f"portrait_{step}_{at:016x}.png", colour_of(step, at)) for at in range(len(own))
        )
        candidates.append(
            ExaminedCandidate(
                lora=f"ana-{step}.safetensors", sha256=f"{step:064x}", step=step, weight=1.0, score=0.5, low=0.4, high=0.6,
                lacks_high=0.1, gate=Standing.GOOD, gate_value=0.95, gate_bound=0.92, flags=(), signs={},
                distances=tuple((one, one) for one in own), portraits=names,
            )
        )  # fmt: skip
    names = tuple(_paint(client.exam_portraits / f"portrait_base_{at:016x}.png", BASE_COLOUR) for at in range(count))
    report = ExamFile(
        verdict=Word.STEP, reasons=(), lora=candidates[0].lora, step=candidates[0].step, weight=1.0, score=0.5, low=0.4, high=0.6,
        flags=(), ruler="lab_map", base="embedded", base_digest="0", prompts=("one", "two"), stranger_prompts=("one", "two"),
        seeds=(11, 12), photos=PHOTOS, scenes=(0, 1), base_distances=tuple((one, one) for one in base),
        stranger_distances=tuple((9.0, 9.0) for _one in base), candidates=tuple(candidates), tied=(), left_out=(),
        base_portraits=names,
    )  # fmt: skip
    write_record(client.exam_report, report)
