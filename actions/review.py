"""What a person does with verdicts: see the rejected by reason, accept by hand, point at the client, edit captions,
take pictures out of training. Each is a row of the table of actions; here is what they run, plan and hand back.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from client_folder.client import Client
from client_folder.errors import PictureMissing
from client_folder.lookup import find_picture, find_pictures, names_of
from client_folder.reasons import Reason, Rejection
from client_folder.records import Decisions, Verdict
from config import Settings
from dataset.doctor import find_removable
from dataset.files import CaptionRow, edit_caption, list_captions
from dataset.identities import MANY
from dataset.quarantine import put_back, quarantined, take_out
from faces.decisions import accept, keep, point_at, withdraw
from image_processor import FaceReport, process_faces
from locales.language import _
from utils import Event, shortened

UNDO = "undo:"  # before a name: take the decision back
OFFERED = 60  # rows of a question at most: nobody reads more
NAME_COLUMNS = 34  # of a row for the name of a picture; MidJourney's run to two hundred letters
Offer = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Rejected:
    """The refused pictures of a client by reason, the most frequent first, and those accepted by hand."""

    reasons: tuple[tuple[Reason, tuple[Rejection, ...]], ...]
    by_hand: tuple[str, ...]
    accepted: int


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The verdicts after a decision, and which of them it changed."""

    faces: FaceReport
    accepted: tuple[str, ...]  # refused before, by the names that the user knows them by
    refused: tuple[Rejection, ...]  # accepted before


@dataclass(frozen=True, slots=True)
class Captions:
    """The captions of the dataset; `changed` is the picture whose caption was just written."""

    rows: tuple[CaptionRow, ...]
    names: dict[str, str]
    changed: str = ""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """What is out of training now, and what this run moved."""

    pictures: tuple[str, ...]
    taken: tuple[str, ...]
    returned: tuple[str, ...]


# --- rejected pictures ------------------------------------------------------------------------------------------------
def rejected(client: Client) -> Rejected:
    """Every refused picture by reason."""
    client = client.snapshot()
    groups: dict[Reason, list[Rejection]] = {}
    names = names_of(client)
    faces = client.faces()
    for face in faces:
        if face.rejection:
            groups.setdefault(face.rejection.reason, []).append(face.rejection)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    by_hand = tuple(names.get(face.stem, face.file) for face in faces if face.by_hand)
    return Rejected(tuple((reason, tuple(group)) for reason, group in ordered), by_hand, sum(bool(face.crop) for face in faces))


def accept_pictures(client: Client, settings: Settings, names: Sequence[str]) -> Generator[Event, None, Reviewed]:
    """Accept pictures by hand, or take that back (`undo:NAME`), and judge anew."""
    accept(client, [name for name in names if not name.startswith(UNDO)])
    withdraw(client, [name.removeprefix(UNDO) for name in names if name.startswith(UNDO)])
    return (yield from _judge_anew(client, settings))


def _judge_anew(client: Client, settings: Settings) -> Generator[Event, None, Reviewed]:
    """Judge by what was decided just now."""
    before = {face.stem for face in client.faces() if face.crop}
    report = yield from process_faces(client, settings)
    names = names_of(client)
    new = tuple(names.get(face.stem, face.file) for face in report.accepted if face.stem not in before)
    gone = tuple(face.rejection for face in client.faces() if face.rejection and face.stem in before)
    return Reviewed(report, new, gone)


def can_be_accepted(client: Client) -> Offer:
    """Refused pictures with a face, and those accepted by hand."""
    names, faces = names_of(client), client.faces()
    refused = [(_place(client, face), face.rejection) for face in faces if face.rejection and face.square]
    undone = [(f"{UNDO}{_place(client, face)}", names.get(face.stem, face.file)) for face in faces if face.by_hand]
    rows = [(place, f"{shortened(item.source, NAME_COLUMNS)}  ({item.reason.label})") for place, item in refused]
    back = _("take back: {name}")
    return [*rows[:OFFERED], *((value, back.format(name=shortened(name, NAME_COLUMNS))) for value, name in undone)]


