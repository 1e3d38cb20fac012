"""The actions of faces: crops, verdicts, and what a person does with them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Self

import image_processor
from actions import limits, review
from actions.action import Action, Answer, Shown, Stage, always, at_once
from actions.limits import LimitsMove, LimitsPlan, LimitsReport, Scope
from actions.request import Ask, ClientRequest, Job, Menu
from actions.settings_form import limits_form
from client_folder.lookup import find_pictures
from client_folder.reasons import Reason, Rejection
from client_folder.records import IdentityState
from image_processor import FaceReport
from locales.language import N_
from utils import PipelineError

_FACE_HELP = N_("this face is the client: file and number, counted from the left; may be given several times")
_LIMITS_HELP = N_("NAME=VALUE, such as min_brightness=30; default:NAME takes it back; without one they are shown")
_EVERYWHERE_HELP = N_("move the program's limits instead, for every client that has none of its own")
_ACCEPT_HELP = N_("Pictures to accept (undo:NAME takes one back):")


class NoFaceFound(PipelineError):
    """Facts: pictures."""

    message = N_("None of the pictures passed ({pictures} in all): there is nothing to train with.")
    hint = N_("The reason of each is listed; use larger, sharper pictures with the whole face in view.")


# --- what is asked ----------------------------------------------------------------------------------------------------
class ProcessRequest(ClientRequest):
    """Which faces are the client's, where that has to be said."""

    face: Annotated[tuple[str, ...], Ask(_FACE_HELP, "--face", "FILE:N")] = ()


class AcceptRequest(ClientRequest):
    """Which refused pictures are accepted by hand, or not any more."""

    pictures: Annotated[tuple[str, ...], Ask(
        _ACCEPT_HELP, menu=Menu.TICKS, question=N_("Pictures to accept, or to refuse again:"),
        offer=lambda job: review.can_be_accepted(job.who),
    )]  # fmt: skip


class LimitsRequest(ClientRequest):
    """Which limits of quality are to be moved, of the client or `everywhere` of the program; none: they are only shown."""

    changes: Annotated[tuple[str, ...], Ask(_LIMITS_HELP, metavar="NAME=VALUE")] = ()
    everywhere: Annotated[bool, Ask(_EVERYWHERE_HELP, "--everywhere")] = False


# --- what is done -----------------------------------------------------------------------------------------------------
def process(job: Job[ProcessRequest]) -> Stage:
    """`process`."""
    return review.point_and_process(job.who, job.settings, job.request.face)


def _point_next(_job: Job[ProcessRequest], report: FaceReport) -> Sequence[str]:
    return ("who",) if report.identity.unsure or (report.undecided and not report.identity.known) else ()


def _nothing_accepted(report: FaceReport) -> PipelineError | None:
    return None if report.accepted else NoFaceFound(pictures=len(report.rejected))


# --- what is answered -------------------------------------------------------------------------------------------------
class ProcessPlanAnswer(Answer):
    """Originals that wait for a verdict, and those whose verdict still holds."""

    new: int
    done: int


class RejectionAnswer(Answer):
    """A refused picture: `measured` and `limit` in the unit of the limit that failed, `cure` in English what would help."""

    file: str
    source: str
    reason: Reason
    measured: float | None
    limit: float | None
    limit_name: str
    cure: str

    @classmethod
    def of(cls, refused: Rejection) -> Self:
        """What is kept of it, and its cure, which follows from the reason."""
        return cls(**refused.model_dump(), cure=refused.reason.english_cure)


class VerdictsAnswer(Answer):
    """Every verdict of a client; crops are named by their files."""

    accepted: tuple[str, ...]
    rejected: tuple[RejectionAnswer, ...]
    warnings: dict[str, tuple[str, ...]]
    bystanders: dict[str, int]
    identity: IdentityState
    references: int

    @classmethod
    def of(cls, report: FaceReport) -> Self:
        """The verdicts; warnings and bystanders only of crops that have some."""
        return cls(
            accepted=tuple(face.crop for face in report.accepted),
            rejected=tuple(RejectionAnswer.of(refused) for refused in report.rejected),
            warnings={face.crop: face.warnings for face in report.accepted if face.warnings},
            bystanders={face.crop: face.bystanders for face in report.accepted if face.bystanders},
            identity=report.identity, references=report.references,
        )  # fmt: skip


class ReviewedAnswer(VerdictsAnswer):
    """The verdicts after a decision."""

    @classmethod
    def of(cls, report: review.Reviewed) -> Self:  # type: ignore[override]  # the report holds the verdicts' own
        """The report."""
        verdicts = VerdictsAnswer.of(report.faces)
        return cls(**{name: getattr(verdicts, name) for name in VerdictsAnswer.model_fields})


