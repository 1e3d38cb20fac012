"""A person's blind test of the exam: which of two unlabelled portraits is more like the client in a real, held-back photo.

Both portraits have the same prompt and seed and come from different checkpoints. Which pairs are shown follows from a seed in
`exam/blind.json` and from the exam's report, so that a test that was stopped or killed goes on with the pair it stood at. A record
belongs to one report, by its hash: answers about an older exam count for nothing in a newer one.
"""

from __future__ import annotations

import random
import secrets
import shutil
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Literal

from pydantic import ConfigDict, Field

from client_folder.client import Client
from exam.agreement import Agreement, agreement_of
from exam.report import ExamFile
from locales.language import N_, Labelled, _
from pictures.contact_sheet import Cell, contact_sheet
from portraits.recipes import DEFAULT_WEIGHT
from utils import Event, NotReady, PipelineError, Progress, Record, read_record, sha256_file, whole_png, write_record

STAGE = "blind"
PAIRS = 20
MOST_PAIRS = 100
PAIR_CELL_PX = 320  # of each picture of a pair
_BASE = -1  # the base alone, among the places of candidates


class NothingToCompare(PipelineError):
    """Facts: client."""

    message = N_("The last exam of {client} has no two sets of portraits that could be shown side by side.")
    hint = N_("Examine the checkpoints again.")


class PortraitsGone(PipelineError):
    """Facts: client, file."""

    message = N_("A picture that the exam of {client} judged by is gone: {file}")
    hint = N_("Examine the checkpoints again: it paints what is missing, and the test goes on.")


class MoreAnswersThanPairs(PipelineError):
    """Facts: answers, pairs."""

    message = N_("{answers} answers, but only {pairs} pairs are left. None was kept.")
    hint = N_("Ask for more pairs with --pairs, or begin again with --again.")


class Nearer(Labelled):
    """An answer: which portrait is more like the person in the photo."""

    LEFT = "left", N_("the left one")
    RIGHT = "right", N_("the right one")
    SAME = "same", N_("no difference")


class BlindPair(Record):
    """What was shown: places in the exam's report of the candidates (-1: the base alone), of the portrait in each, of the photo."""

    model_config = ConfigDict(frozen=True)

    left: int
    right: int
    portrait: int
    photo: int


class BlindAnswer(BlindPair):
    """A pair with what was answered; `nearer` is the side that the exam's distances say is nearer."""

    answer: Nearer
    nearer: Nearer


