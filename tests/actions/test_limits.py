"""Limits of one client and of the program: who is judged by which, where they lie, and that what is moved where is said."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import program
from looked_at import looked_at
from stages import finish

from actions.limits import Scope, move_limits, preview_limits
from actions.review import accept_pictures
from client_folder.client import Client, ClientState, open_client
from client_folder.records import Analysis, Source
from config import Settings, load_settings, settings_file
from data_preprocessor import plan_dataset
from dataset.caption_sources import details
from dataset.doctor import examine
from image_processor import plan_process, process_faces
from terminal.view_faces import VIEWS
from utils import SettingRefused, read_record, write_record

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = Settings()


@pytest.fixture
def home(tmp_path):
    """Two clients, each with a bright photo, one at brightness 35 and one at 10; limits refuse what is under 40."""
    for name in ("ana", "eva"):
        looked_at(tmp_path, name, bright=120, dim=35, dark=10)
    return tmp_path


@pytest.fixture
def ana(home):
    return open_client(home, "ana")


def accepted(client):
    return sorted(face.file for face in client.faces() if face.crop)


def move(home, client, *changes, everywhere=False):
    return finish(move_limits(home, client, load_settings(home), changes, everywhere))


def answer(home, *words):
    told = subprocess.run([*program(home, *words), "--json"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return json.loads(told.stdout)


def shown(record):
    from rich.console import Console

    console = Console(width=200)
    with console.capture() as capture:
        console.print(VIEWS[type(record)](record))
    return capture.get()


def test_a_limit_moved_for_a_client_leaves_every_other_client_alone(home, ana):
    eva = open_client(home, "eva")
    answer(home, "limits", "--client", "ana", "min_brightness=30")
    assert accepted(ana) == ["bright.png", "dim.png"]
    assert not settings_file(home).exists()
    finish(process_faces(eva, load_settings(home)))
    assert accepted(eva) == ["bright.png"]
    assert plan_process(ana, load_settings(home)).new == plan_process(eva, load_settings(home)).new == 0


def test_everywhere_moves_the_programs_and_leaves_a_clients_own(home, ana):
    eva = open_client(home, "eva")
    move(home, ana, "min_brightness=30")
    report = move(home, ana, "min_brightness=5", "max_noise=7", everywhere=True)
    assert (report.move.scope, report.move.own_stays) == (Scope.PROGRAM, ("min_brightness",))
    assert load_settings(home).quality.min_brightness == 5
    for client in (ana, eva):
        finish(process_faces(client, load_settings(home)))
    assert (accepted(ana), accepted(eva)) == (["bright.png", "dim.png"], ["bright.png", "dark.png", "dim.png"])
    move(home, ana, "default:min_brightness", everywhere=True)
    assert load_settings(home).quality.min_brightness == SETTINGS.quality.min_brightness


def test_a_limit_is_given_back(home, ana):
    before = ana.state_file.read_bytes()
    assert b"limits" not in before  # so that a program of before reads the file
    move(home, ana, "min_brightness=30", "raw.max_noise=13")
    assert read_record(ana.state_file, ClientState).limits == {"min_brightness": 30, "raw.max_noise": 13}
    report = move(home, ana, "default:min_brightness", "quality.max_noise=9")
    assert ana.state().limits == {"raw.max_noise": 13, "max_noise": 9}
    assert ("min_brightness", "30", "40") in report.move.changes
    assert accepted(ana) == ["bright.png"]
    move(home, ana, "default:max_noise", "default:raw.max_noise")
    assert ana.state_file.read_bytes() == before


def test_a_client_made_before_has_none(ana):
    ana.state_file.write_text('{"schema": 1, "created": "2026-01-01T00:00:00+00:00", "class_word": "woman", "base_model": ""}')
    assert ana.state().limits == {}
    assert plan_process(ana, SETTINGS).new == 0


def test_its_limits_go_with_a_clients_folder(home, ana, tmp_path_factory):
    move(home, ana, "min_brightness=30")
    other = tmp_path_factory.mktemp("other")
    shutil.copytree(home / "clients", other / "clients")
    moved = open_client(other, "ana")
    assert (accepted(moved), plan_process(moved, Settings()).new) == (["bright.png", "dim.png"], 0)


def test_all_that_judge_go_by_the_clients_own(home, ana):
    """Accepting by hand, captions and the findings of the dataset: each says otherwise under limits of the client's own."""
    finish(accept_pictures(ana, SETTINGS, ["IMG dark.png"]))
    settings = SETTINGS.model_copy(update={"distribution": SETTINGS.distribution.model_copy(update={"min_pictures": 1})})
    analysis = Analysis(
        width=64, height=64, phash="0" * 16, sharpness=9, brightness=120, contrast=40, clipped=0, light="even", colour_cast="none",
        background="soft", faces=1,
    )  # fmt: skip
    seen = {"analysis": analysis, "measures": {"turn": 0.3}}
    faces = [face.model_copy(update=seen) for face in ana.faces() if face.crop]
    own = {"warn_upscale": 1.5, "warn_turn": 0.1, "warn_distance": 0.01, "min_brightness": 30.0}

    def says():
        codes = {finding.code.value for finding in plan_dataset(ana, settings).findings}
        turned = any("turned" in words for said in details(ana, faces, settings, {}).values() for words in said)
        return "enlarged" in codes, turned

    write_record(ana.state_file, ana.state().model_copy(update={"limits": {"warn_turn": 0.5}}))
    assert says() == (False, False)
    write_record(ana.state_file, ana.state().model_copy(update={"limits": own}))
    assert says() == (True, True)
    finish(accept_pictures(ana, settings, ["undo:IMG dark.png"]))
    assert accepted(ana) == ["bright.png", "dim.png"]


