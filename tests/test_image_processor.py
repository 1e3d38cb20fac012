"""Faces from originals on disk: verdicts, what a second run does, and what a kill leaves."""

from __future__ import annotations

import csv
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from looked_at import looked_at
from PIL import Image, ImageEnhance, ImageFilter
from stages import finish, run

from client_folder.client import Client, create_client
from client_folder.reasons import Reason
from client_folder.records import Picture, Pictures, Source
from config import QualityControlConfig, Settings
from embedded.drawing.painting import draw
from embedded.drawing.portraits import random_portrait
from faces.crops import PREVIEW_PX
from faces.detector import Detection, MtcnnDetector
from faces.geometry import CROP_PX
from image_processor import FaceReport, ProcessPlan, plan_process, process_faces
from pictures.errors import NoPictures
from utils import Event, Progress, sha256_file, write_record

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = Settings()


# --- a client with one picture of each fate ---------------------------------------------------------------------------
def portrait(seed: int, width: int = 480, height: int = 480) -> Image.Image:
    look = {"light": "studio lighting", "skin": "light", "hair": "brown", "background": "city", "expression": "smiling"}
    return Image.fromarray(draw([random_portrait(random.Random(seed), **look)], width, height, 0.8)[0])


def two_people() -> Image.Image:
    image = Image.new("RGB", (960, 480))
    image.paste(portrait(3), (0, 0))
    image.paste(portrait(4), (480, 0))
    return image


FATES = {
    "ana 1.png": None,
    "blurred.png": Reason.BLURRED,
    "broken.jpg": Reason.UNREADABLE,
    "dark.png": Reason.TOO_DARK,
    "nobody.png": Reason.NO_FACE,
    "small.png": Reason.FACE_TOO_SMALL,
    "two.png": Reason.SEVERAL_FACES,
}
PHOTO = "ñandú.jpg"


def fill(folder: Path) -> None:
    """Write a picture of each fate."""
    good = portrait(1)
    good.save(folder / "ana 1.png")
    portrait(2).filter(ImageFilter.GaussianBlur(7)).save(folder / "blurred.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0" + b"cut off" * 30)
    ImageEnhance.Brightness(portrait(1)).enhance(0.2).save(folder / "dark.png")
    Image.fromarray(np.tile(np.linspace(60, 200, 400, dtype=np.uint8)[:, None, None], (1, 500, 3))).save(folder / "nobody.png")
    small = Image.new("RGB", (700, 500), (120, 130, 140))
    small.paste(portrait(1, 200, 200), (250, 150))
    small.save(folder / "small.png")
    two_people().save(folder / "two.png")


