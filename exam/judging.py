"""From pictures to a verdict: everything of an exam measured by the rulers of its base, then gates, flags and the rule.

On the practice base the colour map rules, with dlib on the fixed box beside it for what would be chosen; on others dlib's numbers
of the face do. A portrait in which no face is found counts as far from the client as the stranger of its prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from client_folder.client import Client
from exam.candidates import WeightedCheckpoint
from exam.errors import NoHeldBackPhotos
from exam.flags import Signs, farther_share, leak_share, measure_signs
from exam.gates import Gate, embedding_gate, separation_gate, within_person
from exam.measuring import RowStore
from exam.prompts import SEEDS, stranger_of
from exam.records import Examinee, ExamReason, ExamVerdict, Standing
from exam.rulers import Backdrop, BoxEmbedding, FaceEmbedding, LabMap, Ruler, apart
from exam.verdict import Array, decide
from faces.detector import MtcnnDetector
from faces.identity import FaceRecogniser
from portraits.portrait import Portrait
from utils import Event, ModelMissing

MAKERS: Mapping[str, Callable[[], Ruler]] = {
    LabMap.name: LabMap,
    Backdrop.name: Backdrop,
    BoxEmbedding.name: lambda: BoxEmbedding(FaceRecogniser().describe),
    FaceEmbedding.name: lambda: FaceEmbedding(FaceRecogniser().describe, MtcnnDetector().find),
}


@dataclass(slots=True)
class Painted:
    """The sets of portraits of an exam, all of the same prompts and seeds; `dressed` are strangers painted with a candidate."""

    base: tuple[Portrait, ...]
    strangers: tuple[Portrait, ...]
    sets: dict[WeightedCheckpoint, tuple[Portrait, ...]] = field(default_factory=dict)
    dressed: dict[WeightedCheckpoint, tuple[Portrait, ...]] = field(default_factory=dict)

    @property
    def candidates(self) -> tuple[WeightedCheckpoint, ...]:
        """Those painted, in the order of preference."""
        return tuple(sorted(self.sets, key=lambda one: one.rank))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured, and what follows from it; `distances` is [candidate, portrait, photo]."""

    ruler: str
    photos: tuple[Path, ...]
    scenes: tuple[int, ...]
    painted: Painted
    candidates: tuple[WeightedCheckpoint, ...]
    distances: Array
    base_distances: Array
    stranger_distances: Array
    gates: tuple[Gate, ...]
    signs: tuple[Signs, ...]
    scaled: Callable[[Array], Array]  # rows as distances are taken of them

    def decide(self) -> ExamVerdict:
        """The verdict on what is known so far."""
        examined = tuple(
            Examinee(one.checkpoint.step, one.weight, one.checkpoint.path.name, gate.standing, signs.flags)
            for one, gate, signs in zip(self.candidates, self.gates, self.signs, strict=True)
        )
        prompts = prompt_numbers(len(self.base_distances))
        found = decide(examined, self.distances, self.base_distances, prompts, self.scenes)
        provisional = (ExamReason.PROVISIONAL,) if any(gate.provisional for gate in self.gates) else ()
        return found.because((*found.reasons, *provisional))


def gather(
    client: Client, photos: Sequence[tuple[Path, int]], painted: Painted, *, practice: bool
) -> Generator[Event, None, Evidence]:
    """Measure every picture that was not measured before, then compute; raises NoHeldBackPhotos where no photo shows a face."""
    store = RowStore(client.exam_rows, MAKERS)
    ruler = LabMap.name if practice else FaceEmbedding.name
    taught = sorted(path for folder in client.dataset_folders() for path in folder.glob("*.png"))
    held_files = [file for file, _scene in photos]
    portraits = _files(painted.base, *painted.sets.values())
    dressed = _files(painted.strangers, *painted.dressed.values())
    yield from store.measure([(ruler, [*held_files, *portraits, *dressed]), (Backdrop.name, [*held_files, *taught, *portraits])])
    known = _with_face(store.rows(ruler, held_files))  # a photo in which the face was not found again says nothing
    kept = [one for one, use in zip(photos, known, strict=True) if use]
    if not kept:
        raise NoHeldBackPhotos(client=client.display_name)
    files, scenes = tuple(file for file, _scene in kept), tuple(scene for _file, scene in kept)
    evidence = _compute(store, ruler, files, scenes, painted)
    signs = _signs(store, evidence, taught)
    farther = (yield from _second_ruler(store, evidence)) if practice else {}
    return replace(evidence, signs=tuple(replace(one, farther=farther.get(at)) for at, one in enumerate(signs)))


