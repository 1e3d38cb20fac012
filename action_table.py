"""What the table of actions is made of: rows, which lists and help show, and actions, with all they ask, plan, run and answer."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any

from client import Client
from config import Settings
from forms import Form
from utils import Event, PipelineError
from workshop import Workshop

Answer = dict[str, Any]
Stage = Generator[Event, None, Any]


@dataclass(frozen=True, slots=True)
class Job:
    """One request: where, with which settings, in which words, for whom."""

    home: Path
    settings: Settings
    options: Namespace
    client: Client | None = None
    workshop: Workshop = field(default_factory=Workshop)  # whoever makes it closes it
    plan: Any = None  # what was planned for it: shown, agreed to, and then run as it is; None where there is no plan

    @property
    def who(self) -> Client:
        """The client of an action that needs one; the command line and the menu see to it that there is one."""
        assert self.client is not None
        return self.client


class Ask(Enum):
    """How the menu asks for an option."""

    PATH = "path"
    TEXT = "text"
    CHOICE = "choice"


def _always(_job: Job) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Option:
    """One option of an action: a word or flag of the command line, and a question of the menu where `ask` is set."""

    flag: str
    help: str
    ask: Ask | None = None
    default: Any = None
    read: Callable[[str], Any] = str
    choices: Sequence[str] = ()
    offered: Sequence[str] = ()  # what the menu offers of the choices; empty: all
    labels: Mapping[str, str] = field(default_factory=dict)  # what the menu calls a choice; without one it stands as it is
    repeatable: bool = False
    nargs: str = ""
    metavar: str = ""
    dest: str = ""  # the name among the options, where it is not that of the flag
    switch: bool = False  # yes where it is named, no where it is not
    several: bool = False  # a row that is offered may stand for several values, blanks between them
    when: Callable[[Job], bool] = _always  # whether the menu asks, after what was answered so far
    offer: Callable[[Job], Sequence[tuple[str, str]]] | None = None  # rows (value, label) that the menu offers
    suggest: Callable[[Job], str] | None = None  # what stands in the line to be edited

    @property
    def name(self) -> str:
        """The option's name among the options of a job."""
        return self.dest or self.flag.lstrip("-").replace("-", "_")

    def answered(self, text: str) -> Any:
        """The value of an answer given in the menu, as the command line would have read it."""
        if self.switch:
            return text == "yes"
        if self.nargs == "*" or (self.nargs == "+" and self.several):
            return [self.read(word) for word in text.split()]
        return [self.read(text)] if self.nargs == "+" or self.repeatable else self.read(text)

    def words(self) -> dict[str, Any]:
        """What argparse wants to know."""
        if self.switch:
            return {"action": "store_true"}
        words: dict[str, Any] = {"type": self.read, "default": self.default}
        words |= {"choices": tuple(self.choices)} if self.choices else {"metavar": self.metavar or None}
        words |= {"nargs": self.nargs} if self.nargs else {}
        words |= {"dest": self.dest} if self.dest else {}
        return words | ({"action": "append"} if self.repeatable else {})


def _no_complaint(_report: Any) -> PipelineError | None:
    return None


def _never(_job: Job) -> bool:
    return False


def _nothing_more(_job: Job, _report: Any) -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True)
class Retry:
    """Another try after a failure: the question to ask, and the options to try with."""

    question: str
    options: Namespace


@dataclass(frozen=True, slots=True)
class Action:
    """What an action does. `answer` is the JSON that scripts rely on; `verdict` says whether the report is a failure."""

    name: str
    run: Callable[[Job], Stage]
    answer: Callable[[Any], Answer]
    needs_client: bool = True
    changes: bool = True  # whether the client is held for this program alone
    form: Callable[[Job], Form] | None = None  # how the menu asks, instead of option by option
    plan: Callable[[Job], Any] | None = None  # what is shown before anything happens
    plan_answer: Callable[[Any], Answer] = asdict
    plans: Callable[[Job], bool] = _always  # whether this job has a plan
    long: bool = False  # whether the command line asks too before it begins what it planned
    whole_gpu: bool = False  # whether everything else has to leave the GPU first
    grave: Callable[[Job], bool] = _never  # whether it cannot be undone
    verdict: Callable[[Any], PipelineError | None] = _no_complaint
    retry: Callable[[Namespace, PipelineError], Retry | None] | None = None  # what a failure may be answered with
    then: Callable[[Job, Any], Sequence[str]] = _nothing_more  # the actions that the menu goes on with after this report
    options: tuple[Option, ...] = field(default=())

    def planned(self, job: Job) -> Job:
        """The job with its plan, if it is one that has a plan; the only place where a plan is made."""
        return replace(job, plan=self.plan(job)) if self.plan and self.plans(job) else job


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: all that lists and help say of an action. Its room is entered once somebody asks for the action."""

    name: str
    label: str
    room: Callable[[], Sequence[Action]]
    view: str  # the module whose VIEWS draw its plan and report; imported once there is something to show a person
    tool: bool = False  # stands on the first screen
    extra: bool = False  # stands on a client's screen, below the eight steps
    more: bool = False  # stands one list further, so that the screen has room for what came out last


def at_once(work: Callable[[Job], Any]) -> Callable[[Job], Stage]:
    """A stage of something that takes no time worth showing."""

    def stage(job: Job) -> Stage:
        yield from ()
        return work(job)

    return stage
