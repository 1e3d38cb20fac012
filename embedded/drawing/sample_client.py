"""The sample client of the demo: a person drawn by code, as 14 MidJourney pictures and 11 photos.

The embedded base paints each of her looks when asked, but it never saw them together: none of the portraits it learned from has
her hair, skin, eyes and glasses, and her face's numbers lie outside the ranges that `random_face` draws from (a test holds both).
Among the 25 files are a blurred one, a dark one, one without a face and an exact copy, for the import and the quality control to
find; 21 good ones remain, nine of them photos, of a day each, so that three can be held back for the exam. The names, the text
inside the files and the prompts are built as MidJourney's are, and the photos as cameras and phones write them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embedded.drawing.camera_raw import write_dng
from embedded.drawing.painting import draw
from embedded.drawing.portraits import DrawnFace, DrawnPortrait, Pose, random_portrait, random_pose
from utils import Event, Progress, replacing, sweep_parts

STAGE = "sample"
CLASS_WORD = "woman"
SAMPLE_USERNAME = "u1234567890"
LOOK: dict[str, Any] = {
    "gender": "woman", "hair": "blonde", "hair_style": "bun", "skin": "dark", "eyes": "brown", "beard": False, "glasses": True,
    "face": DrawnFace(
        width=0.98, jaw=0.45, eye_distance=1.0, eye_size=1.25, brow=1.6, nose=0.95, mouth=1.0, lips=1.4,
        hair_volume=1.02, fringe=0.2, waves=0.3,
    ),
}  # fmt: skip
"""Who she is. Size of eyes, brows and lips are beyond what `random_face` ever draws (1.15, 1.3 and 1.25)."""

MIDJOURNEY_PX = (576, 864)  # width, height: the 2:3 of --ar 2:3
PHOTO_PX = (600, 800)
ZOOM = 0.62  # the whole 1.6-fold square around the face fits into the width
HEAD_LENGTH = 61  # MidJourney cuts what stands before the job's id to this many characters
OUT_OF_SIGHT = Pose(right=0.0, down=20.0, tilt=0.0, turn=0.0, scale=1.0)  # in head units: nobody is left in the picture
GRAIN = 4.5  # standard deviation of a good picture's noise, of 255
BLUR_PX = 7.0
DARKENED = 0.32


class Flaw(Enum):
    """What is wrong with a picture, on purpose."""

    NONE = "none"
    BLURRED = "blurred"
    DARK = "dark"
    FACELESS = "faceless"


@dataclass(frozen=True, slots=True)
class Scene:
    """What changes from one picture of her to the next."""

    expression: str
    clothes: str
    background: str
    light: str

    @property
    def prompt(self) -> str:
        """The words that ask MidJourney for it; who she is comes from elsewhere, so her looks are not named."""
        seen = f"wearing a {self.clothes} shirt, {self.background} background, {self.light}"
        return f"portrait of a {CLASS_WORD}, {self.expression}, {seen}"


@dataclass(frozen=True, slots=True)
class SampleJob:
    """One MidJourney job: a prompt, its parameters, and up to four pictures under one id."""

    uuid: str
    made: str
    scene: Scene
    parameters: str
    flaws: tuple[Flaw, ...]  # one a picture

    @property
    def text(self) -> str:
        """The `Description` that midjourney.com writes into the file."""
        return f"{self.scene.prompt} {self.parameters} Job ID: {self.uuid}"

    def file_name(self, index: int) -> str:
        """The name of a download: user, prompt and parameters cut to 61 characters, the job's id and the picture's number."""
        typed = re.sub(r"[^A-Za-z0-9 ._-]", "", f"{self.scene.prompt} {self.parameters}").replace(" ", "_")
        return f"{f'{SAMPLE_USERNAME}_{typed}'[:HEAD_LENGTH]}_{self.uuid}_{index}.png"


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo: its file, its scene, and how the camera was held (EXIF orientation)."""

    name: str
    scene: Scene
    orientation: int = 1
    flaw: Flaw = Flaw.NONE
    copy_of: str = ""
    taken: str = "2025:09:21 10:15:02"  # by the camera's clock


@dataclass(frozen=True, slots=True)
class SampleReport:
    """The sample client's pictures; `drawn` of them were made now, the others were there already."""

    midjourney: tuple[Path, ...]
    photos: tuple[Path, ...]
    drawn: int


