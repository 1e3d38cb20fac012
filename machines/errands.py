"""What a machine does when it is asked: the one function that Dask calls here, and the table of errands that it knows.

A job lies in a folder of its own, `pool/jobs/MACHINE/JOB/`, with a program home in it that has this one client; the training is a
run in the background of our own program in that home. When its results were fetched, the folder is removed, and the person's
pictures with it. Everything that passes is JSON and bytes; an error passes by its name and facts.
"""

from __future__ import annotations

import asyncio
import shlex
import shutil
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pydantic import ConfigDict

from client_folder.client import Client, open_client
from client_folder.private import private_folder
from client_folder.restore import restore_client
from config import Settings, save_settings
from locales.language import N_
from machine import background
from machine.background import Place, RunState
from machine.processes import end_orphan
from machines.errors import JobNotHere
from machines.facts import facts_here
from machines.parcels import PIECE_BYTES, check_parcel, pack_results
from machines.pool import pool_folder
from training.checkpoints import find_resume, read_plan
from training.plan import Overrides, TrainerKind, TrainingPlan
from utils import Event, PipelineError, Record, as_pipeline_error, log, read_record, write_record

_PARCEL, _RESULTS, _ORDER = "parcel.zip", "results.zip", "order.json"


class StillChanging(PipelineError):
    """Facts: path."""

    message = N_("{path} was removed by the trainer while it was packed.")
    hint = N_("It is packed again by itself.")


class Order(Record):
    """A training to be done: of which client, after which plan."""

    model_config = ConfigDict(frozen=True)

    job: str
    client: str
    plan: TrainingPlan


@dataclass(slots=True)
class Desk:
    """This machine while it has joined: one job at a time lies on it."""

    home: Path
    settings: Settings
    name: str
    leaving: bool = False  # the user wants it back: it takes no other job

    @property
    def jobs(self) -> Path:
        """Where jobs lie."""
        return pool_folder(self.home) / "jobs" / self.name

    @property
    def owner(self) -> Path:
        """Names this process: a training that finds it gone ends itself."""
        return self.jobs / "joined.json"

    def job(self) -> str:
        """The job that lies here; empty where there is none."""
        return next((order.parent.name for order in self.jobs.glob(f"*/{_ORDER}")), "")

    def folder(self, job: str) -> Path:
        """The folder of a job that lies here; raises JobNotHere."""
        if job != self.job():
            raise JobNotHere(job=job)
        return self.jobs / job

    def order(self, job: str) -> Order:
        """What is to be done; raises JobNotHere."""
        return read_record(self.folder(job) / _ORDER, Order)

    def is_unpacked(self, job: str) -> bool:
        """Whether what a job needs has arrived whole; raises JobNotHere."""
        return (self.folder(job) / "home" / "clients" / self.order(job).client / "state.json").is_file()

    def client(self, job: str) -> Client:
        """The client as it lies here; raises JobNotHere, or ClientMissing before it was unpacked."""
        return open_client(self.folder(job) / "home", self.order(job).client)


_desk: Desk | None = None  # of this process: Dask calls a function and hands over nothing of ours
_busy = threading.Lock()  # one errand at a time


def open_desk(home: Path, settings: Settings, name: str) -> Desk:
    """Begin to take jobs; what a killed machine of that name has left is ended and removed."""
    global _desk
    _desk = Desk(home, settings, name)
    private_folder(_desk.jobs)
    clear_desk(_desk)
    background.name_this_process(_desk.owner)
    return _desk


def clear_desk(desk: Desk) -> None:
    """End and remove every job that lies here."""
    desk.owner.unlink(missing_ok=True)
    for folder in [path for path in desk.jobs.iterdir() if path.is_dir()]:
        for state in (folder / "home" / "clients").glob("*/state.json"):
            client = Client(state.parent)
            end_orphan(client.background_file)
            end_orphan(client.trainer_pid)
        shutil.rmtree(folder, ignore_errors=True)


def stop_work(desk: Desk) -> None:
    """Ask the training that runs here to save its state and end."""
    if job := desk.job():
        with suppress(PipelineError):
            background.ask_to_stop(_place(desk.client(job)))


# --- what Dask calls --------------------------------------------------------------------------------------------------
async def carry_out(errand: str, facts: dict[str, Any], data: bytes = b"") -> dict[str, Any]:
    """Carry out an errand of the table, in a thread, so that the machine goes on answering the scheduler."""
    return await asyncio.to_thread(_carry_out, errand, facts, data)


def _carry_out(errand: str, facts: dict[str, Any], data: bytes) -> dict[str, Any]:
    assert _desk is not None
    try:
        with _busy:
            return {"answer": ERRANDS[errand](_desk, facts, data)}
    except Exception as error:  # noqa: BLE001 - whatever it is, who asked has to hear of it
        known = as_pipeline_error(error) if isinstance(error, OSError | ImportError) else error
        if not isinstance(known, PipelineError):
            log.error("errand %s", errand, exc_info=error)
        told = {name: str(value) for name, value in known.facts.items()} if isinstance(known, PipelineError) else {}
        return {"error": type(known or error).__name__, "module": type(known or error).__module__, "facts": told}


def _describe(desk: Desk, _facts: Mapping[str, Any], _data: bytes) -> dict[str, Any]:
    """What this machine is, and what it works at."""
    facts = facts_here(desk.home, desk.settings).model_dump(mode="json")
    job = desk.job()
    arrived = bool(job) and desk.is_unpacked(job)
    return {"facts": facts, "job": job if arrived else "", "leaving": desk.leaving}


