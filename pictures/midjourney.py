"""MidJourney's file names, embedded text and prompts, read into one record a picture.

Pure: takes strings, opens no file, looks at no pixel (a picture's size may be given, to tell 16:9 from 1:69).

    text = ["**"] {url} prose {param} ["Job ID:" uuid] ["** - " action]        param = dashes name [value]
    stem = ["social_"] head "_" uuid ["_" index] [what later tools added]      head = [user "_"] body

A file name is a lossy view: MidJourney drops punctuation and cuts the head at a fixed length. So a head is first turned
into words and then read by the same grammar as a text, with two differences: what the cut touched is `uncertain` and
gets no value, and `--ar_169` has to be split again. A parameter that is not there is unknown, never a default.
"""

import math
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from pictures.midjourney_parameters import BY_NAME, FOREIGN_NAMES, Mark, ParamValue, bare_word, split_parameters

T = TypeVar("T")

SOURCES = ("supplied_text", "embedded_text", "discord_text", "filename")  # most trusted first
JOB_TEXTS = frozenset({"embedded_text", "discord_text"})  # MidJourney's own, with every parameter of the job
VARIATIONS = 4  # pictures of a first grid; every later step (upscale, zoom, pan) is a job of its own
MOJIBAKE_LAYERS = 3  # how often a text may have been misread; twice is seen
HEAD_CHARS = 63  # where MidJourney cuts user, prompt and parameters in a name without an index...
HEAD_CHARS_INDEXED = 61  # ...and in one with "_0".."_3": the stem is never over 100 characters

_HEX = "[0-9a-fA-F]"
_UUID = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_UUID_IN_NAME = re.compile(_UUID)
_INDEX = re.compile(r"_([0-3])(?![0-9A-Za-z])")
_CDN_INDEX = re.compile(r"_?0_([0-3])(?![0-9A-Za-z])")  # cdn.midjourney.com/<uuid>/0_2.png
_NUMBERED_USER = "u[0-9]{6,}"  # accounts without a name
_NAME_LINK = re.compile(r"https?s\.mj\.run([A-Za-z0-9_-]{11})")  # "https://s.mj.run/CODE" without ":" and "/"
_LINK_START, _LINK_CHARS = "httpss.mj.run", 24  # 13 characters and a code of 11
_COPY_MARK = re.compile(r"(?: \([0-9]+\)| - (?:copy|copia)(?: \([0-9]+\))?)$", re.IGNORECASE)
_EXTENSION = re.compile(r"(?:\.(?:png|jpe?g|webp|mp4|gif|avif|tiff?|bmp|heic)){1,3}$", re.IGNORECASE)
_RATIO_DIGITS = re.compile(r"[1-9][0-9]{1,8}")
_JOB_ID = re.compile(rf"(?<!\w)[Jj][Oo][Bb] [Ii][Dd]:\s*(?:({_UUID})[.,;]?|[0-9a-fA-F-]*$)")
_JOB_LINK = re.compile(rf"midjourney\.com/jobs/({_UUID})", re.IGNORECASE)
_DISCORD_END = re.compile(r"\*\*\s+-\s+|\s-\s(?=[^<]{0,60}<@!?[0-9]+>)")
_ACTION = re.compile(r"Image #[0-9]|[A-Z][a-z]+(?: [A-Z][a-z]+)*(?: \([^)]{1,20}\)(?= by\b))?")
_IMAGINE = re.compile(r"/imagine(?:\s+prompt)?:?\s+", re.IGNORECASE)
# Windows-1252's characters for the bytes 0x80 to 0x9F; Latin-1 has control characters there.
_AS_BYTES = {ord(bytes([byte]).decode("cp1252")): byte for byte in range(0x80, 0xA0) if byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)}
_LATER = "[\x80-\xbf" + "".join(map(chr, _AS_BYTES)) + "]"
# Exactly a character of two, three or four bytes: a text that mixes good and bad keeps its good part.
_MOJIBAKE = re.compile(f"[\xc2-\xdf]{_LATER}|[\xe0-\xef]{_LATER}{{2}}|[\xf0-\xf4]{_LATER}{{3}}")
_INVISIBLE = dict.fromkeys((0, 0x200B, 0xFEFF, 0x2060))  # NUL, zero-width space, byte order mark, word joiner


