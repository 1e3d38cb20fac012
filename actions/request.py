"""What an action may be asked: a request, what each of its fields says of itself, and the job of carrying one out.

A request is a pydantic model. From its fields are drawn the flags of the command line, the questions of the menu and the JSON
schema, so that none of them can ask for what another does not know::

    class QueueRequest(Request):
        names: Annotated[tuple[str, ...], Ask(N_("Clients, in this order:"), metavar="ID", menu=Menu.TEXT)] = ()
        preset: Annotated[str | None, Ask(N_("how long to train each"), "--preset", choices=PRESET_NAMES)] = None
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Generic, Literal, Self, TypeVar, Union, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    TypeAdapter,
    ValidationError,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from client_folder.client import Client
from config import Settings
from locales.language import N_, _
from machine.model_process import ModelProcess

YES_NO = ("yes", "no")
_BAD_VALUE = N_("invalid %(type)s value: %(value)r")  # argparse's own words
_BAD_CHOICE = N_("invalid choice: %(value)r (choose from %(choices)s)")


class Menu(Enum):
    """How the menu asks for a field."""

    PATH = "path"
    TEXT = "text"
    CHOICE = "choice"
    TICKS = "ticks"  # several rows of those offered


@dataclass(frozen=True, slots=True)
class Ask:
    """What a field says of itself: one annotation, read by pydantic too, which checks `choices` and puts `help` into the schema."""

    help: str
    flag: str = ""  # empty: the command line takes it as a word without one
    metavar: str = ""
    menu: Menu | None = None  # None: the menu does not ask
    choices: Sequence[str] = ()  # where the type does not name them, as a Literal or an enum does
    offered: Sequence[str] = ()  # what the menu offers of the choices; empty: all
    labels: Mapping[str, str] = field(default_factory=dict)  # what the menu calls a choice; without one it stands as it is
    worded: bool = False  # of a bool: yes or no stands behind the flag, instead of the flag alone
    several: bool = False  # a row that is offered may stand for several values, blanks between them
    when: Callable[[Job[Any]], bool] | None = None  # whether the menu asks, after what was answered so far; None: it does
    offer: Callable[[Job[Any]], Sequence[tuple[str, str]]] | None = None  # rows (value, label) that the menu offers
    suggest: Callable[[Job[Any]], str] | None = None  # what stands in the line to be edited, or the row the pointer begins on
    context: Callable[[Job[Any]], str] | None = None  # what has to be known before it is answered
    show: Callable[[Job[Any]], object] | None = None  # what the action's view draws above the question
    question: str = ""  # what the menu asks; empty: `help`, which is the command line's too
    first: int = 0  # rows that are offered at first, the others one list further; 0: all at once
    new: bool = False  # of a path: it need not be there yet
    # The rest is for actions that the menu asks for on a form, all of it on one screen (`actions.form`).
    row: str = ""  # what its row is called; empty: it has none
    row_help: str = ""  # the line that explains the row; empty: `help` does
    more: bool = False  # folded behind the row "more"
    kept: bool = True  # filled in again the next time
    kept_as: Callable[[str], str] | None = None  # what of the answer is kept; None: all of it
    needed: bool = False  # may not be left empty
    bounds: Callable[[Job[Any]], tuple[float, float]] | None = None  # the least and the greatest number
    checked_as: FieldInfo | None = None  # the field of a record that says what is allowed
    check: Callable[[Job[Any]], object] | None = None  # of the answer, before the next question; raises what is wrong with it

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        return core_schema.no_info_after_validator_function(self._chosen, schema) if self.choices else schema

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        described = {**handler(schema), "description": self.help}
        if self.choices:
            described["enum"] = [*self.choices, *([None] if "anyOf" in described else [])]
        return described

    def _chosen(self, value: Any) -> Any:
        if value is not None and value not in self.choices:
            raise ValueError(_(_BAD_CHOICE) % {"value": value, "choices": ", ".join(self.choices)})
        return value


class Request(BaseModel):
    """What an action is asked. Its checks are built when it is first made, not when its module is imported."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class ClientRequest(Request):
    """What an action is asked that works for one client."""

    client: Annotated[str, Ask(N_("name of the client"), "--client", "ID")]


class BackgroundRequest(Request):
    """What an action is asked too that may run in a process of its own."""

    background: Annotated[bool, Ask(N_("let it run in the background, where no closed terminal ends it"), "--background")] = False
    attach: Annotated[bool, Ask(N_("come back to what runs in the background, or hear how it ended"), "--attach")] = False

    def handed_over(self) -> tuple[Self, Mapping[str, str]]:
        """The request as its process is told it in words, which everybody on the machine can read, and secrets by variable."""
        return self, {}


Asked = TypeVar("Asked", bound=Request)


