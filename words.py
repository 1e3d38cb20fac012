"""The words for every code a record may carry: reasons, findings, verdicts. A code without words fails a test."""

from __future__ import annotations

from client_records import Reason, Rejection
from dataset import Finding, FindingCode, Verdict
from dataset_doctor import Sign, Symptom
from face_quality import CURES
from language import N_, _
from models import Allows
from training_cost import Part
from training_plan import Fit
from training_queue import Outcome

REASONS = {
    Reason.UNREADABLE: N_("cannot be read: damaged or cut off. Copy or download it again"),
    Reason.EMPTY: N_("the file is empty. Copy or download it again"),
    Reason.NOT_A_PICTURE: N_("not a picture, whatever its name says. Leave it out, or download the picture itself"),
    Reason.ANIMATED: N_("an animation or video. Save one picture of it and import that"),
    Reason.TOO_LARGE: N_("too many pixels to open safely. Make it smaller than 200 megapixels"),
    Reason.LINK_OUTSIDE: N_("leads out of the folder given. Import the place it leads to, if it is yours"),
    Reason.ARCHIVE_DAMAGED: N_("not a .zip that can be opened. Download it again, or unpack it and import the folder"),
    Reason.ARCHIVE_TOO_LARGE: N_("holds more than an archive of pictures should. If it is yours, unpack it and import the folder"),
    Reason.ARCHIVE_LOCKED: N_("locked with a password. Unpack it and import the folder"),
    Reason.ARCHIVE_INSIDE: N_("an archive inside an archive. Unpack the outer one and import the folder"),
    Reason.LIST_UNREADABLE: N_("a list that cannot be read. Save it again as CSV or JSON in UTF-8"),
    Reason.NO_FACE: N_("no face was found"),
    Reason.LOW_CONFIDENCE: N_("hardly a face: confidence {measured:.2f}, at least {limit:.2f} is needed"),
    Reason.FACE_TOO_SMALL: N_("the face is too small: enlarged {measured:.1f} times, at most {limit:.1f}"),
    Reason.SEVERAL_FACES: N_("{measured:.0f} people, and nothing tells which is the client: point at the face"),
    Reason.TOO_DARK: N_("too dark: brightness {measured:.0f}, at least {limit:.0f}"),
    Reason.TOO_BRIGHT: N_("too bright: brightness {measured:.0f}, at most {limit:.0f}"),
    Reason.BURNT: N_("overexposed: {measured:.0%} is white, at most {limit:.0%}"),
    Reason.LOW_CONTRAST: N_("too flat: contrast {measured:.0f}, at least {limit:.0f}"),
    Reason.BLURRED: N_("blurred: measured {measured:.2f}, limit {limit:.2f}"),
    Reason.NOISY: N_("too noisy: noise of {measured:.1f} grey levels, at most {limit:.1f}"),
    Reason.CRUSHED: N_("shadows without detail: {measured:.0%} of the face is black, at most {limit:.0%}"),
    Reason.CUT_OFF: N_("the head is cut off: {measured:.0%} of the square lies in the picture, at least {limit:.0%}"),
    Reason.TURNED_AWAY: N_("turned away: {measured:.2f} of the distance of the eyes, at most {limit:.2f}"),
    Reason.FEW_PIXELS: N_("the face is too small: {measured:.0f} pixels, at least {limit:.0f}"),
    Reason.SOMEONE_ELSE: N_("someone else: distance {measured:.2f} from the client, at most {limit:.2f}"),
    Reason.NO_SUCH_NUMBER: N_("no face has that number; the preview shows them"),
}
NOTES = {
    "wrong_ending": N_("imported, though its name promises another kind of file"),
    "not_moved": N_("imported, but it could not be taken out of your folder"),
}
FITS = {Fit.FITS: N_("it fits"), Fit.TIGHT: N_("it is tight"), Fit.NO: N_("it will not fit")}
VERDICTS = {
    Verdict.GO: N_("ready to train"),
    Verdict.WARNINGS: N_("can be trained, with warnings"),
    Verdict.NO_GO: N_("not ready to train"),
}
FINDINGS = {
    FindingCode.ONLY_MIDJOURNEY: N_("only MidJourney images ({measured:.0f}): the LoRA learns what MidJourney made of the client"),
    FindingCode.ONLY_PHOTOS: N_("only photos ({measured:.0f}): good, as long as light and background vary"),
    FindingCode.SHARE_OFF: N_("{measured:.1%} of what is seen is real, {limit:.1%} was wanted: whole repeats come no nearer"),
    FindingCode.FEW_PICTURES: N_("{measured:.0f} pictures are few; from {limit:.0f} on, less is learned by heart"),
    FindingCode.HELD_BACK: N_("{measured:.0f} photos of {limit:.0f} scenes are held back in exam, to measure the LoRA with"),
    FindingCode.EXAM_ONE_SCENE: N_("no photo is held back: all {measured:.0f} belong to too few scenes; add photos of other days"),
    FindingCode.EXAM_TWINS: N_("{measured:.0f} pictures are left out: they nearly repeat a photo that is held back"),
    FindingCode.ENLARGED: N_("{measured:.0f} crops were enlarged more than {limit:.1f} times and are soft"),
}
IDENTITIES = {
    "known": N_("The client is known by {count} photos."),
    "unsure": N_("The photos show several people, none of them clearly most often: point at the client's face (who)."),
    "none": N_("No photo of one person alone has passed: who is who cannot be told."),
}
SIGNS = {
    Sign.NO_DATASET: (N_("no dataset"), N_("there is no dataset yet"), N_("Build it: dataset.")),
    Sign.NOT_CURRENT: (
        N_("out of date"), N_("pictures, captions or settings have changed since it was built"), N_("Build it again: dataset."),
    ),
    Sign.EXAM_LEAK: (
        N_("exam"), N_("{measured:.0f} pictures are, or nearly repeat, a photo that is held back"),
        N_("Take them out, or build the dataset again."),
    ),
    Sign.FEW_EFFECTIVE: (
        N_("few pictures"), N_("only {measured:.0f} really different pictures, at least {limit:.0f} are needed"),
        N_("Add pictures of other days, places and clothes."),
    ),
    Sign.NEAR_DUPLICATES: (
        N_("near-duplicates"), N_("{measured:.0f} of {limit:.0f} pictures nearly repeat another and count twice"),
        N_("Take out all but the best of each group."),
    ),
    Sign.IDENTITY_UNKNOWN: (
        N_("identity"), N_("nobody knows who the client is, so others cannot be told apart ({measured:.0f} references)"),
        N_("Add photos of the client alone, or point at the client's face: who."),
    ),
    Sign.IDENTITY_OUTLIERS: (
        N_("not alike"), N_("photos up to {measured:.2f} away from the others, over {limit:.2f} may be someone else"),
        N_("Look at them, and take out who is not the client."),
    ),
    Sign.DRIFT: (
        N_("drift"), N_("MidJourney faces up to {measured:.2f} away from the real one, over {limit:.2f} is another person"),
        N_("Take them out, or replace them by images nearer to the client."),
    ),
    Sign.DRIFT_OVERALL: (
        N_("drift overall"), N_("half of MidJourney's faces are {measured:.2f} or more from the real one, wanted is {limit:.2f}"),
        N_("Make images with a stronger reference, or raise distribution.share_real."),
    ),
    Sign.SECOND_FACES: (
        N_("second faces"), N_("in {measured:.0f} crops somebody else can be seen"),
        N_("Take them out, or crop the originals closer."),
    ),
    Sign.SAME_POSE: (
        N_("same pose"), N_("all heads are turned alike (spread {measured:.3f}, wanted {limit:.2f})"),
        N_("Add pictures from other sides: the LoRA will know no other pose."),
    ),
    Sign.SAME_LIGHT: (
        N_("same light"), N_("all faces are lit alike (spread {measured:.1f}, wanted {limit:.0f})"),
        N_("Add pictures in other light: it will be learned as part of the face."),
    ),
    Sign.SAME_BACKGROUND: (
        N_("same background"), N_("all backgrounds are alike (spread {measured:.0f}, wanted {limit:.0f})"),
        N_("Add pictures before other backgrounds, and name this one in the captions."),
    ),
    Sign.SAME_FRAMING: (
        N_("same framing"), N_("every crop shows the head at the same size (spread {measured:.3f})"),
        N_("This is usual for portraits; figures at full length will be harder to paint."),
    ),
    Sign.NO_TRIGGER: (
        N_("trigger word"), N_("{measured:.0f} captions lack the trigger word: nothing will be tied to it"),
        N_("Write the client's name into them: captions."),
    ),
    Sign.CAPTION_LEAK: (
        N_("same words"), N_("\"{phrase}\" stands in {measured:.0%} of the captions and will be learned with the client"),
        N_("Take it out of some captions, or add pictures of which it is not true."),
    ),
    Sign.FACE_NAMED: (
        N_("face described"), N_("{measured:.0f} captions describe the face, which then is not learned as the client's"),
        N_("Take hair, eyes, skin and age out of them: captions."),
    ),
    Sign.SHARE_OFF: (
        N_("balance"), N_("{measured:.1%} of what is seen is real, {limit:.1%} was wanted"),
        N_("Add pictures of the kind that lacks, or set distribution.share_real to what can be reached."),
    ),
    Sign.UNKNOWN_PICTURES: (
        N_("unknown"), N_("{measured:.0f} pictures were not put there by this program and cannot be judged"),
        N_("Import them, or take them out of the folder."),
    ),
}  # fmt: skip
QUEUE = {
    Outcome.WAITING: N_("not begun"),
    Outcome.RUNNING: N_("training, or cut off there"),
    Outcome.DONE: N_("trained"),
    Outcome.FAILED: N_("failed"),
    Outcome.STOPPED: N_("stopped"),
}
PARTS = {
    Part.UNET: N_("U-Net"),
    Part.TEXT_ENCODERS: N_("text encoders"),
    Part.LORA: N_("LoRA and optimizer"),
    Part.ACTIVATIONS: N_("activations"),
    Part.CONTEXT: N_("CUDA itself"),
}
ALLOWS = {
    Allows.ALL: N_("any use"),
    Allows.RULES: N_("commercial use too, within the licence's rules"),
    Allows.RESEARCH: N_("non-commercial research only"),
}


def reason(rejection: Rejection) -> str:
    """Why a picture was refused, with the measure and its limit, in the user's language."""
    return _(REASONS[rejection.reason]).format(measured=rejection.measured or 0.0, limit=rejection.limit or 0.0)


def cure(reason: Reason) -> str:
    """What would help a refused picture, in the user's language."""
    return _(CURES[reason])


def sign(name: str) -> str:
    """What the doctor calls a finding, in the user's language."""
    return _(SIGNS[Sign(name)][0])


def symptom(found: Symptom) -> str:
    """What the doctor found, with its numbers, in the user's language."""
    return _(SIGNS[found.sign][1]).format(measured=found.measured, limit=found.limit, phrase=found.phrase)


def remedy(found: Symptom) -> str:
    """What to do about it, in the user's language."""
    return _(SIGNS[found.sign][2])


def finding(found: Finding) -> str:
    """What is worth knowing of a dataset, with its numbers, in the user's language."""
    return _(FINDINGS[found.code]).format(measured=found.measured, limit=found.limit)


def allows(what: Allows) -> str:
    """What a licence allows, in the user's language."""
    return _(ALLOWS[what])
