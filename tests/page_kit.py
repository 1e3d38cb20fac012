"""A studio with one client as a page shows it: pictures, dataset, portraits, samples, an exam, none of it made by a model."""

from blind_kit import PHOTOS, write_exam
from looked_at import looked_at
from PIL import Image
from stages import finish

from config import Settings
from data_preprocessor import prepare_dataset
from dataset.files import edit_caption, list_captions
from portraits.history import PortraitHistory, PortraitRun
from portraits.portrait import PortraitRecord, write_portrait
from portraits.sdxl import Sampler
from utils import write_record, write_text

GOOD, DARK = 12, 3
PORTRAITS = 6
PROMPT = "portrait of ana woman, <b>smiling</b>"  # letters that a page must not obey


def lay_studio(home):
    """A home with the client "ana", who has all that the pages show."""
    (home / "settings.json").write_text('{"schema": 1, "base_model": "embedded"}')
    brightness = {f"good{number:02}": 120 + number for number in range(GOOD)} | {f"dark{number}": 10 for number in range(DARK)}
    client = looked_at(home, "ana", **brightness)
    finish(prepare_dataset(client, Settings()))
    edit_caption(client, next(iter(list_captions(client))).picture, "ana woman with blue eyes")  # which the doctor objects to
    lay_portraits(client)
    for photo in PHOTOS:
        client.exam.mkdir(exist_ok=True)
        Image.new("RGB", (48, 48), (250, 250, 250)).save(client.exam / photo)
    write_exam(client, {10: (3.0, 5.0, 4.0, 6.0), 20: (2.0, 6.0, 3.0, 7.0)})
    for step in (10, 20):
        picture = client.samples / f"ana_avatar_v1-step{step:08}-0.png"
        picture.parent.mkdir(exist_ok=True)
        Image.new("RGB", (64, 64), (step, 90, 120)).save(picture)
    write_text(client.sample_prompts, "portrait of ana woman --w 96\n")
    return client


def lay_portraits(client):
    """One run of portraits, each with its record."""
    names = []
    client.output.mkdir(exist_ok=True)
    for seed in range(PORTRAITS):
        record = PortraitRecord(
            prompt=PROMPT, negative="", seed=seed, steps=12, guidance=2.0, sampler=next(iter(Sampler)), width=64, height=64,
            base="embedded", base_digest="0", lora="ana_avatar_v1.safetensors", lora_sha256="0" * 64, weight=1.0,
        )  # fmt: skip
        file = client.output / f"portrait_{seed}_{seed:016x}.png"
        write_portrait(file, Image.new("RGB", (64, 64), (40 * seed, 90, 120)), record)
        names.append(file.name)
    run = PortraitRun(
        number=1, when="2026-05-01T10:00:00+00:00", sheet="portraits_001.png", images=tuple(names), prompts=(PROMPT,),
        seeds=tuple(range(PORTRAITS)),
    )  # fmt: skip
    write_record(client.portraits_file, PortraitHistory(runs=(run,)))
