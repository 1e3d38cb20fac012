"""Accepting one picture of many, with the small copies kept and without: `python benchmarks/accept_one.py [--count 200]`.

The pictures are drawn by code, and what a detector would have seen in each is written down, so that no model is loaded: measured
is what `accept` and `accept undo:` do, from the decision to both contact sheets. Each is done three times with `thumbnails/`
there, and three times with that folder removed before it, which is how every sheet was drawn once; the fastest of each counts.
Processor seconds stand beside those of the clock, which are longer on a machine that has other work.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from actions.review import accept_pictures  # noqa: E402
from client_folder.client import Client, create_client  # noqa: E402
from client_folder.records import Analysis, DetectedFaces, Face, Picture, Pictures, Source  # noqa: E402
from config import Settings  # noqa: E402
from embedded.drawing.painting import draw  # noqa: E402
from embedded.drawing.portraits import random_portrait  # noqa: E402
from faces.verdicts import method_of  # noqa: E402
from image_processor import process_faces  # noqa: E402
from pictures.photo_analysis import perceptual_hash  # noqa: E402
from utils import write_record  # noqa: E402

SIDE = 1024  # pixels of each picture, and of its crop
RUNS = 3
TOO_DARK_EVERY = 5
GOOD = {
    "confidence": 0.99, "face_px": 400.0, "upscale": 1.3, "inside": 1.0, "turn": 0.0, "brightness": 120.0, "highlight": 200.0,
    "clipped": 0.0, "crushed": 0.0, "contrast": 50.0, "noise": 1.0, "sharpness": 300.0, "blur_effect": 0.4,
}  # fmt: skip


def draw_client(home: Path, count: int) -> Client:
    """A client with so many photos, every fifth of them too dark, all of them looked at."""
    client, rng = create_client(home, "bench"), random.Random(1)
    client.looks.mkdir()
    pictures = []
    for number in range(count):
        file = client.raw_real / f"photo_{number:03d}.png"
        image = Image.fromarray(draw([random_portrait(rng)], 256, 256)[0]).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        image.save(file, compress_level=1)
        sha, phash = hashlib.sha256(file.read_bytes()).hexdigest(), perceptual_hash(image)
        bright = 20.0 if number % TOO_DARK_EVERY == 0 else 120.0
        analysis = Analysis(
            width=SIDE, height=SIDE, phash=phash, sharpness=9, brightness=bright, contrast=40, clipped=0, light="even",
            colour_cast="none", background="soft", faces=1,
        )  # fmt: skip
        face = Face(
            box=(300, 250, 400, 500), landmarks={}, confidence=0.99, square=(100, 100, 800),
            measures={**GOOD, "brightness": bright}, phash=phash, identity=(0.0,) * 128,
        )  # fmt: skip
        method = method_of(Settings().quality)
        seen = DetectedFaces(file=file.name, sha256=sha, source=Source.REAL, method=method, faces=(face,), analysis=analysis)
        write_record(client.looks / f"real_{sha[:12]}.json", seen)
        pictures.append(
            Picture(file=file.name, original=file.name, source=Source.REAL, sha256=sha, width=SIDE, height=SIDE)
        )  # fmt: skip
    write_record(client.images_file, Pictures(images=tuple(pictures)))
    for _event in process_faces(client, Settings()):
        pass
    return client


def seconds_of(client: Client, word: str) -> tuple[float, float]:
    """How long one decision takes, from the word to the sheets: by the clock, and of the processor."""
    started, busy = time.perf_counter(), time.process_time()
    for _event in accept_pictures(client, Settings(), [word]):
        pass
    return time.perf_counter() - started, time.process_time() - busy


def measure(home: Path, count: int) -> Iterator[str]:
    """The sentences to print, each as soon as it is known."""
    started = time.perf_counter()
    client = draw_client(home, count)
    yield f"{count} pictures drawn, judged and laid out: {time.perf_counter() - started:.1f} s"
    seconds: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    for _run in range(RUNS):
        for kept in seconds:
            for word in ("photo_000.png", "undo:photo_000.png"):
                if not kept:
                    shutil.rmtree(client.thumbnails, ignore_errors=True)
                seconds[kept].append(seconds_of(client, word))
    (with_copies, busy), (without, _busy) = min(seconds[True]), min(seconds[False])
    size = sum(file.stat().st_size for file in client.thumbnails.iterdir())
    yield (
        f"accept one: {with_copies:.2f} s ({busy:.2f} s of the processor) with small copies, {without:.2f} s without; "
        f"ratio {without / with_copies:.1f}"
    )
    yield f"small copies: {size / 1e6:.1f} MB, {size / count / 1e3:.0f} kB a picture"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        for sentence in measure(Path(home), options.count):
            print(sentence, flush=True)


if __name__ == "__main__":
    main()