# --- records ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MidJourneyRecord:
    """What is known of one picture; lists and dicts are those of JSON, and empty or None means unknown."""

    prompt: str | None = None  # None: nothing was said; "": a MidJourney name without words
    params: dict[str, ParamValue] = field(default_factory=dict)  # by canonical name
    uuid: str | None = None  # the job, shared by its variations
    variation_index: int | None = None  # 0..3; None: a grid, or a job of one picture
    username: str | None = None
    source: str = "none"  # where the prompt comes from: one of SOURCES
    sources: dict[str, str] = field(default_factory=dict)  # of each field; parameters as "params.ar"
    truncated: bool = False  # the prompt may end in the middle of a word
    uncertain: list[str] = field(default_factory=list)  # parameters that the cut touched (or the letters left of them)
    invalid: list[str] = field(default_factory=list)  # parameters whose value is not an allowed one
    unknown: list[str] = field(default_factory=list)  # names that are on no list
    repeated: list[str] = field(default_factory=list)  # given more than once: the last value won, lists added up
    aliases: list[str] = field(default_factory=list)  # names that MidJourney itself does not use, e.g. "variety"
    unread: dict[str, str] = field(default_factory=dict)  # what stood behind an invalid, unknown or uncertain name
    image_urls: list[str] = field(default_factory=list)  # image prompts
    action: str | None = None  # what made it, as Discord tells: "upscaled", "zoom_out", "pan_right"
    uuid_conflict: str | None = None  # the job id that a less trusted source gave

    def to_json(self) -> dict[str, object]:
        """Return every field by name, ready for `json.dumps` and for `MidJourneyRecord(**fields)`."""
        return {name: getattr(self, name) for name in self.__slots__}


# --- what a source says ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _NameReading:
    """What one source says, while it is being read."""

    source: str
    words: list[str] = field(default_factory=list)
    params: dict[str, ParamValue] = field(default_factory=dict)
    uuid: str | None = None
    variation_index: int | None = None
    username: str | None = None
    action: str | None = None
    truncated: bool = False
    image_urls: list[str] = field(default_factory=list)
    uncertain: list[str] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)


_NOTHING = _NameReading("none")


@dataclass(frozen=True, slots=True)
class _Hints:
    """What helps to read a file name."""

    users: re.Pattern[str]  # the fronts that are a user name
    shape: float  # the logarithm of width / height; 0 for a square, and where the size is not known


def _read_parameters(reading: _NameReading, marks: list[Mark]) -> None:
    """Store each parameter by its canonical name; prose behind a one-word value goes back to the prompt."""
    seen: set[str] = set()
    for spelled, words in marks:
        row = BY_NAME.get(spelled)
        if row is None:
            _note(reading.unknown, reading, spelled, words)
            continue
        value, used = row.read(row, spelled, words)
        if row.name in seen and row.name not in reading.repeated:
            reading.repeated.append(row.name)
        seen.add(row.name)
        if spelled in FOREIGN_NAMES and spelled not in reading.aliases:
            reading.aliases.append(spelled)
        if value is None:
            _note(reading.invalid, reading, row.name, words)
            continue
        _store(reading.params, row.name, value)
        rest = words[used:]
        if rest and reading.source == "filename":  # there it is what another tool added, e.g. "--niji 6 copy.png"
            reading.unread.setdefault(row.name, " ".join(rest))
        else:
            reading.words += rest


def _note(names: list[str], reading: _NameReading, name: str, words: list[str]) -> None:
    if name not in names:
        names.append(name)
    reading.unread[name] = " ".join(words)


def _store(params: dict[str, ParamValue], name: str, value: ParamValue) -> None:
    """Let the last value win, but add lists up; a bare "--p" takes nothing from codes given elsewhere."""
    old = params.get(name)
    if isinstance(old, list):
        old += value if isinstance(value, list) else []  # in place: a hostile text repeats it thousands of times
    else:
        params[name] = value