def _compute(store: RowStore, ruler: str, files: tuple[Path, ...], scenes: tuple[int, ...], painted: Painted) -> Evidence:
    """Distances and gates; signs are not known yet."""
    held, others = store.rows(ruler, files), store.rows(ruler, _files(painted.strangers))
    own = [store.rows(ruler, _files(painted.sets[one])) for one in painted.candidates]
    prompts = prompt_numbers(len(painted.base))
    people = [stranger_of(prompt) for prompt in prompts]
    faces = ruler == FaceEmbedding.name
    scaled = _as_they_are if faces else within_person(others, people)
    photos = scaled(held)
    far = _filled(apart(scaled(others), photos), np.float64(0))
    distances = np.stack([_filled(apart(scaled(each), photos), far) for each in own])
    gates = tuple(
        _face_gate(each, others, held, scenes, prompts) if faces else separation_gate(some, far, prompts, people, scenes)
        for each, some in zip(own, distances, strict=True)
    )
    base = _filled(apart(scaled(store.rows(ruler, _files(painted.base))), photos), far)
    return Evidence(ruler, files, scenes, painted, painted.candidates, distances, base, far, gates, (), scaled)


def _as_they_are(rows: Array) -> Array:
    """Embeddings need no scaling: what does not tell people apart was trained out of them."""
    return rows


def _second_ruler(store: RowStore, evidence: Evidence) -> Generator[Event, None, dict[int, float | None]]:
    """By the places of candidates looked at closely, how much farther than strangers dlib finds them; without its files nothing."""
    painted, places = evidence.painted, [at for at, one in enumerate(evidence.candidates) if one in evidence.painted.dressed]
    sets = [painted.sets[evidence.candidates[at]] for at in places]
    name = BoxEmbedding.name
    if not places:
        return {}
    try:
        yield from store.measure([(name, [*evidence.photos, *_files(painted.strangers, *sets)])])
    except (ModelMissing, ImportError):
        return {}
    held = store.rows(name, evidence.photos)
    others, *own = (apart(store.rows(name, _files(some)), held) for some in (painted.strangers, *sets))
    prompts = prompt_numbers(len(others))
    return {at: farther_share(distances, others, prompts) for at, distances in zip(places, own, strict=True)}


def _signs(store: RowStore, evidence: Evidence, taught: Sequence[Path]) -> tuple[Signs, ...]:
    """What else can be told of each candidate; whether it leaks only of those looked at closely."""
    painted, prompts, name = evidence.painted, prompt_numbers(len(evidence.painted.base)), Backdrop.name
    alone, photos = store.rows(name, _files(painted.base)), store.rows(name, evidence.photos)
    training = store.rows(name, taught) if taught else None
    with_face = float(np.mean(_with_face(store.rows(evidence.ruler, _files(painted.base)))))
    held = evidence.scaled(store.rows(evidence.ruler, evidence.photos))
    signs = []
    for at, one in enumerate(evidence.candidates):
        files = _files(painted.sets[one])
        faces = float(np.mean(_with_face(store.rows(evidence.ruler, files)))) / with_face if with_face else None
        leak = None
        if one in painted.dressed:
            moved = apart(evidence.scaled(store.rows(evidence.ruler, _files(painted.dressed[one]))), held)
            leak = leak_share(evidence.stranger_distances, _filled(moved, evidence.stranger_distances), evidence.distances[at])
        signs.append(measure_signs(store.rows(name, files), alone, prompts, training, photos, leak, faces))
    return tuple(signs)


def prompt_numbers(portraits: int) -> list[int]:
    """The number of each portrait's prompt: each prompt with every seed, one after another."""
    return [at // len(SEEDS) for at in range(portraits)]


def _files(*sets: Sequence[Portrait]) -> list[Path]:
    return [portrait.file for portraits in sets for portrait in portraits]


def _filled(distances: Array, far: Array | np.float64) -> Array:
    """Distances with those of pictures without a face taken from elsewhere: the strangers', and theirs from their own mean."""
    missing = np.isnan(distances)
    if not missing.any():
        return distances
    if np.ndim(far) == 0:
        far = np.broadcast_to(np.nanmean(distances, axis=0) if not missing.all() else np.ones(distances.shape[1]), distances.shape)
    filled: Array = np.where(missing, far, distances)
    return filled


def _with_face(rows: Array) -> list[bool]:
    """Which pictures had something to measure."""
    return [not bool(np.isnan(row).any()) for row in rows]


def _face_gate(own: Array, strangers: Array, held: Array, scenes: Sequence[int], prompts: Sequence[int]) -> Gate:
    """The gate on the portraits in which a face was found; without faces it is nobody."""
    both = [one and other for one, other in zip(_with_face(own), _with_face(strangers), strict=True)]
    if sum(both) < 2:
        return Gate(Standing.NOT, 1.0, provisional=True)
    names = np.asarray(scenes)
    by_scene = np.stack([held[names == scene].mean(axis=0) for scene in dict.fromkeys(scenes)])
    return embedding_gate(own[both], strangers[both], by_scene, [prompt for prompt, use in zip(prompts, both, strict=True) if use])
