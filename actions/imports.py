"""The import's actions: what they ask for, what they answer, and the form of the prompts."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator

import data_preprocessor
from actions.action import Action, Answer, Form, FormRow, Stage, always, at_once
from actions.request import Ask, ClientRequest, Job, Menu, UserPath
from client_folder.client import Client
from client_folder.reasons import Reason
from data_preprocessor import ImportReport
from locales.language import N_
from pictures import prompts
from pictures.import_plan import ImportPlan, plan_import
from pictures.import_run import Duplicate, Note
from pictures.prompts import JobPrompt, Prompts
from utils import PipelineError

LABEL_CHARS = 28  # of what names a job in front of its prompt, so that both stand in a line of 80
USERNAME, MASTER = "<username>", "<master>"  # rows of the form that are no job
_FORM_ABOUT = N_(
    "Why this is asked: captions are made of the prompts, and MidJourney cuts them off in file names. What you know makes better "
    "captions; what you do not know may stay as it is."
)
_USERNAME_ROW = N_("user name at the front of the file names")
_USERNAME_ABOUT = N_("Taken off the prompts, so that it is in no caption. Several with commas between them; empty: there is none.")
_MASTER_ABOUT = N_("The words that most prompts share; what a prompt has beside them tells pictures apart. Empty: there is none.")

_PICTURES_HELP = N_("Folder of the pictures, or one picture:")
_MOVE_HELP = N_("take the pictures out of that folder once their copies are verified")
_MASTER_HELP = N_("what all prompts of the client have in common")
_SET_HELP = N_("prompt of a job, which is named by its id or a picture; may be given several times")
_LIST_HELP = N_("CSV or JSON file of prompts, by file or job")
_USERNAME_HELP = N_("your MidJourney user name, so that it is not taken for the prompt")
_SPLIT_HELP = N_("make four pictures of each grid of four")


class NothingImported(PipelineError):
    """Facts: refused."""

    message = N_("None of the {refused} pictures could be imported.")
    hint = N_("The reason of each is listed; JPEG, PNG, WebP, TIFF, HEIC, AVIF and camera RAW can be read.")


# --- what is asked ----------------------------------------------------------------------------------------------------
class ImportMJRequest(ClientRequest):
    """Which MidJourney pictures to import, and what is known of them."""

    pictures: Annotated[tuple[UserPath, ...], Ask(_PICTURES_HELP, menu=Menu.PATH)]
    username: Annotated[tuple[str, ...], Ask(_USERNAME_HELP, "--username", "NAME")] = ()
    master: Annotated[str | None, Ask(_MASTER_HELP, "--master", "TEXT")] = None
    split_grids: Annotated[bool, Ask(_SPLIT_HELP, "--split-grids")] = False
    move: Annotated[bool, Ask(_MOVE_HELP, "--move")] = False


class ImportPhotosRequest(ClientRequest):
    """Which photos to import."""

    pictures: Annotated[tuple[UserPath, ...], Ask(_PICTURES_HELP, menu=Menu.PATH)]
    move: Annotated[bool, Ask(_MOVE_HELP, "--move")] = False


def _pairs(texts: tuple[str, ...]) -> tuple[str, ...]:
    """JOB=TEXT each, as they are; raises ValueError where one is no pair."""
    for text in texts:
        if "=" not in text:
            raise ValueError(text)
    return texts


class PromptsRequest(ClientRequest):
    """What is told of prompts that the files do not tell; nothing: they are only shown."""

    username: Annotated[tuple[str, ...], Ask(_USERNAME_HELP, "--username", "NAME")] = ()
    master: Annotated[str | None, Ask(_MASTER_HELP, "--master", "TEXT")] = None
    texts: Annotated[tuple[str, ...], AfterValidator(_pairs), Ask(_SET_HELP, "--set", "JOB=TEXT")] = ()
    lists: Annotated[tuple[UserPath, ...], Ask(_LIST_HELP, "--list", "FILE")] = ()
    skipped: tuple[str, ...] = ()  # jobs whose prompt the user does not know, and need not be asked for again


# --- what is done -----------------------------------------------------------------------------------------------------
def import_mj(job: Job[ImportMJRequest]) -> Stage:
    """`import-mj`."""
    request = job.request
    return data_preprocessor.import_midjourney(
        job.who, request.pictures, usernames=request.username, master_prompt=request.master,
        split_grids=request.split_grids, move=request.move,
    )  # fmt: skip


def import_photos(job: Job[ImportPhotosRequest]) -> Stage:
    """`import-photos`."""
    return data_preprocessor.import_photos(job.who, job.request.pictures, move=job.request.move)


def plan(job: Job[Any]) -> ImportPlan:
    """What either of them would look at."""
    return plan_import(job.request.pictures, move=job.request.move)


def nothing_imported(report: ImportReport) -> PipelineError | None:
    """The complaint about an import that brought nothing, not even what was here already."""
    return None if report.added or report.duplicates else NothingImported(refused=len(report.refused))


def tell_prompts(job: Job[PromptsRequest]) -> Prompts:
    """`prompts`: keep what is told, and show what is known then."""
    request = job.request
    texts = dict(text.split("=", 1) for text in request.texts)
    return prompts.tell(
        job.who, usernames=request.username, master=request.master, texts=texts, lists=request.lists, skipped=request.skipped
    )  # fmt: skip


def prompts_form(client: Client) -> Form:
    """All that MidJourney's files did not tell, on one screen: the user name, the master prompt, each unknown prompt."""
    files = prompts.read_prompts(client)
    found = prompts.read_prompts(client, files.proposed) if files.proposed else files
    names = (
        [FormRow(USERNAME, _USERNAME_ROW, ", ".join(files.proposed), help=_USERNAME_ABOUT)]
        if files.candidates or files.proposed
        else []
    )
    offered = found.offered if found.master_prompt is None else found.master_prompt
    rows = [*names, FormRow(MASTER, N_("master prompt"), offered, help=_MASTER_ABOUT), *_job_rows(found)]

    def request(answers: dict[str, str]) -> PromptsRequest:
        before = {row.key: row.value for row in rows}
        changed = (f"{key}={answers[key]}" for key in before if key[0] != "<" and answers.get(key, before[key]) != before[key])
        usernames = tuple(name.strip() for name in answers.get(USERNAME, "").split(",") if name.strip())
        return PromptsRequest(
            client=client.id, username=usernames, texts=tuple(changed), master=answers.get(MASTER, found.master_prompt or ""),
            skipped=tuple(job.key for job in found.unknown),
        )  # fmt: skip

    return Form(
        N_("What the files do not tell:"), tuple(rows), request, about=_FORM_ABOUT, skip=N_("Skip all of it, and do not ask again")
    )


