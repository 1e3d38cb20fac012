"""Avatars, as the plan for a web product calls clients: who is meant, and which portraits were chosen of them."""

from __future__ import annotations

from pathlib import Path

from client_folder.client import Client, last_used_first, open_client
from locales.language import N_
from portraits.history import read_history, there
from utils import PipelineError


class NobodyToPaint(PipelineError):
    """Facts: none."""

    message = N_("There is no client yet, so there is nobody to paint.")
    hint = N_("Make one, with a trained LoRA: the guide tells how.")


def client_meant(home: Path, avatar: str) -> str:
    """The client of that name or, where none is named, the one used last. Raises NobodyToPaint, ClientMissing, BadClientId."""
    if avatar:
        return open_client(home, avatar).id
    last = last_used_first(home)
    if not last:
        raise NobodyToPaint()
    return last[0].id


def chosen_portraits(client: Client) -> tuple[Path, ...]:
    """The favourites, else the newest run's; none where the record cannot be read, which is no reason to hide other clients."""
    try:
        history = read_history(client)
    except PipelineError:
        return ()
    return there(client, history.favourites) or there(client, history.runs[-1].images if history.runs else ())
