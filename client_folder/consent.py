"""What may be done: the licence of InsightFace's models, asked once for the program, and a person's consent, asked once a client.

The models are for non-commercial research only, however they were downloaded; only a licence bought from InsightFace allows more. A
face is put into pictures only where there is a record that the person agreed. Both answers can be read and changed by the user.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

from pydantic import ConfigDict, Field

from client_folder.client import Client
from locales.language import N_, _
from utils import PipelineError, Record, SettingRefused, read_record, write_record

LONGEST_NAME = 200


class What(StrEnum):
    """What a person can agree to."""

    FACE_SWAP = "face_swap"
    TRAINING = "training"


class Consent(Record):
    """One agreement: `by` in the words of whoever recorded it."""

    model_config = ConfigDict(frozen=True)

    what: What
    by: str = Field(min_length=1, max_length=LONGEST_NAME)
    recorded: str  # ISO 8601, UTC


class Consents(Record):
    """`metadata/consents.json`: what the client agreed to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    consents: tuple[Consent, ...] = ()


def consents_of(client: Client) -> tuple[Consent, ...]:
    """What the client agreed to; raises BrokenFile."""
    return read_record(client.consents_file, Consents).consents if client.consents_file.exists() else ()


def has_consent(client: Client, what: What) -> bool:
    """Whether there is a record."""
    return any(consent.what is what for consent in consents_of(client))


def check_consent(client: Client, what: What) -> Consent:
    """The record; raises ConsentMissing."""
    for consent in reversed(consents_of(client)):
        if consent.what is what:
            return consent
    raise ConsentMissing(client=client.id)


def record_consent(client: Client, what: What, by: str) -> None:
    """Add a record; one that is there is kept. Raises SettingRefused for an empty or overlong name."""
    by = " ".join(by.split())
    if not 0 < len(by) <= LONGEST_NAME:
        raise SettingRefused(
            name="--consent", problem=_("say who agreed, how and when, in up to {most} letters").format(most=LONGEST_NAME)
        )
    known: Sequence[Consent] = consents_of(client)
    if any(consent.what is what and consent.by == by for consent in known):
        return
    now = datetime.now(UTC).isoformat(timespec="seconds")
    write_record(client.consents_file, Consents(consents=(*known, Consent(what=what, by=by, recorded=now))))


class ConsentMissing(PipelineError):
    """Facts: client."""

    message = N_("There is no record that {client} agreed to have the face put into pictures.")
    hint = N_('Ask the person, then say who agreed: swap --client {client} --consent "NAME, how and when"')
    menu_hint = N_("Ask the person, then choose the same again and say who agreed, how and when.")
