"""What the exam compares with: InsightFace's real code on stand-in models, and the comparison on distances made by hand."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from onnx_standins import make_models, picture
from PIL import Image
from stages import finish

from client_folder.client import Client, create_client
from client_folder.consent import What, record_consent
from client_folder.records import Faces, Source, Verdict
from config import Settings
from dataset.held_back import ExamRecord
from exam.judging import prompt_numbers
from exam.records import Examinee, ExamReason, ExamVerdict, Flag, Word
from exam.rulers import LabMap, apart, read_files
from exam.swap_baseline import LEFT_OUT, beside_swap, compare, examine_swap, source_of
from exam.verdict import decide
from machine.model_process import ModelProcess
from portraits.portrait import Portrait
from utils import Notice, write_record

OURS, OTHER = "#ff7a1e", "#ffd11a"  # shades that the stand-in detector takes for skin
PORTRAITS = 8


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("insightface")
    return make_models(tmp_path_factory.mktemp("insightface"))


@pytest.fixture(scope="module")
def model_process(tmp_path_factory: pytest.TempPathFactory) -> Generator[ModelProcess, None, None]:
    with ModelProcess(tmp_path_factory.mktemp("logs") / "worker.log") as model_process:
        yield model_process


@pytest.fixture
def settings(models: Path) -> Settings:
    return Settings(insightface_use="research", models_folder=str(models))


@pytest.fixture
def client(tmp_path: Path) -> Client:
    """Four photos: the sharpest is held back, the next lies in no dataset folder, for it nearly repeats that one."""
    client = create_client(tmp_path, "ana", "woman")
    client.processed.mkdir()
    faces = []
    for name, sharpness in (("held", 900.0), ("twin", 800.0), ("best", 300.0), ("soft", 50.0)):
        picture(client.processed / f"{name}.png", [(320, 320, OURS)])
        faces.append(
            Verdict(
                file=f"{name}.jpg", sha256="0" * 64, source=Source.REAL, crop=f"{name}.png", settings="",
                measures={"sharpness": sharpness},
            )
        )  # fmt: skip
    write_record(client.faces_file, Faces(faces=tuple(faces)))
    taught = client.training_data / "4_ana"
    taught.mkdir(parents=True)
    for name in ("best", "soft"):
        picture(taught / f"{name}.png", [(320, 320, OURS)])
    client.exam.mkdir()
    picture(client.exam / "held.png", [(320, 320, OURS)])
    write_record(client.exam_file, ExamRecord(scenes=(("held",),)))
    record_consent(client, What.FACE_SWAP, "Ana, by mail")
    return client


def base_portraits(client: Client, faces: int = PORTRAITS) -> tuple[Portrait, ...]:
    """The base's portraits: another person in so many of them, nobody in the others."""
    client.exam_portraits.mkdir(parents=True, exist_ok=True)
    return tuple(
        Portrait(
            picture(client.exam_portraits / f"base_{at}.png", [(300 + 4 * at, 320, OTHER)] if at < faces else []), at, "", 0.0, ""
        )
        for at in range(PORTRAITS)
    )


def evidence_of(client: Client, base: tuple[Portrait, ...], nearer: float) -> tuple[Any, ExamVerdict]:
    """What an exam of one checkpoint measured that lies by so much nearer than the base."""
    ruler, photos = LabMap(), (client.exam / "held.png",)
    alone = apart(read_files(ruler, [one.file for one in base]), read_files(ruler, photos))
    lora = (alone - nearer + np.linspace(-0.01, 0.01, PORTRAITS)[:, None])[None]
    verdict = decide([Examinee(30, lora="ana-30.safetensors")], lora, alone, prompt_numbers(PORTRAITS))
    measured = SimpleNamespace(
        scaled=lambda rows: rows,
        ruler=ruler.name,
        photos=photos,
        scenes=(0,),
        distances=lora,
        base_distances=alone,
        stranger_distances=alone + 5,
    )
    return measured, verdict


# --- swapping ---------------------------------------------------------------------------------------------------------
def test_the_best_photo_that_training_saw_is_swapped_in_and_measured(
    client: Client, settings: Settings, model_process: ModelProcess
) -> None:
    base = base_portraits(client)
    evidence, verdict = evidence_of(client, base, nearer=0.5)
    swap = finish(examine_swap(client, settings, base, evidence, verdict, model_process))
    assert (swap.source, swap.replaced, len(swap.portraits)) == ("best.png", PORTRAITS, PORTRAITS)
    for portrait, name in zip(base, swap.portraits, strict=True):
        with Image.open(portrait.file) as one, Image.open(client.exam_swaps / name) as two:
            assert np.abs(np.asarray(one.convert("RGB"), int) - np.asarray(two.convert("RGB"), int)).max() > 10
            assert two.getxmp()["xmpmeta"]["RDF"]["Description"]["DigitalSourceType"].endswith(
                "compositeWithTrainedAlgorithmicMedia"
            )
    files = [client.exam_swaps / name for name in swap.portraits]
    again = apart(read_files(LabMap(), files), read_files(LabMap(), [client.exam / "held.png"]))
    assert np.allclose(np.array(swap.distances), again, atol=1e-4)
    way = float(evidence.base_distances.mean() - evidence.distances.mean())
    assert swap.score == pytest.approx(float(evidence.base_distances.mean() - again.mean()) / way, abs=1e-3)