def save_photo(path: Path) -> None:
    """A portrait on its side, as phones store it, with a place on earth in its metadata."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[1] = "N"
    portrait(5, 480, 600).transpose(Image.Transpose.ROTATE_90).save(path, exif=exif, quality=95, icc_profile=b"profile")


def register(client: Client) -> None:
    """Record what lies in the folders of originals, as an import does."""
    found = [
        Picture(file=path.name, original=path.name, source=source, sha256=sha256_file(path))
        for source in Source
        for path in sorted(client.raw(source).iterdir())
    ]
    write_record(client.images_file, Pictures(images=tuple(found)))


def make_client(home: Path) -> Client:
    client = create_client(home, "ana")
    fill(client.raw_mj)
    save_photo(client.raw_real / PHOTO)
    register(client)
    return client


class Refusing:
    """A detector that must not be asked."""

    def find(self, rgb: np.ndarray) -> tuple[Detection, ...]:
        raise AssertionError("there was nothing to look at")


@pytest.fixture(scope="module")
def detector() -> MtcnnDetector:
    return MtcnnDetector()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, detector: MtcnnDetector) -> tuple[Client, FaceReport, list[Event]]:
    """A client after a whole run; tests look and do not touch."""
    client = make_client(tmp_path_factory.mktemp("home"))
    events, report = run(process_faces(client, SETTINGS, detector))
    return client, report, events


@pytest.fixture
def client(undisturbed: tuple[Client, FaceReport, list[Event]], tmp_path: Path) -> Client:
    """A copy of that client, to be changed."""
    root = tmp_path / "clients" / "ana"
    shutil.copytree(undisturbed[0].root, root)
    return Client(root)


def outputs(client: Client) -> dict[str, bytes]:
    """Every file that the stage wrote."""
    folders = (client.processed, client.rejected, client.metadata)
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(client.root).as_posix(): path.read_bytes() for path in files}


def test_every_original_meets_its_fate(undisturbed: tuple[Client, FaceReport, list[Event]]) -> None:
    client, report, _events = undisturbed
    fates = {face.file: face.rejection.reason if face.rejection else None for face in client.faces()}
    assert fates == {**FATES, PHOTO: None}
    assert [face.file for face in report.accepted] == ["ana 1.png", PHOTO]
    assert [rejection.source for rejection in report.rejected] == [name for name, fate in FATES.items() if fate]
    assert report.new == len(FATES) + 1


def test_a_refusal_carries_the_measure_and_the_limit_it_broke(undisturbed: tuple[Client, FaceReport, list[Event]]) -> None:
    limits = SETTINGS.quality
    found = {rejection.reason: rejection for rejection in undisturbed[1].rejected}
    dark, small, blurred = found[Reason.TOO_DARK], found[Reason.FACE_TOO_SMALL], found[Reason.BLURRED]
    assert dark.measured is not None and dark.measured < limits.min_brightness == dark.limit
    assert small.measured is not None and small.measured > limits.max_upscale == small.limit
    assert blurred.measured is not None and blurred.measured < limits.blur_threshold == blurred.limit
    assert (found[Reason.SEVERAL_FACES].measured, found[Reason.SEVERAL_FACES].limit) == (2, 1)
    assert dark.file == "raw_mj/dark.png"


def test_a_crop_is_a_square_png_that_tells_nothing_of_the_photo(undisturbed: tuple[Client, FaceReport, list[Event]]) -> None:
    client, report, _events = undisturbed
    for face in report.accepted:
        with Image.open(client.processed / face.crop) as crop:
            assert (crop.size, crop.mode, crop.format) == ((CROP_PX, CROP_PX), "RGB", "PNG")
            assert crop.info == {}
            assert not crop.getexif()


def test_a_turned_photo_is_cut_upright(undisturbed: tuple[Client, FaceReport, list[Event]]) -> None:
    client = undisturbed[0]
    (face,) = [face for face in client.faces() if face.file == PHOTO]
    assert face.square is not None and face.box is not None
    assert face.landmarks["mouth_left"][1] > face.landmarks["left_eye"][1] + face.box[3] // 4
    left, top, side = face.square
    expected = portrait(5, 480, 600).resize((CROP_PX, CROP_PX), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side))
    with Image.open(client.processed / face.crop) as crop:
        assert np.abs(np.asarray(crop, dtype=float) - np.asarray(expected, dtype=float)).mean() < 3


def test_what_was_refused_lies_there_with_its_reason(undisturbed: tuple[Client, FaceReport, list[Event]]) -> None:
    client = undisturbed[0]
    for face in client.faces():
        stem = f"{face.source}_{face.sha256[:12]}"
        sidecar, preview = client.rejected / f"{stem}.json", client.rejected / f"{stem}.png"
        assert sidecar.exists() == (face.rejection is not None)
        assert preview.exists() == (face.rejection is not None and face.rejection.reason is not Reason.UNREADABLE)
        if sidecar.exists():
            assert json.loads(sidecar.read_text("utf-8"))["rejection"]["reason"] == FATES[face.file]
        if preview.exists():
            with Image.open(preview) as image:
                assert max(image.size) <= PREVIEW_PX


def test_the_table_has_a_row_an_original(undisturbed: tuple[Client, FaceReport, list[Event]]) -> None:
    client = undisturbed[0]
    with client.faces_table.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [*sorted(FATES), PHOTO]
    assert [row["reason"] for row in rows] == [FATES[name] or "" for name in sorted(FATES)] + [""]


def test_progress_counts_every_picture_once(undisturbed: tuple[Client, FaceReport, list[Event]]) -> None:
    events = undisturbed[2]
    total = len(FATES) + 1
    assert events[0] == Progress("process", 0, total)
    assert events[1:] == [Progress("process", n, total, name) for n, name in enumerate([*sorted(FATES), PHOTO], 1)]


def test_contact_sheets_are_there(undisturbed: tuple[Client, FaceReport, list[Event]]) -> None:
    for sheet in (undisturbed[0].processed_sheet, undisturbed[0].rejected_sheet):
        with Image.open(sheet) as image:
            assert image.width > 192


# --- a second run -----------------------------------------------------------------------------------------------------
def test_a_second_run_looks_at_nothing_and_changes_nothing(client: Client) -> None:
    before = outputs(client)
    assert plan_process(client, SETTINGS) == ProcessPlan(0, len(FATES) + 1)
    events, report = run(process_faces(client, SETTINGS, Refusing()))
    assert (report.new, len(report.accepted), events) == (0, 2, [])
    assert outputs(client) == before


def test_a_second_run_never_imports_tensorflow(client: Client) -> None:
    code = (
        "import sys; from pathlib import Path; from config import Settings; import image_processor\n"
        "from client_folder.client import Client\n"
        "list(image_processor.process_faces(Client(Path(sys.argv[1])), Settings()))\n"
        "print([name for name in ('tensorflow', 'mtcnn', 'skimage') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code, str(client.root)], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_other_limits_judge_again(client: Client, detector: MtcnnDetector) -> None:
    lenient = Settings(quality=QualityControlConfig(min_brightness=0, min_contrast=0, blur_threshold=0, max_upscale=9))
    assert plan_process(client, lenient).new == len(FATES) + 1
    report = finish(process_faces(client, lenient, detector))
    assert {"dark.png", "small.png"} < {face.file for face in report.accepted}
    stems = {Path(face.crop).stem for face in report.accepted}
    assert stems.isdisjoint(path.stem for path in client.rejected.iterdir())
    finish(process_faces(client, SETTINGS, detector))
    assert {path.name for path in client.processed.glob("*_*.png")} == {face.crop for face in client.faces() if face.crop}


@pytest.mark.parametrize("lost", ["processed", "rejected", "metadata/faces"])
def test_what_was_deleted_is_made_again(client: Client, detector: MtcnnDetector, lost: str) -> None:
    before = outputs(client)
    for path in (client.root / lost).glob("*"):
        path.unlink()
    finish(process_faces(client, SETTINGS, detector))
    assert outputs(client) == before


def test_a_verdict_that_cannot_be_read_is_found_again(client: Client, detector: MtcnnDetector) -> None:
    before = outputs(client)
    verdict = sorted(client.looks.iterdir())[0]
    verdict.write_text("{ not json", "utf-8")
    report = finish(process_faces(client, SETTINGS, detector))
    assert report.new == 1
    assert outputs(client) == before


def test_what_came_of_an_original_goes_with_it_and_other_files_stay(client: Client) -> None:
    (client.processed / "mine.png").write_bytes(b"mine")
    for file in (client.raw_mj / "ana 1.png", client.raw_mj / "dark.png"):
        file.unlink()
    register(client)
    report = finish(process_faces(client, SETTINGS, Refusing()))
    assert [face.file for face in report.accepted] == [PHOTO]
    assert {path.name for path in client.processed.iterdir()} == {report.accepted[0].crop, "contact_sheet.jpg", "mine.png"}
    stems = {f"{face.source}_{face.sha256[:12]}" for face in client.faces()}
    assert {path.stem for path in client.looks.iterdir()} == stems


def test_a_run_stopped_between_two_pictures_goes_on(
    undisturbed: tuple[Client, FaceReport, list[Event]], tmp_path: Path, detector: MtcnnDetector
) -> None:
    client = make_client(tmp_path)
    stage = process_faces(client, SETTINGS, detector)
    for _ in range(4):
        next(stage)
    stage.close()
    assert len(client.faces()) == 3
    assert plan_process(client, SETTINGS) == ProcessPlan(len(FATES) + 1 - 3, 3)
    finish(process_faces(client, SETTINGS, detector))
    assert outputs(client) == outputs(undisturbed[0])


class Recorder:
    """The real detector, writing down what it finds in which picture."""

    def __init__(self, detector: MtcnnDetector) -> None:
        self.detector = detector
        self.found: dict[str, list[dict[str, object]]] = {}

    def find(self, rgb: np.ndarray) -> tuple[Detection, ...]:
        faces = self.detector.find(rgb)
        self.found[hashlib.sha256(rgb.tobytes()).hexdigest()] = [asdict(face) for face in faces]
        return faces


# A program that works on a client and is killed at its n-th change to the disk. What the real detector found is read from a file,
# for TensorFlow takes longer to start than all the rest.
_CHILD = """
import hashlib, json, os, signal, sys
from pathlib import Path
import image_processor
from client_folder.client import Client
from config import Settings
from faces.detector import Detection

