"""The form: every value on one screen, changed in its place, what is wrong said at the row; Esc changes nothing."""

import json
import sys
from dataclasses import replace

import pytest
from embedded_lora import make_embedded_lora
from pseudo_terminal import Terminal

from actions.action import Form, FormRow
from actions.portraits import GenerateRequest
from actions.request import Job, Session, questions_of
from actions.table import action_named
from client_folder.client import create_client, open_client
from client_folder.last_used import LastUsed, keep_last_used, read_last_used
from config import DatasetDistribution, QualityControlConfig, RawLimits, Settings, load_settings
from locales.language import speak
from machine.model_process import ModelProcess
from terminal.form import GO, MORE, FormState
from utils import BrokenFile, write_record

terminal_only = pytest.mark.skipif(sys.platform == "win32", reason="pexpect has no pseudo-terminal on Windows")
MAIN, NEXT = "What shall we work on?", "Next for ana:"
SIZES = [((80, 24), "en"), ((50, 20), "es"), ((80, 10), "en"), ((120, 40), "es")]


@pytest.fixture(autouse=True)
def english():
    speak("en")


@pytest.fixture
def client(tmp_path):
    """A client with a LoRA, so that portraits can be painted."""
    client = create_client(tmp_path, "ana", "woman")
    client.models.mkdir()
    make_embedded_lora(client.models / "ana_avatar_v1.safetensors")
    (tmp_path / "settings.json").write_text("{}")
    return client


def job_of(client, request, settings=None):
    return Job(Session(client.home, settings or Settings(), ModelProcess()), request.model_construct(client=client.id), client)


def portraits(client, **wishes):
    """The state of the form of portraits, with some rows filled in."""
    state = FormState(action_named("generate").form(job_of(client, GenerateRequest)))
    state.answers |= wishes
    state.refresh()
    return state


# --- the rows ---------------------------------------------------------------------------------------------------------
def test_all_that_may_be_asked_is_on_the_form_and_the_usual_is_filled_in(client):
    state = portraits(client)
    shown = [row.key for row in state.visible()]
    assert shown == [
        "pick", "negative", "style", "magic", "base", "lora", "weight", "count", "aspect", MORE, GO,
    ]  # fmt: skip
    assert (state.answers["count"], state.answers["aspect"], state.answers["pick"]) == ("2", "1:1", "usual")
    state.at = MORE
    state.turn(1)
    assert {"seed", "steps", "cfg", "sampler", "side", "detail", "upscale"} <= {row.key for row in state.visible()}
    assert state.going_on == "8 portraits to paint"


def test_an_own_prompt_is_asked_for_where_one_is_wanted_and_an_empty_one_is_wrong(client):
    state = portraits(client, pick="own")
    assert [row.key for row in state.wrong()] == ["prompt"]
    assert not state.go()
    assert state.at == "prompt"
    state.answers["prompt"] = "at the beach"
    assert state.go()
    request = state.form.request(state.answers)
    assert (request.prompt, request.count, request.seed) == (("at the beach",), 2, ())


@pytest.mark.parametrize(
    ("row", "text", "complaint"),
    [
        ("count", "many", "a whole number is wanted, such as 12"),
        ("count", "65", "from 1 to 64"),
        ("count", "", "write something here"),
        ("steps", "51", "from 1 to 50"),
        ("cfg", "x", "a number is wanted, such as 0.5"),
        ("weight", "heavy", "numbers are wanted: 0.8, or 0.7,0.85,1"),
        ("weight", "0.8,3", "from 0 to 2"),
        ("seed", "one", "whole numbers are wanted: 11,12, or random:4 for four new ones"),
        ("seed", "-1", "from 0 to 4294967295"),
        ("side", "7", "from 64 to 192"),
        ("detail", "1", "from 0 to 0.9"),
    ],
)
def test_what_is_wrong_is_said_in_words_and_in_both_languages(client, row, text, complaint):
    state = portraits(client, **{row: text})
    found = {wrong.key: state.complaint(wrong) for wrong in state.wrong()}
    assert found == {row: complaint}
    speak("es")
    spanish = state.complaint(state.wrong()[0])
    assert spanish and spanish != complaint


def test_a_row_that_does_not_show_takes_no_part_but_what_was_typed_stays(client):
    state = portraits(client, pick="own", prompt="at the beach", count="1")
    state.answers["pick"] = "usual"
    assert state.form.request(state.answers).prompt == ()
    state.answers["pick"] = "own"
    assert state.form.request(state.answers).prompt == ("at the beach",)
    state.answers["seed"] = "11,12"
    state.refresh()
    assert "count" not in [row.key for row in state.visible()], "with seeds of one's own there is nothing to count"
    request = state.form.request(state.answers)
    assert (request.seed, request.count) == ((11, 12), None)


