"""Imports of real files into real clients: what is copied, recorded, refused, and what a kill leaves."""

from __future__ import annotations

import csv
import errno
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from photo_kit import PHOTOS
from PIL import Image
from stages import finish

from client_folder.client import Client, create_client
from client_folder.reasons import Reason
from client_folder.records import Source
from data_preprocessor import (
    Duplicate,
    GridPlan,
    ImportReport,
    Note,
    import_midjourney,
    import_photos,
    plan_grids,
    split_grids,
)  # fmt: skip
from embedded.drawing.camera_raw import write_dng
from pictures.errors import NoPictures
from pictures.import_plan import plan_import
from pictures.midjourney_records import read_midjourney_file
from pictures.originals import safe_name
from utils import DiskFull, FolderMissing, Progress, as_pipeline_error, sha256_file

ROOT = Path(__file__).resolve().parents[1]
JOB = "a7421d2f-b262-44f9-977c-ac23e9c7d3e3"
OTHER_JOB = "b8532e30-c373-4500-8a8d-bd34fad8e4f4"


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return create_client(tmp_path / "home", "ana")


@pytest.fixture
def given(tmp_path: Path) -> Path:
    folder = tmp_path / "given"
    folder.mkdir()
    return folder


def paint(path: Path, seed: int, size: tuple[int, int] = (48, 32)) -> Path:
    """A picture of noise, another for each seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
    Image.fromarray(noise).save(path)
    return path


def paint_grid(path: Path, seed: int) -> Path:
    """Four little pictures in one, each of another colour with a bit of noise."""
    noise = np.random.default_rng(seed).integers(0, 9, (128, 128, 3))
    for row in range(2):
        for column in range(2):
            noise[row * 64 :, column * 64 :] += 40
    Image.fromarray(noise.astype(np.uint8)).save(path)
    return path


def tell(path: Path, **texts: str) -> Path:
    """Add text chunks behind the pixels of a PNG, as MidJourney writes them."""
    data = path.read_bytes()
    for name, text in texts.items():
        chunk = b"tEXt" + name.encode() + b"\0" + text.encode("latin-1")
        data = data[:-12] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[-12:]
    path.write_bytes(data)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def records(client: Client) -> list[dict[str, object]]:
    return json.loads(client.midjourney_file.read_text())["images"]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


# --- plans ------------------------------------------------------------------------------------------------------------
def test_plan_counts_what_is_there(given: Path) -> None:
    sizes = [paint(given / "a.png", 1).stat().st_size, paint(given / "deep" / "b.jpg", 2).stat().st_size]
    write_dng(given / "c.dng", np.zeros((32, 48, 3), np.uint8))
    (given / "notes.txt").write_text("not counted")
    plan = plan_import([given])
    assert [path.name for path in plan.pictures] == ["a.png", "c.dng", "b.jpg"]
    assert (plan.bytes, plan.raw) == (sum(sizes) + (given / "c.dng").stat().st_size, 1)


def test_plan_refuses_what_it_cannot_use(given: Path) -> None:
    with pytest.raises(FolderMissing):
        plan_import([given / "nowhere"])
    (given / "notes.txt").write_text("no picture")
    with pytest.raises(NoPictures) as caught:
        plan_import([given])
    assert ".nef" in caught.value.cure()


# --- originals --------------------------------------------------------------------------------------------------------
def test_originals_are_copied_unchanged_and_recorded(client: Client, given: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = "NIKON", "Z 6", 6
    exif.get_ifd(0x8769)[0x9003] = "2024:05:31 18:02:11"
    exif.get_ifd(0x8825).update({1: "N", 2: (40.0, 25.0, 0.123)})
    Image.new("RGB", (30, 20), "red").save(given / "turned.jpg", exif=exif)
    write_dng(given / "raw.dng", np.full((40, 60, 3), 90, np.uint8), 6, ("Sony", "A7"))
    before = contents(given)
    report = finish(import_photos(client, [given]))
    assert report == ImportReport(("raw_real/raw.dng", "raw_real/turned.jpg"), (), ())
    assert contents(client.raw_real) == before == contents(given)
    dng, jpeg = client.pictures()
    assert (jpeg.width, jpeg.height, jpeg.taken, jpeg.camera) == (20, 30, "2024:05:31 18:02:11", "NIKON Z 6")
    assert (dng.width, dng.height, dng.camera, dng.source) == (60, 40, "Sony A7", Source.REAL)
    assert jpeg.sha256 == sha256_file(given / "turned.jpg")
    assert [row["camera"] for row in table(client.images_file.with_suffix(".csv"))] == ["Sony A7", "NIKON Z 6"]
    assert not any("GPS" in text or "0.123" in text for text in (path.read_text() for path in client.metadata.iterdir()))


def test_a_single_picture_may_be_named(client: Client, given: Path) -> None:
    paint(given / "other.png", 1)
    assert finish(import_photos(client, [paint(given / "one.png", 2)])).added == ("raw_real/one.png",)


def test_the_folder_may_be_named_in_any_way(client: Client, given: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paint(given / "deep" / "a.png", 1)
    (given.parent / "way").symlink_to(given)
    monkeypatch.chdir(given / "deep")
    assert finish(import_photos(client, [Path()])).added == ("raw_real/a.png",)
    for folder in (Path(".."), given / "deep" / "..", given.parent / "way", Path("../../given")):
        finish(import_photos(client, [folder]))
        assert finish(import_photos(client, [folder])).duplicates[0].file == "deep/a.png"
    assert [picture.original for picture in client.pictures()] == ["a.png"]


def test_every_picture_is_reported_as_it_is_done(client: Client, given: Path) -> None:
    for number in range(30):
        paint(given / f"{number:02}.png", number)
    events = list(import_photos(client, [given]))
    assert events == [Progress("import-photos", number + 1, 30, f"{number:02}.png") for number in range(30)]


def test_duplicates_say_what_they_repeat(client: Client, given: Path) -> None:
    paint(given / "mj" / "a.png", 1)
    shutil.copy(given / "mj" / "a.png", given / "mj" / "a (1).png")
    paint(given / "photos" / "b.png", 2)
    shutil.copy(given / "mj" / "a.png", given / "photos" / "also a.png")
    first = finish(import_midjourney(client, [given / "mj"]))
    assert first == ImportReport(("raw_mj/a.png",), (Duplicate("a (1).png", "raw_mj/a.png"),), ())
    second = finish(import_photos(client, [given / "photos"]))
    assert second == ImportReport(("raw_real/b.png",), (Duplicate("also a.png", "raw_mj/a.png"),), ())
    assert [picture.file for picture in client.pictures()] == ["a.png", "b.png"]


def test_importing_again_adds_only_what_is_new(client: Client, given: Path) -> None:
    for number in range(5):
        paint(given / f"{number}.png", number)
    finish(import_midjourney(client, [given]))
    after = contents(client.root)
    times = {path: path.stat().st_mtime_ns for path in client.root.rglob("*") if path.is_file()}
    again = finish(import_midjourney(client, [given]))
    assert again.added == again.refused == ()
    assert again.duplicates == tuple(Duplicate(f"{number}.png", f"raw_mj/{number}.png", again=True) for number in range(5))
    assert contents(client.root) == after
    assert times == {path: path.stat().st_mtime_ns for path in times}, "not one file was written again"
    paint(given / "5.png", 5)
    os.utime(given / "3.png")
    assert finish(import_midjourney(client, [given])).added == ("raw_mj/5.png",)


def test_a_file_that_changed_under_its_name_is_new(client: Client, given: Path) -> None:
    first = paint(given / "a.png", 1).read_bytes()
    finish(import_photos(client, [given]))
    second = paint(given / "a.png", 2).read_bytes()
    assert finish(import_photos(client, [given])).added == ("raw_real/a~2.png",)
    assert contents(client.raw_real) == {"a.png": first, "a~2.png": second}
    assert finish(import_photos(client, [given])).added == ()


def test_names_that_meet_are_numbered_in_the_order_of_folders(client: Client, given: Path) -> None:
    wanted = {}
    for number, name in enumerate(["x.png", "X.PNG", "a/x.png", "b/c/x.png"]):
        wanted[name] = paint(given / name, number).read_bytes()
    report = finish(import_midjourney(client, [given]))
    originals = {picture.original: picture.file for picture in client.pictures()}
    assert originals == {"X.PNG": "X.PNG", "x.png": "x~2.png", "a/x.png": "x~3.png", "b/c/x.png": "x~4.png"}
    assert {name: (client.raw_mj / file).read_bytes() for name, file in originals.items()} == wanted
    assert report.added == ("raw_mj/X.PNG", "raw_mj/x~2.png", "raw_mj/x~3.png", "raw_mj/x~4.png")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux allows such names")
def test_names_that_other_systems_refuse(client: Client, given: Path) -> None:
    names = ['what? "x": y|z*.png', "line\nfeed.png", "😀 ñandú.png", "n" * 251 + ".png", "con .png", ".hidden.png", "dot. .png"]
    for number, name in enumerate([*names, os.fsdecode(b"not-utf8-\xff.png")]):
        paint(given / name, number)
    report = finish(import_midjourney(client, [given]))
    assert (len(report.added), report.refused) == (8, ())
    stored = {picture.original: picture.file for picture in client.pictures()}
    assert stored['what? "x": y|z*.png'] == "what_ _x__ y_z_.png"
    assert stored["line\nfeed.png"] == "line_feed.png"
    assert stored["😀 ñandú.png"] == "😀 ñandú.png"
    assert stored["n" * 251 + ".png"] == "n" * 195 + ".png"
    assert (stored["con .png"], stored[".hidden.png"], stored["dot. .png"]) == ("_con.png", "_.hidden.png", "dot.png")
    assert "not-utf8-?.png" in stored
    assert finish(import_midjourney(client, [given])).added == ()


def test_safe_names_are_safe_and_stay() -> None:
    dice = random.Random(3)
    for _ in range(2000):
        name = "".join(chr(dice.choice((dice.randrange(1, 128), dice.randrange(1, 0x2FFF)))) for _ in range(dice.randrange(1, 120)))
        safe = safe_name(name.replace("/", "_"))
        assert 0 < len(safe.encode()) <= 200
        assert not set(safe) & set('<>:"/\\|?*\n\r\t\0') and not safe.startswith(".") and not safe.endswith((" ", "."))
        assert safe_name(safe) == safe


# --- refusals ---------------------------------------------------------------------------------------------------------
def test_a_bad_file_never_stops_the_run(client: Client, given: Path, tmp_path: Path) -> None:
    paint(given / "good.png", 1)
    (given / "empty.png").touch()
    (given / "text.png").write_text("a letter")
    (given / "cut.png").write_bytes(paint(tmp_path / "whole.png", 2).read_bytes()[:400])
    (given / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0\0\x10JFIF")
    (given / "folder.jpg").mkdir()
    paint(given / "folder.jpg" / "inside.png", 3)
    (given / "link.png").symlink_to(paint(tmp_path / "secret.png", 4))
    (given / "gone.png").symlink_to(tmp_path / "nothing.png")
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(given / "moves.webp", save_all=True, append_images=frames[1:])
    bomb = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    (given / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + bomb + bytes(4))
    report = finish(import_photos(client, [given]))
    assert report.added == ("raw_real/good.png", "raw_real/inside.png")
    assert {refused.source: refused.reason for refused in report.refused} == {
        "empty.png": Reason.EMPTY, "text.png": Reason.NOT_A_PICTURE, "cut.png": Reason.UNREADABLE, "cut.jpg": Reason.UNREADABLE,
        "folder.jpg": Reason.NOT_A_PICTURE, "link.png": Reason.LINK_OUTSIDE, "gone.png": Reason.LINK_OUTSIDE,
        "moves.webp": Reason.ANIMATED, "bomb.png": Reason.TOO_LARGE,
    }  # fmt: skip
    assert all(Path(refused.file).name == refused.source for refused in report.refused)
    assert set(contents(client.raw_real)) == {"good.png", "inside.png"}


def test_a_folder_of_nothing_but_bad_files_is_reported(client: Client, given: Path) -> None:
    (given / "empty.png").touch()
    report = finish(import_midjourney(client, [given]))
    assert (report.added, [refused.reason for refused in report.refused]) == ((), [Reason.EMPTY])
    assert client.pictures() == ()


# --- what MidJourney tells --------------------------------------------------------------------------------------------
def test_names_and_embedded_texts_become_records(client: Client, given: Path) -> None:
    said = f"studio portrait of a serene woman, soft light --ar 3:2 --stylize 80 --v 7 Job ID: {JOB}"
    told = paint(given / f"ana_maria_studio_portrait_of_a_{JOB}_1.png", 1, (48, 32))
    tell(told, Description=said, Author="ana_maria")
    paint(given / "deep" / f"ana_maria_studio_portrait_of_a_{JOB}_0.png", 2, (48, 32))
    finish(import_midjourney(client, [given], usernames=("Ana_Maria",)))
    zero, one = records(client)
    assert one["embedded_text"] == said
    assert (one["prompt"], one["uuid"], one["variation_index"]) == ("studio portrait of a serene woman, soft light", JOB, 1)
    assert one["params"] == {"ar": "3:2", "stylize": 80, "v": "7"}
    assert one["username"] == zero["username"] == "ana_maria"
    assert zero["group_prompt"] == zero["prompt"] == one["prompt"], "a picture knows what another of its job knows"
    assert {(trait["kind"], trait["name"]) for trait in one["traits"]} == {
        ("lighting", "studio"), ("lighting", "soft"), ("expression", "serene")
    }  # fmt: skip
    assert (one["sha256"], one["file"]) == (sha256_file(told), told.name)
    rows = table(client.midjourney_file.with_suffix(".csv"))
    assert [(row["file"], row["ar"], row["stylize"], row["lighting"]) for row in rows] == [
        (zero["file"], "3:2", "80", "studio, soft"), (one["file"], "3:2", "80", "studio, soft")
    ]  # fmt: skip


def test_a_user_name_told_later_corrects_earlier_records(client: Client, given: Path) -> None:
    paint(given / f"jane_doe_red_hair_--v_7_{JOB}_0.png", 1)
    finish(import_midjourney(client, [given]))
    assert records(client)[0]["prompt"] == "jane doe red hair"
    assert finish(import_midjourney(client, [given], usernames=["jane_doe"])).added == ()
    assert (records(client)[0]["prompt"], records(client)[0]["username"]) == ("red hair", "jane_doe")
    paint(given / f"jane_doe_blue_hair_--v_7_{JOB}_1.png", 2)
    finish(import_midjourney(client, [given]))
    assert [record["username"] for record in records(client)] == ["jane_doe", "jane_doe"], "it is not forgotten"


def test_photos_are_no_midjourney_images(client: Client, given: Path) -> None:
    paint(given / "photo.png", 1)
    finish(import_photos(client, [given]))
    assert records(client) == []


def test_cells_are_never_formulas(client: Client, given: Path) -> None:
    tell(paint(given / "=cmd.png", 1), Description='=HYPERLINK("http://x")')
    finish(import_midjourney(client, [given]))
    (image,) = table(client.images_file.with_suffix(".csv"))
    (told,) = table(client.midjourney_file.with_suffix(".csv"))
    assert (image["file"], image["original"], told["prompt"][:3]) == ("'=cmd.png", "'=cmd.png", "'=H")
    assert records(client)[0]["prompt"].startswith("=HYPERLINK")


# --- stops, kills, repairs --------------------------------------------------------------------------------------------
def test_a_stopped_import_keeps_what_it_did_and_goes_on(client: Client, given: Path) -> None:
    for number in range(40):
        paint(given / f"{number:02}.png", number)
    stage = import_midjourney(client, [given])
    for _ in range(7):
        next(stage)
    stage.close()
    assert [picture.file for picture in client.pictures()] == [f"{number:02}.png" for number in range(7)]
    assert set(contents(client.raw_mj)) == {f"{number:02}.png" for number in range(7)}, "no half file is left"
    assert len(finish(import_midjourney(client, [given])).added) == 33


def test_records_follow_the_files(client: Client, given: Path) -> None:
    for number in range(3):
        paint(given / f"{number}.png", number)
    finish(import_midjourney(client, [given]))
    (client.raw_mj / "1.png").unlink()
    placed = paint(client.raw_mj / "placed.png", 9)
    (client.raw_mj / "notes.txt").write_text("left alone")
    report = finish(import_midjourney(client, [given]))
    assert report.added == ("raw_mj/1.png",)
    assert [picture.file for picture in client.pictures()] == ["0.png", "1.png", "2.png", "placed.png"]
    assert [record["file"] for record in records(client)] == ["0.png", "1.png", "2.png", "placed.png"]
    placed.unlink()
    finish(import_midjourney(client, [given]))
    assert [record["file"] for record in records(client)] == ["0.png", "1.png", "2.png"]


def test_lost_tables_are_made_again(client: Client, given: Path) -> None:
    tell(paint(given / "a.png", 1), Description="a lighthouse --v 7")
    finish(import_midjourney(client, [given]))
    whole = contents(client.metadata)
    for name in whole:
        (client.metadata / name).unlink()
        finish(import_midjourney(client, [given]))
        assert contents(client.metadata) == whole, name
    assert read_midjourney_file(client).images[0].embedded_text == "a lighthouse --v 7"


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files")
def test_a_full_disk_is_named_and_leaves_nothing_half(client: Client, given: Path) -> None:
    import resource

    paint(given / "a.png", 1)
    paint(given / "b.png", 2, (400, 300))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError) as caught:
            finish(import_photos(client, [given]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    error = as_pipeline_error(caught.value)
    assert isinstance(error, DiskFull) and error.facts["path"] == str(client.raw_real / "b.png")
    assert set(contents(client.raw_real)) == {"a.png"}
    assert finish(import_photos(client, [given])).added == ("raw_real/b.png",)


CHILD = """
import sys
from pathlib import Path
from client_folder.client import Client
from data_preprocessor import import_midjourney
stage = import_midjourney(Client(Path(sys.argv[1])), [Path(sys.argv[2])], usernames=("ana",), split_grids=True)
print("ready", flush=True)
for event in stage:
    pass
