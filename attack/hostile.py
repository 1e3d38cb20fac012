"""Files that are not what they say: pictures, camera RAW, archives, names, lists, LoRA files, styles and prompt files.

Each must be taken or refused by name: no fault, no hang, no file outside the client changed, nothing given changed. Memory is
bounded, so that a bomb shows.
"""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from attack.campaign import Campaign
from attack.compare import bytes_of
from attack.forks import Outcome, act, start
from attack.scenes import CLIENT, Stage, prepare
from attack.spoil import TEXTS, deep, spoiled_bytes, spoiled_json

MEMORY_BYTES = 12 << 30  # of address space; a picture of 200 megapixels in 16 bits needs 3 GB
SECONDS = 120.0
_ANA = f"--client {CLIENT}"
Kind = Callable[[Path, Stage, random.Random], tuple[str, tuple[str, ...]]]


# --- pictures -----------------------------------------------------------------------------------------------------------
def _whole_picture(stage: Stage, chance: random.Random) -> tuple[bytes, str]:
    """A picture of some format, whole, and its ending."""
    from PIL import Image

    if chance.random() < 0.3:
        path = chance.choice(sorted((stage.source / "photos").iterdir()))
        return path.read_bytes(), path.suffix
    kind, mode = chance.choice(
        (
            ("PNG", "RGB"),
            ("PNG", "RGBA"),
            ("PNG", "P"),
            ("PNG", "I;16"),
            ("JPEG", "RGB"),
            ("JPEG", "CMYK"),
            ("JPEG", "L"),
            ("WEBP", "RGB"),
            ("TIFF", "RGB"),
            ("TIFF", "CMYK"),
            ("BMP", "RGB"),
            ("GIF", "P"),
            ("AVIF", "RGB"),
            ("JPEG2000", "RGB"),
            ("PNG", "LA"),
        )
    )
    image = Image.effect_noise((chance.randint(16, 200), chance.randint(16, 200)), 60).convert("RGB" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.new("I;16", image.size, 40_000)
    buffer = io.BytesIO()
    try:
        image.save(buffer, format=kind)
    except (OSError, KeyError):
        image.convert("RGB").save(buffer, format="PNG")
        kind = "PNG"
    return buffer.getvalue(), {"JPEG": ".jpg", "TIFF": ".tif", "JPEG2000": ".png"}.get(kind, f".{kind.lower()}")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _bomb(chance: random.Random) -> tuple[str, bytes, str]:
    """A picture that promises more than it has, or has more than it should."""
    wide, high = chance.choice(((60_000, 60_000), (0, 0), (2**31 - 1, 1), (1, 2**31 - 1), (20_000, 9_000), (65_535, 65_535)))
    head = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", wide, high, 8, chance.choice((0, 2, 3, 6)), 0, 0, 0))
    text = zlib.compress(bytes(chance.choice((1000, 200_000_000))), 9)
    inside = chance.choice(
        (
            b"",
            _chunk(b"zTXt", b"Description\0\0" + text),
            _chunk(b"iCCP", b"x\0\0" + text),
            _chunk(b"iTXt", b"Description\0\1\0\0\0" + text),
            _chunk(b"eXIf", chance.randbytes(200)),
            _chunk(b"tEXt", b"Description\0" + b"\xff\0\x1b[2J" * 500),
            _chunk(b"acTL", b"\xff" * 8),
        )
    )
    body = _chunk(b"IDAT", zlib.compress(bytes(chance.choice((10, 100_000)))))
    return f"PNG of {wide}x{high}", head + inside + body + _chunk(b"IEND", b""), ".png"


def picture(folder: Path, stage: Stage, chance: random.Random) -> tuple[str, tuple[str, ...]]:
    """A spoilt picture, imported and opened."""
    if chance.random() < 0.12:
        how, data, ending = _bomb(chance)
    else:
        whole, ending = _whole_picture(stage, chance)
        how, data = spoiled_bytes(whole, chance) if chance.random() < 0.9 else ("another ending", whole)
        if how == "another ending":
            ending = chance.choice((".png", ".jpg", ".dng", ".heic", ".cr2", ".tif", ".zip", ".arw", ".gif"))
    (folder / f"IMG_1{ending}").write_bytes(data)
    word = chance.choice(("import-photos", "import-mj"))
    return f"{ending[1:]}: {how}", (f"{word} {_ANA} {{given}}/hostile --yes",)


def raw(folder: Path, stage: Stage, chance: random.Random) -> tuple[str, tuple[str, ...]]:
    """A spoilt camera RAW."""
    whole = next((stage.source / "photos").glob("*.dng")).read_bytes()
    if chance.random() < 0.5:  # the tags are at the front: most that can go wrong is there
        at = chance.randrange(min(2000, len(whole)))
        how, data = f"head at {at}", whole[:at] + chance.randbytes(4) + whole[at + 4 :]
    else:
        how, data = spoiled_bytes(whole, chance)
    (folder / f"IMG_1{chance.choice(('.dng', '.dng', '.nef', '.cr2'))}").write_bytes(data)
    return how, (f"import-photos {_ANA} {{given}}/hostile --yes",)


# --- archives and names ---------------------------------------------------------------------------------------------------
_MEMBERS = (
    "../../../victim/secret.txt.png",
    "/etc/x.png",
    "C:\\x.png",
    "a/../../b.png",
    "CON.png",
    "x" * 300 + ".png",
    "\x1b[2J.png",
    "a\nb.png",
    "[red]x.png",
    "..png",
    ".png",
    "ñ.png",
    "a//b.png",
    "a.png/",
    "~/.bashrc.png",
    "\U0001f600.png",
)


def archive(folder: Path, stage: Stage, chance: random.Random) -> tuple[str, tuple[str, ...]]:
    """A .zip with strange members, or one that is spoilt as a whole."""
    buffer, small = io.BytesIO(), _whole_picture(stage, chance)[0]
    packing = chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    names = chance.sample(_MEMBERS, chance.randint(1, 4))
    with zipfile.ZipFile(buffer, "w", packing) as packed:
        for name in names:
            entry = zipfile.ZipInfo(name, chance.choice(((1980, 1, 1, 0, 0, 0), (2107, 12, 31, 23, 59, 58))))
            entry.compress_type, entry.external_attr = packing, chance.choice((0, 0o120777 << 16, 0o010644 << 16, 0o100644 << 16))
            packed.writestr(entry, chance.choice((small, small, bytes(50_000_000), b"", b"x")))
    data, how = buffer.getvalue(), "members"
    if chance.random() < 0.6:
        how, data = spoiled_bytes(data, chance)
    if chance.random() < 0.1:
        data, how = (
            data.replace(b"PK\x01\x02", b"PK\x01\x02"[:2] + b"\x01\x02", 1).replace(b"\0\0\0\0", b"\xff\xff\xff\xff", 2),
            "sizes",
        )
    (folder / "pictures.zip").write_bytes(data)
    word = chance.choice(("import-photos", "import-mj"))
    return f"{how}, packing {packing}", (f"{word} {_ANA} {{given}}/hostile/pictures.zip --yes",)


def name(folder: Path, stage: Stage, chance: random.Random) -> tuple[str, tuple[str, ...]]:
    """A whole picture under a name that systems, terminals or lists stumble over."""
    words = (
        b"\xff\xfe.png",
        b"\x1b[2J\x1b]0;x\x07.png",
        b"a\nb.png",
        b"a\rb.jpg",
        b"-rf.png",
        b"--yes.png",
        b" .png",
        b"...png",
        b"CON.png",
        b"nul.jpg",
        b"[bold]x.png",
        b"=cmd|' C calc'!A1.png",
        "\u202egnp.exe.png".encode(),
        "é".encode() * 100 + b".png",
        b"a" * 250 + b".png",
        "\U0001f600.png".encode(),
        b"a\t.png",
        b"'\";.png",
        b"{0}.png",
        b"%s%n.png",
        b".hidden.png",
        b"a.png.part",
        b"$(x).png",
        b"a\x7f.png",
        b"u1_" + b"_".join([b"very"] * 60)[:200] + b"_3b9f6f0e-58c4-4d0b-9d0e-6a2c2f7b1a45_0.png",
    )
    chosen = chance.choice(words)
    from PIL import Image

    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 60).convert("RGB").save(buffer, format="PNG")
    if chance.random() < 0.8:
        Path(os.fsdecode(os.fsencode(folder) + b"/" + chosen)).write_bytes(buffer.getvalue())
    else:
        inner = Path(os.fsdecode(os.fsencode(folder) + b"/" + chosen))
        inner.mkdir()
        (inner / "a.png").write_bytes(buffer.getvalue())
    after = chance.choice((f"client show {CLIENT}", f"prompts {_ANA}", f"process {_ANA} --plan", f"grids {_ANA} --plan"))
    word = chance.choice(("import-photos", "import-mj"))
    return repr(chosen[:40]), (f"{word} {_ANA} {{given}}/hostile --yes", after)


