"""How the settings look."""

from __future__ import annotations

from rich.console import RenderableType

from config import Settings
from locales.language import _
from terminal.screens import Views, table


def _settings(settings: Settings) -> RenderableType:
    rows = table(_("Settings"))
    for name, value in settings.model_dump(by_alias=True).items():
        if isinstance(value, dict):
            for key, part in value.items():
                rows.add_row(f"{name}.{key}", str(part))
        else:
            rows.add_row(name, str(value))
    return rows


VIEWS: Views = {Settings: _settings}
