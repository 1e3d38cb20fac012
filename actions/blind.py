"""The action of the blind test: a person says which of two portraits is more like the client, not knowing who painted them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field

from actions.action import Action, Answer, FollowUp, Shown, Stage
from actions.request import Ask, ClientRequest, Job, Menu
from exam.agreement import Agreement
from exam.blind import MOST_PAIRS, BlindReport, Nearer, ShownPair, answer_pairs, pair_to_judge
from locales.language import N_, _

_QUESTION = N_("Which one is more like the person?")
_ANSWERS_HELP = N_("answers to the pairs that come next, with commas: left, right, or same where you see no difference")
_PAIRS_HELP = N_("how many pairs in all (20 unless said otherwise)")


def read_answers(given: Any) -> Any:
    """Answers, each a word or a text of words with commas or blanks between them; raises ValueError."""
    words = [word for one in given for word in (one.replace(",", " ").split() if isinstance(one, str) else [one])]
    if unknown := [word for word in words if word not in set(Nearer)]:
        raise ValueError(_("{word} is no answer: left, right or same is wanted").format(word=unknown[0]))
    return words


def _rows(_job: Job[BlindRequest]) -> list[tuple[str, str]]:
    return [(one.value, one.label) for one in Nearer]


def _pair(job: Job[BlindRequest]) -> ShownPair | None:
    return pair_to_judge(job.who, job.request.pairs)


class BlindRequest(ClientRequest):
    """Whose exam to test, and what was answered."""

    answers: Annotated[
        tuple[str, ...],
        BeforeValidator(read_answers),
        Ask(
            _ANSWERS_HELP, "--answers", "WORDS", menu=Menu.CHOICE, question=_QUESTION, offer=_rows, show=_pair,
            when=lambda job: not job.request.again and _pair(job) is not None,
        ),
    ] = ()  # fmt: skip
    pairs: Annotated[int | None, Field(ge=1, le=MOST_PAIRS), Ask(_PAIRS_HELP, "--pairs", "N")] = None
    again: Annotated[bool, Ask(N_("forget what was answered, and begin again with other pairs"), "--again")] = False


class PairAnswer(Answer):
    """A pair to judge: its number from 1 on, and the picture that shows the photo, the left portrait and the right one."""

    number: int
    picture: Path


class BlindAnswerSheet(Answer):
    """How far the test is, and how often the answers agree with the exam (null: none chose a side).

    `waiting` are the pairs to judge: all that are left or, where answers were given now, the next.
    """

    answered: int
    pairs: int
    waiting: tuple[PairAnswer, ...]
    agreement: Agreement | None
    record: Path

    @classmethod
    def of(cls, report: BlindReport) -> Self:
        """The report."""
        return cls.model_validate(report)


def _answer(job: Job[BlindRequest]) -> Stage:
    request = job.request
    return answer_pairs(job.who, tuple(map(Nearer, request.answers)), request.pairs, again=request.again)


def _goes_on(job: Job[BlindRequest], report: BlindReport) -> bool:
    """Whether a person is asked for the next pair at once."""
    return bool(report.waiting) and bool(job.request.answers or job.request.again)


def _made(job: Job[BlindRequest], report: BlindReport) -> tuple[Path, ...]:
    """The next pair, for whoever was not asked about it."""
    return () if _goes_on(job, report) else tuple(one.picture for one in report.waiting[:1])


def _offers(job: Job[BlindRequest], report: BlindReport) -> tuple[FollowUp, ...]:
    """Once all pairs were judged: other pairs."""
    if report.waiting:
        return ()
    return (FollowUp(_("Begin again with other pairs"), "blind", BlindRequest(client=job.who.id, again=True)),)


BLIND = Action(
    "blind", BlindRequest, _answer, BlindAnswerSheet.of, in_turn=True,
    then=lambda job, report: ("blind",) if _goes_on(job, report) else (), made=_made,
    shown=lambda job, report: tuple(Shown(path) for path in _made(job, report)), offers=_offers,
)  # fmt: skip
ACTIONS = (BLIND,)
