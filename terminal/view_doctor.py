"""How an examination looks: of this machine, after set-up too, or of a client's dataset."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from dataset.doctor import Examination
from locales.language import _
from terminal import view_dataset
from terminal.screens import Views, table
from training.installation import Installation
from training.machine_doctor import Check, MachineReport


def _installation(report: Installation) -> RenderableType:
    made = [Text(_("Made: {path}").format(path=path)) for path in report.made]
    return Group(*made, _checks(str(report.home), report.checks))


def _machine(report: MachineReport) -> RenderableType:
    wrong = [check for check in report.checks if not check.well and check.command]
    commands = [Text(f"{_(check.cure)}\n    {check.command}") for check in wrong]
    return Group(_checks("", report.checks, told=False), *commands)


def _checks(title: str, checks: tuple[Check, ...], told: bool = True) -> RenderableType:
    rows = table(title)
    for check in checks:
        cure = "" if check.well or not (told or not check.command) else f"{_(check.cure)} {check.command}".rstrip()
        rows.add_row("✓" if check.well else "!", _(check.label), check.found, cure)
    return rows


VIEWS: Views = {Installation: _installation, MachineReport: _machine, Examination: view_dataset.VIEWS[Examination]}
