"""Import of many MidJourney PNGs beside the plain way: `python benchmarks/import_pictures.py [--count 10000] [--bytes 1000000]`.

The plain way is `shutil.copy2` and a SHA-256 of the copy, file after file, over the same files: once before and once after the
import, so that neither gains by what the system keeps in memory; their mean counts. The import runs as a child process of its own,
whose peak memory is compared with that of an import of 100 pictures. Needs twice the size of all pictures on disk, and removes what
it made.
"""

from __future__ import annotations

import argparse
import json
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from client_folder.client import create_client  # noqa: E402
from utils import sha256_file  # noqa: E402

FEW = 100
IMPORT = """
import json, resource, sys, time
from pathlib import Path
from client_folder.client import Client
from data_preprocessor import import_midjourney
started = time.perf_counter()
stage = import_midjourney(Client(Path(sys.argv[1])), [Path(sys.argv[2])])
try:
    while True:
        next(stage)
except StopIteration as end:
    report = end.value
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
print(json.dumps({"added": len(report.added), "seconds": time.perf_counter() - started, "peak_mb": memory}))
"""


def paint(folder: Path, count: int, size: int) -> None:
    """Make pictures as midjourney.com hands them out: four a job, the full prompt in a text chunk behind the pixels."""
    side = max(8, int((size / 3) ** 0.5))
    pixels = np.random.default_rng(1).integers(0, 256, (side, side, 3), np.uint8)
    folder.mkdir()
    Image.fromarray(pixels).save(folder / "plain.png", compress_level=0)
    plain = (folder / "plain.png").read_bytes()
    (folder / "plain.png").unlink()
    for number in range(count):
        job = uuid.UUID(int=number // 4 + (4 << 76) + (8 << 60))
        prompt = f"studio portrait of a serene woman, soft light, take {number // 4} --ar 3:4 --stylize 250 --v 7 Job ID: {job}"
        chunk = b"tEXtDescription\0" + f"{prompt} {number % 4}".encode()
        text = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        name = f"u1234567890_studio_portrait_of_a_serene_woman_soft_light_take_{job}_{number % 4}.png"
        (folder / name).write_bytes(plain[:-12] + text + plain[-12:])


def copy_plainly(folder: Path, target: Path) -> float:
    """Seconds of the plain way; the copies are removed outside of the time."""
    target.mkdir()
    started = time.perf_counter()
    for path in folder.iterdir():
        sha256_file(Path(shutil.copy2(path, target / path.name)))
    seconds = time.perf_counter() - started
    shutil.rmtree(target)
    return seconds


def import_of(client: Path, folder: Path) -> dict[str, float]:
    """One import in a process of its own."""
    words = [sys.executable, "-c", IMPORT, str(client), str(folder)]
    found: dict[str, float] = json.loads(subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    return found


def measure(home: Path, count: int, size: int) -> Iterator[str]:
    """The sentences to print, each as soon as it is known."""
    paint(home / "few", min(FEW, count), size)
    few = import_of(create_client(home, "few").root, home / "few")
    paint(home / "many", count, size)
    before = copy_plainly(home / "many", home / "copies")
    client = create_client(home, "many").root
    first = import_of(client, home / "many")
    again = import_of(client, home / "many")
    shutil.rmtree(client)
    plain = (before + copy_plainly(home / "many", home / "copies")) / 2
    ours, peak, least = first["seconds"], first["peak_mb"], few["peak_mb"]
    yield f"plain copy and SHA-256: {count / plain:,.0f} pictures a second ({plain:.1f} s)"
    yield f"import: {count / ours:,.0f} pictures a second ({ours:.1f} s); ratio {plain / ours:.2f}"
    yield f"nothing new: {again['seconds']:.2f} s; {ours / again['seconds']:.1f} times faster than the first run"
    yield f"peak memory: {peak:.0f} MB, {least:.0f} MB with {FEW} pictures: {peak - least:.0f} MB more"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--bytes", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where to work (default: the system's folder for temporary files)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as home:
        for sentence in measure(Path(home), options.count, options.bytes):
            print(sentence)


if __name__ == "__main__":
    main()