class RejectedAnswer(Answer):
    """The refused pictures by reason, the most frequent first, and those accepted by hand."""

    rejected: tuple[RejectionAnswer, ...]
    by_reason: dict[Reason, int]
    by_hand: tuple[str, ...]
    accepted: int

    @classmethod
    def of(cls, report: review.Rejected) -> Self:
        """The report, its groups one after another."""
        return cls(
            rejected=tuple(RejectionAnswer.of(refused) for _reason, group in report.reasons for refused in group),
            by_reason={reason: len(group) for reason, group in report.reasons},
            by_hand=report.by_hand, accepted=report.accepted,
        )  # fmt: skip


class LimitChange(Answer):
    """A limit that would move, as it is written."""

    limit: str
    old: str
    new: str


class LimitAnswer(Answer):
    """A limit as it counts for the client, as the program has it, and whether the client has one of its own."""

    value: float
    program: float
    own: bool


class MoveAnswer(Answer):
    """Which limits are moved, whose they are, and how all of them stand then; `own_stays`: the client keeps its own."""

    scope: Scope
    changes: tuple[LimitChange, ...]
    own_stays: tuple[str, ...]
    limits: dict[str, LimitAnswer]


def _moved(move: LimitsMove) -> dict[str, Any]:
    """The fields of a `MoveAnswer`."""
    return {
        "scope": move.scope, "own_stays": move.own_stays,
        "changes": tuple(LimitChange(limit=name, old=old, new=new) for name, old, new in move.changes),
        "limits": {limit.name: LimitAnswer.of(limit) for limit in move.limits},
    }  # fmt: skip


class LimitsPlanAnswer(MoveAnswer):
    """What other limits would do: pictures that would be accepted then, and those that would not be any more."""

    accepted_before: int
    accepted_after: int
    gained: tuple[RejectionAnswer, ...]
    lost: tuple[RejectionAnswer, ...]

    @classmethod
    def of(cls, plan: LimitsPlan) -> Self:
        """The plan."""
        effect = plan.effect
        return cls(
            **_moved(plan.move), accepted_before=effect.before, accepted_after=effect.after,
            gained=tuple(RejectionAnswer.of(refused) for refused in effect.gained),
            lost=tuple(RejectionAnswer.of(refused) for refused in effect.lost),
        )  # fmt: skip


class LimitsAnswer(VerdictsAnswer, MoveAnswer):
    """What was moved, and the verdicts after it."""

    @classmethod
    def of(cls, report: LimitsReport) -> Self:  # type: ignore[override]  # the report holds the verdicts' own
        """The report."""
        verdicts = VerdictsAnswer.of(report.faces)
        return cls(**{name: getattr(verdicts, name) for name in VerdictsAnswer.model_fields}, **_moved(report.move))


# --- the actions ------------------------------------------------------------------------------------------------------
def sheets_of(job: Job[Any], _report: Any) -> Sequence[Path]:
    """Both contact sheets: of the accepted, and of the refused."""
    return (job.who.processed_sheet, job.who.rejected_sheet)


def _refused(job: Job[ClientRequest], _report: Any) -> Sequence[Shown]:
    """The first refused pictures, each above its reason."""
    faces = (face for face in job.who.faces() if face.rejection)
    return [
        Shown(job.who.rejected / f"{face.stem}.png", face.rejection.reason.label) for face in islice(faces, 4) if face.rejection
    ]


def crops_of(job: Job[Any], words: Sequence[str]) -> Sequence[Shown]:
    """The crops of the pictures that were just decided about; one that is no crop is shown as what was refused."""
    shown = []
    for picture in find_pictures(job.who, words):
        crop = job.who.processed / f"{picture.stem}.png"
        shown.append(Shown(crop if crop.is_file() else job.who.rejected / crop.name, picture.original))
    return shown


PROCESS = Action(
    "process", ProcessRequest, process, VerdictsAnswer.of,
    plan=lambda job: image_processor.plan_process(job.who, job.settings), plan_answer=ProcessPlanAnswer.of,
    verdict=_nothing_accepted, lasts=always, then=_point_next, made=sheets_of,
)  # fmt: skip
REJECTED = Action(
    "rejected", ClientRequest, at_once(lambda job: review.rejected(job.who)), RejectedAnswer.of, changes=False,
    made=lambda job, _report: (job.who.rejected_sheet,), shown=_refused,
)  # fmt: skip
ACCEPT = Action(
    "accept", AcceptRequest, lambda job: review.accept_pictures(job.who, job.settings, job.request.pictures),
    ReviewedAnswer.of, then=lambda _job, _report: ("accept",),
    shown=lambda job, _report: crops_of(job, [name.removeprefix(review.UNDO) for name in job.request.pictures]),
)  # fmt: skip
LIMITS = Action(
    "limits",
    LimitsRequest,
    lambda job: limits.move_limits(job.home, job.who, job.settings, job.request.changes, job.request.everywhere),
    LimitsAnswer.of,
    plan=lambda job: limits.preview_limits(job.who, job.settings, job.request.changes, job.request.everywhere),
    plan_answer=LimitsPlanAnswer.of,
    form=lambda job: limits_form(job, LimitsRequest),
    made=sheets_of,
)

ACTIONS = (PROCESS, REJECTED, ACCEPT, LIMITS)
