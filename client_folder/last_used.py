"""`metadata/last_used.json`: what the user last asked of each action on its form, to be filled in again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import ConfigDict, Field

from client_folder.client import Client
from utils import Record, read_record, write_record


class LastUsed(Record):
    """By action, and in it by field: a code or the user's own words. Consent, seeds and what overrules a warning are not kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    actions: dict[str, dict[str, str]] = {}


def read_last_used(client: Client, action: str) -> Mapping[str, str]:
    """What was last asked of an action, by field; nothing where it never was. Raises BrokenFile."""
    return _read(client).actions.get(action, {})


def keep_last_used(client: Client, action: str, answers: Mapping[str, str]) -> None:
    """Keep what is asked of an action now; raises BrokenFile where the record cannot be read, which is then left alone."""
    before = _read(client)
    after = LastUsed(actions={**before.actions, action: dict(answers)})
    if after != before:
        write_record(client.last_used_file, after)


def _read(client: Client) -> LastUsed:
    return read_record(client.last_used_file, LastUsed) if client.last_used_file.exists() else LastUsed()
