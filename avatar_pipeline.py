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
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.text import Text

from actions.action import Action, FollowUp, dump
from actions.journey import State, next_step, read_journey
from actions.request import ClientRequest, Job, Session
from actions.table import ROWS, action_named, row_named
from client_folder.client import CLASS_LABELS, Client, check_client_id, create_client, list_clients, open_client
from config import load_settings, program_home, settings_file
from locales.language import LANGUAGES, N_, _, speak
from machine.model_process import ModelProcess
from terminal import picture, screens
from terminal.command_line import build_parser, read_request
from terminal.questions import BACK, ask_request, ask_text, ask_yes, choose
from terminal.watch import Watch, drive
from utils import PipelineError, ProgramFault, Stopped, as_pipeline_error, log

DONE, FAILED, WRONG_WORDS, STOPPED = 0, 1, 2, 130
NEW, MORE = "<new>", "<more>"  # answers that no client can be named
FOLDER = "<folder>"
PICTURE_ENDINGS = frozenset({".png", ".jpg"})
MOST_PATHS = 5  # files of a report that are named one by one, and can be opened from the menu
PICTURE_COLUMNS = 76  # of all pictures of a report, side by side

TEXT = {
    "no_terminal": N_("The menu needs a terminal. Name an action; --help lists them."),
    "main_question": N_("What shall we work on?"),
    "client_question": N_("Next for {client}:"),
    "new_client": N_("New client"),
    "new_client_name": N_("Name of the client (also the trigger word):"),
    "class_word": N_("The client is a:"),
    "more": N_("Pictures, limits, captions, dataset doctor ..."),
    "back": N_("Back"),
    "quit": N_("Quit"),
    "go_ahead": N_("Go ahead?"),
    "say_yes": N_("This cannot be undone, and nobody can be asked here; to go ahead, add --yes."),
    "stopped": N_("Stopped. What was finished is kept; the same action goes on from there."),
    "not_done": N_("Nothing was done."),
    "go_on": N_("Go on"),
    "after_question": N_("And now?"),
    "open_picture": N_("Open the picture"),
    "open_one": N_("Open {name}"),
    "open_folder": N_("Open the folder"),
    "more_files": N_("... and {more} more in {folder}"),
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
        picture.want(settings.pictures)
        if not self.language:
            speak(settings.language)
        return Session(self.home, settings, self.model_process)


# --- running one action -----------------------------------------------------------------------------------------------
def perform(action: Action[Any], job: Job[Any], console: Console, *, quiet: bool = False) -> Any:
    """Run one action for its client, held for this program alone where it changes something; hand back its report."""
    if action.whole_gpu:
        job.session.model_process.close()
    held = job.client.lock() if job.client and action.changes else contextlib.nullcontext()
    if action.whole_gpu:  # it shows pictures while it runs, and a terminal can be asked only while nothing else listens to it
        picture.protocol(console)
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
            if not ask_yes(again.question):
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
    job = action.planned(Job(session, request, client, unattended=options.yes))
    if job.plan is not None and action.plan_answer:
        if options.plan:
            return _hand_over(action, job.plan, console, action.plan_answer(job.plan) if options.json else None)
        if not options.json:
            _show(action, job.plan, console)
    can_ask = sys.stdin.isatty() and console.is_terminal and not options.json
    if not _agreed(action, job, console, can_ask):
        console.print(text("not_done"))
        return STOPPED
    if can_ask and not job.unattended:
        report = _perform_again(action, job, console)
    else:
        report = perform(action, job, console, quiet=options.json and not console.is_terminal)
    return _hand_over(action, report, console, action.answer(report) if options.json else None, job)


def _hand_over(action: Action[Any], report: object, console: Console, answer: BaseModel | None, job: Job[Any] | None = None) -> int:
    """Show a plan, or what came out of a job; where there is an answer, print that as JSON.

    A complaint about what came out is part of it and decides the exit code.
    """
    complaint = action.verdict(report) if job else None
    if answer is None:
        shown = action.shown(job, report) if job else ()
        if shown:  # above the words, which else scroll away behind them
            captions = [one.caption for one in shown]
            console.print(picture.pictures([one.picture for one in shown], PICTURE_COLUMNS, captions if any(captions) else ()))
        _show(action, report, console)
        if job:
            _show_paths(action.made(job, report), console)
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


def _show_paths(files: Sequence[Path], console: Console) -> None:
    """The whole path of each file that a report made, and in one piece, so that it can be copied."""
    made = [path for path in files if path.exists()]
    for path in made[:MOST_PATHS]:
        console.print(Text(str(path)), soft_wrap=True)
    if more := made[MOST_PATHS:]:
        console.print(Text(text("more_files").format(more=len(more), folder=more[0].parent)), soft_wrap=True)


def _agreed(action: Action[Any], job: Job[Any], console: Console, can_ask: bool) -> bool:
    """Whether the user says yes to what is long or cannot be undone; where nobody can be asked, only the latter needs `--yes`."""
    if job.unattended or not ((action.long and job.plan is not None) or action.grave(job)):
        return True
    if can_ask:
        return ask_yes(text("go_ahead"))
    if action.grave(job):
        console.print(text("say_yes"))
    return not action.grave(job)


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
        program.session()  # its language may have been changed a moment ago
        clients = list_clients(home)
        console.print(screens.welcome(home, clients, first_time=not settings_file(home).exists()))
        choices = [(client.id, client.id, "") for client in clients]
        choices += [(NEW, text("new_client"), "")]
        choices += [(f"tool:{row.name}", _(row.label), "") for row in ROWS if row.tool]
        chosen = choose(text("main_question"), [*choices, (BACK, text("quit"), "")])
        if chosen == BACK:
            return DONE
        guarded(lambda: _enter(chosen, program), console, home)  # noqa: B023 - called at once


def _enter(chosen: str, program: Program) -> int:
    """Open what was chosen on the first screen."""
    if chosen == NEW:
        return _new_client(program)
    if chosen.startswith("tool:"):
        return _from_menu(action_named(chosen.removeprefix("tool:")), program, None)
    return client_menu(chosen, program)


def _new_client(program: Program) -> int:
    name = ask_text(text("new_client_name"))
    if not name:
        return DONE
    check_client_id(name)  # before the next question, which would be answered in vain
    word = choose(text("class_word"), [(word, _(label), "") for word, label in CLASS_LABELS.items()])
    if word == BACK:
        return DONE
    create_client(program.home, name, word)
    return client_menu(name, program)


def client_menu(name: str, program: Program) -> int:
    """The guided screen of a client: its eight steps, read from disk, the next one preselected."""
    home, console = program.home, program.console
    client = open_client(home, name)
    while client.state_file.exists():
        steps = read_journey(home, program.session().settings, client)
        console.print(screens.headline(client))
        choices = [(step.action, screens.step_row(step), _(step.note) if step.state is State.WAITING else "") for step in steps]
        choices += [(MORE, text("more"), "")]
        choices += [(row.name, _(row.label), "") for row in ROWS if row.extra]
        chosen = choose(text("client_question").format(client=name), [*choices, (BACK, text("back"), "")], next_step(steps))
        if chosen == BACK:
            return DONE
        if chosen == MORE:
            rows = [(row.name, _(row.label), "") for row in ROWS if row.more]
            chosen = choose(text("client_question").format(client=name), [*rows, (BACK, text("back"), "")])
        if chosen != BACK:
            guarded(lambda: _from_menu(action_named(chosen), program, client), console, home)  # noqa: B023 - called at once
    return DONE


def _from_menu(action: Action[Any], program: Program, client: Client | None, follow: FollowUp | None = None) -> int:
    """Ask what the action needs to know, show its plan, and run it once the user agrees; then offer what may follow."""
    console, session = program.console, program.session()
    if follow and follow.given is None:  # chosen as it is: there is nothing to ask
        asked: Job[Any] | None = Job(session, follow.request, client)
    else:
        given = {name: getattr(follow.request, name) for name in follow.given or ()} if follow else {}
        asked = ask_request(action, session, client, console, given)
    if asked is None:
        return DONE
    job = action.planned(asked)
    if job.plan is not None:
        _show(action, job.plan, console)
    agreed = follow is not None and follow.given is None
    if (job.plan is not None or action.grave(job)) and not agreed and not ask_yes(text("go_ahead")):
        console.print(text("not_done"))
        return DONE
    report = _perform_again(action, job, console)
    code = _hand_over(action, report, console, None, job)
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
        guarded(lambda: _follow(follow, target, program, job.client), program.console, program.home)  # noqa: B023 - called at once
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


if __name__ == "__main__":
    sys.exit(main())
