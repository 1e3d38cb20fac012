"""What can be done with clients as a whole: list, create, show, export, erase."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from actions.action import Action, Answer, Retry
from actions.journey import State, Step, read_journey
from actions.request import Ask, Job, Menu, Request, UserPath
from client_folder.client import CLASS_WORDS, Client, create_client, list_clients, open_client
from client_folder.erasing import erase_folder
from client_folder.export import MB, ExportedClient, FileThere, export_client
from client_folder.names import english_class_word, propose_trigger
from locales.language import N_, _
from training import tensorboard_server
from training.queue import forget_client
from utils import Event, PipelineError


@dataclass(frozen=True, slots=True)
class ClientList:
    """The clients of a home."""

    clients: tuple[Client, ...]


@dataclass(frozen=True, slots=True)
class ClientView:
    """One client and its eight steps; `class_word` is what captions call one that was made just now."""

    client: Client
    steps: tuple[Step, ...]
    class_word: str = ""


@dataclass(frozen=True, slots=True)
class ErasePlan:
    """What goes when a client is erased: every file of its folder, and how many of them are what."""

    client: str
    name: str
    files: int
    bytes: int
    pictures: int
    crops: int
    loras: int
    portraits: int


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
_CLASS_HELP = N_("what the client is, for captions: person, woman, man, or a word of your own in English")
_NAME_HELP = N_("what the person is called, in any letters; create makes the trigger word of it where none is given")
_EXPORT_FIRST_HELP = N_("Export everything known of the client before it is erased?")
_ALL_OF_IT = N_(
    "{name}: {files} files, {size:.1f} MB (originals: {pictures}, crops: {crops}, LoRA files: {loras}, portraits: {portraits})"
)
_TO_HELP = N_("Where to: a folder or FILE.zip (empty: exports):")
_OVERWRITE_HELP = N_("write over the file that export is told to write")
_OVER = N_("Write over it?")
_NO_WORD = N_('"{word}" is no word for what a client is, such as woman.')


def _class_word(word: str) -> str:
    """The word in English where we know it; raises ValueError for what cannot stand in a caption."""
    if not re.fullmatch(r"[^\W\d_][\w -]{0,39}", word.strip()):
        raise ValueError(_(_NO_WORD).format(word=word))
    return english_class_word(word)


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
    called: Annotated[str, Ask(_NAME_HELP, "--name", "NAME")] = ""
    class_word: Annotated[str, AfterValidator(_class_word), Ask(_CLASS_HELP, "--class-word", "WORD")] = CLASS_WORDS[0]
    export_first: Annotated[
        bool,
        Ask(
            _EXPORT_FIRST_HELP, "--export-first", menu=Menu.CHOICE, when=lambda job: job.request.verb == "erase",
            suggest=lambda _job: "yes", context=lambda job: all_of_it(plan_erase(job)),
        ),
    ] = False  # fmt: skip
    to: Annotated[
        UserPath | None, Ask(_TO_HELP, "--to", "PLACE", menu=Menu.PATH, new=True, when=lambda job: job.request.exports)
    ] = None
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
    if request.verb == "create":
        name = name or propose_trigger(request.called, [client.id for client in list_clients(job.home)])
        client = create_client(job.home, name, request.class_word, request.called)
        return ClientView(client, read_journey(job.home, job.settings, client), client.state().class_word)
    client = open_client(job.home, name)
    exported = (yield from export_client(client, request.to, overwrite=request.overwrite)) if request.exports else None
    if request.verb == "erase":
        return replace(erase(client), exported=exported)
    return exported or ClientView(client, read_journey(job.home, job.settings, client))


def plan_erase(job: Job[ClientsRequest]) -> ErasePlan:
    """What would go; raises BadClientId or ClientMissing."""
    client = open_client(job.home, job.request.name or job.request.client)
    files = [path for path in client.root.rglob("*") if path.is_file() and not path.is_symlink()]
    return ErasePlan(
        client.id, client.title, len(files), sum(path.stat().st_size for path in files),
        pictures=sum(path.parent in (client.raw_mj, client.raw_real) for path in files),
        crops=sum(path.parent == client.processed and path != client.processed_sheet for path in files),
        loras=sum(path.parent == client.models and path.suffix == ".safetensors" for path in files),
        portraits=sum(path.parent == client.output and path.match("portrait_*.png") for path in files),
    )  # fmt: skip


def all_of_it(plan: ErasePlan) -> str:
    """What there is of a client, in a line."""
    return _(_ALL_OF_IT).format(
        name=plan.name, files=plan.files, size=plan.bytes / MB, pictures=plan.pictures, crops=plan.crops, loras=plan.loras,
        portraits=plan.portraits,
    )  # fmt: skip


def _names(job: Job[ClientsRequest]) -> tuple[str, ...]:
    """What may be typed to agree that a client is erased: its id, or what the person is called."""
    client = open_client(job.home, job.request.name or job.request.client)
    return tuple(dict.fromkeys((client.id, client.display_name)))


def erase(client: Client) -> ClientErased:
    """Remove everything known of a client; raises what `erase_folder` raises."""
    tensorboard_server.stop_server(client)
    files = erase_folder(client)
    forget_client(client.home, client.id)
    return ClientErased(client.id, files)


def _write_over(request: ClientsRequest, error: PipelineError) -> Retry | None:
    """After a refusal to write over a file: all the same."""
    again = request.model_copy(update={"overwrite": True})
    return Retry(_(_OVER), again, grave=True) if isinstance(error, FileThere) else None


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


class ErasePlanAnswer(Answer):
    """What would go: files, their bytes, and how many of them are what."""

    client: str
    name: str
    files: int
    bytes: int
    pictures: int
    crops: int
    loras: int
    portraits: int


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
    "client", ClientsRequest, manage, answer, changes=False,
    plan=plan_erase, plan_answer=ErasePlanAnswer.of, plans=lambda job: job.request.verb == "erase",
    grave=lambda job: job.request.verb == "erase", typed=_names, retry=_write_over,
)  # fmt: skip
ACTIONS = (CLIENT,)
