"""One question reads each record of a client once: counted by the files that a child process opens."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from looked_at import looked_at
from stages import finish

from client_folder.client import create_client
from client_folder.records import Decisions
from config import Settings, save_settings
from data_preprocessor import prepare_dataset
from dataset.files import edit_caption, list_captions
from dataset.quarantine import take_out
from utils import BrokenFile, write_record, write_text

ROOT = Path(__file__).resolve().parents[2]
_COUNTED = """
import json, sys
from pathlib import Path

home, opened = Path(sys.argv[1]), []


def note(event, words):
    if event == "open" and isinstance(words[0], str) and words[0].startswith(str(home)) and words[0].endswith(".json"):
        opened.append(words[0])


import avatar_pipeline
from actions.request import Job, Session, questions_of
from actions.table import action_named
from client_folder.client import create_client, open_client
from client_folder.records import Decisions
from config import load_settings
from locales.language import speak
from machine.model_process import ModelProcess

speak("en")
client = open_client(home, "ana")
session = Session(home, load_settings(home), ModelProcess())


def job(action, **words):  # as far as the menu has asked for it
    return Job(session, action_named(action).request.model_construct(client="ana", **words), client)


def offered(action, **words):  # at its first question that offers something
    questions = questions_of(action_named(action).request)
    return next(question.ask.offer for question in questions if question.ask.offer)(job(action, **words))


sys.addaudithook(note)
QUESTION
print(json.dumps([str(Path(path).relative_to(home / "clients" / "ana")) for path in opened if "clients" in path]))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A client with a dataset in which everything that can be read is there: an exam, captions of the user's, one in quarantine."""
    home = tmp_path_factory.mktemp("home")
    save_settings(home, Settings())
    client = looked_at(home, **{f"photo{number}": 100 + number for number in range(10)})
    write_text(client.midjourney_file, '{"schema": 1, "images": []}\n')
    finish(prepare_dataset(client, Settings()))
    first, second, *_others = list_captions(client)
    edit_caption(client, first.picture, "ana woman with a hat")
    take_out(client, [second.picture])
    finish(prepare_dataset(client, Settings()))
    return home


def opened_for(home, question):
    """How often each record of the client was opened to answer a question."""
    code = _COUNTED.replace("QUESTION", question)
    words = [sys.executable, "-c", code, str(home)]
    finished = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return Counter(json.loads(finished.stdout.splitlines()[-1]))


QUESTIONS = {
    "the doctor": 'list(action_named("doctor").run(job("doctor")))',
    "what to take out": 'offered("quarantine")',
    "which steps are done": "from actions.journey import read_journey; read_journey(home, session.settings, client)",
    "what was refused": 'list(action_named("rejected").run(job("rejected")))',
    "which to accept": 'offered("accept")',
    "what other limits would do": 'action_named("limits").planned(job("limits"))',
    "what the dataset would be": 'action_named("dataset").planned(job("dataset"))',
    "whose caption": 'offered("captions")',
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_reads_each_record_once(home, question):
    opened = opened_for(home, QUESTIONS[question])
    assert opened, "nothing was counted"
    assert {path: times for path, times in opened.items() if times > 1} == {}


def test_the_offer_of_pictures_to_take_out_makes_no_new_plan(home):
    opened = opened_for(home, QUESTIONS["what to take out"])
    records = {path for path in map(Path, opened) if path.parts[0] != "quarantine"}
    assert records == {Path("state.json"), Path("metadata/images.json"), Path("metadata/faces.json"), Path("exam/exam.json")}


def test_a_snapshot_is_of_one_question_and_the_client_reads_anew(tmp_path):
    client = create_client(tmp_path, "ana")
    seen = client.snapshot()
    assert (seen, seen.snapshot() is seen, seen.state().class_word) == (client, True, "person")
    write_record(client.state_file, client.state().model_copy(update={"class_word": "woman"}))
    assert (seen.state().class_word, client.state().class_word, client.snapshot().state().class_word) == (
        "person",
        "woman",
        "woman",
    )
    assert seen.decisions() == Decisions()
    write_record(client.decisions_file, Decisions(accepted=("a" * 64,)))
    assert (seen.decisions(), client.decisions().accepted) == (Decisions(), ("a" * 64,))


def test_a_record_that_is_broken_is_so_each_time(tmp_path):
    seen = create_client(tmp_path, "ana").snapshot()
    seen.faces_file.write_text("{", encoding="utf-8")
    for _again in range(2):
        with pytest.raises(BrokenFile):
            seen.faces()
