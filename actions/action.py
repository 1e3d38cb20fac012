"""What the table of actions is made of: rows, which lists and help show, and actions, with all they ask, plan, run and answer."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, Self, get_type_hints

from pydantic import AfterValidator, BaseModel, ConfigDict, WithJsonSchema

from actions.request import Asked, ClientRequest, Job, Request
from utils import Event, PipelineError

if TYPE_CHECKING:
    from machine.background import Place  # the first screen has no need of it

Stage = Generator[Event, None, Any]
# Numbers of an answer, to so many decimals; a count among them stays whole.
Rounded2 = Annotated[int | float, AfterValidator(partial(round, ndigits=2)), WithJsonSchema({"type": "number"})]
Rounded3 = Annotated[int | float, AfterValidator(partial(round, ndigits=3)), WithJsonSchema({"type": "number"})]
Rounded4 = Annotated[int | float, AfterValidator(partial(round, ndigits=4)), WithJsonSchema({"type": "number"})]


class Answer(BaseModel):
    """What an action answers: the JSON that scripts rely on, made of the report of a stage. `dump` is how it is written."""

    model_config = ConfigDict(frozen=True, from_attributes=True, defer_build=True)

    @classmethod
    def of(cls, report: Any) -> Self:
        """The answer about a report: its fields of the same names, unless a kind of answer says otherwise."""
        return cls.model_validate(report)


def dump(answer: BaseModel) -> dict[str, Any]:
    """An answer as the JSON object that is printed; the only place where one is made of it."""
    return answer.model_dump(mode="json", by_alias=True)


@dataclass(frozen=True, slots=True)
class FormRow:
    """One row of a form: what is asked, and what stands there so far; texts still to be translated, but for `extent` and labels."""

    key: str
    label: str
    value: str = ""
    help: str = ""  # one sentence, shown while the cursor stands on the row
    extent: str = ""  # the range of a number
    choices: tuple[tuple[str, str], ...] = ()  # (value, label) of what can be chosen; empty: a text is typed
    usual: str = ""  # what is taken where the row is left empty
    check: Callable[[str], str] = lambda _text: ""  # what is wrong with a text, in the user's language; empty where nothing is
    more: bool = False  # folded behind the row "more"
    group: str = ""  # a heading; rows of one group stand together


@dataclass(frozen=True, slots=True)
class Form:
    """Questions that the menu shows on one screen, to be answered in any order; `about` says why they are asked."""

    title: str
    rows: tuple[FormRow, ...]
    # Made of what stands in the rows by key, of nothing at all where the form was skipped; None: there is nothing to do.
    request: Callable[[dict[str, str]], Request | None]
    draw: Callable[[Mapping[str, str]], tuple[FormRow, ...]] | None = None  # the rows after these answers; None: as they are
    go_on: Callable[[Mapping[str, str]], str] = lambda _answers: ""  # what going on will do, in the user's language
    about: str = ""
    skip: str = ""  # the row that skips all of it; empty: there is none


@dataclass(frozen=True, slots=True)
class Retry:
    """Another try after a failure: the question to ask, and the request to try with."""

    question: str
    request: Request
    grave: bool = False  # whether Enter alone says no
    cure: str = ""  # what is said before the question in place of the failure's hint, where that speaks of the command line


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What the menu offers after a report: a row and the action behind it. What its `request` does not say is asked."""

    label: str
    action: str
    request: Request  # a whole one, or with the fields that are `given`
    given: tuple[str, ...] | None = None  # fields that need not be asked; None: nothing is to be asked


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture that a report is about, and a word to stand under it."""

    picture: Path
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Background(Generic[Asked]):
    """An action that may run in a process of its own, which outlives the terminal: where its files lie, and what it reports."""

    place: Callable[[Job[Asked]], Place]
    report: type


@dataclass(frozen=True, slots=True)
class Action(Generic[Asked]):
    """What an action is asked, plans, runs and answers. `verdict` says whether the report is a failure."""

    name: str
    request: type[Asked]
    run: Callable[[Job[Asked]], Stage]
    answer: Callable[[Any], BaseModel]  # of the report; what it is annotated to return is the schema of the answer
    in_turn: bool = False  # whether the command line asks as the menu does, question after question, where somebody is there
    changes: bool = True  # whether the client is held for this program alone
    form: Callable[[Job[Asked]], Form] | None = None  # how the menu asks, instead of question by question
    plan: Callable[[Job[Asked]], Any] | None = None  # what is shown before anything happens
    plan_answer: Callable[[Any], BaseModel] | None = None  # of the plan; where there is a plan there is one
    plans: Callable[[Job[Asked]], bool] = lambda _job: True  # whether this job has a plan
    long: bool = False  # whether the command line asks too before it begins what it planned
    guided: bool = False  # whether the command line asks the menu's questions where nothing was named, and somebody is there
    harmless: Callable[[Job[Asked]], bool] = lambda _job: False  # whether what was planned needs no yes
    otherwise: Callable[[Job[Asked]], Job[Asked]] | None = None  # what is done after a no, and where nobody can be asked
    whole_gpu: bool = False  # whether everything else has to leave the GPU first
    gpu: bool = False  # whether it may compute on the GPU beside others; what needs the whole of it does without saying so
    lasts: Callable[[Asked], bool] = lambda _request: False  # whether it may take longer than a caller waits for an answer
    grave: Callable[[Job[Asked]], bool] = lambda _job: False  # whether it cannot be undone
    typed: Callable[[Job[Asked]], Sequence[str]] = lambda _job: ()  # one of these words has to be typed instead of a yes
    careful: Callable[[Job[Asked]], bool] = lambda _job: False  # whether it is asked for, with No as the answer of a mere Enter
    objection: Callable[[Job[Asked]], PipelineError | None] = lambda _job: None  # what speaks against it before anything is planned
    verdict: Callable[[Any], PipelineError | None] = lambda _report: None
    needs: Callable[[Job[Asked]], Sequence[str]] = lambda _job: ()  # models of the table that are not here, though it was planned
    retry: Callable[[Asked, PipelineError], Retry | None] | None = None  # what a failure may be answered with
    # What goes on once the report was handed over, until it is stopped; None: nothing does.
    stays: Callable[[Job[Asked], Any], Stage] | None = None
    # Names of actions that the menu offers beside going ahead with the plan.
    instead: Callable[[Job[Asked]], Sequence[str]] = lambda _job: ()
    background: Background[Asked] | None = None  # whether it may outlive the terminal
    then: Callable[[Job[Asked], Any], Sequence[str]] = lambda _job, _report: ()  # what the menu goes on with after this report
    made: Callable[[Job[Asked], Any], Sequence[Path]] = lambda _job, _report: ()  # the files to look at, the first one first
    shown: Callable[[Job[Asked], Any], Sequence[Shown]] = lambda _job, _report: ()  # pictures for a terminal that can show some
    offers: Callable[[Job[Asked], Any], Sequence[FollowUp]] = lambda _job, _report: ()  # what the menu offers beside going on

    @property
    def needs_client(self) -> bool:
        """Whether it works for one client, who has to be named."""
        return issubclass(self.request, ClientRequest)

    def planned(self, job: Job[Asked]) -> Job[Asked]:
        """The job with its plan, if it is one that has a plan; the only place where a plan is made."""
        return replace(job, plan=self.plan(job)) if self.plan and self.plans(job) else job


def answer_kind(answer: Callable[[Any], BaseModel]) -> Any:
    """What a function that makes answers makes: a model, or a union of models."""
    owner = getattr(answer, "__self__", None)  # of `Kind.of`
    return owner if isinstance(owner, type) else get_type_hints(answer)["return"]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: all that lists and help say of an action. Its module is imported once somebody asks for the action."""

    name: str
    label: str
    about: str  # a sentence or two: what it does, for whoever stands before its row
    module: str  # which has it among its ACTIONS
    view: str  # the module whose VIEWS draw its plan and report; imported once there is something to show a person
    tool: bool = False  # stands on the first screen
    extra: bool = False  # stands on a client's screen, below the eight steps
    more: bool = False  # stands one list further, so that the screen has room for what came out last


def always(_request: Request) -> bool:
    """Of an action that may always take long."""
    return True


def at_once(work: Callable[[Job[Asked]], Any]) -> Callable[[Job[Asked]], Stage]:
    """A stage of something that takes no time worth showing."""

    def stage(job: Job[Asked]) -> Stage:
        yield from ()
        return work(job)

    return stage