def test_what_was_asked_for_last_is_filled_in_but_not_seeds(client):
    state = portraits(client, pick="own", prompt="at the beach", negative="hat", weight="0.8", seed="11", aspect="3:4")
    state.form.request(state.answers)
    again = portraits(client)
    assert {name: again.answers[name] for name in ("pick", "prompt", "negative", "weight", "seed", "aspect")} == {
        "pick": "own", "prompt": "at the beach", "negative": "hat", "weight": "0.8", "seed": "", "aspect": "3:4",
    }  # fmt: skip
    kept = json.loads(client.last_used_file.read_text())["actions"]
    assert set(kept) == {"generate"} and "seed" not in kept["generate"]


def test_what_was_kept_and_cannot_be_any_more_is_left_out(client):
    keep_last_used(client, "generate", {"lora": "gone", "steps": "999", "aspect": "4:3", "nonesuch": "x"})
    state = portraits(client)
    assert (state.answers["lora"], state.answers["steps"], state.answers["aspect"]) == ("", "", "4:3")
    client.last_used_file.write_text("{")
    with pytest.raises(BrokenFile):
        portraits(client)


def test_consent_is_kept_as_consent_and_nowhere_else(client):
    form = action_named("train").form(job_of(client, action_named("train").request))
    state = FormState(form)
    assert state.at == "consent"
    state.answers |= {"consent": "Ana, by mail", "preset": "quality", "seed": "7"}
    request = form.request(state.answers)
    assert (request.consent, request.preset, request.seed, request.anyway) == ("Ana, by mail", "quality", 7, False)
    kept = read_last_used(client, "train")
    assert kept["preset"] == "quality" and not {"consent", "seed", "anyway"} & set(kept)
    state.answers["consent"] = "x" * 201
    assert state.complaint(state.wrong()[0]) == "at most 200 letters"


def test_the_preset_of_the_settings_is_preselected(client):
    train = action_named("train")
    state = FormState(train.form(job_of(client, train.request, Settings(preset="quality"))))
    assert state.answers["preset"] == "quality"


@pytest.mark.parametrize("name", ["generate", "train"])
def test_every_row_says_what_it_means_in_both_languages(client, name):
    asked = [question.ask for question in questions_of(action_named(name).request) if question.ask.row]
    assert len(asked) > 10
    from locales.language import _

    for ask in asked:
        assert (ask.row_help or ask.help).strip()
        speak("en")
        english = _(ask.row_help or ask.help)
        speak("es")
        assert _(ask.row_help or ask.help) != english, ask.row


# --- settings and limits ------------------------------------------------------------------------------------------------
def test_every_setting_and_limit_has_a_row_with_label_meaning_and_range(client):
    settings = action_named("settings").form(replace(job_of(client, action_named("limits").request), client=None))
    keys = {row.key for row in settings.rows}
    fields = set(Settings.model_fields) - {"schema_", "quality", "distribution"}
    fields |= {f"distribution.{name}" for name in DatasetDistribution.model_fields}
    limits = {*QualityControlConfig.model_fields} - {"raw"} | {f"raw.{name}" for name in RawLimits.model_fields}
    assert keys == fields | {f"quality.{name}" for name in limits}
    moved = action_named("limits").form(job_of(client, action_named("limits").request))
    assert {row.key for row in moved.rows} == {"scope"} | {f"client:{name}" for name in limits}
    for row in (*settings.rows, *moved.rows):
        assert row.label and row.label != row.key and row.help, row.key
    shares = next(row for row in settings.rows if row.key == "distribution.share_real")
    assert shares.extent == "from 0 to 1 [share]; default: 0.15"


def test_settings_hold_only_what_was_changed(client):
    job = job_of(client, action_named("limits").request)
    state = FormState(action_named("settings").form(job))
    assert state.going_on == "nothing is changed"
    assert state.form.request(state.answers) is None
    state.answers |= {"language": "es", "distribution.share_real": " 0.2 "}
    assert state.form.request(state.answers).changes == ("language=es", "distribution.share_real=0.2")
    state.answers["caption_order"] = "light, smile"
    assert "expression, clothes" in state.complaint(state.wrong()[0])


def test_a_limit_is_moved_for_the_client_or_everybody_and_given_back_by_an_empty_row(client):
    write_record(client.state_file, client.state().model_copy(update={"limits": {"min_brightness": 30.0}}))
    limits = action_named("limits")
    state = FormState(limits.form(job_of(client, limits.request)))
    assert (state.answers["client:min_brightness"], state.answers["client:max_brightness"]) == ("30", "220")
    state.answers |= {"client:min_brightness": "", "client:max_brightness": "230"}
    request = state.form.request(state.answers)
    assert (request.changes, request.everywhere) == (("default:min_brightness", "max_brightness=230"), False)
    state.answers["scope"] = "program"
    state.refresh()
    assert state.answers["program:min_brightness"] == "40"
    assert state.form.request(state.answers) is None
    state.answers["program:raw.max_noise"] = "15"
    request = state.form.request(state.answers)
    assert (request.changes, request.everywhere) == (("raw.max_noise=15",), True)


