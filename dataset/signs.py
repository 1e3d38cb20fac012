"""The signs that the dataset doctor knows: what each is called, what it says with its numbers, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from locales.language import N_, Labelled, _


class Level(IntEnum):
    """How much a finding weighs."""

    NOTE = 0
    WARNING = 1
    NO_GO = 2


class Sign(Labelled):
    """What the doctor looks for. Behind each code: a word or two, the sentence in plain words that waits for a symptom's counts,
    the remedy, and a line with what was measured, where that says more than the sentence."""

    english_sentence: str
    english_remedy: str
    english_detail: str

    def __init__(self, code: str, label: str = "", sentence: str = "", remedy: str = "", detail: str = "") -> None:
        super().__init__(code, label)
        self.english_sentence, self.english_remedy, self.english_detail = sentence, remedy, detail

    # fmt: off
    NO_DATASET = (
        "no_dataset", N_("no dataset"),
        N_("there is no dataset yet"),
        N_("Build the dataset."),
    )
    NOT_CURRENT = (
        "not_current", N_("out of date"),
        N_("pictures, captions or settings have changed since it was built"),
        N_("Build the dataset again."),
    )
    EXAM_LEAK = (
        "exam_leak", N_("exam"),
        N_("{measured:.0f} pictures are, or nearly repeat, a photo that is kept back to measure likeness with"),
        N_("Take them out, or build the dataset again."),
    )
    FEW_EFFECTIVE = (
        "few_effective", N_("few pictures"),
        N_("only {measured:.0f} really different pictures, at least {limit:.0f} are needed"),
        N_("Add pictures of other days, places and clothes."),
    )
    NEAR_DUPLICATES = (
        "near_duplicates", N_("near-duplicates"),
        N_("{measured:.0f} of {limit:.0f} pictures nearly repeat another and count twice"),
        N_("Take out all but the best of each group."),
    )
    SEVERAL_PEOPLE = (
        "several_people", N_("several people"),
        N_("these photos show {measured:.0f} people: which of them is the client?"),
        N_("Say which face is the client's."),
    )
    SEVERAL_DRAWN = (
        "several_drawn", N_("several people"),
        N_("these MidJourney pictures show {measured:.0f} people: which of them is the client?"),
        N_("Say which face is the client's."),
    )
    IDENTITY_UNKNOWN = (
        "identity_unknown", N_("identity"),
        N_("nobody knows who the client is, so others cannot be told apart"),
        N_("Add photos of the client alone, or say which face is the client's."),
    )
    IDENTITY_OUTLIERS = (
        "identity_outliers", N_("not alike"),
        N_("{count} of {total} photos may show somebody else"),
        N_("Look at them, and take out who is not the client."),
        N_("up to {measured:.2f} away from the client's other photos; from {limit:.2f} on it is doubtful"),
    )
    DRIFT = (
        "drift", N_("somebody else"),
        N_("{count} of {total} MidJourney pictures show somebody else"),
        N_("Take them out, or replace them by images nearer to the client."),
        N_("up to {measured:.2f} away from the client; over {limit:.2f} is another person"),
    )
    DRIFT_OVERALL = (
        "drift_overall", N_("somebody else"),
        N_("{count} of {total} MidJourney pictures show somebody else"),
        N_("Take them out, and make images with a stronger reference. If they are right, choose the client's face anew."),
        N_("half of them are {measured:.2f} or more away from the client; over {limit:.2f} is another person"),
    )
    ROUGHLY_ALIKE = (
        "roughly_alike", N_("roughly alike"),
        N_("most MidJourney pictures look only roughly like the client"),
        N_("Make images with a stronger reference, or raise distribution.share_real."),
        N_("half of them are {measured:.2f} or more away from the client, wanted is {limit:.2f}"),
    )
    SECOND_FACES = (
        "second_faces", N_("second faces"),
        N_("in {measured:.0f} crops somebody else can be seen"),
        N_("Take them out, or crop the originals closer."),
    )
    SAME_POSE = (
        "same_pose", N_("same pose"),
        N_("all heads are turned alike"),
        N_("Add pictures from other sides: the LoRA will know no other pose."),
        N_("spread {measured:.3f}, wanted {limit:.2f}"),
    )
    SAME_LIGHT = (
        "same_light", N_("same light"),
        N_("all faces are lit alike"),
        N_("Add pictures in other light: it will be learned as part of the face."),
        N_("spread {measured:.1f}, wanted {limit:.0f}"),
    )
    SAME_BACKGROUND = (
        "same_background", N_("same background"),
        N_("all backgrounds are alike"),
        N_("Add pictures before other backgrounds, and name this one in the captions."),
        N_("spread {measured:.0f}, wanted {limit:.0f}"),
    )
    SAME_FRAMING = (
        "same_framing", N_("same framing"),
        N_("every crop shows the head at the same size"),
        N_("This is usual for portraits; figures at full length will be harder to paint."),
        N_("spread {measured:.3f}"),
    )
    NO_TRIGGER = (
        "no_trigger", N_("trigger word"),
        N_("{measured:.0f} captions lack the trigger word: nothing will be tied to it"),
        N_("Write the client's name into those captions."),
    )
    CAPTION_LEAK = (
        "caption_leak", N_("same words"),
        N_("\"{phrase}\" stands in {measured:.0%} of the captions and will be learned with the client"),
        N_("Take it out of some captions, or add pictures of which it is not true."),
    )
    FACE_NAMED = (
        "face_named", N_("face described"),
        N_("{measured:.0f} captions describe the face, which then is not learned as the client's"),
        N_("Take hair, eyes, skin and age out of those captions."),
    )
    SHARE_OFF = (
        "share_off", N_("balance"),
        N_("{measured:.1%} of what is seen is real, {limit:.1%} was wanted"),
        N_("Add pictures of the kind that lacks, or set distribution.share_real to what can be reached."),
    )
    UNKNOWN_PICTURES = (
        "unknown_pictures", N_("unknown"),
        N_("{measured:.0f} pictures were not put there by this program and cannot be judged"),
        N_("Import them, or take them out of the folder."),
    )
    HELD_BACK = (
        "held_back", N_("kept back"),
        N_("{measured:.0f} photos are kept back to measure likeness with: the LoRA never sees them"),
        "",
    )
    EXAM_ONE_SCENE = (
        "exam_one_scene", N_("nothing kept back"),
        N_("no photo is kept back to measure likeness with: all {measured:.0f} are of too few days or places"),
        N_("Add photos of other days."),
    )
    EXAM_TWINS = (
        "exam_twins", N_("left out"),
        N_("{measured:.0f} pictures are left out: they nearly repeat a photo that is kept back"),
        "",
    )
    ENLARGED = (
        "enlarged", N_("enlarged"),
        N_("{measured:.0f} crops were enlarged more than {limit:.1f} times and are soft"),
        N_("Use the originals in full size, or pictures taken from nearer."),
    )
    # fmt: on

    @property
    def remedy(self) -> str:
        """What to do about it, in the user's language; empty where nothing is to be done."""
        return _(self.english_remedy) if self.english_remedy else ""  # gettext answers an empty text with its catalogue's header


