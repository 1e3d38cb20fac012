"""What can be done with clients as a whole: list, create, show, erase."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client import Client, create_client, list_clients, open_client
from config import Settings
from journey import Step, read_journey

VERBS = ("list", "create", "show", "erase")


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
    """A client that is gone, and how many files went with it."""

    client: str
    files: int


def manage(home: Path, settings: Settings, verb: str, name: str, class_word: str) -> ClientList | ClientView | ClientErased:
    """Do what one of the VERBS asks for; raises BadClientId, ClientExists, ClientMissing or ClientBusy."""
    if verb == "list" or (verb == "show" and not name):
        return ClientList(list_clients(home))
    client = create_client(home, name, class_word) if verb == "create" else open_client(home, name)
    return erase(client) if verb == "erase" else ClientView(client, read_journey(home, settings, client))


def erase(client: Client) -> ClientErased:
    """Remove everything known of a client; raises ClientBusy while another program works on it."""
    with client.lock():
        files = sum(1 for path in client.root.rglob("*") if path.is_file())
        # The state goes first: should the rest be interrupted, what is left is no client any more.
        client.state_file.unlink()
    shutil.rmtree(client.root)
    return ClientErased(client.id, files)


def answer(report: ClientList | ClientView | ClientErased) -> dict[str, Any]:
    """The report as JSON."""
    if isinstance(report, ClientList):
        return {"clients": [client.id for client in report.clients]}
    if isinstance(report, ClientErased):
        return {"erased": report.client, "files": report.files}
    steps = [{"action": step.action, "state": step.state.value, "count": step.count} for step in report.steps]
    return {"client": report.client.id, "folder": str(report.client.root), "steps": steps}