left = int(sys.argv[3])
recorded = json.loads(Path(sys.argv[2]).read_text("utf-8"))

class Replayed:
    def find(self, rgb):
        return tuple(
            Detection(tuple(face["box"]), {name: tuple(at) for name, at in face["landmarks"].items()}, face["confidence"])
            for face in recorded[hashlib.sha256(rgb.tobytes()).hexdigest()]
        )

def counted(change):
    def changed(*args, **more):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return change(*args, **more)
    return changed

os.replace, os.unlink = counted(os.replace), counted(os.unlink)
for _ in image_processor.process_faces(Client(Path(sys.argv[1])), Settings(), Replayed()):
    pass
"""


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory, detector: MtcnnDetector) -> Path:
    folder = tmp_path_factory.mktemp("recording")
    recorder = Recorder(detector)
    finish(process_faces(make_client(folder), SETTINGS, recorder))
    path = folder / "found.json"
    path.write_text(json.dumps(recorder.found), "utf-8")
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is of POSIX systems")
@pytest.mark.parametrize("changes", [0, 1, 4, 10, 22])
def test_a_run_killed_at_any_change_ends_as_if_undisturbed(
    undisturbed: tuple[Client, FaceReport, list[Event]], tmp_path: Path, detector: MtcnnDetector, recording: Path, changes: int
) -> None:
    client = make_client(tmp_path)
    child = [sys.executable, "-c", _CHILD, str(client.root), str(recording), str(changes)]
    killed = subprocess.run(child, cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    finish(process_faces(client, SETTINGS, detector))
    assert outputs(client) == outputs(undisturbed[0])


def test_what_stands_for_the_other_verdict_goes_where_a_kill_left_it(tmp_path: Path) -> None:
    """A verdict's record is written before the files of the verdict before it go: killed between, they lay there for ever."""
    client = looked_at(tmp_path, bright=120, dark=10)
    stems = {bool(face.crop): face.stem for face in client.faces()}
    stale_crop, stale_preview = client.processed / f"{stems[False]}.png", client.rejected / f"{stems[True]}.png"
    shutil.copy(client.processed / f"{stems[True]}.png", stale_crop)
    shutil.copy(client.rejected / f"{stems[False]}.png", stale_preview)
    finish(process_faces(client, SETTINGS, Refusing()))
    assert (stale_crop.exists(), stale_preview.exists()) == (False, False)
    assert (client.processed / f"{stems[True]}.png").exists()
    assert (client.rejected / f"{stems[False]}.png").exists()


