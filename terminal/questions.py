"""Questions in a terminal: what an action wants to know, one line, one choice or several, yes or no. Esc and Ctrl-C both go back.

Before each question, keys that were pressed while there was none are forgotten: nobody meant them for it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console

from actions.action import Action
from actions.recent import last_folder, remember_folder
from actions.request import Job, Menu, Question, Session, questions_of, read_path
from actions.table import row_named
from client_folder.client import Client
from locales.language import N_, _
from terminal.choice_list import BACK, LOOKS, ChoiceList, Option, application, listed
from terminal.console import printable
from terminal.keys import ask_alone
from utils import FolderMissing

if TYPE_CHECKING:
    from prompt_toolkit import Application
    from prompt_toolkit.formatted_text import StyleAndTextTuples

ALL = "<all>"  # an answer that no row has
ESCAPE_SECONDS = 0.05  # Esc is a key of its own here: do not wait half a second for an arrow's rest
Given = TypeVar("Given")

TEXT = {
    "back": N_("Back"),
    "yes_word": N_("Yes"),
    "no_word": N_("No"),
    "keys_line": N_("Esc: back"),
    "keys_path": N_("Tab completes, Esc: back"),
    "not_understood": N_("{answer} is not understood: {error}"),
    "more_rows": N_("{count} more"),
    "nothing_to_choose": N_("There is nothing to choose from."),
    "other_word": N_('To go ahead, type "{word}"; Esc leads back.'),
}


def text(name: str) -> str:
    """A text of a question, in the user's language."""
    return _(TEXT[name])


# --- what an action wants to know -------------------------------------------------------------------------------------
def ask_request(
    action: Action[Any], session: Session, client: Client | None, console: Console, known: Mapping[str, Any] | None = None
) -> Job[Any] | None:
    """The job that the user's answers make, question by question or on a form; None when the user went back.

    What is `known` is not asked.
    """
    kind = action.request
    answers: dict[str, Any] = {"client": client.id} if client and "client" in kind.model_fields else {}
    answers |= known or {}
    job = Job(session, kind.model_construct(**answers), client)  # so far: what was not asked yet stands at its default
    if action.form:
        from terminal.form import fill_in  # here, not above: with all it needs, and who only opens the menu need not wait for it

        form = action.form(job)
        filled = fill_in(form)
        request = form.request(filled) if filled is not None else None
        return replace(job, request=request) if request is not None else None
    for question in questions_of(kind):
        if question.ask.menu and question.name not in (known or {}) and (question.ask.when is None or question.ask.when(job)):
            if question.ask.show:
                show(action, question.ask.show(job), console)
            given = _ask_until_understood(question, job, console)
            if given is None:
                return None
            answers |= given
            job = replace(job, request=kind.model_construct(**answers))
            if question.ask.check:
                question.ask.check(job)
    return replace(job, request=kind(**answers))


def _ask_until_understood(question: Question, job: Job[Any], console: Console) -> dict[str, Any] | None:
    """The value of a field by its name, none where nothing was said; what cannot be understood is asked again, the text kept."""
    if question.ask.context:
        console.print(question.ask.context(job))
    before = ""
    while True:
        given = _ask_question(question, job, console, before)
        if given is None:
            return None
        try:
            return {question.name: question.answered(given)} if given else {}
        except ValueError as error:
            console.print(text("not_understood").format(answer=given, error=error))
            before = given if isinstance(given, str) else ""


def show(action: Action[Any], record: object, console: Console) -> None:
    """A plan, a report or what stands above a question, drawn by the module that the action's row names."""
    views = importlib.import_module(row_named(action.name).view).VIEWS
    console.print(views[type(record)](record))


def _ask_question(question: Question, job: Job[Any], console: Console, before: str) -> str | list[str] | None:
    """What the user answers, perhaps nothing; None when the user went back. `before` is what was typed and not understood."""
    ask = question.ask
    words = _(ask.question or ask.help)
    if ask.menu is Menu.PATH:
        return ask_path(words, job.home, console, needed=question.required, new=ask.new)
    if ask.menu is Menu.TEXT and not ask.offer:
        return ask_text(words, before or (ask.suggest(job) if ask.suggest else str(question.default or "")))
    if ask.offer:
        rows = listed([(value, label) for value, label in ask.offer(job)])
    elif question.switch:
        rows = listed([("no", text("no_word")), ("yes", text("yes_word"))])
    else:
        rows = listed([(choice, _(ask.labels.get(choice, choice))) for choice in ask.offered or question.choices])
    if not rows:
        console.print(text("nothing_to_choose"))
        return None
    if ask.menu is Menu.TICKS:
        return tick(words, rows, needed=question.required)
    default = ask.suggest(job) if ask.suggest else ("yes" if question.default else "no") if question.switch else question.default
    back = [Option(BACK, text("back"))] if ask.offer else []
    rest = rows[ask.first :] if ask.first else ()
    more = [Option(ALL, text("more_rows").format(count=len(rest)))] if rest else []
    chosen = choose(words, [*(rows[: ask.first] if rest else rows), *more, *back], default)
    if chosen == ALL:
        chosen = choose(words, [*rest, *back])
    return None if chosen == BACK else chosen


