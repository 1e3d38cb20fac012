"""The exam end to end, on the LoRA that the demo trained: real portraits of the practice base, fewer scenes and steps than else."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Demo
from PIL import Image
from stages import finish, run

from avatar_pipeline import main
from client_folder.client import Client, open_client
from client_folder.records import Analysis, Faces, Source, Verdict
from config import EMBEDDED_FOLDER, Settings
from dataset.held_back import ExamRecord
from embedded.drawing.painting import draw
from embedded.drawing.portraits import random_face, random_portrait
from embedded.drawing.sample_client import LOOK
from exam.errors import NoHeldBackPhotos
from exam.examination import OnlyNearCopies, examine, held_photos
from exam.prompts import SEEDS
from exam.records import Examinee, ExamReason, Word
from exam.report import ExamFile, ExamReport
from exam.verdict import decide
from machine.model_process import ModelProcess
from utils import Progress, read_record, write_record

pytestmark = pytest.mark.skipif(not (EMBEDDED_FOLDER / "unet").is_dir(), reason="the practice base is not built")
ROOT = Path(__file__).resolve().parents[2]
SCENES, STEPS = 3, 6
ELSE: dict[str, Any] = {
    "gender": "woman", "hair": "red", "hair_style": "long", "skin": "pale", "eyes": "green", "beard": False, "glasses": False,
    "face": random_face(random.Random(5)),
}  # fmt: skip
CHILD = """
import sys
from pathlib import Path
from client_folder.client import open_client
from config import Settings
from exam.examination import examine
from portraits import recipes
from portraits.sdxl import Sampler
recipes.EMBEDDED_RECIPE = recipes.Recipe(recipes.RecipeKind.EMBEDDED, int(sys.argv[2]), 1.25, Sampler.OWN)
for event in examine(open_client(Path(sys.argv[1]), "demo"), Settings(), scenes=int(sys.argv[3])):
    print(getattr(event, "stage", ""), getattr(event, "done", 0), flush=True)
"""


@pytest.fixture(scope="module", autouse=True)
def brief() -> Generator[None, None, None]:
    """Few scenes, so few that portraits cost seconds, and half the steps: what is tested is the exam, not the base."""
    from exam import prompts
    from portraits import recipes
    from portraits.sdxl import Sampler

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prompts, "_PRACTICE_SCENES", prompts._PRACTICE_SCENES[:SCENES])
        patch.setattr(recipes, "EMBEDDED_RECIPE", recipes.Recipe(recipes.RecipeKind.EMBEDDED, STEPS, 1.25, Sampler.OWN))
        yield


@dataclass(frozen=True, slots=True)
class Sat:
    """An exam that was sat: the client, what was told on the way, and what came of it."""

    client: Client
    events: list[Any]
    report: ExamReport


@pytest.fixture(scope="module")
def model_process(tmp_path_factory: pytest.TempPathFactory) -> Generator[ModelProcess, None, None]:
    with ModelProcess(tmp_path_factory.mktemp("logs") / "worker.log") as model_process:
        yield model_process


def trained(demo: Demo, home: Path, look: dict[str, Any] = LOOK, scenes: tuple[int, ...] = (1, 1, 1)) -> Client:
    """The demo's client with the LoRA that it trained, and photos held back: so many of each scene, of whoever has that look."""
    for name in ("models", "metadata", "training_data"):
        shutil.copytree(demo.client / name, home / "clients" / "demo" / name)
    shutil.copy(demo.client / "state.json", home / "clients" / "demo")
    client = open_client(home, "demo")
    hold_back(client, look, scenes)
    return client


def hold_back(client: Client, look: dict[str, Any], scenes: tuple[int, ...]) -> None:
    """Draw photos of a person and hold them back."""
    shutil.rmtree(client.exam, ignore_errors=True)
    client.exam.mkdir()
    rng, stems = random.Random(3), iter(f"real_{number}" for number in range(99))
    named = tuple(tuple(next(stems) for _photo in range(photos)) for photos in scenes)
    for stem in (stem for scene in named for stem in scene):
        Image.fromarray(draw([random_portrait(rng, **look)], 192, 192)[0]).save(client.exam / f"{stem}.png")
    write_record(client.exam_file, ExamRecord(scenes=named))


@pytest.fixture(scope="module")
def sat(demo: Demo, tmp_path_factory: pytest.TempPathFactory, model_process: ModelProcess) -> Sat:
    client = trained(demo, tmp_path_factory.mktemp("home"))
    return Sat(client, *run(examine(client, Settings(), model_process=model_process)))


def again(sat: Sat, home: Path, look: dict[str, Any], scenes: tuple[int, ...]) -> Client:
    """The same client with other photos held back; the portraits are there."""
    shutil.copytree(sat.client.root, home / "clients" / "demo")
    client = open_client(home, "demo")
    portraits = {path.name: path.read_bytes() for path in client.exam_portraits.iterdir()}
    hold_back(client, look, scenes)
    client.exam_portraits.mkdir()
    for name, content in portraits.items():
        (client.exam_portraits / name).write_bytes(content)
    return client


