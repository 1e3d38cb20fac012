"""The form of a request: all that may be asked for on one screen, a row a field, drawn from what each field says of itself.

`request_form` draws it from an `Ask` with a `row`; what the rows say depends on what stands in the others, so they are drawn anew
after each change. What was asked for last is filled in, and kept in the client's folder once the user goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from actions.action import Form, FormRow
from actions.request import YES_NO, Job, Menu, Question, questions_of
from client_folder.last_used import keep_last_used, read_last_used
from locales.language import N_, _
from utils import explain

BETWEEN, AT_LEAST, AT_MOST, MULTIPLE = (
    N_("from {low} to {high}"),
    N_("{low} and more"),
    N_("up to {high}"),
    N_("in steps of {step}"),
)
NEEDED = N_("write something here")
YES_NO_LABELS = {"yes": N_("yes"), "no": N_("no")}

Usual = Callable[[Job[Any]], Mapping[str, str]]  # what is taken where a row is left empty, by the name of its field


def request_form(action: str, job: Job[Any], title: str, go_on: Callable[[Job[Any]], str], usual: Usual = lambda _job: {}) -> Form:
    """The form of an action's request. `go_on` says of a job what it will do, in the user's language."""
    kind = type(job.request)
    questions = [question for question in questions_of(kind) if question.ask.row]
    last = read_last_used(job.client, action) if job.client else {}

    def answered(answers: Mapping[str, str]) -> Job[Any]:
        """The job that these answers make, as far as they can be understood; rows that do not show take no part."""
        made = replace(job, request=kind.model_construct(**_fixed(job)))
        for question in questions:
            if _shown(question, made) and (text := answers.get(question.name, "")) and not _wrong(question, made, text):
                request = kind.model_construct(**made.request.model_dump() | {question.name: question.answered(text)})
                made = replace(made, request=request)
        return made

    def rows(answers: Mapping[str, str]) -> tuple[FormRow, ...]:
        made = answered({**last, **answers})
        taken = usual(made)
        shown = [question for question in questions if _shown(question, made)]
        return tuple(_row(question, made, last.get(question.name), taken.get(question.name, "")) for question in shown)

    def request(answers: Mapping[str, str]) -> Any:
        """The request; kept for the next time, but for what has to be said anew."""
        made = answered(answers)
        kept = {
            question.name: (question.ask.kept_as or str)(answers.get(question.name, last.get(question.name, "")))
            for question in questions
            if question.ask.kept
        }
        if job.client:
            keep_last_used(job.client, action, {name: text for name, text in kept.items() if text or name in last})
        return kind(**made.request.model_dump())

    return Form(title, rows({}), request, draw=rows, go_on=lambda answers: go_on(answered(answers)))


def _fixed(job: Job[Any]) -> dict[str, Any]:
    """What is settled before the form opens: the client."""
    return {"client": job.client.id} if job.client and "client" in type(job.request).model_fields else {}


def _shown(question: Question, job: Job[Any]) -> bool:
    return question.ask.when is None or question.ask.when(job)


def _choices(question: Question, job: Job[Any]) -> tuple[tuple[str, str], ...]:
    """What can be chosen (value, label); nothing where a text is typed."""
    ask = question.ask
    if ask.offer:
        return tuple(ask.offer(job))
    if question.switch:
        return tuple((value, _(YES_NO_LABELS[value])) for value in reversed(YES_NO))
    if question.choices and ask.menu is not Menu.TEXT:
        open_too = [("", _(ask.labels[""]))] if "" in ask.labels else []
        return (*open_too, *((choice, _(ask.labels.get(choice, choice))) for choice in ask.offered or question.choices))
    return ()


def _row(question: Question, job: Job[Any], last: str | None, usual: str) -> FormRow:
    ask, choices = question.ask, _choices(question, job)
    first = ask.suggest(job) if ask.suggest else str(question.default or "")
    if question.switch:
        first = "no"
    value = first
    if last is not None and (last in dict(choices) if choices else not _wrong(question, job, last)):
        value = last
    if choices and value not in dict(choices):
        value = choices[0][0]
    if usual:
        choices = tuple((given, label if given else f"{label} ({usual})") for given, label in choices)
    return FormRow(
        question.name, ask.row, value, help=ask.row_help or ask.help, extent=_extent(question, job), choices=choices, usual=usual,
        check=lambda text: _wrong(question, job, text), more=ask.more,
    )  # fmt: skip


def _extent(question: Question, job: Job[Any]) -> str:
    """The range of a number, in words; empty where there is none."""
    if question.ask.bounds:
        low, high = question.ask.bounds(job)
        return between(low, high)
    return extent_of(question.ask.checked_as) if question.ask.checked_as else ""


def extent_of(field: FieldInfo) -> str:
    """The range of a number that a field of a record allows, in words; empty where it allows any."""
    found = {
        name: getattr(one, name) for one in field.metadata for name in ("ge", "le", "gt", "lt", "multiple_of") if hasattr(one, name)
    }
    low, high = found.get("ge", found.get("gt")), found.get("le", found.get("lt"))
    parts = []
    if low is not None and high is not None:
        parts.append(between(low, high))
    elif low is not None or high is not None:
        parts.append(_(AT_LEAST).format(low=number(low)) if low is not None else _(AT_MOST).format(high=number(high or 0)))
    if "multiple_of" in found:
        parts.append(_(MULTIPLE).format(step=number(found["multiple_of"])))
    return ", ".join(parts)


def between(low: float, high: float) -> str:
    """A range in words."""
    return _(BETWEEN).format(low=number(low), high=number(high))


def number(value: float) -> str:
    """A number as people write it."""
    return str(int(value)) if value == int(value) else f"{value:g}"


def complaint_of(field: FieldInfo, given: Any) -> str:
    """What is wrong with a value for a field of a record, in the user's language; empty where nothing is."""
    try:
        TypeAdapter(field.rebuild_annotation()).validate_python(given)
    except ValidationError as error:
        return explain(error)
    return ""


def _wrong(question: Question, job: Job[Any], text: str) -> str:
    """What is wrong with what stands in a row; empty where nothing is."""
    ask = question.ask
    if not text.strip():
        return _(NEEDED) if ask.needed else ""
    if ask.checked_as:
        return complaint_of(ask.checked_as, text)
    try:
        value = question.answered(text)
    except ValueError as error:
        return explain(error.__cause__) if isinstance(error.__cause__, ValidationError) else str(error)
    if ask.bounds:
        low, high = ask.bounds(job)
        numbers: Sequence[float] = value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
        if any(not low <= number <= high for number in numbers):
            return between(low, high)
    return ""