def ask_path(question: str, home: Path, console: Console, *, needed: bool = True, new: bool = False) -> str | None:
    """A path as it was typed or dragged here; one that has to be there and is not is said, and asked again with the text kept."""
    offered, typed = last_folder(home) if needed else "", ""
    while True:
        given = _ask_line(f" {question}", typed, offered=offered, path=True)
        if not given:
            return None if given is None or needed else given
        path = read_path(given)
        if path.exists() or new:
            if not new:
                remember_folder(home, path if path.is_dir() else path.parent)
            return str(path)
        missing = FolderMissing(path=path)
        console.print(missing.text())
        console.print(missing.cure())
        typed = given


# --- one question -----------------------------------------------------------------------------------------------------
def choose(question: str, choices: Sequence[Sequence[str]], default: str | None = None) -> str:
    """The value of the row taken, out of `Option`s or (value, label, why it cannot be taken); BACK when the user went back."""
    prompt = application(ChoiceList(question, listed(choices), default))
    answer = _ask(prompt, prompt.run)
    return answer if isinstance(answer, str) else BACK


def tick(question: str, choices: Sequence[Sequence[str]], *, needed: bool) -> list[str] | None:
    """The values of the rows ticked, in the order in which they were; None when the user went back.

    Where one is `needed` and none is ticked, the row under the pointer is taken.
    """
    rows = ChoiceList(question, listed(choices), None, several=True)
    prompt = application(rows)
    answer = _ask(prompt, prompt.run)
    if needed and answer == [] and rows.pointed:
        return [rows.pointed.value]
    return None if answer is None else list(answer)


def ask_yes(question: str, default: bool = True) -> bool:
    """Whether the user says yes; `default` is the answer that Enter alone gives: No before anything grave."""
    return choose(question, [("yes", text("yes_word")), (BACK, text("no_word"))], "yes" if default else BACK) == "yes"


def ask_text(question: str, default: str = "") -> str | None:
    """A line that the user writes; None when the user went back."""
    return _ask_line(f" {question} ", default)


def ask_word(question: str, words: Sequence[str], console: Console) -> bool:
    """Whether the user types one of these words, whatever its case; anything else is asked again, and Esc is no."""
    typed = ""
    while True:
        given = _ask_line(f" {question} ", typed)
        if given is None:
            return False
        if given.casefold() in {word.casefold() for word in words}:
            return True
        console.print(text("other_word").format(word=words[0]))
        typed = given


def _ask_line(question: str, default: str, *, offered: str = "", path: bool = False) -> str | None:
    """A line, blanks around it taken off. `offered` stands there until something is typed: Enter takes it, Tab makes it text."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.application import get_app
    from prompt_toolkit.completion import PathCompleter
    from prompt_toolkit.filters import Condition
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
    from prompt_toolkit.styles import Style

    keys = KeyBindings()
    keys.add("escape", eager=True)(lambda event: event.app.exit(result=None))

    @keys.add("tab", filter=Condition(lambda: bool(offered) and not get_app().current_buffer.text))
    def take_offered(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text(offered)

    # A path has a line of its own: it is long.
    question = printable(question)
    message: StyleAndTextTuples = [("class:question", f"{question}\n > " if path else question)]
    session: PromptSession[str | None] = PromptSession(
        message, style=Style.from_dict(LOOKS), key_bindings=keys, completer=PathCompleter(expanduser=True) if path else None,
        complete_while_typing=False, rprompt=[("class:keys", text("keys_path" if path else "keys_line"))],
        placeholder=[("class:keys", printable(offered))] if offered else None,
    )  # fmt: skip
    given = _ask(session.app, lambda: session.prompt(default=default))
    return given if given is None else given.strip() or offered


def _ask(prompt: Application[Given], run: Callable[[], Given]) -> Given | None:
    """Run a prompt; None when the user went back with Esc or Ctrl-C."""
    prompt.ttimeoutlen = ESCAPE_SECONDS
    try:
        return ask_alone(prompt, run)
    except (KeyboardInterrupt, EOFError):
        return None
