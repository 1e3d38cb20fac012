"""The records that stages leave one another in a client's folder: originals, what was seen in them, verdicts, decisions."""

from __future__ import annotations

import os
import re
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field

from client_folder.reasons import Reason, Rejection
from locales.language import N_, Labelled, ngettext
from utils import Record

# Elsewhere a backslash and a colon are letters like others.
_LEADS_ON = re.compile(r"[/\\:\0]" if os.name == "nt" else r"[/\0]")


def _bare(name: str) -> str:
    """A name without a folder: a record that somebody else wrote must not lead out of the client's folder."""
    if name in (".", "..") or _LEADS_ON.search(name):
        raise ValueError(f"{name!r} is no name of a file")
    return name


def _inside(place: str) -> str:
    """A place below the client's folder, with / between its parts."""
    for name in place.split("/"):
        if not _bare(name):
            raise ValueError(f"{place!r} is no place in the client's folder")
    return place


FileName = Annotated[str, AfterValidator(_bare)]
InnerPath = Annotated[str, AfterValidator(_inside)]


class Source(StrEnum):
    """Where a picture comes from."""

    MIDJOURNEY = "mj"
    REAL = "real"


class IdentityState(Labelled):
    """Whether the references agree on who the client is."""

    KNOWN = "known", N_("The client is known by the photos.")
    DRAWN = "drawn", N_("No real photo shows who the client is; the MidJourney pictures do.")
    UNSURE = "unsure", N_("The photos show several people.")
    UNSURE_DRAWN = "unsure_drawn", N_("The MidJourney pictures show several people.")
    NONE = "none", N_("No photo of one person alone has passed: who is who cannot be told.")

    def said(self, count: int) -> str:
        """The same, in the user's language, with how many references agree."""
        if self is IdentityState.KNOWN:
            told = ngettext("The client is known by {count} photo.", "The client is known by {count} photos.", count)
        elif self is IdentityState.DRAWN:
            told = ngettext(
                "No real photo shows who the client is; {count} MidJourney picture does.",
                "No real photo shows who the client is; {count} MidJourney pictures do.",
                count,
            )
        else:
            return self.label
        return told.format(count=count)

    @property
    def known(self) -> bool:
        """Whether it can be told who is the client and who is not."""
        return self in (IdentityState.KNOWN, IdentityState.DRAWN)

    @property
    def unsure(self) -> bool:
        """Whether somebody has to say which of several people the client is."""
        return self in (IdentityState.UNSURE, IdentityState.UNSURE_DRAWN)


class Analysis(Record):
    """What the pixels of a whole picture tell, measured when `process` first decodes it."""

    model_config = ConfigDict(frozen=True)

    width: int  # upright
    height: int
    phash: str  # 64 bits of perceptual hash as 16 hexadecimal digits
    sharpness: float  # variance of the Laplacian at 256 px
    brightness: float  # mean grey, 0 to 255
    contrast: float  # standard deviation of the grey
    clipped: float  # share of pixels >= 250
    light: str  # dark, dim, even, bright or hard
    colour_cast: str  # none, warm, cool, green, magenta or grey
    background: str  # plain, soft or busy: what lies around the face, or everything where there is none
    faces: int
    taken: str = ""  # EXIF date, as the camera wrote it


class Picture(Record):
    """One imported original. `file` is its name in `raw_mj/` or `raw_real/`, `original` the name it was given under."""

    model_config = ConfigDict(frozen=True)

    file: FileName
    original: str
    source: Source
    sha256: FileName
    width: int = 0  # as it will be shown, orientation applied; 0 where only a decode can tell (RAW)
    height: int = 0
    taken: str = ""  # EXIF date, as the camera wrote it
    camera: str = ""
    lens: str = ""
    grid: bool = False  # four pictures in one: MidJourney's first answer in Discord
    analysis: Analysis | None = None  # added by `process`

    @property
    def stem(self) -> str:
        """The name, without an ending, of all that is made from the original."""
        return f"{self.source}_{self.sha256[:12]}"


class Pictures(Record):
    """`metadata/images.json`: every original of a client, in the order of their names."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    images: tuple[Picture, ...] = ()


class Face(Record):
    """One face in an original, measured: whatever the limits are, these numbers stay."""

    model_config = ConfigDict(frozen=True)

    box: tuple[int, int, int, int]  # left, top, width, height in the original's upright pixels
    landmarks: dict[str, tuple[int, int]]
    confidence: float
    square: tuple[int, int, int]  # left, top, side of the crop
    angle: float = 0.0  # degrees by which the square is turned so that the eyes lie level
    measures: dict[str, float]
    phash: str = ""  # of the crop
    background: str = ""  # of the crop, as in Analysis
    identity: tuple[float, ...] = ()  # dlib's 128 numbers


class DetectedFaces(Record):
    """What was seen in one original, a file of its own written the moment it is known."""

    model_config = ConfigDict(frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    file: FileName
    sha256: FileName
    source: Source
    method: str  # changes with the way of measuring and with the padding
    unreadable: Reason | None = None
    raw: bool = False
    faces: tuple[Face, ...] = ()  # the largest first
    analysis: Analysis | None = None
    cut: tuple[int, int, int, float] | None = None  # square and angle of the crop that lies in processed/
    shown: str = ""  # what the picture in rejected/ shows


class Verdict(Record):
    """The verdict on one original: the chosen face in the original's upright pixels, the square, the measures."""

    model_config = ConfigDict(frozen=True)

    file: InnerPath  # of the original
    sha256: FileName  # of the original
    source: Source
    crop: FileName = ""  # name in processed/, empty when rejected
    settings: str  # digest of the limits it was judged by
    box: tuple[int, int, int, int] | None = None  # left, top, width, height
    landmarks: dict[str, tuple[int, int]] = {}
    confidence: float | None = None
    faces: int = 0
    bystanders: int = 0  # other people in an accepted picture
    square: tuple[int, int, int] | None = None  # left, top, side
    angle: float = 0.0
    distance: float | None = None  # to the mean of the references; None where there are none
    measures: dict[str, float] = {}
    phash: str = ""  # of the crop
    background: str = ""
    analysis: Analysis | None = None
    warnings: tuple[str, ...] = ()  # names of limits that came near
    by_hand: bool = False  # accepted by a person against the limits
    rejection: Rejection | None = None

    @property
    def stem(self) -> str:
        """The name, without an ending, of all that is made from the original."""
        return f"{self.source}_{self.sha256[:12]}"


class Faces(Record):
    """`metadata/faces.json`: the verdict on every original, in the order of their names."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    identity: IdentityState = IdentityState.NONE
    references: int = 0
    people: int = 0  # whom the references show; 0 where an older version judged, or somebody said who the client is
    faces: tuple[Verdict, ...] = ()


class Decisions(Record):
    """`metadata/decisions.json`: what a person decided against or beside the limits, by the hash of the original."""

    model_config = ConfigDict(frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    accepted: tuple[str, ...] = ()
    pointed: dict[str, tuple[int, int, int, int]] = {}  # the box of the client's face
    pointed_before: dict[str, tuple[int, int, int, int]] | None = None  # what `who undo` goes back to; None: nothing to undo
