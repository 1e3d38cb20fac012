"""How answers and errors leave: as the command line's JSON, without a path of this machine, each error with a status of HTTP."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Mapping
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from client_folder.client import clients_folder
from config import PROGRAM
from locales.language import _
from machine.cache_folder import cache_folder
from machine.model_process import error_of
from studio.job_records import JobError
from utils import Notice, PipelineError

# By the class of the error, wherever it stands; 409 of all others: the request is sound, but not now.
STATUS = {
    "NotAllowed": 403, "LinkSpent": 403, "FormStale": 403,
    "ClientMissing": 404, "JobUnknown": 404, "AssetUnknown": 404, "KeyUnknown": 404, "FolderMissing": 404, "NothingRuns": 404,
    "BadClientId": 422, "SettingRefused": 422, "SettingUnknown": 422, "RecipeRefused": 422, "TextRefused": 422, "AssetRefused": 422,
    "DiskFull": 507, "NoRoomForModels": 507, "NoRoomForAsset": 507, "QueueFull": 429,
}  # fmt: skip
_ABSOLUTE = re.compile(r"(?<![\w/.:])(?:/(?:[^\s/:'\"<>|]+/)+|[A-Za-z]:[\\/](?:[^\s\\/:'\"<>|]+[\\/])+)")


class Problem(BaseModel):
    """What every refusal looks like. `message` is what the plan's web front reads, `error` and `hint` the command line's."""

    model_config = ConfigDict(extra="allow")

    status: str = "error"
    message: str
    error: str
    hint: str = ""
    code: str = ""


def problem_of(error: PipelineError, home: Path) -> dict[str, Any]:
    """An error in the service's language."""
    shown = type(error)(**{name: hidden(fact, home) for name, fact in error.facts.items()})
    text = hidden(shown.text(), home)
    return Problem(message=text, error=text, hint=hidden(shown.cure(), home), code=type(error).__name__).model_dump()


def status_of(error: PipelineError) -> int:
    """The status of HTTP that suits an error."""
    return next((STATUS[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in STATUS), 409)


def problem_of_job(error: JobError, home: Path) -> dict[str, Any]:
    """What a job failed at, in the service's language."""
    facts = {"error": error.error, "module": error.module, "facts": error.facts}
    return problem_of(error_of(facts, home / "logs" / "service.log"), home)


def hidden(value: Any, home: Path) -> Any:
    """A value of an answer without paths of this machine: what lies in the home is told from there on, else only the name."""
    if isinstance(value, Path):
        return _told_path(value, home)
    if isinstance(value, Enum) and not isinstance(value, str):
        return value
    if isinstance(value, str):
        return _without_paths(value, home)
    if isinstance(value, Mapping):
        return {key: hidden(one, home) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [hidden(one, home) for one in value]
    return value


def _told_path(path: Path, home: Path) -> str:
    return path.relative_to(home).as_posix() if path.is_relative_to(home) else path.name if path.is_absolute() else path.as_posix()


def _without_paths(text: str, home: Path) -> str:
    if "/" not in text and "\\" not in text:
        return text
    for folder in _folders(home):
        for spelled in (str(folder), folder.as_posix()):
            for end in ("/", "\\"):
                text = text.replace(spelled.rstrip("/\\") + end, "")
    return _ABSOLUTE.sub("", text)


@cache
def _folders(home: Path) -> tuple[Path, ...]:
    """Where paths of ours begin, the deepest first; what lies in the home is told from there on."""
    named = {home, PROGRAM, cache_folder(), Path(tempfile.gettempdir()), Path(sys.prefix), Path.home()}
    return tuple(sorted((path for path in named if len(path.parts) > 2), key=lambda path: -len(path.parts)))


def told_event(line: dict[str, Any], home: Path) -> dict[str, Any]:
    """An event as it was written down, for people elsewhere: notices in words, nothing of where files lie."""
    told = {name: hidden(fact, home) for name, fact in line.items() if name not in ("control", "report", "facts", "message")}
    if line.get("event") == Notice.__name__:
        message = line["message"]
        told["text"] = _without_paths(_(message).format(**line["facts"]), home)
    return told


def file_url(path: Path, home: Path) -> str:
    """The address of a client's file."""
    return f"/files/{path.relative_to(clients_folder(home)).as_posix()}"