def test_a_form_without_choices_of_its_own_is_shown_by_the_same_rows():
    form = Form(
        "title", (FormRow("a", "first", "x"), FormRow("b", "second", check=lambda text: "" if text else "empty")), lambda _: None
    )
    state = FormState(form)
    assert state.at == "b", "the cursor begins where something is missing"
    state.answers["b"] = "y"
    assert state.go() and state.answers == {"a": "x", "b": "y"}
    state.move(1)
    assert state.at == GO
    state.move(1)
    assert state.at == "a", "beyond the last row comes the first"


def test_a_record_of_last_answers_holds_nothing_else():
    with pytest.raises(ValueError, match="extra"):
        LastUsed.model_validate({"actions": {}, "consent": "x"})


# --- in a terminal ------------------------------------------------------------------------------------------------------
def open_form(terminal, row, title, then=NEXT):
    """From the first screen to the form of one of the client's steps; what is pressed before the menu stands is dropped."""
    terminal.wait_for("2) ana")
    terminal.press("enter")
    terminal.wait_for(then)
    terminal.settle()
    terminal.press(row, "enter")
    terminal.wait_for(title)


@terminal_only
@pytest.mark.parametrize(("size", "language"), SIZES, ids=lambda value: str(value))
def test_a_number_and_a_choice_are_changed_at_every_size(client, tmp_path, size, language):
    words = {
        "en": (NEXT, "Portraits of ana", "style", "more", "steps", "from 1 to 50", "Go on", "portraits to paint"),
        "es": (
            "Lo siguiente para ana:",
            "Retratos de ana",
            "estilo",
            "más",
            "pasos",
            "de 1 a 50",
            "Seguir",
            "retratos por generar",
        ),
    }
    then, title, style, more, steps, extent, go, count = words[language]
    with Terminal(tmp_path, size=size, LANG=f"{language}.UTF-8", NO_COLOR="1") as terminal:
        open_form(terminal, "8", title, then)
        terminal.to_row(style)
        before = terminal.form_row()
        terminal.press("right")
        terminal.settle()
        assert terminal.form_row() != before and terminal.form_row().startswith(f"> {style}")
        terminal.to_row(more)
        terminal.press("enter")
        terminal.settle()
        terminal.to_row(steps)
        terminal.press("9", "9")
        terminal.wait_for(f"! {extent}")
        assert terminal.form_row().rstrip().endswith("99"), "a number is written anew, and what was typed stays"
        terminal.press("backspace")
        terminal.to_row(go, key="up")
        assert f"! {extent}" not in terminal.screen()
        assert count in terminal.form_row()
        assert not [code for digit in "01234567" for code in ("\x1b[3", "\x1b[9") if f"{code}{digit}m" in terminal.raw]
        terminal.press("escape")
        terminal.wait_for("ana")
    assert not client.last_used_file.exists(), "Esc changes nothing"


@terminal_only
def test_going_on_with_something_wrong_leads_to_its_row(client, tmp_path):
    with Terminal(tmp_path) as terminal:
        open_form(terminal, "8", "Portraits of ana")
        terminal.press("left", "page down", "enter")
        terminal.wait_for("write something here")
        assert terminal.form_row().startswith("> prompt")
        terminal.press("on a horse", "page down", "enter")
        screen = terminal.wait_for("ana woman, on a horse", "1 prompt did not name the client", "2 portraits to paint", "Go ahead?")
        assert "on a horse" in screen
        terminal.press("escape")
        terminal.wait_for("Nothing was done.", NEXT)
        terminal.press("8", "enter")
        terminal.wait_for("Portraits of ana", "on a horse")
        terminal.press("ctrl-c")
        terminal.wait_for(NEXT)
    assert read_last_used(client, "generate")["prompt"] == "on a horse"


@terminal_only
def test_limits_are_moved_by_their_row_in_spanish(client, tmp_path):
    with Terminal(tmp_path, LANG="es_ES.UTF-8") as terminal:
        terminal.wait_for("2) ana")
        terminal.press("enter")
        terminal.wait_for("Lo siguiente para ana:", "Generar retratos")
        terminal.press("9", "enter")
        terminal.wait_for("4) Mover los límites")
        terminal.press("4", "enter")
        terminal.wait_for("Límites de calidad de ana", "Cara más oscura", "nada cambia")
        terminal.to_row("Cara más oscura")
        terminal.wait_for("Una cara con un gris medio menor se rechaza por oscura.", "de 0 a 255 [niveles de gris]")
        terminal.press("300")
        terminal.wait_for("! como mucho 255")
        terminal.press("clear", "30", "page down")
        terminal.wait_for("cambia 1 valor")
        terminal.press("enter")
        terminal.wait_for("min_brightness: 40 -> 30", "¿Adelante?")
        terminal.press("enter")
        terminal.wait_for("Lo siguiente para ana:")
    assert open_client(tmp_path, "ana").state().limits == {"min_brightness": 30.0}
    assert load_settings(tmp_path).quality.min_brightness == 40