_GOOD = (Flaw.NONE,) * 4
JOBS = (
    SampleJob(
        "3b9f6f0e-58c4-4d0b-9d0e-6a2c2f7b1a45", "Thu, 02 Oct 2025 09:12:31 GMT",
        Scene("smiling", "blue", "beach", "bright light"), "--ar 2:3 --raw --stylize 100 --v 7", _GOOD,
    ),
    SampleJob(
        "a07d2c1b-9e36-4f58-8b7a-0c5e4d3f2e19", "Thu, 02 Oct 2025 09:20:02 GMT",
        Scene("serious", "white", "grey", "studio lighting"), "--ar 2:3 --stylize 250 --v 7", _GOOD,
    ),
    SampleJob(
        "c58e1d74-2f0a-4b96-a3c1-7e9d0b6f5a28", "Fri, 03 Oct 2025 17:45:10 GMT",
        Scene("laughing", "red", "city", "studio lighting"), "--chaos 5 --ar 2:3 --v 7", (*_GOOD[:3], Flaw.BLURRED),
    ),
    SampleJob(
        "71f4b0a9-6d2c-4e85-9f13-b8a7c6d5e430", "Sat, 04 Oct 2025 08:03:55 GMT",
        Scene("smiling", "green", "white", "studio lighting"), "--ar 2:3 --raw --v 7", (Flaw.NONE, Flaw.FACELESS),
    ),
)  # fmt: skip
PHOTOS = (
    Photo("DSC_0412.dng", Scene("smiling", "orange", "forest", "bright light"), orientation=6),
    Photo("IMG_2031.jpg", Scene("serious", "black", "yellow", "studio lighting"), orientation=6),
    Photo("IMG_2044.heic", Scene("laughing", "white", "blue", "studio lighting"), taken="2025:09:24 16:40:27"),
    Photo("PXL_20250921_101502.jpg", Scene("smiling", "white", "green", "bright light"), taken="2025:09:27 12:05:44"),
    Photo("PXL_20250921_231140.jpg", Scene("serious", "grey", "white", "studio lighting"), flaw=Flaw.DARK),
    Photo(
        "PXL_20250921_101502 (1).jpg", Scene("smiling", "white", "green", "bright light"), copy_of="PXL_20250921_101502.jpg",
        taken="2025:09:27 12:05:44",
    ),
    Photo("IMG_2102.jpg", Scene("serious", "red", "city", "bright light"), taken="2025:10:03 18:22:10"),
    Photo("IMG_2117.jpg", Scene("smiling", "blue", "grey", "studio lighting"), taken="2025:10:05 11:31:58"),
    Photo("IMG_2140.jpg", Scene("laughing", "green", "beach", "bright light"), taken="2025:10:11 15:47:03"),
    Photo("PXL_20251018_093011.jpg", Scene("serious", "orange", "red", "studio lighting"), taken="2025:10:18 09:30:11"),
    Photo("PXL_20251026_141920.jpg", Scene("smiling", "black", "white", "bright light"), taken="2025:10:26 14:19:20"),
)  # fmt: skip
GOOD_PICTURES = sum(flaw is Flaw.NONE for job in JOBS for flaw in job.flaws) + sum(
    photo.flaw is Flaw.NONE and not photo.copy_of for photo in PHOTOS
)


def draw_sample(folder: Path) -> Generator[Event, None, SampleReport]:
    """Draw what is missing of the sample client into `folder/midjourney` and `folder/photos`; the bytes are always the same."""
    midjourney, photos = folder / "midjourney", folder / "photos"
    works: dict[Path, Callable[[Path], None]] = {
        midjourney / job.file_name(index): partial(_write_midjourney, job=job, index=index)
        for job in JOBS
        for index in range(len(job.flaws))
    }
    works |= {photos / photo.name: partial(_write_photo, photo=photo) for photo in PHOTOS}
    for place in (midjourney, photos):
        place.mkdir(parents=True, exist_ok=True)
        sweep_parts(place)
    missing = [path for path in works if not path.exists()]
    for done, path in enumerate(missing):
        yield Progress(STAGE, done, len(missing), path.name)
        with replacing(path) as part:
            works[path](part)
    yield Progress(STAGE, len(missing), len(missing))
    return SampleReport(
        tuple(path for path in works if path.parent == midjourney),
        tuple(path for path in works if path.parent == photos),
        len(missing),
    )


