"""Avatar Pipeline: from a folder of pictures to a trained SDXL LoRA and finished portraits.

Without an action this opens the guided menu; `avatar_pipeline.py ACTION --client ID` runs one action. Both run the same actions of
the table in `actions`::

    main ─┬─ open_menu ─ client_menu ─┐
          └─ run_action ──────────────┴─ perform ─ drive ─ a stage
"""

from __future__ import annotations

import io
import os
import signal
import sys

# Before anything else is imported: an older Python cannot read it, and for a newer one TensorFlow has no build.
if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit(
        f"Python 3.11, 3.12 or 3.13 is needed; this is {sys.version.split()[0]}. Start it with ./start.sh or start.bat.\n"
        f"Hace falta Python 3.11, 3.12 o 3.13; este es {sys.version.split()[0]}. Empieza con ./start.sh o start.bat."
    )
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # else onnxruntime, whoever imports it, reports its use to Microsoft
if __name__ == "__main__":  # Ctrl-C while the imports below take their half second ends the program without a traceback
    signal.signal(signal.SIGINT, lambda _number, _frame: os._exit(130))

from argparse import Namespace
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console

from actions.action import Action
from actions.request import BackgroundRequest, ClientRequest, Job
from actions.table import action_named
from client_folder.client import open_client
from client_folder.erasing import sweep_erased
from client_folder.private import private_folder
from config import program_home
from locales.language import LANGUAGES, speak
from machine.model_process import ModelProcess
from terminal.command_line import build_parser, read_request
from terminal.console import PlainConsole
from terminal.menu import ask_in_turn, open_menu
from terminal.performing import (
    DONE,
    FAILED,
    STOPPED,
    Program,
    agree,
    begin_apart,
    guarded,
    hand_over,
    look_again,
    overruled,
    perform,
    perform_again,
    print_json,
    ready,
    stay,
    text,
)
from terminal.questions import ask_request, show


def main(argv: Sequence[str] | None = None) -> int:
    """The program; returns its exit code: 0 done, 1 failed, 2 wrong words, 130 stopped."""
    argv = sys.argv[1:] if argv is None else list(argv)
    _open_streams()
    _write_utf8()
    speak(_wanted_language(argv))
    options = build_parser(argv).parse_args(argv)
    home = Path(options.home).expanduser().resolve() if options.home else program_home()
    sweep_erased(home)
    for folder in filter(Path.is_dir, (home / "clients", home / "exports", home / "logs")):  # of an older version too
        private_folder(folder)
    answering = bool(options.action and options.json)
    console = PlainConsole(stderr=answering)
    # The models that one action loads are there for the next; they leave with the program.
    with ModelProcess(home / "logs" / "worker.log") as model_process:
        program = Program(home, options.language, model_process, console)
        if options.action:
            return guarded(lambda: _run_action(program, options), console, home, answering)
        return guarded(lambda: open_menu(program), console, home)


def _open_streams() -> None:
    """Where a stream was closed before we began, as `<&-` does, nothing is read, and what is written goes nowhere."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123 - open as long as the program runs
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123


def _write_utf8() -> None:
    """Into a file or pipe we write UTF-8 on every system; what a terminal cannot show becomes a question mark, not an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="replace")


def _wanted_language(argv: Sequence[str]) -> str:
    """The language asked for on the command line; needed before argparse, whose own texts are translated too."""
    wishes = [word.partition("=")[2] or after for word, after in pairwise([*argv, ""]) if word.startswith("--language")]
    return wishes[0] if wishes and wishes[0] in LANGUAGES else "auto"


def _first_job(program: Program, action: Action[Any], options: Namespace) -> Job[Any]:
    """The job that the command line names, as far as it names it."""
    request, session = read_request(options, action.request), program.session()
    client = open_client(program.home, request.client) if isinstance(request, ClientRequest) else None
    if client:
        client.mark_used()
    return Job(session, request, client, unattended=options.yes)


def _job_of(program: Program, action: Action[Any], first: Job[Any], planning: bool, can_ask: bool) -> Job[Any] | None:
    """The job; what the command line leaves open is asked where somebody is there. None: the user went back."""
    job: Job[Any] | None = first
    if action.guided and can_ask and not (first.unattended or planning) and first.request == action.request():
        job = ask_request(action, first.session, first.client, program.console)
    if job and not planning and (refused := action.objection(job)):
        if not can_ask or job.unattended:
            raise refused
        job = overruled(action, job, refused, program.console)
    return job


def _run_action(program: Program, options: Namespace) -> int:
    """Run the action that the command line names; argparse's words go no further than here."""
    action, console = action_named(options.action), program.console
    can_ask = sys.stdin.isatty() and console.is_terminal and not options.json
    first = _first_job(program, action, options)
    if action.background and options.recorded:
        from terminal.detached import run_recorded

        return DONE if run_recorded(action, first) else FAILED
    if isinstance(first.request, BackgroundRequest) and first.request.attach:
        return look_again(action, first, console, options.json)
    if action.in_turn and can_ask and not first.unattended:
        return ask_in_turn(action, program, first)
    planning = bool(action.plan) and options.plan
    job = _job_of(program, action, first, planning, can_ask)
    if job and can_ask and not (job.unattended or planning):
        job = ready(action, job, console)
    elif job:
        job = action.planned(job)
        if planning and job.plan is None:
            options.parser.error(text("no_plan"))
        if planning and action.plan_answer:
            return hand_over(action, job.plan, console, action.plan_answer(job.plan) if options.json else None)
        if job.plan is not None and not options.json:
            show(action, job.plan, console)
    if job is None:
        console.print(text("not_done"))
        return STOPPED
    return _run_job(action, job, console, options.json, can_ask)


def _run_job(action: Action[Any], job: Job[Any], console: Console, answering: bool, can_ask: bool) -> int:
    """Run what was planned, once it is agreed to, and hand over what comes out."""
    yes = agree(action, job, console, can_ask)
    if action.otherwise and not (yes and (can_ask or job.unattended)):
        job, yes = action.otherwise(job), True
    if not yes:
        console.print(text("not_done"))
        if answering:
            print_json({"error": text("cannot_ask"), "hint": text("say_yes")})
        return STOPPED
    if isinstance(job.request, BackgroundRequest) and job.request.background:
        return begin_apart(action, job, console, answering)
    if can_ask and not job.unattended:
        report = perform_again(action, job, console, in_menu=False)
    else:
        report = perform(action, job, console, quiet=answering and not console.is_terminal, apart=can_ask)
    code = hand_over(action, report, console, action.answer(report) if answering else None, job)
    stay(action, job, report, console, quiet=answering)
    return code


def _run() -> int:
    """The program as a process of its own: Ctrl-C at any other moment than a stage's ends it without a traceback too."""
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return main()
    except KeyboardInterrupt:  # while the models' process says farewell; it ends by itself once we are gone
        return STOPPED
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(_run())
