"""A client in one .zip: whole, checked, never over another file, and working where it is unpacked."""

import hashlib
import os
import sys
import zipfile

import pytest
from stages import run
from test_command_line import DONE, FAILED, STOPPED, answer, small_disk
from test_command_line import run as run_program

from client_folder import export as client_export
from client_folder.client import Client, ClientBusy, open_client
from client_folder.export import AmongClients, NoRoom, export_client, exports_folder
from lora_trainer import trained_lora
from machine.base_models import BaseKind
from training.inputs import read_dataset
from utils import FolderMissing, PipelineError, Progress

__all__ = ["small_disk"]


def files_of(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_unpacked_in_another_home_the_client_is_there_and_works(ana, tmp_path):
    told, code = answer(ana.home, "client", "export", "ana", "--to", tmp_path / "ana.zip")
    assert code == DONE
    assert set(told) >= {"file", "files", "bytes", "sha256"}
    archive = tmp_path / "ana.zip"
    assert told["file"] == str(archive)
    assert told["bytes"] == archive.stat().st_size
    assert told["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    other = tmp_path / "other"
    (other / "clients").mkdir(parents=True)
    with zipfile.ZipFile(archive) as packed:
        assert packed.testzip() is None
        packed.extractall(other / "clients")
    there = open_client(other, "ana")
    assert {**files_of(there.root), ".lock": b""} == {**files_of(ana.root), ".lock": b""}
    assert told["files"] == len(files_of(there.root))
    assert there.raw_mj.is_dir(), "an empty folder is one that stages look into"
    assert there.state() == ana.state()
    assert read_dataset(there, BaseKind.SDXL) == read_dataset(ana, BaseKind.SDXL)
    shown = [answer(home, "client", "show", "ana")[0]["steps"][1:] for home in (ana.home, other)]
    assert shown[0] == shown[1]
    assert answer(other, "train", "--client", "ana", "--plan", "--base", "sdxl", "--gpu", "RTX 3060 12GB")[1] == DONE


def test_the_sample_client_goes_on_elsewhere_with_its_lora(demo, tmp_path):
    _events, report = run(export_client(Client(demo.client), tmp_path))
    (tmp_path / "clients").mkdir()
    with zipfile.ZipFile(report.file) as packed:
        packed.extractall(tmp_path / "clients")
    there = open_client(tmp_path, "demo")
    assert trained_lora(there) == there.models / trained_lora(Client(demo.client)).name
    steps = answer(tmp_path, "client", "show", "demo")[0]["steps"]
    assert steps[1:] == answer(demo.home, "client", "show", "demo")[0]["steps"][1:]
    again, code = answer(tmp_path, "train", "--client", "demo", "--yes")
    assert (code, again["resumed_from"]) == (DONE, again["steps"]), "nothing is left to train"


def test_text_is_compressed_and_what_is_compressed_already_is_stored(ana, tmp_path):
    _events, report = run(export_client(ana, tmp_path))
    with zipfile.ZipFile(report.file) as packed:
        kinds = {entry.filename: entry.compress_type for entry in packed.infolist()}
    assert kinds["ana/training_data/10_ana/a.txt"] == kinds["ana/state.json"] == zipfile.ZIP_DEFLATED
    assert kinds["ana/models/ana_avatar_v1.safetensors"] == kinds["ana/raw_real/niña ñ.jpg"] == zipfile.ZIP_STORED


def test_what_is_of_this_machine_or_made_again_stays_here(ana, tmp_path):
    mine = ana.raw_real / "notes.npz"  # no cache, whatever its name
    caches = [ana.dataset_folder(10) / "a_0064x0064_sdxl.npz", ana.training / "regularisation" / "1_woman" / "b_te.npz"]
    local = [ana.trainer_pid, ana.tensorboard_file, ana.raw_mj / ".0.part", ana.metadata / ".faces.json.part"]
    local += [ana.tuning_run, ana.tuning_study, ana.trial_folder(0) / "models" / "ana_avatar_v1.safetensors"]
    for path in (mine, *caches, *local):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    _events, report = run(export_client(ana, tmp_path))
    with zipfile.ZipFile(report.file) as packed:
        names = {name.removeprefix("ana/") for name in packed.namelist()}
    left = {path.relative_to(ana.root).as_posix() for path in (*caches, *local)} | {".lock"}
    assert "raw_real/notes.npz" in names
    assert not names & left
    swept = {path.relative_to(ana.root).as_posix() for path in local if path.suffix == ".part"}
    assert {name for name in names if not name.endswith("/")} | left == set(files_of(ana.root)) | {".lock"} | swept


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_are_not_followed_and_are_named(ana, tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "other.txt").write_text("of somebody else")
    (ana.raw_real / "folder").symlink_to(tmp_path / "secret")
    (ana.raw_real / "file.txt").symlink_to(tmp_path / "secret" / "other.txt")
    (ana.output).mkdir()
    os.mkfifo(ana.output / "pipe")
    told, code = answer(ana.home, "client", "export", "ana", "--to", tmp_path)
    assert code == DONE
    assert told["left_out"] == ["output/pipe", "raw_real/file.txt", "raw_real/folder"]
    with zipfile.ZipFile(told["file"]) as packed:
        assert not [name for name in packed.namelist() if "other" in name or "file.txt" in name]
    assert "left out: 3" in run_program(ana.home, "client", "export", "ana", "--to", tmp_path / "b.zip").stdout


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_text_costs_only_its_own_file(ana, tmp_path):
    (ana.output / "x").mkdir(parents=True)
    with open(os.fsencode(ana.output) + b"/x/\xff\xfe.png", "wb") as file:
        file.write(b"x")
    told, code = answer(ana.home, "client", "export", "ana", "--to", tmp_path)
    assert (code, len(told["left_out"])) == (DONE, 1)


def test_without_a_place_it_lies_beside_the_clients_and_none_writes_over_another(ana):
    told, code = answer(ana.home, "client", "export", "--client", "ana")
    assert code == DONE
    assert list(exports_folder(ana.home).iterdir()) == [exports_folder(ana.home) / os.path.basename(told["file"])]
    assert open_client(ana.home, "ana").state()


def test_a_file_is_written_over_only_when_that_is_said(ana, tmp_path):
    mine = tmp_path / "mine.zip"
    mine.write_text("mine")
    told, code = answer(ana.home, "client", "export", "ana", "--to", mine)
    assert code == FAILED
    assert "--overwrite" in told["hint"]
    assert mine.read_text() == "mine"
    assert answer(ana.home, "client", "export", "ana", "--to", mine, "--overwrite")[1] == DONE
    assert zipfile.is_zipfile(mine)


@pytest.mark.parametrize("place", ["clients/ana", "clients/ana/output/x.zip", "clients", "clients/../clients/ana/raw_mj"])
def test_it_does_not_lie_among_what_is_exported(ana, place):
    (ana.root / "output").mkdir()
    before = files_of(ana.home)
    with pytest.raises(AmongClients):
        next(export_client(ana, ana.home / place, overwrite=True))
    assert files_of(ana.home) == before


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_another_name_for_the_folder_does_not_help(ana, tmp_path):
    (tmp_path / "alias").symlink_to(ana.root)
    with pytest.raises(AmongClients):
        next(export_client(ana, tmp_path / "alias"))


@pytest.mark.parametrize("place", ["nowhere", "nowhere/ana.zip"])
def test_a_folder_that_is_not_there_is_not_made(ana, tmp_path, place):
    with pytest.raises(FolderMissing):
        next(export_client(ana, tmp_path / place))
    assert not (tmp_path / "nowhere").exists()


def test_a_disk_too_small_is_told_before_anything_is_written(ana, small_disk):
    with pytest.raises(NoRoom) as told:
        next(export_client(ana, small_disk))
    assert "may need 4.2 MB" in str(told.value)
    assert list(small_disk.iterdir()) == []


def test_a_client_that_is_worked_on_is_left_alone(ana, tmp_path):
    with ana.lock():
        told, code = answer(ana.home, "client", "export", "ana", "--to", tmp_path)
    assert code == FAILED
    assert "Another program" in told["error"]
    stage = export_client(ana, tmp_path)
    next(stage)
    with pytest.raises(ClientBusy), ana.lock():
        pass
    stage.close()


def test_every_file_is_told_and_stopping_at_any_of_them_leaves_nothing(ana, tmp_path):
    target = tmp_path / "out"
    target.mkdir()
    events, report = run(export_client(ana, target))
    packing = [event for event in events if isinstance(event, Progress) and event.stage == client_export.STAGE]
    assert len(packing) == report.files + 1, "and the large one twice"
    assert packing[-1].done == packing[-1].total == 5
    assert [event.done for event in packing] == sorted(event.done for event in packing)
    report.file.unlink()
    for stop in range(1, len(events) + 1):
        stage = export_client(ana, target)
        for _event in range(stop):
            next(stage)
        stage.close()
        assert list(target.iterdir()) == []
    with ana.lock():
        pass


def test_what_a_killed_export_left_is_swept_away_by_the_next(ana):
    folder = exports_folder(ana.home)
    folder.mkdir()
    left, others = (
        folder / ".ana_2025-01-01_120000.zip.999999999-815.part",
        folder / ".ana_b_2025-01-01_120000.zip.999999999-815.part",
    )
    left.write_bytes(b"x")
    others.write_bytes(b"x")
    run(export_client(ana))
    assert (left.exists(), others.exists()) == (False, True)


@pytest.mark.parametrize("name", ["ana.zip", "ana_2025-01-01_120000.zip"])
def test_it_is_swept_away_where_the_user_wanted_it_too(ana, tmp_path, name):
    left, others = tmp_path / f".{name}.999999999-815.part", tmp_path / ".eva.zip.999999999-815.part"
    left.write_bytes(b"x")
    others.write_bytes(b"x")
    run(export_client(ana, tmp_path / "ana.zip"))
    assert (left.exists(), others.exists()) == (False, True)


def test_a_file_older_than_zip_can_say_is_exported_all_the_same(ana, tmp_path):
    os.utime(ana.raw_real / "niña ñ.jpg", (0, 0))
    assert run(export_client(ana, tmp_path))[1].files


def test_erasing_keeps_an_export_when_that_is_asked_for(ana, tmp_path):
    count = len(files_of(ana.root))
    words = ("client", "erase", "ana", "--export-first", "--to", tmp_path / "last.zip")
    assert run_program(ana.home, *words).returncode == STOPPED
    told, code = answer(ana.home, *words, "--yes")
    assert (code, told["erased"], told["exported"]["files"]) == (DONE, "ana", count)
    assert zipfile.ZipFile(tmp_path / "last.zip").testzip() is None
    assert not ana.root.exists()


def test_nothing_is_erased_where_the_export_fails(ana, tmp_path):
    with pytest.raises(PipelineError):
        next(export_client(ana, tmp_path / "nowhere"))
    assert answer(ana.home, "client", "erase", "ana", "--yes", "--export-first", "--to", tmp_path / "nowhere")[1] == FAILED
    assert ana.state()


def test_help_says_where_it_goes(tmp_path):
    shown = run_program(tmp_path, "client", "--help").stdout
    assert "exports beside clients" in " ".join(shown.split())
