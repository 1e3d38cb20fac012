"""Held-back photos: how many, whole scenes at a time, and none of them or of their like in the training folders."""

from __future__ import annotations

import hashlib
from pathlib import Path

import imagehash
import numpy as np
import pytest
from PIL import Image
from stages import finish

from client_folder.client import Client, create_client
from client_folder.records import Analysis, Faces, Source, Verdict
from config import DatasetDistribution, Settings
from data_preprocessor import prepare_dataset
from dataset.findings import FindingCode
from dataset.held_back import alike, choose_scenes, scenes_of
from pictures.photo_analysis import perceptual_hash
from utils import write_record

WANTED = DatasetDistribution()


@pytest.mark.parametrize(
    ("sizes", "photos", "held"),
    [
        ((1,) * 6, 6, 2),
        ((1,) * 20, 20, 4),
        ((2, 2, 2), 6, 2),
        ((3, 3, 3, 3), 12, 3),
        ((5, 1), 6, 0),
        ((6,), 6, 0),
        ((1, 1, 10), 12, 0),
        ((3, 3, 4), 10, 3),
    ],
)
def test_whole_scenes_make_the_share_or_nothing_is_held_back(sizes: tuple[int, ...], photos: int, held: int) -> None:
    scenes = [tuple(f"{scene}-{number}" for number in range(size)) for scene, size in enumerate(sizes)]
    chosen = choose_scenes(scenes, (), photos, WANTED)
    assert sum(map(len, chosen)) == held
    assert set(chosen) <= set(scenes)


def test_what_was_held_back_stays_so_when_photos_come() -> None:
    scenes = [(f"s{number:02}",) for number in range(10)]
    first = choose_scenes(scenes[5:], ("s07", "s09"), 5, DatasetDistribution(exam_from=5))
    assert {"s07", "s09"} == {stem for scene in first for stem in scene}
    later = choose_scenes(scenes, ("s07", "s09"), 10, WANTED)
    assert {"s07", "s09"} <= {stem for scene in later for stem in scene}


def noise(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).resize((128, 128), Image.Resampling.BICUBIC)


def face_of(client: Client, image: Image.Image, source: Source, name: str, taken: str = "") -> Verdict:
    """What `process` would leave of a picture."""
    sha = hashlib.sha256(name.encode()).hexdigest()
    crop = f"{source}_{sha[:12]}.png"
    client.processed.mkdir(exist_ok=True)
    image.save(client.processed / crop)
    analysis = Analysis(
        width=128, height=128, phash=perceptual_hash(image), sharpness=9, brightness=120, contrast=40, clipped=0, light="even",
        colour_cast="none", background="soft", faces=1, taken=taken,
    )  # fmt: skip
    return Verdict(
        file=f"{name}.jpg", sha256=sha, source=source, crop=crop, settings="s", square=(0, 0, 128), phash=perceptual_hash(image),
        analysis=analysis, measures={"upscale": 1.0},
    )  # fmt: skip


@pytest.fixture
def client(tmp_path: Path) -> Client:
    """Ten photos: a burst of three within a minute, a near-copy, six others; and MidJourney's pictures, one like a photo."""
    client = create_client(tmp_path, "ana")
    times = [
        "2025:05:01 10:00:00",
        "2025:05:01 10:00:40",
        "2025:05:01 10:01:20",
        *(f"2025:05:{day:02} 09:00:00" for day in range(2, 8)),
    ]
    faces = [face_of(client, noise(number), Source.REAL, f"r{number}", taken) for number, taken in enumerate(times)]
    copy = noise(3).resize((120, 120)).resize((128, 128))
    faces.append(face_of(client, copy, Source.REAL, "copy", "2025:06:01 09:00:00"))
    faces += [face_of(client, noise(100 + number), Source.MIDJOURNEY, f"m{number}") for number in range(12)]
    write_record(client.faces_file, Faces(faces=tuple(faces)))
    return client


def run(client: Client) -> set[FindingCode]:
    return {finding.code for finding in finish(prepare_dataset(client, Settings())).findings}


def near(one: Path, other: Path) -> bool:
    with Image.open(one) as a, Image.open(other) as b:
        return imagehash.phash(a) - imagehash.phash(b) <= WANTED.near_duplicate_bits


