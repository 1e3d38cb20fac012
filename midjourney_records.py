"""`metadata/midjourney.json` and `.csv`: what MidJourney's file names and embedded texts tell of every picture of a client.

The embedded texts are kept as they were found; all else is worked out of them, the file names and what the user told (`told.json`)
anew whenever the file is written, so a better reader or one more user name makes every record better.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from client import Client, Picture, Source
from job_groups import JobGroup, PromptDifference, group_by_job, prompt_difference
from midjourney import MidJourneyRecord, parse, repair_mojibake
from midjourney_parameters import PARAMETERS
from pictures import EmbeddedText, UnreadablePicture, read_embedded
from spreadsheet import write_spreadsheet
from told import Told
from traits import Trait, traits_of
from utils import read_record, replacing

_PARAMETER_COLUMNS = tuple(dict.fromkeys(row.name for row in PARAMETERS))
_TRAIT_COLUMNS = ("lighting", "expression", "physical")
_COLUMNS = (
    "file", "uuid", "variation_index", "username", "source", "truncated", "prompt", "group_prompt", "added_to_master",
    "missing_from_master", *_PARAMETER_COLUMNS, *_TRAIT_COLUMNS, "uncertain", "invalid", "unknown", "image_urls", "action",
    "uuid_conflict", "created", "sha256",
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
    """`midjourney.json`, as far as it is read back: the embedded text of each picture."""

    model_config = ConfigDict(frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    images: tuple[KeptText, ...] = ()


def read_midjourney_file(client: Client) -> MidJourneyFile:
    """What is kept of a client's MidJourney pictures; raises BrokenFile."""
    path = client.midjourney_file
    return read_record(path, MidJourneyFile) if path.exists() else MidJourneyFile()


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture and what is kept of it."""

    picture: Picture
    text: KeptText
    record: MidJourneyRecord  # its gaps filled from its job


@dataclass(frozen=True, slots=True)
class Job:
    """The pictures of one job, in the order of their variations."""

    group: JobGroup
    entries: tuple[Entry, ...]

    @property
    def key(self) -> str:
        """What `told.json` knows it by."""
        return self.group.uuid or self.entries[0].picture.sha256

    @property
    def master_words(self) -> str | None:
        """What counts for the master prompt: a cut prompt lacks words it may share."""
        return None if self.group.needs_prompt else self.group.prompt


def read_jobs(client: Client, told: Told, texts: Mapping[str, EmbeddedText] | None = None) -> tuple[Job, ...]:
    """Every job among a client's MidJourney pictures, in the order of file names; raises BrokenFile.

    `texts` are the embedded texts read in this run, by the hash of the picture; what neither they nor `midjourney.json` have is
    read from the originals.
    """
    stored = {text.sha256: text for text in read_midjourney_file(client).images}
    pictures = [picture for picture in client.pictures() if picture.source is Source.MIDJOURNEY]
    kept = [stored.get(picture.sha256) or _kept_text(client, picture, texts or {}) for picture in pictures]
    authors = {repair_mojibake(text.embedded_author).strip() for text in kept if text.embedded_author}
    known = tuple(sorted({*told.usernames, *authors}))  # an author whom one picture names is known in the names of all
    records = [_parse(picture, text, told, known) for picture, text in zip(pictures, kept, strict=True)]
    return tuple(
        Job(group, tuple(Entry(pictures[at], kept[at], group.members[n]) for n, at in enumerate(group.positions)))
        for group in group_by_job(records)
    )


def _kept_text(client: Client, picture: Picture, texts: Mapping[str, EmbeddedText]) -> KeptText:
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


def _parse(picture: Picture, text: KeptText, told: Told, usernames: tuple[str, ...]) -> MidJourneyRecord:
    """Read one picture; what the user told of its job is looked up by the job that the files themselves name."""
    size = (picture.width, picture.height) if picture.width and picture.height else None
    name, embedded, author = picture.original, text.embedded_text or None, text.embedded_author or None
    own = parse(name, embedded, known_usernames=usernames, image_size=size, embedded_author=author)
    supplied, message = told.supplied(picture.sha256, own.uuid), told.message(picture.sha256, own.uuid)
    if not supplied and not message:
        return own
    return parse(
        name, embedded, known_usernames=usernames, image_size=size, embedded_author=author, supplied_text=supplied or None,
        discord_text=message or None,
    )  # fmt: skip


# --- the files --------------------------------------------------------------------------------------------------------
def write_midjourney_file(client: Client, told: Told, texts: Mapping[str, EmbeddedText] | None = None) -> None:
    """Write `midjourney.json` and `.csv`, one line an image in the order of file names."""
    jobs = read_jobs(client, told, texts)
    placed = sorted(((entry, job) for job in jobs for entry in job.entries), key=lambda pair: pair[0].picture.file)
    write_spreadsheet(client.midjourney_file.with_suffix(".csv"), _COLUMNS, (_row(entry, job, told) for entry, job in placed))
    with replacing(client.midjourney_file) as part, part.open("w", encoding="utf-8", newline="\n") as file:
        master = json.dumps(told.master_prompt, ensure_ascii=False)
        file.write(f'{{"schema": 1, "master_prompt": {master}, "images": [')
        for number, (entry, job) in enumerate(placed):
            # One line each: memory stays flat, and a difference of two versions shows the images that changed.
            file.write((",\n" if number else "\n") + json.dumps(_as_json(entry, job, told), ensure_ascii=False))
        file.write("\n]}\n")


def difference(job: Job, told: Told) -> PromptDifference | None:
    """How the job's prompt departs from the client's master prompt; None where one of them is not known."""
    if not told.master_prompt or job.group.prompt is None:
        return None
    return prompt_difference(job.group.prompt, told.master_prompt)


def _as_json(entry: Entry, job: Job, told: Told) -> dict[str, object]:
    departs = difference(job, told)
    return {
        "file": entry.picture.file, **entry.text.model_dump(), **entry.record.to_json(), "group_prompt": job.group.prompt,
        "difference": departs and asdict(departs), "traits": [asdict(trait) for trait in traits_of(entry.record)],
    }  # fmt: skip


def _row(entry: Entry, job: Job, told: Told) -> list[Cell]:
    record, departs, found = entry.record, difference(job, told), traits_of(entry.record)
    return [
        entry.picture.file, record.uuid or "", "" if record.variation_index is None else record.variation_index,
        record.username or "", record.source, str(record.truncated).lower(), record.prompt or "", job.group.prompt or "",
        *((" ".join(departs.added), " ".join(departs.missing)) if departs else ("", "")),
        *(_cell(record.params.get(name)) for name in _PARAMETER_COLUMNS), *(_names(found, kind) for kind in _TRAIT_COLUMNS),
        *(_cell(names) for names in (record.uncertain, record.invalid, record.unknown, record.image_urls)),
        record.action or "", record.uuid_conflict or "", entry.text.created, entry.picture.sha256,
    ]  # fmt: skip


def _cell(value: bool | int | float | str | list[str] | None) -> Cell:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value) if isinstance(value, list) else value


def _names(found: Sequence[Trait], kind: str) -> str:
    return ", ".join(trait.name for trait in found if trait.kind == kind)
