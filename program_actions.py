"""The actions of the program itself: the demo, clients as a whole, the settings."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

import clients
from action_table import Action, Answer, Ask, Job, Option, Retry, Stage, at_once
from client import CLASS_WORDS
from config import Settings, change_settings
from language import N_, _
from utils import FileThere, PipelineError

if TYPE_CHECKING:
    from demo import DemoReport


_CLIENT_LABELS = {
    "show": N_("show it"),
    "export": N_("export it: everything known of it in one .zip"),
    "erase": N_("erase it, with everything made for it"),
}


# --- clients ----------------------------------------------------------------------------------------------------------
def _client(job: Job) -> Stage:
    return clients.manage(job.home, job.settings, job.options)


def _client_verbs(_job: Job) -> list[tuple[str, str]]:
    """What the menu offers; the file is offered before the end."""
    return [(verb, _(label)) for verb, label in _CLIENT_LABELS.items()]


def _exports_client(job: Job) -> bool:
    return clients.exports(job.options)


def _write_over(options: Namespace, error: PipelineError) -> Retry | None:
    """After a refusal to write over a file: all the same."""
    return Retry(_(_OVER), Namespace(**{**vars(options), "overwrite": True})) if isinstance(error, FileThere) else None


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
_TO_HELP = N_("Where to: a folder or FILE.zip (empty: the folder exports beside clients):")
_OVERWRITE_HELP = N_("write over the file that export is told to write")
_OVER = N_("Write over it?")
_SETTINGS_HELP = N_("NAME=VALUE, such as language=es (empty: only show):")

DEMO = Action("demo", _demo, _demo_answer, needs_client=False, whole_gpu=True)
CLIENT = Action(
    "client", _client, clients.answer, needs_client=False, changes=False,
    grave=lambda job: job.options.verb == "erase", retry=_write_over,
    options=(
        Option("verb", _VERB_HELP, Ask.CHOICE, "show", choices=clients.VERBS, offer=_client_verbs, nargs="?"),
        Option("name", N_("name of the client"), nargs="?"),
        Option("--client", N_("name of the client"), metavar="ID"),
        Option("--class-word", N_("what the client is, for captions: person, woman, man"), default=CLASS_WORDS[0]),
        Option(
            "--export-first", N_("Export everything known of the client before it is erased?"), Ask.CHOICE, False, switch=True,
            when=lambda job: job.options.verb == "erase",
        ),
        Option("--to", _TO_HELP, Ask.PATH, read=Path, metavar="PLACE", when=_exports_client),
        Option("--overwrite", _OVERWRITE_HELP, default=False, switch=True),
    ),
)  # fmt: skip
SETTINGS = Action(
    "settings", at_once(_settings), _settings_answer, needs_client=False, changes=False,
    options=(Option("changes", _SETTINGS_HELP, Ask.TEXT, nargs="*", metavar="NAME=VALUE"),),
)  # fmt: skip

ACTIONS = (DEMO, CLIENT, SETTINGS)
