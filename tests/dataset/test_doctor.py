"""The dataset doctor on datasets made to ail, and quarantine that gives every byte back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from client_folder.client import Client, create_client
from client_folder.errors import PictureMissing
from client_folder.records import Analysis, DetectedFaces, Face, Faces, Picture, Pictures, Source, Verdict
from config import Settings
from data_preprocessor import prepare_dataset
from dataset.doctor import Examination, examine, find_removable
from dataset.files import edit_caption, list_captions
from dataset.findings import Readiness
from dataset.held_back import ExamRecord
from dataset.quarantine import put_back, quarantined, take_out
from dataset.signs import Level, Sign
from pictures.photo_analysis import perceptual_hash
from utils import write_record

SETTINGS = Settings()


def sha(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def stem(source: Source, name: str) -> str:
    return f"{source}_{sha(name)[:12]}"


def noise(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).resize((64, 64), Image.Resampling.BICUBIC)


def face_of(client: Client, source: Source, name: str, seed: int, **changes: object) -> Verdict:
    image = noise(seed)
    client.processed.mkdir(exist_ok=True)
    image.save(client.processed / f"{stem(source, name)}.png")
    rng = np.random.default_rng(seed)
    measures = {
        "upscale": 1.0, "face_px": 300.0, "sharpness": 200.0, "yaw": float(rng.uniform(-0.2, 0.2)),
        "brightness": float(rng.uniform(80, 160)), "contrast": 45.0,
        **{f"background_{colour}": float(rng.uniform(0, 255)) for colour in ("red", "green", "blue")},
    }  # fmt: skip
    analysis = Analysis(
        width=64, height=64, phash=perceptual_hash(image), sharpness=9, brightness=120, contrast=40, clipped=0, light="even",
        colour_cast="none", background="soft", faces=1,
    )  # fmt: skip
    face = Verdict(
        file=f"{name}.png", sha256=sha(name), source=source, crop=f"{stem(source, name)}.png", settings="s",
        box=(10, 10, 30, 40), square=(0, 0, 60 + seed % 7), phash=perceptual_hash(image), analysis=analysis, distance=0.3,
        measures=measures,
    )  # fmt: skip
    return face.model_copy(update=changes)


def healthy(client: Client) -> list[Verdict]:
    """22 different pictures, 17 of MidJourney's and 3 photos: nothing to complain of."""
    mj = [face_of(client, Source.MIDJOURNEY, f"m{number}", number) for number in range(17)]
    return mj + [face_of(client, Source.REAL, f"r{number}", 50 + number) for number in range(3)]


def build(client: Client, faces: list[Verdict]) -> None:
    pictures = [Picture(file=face.file, original=face.file, source=face.source, sha256=face.sha256) for face in faces]
    write_record(client.images_file, Pictures(images=tuple(pictures)))
    write_record(client.faces_file, Faces(identity="known", references=3, faces=tuple(faces)))
    for _event in prepare_dataset(client, SETTINGS):
        pass


@pytest.fixture
def client(tmp_path: Path) -> Client:
    client = create_client(tmp_path, "ana", "woman")
    client.metadata.mkdir(exist_ok=True)
    return client


def signs(report: Examination) -> dict[Sign, Level]:
    return {symptom.sign: symptom.level for symptom in report.symptoms}


def test_a_healthy_dataset_is_a_go(client: Client) -> None:
    build(client, healthy(client))
    report = examine(client, SETTINGS)
    assert (report.verdict, report.reason) == (Readiness.GO, None)
    assert (report.images, report.effective) == (20, 20)
    assert report.share_real == pytest.approx(0.15, abs=0.02)


def test_without_a_dataset_it_is_a_no_go(client: Client) -> None:
    report = examine(client, SETTINGS)
    assert (report.verdict, list(signs(report))) == (Readiness.NO_GO, [Sign.NO_DATASET])


def duplicated(client: Client) -> Iterator[Verdict]:
    for number, face in enumerate(healthy(client)):
        yield face if number < 14 or face.source is Source.REAL else face_of(client, Source.MIDJOURNEY, f"m{number}", 3)


