"""How a service looks that answers: its address, the link that opens it once, and its token."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from actions.serve import Serving
from locales.language import _
from terminal.screens import Views


def _serving(report: Serving) -> RenderableType:
    rows = (
        (_("Open it in a browser; this link works once:"), report.link),
        (_("For other programs, with the token as Authorization: Bearer:"), report.url),
        (_("Token:"), report.token),
        (_("Every address:"), report.docs),
    )
    lines = [line for label, value in rows for line in (Text(label, style="bold"), Text(value, overflow="fold"))]
    note = _("It answers as long as this stays open. Jobs that were begun go on without it.")
    return Group(*lines, Text(note, style="dim"))


VIEWS: Views = {Serving: _serving}
