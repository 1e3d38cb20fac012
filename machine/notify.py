"""Telling that a long job ended: a notification of the desktop, and a POST to an address that the settings name.

Neither ever fails a job: what cannot be told is logged, without the address, which may be a secret in itself. Of the client nothing
is told but the id.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import sys
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message
from typing import IO

from config import Settings
from locales.language import N_, Labelled, _
from utils import log

_DESKTOP_SECONDS = 5.0  # for the desktop's own service, which may be there without an answer
_POST_SECONDS = 10.0
TITLE = "Avatar Pipeline"
NOT_SENT = N_("notify_url: the message could not be sent (%s)")
MESSAGE = N_("{job}: {outcome} after {minutes:.0f} min")


class JobEnd(Labelled):
    """How a job ended."""

    DONE = "done", N_("finished")
    FAILED = "failed", N_("failed")


@dataclass(frozen=True, slots=True)
class JobNote:
    """What is told of a job: the action and the client's id, how it ended, and the seconds it took."""

    action: str
    client: str
    end: JobEnd
    seconds: float

    def text(self) -> str:
        """One line in the user's language."""
        job = f"{self.action} {self.client}".strip()
        return _(MESSAGE).format(job=job, outcome=self.end.label, minutes=self.seconds / 60)


def notify(settings: Settings, note: JobNote) -> None:
    """Tell it wherever the settings want it told; takes some seconds at most, and never raises."""
    if settings.notify_desktop and _has_desktop():
        # In a thread: the service may never answer, and then nobody must wait for it.
        teller = threading.Thread(target=_tell_desktop, args=(note,), daemon=True)
        teller.start()
        teller.join(_DESKTOP_SECONDS)
    if settings.notify_url:
        try:
            _post(settings.notify_url, note)
        except (OSError, ValueError, http.client.HTTPException) as error:
            log.warning(_(NOT_SENT), type(error).__name__)


def _has_desktop() -> bool:
    """Whether somebody sits before a desktop; without its bus there is nobody to tell on Linux."""
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DBUS_SESSION_BUS_ADDRESS"))


def _tell_desktop(note: JobNote) -> None:
    logging.getLogger("desktop_notifier").setLevel(logging.CRITICAL)  # it logs what it cannot do with a traceback
    try:
        from desktop_notifier import DesktopNotifierSync

        DesktopNotifierSync(app_name=TITLE).send(TITLE, note.text())
    except Exception as error:  # noqa: BLE001 - each desktop has failures of its own, and none of them matters
        log.info("the desktop could not be told: %s", type(error).__name__)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """What was meant for one address is not carried to another."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:  # fmt: skip
        """Never."""
        return None


def request_of(url: str, note: JobNote) -> urllib.request.Request:
    """The POST: plain text for ntfy, which shows a body as it is; else JSON, of which Slack and its kin read `text`."""
    request = urllib.request.Request(url, method="POST")
    if (request.host or "").startswith("ntfy."):
        request.data = note.text().encode()
        request.add_header("Title", TITLE)
        request.add_header("Content-Type", "text/plain; charset=utf-8")
    else:
        facts = {
            "text": f"{TITLE}: {note.text()}", "action": note.action, "client": note.client, "outcome": note.end.value,
            "seconds": round(note.seconds),
        }  # fmt: skip
        request.data = json.dumps(facts, ensure_ascii=False).encode()
        request.add_header("Content-Type", "application/json")
    request.add_header("User-Agent", "avatar-pipeline")
    return request


def _post(url: str, note: JobNote) -> None:
    with urllib.request.build_opener(_NoRedirect).open(request_of(url, note), timeout=_POST_SECONDS) as answer:
        answer.read(1)