AILING = [
    (Sign.NEAR_DUPLICATES, Level.WARNING, lambda client: list(duplicated(client))),
    (
        Sign.DRIFT, Level.WARNING,
        lambda client: [f.model_copy(update={"distance": 0.7}) if f.file == "m1.png" else f for f in healthy(client)],
    ),
    (
        Sign.DRIFT_OVERALL, Level.NO_GO,
        lambda client: [f.model_copy(update={"distance": 0.7}) if f.source is Source.MIDJOURNEY else f for f in healthy(client)],
    ),
    (
        Sign.IDENTITY_OUTLIERS, Level.WARNING,
        lambda client: [f.model_copy(update={"distance": 0.55}) if f.file == "r1.png" else f for f in healthy(client)],
    ),
    (
        Sign.SAME_POSE, Level.WARNING,
        lambda client: [f.model_copy(update={"measures": {**f.measures, "yaw": 0.01}}) for f in healthy(client)],
    ),
    (
        Sign.SAME_LIGHT, Level.WARNING,
        lambda client: [f.model_copy(update={"measures": {**f.measures, "brightness": 120.0}}) for f in healthy(client)],
    ),
    (
        Sign.SAME_BACKGROUND, Level.WARNING,
        lambda client: [
            f.model_copy(update={"measures": {**f.measures, **{f"background_{c}": 90.0 for c in ("red", "green", "blue")}}})
            for f in healthy(client)
        ],
    ),
    (Sign.SAME_FRAMING, Level.NOTE, lambda client: [f.model_copy(update={"square": (0, 0, 480)}) for f in healthy(client)]),
    (Sign.FEW_EFFECTIVE, Level.WARNING, lambda client: healthy(client)[12:]),
    (Sign.SHARE_OFF, Level.WARNING, lambda client: healthy(client)[:17]),
]  # fmt: skip


@pytest.mark.parametrize(("sign", "level", "make"), AILING)
def test_each_ailment_is_found_at_its_level(client: Client, sign: Sign, level: Level, make: object) -> None:
    build(client, make(client))  # type: ignore[operator]
    report = examine(client, SETTINGS)
    assert signs(report).get(sign) is level
    assert find_removable(client, SETTINGS) == tuple(found for found in report.symptoms if found.cure_by_removing)
    expected = {Level.NOTE: Readiness.GO, Level.WARNING: Readiness.WARNINGS, Level.NO_GO: Readiness.NO_GO}
    assert report.verdict is expected[max(signs(report).values())]


def spread_by(name: str, value: float, middle: float = 0.0):
    """The healthy pictures, half of which measure so much more than the middle and half so much less."""

    def changed(client: Client) -> list[Verdict]:
        faces = healthy(client)
        return [
            face.model_copy(update={"measures": {**face.measures, name: middle + (value if number % 2 else -value)}})
            for number, face in enumerate(faces)
        ]

    return changed


# What docs and the doctor's own words name: limits a third of what six press photos of one person measure, see dataset/doctor.py.
@pytest.mark.parametrize(
    ("sign", "name", "middle", "under", "over"),
    [(Sign.SAME_POSE, "yaw", 0.0, 0.0299, 0.0301), (Sign.SAME_LIGHT, "brightness", 120.0, 5.9, 6.1)],
)
def test_from_which_spread_on_pictures_are_not_the_same(
    client: Client, sign: Sign, name: str, middle: float, under: float, over: float
) -> None:
    build(client, spread_by(name, under, middle)(client))
    assert sign in signs(examine(client, SETTINGS))
    build(client, spread_by(name, over, middle)(client))
    assert sign not in signs(examine(client, SETTINGS))


@pytest.mark.parametrize(("away", "same"), [(11.9, True), (12.1, False)])
def test_from_which_distance_of_colours_on_backgrounds_are_not_the_same(client: Client, away: float, same: bool) -> None:
    grey = {f"background_{colour}": 90.0 for colour in ("green", "blue")}
    faces = [
        face.model_copy(update={"measures": {**face.measures, **grey, "background_red": 90 + (away if number % 2 else -away)}})
        for number, face in enumerate(healthy(client))
    ]
    build(client, faces)
    assert (Sign.SAME_BACKGROUND in signs(examine(client, SETTINGS))) is same


@pytest.mark.parametrize(("pictures", "few"), [(9, True), (10, False)])
def test_under_ten_pictures_are_few(client: Client, pictures: int, few: bool) -> None:
    build(client, healthy(client)[:pictures])
    assert (Sign.FEW_EFFECTIVE in signs(examine(client, SETTINGS))) is few


@pytest.mark.parametrize(("photos", "off"), [(3, False), (4, True)])
def test_a_share_that_is_two_hundredths_off_is_said(client: Client, photos: int, off: bool) -> None:
    """15 in 100 were wanted: 3 of 20 are 0.15, 4 of 21 0.19. Laid out by hand, for the program itself comes nearer."""
    build(client, [face_of(client, Source.MIDJOURNEY, f"m{number}", number) for number in range(17)])
    folder = client.dataset_folders()[0]
    for number in range(photos):
        noise(70 + number).save(folder / f"real_{number:012}.png")
        (folder / f"real_{number:012}.txt").write_text("portrait of ana woman, outdoors\n")
    assert (Sign.SHARE_OFF in signs(examine(client, SETTINGS))) is off