def _begin(desk: Desk, facts: Mapping[str, Any], _data: bytes) -> None:
    """Make room for a job; one that lies here is given up, for whoever asks knows of it."""
    order = Order.model_validate(facts["order"])
    clear_desk(desk)
    background.name_this_process(desk.owner)
    private_folder(desk.jobs / order.job)
    write_record(desk.jobs / order.job / _ORDER, order)


def _take(desk: Desk, facts: Mapping[str, Any], data: bytes) -> None:
    """A piece of the parcel, at its place in it."""
    file = desk.folder(facts["job"]) / _PARCEL
    with file.open("r+b" if file.is_file() else "wb") as parcel:
        parcel.seek(facts["at"])
        parcel.write(data)


def _start(desk: Desk, facts: Mapping[str, Any], _data: bytes) -> None:
    """Unpack the parcel, if it is what was sent, and start the training; done again it changes nothing."""
    job = facts["job"]
    folder, order = desk.folder(job), desk.order(job)
    parcel, home = folder / _PARCEL, folder / "home"
    if not desk.is_unpacked(job):
        check_parcel(parcel, facts["sha256"])
        home.mkdir(exist_ok=True)
        save_settings(home, _settings_for(desk, order.plan))
        with suppress(OSError):  # Windows lets few make links; what is downloaded lies in the hub's own cache too
            (home / "models").symlink_to(desk.home / "models", target_is_directory=True)
        _finish(restore_client(home, parcel))
        parcel.unlink()
    client = desk.client(job)
    if background.find(_place(client)) is RunState.NONE:
        base = facts_here(desk.home, desk.settings).bases[order.plan.base_digest]
        words = ["--home", str(home), "--language", "en", *train_words(client.id, order.plan, base)]
        background.start(_place(client), words, {background.OWNER_VARIABLE: str(desk.owner)})


def _settings_for(desk: Desk, plan: TrainingPlan) -> Settings:
    """This machine's own settings, so far as they do not change what the plan teaches."""
    sd_scripts = desk.settings.sd_scripts if plan.trainer is TrainerKind.SD_SCRIPTS else ""
    quiet = {"notify_desktop": False, "notify_url": "", "accelerate_config": "", "gpu": "auto", "sd_scripts": sd_scripts}
    return desk.settings.model_copy(update=quiet)


def train_words(client: str, plan: TrainingPlan, base: str) -> list[str]:
    """The words of the command line that make this very plan on any machine, whatever it would recommend itself."""
    words = ["train", "--recorded", "--yes", "--anyway", f"--client={client}", f"--base={base}", f"--preset={plan.preset}"]
    for one in fields(Overrides):
        value = getattr(plan, one.name)
        if one.name == "extra":
            words += [f"--extra={shlex.join(value)}"] if value else []
        else:
            said = ("yes" if value else "no") if isinstance(value, bool) else str(value)
            words.append(f"--{one.name.replace('_', '-')}={said}")
    return words


def _look(desk: Desk, facts: Mapping[str, Any], _data: bytes) -> dict[str, Any]:
    """What the training has said since, whether it runs, and the step of its newest whole state."""
    client = desk.client(facts["job"])
    place = _place(client)
    alive = background.is_alive(place.record)  # asked before reading: what it wrote before it ended is read then
    lines, at = background.lines_from(place, facts["at"])
    plan = read_plan(client)
    state = find_resume(client, plan) if plan else None
    return {"lines": lines, "at": at, "alive": alive, "kept": state.step if state else 0}


def _stop(desk: Desk, facts: Mapping[str, Any], _data: bytes) -> None:
    """Ask the training to end."""
    background.ask_to_stop(_place(desk.client(facts["job"])), facts["at_once"])


def _pack(desk: Desk, facts: Mapping[str, Any], _data: bytes) -> dict[str, Any]:
    """Pack what was made so far; a file that the trainer removes meanwhile makes it fail, and it is asked for again."""
    client, order = desk.client(facts["job"]), desk.order(facts["job"])
    try:
        packed = _finish(pack_results(client, read_plan(client) or order.plan, desk.folder(facts["job"]) / _RESULTS))
    except FileNotFoundError as error:
        raise StillChanging(path=error.filename or "") from error
    return {"bytes": packed.bytes, "sha256": packed.sha256}


def _give(desk: Desk, facts: Mapping[str, Any], _data: bytes) -> bytes:
    """A piece of what was packed."""
    with (desk.folder(facts["job"]) / _RESULTS).open("rb") as results:
        results.seek(facts["at"])
        return results.read(PIECE_BYTES)


def _erase(desk: Desk, _facts: Mapping[str, Any], _data: bytes) -> None:
    """Remove all that lies here of any job, which ends it where it still runs."""
    clear_desk(desk)
    background.name_this_process(desk.owner)


def _place(client: Client) -> Place:
    return Place(client.background_file, client.id, "")


def _finish(stage: Generator[Event, None, Any]) -> Any:
    """Run a stage to its end, with nobody watching; its report."""
    while True:
        try:
            next(stage)
        except StopIteration as end:
            return end.value


ERRANDS: Mapping[str, Callable[[Desk, Mapping[str, Any], bytes], Any]] = {
    "describe": _describe,
    "begin": _begin,
    "take": _take,
    "start": _start,
    "look": _look,
    "stop": _stop,
    "pack": _pack,
    "give": _give,
    "erase": _erase,
}
