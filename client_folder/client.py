"""A client: its state, and the records that stages leave in its folder for one another.

Disk is the truth: what a stage made is found from its files. `state.json` keeps only what files cannot show.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from client_folder.names import check_client_id, complaint_about, english_class_word
from client_folder.paths import ClientPaths
from client_folder.private import private_folder
from client_folder.records import Decisions, Faces, Picture, Pictures, Verdict
from client_folder.tuned import ClientPlan
from locales.language import N_
from utils import PART, Kind, PipelineError, Record, read_record, sweep_parts, whole_png, write_record

CLASS_LABELS = {"person": N_("person"), "woman": N_("woman"), "man": N_("man")}
CLASS_WORDS = tuple(CLASS_LABELS)


class ClientExists(PipelineError):
    """Facts: client."""

    message = N_('There is a client "{client}" already.')
    hint = N_("Choose another name, or go on with that client.")


class ClientFolderTaken(PipelineError):
    """Facts: client, path."""

    message = N_('"{client}" cannot be made: {path} holds files already, of which the program knows nothing.')
    hint = N_("Look at them and move that folder away, or choose another name.")


class ClientMissing(PipelineError):
    """Facts: client, known."""

    message = N_('There is no client "{client}".')
    hint = N_("Clients here: {known}. Make a new one with: client create")


class ClientBusy(PipelineError):
    """Facts: client."""

    message = N_('Another program is working on client "{client}".')
    hint = N_("Wait until it has finished, or close it, and try again.")


class ClientState(Record):
    """`state.json`: what no other file can show."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    created: str
    name: str = Field(default="", exclude_if=lambda name: not name)  # what the person is called, in any letters
    class_word: Annotated[str, AfterValidator(english_class_word)] = CLASS_WORDS[0]  # what the client is, for captions
    base_model: str = ""  # empty: the settings' base model
    # Limits of quality control of its own, by their names below `quality` in the settings. Not written where there are none: the
    # file then reads as it always did.
    limits: dict[str, float] = Field(default={}, exclude_if=lambda limits: not limits)
    tuned: ClientPlan | None = Field(default=None, exclude_if=lambda plan: plan is None)  # settings that `tune` found


