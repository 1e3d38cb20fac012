"""Faces: the whole step beside the plain way and beside autocrop, on the same photos: `python benchmarks/faces.py FOLDER [COPIES]`.

The plain way is mtcnn 1.0.0 as it comes on a picture reduced to 1024 px, a square of 1.6 faces, the original plan's measures on
the crop, and Pillow's default PNG. autocrop 2.0.0 runs if it is installed (pip install --no-deps autocrop==2.0.0); it looks for
faces and crops, and measures nothing. Neither of them asks who somebody is, so ours runs twice: as it is, and without dlib's look
at each face. Each runs in a process of its own, one after another; clocks start when its models are loaded, and count wall time and
the processor's. Peak memory is the process's own. With COPIES the step also runs over so many pictures, and memory is read along
the way: it must stay flat. Ours takes the photos for pictures of one client, whoever they show: it refuses nobody for being
someone else.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from faces.identity import FaceRecogniser  # noqa: E402 - the program's folder has to be on the path first

PADDING, CROP_PX, LOOK_PX = 1.6, 1024, 1024


def photos_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))


# --- the three ways: each yields once when it is ready to start, then hands back (crops, pictures with a face) --------------
def ours(photos: list[Path], home: Path, identity: bool = True) -> Iterator[Any]:
    import imagehash  # noqa: F401 - what the step imports when it first needs it
    import scipy.fftpack  # noqa: F401
    from skimage.measure import blur_effect  # noqa: F401

    from client_folder.client import create_client
    from config import Settings
    from data_preprocessor import import_midjourney
    from faces.detector import MtcnnDetector
    from image_processor import process_faces

    client = create_client(home, "bench")
    for _event in import_midjourney(client, photos):
        pass
    detector, recogniser = MtcnnDetector(), FaceRecogniser() if identity else _Nobody()
    _warm(detector.find)
    yield None
    memory = []
    for number, _event in enumerate(process_faces(client, Settings(), detector, recogniser)):
        if number % 50 == 1:
            memory.append(resident_mb())
    faces = client.faces()
    yield {"crops": sum(bool(face.crop) for face in faces), "found": sum(bool(face.faces) for face in faces), "memory": memory}


class _Nobody(FaceRecogniser):
    """Tells nobody from anybody."""

    def __init__(self) -> None:
        pass

    def describe(self, image: Any, box: tuple[int, int, int, int]) -> tuple[float, ...]:
        return ()


def without_identity(photos: list[Path], home: Path) -> Iterator[Any]:
    return ours(photos, home, identity=False)


def plain(photos: list[Path], home: Path) -> Iterator[Any]:
    import numpy as np
    from mtcnn import MTCNN
    from PIL import Image, ImageOps

    mtcnn = MTCNN()
    _warm(mtcnn.detect_faces)
    yield None
    found = 0
    for number, path in enumerate(photos):
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened).convert("RGB")
        view = image.copy()
        view.thumbnail((LOOK_PX, LOOK_PX))
        faces = mtcnn.detect_faces(np.asarray(view))
        if not faces:
            continue
        found += 1
        scale = image.width / view.width
        left, top, width, height = (edge * scale for edge in max(faces, key=lambda face: face["box"][2] * face["box"][3])["box"])
        side = PADDING * max(width, height)
        x, y = left + width / 2 - side / 2, top + height / 2 - side / 2
        crop = image.crop((round(x), round(y), round(x + side), round(y + side))).resize(
            (CROP_PX, CROP_PX), Image.Resampling.LANCZOS
        )
        _plan_measures(crop)
        crop.save(home / f"{number}.png")
    yield {"crops": found, "found": found, "memory": []}


def _plan_measures(crop: Any) -> tuple[float, float, float]:
    """Brightness, contrast and the variance of the Laplacian of the crop, as the original plan has them."""
    import cv2
    import numpy as np

    grey = np.asarray(crop.convert("L"))
    return float(grey.mean()), float(grey.std()), float(cv2.Laplacian(grey, cv2.CV_64F).var())


def autocrop(photos: list[Path], home: Path) -> Iterator[Any]:
    import cv2
    from autocrop import Cropper  # type: ignore[import-not-found]

    cropper = Cropper(width=CROP_PX, height=CROP_PX, face_percent=round(100 / PADDING))
    cropper.crop(str(photos[0]))
    yield None
    found = 0
    for number, path in enumerate(photos):
        crop = cropper.crop(str(path)).image
        if crop is not None:
            found += 1
            cv2.imwrite(str(home / f"{number}.png"), cv2.cvtColor(crop[:, :, :3], cv2.COLOR_RGB2BGR))
    yield {"crops": found, "found": found, "memory": []}


WAYS: dict[str, Callable[[list[Path], Path], Iterator[Any]]] = {
    "ours": ours, "without identity": without_identity, "plain": plain, "autocrop": autocrop,
}  # fmt: skip


def _warm(find: Callable[[Any], Any]) -> None:
    """The first picture of a detector is slower than any other."""
    import numpy as np

    find(np.full((300, 300, 3), 128, np.uint8))


def resident_mb() -> float:
    import psutil

    return float(psutil.Process().memory_info().rss) / 1e6


def peak_mb() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


# --- measuring --------------------------------------------------------------------------------------------------------
def child(way: str, folder: Path, copies: int) -> None:
    """Run one way in this process and print its figures."""
    photos = photos_in(folder)
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        run = WAYS[way](_copied(photos, home / "given", copies) if copies else photos, home)
        next(run)
        wall, processor = time.perf_counter(), time.process_time()
        result = next(run)
        print(json.dumps({
            **result, "pictures": copies or len(photos), "wall": time.perf_counter() - wall,
            "processor": time.process_time() - processor, "peak": peak_mb(),
        }))  # fmt: skip


def _copied(photos: list[Path], folder: Path, copies: int) -> list[Path]:
    """So many files of different content: the photos again and again, each with a byte more."""
    folder.mkdir(parents=True)
    paths = []
    for number in range(copies):
        photo = photos[number % len(photos)]
        paths.append(folder / f"{number:05d}{photo.suffix}")
        paths[-1].write_bytes(photo.read_bytes() + str(number).encode())
    return paths


def measured(way: str, folder: Path, copies: int = 0) -> dict[str, Any] | None:
    words = [sys.executable, __file__, "--way", way, str(folder), str(copies)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{way}: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'failed'}")
        return None
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Measure and print."""
    if len(sys.argv) > 1 and sys.argv[1] == "--way":
        child(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
        return
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    folder, copies = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    rows = {way: figures for way in WAYS if (figures := measured(way, folder))}
    for way, row in rows.items():
        each, crop = (row["wall"] * 1e3 / max(1, row[count]) for count in ("pictures", "crops"))
        busy = row["processor"] * 1e3 / row["pictures"]
        print(
            f"{way:16} {each:5.0f} ms a picture, {crop:5.0f} ms a crop, processor {busy:5.0f} ms a picture, "
            f"found {row['found']}, crops {row['crops']}, peak {row['peak']:.0f} MB"
        )
    for way in ("plain", "autocrop"):
        for own in ("ours", "without identity"):
            if way in rows and own in rows:
                wall, busy = (rows[way][clock] / rows[own][clock] for clock in ("wall", "processor"))
                for_crop = wall * rows[own]["crops"] / max(1, rows[way]["crops"])
                print(f"{way} / {own}: wall {wall:.2f}, processor {busy:.2f}, wall for a crop {for_crop:.2f}")
    if copies and (long := measured("ours", folder, copies)):
        memory, each = [f"{level:.0f}" for level in long["memory"]], long["wall"] / copies * 1e3
        print(f"{copies} pictures: {each:.0f} ms each, peak {long['peak']:.0f} MB, along the way {' '.join(memory)} MB")


if __name__ == "__main__":
    main()
