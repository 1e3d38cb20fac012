"""Why a picture was refused: each reason with its label, its sentence and what would help. Records keep the code alone."""

from __future__ import annotations

from pydantic import ConfigDict

from locales.language import N_, Labelled, _
from utils import Record

_ANOTHER = N_("Leave it out, or replace it by the undamaged file.")
_BETTER_LIGHT = N_("Take it again in more even light, or correct the exposure of the RAW file and import it again.")
_LARGER = N_("Use the original in full size, or a picture taken from nearer.")


class Reason(Labelled):
    """Why a picture was refused; the code is all that records hold.

    Behind each code stand its texts in English: a label of a word or two (for contact sheets, headings and counts), a sentence with
    the numbers {measured} and {limit}, and what would help, which is left out where the sentence says it already.
    """

    english_sentence: str
    english_cure: str

    def __init__(self, code: str, label: str = "", sentence: str = "", cure: str = "") -> None:
        super().__init__(code, label)
        self.english_sentence, self.english_cure = sentence, cure

    UNREADABLE = "unreadable", N_("unreadable"), N_("cannot be read: damaged or cut off. Copy or download it again"), _ANOTHER
    OUT_OF_REACH = (
        "out_of_reach",
        N_("out of reach"),
        N_("the system would not read it: no right to, or a disk or share that is away. The next run looks again"),
        N_("Give yourself the right to read it, or bring the disk back, and run the same command again."),
    )
    EMPTY = "empty", N_("empty"), N_("the file is empty. Copy or download it again"), _ANOTHER
    NOT_A_PICTURE = (
        "not_a_picture",
        N_("not a picture"),
        N_("not a picture, whatever its name says. Leave it out, or download the picture itself"),
        _ANOTHER,
    )
    ANIMATED = (
        "animated",
        N_("animated"),
        N_("an animation or video. Save one picture of it and import that"),
        N_("Save one frame as a picture and import that."),
    )
    TOO_LARGE = (
        "too_large",
        N_("too large"),
        N_("too large to open safely. Make it smaller than 200 megapixels, and than 100,000 px on each side"),
        N_("Save it smaller and import it again."),
    )
    LINK_OUTSIDE = (
        "link_outside",
        N_("link outside"),
        N_("leads out of the folder given. Import the place it leads to, if it is yours"),
        N_("Copy the picture itself into the folder."),
    )
    ARCHIVE_DAMAGED = (
        "archive_damaged",
        N_("damaged archive"),
        N_("not a .zip that can be opened. Download it again, or unpack it and import the folder"),
    )
    ARCHIVE_TOO_LARGE = (
        "archive_too_large",
        N_("archive too large"),
        N_("holds more than an archive of pictures should. If it is yours, unpack it and import the folder"),
    )
    ARCHIVE_LOCKED = "archive_locked", N_("locked archive"), N_("locked with a password. Unpack it and import the folder")
    ARCHIVE_INSIDE = (
        "archive_inside",
        N_("archive inside"),
        N_("an archive inside an archive. Unpack the outer one and import the folder"),
    )
    LIST_UNREADABLE = (
        "list_unreadable",
        N_("unreadable list"),
        N_("a list that cannot be read. Save it again as CSV or JSON in UTF-8"),
    )
    NO_FACE = (
        "no_face",
        N_("no face"),
        N_("no face was found"),
        N_("Use a picture that shows the whole face, nearer and from the front."),
    )
    LOW_CONFIDENCE = (
        "low_confidence",
        N_("hardly a face"),
        N_("hardly a face: confidence {measured:.2f}, at least {limit:.2f} is needed"),
        N_("Use a picture with the whole face in view; if it is a face, accept it by hand."),
    )
    FACE_TOO_SMALL = (
        "face_too_small",
        N_("face too small"),
        N_("the face is too small: enlarged {measured:.1f} times, at most {limit:.1f}"),
        _LARGER,
    )
    SEVERAL_FACES = (
        "several_faces",
        N_("several faces"),
        N_("{measured:.0f} people, and nothing tells which is the client: point at the face"),
        N_("Point at the client's face once, import photos of the client alone, or crop the picture."),
    )
    TOO_DARK = "too_dark", N_("too dark"), N_("too dark: brightness {measured:.0f}, at least {limit:.0f}"), _BETTER_LIGHT
    TOO_BRIGHT = "too_bright", N_("too bright"), N_("too bright: brightness {measured:.0f}, at most {limit:.0f}"), _BETTER_LIGHT
    BURNT = "burnt", N_("overexposed"), N_("overexposed: {measured:.0%} is white, at most {limit:.0%}"), _BETTER_LIGHT
    LOW_CONTRAST = (
        "low_contrast",
        N_("too flat"),
        N_("too flat: contrast {measured:.0f}, at least {limit:.0f}"),
        N_("Raise the contrast of the original, or take it again without haze or back light."),
    )
    BLURRED = (
        "blurred",
        N_("blurred"),
        N_("blurred: measured {measured:.2f}, limit {limit:.2f}"),
        N_("Use a sharper picture of the same moment; sharpening afterwards brings no detail back."),
    )
    NOISY = (
        "noisy",
        N_("too noisy"),
        N_("too noisy: noise of {measured:.1f} grey levels, at most {limit:.1f}"),
        N_("Use a picture taken in more light, or one from which the noise was removed."),
    )
    CRUSHED = (
        "crushed",
        N_("crushed shadows"),
        N_("shadows without detail: {measured:.0%} of the face is black, at most {limit:.0%}"),
        _BETTER_LIGHT,
    )
    CUT_OFF = (
        "cut_off",
        N_("cut off"),
        N_("the head is cut off: {measured:.0%} of the square lies in the picture, at least {limit:.0%}"),
        N_("Use the picture before it was cropped, with some room around the head."),
    )
    TURNED_AWAY = (
        "turned_away",
        N_("turned away"),
        N_("turned away: {measured:.2f} of the distance of the eyes, at most {limit:.2f}"),
        N_("Use a picture in which both eyes can be seen."),
    )
    FEW_PIXELS = (
        "few_pixels",
        N_("too few pixels"),
        N_("the face is too small: {measured:.0f} pixels, at least {limit:.0f}"),
        _LARGER,
    )
    SOMEONE_ELSE = (
        "someone_else",
        N_("someone else"),
        N_("someone else: distance {measured:.2f} from the client, at most {limit:.2f}"),
        N_("Leave it out; if it is the client, accept it by hand."),
    )
    NO_SUCH_NUMBER = "no_such_number", N_("no such number"), N_("no face has that number; the preview shows them")

    @property
    def cure(self) -> str:
        """What would help, in the user's language; empty where the sentence says it already."""
        return _(self.english_cure) if self.english_cure else ""  # gettext answers an empty text with its catalogue's header


class Rejection(Record):
    """A refused picture: data, not an error. `measured` and `limit` are in the unit of the limit that failed."""

    model_config = ConfigDict(frozen=True)

    file: str  # relative to the client's folder; for an import, the path the user gave
    source: str  # the file's own name as the user knows it
    reason: Reason
    measured: float | None = None
    limit: float | None = None
    limit_name: str = ""  # the setting that would have to move

    @property
    def sentence(self) -> str:
        """Why it was refused, with the measure and its limit, in the user's language."""
        return _(self.reason.english_sentence).format(measured=self.measured or 0.0, limit=self.limit or 0.0)
