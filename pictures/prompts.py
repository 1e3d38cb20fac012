"""The prompts of a client's jobs: what is known, what is missing, what differs from the master prompt, what the user adds to it.

MidJourney knows no master prompt. Here it is what the user says all pictures of the client have in common; the words that most jobs
share are offered for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from client_folder.client import Client
from client_folder.records import Source
from locales.language import N_
from pictures.midjourney import username_candidates
from pictures.midjourney_jobs import PromptDifference, master_prompt, proposed_usernames
from pictures.midjourney_records import MidJourneyJob, difference, read_jobs, write_midjourney_file
from pictures.prompt_lists import BrokenList, match, read_list
from pictures.user_notes import read_user_notes, write_user_notes
from utils import PipelineError

MOST_CANDIDATES = 4  # more words than a user name may have at the front are a prompt's


class ListRefused(PipelineError):
    """Facts: path, reason."""

    message = N_("The list {path} cannot be read: {reason}")
    hint = N_("A CSV or JSON file with a column for the picture (file) or the job (uuid) and one for its prompt can be read.")


class UnknownJob(PipelineError):
    """Facts: job."""

    message = N_('"{job}" names no job of this client, or several.')
    hint = N_("Name it by its id or by one of its pictures, as they are listed by: prompts")


@dataclass(frozen=True, slots=True)
class JobPrompt:
    """One job as the user sees it; `key` names it for `tell`."""

    key: str
    files: tuple[str, ...]  # in raw_mj/, by variation
    prompt: str | None
    source: str
    truncated: bool
    known: bool  # whether there are words, and not only the beginning of them
    difference: PromptDifference | None


@dataclass(frozen=True, slots=True)
class Prompts:
    """All prompts of a client. `offered` are the words most jobs share; `candidates` the fronts that may be a user name, and
    `proposed` those that probably are."""

    master_prompt: str | None  # None: never asked for
    offered: str
    usernames: tuple[str, ...]
    candidates: tuple[str, ...]
    jobs: tuple[JobPrompt, ...]
    skipped: tuple[str, ...]
    proposed: tuple[str, ...] = ()

    @property
    def unknown(self) -> tuple[JobPrompt, ...]:
        """The jobs whose prompt nobody knows in full."""
        return tuple(job for job in self.jobs if not job.known)

    @property
    def open(self) -> bool:
        """Whether there is something the user was never asked."""
        return bool(self.jobs) and (self.master_prompt is None or any(job.key not in self.skipped for job in self.unknown))


def read_prompts(client: Client, usernames: Sequence[str] = ()) -> Prompts:
    """The prompts as the client's files tell them, were these user names known too; raises BrokenFile."""
    user_notes = read_user_notes(client).plus(usernames=usernames)
    jobs = read_jobs(client, user_notes)
    unnamed: list[str] = []
    told: list[JobPrompt] = []
    for job in jobs:
        unnamed += (entry.picture.original for entry in job.entries if not entry.record.username)
        first = job.entries[0].record
        told.append(
            JobPrompt(
                job.key, tuple(entry.picture.file for entry in job.entries), job.group.prompt, first.source, first.truncated,
                not job.group.needs_prompt, difference(job, user_notes),
            )
        )  # fmt: skip
    return Prompts(
        master_prompt=user_notes.master_prompt, offered=master_prompt(job.master_words for job in jobs),
        usernames=user_notes.usernames, candidates=username_candidates(unnamed)[:MOST_CANDIDATES],
        jobs=tuple(told), skipped=user_notes.skipped, proposed=proposed_usernames(unnamed),
    )  # fmt: skip


def tell(
    client: Client, *, usernames: Sequence[str] = (), master: str | None = None, texts: Mapping[str, str] | None = None,
    lists: Sequence[Path] = (), skipped: Sequence[str] = (),
) -> Prompts:  # fmt: skip
    """Keep what the user tells and write the records anew; raises UnknownJob, ListRefused or BrokenFile.

    `texts` are prompts by job: its id, the beginning of it, or the name of a picture. An empty one takes an earlier one back.
    """
    user_notes = read_user_notes(client)
    if not (usernames or master is not None or texts or lists or skipped):
        return read_prompts(client)
    pictures: dict[Path, str] = {}
    for picture in client.pictures():
        if picture.source is Source.MIDJOURNEY:
            pictures[client.raw_mj / picture.file] = picture.sha256
            pictures[client.raw_mj / picture.original.rpartition("/")[2]] = picture.sha256
    jobs = read_jobs(client, user_notes) if texts else ()
    listed: dict[str, str] = {}
    discord: dict[str, str] = {}
    for path in lists:
        try:
            found = list(match(((client.raw_mj, text) for text in read_list(path)), pictures))
        except BrokenList as error:
            raise ListRefused(path=path, reason=error) from error
        for key, text in found:
            (discord if text.discord else listed)[key] = text.text
    typed = {_find(jobs, name): text.strip() for name, text in (texts or {}).items()}
    user_notes = user_notes.plus(
        usernames=usernames, master_prompt=master, typed=typed, listed=listed, discord=discord, skipped=skipped
    )
    write_user_notes(client, user_notes)
    write_midjourney_file(client, user_notes, client.pictures())
    return read_prompts(client)


def _find(jobs: Sequence[MidJourneyJob], name: str) -> str:
    """The key of the one job that goes by this id, beginning of an id, or name of a picture."""
    wanted = name.strip().casefold()
    found: set[str] = set()
    for job in jobs:
        names = [name.casefold() for entry in job.entries for name in (entry.picture.file, entry.picture.original)]
        if job.key.startswith(wanted) or wanted in names:
            found.add(job.key)
    if len(found) != 1 or not wanted:
        raise UnknownJob(job=name)
    return found.pop()
