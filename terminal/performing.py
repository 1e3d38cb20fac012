"""Running one action for a person or a script: what it plans is shown and agreed to, what comes out is handed over, and every error
is put into words, in this one place. What an action draws is printed here and nowhere else.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.text import Text

from actions.action import Action, dump
from actions.drive import drive
from actions.request import Job, Session
from client_folder.client import ClientMissing
from client_folder.private import private_folder
from config import LONG_SECONDS, load_settings
from locales.language import N_, _, speak
from machine.model_process import ModelProcess
from terminal import picture, screens
from terminal.console import PlainConsole
from terminal.questions import ask_word, ask_yes, show
from terminal.watch import Left, Watch
from utils import PipelineError, ProgramFault, Stopped, as_pipeline_error, log

DONE, FAILED, WRONG_WORDS, STOPPED = 0, 1, 2, 130
MOST_PATHS = 5  # files of a report that are named one by one, and can be opened from the menu
PICTURE_COLUMNS = 76  # of all pictures of a report, side by side

TEXT = {
    "cannot_ask": N_("This cannot be undone, and nobody can be asked here."),
    "no_plan": N_("--plan: nothing is planned for that"),
    "say_yes": N_("To go ahead, add --yes."),
    "go_ahead": N_("Go ahead?"),
    "type_name": N_("To go ahead, type the name, {name}:"),
    "stopped": N_("Stopped. What was finished is kept; the same action goes on from there."),
    "left": N_("It goes on in the background. Its row in the menu leads back, and so does:\n  {command}"),
    "not_done": N_("Nothing was done."),
    "more_files": N_("... and {more} more in {folder}"),
}


def text(name: str) -> str:
    """A text of this module, in the user's language."""
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


def perform(action: Action[Any], job: Job[Any], console: Console, *, quiet: bool = False, apart: bool = False) -> Any:
    """Run one action for its client, held for this program alone where it changes something; hand back its report.

    `apart`: in a process of its own, where the action may have one, so that its screen can be left; raises Left then.
    """
    itself, started = bool(action.background and apart), time.monotonic()
    try:
        report = _perform_apart(action, job, console) if itself else _perform_here(action, job, console, quiet)
    except PipelineError:
        _announce(action, job, console, time.monotonic() - started, failed=True, itself=itself)
        raise
    _announce(action, job, console, time.monotonic() - started, failed=False, itself=itself)
    return report


def stay(action: Action[Any], job: Job[Any], report: Any, console: Console, *, quiet: bool = False) -> None:
    """What goes on once the report of an action was handed over, until it is stopped; raises Stopped then."""
    if action.stays:
        with Watch(console, quiet) as watch:
            drive(action.stays(job, report), watch)


def _perform_apart(action: Action[Any], job: Job[Any], console: Console) -> Any:
    from terminal.detached import run_and_watch  # here, not above: the first screen has no need of it

    return run_and_watch(action, job, console)


def _perform_here(action: Action[Any], job: Job[Any], console: Console, quiet: bool) -> Any:
    if action.whole_gpu:
        job.session.model_process.close()
    held = job.client.lock() if job.client and action.changes else contextlib.nullcontext()
    if action.whole_gpu:  # it shows pictures while it runs, and a terminal can be asked only while nothing else listens to it
        picture.protocol(console)
    try:
        with held, Watch(console, quiet) as watch:
            return drive(action.run(job), watch)
    except FileNotFoundError as error:
        if job.client and not job.client.state_file.exists():  # another program erased it meanwhile
            raise ClientMissing(client=job.client.id, known="-") from error
        raise


def _announce(action: Action[Any], job: Job[Any], console: Console, seconds: float, failed: bool, itself: bool) -> None:
    """Tell that a long job ended; one in a process of its own tells more than our terminal `itself`."""
    if seconds < LONG_SECONDS:
        return
    if console.is_terminal and job.settings.notify_bell:
        console.bell()
    if not itself:
        from machine.notify import JobEnd, JobNote, notify

        client = job.client.id if job.client else ""
        notify(job.settings, JobNote(action.name, client, JobEnd.FAILED if failed else JobEnd.DONE, seconds))


def ready(action: Action[Any], job: Job[Any], console: Console) -> Job[Any] | None:
    """The job with its plan, shown, once what it needs and is not here was asked for; None where the user wants none of it."""
    from terminal import missing  # here, not above: nobody waits for downloads at the first screen

    return missing.ready(action, job, console, lambda job: show(action, job.plan, console) if job.plan is not None else None)


def perform_again(action: Action[Any], job: Job[Any], console: Console, *, in_menu: bool) -> Any:
    """Run an action and, where it fails in a way that can be answered, ask whether to try that; hand back its report."""
    from terminal import missing

    while True:
        try:
            return perform(action, job, console, apart=True)
        except PipelineError as error:
            again = action.retry(job.request, error) if action.retry else None
            if again is None:
                settled = missing.settle(error, job, console)
                if settled is None:
                    raise Stopped from error
                job = action.planned(settled)
                continue
            complain(error, again.cure, in_menu=in_menu)
            if not ask_yes(again.question, default=not again.grave):
                raise Stopped from error
            job = action.planned(replace(job, request=again.request))


