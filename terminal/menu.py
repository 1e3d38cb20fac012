"""The guided menu: clients and tools, the steps of a client, what may follow a report. Leaving it anywhere loses nothing."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from actions.action import Action, FollowUp
from actions.journey import next_step, read_journey, waits_for
from actions.request import Job, Session
from actions.table import ROWS, action_named, row_named
from client_folder.client import (
    CLASS_LABELS,
    Client,
    check_trigger,
    create_client,
    last_used_first,
    list_clients,
    open_client,
    queue_run_file,
)
from client_folder.names import complaint_about, english_class_word, propose_trigger
from config import settings_file
from locales.language import N_, _
from machine.gpu import largest_gpu
from terminal import screens
from terminal.choice_list import BACK, Option
from terminal.performing import (
    DONE,
    MOST_PATHS,
    WRONG_WORDS,
    Program,
    agree,
    complain,
    guarded,
    hand_over,
    look_again,
    overruled,
    perform_again,
    ready,
    stay,
)
from terminal.questions import ask_path, ask_request, ask_text, choose
from utils import PipelineError, fold

# Answers that no client can be named.
NEW, IMPORT, MORE, EVERYBODY, OTHER, RUNS = "<new>", "<import>", "<more>", "<everybody>", "<other>", "<runs>"
FOLDER = "<folder>"
MOST_CLIENTS = 6  # rows of clients on the first screen, which has 24 lines; the others are one list further
PICTURE_ENDINGS = frozenset({".png", ".jpg"})

TEXT = {
    "no_terminal": N_("The menu needs a terminal. Name an action; --help lists them."),
    "main_question": N_("What shall we work on?"),
    "client_question": N_("Next for {client}:"),
    "new_client": N_("New client"),
    "new_client_about": N_("A folder of its own for one person: pictures, captions, LoRA, portraits."),
    "import_client": N_("Import a client's export (.zip)"),
    "import_client_about": N_("A client that was packed on another machine, or on Google Colab, with all that was made for it."),
    "import_file": N_("The .zip that export wrote:"),
    "everybody": N_("All {count} clients, by name: type to search"),
    "client_about": N_("Last used {when:%Y-%m-%d %H:%M}, in {folder}"),
    "new_client_name": N_("Name of the client, in any letters:"),
    "trigger_word": N_("Trigger word, for prompts and the folder:"),
    "class_word": N_("The client is a:"),
    "other_class_word": N_("another word"),
    "own_class_word": N_("What the client is, in English, such as girl or dog:"),
    "more_about": N_("What was rejected, accepting by hand, limits, captions, curves and the dataset doctor."),
    "more": N_("Pictures, limits, captions, dataset doctor ..."),
    "back": N_("Back"),
    "quit": N_("Quit"),
    "go_ahead": N_("Go ahead?"),
    "yes": N_("Yes"),
    "no": N_("No"),
    "not_done": N_("Nothing was done."),
    "go_on": N_("Go on"),
    "after_question": N_("And now?"),
    "open_picture": N_("Open the picture"),
    "open_one": N_("Open {name}"),
    "open_folder": N_("Open the folder"),
}


def text(name: str) -> str:
    """A text of this module, in the user's language."""
    return _(TEXT[name])


def open_menu(program: Program) -> int:
    """The first screen: the clients and the tools. Leaving it anywhere loses nothing."""
    home, console = program.home, program.console
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        console.print(text("no_terminal"))
        return WRONG_WORDS
    if not settings_file(home).exists():  # the first start: which base model, before anything else
        guarded(lambda: _from_menu(action_named("setup"), program, None), console, home, in_menu=True)
    while True:
        settings = program.session().settings  # its language may have been changed a moment ago
        clients = last_used_first(home)
        machine = screens.machine_line(settings.base_model, largest_gpu())
        console.print(screens.welcome(home, clients, first_time=not settings_file(home).exists(), machine=machine))
        shown = clients if len(clients) <= MOST_CLIENTS else clients[: MOST_CLIENTS - 1]
        runs = _rows_of_runs(home, clients, queue=True)
        rows = [*runs, _new_row(), *map(_client_option, shown)]
        rows += [] if shown == clients else [Option(EVERYBODY, text("everybody").format(count=len(clients)))]
        rows += [Option(f"tool:{row.name}", _(row.label), about=_(row.about)) for row in ROWS if row.tool]
        rows += [Option(IMPORT, text("import_client"), about=text("import_client_about"))]
        chosen = choose(
            text("main_question"),
            [*rows, Option(BACK, text("quit"))],
            runs[0].value if runs else clients[0].id if clients else None,
        )
        if chosen == BACK:
            return DONE
        guarded(lambda: _enter(chosen, program), console, home, in_menu=True)  # noqa: B023 - called at once


def _new_row() -> Option:
    return Option(NEW, text("new_client"), about=text("new_client_about"))


