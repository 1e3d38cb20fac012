"""What a person decides about pictures, kept in `metadata/decisions.json`: this face is the client, this picture is good enough."""

from __future__ import annotations

from collections.abc import Sequence

from client_folder.client import Client
from client_folder.lookup import find_pictures, read_detected_faces
from client_folder.records import Decisions
from faces.verdicts import left_to_right
from locales.language import N_
from utils import PipelineError, write_record


class FaceMissing(PipelineError):
    """Facts: name, number, faces."""

    message = N_('In "{name}" there is no face number {number}: {faces} were found.')
    hint = N_(
        "Faces are counted from the left, as numbered in the picture in the folder rejected. Without a face nothing can be cut."
    )


def point_at(client: Client, words: Sequence[str]) -> Decisions:
    """Remember that a face is the client: `FILE:NUMBER`, faces counted from the left; raises PictureMissing or FaceMissing."""
    decisions = client.decisions()
    pointed = dict(decisions.pointed)
    split = [word.rpartition(":") if ":" in word else (word, ":", "1") for word in words]
    pictures = find_pictures(client, [name for name, _colon, _number in split])
    for picture, (_name, _colon, number) in zip(pictures, split, strict=True):
        detected = read_detected_faces(client, picture)
        faces = left_to_right(detected) if detected else []
        if not number.strip().isdigit() or not 1 <= int(number) <= len(faces):
            raise FaceMissing(name=picture.original, number=number, faces=len(faces))
        pointed[picture.sha256] = faces[int(number) - 1].box
    return _keep(client, decisions, decisions.model_copy(update={"pointed": dict(sorted(pointed.items()))}))


def accept(client: Client, names: Sequence[str]) -> Decisions:
    """Remember that pictures are good enough whatever the limits say; raises PictureMissing, or FaceMissing without a face."""
    pictures = find_pictures(client, names)
    for picture in pictures:
        detected = read_detected_faces(client, picture)
        if not detected or not detected.faces:
            raise FaceMissing(name=picture.original, number=1, faces=0)
    decisions = client.decisions()
    accepted = {*decisions.accepted, *(picture.sha256 for picture in pictures)}
    return _keep(client, decisions, decisions.model_copy(update={"accepted": tuple(sorted(accepted))}))


def withdraw(client: Client, names: Sequence[str]) -> Decisions:
    """Forget what was decided about pictures: the limits judge them again."""
    gone = {picture.sha256 for picture in find_pictures(client, names)}
    decisions = client.decisions()
    accepted = tuple(sha for sha in decisions.accepted if sha not in gone)
    pointed = {sha: box for sha, box in decisions.pointed.items() if sha not in gone}
    return _keep(client, decisions, decisions.model_copy(update={"accepted": accepted, "pointed": pointed}))


def _keep(client: Client, before: Decisions, decisions: Decisions) -> Decisions:
    if decisions != before:
        write_record(client.decisions_file, decisions)
    return decisions
