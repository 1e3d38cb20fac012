"""Keys: who may use the service, and for what. A key's token is shown once; on disk lies its SHA-256, but for the first one's.

The first token is made at the first start and kept whole in a file that only its owner can read, so that it can be told again.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from datetime import UTC, date, datetime
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from client_folder.private import private_folder
from locales.language import N_
from utils import PipelineError, Record, locked, read_record, replacing, write_record

OWNER = "owner"  # the key of the first token
TOKEN_BYTES = 32
SESSION_SECONDS = 12 * 3600.0  # a browser that came in by a link stays in for so long after its last request
LINK_SECONDS = 600.0  # a link that opens the page once
MOST_SESSIONS = 500
MOST_KEYS = 100


class KeyUnknown(PipelineError):
    """Facts: name."""

    message = N_('There is no key "{name}".')
    hint = N_("Which there are: GET /keys")


class KeyTaken(PipelineError):
    """Facts: name."""

    message = N_('There is a key "{name}" already, or there are too many keys.')
    hint = N_("Choose another name, or take a key back with: DELETE /keys/NAME")


class FormStale(PipelineError):
    """Facts: none."""

    message = N_("That form is not of this page, or it is too old.")
    hint = N_("Open the page anew and do it again.")


class LinkSpent(PipelineError):
    """Facts: none."""

    message = N_("This link opens nothing any more.")
    hint = N_("Each link opens the page once, within ten minutes: take a new one from where the service was started.")


class Role(StrEnum):
    """What a key is for; each role may do all that stands before it."""

    GALLERY = "gallery"  # one client's gallery, to choose favourites
    LOOK = "look"
    WORK = "work"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """Higher may more."""
        return _Rank[self.name]


class _Rank(IntEnum):
    GALLERY = 0
    LOOK = 1
    WORK = 2
    ADMIN = 3


KeyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")]


class Key(Record):
    """One key; `client` bounds a gallery's, `until` is its last day."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: KeyName
    role: Role
    digest: str
    created: str
    client: str = ""
    until: date | None = None

    def is_over(self) -> bool:
        """Whether its last day has passed."""
        return self.until is not None and datetime.now(UTC).date() > self.until


class KeyFile(Record):
    """`service/keys.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    keys: tuple[Key, ...] = ()


def service_folder(home: Path) -> Path:
    """What the service keeps: keys, jobs, uploads."""
    return home / "service"


class Keyring:
    """All keys of a home, the links that open the page once, and the browsers that came in by one. Not for several processes."""

    def __init__(self, home: Path) -> None:
        """Make the first token where there is none. Raises BrokenFile."""
        folder = service_folder(home)
        private_folder(folder)
        self._file, self._token_file = folder / "keys.json", folder / "token"
        self.token = self._token_file.read_text(encoding="ascii").strip() if self._token_file.exists() else self.renew()
        self._keys = read_record(self._file, KeyFile).keys if self._file.exists() else ()
        self._links: dict[str, tuple[str, float]] = {}
        self._sessions: dict[str, tuple[str, float]] = {}

    def renew(self) -> str:
        """Another first token: the one before opens nothing any more."""
        self.token = secrets.token_urlsafe(TOKEN_BYTES)
        with replacing(self._token_file) as part:
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)  # private from its first byte on
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(self.token + "\n")
        return self.token

    def all_keys(self) -> tuple[Key, ...]:
        """Every key but the first."""
        return self._keys

    def add(self, name: str, role: Role, client: str = "", until: date | None = None) -> tuple[Key, str]:
        """Make a key; its token is told this once. Raises KeyTaken."""
        if name == OWNER or any(key.name == name for key in self._keys) or len(self._keys) >= MOST_KEYS:
            raise KeyTaken(name=name)
        token = secrets.token_urlsafe(TOKEN_BYTES)
        created = datetime.now(UTC).isoformat(timespec="seconds")
        key = Key(name=name, role=role, digest=_digest(token), created=created, client=client, until=until)
        self._write((*self._keys, key))
        return key, token

    def remove(self, name: str) -> None:
        """Take a key back, and close its sessions. Raises KeyUnknown."""
        left = tuple(key for key in self._keys if key.name != name)
        if len(left) == len(self._keys):
            raise KeyUnknown(name=name)
        self._write(left)
        self._sessions = {session: known for session, known in self._sessions.items() if known[0] != name}

    def _write(self, keys: tuple[Key, ...]) -> None:
        with locked(self._file):
            write_record(self._file, KeyFile(keys=keys))
        self._keys = keys

    def of_token(self, token: str) -> Key | None:
        """Whose token it is; None where it is nobody's, or its last day has passed."""
        digest = _digest(token)
        if secrets.compare_digest(digest, _digest(self.token)):
            return Key(name=OWNER, role=Role.ADMIN, digest=digest, created="")
        found = [key for key in self._keys if secrets.compare_digest(key.digest, digest)]
        return found[0] if found and not found[0].is_over() else None

    def _named(self, name: str) -> Key | None:
        if name == OWNER:
            return Key(name=OWNER, role=Role.ADMIN, digest="", created="")
        return next((key for key in self._keys if key.name == name and not key.is_over()), None)

    # --- links and browsers -----------------------------------------------------------------------------------------
    def new_link(self, name: str = OWNER) -> str:
        """A word that opens the page once, with the rights of a key."""
        now = time.monotonic()
        self._links = {word: known for word, known in self._links.items() if known[1] > now}
        word = secrets.token_urlsafe(TOKEN_BYTES)
        self._links[word] = name, now + LINK_SECONDS
        return word

    def enter(self, once: str = "", token: str = "") -> tuple[Key, str]:
        """The key and the cookie of a browser that comes by a link, or with a gallery's own token. Raises LinkSpent."""
        name, until = self._links.pop(once, ("", 0.0))
        key = self._named(name) if name and until > time.monotonic() else None
        if token and (known := self.of_token(token)) and known.role is Role.GALLERY:
            key = known
        if key is None:
            raise LinkSpent()
        while len(self._sessions) >= MOST_SESSIONS:  # the oldest goes
            del self._sessions[next(iter(self._sessions))]
        session = secrets.token_urlsafe(TOKEN_BYTES)
        self._sessions[session] = key.name, time.monotonic() + SESSION_SECONDS
        return key, session

    def of_session(self, session: str) -> Key | None:
        """Whose browser it is; each request keeps it open for longer."""
        name, until = self._sessions.get(session, ("", 0.0))
        key = self._named(name) if until > time.monotonic() else None
        if key is None:
            self._sessions.pop(session, None)
            return None
        self._sessions[session] = name, time.monotonic() + SESSION_SECONDS
        return key


def _digest(token: str) -> str:
    """Tokens are 256 random bits, so a plain hash is enough."""
    return hashlib.sha256(token.encode("utf-8", errors="replace")).hexdigest()


# --- forms ------------------------------------------------------------------------------------------------------------
def form_token(session: str) -> str:
    """What every form of a browser has to send along: only a page of ours can know it."""
    return hmac.new(session.encode(), b"form", hashlib.sha256).hexdigest()[:40]


def check_form_token(sent: str, session: str) -> None:
    """Raises FormStale for what is not that."""
    if not hmac.compare_digest(sent.encode(), form_token(session).encode()):
        raise FormStale()
