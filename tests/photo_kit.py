"""What tests on photos of people share: a client given photos, the verdicts, and copies that are spoilt each in another way."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from conftest import program
from PIL import Image, ImageFilter
from pseudo_terminal import Terminal

from client_folder.client import Client, create_client
from client_folder.records import Face, Reason
from config import Settings
from data_preprocessor import import_photos
from faces.detector import MtcnnDetector
from faces.identity import FaceRecogniser
from image_processor import process_faces

PHOTOS = Path(__file__).resolve().parent / "data" / "photos"  # its README says whose they are


def of_package(package: str, name: str) -> Image.Image:
    """A picture that an installed package carries."""
    with Image.open(Path(importlib.util.find_spec(package).origin).parent / "data" / name) as image:
        return image.convert("RGB")


def client_of(home: Path, photos: Iterable[Path]) -> Client:
    client = create_client(home, "ana")
    for _event in import_photos(client, list(photos)):
        pass
    return client


def judged(client: Client, detector: MtcnnDetector, recogniser: FaceRecogniser) -> dict[str, Face]:
    for _event in process_faces(client, Settings(), detector, recogniser):
        pass
    return {face.file: face for face in client.faces()}


def reasons(faces: dict[str, Face]) -> dict[str, Reason]:
    return {name: face.rejection.reason for name, face in faces.items() if face.rejection}


def spoilt(image: Image.Image, face_px: int) -> dict[Reason, Image.Image]:
    """A copy for each thing that can be wrong with a photo."""
    pixels, rng = np.asarray(image, dtype=np.float32), np.random.default_rng(1)
    small = 70 / face_px
    return {
        Reason.BLURRED: image.filter(ImageFilter.GaussianBlur(max(2.0, 0.02 * face_px))),
        Reason.TOO_DARK: Image.fromarray((pixels * 0.22).astype(np.uint8)),
        Reason.BURNT: Image.fromarray(np.clip(pixels * 2.2, 0, 255).astype(np.uint8)),
        Reason.FACE_TOO_SMALL: image.resize((round(image.width * small), round(image.height * small)), Image.Resampling.LANCZOS),
        Reason.NOISY: Image.fromarray(np.clip(pixels + rng.normal(0, 25, pixels.shape), 0, 255).astype(np.uint8)),
    }


def turned(image: Image.Image, quarters: int) -> Image.Image:
    """The picture on its side or on its head, without a word of it in an EXIF."""
    return Image.fromarray(np.ascontiguousarray(np.rot90(np.asarray(image), quarters)))


def check_levelled(client: Client, faces: dict[str, Face], quarters: int) -> None:
    """`lying.png` was turned back: its crop shows what that of `upright.png` shows."""
    assert reasons(faces) == {}
    assert abs(abs(faces["lying.png"].angle) - {1: 90, 2: 180, 3: 90}[quarters]) < 8
    crops = [np.asarray(Image.open(client.processed / faces[name].crop).convert("L").resize((32, 32)), float) for name in faces]
    assert np.corrcoef(crops[0].ravel(), crops[1].ravel())[0, 1] > 0.85


def save_spoilt(folder: Path, paths: Iterable[Path], faces: dict[str, Face]) -> dict[str, Reason]:
    """Copies of these photos, each spoilt in one way, whose faces are known; the reason that each is to be refused for."""
    folder.mkdir()
    expected: dict[str, Reason] = {}
    for path in paths:
        box = faces[path.name].box
        assert box is not None
        with Image.open(path) as image:
            for reason, copy in spoilt(image.convert("RGB"), max(box[2:])).items():
                name = f"{path.stem}_{reason.value}.png"
                copy.save(folder / name, compress_level=1)
                expected[name] = reason
    return expected


def save_lying(folder: Path, upright: Image.Image, quarters: int) -> None:
    """`upright.png`, and the same on its side or its head as `lying.png`."""
    folder.mkdir()
    upright.save(folder / "upright.png")
    turned(upright, quarters).save(folder / "lying.png")


def answer(home: Path, *words: object) -> dict[str, object]:
    """What the program's command line answers as JSON."""
    done = subprocess.run(program(home, *words, "--json"), capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def walk_who(home: Path, group: str, faces: int) -> None:
    """The menu for ana, whose photos are a group and one of nobody: who it is is asked once, then what was refused is seen."""
    with Terminal(home) as terminal:
        terminal.wait_for("What shall we work on?")
        terminal.press("enter")
        terminal.wait_for("Next for ana:")
        terminal.press("5", "enter")
        terminal.wait_for("Go ahead?")
        terminal.press("enter")
        terminal.wait_for("Which face is the client?", f"{group}, face 1 of {faces}", seconds=180)
        terminal.press("enter")
        terminal.wait_for(f"This face would be the client's: {group}", "> 0) No", seconds=180)
        terminal.press("up", "enter")
        terminal.wait_for("1 accepted, 1 rejected", "Next for ana:", "2 pictures", seconds=180)
        row = next(line for line in terminal.screen().splitlines() if "dataset doctor" in line)
        terminal.press(row.strip(" >")[0], "enter")
        terminal.wait_for("Look at what was rejected")
        terminal.press("1", "enter")
        terminal.wait_for("no face: 1", "Use a picture that shows the whole face")
