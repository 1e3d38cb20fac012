"""What an action needs and is not here, asked for at the place where it is missed: models, packages, the answer to a licence.

After a Yes the download runs, and the action goes on with all that was answered. What is refused is refused at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from rich.console import Console

from actions.action import Action
from actions.request import Job, Session
from config import load_settings
from locales.language import N_, _
from machine.downloads import HubUnreachable, ModelDamaged, PreloadPlan, plan_preload, preload
from machine.licence import LICENCE_QUESTION, LicenceUnanswered, Use, check_licence, record_licence
from machine.models import Allows, NotDownloaded, in_gb
from machines.errors import MachinesNotInstalled
from machines.installing import install_requirements
from terminal import screens
from terminal.choice_list import BACK
from terminal.questions import ask_yes, choose
from terminal.view_machine import VIEWS
from terminal.watch import Watch, drive
from utils import PipelineError

TEXT = {
    "one": N_("{models} is not here. Download it now ({size}, {free} free)?"),
    "several": N_("{models} are not here. Download them now ({size}, {free} free)?"),
    "again": N_("Try the download again?"),
    "packages": N_("Several machines need packages that are not here yet. Install them now (46 MB)?"),
    "back": N_("Back"),
}


def text(name: str) -> str:
    """A text of these questions, in the user's language."""
    return _(TEXT[name])


def ready(action: Action[Any], job: Job[Any], console: Console, show: Callable[[Job[Any]], None]) -> Job[Any] | None:
    """The job with its plan, shown, once all that it needs is here; None where the user wants none of it.

    Raises what a plan raises, LicenceRefused for a use that is not allowed, NoRoomForModels where a download does not fit.
    """
    while True:
        try:
            job = action.planned(job)
        except PipelineError as error:
            settled = settle(error, job, console)
            if settled is None:
                return None
            job = settled
            continue
        show(job)
        missing = action.needs(job)
        if not missing:
            return job
        if not fetch(missing, job.session, console):
            return None


def settle(error: PipelineError, job: Job[Any], console: Console) -> Job[Any] | None:
    """The job once what it failed at is settled with the user; None where the user does not want to. Raises any other error."""
    if isinstance(error, LicenceUnanswered):
        session = _with_licence(job.session)
        return replace(job, session=session) if session else None
    if isinstance(error, NotDownloaded):
        names = str(error.facts["names"]).split()
        return job if fetch(names, job.session, console) else None
    if isinstance(error, MachinesNotInstalled):
        if not ask_yes(text("packages")):
            return None
        with Watch(console, quiet=False) as watch:
            drive(install_requirements(job.home), watch)
        return job
    raise error


def fetch(names: Sequence[str], session: Session, console: Console) -> bool:
    """Ask whether to download models, and do it; whether they are here now. A download that fails can be tried again."""
    settings = load_settings(session.home)  # the action may have kept an answer there a moment ago
    plan = plan_preload(session.home, settings, names)
    if any(one.model.allows is Allows.RESEARCH for one in plan.models):
        check_licence(settings)
    plan.check_room()
    wanted = ask_yes(_question(plan))
    while wanted:
        try:
            with Watch(console, quiet=False) as watch:
                report = drive(preload(plan), watch)
        except (HubUnreachable, ModelDamaged) as error:
            console.print(screens.failure(error, in_menu=True))
            wanted = ask_yes(text("again"))
            plan = plan_preload(session.home, settings, names)
            continue
        console.print(VIEWS[type(report)](report))
        return True
    return False


def _question(plan: PreloadPlan) -> str:
    words = text("one") if len(plan.models) == 1 else text("several")
    titles = ", ".join(one.model.title for one in plan.models)
    return words.format(models=titles, size=in_gb(plan.bytes), free=in_gb(plan.free))


def _with_licence(session: Session) -> Session | None:
    """The session with the answer of what InsightFace's models are used for; None where the user went back."""
    rows = [(use.value, use.label, "") for use in Use]
    answer = choose(_(LICENCE_QUESTION), [*rows, (BACK, text("back"), "")])
    if answer == BACK:
        return None
    return replace(session, settings=record_licence(session.home, session.settings, answer))