"""


def start(client: Path, given: Path) -> subprocess.Popen[bytes]:
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(client), str(given)], cwd=ROOT, stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    return child


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_killed_at_any_instant_the_next_run_ends_in_the_same_bytes(client: Client, given: Path, tmp_path: Path) -> None:
    count = int(os.environ.get("IMPORT_PICTURES", "60"))
    for number in range(count):
        tell(
            paint(given / f"{number // 20}" / f"ana_number_{number % 20}.png", number, (300, 200)),
            Description=f"number {number} --v 7",
        )
    shutil.copy(given / "1" / "ana_number_1.png", given / "2" / "copy.png")
    (given / "2" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with zipfile.ZipFile(given / "more.zip", "w") as archive:
        for number in range(8):
            archive.write(paint(tmp_path / "packed.png", 1000 + number), f"../deep/ana_{number}.png"[3:])
    for number, job in enumerate((JOB, OTHER_JOB)):
        paint_grid(given / f"ana_grid_{job}.png", number)
    (given / "prompts.csv").write_text("file,prompt\nana_3.png,number three --v 7\n")
    undisturbed = shutil.copytree(client.root, tmp_path / "undisturbed" / "ana")
    started = time.monotonic()
    assert start(undisturbed, given).wait() == 0
    seconds = time.monotonic() - started
    expected = contents(undisturbed)
    assert len(expected) == count + 8 + 2 * (1 + 4) + 5 + 1
    kills = int(os.environ.get("IMPORT_KILLS", "4"))
    dice, killed = random.Random(kills), 0
    for turn in range(kills):
        disturbed = shutil.copytree(client.root, tmp_path / f"disturbed{turn}" / "ana")
        for _ in range(2):
            child = start(disturbed, given)
            time.sleep(dice.uniform(0, seconds * 0.7))
            child.send_signal(signal.SIGKILL)
            killed += child.wait() == -signal.SIGKILL
        assert start(disturbed, given).wait() == 0
        assert contents(disturbed) == expected
    assert killed > kills // 2, "most kills hit a running import"


def test_photos_of_people_are_imported(client: Client) -> None:
    painted = [*PHOTOS.glob("woman*.jpg"), *PHOTOS.glob("man*.jpg")]
    photographed = [path for path in PHOTOS.glob("*.jpg") if path not in painted]
    generated = finish(import_midjourney(client, painted))
    real = finish(import_photos(client, photographed))
    assert (len(generated.added), generated.refused, len(real.added), real.refused) == (7, (), 3, ())
    assert len(client.pictures()) == 10
    assert all(picture.width and picture.height for picture in client.pictures())


# --- archives ---------------------------------------------------------------------------------------------------------
def test_pictures_in_archives_are_imported_once_and_nothing_is_written_elsewhere(
    client: Client, given: Path, tmp_path: Path
) -> None:
    said = tell(paint(tmp_path / "told.png", 1), Description=f"a red kite --v 7 Job ID: {JOB}").read_bytes()
    with zipfile.ZipFile(given / "midjourney_session (1).zip", "w") as archive:
        archive.writestr(f"midjourney_session/a_red_kite_{JOB}_0.png", said)
        archive.write(paint(tmp_path / "other.png", 2), f"midjourney_session/a_red_kite_{JOB}_1.png")
        archive.write(tmp_path / "other.png", f"midjourney_session/a_red_kite_{JOB}_1 (1).png")
        write_dng(tmp_path / "raw.dng", np.full((40, 60, 3), 90, np.uint8))
        archive.write(tmp_path / "raw.dng", "raw.dng")
        archive.writestr("../../evil.png", said + b"x")
        archive.writestr("text.png", "a letter")
    before = {path for path in tmp_path.rglob("*") if client.root not in path.parents}
    report = finish(import_midjourney(client, [given]))
    assert report.added == ("raw_mj/raw.dng", f"raw_mj/a_red_kite_{JOB}_0.png", f"raw_mj/a_red_kite_{JOB}_1.png")
    assert [item.repeats for item in report.duplicates] == [f"raw_mj/a_red_kite_{JOB}_1.png"]
    assert {item.source.rpartition("/")[2]: item.reason for item in report.refused} == {
        "evil.png": Reason.LINK_OUTSIDE, "text.png": Reason.NOT_A_PICTURE
    }  # fmt: skip
    assert {path for path in tmp_path.rglob("*") if client.root not in path.parents} == before
    assert (client.raw_mj / f"a_red_kite_{JOB}_0.png").read_bytes() == said
    assert [record["prompt"] for record in records(client)][:2] == ["a red kite", "a red kite"]
    again = finish(import_midjourney(client, [given / "midjourney_session (1).zip"]))
    assert (again.added, [item.again for item in again.duplicates]) == ((), [True, True, True, False])


def test_archives_that_are_none_are_refused_and_the_rest_imported(client: Client, given: Path) -> None:
    paint(given / "a.png", 1)
    (given / "bad.zip").write_bytes(b"PK no")
    report = finish(import_photos(client, [given]))
    assert (report.added, [(item.source, item.reason) for item in report.refused]) == (
        ("raw_real/a.png",), [("bad.zip", Reason.ARCHIVE_DAMAGED)]
    )  # fmt: skip


# --- grids ------------------------------------------------------------------------------------------------------------
def test_grids_are_told_and_split_when_asked(client: Client, given: Path) -> None:
    (given / "deep").mkdir()
    paint_grid(given / "deep" / f"u1234567890_a_cat_{JOB}.png", 1)
    one = paint(given / f"u1234567890_a_cat_{JOB}_2.png", 5)
    assert finish(import_midjourney(client, [given])).grids == (f"raw_mj/u1234567890_a_cat_{JOB}.png",)
    assert plan_grids(client) == GridPlan((f"raw_mj/u1234567890_a_cat_{JOB}.png",))
    report = finish(split_grids(client))
    assert report.added == tuple(f"raw_mj/u1234567890_a_cat_{JOB}_{index}.png" for index in (0, 1, 3)), "the third is here"
    assert report.grids == () and plan_grids(client).grids == ()
    assert (client.raw_mj / one.name).read_bytes() == one.read_bytes()
    with Image.open(client.raw_mj / f"u1234567890_a_cat_{JOB}_3.png") as corner:
        assert corner.size == (64, 64) and min(low for low, _high in corner.getextrema()) >= 80
    assert [(record["prompt"], record["variation_index"]) for record in records(client)] == [
        ("a cat", None), ("a cat", 0), ("a cat", 1), ("a cat", 2), ("a cat", 3)
    ]  # fmt: skip
    assert finish(split_grids(client)).added == finish(import_midjourney(client, [given], split_grids=True)).added == ()


# --- moving -----------------------------------------------------------------------------------------------------------
def test_pictures_are_moved_only_when_asked_and_only_what_is_safe(client: Client, given: Path) -> None:
    kept = {name: paint(given / name, number).read_bytes() for number, name in enumerate(("a.png", "b.png"))}
    shutil.copy(given / "a.png", given / "z copy.png")
    (given / "broken.png").write_bytes(b"\x89PNG")
    finish(import_photos(client, [given]))
    assert len(list(given.iterdir())) == 4
    plan = plan_import([given], move=True)
    assert plan.move
    facts = (given / "b.png").stat()
    (given / "b.png").write_bytes(kept["b.png"][:-1] + b"?")  # changed behind our back, with the same size and time
    os.utime(given / "b.png", ns=(facts.st_atime_ns, facts.st_mtime_ns))
    report = finish(import_photos(client, [given], move=True))
    assert (report.moved, report.added) == (1, ())
    assert sorted(path.name for path in given.iterdir()) == ["b.png", "broken.png", "z copy.png"]
    assert {name: (client.raw_real / name).read_bytes() for name in kept} == kept


def spoil(original: Path, how: str) -> None:
    """Harm a file as a power cut, a bad disk or a careless hand does."""
    whole, facts = original.read_bytes(), original.stat()
    original.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "flipped": whole[:-1] + bytes([whole[-1] ^ 1])}[how])
    if how == "flipped":  # a disk that loses a bit tells nobody
        os.utime(original, ns=(facts.st_atime_ns, facts.st_mtime_ns))


@pytest.mark.parametrize("how", ["empty", "cut", "flipped"])
def test_moving_never_takes_the_last_good_copy(client: Client, given: Path, how: str) -> None:
    good = {name: paint(given / name, number).read_bytes() for number, name in enumerate(("a.png", "b.png"))}
    finish(import_photos(client, [given]))
    spoil(client.raw_real / "a.png", how)
    report = finish(import_photos(client, [given], move=True))
    assert {name: (client.raw_real / name).read_bytes() for name in good} == good
    assert report.notes == (Note("a.png", "restored"),)
    assert (report.moved, list(given.iterdir())) == (2, [])
    assert [path.name for path in client.raw_real.iterdir()] == sorted(good), "no half copy is left"


def test_an_original_that_was_cut_off_is_made_whole_by_the_same_import(client: Client, given: Path) -> None:
    good = paint(given / "a.png", 1).read_bytes()
    finish(import_photos(client, [given]))
    spoil(client.raw_real / "a.png", "cut")
    report = finish(import_photos(client, [given]))
    assert (client.raw_real / "a.png").read_bytes() == good == (given / "a.png").read_bytes()
    assert (report.notes, report.added) == ((Note("a.png", "restored"),), ())
    assert finish(import_photos(client, [given])).notes == ()


# --- what is told -----------------------------------------------------------------------------------------------------
def test_lists_and_texts_beside_the_pictures_tell_their_prompts(client: Client, given: Path) -> None:
    tell(paint(given / f"{JOB}_0.png", 1), Description="embedded words --v 6 --chaos 3")
    paint(given / f"{JOB}_1.png", 2)
    paint(given / "plain.png", 3)
    paint(given / "deep" / "chat.png", 4)
    (given / "prompts.csv").write_text(f"file,prompt\n{JOB}_1.png,the user's words --v 7\n")
    (given / "plain.txt").write_text("un retrato sereno, luz suave --ar 2:3")
    message = f"**a chat --v 7** - Upscaled by <@1> [(x)](<https://midjourney.com/jobs/{OTHER_JOB}>) (fast)"
    chat = {"messages": [{"content": message, "attachments": [{"fileName": "chat.png"}]}]}
    (given / "deep" / "export.json").write_text(json.dumps(chat))
    (given / "broken.json").write_text("{")
    (given / "unrelated.csv").write_text("a,b\n1,2\n")
    report = finish(import_midjourney(client, [given]))
    assert report.told == 3
    assert [(item.source, item.reason) for item in report.refused] == [("broken.json", Reason.LIST_UNREADABLE)]
    zero, one, chatted, plain = records(client)
    assert zero["prompt"] == one["prompt"] == "the user's words"
    assert zero["params"] == {"v": "7", "chaos": 3}, "field by field: the list says nothing of chaos"
    assert (zero["sources"]["params.v"], zero["sources"]["params.chaos"]) == ("supplied_text", "embedded_text")
    assert (chatted["prompt"], chatted["uuid"], chatted["action"], chatted["source"]) == (
        "a chat", OTHER_JOB, "upscaled", "discord_text"
    )  # fmt: skip
    assert (plain["prompt"], plain["params"]) == ("un retrato sereno, luz suave", {"ar": "2:3"})
    assert {trait["name"]: trait["source"] for trait in plain["traits"]} == {"serene": "supplied_text", "soft": "supplied_text"}
    after = contents(client.root)
    finish(import_midjourney(client, [given]))
    assert contents(client.root) == after


def test_an_author_whom_one_picture_names_is_known_in_the_names_of_all(client: Client, given: Path) -> None:
    tell(paint(given / f"jane_doe_a_cat_{JOB}_0.png", 1), Author="jane_doe")
    paint(given / f"jane_doe_a_dog_{OTHER_JOB}_0.png", 2)
    finish(import_midjourney(client, [given]))
    assert [(record["prompt"], record["username"]) for record in records(client)] == [("a cat", "jane_doe"), ("a dog", "jane_doe")]


def test_each_prompt_is_told_from_the_master(client: Client, given: Path) -> None:
    paint(given / f"studio_portrait_smiling_--v_7_{JOB}_0.png", 1)
    finish(import_midjourney(client, [given], master_prompt="studio  portrait, serene"))
    assert records(client)[0]["difference"] == {"added": ["smiling"], "missing": ["serene"]}
    (row,) = table(client.midjourney_file.with_suffix(".csv"))
    assert (row["added_to_master"], row["missing_from_master"]) == ("smiling", "serene")


def test_notes_and_the_lens_are_kept(client: Client, given: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA434] = "RF85mm F2"
    Image.new("RGB", (30, 20), "red").save(given / "a.jpg", exif=exif)
    (given / "a.jpg").rename(given / "really_a_jpeg.png")
    (given / "clip.MP4").write_bytes(b"\0\0\0\x20ftypmp42")
    report = finish(import_photos(client, [given]))
    assert report.notes == (Note("really_a_jpeg.png", "wrong_ending"),)
    assert [(item.source, item.reason) for item in report.refused] == [("clip.MP4", Reason.ANIMATED)]
    assert client.pictures()[0].lens == "RF85mm F2"


def test_what_is_imported_later_reaches_the_tables_whatever_the_files_times_are(client: Client, given: Path) -> None:
    paint(given / f"{JOB}_0.png", 1)
    finish(import_midjourney(client, [given]))
    ahead = time.time() + 5 * 3600  # unpacked from an archive that was made in another time zone
    for path in client.metadata.iterdir():
        os.utime(path, (ahead, ahead))
    paint(given / f"{JOB}_1.png", 2)
    finish(import_midjourney(client, [given]))
    assert [record["file"] for record in records(client)] == [f"{JOB}_0.png", f"{JOB}_1.png"]
    assert [row["file"] for row in table(client.images_file.with_suffix(".csv"))] == [f"{JOB}_0.png", f"{JOB}_1.png"]
    (given / "prompts.csv").write_text(f"file,prompt\n{JOB}_1.png,told later --v 7\n")
    assert finish(import_midjourney(client, [given])).told == 1
    assert records(client)[1]["prompt"] == "told later"


# --- a disk that lies -------------------------------------------------------------------------------------------------
def flip_a_bit(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))


@pytest.mark.parametrize("archived", [False, True], ids=["a file", "out of an archive"])
def test_a_copy_that_is_not_what_was_read_is_never_an_original(
    client: Client, given: Path, monkeypatch: pytest.MonkeyPatch, archived: bool
) -> None:
    """A disk loses a bit between writing and reading: the import ends, and takes neither the copy nor the source for good."""
    from pictures import import_run

    good = paint(given / "a.png", 1).read_bytes()
    if archived:
        with zipfile.ZipFile(given / "a.zip", "w") as archive:
            archive.write(given / "a.png", "a.png")
        (given / "a.png").unlink()
        whole = import_run.extract

        def extract(member, target):
            sha256 = whole(member, target)
            flip_a_bit(target)
            return sha256

        monkeypatch.setattr(import_run, "extract", extract)
    else:

        def copyfile(source, target):
            Path(target).write_bytes(Path(source).read_bytes())
            flip_a_bit(Path(target))

        monkeypatch.setattr(import_run.shutil, "copyfile", copyfile)
    with pytest.raises(OSError) as failed:
        finish(import_photos(client, [given], move=not archived))
    assert failed.value.errno == errno.EIO
    monkeypatch.undo()
    assert [path.name for path in client.raw_real.iterdir() if not path.name.startswith(".")] == []
    finish(import_photos(client, [given]))
    assert (client.raw_real / "a.png").read_bytes() == good
