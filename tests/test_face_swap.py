"""Face swap by InsightFace's real code on stand-in models: the two questions, who is replaced, and what is said of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from onnx_standins import make_models, picture
from PIL import Image
from stages import finish

from client_folder.client import Client, create_client
from client_folder.consent import ConsentMissing, What, check_consent, has_consent, record_consent
from client_folder.reasons import Reason
from client_folder.records import Faces, Source, Verdict
from config import Settings
from generation import FaceChoice, NoTargetFace, Swapped, SwapReport, plan_swap, read_choice, swap_faces
from machine.licence import LicenceRefused, check_licence, record_licence
from machine.model_process import ModelProcess
from portraits.errors import RecipeRefused
from portraits.swapper import FaceModels
from utils import BrokenFile, FolderMissing, ModelMissing, NotReady, write_record

ROOT = Path(__file__).resolve().parents[1]
# Shades that the stand-in detector takes for skin and its recogniser tells apart.
OURS, LIKE_OURS, OTHER, THIRD = "#ff7a1e", "#fa761c", "#ffd11a", "#e02a10"
CLIENT = FaceChoice()
RESEARCH = Settings(insightface_use="research")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_models(tmp_path_factory.mktemp("insightface"))


@pytest.fixture(scope="module")
def model_process(tmp_path_factory: pytest.TempPathFactory) -> Generator[ModelProcess, None, None]:
    with ModelProcess(tmp_path_factory.mktemp("logs") / "worker.log") as model_process:
        yield model_process


@pytest.fixture
def settings(models: Path) -> Settings:
    return RESEARCH.model_copy(update={"models_folder": str(models)})


@pytest.fixture
def client(tmp_path: Path) -> Client:
    client = create_client(tmp_path, "ana", "woman")
    client.processed.mkdir()
    faces = []
    for number in range(3):
        picture(client.processed / f"{number}.png", [(320 + number, 320, OURS)])
        faces.append(Verdict(file=f"raw_real/{number}.jpg", sha256="0" * 64, source=Source.REAL, crop=f"{number}.png", settings=""))
    write_record(client.faces_file, Faces(faces=tuple(faces)))
    record_consent(client, What.FACE_SWAP, "Ana, by mail")
    return client


@pytest.fixture
def group(tmp_path: Path) -> Path:
    """Three people; the second looks like the client."""
    return picture(tmp_path / "group.png", [(160, 320, OTHER), (320, 320, LIKE_OURS), (480, 320, THIRD)])


def swap(
    client: Client,
    settings: Settings,
    model_process: ModelProcess,
    target: Path,
    choice: FaceChoice = CLIENT,
    preview: bool = False,
) -> SwapReport:
    return finish(swap_faces(client, settings, plan_swap(client, settings, [target], choice, preview=preview), model_process))


def changed(before: Path, after: Path, x: int, y: int) -> bool:
    """Whether the face at that place was replaced."""
    with Image.open(before) as one, Image.open(after) as two:
        return int(np.abs(np.array(one.convert("RGB"), int)[y, x] - np.array(two.convert("RGB"), int)[y, x]).max()) > 10


# --- the two questions ------------------------------------------------------------------------------------------------
def test_without_an_answer_nothing_is_opened(client: Client, settings: Settings, group: Path) -> None:
    for use, words in (("", "nobody said"), ("commercial", "without a licence")):
        with pytest.raises(LicenceRefused, match=words):
            plan_swap(client, settings.model_copy(update={"insightface_use": use}), [group], FaceChoice())
    for use in ("research", "licensed"):
        assert check_licence(Settings(insightface_use=use)).value == use


def test_the_answer_is_kept_for_the_program_and_the_consent_for_the_client(tmp_path: Path, settings: Settings, group: Path) -> None:
    fresh = create_client(tmp_path, "eva", "woman")
    assert record_licence(tmp_path, Settings(), "research").insightface_use == "research"
    assert json.loads((tmp_path / "settings.json").read_text())["insightface_use"] == "research"
    with pytest.raises(ConsentMissing, match="eva"):
        plan_swap(fresh, settings, [group], FaceChoice())
    assert not has_consent(fresh, What.FACE_SWAP)
    record_consent(fresh, What.FACE_SWAP, "  Eva  herself ")
    record_consent(fresh, What.FACE_SWAP, "Eva herself")
    assert check_consent(fresh, What.FACE_SWAP).by == "Eva herself"
    assert len(json.loads(fresh.consents_file.read_text())["consents"]) == 1
    assert not has_consent(fresh, What.TRAINING)
    with pytest.raises(NotReady):
        plan_swap(fresh, settings, [group], FaceChoice())


def test_the_questions_come_before_the_models(client: Client, tmp_path: Path, group: Path) -> None:
    nowhere = RESEARCH.model_copy(update={"models_folder": str(tmp_path / "nowhere")})
    with pytest.raises(LicenceRefused):
        plan_swap(client, nowhere.model_copy(update={"insightface_use": ""}), [group], FaceChoice())
    with pytest.raises(ModelMissing, match="buffalo_l"):
        plan_swap(client, nowhere, [group], FaceChoice())


@pytest.mark.parametrize("kind", [What.TRAINING, None], ids=["to training", "none"])
def test_only_a_consent_to_the_swap_opens_it(client: Client, settings: Settings, group: Path, kind: What | None) -> None:
    client.consents_file.unlink()
    if kind:
        record_consent(client, kind, "Ana, by mail")
    with pytest.raises(ConsentMissing, match="ana"):
        plan_swap(client, settings, [group], FaceChoice())
    record_consent(client, What.FACE_SWAP, "Ana, on paper")
    assert plan_swap(client, settings, [group], FaceChoice()).consent.by == "Ana, on paper"


def test_the_face_comes_from_photos_first_then_from_what_was_enlarged_least_then_from_what_is_sharpest(
    client: Client, settings: Settings, group: Path
) -> None:
    """MidJourney's faces are like the client, a photo shows the client; and a soft source makes every swap soft."""
    wanted = [
        ("sharp", Source.REAL, 1.0, 90.0), ("soft", Source.REAL, 0.5, 80.0), ("large", Source.REAL, 1.2, 900.0),
        ("larger", Source.REAL, 3.0, 999.0), ("drawn", Source.MIDJOURNEY, 0.9, 5000.0),
        ("drawn-large", Source.MIDJOURNEY, 2.0, 9000.0),
    ]  # fmt: skip
    faces = []
    for name, source, upscale, sharpness in reversed(wanted):
        picture(client.processed / f"{name}.png", [(320, 320, OURS)])
        measures = {"upscale": upscale, "sharpness": sharpness}
        faces.append(
            Verdict(file=f"{name}.jpg", sha256="0" * 64, source=source, crop=f"{name}.png", settings="", measures=measures)
        )
    write_record(client.faces_file, Faces(faces=tuple(faces)))
    sources = [path.stem for path in plan_swap(client, settings, [group], FaceChoice()).order.sources]
    assert sources == [name for name, *_rest in wanted][: len(sources)] and len(sources) >= 3


