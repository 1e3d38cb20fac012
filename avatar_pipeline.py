"""Avatar Pipeline: from a folder of pictures to a trained SDXL LoRA and finished portraits.

Without an action this opens the guided menu; `avatar_pipeline.py ACTION --client ID` runs one action. Both run the same actions of
the table in `actions`. This is the only module that prints or catches an error; `terminal.questions` asks::

    main ─┬─ open_menu ─ client_menu ─┐
          └───────────────────────────┴─ perform ─ drive ─ a stage
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from rich.console import Console

from actions.action import Action, dump
from actions.journey import next_step, read_journey
from actions.request import ClientRequest, Job, Session
from actions.table import ROWS, action_named, row_named
from client_folder.client import CLASS_LABELS, Client, check_trigger, create_client, last_used_first, list_clients, open_client
from client_folder.names import complaint_about, english_class_word, propose_trigger
from config import load_settings, program_home, settings_file
from locales.language import LANGUAGES, N_, _, speak
from machine.gpu import largest_gpu
from machine.model_process import ModelProcess
from terminal import screens
from terminal.choice_list import BACK, Option
from terminal.command_line import build_parser, read_request
from terminal.questions import ask_request, ask_text, ask_word, ask_yes, choose
from terminal.watch import Watch, drive
from utils import PipelineError, ProgramFault, Stopped, as_pipeline_error, fold, log

DONE, FAILED, WRONG_WORDS, STOPPED = 0, 1, 2, 130
NEW, MORE, EVERYBODY, OTHER = "<new>", "<more>", "<everybody>", "<other>"  # answers that no client can be named
MOST_CLIENTS = 6  # rows of clients on the first screen, which has 24 lines; the others are one list further

TEXT = {
    "no_terminal": N_("The menu needs a terminal. Name an action; --help lists them."),
    "main_question": N_("What shall we work on?"),
    "client_question": N_("Next for {client}:"),
    "new_client": N_("New client"),
    "new_client_about": N_("A folder of its own for one person: pictures, captions, LoRA, portraits."),
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
    "type_name": N_("To go ahead, type the name, {name}:"),
    "cannot_ask": N_("This cannot be undone, and nobody can be asked here."),
    "say_yes": N_("To go ahead, add --yes."),
    "no_plan": N_("--plan: nothing is planned for that"),
    "stopped": N_("Stopped. What was finished is kept; the same action goes on from there."),
    "not_done": N_("Nothing was done."),
}


def text(name: str) -> str:
    """A text of the program itself, in the user's language."""
    return _(TEXT[name])


@dataclass(frozen=True, slots=True)
class Program:
    """This run of the program: where it works, in which language if one was named, what holds its models, where it draws."""

    home: Path
    language: str | None
    model_process: ModelProcess
    console: Console

    def session(self) -> Session:
        """What an action works in; settings are read anew, and their language counts where the command line names none."""
        settings = load_settings(self.home)
        if not self.language:
            speak(settings.language)
        return Session(self.home, settings, self.model_process)


# --- running one action -----------------------------------------------------------------------------------------------
def perform(action: Action[Any], job: Job[Any], console: Console, *, quiet: bool = False) -> Any:
    """Run one action for its client, held for this program alone where it changes something; hand back its report."""
    if action.whole_gpu:
        job.session.model_process.close()
    held = job.client.lock() if job.client and action.changes else contextlib.nullcontext()
    with held, Watch(console, quiet) as watch:
        return drive(action.run(job), watch)


def _perform_again(action: Action[Any], job: Job[Any], console: Console) -> Any:
    """Run an action and, where it fails in a way that can be answered, ask whether to try that; hand back its report."""
    while True:
        try:
            return perform(action, job, console)
        except PipelineError as error:
            again = action.retry(job.request, error) if action.retry else None
            if again is None:
                raise
            _complain(error)
            if not ask_yes(again.question, default=not again.grave):
                raise Stopped from error
            job = action.planned(replace(job, request=again.request))


# --- the command line -------------------------------------------------------------------------------------------------
def main(argv: Sequence[str] | None = None) -> int:
    """The program; returns its exit code: 0 done, 1 failed, 2 wrong words, 130 stopped."""
    argv = sys.argv[1:] if argv is None else list(argv)
    _write_utf8()
    speak(_wanted_language(argv))
    options = build_parser(argv).parse_args(argv)
    home = Path(options.home).expanduser().resolve() if options.home else program_home()
    answering = bool(options.action and options.json)
    console = Console(stderr=answering, highlight=False)
    # The models that one action loads are there for the next; they leave with the program.
    with ModelProcess(home / "logs" / "worker.log") as model_process:
        program = Program(home, options.language, model_process, console)
        if options.action:
            return guarded(lambda: _run_action(program, options), console, home, answering)
        return guarded(lambda: open_menu(program), console, home)