def _take_links(words: Iterable[str]) -> tuple[list[str], list[str]]:
    """Part image prompts from words; the links may stand in <>."""
    prose: list[str] = []
    links: list[str] = []
    for word in words:
        if word.startswith(("https://", "http://", "<http")):
            links.append(bare_word(word))
        else:
            prose.append(word)
    return prose, links


# --- texts -----------------------------------------------------------------------------------------------------------


def repair_mojibake(text: str) -> str:
    """Undo UTF-8 that was read as Latin-1 or Windows-1252 ("niÃ±o"), also twice; whatever is no such text stays as it is."""
    for _ in range(MOJIBAKE_LAYERS):
        if text.isascii():
            break
        text = _MOJIBAKE.sub(_repaired, text)
    return text


def _repaired(run: re.Match[str]) -> str:
    try:
        return run[0].translate(_AS_BYTES).encode("latin-1").decode("utf-8")
    except UnicodeError:
        return run[0]


def _read_text(text: str, source: str) -> _NameReading | None:
    """Read a prompt as it was typed, with Discord's frame or a job id around it; None when it is blank."""
    text = repair_mojibake(text)
    text = (text if text.isprintable() and text.isascii() else text.translate(_INVISIBLE)).strip()
    if not text:
        return None
    reading = _NameReading(source)
    text = _take_discord_frame(_IMAGINE.sub("", text, count=1) if text.startswith("/") else text, reading)
    text = _take_job_id(text, reading)
    prose, marks = split_parameters(text.split())
    reading.words = prose
    _read_parameters(reading, marks)
    if "http" in text:
        reading.words, reading.image_urls = _take_links(reading.words)
    return reading


def _take_discord_frame(text: str, reading: _NameReading) -> str:
    """Take the bold marks and the tail ("** - Zoom Out by <@id> (fast)") off a Discord message."""
    ends = list(_DISCORD_END.finditer(text)) if " - " in text else []
    if ends:
        tail = text[ends[-1].end() :]
        text = text[: ends[-1].start()]
        action = _ACTION.match(tail)
        job = _JOB_LINK.search(tail)
        reading.uuid = job[1].lower() if job else None
        if action:
            reading.action = re.sub(r"[^a-z0-9]+", "_", action[0].lower()).strip("_")
            if action[0].startswith("Image #"):
                number = int(action[0][-1])  # Discord counts from 1, names from 0
                reading.variation_index = number - 1 if 1 <= number <= VARIATIONS else None
    return text.removeprefix("**").removesuffix("**")


def _take_job_id(text: str, reading: _NameReading) -> str:
    """Take "Job ID: ..." out of the text; other ids in it belong to links and are no job of this picture."""
    matches = list(_JOB_ID.finditer(text)) if "job id:" in text.lower() else []
    if not matches:
        return text
    last = matches[-1]
    if last[1]:
        reading.uuid = last[1].lower()
    return f"{text[: last.start()]} {text[last.end() :]}"


# --- file names ------------------------------------------------------------------------------------------------------


def _read_name(path: str, hints: _Hints) -> _NameReading | None:
    """Read a file name; None when it shows neither a job id nor a parameter, for then it is not MidJourney's."""
    folder, _, name = path.replace("\\", "/").rpartition("/")
    reading = _NameReading("filename")
    jobs = list(_UUID_IN_NAME.finditer(name))
    if jobs:
        job = jobs[-1]  # one before it belongs to the prompt
        reading.uuid = job[0].lower()
        head = name[: job.start()]
        head = head[:-1] if head.endswith(("_", "-", " ")) else head
        tail = name[job.end() :]
        # "<uuid>_0_2" is the CDN's name for the third picture.
        index = (None if head else _CDN_INDEX.match(tail)) or _INDEX.match(tail)
        reading.variation_index = int(index[1]) if index else None
    elif _read_cdn_path(folder, name, reading):
        return reading
    else:
        head = _COPY_MARK.sub("", _EXTENSION.sub("", name))
    _read_head(head, reading, hints)
    return reading if jobs or reading.params else None


