"""Requests and answers: flags, questions and schemas drawn from one class each; no word of argparse's below the command line."""

import ast
import json
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Annotated, Literal

import jsonschema
import pytest
from pydantic import BeforeValidator, ValidationError

from actions.action import answer_kind, dump
from actions.reference import actions_reference, schemas_of
from actions.request import Ask, ClientRequest, Menu, Request, UserPath, questions_of, read_path
from actions.table import ROWS, action_named
from locales.language import speak
from terminal.command_line import add_arguments, read_request

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"embedded", "benchmarks", "attack"}
ABOVE = {"avatar_pipeline.py", "command_line.py"}
OTHER_PROGRAMS = {"arguments.py"}  # it reads sd-scripts' command line with sd-scripts' own parser


class PaintRequest(ClientRequest):
    """A request with a field of every kind."""

    pictures: Annotated[tuple[UserPath, ...], Ask("pictures", menu=Menu.PATH)]
    verb: Annotated[Literal["show", "paint"], Ask("what to do", menu=Menu.CHOICE)] = "show"
    steps: Annotated[int | None, Ask("steps", "--steps", "N")] = None
    weight: Annotated[float, Ask("weight", "--weight", "X")] = 0.8
    fast: Annotated[bool, Ask("fast", "--fast")] = False
    fp8: Annotated[bool | None, Ask("8 bits", "--fp8", worded=True)] = None
    size: Annotated[str | None, Ask("size", "--size", choices=("small", "large"))] = None
    name: Annotated[tuple[str, ...], Ask("names", "--name", "NAME")] = ()
    told: tuple[str, ...] = ()


def asked(*words):
    """The request that words make, as the command line reads them."""
    parser = ArgumentParser()
    parser.set_defaults(parser=parser)
    add_arguments(parser, PaintRequest)
    return read_request(parser.parse_args(words), PaintRequest)


@pytest.fixture(autouse=True)
def english():
    speak("en")


def test_words_become_typed_values():
    request = asked("a.png", "~/b.png", "--client", "ana", "--steps", "12", "--fast", "--fp8", "no", "--name", "x", "--name", "y z")
    assert request == PaintRequest(
        client="ana", pictures=(Path("a.png"), Path.home() / "b.png"), steps=12, fast=True, fp8=False, name=("x", "y z")
    )  # fmt: skip
    assert (request.verb, request.weight, request.size) == ("show", 0.8, None)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--steps", "many"), "argument --steps: invalid int value: 'many'"),
        (("--weight", "x"), "argument --weight: invalid float value: 'x'"),
        (("--size", "huge"), "argument --size: invalid choice: 'huge' (choose from 'small', 'large')"),
        (("--fp8", "maybe"), "argument --fp8: invalid choice: 'maybe' (choose from 'yes', 'no')"),
        (("--told", "x"), "unrecognized arguments: --told x"),
    ],
)
def test_a_word_that_is_not_understood_ends_with_its_flag_named(words, complaint, capsys):
    with pytest.raises(SystemExit) as ended:
        asked("a.png", "--client", "ana", *words)
    assert ended.value.code == 2
    # Newer Pythons leave the quotes out around choices.
    assert complaint.replace("'", "") in capsys.readouterr().err.replace("'", "")


def test_a_request_that_comes_as_json_is_checked_alike():
    good = {"client": "ana", "pictures": ["a.png"], "size": "small", "told": ["x"]}
    assert PaintRequest.model_validate(good).pictures == (Path("a.png"),)
    for wrong in ({"size": "huge"}, {"verb": "sell"}, {"steps": "many"}, {"colour": "red"}, {"client": None}):
        with pytest.raises(ValidationError):
            PaintRequest.model_validate(good | wrong)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(good | wrong, PaintRequest.model_json_schema())
    jsonschema.validate(good, PaintRequest.model_json_schema())


def test_what_is_typed_in_the_menu_is_read_as_on_the_command_line():
    questions = {question.name: question for question in questions_of(PaintRequest)}
    assert "told" not in questions
    assert questions["pictures"].answered("my pictures/a.png") == (Path("my pictures/a.png"),)
    assert questions["steps"].answered("12") == 12
    assert questions["fast"].answered("yes") is True
    with pytest.raises(ValueError, match="invalid int value: 'x'"):
        questions["steps"].answered("x")
    assert questions["verb"].choices == ("show", "paint")
    assert (questions["pictures"].required, questions["verb"].required, questions["verb"].default) == (True, False, "show")


