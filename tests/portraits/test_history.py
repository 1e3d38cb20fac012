"""Runs of portraits: a sheet each, a history that bears deleted files, favourites, and what is delivered of them."""

import threading
import zipfile

import pytest
from PIL import Image
from stages import finish

from client_folder.client import create_client
from client_folder.export import AmongClients, FileThere
from client_folder.records import Faces, Source, Verdict
from portraits.delivery import Metadata, NothingToDeliver, deliver
from portraits.history import PortraitMissing, find_portraits, keep_run, mark_favourites, read_history, there
from portraits.portrait import Portrait, PortraitRecord, write_portrait
from portraits.recipes import RecipeKind
from portraits.sdxl import Sampler
from portraits.sheet import write_sheet
from utils import locked, write_record

PROMPTS = ("portrait of ana woman, smiling, beach background", "portrait of ana woman, serious, black shirt")
LORA = "ana_avatar_v1.safetensors"


@pytest.fixture
def client(tmp_path):
    """A client with one crop of MidJourney's and, behind it in the record, one of a real photo."""
    client = create_client(tmp_path, "ana", "woman")
    client.processed.mkdir()
    faces = []
    for source, colour in ((Source.MIDJOURNEY, (0, 0, 200)), (Source.REAL, (0, 200, 0))):
        Image.new("RGB", (256, 256), colour).save(client.processed / f"{source}.png")
        faces.append(Verdict(file=f"{source}.png", sha256="0" * 64, source=source, crop=f"{source}.png", settings=""))
    write_record(client.faces_file, Faces(faces=tuple(faces)))
    return client


def painted(client, prompts=PROMPTS, seeds=(11,), lora=LORA, weight=0.85):
    """Portraits as a run leaves them: files with their records."""
    client.output.mkdir(exist_ok=True)
    images = []
    for prompt in prompts:
        for seed in seeds:
            record = PortraitRecord(
                prompt=prompt, negative="", seed=seed, steps=8, guidance=2, sampler=Sampler.OWN, width=64, height=64, base="b",
                base_digest="0", lora=lora, lora_sha256="1", weight=weight, kind=RecipeKind.BASE,
            )  # fmt: skip
            file = client.output / f"portrait_{seed}_{record.digest()}.png"
            write_portrait(file, Image.new("RGB", (64, 64), (200, seed, 0)), record)
            images.append(Portrait(file, seed, lora, weight, prompt))
    return images


def test_every_run_has_a_sheet_and_none_is_written_over(client):
    first = write_sheet(client, painted(client))
    before = first.read_bytes()
    second = write_sheet(client, painted(client, seeds=(12,)))
    assert [first.name, second.name] == ["portraits_001.png", "portraits_002.png"]
    assert first.parent == client.output / "sheets" and first.read_bytes() == before
    assert write_sheet(client, painted(client)) == first, "the same portraits have their sheet"
    assert [run.number for run in read_history(client).runs] == [1, 2]
    client.portraits_file.unlink()
    assert write_sheet(client, painted(client, seeds=(13,))).name == "portraits_003.png"


def test_real_photos_stand_first_among_the_references(client):
    with Image.open(write_sheet(client, painted(client))) as sheet:
        colours = [sheet.getpixel((10 + number * 202 + 96, 10 + 40 + 96)) for number in range(2)]
    assert colours[0][1] > 150 > 60 > colours[0][2] and colours[1][2] > 150 > 60 > colours[1][1]


def test_a_caption_makes_the_sheet_higher_and_says_so_in_red(client):
    images = painted(client)
    with Image.open(write_sheet(client, images)) as bare:
        height = bare.height
    client.portraits_file.unlink()
    with Image.open(write_sheet(client, images, caption="painted by the practice model")) as told:
        assert told.height > height
        assert any(red > 150 and green < 120 for red, green, _blue in told.crop((0, 0, told.width, 34)).get_flattened_data())


