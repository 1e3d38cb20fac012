"""Clients whose pictures were looked at already: faces as `process` records them, each of a person given by a number."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from math import sqrt
from pathlib import Path

from PIL import Image

from client_folder.client import Client, create_client
from client_folder.records import Analysis, DetectedFaces, Face, Picture, Pictures, Source
from config import QualityControlConfig
from faces.verdicts import method_of
from utils import sha256_file, write_record

QUALITY = QualityControlConfig()
GOOD = {
    "confidence": 0.99, "face_px": 400.0, "upscale": 1.6, "inside": 1.0, "turn": 0.0, "yaw": 0.0, "brightness": 120.0,
    "highlight": 200.0, "clipped": 0.0, "crushed": 0.0, "contrast": 50.0, "noise": 1.0, "sharpness": 300.0, "blur_effect": 0.4,
    "background_red": 90.0, "background_green": 90.0, "background_blue": 90.0,
}  # fmt: skip
SIDE = 300  # pixels of a face and of the crop around it


def person(who: int, seed: int, apart: float = 0.34) -> tuple[float, ...]:
    """128 numbers of a face: two of one person lie about `apart` from one another (dlib's median), two people 0.89."""
    rng = random.Random(f"{who} {seed}")
    noise = [rng.gauss(0, 1) for _number in range(128)]
    scale = apart / sqrt(2) / sqrt(sum(one * one for one in noise))
    far = sqrt((0.89**2 - 0.34**2) / 2)
    return tuple(round(one * scale + (far if at == who else 0.0), 4) for at, one in enumerate(noise))


Paint = Callable[[Sequence[int], int], Image.Image]


def gradients(people: Sequence[int], seed: int) -> Image.Image:
    """A picture in which nobody is seen: quick, and unlike any other of its people's."""
    return Image.linear_gradient("L").rotate(seed * 7 % 360).resize((SIDE * max(1, len(people)), SIDE)).convert("RGB")


def seen_client(
    home: Path,
    photos: Mapping[str, Sequence[int]],
    drawn: Mapping[str, Sequence[int]] | None = None,
    paint: Paint = gradients,
) -> Client:
    """A client with these pictures, by name the people in each from the left; nothing is judged yet."""
    client = create_client(home, "ana", "woman")
    add_pictures(client, photos, drawn, paint)
    return client


def add_pictures(
    client: Client,
    photos: Mapping[str, Sequence[int]],
    drawn: Mapping[str, Sequence[int]] | None = None,
    paint: Paint = gradients,
) -> None:
    """More pictures for a client, as if they had been imported and looked at; `paint` makes each of its people and a number."""
    pictures = list(client.pictures())
    for source, given in ((Source.REAL, photos), (Source.MIDJOURNEY, drawn or {})):
        for name, people in given.items():
            seed = len(pictures)
            path = client.raw(source) / name
            paint(people, seed).save(path)
            picture = Picture(file=name, original=name, source=source, sha256=sha256_file(path))
            faces = tuple(
                Face(
                    box=(at * SIDE, 0, SIDE, SIDE), landmarks={}, confidence=0.99, square=(at * SIDE, 0, SIDE), measures=GOOD,
                    phash=f"{random.Random(f'{name} {at}').getrandbits(64):016x}", background="soft", identity=person(who, seed),
                )
                for at, who in enumerate(people)
            )  # fmt: skip
            analysis = Analysis(
                width=SIDE, height=SIDE, phash=f"{random.Random(name).getrandbits(64):016x}", sharpness=9, brightness=120,
                contrast=40, clipped=0, light="even", colour_cast="none", background="soft", faces=len(faces),
            )  # fmt: skip
            detected = DetectedFaces(
                file=name, sha256=picture.sha256, source=source, method=method_of(QUALITY), faces=faces, analysis=analysis
            )
            write_record(client.looks / f"{picture.stem}.json", detected)
            pictures.append(picture)
    write_record(client.images_file, Pictures(images=tuple(sorted(pictures, key=lambda one: one.file))))


def photos_of(who: int, count: int, name: str = "") -> dict[str, list[int]]:
    """So many photos of one person."""
    return {f"{name or f'p{who}'}_{number}.png": [who] for number in range(count)}