def test_a_client_without_pictures_is_told_so(tmp_path: Path) -> None:
    client = create_client(tmp_path, "ana")
    with pytest.raises(NoPictures):
        next(process_faces(client, SETTINGS, Refusing()))


def test_a_client_of_whom_nothing_passes_gets_a_report(tmp_path: Path, detector: MtcnnDetector) -> None:
    client = create_client(tmp_path, "ana")
    Image.new("RGB", (300, 300), (200, 100, 50)).save(client.raw_mj / "plain.png")
    register(client)
    report = finish(process_faces(client, SETTINGS, detector))
    assert (report.accepted, [rejection.reason for rejection in report.rejected]) == ((), [Reason.NO_FACE])
    assert not client.processed_sheet.exists()


def test_a_picture_out_of_reach_for_a_moment_is_looked_at_again(client: Client, detector: MtcnnDetector) -> None:
    away, again = client.raw_mj / "ana 1.png", client.raw_mj / "elsewhere"
    (client.looks / f"{next(face.stem for face in client.faces() if face.file == away.name)}.json").unlink()
    away.rename(again)
    finish(process_faces(client, SETTINGS, detector))
    reasons = {face.file: face.rejection.reason for face in client.faces() if face.rejection}
    assert reasons[away.name] is Reason.OUT_OF_REACH
    assert reasons["broken.jpg"] is Reason.UNREADABLE
    again.rename(away)
    report = finish(process_faces(client, SETTINGS, detector))
    assert report.new == 1, "what is damaged as before is not looked at again"
    assert away.name in {face.file for face in report.accepted}
