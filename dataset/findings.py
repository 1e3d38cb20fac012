"""What is worth knowing of a dataset when it is planned, and the words for whether it is worth a training's hours."""

from __future__ import annotations

from dataclasses import dataclass

from locales.language import N_, Labelled

SHARE_WARNING = 0.02  # the share of photos may be so far from the wanted one before it is worth a word
FEW_PICTURES = 10  # under this many, a LoRA repeats poses and backgrounds more than it learns the face


class Readiness(Labelled):
    """Whether a training with this dataset is worth its hours."""

    GO = "go", N_("ready to train")
    WARNINGS = "warnings", N_("can be trained, with warnings")
    NO_GO = "no-go", N_("not ready to train")


class FindingCode(Labelled):
    """What is worth knowing; the label waits for the numbers of a `Finding`."""

    # measured: pictures
    ONLY_MIDJOURNEY = (
        "only_midjourney",
        N_("only MidJourney images ({measured:.0f}): the LoRA learns what MidJourney made of the client"),
    )
    # measured: pictures
    ONLY_PHOTOS = "only_photos", N_("only photos ({measured:.0f}): good, as long as light and background vary")
    # measured and limit: the share reached and the share wanted
    SHARE_OFF = "share_off", N_("{measured:.1%} of what is seen is real, {limit:.1%} was wanted: whole repeats come no nearer")
    # measured: pictures, limit: enough
    FEW_PICTURES = "few_pictures", N_("{measured:.0f} pictures are few; from {limit:.0f} on, less is learned by heart")
    # measured: pictures enlarged more than the limit, in times
    ENLARGED = "enlarged", N_("{measured:.0f} crops were enlarged more than {limit:.1f} times and are soft")
    # measured: photos in the exam, limit: scenes they make
    HELD_BACK = "held_back", N_("{measured:.0f} photos of {limit:.0f} days or places are kept back to measure likeness with")
    # measured: photos that all belong to too few scenes to hold some back
    EXAM_ONE_SCENE = (
        "exam_one_scene",
        N_("no photo is kept back to measure likeness with: all {measured:.0f} are of too few days or places"),
    )
    # measured: pictures left out because they repeat a photo of the exam
    EXAM_TWINS = "exam_twins", N_("{measured:.0f} pictures are left out: they nearly repeat a photo that is kept back")


@dataclass(frozen=True, slots=True)
class Finding:
    """One of them, with its numbers."""

    code: FindingCode
    measured: float
    limit: float = 0.0

    @property
    def sentence(self) -> str:
        """The finding with its numbers, in the user's language."""
        return self.code.label.format(measured=self.measured, limit=self.limit)