def test_no_photo_of_the_exam_nor_its_like_is_in_training(client: Client) -> None:
    assert FindingCode.HELD_BACK in run(client)
    exam, training = list(client.exam.glob("*.png")), list(client.training_data.glob("*/*.png"))
    assert len(exam) >= 2 and len(training) + len(exam) == 22
    hashes = {hashlib.sha256(path.read_bytes()).hexdigest() for path in exam}
    assert hashes.isdisjoint(hashlib.sha256(path.read_bytes()).hexdigest() for path in training)
    assert not [(a, b) for a in exam for b in training if near(a, b)]


def test_a_burst_and_a_copy_stay_together(client: Client) -> None:
    run(client)
    held = {path.stem for path in client.exam.glob("*.png")}
    stems = {face.file.removesuffix(".jpg"): Path(face.crop).stem for face in client.faces()}
    for scene in (("r0", "r1", "r2"), ("r3", "copy")):
        assert len({stems[name] in held for name in scene}) == 1


def scenes(client: Client, **wishes: float) -> set[frozenset[str]]:
    photos = [face for face in client.faces() if face.source is Source.REAL]
    wanted = WANTED.model_copy(update=wishes)
    return {frozenset(face.file.removesuffix(".jpg") for face in scene) for scene in scenes_of(photos, wanted)}


def test_scenes_are_told_by_the_minute_and_by_the_look(client: Client) -> None:
    """r0 to r2 are 40 seconds apart each, all else a day; `copy` was taken a month after r3, and looks the same."""
    alone = {frozenset({f"r{number}"}) for number in range(4, 9)}
    burst, copied = frozenset({"r0", "r1", "r2"}), frozenset({"r3", "copy"})
    assert scenes(client) == {burst, copied} | alone
    assert scenes(client, scene_seconds=39) == {frozenset({name}) for name in burst} | {copied} | alone


def test_ten_bits_of_64_are_the_same_scene_and_eleven_are_not(tmp_path: Path) -> None:
    """In the whole picture or in the crop: one of them is enough."""
    client = create_client(tmp_path, "eva")
    one = face_of(client, noise(1), Source.REAL, "one")
    assert one.analysis is not None

    def other(crop_bits: int, picture_bits: int) -> Verdict:
        def turned(digits: str, bits: int) -> str:
            return f"{int(digits, 16) ^ ((1 << bits) - 1):016x}"

        assert one.analysis is not None
        analysis = one.analysis.model_copy(update={"phash": turned(one.analysis.phash, picture_bits)})
        return one.model_copy(update={"phash": turned(one.phash, crop_bits), "analysis": analysis})

    for bits, same in (((10, 30), True), ((30, 10), True), ((11, 11), False), ((0, 64), True), ((64, 0), True)):
        assert alike(one, other(*bits), WANTED.near_duplicate_bits) is same, bits


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("2025:05:01 10:00:00", "2025:05:01 10:01:00", True), ("2025:05:01 10:01:00", "2025:05:01 10:00:00", True),
        ("2025:05:01 10:00:00", "2025:05:01 10:01:01", False), ("2025:05:01 23:59:40", "2025:05:02 00:00:10", True),
        ("2025:05:01 10:00:00", "2025:05:02 10:00:00", False), ("", "", False), ("", "2025:05:01 10:00:00", False),
        ("0000:00:00 00:00:00", "0000:00:00 00:00:00", False),
    ],
)  # fmt: skip
def test_within_a_minute_is_one_scene(tmp_path: Path, one: str, other: str, together: bool) -> None:
    client = create_client(tmp_path, "eva")
    faces = [face_of(client, noise(50 + at), Source.REAL, f"p{at}", taken) for at, taken in enumerate((one, other))]
    assert len(scenes_of(faces, WANTED)) == (1 if together else 2)


def test_a_midjourney_picture_that_repeats_a_held_photo_is_left_out(client: Client) -> None:
    run(client)
    held = next(client.exam.glob("*.png"))
    with Image.open(held) as image:
        twin = face_of(client, image.copy(), Source.MIDJOURNEY, "twin")
    write_record(client.faces_file, Faces(faces=(*client.faces(), twin)))
    assert FindingCode.EXAM_TWINS in run(client)
    assert not list(client.training_data.glob(f"*/{Path(twin.crop).stem}*"))


def test_under_six_photos_none_is_held_back(client: Client) -> None:
    faces = [face for face in client.faces() if face.source is Source.MIDJOURNEY or face.file in ("r0.jpg", "r4.jpg", "r5.jpg")]
    write_record(client.faces_file, Faces(faces=tuple(faces)))
    run(client)
    assert not client.exam.exists()
