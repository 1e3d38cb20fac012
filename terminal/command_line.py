"""The command line, drawn from the table of actions: what argparse has to know of them, and requests made of the words it read."""

from __future__ import annotations

import argparse
import json
import sys
from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Sequence
from typing import Any

from actions.action import Action
from actions.request import YES_NO, Question, Request, questions_of
from actions.table import ROWS, action_named
from config import VERSION
from locales.language import LANGUAGES, N_, _

TEXT = {
    "program": N_("From a folder of pictures to a trained LoRA and finished portraits. Without an action: the menu."),
    "home": N_("folder of settings and clients (default: the program's own)"),
    "language": N_("en, es, or auto for the system's"),
    "version": N_("print the version and end"),
    "json": N_("print one JSON object and nothing else"),
    "yes": N_("do not ask, go ahead"),
    "plan": N_("only show what would be done"),
    "schema": N_("print the JSON schemas of request and answer"),
}
BAD_ARGUMENT = N_("argument %(argument_name)s: %(message)s")  # argparse's own words


def text(name: str) -> str:
    """A text of the command line, in the user's language."""
    return _(TEXT[name])


def build_parser(argv: Sequence[str]) -> ArgumentParser:
    """The command line; the options of actions that `argv` does not name are left out, so that their modules stay unloaded."""
    parser = ArgumentParser(prog="avatar_pipeline.py", description=text("program"), allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"avatar-pipeline {VERSION}", help=text("version"))
    parser.add_argument("--home", help=text("home"))
    parser.add_argument("--language", choices=(*LANGUAGES, "auto"), help=text("language"))
    actions = parser.add_subparsers(dest="action", metavar=_("ACTION"))
    for row in ROWS:
        action_parser = actions.add_parser(
            row.name, help=_(row.label), description=f"{_(row.label)}. {_(row.about)}", allow_abbrev=False
        )
        action_parser.set_defaults(parser=action_parser)
        if row.name in argv:
            _add_options(action_parser, action_named(row.name))
    return parser


def read_request(options: Namespace, kind: type[Request]) -> Request:
    """The request that these words make; a word that cannot be understood ends the program with usage and exit code 2."""
    given: dict[str, Any] = {}
    for question in questions_of(kind):
        words = getattr(options, question.name)
        if words is None:
            continue
        try:
            given[question.name] = question.read(words)
        except ValueError as error:
            argument = question.ask.flag or question.ask.metavar or question.name
            options.parser.error(_(BAD_ARGUMENT) % {"argument_name": argument, "message": error})
    return kind(**given)


def words_of(request: Request) -> list[str]:
    """The words that `read_request` makes this request of; what stands at its default is left out."""
    words: list[str] = []
    for question in questions_of(type(request)):
        value = getattr(request, question.name)
        if value is None or value == question.default:
            continue
        if question.switch:
            words.append(question.ask.flag)
            continue
        said = [YES_NO[0] if one is True else YES_NO[1] if one is False else str(one) for one in _each(value, question)]
        # With an equals sign: a value may begin with a dash.
        words += [f"{question.ask.flag}={one}" for one in said] if question.ask.flag else said
    return words


def _each(value: Any, question: Question) -> Sequence[Any]:
    return value if question.many else (value,)


def _add_options(parser: ArgumentParser, action: Action[Any]) -> None:
    # Before the action or behind it, as anybody would write it; SUPPRESS leaves what stood before it.
    parser.add_argument("--language", choices=(*LANGUAGES, "auto"), default=SUPPRESS, help=text("language"))
    parser.add_argument("--home", default=SUPPRESS, help=text("home"))
    parser.add_argument("--json", action="store_true", help=text("json"))
    parser.add_argument("--yes", action="store_true", help=text("yes"))
    if action.background:
        parser.add_argument("--recorded", action="store_true", help=SUPPRESS)  # how the program starts itself
    if action.plan:
        parser.add_argument("--plan", action="store_true", help=text("plan"))
    parser.add_argument("--schema", action=_PrintSchemas, nargs=0, const=action, default=SUPPRESS, help=text("schema"))
    add_arguments(parser, action.request)


def add_arguments(parser: ArgumentParser, kind: type[Request]) -> None:
    """An argument for each field of a request that people are asked for."""
    for question in questions_of(kind):
        words: dict[str, Any] = {"dest": question.name, "required": question.required} if question.ask.flag else {}
        parser.add_argument(question.ask.flag or question.name, **words, **_argument(question), help=_(question.ask.help))


def _argument(question: Question) -> dict[str, Any]:
    """What argparse has to know of a question; it hands on the words as they are, which `read_request` reads."""
    if question.switch:
        return {"action": "store_const", "const": "yes"}
    argument: dict[str, Any] = {"choices": question.choices} if question.choices else {"metavar": question.ask.metavar or None}
    if question.ask.flag:
        return argument | ({"action": "append"} if question.many else {})
    return argument | {"nargs": ("+" if question.required else "*") if question.many else "?"}


class _PrintSchemas(argparse.Action):
    """`--schema`: prints and ends, as `--help` does, whatever else is missing."""

    def __call__(self, parser: ArgumentParser, *_words: object) -> None:
        from actions.reference import schemas_of  # here, not above: nothing else needs it

        sys.stdout.write(json.dumps(schemas_of(self.const), ensure_ascii=False) + "\n")
        parser.exit()
