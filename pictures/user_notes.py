"""`metadata/told.json`: what the user told of MidJourney's pictures, which no file of MidJourney's says.

Texts are kept by the job they speak of, or by the hash of a picture that names no job. What was typed here stands above what a list
beside the pictures says, so that importing that list once more takes nothing back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import ConfigDict, Field

from client_folder.client import Client
from utils import Record, read_record, write_record


class UserNotes(Record):
    """All that the user told; `master_prompt` is None until it was asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_: Literal[1] = Field(default=1, alias="schema")
    usernames: tuple[str, ...] = ()
    master_prompt: str | None = None
    typed: dict[str, str] = {}
    listed: dict[str, str] = {}
    discord: dict[str, str] = {}
    skipped: tuple[str, ...] = ()  # jobs whose prompt was asked for and not given

    def supplied(self, *keys: str | None) -> str:
        """The user's own text for the first of these keys that has one."""
        for texts in (self.typed, self.listed):
            for key in keys:
                if key and key in texts:
                    return texts[key]
        return ""

    def message(self, *keys: str | None) -> str:
        """The Discord message for the first of these keys that has one."""
        return next((self.discord[key] for key in keys if key and key in self.discord), "")

    def plus(
        self, *, usernames: Iterable[str] = (), master_prompt: str | None = None, typed: Mapping[str, str] | None = None,
        listed: Mapping[str, str] | None = None, discord: Mapping[str, str] | None = None, skipped: Iterable[str] = (),
    ) -> UserNotes:  # fmt: skip
        """The same, and this; an empty typed text takes an earlier one back."""
        kept = {key: text for key, text in {**self.typed, **(typed or {})}.items() if text}
        return UserNotes(
            usernames=tuple(sorted({*self.usernames, *(name.strip() for name in usernames if name.strip())})),
            master_prompt=self.master_prompt if master_prompt is None else " ".join(master_prompt.split()),
            typed=dict(sorted(kept.items())),
            listed=dict(sorted({**self.listed, **(listed or {})}.items())),
            discord=dict(sorted({**self.discord, **(discord or {})}.items())),
            skipped=tuple(sorted({*self.skipped, *skipped})),
        )


def read_user_notes(client: Client) -> UserNotes:
    """What the user told so far; raises BrokenFile."""
    return read_record(client.user_notes_file, UserNotes) if client.user_notes_file.exists() else UserNotes()


def write_user_notes(client: Client, user_notes: UserNotes) -> None:
    """Keep it, where it says anything new."""
    if user_notes != read_user_notes(client):
        write_record(client.user_notes_file, user_notes)