@pytest.mark.parametrize(("alike", "leaks"), [(17, True), (16, False)])
def test_a_phrase_in_85_of_100_captions_leaks_into_the_trigger(client: Client, alike: int, leaks: bool) -> None:
    build(client, healthy(client))
    for number, row in enumerate(list_captions(client)):
        edit_caption(client, row.picture, f"portrait of ana woman, {'red coat' if number < alike else 'coat ' + str(number)}")
    assert (Sign.CAPTION_LEAK in signs(examine(client, SETTINGS))) is leaks


@pytest.mark.parametrize(("without", "level"), [(6, Level.WARNING), (7, Level.NO_GO)])
def test_more_than_a_third_of_captions_without_the_trigger_is_a_no_go(client: Client, without: int, level: Level) -> None:
    build(client, healthy(client))
    for row in list_captions(client)[:without]:
        edit_caption(client, row.picture, "a portrait")
    assert signs(examine(client, SETTINGS))[Sign.NO_TRIGGER] is level


@pytest.mark.parametrize(("left", "seen"), [(-22, True), (-23, False)])
def test_a_quarter_of_another_face_in_a_crop_is_seen(client: Client, left: int, seen: bool) -> None:
    """A face of 30 px whose left edge lies that far outside: 8 of its 30 columns are in the crop, or 7."""
    faces = healthy(client)
    faces[0] = faces[0].model_copy(update={"bystanders": 1})
    other = Face(box=(left, 10, 30, 40), landmarks={}, confidence=1, square=(0, 0, 60), measures={})
    detected = DetectedFaces(file="m0.png", sha256=sha("m0"), source=Source.MIDJOURNEY, method="m", faces=(other,))
    write_record(client.looks / f"{stem(Source.MIDJOURNEY, 'm0')}.json", detected)
    build(client, faces)
    assert (Sign.SECOND_FACES in signs(examine(client, SETTINGS))) is seen


def test_duplicates_leave_the_best_of_a_group(client: Client) -> None:
    faces = healthy(client)
    faces[5] = face_of(client, Source.MIDJOURNEY, "m5", 4)
    faces[4] = faces[4].model_copy(update={"measures": {**faces[4].measures, "face_px": 900.0}})
    build(client, faces)
    (symptom,) = [found for found in examine(client, SETTINGS).symptoms if found.sign is Sign.NEAR_DUPLICATES]
    assert symptom.cure_by_removing == (stem(Source.MIDJOURNEY, "m5"),)
    assert set(symptom.pictures) == {stem(Source.MIDJOURNEY, "m4"), stem(Source.MIDJOURNEY, "m5")}


def test_somebody_else_inside_a_crop_is_found(client: Client) -> None:
    faces = healthy(client)
    faces[0] = faces[0].model_copy(update={"bystanders": 1})
    others = [
        Face(box=box, landmarks={}, confidence=1, square=(0, 0, 60), measures={}) for box in ((10, 10, 30, 40), (40, 10, 15, 20))
    ]
    seen = DetectedFaces(file="m0.png", sha256=sha("m0"), source=Source.MIDJOURNEY, method="m", faces=tuple(others))
    write_record(client.looks / f"{stem(Source.MIDJOURNEY, 'm0')}.json", seen)
    build(client, faces)
    (symptom,) = [found for found in examine(client, SETTINGS).symptoms if found.sign is Sign.SECOND_FACES]
    assert symptom.pictures == (stem(Source.MIDJOURNEY, "m0"),)
    assert find_removable(client, SETTINGS) == (symptom,)


def test_captions_that_teach_the_wrong_thing(client: Client) -> None:
    build(client, healthy(client))
    rows = list_captions(client)
    for row in rows:
        edit_caption(client, row.picture, "portrait of ana woman, Red Coat")
    edit_caption(client, rows[0].picture, "portrait of a woman, red coat")
    edit_caption(client, rows[1].picture, "ana, blue eyes")
    found = {symptom.sign: symptom for symptom in examine(client, SETTINGS).symptoms}
    assert found[Sign.NO_TRIGGER].pictures == (rows[0].picture,)
    assert found[Sign.FACE_NAMED].pictures == (rows[1].picture,)
    assert (found[Sign.CAPTION_LEAK].phrase, found[Sign.CAPTION_LEAK].measured) == ("red coat", 19 / 20)


