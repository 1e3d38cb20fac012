"""The action of a pool of machines: which have joined, being its scheduler, joining one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from actions.action import Action, Answer, Rounded2, Stage
from actions.request import Ask, Job, Menu, Request
from locales.language import N_
from machines.errors import NoScheduler
from machines.joined import JoinedReport, join
from machines.link import Joined, Link
from machines.pool import PORT, SchedulerRecord, joining_key, scheduler_file
from machines.scheduler import Served, serve
from utils import PipelineError, read_record

_VERB_LABELS = {
    "list": N_("show which have joined"),
    "serve": N_("let machines join this PC, which has the clients"),
    "join": N_("let this PC work for another one"),
}
_ADDRESS_HELP = N_("Address of the PC that has the clients, as it says there:")
_NAME_HELP = N_("what this machine is to be called (default: the PC's name)")
_KEY_HELP = N_("Joining key, as it says there:")


class AddressMissing(PipelineError):
    """Facts: none."""

    message = N_("Where to join, and with which key, was not said.")
    hint = N_("As the other PC shows it: machines join ADDRESS --key KEY")


def _joins(job: Job[MachinesRequest]) -> bool:
    return job.request.verb == "join"


class MachinesRequest(Request):
    """What to do: show who has joined, be the scheduler, or join one."""

    verb: Annotated[
        Literal["list", "serve", "join"], Ask(N_("Several machines:"), menu=Menu.CHOICE, labels=_VERB_LABELS)
    ] = "list"  # fmt: skip
    address: Annotated[str, Ask(_ADDRESS_HELP, metavar="ADDRESS", menu=Menu.TEXT, when=_joins)] = ""
    key: Annotated[str, Ask(_KEY_HELP, "--key", "KEY", menu=Menu.TEXT, when=_joins)] = ""
    name: Annotated[str, Field(pattern=r"^[\w.-]{0,64}$"), Ask(_NAME_HELP, "--name", "NAME")] = ""
    host: Annotated[str, Ask(N_("address to listen at (default: all of this PC's)"), "--host", "ADDRESS")] = ""
    port: Annotated[int, Field(ge=1, le=65535), Ask(N_("port to listen at"), "--port", "N")] = PORT


@dataclass(frozen=True, slots=True)
class MachineList:
    """Who has joined, and how to join."""

    address: str
    key: str
    machines: tuple[Joined, ...]


def machines(job: Job[MachinesRequest]) -> Stage:
    """Show the machines of this home's pool, be their scheduler, or work for another's. Raises NoScheduler, LinkDown and others."""
    asked = job.request
    if asked.verb == "serve":
        return (yield from serve(job.home, job.settings, asked.host, asked.port))
    if asked.verb == "join":
        if not (asked.address and asked.key):
            raise AddressMissing()
        return (yield from join(job.home, job.settings, asked.address, asked.key, asked.name))
    if not scheduler_file(job.home).is_file():
        raise NoScheduler(address=f"127.0.0.1:{PORT}")
    with Link(job.home) as link:
        shown = read_record(scheduler_file(job.home), SchedulerRecord).shown
        return MachineList(shown or link.address, joining_key(job.home), link.machines())


class MachineCard(Answer):
    """A card of a machine."""

    name: str
    total_gb: Rounded2


class MachineRow(Answer):
    """A machine that has joined: its cards, whether it is "free", "busy" or "leaving", and the job that lies on it."""

    name: str
    gpus: tuple[MachineCard, ...]
    state: Literal["free", "busy", "leaving"]
    job: str


def state_of(machine: Joined) -> Literal["free", "busy", "leaving"]:
    """How it stands with a machine, as a word for scripts."""
    return "leaving" if machine.leaving else "busy" if machine.job else "free"


class MachinesAnswer(Answer):
    """Who has joined; none of a scheduler or a machine that has ended."""

    machines: tuple[MachineRow, ...]

    @classmethod
    def of(cls, report: MachineList | Served | JoinedReport) -> MachinesAnswer:
        """The machines of a list."""
        found = report.machines if isinstance(report, MachineList) else ()
        return cls(
            machines=tuple(
                MachineRow(
                    name=one.name, job=one.job, state=state_of(one),
                    gpus=tuple(MachineCard(name=card.name, total_gb=card.total_gb) for card in one.facts.gpus),
                )
                for one in found
            )
        )  # fmt: skip


MACHINES = Action("machines", MachinesRequest, machines, MachinesAnswer.of, changes=False)
ACTIONS = (MACHINES,)
