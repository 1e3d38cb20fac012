"""The import's actions: their options -> the stages, their reports -> JSON, and the form of the prompts."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace
from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import data_preprocessor
import prompts
from action_table import Action, Ask, Job, Option, at_once
from client import Client
from data_preprocessor import ImportReport
from forms import Form, FormRow
from import_plan import ImportPlan, plan_import
from language import N_
from prompts import JobPrompt, Prompts
from utils import Event, NothingImported, PipelineError

LABEL_CHARS = 28  # of a file name in front of a prompt, so that both stand in a line of 80


def import_mj(client: Client, options: Namespace) -> Generator[Event, None, ImportReport]:
    """`import-mj` with the options of the command line or the menu."""
    return data_preprocessor.import_midjourney(
        client, options.pictures, usernames=tuple(options.username or ()), master_prompt=options.master,
        split_grids=options.split_grids, move=options.move,
    )  # fmt: skip


def import_photos(client: Client, options: Namespace) -> Generator[Event, None, ImportReport]:
    """`import-photos`."""
    return data_preprocessor.import_photos(client, options.pictures, move=options.move)


def plan(options: Namespace) -> ImportPlan:
    """What either of them would look at."""
    return plan_import(options.pictures, move=options.move)


def plan_answer(found: ImportPlan) -> dict[str, Any]:
    """The plan as JSON."""
    return {"pictures": len(found.pictures), "bytes": found.bytes, "raw": found.raw}


def import_answer(report: ImportReport) -> dict[str, Any]:
    """The report of an import as JSON."""
    return {
        "added": list(report.added),
        "duplicates": [asdict(duplicate) for duplicate in report.duplicates],
        "refused": [{"file": refused.file, "reason": refused.reason.value} for refused in report.refused],
        "notes": [asdict(note) for note in report.notes],
        "grids": list(report.grids),
        "told": report.told,
        "moved": report.moved,
    }


def nothing_imported(report: ImportReport) -> PipelineError | None:
    """The complaint about an import that brought nothing, not even what was here already."""
    return None if report.added or report.duplicates else NothingImported(refused=len(report.refused))


def tell_prompts(client: Client, options: Namespace) -> Prompts:
    """`prompts`: keep what the options tell, and show what is known then."""
    texts = dict(text.split("=", 1) for text in options.set or ())
    return prompts.tell(
        client, usernames=options.username or (), master=options.master, texts=texts, lists=options.list or (),
        skipped=getattr(options, "skipped", ()),
    )  # fmt: skip


def prompts_answer(found: Prompts) -> dict[str, Any]:
    """The prompts as JSON."""
    return {
        "master_prompt": found.master_prompt, "offered": found.offered, "usernames": list(found.usernames),
        "username_candidates": list(found.candidates), "unknown": [job.key for job in found.unknown],
        "jobs": [asdict(job) for job in found.jobs],
    }  # fmt: skip


def prompts_form(client: Client) -> Form:
    """All that MidJourney's files did not tell, on one screen: the user name, the master prompt, each unknown prompt."""
    found = prompts.read_prompts(client)
    names = [FormRow("<username>", N_("user name at the front of the file names"))] if found.candidates else []
    offered = found.offered if found.master_prompt is None else found.master_prompt
    rows = [*names, FormRow("<master>", N_("master prompt"), offered)]
    rows += [FormRow(job.key, _label(job), job.prompt or "") for job in found.unknown]

    def options(answers: dict[str, str]) -> dict[str, Any]:
        before = {row.key: row.value for row in rows}
        changed = [f"{key}={answers[key]}" for key in before if key[0] != "<" and answers.get(key, before[key]) != before[key]]
        return {
            "username": [answers["<username>"]] if answers.get("<username>") else [], "set": changed,
            "master": answers.get("<master>", found.master_prompt or ""), "skipped": [job.key for job in found.unknown],
        }  # fmt: skip

    return Form(N_("What the files do not tell:"), tuple(rows), options)


def _label(job: JobPrompt) -> str:
    """A job by its first picture and by how many it has."""
    name = job.files[0]
    return f"{name if len(name) <= LABEL_CHARS else f'{name[:LABEL_CHARS]}...'} ({len(job.files)})"


def job_and_text(text: str) -> str:
    """JOB=TEXT, as it is; raises ArgumentTypeError where it is no pair."""
    if not text.partition("=")[1]:
        raise ArgumentTypeError(text)
    return text


def _what_is_open(job: Job, _report: ImportReport) -> list[str]:
    """What the menu goes on with after an import: only what has something to do."""
    grids = ["grids"] if data_preprocessor.plan_grids(job.who).grids else []
    return [*grids, "prompts"] if prompts.read_prompts(job.who).open else grids


# --- the actions ------------------------------------------------------------------------------------------------------
_PICTURES = Option(
    "pictures", N_("Folder of the pictures, or one picture:"), Ask.PATH, read=lambda text: Path(text).expanduser(), nargs="+"
)
_MOVE = Option("--move", N_("take the pictures out of that folder once their copies are verified"), default=False, switch=True)
_MASTER_HELP = N_("what all prompts of the client have in common")
_SET_HELP = N_("prompt of a job, which is named by its id or a picture; may be given several times")
_LIST_HELP = N_("CSV or JSON file of prompts, by file or job")
_USERNAME_HELP = N_("your MidJourney user name, so that it is not taken for the prompt")

IMPORT_MJ = Action(
    "import-mj", lambda job: import_mj(job.who, job.options), import_answer,
    plan=lambda job: plan(job.options), plan_answer=plan_answer,
    verdict=nothing_imported,
    then=_what_is_open,
    options=(
        _PICTURES,
        Option("--username", _USERNAME_HELP, repeatable=True, metavar="NAME"),
        Option("--master", _MASTER_HELP, metavar="TEXT"),
        Option("--split-grids", N_("make four pictures of each grid of four"), default=False, switch=True),
        _MOVE,
    ),
)  # fmt: skip
IMPORT_PHOTOS = Action(
    "import-photos", lambda job: import_photos(job.who, job.options), import_answer,
    plan=lambda job: plan(job.options), plan_answer=plan_answer,
    verdict=nothing_imported, options=(_PICTURES, _MOVE),
)  # fmt: skip
GRIDS = Action(
    "grids", lambda job: data_preprocessor.split_grids(job.who), import_answer,
    plan=lambda job: data_preprocessor.plan_grids(job.who),
)  # fmt: skip
PROMPTS = Action(
    "prompts",
    at_once(lambda job: tell_prompts(job.who, job.options)),
    prompts_answer, form=lambda job: prompts_form(job.who),
    options=(
        Option("--username", _USERNAME_HELP, repeatable=True, metavar="NAME"),
        Option("--master", _MASTER_HELP, metavar="TEXT"),
        Option("--set", _SET_HELP, read=job_and_text, repeatable=True, metavar="JOB=TEXT"),
        Option("--list", _LIST_HELP, read=lambda text: Path(text).expanduser(), repeatable=True, metavar="FILE"),
    ),
)  # fmt: skip

ACTIONS = (IMPORT_MJ, IMPORT_PHOTOS, GRIDS, PROMPTS)
