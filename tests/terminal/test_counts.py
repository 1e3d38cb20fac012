"""What is counted is said as people say it: one picture, two pictures, in both languages, and no number of what is not there."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from actions.journey import done_note
from actions.review import Quarantined, QuarantinePlan
from client_folder.records import IdentityState
from dataset.signs import Level, Sign, Symptom
from image_processor import ProcessPlan
from locales.language import speak
from pictures.import_plan import ImportPlan
from terminal import view_dataset, view_faces, view_pictures


@pytest.fixture(params=["en", "es"])
def language(request, monkeypatch):
    monkeypatch.setenv("LANGUAGE", request.param)
    speak(request.param)
    yield request.param
    speak("en")


def drawn(view) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(view)
    return console.export_text()


def test_one_crop_and_two(language):
    said = [done_note("process", 1), done_note("process", 2), done_note("import-photos", 1)]
    assert (
        said
        == {
            "en": ["1 crop passed", "2 crops passed", "1 picture"],
            "es": ["1 recorte aprobado", "2 recortes aprobados", "1 imagen"],
        }[language]
    )


def test_one_photo_that_shows_the_client(language):
    said = {"en": "The client is known by 1 photo.", "es": "Se conoce al cliente por 1 foto."}
    assert IdentityState.KNOWN.said(1) == said[language]
    assert IdentityState.NONE.said(0) == IdentityState.NONE.label


def test_the_doctor_speaks_of_one_picture_as_of_one(language):
    one = Symptom(Sign.DRIFT, Level.WARNING, ("a",), 0.9, 0.6, total=3)
    two = Symptom(Sign.DRIFT, Level.WARNING, ("a", "b"), 0.9, 0.6, total=3)
    kept = Symptom(Sign.HELD_BACK, Level.NOTE, (), 1)
    assert [one.sentence, two.sentence, kept.sentence] == {
        "en": [
            "one of 3 MidJourney pictures shows somebody else", "2 of 3 MidJourney pictures show somebody else",
            "one photo is kept back to measure likeness with: the LoRA never sees it",
        ],
        "es": [
            "una de 3 imágenes de MidJourney muestra a otra persona", "2 de 3 imágenes de MidJourney muestran a otra persona",
            "se guarda aparte una foto para medir el parecido: el LoRA nunca la ve",
        ],
    }[language]  # fmt: skip


def test_nothing_is_said_of_what_is_not_there(language):
    assert "0" not in drawn(view_faces.VIEWS[ProcessPlan](ProcessPlan(new=1, done=0)))


def test_an_import_speaks_of_raw_pictures_only_where_there_are_some(language):
    plan = ImportPlan(Path("in"), (Path("in/a.jpg"),), (), 1_000_000, 0, {}, ())
    wanted = {"en": "1 picture, 1.0 MB. Copies are made; yours stay", "es": "1 imagen, 1.0 MB. Se copian; las tuyas"}
    said = drawn(view_pictures.VIEWS[ImportPlan](plan))
    assert wanted[language] in said and "RAW" not in said


def test_one_picture_taken_out(language):
    said = drawn(view_dataset.VIEWS[QuarantinePlan](QuarantinePlan(("a.png",), 1)))
    assert {"en": "1 picture would be taken out of training, 1 would remain.", "es": "1 imagen se sacaría"}[language] in said
    moved = drawn(view_dataset.VIEWS[Quarantined](Quarantined((), ("a",), ("b",))))
    assert {"en": "1 taken out of training, 1 put back.", "es": "1 sacada del entrenamiento, 1 devuelta."}[language] in moved
