"""MidJourney's pictures by job, and the words that a client's jobs share: the master prompt.

Pure. A job is what one uuid names: up to four variations of a first grid, or one picture of an upscale, zoom or pan.
MidJourney knows no "master prompt"; it is what the user typed for this client, so the one found here is only offered.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from client_folder.names import is_common
from pictures.midjourney import JOB_TEXTS, SOURCES, VARIATIONS, MidJourneyRecord, username_candidates
from utils import fold

_WEIGHT = re.compile(r"::-?[0-9.]*")
# What is left of a text that was cut behind it, or before a word that is not told: "with hat in a".
DANGLING = re.compile(
    r"(?:(?:^|\s+)(?:a|an|the|of|with|and|or|in|on|at|by|to|from|for|under|near|behind|un|una|el|la|los|las|de|del|con|y|o|en"
    r"|por|para|al|su|sus))+$",
    re.IGNORECASE,
)
_EDGES = ".,;:!?\"'()[]{}*“”‘’«»¿¡…"  # what may stand around a word
# Words that prompts begin with, in English and Spanish, beside those of `is_common`: no user is called that.
_FIRST_WORDS = (
    "a an the of in with at on by and this that it its my our your his her some one two imagine create make generate draw "
    "paint show portraits photograph photographic photorealistic realistic hyperrealistic ultra ultrarealistic real raw "
    "high highly low full half upper close closeup headshot profile front side view shot extreme medium wide detailed "
    "simple beautiful pretty handsome young old elderly adult teenage smiling serious happy sad calm confident professional "
    "corporate business fashion editorial cinematic dramatic soft hard natural warm cold cool dark light bright black white "
    "red blue green vintage modern futuristic minimalist artistic oil watercolor sketch digital illustration render "
    "painting drawing poster cartoon anime fantasy street beach city forest office outdoor indoor summer winter night day "
    "golden sitting standing walking running reading looking wearing un una el la los las de del con en por para y este "
    "esta mi su retratos fotografia fotorrealista realista primer plano cuerpo medio joven anciano anciana guapa guapo "
    "hermosa hermoso sonriente sonriendo seria serio feliz profesional cinematografico dibujo pintura acuarela calle playa "
    "ciudad bosque oficina noche dia"
)
FIRST_WORDS = frozenset(_FIRST_WORDS.split())


@dataclass(frozen=True, slots=True)
class JobGroup:
    """The pictures of one job, sorted by index, each with its gaps filled from the others."""

    uuid: str | None
    members: tuple[MidJourneyRecord, ...]
    positions: tuple[int, ...]  # of each member in the records that were grouped

    @property
    def prompt(self) -> str | None:
        """The best prompt that any member knows."""
        return best_prompt(self.members).prompt

    @property
    def needs_prompt(self) -> bool:
        """Whether the user should be asked: no words are known, or only the beginning of them."""
        return not self.prompt or best_prompt(self.members).truncated

    @property
    def missing(self) -> tuple[int, ...]:
        """The variations that are not here; none for a job of a single picture without an index."""
        present = {member.variation_index for member in self.members}
        return () if present == {None} else tuple(index for index in range(VARIATIONS) if index not in present)


@dataclass(frozen=True, slots=True)
class PromptDifference:
    """How a prompt departs from the master prompt, word by word."""

    added: tuple[str, ...]
    missing: tuple[str, ...]


def group_by_job(records: Sequence[MidJourneyRecord]) -> tuple[JobGroup, ...]:
    """Gather the records of each job, in the order the jobs first appear; without a uuid each stands alone."""
    jobs: dict[str | int, list[int]] = {}
    for position, record in enumerate(records):
        jobs.setdefault(record.uuid or position, []).append(position)
    groups: list[JobGroup] = []
    for positions in jobs.values():
        ordered = sorted(positions, key=lambda position: _place(records[position]))
        members = [records[position] for position in ordered]
        trusted = sorted(members, key=_trust)
        groups.append(JobGroup(members[0].uuid, tuple(_fill(member, trusted) for member in members), tuple(ordered)))
    return tuple(groups)


def _place(record: MidJourneyRecord) -> int:
    return -1 if record.variation_index is None else record.variation_index  # a grid stands before its pictures


def _trust(record: MidJourneyRecord) -> int:
    return _rank(record.source)


def _rank(source: str) -> int:
    return SOURCES.index(source) if source in SOURCES else len(SOURCES)


def best_prompt(members: Iterable[MidJourneyRecord]) -> MidJourneyRecord:
    """Find the member whose prompt is whole and most trusted; of equals the first."""
    return min(members, key=lambda member: (not member.prompt, member.truncated, _trust(member)))


def _fill(member: MidJourneyRecord, trusted: list[MidJourneyRecord]) -> MidJourneyRecord:
    """Give a member what the others of its job know better; its own word stands against an equal one."""
    sources = dict(member.sources)
    params = dict(member.params)
    for other in trusted:
        for name, value in other.params.items():
            source = other.sources.get(f"params.{name}", other.source)
            if name not in params or _rank(source) < _rank(sources.get(f"params.{name}", member.source)):
                params[name], sources[f"params.{name}"] = value, source
    best = best_prompt([member, *trusted])
    if best.prompt is not None:
        sources["prompt"] = best.source
    told = best.source in JOB_TEXTS
    named = next((other for other in trusted if other.username), None)
    if named and not member.username:
        sources["username"] = named.sources.get("username", named.source)
    return replace(
        member,
        prompt=best.prompt,
        source=best.source,
        truncated=best.truncated,
        params=params,
        sources=sources,
        uncertain=[] if told else [name for name in member.uncertain if name in member.params or name not in params],
        username=member.username or (named.username if named else None),
        image_urls=member.image_urls or best.image_urls,
    )


def master_prompt(group_prompts: Iterable[str | None], share: float = 0.8) -> str:
    """Find the words that at least this share of the known prompts have, in the order of the prompt richest in them."""
    prompts = [words for prompt in group_prompts if prompt and (words := _numbered_words(prompt))]
    if not prompts:
        return ""
    needed = max(1, math.ceil(share * len(prompts) - 1e-9))
    counts = Counter(key for words in prompts for key in words)
    shared = {key for key, count in counts.items() if count >= needed}
    model = max(prompts, key=lambda words: len(shared & words.keys()))
    common = " ".join(word for key, word in model.items() if key in shared)
    return (DANGLING.sub("", common) or common).rstrip(",;:")


def may_be_username(word: str) -> bool:
    """Whether the first word of a file name is a user name rather than a prompt's: it is no word that prompts begin with."""
    return bool(word) and fold(word) not in FIRST_WORDS and not is_common(word)


