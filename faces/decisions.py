"""What a person decides about pictures, kept in `metadata/decisions.json`: this face is the client, this picture is good enough."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import dist

from client_folder.client import Client
from client_folder.lookup import find_pictures, read_detected_faces
from client_folder.records import Decisions, Face
from faces.identity import SAME_PERSON
from faces.verdicts import left_to_right
from locales.language import N_
from utils import PipelineError, write_record


class FaceMissing(PipelineError):
    """Facts: name, number, faces."""

    message = N_('In "{name}" there is no face number {number}: {faces} were found.')
    hint = N_(
        "Faces are counted from the left, as numbered in the picture in the folder rejected. Without a face nothing can be cut."
    )


class NothingToUndo(PipelineError):
    """Facts: client."""

    message = N_("Who the client is was never chosen for {client}: there is nothing to take back.")
    hint = N_("who FILE:NUMBER chooses a face, counted from the left.")


def point_at(client: Client, words: Sequence[str]) -> Decisions:
    """Remember that a face is the client; raises what `pointed_at` raises."""
    return keep(client, pointed_at(client, words))


def pointed_at(client: Client, words: Sequence[str]) -> Decisions:
    """The decisions if a face were the client: `FILE:NUMBER`, faces counted from the left. Raises PictureMissing or FaceMissing.

    A face chosen before that is somebody else's by the one chosen now gives way to it: else the client would be the mean of two.
    """
    decisions = client.decisions()
    split = [word.rpartition(":") if ":" in word else (word, ":", "1") for word in words]
    pictures = find_pictures(client, [name for name, _colon, _number in split])
    chosen: dict[str, Face] = {}
    for picture, (_name, _colon, number) in zip(pictures, split, strict=True):
        detected = read_detected_faces(client, picture)
        faces = left_to_right(detected) if detected else []
        if not number.strip().isdigit() or not 1 <= int(number) <= len(faces):
            raise FaceMissing(name=picture.original, number=number, faces=len(faces))
        chosen[picture.sha256] = faces[int(number) - 1]
    kept = {sha: box for sha, box in decisions.pointed.items() if sha not in chosen and _agrees(client, sha, box, chosen.values())}
    pointed = kept | {sha: face.box for sha, face in chosen.items()}
    return decisions.model_copy(update={"pointed": dict(sorted(pointed.items()))})


def _agrees(client: Client, sha: str, box: tuple[int, int, int, int], chosen: Iterable[Face]) -> bool:
    """Whether a face chosen before shows the person chosen now; where it cannot be told, it stays."""
    for picture in client.pictures():
        detected = read_detected_faces(client, picture) if picture.sha256 == sha else None
        for face in detected.faces if detected else ():
            if face.box == box and face.identity:
                return any(other.identity and dist(face.identity, other.identity) <= SAME_PERSON for other in chosen)
    return True


def as_before(client: Client) -> Decisions:
    """The decisions as they were before the client's face was last chosen or taken back; raises NothingToUndo."""
    decisions = client.decisions()
    if decisions.pointed_before is None:
        raise NothingToUndo(client=client.id)
    return decisions.model_copy(update={"pointed": decisions.pointed_before})


def not_pointed_at(client: Client, names: Sequence[str]) -> Decisions:
    """The decisions without the faces chosen in these pictures; raises PictureMissing."""
    gone = {picture.sha256 for picture in find_pictures(client, names)}
    decisions = client.decisions()
    return decisions.model_copy(update={"pointed": {sha: box for sha, box in decisions.pointed.items() if sha not in gone}})


def accept(client: Client, names: Sequence[str]) -> Decisions:
    """Remember that pictures are good enough whatever the limits say; raises PictureMissing, or FaceMissing without a face."""
    pictures = find_pictures(client, names)
    for picture in pictures:
        detected = read_detected_faces(client, picture)
        if not detected or not detected.faces:
            raise FaceMissing(name=picture.original, number=1, faces=0)
    decisions = client.decisions()
    accepted = {*decisions.accepted, *(picture.sha256 for picture in pictures)}
    return keep(client, decisions.model_copy(update={"accepted": tuple(sorted(accepted))}))


def withdraw(client: Client, names: Sequence[str]) -> Decisions:
    """Forget what was decided about pictures: the limits judge them again."""
    gone = {picture.sha256 for picture in find_pictures(client, names)}
    decisions = client.decisions()
    accepted = tuple(sha for sha in decisions.accepted if sha not in gone)
    pointed = {sha: box for sha, box in decisions.pointed.items() if sha not in gone}
    return keep(client, decisions.model_copy(update={"accepted": accepted, "pointed": pointed}))


def keep(client: Client, decisions: Decisions) -> Decisions:
    """Write decisions down where they are others; whose face was the client's before stays known, so that it can be taken back."""
    before = client.decisions()
    if decisions.pointed != before.pointed:
        decisions = decisions.model_copy(update={"pointed_before": before.pointed})
    if decisions != before:
        write_record(client.decisions_file, decisions)
    return decisions
