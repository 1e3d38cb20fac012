"""The action that puts the client's face into pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

import generation
from actions.action import Action, Answer, Shown, Stage, always
from actions.request import Ask, ClientRequest, Job, Menu, UserPath
from client_folder.consent import What, has_consent, record_consent
from client_folder.reasons import Reason
from config import Settings
from generation import NoTargetFace, SwapPlan, SwapReport
from locales.language import N_, _
from machine.licence import LICENCE_QUESTION, Use, check_licence, record_licence
from portraits.swapper import TargetFace
from utils import PipelineError

_USE_LABELS = {use.value: use.english_label for use in Use}
_CONSENT_HELP = N_("Did the person agree to have the face put into pictures? Say who agreed, how and when:")
_FACE_HELP = N_("Which face: client (the one most like the client), all, or numbers such as 1,3:")
_TARGETS_HELP = N_("Picture, or folder of pictures, that get the client's face:")


# --- what is asked ----------------------------------------------------------------------------------------------------
class SwapRequest(ClientRequest):
    """Which faces of which pictures are replaced."""

    licence: Annotated[
        Use | None,
        Ask(
            LICENCE_QUESTION, "--licence", menu=Menu.CHOICE, labels=_USE_LABELS,
            when=lambda job: job.settings.insightface_use not in (Use.RESEARCH.value, Use.LICENSED.value),
            check=lambda job: check_licence(_answered(job)),
        ),
    ] = None  # fmt: skip
    targets: Annotated[tuple[UserPath, ...], Ask(_TARGETS_HELP, menu=Menu.PATH)]
    consent: Annotated[
        str,
        Ask(_CONSENT_HELP, "--consent", "TEXT", menu=Menu.TEXT, when=lambda job: not has_consent(job.who, What.FACE_SWAP)),
    ] = ""
    preview: Annotated[bool, Ask(N_("Only show the faces with their numbers?"), "--preview", menu=Menu.CHOICE)] = False
    face: Annotated[
        str, Ask(_FACE_HELP, "--face", "WHICH", menu=Menu.TEXT, when=lambda job: not job.request.preview)
    ] = "client"  # fmt: skip
    like: Annotated[UserPath | None, Ask(N_("photo of the person whose face is to be replaced"), "--like", "FILE")] = None


# --- what is done -----------------------------------------------------------------------------------------------------
def _answered(job: Job[SwapRequest]) -> Settings:
    """Keep what the user answered to the two questions; the settings with it."""
    request = job.request
    settings = record_licence(job.home, job.settings, request.licence) if request.licence else job.settings
    if request.consent:
        record_consent(job.who, What.FACE_SWAP, request.consent)
    return settings


def plan_swap(job: Job[SwapRequest]) -> SwapPlan:
    """What would be swapped."""
    request = job.request
    choice = generation.read_choice(request.face, request.like)
    return generation.plan_swap(job.who, _answered(job), request.targets, choice, preview=request.preview)


def swap(job: Job[SwapRequest]) -> Stage:
    """Swap what was planned."""
    return generation.swap_faces(job.who, job.settings, job.plan, job.session.model_process)


def nothing_swapped(report: SwapReport) -> PipelineError | None:
    """The complaint about a run that replaced no face at all."""
    if report.images or not report.refused or (report.preview and report.previews):
        return None
    return NoTargetFace(path=report.refused[0].source, problem=_("no face was replaced; the reason of each is listed."))


# --- what is answered -------------------------------------------------------------------------------------------------
class SwapPlanAnswer(Answer):
    """What would be swapped: for which use, who consented, which pictures, with which of the client's own."""

    use: Use
    consent: str
    targets: tuple[Path, ...]
    missing: int
    sources: tuple[str, ...]

    @classmethod
    def of(cls, plan: SwapPlan) -> Self:
        """The plan."""
        return cls(
            use=plan.use, consent=plan.consent.by, targets=tuple(target.source for target in plan.order.targets),
            missing=plan.missing, sources=tuple(path.name for path in plan.order.sources),
        )  # fmt: skip


class SwappedAnswer(Answer):
    """A picture with faces replaced, by number; `similarity` to the client is a cosine, `soft` says the face was enlarged a lot."""

    file: Path
    target: str
    replaced: tuple[int, ...]
    similarity: float
    enlarged: float
    soft: bool


class RefusedTargetAnswer(Answer):
    """A picture whose faces were not replaced, and why."""

    file: str
    reason: Reason


class PreviewAnswer(Answer):
    """A picture whose faces are numbered."""

    target: str
    file: Path
    faces: tuple[TargetFace, ...]


class SwapAnswer(Answer):
    """What became of every picture, and on which device."""

    images: tuple[SwappedAnswer, ...]
    refused: tuple[RefusedTargetAnswer, ...]
    previews: tuple[PreviewAnswer, ...]
    device: str
    made: int

    @classmethod
    def of(cls, report: SwapReport) -> Self:
        """The report; refused pictures by the names that the user gave them."""
        return cls(
            images=tuple(SwappedAnswer.of(one) for one in report.images),
            refused=tuple(RefusedTargetAnswer(file=one.source, reason=one.reason) for one in report.refused),
            previews=tuple(PreviewAnswer.of(one) for one in report.previews), device=report.device, made=report.made,
        )  # fmt: skip


def _made(_job: Job[SwapRequest], report: SwapReport) -> tuple[Path, ...]:
    """The pictures with the client's face, or those that show the numbers of the faces."""
    return tuple(one.file for one in report.images) or tuple(one.file for one in report.previews)


SWAP = Action(
    "swap", SwapRequest, swap, SwapAnswer.of, plan=plan_swap, plan_answer=SwapPlanAnswer.of, verdict=nothing_swapped,
    gpu=True, lasts=always,
    made=_made, shown=lambda job, report: tuple(Shown(path) for path in _made(job, report)),
)  # fmt: skip
ACTIONS = (SWAP,)