@dataclass(frozen=True, slots=True)
class Client(ClientPaths):
    """One client: its paths, and what its records say."""

    # What was read of the records; None: each is read anew whenever it is asked for.
    _known: dict[tuple[Path, type[BaseModel]], BaseModel | None] | None = field(default=None, repr=False, compare=False)

    @property
    def display_name(self) -> str:
        """What the person is called, where that was said; else the id. A state that cannot be read is no reason to fail here."""
        with suppress(PipelineError):
            return self.state().name or self.id
        return self.id

    @property
    def title(self) -> str:
        """The name for people, with the id behind it where that is another."""
        name = self.display_name
        return name if name == self.id else f"{name} ({self.id})"

    def mark_used(self) -> None:
        """Remember that somebody worked with the client now: the time of its folder says so."""
        with suppress(OSError):
            os.utime(self.root)

    @property
    def used(self) -> float:
        """When that was, in seconds since 1970; 0 where the folder is gone."""
        with suppress(OSError):
            return self.root.stat().st_mtime
        return 0.0

    def remove_sheets(self) -> None:
        """A contact sheet that is there is always up to date: both go before the first picture changes."""
        for sheet in (self.processed_sheet, self.rejected_sheet):
            sheet.unlink(missing_ok=True)
            sheet.with_suffix(".png").unlink(missing_ok=True)  # as earlier versions wrote it

    def snapshot(self) -> Client:
        """The client for the length of one question: every record is read once, when it is first asked for.

        For what only reads. Who writes a record goes on with the client itself, for a snapshot would not see it.
        """
        return self if self._known is not None else replace(self, _known={})

    def read(self, path: Path, kind: type[Kind]) -> Kind | None:
        """A record of the client's, None where there is no file; raises BrokenFile. Change nothing in it: a snapshot shares it."""
        if self._known is None:
            return read_record(path, kind) if path.exists() else None
        if (path, kind) not in self._known:
            self._known[path, kind] = read_record(path, kind) if path.exists() else None
        known = self._known[path, kind]
        return known if isinstance(known, kind) else None

    def state(self) -> ClientState:
        """What `state.json` says; raises BrokenFile, or ClientMissing where it is gone."""
        state = self.read(self.state_file, ClientState)
        if state is None:
            raise ClientMissing(client=self.id, known="-")
        return state

    def pictures(self) -> tuple[Picture, ...]:
        """Every imported original; raises BrokenFile."""
        found = self.read(self.images_file, Pictures)
        return found.images if found else ()

    def faces(self) -> tuple[Verdict, ...]:
        """Every verdict of `process`; raises BrokenFile."""
        return self.judged().faces

    def crops(self) -> tuple[Verdict, ...]:
        """The verdicts whose crop lies whole in `processed/`; one in quarantine does not. Raises BrokenFile."""
        return tuple(face for face in self.faces() if face.crop and whole_png(self.processed / face.crop))

    def judged(self) -> Faces:
        """The same, with what is known of who the client is."""
        return self.read(self.faces_file, Faces) or Faces()

    def decisions(self) -> Decisions:
        """What a person decided; raises BrokenFile."""
        return self.read(self.decisions_file, Decisions) or Decisions()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the client for one program; the system frees it when the holder dies. Raises ClientBusy at once.

        Raises ClientMissing where another program erased it. What programs that were killed left half written goes.
        """
        import filelock  # here, not above: who only looks at clients need not wait for it

        if not self.root.is_dir():  # the lock would make the folder
            raise ClientMissing(client=self.id, known="-")
        lock = filelock.FileLock(self.lock_file)
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout as error:
            raise ClientBusy(client=self.id) from error
        try:
            sweep_parts(self.root, below=True)
            yield
        finally:
            lock.release()


def clients_folder(home: Path) -> Path:
    """The folder of all clients of a home."""
    return home / "clients"


def queue_run_file(home: Path) -> Path:
    """Which process of ours trains several clients in the background, until somebody was told of its end."""
    return home / "logs" / "queue.json"


def list_clients(home: Path) -> tuple[Client, ...]:
    """Every client of a home, by name; folders without a state are not clients, nor is what is left of an erased one."""
    folder = clients_folder(home)
    states = sorted(folder.glob("[!.]*/state.json")) if folder.is_dir() else []
    return tuple(Client(state.parent) for state in states)


def last_used_first(home: Path) -> tuple[Client, ...]:
    """The same, in the order in which somebody would look for them."""
    return tuple(sorted(list_clients(home), key=lambda client: -client.used))


def check_trigger(word: str, home: Path) -> str:
    """The word, if a new client may have it; raises BadClientId, CommonWord or ClientExists."""
    if complaint := complaint_about(check_client_id(word), [client.id for client in list_clients(home)]):
        raise complaint
    return _free(word, home)


def _free(name: str, home: Path) -> str:
    if any(client.id.lower() == name.lower() for client in list_clients(home)):
        raise ClientExists(client=name)
    return name


def create_client(home: Path, name: str, class_word: str = CLASS_WORDS[0], display_name: str = "") -> Client:
    """Make a client's folder; raises BadClientId, ClientExists (names that differ only in case are one) or ClientFolderTaken."""
    client = Client(clients_folder(home) / _free(check_client_id(name), home))
    # Empty folders, and a half-written state, are what a creation leaves that was cut off.
    if any(path.is_file() and path != client.lock_file and not path.name.endswith(PART) for path in client.root.rglob("*")):
        raise ClientFolderTaken(client=name, path=client.root)
    sweep_parts(client.root)
    for folder in (client.raw_mj, client.raw_real, client.metadata):
        folder.mkdir(parents=True, exist_ok=True)
    private_folder(clients_folder(home))
    created = datetime.now(UTC).isoformat(timespec="seconds")
    said = "" if display_name == name else display_name
    write_record(client.state_file, ClientState(created=created, class_word=class_word, name=said))
    return client


def open_client(home: Path, name: str) -> Client:
    """The client of that name; raises BadClientId or ClientMissing."""
    client = Client(clients_folder(home) / check_client_id(name))
    if not client.state_file.exists():
        raise ClientMissing(client=name, known=", ".join(known.id for known in list_clients(home)) or "-")
    return client
