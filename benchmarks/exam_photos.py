"""Real photos by the exam's rulers: `python -m benchmarks.exam_photos FOLDER`, a folder with photos and a `manifest.csv`.

`manifest.csv` names each file, and whose photo it is (columns `file` and `person`; empty: somebody seen once). Printed are the
distances between photos of one person and of two, and what the gate says of photos in the place of portraits: some photos of a
person are held back, others of hers, or of another, are judged, in every split; strangers are everybody else. So it is told what
the gate does where painted faces lie as near as photos do; how much farther they lie is not known yet. Then what it costs to
measure a portrait of 1024 pixels.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from exam.gates import embedding_gate
from exam.rulers import Backdrop, FaceEmbedding, apart, read_file
from exam.verdict import Array
from faces.detector import MtcnnDetector
from faces.identity import FaceRecogniser

LOOK_PX, PORTRAIT_PX = 1024, 1024
LEAST_JUDGED = 2  # photos in the place of portraits


def read_photos(folder: Path, under: str) -> tuple[Array, list[str], list[Path]]:
    """The rows of the photos in which a face is found, whose they are, and their files."""
    from PIL import Image, ImageOps

    ruler = FaceEmbedding(FaceRecogniser().describe, MtcnnDetector().find)
    with (folder / "manifest.csv").open(encoding="utf-8") as text:
        listed = [
            (folder / row["file"], row["person"] or row["file"]) for row in csv.DictReader(text) if row["file"].startswith(under)
        ]
    rows, people, files = [], [], []
    for file, person in listed:
        if file.suffix.lower() not in (".jpg", ".jpeg", ".png"):
            continue
        with Image.open(file) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
            upright.thumbnail((LOOK_PX, LOOK_PX))
        row = ruler.read(upright)
        if not np.isnan(row).any():
            rows.append(row)
            people.append(person)
            files.append(file)
    return np.stack(rows), people, files


def tell_distances(rows: Array, people: list[str]) -> None:
    """Photos of one person beside photos of two."""
    between, first, second = apart(rows, rows), *np.triu_indices(len(rows), 1)
    same = np.array([people[a] == people[b] for a, b in zip(first, second, strict=True)])
    for name, chosen in (("one person", same), ("two people", ~same)):
        found = between[first, second][chosen]
        low, middle, high = np.quantile(found, [0.05, 0.5, 0.95])
        ends = f"from {found.min():.2f} to {found.max():.2f}"
        print(f"{name}: {len(found)} pairs, 5 % {low:.2f}, median {middle:.2f}, 95 % {high:.2f}, {ends}")


def tell_gate(rows: Array, people: list[str], held: int) -> None:
    """What the gate says of a person's own photos, and of another's, in every split."""
    counts = Counter(people)
    for judged_own in (True, False):
        found: Counter[str] = Counter()
        ratios = []
        for person, photos in counts.items():
            if photos < held + (LEAST_JUDGED if judged_own else 0) or photos < LEAST_JUDGED:
                continue
            places = [at for at, name in enumerate(people) if name == person]
            others = [one for one in counts if one != person and counts[one] >= LEAST_JUDGED]
            for back in itertools.islice(itertools.combinations(places, held), 200):
                sets = [[at for at in places if at not in back]] if judged_own else [
                    [at for at, name in enumerate(people) if name == other] for other in others
                ]  # fmt: skip
                for judged in sets:
                    strangers = [at for at in range(len(people)) if at not in judged and people[at] != person]
                    many = min(len(judged), len(strangers))
                    spread = np.linspace(0, len(strangers) - 1, many).astype(int)
                    gate = embedding_gate(rows[judged[:many]], rows[strangers][spread], rows[list(back)], range(many))
                    found[gate.standing] += 1
                    ratios.append(gate.value)
        who = "of the client" if judged_own else "of another "
        if ratios:
            told = ", ".join(f"{standing} {count}" for standing, count in sorted(found.items()))
            print(f"{held} held back, photos {who}: {told}; u/u0 from {min(ratios):.2f} to {max(ratios):.2f}")


def tell_cost(file: Path) -> None:
    """What it takes to measure one portrait, once every model is loaded."""
    from PIL import Image

    face, background = FaceEmbedding(FaceRecogniser().describe, MtcnnDetector().find), Backdrop()
    with tempfile.TemporaryDirectory() as folder, Image.open(file) as image:
        portrait = Path(folder) / "portrait.png"
        image.convert("RGB").resize((PORTRAIT_PX, PORTRAIT_PX)).save(portrait)
        read_file([face], portrait)
        began, many = time.process_time(), 20
        for _each in range(many):
            read_file([face, background], portrait)
    print(f"measuring a portrait of {PORTRAIT_PX} px: {(time.process_time() - began) / many * 1e3:.0f} ms of processor")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--under", default="", help="only files whose names in the manifest begin so")
    asked = parser.parse_args()
    rows, people, files = read_photos(asked.folder, asked.under)
    print(f"{len(rows)} photos with a face, of {len(set(people))} people")
    tell_distances(rows, people)
    for held in (2, 3):
        tell_gate(rows, people, held)
    tell_cost(files[0])


if __name__ == "__main__":
    main()