def test_a_check_of_ones_own_speaks_for_itself():
    def even(value):
        if int(value) % 2:
            raise ValueError("even ones only")
        return value

    class EvenRequest(Request):
        """One number."""

        number: Annotated[int, BeforeValidator(even), Ask("number", "--number")] = 0

    with pytest.raises(ValueError, match=r"^even ones only$"):
        questions_of(EvenRequest)[0].read("3")


@pytest.mark.parametrize("name", [row.name for row in ROWS])
def test_every_action_prints_its_schemas(name):
    schemas = json.loads(json.dumps(schemas_of(action_named(name))))
    assert set(schemas) == {"action", "request", "answer", "plan"}
    assert schemas["action"] == name
    for part in ("request", "answer", "plan"):
        if schemas[part] is not None:
            jsonschema.Draft202012Validator.check_schema(schemas[part])
    assert (schemas["plan"] is None) == (action_named(name).plan is None)
    for question in questions_of(action_named(name).request):
        assert schemas["request"]["properties"][question.name]["description"] == question.ask.help


def test_schemas_need_neither_client_nor_heavy_library(tmp_path):
    code = (
        "import sys, avatar_pipeline\n"
        "try: avatar_pipeline.main(['--home', sys.argv[1], 'train', '--schema'])\n"
        "except SystemExit as ended: assert not ended.code\n"
        "print([name for name in ('torch', 'numpy', 'PIL', 'diffusers', 'cv2') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True)
    schemas, loaded = printed.stdout.splitlines()
    assert json.loads(schemas)["request"]["properties"]["steps"]["description"] == "optimizer steps"
    assert loaded == "[]"
    assert list(tmp_path.iterdir()) == []


def test_the_reference_names_every_flag_and_every_key():
    reference = {action.name: action for action in actions_reference()}
    assert list(reference) == [row.name for row in ROWS]
    flags = {flag.flag: flag for flag in reference["train"].flags}
    assert (flags["--client"].required, flags["--steps"].metavar, flags["--values"].default) == (True, "N", "recommended")
    assert flags["--fp8"].choices == ("yes", "no")
    assert reference["train"].answers == (("lora", "steps", "resumed_from", "changes", "samples", "practice"),)
    assert reference["models"].answers == (("models",), ("freed", "note"), ("fetched", "here", "checked"))
    assert reference["settings"].answers[0][:2] == ("schema", "language")
    assert (reference["gpu"].plan, reference["import-mj"].plan) == ((), ("pictures", "bytes", "raw"))


def test_no_word_of_argparse_goes_below_the_command_line():
    ours = [path for path in ROOT.rglob("*.py") if path.relative_to(ROOT).parts[0] in PACKAGES or path.parent == ROOT]
    assert len(ours) > 100
    for path in ours:
        if path.name in ABOVE | OTHER_PROGRAMS:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        read = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
        assert "argparse" not in imported, path.name
        assert "vars" not in called, path.name
        assert not (read & {"options"} and path.parent.name == "actions"), path.name


def test_an_answer_is_what_its_function_promises():
    from actions.clients import ClientList, answer

    told = answer(ClientList(()))
    assert isinstance(told, answer_kind(answer))
    assert dump(told) == {"clients": []}


def test_a_path_is_read_as_terminals_write_it(tmp_path):
    folder = tmp_path / "Imágenes de José"
    folder.mkdir()
    for given in (str(folder), f"'{folder}' ", f'"{folder}"', folder.as_uri(), str(folder).replace(" ", "\\ ") + " "):
        assert read_path(given) == folder, given
    (tmp_path / "a\\ b").mkdir()
    assert read_path(str(tmp_path / "a\\ b")) == tmp_path / "a\\ b", "a folder of that very name"
    assert read_path("~/x") == Path.home() / "x"


def test_words_for_the_background_stand_behind_an_equals_sign_and_options_where_people_put_them():
    from actions.table import action_named
    from terminal.command_line import build_parser, read_request, words_of

    kind = action_named("process").request
    words = words_of(kind(client="-ana"))
    assert read_request(build_parser(["process"]).parse_args(["process", *words]), kind).client == "-ana"
    assert build_parser(["process"]).parse_args(["process", "--client", "ana", "--home", "/x"]).home == "/x"
    for half in (["--hom", "/x", "process", "--client", "ana"], ["process", "--clien", "ana"]):
        with pytest.raises(SystemExit):
            build_parser(half).parse_args(half)