def test_it_is_made_once(client: Client, settings: Settings, model_process: ModelProcess, tmp_path: Path) -> None:
    base = base_portraits(client, faces=5)
    evidence, verdict = evidence_of(client, base, nearer=0.5)
    first = finish(examine_swap(client, settings, base, evidence, verdict, model_process))
    with ModelProcess(tmp_path / "worker.log") as idle:
        assert finish(examine_swap(client, settings, base, evidence, verdict, idle)) == first
        assert idle.starts == 0
    assert first.replaced == 5  # the others stay as the base painted them
    for portrait, name in zip(base[5:], first.portraits[5:], strict=True):
        assert (client.exam_swaps / name).read_bytes() == portrait.file.read_bytes()


def test_where_no_face_is_replaced_there_is_no_such_row(client: Client, settings: Settings, model_process: ModelProcess) -> None:
    base = base_portraits(client, faces=0)
    assert finish(examine_swap(client, settings, base, *evidence_of(client, base, nearer=0.5), model_process)) is None


@pytest.mark.parametrize("why", ["unanswered", "commercial", "no models", "no consent", "no photo"])
def test_without_leave_models_or_photo_nothing_is_opened(client: Client, models: Path, tmp_path: Path, why: str) -> None:
    use = {"unanswered": "", "commercial": "commercial"}.get(why, "research")
    folder = tmp_path / "nowhere" if why == "no models" else models
    if why == "no consent":
        client.consents_file.unlink()
    if why == "no photo":
        for path in client.training_data.glob("*/*.png"):
            path.unlink()
    base = base_portraits(client)
    with ModelProcess(tmp_path / "worker.log") as idle:
        settings = Settings(insightface_use=use, models_folder=str(folder))
        assert finish(examine_swap(client, settings, base, *evidence_of(client, base, nearer=0.5), idle)) is None
        assert idle.starts == 0


def test_torn_models_cost_the_exam_only_this_row(client: Client, models: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn"
    (torn / "buffalo_l").mkdir(parents=True)
    for name in ("buffalo_l/det_10g.onnx", "buffalo_l/w600k_r50.onnx", "inswapper_128.onnx"):
        (torn / name).write_bytes((models / name).read_bytes()[:100])
    base, events = base_portraits(client), []
    with ModelProcess(tmp_path / "worker.log") as own:
        settings = Settings(insightface_use="research", models_folder=str(torn))
        stage = examine_swap(client, settings, base, *evidence_of(client, base, nearer=0.5), own)
        try:
            while True:
                events.append(next(stage))
        except StopIteration as end:
            assert end.value is None
    told = [event for event in events if isinstance(event, Notice) and event.message == LEFT_OUT]
    assert len(told) == 1 and "buffalo_l" in str(told[0].facts["reason"])
    assert not list(client.exam_swaps.glob("swap_*.png"))


def test_without_a_dataset_there_is_no_photo_to_swap(client: Client) -> None:
    assert source_of(client) == client.processed / "best.png"
    (client.training_data / "4_ana" / "best.png").unlink()
    assert source_of(client) == client.processed / "soft.png"


# --- comparing --------------------------------------------------------------------------------------------------------
def compared(lora: float, swap: float, flags: frozenset[Flag] = frozenset(), noise: float = 0.0) -> Any:
    """Base at distance 10; a checkpoint and the swap at these, thirty-two portraits beside three photos of as many scenes."""
    rng = np.random.default_rng(0)
    around = [distance + noise * rng.standard_normal((32, 3)) for distance in (lora, swap, 10.0)]
    evidence = SimpleNamespace(distances=around[0][None], base_distances=around[2], scenes=(0, 1, 2))
    verdict = decide([Examinee(30, lora="thirty", flags=flags)], around[0][None], around[2], prompt_numbers(32), evidence.scenes)
    return verdict, compare(evidence, verdict, around[1])


def test_a_checkpoint_that_is_clearly_nearer_beats_it() -> None:
    """The checkpoint goes from 10 to 6, the swap to 8: half of that way."""
    verdict, (score, beaten_by) = compared(lora=6.0, swap=8.0, noise=0.1)
    assert beaten_by == ("thirty",)
    low, value, high = score
    assert value == pytest.approx(0.5, abs=0.02) and low < value < high < 0.6
    assert verdict.word is Word.STEP


@pytest.mark.parametrize(("lora", "swap", "noise"), [(6.0, 5.0, 0.1), (6.0, 6.0, 0.0), (6.0, 6.1, 4.0)])
def test_one_that_is_not_clearly_nearer_does_not(lora: float, swap: float, noise: float) -> None:
    assert compared(lora, swap, noise=noise)[1][1] == ()


def test_one_that_may_not_be_chosen_does_not() -> None:
    assert compared(6.0, 8.0, frozenset({Flag.RIGID}), noise=0.1)[1][1] == ()


def test_where_no_checkpoint_is_nearer_than_the_base_there_is_no_scale() -> None:
    _verdict, (score, beaten_by) = compared(lora=11.0, swap=8.0, noise=0.1)
    assert (score, beaten_by) == (None, ())


def test_the_verdict_says_so_where_no_checkpoint_is_better(client: Client, settings: Settings, model_process: ModelProcess) -> None:
    """The swap moves the stand-in's portraits by some tenths; a checkpoint that moves by less has not beaten it."""
    base = base_portraits(client)
    for nearer, better in ((5.0, True), (0.001, False)):
        evidence, verdict = evidence_of(client, base, nearer)
        swap = finish(examine_swap(client, settings, base, evidence, verdict, model_process))
        assert bool(swap.beaten_by) is better
        told = beside_swap(verdict, swap)
        assert (ExamReason.NO_BETTER_THAN_SWAP in told.reasons) is not better
        assert (told.word, told.chosen) == (verdict.word, verdict.chosen)
    assert beside_swap(verdict, None) == verdict