# --- what it says -----------------------------------------------------------------------------------------------------
def test_the_lora_of_the_client_is_recommended_with_its_weight_and_its_doubt(sat: Sat) -> None:
    file = sat.report.file
    assert file.score is not None and file.low is not None and file.high is not None
    assert file.verdict in (Word.STEP, Word.TIED)
    assert (file.step in (110, 220), file.weight in (0.7, 0.85, 1.0)) == (True, True)
    assert file.lora in {path.name for path in sat.client.models.iterdir()}
    assert file.low < file.score < file.high
    assert (file.score or 0) > 0.9, "no more than 5 % may be lacking where the doubt is counted too"
    assert {(one.step, one.weight) for one in file.candidates} >= {(110, 1.0), (220, 1.0), (file.step, 0.7), (file.step, 0.85)}
    looked_at = [one for one in file.candidates if one.signs["leak"] is not None]
    assert (file.step, file.weight) in [(one.step, one.weight) for one in looked_at], "what is chosen was looked at closely"
    assert all(one.signs["leak"] < 0.25 for one in looked_at)


def test_the_report_holds_what_is_needed_to_compute_the_verdict_again(sat: Sat) -> None:
    file = read_record(sat.client.exam_report, ExamFile)
    assert file == sat.report.file
    candidates = [Examinee(one.step, one.weight, one.lora, one.gate, frozenset(one.flags)) for one in file.candidates]
    distances = np.array([one.distances for one in file.candidates])
    assert distances.shape == (len(candidates), len(file.prompts) * len(file.seeds), len(file.photos))
    prompts = [at // len(file.seeds) for at in range(distances.shape[1])]
    found = decide(candidates, distances, np.array(file.base_distances), prompts, file.scenes)
    assert found.chosen is not None and file.score is not None
    assert (found.word, found.judged[found.chosen].candidate.lora) == (file.verdict, file.lora)
    assert found.judged[found.chosen].score.value == pytest.approx(file.score, abs=0.002)  # distances are kept to four digits


def test_sheet_and_plot_show_what_was_judged(sat: Sat) -> None:
    rows = 2 + len(sat.report.file.candidates)  # the photos, the base
    with Image.open(sat.report.sheet) as sheet:
        assert sheet.height > rows * 128
        assert sheet.width > SCENES * 128
    with Image.open(sat.report.plot) as plot:
        pixels = np.asarray(plot.convert("RGB")).reshape(-1, 3).astype(int)
        assert plot.size == (960, 480)
    green = (np.abs(pixels - (46, 160, 82)).sum(axis=1) < 30).sum()
    assert green > 40, "the chosen one stands out"


def test_painting_is_one_count_over_all_sets(sat: Sat) -> None:
    painting = [event for event in sat.events if isinstance(event, Progress) and event.stage == "exam" and event.total]
    done = [event.done for event in painting]
    assert done == sorted(done)
    sets = 2 + len(sat.report.file.candidates) + sum(one.signs["leak"] is not None for one in sat.report.file.candidates)
    assert done[-1] == painting[-1].total == sets * SCENES * len(SEEDS)
    assert done[-1] == len(list(sat.client.exam_portraits.glob("*.png")))
    assert all(event.done <= event.total for event in painting)
    measuring = [event for event in sat.events if isinstance(event, Progress) and event.stage == "exam-measure"]
    assert measuring[0].done == 0 < measuring[0].total


# --- again, and after a kill ------------------------------------------------------------------------------------------
def test_a_second_exam_paints_nothing_and_measures_nothing(sat: Sat) -> None:
    before = {
        path: (path.stat().st_mtime_ns, path.read_bytes()) for path in [*sat.client.exam_portraits.iterdir(), sat.client.exam_rows]
    }
    report = sat.client.exam_report.read_bytes()
    with ModelProcess() as unused:
        events, second = run(examine(sat.client, Settings(), model_process=unused))
        assert unused.starts == 0
    assert second.file == sat.report.file
    assert not [event for event in events if getattr(event, "stage", "") == "exam-measure"]
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in before} == before
    assert sat.client.exam_report.read_bytes() == report


def test_measurements_that_cannot_be_read_are_made_again(sat: Sat, tmp_path: Path, model_process: ModelProcess) -> None:
    client = again(sat, tmp_path, LOOK, (1, 1, 1))
    client.exam_rows.write_bytes(sat.client.exam_rows.read_bytes()[:2000])
    assert finish(examine(client, Settings(), model_process=model_process)).file == sat.report.file
    assert client.exam_rows.stat().st_size == sat.client.exam_rows.stat().st_size