# --- texts ------------------------------------------------------------------------------------------------------------------
def notes(folder: Path, stage: Stage, chance: random.Random) -> tuple[str, tuple[str, ...]]:
    """A list of prompts beside the pictures, or one named, that is none."""
    picture_path = chance.choice(sorted((stage.source / "mj").iterdir()))
    shutil.copy(picture_path, folder)
    wild = chance.choice((*TEXTS, "\U0001f600", "a, b; c", '"', "x" * 200_000))
    rows = json.dumps([{"file": picture_path.name, "prompt": wild}, {"job": wild, "prompt": "portrait"}])
    table = f"file,prompt\n{picture_path.name},{wild}\n".encode("utf-8", "surrogatepass")
    ending, whole = chance.choice(
        ((".json", rows.encode()), (".csv", table), (".txt", wild.encode("utf-8", "surrogatepass")), (".jsonl", rows.encode()))
    )
    how, data = chance.choice(
        (
            ("strange words", whole),
            ("strange words", whole),
            spoiled_bytes(whole, chance),
            ("deep", deep(100_000).encode()),
            ("huge number", b'[{"file": ' + b"9" * 6000 + b"}]"),
            ("UTF-16", whole.decode(errors="replace").encode("utf-16", "replace")),
            ("a long line", b"x," * 200_000),
            ("an HTML export", b"<html><body>" + b"<div>" * 20_000),
        )
    )
    file = folder / (picture_path.with_suffix(".txt").name if ending == ".txt" else f"list{ending}")
    file.write_bytes(data)
    lines = [f"import-mj {_ANA} {{given}}/hostile --yes"]
    if chance.random() < 0.4:
        lines.append(f"prompts {_ANA} --list {{given}}/hostile/{file.name}")
    return f"{ending[1:]}: {how}", (*lines, f"prompts {_ANA}")