def proposed_usernames(filenames: Iterable[str]) -> tuple[str, ...]:
    """The user names that names of files begin with, as several jobs share each; files of several users may be mixed."""
    by_front: dict[str, list[str]] = {}
    for filename in filenames:
        name = filename.replace("\\", "/").rpartition("/")[2].removeprefix("social_")
        by_front.setdefault(name.partition("_")[0], []).append(name)
    return tuple(
        front for front, names in by_front.items() if may_be_username(front) and username_candidates(names)[:1] == (front,)
    )


def prompt_difference(prompt: str, master: str) -> PromptDifference:
    """Compare word by word, without case and punctuation: what the prompt adds, and what it leaves out."""
    ours, theirs = _numbered_words(prompt), _numbered_words(master)
    return PromptDifference(
        tuple(word for key, word in ours.items() if key not in theirs),
        tuple(word for key, word in theirs.items() if key not in ours),
    )


def _numbered_words(prompt: str) -> dict[tuple[str, int], str]:
    """Key each word by itself and its turn, so that the second "a" is compared with the second "a"."""
    words: dict[tuple[str, int], str] = {}
    turns: Counter[str] = Counter()
    for word in _WEIGHT.sub(" ", prompt).split():
        bare = word.strip(_EDGES).casefold()
        if bare:
            turns[bare] += 1
            words[bare, turns[bare]] = word
    return words
