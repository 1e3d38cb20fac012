"""A client's LoRA files looked at closely: hash, loss, samples, what their headers give away, and headers without captions.

A safetensors file is eight bytes that count the header, the header as JSON, and the tensors. Only the header is ever rewritten
here; the tensors are copied as they are, byte by byte.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client_folder.client import Client
from training.checkpoints import Checkpoint, choose_lora, exam_choice, list_checkpoints
from training.exam_choice import ExamChoice
from training.runs import losses_of, read_runs
from training.samples import samples_of, write_sample_sheet
from utils import Event, Progress, replacing, sha256_file

# What sd-scripts writes of captions and folders: a client's words and name leave this machine with the file.
TELLTALE = ("ss_tag_frequency", "ss_datasets", "ss_dataset_dirs", "ss_reg_dataset_dirs", "ss_training_comment")
_METADATA = "__metadata__"
_LENGTH_BYTES = 8
_COPY_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class LoraFile:
    """A checkpoint with all that is known of it: the loss is sd-scripts' moving average, None where no run recorded one."""

    checkpoint: Checkpoint
    sha256: str
    loss: float | None
    samples: tuple[Path, ...]
    captions: bool  # whether its header holds captions


@dataclass(frozen=True, slots=True)
class LoraFiles:
    """Every LoRA of a client, oldest first, and for each version that has samples the sheet that shows them side by side.

    `exam_choice` is the one that the exam chose, which is taken wherever none is named.
    """

    files: tuple[LoraFile, ...]
    sheets: tuple[Path, ...] = ()
    exam_choice: ExamChoice | None = None


@dataclass(frozen=True, slots=True)
class Stripped:
    """Which files lost the captions in their headers."""

    files: tuple[Path, ...]


def look_closely(client: Client) -> Generator[Event, None, LoraFiles]:
    """Read and hash every LoRA of a client; a torn one is listed too."""
    checkpoints, runs, found = list_checkpoints(client), read_runs(client), []
    for number, one in enumerate(checkpoints, 1):
        losses = losses_of(runs, one.version)
        lora = client.lora_name(one.version)
        header = read_metadata(one.path) if one.whole else {}
        captions = any(name in header for name in TELLTALE)
        found.append(
            LoraFile(
                one,
                sha256_file(one.path) if one.path.is_file() else "",
                losses.get(one.step),
                samples_of(client, lora, one.step),
                captions,
            )
        )
        yield Progress("checkpoints", number, len(checkpoints), one.path.name)
    bases = {one.version: one.base_kind for one in checkpoints if one.base_kind is not None}
    versions = sorted({one.version for one in checkpoints})
    sheets = [write_sample_sheet(client, version, bases.get(version)) for version in versions]
    return LoraFiles(tuple(found), tuple(sheet for sheet in sheets if sheet), exam_choice(client))


def strip_captions(client: Client, name: str = "") -> Generator[Event, None, Stripped]:
    """Take captions and folder names out of the headers of all LoRAs, or of the one named; raises as `choose_lora`, ClientBusy."""
    with client.lock():
        wanted = [choose_lora(client, name)] if name else [one for one in list_checkpoints(client) if one.whole]
        stripped = []
        for number, one in enumerate(wanted, 1):
            if any(key in read_metadata(one.path) for key in TELLTALE):
                copy_lora(one.path, one.path, without_captions=True)
                stripped.append(one.path)
            yield Progress("checkpoints", number, len(wanted), one.path.name)
    return Stripped(tuple(stripped))


def read_metadata(path: Path) -> dict[str, str]:
    """What a whole safetensors file says of itself."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        return dict(file.metadata() or {})


def copy_lora(source: Path, target: Path, *, without_captions: bool) -> None:
    """Copy a whole LoRA, atomically, onto itself too; `without_captions` leaves the telltale entries of its header out."""
    with replacing(target) as part, source.open("rb") as old, part.open("wb") as new:
        length = int.from_bytes(old.read(_LENGTH_BYTES), "little")
        header: dict[str, Any] = json.loads(old.read(length))  # what is left to read are the tensors
        if without_captions:
            header[_METADATA] = {name: value for name, value in header.get(_METADATA, {}).items() if name not in TELLTALE}
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-len(text) % 8)  # tensors begin at a multiple of eight, as safetensors writes them
        new.write(len(text).to_bytes(_LENGTH_BYTES, "little") + text)
        shutil.copyfileobj(old, new, _COPY_BYTES)
