"""How a client looks that is packed for Google Colab: where the folder lies, and what to do with it."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from actions.colab import ColabFolder
from client_folder.export import MB
from locales.language import _
from terminal.screens import Indented, Views


def _colab_folder(report: ColabFolder) -> RenderableType:
    facts = {"folder": report.folder.name, "notebook": report.notebook.name, "client": report.client}
    steps = (
        _("Upload the folder {folder} as it is to the top of your Google Drive: drive.google.com"),
        _("Open {notebook} in it with Google Colaboratory; Runtime > Change runtime type > T4 GPU; then Runtime > Run all."),
        _(
            "When it is done, download {client}_trained.zip from that folder and take it in: "
            "client import {client}_trained.zip --update"
        ),
    )
    lines = [Indented(step.format(**facts), begins=f"{number}. ") for number, step in enumerate(steps, 1)]
    size = _("{client} is packed for Google Colab, {size:.1f} MB:").format(client=report.client, size=report.bytes / MB)
    note = _(
        "The person's pictures go to Google with it. The free card may be taken away at any time: run it again, and it goes on."
    )
    return Group(Text(size, style="bold"), Text(str(report.folder)), *lines, Text(note, style="yellow"))


VIEWS: Views = {ColabFolder: _colab_folder}