class BlindRecord(Record):
    """`exam/blind.json`: whose exam by the SHA-256 of its report, the seed of its pairs, how many are wanted, what was answered."""

    model_config = ConfigDict(frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    report_sha256: str
    seed: int
    pairs: int = PAIRS
    answers: tuple[BlindAnswer, ...] = ()
    agreement: Agreement | None = None


@dataclass(frozen=True, slots=True)
class ShownPair:
    """A pair to judge: its number from 1 on, of how many, the picture that shows all three, and each of them."""

    number: int
    pairs: int
    picture: Path
    photo: Path
    left: Path
    right: Path


@dataclass(frozen=True, slots=True)
class BlindReport:
    """How far the test is: of `pairs`, `answered` were judged, `given` of them now.

    `waiting` are to be judged still: all of them where nothing was answered now, for whoever answers them at once; else the next.
    """

    answered: int
    pairs: int
    given: int
    waiting: tuple[ShownPair, ...]
    agreement: Agreement | None
    record: Path


# --- the stage --------------------------------------------------------------------------------------------------------
def answer_pairs(
    client: Client, answers: Sequence[Nearer] = (), pairs: int | None = None, *, again: bool = False
) -> Generator[Event, None, BlindReport]:
    """Keep answers about the pairs that come next, and lay out what is left to judge.

    `pairs` is how many are wanted in all, None: as many as before; `again` forgets what was answered.

    Raises NotReady without an exam, NothingToCompare, PortraitsGone, MoreAnswersThanPairs, BrokenFile.
    """
    if again:
        _forget(client)
    test = _Test.begun(client, pairs).answered(answers)
    if answers or pairs:
        write_record(client.blind_record, test.record)
    waiting = []
    for number in range(len(test.record.answers), len(test.drawn))[: 1 if answers else None]:
        if not whole_png(test.picture(number)):
            yield Progress(STAGE, number, len(test.drawn))
        waiting.append(test.lay_out(number))
    answered = len(test.record.answers)
    return BlindReport(answered, len(test.drawn), len(answers), tuple(waiting), test.record.agreement, client.blind_record)


def pair_to_judge(client: Client, pairs: int | None = None) -> ShownPair | None:
    """The pair that comes next, its picture written; None where all were judged. Raises as `answer_pairs` does."""
    test = _Test.begun(client, pairs)
    done = len(test.record.answers)
    return test.lay_out(done) if done < len(test.drawn) else None


def agreement_with(report: Path, record: Path) -> Agreement | None:
    """What a person's answers say of the exam of this very report; None where nobody was asked. Raises BrokenFile."""
    found = read_record(record, BlindRecord) if record.is_file() else None
    return found.agreement if found and found.report_sha256 == sha256_file(report) else None


def _forget(client: Client) -> None:
    client.blind_record.unlink(missing_ok=True)
    shutil.rmtree(client.blind_pairs, ignore_errors=True)  # a picture that is open in a viewer may stay: its name has the seed


@dataclass(frozen=True, slots=True)
class _Test:
    """A test of a client's exam as far as it is; `drawn` are its pairs, those that were answered first."""

    client: Client
    report: ExamFile
    record: BlindRecord
    drawn: tuple[BlindPair, ...]

    @classmethod
    def begun(cls, client: Client, pairs: int | None = None) -> _Test:
        """The test of the newest exam; where there is none yet, its seed is drawn and written down before a pair is shown."""
        if not client.exam_report.is_file():
            raise NotReady(step=_("The blind test"), reason=_("examine the checkpoints first"))
        report, digest = read_record(client.exam_report, ExamFile), sha256_file(client.exam_report)
        record = read_record(client.blind_record, BlindRecord) if client.blind_record.is_file() else None
        if record is None or record.report_sha256 != digest:
            _forget(client)
            record = BlindRecord(report_sha256=digest, seed=secrets.randbelow(2**32))
            write_record(client.blind_record, record)
        record = record.model_copy(update={"pairs": max(pairs or record.pairs, len(record.answers))})
        drawn = tuple(draw_pairs(report, record.seed, record.pairs))
        if not drawn:
            raise NothingToCompare(client=client.display_name)
        return cls(client, report, record, drawn)

    def answered(self, answers: Sequence[Nearer]) -> _Test:
        """The same with these answers to the pairs that come next."""
        pairs = self.drawn[len(self.record.answers) :]
        if len(answers) > len(pairs):
            raise MoreAnswersThanPairs(answers=len(answers), pairs=len(pairs))
        added = (
            BlindAnswer(**pair.model_dump(), answer=answer, nearer=nearer_side(self.report, pair))
            for pair, answer in zip(pairs, answers, strict=False)
        )
        kept = (*self.record.answers, *added)
        return replace(self, record=self.record.model_copy(update={"answers": kept, "agreement": agreement_in(kept)}))

    def picture(self, number: int) -> Path:
        """The picture that shows a pair."""
        return self.client.blind_pairs / f"pair_{number + 1}_{self.record.seed:08x}.png"

    def lay_out(self, number: int) -> ShownPair:
        """A pair as a picture; one that is there is not drawn again."""
        pair = self.drawn[number]
        photo = self.client.exam / self.report.photos[pair.photo]
        left, right = (
            self.client.exam_portraits / portraits_of(self.report, side)[pair.portrait] for side in (pair.left, pair.right)
        )
        for file in (photo, left, right):
            if not whole_png(file):
                raise PortraitsGone(client=self.client.display_name, file=file)
        picture = self.picture(number)
        if not whole_png(picture):
            row = (Cell(photo, _("photo")), Cell(left, _("left")), Cell(right, _("right")))
            contact_sheet([row], picture, cell_px=PAIR_CELL_PX)
        return ShownPair(number + 1, len(self.drawn), picture, photo, left, right)


# --- which pairs ------------------------------------------------------------------------------------------------------
def draw_pairs(report: ExamFile, seed: int, count: int) -> list[BlindPair]:
    """The first pairs of a seed, fewer where the portraits make no more; more of them begin with the same.

    The next is always of the couple of checkpoints, the portrait and the photo that were shown least so far, else by lot; sides are
    drawn by a coin. Two portraits that lie equally near by the exam are left out: nobody could agree with it.
    """
    chance = random.Random(seed)
    rest = [
        pair
        for left, right in combinations(_contestants(report), 2)
        for portrait in range(min(len(portraits_of(report, left)), len(portraits_of(report, right))))
        if nearer_side(report, pair := BlindPair(left=left, right=right, portrait=portrait, photo=0)) is not Nearer.SAME
    ]
    photos = list(range(len(report.photos)))
    chance.shuffle(rest)
    chance.shuffle(photos)
    drawn: list[BlindPair] = []
    shown: Counter[tuple[str, object]] = Counter()
    while rest and photos and len(drawn) < count:
        pair = min(rest, key=lambda one: (shown["couple", (one.left, one.right)], shown["portrait", one.portrait]))
        photo = min(photos, key=lambda one: shown["photo", one])
        rest.remove(pair)
        shown.update([("couple", (pair.left, pair.right)), ("portrait", pair.portrait), ("photo", photo)])
        sides = (pair.left, pair.right) if chance.random() < 0.5 else (pair.right, pair.left)
        drawn.append(BlindPair(left=sides[0], right=sides[1], portrait=pair.portrait, photo=photo))
    return drawn


def _contestants(report: ExamFile) -> list[int]:
    """The places of what is compared: one a checkpoint; the base alone beside a checkpoint that has no other to stand against."""
    places: dict[str, int] = {}
    for place, one in enumerate(report.candidates):
        if one.lora not in places or one.weight == DEFAULT_WEIGHT:  # of several weights of it, that of all checkpoints
            places[one.lora] = place
    return [*places.values(), *([_BASE] if len(places) == 1 else [])]


def portraits_of(report: ExamFile, place: int) -> tuple[str, ...]:
    """The file names of a candidate's portraits, or of the base's."""
    return report.base_portraits if place == _BASE else report.candidates[place].portraits


def nearer_side(report: ExamFile, pair: BlindPair) -> Nearer:
    """Which portrait of a pair lies nearer to the held-back photos, each scene of them counted once."""
    left, right = (_distance(report, place, pair.portrait) for place in (pair.left, pair.right))
    return Nearer.SAME if left == right else Nearer.LEFT if left < right else Nearer.RIGHT


def _distance(report: ExamFile, place: int, portrait: int) -> float:
    distances = (report.base_distances if place == _BASE else report.candidates[place].distances)[portrait]
    scenes: dict[int, list[float]] = {}
    for distance, scene in zip(distances, report.scenes, strict=True):
        scenes.setdefault(scene, []).append(distance)
    return fmean(map(fmean, scenes.values()))


def agreement_in(answers: Sequence[BlindAnswer]) -> Agreement | None:
    """What answers say of the exam; those that see no difference are counted apart."""
    sided = [one for one in answers if one.answer is not Nearer.SAME]
    return agreement_of(sum(one.answer is one.nearer for one in sided), len(sided), len(answers) - len(sided))
