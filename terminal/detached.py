"""An action in a process of its own: started and looked at, left and come back to; and that process itself.

What passes between them lies in files, see `machine.background`. A screen that is closed ends nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from rich.console import Console

from actions.action import Action
from actions.drive import drive
from actions.recorded import Recording, run_and_record
from actions.request import BackgroundRequest, Job, Session
from actions.table import action_named
from client_folder.client import Client, open_client
from config import load_settings
from locales.language import N_, _, spoken
from machine import background
from machine.background import NothingRuns, Place, RunState
from machine.model_process import ModelProcess
from terminal.choice_list import BACK
from terminal.command_line import words_of
from terminal.questions import choose
from terminal.watch import Left, Watch
from utils import TrainingTick

WHAT_NOW = N_("{what} is still running.")
ROWS = {"leave": N_("leave it running"), "stop": N_("stop it"), BACK: N_("go on looking")}
RUNNING = N_("{what}: in the background")
RUNNING_AT = N_("{what}: in the background, step {step} of {total}")
ENDED = N_("{what}: ended in the background, see how")


def place_of(action: Action[Any], job: Job[Any]) -> Place:
    """Where the files of that run lie."""
    assert action.background is not None
    return action.background.place(job)


def rows_of_runs(home: Path, clients: Sequence[Client], queue: bool) -> list[tuple[str, str]]:
    """The runs in the background, a name that `job_of_run` knows and a row of a menu each; those whose end was told are none."""
    session = Session(home, load_settings(home), ModelProcess(home / "logs" / "worker.log"))
    names = [f"{action}:{client.id}" for client in clients for action in ("train", "tune")] + (["queue:"] if queue else [])
    rows = [(name, _row_of(place_of(*job_of_run(name, session)))) for name in names]
    return [(name, row) for name, row in rows if row]


def job_of_run(name: str, session: Session) -> tuple[Action[Any], Job[Any]]:
    """The action and the job that a run is of, as far as coming back needs it."""
    action_name, _colon, client = name.partition(":")
    action = action_named(action_name)
    request = action.request(**({"client": client} if client else {}))
    return action, Job(session, request, open_client(session.home, client) if client else None)


def _row_of(place: Place) -> str:
    state = background.find(place)
    if state is RunState.NONE:
        return ""
    if state is not RunState.RUNNING:
        return _(ENDED).format(what=place.what)
    last = background.last_event(place)
    if not isinstance(last, TrainingTick):
        return _(RUNNING).format(what=place.what)
    return _(RUNNING_AT).format(what=place.what, step=last.step, total=last.total)


# --- from outside -----------------------------------------------------------------------------------------------------
def begin(action: Action[Any], job: Job[Any]) -> Place:
    """Start the action in a process of its own. Raises RunsAlready."""
    place, request = place_of(action, job), job.request
    assert isinstance(request, BackgroundRequest)
    job.session.model_process.close()
    request, secrets = request.handed_over()
    words = ["--home", str(job.home), "--language", spoken(), action.name, "--recorded"]
    words += ["--yes"] if job.unattended else []
    background.start(place, [*words, *words_of(request.model_copy(update={"background": False, "attach": False}))], secrets)
    return place


def run_and_watch(action: Action[Any], job: Job[Any], console: Console) -> Any:
    """Start the action in a process of its own and look at it to its end: its report.

    Raises what it met with, Stopped, or Left where it goes on without us.
    """
    return _look(action, begin(action, job), console, visiting=False)


def come_back(action: Action[Any], job: Job[Any], console: Console) -> Any:
    """Look at the run that is under way, or hear how the last one ended: its report.

    Raises what it met with, Stopped, NothingRuns, RunLost, or Left where the user goes again.
    """
    place = place_of(action, job)
    if background.find(place) is RunState.NONE:
        raise NothingRuns(what=place.what)
    if not console.is_terminal:  # a log is told how it goes; it has no keys to leave with
        return _look(action, place, console, visiting=False)
    visiting = True
    while True:
        try:
            return _look(action, place, console, visiting=visiting)
        except Left as left:
            if not left.asks:
                raise
        rows = [(value, _(label), "") for value, label in ROWS.items()]
        chosen = choose(_(WHAT_NOW).format(what=place.what), rows)
        if chosen == "leave":
            background.leave(place)
            raise Left(command=place.command)
        if chosen == "stop":
            background.ask_to_stop(place)
            visiting = False


def _look(action: Action[Any], place: Place, console: Console, visiting: bool) -> Any:
    assert action.background is not None
    background.look(place)
    try:
        with Watch(console, False, goes_on=True, visiting=visiting) as watch:
            told = drive(background.follow(place, ours=not visiting), watch)
    except Left as left:
        background.leave(place)
        raise Left(asks=left.asks, hung_up=left.hung_up, command=place.command) from None
    except BaseException:
        if background.find(place) is not RunState.RUNNING:
            background.forget(place)
        raise
    background.forget(place)
    return TypeAdapter(action.background.report).validate_python(told)


# --- the process itself -----------------------------------------------------------------------------------------------
def run_recorded(action: Action[Any], job: Job[Any]) -> bool:
    """Run the action and write down all that happens, its end too; whether it ended well."""
    assert action.background is not None
    kind: TypeAdapter[Any] = TypeAdapter(action.background.report)
    return run_and_record(action, job, [Recording(place_of(action, job), lambda report: kind.dump_python(report, mode="json"))])
