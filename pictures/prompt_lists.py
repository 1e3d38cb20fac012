"""What lies beside the pictures and tells their prompts: a list as CSV or JSON, an export of Discord, a text named like a picture.

Reads small files whole and writes nothing. A file without a column for the prompt and one for the picture is somebody else's table
and is passed over; a list that cannot be read is an error of that file alone.

    file,prompt                     [{"file": "a.png", "prompt": "a cat --v 7"}]        {"a.png": "a cat --v 7"}
    "a.png","a cat --v 7"           {"messages": [{"content": "**a cat** - <@1>", "attachments": [{"fileName": "a.png"}]}]}
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from pictures.midjourney_parameters import BY_NAME

LIST_ENDINGS = frozenset(
    {".csv", ".tsv", ".json"}
)  # others are texts of one picture: ".txt", and ".prompt" by a Discord downloader
MAX_LIST_BYTES = 64 << 20
MAX_TEXT_BYTES = 64 << 10
_FILE = ("file", "filename", "name", "image", "picture", "archivo", "fichero", "imagen", "nombre")
_JOB = ("uuid", "job", "jobid", "id", "trabajo")
_PROMPT = ("prompt", "fullprompt", "text", "description", "caption", "texto", "descripcion", "descripción")
_MESSAGE = ("discord", "content", "message", "mensaje", "contenido")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_FRAME = re.compile(r"^\*\*|<@!?[0-9]+>")  # of a Discord message
_GUARDED = re.compile(r"^'(?=[=+\-@])")  # the apostrophe that keeps a cell from being a formula


@dataclass(frozen=True, slots=True)
class TextOf:
    """What a list says of one picture or job; `file` is a name, perhaps with folders, as the list spells it."""

    text: str
    file: str = ""
    job: str = ""
    discord: bool = False


class BrokenList(ValueError):
    """A list that cannot be read."""


def read_list(path: Path) -> tuple[TextOf, ...]:
    """Every prompt that a CSV or JSON file tells; none where it is no such list. Raises BrokenList."""
    try:
        if path.stat().st_size > MAX_LIST_BYTES:
            raise BrokenList("too large")
        text = _decoded(path.read_bytes())
        if path.suffix.lower() == ".json":
            return tuple(_from_json(json.loads(text)))
        first = text.lstrip().partition("\n")[0]
        delimiter = max(",;\t", key=first.count)  # Spanish spreadsheets write ";"
        told: list[TextOf] = []
        for row in csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter):
            cells: dict[str, str] = {}
            for name, value in row.items():
                if isinstance(name, str) and isinstance(value, str):  # a row of more or fewer cells than the first has others
                    cells[name] = _GUARDED.sub("", value)
            told += _from_row(cells)
        return tuple(told)
    except (OSError, ValueError, RecursionError, csv.Error) as error:
        raise BrokenList(str(error)) from error


def read_text(path: Path) -> TextOf | None:
    """What the text file beside a picture says of it; None where it is empty, or no prompt by its length. Raises BrokenList."""
    try:
        with path.open("rb") as file:
            text = _decoded(file.read(MAX_TEXT_BYTES + 1))
    except OSError as error:
        raise BrokenList(str(error)) from error
    return _text_of(text, path.with_suffix("").name) if len(text) <= MAX_TEXT_BYTES else None


def _decoded(data: bytes) -> str:
    """UTF-8 or UTF-16 by its mark, else UTF-8, else what Windows programs of western Europe write."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _text_of(text: str, file: str = "", job: str = "") -> TextOf | None:
    text = _whole(text).strip()
    return TextOf(text, file, job, discord=bool(_FRAME.search(text))) if text else None