def _read_cdn_path(folder: str, name: str, reading: _NameReading) -> bool:
    job = _UUID_IN_NAME.fullmatch(folder.rpartition("/")[2])
    index = _CDN_INDEX.match(name)
    if job is None or index is None:
        return False
    reading.uuid, reading.variation_index = job[0].lower(), int(index[1])
    return True


def _read_head(head: str, reading: _NameReading, hints: _Hints) -> None:
    """Read all before the job id: user name, links, words and parameters, and what a cut left of the last one."""
    limit = HEAD_CHARS if reading.variation_index is None else HEAD_CHARS_INDEXED
    reading.username, body = _take_user(head, hints.users)
    if reading.username is None and head.startswith("social_"):
        reading.username, rest = _take_user(head.removeprefix("social_"), hints.users)
        if reading.username or len(head) > limit:  # else "social" may be the first word of a prompt without a user
            head, body = head.removeprefix("social_"), rest
    reading.truncated = cut_inside = reading.uuid is not None and len(head) >= limit
    words = _name_words(_drop_cut_link(body) if reading.truncated else body)
    if cut_inside and words and words[-1] in ("-", "--"):
        words.pop()  # the cut fell into the next parameter's dashes, so what stands before them is whole
        cut_inside = False
    prose, marks = split_parameters(words)
    if cut_inside and marks:
        spelled, rest_words = marks.pop()
        row = BY_NAME.get(spelled)
        _note(reading.uncertain, reading, row.name if row else spelled, rest_words)
    reading.words, reading.image_urls = _take_links(prose) if "http" in body else (prose, [])
    for name, ratio_words in marks:
        if name in ("ar", "aspect") and ratio_words and _RATIO_DIGITS.fullmatch(ratio_words[0]):
            ratio_words[0] = _ratio_of(ratio_words[0], hints.shape)  # puts the colon back into `--ar_169`
    _read_parameters(reading, marks)


def _take_user(head: str, users: re.Pattern[str]) -> tuple[str | None, str]:
    """Take the user name off the front: a known one (the longest), or "u" and digits; without these, nothing."""
    match = users.match(head)
    return (match[0], head[match.end() + 1 :]) if match else (None, head)


@lru_cache(maxsize=256)
def _users(names: tuple[str, ...]) -> re.Pattern[str]:
    known = sorted({name for name in names if name}, key=lambda name: (-len(name), name))
    front = "|".join([*map(re.escape, known), _NUMBERED_USER])
    return re.compile(rf"(?:{front})(?=_|$)", re.IGNORECASE)


def _drop_cut_link(body: str) -> str:
    """Take off a link that the cut left without its whole code: it leads nowhere and is no word."""
    at = body.rfind("http")
    tail = body[at:]
    whole = len(tail) >= _LINK_CHARS or not (tail.startswith(_LINK_START) or _LINK_START.startswith(tail))
    return body if at < 0 or whole or body[at - 1 : at] not in ("", "_") else body[:at]


def _name_words(body: str) -> list[str]:
    """Turn "_" back into spaces and links back into links; a link's code may hold "_" itself."""
    if "mj.run" not in body:
        return body.replace("_", " ").split()
    words: list[str] = []
    for number, part in enumerate(_NAME_LINK.split(body)):
        words += [f"https://s.mj.run/{part}"] if number % 2 else part.replace("_", " ").split()
    return words


@lru_cache(maxsize=1024)
def _ratio_of(digits: str, shape: float) -> str:
    """Choose the split nearest to the picture's shape, or to a square; no part begins with 0."""
    splits = [(digits[:at], digits[at:]) for at in range(1, len(digits)) if digits[at] != "0"]
    nearest = min(splits, key=lambda split: abs(math.log(int(split[0]) / int(split[1])) - shape), default=(digits,))
    return ":".join(nearest)


# --- sources -> record -----------------------------------------------------------------------------------------------


