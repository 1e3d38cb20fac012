"""The dataset: balance, captions, caches, and that nothing a person wrote is ever lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from stages import finish

from client_folder.client import Client, create_client
from client_folder.records import Faces, Source, Verdict
from config import DatasetDistribution, Settings
from data_preprocessor import plan_dataset, prepare_dataset
from dataset.findings import FindingCode, Readiness
from dataset.kohya_folders import INFO_FILE, Balance, TooFewPictures, balance, dataset_is_current
from utils import BrokenFile, Progress, write_record

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = Settings()
SMILE = "portrait of ana woman, smiling, red coat"


# --- balance ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("mj", "real", "share", "repeats"),
    [
        (85, 15, 0.15, (1, 1)),
        (50, 50, 0.5, (1, 1)),
        (10, 10, 0.5, (5, 5)),
        (20, 0, 0.15, (5, 0)),
        (0, 8, 0.15, (0, 13)),
        (20, 20, 0.0, (5, 0)),
        (20, 20, 1.0, (0, 5)),
        (0, 20, 0.0, (0, 5)),
        (300, 0, 0.15, (1, 0)),
        (1, 0, 0.15, (40, 0)),
    ],
)
def test_repeats_of_plain_cases(mj: int, real: int, share: float, repeats: tuple[int, int]) -> None:
    found = balance(mj, real, share, 40)
    assert (found.repeats_mj, found.repeats_real) == repeats


@pytest.mark.parametrize("share", [0.05, 0.15, 0.3, 0.5, 0.85])
def test_no_whole_repeats_come_nearer_to_the_share_or_are_fewer(share: float) -> None:
    for mj in (1, 3, 12, 40, 97):
        for real in (1, 2, 7, 30):
            found = balance(mj, real, share, 12)
            reached = {
                (a, b): abs(b * real / (a * mj + b * real) - share) for a in range(1, 13) for b in range(1, 13)
            }  # fmt: skip
            nearest = min(reached.values())
            error = abs(found.share_real - share)
            assert error <= max(nearest, 0.01) + 1e-12
            assert 1 <= found.repeats_mj <= 12 and 1 <= found.repeats_real <= 12
            samples = found.repeats_mj * mj + found.repeats_real * real
            assert found.share_real == pytest.approx(found.repeats_real * real / samples)
            fewest = min(a * mj + b * real for (a, b), off in reached.items() if off <= max(error, 0.01))
            assert samples <= max(2 * fewest, 100 + fewest)


def test_a_share_out_of_reach_is_told_as_it_is() -> None:
    assert balance(1, 100, 0.15, 40) == Balance(40, 1, 100 / 140)


# --- a client with crops ----------------------------------------------------------------------------------------------
PROMPTS = {
    "a": {"prompt": "portrait of a woman, green eyes, smiling, red coat"},
    "b": {"prompt": "portrait of a wo", "truncated": True, "group_prompt": "a woman, freckles, beach background"},
    "c": {"prompt": "portrait of a woman, serious, soft ligh", "truncated": True},
}


def sha(name: str) -> str:
    return (name.encode().hex() * 64)[:64]


def stem(source: Source, name: str) -> str:
    return f"{source}_{sha(name)[:12]}"


def add_faces(client: Client, mj: str, real: str, **changes: object) -> None:
    """Leave what `process` would leave: a crop and a verdict for each letter."""
    client.processed.mkdir(exist_ok=True)
    faces = []
    for source, names in ((Source.MIDJOURNEY, mj), (Source.REAL, real)):
        for name in names:
            crop = f"{stem(source, name)}.png"
            if not (client.processed / crop).exists():
                Image.new("RGB", (16, 16), (ord(name), 40, 90)).save(client.processed / crop)
            face = Verdict(
                file=f"{name}.png", sha256=sha(name), source=source, crop=crop, settings="limits", square=(0, 0, 900),
                measures={"upscale": 1.1},
            )  # fmt: skip
            faces.append(face.model_copy(update=changes))
    write_record(client.faces_file, Faces(faces=tuple(faces)))


@pytest.fixture
def client(tmp_path: Path) -> Client:
    client = create_client(tmp_path / "home", "ana", "woman")
    add_faces(client, "abcdefgh", "uvw")
    images = [{"sha256": sha(name), "file": f"{name}.png", **prompt} for name, prompt in PROMPTS.items()]
    client.midjourney_file.write_text(json.dumps({"schema": 1, "images": images}), "utf-8")
    return client


def files(client: Client) -> dict[str, bytes]:
    found = (path for path in client.training_data.rglob("*") if path.is_file())
    return {path.relative_to(client.training_data).as_posix(): path.read_bytes() for path in found}


def caption_of(client: Client, source: Source, name: str) -> Path:
    (path,) = client.training_data.glob(f"*/{stem(source, name)}.txt")
    return path


def test_the_folders_are_as_kohya_reads_them(client: Client) -> None:
    report = finish(prepare_dataset(client, SETTINGS))
    found = balance(8, 3, 0.15, 40)
    assert {folder.name: (folder.repeats, folder.images) for folder in report.folders} == {
        f"{found.repeats_mj}_ana": (found.repeats_mj, 8), f"{found.repeats_real}_ana": (found.repeats_real, 3),
    }  # fmt: skip
    assert (report.images, report.share_real) == (11, found.share_real)
    for folder in client.training_data.iterdir():
        repeats, _, name = folder.name.partition("_")
        assert int(repeats) >= 1 and name == "ana"
        pictures = {path.stem for path in folder.glob("*.png")}
        assert pictures == {path.stem for path in folder.glob("*.txt")}
        assert {path.name for path in folder.iterdir()} == {f"{one}{end}" for one in pictures for end in (".png", ".txt")} | {
            INFO_FILE
        }


def test_every_picture_is_the_crop_and_every_caption_one_line(client: Client) -> None:
    finish(prepare_dataset(client, SETTINGS))
    for path in client.training_data.glob("*/*.png"):
        assert path.read_bytes() == (client.processed / path.name).read_bytes()
        lines = path.with_suffix(".txt").read_text("utf-8").splitlines()
        assert len(lines) == 1 and lines[0].startswith("portrait of ana woman")


@pytest.mark.parametrize(
    ("source", "name", "caption"),
    [
        (Source.MIDJOURNEY, "a", SMILE),
        (Source.MIDJOURNEY, "b", "portrait of ana woman, beach background"),
        (Source.MIDJOURNEY, "c", "portrait of ana woman, serious, soft"),
        (Source.MIDJOURNEY, "d", "portrait of ana woman"),
        (Source.REAL, "u", "portrait of ana woman, photo"),
    ],
)
def test_a_caption_says_what_is_known_of_the_picture(client: Client, source: Source, name: str, caption: str) -> None:
    finish(prepare_dataset(client, SETTINGS))
    assert caption_of(client, source, name).read_text("utf-8") == caption + "\n"


def test_sources_with_the_same_repeats_share_a_folder(client: Client) -> None:
    even = Settings(distribution=DatasetDistribution(share_real=3 / 11))
    report = finish(prepare_dataset(client, even))
    assert [(folder.name, folder.images) for folder in report.folders] == [(f"{report.folders[0].repeats}_ana", 11)]


def test_the_plan_says_what_the_stage_does(client: Client) -> None:
    plan = plan_dataset(client, SETTINGS)
    assert not client.training_data.exists()
    report = finish(prepare_dataset(client, SETTINGS))
    assert (plan.folders, plan.images, plan.share_real, plan.findings) == (
        report.folders, report.images, report.share_real, report.findings,
    )  # fmt: skip


def test_progress_counts_every_picture(client: Client) -> None:
    events = list(prepare_dataset(client, SETTINGS))
    assert [event.done for event in events if isinstance(event, Progress)] == list(range(12))
    assert {event.total for event in events if isinstance(event, Progress)} == {11}


# --- findings ---------------------------------------------------------------------------------------------------------
def test_a_balanced_dataset_of_good_pictures_is_a_go(client: Client) -> None:
    report = finish(prepare_dataset(client, SETTINGS))
    assert (report.findings, report.verdict) == ((), Readiness.GO)


@pytest.mark.parametrize(
    ("mj", "real", "changes", "code", "measured"),
    [
        ("abcdefghijkl", "", {}, FindingCode.ONLY_MIDJOURNEY, 12),
        ("", "abcdefghijkl", {}, FindingCode.ONLY_PHOTOS, 12),
        ("abcd", "uvw", {}, FindingCode.FEW_PICTURES, 7),
        ("abcdefgh", "uvw", {"measures": {"upscale": 3.2}}, FindingCode.ENLARGED, 11),
    ],
)
def test_what_weakens_a_dataset_is_said(
    client: Client, mj: str, real: str, changes: dict[str, object], code: FindingCode, measured: float
) -> None:
    add_faces(client, mj, real, **changes)
    report = finish(prepare_dataset(client, SETTINGS))
    assert [(finding.code, finding.measured) for finding in report.findings] == [(code, measured)]
    assert report.verdict is Readiness.WARNINGS


def test_a_share_out_of_reach_is_said_with_the_share_reached(client: Client) -> None:
    narrow = Settings(distribution=DatasetDistribution(share_real=0.01, max_repeats=2))
    report = finish(prepare_dataset(client, narrow))
    (finding,) = report.findings
    assert (finding.code, finding.measured, finding.limit) == (FindingCode.SHARE_OFF, report.share_real, 0.01)


def test_too_few_pictures_build_nothing(client: Client) -> None:
    add_faces(client, "a", "uv")
    with pytest.raises(TooFewPictures) as error:
        next(prepare_dataset(client, SETTINGS))
    assert error.value.facts == {"found": 3, "needed": 4}
    assert not client.training_data.exists()
    assert not dataset_is_current(client, SETTINGS)


def test_a_crop_that_is_gone_is_not_counted(client: Client) -> None:
    (client.processed / f"{stem(Source.MIDJOURNEY, 'a')}.png").unlink()
    assert finish(prepare_dataset(client, SETTINGS)).images == 10


# --- running again ----------------------------------------------------------------------------------------------------
def test_a_second_run_writes_nothing(client: Client) -> None:
    finish(prepare_dataset(client, SETTINGS))
    before = {path: path.stat().st_mtime_ns for path in client.root.rglob("*")}
    assert dataset_is_current(client, SETTINGS)
    finish(prepare_dataset(client, SETTINGS))
    assert {path: path.stat().st_mtime_ns for path in client.root.rglob("*")} == before


def caches(client: Client, source: Source, name: str) -> list[Path]:
    """What sd-scripts would cache beside a picture."""
    path = caption_of(client, source, name)
    made = [path.with_name(f"{path.stem}_1024x1024_sdxl.npz"), path.with_name(f"{path.stem}_te_outputs.npz")]
    for cache in made:
        cache.write_bytes(b"cached")
    return made


def test_caches_stay_while_nothing_changes_and_go_with_the_caption(client: Client) -> None:
    finish(prepare_dataset(client, SETTINGS))
    of_mj, of_real = caches(client, Source.MIDJOURNEY, "a"), caches(client, Source.REAL, "u")
    finish(prepare_dataset(client, SETTINGS))
    assert all(path.exists() for path in of_mj + of_real)
    caption_of(client, Source.REAL, "u").write_text("ana at the sea\n", "utf-8")
    assert not dataset_is_current(client, SETTINGS)
    finish(prepare_dataset(client, SETTINGS))
    assert [path.exists() for path in of_mj + of_real] == [True, True, False, False]


def test_caches_and_the_old_picture_go_with_a_new_crop(client: Client) -> None:
    finish(prepare_dataset(client, SETTINGS))
    cached = caches(client, Source.MIDJOURNEY, "a")
    crop = client.processed / f"{stem(Source.MIDJOURNEY, 'a')}.png"
    crop.unlink()
    Image.new("RGB", (16, 16), (1, 2, 3)).save(crop)
    add_faces(client, "abcdefgh", "uvw", square=(5, 5, 700))
    assert not dataset_is_current(client, SETTINGS)
    finish(prepare_dataset(client, SETTINGS))
    assert not any(path.exists() for path in cached)
    assert caption_of(client, Source.MIDJOURNEY, "a").with_suffix(".png").read_bytes() == crop.read_bytes()


def test_what_is_no_longer_wanted_goes_and_what_is_not_ours_stays(client: Client) -> None:
    finish(prepare_dataset(client, SETTINGS))
    cached = caches(client, Source.MIDJOURNEY, "a")
    mine = caption_of(client, Source.MIDJOURNEY, "a").with_name("notes.md")
    mine.write_text("mine", "utf-8")
    (client.training_data / "5_other").mkdir()
    add_faces(client, "bcdefgh", "uvw")
    assert not dataset_is_current(client, SETTINGS)
    finish(prepare_dataset(client, SETTINGS))
    assert not any(path.exists() for path in cached)
    assert not list(client.training_data.glob(f"*/{stem(Source.MIDJOURNEY, 'a')}*"))
    assert mine.read_text("utf-8") == "mine"
    assert (client.training_data / "5_other").is_dir()


def test_other_repeats_move_the_pictures_and_leave_no_old_folder(client: Client) -> None:
    finish(prepare_dataset(client, SETTINGS))
    half = Settings(distribution=DatasetDistribution(share_real=0.5))
    report = finish(prepare_dataset(client, half))
    assert {folder.name for folder in client.training_data.iterdir()} == {folder.name for folder in report.folders}
    assert len(list(client.training_data.glob("*/*.png"))) == 11
    assert dataset_is_current(client, half) and not dataset_is_current(client, SETTINGS)


def test_a_deleted_caption_and_an_emptied_one_are_written_again(client: Client) -> None:
    finish(prepare_dataset(client, SETTINGS))
    before = files(client)
    caption_of(client, Source.MIDJOURNEY, "a").unlink()
    caption_of(client, Source.MIDJOURNEY, "b").write_text("\n", "utf-8")
    caption_of(client, Source.MIDJOURNEY, "c").with_suffix(".png").unlink()
    finish(prepare_dataset(client, SETTINGS))
    assert files(client) == before


# --- captions that people wrote ---------------------------------------------------------------------------------------
NEW_TEMPLATE = Settings(caption="{trigger}, {details}")
HALF = Settings(distribution=DatasetDistribution(share_real=0.5))


@pytest.mark.parametrize("later", [SETTINGS, NEW_TEMPLATE, HALF])
def test_an_edited_caption_survives_a_rebuild(client: Client, later: Settings) -> None:
    finish(prepare_dataset(client, SETTINGS))
    caption_of(client, Source.MIDJOURNEY, "a").write_text("ana, riendo, ñandú", "utf-8")
    report = finish(prepare_dataset(client, later))
    assert report.edited == 1
    assert caption_of(client, Source.MIDJOURNEY, "a").read_text("utf-8").strip() == "ana, riendo, ñandú"


def test_a_new_template_changes_every_caption_that_nobody_edited(client: Client) -> None:
    finish(prepare_dataset(client, SETTINGS))
    finish(prepare_dataset(client, NEW_TEMPLATE))
    assert caption_of(client, Source.MIDJOURNEY, "a").read_text("utf-8") == "ana, smiling, red coat\n"
    assert caption_of(client, Source.REAL, "u").read_text("utf-8") == "ana, photo\n"


def test_an_edited_caption_comes_back_with_its_picture(client: Client) -> None:
    finish(prepare_dataset(client, SETTINGS))
    caption_of(client, Source.MIDJOURNEY, "a").write_text("by hand", "utf-8")
    add_faces(client, "bcdefgh", "uvw")
    finish(prepare_dataset(client, SETTINGS))
    add_faces(client, "abcdefgh", "uvw")
    finish(prepare_dataset(client, SETTINGS))
    assert caption_of(client, Source.MIDJOURNEY, "a").read_text("utf-8").strip() == "by hand"


def test_an_emptied_caption_is_ours_again(client: Client) -> None:
    finish(prepare_dataset(client, SETTINGS))
    path = caption_of(client, Source.MIDJOURNEY, "a")
    path.write_text("by hand", "utf-8")
    finish(prepare_dataset(client, SETTINGS))
    path.write_text("", "utf-8")
    assert finish(prepare_dataset(client, SETTINGS)).edited == 0
    assert path.read_text("utf-8") == SMILE + "\n"


# --- trouble ----------------------------------------------------------------------------------------------------------
def test_a_record_that_cannot_be_read_is_named_and_left_alone(client: Client) -> None:
    finish(prepare_dataset(client, SETTINGS))
    (info, *_more) = sorted(client.training_data.glob(f"*/{INFO_FILE}"))
    info.write_text('{"schema": 1,\n oops', "utf-8")
    with pytest.raises(BrokenFile) as error:
        finish(prepare_dataset(client, SETTINGS))
    assert (error.value.facts["path"], error.value.facts["line"]) == (info, 2)
    assert info.read_text("utf-8").endswith("oops")
    assert not dataset_is_current(client, SETTINGS)


def test_without_links_pictures_are_copied(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_args: object) -> None:
        raise OSError("no links on this file system")

    monkeypatch.setattr(os, "link", no_links)
    finish(prepare_dataset(client, SETTINGS))
    for path in client.training_data.glob("*/*.png"):
        assert path.stat().st_nlink == 1
        assert path.read_bytes() == (client.processed / path.name).read_bytes()


_CHILD = """
import os, signal, sys
from pathlib import Path
import data_preprocessor
from client_folder.client import Client
from config import DatasetDistribution, Settings

