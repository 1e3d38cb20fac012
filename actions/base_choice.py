"""Which base models the menu offers where something is trained or painted with one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from actions.request import Job
from client_folder.client import Client
from config import EMBEDDED_BASE, SDXL_BASE
from locales.language import N_, _

BASE_ROW, BASE_HELP = (
    N_("base model"),
    N_("What is trained and painted with. SDXL is for real work; the practice model paints small dolls."),
)
_LABELS = {SDXL_BASE: N_("SDXL 1.0"), EMBEDDED_BASE: N_("practice model (96 px)")}
_AS_SET, _AS_CLIENT = N_("{base}, as in the settings"), N_("{base}, as for this client")


def offer_bases(job: Job[Any]) -> list[tuple[str, str]]:
    """The base that counts where none is named, then the others that everybody has, as (value, label)."""
    client: Client | None = job.client
    own = client.state().base_model if client else ""
    counts = own or job.settings.base_model
    said = _(_AS_CLIENT if own else _AS_SET).format(base=_(_LABELS[counts]) if counts in _LABELS else Path(counts).name)
    return [("", said), *((name, _(label)) for name, label in _LABELS.items() if name != counts)]