def test_an_exam_that_was_killed_goes_on_and_ends_as_one_that_was_not(
    sat: Sat, demo: Demo, tmp_path: Path, model_process: ModelProcess
) -> None:
    client = trained(demo, tmp_path)
    words = [sys.executable, "-c", CHILD, str(tmp_path), str(STEPS), str(SCENES)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if len(list(client.exam_portraits.glob("*.png"))) >= 4 and line.startswith("exam "):
                child.send_signal(signal.SIGKILL)
                break
    kept = {path: path.stat().st_mtime_ns for path in client.exam_portraits.glob("*.png")}
    assert 4 <= len(kept) < len(list(sat.client.exam_portraits.glob("*.png"))) and not client.exam_report.exists()
    report = finish(examine(client, Settings(), model_process=model_process))
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert report.file == sat.report.file


# --- none, and what cannot be known -----------------------------------------------------------------------------------
def test_a_lora_of_somebody_else_is_none_because_the_portraits_are_not_the_clients(
    sat: Sat, tmp_path: Path, model_process: ModelProcess
) -> None:
    report = finish(examine(again(sat, tmp_path, ELSE, (1, 1, 1)), Settings(), model_process=model_process))
    assert report.file.verdict is Word.NONE
    assert {ExamReason.GATE, ExamReason.NO_NEARER}.intersection(report.file.reasons)
    assert (report.file.lora, report.file.step, report.file.score) == ("", None, None)
    assert report.sheet.is_file() and report.plot.is_file()


def test_photos_of_one_scene_are_said_to_be_too_few(sat: Sat, tmp_path: Path, model_process: ModelProcess) -> None:
    report = finish(examine(again(sat, tmp_path, LOOK, (3,)), Settings(), model_process=model_process))
    assert ExamReason.FEW_SCENES in report.file.reasons
    assert report.file.scenes == (0, 0, 0)


def test_without_held_back_photos_it_says_what_to_bring(sat: Sat, tmp_path: Path) -> None:
    client = again(sat, tmp_path, LOOK, (1, 1))
    for photo in client.exam.glob("*.png"):
        photo.unlink()
    with pytest.raises(NoHeldBackPhotos, match="held back") as told:
        next(examine(client, Settings()))
    assert "six" in told.value.hint


def seen(stem: str, phash: str) -> Verdict:
    """What `process` would leave of a photo."""
    analysis = Analysis(
        width=192, height=192, phash=phash, sharpness=9, brightness=120, contrast=40, clipped=0, light="even", colour_cast="none",
        background="soft", faces=1,
    )  # fmt: skip
    return Verdict(
        file=f"{stem}.jpg", sha256="0" * 64, source=Source.REAL, crop=f"{stem}.png", settings="s", square=(0, 0, 192), phash=phash,
        analysis=analysis,
    )  # fmt: skip


def test_a_photo_that_training_has_a_near_copy_of_is_left_out(sat: Sat, tmp_path: Path, model_process: ModelProcess) -> None:
    client = again(sat, tmp_path, LOOK, (1, 1, 1))
    taught = client.dataset_folders()[0] / "real_taught.png"
    shutil.copy(client.exam / "real_1.png", taught)
    hashes = {"real_0": "0" * 16, "real_1": "0f" * 8, "real_2": "f" * 16, "real_taught": "0f" * 7 + "00"}  # 4 bits from real_1
    write_record(client.faces_file, Faces(faces=tuple(seen(stem, phash) for stem, phash in hashes.items())))
    photos, copies = held_photos(client, Settings())
    assert ([file.stem for file, _scene in photos], copies) == (["real_0", "real_2"], ("real_1",))
    report = finish(examine(client, Settings(), model_process=model_process))
    assert report.file.photos == ("real_0.png", "real_2.png")
    assert ExamReason.NEAR_COPIES in report.file.reasons
    write_record(client.faces_file, Faces(faces=tuple(seen(stem, "0" * 16) for stem in hashes)))
    with pytest.raises(OnlyNearCopies):
        held_photos(client, Settings())


def test_time_that_is_up_leaves_checkpoints_out_and_says_which(
    sat: Sat, tmp_path: Path, demo: Demo, model_process: ModelProcess
) -> None:
    client = trained(demo, tmp_path)
    report = finish(examine(client, Settings(), minutes=1e-6, model_process=model_process, scenes=1))
    assert [one.step for one in report.file.candidates] == [220], "the last one is painted in any case"
    assert report.file.left_out == ("demo_avatar_v1-step00000110.safetensors",)
    assert ExamReason.UNTRIED_WEIGHTS in report.file.reasons or report.file.verdict is Word.NONE


# --- the command line -------------------------------------------------------------------------------------------------
def test_the_command_line_answers_scripts_and_people(sat: Sat, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--home", str(sat.client.home), "--language"]
    assert main([*words, "en", "exam", "--client", "demo", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    wanted = {"verdict", "lora", "step", "weight", "score", "low", "high", "reasons", "flags", "sheet", "report"}
    assert wanted <= answer.keys()
    file = sat.report.file
    assert (answer["verdict"], answer["lora"], answer["weight"]) == (file.verdict, file.lora, file.weight)
    assert Path(answer["sheet"]).is_file() and Path(answer["report"]).is_file()
    assert main([*words, "es", "exam", "--client", "demo", "--yes"]) == 0
    told = capsys.readouterr().out
    assert f"El paso {file.step} con peso {file.weight:g}" in told
    assert "base ... " not in told and "●" not in told, "a file has no drawing of intervals"
