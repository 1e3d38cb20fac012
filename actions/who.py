"""The action that says who the client is: the faces to choose from, what a choice would do, and how it is taken back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

import image_processor
from actions import review
from actions.action import Action, Answer
from actions.faces import ReviewedAnswer, sheets_of
from actions.request import Ask, ClientRequest, Job, Menu
from client_folder.client import Client
from client_folder.lookup import find_picture
from client_folder.records import Decisions, DetectedFaces, Face, Picture
from config import client_limits
from faces.decisions import as_before, not_pointed_at, pointed_at
from faces.process_run import detections_of
from faces.verdicts import identity_of, left_to_right, people_in, sightings
from image_processor import IdentityEffect
from locales.language import N_, _, ngettext
from utils import shortened

UNDO = "undo"  # instead of a face: as it was before
FIRST = 7  # rows of its first list: more, and the faces above it leave a screen of 24 lines
OFFERED = 60  # rows of the question at most: nobody reads more
NAME_COLUMNS = 30  # of a row that names a picture and the place where it lies

_WHO_HELP = N_("Which face is the client?")


# --- the faces to choose from -----------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Candidate:
    """A face that may be the client's: how it is chosen, whose pictures it stands for, and where to look at it."""

    value: str  # FILE:NUMBER
    names: tuple[str, ...]  # of the pictures that show this person, as the user knows them, the one at hand first
    number: int  # of the face in that picture, counted from the left
    of: int
    place: str  # where to look at that picture, relative to the client's folder
    chosen: bool  # whether this is the client now
    file: Path  # a picture of the face
    square: tuple[int, int, int] | None  # left, top, side of the face in it; None: all of it

    @property
    def label(self) -> str:
        """Which face it is, and where it lies."""
        name = shortened(self.names[0], NAME_COLUMNS)
        more = _(" and {count} more").format(count=len(self.names) - 1) if len(self.names) > 1 else ""
        where = _("face {number} of {of}").format(number=self.number, of=self.of) if self.of > 1 else ""
        return ", ".join(part for part in (f"{name}{more}", where, self.place) if part)

    @property
    def row(self) -> str:
        """The same as a row of the menu: in how many pictures, and whether this is the client now."""
        count = ngettext("{count} picture", "{count} pictures", len(self.names)).format(count=len(self.names))
        return (_("{count}, the client now").format(count=count) if self.chosen else count) + f": {self.label}"


@dataclass(frozen=True, slots=True)
class Candidates:
    """The people whom a client's pictures show, whoever is in most of them first, and then the faces of group photos one by one."""

    people: tuple[Candidate, ...]
    singles: tuple[Candidate, ...]
    undoable: bool  # whether there is a choice to be taken back


def candidates(job: Job[WhoRequest]) -> Candidates:
    """All faces that can be chosen."""
    client = job.who.snapshot()
    quality, decisions = client_limits(job.settings, client.state().limits), client.decisions()
    seen = list(detections_of(client, client.pictures()))
    pictures = {picture.sha256: picture for picture, _detected in seen}
    identity = identity_of((detected for _picture, detected in seen), quality, decisions)
    people = []
    for person in people_in(sightings((detected for _picture, detected in seen), quality, decisions)):
        names = tuple(dict.fromkeys(pictures[one.detected.sha256].original for one in person))
        distances = [identity.distance(one.face.identity) for one in person]
        is_client = any(distance is not None and distance <= quality.max_distance for distance in distances)
        best = person[0]
        people.append(_candidate(client, pictures[best.detected.sha256], best.detected, best.face, names, chosen=is_client))
    singles = []
    for picture, detected in seen:
        for face in left_to_right(detected) if len(detected.faces) > 1 else ():
            chosen = decisions.pointed.get(picture.sha256) == face.box
            singles.append(_candidate(client, picture, detected, face, (picture.original,), chosen=chosen))
    offered = {one.value for one in people}
    others = tuple(one for one in singles if one.value not in offered)
    return Candidates(tuple(people), others, decisions.pointed_before is not None)


