"""What an exam says in sentences, for every front that shows it."""

from __future__ import annotations

from exam.agreement import Agreement, Concord
from exam.records import ExamReason, Word
from exam.report import ExamFile
from locales.language import N_, _, ngettext

STEP = N_("Step {step} at weight {weight:g} looks most like the client, of {count} checkpoints examined.")
TIED = N_(
    "Step {step} at weight {weight:g} is as like the client as the best of {count} checkpoints examined; "
    "of the {tied} that are, it is the earliest."
)
NONE = N_("None of the {count} checkpoints examined can be recommended.")
ONE_ALONE = N_("Step {step} at weight {weight:g} is like the client; it was the one checkpoint examined.")
NOT_EVEN_ONE = N_("The one checkpoint examined cannot be recommended.")
HOW_SURE = N_("It went {score:.0%} of the way from the base to the best, between {low:.0%} and {high:.0%}, nine times in ten.")
BRING = N_("Bring more real photos of other days and places, or train longer, and examine again.")
BRING_SCENES = N_("Bring real photos of other days and places, nine in all: three of them are then held back.")
LEFT_OUT = N_("No time was left for: {names}")
AGREED = N_(
    "You agreed with the exam in {agreed} of {counted} pairs: {share:.0%}, between {low:.0%} and {high:.0%}, nine times in ten."
)
CONCORDS = {
    Concord.AGREES: N_("That is more than chance: your eyes and the exam see the same."),
    Concord.CHANCE: N_("That is no more than chance: so far your answers neither support the exam nor speak against it."),
    Concord.DISAGREES: N_("That is less than chance: your eyes say the opposite of the exam. Choose the checkpoint by eye."),
}


def verdict_said(file: ExamFile) -> str:
    """The verdict in a sentence; checkpoints are counted, not their weights."""
    count = len({one.step for one in file.candidates})
    if file.step is None:
        return _(NONE if count != 1 else NOT_EVEN_ONE).format(count=count)
    tied = len({one.step for one in file.candidates if one.lora in file.tied})
    sentence = TIED if file.verdict is Word.TIED and tied > 1 else STEP if count != 1 else ONE_ALONE
    return _(sentence).format(step=file.step, weight=file.weight, count=count, tied=tied)


def sureness_said(file: ExamFile) -> str:
    """How sure that is or, where none was chosen, what would help."""
    if file.step is None:
        return _(BRING)
    return _(HOW_SURE).format(score=file.score, low=file.low, high=file.high)


def remarks_said(file: ExamFile) -> tuple[str, ...]:
    """What else has to be known of it."""
    told = []
    if ExamReason.FEW_SCENES in file.reasons and file.step is not None:
        told.append(_(BRING_SCENES))
    if file.left_out:
        told.append(_(LEFT_OUT).format(names=", ".join(file.left_out)))
    return tuple(told)


def agreement_said(agreement: Agreement | None) -> tuple[str, ...]:
    """What a person's answers say of the exam: the numbers, what they mean, what is not counted."""
    if agreement is None:
        return (_("No answer chose a side, so there is nothing to compare the exam with."),)
    found = agreement.model_dump(include={"agreed", "counted", "share", "low", "high"})
    told = [_(AGREED).format(**found), _(CONCORDS[agreement.word])]
    if agreement.same:
        same = ngettext(
            "{count} time you saw no difference; it is not counted.",
            "{count} times you saw no difference; they are not counted.",
            agreement.same,
        )
        told.append(same.format(count=agreement.same))
    return tuple(told)
