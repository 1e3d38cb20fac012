"""The action that shows what was painted, marks favourites and delivers what was chosen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from actions.action import Action, Answer, FollowUp, Retry, Shown, Stage, at_once
from actions.request import Ask, ClientRequest, Job, Menu, UserPath
from client_folder.client import Client
from client_folder.export import FileThere
from locales.language import N_, _
from portraits.delivery import Delivered, Metadata, deliver
from portraits.history import PortraitHistory, PortraitRun, mark_favourites, read_history, there
from utils import PipelineError

_VERB_LABELS = {
    "list": N_("look at the history"),
    "favourite": N_("mark favourites"),
    "deliver": N_("deliver the chosen ones"),
}
_METADATA_LABELS = {
    Metadata.MARK.value: N_("only that a machine made them"),
    Metadata.FULL.value: N_("also prompt, seed and settings"),
    Metadata.NONE.value: N_("nothing at all"),
}
_NAMES_HELP = N_("Which portraits: numbers of the last run (3 5), or 12:3; undo:3 takes a favourite back (empty: the favourites):")
_NAMES_QUESTION = N_("Which portraits? Their numbers on the last sheet, such as 3 5 (nothing: the favourites):")
_TO_HELP = N_("Where to: a folder or FILE.zip (empty: the folder exports beside clients):")
_METADATA_HELP = N_("What the pictures tell of themselves:")
_OVERWRITE_HELP = N_("write over a file that is there")
_MOST_SHOWN = 8


# --- what is asked ----------------------------------------------------------------------------------------------------
class PortraitsRequest(ClientRequest):
    """What to do with the portraits that were painted."""

    verb: Annotated[
        Literal["list", "favourite", "deliver"], Ask(N_("What to do with the portraits:"), menu=Menu.CHOICE, labels=_VERB_LABELS)
    ] = "list"
    names: Annotated[
        tuple[str, ...],
        Ask(_NAMES_HELP, metavar="NAME", menu=Menu.TEXT, question=_NAMES_QUESTION, when=lambda job: job.request.verb != "list"),
    ] = ()
    to: Annotated[
        UserPath | None, Ask(_TO_HELP, "--to", "PLACE", menu=Menu.PATH, when=lambda job: job.request.verb == "deliver")
    ] = None
    metadata: Annotated[
        Metadata,
        Ask(
            _METADATA_HELP, "--metadata", menu=Menu.CHOICE, labels=_METADATA_LABELS,
            when=lambda job: job.request.verb == "deliver",
        ),
    ] = Metadata.MARK  # fmt: skip
    overwrite: Annotated[bool, Ask(_OVERWRITE_HELP, "--overwrite")] = False


# --- what is done -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Gallery:
    """The history of a client's portraits, and which of its files are still there."""

    client: Client
    history: PortraitHistory

    def left(self, run: PortraitRun) -> tuple[Path, ...]:
        """The portraits of a run that nobody deleted."""
        return there(self.client, run.images)

    def sheet(self, run: PortraitRun) -> Path | None:
        """The sheet of a run, if it is still there."""
        path = self.client.sheets / run.sheet
        return path if path.is_file() else None

    @property
    def favourites(self) -> tuple[Path, ...]:
        """The favourites that are still there."""
        return there(self.client, self.history.favourites)


def portraits(job: Job[PortraitsRequest]) -> Stage:
    """List the runs, mark favourites, or deliver; raises what these raise."""
    request = job.request
    if request.verb == "deliver":
        return deliver(job.who, request.names, request.to, request.metadata, overwrite=request.overwrite)
    if request.verb == "favourite":
        return at_once(lambda job: Gallery(job.who, mark_favourites(job.who, request.names)))(job)
    return at_once(lambda job: Gallery(job.who, read_history(job.who)))(job)


def _write_over(request: PortraitsRequest, error: PipelineError) -> Retry | None:
    """After a refusal to write over a file: all the same."""
    return Retry(_("Write over it?"), request.model_copy(update={"overwrite": True})) if isinstance(error, FileThere) else None


def _made(job: Job[PortraitsRequest], report: Gallery | Delivered) -> tuple[Path, ...]:
    """The archive, or the sheets of the runs, the newest first."""
    if isinstance(report, Delivered):
        return (report.file,)
    if job.request.verb != "list":
        return ()
    return tuple(sheet for run in reversed(report.history.runs) if (sheet := report.sheet(run)))


def _shown(job: Job[PortraitsRequest], report: Gallery | Delivered) -> tuple[Shown, ...]:
    """The favourites, where they were just marked."""
    if isinstance(report, Delivered) or job.request.verb != "favourite":
        return ()
    return tuple(Shown(path) for path in report.favourites[-_MOST_SHOWN:])


def after_painting(client: str) -> tuple[FollowUp, ...]:
    """What may follow once portraits are there."""
    mark = PortraitsRequest(client=client, verb="favourite")
    deliver_them = PortraitsRequest(client=client, verb="deliver")
    return (
        FollowUp(_("Mark favourites"), "portraits", mark, ("verb",)),
        FollowUp(_("Look at the history"), "portraits", PortraitsRequest(client=client)),
        FollowUp(_("Deliver the chosen ones"), "portraits", deliver_them, ("verb",)),
    )


# --- what is answered -------------------------------------------------------------------------------------------------
class RunAnswer(Answer):
    """One run: when it was (UTC), its sheet if that is still there, what was asked for, and the portraits that are left of it."""

    number: int
    when: str
    sheet: Path | None
    prompts: tuple[str, ...]
    seeds: tuple[int, ...]
    images: tuple[Path, ...]
    gone: int


class GalleryAnswer(Answer):
    """Every run of a client's portraits, the oldest first, and the favourites that are there."""

    runs: tuple[RunAnswer, ...]
    favourites: tuple[Path, ...]


class DeliveredAnswer(Answer):
    """The archive, the names of the pictures in it, and what they tell of themselves."""

    file: Path
    pictures: tuple[str, ...]
    metadata: Metadata


def answer(report: Gallery | Delivered) -> GalleryAnswer | DeliveredAnswer:
    """Whichever came out."""
    if isinstance(report, Delivered):
        return DeliveredAnswer.of(report)
    runs = []
    for run in report.history.runs:
        left = report.left(run)
        runs.append(
            RunAnswer(
                number=run.number, when=run.when, sheet=report.sheet(run), prompts=run.prompts, seeds=run.seeds, images=left,
                gone=len(run.images) - len(left),
            )
        )  # fmt: skip
    return GalleryAnswer(runs=tuple(runs), favourites=report.favourites)


def _offers(job: Job[PortraitsRequest], report: Gallery | Delivered) -> tuple[FollowUp, ...]:
    """After the history: what can be done with it."""
    listed = job.request.verb == "list" and isinstance(report, Gallery) and report.history.runs
    return tuple(one for one in after_painting(job.who.id) if one.given) if listed else ()


PORTRAITS = Action(
    "portraits",
    PortraitsRequest,
    portraits,
    answer,
    changes=False,
    lasts=lambda request: request.verb == "deliver",
    retry=_write_over,
    made=_made,
    shown=_shown,
    offers=_offers,
)
ACTIONS = (PORTRAITS,)