def test_captions_without_the_trigger_are_a_no_go(client: Client) -> None:
    build(client, healthy(client))
    for row in list_captions(client):
        edit_caption(client, row.picture, "a portrait")
    assert signs(examine(client, SETTINGS))[Sign.NO_TRIGGER] is Level.NO_GO


def test_a_held_photo_in_training_is_a_no_go(client: Client) -> None:
    build(client, healthy(client))
    client.exam.mkdir()
    write_record(client.exam_file, ExamRecord(scenes=((stem(Source.REAL, "r0"),),)))
    report = examine(client, SETTINGS)
    assert signs(report)[Sign.EXAM_LEAK] is Level.NO_GO
    assert report.reason is not None and report.reason.sign is Sign.EXAM_LEAK


def test_unknown_identity_is_said_and_is_no_reason_to_stop(client: Client) -> None:
    faces = [face.model_copy(update={"distance": None}) for face in healthy(client)]
    build(client, faces)
    write_record(client.faces_file, Faces(identity="none", faces=tuple(faces)))
    report = examine(client, SETTINGS)
    assert (signs(report)[Sign.IDENTITY_UNKNOWN], report.verdict) == (Level.NOTE, Readiness.GO)


# --- quarantine -------------------------------------------------------------------------------------------------------
def files(client: Client) -> dict[str, bytes]:
    folders = (client.processed, client.training_data)
    return {
        path.relative_to(client.root).as_posix(): path.read_bytes()
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_quarantine_takes_all_of_a_picture_and_gives_every_byte_back(client: Client) -> None:
    build(client, healthy(client))
    name = stem(Source.MIDJOURNEY, "m2")
    edit_caption(client, name, "ana, mi propia línea, ñandú")
    (folder,) = [path.parent for path in client.training_data.glob(f"*/{name}.png")]
    (folder / f"{name}_1024x1024_sdxl.npz").write_bytes(b"cached")
    before = files(client)
    assert take_out(client, ["m2.png"]) == (name,)
    assert not [path for path in files(client) if name in path]
    assert [record.picture for record in quarantined(client)] == ["m2.png"]
    assert examine(client, SETTINGS).images == 19
    assert put_back(client, [f"{name}.png"]) == (name,)
    assert files(client) == before
    assert quarantined(client) == ()


def test_a_quarantined_picture_stays_out_when_the_dataset_is_built_again(client: Client) -> None:
    faces = healthy(client)
    build(client, faces)
    take_out(client, ["m2.png", "r1.png"])
    build(client, faces)
    assert not list(client.training_data.glob(f"*/{stem(Source.MIDJOURNEY, 'm2')}*"))
    assert len(list(client.training_data.glob("*/*.png"))) == 18
    put_back(client, ["m2.png", "r1.png"])
    build(client, faces)
    assert len(list(client.training_data.glob("*/*.png"))) == 20


def test_a_move_that_was_cut_short_can_be_finished_or_undone(client: Client) -> None:
    build(client, healthy(client))
    before = files(client)
    name = stem(Source.MIDJOURNEY, "m2")
    take_out(client, ["m2.png"])
    (client.quarantine / f"{name}.png").rename(client.processed / f"{name}.png")  # as if killed after the record
    take_out(client, ["m2.png"])
    assert not [path for path in files(client) if name in path]
    put_back(client, ["m2.png"])
    assert files(client) == before


@pytest.mark.parametrize("failing", ["crop", "copy"])
def test_the_record_stands_before_the_first_file_moves(client: Client, failing: str) -> None:
    """A move that the system refuses stops at any of them; by then it is written where each of them was."""
    build(client, healthy(client))
    before, name = files(client), stem(Source.MIDJOURNEY, "m2")
    (folder,) = [path.parent for path in client.training_data.glob(f"*/{name}.png")]
    in_the_way = client.quarantine / (f"{name}.png" if failing == "crop" else f"{folder.name}__{name}.png")
    in_the_way.mkdir(parents=True)
    with pytest.raises(OSError):
        take_out(client, ["m2.png"])
    (record,) = quarantined(client)
    assert set(record.files.values()) == {path for path in before if name in path}
    in_the_way.rmdir()
    assert put_back(client, ["m2.png"]) == (name,)
    assert files(client) == before


def test_a_name_that_is_nobodys_is_told_before_anything_moves(client: Client) -> None:
    build(client, healthy(client))
    before = files(client)
    with pytest.raises(PictureMissing):
        take_out(client, ["m2.png", "nowhere.png"])
    assert files(client) == before
