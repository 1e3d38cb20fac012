"""From pictures to a verdict: everything of an exam measured by the rulers of its base, then gates, flags and the rule.

On the practice base the colour map rules, with dlib on the fixed box beside it for what would be chosen; on others dlib's numbers
of the face do. A portrait in which no face is found counts as far from the client as the stranger of its prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from client_folder.client import Client
from exam.errors import NoHeldBackPhotos
from exam.flags import Signs, leak_share, measure_signs
from exam.gates import Gate, auc_gate, embedding_gate
from exam.prompts import SEEDS
from exam.records import Examinee, ExamReason, ExamVerdict, Standing
from exam.rulers import Backdrop, BoxEmbedding, FaceEmbedding, LabMap, Ruler, apart, read_files
from exam.verdict import Array, decide
from faces.detector import MtcnnDetector
from faces.identity import FaceRecogniser
from portraits.portrait import Portrait
from portraits.recipes import DEFAULT_WEIGHT
from training.checkpoints import Checkpoint
from utils import ModelMissing


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured: rows of each set of portraits and of the held-back photos, and what follows from them.

    `distances` is [candidate, portrait, photo]. `looked_at` are the places of candidates that were looked at more closely.
    """

    practice: bool
    ruler: Ruler
    photos: tuple[Path, ...]
    scenes: tuple[int, ...]
    base: tuple[Portrait, ...]
    strangers: tuple[Portrait, ...]
    checkpoints: tuple[Checkpoint, ...]
    painted: tuple[tuple[Portrait, ...], ...]
    held: Array
    distances: Array
    base_distances: Array
    stranger_distances: Array
    gates: tuple[Gate, ...]
    signs: tuple[Signs, ...]
    looked_at: frozenset[int] = frozenset()

    @property
    def prompts(self) -> list[int]:
        """The number of each portrait's prompt."""
        return prompt_numbers(len(self.base))

    @classmethod
    def gather(
        cls,
        client: Client,
        photos: Sequence[tuple[Path, int]],
        base: tuple[Portrait, ...],
        strangers: tuple[Portrait, ...],
        sets: dict[Checkpoint, tuple[Portrait, ...]],
        *,
        practice: bool,
    ) -> Evidence:
        """Measure every picture once; raises NoHeldBackPhotos where no photo shows a face."""
        ruler: Ruler = LabMap() if practice else FaceEmbedding(FaceRecogniser().describe, MtcnnDetector().find)
        held = read_files(ruler, [file for file, _scene in photos])
        known = _with_face(held)  # a photo in which the face was not found again says nothing
        if not any(known):
            raise NoHeldBackPhotos(client=client.display_name)
        kept = [one for one, use in zip(photos, known, strict=True) if use]
        held, files, scenes = held[known], tuple(file for file, _scene in kept), tuple(scene for _file, scene in kept)
        rows = {name: read_files(ruler, _files(some)) for name, some in [("base", base), ("strangers", strangers)]}
        own = [read_files(ruler, _files(some)) for some in sets.values()]
        far = _filled(apart(rows["strangers"], held), np.float64(0))
        distances = np.stack([_filled(apart(each, held), far) for each in own])
        prompts = prompt_numbers(len(base))
        gates = [
            auc_gate(some, far, prompts, scenes) if practice else _face_gate(each, rows["strangers"], held, scenes, prompts)
            for each, some in zip(own, distances, strict=True)
        ]
        return cls(
            practice, ruler, files, scenes, base, strangers, tuple(sets), tuple(sets.values()), held, distances,
            _filled(apart(rows["base"], held), far), far, tuple(gates),
            _signs(client, files, base, tuple(sets.values()), rows["base"], own),
        )  # fmt: skip

    def candidates(self) -> tuple[Examinee, ...]:
        """The checkpoints as the verdict takes them."""
        return tuple(
            Examinee(one.step, DEFAULT_WEIGHT, one.path.name, gate.standing, signs.flags)
            for one, gate, signs in zip(self.checkpoints, self.gates, self.signs, strict=True)
        )

    def decide(self) -> ExamVerdict:
        """The verdict on what is known so far."""
        found = decide(self.candidates(), self.distances, self.base_distances, self.prompts, self.scenes)
        provisional = (ExamReason.PROVISIONAL,) if any(gate.provisional for gate in self.gates) else ()
        return replace(found, reasons=(*found.reasons, *provisional))

    def look_closer(self, at: int, dressed: Sequence[Portrait]) -> Evidence:
        """The same with what strangers painted with that checkpoint show of it, and a second ruler of who it is."""
        moved = _filled(apart(read_files(self.ruler, _files(dressed)), self.held), self.stranger_distances)
        signs = replace(
            self.signs[at],
            leak=leak_share(self.stranger_distances, moved, self.distances[at]),
            identity_unsure=self.practice and self._second_ruler_doubts(at),
        )
        return replace(self, signs=(*self.signs[:at], signs, *self.signs[at + 1 :]), looked_at=self.looked_at | {at})

    def _second_ruler_doubts(self, at: int) -> bool:
        """Whether dlib finds the portraits no nearer to the client than the strangers are; without its files nobody doubts."""
        try:
            ruler = BoxEmbedding(FaceRecogniser().describe)
        except (ModelMissing, ImportError):
            return False
        held = read_files(ruler, self.photos)
        own, others = (apart(read_files(ruler, _files(some)), held).mean() for some in (self.painted[at], self.strangers))
        return bool(own >= others)


def prompt_numbers(portraits: int) -> list[int]:
    """The number of each portrait's prompt: each prompt with every seed, one after another."""
    return [at // len(SEEDS) for at in range(portraits)]


def _files(portraits: Sequence[Portrait]) -> list[Path]:
    return [portrait.file for portrait in portraits]


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


def _signs(
    client: Client,
    photos: Sequence[Path],
    base: Sequence[Portrait],
    sets: Sequence[Sequence[Portrait]],
    base_rows: Array,
    own: Sequence[Array],
) -> tuple[Signs, ...]:
    """What can be told of each candidate from its portraits alone."""
    ruler, prompts = Backdrop(), prompt_numbers(len(base))
    alone, held = read_files(ruler, _files(base)), read_files(ruler, photos) if photos else None
    taught = sorted(path for folder in client.dataset_folders() for path in folder.glob("*.png"))
    training = read_files(ruler, taught) if taught else None
    with_face = float(np.mean(_with_face(base_rows)))
    signs = []
    for some, rows in zip(sets, own, strict=True):
        faces = float(np.mean(_with_face(rows))) / with_face if with_face else None
        signs.append(measure_signs(read_files(ruler, _files(some)), alone, prompts, training, held, faces=faces))
    return tuple(signs)
