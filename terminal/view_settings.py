"""How the settings look."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType

from config import Settings, setting_names
from locales.language import _
from terminal.screens import Views, table


def _settings(settings: Settings) -> RenderableType:
    """Every setting by the name that `settings NAME=VALUE` takes, its value, and what it is called on the form."""
    rows = table(_("Settings"))
    for name in setting_names(settings):
        value, kind = _value(settings, name)
        rows.add_row(name, value, _(kind))
    return rows


def _value(settings: Settings, name: str) -> tuple[str, str]:
    """A setting's value as it is typed, and its title."""
    part: Any = settings
    *sections, last = ("schema_" if name == "schema" else name).split(".")
    for section in sections:
        part = getattr(part, section)
    value = getattr(part, last)
    return ",".join(value) if isinstance(value, tuple) else str(value), type(part).model_fields[last].title or ""


VIEWS: Views = {Settings: _settings}