def overruled(action: Action[Any], job: Job[Any], refused: PipelineError, console: Console) -> Job[Any] | None:
    """The job in spite of what speaks against it, where the user says so."""
    again = action.retry(job.request, refused) if action.retry else None
    complain(refused, again.cure if again else "")
    if again and ask_yes(again.question, default=not again.grave):
        return replace(job, request=again.request)
    console.print(text("not_done"))
    return None


def agree(action: Action[Any], job: Job[Any], console: Console, can_ask: bool, *, of_menu: bool = False) -> bool:
    """Whether the user says yes: in the menu to every plan, elsewhere to what is long, moves much or cannot be undone.

    Where nobody can be asked, only the last needs `--yes`. Enter alone says yes to nothing grave.
    """
    grave, careful = action.grave(job), action.careful(job)
    planned = job.plan is not None and (action.long or of_menu)
    if job.unattended or action.harmless(job) or not (grave or careful or planned):
        return True
    if not can_ask:
        if grave:
            console.print(f"{text('cannot_ask')} {text('say_yes')}")
        return not grave
    if names := action.typed(job):
        return ask_word(text("type_name").format(name=names[0]), names, console)
    return ask_yes(text("go_ahead"), default=not (grave or careful))


def look_again(action: Action[Any], job: Job[Any], console: Console, answering: bool) -> int:
    """Come back to what runs in the background, or hear how it ended."""
    from terminal.detached import come_back

    report = come_back(action, job, console)
    return hand_over(action, report, console, action.answer(report) if answering else None, job)


def begin_apart(action: Action[Any], job: Job[Any], console: Console, answering: bool) -> int:
    """Start an action in the background, and look no longer at it."""
    from terminal.detached import begin

    place = begin(action, job)
    if answering:
        print_json({"background": str(place.record)})
    else:
        _say_left(place.command, console)
    return DONE


def _say_left(command: str, console: Console) -> None:
    """That it goes on without us, and the command that leads back, in one piece."""
    for line in text("left").split("\n"):
        console.print(line.format(command=command), soft_wrap=True)


def hand_over(action: Action[Any], report: object, console: Console, answer: BaseModel | None, job: Job[Any] | None = None) -> int:
    """Show a plan, or what came out of a job; where there is an answer, print that as JSON.

    A complaint about what came out is part of it and decides the exit code.
    """
    complaint = action.verdict(report) if job else None
    if answer is None:
        shown = action.shown(job, report) if job else ()
        if shown:  # above the words, which else scroll away behind them
            captions = [one.caption for one in shown]
            console.print(picture.pictures([one.picture for one in shown], PICTURE_COLUMNS, captions if any(captions) else ()))
        show(action, report, console)
        if job:
            _show_paths(action.made(job, report), console)
    if complaint:
        complain(complaint)
    if answer is not None:
        print_json(dump(answer) | (_told(complaint) if complaint else {}))
    return FAILED if complaint else DONE


def _show_paths(files: Sequence[Path], console: Console) -> None:
    """The whole path of each file that a report made, and in one piece, so that it can be copied."""
    made = [path for path in files if path.exists()]
    for path in made[:MOST_PATHS]:
        console.print(Text(str(path)), soft_wrap=True)
    if more := made[MOST_PATHS:]:
        console.print(Text(text("more_files").format(more=len(more), folder=more[0].parent)), soft_wrap=True)


def print_json(answer: dict[str, Any]) -> None:
    """Print an answer as one line, which is all that stands on stdout then."""
    print(json.dumps(answer, ensure_ascii=False), flush=True)


def _told(error: PipelineError) -> dict[str, str]:
    return {"error": error.text(), "hint": error.cure()}


def guarded(work: Callable[[], int], console: Console, home: Path, answering: bool = False, in_menu: bool = False) -> int:
    """Do some work and put every error into words, in this one place; returns an exit code."""
    try:
        return work()
    except Left as left:
        if left.hung_up:
            sys.exit(DONE)
        _say_left(left.command, console)
        return DONE
    except (Stopped, KeyboardInterrupt) as stop:
        known = stop.told if isinstance(stop, Stopped) else None
        console.print(screens.heading(known) if known else text("stopped"))
        return STOPPED
    except PipelineError as error:
        return _failed(error, answering, in_menu)
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


def complain(error: PipelineError, cure: str = "", *, in_menu: bool = False) -> None:
    """What happened and what to do, on stderr; `cure` in place of the error's own."""
    PlainConsole(stderr=True).print(screens.failure(error, cure, in_menu=in_menu))


def _failed(error: PipelineError, answering: bool, in_menu: bool = False) -> int:
    complain(error, in_menu=in_menu)
    if answering:
        print_json(_told(error))
    return FAILED


def _fault(error: Exception, home: Path, answering: bool) -> int:
    """A fault of ours: the traceback goes to the log, a sentence to the screen."""
    from logging.handlers import RotatingFileHandler  # here, not above: it opens sockets too, and brings all they need

    path = home / "logs" / "avatar_pipeline.log"
    with contextlib.suppress(OSError):
        private_folder(path.parent)
        log.addHandler(RotatingFileHandler(path, maxBytes=1_000_000, backupCount=2, encoding="utf-8"))
        log.error("unexpected", exc_info=error)
    return _failed(ProgramFault(error=type(error).__name__, path=path), answering)
