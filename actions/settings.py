"""The action that shows and changes the settings."""

from __future__ import annotations

from typing import Annotated

from actions.action import Action, Form, at_once
from actions.request import Ask, Job, Request
from config import Settings, change_settings
from locales.language import N_


class SettingsRequest(Request):
    """Which settings are to be changed; none: they are only shown."""

    changes: Annotated[
        tuple[str, ...], Ask(N_("NAME=VALUE, such as language=es; without one they are shown"), metavar="NAME=VALUE")
    ] = ()


def change(job: Job[SettingsRequest]) -> Settings:
    """Change what is asked for; raises SettingRefused."""
    return change_settings(job.home, job.request.changes) if job.request.changes else job.settings


def answer(settings: Settings) -> Settings:
    """The settings are what is answered, as they stand in their file."""
    return settings


def _form(job: Job[SettingsRequest]) -> Form:
    """Every setting on one screen."""
    from actions.settings_form import settings_form  # here, not above: who names a setting need not wait for what limits bring

    return settings_form(job.settings, SettingsRequest)


SETTINGS = Action(
    "settings", SettingsRequest, at_once(change), answer, changes=False,
    form=_form,
)  # fmt: skip
ACTIONS = (SETTINGS,)
