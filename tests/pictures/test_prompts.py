"""The prompts of a client's jobs: what is missing, the master prompt, what the user tells and takes back, also by script."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from conftest import program
from PIL import Image
from stages import finish

from actions.imports import prompts_form
from client_folder.client import Client, create_client
from data_preprocessor import import_midjourney
from pictures.midjourney_jobs import proposed_usernames
from pictures.midjourney_records import read_midjourney_file
from pictures.prompts import ListRefused, UnknownJob, read_prompts, tell
from pictures.user_notes import read_user_notes
from utils import BrokenFile

JOBS = tuple(f"{number}1111111-2b3c-4d5e-9f60-ba9876543210" for number in range(6))


@pytest.fixture
def client(tmp_path: Path) -> Client:
    """Four jobs with a prompt of the same beginning, one without any words, and a picture that is no job's."""
    client = create_client(tmp_path / "home", "ana")
    given = tmp_path / "given"
    given.mkdir()
    names = [f"ana_maria_studio_portrait_take_{number}_{job}_0.png" for number, job in enumerate(JOBS[:4])]
    for number, name in enumerate([*names, f"{JOBS[4]}_0.png", f"{JOBS[4]}_1.png", "mystery.png"]):
        Image.new("RGB", (8, 8), (number * 20, 0, 0)).save(given / name)
    for _event in import_midjourney(client, [given]):
        pass
    return client


def entries(client: Client) -> dict[str, dict[str, object]]:
    return {image["file"]: image for image in json.loads(client.midjourney_file.read_text())["images"]}


def test_what_is_missing_is_listed_and_what_is_shared_is_offered(client: Client) -> None:
    found = read_prompts(client)
    assert [job.files for job in found.unknown] == [(f"{JOBS[4]}_0.png", f"{JOBS[4]}_1.png"), ("mystery.png",)]
    assert found.offered == "ana maria studio portrait take"
    assert found.candidates == ("ana", "ana_maria", "ana_maria_studio", "ana_maria_studio_portrait")
    assert found.master_prompt is None and found.open


def test_what_is_told_fills_the_whole_job_and_stays(client: Client, tmp_path: Path) -> None:
    texts = {JOBS[4][:8]: "a cat --v 7", "mystery.png": "a dog"}
    told = tell(client, usernames=["ana_maria"], master="studio  portrait", texts=texts)
    assert (told.master_prompt, told.candidates, told.unknown, told.open) == ("studio portrait", (), (), False)
    found = entries(client)
    assert found[f"{JOBS[4]}_1.png"]["prompt"] == "a cat" and found[f"{JOBS[4]}_1.png"]["params"] == {"v": "7"}
    assert found["mystery.png"]["source"] == "supplied_text"
    assert found[f"ana_maria_studio_portrait_take_2_{JOBS[2]}_0.png"]["difference"] == {"added": ["take", "2"], "missing": []}
    (tmp_path / "given" / "list.csv").write_text("file,prompt\nmystery.png,a horse\n")
    for _event in import_midjourney(client, [tmp_path / "given"]):
        pass
    assert entries(client)["mystery.png"]["prompt"] == "a dog", "what was typed stands above the list"
    tell(client, texts={"mystery.png": ""})
    assert entries(client)["mystery.png"]["prompt"] == "a horse", "and gives way to it when it is taken back"


def test_a_job_that_only_a_message_names_can_be_told_of(client: Client, tmp_path: Path) -> None:
    message = f"**a chat** - <@1> [(x)](<https://midjourney.com/jobs/{JOBS[5]}>)"
    (tmp_path / "list.json").write_text(json.dumps([{"file": "mystery.png", "discord": message}]))
    tell(client, lists=[tmp_path / "list.json"])
    assert (entries(client)["mystery.png"]["prompt"], entries(client)["mystery.png"]["uuid"]) == ("a chat", JOBS[5])
    tell(client, texts={JOBS[5]: "better words"})
    assert entries(client)["mystery.png"]["prompt"] == "better words"


def test_skipping_is_remembered(client: Client) -> None:
    found = tell(client, master="", skipped=[job.key for job in read_prompts(client).unknown])
    assert not found.open and len(found.unknown) == 2 and found.master_prompt == ""


@pytest.mark.parametrize("name", ["", "nothing", "2222222", JOBS[5]])
def test_a_job_that_is_not_here_is_named(client: Client, name: str) -> None:
    before = client.midjourney_file.read_bytes()
    with pytest.raises(UnknownJob):
        tell(client, texts={name: "a cat"})
    assert client.midjourney_file.read_bytes() == before


def test_a_list_that_cannot_be_read_changes_nothing(client: Client, tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("{")
    with pytest.raises(ListRefused):
        tell(client, master="x", lists=[tmp_path / "list.json"])
    assert read_user_notes(client).master_prompt is None


def test_a_broken_record_of_what_was_told_is_named_and_left_alone(client: Client) -> None:
    client.user_notes_file.write_text('{"schema": 1,\n"typed": 5}')
    with pytest.raises(BrokenFile, match=r"told\.json cannot be read: line 2"):
        read_prompts(client)
    assert client.user_notes_file.read_text().endswith("5}")


def test_the_embedded_texts_outlive_every_rewriting(client: Client) -> None:
    before = read_midjourney_file(client)
    tell(client, master="a", usernames=["b"])
    assert read_midjourney_file(client) == before


def test_scripts_can_do_the_same(client: Client, tmp_path: Path) -> None:
    home = client.root.parent.parent
    words = ["prompts", "--client", "ana", "--json", "--set", f"{JOBS[4]}=a cat --ar 3:2", "--master", "studio portrait"]
    answer = subprocess.run(program(home, *words), capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert found["master_prompt"] == "studio portrait" and len(found["unknown"]) == 1
    assert {job["prompt"] for job in found["jobs"] if job["key"] == JOBS[4]} == {"a cat"}
    wrong = subprocess.run(program(home, "prompts", "--client", "ana", "--set", "nonsense"), capture_output=True, text=True)
    assert wrong.returncode == 2


def _imported(tmp_path, names):
    client = create_client(tmp_path, "eva")
    folder = tmp_path / "given"
    folder.mkdir()
    for number, name in enumerate(names):
        Image.new("RGB", (32, 32), (number % 256, number // 256, 90)).save(folder / name)
    finish(import_midjourney(client, [folder]))
    return client


def _job(number):
    return f"{number:08x}-b262-44f9-977c-ac23e9c7d3e3"


def test_cut_prompts_count_before_most_jobs_share_a_word(tmp_path):
    cut = [f"anagarcia_portrait_of_a_woman_in_a_red_dress_in_the_gar_{_job(number)}.png" for number in range(9)]
    whole = [f"anagarcia_portrait_of_a_woman_gym_--v_6_{_job(99)}.png"]
    client = _imported(tmp_path, [*cut, *whole])
    form = prompts_form(client)
    rows = {row.key: row for row in form.rows}
    assert rows["<username>"].value == "anagarcia"
    assert "gym" not in rows["<master>"].value and "anagarcia" not in rows["<master>"].value
    assert len({row.label for row in form.rows}) == len(form.rows), "rows can be told apart"
    assert form.about


def test_user_names_are_found_where_the_files_of_several_are_mixed():
    names = [
        f"{user}_a_cat_{number}_{_job(number)}.png"
        for number, user in enumerate(("pete", "pete", "olga77", "olga77", "portrait", "portrait", "once"))
    ]
    assert proposed_usernames(names) == ("pete", "olga77")
