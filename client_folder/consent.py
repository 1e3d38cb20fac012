"""What may be done: the licence of InsightFace's models, asked once for the program, and a person's consent, asked once a client.

The models are for non-commercial research only, however they were downloaded; only a licence bought from InsightFace allows more. A
face is put into pictures only where there is a record that the person agreed. Both answers can be read and changed by the user.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field

from client_folder.client import Client
from config import Settings, change_settings
from locales.language import N_, Labelled, _
from machine.errors import ConsentMissing, LicenceRefused
from utils import Record, SettingRefused, read_record, write_record

LONGEST_NAME = 200
LICENCE_QUESTION = N_("InsightFace's models are for non-commercial research only. What are they used for here?")


class Use(Labelled):
    """The answers to: what are InsightFace's models used for here?"""

    RESEARCH = "research", N_("research, not commercial")
    LICENSED = "licensed", N_("commercial, with a licence bought from InsightFace")
    COMMERCIAL = "commercial", N_("commercial, without a licence")


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


def check_licence(settings: Settings) -> Use:
    """What InsightFace's models may be used for; raises LicenceRefused without an answer that allows to open them."""
    if settings.insightface_use in (Use.RESEARCH.value, Use.LICENSED.value):
        return Use(settings.insightface_use)
    if settings.insightface_use == Use.COMMERCIAL.value:
        reason = _("they are for non-commercial research, and the answer here was: commercial work without a licence.")
        cure = _(
            "Buy a licence from InsightFace and answer again: swap --licence licensed. Portraits with the LoRA need none of them."
        )
        raise LicenceRefused(reason=reason, cure=cure)
    reason = _("they are for non-commercial research only, and nobody said yet what they are used for here.")
    cure = _("Answer once: --licence research, --licence licensed (one was bought), or --licence commercial (without one).")
    raise LicenceRefused(reason=reason, cure=cure)


def record_licence(home: Path, settings: Settings, use: str) -> Settings:
    """Keep the answer in the settings."""
    return settings if settings.insightface_use == use else change_settings(home, settings, [f"insightface_use={use}"])


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