def test_the_doctor_goes_by_the_clients_own(home, ana):
    from data_preprocessor import prepare_dataset

    settings = SETTINGS.model_copy(update={"distribution": SETTINGS.distribution.model_copy(update={"min_pictures": 1})})
    finish(accept_pictures(ana, settings, ["IMG dark.png", "IMG dim.png"]))
    finish(prepare_dataset(ana, settings))
    assert ana.judged().identity == "known"
    assert "identity_outliers" not in {symptom.sign.value for symptom in examine(ana, settings).symptoms}
    write_record(ana.state_file, ana.state().model_copy(update={"limits": {"warn_distance": 0.01}}))
    assert "identity_outliers" in {symptom.sign.value for symptom in examine(ana, settings).symptoms}


def test_nobody_who_judges_reads_the_programs_limits_alone():
    readers = {
        path.stem for path in ROOT.glob("*.py") if re.search(r"(?:settings|config)\w*\.quality\b", path.read_text(encoding="utf-8"))
    }
    assert readers <= {"config", "limits"}


@pytest.mark.parametrize("changes", [("no_such=1",), ("default:no_such",), ("min_brightness=-3",), ("max_noise",), ("raw=1",)])
@pytest.mark.parametrize("everywhere", [False, True])
def test_what_is_no_limit_is_refused_and_nothing_is_written(home, ana, changes, everywhere):
    before = ana.state_file.read_bytes()
    with pytest.raises(SettingRefused):
        move(home, ana, "max_noise=9", *changes, everywhere=everywhere)
    assert ana.state_file.read_bytes() == before
    assert not settings_file(home).exists()


def test_a_limit_that_is_none_in_a_state_is_named_with_its_file(ana):
    write_record(ana.state_file, ana.state().model_copy(update={"limits": {"min_beauty": 3.0}}))
    with pytest.raises(SettingRefused) as refused:
        plan_process(ana, SETTINGS)
    assert "state.json: limits.min_beauty" in refused.value.text()


def test_scripts_read_whose_limits_are_moved(home):
    plan = answer(home, "limits", "--client", "ana", "min_brightness=30", "--plan")
    assert (plan["accepted_before"], plan["accepted_after"], plan["scope"]) == (1, 2, "client")
    assert plan["changes"] == [{"limit": "min_brightness", "old": "40", "new": "30"}]
    assert [refused["source"] for refused in plan["gained"]] == ["IMG dim.png"]
    assert plan["lost"] == []
    assert plan["limits"]["min_brightness"] == {"value": 30, "program": 40, "own": True}
    report = answer(home, "limits", "--client", "ana", "min_brightness=30")
    assert {"accepted", "rejected", "warnings", "bystanders", "identity", "references"} < set(report)
    assert (report["scope"], len(report["accepted"]), report["changes"]) == ("client", 2, plan["changes"])
    report = answer(home, "limits", "--client", "ana", "min_brightness=35.5", "--everywhere")
    assert (report["scope"], report["own_stays"]) == ("program", ["min_brightness"])
    assert report["limits"]["min_brightness"] == {"value": 30, "program": 35.5, "own": True}


def test_people_are_told_whose_limits_are_moved(home, ana):
    assert "ana alone" in shown(preview_limits(ana, SETTINGS, ["min_brightness=30"]))
    assert "ana alone" in shown(move(home, ana, "min_brightness=30"))
    rows = shown(preview_limits(ana, SETTINGS, [])).splitlines()
    (row,) = [row for row in rows if "min_brightness" in row]
    assert "30" in row and "ana alone" in row and "40" in row
    assert all("the program's" in row for row in rows if "max_noise" in row)
    everywhere = shown(preview_limits(ana, SETTINGS, ["min_brightness=20"], everywhere=True))
    assert "every client" in everywhere and "keeps it: min_brightness" in everywhere
    assert "the program's again" in shown(preview_limits(ana, SETTINGS, ["default:min_brightness"]))


def test_the_settings_still_move_the_programs(home):
    answer(home, "settings", "quality.min_brightness=30")
    for name in ("ana", "eva"):
        client = Client(home / "clients" / name)
        finish(process_faces(client, load_settings(home)))
        assert accepted(client) == ["bright.png", "dim.png"]
        assert all(face.source is Source.REAL for face in client.faces())