def _write_utf8() -> None:
    """Into a file or pipe we write UTF-8 on every system; what a terminal cannot show becomes a question mark, not an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="replace")


def _wanted_language(argv: Sequence[str]) -> str:
    """The language asked for on the command line; needed before argparse, whose own texts are translated too."""
    wishes = [word.partition("=")[2] or after for word, after in pairwise([*argv, ""]) if word.startswith("--language")]
    return wishes[0] if wishes and wishes[0] in LANGUAGES else "auto"


def _run_action(program: Program, options: Namespace) -> int:
    """Run the action that the command line names; argparse's words go no further than here."""
    action, console = action_named(options.action), program.console
    request = read_request(options, action.request)
    session = program.session()
    client = open_client(program.home, request.client) if isinstance(request, ClientRequest) else None
    if client:
        client.mark_used()
    job = action.planned(Job(session, request, client, unattended=options.yes))
    if job.plan is None and action.plan and options.plan:
        options.parser.error(text("no_plan"))
    if job.plan is not None and action.plan_answer:
        if options.plan:
            return _hand_over(action, job.plan, console, action.plan_answer(job.plan) if options.json else None)
        if not options.json:
            _show(action, job.plan, console)
    can_ask = sys.stdin.isatty() and console.is_terminal and not options.json
    if not _agreed(action, job, console, can_ask):
        console.print(text("not_done"))
        if options.json:
            _print_json({"error": text("cannot_ask"), "hint": text("say_yes")})
        return STOPPED
    if can_ask and not job.unattended:
        report = _perform_again(action, job, console)
    else:
        report = perform(action, job, console, quiet=options.json and not console.is_terminal)
    return _hand_over(action, report, console, action.answer(report) if options.json else None, action.verdict(report))


def _hand_over(
    action: Action[Any], report: object, console: Console, answer: BaseModel | None, complaint: PipelineError | None = None
) -> int:
    """Show what came out or, where there is an answer, print that as JSON; a complaint is part of it and decides the exit code."""
    if answer is None:
        _show(action, report, console)
    if complaint:
        _complain(complaint)
    if answer is not None:
        _print_json(dump(answer) | (_told(complaint) if complaint else {}))
    return FAILED if complaint else DONE


def _print_json(answer: dict[str, Any]) -> None:
    print(json.dumps(answer, ensure_ascii=False), flush=True)


def _told(error: PipelineError) -> dict[str, str]:
    return {"error": error.text(), "hint": error.cure()}


def _show(action: Action[Any], record: object, console: Console) -> None:
    """A plan or report as people read it, drawn by the module that the action's row names."""
    views = importlib.import_module(row_named(action.name).view).VIEWS
    console.print(views[type(record)](record))


def _agreed(action: Action[Any], job: Job[Any], console: Console, can_ask: bool, *, of_menu: bool = False) -> bool:
    """Whether the user says yes: in the menu to every plan, elsewhere to what is long or cannot be undone.

    Where nobody can be asked, only the latter needs `--yes`. Enter alone says yes to nothing grave.
    """
    grave, warning = action.grave(job), action.warning(job) if of_menu else ""
    if job.unattended or not (grave or warning or (job.plan is not None and (action.long or of_menu))):
        return True
    if not can_ask:
        if grave:
            console.print(f"{text('cannot_ask')} {text('say_yes')}")
        return not grave
    if warning:
        console.print(warning, style="bold yellow")
    if names := action.typed(job):
        return ask_word(text("type_name").format(name=names[0]), names, console)
    return ask_yes(text("go_ahead"), default=not (grave or warning))


def guarded(work: Callable[[], int], console: Console, home: Path, answering: bool = False) -> int:
    """Do some work and put every error into words, in this one place; returns an exit code."""
    try:
        return work()
    except (Stopped, KeyboardInterrupt):
        console.print(text("stopped"))
        return STOPPED
    except PipelineError as error:
        return _failed(error, answering)
    except BrokenPipeError:
        return _reader_gone()
    except (OSError, ImportError) as error:
        if told := as_pipeline_error(error):
            return _failed(told, answering)
        return _fault(error, home, answering)
    except Exception as error:  # noqa: BLE001 - the last resort: a sentence and a log instead of a traceback on the user's screen
        return _fault(error, home, answering)


