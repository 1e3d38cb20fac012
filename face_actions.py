"""The actions of faces and the dataset: crops, verdicts and what a person does with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import dataset
import dataset_doctor
import image_processor
import limits
import review
from action_table import Action, Answer, Ask, Job, Option, at_once
from client_records import IdentityState
from language import N_, _
from signs import Sign
from utils import NoFaceFound, PipelineError


def _point_next(_job: Job, report: image_processor.FaceReport) -> Sequence[str]:
    return ("who",) if report.undecided and report.identity is not IdentityState.KNOWN else ()


def _nothing_accepted(report: image_processor.FaceReport) -> PipelineError | None:
    return None if report.accepted else NoFaceFound(pictures=len(report.rejected))


def _dataset_answer(report: dataset.DatasetReport) -> Answer:
    return {
        "folders": [folder.name for folder in report.folders],
        "images": report.images,
        "repeats": {folder.name: folder.repeats for folder in report.folders},
        "share_real": round(report.share_real, 4),
        "verdict": report.verdict.value,
        "findings": [asdict(finding) for finding in report.findings],
    }


def _offer_quarantine(job: Job) -> Sequence[tuple[str, str]]:
    # Examined anew, even right after the doctor: 100 pictures take 25 ms, a third of which it takes to know that nothing changed.
    rows = review.can_be_taken_out(job.who, dataset_doctor.examine(job.who, job.settings))
    labels = (
        f"{Sign(sign).label}: {names}" if sign else _("put back: {names}").format(names=names) for _stems, sign, names in rows
    )
    return [(" ".join(stems), label) for (stems, _sign, _names), label in zip(rows, labels, strict=True)]


# --- the actions ------------------------------------------------------------------------------------------------------
_FACE_HELP = N_("this face is the client: file and number, counted from the left; may be given several times")
_LIMITS_HELP = N_("NAME=VALUE, such as min_brightness=30; default:NAME takes it back (empty: show them):")
_EVERYWHERE_HELP = N_("Move the program's limits instead, for every client that has none of its own?")

PROCESS = Action(
    "process", lambda job: review.point_and_process(job.who, job.settings, job.options.face or ()), review.verdicts_answer,
    plan=lambda job: image_processor.plan_process(job.who, job.settings), verdict=_nothing_accepted, then=_point_next,
    options=(Option("--face", _FACE_HELP, repeatable=True, metavar="FILE:N"),),
)  # fmt: skip
DATASET = Action(
    "dataset", lambda job: dataset.prepare_dataset(job.who, job.settings), _dataset_answer,
    plan=lambda job: dataset.plan_dataset(job.who, job.settings), then=lambda _job, _report: ("doctor",),
)  # fmt: skip
REJECTED = Action(
    "rejected", at_once(lambda job: review.rejected(job.who)), review.rejected_answer, changes=False,
)  # fmt: skip
ACCEPT = Action(
    "accept", lambda job: review.accept_pictures(job.who, job.settings, job.options.pictures), review.verdicts_answer,
    options=(
        Option(
            "pictures", N_("Picture to accept (undo:NAME takes it back):"), Ask.CHOICE, nargs="+",
            offer=lambda job: review.can_be_accepted(job.who),
        ),
    ),
)  # fmt: skip
WHO = Action(
    "who", lambda job: review.point_and_process(job.who, job.settings, job.options.faces), review.verdicts_answer,
    options=(
        Option(
            "faces", N_("Which face is the client? Counted from the left, numbered in rejected/:"), Ask.CHOICE, nargs="+",
            metavar="FILE:N", offer=lambda job: review.can_be_pointed_at(job.who),
        ),
    ),
)  # fmt: skip
LIMITS = Action(
    "limits",
    lambda job: limits.move_limits(job.home, job.who, job.settings, job.options.changes, job.options.everywhere),
    limits.report_answer,
    plan=lambda job: limits.preview_limits(job.who, job.settings, job.options.changes, job.options.everywhere),
    plan_answer=limits.plan_answer,
    options=(
        Option("changes", _LIMITS_HELP, Ask.TEXT, default=[], nargs="*", metavar="NAME=VALUE"),
        Option(
            "--everywhere", _EVERYWHERE_HELP, Ask.CHOICE, default=False, switch=True,
            when=lambda job: bool(job.options.changes),
        ),
    ),
)  # fmt: skip
CAPTIONS = Action(
    "captions",
    at_once(lambda job: review.captions(job.who, job.options.picture or "", job.options.text or "")), review.captions_answer,
    options=(
        Option(
            "picture", N_("Whose caption?"), Ask.CHOICE, nargs="?", metavar="FILE",
            offer=lambda job: review.can_be_edited(job.who),
        ),
        Option(
            "--text", N_("Caption, on one line:"), Ask.TEXT, metavar="TEXT",
            suggest=lambda job: review.caption_now(job.who, job.options.picture or ""),
        ),
    ),
)  # fmt: skip
QUARANTINE = Action(
    "quarantine", at_once(lambda job: review.quarantine(job.who, job.options.pictures)), asdict,
    options=(
        Option(
            "pictures", N_("What to take out or put back (undo:NAME puts back):"), Ask.CHOICE, nargs="+",
            several=True, offer=_offer_quarantine,
        ),
    ),
)  # fmt: skip

ACTIONS = (PROCESS, DATASET, REJECTED, ACCEPT, WHO, LIMITS, CAPTIONS, QUARANTINE)