def _client_option(client: Client) -> Option:
    when = datetime.fromtimestamp(client.used)
    return Option(client.id, screens.client_row(client), about=text("client_about").format(when=when, folder=client.root))


def _enter(chosen: str, program: Program) -> int:
    """Open what was chosen on the first screen."""
    if chosen == EVERYBODY:
        clients = last_used_first(program.home)
        by_name = sorted(clients, key=lambda client: fold(client.display_name))
        rows = [_new_row(), *map(_client_option, by_name), Option(BACK, text("back"))]
        chosen = choose(text("main_question"), rows, clients[0].id if clients else None)
    if chosen == BACK:
        return DONE
    if chosen == NEW:
        return _new_client(program)
    if chosen == IMPORT:
        return _import_client(program)
    if chosen.startswith(RUNS):
        return _come_back(chosen, program)
    if chosen.startswith("tool:"):
        return _from_menu(action_named(chosen.removeprefix("tool:")), program, None)
    return client_menu(chosen, program)


def _rows_of_runs(home: Path, clients: Sequence[Client], queue: bool = False) -> list[Option]:
    """A row for each run in the background, of these clients and, where that is asked for too, of the queue."""
    begun = any(file.is_file() for client in clients for file in (client.background_file, client.tuning_run))
    if not (begun or (queue and queue_run_file(home).is_file())):
        return []
    from terminal.detached import rows_of_runs

    return [Option(RUNS + name, row) for name, row in rows_of_runs(home, clients, queue)]


def _come_back(chosen: str, program: Program) -> int:
    """Look at a run in the background, by its row."""
    from terminal.detached import job_of_run

    action, job = job_of_run(chosen.removeprefix(RUNS), program.session())
    return look_again(action, job, program.console, answering=False)


def _new_client(program: Program) -> int:
    """Ask for a name, the trigger word proposed of it and a class word; make the client and open it. Esc leads back."""
    name = ask_text(text("new_client_name"))
    trigger = _ask_trigger(name, program) if name else None
    if not name or not trigger:
        return DONE
    words = [(word, _(label), "") for word, label in CLASS_LABELS.items()]
    word = choose(text("class_word"), [*words, Option(OTHER, text("other_class_word")), Option(BACK, text("back"))])
    if word == OTHER:
        word = english_class_word(ask_text(text("own_class_word")) or "") or BACK
    if word == BACK:
        return DONE
    create_client(program.home, trigger, word, name)
    return client_menu(trigger, program)


def _ask_trigger(name: str, program: Program) -> str | None:
    """The trigger word; one that cannot be is asked again with the reason, the text kept. None where the user went back."""
    taken = [client.id for client in list_clients(program.home)]
    proposal = propose_trigger(name, taken)
    if complaint := complaint_about(name, taken):
        complain(complaint, in_menu=True)
    while True:
        word = ask_text(text("trigger_word"), proposal)
        if not word:
            return None
        try:
            return check_trigger(word, program.home)
        except PipelineError as error:
            complain(error)
            proposal = word


def _import_client(program: Program) -> int:
    """Ask for an export and take it in, then open the client's screen."""
    file = ask_path(text("import_file"), program.home, program.console)
    if not file:
        return DONE
    action = action_named("client")
    report = perform_again(action, Job(program.session(), action.request(verb="import", name=file)), program.console, in_menu=True)
    hand_over(action, report, program.console, None)
    return client_menu(report.client.id, program)


def client_menu(name: str, program: Program) -> int:
    """The guided screen of a client: its steps, read from disk, the next one preselected."""
    home, console = program.home, program.console
    client = open_client(home, name)
    client.mark_used()
    while client.state_file.exists():
        settings = program.session().settings
        steps = read_journey(home, settings, client)
        machine = screens.machine_line(client.state().base_model or settings.base_model, largest_gpu())
        console.print(screens.headline(client, machine))
        runs = _rows_of_runs(home, (client,))
        rows = [*runs, *map(screens.step_option, steps)]
        rows += [Option(MORE, text("more"), about=text("more_about"))]
        rows += [Option(row.name, _(row.label), about=_(row.about)) for row in ROWS if row.extra]
        question = text("client_question").format(client=client.display_name)
        chosen = choose(question, [*rows, Option(BACK, text("back"))], runs[0].value if runs else next_step(steps))
        if chosen == BACK:
            return DONE
        if chosen == MORE:
            _more_menu(question, client, program)
        elif chosen.startswith(RUNS):
            guarded(lambda: _come_back(chosen, program), console, home, in_menu=True)  # noqa: B023 - called at once
        else:
            guarded(lambda: _from_menu(action_named(chosen), program, client), console, home, in_menu=True)  # noqa: B023 - called at once
    return DONE