left = int(sys.argv[2])
def counted(change):
    def changed(*args, **more):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return change(*args, **more)
    return changed

os.replace, os.unlink, os.rmdir = counted(os.replace), counted(os.unlink), counted(os.rmdir)
settings = Settings(caption="{trigger}, {details}", distribution=DatasetDistribution(share_real=0.5))
for _ in data_preprocessor.prepare_dataset(Client(Path(sys.argv[1])), settings):
    pass
"""
KILLED_FOR = Settings(caption="{trigger}, {details}", distribution=DatasetDistribution(share_real=0.5))


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is of POSIX systems")
@pytest.mark.parametrize("changes", [0, 1, 2, 3, 9, 24, 30, 45, 55])
def test_a_rebuild_killed_at_any_change_ends_as_if_undisturbed(client: Client, tmp_path: Path, changes: int) -> None:
    finish(prepare_dataset(client, SETTINGS))
    caption_of(client, Source.MIDJOURNEY, "a").write_text("by hand", "utf-8")
    other = Client(tmp_path / "other" / "clients" / "ana")
    shutil.copytree(client.root, other.root)
    killed = subprocess.run([sys.executable, "-c", _CHILD, str(client.root), str(changes)], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    finish(prepare_dataset(client, KILLED_FOR))
    finish(prepare_dataset(other, KILLED_FOR))
    assert files(client) == files(other)
    assert client.captions_file.read_bytes() == other.captions_file.read_bytes()