def _candidate(
    client: Client, picture: Picture, detected: DetectedFaces, face: Face, names: tuple[str, ...], *, chosen: bool
) -> Candidate:
    """A face as it is offered; it is looked at in its crop where there is one, else in the original."""
    number = left_to_right(detected).index(face) + 1
    original = client.raw(picture.source) / picture.file
    crop, preview = client.processed / f"{picture.stem}.png", client.rejected / f"{picture.stem}.png"
    cropped = detected.cut == (*face.square, face.angle) and crop.is_file()
    place = crop if cropped else preview if preview.is_file() else original  # in the preview, faces are numbered
    return Candidate(
        f"{client.raw(picture.source).name}/{picture.file}:{number}", names, number, len(detected.faces),
        place.relative_to(client.root).as_posix(), chosen, crop if cropped else original, None if cropped else face.square,
    )  # fmt: skip


def _offered(job: Job[WhoRequest]) -> Sequence[tuple[str, str]]:
    """The rows of the question: first the people whose faces are shown and back to what was before, then all other faces."""
    found = candidates(job)
    back = [(UNDO, _("<- as it was before"))] if found.undoable else []
    people = [(one.value, one.row) for one in found.people]
    singles = [(one.value, one.row) for one in found.singles]
    return [*people[: FIRST - len(back)], *back, *people[FIRST - len(back) :], *singles][:OFFERED]


class WhoRequest(ClientRequest):
    """Which faces are the client's; `undo` goes back to what was before, `undo:FILE` takes back what was chosen in one picture."""

    faces: Annotated[
        tuple[str, ...], Ask(_WHO_HELP, metavar="FILE:N", menu=Menu.CHOICE, offer=_offered, show=candidates, first=FIRST)
    ]  # fmt: skip


# --- what a choice would do -------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class WhoPlan:
    """The faces that would be the client's, and what follows; no face where a choice is taken back."""

    faces: tuple[Candidate, ...]
    effect: IdentityEffect


def plan_who(job: Job[WhoRequest]) -> WhoPlan:
    """What a choice would do; raises PictureMissing, FaceMissing or NothingToUndo."""
    client = job.who.snapshot()
    quality = client_limits(job.settings, client.state().limits)
    effect = image_processor.plan_identity(client, quality, _decided(client, job.request.faces))
    return WhoPlan(tuple(_chosen(client, job.request.faces)), effect)


def _chosen(client: Client, words: Iterable[str]) -> Iterable[Candidate]:
    """The faces that are named."""
    seen = {picture.sha256: (picture, detected) for picture, detected in detections_of(client, client.pictures())}
    for word in words:
        if word != UNDO and not word.startswith(review.UNDO):
            name, _colon, number = word.rpartition(":") if ":" in word else (word, ":", "1")
            picture, detected = seen[find_picture(client, name).sha256]
            face = left_to_right(detected)[int(number) - 1]
            yield _candidate(client, picture, detected, face, (picture.original,), chosen=False)


def _decided(client: Client, words: Sequence[str]) -> Decisions:
    """The decisions that follow from the words of a request."""
    if UNDO in words:
        return as_before(client)
    taken_back = [word.removeprefix(review.UNDO) for word in words if word.startswith(review.UNDO)]
    if taken_back:
        return not_pointed_at(client, taken_back)
    return pointed_at(client, words)


class ShownAnswer(Answer):
    """Whom pictures show: `references` agree on the client, `others` are somebody else."""

    references: int
    accepted: int
    others: int


class WhoPlanAnswer(Answer):
    """What a choice would do to the pictures of a client."""

    pictures: int
    now: ShownAnswer
    then: ShownAnswer
    gained: tuple[str, ...]
    lost: tuple[str, ...]

    @classmethod
    def of(cls, plan: WhoPlan) -> Self:
        """The effect."""
        return cls.model_validate(plan.effect)


WHO = Action(
    "who",
    WhoRequest,
    lambda job: review.decide_and_process(job.who, job.settings, _decided(job.who, job.request.faces)),
    ReviewedAnswer.of,
    lasts=lambda request: bool(request.faces),
    plan=plan_who, plan_answer=WhoPlanAnswer.of, plans=lambda job: bool(job.request.faces),
    careful=lambda job: job.plan is not None, made=sheets_of,
)  # fmt: skip
ACTIONS = (WHO,)
