"""What is asked of portraits on the command line: prompts that name the client, new seeds, another base."""

import json

import pytest
from embedded_lora import make_embedded_lora
from tiny_sdxl import make_base

from avatar_pipeline import main
from client_folder.client import create_client
from config import Settings
from generation import plan_portraits
from locales.language import speak
from portraits.errors import RecipeRefused
from portraits.prompts import PromptOptions
from portraits.recipes import RecipeChoice


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A client with a LoRA of the practice base."""
    client = create_client(tmp_path_factory.mktemp("home"), "ana", "woman")
    client.models.mkdir()
    make_embedded_lora(client.models / "ana_avatar_v1.safetensors")
    return client


def planned(client, capsys, *words):
    """The answer of `generate --plan`, and the exit code."""
    speak("en")
    code = main(["--home", str(client.home), "--language", "en", "generate", "--client", "ana", *words, "--plan", "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("words", "painted", "added"),
    [
        (("--prompt", "a woman at the beach"), "ana woman, a woman at the beach", True),
        (("--prompt", "portrait of ana at the beach"), "portrait of ana at the beach", False),
        (("--prompt", "Ana at the beach"), "Ana at the beach", False),
        (("--prompt", "bananas on a table"), "ana woman, bananas on a table", True),
        (("--prompt", "photo of {trigger}"), "photo of ana", False),
        (("--prompt", "una mujer en la playa", "--magic"), "ana woman at the beach, studio lighting", True),
        (("--prompt", "a man with a dog", "--magic"), "ana woman, a man with a dog, studio lighting", True),
    ],
)
def test_a_prompt_that_does_not_name_the_client_gets_the_trigger_word(client, capsys, words, painted, added):
    code, plan = planned(client, capsys, *words)
    assert code == 0
    assert (plan["prompts"][0]["prompt"], plan["prompts"][0]["trigger_added"]) == (painted, added)
    assert plan["prompts"][0]["original"] == words[1].replace("{trigger}", "ana")


def test_the_recommended_prompts_name_the_client_already(client, capsys):
    assert not any(prompt["trigger_added"] for prompt in planned(client, capsys)[1]["prompts"])


def test_so_many_new_seeds_a_prompt_and_others_each_time(client):
    from actions.portraits import GenerateRequest
    from actions.portraits import plan_portraits as plan_of
    from actions.request import Job, Session
    from machine.model_process import ModelProcess

    job = Job(Session(client.home, Settings(), ModelProcess()), GenerateRequest(client="ana", prompt=("ana",), count=3), client)
    first, second = plan_of(job), plan_of(job)
    assert first.total == first.missing == 3
    assert not set(first.requests[0].seeds) & set(second.requests[0].seeds)


@pytest.mark.parametrize("words", [("--count", "0"), ("--count", "65"), ("--count", "2", "--seed", "11")])
def test_a_count_that_cannot_be_is_refused(client, capsys, words):
    code, answer = planned(client, capsys, *words)
    assert code == 1 and "From 1 to 64, and no seeds beside them." in answer["hint"]


@pytest.mark.parametrize("words", [("--prompt", "  "), ("--pick", "own")])
def test_an_empty_prompt_is_not_the_recommended_ones(client, capsys, words):
    assert planned(client, capsys, *words) == (
        1,
        {
            "error": "The prompt is empty.",
            "hint": "Write what is to be seen, or leave the prompt out: then the recommended ones are painted.",
        },
    )


def test_another_base_is_painted_with_where_it_is_named(client, tmp_path):
    base = make_base(tmp_path / "tiny")
    plan = plan_portraits(
        client, Settings(), prompt_options=PromptOptions(("ana",)), weights=(0.0,), choice=RecipeChoice(base=str(base))
    )
    assert plan.base == base


def test_a_lora_of_another_kind_of_base_is_refused_before_anything_is_loaded(client, tmp_path):
    from one_file import write_stub

    speak("en")
    base = write_stub(tmp_path / "sdxl.safetensors")
    with pytest.raises(RecipeRefused, match="another kind of base model"):
        plan_portraits(client, Settings(), choice=RecipeChoice(base=str(base)))
