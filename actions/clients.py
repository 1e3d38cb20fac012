"""What can be done with clients as a whole: list, create, show, export, take an export in, erase."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator

from actions.action import Action, Answer, Retry
from actions.journey import State, Step, read_journey
from actions.request import Ask, Job, Menu, Request, UserPath, read_path
from client_folder.client import CLASS_WORDS, Client, create_client, list_clients, open_client
from client_folder.erasing import erase_folder
from client_folder.export import MB, ExportedClient, FileThere, export_client
from client_folder.names import english_class_word, propose_trigger
from client_folder.restore import ClientHere, RestoredClient, restore_client
from locales.language import N_, _
from machines import training_there
from training import lock, queue, tensorboard_server
from training.secret_options import mask_files
from utils import Event, PipelineError


@dataclass(frozen=True, slots=True)
class ClientList:
    """The clients of a home."""

    clients: tuple[Client, ...]


@dataclass(frozen=True, slots=True)
class ClientView:
    """One client and its steps; `class_word` is what captions call one that was made just now."""

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


Report = ClientList | ClientView | ClientErased | ExportedClient | RestoredClient


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
_TO_HELP = N_("Where to: a folder or FILE.zip (empty: the folder exports beside clients):")
_OVERWRITE_HELP = N_("write over the file that export is told to write; with import --update, over files that differ here")
_WORD_HELP = N_("name of the client; for import, the FILE.zip that export wrote")
_AS_HELP = N_("import it under this name; what was made for its old trigger word stays out")
_UPDATE_HELP = N_("where the imported client is here: add what was trained and painted elsewhere")
_OVER = N_("Write over it?")
_UPDATE = N_("Add what was trained and painted elsewhere to the client that is here?")
_NO_WORD = N_('"{word}" is no word for what a client is, such as woman.')


def _class_word(word: str) -> str:
    """The word in English where we know it; raises ValueError for what cannot stand in a caption."""
    if not re.fullmatch(r"[^\W\d_][\w -]{0,39}", word.strip()):
        raise ValueError(_(_NO_WORD).format(word=word))
    return english_class_word(word)


class ClientsRequest(Request):
    """What to do with which client. The name may be given as a word or with --client."""

    verb: Annotated[
        Literal["list", "create", "show", "export", "import", "erase"],
        Ask(
            N_("What to do with the client:"), menu=Menu.CHOICE,
            offer=lambda _job: [(verb, _(label)) for verb, label in _VERB_LABELS.items()],
        ),
    ] = "show"  # fmt: skip
    name: Annotated[str, Ask(_WORD_HELP)] = ""
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
    other_id: Annotated[str, Ask(_AS_HELP, "--as", "ID")] = ""
    update: Annotated[bool, Ask(_UPDATE_HELP, "--update")] = False

    @property
    def exports(self) -> bool:
        """Whether everything known of the client is to be written into an archive."""
        return self.verb == "export" or (self.verb == "erase" and self.export_first)


# --- what is done -----------------------------------------------------------------------------------------------------
def manage(job: Job[ClientsRequest]) -> Generator[Event, None, Report]:
    """Do what the request's verb says; raises BadClientId, ClientExists, ClientMissing, ClientBusy, what export or import raise."""
    request = job.request
    name = request.name or request.client
    if request.verb == "list" or (request.verb == "show" and not name):
        return ClientList(list_clients(job.home))
    if request.verb == "create":
        name = name or (propose_trigger(request.called, [client.id for client in list_clients(job.home)]) if request.called else "")
        client = create_client(job.home, name, request.class_word, request.called)
        return ClientView(client, read_journey(job.home, job.settings, client), client.state().class_word)
    if request.verb == "import":
        file = read_path(request.name)
        return (yield from restore_client(job.home, file, request.other_id, update=request.update, overwrite=request.overwrite))
    client = open_client(job.home, name)
    if request.exports:
        with client.lock():
            mask_files(client)
    exported = (yield from export_client(client, request.to, overwrite=request.overwrite)) if request.exports else None
    if request.verb == "erase":
        return replace(erase(client), exported=exported)
    return exported or ClientView(client, read_journey(job.home, job.settings, client))


def plan_erase(job: Job[ClientsRequest]) -> ErasePlan:
    """What would go; raises BadClientId or ClientMissing."""
    client = open_client(job.home, job.request.name or job.request.client)
    everything = (path for path in client.root.rglob("*") if path.is_file() and path != client.lock_file)
    files = [path for path in everything if not path.is_symlink()]
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
    queue.forget_client(client.home, client.id)
    training_there.forget_client(client.home, client.id)
    lock.forget_client(client.id)
    return ClientErased(client.id, files)


def _all_the_same(request: ClientsRequest, error: PipelineError) -> Retry | None:
    """After a refusal to write over a file: all the same. After finding an imported client here: bring it up to date."""
    if isinstance(error, ClientHere):
        return Retry(_(_UPDATE), request.model_copy(update={"update": True}))
    again = request.model_copy(update={"overwrite": True})
    return Retry(_(_OVER), again, grave=True) if isinstance(error, FileThere) else None


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
    """One client: where it lies, and its steps."""

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


class RestoredClientAnswer(Answer):
    """The client that an export became, and what of it was `kept` as it was here, or `left_out` because of another name."""

    imported: str
    folder: Path
    files: int
    bytes: int
    updated: bool
    kept: tuple[str, ...]
    left_out: int

    @classmethod
    def of(cls, report: RestoredClient) -> Self:
        """The report."""
        return cls(
            imported=report.client.id, folder=report.client.root, files=report.files, bytes=report.bytes,
            updated=report.updated, kept=report.kept, left_out=report.left_out,
        )  # fmt: skip


class ErasedAnswer(Answer):
    """A client that is gone."""

    erased: str
    files: int


class ErasedAndExportedAnswer(ErasedAnswer):
    """A client that is gone, and the archive that was made of it just before."""

    exported: ExportedClientAnswer


ClientsAnswer = (
    ClientListAnswer | ClientAnswer | ExportedClientAnswer | RestoredClientAnswer | ErasedAnswer | ErasedAndExportedAnswer
)


def answer(report: Report) -> ClientsAnswer:
    """The report as it is answered."""
    if isinstance(report, ClientList):
        return ClientListAnswer(clients=tuple(client.id for client in report.clients))
    if isinstance(report, ExportedClient):
        return ExportedClientAnswer.of(report)
    if isinstance(report, RestoredClient):
        return RestoredClientAnswer.of(report)
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
    lasts=lambda request: request.verb in ("export", "import", "erase"),
    grave=lambda job: job.request.verb == "erase", typed=_names, retry=_all_the_same, made=_made,
)  # fmt: skip
ACTIONS = (CLIENT,)
