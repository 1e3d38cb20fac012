"""A client's export taken in again: whole or not at all, nothing outside its folder, nothing of another client touched."""

import os
import shutil
import stat
import sys
import zipfile
from pathlib import Path

import pytest
from pseudo_terminal import Terminal
from stages import run
from test_command_line import DONE, FAILED, answer, small_disk
from test_command_line import run as run_program

from client_folder.client import ClientBusy, create_client, list_clients, open_client
from client_folder.export import NoRoom, export_client
from client_folder.restore import INCOMING, ClientHere, NotAnExport, OtherClient, restore_client

__all__ = ["small_disk"]


def files_of(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def exported(ana, tmp_path):
    return run(export_client(ana, tmp_path / "ana.zip"))[1].file


@pytest.fixture
def other(tmp_path):
    return tmp_path / "other"


def packed(path, *entries, base=()):
    """An archive of a client with these entries (name or ZipInfo, bytes) beside those of a whole one."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (*(base or [("ana/state.json", '{"schema": 1, "created": "2026-01-01"}')]), *entries):
            archive.writestr(name, data)
    return path


def special(name, mode):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = mode << 16
    return entry


def untouched(home):
    """What lies below a home, besides empty folders."""
    return files_of(home) if home.exists() else {}


def test_an_export_becomes_the_client_again(ana, exported, other):
    told, code = answer(other, "client", "import", exported)
    assert (code, told["imported"], told["updated"], told["kept"], told["left_out"]) == (DONE, "ana", False, [], 0)
    there = open_client(other, "ana")
    assert files_of(there.root) == {name: data for name, data in files_of(ana.root).items() if name != ".lock"}
    assert told["files"] == len(files_of(there.root))
    assert there.raw_mj.is_dir(), "an empty folder is one that stages look into"
    assert [path.name for path in (other / "clients").iterdir()] == ["ana"]
    assert "ana is here: " in run_program(other / "third", "client", "import", exported).stdout


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="only Linux tells which file a handle is of")
def test_every_file_is_on_the_disk_before_the_client_has_its_name(exported, other, monkeypatch):
    """After a power cut some seconds later a client was there whose pictures were not, and it was not taken in again."""
    synced, wait = set(), os.fsync

    def watched(handle):
        place = os.readlink(f"/proc/self/fd/{handle}")
        if not (other / "clients" / "ana").exists():
            synced.add(place)
        wait(handle)

    monkeypatch.setattr(os, "fsync", watched)
    run(restore_client(other, exported))
    names = {place.rpartition("/whole/ana/")[2] for place in synced}
    assert set(files_of(other / "clients" / "ana")) <= names


@pytest.mark.parametrize(
    "name",
    ["ana/../../evil.txt", "../evil.txt", "/evil.txt", "ana/raw_mj/../../../evil.txt", "ana//evil.txt", "ana/./evil.txt",
     "ana\\evil.txt", "ana/a\nb.txt", "second/evil.txt", "ana", "ana/state.json/evil.txt"],
)  # fmt: skip
def test_a_name_that_leads_anywhere_else_refuses_the_whole(tmp_path, other, name):
    file = packed(tmp_path / "bad.zip", (name, "evil"))
    with pytest.raises(NotAnExport):
        run(restore_client(other, file))
    assert untouched(other) == {}
    assert not list(tmp_path.rglob("evil.txt"))


@pytest.mark.parametrize("mode", [stat.S_IFLNK | 0o777, stat.S_IFIFO | 0o644, stat.S_IFCHR | 0o644], ids=["link", "pipe", "device"])
def test_links_and_odd_files_refuse_the_whole(tmp_path, other, mode):
    file = packed(tmp_path / "bad.zip", (special("ana/raw_mj/a.png", mode), "/etc/passwd"))
    with pytest.raises(NotAnExport, match=r"raw_mj/a\.png"):
        run(restore_client(other, file))
    assert untouched(other) == {}


def test_a_name_that_comes_twice_refuses_the_whole(tmp_path, other):
    with pytest.warns(UserWarning, match="Duplicate"):
        file = packed(tmp_path / "bad.zip", ("ana/a.txt", "1"), ("ana/a.txt", "2"))
    with pytest.raises(NotAnExport):
        run(restore_client(other, file))


def test_a_bomb_is_refused_by_what_it_claims(tmp_path, other):
    file = packed(tmp_path / "bomb.zip", ("ana/models/big.safetensors", bytes(200 << 20)))
    assert file.stat().st_size < 1 << 20
    with pytest.raises(NotAnExport):
        run(restore_client(other, file))
    assert untouched(other) == {}


def test_a_disk_too_small_is_told_before_anything_is_written(exported, small_disk):
    with pytest.raises(NoRoom):
        run(restore_client(small_disk, exported))
    assert untouched(small_disk) == {}


@pytest.mark.parametrize("damage", ["cut", "flipped", "text", "no state", "state"])
def test_a_file_that_is_not_whole_leaves_nothing(exported, other, tmp_path, damage):
    whole = exported.read_bytes()
    if damage == "cut":
        exported.write_bytes(whole[: len(whole) // 2])
    elif damage == "flipped":
        at = whole.index(b"avatar_v1.safetensors") + 1000
        exported.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    elif damage == "text":
        exported.write_text("no archive")
    else:
        exported = packed(tmp_path / "bad.zip", base=[("ana/state.json" if damage == "state" else "ana/a.txt", "{}")])
    with pytest.raises(NotAnExport):
        run(restore_client(other, exported))
    assert untouched(other) == {}


def test_stopped_anywhere_the_client_is_not_there_and_the_next_try_brings_it(exported, other):
    stage = restore_client(other, exported)
    next(stage)
    assert list_clients(other) == (), "half a client is none"
    with pytest.raises(ClientBusy):
        run(restore_client(other, exported))
    stage.close()
    assert untouched(other) == {}
    left = other / "clients" / INCOMING / "ana" / "whole" / "ana" / "raw_mj"
    left.mkdir(parents=True)
    (left / "of a killed run.png").write_text("x")
    there = run(restore_client(other, exported))[1].client
    assert not list(there.root.rglob("of a killed*"))
    assert not (other / "clients" / INCOMING).exists()


def test_a_client_that_is_here_is_refused_and_stays_as_it_is(ana, exported):
    before = files_of(ana.root)
    told, code = answer(ana.home, "client", "import", exported)
    assert code == FAILED
    assert "--update" in told["hint"]
    assert "--as" in told["hint"]
    assert files_of(ana.root) == before


def test_names_that_differ_only_in_case_are_one_client(exported, other):
    create_client(other, "ANA")
    with pytest.raises(ClientHere):
        run(restore_client(other, exported))


def test_under_another_name_what_is_of_the_old_trigger_word_stays_out(ana, exported):
    told, code = answer(ana.home, "client", "import", exported, "--as", "eva")
    eva = open_client(ana.home, "eva")
    assert (code, told["imported"], told["left_out"]) == (DONE, "eva", 4)
    assert (eva.raw_real / "niña ñ.jpg").read_bytes() == (ana.raw_real / "niña ñ.jpg").read_bytes()
    assert not eva.training_data.exists()
    assert not eva.models.exists()
    assert answer(ana.home, "client", "import", exported, "--as", "../eva")[1] == FAILED


def test_brought_up_to_date_it_has_what_was_made_elsewhere(ana, exported, tmp_path, other):
    """As with the notebook: exported before it was trained, trained there, exported there, taken in here."""
    there = run(restore_client(other, exported))[1].client
    (there.models / "ana_avatar_v1-000500.safetensors").write_bytes(b"new")
    there.output.mkdir()
    (there.output / "portrait.png").write_bytes(b"painted")
    (there.raw_real / "more.jpg").write_bytes(b"not a result")
    (there.models / "ana_avatar_v1.safetensors").write_bytes(b"trained on")
    back = run(export_client(there, tmp_path / "back.zip"))[1].file
    before = files_of(ana.root)
    told, code = answer(ana.home, "client", "import", back, "--update")
    assert (code, told["updated"], told["files"]) == (DONE, True, 2)
    assert told["kept"] == ["models/ana_avatar_v1.safetensors"]
    added = {"models/ana_avatar_v1-000500.safetensors": b"new", "output/portrait.png": b"painted"}
    assert {**files_of(ana.root), ".lock": b""} == {**before, **added, ".lock": b""}
    told, code = answer(ana.home, "client", "import", back, "--update", "--overwrite")
    assert (code, told["files"], told["kept"]) == (DONE, 1, [])
    assert (ana.models / "ana_avatar_v1.safetensors").read_bytes() == b"trained on"
    assert answer(ana.home, "client", "import", back, "--update")[0]["files"] == 0, "a second time there is nothing left to do"


def test_update_takes_a_client_in_that_is_not_here(exported, other):
    assert answer(other, "client", "import", exported, "--update")[0]["updated"] is False


def test_another_client_of_the_same_name_is_not_mixed_in(ana, exported, other):
    shutil.rmtree(ana.root)
    again = create_client(ana.home, "ana")
    state = again.state_file.read_text()
    again.state_file.write_text(state.replace(again.state().created, "2020-01-01T00:00:00+00:00"))
    with pytest.raises(OtherClient):
        run(restore_client(ana.home, exported, update=True))


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_here_is_not_written_through(ana, exported, tmp_path):
    (ana.models / "ana_avatar_v1.safetensors").unlink()
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (ana.models / "ana_avatar_v1.safetensors").symlink_to(mine)
    run(restore_client(ana.home, exported, update=True, overwrite=True))
    assert mine.read_text() == "mine"
    assert not os.path.islink(ana.models / "ana_avatar_v1.safetensors")
    shutil.rmtree(ana.models)
    (tmp_path / "elsewhere").mkdir()
    ana.models.symlink_to(tmp_path / "elsewhere")
    run(restore_client(ana.home, exported, update=True))
    assert list((tmp_path / "elsewhere").iterdir()) == [], "nor through a folder"


@pytest.mark.skipif(sys.platform == "win32", reason="pexpect has no pseudo-terminal on Windows")
def test_the_menu_takes_an_export_in_and_asks_where_the_client_is_here(exported, other):
    for answer_first in (False, True):
        with Terminal(other) as terminal:
            terminal.wait_for("What shall we work on?", "Import a client's export")
            while not any(line.startswith(" >") and "Import a client" in line for line in terminal.screen().splitlines()):
                terminal.press("down")
                terminal.settle(0.1)
            terminal.press("enter")
            terminal.wait_for("The .zip that export wrote:")
            terminal.press(str(exported), "enter")
            if answer_first:
                terminal.wait_for('There is a client "ana" already', "Add what was trained and painted elsewhere")
                terminal.press("enter")
                terminal.wait_for("ana is up to date: 0 files")
            else:
                terminal.wait_for("ana is here: ")
            terminal.wait_for("Next for ana:")