def prompt_file(folder: Path, stage: Stage, chance: random.Random) -> tuple[str, tuple[str, ...]]:
    """A file of prompts or of styles that is none."""
    wild = chance.choice((*TEXTS, "((((((a))))))", "[a:b:0.5]", "(a:1e999)", "(" * 3000, "<lora:x:1>", "{a|b}")).encode(
        "utf-8", "surrogatepass"
    )
    if chance.random() < 0.5:
        how, data = chance.choice(
            (("strange words", wild), spoiled_bytes(b"portrait of ana woman\n" * 5, chance), ("long", wild * 50))
        )
        (folder / "prompts.txt").write_bytes(data)
        return f"prompts: {how}", (f"generate {_ANA} --plan --prompt-file {{given}}/hostile/prompts.txt --yes",)
    toml = b'[[style]]\nname = "x"\nadd = "' + wild.replace(b'"', b"'") + b'"\n'
    how, data = chance.choice((("strange words", toml), spoiled_bytes(toml, chance), ("deep", b"a = " + deep(20_000).encode())))
    styles = stage.home / "styles"
    styles.mkdir(exist_ok=True)
    (styles / "own.toml").write_bytes(data)
    return f"styles: {how}", (f"generate {_ANA} --plan --prompt x --style x --yes", f"generate {_ANA} --plan --prompt x --yes")


