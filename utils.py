"""What every module uses: events, errors, safe files, hashes.

The errors a user can meet, each with what happened (`message`) and what to do next (`hint`)::

    PipelineError          every class of the tree is found by its name in `PipelineError.known`
    ├── FolderMissing      a folder the user named is not there
    ├── SettingRefused     a setting cannot have that name or value
    ├── NotReady           an earlier step is missing
    ├── ModelMissing       a base model or LoRA is not there
    ├── MissingLibrary     a package is not installed
    ├── BrokenFile         settings, state or a record cannot be read
    ├── DiskFull           no room left
    ├── NotWritable        the system refuses to write there
    ├── ProgramFault       a fault of ours
    └── (all others)       beside who raises them; where several modules of a package do, in its `errors`

`Stopped` is flow control, not an error: the user asked to stop.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from locales.language import N_, _

log = logging.getLogger("avatar_pipeline")
PART = ".part"  # the ending of a file that is still being written
Kind = TypeVar("Kind", bound=BaseModel)


class Record(BaseModel):
    """What is kept in a file. Its checks are built when it is first read, not when the menu opens: that costs 80 ms in all."""

    model_config = ConfigDict(defer_build=True)


# --- events -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Progress:
    """One piece of work of a stage is done; `item` names it for people, `total` is 0 where it is not known."""

    stage: str
    done: int
    total: int
    item: str = ""


@dataclass(frozen=True, slots=True)
class TrainingTick:
    """What the trainer last said: the optimizer step, the moving average of the loss, seconds a step."""

    step: int
    total: int
    loss: float | None = None
    seconds_per_step: float | None = None
    checkpoint: str = ""
    sample: str = ""  # a picture painted a moment ago
    vram_gb: float | None = None  # used on the GPU, None where the driver does not tell
    vram_total_gb: float | None = None
    silent_seconds: float = 0.0  # since the trainer last said anything


@dataclass(frozen=True, slots=True)
class Notice:
    """Something happened that people should read: `message` is a template over `facts`, still to be translated."""

    message: str
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A journey begins one of its steps."""

    name: str
    number: int
    total: int


@dataclass(frozen=True, slots=True)
class StepFinished:
    """A journey finished a step: what came out of it, as numbers that a screen puts into words."""

    name: str
    outcome: Mapping[str, int | float | str]
    seconds: float


Event = Progress | TrainingTick | Notice | StepStarted | StepFinished


# --- errors -----------------------------------------------------------------------------------------------------------
class PipelineError(Exception):
    """Something the user can put right. `message` and `hint` are templates over the facts given."""

    message = N_("Something went wrong.")
    hint = N_("Run the same command again; what is finished is kept.")
    menu_hint: ClassVar[str] = ""  # what to do from the menu, where the hint names a command; empty: the same
    known: ClassVar[dict[str, type[PipelineError]]] = {}  # every class of the tree by its name

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        super().__init__(self.text())

    def __init_subclass__(cls, **options: Any) -> None:
        """Put the class on record by its name; raises TypeError where another has that name. Loaded again, a class is no other."""
        super().__init_subclass__(**options)
        before = PipelineError.known.get(cls.__name__, cls)
        if (before.__module__, before.__qualname__) != (cls.__module__, cls.__qualname__):
            raise TypeError(f"two errors are called {cls.__name__}: one in {before.__module__}, one in {cls.__module__}")
        PipelineError.known[cls.__name__] = cls

    def text(self) -> str:
        """What happened, in the user's language."""
        return _(self.message).format(**self.facts)

    def cure(self, *, in_menu: bool = False) -> str:
        """What to do next, in the user's language; in the menu nobody is told to type a command."""
        return _((in_menu and self.menu_hint) or self.hint).format(**self.facts)


class FolderMissing(PipelineError):
    """Facts: path."""

    message = N_("There is no folder or file {path}.")
    hint = N_("Check the spelling; a folder can also be dragged into the terminal.")


class SettingRefused(PipelineError):
    """Facts: name, problem."""

    message = N_("The setting {name} cannot be that: {problem}")
    hint = N_("Names and values as they stand in: settings. For example: settings language=es distribution.share_real=0.2")


class BrokenFile(PipelineError):
    """Facts: path, line, reason."""

    message = N_("{path} cannot be read: line {line}: {reason}")
    hint = N_("Correct that line, or move the file away to start with the defaults. The file was not changed.")