def _place(client: Client, face: Verdict) -> str:
    return f"{client.raw(face.source).name}/{face.file}"


# --- who the client is ------------------------------------------------------------------------------------------------
def point_and_process(client: Client, settings: Settings, words: Sequence[str]) -> Generator[Event, None, FaceReport]:
    """Remember which faces are the client's, and judge anew; `words` are FILE:NUMBER."""
    if words:
        point_at(client, words)
    return (yield from process_faces(client, settings))


def decide_and_process(client: Client, settings: Settings, decided: Decisions) -> Generator[Event, None, Reviewed]:
    """Write decisions down, and judge anew."""
    keep(client, decided)
    return (yield from _judge_anew(client, settings))


# --- captions ---------------------------------------------------------------------------------------------------------
def captions(client: Client, name: str, text: str) -> Captions:
    """The captions, after one was written where a picture and a text are given; raises PictureMissing."""
    stem = Path(name).stem
    if name and stem not in {row.picture for row in list_captions(client)}:
        stem = find_picture(client, name).stem  # the name is one that only the user knows
    if text and not edit_caption(client, stem, text):
        raise PictureMissing(name=name, client=client.id)
    rows = tuple(row for row in list_captions(client) if not stem or row.picture == stem)
    return Captions(rows, names_of(client), stem if text else "")


def can_be_edited(client: Client) -> Offer:
    """Every caption, under its picture's name."""
    names = names_of(client)
    return [
        (row.picture, f"{shortened(names.get(row.picture, row.picture), NAME_COLUMNS)}: {row.text}")
        for row in list_captions(client)
    ]


def caption_now(client: Client, stem: str) -> str:
    """The caption that a picture has."""
    return next((row.text for row in list_captions(client) if row.picture == stem), "")


# --- quarantine -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class QuarantinePlan:
    """Pictures that would be taken out of training, by the names that the user knows them by, and how many would remain."""

    taken: tuple[str, ...]
    remaining: int


def plan_quarantine(client: Client, names: Sequence[str]) -> QuarantinePlan:
    """What taking these pictures out would leave; raises PictureMissing."""
    crops = {Path(face.crop).stem for face in client.crops()}
    pictures = find_pictures(client, [name for name in names if not name.startswith(UNDO)])
    going = {picture.stem: picture.original for picture in pictures if picture.stem in crops}
    return QuarantinePlan(tuple(going.values()), len(crops) - len(going))


def takes_many(client: Client, names: Sequence[str]) -> bool:
    """Whether so many pictures would go that nobody should do it by a mere Enter."""
    plan = plan_quarantine(client, names)
    return len(plan.taken) > MANY * (len(plan.taken) + plan.remaining)


def quarantine(client: Client, names: Sequence[str]) -> Quarantined:
    """Take pictures out of training, or put them back (`undo:NAME`)."""
    taken = take_out(client, [name for name in names if not name.startswith(UNDO)])
    returned = put_back(client, [name.removeprefix(UNDO) for name in names if name.startswith(UNDO)])
    return Quarantined(tuple(record.picture for record in quarantined(client)), taken, returned)


def can_be_taken_out(client: Client, settings: Settings) -> Offer:
    """What the doctor would take out, a row a finding, and then what can be put back; a value is names with blanks between them."""
    client = client.snapshot()
    known, rows = names_of(client), []
    for symptom in find_removable(client, settings):
        stems = symptom.cure_by_removing
        which = f": {shortened(known.get(stems[0], stems[0]), NAME_COLUMNS)}" if len(stems) == 1 else ""
        rows.append((" ".join(stems), f"{symptom.sentence}{which}"))
    out = quarantined(client)
    if len(out) > 1:
        rows.append((" ".join(f"{UNDO}{record.stem}" for record in out), _("put all {count} back").format(count=len(out))))
    back = _("put back: {names}")
    return [*rows, *((f"{UNDO}{one.stem}", back.format(names=shortened(one.picture, NAME_COLUMNS))) for one in out)]