# --- who is replaced --------------------------------------------------------------------------------------------------
def test_the_face_most_like_the_client_is_replaced(client, settings, model_process, group):
    report = swap(client, settings, model_process, group)
    (made,) = report.images
    assert made.replaced == (2,) and made.similarity > 0.9
    assert [changed(group, made.file, x, 320) for x in (160, 320, 480)] == [False, True, False]
    assert report.device == "cpu", "asked of the open session"


def test_faces_are_numbered_from_left_to_right_and_shown(client, settings, model_process, group):
    report = swap(client, settings, model_process, group, preview=True)
    (preview,) = report.previews
    assert [face.number for face in preview.faces] == [1, 2, 3]
    assert [round((face.box[0] + face.box[2]) / 2 / 160) for face in preview.faces] == [1, 2, 3]
    with Image.open(preview.file) as shown:
        assert shown.size == (640, 640)
        assert (255, 215, 0) in {colour for _count, colour in shown.getcolors(1 << 20)}
    assert report.images == () and not list(client.swaps.glob("*.json"))


def test_faces_are_counted_from_the_left_in_whatever_order_they_are_found() -> None:
    """InsightFace hands them over by how sure it is of each; a stand-in for it finds the middle one first."""
    found = [SimpleNamespace(bbox=(left, 0, left + 50, 60), normed_embedding=[1.0]) for left in (300, 10, 150)]
    models = object.__new__(FaceModels)
    models._analysis = SimpleNamespace(get=lambda _pixels: found)
    assert [face.bbox[0] for face in models.faces(np.zeros((1, 1, 3), np.uint8))] == [10, 150, 300]


@pytest.mark.parametrize(("choice", "which"), [("1,3", [True, False, True]), ("all", [True] * 3), ("3", [False, False, True])])
def test_numbers_and_all(client, settings, model_process, group, choice, which):
    report = swap(client, settings, model_process, group, read_choice(choice, None))
    assert [changed(group, report.images[0].file, x, 320) for x in (160, 320, 480)] == which


def test_the_face_like_a_reference_is_replaced(client, settings, model_process, group, tmp_path):
    reference = picture(tmp_path / "reference.png", [(320, 320, THIRD)])
    report = swap(client, settings, model_process, group, read_choice("client", reference))
    assert report.images[0].replaced == (3,)