def _whole(text: str) -> str:
    """A text without halves of letters, which JSON can spell and no file of ours can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _from_json(found: object) -> Iterator[TextOf]:
    """A list of objects, an object that holds one, or an object of names and prompts."""
    if isinstance(found, list):
        for item in found:
            if isinstance(item, dict):
                yield from _from_row(item)
    elif isinstance(found, dict):
        lists = [value for value in found.values() if isinstance(value, list)]
        for items in lists:
            yield from _from_json(items)
        if lists:
            return
        for name, value in found.items():
            if isinstance(value, dict):
                yield from _from_row({"file": name, **value})
            elif isinstance(value, str):
                yield from _named(_text_of(value), name)


def _from_row(row: Mapping[str, object]) -> Iterator[TextOf]:
    cells = {re.sub(r"[\s_-]", "", name).casefold(): value for name, value in row.items()}
    text = _first(cells, _PROMPT)
    message = _first(cells, _MESSAGE)
    told = [_text_of(_with_parameters(text, cells)) if text else None, _text_of(message) if message else None]
    names = [_first(cells, _FILE), *_attachments(cells.get("attachments"))]
    job = _UUID.search(_first(cells, _JOB))
    for one in told:
        if one is None:
            continue
        if job:
            yield TextOf(one.text, job=job[0].lower(), discord=one.discord)
        for name in names:
            yield from _named(one, name)


def _named(told: TextOf | None, name: str) -> Iterator[TextOf]:
    """The text of a name: a picture's, or a bare job id."""
    if told is None or not name:
        return
    if _UUID.fullmatch(name.strip()):
        yield TextOf(told.text, job=name.strip().lower(), discord=told.discord)
    else:
        yield TextOf(told.text, file=_whole(name).strip().replace("\\", "/"), discord=told.discord)


def _first(cells: Mapping[str, object], names: Iterable[str]) -> str:
    return next((value for name in names if isinstance(value := cells.get(name), str) and value.strip()), "")


def _attachments(found: object) -> list[str]:
    """File names of a message's attachments: objects of a JSON export, or addresses in one cell of a CSV export."""
    if isinstance(found, str):
        return [PurePosixPath(unquote(urlsplit(url).path)).name for url in found.split(",") if url.strip()]
    items = [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
    return [str(item.get("fileName") or item.get("filename") or "") for item in items]


def _with_parameters(text: str, cells: Mapping[str, object]) -> str:
    """The prompt, with the parameters that stand in columns or an object of their own, where it holds none itself."""
    if "--" in text:
        return text
    params = cells.get("params")
    found = params.items() if isinstance(params, dict) else ((name, cells[name]) for name in BY_NAME if name in cells)
    told = [text]
    for name, value in found:
        if value in ("", None, False, []):
            continue
        words = str(value)
        if isinstance(value, list):
            words = (", " if name == "no" else " ").join(map(str, value))
        elif words.lower() == "true":
            words = ""
        told.append(f"--{name} {words}".rstrip())
    return " ".join(told)


def match(lists: Iterable[tuple[Path, TextOf]], pictures: Mapping[Path, str]) -> Iterator[tuple[str, TextOf]]:
    """The key of what each text speaks of: a job's id, or the picture's own; texts of pictures that are not here are left out.

    `lists` are texts with the folder of their list, `pictures` the keys of the pictures by path. A name is looked for beside its
    list, then anywhere, where only one picture has it.
    """
    by_name: dict[str, set[str]] = {}
    stems = {path.with_suffix(""): key for path, key in pictures.items()}
    for path, key in pictures.items():
        for name in {path.name.casefold(), path.stem.casefold()}:
            by_name.setdefault(name, set()).add(key)
    for folder, told in lists:
        if told.job:
            yield told.job, told
            continue
        beside = pictures.get(folder / told.file) or stems.get(folder / told.file)
        anywhere = by_name.get(PurePosixPath(told.file).name.casefold(), set())
        job = _UUID.search(told.file)
        if beside or len(anywhere) == 1:
            yield beside or next(iter(anywhere)), told
        elif job and not anywhere:
            yield job[0].lower(), told
