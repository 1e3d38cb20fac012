"""Every action of the program: the table that the menu and the command line are both drawn from, so that neither can do what the
other cannot. The rows of the larger rooms stand in modules of their own.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import clients
import demo
import doctor_action
import face_actions
import import_actions
import studio_actions
import training_actions
import words
from action_table import Action, Answer, Ask, Job, Option, Retry, Stage, at_once
from client import CLASS_WORDS
from config import Settings, change_settings
from language import N_, _
from utils import FileThere, PipelineError


# --- clients ----------------------------------------------------------------------------------------------------------
def _client(job: Job) -> Stage:
    return clients.manage(job.home, job.settings, job.options)


def _client_verbs(_job: Job) -> list[tuple[str, str]]:
    """What the menu offers; the file is offered before the end."""
    return [(verb, words.choice(f"client {verb}")) for verb in ("show", "export", "erase")]


def _exports_client(job: Job) -> bool:
    return clients.exports(job.options)


def _write_over(options: Namespace, error: PipelineError) -> Retry | None:
    """After a refusal to write over a file: all the same."""
    return Retry(_(_OVER), Namespace(**{**vars(options), "overwrite": True})) if isinstance(error, FileThere) else None


# --- the program ------------------------------------------------------------------------------------------------------
def _demo(job: Job) -> Stage:
    return demo.walk_demo(job.home, job.settings)


def _demo_answer(report: demo.DemoReport) -> Answer:
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

ACTIONS = (
    Action(
        "demo", N_("See the whole path with the sample client"), _demo, _demo_answer, needs_client=False, tool=True, whole_gpu=True,
    ),
    training_actions.SETUP,
    Action(
        "client", N_("Create, show, export or erase a client"), _client, clients.answer, needs_client=False, changes=False,
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
    ),
    import_actions.IMPORT_MJ,
    import_actions.IMPORT_PHOTOS,
    face_actions.PROCESS,
    face_actions.DATASET,
    training_actions.TRAIN,
    studio_actions.GENERATE,
    face_actions.REJECTED,
    face_actions.ACCEPT,
    face_actions.WHO,
    face_actions.LIMITS,
    face_actions.CAPTIONS,
    face_actions.QUARANTINE,
    training_actions.CHECKPOINTS,
    training_actions.TENSORBOARD,
    studio_actions.SWAP,
    studio_actions.TRANSCRIBE,
    import_actions.GRIDS,
    import_actions.PROMPTS,
    studio_actions.GPU,
    Action(
        "settings", N_("Show or change the settings"), at_once(_settings), _settings_answer, needs_client=False, changes=False,
        tool=True,
        options=(Option("changes", _SETTINGS_HELP, Ask.TEXT, nargs="*", metavar="NAME=VALUE"),),
    ),
    doctor_action.DOCTOR,
    training_actions.QUEUE,
    studio_actions.MODELS,
)  # fmt: skip