def test_portraits_are_found_by_number_run_or_name_as_long_as_they_are_there(client):
    first, second = painted(client), painted(client, seeds=(12,))
    write_sheet(client, first)
    write_sheet(client, second)
    assert find_portraits(client, ["2", "1:1", first[1].file.name, second[0].file.stem]) == (
        second[1].file, first[0].file, first[1].file, second[0].file,
    )  # fmt: skip
    second[1].file.unlink()
    for word in ("2", "3", "9:1", "0", "portrait_nobody", "../state"):
        with pytest.raises(PortraitMissing):
            find_portraits(client, [word])


def test_favourites_are_kept_taken_back_and_bear_deleted_files(client):
    images = painted(client, seeds=(11, 12))
    write_sheet(client, images)
    mark_favourites(client, ["1", "3", "1"])
    assert there(client, read_history(client).favourites) == (images[0].file, images[2].file)
    mark_favourites(client, ["undo:1", "4"])
    images[3].file.unlink()
    assert there(client, read_history(client).favourites) == (images[2].file,)
    before = client.portraits_file.read_bytes()
    with pytest.raises(PortraitMissing):
        mark_favourites(client, ["1", "77"])
    assert client.portraits_file.read_bytes() == before


def test_favourites_marked_while_another_program_paints_are_kept_beside_its_run(client):
    images = painted(client, seeds=(11, 12))
    write_sheet(client, images)
    run = read_history(client).runs[0].model_copy(update={"number": 2})
    with locked(client.portraits_file):  # another program is in the middle of its change
        marking = threading.Thread(target=mark_favourites, args=(client, ["1"]))
        others = marking, threading.Thread(target=keep_run, args=(client, run))
        for other in others:
            other.start()
        for other in others:
            other.join(0.3)
        assert all(other.is_alive() for other in others), "each waits for its turn"
    for other in others:
        other.join()
    history = read_history(client)
    assert (len(history.runs), history.favourites) == (2, (images[0].file.name,))


def delivered(client, to, metadata=Metadata.MARK, words=(), **options):
    report = finish(deliver(client, words, to, metadata, **options))
    with zipfile.ZipFile(report.file) as archive:
        assert archive.testzip() is None
        return report, archive.namelist()


def test_favourites_are_delivered_under_names_that_can_be_read_and_nothing_else(client, tmp_path):
    write_sheet(client, painted(client))
    mark_favourites(client, ["1", "2"])
    report, names = delivered(client, tmp_path / "for_ana.zip")
    assert report.file == tmp_path / "for_ana.zip"
    assert names == ["ana_01_smiling_beach_background_seed11.png", "ana_02_serious_black_shirt_seed11.png", "contact_sheet.jpg"]
    with zipfile.ZipFile(report.file) as archive, archive.open("contact_sheet.jpg") as file, Image.open(file) as sheet:
        assert sheet.width > 2 * 320


@pytest.mark.parametrize(("metadata", "prompt", "mark"), [("mark", False, True), ("full", True, True), ("none", False, False)])
def test_a_picture_tells_what_was_chosen_and_keeps_its_pixels(client, tmp_path, metadata, prompt, mark):
    images = painted(client, PROMPTS[:1])
    write_sheet(client, images)
    report, names = delivered(client, tmp_path, Metadata(metadata), ["1"])
    with zipfile.ZipFile(report.file) as archive:
        data = archive.read(names[0])
        assert (b"parameters" in data, b"trainedAlgorithmicMedia" in data) == (prompt, mark)
        with archive.open(names[0]) as file, Image.open(file) as image, Image.open(images[0].file) as original:
            assert image.convert("RGB").tobytes() == original.convert("RGB").tobytes()


def test_nothing_chosen_and_files_that_are_there_are_said(client, tmp_path):
    write_sheet(client, painted(client))
    with pytest.raises(NothingToDeliver):
        finish(deliver(client, (), tmp_path, Metadata.MARK))
    (tmp_path / "mine.zip").write_text("mine")
    with pytest.raises(FileThere):
        finish(deliver(client, ("1",), tmp_path / "mine.zip", Metadata.MARK))
    assert (tmp_path / "mine.zip").read_text() == "mine"
    with pytest.raises(AmongClients):
        finish(deliver(client, ("1",), client.output, Metadata.MARK))
    assert delivered(client, tmp_path / "mine.zip", words=("1",), overwrite=True)[1]
