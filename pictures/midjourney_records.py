"""`metadata/midjourney.json` and `.csv`: what MidJourney's file names and embedded texts tell of every picture of a client.

The embedded texts are kept as they were found; all else is worked out of them, the file names and what the user told (`told.json`)
anew whenever the file is written, so a better reader or one more user name makes every record better.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Literal

from pydantic import ConfigDict, Field

from client_folder.client import Client
from client_folder.records import Picture, Source
from client_folder.spreadsheet import write_spreadsheet
from pictures.midjourney import MidJourneyRecord, parse, repair_mojibake
from pictures.midjourney_jobs import JobGroup, PromptDifference, group_by_job, prompt_difference
from pictures.midjourney_parameters import PARAMETERS
from pictures.picture_file import EmbeddedText, UnreadablePicture, read_embedded
from pictures.traits import Trait, traits_of
from pictures.user_notes import UserNotes
from utils import Record, read_record, replacing, sha256_file

_PARAMETER_COLUMNS = tuple(dict.fromkeys(row.name for row in PARAMETERS))
_TRAIT_COLUMNS = ("lighting", "expression", "physical")
_COLUMNS = (
    "file", "uuid", "variation_index", "username", "source", "truncated", "prompt", "group_prompt", "added_to_master",
    "missing_from_master", *_PARAMETER_COLUMNS, *_TRAIT_COLUMNS, "uncertain", "invalid", "unknown", "image_urls", "action",
    "uuid_conflict", "created", "sha256",
)  # fmt: skip
Cell = str | int | float
_MADE_OF = re.compile(r'\{"schema": 1, "made_of": "([0-9a-f]{64})"')  # the beginning of midjourney.json
_HEAD_CHARACTERS = 200


class KeptText(Record):
    """The part of an entry of `midjourney.json` that is kept, not worked out."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    embedded_text: str = ""
    embedded_author: str = ""
    created: str = ""
    image_guid: str = ""
    source_type: str = ""

    def text(self) -> EmbeddedText:
        """The same, as it is when it is read from the picture."""
        return EmbeddedText(self.embedded_text, self.embedded_author, self.created, self.image_guid, self.source_type)


