"""dlib's network on onnxruntime beside dlib itself, on photos: the same 128 numbers; and what is kept of the conversion."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from photo_kit import PHOTOS
from PIL import Image

from faces.dlib_weights import HALVING, parse_weights
from faces.face_network import FaceNetwork, converted
from faces.identity import FaceModelRefused, FaceRecogniser, model_file

ROOT = Path(__file__).resolve().parents[2]
NETWORK, LANDMARKS = "dlib_face_recognition_resnet_model_v1.dat", "shape_predictor_5_face_landmarks.dat"
DIGEST = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"  # as `sha256sum` says
TOLERANCE = 1e-5  # a wrong mean, order of colours or padding changes numbers by 1e-3 at least


@pytest.fixture(scope="module")
def weights() -> bytes:
    return model_file(NETWORK).read_bytes()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory, weights: bytes) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    converted(weights, DIGEST, folder)
    return folder


@pytest.fixture(scope="module")
def network(cache: Path, weights: bytes) -> FaceNetwork:
    return FaceNetwork(weights, DIGEST, cache)


@pytest.fixture(scope="module")
def dlib_network() -> Any:
    import dlib

    return dlib.face_recognition_model_v1(str(model_file(NETWORK)))


@pytest.fixture(scope="module")
def chips() -> Any:
    """Aligned faces of the photos in the repository, where each is a bust."""
    import dlib

    landmarks, found = dlib.shape_predictor(str(model_file(LANDMARKS))), []
    for path in sorted(PHOTOS.glob("*.jpg")):
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB").resize((400, 400)))
        found.append(dlib.get_face_chip(pixels, landmarks(pixels, dlib.rectangle(120, 80, 280, 240)), 150, 0.25))
    assert len(found) >= 10
    return np.stack(found)


def test_one_face_has_dlibs_128_numbers(network: FaceNetwork, dlib_network: Any, chips: Any) -> None:
    ours, theirs = network.numbers(chips[:1])[0], np.array(dlib_network.compute_face_descriptor(chips[0]))
    assert ours.shape == theirs.shape == (128,)
    assert np.ptp(theirs) > 0.3, "numbers that differ among themselves"
    assert np.abs(ours - theirs).max() <= TOLERANCE


def test_so_has_every_face_alone_or_among_others(network: FaceNetwork, dlib_network: Any, chips: Any) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (1, 150, 150, 3), np.uint8)
    shown = np.concatenate([chips, noise, np.zeros_like(noise), np.full_like(noise, 255), np.full_like(noise, (255, 0, 0))])
    theirs = np.array([dlib_network.compute_face_descriptor(chip) for chip in shown])
    together = network.numbers(shown)
    assert np.abs(together - theirs).max() <= TOLERANCE
    assert np.abs(np.concatenate([network.numbers(chip[None]) for chip in shown]) - together).max() <= 1e-6


def test_the_other_order_of_colours_is_far_from_dlibs_numbers(network: FaceNetwork, dlib_network: Any, chips: Any) -> None:
    """That the tolerance tells a mistake from the truth: the commonest one is a hundred times above it."""
    theirs = np.array([dlib_network.compute_face_descriptor(chip) for chip in chips])
    assert np.abs(network.numbers(np.ascontiguousarray(chips[..., ::-1])) - theirs).max() > 100 * TOLERANCE


def test_a_described_face_has_the_numbers_of_older_records(dlib_network: Any) -> None:
    """Four digits are kept. Where the fifth lies on the border one may differ by 1, and no distance by much more."""
    import dlib

    landmarks = dlib.shape_predictor(str(model_file(LANDMARKS)))
    recogniser = FaceRecogniser()
    changed, numbers = 0, 0
    for path in sorted(PHOTOS.glob("*.jpg")):
        with Image.open(path) as image:
            picture = image.convert("RGB").resize((400, 400))
        # A box of 160 px with half as much around it, 320 px, is what `describe` hands on, unreduced.
        part = np.asarray(picture.crop((40, 0, 360, 320)))
        found = dlib_network.compute_face_descriptor(part, landmarks(part, dlib.rectangle(80, 80, 240, 240)))
        before, now = [round(float(number), 4) for number in found], recogniser.describe(picture, (120, 80, 160, 160))
        assert max(abs(one - other) for one, other in zip(before, now, strict=True)) < 1.5e-4
        assert math.dist(before, now) < 5e-4
        changed += sum(one != other for one, other in zip(before, now, strict=True))
        numbers += len(now)
    assert changed / numbers < 0.01


def test_weights_that_are_cut_longer_or_of_another_kind_are_no_network(weights: bytes) -> None:
    parsed = parse_weights(weights)
    assert len(parsed.blocks) == len(HALVING) == 14 and parsed.projection.shape == (256, 128)
    assert [round(float(colour), 3) for colour in parsed.mean] == [122.782, 117.001, 104.298]
    shapes = model_file(LANDMARKS).read_bytes()
    for damaged in (b"", weights[:1], weights[:300], weights[:-1], weights[: len(weights) // 2], weights + b"0", shapes):
        with pytest.raises(ValueError, match="byte"):
            parse_weights(damaged)
    with pytest.raises(ValueError, match="loss_metric_2"):
        parse_weights(weights[:3] + weights[3:].replace(b"loss_metric_2", b"loss_binary_1", 1))


# --- what is kept -----------------------------------------------------------------------------------------------------
def kept_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def own_cache(cache: Path, tmp_path: Path) -> Iterator[Path]:
    """A cache that a test may damage."""
    yield Path(shutil.copytree(cache, tmp_path / "cache"))


def test_the_network_is_converted_once_for_a_file(own_cache: Path, weights: bytes) -> None:
    (kept,) = own_cache.iterdir()
    assert kept.name.startswith(DIGEST[:16])
    assert converted(b"never read, since it is known", DIGEST, own_cache) == kept.read_bytes()
    other = "0" * 64
    with pytest.raises(ValueError, match="byte"):
        converted(b"nobody's weights", other, own_cache)
    assert converted(weights, other, own_cache) == kept.read_bytes()
    assert sorted(name[:16] for name in kept_in(own_cache)) == [other[:16], DIGEST[:16]]


@pytest.mark.parametrize("damage", ["torn", "empty", "one byte"])
def test_a_damaged_copy_is_removed_and_made_again(own_cache: Path, weights: bytes, damage: str) -> None:
    (kept,) = own_cache.iterdir()
    whole = kept.read_bytes()
    middle = len(whole) // 2
    spoilt = {"torn": whole[:middle], "empty": b"", "one byte": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]}
    kept.write_bytes(spoilt[damage])
    assert converted(weights, DIGEST, own_cache) == whole
    assert kept_in(own_cache) == [kept.name] and kept.read_bytes() == whole


def test_a_copy_that_another_version_made_is_not_used(own_cache: Path, weights: bytes) -> None:
    (kept,) = own_cache.iterdir()
    whole, (origin, code, digest) = kept.read_bytes(), kept.stem.split("-")
    kept.rename(kept.with_name(f"{origin}-{code[::-1]}-{digest}.onnx"))
    kept.with_name(f"{'1' * 16}-{code}-{digest}.onnx").write_bytes(b"of other weights")
    assert converted(weights, DIGEST, own_cache) == whole
    assert kept_in(own_cache) == sorted([kept.name, f"{'1' * 16}-{code}-{digest}.onnx"])


def test_what_a_killed_program_left_half_written_is_swept(own_cache: Path, weights: bytes) -> None:
    (kept,) = own_cache.iterdir()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (own_cache / f".{kept.name}.{gone.pid}-1.part").write_bytes(b"half")
    of_another = own_cache / f".{kept.name}.{os.getppid()}-1.part"
    of_another.write_bytes(b"still being written")
    kept.unlink()
    converted(weights, DIGEST, own_cache)
    assert kept_in(own_cache) == sorted([kept.name, of_another.name])


def test_where_nothing_can_be_kept_the_network_is_there_all_the_same(tmp_path: Path, cache: Path, weights: bytes) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("no folder")
    assert converted(weights, DIGEST, in_the_way / "cache") == next(cache.iterdir()).read_bytes()
    assert in_the_way.read_text() == "no folder"


def test_a_file_of_the_package_that_is_damaged_or_another_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = tmp_path / "face_recognition_models" / "models"
    models.mkdir(parents=True)
    (models.parent / "__init__.py").touch()
    for name in (NETWORK, LANDMARKS):
        shutil.copy(model_file(name), models / name)
    monkeypatch.syspath_prepend(str(tmp_path))
    FaceRecogniser()
    for name in (NETWORK, LANDMARKS):
        whole = (models / name).read_bytes()
        for other in (whole[:-1], whole[:5_000_000] + b"\0\0\0\0" + whole[5_000_004:], b"a page of a proxy"):
            (models / name).write_bytes(other)
            with pytest.raises(FaceModelRefused, match=name) as error:
                FaceRecogniser()
            assert "face-recognition-models==0.3.0" in error.value.cure()
        (models / name).write_bytes(whole)


def test_the_users_cache_holds_it_and_one_thread_computes(tmp_path: Path) -> None:
    code = (
        "import os, threading, numpy as np, psutil\n"
        "import onnxruntime, dlib\nfrom machine.cache_folder import cache_folder\nfrom faces.identity import FaceRecogniser\n"
        "me = psutil.Process()\nbefore = me.num_threads()\nrecogniser = FaceRecogniser()\n"
        "recogniser._network.numbers(np.zeros((8, 150, 150, 3), np.uint8))\n"
        "print(me.num_threads() - before, *(path.name for path in (cache_folder() / 'face_network').iterdir()))"
    )
    home = {"XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path), "PYTHONPATH": str(ROOT)}
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, env={**os.environ, **home}
    )
    threads, *names = shown.stdout.split()
    assert threads == "0", "the thread that asks is the one that computes"
    assert len(names) == 1 and names[0].startswith(DIGEST[:16])
    assert not [path for path in tmp_path.rglob("*") if "onnxruntime" in path.name], (
        "an identifier of the machine, for reports on it"
    )
