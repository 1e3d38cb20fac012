"""Records hold the code of a reason and no sentence; whoever reads one is told in a language of the reader's."""

import json
import subprocess

import pytest
from conftest import program
from looked_at import looked_at
from stages import finish

from client_folder.reasons import Reason, Rejection
from client_folder.records import Faces
from config import Settings
from image_processor import process_faces
from locales.language import speak
from utils import read_record


@pytest.fixture(autouse=True)
def english_afterwards():
    yield
    speak("en")


@pytest.fixture
def client(tmp_path):
    speak("en")
    return looked_at(tmp_path, bright=120, dark=10)


def written(client):
    """Every record and picture that verdicts leave, with the moment it was written."""
    folders = (client.metadata, client.looks, client.processed, client.rejected)
    files = [path for folder in folders for path in folder.iterdir() if path.suffix in (".json", ".png")]
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_judging_in_another_language_rewrites_nothing(client):
    before = written(client)
    speak("es")
    finish(process_faces(client, Settings()))
    assert written(client) == before


@pytest.mark.parametrize("language", ["en", "es"])
def test_no_record_holds_a_sentence(tmp_path, language):
    speak(language)
    client = looked_at(tmp_path, dark=10)
    texts = {getattr(Reason.TOO_DARK, f"english_{kind}") for kind in ("label", "sentence", "cure")}
    texts |= {Reason.TOO_DARK.label, Reason.TOO_DARK.cure, *(face.rejection.sentence for face in client.faces())}
    for file in (client.faces_file, *client.rejected.glob("*.json")):
        kept = file.read_text(encoding="utf-8")
        assert '"too_dark"' in kept
        assert [text for text in texts if text in kept] == []


def test_records_of_before_that_hold_one_are_read_and_left_as_they_are(client):
    for file in (client.faces_file, *client.rejected.glob("*.json")):
        record = json.loads(file.read_text(encoding="utf-8"))
        for face in record.get("faces", [record]) if file == client.faces_file else [record]:
            if face["rejection"]:
                face["rejection"]["cure"] = "Toma la foto de nuevo con luz más uniforme."
        file.write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
    before = written(client)
    (refused,) = [face.rejection for face in read_record(client.faces_file, Faces).faces if face.rejection]
    assert refused.reason is Reason.TOO_DARK
    finish(process_faces(client, Settings()))
    assert written(client) == before


@pytest.mark.parametrize("language", ["en", "es"])
def test_scripts_read_the_cure_in_english_and_people_in_their_language(tmp_path, language):
    speak(language)
    looked_at(tmp_path, dark=10)
    cure = Reason.TOO_DARK.english_cure
    words = [*program(tmp_path, "rejected", "--client", "ana")]
    words[words.index("--language") + 1] = language
    told = subprocess.run([*words, "--json"], capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout
    (refused,) = json.loads(told)["rejected"]
    assert (refused["reason"], refused["cure"]) == ("too_dark", cure)
    shown = subprocess.run(words, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout
    assert (Reason.TOO_DARK.cure[:40] in shown, cure[:40] in shown) == (True, language == "en")


def test_a_reason_says_itself_in_the_users_language():
    refused = Rejection(file="a.png", source="a.png", reason=Reason.LIST_UNREADABLE)
    assert refused.reason.cure == ""  # the sentence says it already
    speak("es")
    assert refused.reason.label != Reason.LIST_UNREADABLE.english_label
    assert refused.sentence != Reason.LIST_UNREADABLE.english_sentence
    assert refused.reason.cure == ""