@pytest.mark.parametrize("text", ["0", "1,,2", "x", "", "-1", "1;2"])
def test_a_choice_that_names_no_face_is_refused(text):
    with pytest.raises(RecipeRefused):
        read_choice(text, None)


def test_a_number_that_no_face_has_is_refused_and_shown(client, settings, model_process, group):
    report = swap(client, settings, model_process, group, read_choice("7", None))
    assert report.images == () and [refused.reason for refused in report.refused] == [Reason.NO_SUCH_NUMBER]
    assert report.previews[0].file.exists()


# --- what comes of it -------------------------------------------------------------------------------------------------
def test_every_swap_says_what_it_is(client, settings, model_process, group):
    (made,) = swap(client, settings, model_process, group).images
    with Image.open(made.file) as opened:
        mark = opened.getxmp()["xmpmeta"]["RDF"]["Description"]["DigitalSourceType"]
    assert mark.endswith("/compositeWithTrainedAlgorithmicMedia")
    record = json.loads(made.file.with_suffix(".json").read_text())
    assert record["schema"] == 1 and record["use"] == "research" and record["replaced"] == [2]
    assert record["consent"] and len(record["sources"]) == 3 and record["device"] == "cpu"
    assert (
        group.read_bytes()
        == picture(group.with_name("again.png"), [(160, 320, OTHER), (320, 320, LIKE_OURS), (480, 320, THIRD)]).read_bytes()
    )


def test_a_large_face_is_said_to_be_soft(client, settings, model_process, tmp_path):
    small = swap(client, settings, model_process, picture(tmp_path / "s.png", [(320, 320, OURS)])).images[0]
    large = swap(client, settings, model_process, picture(tmp_path / "l.png", [(1280, 1280, OURS)], side=2560)).images[0]
    assert not small.soft and large.soft
    assert large.enlarged == pytest.approx(4 * small.enlarged, rel=0.05)
    assert Swapped(Path("x"), "x", (1,), 0.9, 1.9).soft is False


def test_a_folder_of_targets_goes_on_past_what_cannot_be_used(client, settings, model_process, tmp_path):
    folder = tmp_path / "targets"
    folder.mkdir()
    picture(folder / "a ñ.png", [(320, 320, OTHER)])
    picture(folder / "nobody.png", [])
    (folder / "torn.png").write_bytes((folder / "a ñ.png").read_bytes()[:200])
    report = swap(client, settings, model_process, folder)
    assert [made.target for made in report.images] == ["a ñ.png"]
    assert {refused.source: refused.reason for refused in report.refused} == {
        "nobody.png": Reason.NO_FACE,
        "torn.png": Reason.UNREADABLE,
    }


def test_the_same_request_is_answered_from_disk(client, settings, model_process, group, tmp_path):
    first = swap(client, settings, model_process, group)
    with ModelProcess(tmp_path / "worker.log") as idle:
        again = swap(client, settings, idle, group)
        assert idle.starts == 0
    assert (first.made, again.made) == (1, 0)
    assert again.images == first.images


def test_missing_targets_and_torn_models_are_named(client, settings, model_process, tmp_path, models, group):
    with pytest.raises(FolderMissing):
        plan_swap(client, settings, [tmp_path / "nowhere"], FaceChoice())
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoTargetFace):
        plan_swap(client, settings, [tmp_path / "empty"], FaceChoice())
    torn = tmp_path / "torn"
    (torn / "buffalo_l").mkdir(parents=True)
    for name in ("buffalo_l/det_10g.onnx", "buffalo_l/w600k_r50.onnx", "inswapper_128.onnx"):
        (torn / name).write_bytes((models / name).read_bytes()[:100])
    with ModelProcess(tmp_path / "worker.log") as own, pytest.raises(BrokenFile, match="buffalo_l"):
        swap(client, settings.model_copy(update={"models_folder": str(torn)}), own, group)


def test_from_the_command_line_both_answers_are_given_once(client, models, group):
    home = client.home
    (home / "settings.json").write_text(json.dumps({"schema": 1, "models_folder": str(models)}))
    client.consents_file.unlink()

    def run(*words):
        done = subprocess.run(
            [sys.executable, "avatar_pipeline.py", "--home", str(home), "swap", "--client", "ana", str(group), "--json", *words],
            cwd=ROOT, capture_output=True, text=True,
        )  # fmt: skip
        return done.returncode, json.loads(done.stdout)

    code, answer = run()
    assert code == 1 and "non-commercial research" in answer["error"] and "--licence" in answer["hint"]
    code, answer = run("--licence", "research")
    assert code == 1 and "agreed" in answer["error"]
    code, answer = run("--consent", "Ana, on paper")
    assert code == 0 and [image["replaced"] for image in answer["images"]] == [[2]]
    assert run()[1]["made"] == 0
