# ruff: noqa: F401, F811 - fixtures of another test are used by their names
"""A night with exams: what the table says of each, and that a LoRA which cannot be examined is trained all the same."""

import json

import pytest
from exam_kit import lay_exam
from PIL import Image
from rich.console import Console
from stages import run
from test_lora_trainer import CARD, client, play, settings

from actions.action import dump
from actions.exam import ExamRequest
from actions.journey import State, read_journey
from actions.queue import QueueAnswer, QueueRequest, run_queue
from actions.request import Job, Session
from actions.table import action_named
from client_folder.client import create_client
from dataset.held_back import ExamRecord
from locales.language import speak
from machine.model_process import ModelProcess
from terminal.command_line import words_of
from terminal.view_training import VIEWS
from training.queue import Examined, Outcome, QueueReport, QueueRow, last_queue
from utils import write_record


def hold_back_a_photo(client):
    client.exam.mkdir()
    Image.new("RGB", (64, 64), (90, 60, 40)).save(client.exam / "real_0.png")
    write_record(client.exam_file, ExamRecord(scenes=(("real_0",),)))


def night(client, settings, names, **how):
    return run(run_queue(client.home, settings.model_copy(update={"gpu": CARD}), names, "quick", **how))


def test_who_has_no_held_back_photo_is_trained_and_not_examined(client, settings, play):
    play("success")
    _events, report = night(client, settings, ["ana"])
    assert [(row.outcome, row.exam) for row in report.rows] == [(Outcome.DONE, Examined.NO_PHOTOS)]
    assert last_queue(client.home) == report


def test_an_exam_that_fails_takes_nothing_from_the_training_nor_from_the_next_client(client, settings, play):
    play("success")
    hold_back_a_photo(client)  # and the base is a stand-in that nobody can paint with
    eva = create_client(client.home, "eva")
    (eva.training_data / "2_eva").mkdir(parents=True)
    for file in (client.training_data / "2_ana").iterdir():
        (eva.training_data / "2_eva" / file.name).write_bytes(file.read_bytes())
    _events, report = night(client, settings, ["ana", "eva"])
    assert [(row.client, row.outcome, row.exam) for row in report.rows] == [
        ("ana", Outcome.DONE, Examined.FAILED), ("eva", Outcome.DONE, Examined.NO_PHOTOS),
    ]  # fmt: skip
    assert report.rows[0].exam_error and report.rows[0].lora and not report.rows[0].error
    assert action_named("queue").verdict(report) is None, "every training succeeded"


def test_what_the_exam_paints_with_is_asked_for_in_the_evening(client, settings):
    queue = action_named("queue")

    def needed(**request):
        job = Job(Session(client.home, settings, ModelProcess()), QueueRequest(names=("ana",), **request))
        return queue.needs(job)

    assert needed() == (), "nothing is held back: nobody paints"
    hold_back_a_photo(client)
    assert needed() == ("sdxl-config",), "sd-scripts trains without it"
    assert needed(exam=False) == ()


def test_exams_can_be_left_out_also_of_a_queue_in_the_background(client, settings, play):
    play("success")
    hold_back_a_photo(client)
    _events, report = night(client, settings, ["ana"], exam=False)
    assert report.rows[0].exam is Examined.NO
    assert "--exam=no" in words_of(QueueRequest(names=("ana",), exam=False))


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", ("step 150 chosen", "none recommended")), ("es", ("elegido el paso 150", "ninguno recomendado"))],
)
def test_the_table_says_the_verdict_in_a_few_words(language, words):
    rows = (
        QueueRow(client="ana", outcome=Outcome.DONE, exam=Examined.STEP, exam_step=150),
        QueueRow(client="eva", outcome=Outcome.DONE, exam=Examined.NONE),
        QueueRow(client="ben"),
    )
    speak(language)
    console = Console(width=200)
    with console.capture() as capture:
        console.print(VIEWS[QueueReport](QueueReport(rows)))
    speak("en")
    assert all(word in capture.get() for word in words)
    assert [one["exam"] for one in dump(QueueAnswer.of(QueueReport(rows)))["clients"]] == ["step", "none", "no"]


def test_a_table_of_the_version_before_is_read(tmp_path):
    old = {"schema": 1, "rows": [{"client": "ana", "outcome": "done", "steps": 220, "lora": "ana_avatar_v1.safetensors"}]}
    (tmp_path / "queue.json").write_text(json.dumps(old), encoding="utf-8")
    assert last_queue(tmp_path).rows[0].exam is Examined.NO


# --- after a training -------------------------------------------------------------------------------------------------
def test_the_exam_is_offered_where_photos_were_held_back(client, settings):
    train = action_named("train")
    job = Job(Session(client.home, settings, ModelProcess()), train.request(client="ana"), client)
    assert train.offers(job, None) == ()
    hold_back_a_photo(client)
    (offer,) = train.offers(job, None)
    assert (offer.action, offer.request, offer.given) == ("exam", ExamRequest(client="ana"), None)


def test_it_is_a_step_between_training_and_portraits_where_photos_were_held_back(client, settings):
    def steps():
        return {step.action: step for step in read_journey(client.home, settings, client)}

    assert "exam" not in steps()
    hold_back_a_photo(client)
    assert list(steps())[-3:] == ["train", "exam", "generate"]
    assert (steps()["exam"].state, steps()["exam"].note) == (State.WAITING, "train the LoRA first")
    client.models.mkdir()
    lora = client.models / "ana_avatar_v1.safetensors"
    lora.write_bytes(a_lora())
    assert steps()["exam"].state is State.OPEN, "earlier steps are to be done first"
    lay_exam(client, {150: lora}, 150)
    assert (steps()["exam"].state, steps()["exam"].note) == (State.DONE, "step 150 chosen")
    lay_exam(client, {150: lora}, None)
    assert (steps()["exam"].state, steps()["exam"].note) == (State.DONE, "none recommended")
    (client.models / "ana_avatar_v2.safetensors").write_bytes(a_lora())
    assert steps()["exam"].state is State.OPEN, "what was trained since was not examined"


def a_lora():
    import numpy as np
    from safetensors.numpy import save

    return save({"lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k.lora_down.weight": np.ones((4, 128), np.float16)})