class MidJourneyFile(Record):
    """`midjourney.json`, as far as it is read back: the embedded text of each picture."""

    model_config = ConfigDict(frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    images: tuple[KeptText, ...] = ()


def read_midjourney_file(client: Client) -> MidJourneyFile:
    """What is kept of a client's MidJourney pictures; raises BrokenFile."""
    path = client.midjourney_file
    return read_record(path, MidJourneyFile) if path.exists() else MidJourneyFile()


@dataclass(frozen=True, slots=True)
class PromptSource:
    """One picture, the text embedded in it, and its record, whose gaps are filled from its job."""

    picture: Picture
    text: EmbeddedText
    record: MidJourneyRecord


@dataclass(frozen=True, slots=True)
class MidJourneyJob:
    """The pictures of one job, in the order of their variations."""

    group: JobGroup
    entries: tuple[PromptSource, ...]

    @property
    def key(self) -> str:
        """What `told.json` knows it by."""
        return self.group.uuid or self.entries[0].picture.sha256

    @property
    def master_words(self) -> str | None:
        """What counts for the master prompt: of a cut prompt all but its last word, which may be half of one."""
        prompt = self.group.prompt
        return prompt.rpartition(" ")[0] if prompt and self.group.needs_prompt else prompt


def read_jobs(client: Client, user_notes: UserNotes) -> tuple[MidJourneyJob, ...]:
    """Every job among a client's MidJourney pictures, in the order of file names; raises BrokenFile."""
    reader = _RecordReader(client, client.pictures(), user_notes, {})
    return tuple(reader.job(key) for key in reader.members)


class _RecordReader:
    """Reads pictures into records, one job at a time: of all pictures only the job of each is kept."""

    def __init__(
        self, client: Client, pictures: Sequence[Picture], user_notes: UserNotes, texts: Mapping[str, EmbeddedText]
    ) -> None:
        """`texts` are the embedded texts read in this run, by hash; what nobody has read yet is read from the originals."""
        self.user_notes = user_notes
        self.pictures = [picture for picture in pictures if picture.source is Source.MIDJOURNEY]
        self.texts = {**{kept.sha256: kept.text() for kept in read_midjourney_file(client).images}, **texts}
        for picture in self.pictures:
            if picture.sha256 not in self.texts:
                try:
                    text = read_embedded(client.raw(Source.MIDJOURNEY) / picture.file)
                except UnreadablePicture:
                    text = EmbeddedText()
                self.texts[picture.sha256] = text
        authors = {repair_mojibake(text.author).strip() for text in self.texts.values() if text.author}
        self.usernames = tuple(sorted({*user_notes.usernames, *authors}))  # whom one picture names is known in the names of all
        self.members: dict[str, list[Picture]] = {}
        for picture in self.pictures:
            self.members.setdefault(self._parse(picture).uuid or picture.sha256, []).append(picture)

    def _parse(self, picture: Picture) -> MidJourneyRecord:
        """Read one picture; what the user told of its job is looked up by the job that the files themselves name."""
        text = self.texts[picture.sha256]
        read = partial(
            parse, picture.original, text.description or None, known_usernames=self.usernames, embedded_author=text.author or None,
            image_size=(picture.width, picture.height) if picture.width and picture.height else None,
        )  # fmt: skip
        own = read()
        message = self.user_notes.message(picture.sha256, own.uuid) or None
        found = read(discord_text=message) if message else own  # a message may be the first to name the job
        supplied = self.user_notes.supplied(picture.sha256, own.uuid, found.uuid)
        return read(supplied_text=supplied, discord_text=message) if supplied else found

    def job(self, key: str) -> MidJourneyJob:
        """One job in full."""
        pictures = self.members[key]
        (group,) = group_by_job([self._parse(picture) for picture in pictures])
        found = [pictures[position] for position in group.positions]
        entries = zip(found, group.members, strict=True)
        return MidJourneyJob(group, tuple(PromptSource(picture, self.texts[picture.sha256], record) for picture, record in entries))

    def entries(self) -> Iterator[tuple[PromptSource, MidJourneyJob]]:
        """Every picture with its job, in the order of file names; a job is forgotten behind its last picture."""
        waiting: dict[str, dict[str, tuple[PromptSource, MidJourneyJob]]] = {}
        keys = {picture.file: key for key, pictures in self.members.items() for picture in pictures}
        for picture in self.pictures:
            key = keys[picture.file]
            if key not in waiting:
                job = self.job(key)
                waiting[key] = {entry.picture.file: (entry, job) for entry in job.entries}
            yield waiting[key].pop(picture.file)
            if not waiting[key]:
                del waiting[key]


# --- the files --------------------------------------------------------------------------------------------------------
def write_midjourney_file(
    client: Client, user_notes: UserNotes, pictures: Sequence[Picture], texts: Mapping[str, EmbeddedText] | None = None
) -> None:
    """Write `midjourney.json` and `.csv` for these pictures, which are in the order of file names: one line an image.

    `texts` are the embedded texts read in this run, by the hash of the picture.
    """
    reader = _RecordReader(client, pictures, user_notes, texts or {})
    with replacing(client.midjourney_file) as part, part.open("w", encoding="utf-8", newline="\n") as file:
        master = json.dumps(user_notes.master_prompt, ensure_ascii=False)
        file.write(f'{{"schema": 1, "made_of": "{_sources_digest(client)}", "master_prompt": {master}, "images": [')

        def rows() -> Iterator[list[Cell]]:
            """The rows of the spreadsheet; each picture's entry is written on the way, so that it is worked out once."""
            for number, (entry, job) in enumerate(reader.entries()):
                # One line each: memory stays flat, and a difference of two versions shows the images that changed.
                file.write((",\n" if number else "\n") + json.dumps(_as_json(entry, job, user_notes), ensure_ascii=False))
                yield _row(entry, job, user_notes)

        write_spreadsheet(client.midjourney_file.with_suffix(".csv"), _COLUMNS, rows())
        file.write("\n]}\n")


def midjourney_file_is_current(client: Client) -> bool:
    """Whether `midjourney.json`, which is written behind its table, was made of the records as they lie there now.

    Told by their content: a client that was moved to another time zone, or a clock that was set back, has files of any age.
    """
    try:
        with client.midjourney_file.open(encoding="utf-8", errors="replace") as file:
            made_of = _MADE_OF.match(file.read(_HEAD_CHARACTERS))
    except FileNotFoundError:
        return False
    return made_of is not None and made_of[1] == _sources_digest(client)


def _sources_digest(client: Client) -> str:
    """A digest of what `midjourney.json` is made of: the records of the originals, and what the user told."""
    paths = (client.images_file, client.user_notes_file)
    return hashlib.sha256(" ".join(sha256_file(path) if path.exists() else "-" for path in paths).encode()).hexdigest()


def difference(job: MidJourneyJob, user_notes: UserNotes) -> PromptDifference | None:
    """How the job's prompt departs from the client's master prompt; None where one of them is not known."""
    if not user_notes.master_prompt or job.group.prompt is None:
        return None
    return prompt_difference(job.group.prompt, user_notes.master_prompt)


def _as_json(entry: PromptSource, job: MidJourneyJob, user_notes: UserNotes) -> dict[str, object]:
    departs = difference(job, user_notes)
    return {
        "file": entry.picture.file, "sha256": entry.picture.sha256, "embedded_text": entry.text.description,
        "embedded_author": entry.text.author, "created": entry.text.created, "image_guid": entry.text.image_guid,
        "source_type": entry.text.source_type, **entry.record.to_json(), "group_prompt": job.group.prompt,
        "difference": departs and asdict(departs), "traits": [asdict(trait) for trait in traits_of(entry.record)],
    }  # fmt: skip


def _row(entry: PromptSource, job: MidJourneyJob, user_notes: UserNotes) -> list[Cell]:
    record, departs, found = entry.record, difference(job, user_notes), traits_of(entry.record)
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
