"""What a person does with verdicts: see the rejected by reason, accept by hand, point at the client, edit captions,
take pictures out of training. Each is a row of the table of actions; here is what they run, plan and hand back.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from client_folder.client import Client
from client_folder.errors import PictureMissing
from client_folder.lookup import find_picture, names_of, read_detected_faces
from client_folder.reasons import Reason, Rejection
from client_folder.records import Source, Verdict
from config import Settings
from dataset.doctor import find_removable
from dataset.files import CaptionRow, edit_caption, list_captions
from dataset.quarantine import put_back, quarantined, take_out
from faces.decisions import accept, point_at, withdraw
from faces.verdicts import left_to_right
from image_processor import FaceReport, process_faces
from utils import Event

UNDO = "undo:"  # before a name: take the decision back
OFFERED = 60  # rows of a question at most: nobody reads more
Offer = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Rejected:
    """The refused pictures of a client by reason, the most frequent first, and those accepted by hand."""

    reasons: tuple[tuple[Reason, tuple[Rejection, ...]], ...]
    by_hand: tuple[str, ...]
    accepted: int


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


def accept_pictures(client: Client, settings: Settings, names: Sequence[str]) -> Generator[Event, None, FaceReport]:
    """Accept pictures by hand, or take that back (`undo:NAME`), and judge anew."""
    accept(client, [name for name in names if not name.startswith(UNDO)])
    withdraw(client, [name.removeprefix(UNDO) for name in names if name.startswith(UNDO)])
    return (yield from process_faces(client, settings))


def can_be_accepted(client: Client) -> Offer:
    """Refused pictures with a face, and those accepted by hand."""
    names, faces = names_of(client), client.faces()
    refused = [(_place(client, face), face.rejection) for face in faces if face.rejection and face.square]
    undone = [(f"{UNDO}{_place(client, face)}", names.get(face.stem, face.file)) for face in faces if face.by_hand]
    rows = [(place, f"{rejection.source}  ({rejection.reason.label})") for place, rejection in refused]
    return [*rows, *((value, f"<- {name}") for value, name in undone)][:OFFERED]


def _place(client: Client, face: Verdict) -> str:
    return f"{client.raw(face.source).name}/{face.file}"


# --- who the client is ------------------------------------------------------------------------------------------------
def point_and_process(client: Client, settings: Settings, words: Sequence[str]) -> Generator[Event, None, FaceReport]:
    """Remember which faces are the client's, and judge anew; `words` are FILE:NUMBER."""
    if words:
        point_at(client, words)
    return (yield from process_faces(client, settings))


def can_be_pointed_at(client: Client) -> Offer:
    """Every face of the photos that show several people."""
    rows: Offer = []
    for picture in client.pictures():
        look = read_detected_faces(client, picture) if picture.source is Source.REAL else None
        faces = left_to_right(look) if look else []
        if len(faces) > 1:
            place = f"{client.raw(picture.source).name}/{picture.file}"
            rows += [(f"{place}:{number}", f"{picture.original}: {number} / {len(faces)}") for number in range(1, len(faces) + 1)]
    return rows[:OFFERED]


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
    return [(row.picture, f"{names.get(row.picture, row.picture)}: {row.text}") for row in list_captions(client)]


def caption_now(client: Client, stem: str) -> str:
    """The caption that a picture has."""
    return next((row.text for row in list_captions(client) if row.picture == stem), "")


# --- quarantine -------------------------------------------------------------------------------------------------------
def quarantine(client: Client, names: Sequence[str]) -> Quarantined:
    """Take pictures out of training, or put them back (`undo:NAME`)."""
    taken = take_out(client, [name for name in names if not name.startswith(UNDO)])
    returned = put_back(client, [name.removeprefix(UNDO) for name in names if name.startswith(UNDO)])
    return Quarantined(tuple(record.picture for record in quarantined(client)), taken, returned)


def can_be_taken_out(client: Client, settings: Settings) -> list[tuple[list[str], str, str]]:
    """What the doctor would take out, a row a finding (pictures, sign, names), and then what can be put back."""
    client = client.snapshot()
    known, rows = names_of(client), []
    for symptom in find_removable(client, settings):
        names = ", ".join(known.get(stem, stem) for stem in symptom.cure_by_removing)
        rows.append((list(symptom.cure_by_removing), symptom.sign.value, names))
    return [*rows, *(([f"{UNDO}{record.stem}"], "", record.picture) for record in quarantined(client))]
