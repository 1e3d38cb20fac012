"""What can be done with clients as a whole: list, create, show, export, erase."""

from __future__ import annotations

import shutil
from argparse import Namespace
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from client import Client, create_client, list_clients, open_client
from client_export import ExportedClient, export_client
from config import Settings
from journey import Step, read_journey
from utils import Event

VERBS = ("list", "create", "show", "export", "erase")


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


def manage(home: Path, settings: Settings, options: Namespace) -> Generator[Event, None, Report]:
    """Do what the option `verb` asks for; raises BadClientId, ClientExists, ClientMissing, ClientBusy, or what an export raises."""
    verb, name = options.verb, options.name or options.client or ""
    if verb == "list" or (verb == "show" and not name):
        return ClientList(list_clients(home))
    client = create_client(home, name, options.class_word) if verb == "create" else open_client(home, name)
    exported = (yield from export_client(client, options.to, overwrite=options.overwrite)) if exports(options) else None
    if verb == "erase":
        return replace(erase(client), exported=exported)
    return exported or ClientView(client, read_journey(home, settings, client))


def exports(options: Namespace) -> bool:
    """Whether everything known of the client is to be written into an archive."""
    return options.verb == "export" or (options.verb == "erase" and options.export_first)


def erase(client: Client) -> ClientErased:
    """Remove everything known of a client; raises ClientBusy while another program works on it."""
    with client.lock():
        files = sum(1 for path in client.root.rglob("*") if path.is_file())
        # The state goes first: should the rest be interrupted, what is left is no client any more.
        client.state_file.unlink()
    shutil.rmtree(client.root)
    return ClientErased(client.id, files)


def answer(report: Report) -> dict[str, Any]:
    """The report as JSON."""
    if isinstance(report, ClientList):
        return {"clients": [client.id for client in report.clients]}
    if isinstance(report, ExportedClient):
        return {
            "client": report.client, "file": str(report.file), "files": report.files, "bytes": report.bytes,
            "sha256": report.sha256, "left_out": list(report.left_out),
        }  # fmt: skip
    if isinstance(report, ClientErased):
        exported = {"exported": answer(report.exported)} if report.exported else {}
        return {"erased": report.client, "files": report.files, **exported}
    steps = [{"action": step.action, "state": step.state.value, "count": step.count} for step in report.steps]
    return {"client": report.client.id, "folder": str(report.client.root), "steps": steps}