def _job_rows(found: Prompts) -> list[FormRow]:
    """A row a job whose prompt is not known in full, named by the words that the others do not have, else by its first picture."""
    shared = {word.casefold() for word in found.offered.split()}
    rows: list[FormRow] = []
    for job in found.unknown:
        own = " ".join(word for word in (job.prompt or "").split() if word.casefold() not in shared) or job.files[0]
        label = own if len(own) <= LABEL_CHARS else f"{own[:LABEL_CHARS]}..."
        label = f"{label} ({len(job.files)})"
        if any(row.label == label for row in rows):
            label = f"{label} {job.key[:6]}"
        rows.append(FormRow(job.key, label, job.prompt or "", help=job.files[0]))
    return rows


def _what_is_open(job: Job[ImportMJRequest], _report: ImportReport) -> list[str]:
    """What the menu goes on with after an import: only what has something to do."""
    grids = ["grids"] if data_preprocessor.plan_grids(job.who).grids else []
    return [*grids, "prompts"] if prompts.read_prompts(job.who).open else grids


# --- what is answered -------------------------------------------------------------------------------------------------
class ImportPlanAnswer(Answer):
    """What an import would look at: `bytes` and `raw` (camera files) are of the pictures."""

    pictures: int
    bytes: int
    raw: int

    @classmethod
    def of(cls, plan: ImportPlan) -> ImportPlanAnswer:
        """The plan, its pictures counted."""
        return cls(pictures=len(plan.pictures), bytes=plan.bytes, raw=plan.raw)


class RefusedFileAnswer(Answer):
    """A file that was not imported, and why."""

    file: str
    reason: Reason


class ImportAnswer(Answer):
    """What became of every picture: each is in exactly one of the first three."""

    added: tuple[str, ...]
    duplicates: tuple[Duplicate, ...]
    refused: tuple[RefusedFileAnswer, ...]
    notes: tuple[Note, ...]
    grids: tuple[str, ...]
    told: int
    moved: int


class GridPlanAnswer(Answer):
    """The grids that would be split, relative to the client's folder."""

    grids: tuple[str, ...]


class PromptsAnswer(Answer):
    """All prompts of a client; `unknown` are the jobs whose prompt nobody knows in full."""

    master_prompt: str | None
    offered: str
    usernames: tuple[str, ...]
    username_candidates: tuple[str, ...]
    unknown: tuple[str, ...]
    jobs: tuple[JobPrompt, ...]

    @classmethod
    def of(cls, found: Prompts) -> PromptsAnswer:
        """What is known, the unknown jobs by their keys."""
        return cls(
            master_prompt=found.master_prompt, offered=found.offered, usernames=found.usernames,
            username_candidates=found.candidates, unknown=tuple(job.key for job in found.unknown), jobs=found.jobs,
        )  # fmt: skip


# --- the actions ------------------------------------------------------------------------------------------------------
IMPORT_MJ = Action(
    "import-mj", ImportMJRequest, import_mj, ImportAnswer.of,
    plan=plan, plan_answer=ImportPlanAnswer.of, verdict=nothing_imported, lasts=always, then=_what_is_open,
)  # fmt: skip
IMPORT_PHOTOS = Action(
    "import-photos", ImportPhotosRequest, import_photos, ImportAnswer.of,
    plan=plan, plan_answer=ImportPlanAnswer.of, verdict=nothing_imported, lasts=always,
)  # fmt: skip
GRIDS = Action(
    "grids", ClientRequest, lambda job: data_preprocessor.split_grids(job.who), ImportAnswer.of,
    plan=lambda job: data_preprocessor.plan_grids(job.who), plan_answer=GridPlanAnswer.of, lasts=always,
)  # fmt: skip
PROMPTS = Action("prompts", PromptsRequest, at_once(tell_prompts), PromptsAnswer.of, form=lambda job: prompts_form(job.who))

ACTIONS = (IMPORT_MJ, IMPORT_PHOTOS, GRIDS, PROMPTS)