# --- models -----------------------------------------------------------------------------------------------------------------
def lora(folder: Path, stage: Stage, chance: random.Random) -> tuple[str, tuple[str, ...]]:
    """A LoRA file in the client's `models/` that is none, or has a strange header."""
    header = {
        "__metadata__": {
            "ss_base_model_version": "sdxl_base_v1-0",
            "ss_steps": "12",
            "ss_network_dim": "8",
            "ss_output_name": "ana_avatar_v7",
        },
        "lora_unet_x.lora_down.weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
    }
    how, text = (
        ("whole", json.dumps(header).encode()) if chance.random() < 0.2 else spoiled_json(json.dumps(header).encode(), chance)
    )
    length = chance.choice((len(text), len(text), len(text), 0, 2**63, 2**40, len(text) + 5))
    data = struct.pack("<Q", length) + text + bytes(16)
    if chance.random() < 0.3:
        how, data = spoiled_bytes(data, chance)
    models = stage.home / "clients" / CLIENT / "models"
    models.mkdir(exist_ok=True)
    stem = chance.choice(
        (f"{CLIENT}_avatar_v7", f"{CLIENT}_avatar_v7-step00000004", "other", f"{CLIENT}_avatar_v99999999999999999999")
    )
    (models / f"{stem}.safetensors").write_bytes(data)
    after = chance.choice(
        (
            f"checkpoints {_ANA} list",
            f"client show {CLIENT}",
            f"generate {_ANA} --plan --prompt x --lora {stem} --yes",
            f"checkpoints {_ANA} export {stem} --for comfyui --yes",
            f"checkpoints {_ANA} strip --yes",
        )
    )
    return f"{stem[-12:]}: {how}, length {length}", (after, f"train {_ANA} --plan --yes --anyway")


KINDS: dict[str, tuple[Kind, str, int]] = {  # the scene each begins in, and how often
    "picture": (picture, "created", 6),
    "raw": (raw, "created", 2),
    "archive": (archive, "created", 3),
    "name": (name, "created", 2),
    "notes": (notes, "created", 3),
    "prompt file": (prompt_file, "dataset", 2),
    "lora": (lora, "dataset", 3),
}


def _open_all(stage: Stage) -> int:
    """Decode every original, as `process` would."""
    from pictures.picture_file import UnreadablePicture, decode

    for path in sorted((stage.home / "clients" / CLIENT).glob("raw_*/*")):
        try:
            decode(path)
        except UnreadablePicture as refused:
            print(f"refused: {refused.reason}")
    return 0


def _outcomes(stage: Stage, lines: tuple[str, ...]) -> list[Outcome]:
    done = [act(stage.home, stage.words(line), stage.out, seconds=SECONDS) for line in lines]
    if lines[0].startswith("import"):
        done.append(start(lambda: _open_all(stage), stage.out, memory=MEMORY_BYTES).wait(SECONDS))
    return done


def run(campaign: Campaign, stage: Stage, quick: bool) -> None:
    """The campaign."""
    prepare(stage, {scene for _kind, scene, _weight in KINDS.values()} | {"processed"})
    plan = [kind for kind, (_make, _scene, weight) in KINDS.items() for _each in range(weight)]
    for number in campaign.numbers():
        chance, kind = campaign.chance(number), plan[number % len(plan)]
        make, scene, _weight = KINDS[kind]
        stage.set_up(scene)
        folder, victim = stage.given / "hostile", stage.lay_victim()
        folder.mkdir()
        what, lines = make(folder, stage, chance)
        before = bytes_of(stage.given, victim)
        outcomes = _outcomes(stage, lines)
        with campaign.trying(number, kind, f"{kind}: {what}: {lines[0].split()[0]}") as wrong:
            for outcome in outcomes:
                wrong += outcome.wrong(0, 1)
                campaign.notes[f"{kind}: exit {outcome.code}"] += 1
            if bytes_of(stage.given, victim) != before:
                wrong.append("OUTSIDE: something that was given, or that lies elsewhere, was changed")
