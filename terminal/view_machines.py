"""How a pool of machines looks: who has joined, what each works at, and how another one joins."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from actions.machines import MachineList, state_of
from locales.language import N_, _
from machines.joined import JoinedReport
from machines.scheduler import JOINING, SERVING, Served
from terminal.screens import Views, table

STATES = {"free": N_("free"), "busy": N_("working"), "leaving": N_("leaving")}
NO_CARD = N_("none, the processor (CPU)")
NOBODY = N_("No machine has joined yet.")


def _machines(report: MachineList) -> RenderableType:
    place = report.address.removeprefix("tls://")
    how = Text(f"{_(SERVING)}\n{_(JOINING).format(address=place, key=report.key)}", style="dim")
    if not report.machines:
        return Group(Text(_(NOBODY)), how)
    rows = table("", _("machine"), _("cards"), "", _("job"))
    for one in report.machines:
        cards = ", ".join(f"{card.name} ({card.total_gb:g} GB)" for card in one.facts.gpus) or _(NO_CARD)
        rows.add_row(one.name, cards, _(STATES[state_of(one)]), one.job)
    return Group(rows, how)


def _served(report: Served) -> RenderableType:
    return Text(_("The scheduler at {address} has ended.").format(address=report.address))


def _joined(report: JoinedReport) -> RenderableType:
    return Text(_("{name} has left the pool at {address}.").format(name=report.name, address=report.address))


VIEWS: Views = {MachineList: _machines, Served: _served, JoinedReport: _joined}
