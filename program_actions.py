"""The actions of the program itself: the demo, clients as a whole, the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import clients
from action_table import Action, Answer, Ask, Job, Option, Stage, at_once
from client import CLASS_WORDS
from config import Settings, change_settings
from language import N_

if TYPE_CHECKING:
    from demo import DemoReport


# --- clients ----------------------------------------------------------------------------------------------------------
def _client(job: Job) -> clients.ClientList | clients.ClientView | clients.ClientErased:
    options = job.options
    name = options.name or options.client or ""
    return clients.manage(job.home, job.settings, options.verb, name, options.class_word)


# --- the program ------------------------------------------------------------------------------------------------------
def _demo(job: Job) -> Stage:
    import demo  # here, not above: it brings every stage with it, and clients and settings need none

    return demo.walk_demo(job.home, job.settings)


def _demo_answer(report: DemoReport) -> Answer:
    likeness = report.likeness
    return {
        "steps": [{"name": step.name, "seconds": round(step.seconds, 2)} for step in report.steps],
        "contact_sheet": str(report.contact_sheet),
        "likeness": {
            "base": likeness.base, "lora": likeness.lora, "crops": likeness.crops,
            "closed": likeness.closed, "others_moved": likeness.others_moved,
        },
    }  # fmt: skip


def _settings(job: Job) -> Settings:
    return change_settings(job.home, job.settings, job.options.changes) if job.options.changes else job.settings


def _settings_answer(settings: Settings) -> Answer:
    return settings.model_dump(mode="json", by_alias=True)


_VERB_HELP = N_("What to do with the client:")
_SETTINGS_HELP = N_("NAME=VALUE, such as language=es (empty: only show):")

DEMO = Action("demo", _demo, _demo_answer, needs_client=False, whole_gpu=True)
CLIENT = Action(
    "client", at_once(_client), clients.answer, needs_client=False, changes=False,
    grave=lambda job: job.options.verb == "erase",
    options=(
        Option("verb", _VERB_HELP, Ask.CHOICE, "show", choices=clients.VERBS, offered=("show", "erase"), nargs="?"),
        Option("name", N_("name of the client"), nargs="?"),
        Option("--client", N_("name of the client"), metavar="ID"),
        Option("--class-word", N_("what the client is, for captions: person, woman, man"), default=CLASS_WORDS[0]),
    ),
)  # fmt: skip
SETTINGS = Action(
    "settings", at_once(_settings), _settings_answer, needs_client=False, changes=False,
    options=(Option("changes", _SETTINGS_HELP, Ask.TEXT, nargs="*", metavar="NAME=VALUE"),),
)  # fmt: skip

ACTIONS = (DEMO, CLIENT, SETTINGS)
