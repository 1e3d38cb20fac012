"""Who a face is: dlib's 128 numbers of a face, faces grouped by person, the mean of a client's references, distances to it.

Only the two CC0 files of `face-recognition-models` are opened, by their paths: five landmarks and the network. The package's
68-point file was trained on pictures that exclude commercial use, and is never touched. dlib is imported by `FaceRecogniser` alone:
it finds the landmarks and aligns the face; its network runs in `face_network`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from math import dist
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faces.dlib_weights import CHIP_PX
from faces.face_network import FaceNetwork
from locales.language import N_
from utils import BrokenModel, ModelMissing

if TYPE_CHECKING:
    from PIL import Image

Numbers = tuple[float, ...]

FACE_PX = 300  # longer side of the face it is shown: the network itself sees 150 px
ROOM = 0.5  # of the face's longer side, kept around it for the landmarks
# Mean distance under which photos show one person. Of 156 photos of 39 people, 428 pairs of one person: 98.6 % are nearer; 11,662
# pairs of two people: none is. Grouped by it, 59 photos of 14 people (262 pairs marked as two people by those who published them)
# join none of those pairs; any limit from 0.50 to 0.55 gives the same groups.
SAME_PERSON = 0.55
LEAD = 1.5  # chosen: times as many photos as any other person has, before somebody is taken for the client
LEAST_SHARE = (
    1 / 3
)  # of the photos, the same: twelve of sixty-four are no reason to refuse the other fifty-two; chosen, not measured
CHIP_PADDING = 0.25  # of the aligned face, around it: what dlib itself cuts for its network
_PACKAGE = "face_recognition_models"
_LANDMARKS, _NETWORK = "shape_predictor_5_face_landmarks.dat", "dlib_face_recognition_resnet_model_v1.dat"
# Of the files in face-recognition-models 0.3.0. Another network's numbers could not be compared with those on record, nor judged by
# the limits above, and a damaged one's even less.
_SHA256 = {
    _LANDMARKS: "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
    _NETWORK: "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
}


class FaceModelRefused(BrokenModel):
    """Facts: path."""

    message = N_("{path} is damaged, or another file than the one the program knows: faces cannot be told apart by it.")
    hint = N_("Install it again: pip install --force-reinstall --no-deps face-recognition-models==0.3.0")


class FaceRecogniser:
    """dlib's landmarks and its network on the processor, in one thread; raises ModelMissing where its files are not installed, and
    FaceModelRefused where they are not the ones known."""

    def __init__(self) -> None:
        import dlib

        landmarks, (_path, weights) = _known_file(_LANDMARKS)[0], _known_file(_NETWORK)
        self._dlib: Any = dlib
        self._landmarks = dlib.shape_predictor(str(landmarks))
        self._network = FaceNetwork(weights, _SHA256[_NETWORK])

    def describe(self, image: Image.Image, box: tuple[int, int, int, int]) -> Numbers:
        """The 128 numbers of the face in a box (left, top, width, height) of an upright picture."""
        import numpy as np

        left, top, width, height = box
        room = round(ROOM * max(width, height))
        corner = max(0, left - room), max(0, top - room)
        part = image.crop((*corner, min(image.width, left + width + room), min(image.height, top + height + room)))
        scale = min(1.0, FACE_PX / max(width, height))
        if scale < 1:
            part = part.resize((max(1, round(part.width * scale)), max(1, round(part.height * scale))), reducing_gap=2.0)
        x, y = (left - corner[0] + width / 2) * scale, (top - corner[1] + height / 2) * scale
        half = (width + height) / 4 * scale  # dlib's own detector gives squares
        pixels = np.asarray(part)
        face = self._dlib.rectangle(round(x - half), round(y - half), round(x + half), round(y + half))
        chip = self._dlib.get_face_chip(pixels, self._landmarks(pixels, face), CHIP_PX, CHIP_PADDING)
        return tuple(round(float(number), 4) for number in self._network.numbers(chip[None])[0])


def _known_file(name: str) -> tuple[Path, bytes]:
    """A file of the package and what is in it; raises ModelMissing, or FaceModelRefused where that is not what was published."""
    path = model_file(name)
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != _SHA256[name]:
        raise FaceModelRefused(path=path)
    return path, data


def model_file(name: str) -> Path:
    """A file of the package, found without importing it: its import needs a module that Python no longer has."""
    spec = find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "models" / name
        if path.is_file():
            return path
    raise ModelMissing(model=name)


# --- references, pure -------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Identity:
    """Who the client is: the mean of the references, and how many they are.

    `unsure` tells that the references show several people, none of them clearly most often; then there is no mean. `drawn` tells
    that no real photo could say who the client is, so MidJourney's pictures did; `people` is how many the references show.
    """

    mean: Numbers = ()
    references: int = 0
    unsure: bool = False
    drawn: bool = False
    people: int = 0

    def distance(self, face: Numbers) -> float | None:
        """How far a face is from the client; None where either is not known."""
        return round(dist(face, self.mean), 4) if self.mean and face else None


def identify(
    photos: Sequence[Numbers], pointed: Sequence[Numbers] = (), limit: float = SAME_PERSON, others: Sequence[Numbers] = ()
) -> Identity:
    """The client from photos of one person each, and from the faces that somebody pointed at, which decide where there are any.

    Photos of other people among them are left out: those farther than `limit` from what was pointed at, else all but the person
    that most of the photos show. `others` are faces of group photos: they only count as people.
    """
    if pointed:
        centre = _mean(pointed)
        alike = [photo for photo in photos if dist(photo, centre) <= limit and photo not in pointed]
        return Identity(_mean([*pointed, *alike]), len(pointed) + len(alike))
    if not photos:
        return Identity()
    people = [[photos[at] for at in places if at < len(photos)] for places in group([*photos, *others])]
    first, *rest = sorted(people, key=len, reverse=True)
    if len(first) < max(LEAD * len(rest[0] if rest else ()), LEAST_SHARE * len(photos)):
        return Identity(unsure=True, people=len(people))
    return Identity(_mean(first), len(first), people=len(people))


def group(faces: Sequence[Numbers]) -> list[list[int]]:
    """The places of the faces of each person, whoever has most of them first.

    Average linkage: two groups are one person where their faces are alike on the whole. One blurred face between two people does
    not join them, as it would where the nearest pair decides.
    """
    if len(faces) < 2:
        return [[at] for at in range(len(faces))]
    from scipy.cluster.hierarchy import fcluster, linkage

    people: dict[int, list[int]] = {}
    for at, person in enumerate(fcluster(linkage(faces, "average"), SAME_PERSON, "distance")):
        people.setdefault(int(person), []).append(at)
    return sorted(people.values(), key=lambda places: (-len(places), places[0]))


def _mean(faces: Sequence[Numbers]) -> Numbers:
    return tuple(sum(column) / len(faces) for column in zip(*faces, strict=True))
