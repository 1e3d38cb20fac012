"""Questions in a terminal: what an action wants to know, one line, one choice, yes or no. Esc and Ctrl-C both go back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rich.console import Console

from actions.action import Action, Form
from actions.request import Job, Menu, Question, Session, questions_of
from client_folder.client import Client
from locales.language import N_, _

MOST_SHORTCUTS = 36  # rows: questionary has no more keys than digits and letters
BACK, ALL = "<back>", "<all>"  # answers that no client can be named

TEXT = {
    "keys": N_("(arrows or numbers, Enter; Esc: back)"),
    "back": N_("Back"),
    "yes_word": N_("Yes"),
    "no_word": N_("No"),
    "form_done": N_("Done: keep what stands here"),
    "form_skip": N_("Skip all of it"),
    "not_understood": N_("{answer} is not understood: {error}"),
    "nothing_to_choose": N_("There is nothing to choose from."),
}


def text(name: str) -> str:
    """A text of a question, in the user's language."""
    return _(TEXT[name])


def ask_request(action: Action[Any], session: Session, client: Client | None, console: Console) -> Job[Any] | None:
    """The job that the user's answers make, question by question or on a form; None when the user went back."""
    kind = action.request
    answers: dict[str, Any] = {"client": client.id} if client and "client" in kind.model_fields else {}
    job = Job(session, kind.model_construct(**answers), client)  # so far: what was not asked yet stands at its default
    if action.form:
        form = action.form(job)
        return replace(job, request=form.request(_fill_in(form)))
    for question in questions_of(kind):
        if question.ask.menu and (question.ask.when is None or question.ask.when(job)):
            given = _ask_question(question, job, console)
            if given is None:
                return None
            try:
                answers |= {question.name: question.answered(given)} if given else {}
            except ValueError as error:
                console.print(text("not_understood").format(answer=given, error=error))
                return None
            job = replace(job, request=kind.model_construct(**answers))
            if question.ask.check:
                question.ask.check(job)
    return replace(job, request=kind(**answers))


def _fill_in(form: Form) -> dict[str, str]:
    """What the user writes into the rows of a form; nothing when the user skips it."""
    answers = {row.key: row.value for row in form.rows}
    chosen = ALL
    while True:
        rows = [(row.key, f"{_(row.label)}: {answers[row.key] or '-'}", "") for row in form.rows]
        chosen = choose(_(form.title), [(ALL, text("form_done"), ""), *rows, (BACK, text("form_skip"), "")], chosen)
        if chosen in (ALL, BACK):
            return answers if chosen == ALL else {}
        label = next(row.label for row in form.rows if row.key == chosen)
        given = ask_text(f"{_(label)}:", answers[chosen])
        answers[chosen] = answers[chosen] if given is None else given


def _ask_question(question: Question, job: Job[Any], console: Console) -> str | None:
    """What the user answers, perhaps nothing; None when the user went back, as an empty path does where one is needed."""
    ask = question.ask
    if ask.offer:
        rows = [(value, label, "") for value, label in ask.offer(job)]
        if not rows:
            console.print(text("nothing_to_choose"))
            return None
        chosen = choose(_(ask.help), [*rows, (BACK, text("back"), "")])
        return None if chosen == BACK else chosen
    if question.switch:
        chosen = choose(_(ask.help), [("no", text("no_word"), ""), ("yes", text("yes_word"), "")])
        return None if chosen == BACK else chosen
    if ask.menu is Menu.CHOICE:
        offered = ask.offered or question.choices
        default = question.default if question.default in offered else None
        chosen = choose(_(ask.help), [(choice, _(ask.labels.get(choice, choice)), "") for choice in offered], default)
        return None if chosen == BACK else chosen
    if ask.menu is Menu.PATH:
        path = _ask_path(_(ask.help))
        return path if path or not question.required else None
    return ask_text(_(ask.help), ask.suggest(job) if ask.suggest else str(question.default or ""))


def choose(question: str, choices: Sequence[tuple[str, str, str]], default: str | None = None) -> str:
    """The value of the choice taken out of (value, label, why it cannot be taken); BACK when the user went back."""
    import questionary  # here, not above: the command line needs none of it, and it is most of the time to start

    rows = [
        questionary.Choice(label, value, disabled=why or None, shortcut_key=key)
        for (value, label, why), key in zip(choices, _shortcuts([value for value, _label, _why in choices]), strict=True)
    ]
    few = len(rows) <= MOST_SHORTCUTS
    prompt = questionary.select(
        question, rows, default=default, use_shortcuts=few, use_jk_keys=False, qmark="", pointer=">", instruction=text("keys")
    )
    answer = _asked(prompt)
    return BACK if answer is None else str(answer)


def _shortcuts(values: Sequence[str]) -> list[str | bool]:
    """1, 2, 3 ... and 0 for the row that leads back; beyond nine rows the arrows do."""
    return ["0" if value == BACK else str(row) if row < 10 else False for row, value in enumerate(values, 1)]


def ask_yes(question: str) -> bool:
    """Whether the user says yes."""
    return choose(question, [("yes", text("yes_word"), ""), (BACK, text("no_word"), "")]) == "yes"


def ask_text(question: str, default: str = "") -> str | None:
    """A line that the user writes; None when the user went back."""
    import questionary

    answer = _asked(questionary.text(question, default=default, qmark=""))
    return str(answer).strip() if answer is not None else None


def _ask_path(question: str) -> str | None:
    import questionary
    from prompt_toolkit.completion import PathCompleter

    # Not questionary.path: there, Enter only closes the list of completions while one is open. Here Tab completes, Enter is Enter.
    answer = _asked(questionary.text(question, qmark="", completer=PathCompleter(expanduser=True), complete_while_typing=False))
    # A folder dragged into a terminal comes quoted, or with a blank behind it.
    return str(answer).strip().strip("\"'") if answer is not None else None


def _asked(prompt: Any) -> Any:
    """Ask a questionary prompt; None when the user went back with Esc or Ctrl-C."""
    from prompt_toolkit.key_binding import KeyBindings, merge_key_bindings

    prompt.application.ttimeoutlen = 0.05  # Esc is a key of its own here: do not wait half a second for an arrow's rest
    bindings = KeyBindings()
    bindings.add("escape", eager=True)(lambda event: event.app.exit(result=None))
    prompt.application.key_bindings = merge_key_bindings([prompt.application.key_bindings, bindings])
    try:
        return prompt.unsafe_ask()
    except (KeyboardInterrupt, EOFError):
        return None
