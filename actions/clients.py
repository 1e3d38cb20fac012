"""What can be done with clients as a whole: list, create, show, export, erase."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from actions.action import Action, Answer, Retry
from actions.journey import State, Step, read_journey
from actions.request import Ask, Job, Menu, Request, UserPath
from client_folder.client import CLASS_WORDS, Client, create_client, list_clients, open_client
from client_folder.export import ExportedClient, FileThere, export_client
from locales.language import N_, _
from utils import Event, PipelineError


@dataclass(frozen=True, slots=True)
class ClientList:
    """The clients of a home."""

    clients: tuple[Client, ...]


@dataclass(frozen=True, slots=True)
class ClientView:
    """One client and its eight steps."""

    client: Client
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class ClientErased:
    """A client that is gone, how many files went with it, and the export made of it just before, if that was asked for."""

    client: str
    files: int
    exported: ExportedClient | None = None


Report = ClientList | ClientView | ClientErased | ExportedClient


# --- what is asked ----------------------------------------------------------------------------------------------------
_VERB_LABELS = {  # what the menu offers; the file is offered before the end
    "show": N_("show it"),
    "export": N_("export it: everything known of it in one .zip"),
    "erase": N_("erase it, with everything made for it"),
}
_CLASS_HELP = N_("what the client is, for captions: person, woman, man")
_EXPORT_FIRST_HELP = N_("Export everything known of the client before it is erased?")
_TO_HELP = N_("Where to: a folder or FILE.zip (empty: the folder exports beside clients):")
_OVERWRITE_HELP = N_("write over the file that export is told to write")
_OVER = N_("Write over it?")


class ClientsRequest(Request):
    """What to do with which client. The name may be given as a word or with --client."""

    verb: Annotated[
        Literal["list", "create", "show", "export", "erase"],
        Ask(
            N_("What to do with the client:"), menu=Menu.CHOICE,
            offer=lambda _job: [(verb, _(label)) for verb, label in _VERB_LABELS.items()],
        ),
    ] = "show"  # fmt: skip
    name: Annotated[str, Ask(N_("name of the client"))] = ""
    client: Annotated[str, Ask(N_("name of the client"), "--client", "ID")] = ""
    class_word: Annotated[str, Ask(_CLASS_HELP, "--class-word")] = CLASS_WORDS[0]
    export_first: Annotated[
        bool, Ask(_EXPORT_FIRST_HELP, "--export-first", menu=Menu.CHOICE, when=lambda job: job.request.verb == "erase")
    ] = False
    to: Annotated[UserPath | None, Ask(_TO_HELP, "--to", "PLACE", menu=Menu.PATH, when=lambda job: job.request.exports)] = None
    overwrite: Annotated[bool, Ask(_OVERWRITE_HELP, "--overwrite")] = False

    @property
    def exports(self) -> bool:
        """Whether everything known of the client is to be written into an archive."""
        return self.verb == "export" or (self.verb == "erase" and self.export_first)


# --- what is done -----------------------------------------------------------------------------------------------------
def manage(job: Job[ClientsRequest]) -> Generator[Event, None, Report]:
    """Do what the request's verb says; raises BadClientId, ClientExists, ClientMissing, ClientBusy, or what an export raises."""
    request = job.request
    name = request.name or request.client
    if request.verb == "list" or (request.verb == "show" and not name):
        return ClientList(list_clients(job.home))
    client = create_client(job.home, name, request.class_word) if request.verb == "create" else open_client(job.home, name)
    exported = (yield from export_client(client, request.to, overwrite=request.overwrite)) if request.exports else None
    if request.verb == "erase":
        return replace(erase(client), exported=exported)
    return exported or ClientView(client, read_journey(job.home, job.settings, client))


def erase(client: Client) -> ClientErased:
    """Remove everything known of a client; raises ClientBusy while another program works on it."""
    with client.lock():
        files = sum(1 for path in client.root.rglob("*") if path.is_file())
        # The state goes first: should the rest be interrupted, what is left is no client any more.
        client.state_file.unlink()
    shutil.rmtree(client.root)
    return ClientErased(client.id, files)


def _write_over(request: ClientsRequest, error: PipelineError) -> Retry | None:
    """After a refusal to write over a file: all the same."""
    return Retry(_(_OVER), request.model_copy(update={"overwrite": True})) if isinstance(error, FileThere) else None


def _made(_job: Job[ClientsRequest], report: Report) -> tuple[Path, ...]:
    """The archive, where one was written."""
    exported = report.exported if isinstance(report, ClientErased) else report
    return (exported.file,) if isinstance(exported, ExportedClient) else ()


# --- what is answered -------------------------------------------------------------------------------------------------
class ClientListAnswer(Answer):
    """The names of the clients of a home."""

    clients: tuple[str, ...]


class StepAnswer(Answer):
    """How a step of a client stands: the action that runs it, and how many things it brought."""

    action: str
    state: State
    count: int


class ClientAnswer(Answer):
    """One client: where it lies, and its eight steps."""

    client: str
    folder: Path
    steps: tuple[StepAnswer, ...]


class ExportedClientAnswer(Answer):
    """The archive of a client, and what it could not take."""

    client: str
    file: Path
    files: int
    bytes: int
    sha256: str
    left_out: tuple[str, ...]


class ErasedAnswer(Answer):
    """A client that is gone."""

    erased: str
    files: int


class ErasedAndExportedAnswer(ErasedAnswer):
    """A client that is gone, and the archive that was made of it just before."""

    exported: ExportedClientAnswer


ClientsAnswer = ClientListAnswer | ClientAnswer | ExportedClientAnswer | ErasedAnswer | ErasedAndExportedAnswer


def answer(report: Report) -> ClientsAnswer:
    """The report as it is answered."""
    if isinstance(report, ClientList):
        return ClientListAnswer(clients=tuple(client.id for client in report.clients))
    if isinstance(report, ExportedClient):
        return ExportedClientAnswer.of(report)
    if isinstance(report, ClientErased):
        gone: dict[str, Any] = {"erased": report.client, "files": report.files}
        exported = ExportedClientAnswer.of(report.exported) if report.exported else None
        return ErasedAndExportedAnswer(**gone, exported=exported) if exported else ErasedAnswer(**gone)
    return ClientAnswer(
        client=report.client.id, folder=report.client.root, steps=tuple(StepAnswer.of(step) for step in report.steps)
    )


CLIENT = Action(
    "client",
    ClientsRequest,
    manage,
    answer,
    changes=False,
    grave=lambda job: job.request.verb == "erase",
    retry=_write_over,
    made=_made,
)
ACTIONS = (CLIENT,)
