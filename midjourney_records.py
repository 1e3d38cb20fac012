"""`metadata/midjourney.json` and `.csv`: what MidJourney's file names and embedded texts tell of every picture of a client.

The embedded texts and the user names are kept as they were found; all else is worked out of them and the file names anew whenever
the file is written, so a better reader or one more user name makes every record better.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from client import Client, Picture, Source
from job_groups import group_by_job
from midjourney import MidJourneyRecord, parse
from midjourney_parameters import PARAMETERS
from pictures import EmbeddedText, UnreadablePicture, read_embedded
from spreadsheet import write_spreadsheet
from traits import Trait, traits_of
from utils import read_record, replacing

_PARAMETER_COLUMNS = tuple(dict.fromkeys(row.name for row in PARAMETERS))
_TRAIT_COLUMNS = ("lighting", "expression", "physical")
_COLUMNS = (
    "file", "uuid", "variation_index", "username", "source", "truncated", "prompt", "group_prompt", *_PARAMETER_COLUMNS,
    *_TRAIT_COLUMNS, "uncertain", "sha256",
)  # fmt: skip
Cell = str | int | float


class KeptText(BaseModel):
    """The part of an entry of `midjourney.json` that is kept, not worked out."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    embedded_text: str = ""
    embedded_author: str = ""
    created: str = ""
    image_guid: str = ""
    source_type: str = ""


class MidJourneyFile(BaseModel):
    """`midjourney.json`, as far as it is read back: the user names given so far, and the embedded text of each picture."""

    model_config = ConfigDict(frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    usernames: tuple[str, ...] = ()
    images: tuple[KeptText, ...] = ()


def read_midjourney_file(client: Client) -> MidJourneyFile:
    """What is kept of a client's MidJourney pictures; raises BrokenFile."""
    path = client.midjourney_file
    return read_record(path, MidJourneyFile) if path.exists() else MidJourneyFile()


@dataclass(frozen=True, slots=True)
class _Entry:
    """All that is known of one picture."""

    picture: Picture
    text: KeptText
    record: MidJourneyRecord
    group_prompt: str | None
    traits: tuple[Trait, ...]


def write_midjourney_file(
    client: Client, pictures: Sequence[Picture], texts: Mapping[str, EmbeddedText], kept: MidJourneyFile, usernames: Sequence[str]
) -> None:
    """Write `midjourney.json` and `.csv` for these pictures, in their order.

    `texts` are the embedded texts read in this run, by the hash of the picture; what neither they nor the kept ones have is read
    from the originals.
    """
    known = tuple(sorted({*kept.usernames, *usernames}))
    stored = {text.sha256: text for text in kept.images}
    found = [_kept_text(client, picture, texts, stored) for picture in pictures]
    entries = _entries(pictures, found, [_parse(picture, text, known) for picture, text in zip(pictures, found, strict=True)])
    _write_json(client, known, entries)
    write_spreadsheet(client.midjourney_file.with_suffix(".csv"), _COLUMNS, map(_row, entries))


def _entries(pictures: Sequence[Picture], texts: Sequence[KeptText], records: Sequence[MidJourneyRecord]) -> list[_Entry]:
    """Let the records of each job fill one another's gaps; the entries keep the order of the pictures."""
    found: dict[int, _Entry] = {}
    for group in group_by_job(records):
        for position, member in zip(group.positions, group.members, strict=True):
            found[position] = _Entry(pictures[position], texts[position], member, group.prompt, traits_of(member))
    return [found[position] for position in range(len(records))]


def _kept_text(client: Client, picture: Picture, texts: Mapping[str, EmbeddedText], stored: Mapping[str, KeptText]) -> KeptText:
    """The embedded text of a picture, from the first place that has it."""
    if picture.sha256 in stored:
        return stored[picture.sha256]
    text = texts.get(picture.sha256)
    if text is None:
        try:
            text = read_embedded(client.raw(Source.MIDJOURNEY) / picture.file)
        except UnreadablePicture:
            text = EmbeddedText()
    return KeptText(
        sha256=picture.sha256, embedded_text=text.description, embedded_author=text.author, created=text.created,
        image_guid=text.image_guid, source_type=text.source_type,
    )  # fmt: skip


def _parse(picture: Picture, text: KeptText, usernames: tuple[str, ...]) -> MidJourneyRecord:
    size = (picture.width, picture.height) if picture.width and picture.height else None
    return parse(
        picture.original.rpartition("/")[2], text.embedded_text or None, known_usernames=usernames, image_size=size,
        embedded_author=text.embedded_author or None,
    )  # fmt: skip


def _write_json(client: Client, usernames: tuple[str, ...], entries: Sequence[_Entry]) -> None:
    """Write one line an image: memory stays flat, and a difference of two versions shows the images that changed."""
    with replacing(client.midjourney_file) as part, part.open("w", encoding="utf-8", newline="\n") as file:
        file.write('{"schema": 1, "usernames": ' + json.dumps(usernames, ensure_ascii=False) + ', "images": [')
        for number, entry in enumerate(entries):
            file.write((",\n" if number else "\n") + json.dumps(_as_json(entry), ensure_ascii=False))
        file.write("\n]}\n")


def _as_json(entry: _Entry) -> dict[str, object]:
    return {
        "file": entry.picture.file, **entry.text.model_dump(), **entry.record.to_json(), "group_prompt": entry.group_prompt,
        "traits": [asdict(trait) for trait in entry.traits],
    }  # fmt: skip


def _row(entry: _Entry) -> list[Cell]:
    record = entry.record
    return [
        entry.picture.file, record.uuid or "", "" if record.variation_index is None else record.variation_index,
        record.username or "", record.source, str(record.truncated).lower(), record.prompt or "", entry.group_prompt or "",
        *(_cell(record.params.get(name)) for name in _PARAMETER_COLUMNS), *(_names(entry.traits, kind) for kind in _TRAIT_COLUMNS),
        ", ".join(record.uncertain), entry.picture.sha256,
    ]  # fmt: skip


def _cell(value: bool | int | float | str | list[str] | None) -> Cell:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value) if isinstance(value, list) else value


def _names(found: Sequence[Trait], kind: str) -> str:
    return ", ".join(trait.name for trait in found if trait.kind == kind)
