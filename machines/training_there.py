"""A training on another machine: sent, followed, its states brought home at every checkpoint, its results when it is done.

The caller holds the client all the while. Killed here at any moment, the training there goes on, and the next run of the same queue
finds it by the name of its job. What comes home is a parcel first, whole and checked, and is then taken in: a parcel that was being
taken in when we were killed is taken in again at the beginning.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from client_folder.client import Client
from client_folder.private import private_folder
from machine.background import RunLost, event_of, report_of
from machine.cards import GPUProfile
from machines.errands import Order
from machines.errors import JobNotHere, LinkDown, MachineLost
from machines.link import Joined, Link
from machines.parcels import PIECE_BYTES, check_parcel, pack_for_training, unpack_results
from machines.pool import pool_folder
from training.checkpoints import drop_older_states, find_resume, read_plan
from training.plan import TrainerKind, TrainingPlan
from utils import Event, Notice, PipelineError, Progress, Stopped, TrainingTick, write_record

_LOOK_SECONDS = 0.5  # between two looks at a training
_STILL = Progress("start", 0, 0)
_MB = 1_000_000


def job_of(client: Client, plan: TrainingPlan) -> str:
    """The name of a training wherever it is done: the same for plans that teach the same to the same client."""
    says = plan.model_dump(mode="json", exclude={"gpu", "base", "preset", "tokenizers", "insisted", "changes"})
    digest = hashlib.sha256(json.dumps([client.state().created, says], sort_keys=True).encode())
    return f"{client.id}-{digest.hexdigest()[:12]}"


def can_train(machine: Joined, plan: TrainingPlan) -> bool:
    """Whether a machine has what the plan needs beside memory: the base model, and the trainer."""
    trainer = plan.trainer is TrainerKind.EMBEDDED or machine.facts.sd_scripts
    return trainer and plan.base_digest in machine.facts.bases and plan.processes == 1


def on_card(plan: TrainingPlan, profile: GPUProfile) -> TrainingPlan:
    """The same plan on another card: what it costs there is then estimated of that one."""
    return plan.model_copy(update={"gpu": profile})


@dataclass(slots=True)
class _There:
    """One training on one machine."""

    link: Link
    machine: str
    client: Client
    plan: TrainingPlan
    job: str
    at: int = 0  # bytes of its events that were read
    kept: int = 0  # step of the newest state that is at home
    asked: int = 0  # times that it was asked to stop

    @property
    def arriving(self) -> Path:
        """Where a parcel of it lies that has arrived whole."""
        return _arriving_folder(self.client.home) / f"{self.job}.zip"

    def ask(self, errand: str, data: bytes = b"", **facts: Any) -> Any:
        """Ask its machine; one that was started anew knows nothing of the job, which is as good as gone."""
        try:
            return self.link.ask(self.machine, errand, data, job=self.job, **facts)
        except JobNotHere as error:
            raise MachineLost(machine=self.machine) from error


def _arriving_folder(home: Path) -> Path:
    return pool_folder(home) / "arriving"


def take_in_arrived(client: Client) -> Generator[Event, None, None]:
    """Take in what had arrived whole when we were killed; the caller holds the client."""
    for file in sorted(_arriving_folder(client.home).glob(f"{client.id}-????????????.zip")):
        yield from unpack_results(client, file)


def forget_client(home: Path, client: str) -> None:
    """Remove the parcels of a client that were on their way when we were killed."""
    for folder in (home / "pool" / "sending", home / "pool" / "arriving"):
        for file in (*folder.glob(f"{client}-????????????.zip*"), *folder.glob(f".{client}-????????????.zip*")):
            file.unlink(missing_ok=True)


def train_there(link: Link, machine: Joined, client: Client, plan: TrainingPlan) -> Generator[Event, None, None]:
    """Train a plan on a machine, or go on following it there, until all of it is at home and nothing of it is there.

    Stopped thrown into it stops the training there, brings its state home and ends with Stopped. Raises what the training met
    with, or MachineLost: then what came home so far is what another machine goes on from.
    """
    job = job_of(client, plan)
    there = _There(link, machine.name, client, plan, job)
    state = find_resume(client, plan)
    there.kept = state.step if state else 0
    try:
        if machine.job != job:
            yield from _patient(there, lambda: _send(there))
        else:
            yield from _patient(there, lambda: _start(there, ""))
    except (Stopped, KeyboardInterrupt):
        with suppress(PipelineError):  # nothing was learned there yet, and nothing of the person is to stay
            there.ask("erase")
        raise
    end = yield from _follow(there)
    yield from _patient(there, lambda: _bring_home(there))
    with suppress(MachineLost):  # what it had is at home already
        yield from _patient(there, lambda: _erase(there))
    if end is None:
        raise RunLost(what=client.id, log=client.train_log)
    try:
        report_of(end, client.train_log)
    except Stopped as stopped:
        if there.asked:
            raise
        raise MachineLost(machine=machine.name) from stopped  # its own user stopped it, who wants the machine back


def _patient(there: _There, work: Any) -> Generator[Event, None, Any]:
    """Do a piece of work, and again from its beginning where the scheduler was away meanwhile."""
    while True:
        try:
            return (yield from work())
        except LinkDown:
            yield _STILL
            time.sleep(_LOOK_SECONDS)


def _send(there: _There) -> Generator[Event, None, None]:
    """Pack what the job needs, send it and let it start."""
    client, plan = there.client, there.plan
    write_record(client.plan_file, plan)  # by which the machine there counts the version that we count
    parcel = pool_folder(client.home) / "sending" / f"{there.job}.zip"
    packed = yield from pack_for_training(client, plan, parcel)
    try:
        there.ask("begin", order=Order(job=there.job, client=client.id, plan=plan).model_dump(mode="json", by_alias=True))
        with parcel.open("rb") as file:
            at = 0
            while piece := file.read(PIECE_BYTES):
                there.ask("take", piece, at=at)
                at += len(piece)
                yield Progress("client-export", at // _MB, packed.bytes // _MB, there.machine)
        yield from _start(there, packed.sha256)
    finally:
        parcel.unlink(missing_ok=True)


def _start(there: _There, sha256: str) -> Generator[Event, None, None]:
    there.ask("start", sha256=sha256)
    yield _STILL


def _erase(there: _There) -> Generator[Event, None, None]:
    there.ask("erase")
    yield _STILL


def _follow(there: _There) -> Generator[Event, None, dict[str, Any] | None]:
    """Its events as they come, its states at every checkpoint; how it ended, None where it left no word of that."""
    shown: Event = _STILL
    looked = 0.0
    while True:
        try:
            if time.monotonic() - looked >= _LOOK_SECONDS:
                looked = time.monotonic()
                with suppress(LinkDown):
                    seen = there.ask("look", at=there.at)
                    there.at = seen["at"]
                    told = [_without_paths(event_of(line)) for line in seen["lines"] if "end" not in line]
                    yield from (event for event in told if isinstance(event, Notice))
                    shown = next((event for event in reversed(told) if not isinstance(event, Notice)), shown)
                    if seen["lines"] and "end" in seen["lines"][-1]:
                        return dict(seen["lines"][-1])
                    if not (seen["alive"] or seen["lines"]):
                        return None
                    if seen["kept"] > there.kept:
                        yield from _bring_checkpoint(there)
            yield shown
        except (Stopped, KeyboardInterrupt):
            there.asked += 1
            with suppress(LinkDown):
                there.ask("stop", at_once=there.asked > 1)
        except GeneratorExit:  # nobody waits for the state any more
            with suppress(PipelineError):
                there.ask("stop", at_once=True)
            raise


def _without_paths(event: Event) -> Event:
    """An event without the paths of another machine's."""
    return replace(event, control="", sample="") if isinstance(event, TrainingTick) else event


def _bring_checkpoint(there: _There) -> Generator[Event, None, None]:
    """Bring the newest state home; where a file went away while it was packed, the next look tries again."""
    try:
        yield from _bring_home(there)
    except (LinkDown, MachineLost):
        raise
    except PipelineError:
        return


def _bring_home(there: _There) -> Generator[Event, None, None]:
    """Fetch what was made so far, check it, and take it in."""
    client = there.client
    packed = there.ask("pack")
    private_folder(there.arriving.parent)
    part, at = there.arriving.with_suffix(".zip.part"), 0
    with part.open("wb") as file:
        while at < packed["bytes"]:
            at += file.write(there.ask("give", at=at))
            yield Progress("client-import", at // _MB, packed["bytes"] // _MB, there.machine)
        file.flush()
        os.fsync(file.fileno())
    check_parcel(part, packed["sha256"])
    os.replace(part, there.arriving)
    yield from unpack_results(client, there.arriving)
    trained = read_plan(client)
    if trained is not None:  # it says where the base lies there
        write_record(client.plan_file, trained.model_copy(update={"base": there.plan.base}))
    state = find_resume(client, read_plan(client) or there.plan)
    if state:
        there.kept = state.step
        drop_older_states(client, read_plan(client) or there.plan, state.step)
