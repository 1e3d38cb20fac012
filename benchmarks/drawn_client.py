"""A client drawn by code with crops, photos and captions as `process` and a person would leave them: next comes the dataset."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from client_folder.client import Client, create_client
from client_folder.records import Analysis, Faces, Picture, Pictures, Source, Verdict
from dataset.files import EditedCaptions
from utils import sha256_file, write_record

CROP_PX = 192


def draw_client(home: Path, name: str, person: int, *, pictures: int = 10, photos: int = 8) -> Client:
    """A woman of her own by her number, in so many pictures of MidJourney's kind and photos, all of different scenes."""
    look = look_of(person)
    client = create_client(home, name, "woman")
    known = [_draw(client, look, Source.MIDJOURNEY, number) for number in range(pictures)]
    known += [_draw(client, look, Source.REAL, number) for number in range(photos)]
    write_record(client.images_file, Pictures(images=tuple(picture for picture, _face, _caption in known)))
    write_record(client.faces_file, Faces(faces=tuple(face for _picture, face, _caption in known)))
    write_record(client.captions_file, EditedCaptions(captions={face.stem: caption for _picture, face, caption in known}))
    return client


def look_of(person: int) -> dict[str, Any]:
    """What never changes of a woman, by her number: hair, skin, eyes and the numbers of her face."""
    from embedded.drawing.palette import EYES, HAIR, HAIR_STYLES, SKIN
    from embedded.drawing.portraits import random_face

    rng = random.Random(f"person {person}")
    return {
        "gender": "woman", "hair": rng.choice(list(HAIR)), "skin": rng.choice(list(SKIN)), "eyes": rng.choice(list(EYES)),
        "hair_style": rng.choice([style for style in HAIR_STYLES if style != "bald"]), "glasses": False, "beard": False,
        "face": random_face(rng),
    }  # fmt: skip


def _draw(client: Client, look: dict[str, Any], source: Source, number: int) -> tuple[Picture, Verdict, str]:
    """One picture of hers: original and crop are the same drawing."""
    from PIL import Image

    from embedded.drawing.painting import draw
    from embedded.drawing.portraits import caption, random_portrait

    portrait = random_portrait(random.Random(f"{source} {number} {look['hair']}"), **look)
    original = client.raw(source) / f"drawn_{number}.png"
    Image.fromarray(draw([portrait], CROP_PX, CROP_PX)[0]).save(original)
    sha256, digits = sha256_file(original), random.Random(f"{source} {number}")
    analysis = Analysis(
        width=CROP_PX, height=CROP_PX, phash=f"{digits.getrandbits(64):016x}", sharpness=90, brightness=120, contrast=40, clipped=0,
        light="even", colour_cast="none", background="soft", faces=1,
    )  # fmt: skip
    face = Verdict(
        file=f"{client.raw(source).name}/{original.name}", sha256=sha256, source=source, crop=f"{source}_{sha256[:12]}.png",
        settings="", phash=f"{digits.getrandbits(64):016x}", analysis=analysis, square=(0, 0, CROP_PX),
    )  # fmt: skip
    client.processed.mkdir(exist_ok=True)
    (client.processed / face.crop).write_bytes(original.read_bytes())
    words = caption(portrait, subject=f"{client.id} woman").split(", ")
    # What is the person's own (hair, skin, eyes) is left out, so that it goes with the name.
    kept = [word for word in words if not any(part in word for part in (" hair", " skin", " eyes"))]
    return Picture(file=original.name, original=original.name, source=source, sha256=sha256), face, ", ".join(kept)


def redraw_held(client: Client, look: dict[str, Any]) -> None:
    """Other photos in the place of those held back, of somebody of that look, each in a scene of its own."""
    from PIL import Image

    from embedded.drawing.painting import draw
    from embedded.drawing.portraits import random_portrait

    for number, photo in enumerate(sorted(client.exam.glob("*.png"))):
        portrait = random_portrait(random.Random(f"held back {number} {look['hair']}"), **look)
        photo.unlink()  # it may be one file with the crop
        Image.fromarray(draw([portrait], CROP_PX, CROP_PX)[0]).save(photo)
