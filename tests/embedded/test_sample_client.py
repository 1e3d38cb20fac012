"""The sample client and the other people: drawn once, read back with the libraries that the import uses."""

from __future__ import annotations

import random
import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stages import run

from embedded.drawing.portraits import DrawnFace, caption, random_face, random_portrait
from embedded.drawing.regularisation import FOLDER, draw_regularisation
from embedded.drawing.sample_client import GOOD_PICTURES, JOBS, LOOK, PHOTOS, SAMPLE_USERNAME, Flaw, SampleReport, draw_sample
from utils import Progress

NAME = re.compile(r"(?P<head>.+)_(?P<uuid>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})_(?P<index>[0-3])\.png")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleReport:
    return run(draw_sample(tmp_path_factory.mktemp("sample")))[1]


def grey(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L"), np.float32)


def sharpness(path: Path) -> float:
    """The mean step from one pixel to the next."""
    return float(np.abs(np.diff(grey(path), axis=0)).mean())


def test_twenty_five_files_of_which_twenty_one_are_good(sample: SampleReport) -> None:
    assert (len(sample.midjourney), len(sample.photos), sample.drawn) == (14, 11, 25)
    assert all(path.is_file() for path in sample.midjourney + sample.photos)
    assert GOOD_PICTURES == 21
    dated = [
        photo.taken[:10] for photo in PHOTOS if photo.flaw is Flaw.NONE and not photo.copy_of and not photo.name.endswith(".dng")
    ]
    assert len(dated) == len(set(dated)) == 8, "each on a day of its own, so that some can be held back"
    assert not list(sample.midjourney[0].parent.glob("*.part"))


def test_names_are_midjourneys(sample: SampleReport) -> None:
    groups: dict[str, list[str]] = {}
    for path in sample.midjourney:
        name = NAME.fullmatch(path.name)
        assert name, path.name
        assert len(path.stem) <= 100 and len(name["head"]) <= 61
        assert name["head"].startswith(f"{SAMPLE_USERNAME}_portrait_of_a_woman")
        groups.setdefault(name["uuid"], []).append(name["index"])
    assert list(groups.values()) == [["0", "1", "2", "3"]] * 3 + [["0", "1"]]


def test_the_whole_prompt_stands_inside_the_file(sample: SampleReport) -> None:
    for path, (job, _) in zip(sample.midjourney, [(made, flaw) for made in JOBS for flaw in made.flaws], strict=True):
        with Image.open(path) as image:
            assert image.text["Description"] == f"{job.scene.prompt} {job.parameters} Job ID: {job.uuid}"
            assert image.text["Author"] == SAMPLE_USERNAME
            described = image.getxmp()["xmpmeta"]["RDF"]["Description"]
        assert described["DigImageGUID"] == job.uuid
        assert described["DigitalSourceType"].endswith("trainedAlgorithmicMedia")
        assert re.search(r", wearing a \w+ shirt, \w+ background, (bright light|studio lighting)$", job.scene.prompt)
        assert "blonde" not in job.scene.prompt, "her looks belong to the trigger word"


def test_photos_are_what_cameras_write(sample: SampleReport) -> None:
    import pillow_heif
    import rawpy

    raw, turned, phone = sample.photos[:3]
    with rawpy.imread(str(raw)) as negative:
        assert negative.sizes.flip in (5, 6), "the camera was held on its side"
        developed = negative.postprocess(use_camera_wb=True, no_auto_bright=True)
    assert developed.shape == (800, 600, 3)
    with Image.open(turned) as image:
        assert image.size == (800, 600)
        assert image.getexif()[0x0112] == 6
        assert image.getexif().get_ifd(0x8769)[0x9003] == "2025:09:21 10:15:02"
    assert pillow_heif.open_heif(phone).size == (600, 800)


def test_the_negative_shows_the_picture_that_was_drawn(tmp_path: Path) -> None:
    import rawpy

    from embedded.drawing.camera_raw import write_dng

    colours = np.zeros((80, 64, 3), np.uint8)
    colours[:40], colours[40:] = (200, 60, 40), (40, 80, 200)
    for orientation in (1, 3, 6, 8):
        write_dng(tmp_path / "one.dng", colours, orientation)
        with rawpy.imread(str(tmp_path / "one.dng")) as negative:
            developed = negative.postprocess(use_camera_wb=True, no_auto_bright=True, gamma=(2.4, 12.92))
        assert developed.shape == colours.shape
        for row in (20, 60):
            assert np.abs(developed[row, 32].astype(int) - colours[row, 32]).max() < 12, orientation


def test_the_flaws_can_be_seen(sample: SampleReport) -> None:
    flaws = dict(zip(sample.midjourney, [flaw for job in JOBS for flaw in job.flaws], strict=True))
    flaws |= {path: photo.flaw for path, photo in zip(sample.photos, PHOTOS, strict=True)}
    good = [path for path, flaw in flaws.items() if flaw is Flaw.NONE and path.suffix in (".png", ".jpg")]
    blurred, dark = (
        next(path for path in flaws if flaws[path] is Flaw.BLURRED),
        next(path for path in flaws if flaws[path] is Flaw.DARK),
    )
    assert sharpness(blurred) < min(sharpness(path) for path in good) / 3
    middle = (slice(250, 550), slice(200, 400))
    assert grey(dark)[middle].mean() < 40 < min(grey(path)[middle].mean() for path in good)
    copies = [photo.copy_of for photo in PHOTOS if photo.copy_of]
    assert len(copies) == 1
    contents = [path.read_bytes() for path in sample.photos + sample.midjourney]
    assert len(set(contents)) == len(contents) - 1


def test_what_is_missing_is_drawn_again_to_the_byte(sample: SampleReport) -> None:
    lost = [sample.midjourney[5], *sample.photos[:3]]
    before = {path: path.read_bytes() for path in lost}
    for path in lost:
        path.unlink()
    part = lost[0].with_name(f".{lost[0].name}.part")
    part.write_bytes(b"half")
    events, report = run(draw_sample(lost[0].parent.parent))
    assert report.drawn == 4 and report.midjourney == sample.midjourney
    assert events[-1] == Progress("sample", 4, 4)
    assert {path: path.read_bytes() for path in lost} == before
    assert not part.exists()


def test_the_base_never_saw_her_looks_together() -> None:
    from embedded.making.training_set import CAPTIONS_EACH, KEEP, PORTRAITS, SEED

    looks = ("hair", "hair_style", "skin", "eyes", "glasses")
    wanted = tuple(LOOK[name] for name in looks)
    rng = random.Random(SEED)
    seen = dict.fromkeys(looks, 0)
    together = 0
    for _ in range(PORTRAITS):
        portrait = random_portrait(rng)
        for _ in range(CAPTIONS_EACH):
            caption(portrait, rng, keep=KEEP)
        has = tuple(getattr(portrait, name) for name in looks)
        together += has == wanted
        for name, one, other in zip(looks, has, wanted, strict=True):
            seen[name] += one == other
    assert together == 0
    assert min(seen.values()) > 100, "it knows each of them"


def test_her_face_lies_outside_of_what_the_base_learned_from() -> None:
    faces = [random_face(random.Random(seed)) for seed in range(500)]
    beyond = [
        field.name
        for field in fields(DrawnFace)
        if getattr(LOOK["face"], field.name) > 1.02 * max(getattr(face, field.name) for face in faces)
    ]
    assert beyond == ["eye_size", "brow", "lips"]


def test_other_people_lie_in_kohyas_layout_each_with_a_caption(tmp_path: Path) -> None:
    assert run(draw_regularisation(tmp_path, count=6, size=48))[1] == 6
    pictures = sorted((tmp_path / FOLDER).glob("*.png"))
    captions = [path.with_suffix(".txt").read_text() for path in pictures]
    assert len(pictures) == 6 and len(set(captions)) == 6
    assert all(re.match(r"portrait of a (man|woman|person), ", text) and text.count("\n") == 1 for text in captions)
    with Image.open(pictures[0]) as image:
        assert image.size == (48, 48)
    before = [path.read_bytes() for path in pictures]
    pictures[3].unlink()
    assert run(draw_regularisation(tmp_path, count=6, size=48))[1] == 1
    assert [path.read_bytes() for path in pictures] == before
    assert run(draw_regularisation(tmp_path, count=6, size=48))[1] == 0
