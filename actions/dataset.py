"""The actions of the dataset: building it, its captions, and what is taken out of training."""

from __future__ import annotations

from typing import Annotated, Self

import data_preprocessor
from actions import review
from actions.action import Action, Answer, Rounded4, always, at_once
from actions.doctor import what_helps
from actions.request import Ask, ClientRequest, Job, Menu
from dataset.findings import Finding, Readiness
from dataset.kohya_folders import DatasetFolder
from locales.language import N_

MANY = 2  # pictures taken out at once are not one that somebody looked at
_QUARANTINE_HELP = N_("What to take out or put back (undo:NAME puts back):")


# --- what is asked ----------------------------------------------------------------------------------------------------
class CaptionsRequest(ClientRequest):
    """Whose caption is to be shown or written; nobody's: all are shown."""

    picture: Annotated[
        str, Ask(N_("Whose caption?"), metavar="FILE", menu=Menu.CHOICE, offer=lambda job: review.can_be_edited(job.who))
    ] = ""
    text: Annotated[
        str,
        Ask(
            N_("Caption, on one line:"), "--text", "TEXT", menu=Menu.TEXT,
            suggest=lambda job: review.caption_now(job.who, job.request.picture),
        ),
    ] = ""  # fmt: skip


class QuarantineRequest(ClientRequest):
    """Which pictures are taken out of training, or put back."""

    pictures: Annotated[
        tuple[str, ...],
        Ask(
            _QUARANTINE_HELP,
            menu=Menu.TICKS,
            several=True,
            question=N_("What to take out or put back:"),
            offer=lambda job: review.can_be_taken_out(job.who, job.settings),
        ),
    ]


# --- what is answered -------------------------------------------------------------------------------------------------
class DatasetPlanAnswer(Answer):
    """What would be built; `exam` are the photos held back from training."""

    folders: tuple[DatasetFolder, ...]
    images: int
    share_real: float
    findings: tuple[Finding, ...]
    exam: tuple[str, ...]


class DatasetAnswer(Answer):
    """What was built: folders as Kohya names them, and whether it is good enough to train with; `reason` is the doctor's."""

    folders: tuple[str, ...]
    images: int
    repeats: dict[str, int]
    share_real: Rounded4
    verdict: Readiness
    reason: str
    findings: tuple[Finding, ...]

    @classmethod
    def of(cls, report: data_preprocessor.DatasetReport) -> Self:
        """The report, its folders by name."""
        return cls(
            folders=tuple(folder.name for folder in report.folders), images=report.images,
            repeats={folder.name: folder.repeats for folder in report.folders}, share_real=report.share_real,
            verdict=report.verdict, reason=report.examination.reason.sentence if report.examination.reason else "",
            findings=report.findings,
        )  # fmt: skip


class CaptionAnswer(Answer):
    """A caption: its picture in the dataset, the name that the user knows that by, and whether somebody wrote it."""

    picture: str
    folder: str
    text: str
    edited: bool
    source: str


class CaptionsAnswer(Answer):
    """The captions of the dataset; `changed` is the picture whose caption was just written."""

    captions: tuple[CaptionAnswer, ...]
    changed: str

    @classmethod
    def of(cls, report: review.Captions) -> Self:
        """The report, each caption with its picture's own name."""
        rows = (CaptionAnswer(**row.model_dump(), source=report.names.get(row.picture, row.picture)) for row in report.rows)
        return cls(captions=tuple(rows), changed=report.changed)


class QuarantinePlanAnswer(Answer):
    """Pictures that would be taken out, and how many would remain."""

    taken: tuple[str, ...]
    remaining: int


class QuarantineAnswer(Answer):
    """What is out of training now, and what was moved just now."""

    pictures: tuple[str, ...]
    taken: tuple[str, ...]
    returned: tuple[str, ...]


# --- the actions ------------------------------------------------------------------------------------------------------
DATASET = Action(
    "dataset", ClientRequest, lambda job: data_preprocessor.prepare_dataset(job.who, job.settings), DatasetAnswer.of,
    plan=lambda job: data_preprocessor.plan_dataset(job.who, job.settings), plan_answer=DatasetPlanAnswer.of,
    lasts=always, then=lambda _job, report: what_helps(report.examination),
)  # fmt: skip
CAPTIONS = Action(
    "captions", CaptionsRequest, at_once(lambda job: review.captions(job.who, job.request.picture, job.request.text)),
    CaptionsAnswer.of,
)  # fmt: skip


def _takes_many(job: Job[QuarantineRequest]) -> bool:
    return review.takes_many(job.who, job.request.pictures)


QUARANTINE = Action(
    "quarantine", QuarantineRequest, at_once(lambda job: review.quarantine(job.who, job.request.pictures)), QuarantineAnswer.of,
    plan=lambda job: review.plan_quarantine(job.who, job.request.pictures), plan_answer=QuarantinePlanAnswer.of, plans=_takes_many,
    careful=_takes_many, then=lambda _job, _report: ("quarantine",),
)  # fmt: skip

ACTIONS = (DATASET, CAPTIONS, QUARANTINE)