# --- pictures ---------------------------------------------------------------------------------------------------------
def sample_portrait(scene: Scene, name: str, flaw: Flaw = Flaw.NONE) -> DrawnPortrait:
    """Her in a scene; the file's name settles the pose and the small things."""
    rng = random.Random(name)
    pose = OUT_OF_SIGHT if flaw is Flaw.FACELESS else random_pose(rng)
    scenery = {"expression": scene.expression, "clothes": scene.clothes, "background": scene.background, "light": scene.light}
    return random_portrait(rng, **LOOK, **scenery, pose=pose)


def _picture(scene: Scene, name: str, flaw: Flaw, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """The pixels of one picture of her, flaws and grain included."""
    # A tight crop never shows what lies far below the chin, where the drawing divides by a width of zero and clips the result.
    with np.errstate(divide="ignore"):
        drawn = draw([sample_portrait(scene, name, flaw)], *size, ZOOM)[0]
    if flaw is Flaw.BLURRED:
        from PIL import Image, ImageFilter

        # As a lens far out of focus would see it.
        drawn = np.asarray(Image.fromarray(drawn).filter(ImageFilter.GaussianBlur(BLUR_PX)))
    light = DARKENED if flaw is Flaw.DARK else 1.0
    grain = 0.0 if flaw is Flaw.BLURRED else GRAIN
    # The noise of a picture depends on its name alone, so a single missing file can be drawn again.
    noise = np.random.default_rng(list(name.encode())).normal(0.0, 1.0, drawn.shape).astype(np.float32)
    return np.clip(drawn * light + noise * grain + 0.5, 0, 255).astype(np.uint8)


# --- files ------------------------------------------------------------------------------------------------------------
def _write_midjourney(path: Path, job: SampleJob, index: int) -> None:
    """Write a PNG with the text that midjourney.com puts into its downloads."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    text = PngInfo()
    text.add_text("Description", job.text)
    text.add_text("Author", SAMPLE_USERNAME)
    text.add_text("Creation Time", job.made)
    text.add_itxt("XML:com.adobe.xmp", _XMP.format(uuid=job.uuid))
    pixels = _picture(job.scene, f"{job.uuid}_{index}", job.flaws[index], MIDJOURNEY_PX)
    Image.fromarray(pixels).save(path, format="PNG", pnginfo=text, compress_level=1)


def _write_photo(path: Path, photo: Photo) -> None:
    """Write a photo as its camera would; a copy has the very bytes of what it copies."""
    pixels = _picture(photo.scene, photo.copy_of or photo.name, photo.flaw, PHOTO_PX)
    kind = Path(photo.name).suffix
    if kind == ".dng":
        write_dng(path, pixels, photo.orientation)
    elif kind == ".heic":
        import pillow_heif

        size = (pixels.shape[1], pixels.shape[0])
        pillow_heif.from_bytes("RGB", size, pixels.tobytes()).save(path, quality=92, exif=_exif(1, photo.taken))
    else:
        from PIL import Image

        # The pixels lie as the sensor did; orientation 6 means that they were turned a quarter counterclockwise.
        turned = np.rot90(pixels) if photo.orientation == 6 else pixels
        Image.fromarray(np.ascontiguousarray(turned)).save(
            path, format="JPEG", quality=94, exif=_exif(photo.orientation, photo.taken)
        )


def _exif(orientation: int, taken: str) -> bytes:
    """What a camera says of itself and of the exposure."""
    from PIL.ExifTags import IFD, Base
    from PIL.Image import Exif

    exif = Exif()
    exif[Base.Make], exif[Base.Model], exif[Base.Orientation] = "Sample", "Two", orientation
    shot = exif.get_ifd(IFD.Exif)
    shot[Base.DateTimeOriginal], shot[Base.ISOSpeedRatings] = taken, 200
    shot[Base.FNumber], shot[Base.ExposureTime], shot[Base.FocalLength] = 2.0, 1 / 125, 50.0
    return exif.tobytes()


_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:iptcExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" iptcExt:DigImageGUID="{uuid}" '
    'iptcExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/></rdf:RDF></x:xmpmeta>'
)