class DiskFull(PipelineError):
    """Facts: path."""

    message = N_("The disk is full: {path} could not be written.")
    hint = N_("Free some space and run the same command again; what is finished is kept.")


class NotWritable(PipelineError):
    """Facts: path, reason."""

    message = N_("{path} cannot be used: {reason}")
    hint = N_("Check the rights of that folder, or whether another program holds the file open.")


class NotReady(PipelineError):
    """Facts: step, reason."""

    message = N_("{step} has to wait: {reason}")
    hint = N_("Do the step named first; the client's screen shows which one is next.")


class ModelMissing(PipelineError):
    """Facts: model."""

    message = N_("The model {model} is not here.")
    hint = N_("Place that file there again, or name another one.")


class MissingLibrary(PipelineError):
    """Facts: package."""

    message = N_("The package {package} is not installed or cannot be loaded.")
    hint = N_("Install the requirements again: pip install -r requirements.txt")


class ProgramFault(PipelineError):
    """Facts: error, path."""

    message = N_("A fault of the program: {error}. What was finished is kept.")
    hint = N_("Please report it with the details in {path}")


class Stopped(Exception):
    """The user asked to stop; what was finished is kept."""


def as_pipeline_error(error: OSError | ImportError) -> PipelineError | None:
    """The error in the user's words, or None where the system's error is a fault of ours."""
    if isinstance(error, ImportError):
        return MissingLibrary(package=error.name or str(error))
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DiskFull(path=error.filename or "")
    if isinstance(error, PermissionError) or error.errno in (errno.EROFS, errno.EIO):
        return NotWritable(path=error.filename or "", reason=error.strerror or str(error))
    return None


# --- files ------------------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`; it takes the final name only when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}{PART}")
    try:
        yield part
        os.replace(part, path)
    except OSError as error:
        # A full disk reported by a library often names no file; the final name is the one people know.
        error.filename = str(path)
        raise
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a small text file so that at any instant either the old or the new one is there, even after a power cut."""
    with replacing(path) as part, part.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def free_bytes(folder: Path) -> int:
    """The room on the disk of a folder, or where it is still to be made, of the first one above it."""
    return shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free


def in_gb(size: float) -> str:
    """A size in bytes as people read it: 6.9 GB, 76 MB; as disks and downloads are told, a GB is 10^9 bytes."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(round(size / 1e6), 1 if size else 0)} MB"


def link_or_copy(source: Path, target: Path) -> None:
    """The same file under a second name; a copy on another disk, or on a file system without links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def sweep_parts(folder: Path) -> None:
    """Remove what a killed run left half written; call only while holding the client's lock."""
    for part in folder.glob(f".*{PART}"):
        part.unlink(missing_ok=True)


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file as 64 hexadecimal digits; memory stays flat."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def known_sha256(path: Path) -> str:
    """The SHA-256 of a file, read once for as long as it is not written again: plans and screens ask for it over and over."""
    found = path.stat()
    return _sha256_as_of(path, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=4096)
def _sha256_as_of(path: Path, _size: int, _written_ns: int) -> str:
    return sha256_file(path)


def read_record(path: Path, kind: type[Kind]) -> Kind:
    """Read a JSON file that must be a `kind`; raises BrokenFile naming the line, and never changes the file."""
    try:
        text = path.read_text(encoding="utf-8")
        return kind.model_validate(json.loads(text))
    except UnicodeDecodeError as error:
        raise BrokenFile(path=path, line=1, reason=str(error)) from error
    except json.JSONDecodeError as error:
        raise BrokenFile(path=path, line=error.lineno, reason=error.msg) from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise BrokenFile(path=path, line=_line_of(text, first["loc"]), reason=f"{field}: {first['msg']}") from error


def _line_of(text: str, location: tuple[int | str, ...]) -> int:
    """The line on which the last named key of `location` first stands (1 where none does)."""
    keys = [f'"{part}"' for part in location if isinstance(part, str)]
    return next((number for number, line in enumerate(text.splitlines(), 1) if keys and keys[-1] in line), 1)


def write_record(path: Path, record: BaseModel) -> None:
    """Write a record as JSON that people can read, atomically."""
    write_text(path, json.dumps(record.model_dump(mode="json", by_alias=True), indent=2, ensure_ascii=False) + "\n")