def _more_menu(question: str, client: Client, program: Program) -> None:
    """The list behind "more": the user stays in it, the pointer where it was, until going back."""
    chosen = None
    while chosen != BACK:
        rows = [Option(row.name, _(row.label), waits_for(client, row.name), _(row.about)) for row in ROWS if row.more]
        chosen = choose(question, [*rows, Option(BACK, text("back"))], chosen)
        if chosen != BACK:
            guarded(lambda: _from_menu(action_named(chosen), program, client), program.console, program.home, in_menu=True)  # noqa: B023 - called at once


def ask_in_turn(action: Action[Any], program: Program, job: Job[Any]) -> int:
    """Ask one question after another from the command line too, as the menu does; what its words say already is not asked."""
    fields = type(job.request).model_fields
    said = tuple(name for name, field in fields.items() if getattr(job.request, name) != field.default)
    return _from_menu(action, program, job.client, FollowUp("", action.name, job.request, said))


def _ask_for(
    action: Action[Any], session: Session, client: Client | None, follow: FollowUp | None, console: Console
) -> Job[Any] | None:
    """The job that the user's answers make, after what speaks against it was overruled; None when the user went back."""
    if follow and follow.given is None:  # chosen as it is: there is nothing to ask
        return Job(session, follow.request, client)
    first = Job(session, action.request.model_construct(**({"client": client.id} if client else {})), client)
    refused = action.objection(first)
    if refused and overruled(action, first, refused, console) is None:
        return None
    given = {name: getattr(follow.request, name) for name in follow.given or ()} if follow else {}
    job = ask_request(action, session, client, console, given)
    if job and refused and action.retry and (again := action.retry(job.request, refused)):
        return replace(job, request=again.request)
    return job


def _from_menu(action: Action[Any], program: Program, client: Client | None, follow: FollowUp | None = None) -> int:
    """Ask what the action needs to know, show its plan, and run it once the user agrees; then offer what may follow."""
    console = program.console
    if action.background and (rows := _rows_of_runs(program.home, (client,) if client else (), queue=client is None)):
        return _come_back(rows[0].value, program)
    asked = _ask_for(action, program.session(), client, follow, console)
    if asked is None:
        return DONE
    job = ready(action, asked, console)
    if job is None:
        console.print(text("not_done"))
        return DONE
    if follow and follow.given is None and not (action.grave(job) or action.careful(job)):
        agreed = True
    elif instead := action.instead(job):
        others = [Option(name, _(row_named(name).label), about=_(row_named(name).about)) for name in instead]
        answer = choose(text("go_ahead"), [Option("yes", text("yes")), *others, Option(BACK, text("no"))], instead[0])
        if answer in instead:
            return _from_menu(action_named(answer), program, client)
        agreed = answer == "yes"
    else:
        agreed = agree(action, job, console, can_ask=True, of_menu=True)
    if not agreed:
        if action.otherwise is None:
            console.print(text("not_done"))
            return DONE
        job = action.otherwise(job)
    report = perform_again(action, job, console, in_menu=True)
    code = hand_over(action, report, console, None, job)
    stay(action, job, report, console)
    _offer_more(action, job, report, program)
    for name in action.then(job, report):
        _from_menu(action_named(name), program, client)
    return code


def _offer_more(action: Action[Any], job: Job[Any], report: object, program: Program) -> None:
    """After a report: open what was made, or go on with it, until the user has enough. Where there is neither, nothing is asked."""
    from terminal.openers import opener  # here, not above: the first screen opens nothing

    made = [path for path in action.made(job, report) if path.exists()]
    pictures = [path for path in made if path.suffix in PICTURE_ENDINGS][:MOST_PATHS]
    offers = {f"offer:{number}": offer for number, offer in enumerate(action.offers(job, report))}
    rows = [(name, offer.label, "") for name, offer in offers.items()]
    if made and opener():
        rows += [
            (str(path), text("open_one" if len(pictures) > 1 else "open_picture").format(name=path.name), "") for path in pictures
        ]
        rows += [(FOLDER, text("open_folder"), "")]
    while rows:
        chosen = choose(text("after_question"), [(MORE, text("go_on"), ""), *rows], MORE)
        if chosen in (BACK, MORE):
            return
        follow = offers.get(chosen)
        target = made[0].parent if chosen == FOLDER else Path(chosen)
        guarded(lambda: _follow(follow, target, program, job.client), program.console, program.home, in_menu=True)  # noqa: B023 - called at once
        if follow and follow.action == action.name and follow.given is None:  # the same once more: it has offered all this already
            return


def _follow(follow: FollowUp | None, target: Path, program: Program, client: Client | None) -> int:
    """Do what was chosen after a report: another action, or else a file or folder opened by the system."""
    from terminal.openers import opener

    if follow:
        return _from_menu(action_named(follow.action), program, client, follow)
    if opens := opener():
        opens(target)
    return DONE