def username_candidates(filenames: Iterable[str]) -> tuple[str, ...]:
    """Offer the fronts that the names of several jobs share, shortest first: one of them may be the user name."""
    heads: dict[str, list[str]] = {}
    for filename in filenames:
        name = filename.replace("\\", "/").rpartition("/")[2]
        job = _UUID_IN_NAME.search(name)
        if job is not None and job.start():
            heads[job[0].lower()] = name[: job.start()].removeprefix("social_").split("_")
    shared: list[str] = []
    for words in zip(*heads.values(), strict=False) if len(heads) > 1 else ():
        if len(set(words)) > 1 or words[0].startswith(("--", "http")):
            break
        shared.append(words[0])
    return tuple("_".join(shared[:count]) for count in range(1, len(shared) + 1) if shared[count - 1])


def parse(
    filename: str,
    embedded_text: str | None = None,
    *,
    known_usernames: Collection[str] = (),
    image_size: Sequence[int] | None = None,
    embedded_author: str | None = None,
    supplied_text: str | None = None,
    discord_text: str | None = None,
) -> MidJourneyRecord:
    """Read all that a picture's name and texts tell; nothing raises, and what is not said stays unknown."""
    author = repair_mojibake(embedded_author).strip() or None if embedded_author else None
    texts = zip(SOURCES, (supplied_text, embedded_text, discord_text), strict=False)
    readings = [_read_text(text, source) for source, text in texts if text]
    width, height = image_size or (0, 0)
    shape = math.log(width / height) if width > 0 and height > 0 else 0.0
    hints = _Hints(_users((*known_usernames, author or "")), shape)
    readings.append(_read_name(filename, hints))
    return _merge([reading for reading in readings if reading is not None], author)


def _merge(readings: Sequence[_NameReading], author: str | None) -> MidJourneyRecord:
    """Take each field from the most trusted source that has it; another job's prompt fills no gap in this one's."""
    jobs = [reading.uuid for reading in readings if reading.uuid]
    same_job = [reading for reading in readings if reading.uuid in (None, jobs[0])] if jobs else readings
    sources: dict[str, str] = {}
    prompt = next((reading for reading in same_job if reading.words), same_job[0] if same_job else _NOTHING)
    if same_job:
        sources["prompt"] = prompt.source
    username = _pick("username", readings, sources, lambda reading: reading.username)
    if author:
        username, sources["username"] = author, "embedded_text"
    params: dict[str, ParamValue] = {}
    for reading in same_job:
        for name, value in reading.params.items():
            if name not in params:
                params[name], sources[f"params.{name}"] = value, reading.source
    heard = _without_echo(same_job)
    return MidJourneyRecord(
        prompt=" ".join(prompt.words) if same_job else None,
        params=params,
        uuid=_pick("uuid", readings, sources, lambda reading: reading.uuid),
        variation_index=_pick("variation_index", readings, sources, lambda reading: reading.variation_index),
        username=username,
        source=prompt.source,
        sources=sources,
        truncated=prompt.truncated,
        uncertain=_union([reading.uncertain for reading in heard]),
        invalid=_union([reading.invalid for reading in heard]),
        unknown=_union([reading.unknown for reading in heard]),
        repeated=_union([reading.repeated for reading in heard]),
        aliases=_union([reading.aliases for reading in heard]),
        unread={name: text for reading in reversed(heard) for name, text in reading.unread.items()},
        image_urls=_pick("image_urls", same_job, sources, lambda reading: list(reading.image_urls)),
        action=_pick("action", same_job, sources, lambda reading: reading.action),
        uuid_conflict=next((job for job in jobs if job != jobs[0]), None),
    )


def _pick(name: str, readings: Sequence[_NameReading], sources: dict[str, str], read: Callable[[_NameReading], T]) -> T:
    """Take one field from the first reading that has it (or nothing at all), and write down which that was."""
    for reading in readings:
        value = read(reading)
        if value is not None and value != []:
            sources[name] = reading.source
            return value
    return read(_NOTHING)


def _without_echo(readings: Sequence[_NameReading]) -> Sequence[_NameReading]:
    """Leave out the file name's doubts where a text has told the parameters in full."""
    texts = [reading for reading in readings if reading.source != "filename"]
    told = any(reading.params or (reading.words and reading.source in JOB_TEXTS) for reading in texts)
    return texts if told else readings


def _union(lists: list[list[str]]) -> list[str]:
    return lists[0] if len(lists) == 1 else list(dict.fromkeys(name for names in lists for name in names))
