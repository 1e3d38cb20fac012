"""What every action may be asked and answers, as data: JSON schemas for programs, and tables for the documentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, TypeAdapter

from actions.action import Action, Row, answer_kind
from actions.request import Question, questions_of
from actions.table import ROWS, action_named


def schemas_of(action: Action[Any]) -> dict[str, Any]:
    """The JSON schemas of an action: its request, its answer, and its plan (None where it has none)."""
    return {
        "action": action.name,
        "request": action.request.model_json_schema(by_alias=True),
        "answer": _answer_schema(answer_kind(action.answer)),
        "plan": _answer_schema(answer_kind(action.plan_answer)) if action.plan_answer else None,
    }


def _answer_schema(kind: Any) -> dict[str, Any]:
    return TypeAdapter(kind).json_schema(by_alias=True, mode="serialization")


@dataclass(frozen=True, slots=True)
class FlagReference:
    """One word or flag of an action, as the documentation lists it; texts are in English."""

    flag: str  # with dashes, or the name of a word that stands without a flag
    metavar: str
    choices: tuple[str, ...]
    default: str  # as it would be typed; empty where there is none
    help: str
    required: bool
    repeatable: bool
    asked: bool  # by the menu too


@dataclass(frozen=True, slots=True)
class ActionReference:
    """One action: what it may be asked, and the keys of its answer; of what answers in several ways, one tuple each."""

    name: str
    label: str
    about: str
    flags: tuple[FlagReference, ...]
    answers: tuple[tuple[str, ...], ...]
    plan: tuple[str, ...]  # empty where it has no plan


def actions_reference() -> tuple[ActionReference, ...]:
    """Every action in the order of the table; imports all their modules."""
    return tuple(_reference(row, action_named(row.name)) for row in ROWS)


def _reference(row: Row, action: Action[Any]) -> ActionReference:
    kind = answer_kind(action.answer)
    kinds = (kind,) if isinstance(kind, type) else kind.__args__  # of a union, each
    plan = _keys(answer_kind(action.plan_answer)) if action.plan_answer else ()
    flags = tuple(map(_flag, questions_of(action.request)))
    return ActionReference(action.name, row.label, row.about, flags, tuple(map(_keys, kinds)), plan)


def _keys(kind: type[BaseModel]) -> tuple[str, ...]:
    return tuple(field.alias or name for name, field in kind.model_fields.items())


def _flag(question: Question) -> FlagReference:
    ask, default = question.ask, question.default
    worded = {True: "yes", False: "no"}.get(default, "") if ask.worded else str(default or "")
    return FlagReference(
        flag=ask.flag or question.name, metavar=ask.metavar, choices=question.choices, default="" if question.switch else worded,
        help=ask.help, required=question.required, repeatable=question.many, asked=ask.menu is not None or bool(ask.row),
    )  # fmt: skip
