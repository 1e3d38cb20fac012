"""Names, folders, records and the lock of a client, on a real disk."""

import os
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from client_folder.client import (
    Client,
    ClientBusy,
    ClientExists,
    ClientMissing,
    create_client,
    list_clients,
    open_client,
)
from client_folder.names import BadClientId
from client_folder.records import Faces, Picture, Pictures, Source, Verdict
from utils import BrokenFile, write_record


@pytest.mark.parametrize("name", ["ana", "Ana_2", "cliente01-nombre", "ab"])
def test_good_names_make_a_folder(tmp_path, name):
    client = create_client(tmp_path, name, "woman")
    assert client.root == tmp_path / "clients" / name
    assert client.state().class_word == "woman"
    assert [known.id for known in list_clients(tmp_path)] == [name]


BAD_NAMES = [
    "",
    "a",
    "../x",
    "x/../y",
    "/etc",
    "C:\\x",
    "CON",
    "con",
    "nul",
    "COM1",
    "lpt9",
    "a b",
    "ñandú",
    "1ana",
    ".hidden",
    "-x",
    "a" * 41,
    "x\n",
    "a.b",
    "~",
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_bad_names_are_refused_and_make_nothing(tmp_path, name):
    with pytest.raises(BadClientId):
        create_client(tmp_path, name)
    with pytest.raises(BadClientId):
        open_client(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_a_client_is_made_once_whatever_the_case(tmp_path):
    create_client(tmp_path, "ana")
    for again in ("ana", "ANA"):
        with pytest.raises(ClientExists):
            create_client(tmp_path, again)


def test_an_unknown_client_is_told_with_the_known_ones(tmp_path):
    create_client(tmp_path, "ana")
    with pytest.raises(ClientMissing) as caught:
        open_client(tmp_path, "eva")
    assert "ana" in caught.value.cure()


def test_folders_without_state_are_no_clients(tmp_path):
    (tmp_path / "clients" / "notes").mkdir(parents=True)
    assert list_clients(tmp_path) == ()


def test_a_broken_state_is_named_and_kept(tmp_path):
    client = create_client(tmp_path, "ana")
    client.state_file.write_text('{"schema": 9}')
    with pytest.raises(BrokenFile):
        client.state()
    assert client.state_file.read_text() == '{"schema": 9}'


def test_records_come_back_as_they_were_written(tmp_path):
    client = create_client(tmp_path, "ana")
    pictures = Pictures(
        images=(Picture(file="ñ.png", original="ñ.png", source=Source.MIDJOURNEY, sha256="0" * 64, width=3, height=4),)
    )
    write_record(client.images_file, pictures)
    assert client.pictures() == pictures.images
    assert '"schema": 1' in client.images_file.read_text(encoding="utf-8")


def test_a_moved_folder_works_where_it_lies(tmp_path):
    client = create_client(tmp_path / "one", "ana")
    (tmp_path / "two").mkdir()
    (client.root.parent).rename(tmp_path / "two" / "clients")
    assert open_client(tmp_path / "two", "ana").state().class_word == "person"


HOLDER = """
import sys
from pathlib import Path
from client_folder.client import Client
with Client(Path(sys.argv[1])).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_program_is_told_and_the_lock_dies_with_its_holder(tmp_path):
    client = create_client(tmp_path, "ana")
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, client.root], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline().strip() == b"held"
    with pytest.raises(ClientBusy), client.lock():
        pass
    holder.kill()
    holder.wait()
    with client.lock():
        assert Client(client.root).state()


def test_whoever_holds_a_client_sweeps_what_killed_programs_left(tmp_path):
    client = create_client(tmp_path, "ana")
    client.output.mkdir()
    left = [client.root / ".state.json.999999999-815.part", client.output / ".portraits.json.999999999-815.part"]
    for path in left:
        path.write_text('{"half')
    whole = client.output / "portrait.part"
    whole.write_bytes(b"a name that somebody gave")
    written = client.output / f".ana.safetensors.{os.getpid()}-815.part"  # by an export, which does not hold the client
    written.write_bytes(b"half, so far")
    with client.lock():
        assert [path.exists() for path in (*left, whole, written)] == [False, False, True, True]


def test_nobody_holds_a_client_that_was_erased_meanwhile(tmp_path):
    client = create_client(tmp_path, "ana")
    shutil.rmtree(client.root)
    with pytest.raises(ClientMissing), client.lock():
        pass
    assert not client.root.exists()


def test_a_class_word_that_is_no_text_is_named(tmp_path):
    client = create_client(tmp_path, "ana")
    client.state_file.write_text('{"schema": 1, "created": "2025-01-01", "class_word": true}')
    with pytest.raises(BrokenFile) as caught:
        client.state()
    assert "class_word" in str(caught.value)


def test_a_creation_that_was_cut_off_can_be_done_again(tmp_path):
    started = tmp_path / "clients" / "ana"
    for name in ("raw_mj", "raw_real", "metadata"):
        (started / name).mkdir(parents=True)
    (started / ".state.json.999999999-815.part").write_text('{"half')
    assert create_client(tmp_path, "ana").state().class_word == "person"
    assert not list(started.glob(".*.part"))


@pytest.mark.parametrize("cut", [0, 1, 30], ids=["empty", "a byte less", "much less"])
def test_a_torn_crop_is_no_crop(tmp_path, cut):
    client = create_client(tmp_path, "ana")
    client.processed.mkdir()
    faces = []
    for name in ("whole", "torn", "gone"):
        faces.append(Verdict(file=f"{name}.jpg", sha256="0" * 64, source=Source.REAL, crop=f"{name}.png", settings=""))
        Image.effect_noise((32, 32), 50).save(client.processed / f"{name}.png")
    write_record(client.faces_file, Faces(faces=tuple(faces)))
    torn = client.processed / "torn.png"
    os.truncate(torn, torn.stat().st_size - cut if cut else 0)
    (client.processed / "gone.png").unlink()
    assert [face.crop for face in client.crops()] == ["whole.png"]
