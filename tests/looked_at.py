"""A client whose pictures were looked at already: verdicts are made without a detector, from the measures given here."""

import hashlib

import numpy as np
from PIL import Image
from stages import finish

from client_folder.client import create_client
from client_folder.records import Analysis, DetectedFaces, Face, Picture, Pictures, Source
from config import Settings
from faces.verdicts import method_of
from image_processor import process_faces
from pictures.photo_analysis import perceptual_hash
from utils import write_record

GOOD = {
    "confidence": 0.99, "face_px": 400.0, "upscale": 1.6, "inside": 1.0, "turn": 0.0, "brightness": 120.0, "highlight": 200.0,
    "clipped": 0.0, "crushed": 0.0, "contrast": 50.0, "noise": 1.0, "sharpness": 300.0, "blur_effect": 0.4,
}  # fmt: skip
SIDE = 64  # pixels of each original


def looked_at(home, client_id="ana", **brightness):
    """A client with one photo a name, each of one face as bright as said, and its verdicts under the default limits."""
    client = create_client(home, client_id)
    client.looks.mkdir()
    pictures = []
    for seed, (name, bright) in enumerate(brightness.items()):
        file = client.raw_real / f"{name}.png"
        image = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)).resize((SIDE, SIDE))
        image.save(file)
        analysis = Analysis(
            width=SIDE, height=SIDE, phash=perceptual_hash(image), sharpness=9, brightness=bright, contrast=40, clipped=0,
            light="even", colour_cast="none", background="soft", faces=1,
        )  # fmt: skip
        sha = hashlib.sha256(file.read_bytes()).hexdigest()
        pictures.append(
            Picture(file=file.name, original=f"IMG {name}.png", source=Source.REAL, sha256=sha, width=SIDE, height=SIDE)
        )
        face = Face(
            box=(16, 16, 32, 32), landmarks={}, confidence=0.99, square=(8, 8, 48), measures={**GOOD, "brightness": float(bright)},
            phash=perceptual_hash(image), identity=(0.02 * seed, *(0.0,) * 127),
        )  # fmt: skip
        method = method_of(Settings().quality)
        look = DetectedFaces(file=file.name, sha256=sha, source=Source.REAL, method=method, faces=(face,), analysis=analysis)
        write_record(client.looks / f"real_{sha[:12]}.json", look)
    write_record(client.images_file, Pictures(images=tuple(pictures)))
    finish(process_faces(client, Settings()))
    return client