@dataclass(frozen=True, slots=True)
class Session:
    """Where the program works, with which settings, and the process that holds its models, which `main` starts and closes."""

    home: Path
    settings: Settings
    model_process: ModelProcess


@dataclass(frozen=True, slots=True)
class Job(Generic[Asked]):
    """One request to be carried out: in which session, for whom, after which plan."""

    session: Session
    request: Asked
    client: Client | None = None
    unattended: bool = False  # nobody is to be asked: `--yes`
    plan: Any = None  # what was planned for it: shown, agreed to, and then run as it is; None where there is no plan

    @property
    def home(self) -> Path:
        """The folder of settings and clients."""
        return self.session.home

    @property
    def settings(self) -> Settings:
        """The settings of that home."""
        return self.session.settings

    @property
    def who(self) -> Client:
        """The client of an action that needs one; the command line and the menu see to it that there is one."""
        assert self.client is not None
        return self.client


def read_path(given: Any) -> Any:
    """A path as the user gave it: `~` is the home folder, quotes are taken off, and what dragging makes of a path is undone.

    A terminal may be handed `file:///a%20b` (Linux) or `a\\ b` (macOS), except on Windows, where a backslash parts folders.
    """
    if not isinstance(given, str):
        return given
    path = given.strip().strip("\"'")
    if path.startswith("file://"):
        from urllib.request import url2pathname  # here, not above: it brings all of HTTP

        return Path(url2pathname(urlsplit(path).path))
    if os.sep == "/" and "\\" in path and not Path(path).expanduser().exists():
        path = re.sub(r"\\(.)", r"\1", path)
    return Path(path).expanduser()


UserPath = Annotated[Path, BeforeValidator(read_path)]


@dataclass(frozen=True, slots=True)
class Question:
    """One field of a request, as the command line and the menu ask for it."""

    name: str
    ask: Ask
    field: FieldInfo
    kinds: tuple[Any, ...]  # the types of one value, without None
    many: bool  # several values

    @property
    def required(self) -> bool:
        """Whether a request cannot be made without it."""
        return self.field.is_required()

    @property
    def default(self) -> Any:
        """What is taken where nothing is said; None where something has to be."""
        return None if self.required else self.field.default

    @property
    def switch(self) -> bool:
        """Whether the flag alone says yes."""
        return self.kinds == (bool,) and not self.ask.worded

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that may be chosen; empty where any will do."""
        if self.ask.worded:
            return YES_NO
        words: list[str] = []
        for kind in self.kinds:
            if get_origin(kind) is Literal:
                words += map(str, get_args(kind))
            elif isinstance(kind, type) and issubclass(kind, Enum):
                words += (str(one.value) for one in kind)
        return tuple(self.ask.choices) or tuple(words)

    def read(self, given: str | Sequence[str]) -> Any:
        """The value of what was typed: one word or, where there may be several, a list; raises ValueError with words for people."""
        try:
            return TypeAdapter(self.field.rebuild_annotation()).validate_python(given)
        except ValidationError as error:
            raise ValueError(self._complaint(error)) from error

    def answered(self, text: str | Sequence[str]) -> Any:
        """The value of one line typed, or of one row or several taken, in the menu; raises ValueError."""
        if not isinstance(text, str):
            return self.read([word for row in text for word in (row.split() if self.ask.several else [row])])
        if not self.many:
            return self.read(text)
        apart = self.ask.several or not (self.ask.flag or self.required)
        return self.read(text.split() if apart else [text])

    def _complaint(self, error: ValidationError) -> str:
        """What argparse would say, or what the check of ours said."""
        first = error.errors()[0]
        if first["type"] == "value_error":
            return str(first["ctx"]["error"])
        kind = self.kinds[0]
        return _(_BAD_VALUE) % {"type": getattr(kind, "__name__", str(kind)), "value": first["input"]}


def questions_of(request: type[Request]) -> tuple[Question, ...]:
    """The fields of a request that people are asked for, in its order."""
    questions = []
    for name, info in request.model_fields.items():
        for ask in info.metadata:
            if isinstance(ask, Ask):
                kinds, many = _kinds_of(info.annotation)
                questions.append(Question(name, ask, info, kinds, many))
    return tuple(questions)


def _kinds_of(annotation: Any) -> tuple[tuple[Any, ...], bool]:
    """The types of one value, and whether there are several: `tuple[int, ...] | None` is ints, several."""
    kinds, many = [], False
    for kind in get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,):
        if get_origin(kind) is Annotated:
            kinds.append(get_args(kind)[0])
        elif get_origin(kind) is tuple:
            inner, many = _kinds_of(get_args(kind)[0])[0], True
            kinds += inner
        elif kind is not NoneType:
            kinds.append(kind)
    return tuple(kinds), many