# What is said where a sentence counts one picture, photo, crop or caption.
_OF_ONE = {
    Sign.EXAM_LEAK: N_("one picture is, or nearly repeats, a photo that is kept back to measure likeness with"),
    Sign.FEW_EFFECTIVE: N_("only one really different picture, at least {limit:.0f} are needed"),
    Sign.NEAR_DUPLICATES: N_("one of {limit:.0f} pictures nearly repeats another and counts twice"),
    Sign.IDENTITY_OUTLIERS: N_("one of {total} photos may show somebody else"),
    Sign.DRIFT: N_("one of {total} MidJourney pictures shows somebody else"),
    Sign.DRIFT_OVERALL: N_("one of {total} MidJourney pictures shows somebody else"),
    Sign.SECOND_FACES: N_("in one crop somebody else can be seen"),
    Sign.NO_TRIGGER: N_("one caption lacks the trigger word: nothing will be tied to it"),
    Sign.FACE_NAMED: N_("one caption describes the face, which then is not learned as the client's"),
    Sign.UNKNOWN_PICTURES: N_("one picture was not put there by this program and cannot be judged"),
    Sign.HELD_BACK: N_("one photo is kept back to measure likeness with: the LoRA never sees it"),
    Sign.EXAM_TWINS: N_("one picture is left out: it nearly repeats a photo that is kept back"),
    Sign.ENLARGED: N_("one crop was enlarged more than {limit:.1f} times and is soft"),
}


@dataclass(frozen=True, slots=True)
class Symptom:
    """One finding: its pictures by stem, what was measured, the limit, and which pictures to take out (empty: none helps).

    `total` are the pictures among which these were found, where the sentence names both.
    """

    sign: Sign
    level: Level
    pictures: tuple[str, ...] = ()
    measured: float = 0.0
    limit: float = 0.0
    phrase: str = ""
    cure_by_removing: tuple[str, ...] = ()
    total: int = 0

    @property
    def sentence(self) -> str:
        """What was found, in plain words, in the user's language."""
        counted = len(self.pictures) if self.total else self.measured
        return self._filled(_OF_ONE.get(self.sign, self.sign.english_sentence) if counted == 1 else self.sign.english_sentence)

    @property
    def detail(self) -> str:
        """What was measured, in the user's language; empty where the sentence says it already."""
        return self._filled(self.sign.english_detail) if self.sign.english_detail else ""

    def _filled(self, text: str) -> str:
        return _(text).format(
            measured=self.measured, limit=self.limit, phrase=self.phrase, count=len(self.pictures), total=self.total
        )