def _reader_gone() -> int:
    """Whoever read our words has enough of them, as `head` has: no fault of anybody's, and nothing more can be said."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return DONE


def _complain(error: PipelineError) -> None:
    Console(stderr=True, highlight=False).print(screens.failure(error))


def _failed(error: PipelineError, answering: bool) -> int:
    _complain(error)
    if answering:
        _print_json(_told(error))
    return FAILED


def _fault(error: Exception, home: Path, answering: bool) -> int:
    """A fault of ours: the traceback goes to the log, a sentence to the screen."""
    from logging.handlers import RotatingFileHandler  # here, not above: it opens sockets too, and brings all they need

    path = home / "logs" / "avatar_pipeline.log"
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        log.addHandler(RotatingFileHandler(path, maxBytes=1_000_000, backupCount=2, encoding="utf-8"))
        log.error("unexpected", exc_info=error)
    return _failed(ProgramFault(error=type(error).__name__, path=path), answering)


# --- the menu ---------------------------------------------------------------------------------------------------------
def open_menu(program: Program) -> int:
    """The first screen: the clients and the tools. Leaving it anywhere loses nothing."""
    home, console = program.home, program.console
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        console.print(text("no_terminal"))
        return WRONG_WORDS
    while True:
        settings = program.session().settings  # its language may have been changed a moment ago
        clients = last_used_first(home)
        machine = screens.machine_line(settings.base_model, largest_gpu())
        console.print(screens.welcome(home, clients, first_time=not settings_file(home).exists(), machine=machine))
        shown = clients if len(clients) <= MOST_CLIENTS else clients[: MOST_CLIENTS - 1]
        rows = [_new_row(), *map(_client_option, shown)]
        rows += [] if shown == clients else [Option(EVERYBODY, text("everybody").format(count=len(clients)))]
        rows += [Option(f"tool:{row.name}", _(row.label), about=_(row.about)) for row in ROWS if row.tool]
        chosen = choose(text("main_question"), [*rows, Option(BACK, text("quit"))], clients[0].id if clients else None)
        if chosen == BACK:
            return DONE
        guarded(lambda: _enter(chosen, program), console, home)  # noqa: B023 - called at once


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
    if chosen.startswith("tool:"):
        return _from_menu(action_named(chosen.removeprefix("tool:")), program, None)
    return client_menu(chosen, program)


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
        _complain(complaint)
    while True:
        word = ask_text(text("trigger_word"), proposal)
        if not word:
            return None
        try:
            return check_trigger(word, program.home)
        except PipelineError as error:
            _complain(error)
            proposal = word


def client_menu(name: str, program: Program) -> int:
    """The guided screen of a client: its eight steps, read from disk, the next one preselected."""
    home, console = program.home, program.console
    client = open_client(home, name)
    client.mark_used()
    while client.state_file.exists():
        settings = program.session().settings
        steps = read_journey(home, settings, client)
        machine = screens.machine_line(client.state().base_model or settings.base_model, largest_gpu())
        console.print(screens.headline(client, machine))
        rows = [screens.step_option(step) for step in steps]
        rows += [Option(MORE, text("more"), about=text("more_about"))]
        rows += [Option(row.name, _(row.label), about=_(row.about)) for row in ROWS if row.extra]
        question = text("client_question").format(client=client.display_name)
        chosen = choose(question, [*rows, Option(BACK, text("back"))], next_step(steps))
        if chosen == BACK:
            return DONE
        if chosen == MORE:
            _more_menu(question, client, program)
        else:
            guarded(lambda: _from_menu(action_named(chosen), program, client), console, home)  # noqa: B023 - called at once
    return DONE


def _more_menu(question: str, client: Client, program: Program) -> None:
    """The list behind "more": the user stays in it, the pointer where it was, until going back."""
    rows = [Option(row.name, _(row.label), about=_(row.about)) for row in ROWS if row.more]
    chosen = None
    while (chosen := choose(question, [*rows, Option(BACK, text("back"))], chosen)) != BACK:
        guarded(lambda: _from_menu(action_named(chosen), program, client), program.console, program.home)


def _from_menu(action: Action[Any], program: Program, client: Client | None) -> int:
    """Ask what the action needs to know, show its plan, and run it once the user agrees; then offer what may follow."""
    console = program.console
    job = ask_request(action, program.session(), client, console)
    if job is None:
        return DONE
    job = action.planned(job)
    if job.plan is not None:
        _show(action, job.plan, console)
    if not _agreed(action, job, console, can_ask=True, of_menu=True):
        console.print(text("not_done"))
        return DONE
    report = _perform_again(action, job, console)
    code = _hand_over(action, report, console, None, action.verdict(report))
    for name in action.then(job, report):
        _from_menu(action_named(name), program, client)
    return code


if __name__ == "__main__":
    sys.exit(main())
