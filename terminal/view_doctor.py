"""How an examination looks: of this machine, or of a client's dataset."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from dataset.doctor import Examination
from locales.language import _
from terminal import view_dataset
from terminal.screens import Views, table
from training.machine_doctor import Check, MachineReport


def _machine(report: MachineReport) -> RenderableType:
    wrong = [check for check in report.checks if not check.well and check.command]
    commands = [Text(line) for check in wrong for line in (_(check.cure), f"    {check.command}")]
    return Group(checks_table("", report.checks, told=False), *commands)


def checks_table(title: str, checks: tuple[Check, ...], told: bool = True) -> RenderableType:
    """Checks, a row each, what to do beside what is not well; `told`: the command too."""
    rows = table(title)
    for check in checks:
        cure = "" if check.well or not (told or not check.command) else f"{_(check.cure)} {check.command}".rstrip()
        rows.add_row("✓" if check.well else "!", _(check.label), check.found, cure)
    return rows


VIEWS: Views = {MachineReport: _machine, Examination: view_dataset.VIEWS[Examination]}
