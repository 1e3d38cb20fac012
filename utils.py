"""What every module uses: events, errors, safe files, hashes.

The errors a user can meet, each with what happened (`message`) and what to do next (`hint`)::

    PipelineError          every class of the tree is found by its name in `PipelineError.known`
    ├── FolderMissing      a folder the user named is not there
    ├── SettingRefused     a setting cannot have that name or value
    ├── NotReady           an earlier step is missing
    ├── ModelMissing       a base model or LoRA is not there
    ├── MissingLibrary     a package is not installed
    ├── BrokenFile         settings, state or a record cannot be read
    │   └── BrokenModel    weights cannot be read
    ├── DiskFull           no room left
    ├── NotWritable        the system refuses to write there
    ├── ProgramFault       a fault of ours
    └── (all others)       beside who raises them; where several modules of a package do, in its `errors`

`Stopped` is flow control, not an error: the user asked to stop.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import glob
import hashlib
import json
import logging
import math
import os
import re
import shutil
import stat
import threading
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from locales.language import N_, _

log = logging.getLogger("avatar_pipeline")
PART = ".part"  # the ending of a file that is still being written
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"  # the last chunk of every PNG file: no bytes, its name, its checksum
_PART_OF_PROCESS = re.compile(r"\.(\d{1,9})-\d+\.part$")
Kind = TypeVar("Kind", bound=BaseModel)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")  # an escape in JSON that stands for half of a letter


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
    phase: str = ""  # what it does instead of steps: "checking", "loading", "first", "sampling", "saving"
    control: str = ""  # the folder where a trainer that takes wishes looks for them; empty: it takes none
    kept_step: int = 0  # of the newest whole state: where another run would go on


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


class BrokenModel(BrokenFile):
    """Facts: path, reason."""

    message = N_("{path} cannot be read as a model: {reason}")
    hint = N_("Download it again, or put a whole copy in its place (a LoRA of your own: train again). The file was not changed.")


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
    hint = N_("Please report it where you got the program, with the details in {path}")


class Stopped(BaseException):  # as GeneratorExit is: no `except Exception` of a stage may take it for a failure
    """The user asked to stop; what was finished is kept. `told` says what, where a stage knows better than that."""

    def __init__(self, told: Notice | None = None) -> None:
        self.told = told
        super().__init__()


def as_pipeline_error(error: OSError | ImportError) -> PipelineError | None:
    """The error in the user's words, or None where the system's error is a fault of ours."""
    if isinstance(error, ImportError):
        return MissingLibrary(package=error.name or str(error))
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DiskFull(path=error.filename or "")
    in_the_way = (errno.EROFS, errno.EIO, errno.ELOOP, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG)
    if isinstance(error, PermissionError) or error.errno in in_the_way:
        return NotWritable(path=error.filename or "", reason=error.strerror or str(error))
    return None


# --- what pydantic's checks say, in the user's language -----------------------------------------------------------------
_ANYTHING = N_("another value is wanted")
_WHOLE, _NUMBER, _TEXT = N_("a whole number is wanted, such as 12"), N_("a number is wanted, such as 0.5"), N_("a text is wanted")
_YES_NO, _LIST, _ONE_OF = N_("yes or no is wanted"), N_("a list is wanted"), N_("choose one of: {expected}")
_NAMES = N_("names and values in braces are wanted")
# By the code of the check; each is a template over the facts that the check names.
_COMPLAINTS = {
    "missing": N_("it is missing"), "extra_forbidden": N_("there is no such entry"),
    "int_type": _WHOLE, "int_parsing": _WHOLE, "int_from_float": _WHOLE,
    "float_type": _NUMBER, "float_parsing": _NUMBER, "finite_number": _NUMBER,
    "bool_type": _YES_NO, "bool_parsing": _YES_NO, "string_type": _TEXT, "path_type": _TEXT,
    "tuple_type": _LIST, "list_type": _LIST, "model_type": _NAMES, "dict_type": _NAMES,
    "literal_error": _ONE_OF, "enum": _ONE_OF,
    "greater_than_equal": N_("at least {ge:g}"), "less_than_equal": N_("at most {le:g}"),
    "greater_than": N_("more than {gt:g}"), "less_than": N_("less than {lt:g}"), "multiple_of": N_("a multiple of {multiple_of:g}"),
    "string_too_short": N_("at least {min_length} letters"), "string_too_long": N_("at most {max_length} letters"),
    "string_pattern_mismatch": N_("it does not have the form {pattern}"),
}  # fmt: skip


def explain(error: ValidationError) -> str:
    """What is wrong first, without where: in our words, or in those of the check of ours that raised ValueError."""
    first = error.errors(include_url=False)[0]
    facts = dict(first.get("ctx", {}))
    if first["type"] in ("value_error", "assertion_error"):
        return str(facts["error"])
    if "expected" in facts:  # "'auto', 'en' or 'es'"
        facts["expected"] = facts["expected"].replace(" or ", ", ").replace("'", "")
    return _(_COMPLAINTS.get(first["type"], _ANYTHING)).format(**facts)


def where(error: ValidationError) -> str:
    """Where that is: `quality.raw.max_noise`."""
    return ".".join(str(part) for part in error.errors(include_url=False)[0]["loc"])


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that a mistyped one most likely means, by the whole of it or one of its words; empty where none is near."""
    meant = {word: one for one in reversed([*known]) for word in (*one.replace(".", "_").split("_"), one.rpartition(".")[2], one)}
    close = difflib.get_close_matches(name.lower(), meant, n=1, cutoff=0.7)
    return meant[close[0]] if close else ""


# --- files ------------------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`; it takes the final name once the block ended without an error and it is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own for each program and thread: two that write the same file at once must not write into one another's.
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident() % 10**6}{PART}")
    try:
        yield part
        sync_file(part)
        os.replace(part, path)
        sync_folder(path.parent)
    except OSError as error:
        # A full disk reported by a library often names no file; the final name is the one people know.
        error.filename = str(path)
        raise
    finally:
        part.unlink(missing_ok=True)


def sync_file(path: Path) -> None:
    """Wait until the bytes of a file are on the disk: without it, a power cut leaves a file of that name and no byte in it."""
    handle = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))  # Windows brings only what could be written to the disk
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk; Windows has no such call and does it by itself."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network and FUSE file systems refuse it
            os.fsync(handle)
    finally:
        os.close(handle)


def whole_png(path: Path) -> bool:
    """Whether a PNG file is there from its signature to its end mark; reads a few bytes. A torn or empty file counts as missing."""
    try:
        with path.open("rb") as file:
            signed = file.read(len(PNG_SIGNATURE)) == PNG_SIGNATURE
            return signed and file.seek(-len(_PNG_END), os.SEEK_END) > 0 and file.read() == _PNG_END
    except OSError:
        return False


def write_text(path: Path, text: str) -> None:
    """Write a small text file so that at any instant either the old or the new one is there, even after a power cut.

    Half of a letter, as undecodable bytes of a command line or a file's name are, becomes a question mark.
    """
    with replacing(path) as part, part.open("w", encoding="utf-8", errors="replace", newline="\n") as file:
        file.write(text)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file that several programs change, from reading it to writing it; others wait for the moment that this takes."""
    import filelock  # here, not above: most of what is read is never changed

    path.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(path.with_name(f".{path.name}.lock")):
        sweep_parts_of(path)
        yield


def shortened(name: str, columns: int) -> str:
    """A name cut in the middle where it is longer: MidJourney's begin alike, and end in what tells them apart."""
    if len(name) <= columns:
        return name
    end = (columns - 1) // 2
    return f"{name[: columns - 1 - end]}…{name[-end:]}"


def free_bytes(folder: Path) -> int:
    """The room on the disk of a folder, or where it is still to be made, of the first one above it."""
    return shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free


def sweep_parts(folder: Path, *, below: bool = False) -> None:
    """Remove what a killed run left half written, `below` in all folders in it too; call only while holding the client's lock."""
    _sweep(folder.rglob(f".*{PART}") if below else folder.glob(f".*{PART}"))


def sweep_parts_of(path: Path) -> None:
    """Remove what killed runs left of this one file."""
    _sweep(path.parent.glob(f".{glob.escape(path.name)}.*{PART}"))


def _sweep(parts: Iterable[Path]) -> None:
    for part in parts:
        import psutil  # here, not above: hardly ever is anything left

        named = _PART_OF_PROCESS.search(part.name)  # as `replacing` named it: not all who write hold the client
        if named is None or not psutil.pid_exists(int(named[1])):
            part.unlink(missing_ok=True)


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file as 64 hexadecimal digits; memory stays flat."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fold(text: str) -> str:
    """The text in lower case without accents, letter for letter, so that places in it are places in the text."""
    return "".join(unicodedata.normalize("NFKD", letter)[:1].lower()[:1] or letter for letter in text)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Read and understand a text file of somebody else's making; what is wrong with it becomes BrokenFile.

    FileNotFoundError where there is none at all. A pipe is refused before it is opened: it would be waited for without end.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            folder = path.is_dir()
            raise BrokenFile(path=path, line=1, reason=_("a folder lies where the file should") if folder else _("it is no file"))
        yield
    except OSError as error:
        if error.errno != errno.ELOOP and not (isinstance(error, FileNotFoundError) and path.is_symlink()):
            raise
        raise BrokenFile(path=path, line=1, reason=_("a link that leads nowhere")) from error
    except RecursionError as error:
        raise BrokenFile(path=path, line=1, reason=_("nested too deep")) from error
    except json.JSONDecodeError as error:
        raise BrokenFile(path=path, line=error.lineno, reason=error.msg) from error
    except UnicodeEncodeError as error:
        raise BrokenFile(path=path, line=1, reason=_("it holds half of a letter or emoji")) from error
    except ValueError as error:  # bytes that are no UTF-8, or an integer of more than 4300 digits
        raise BrokenFile(path=path, line=1, reason=str(error)) from error


def read_record(path: Path, kind: type[Kind]) -> Kind:
    """Read a JSON file that must be a `kind`; raises BrokenFile naming the line, and never changes the file."""
    with reading(path):
        text = path.read_text(encoding="utf-8")

        def finite(number: str) -> float:
            """No record of ours holds NaN or an infinity; identities and measures could not be compared with them."""
            if math.isfinite(value := float(number)):
                return value
            raise json.JSONDecodeError(_("{number} is no number").format(number=number), text, text.find(number))

        found = json.loads(text, parse_float=finite, parse_constant=finite)
        if _SURROGATE.search(text):  # most are halves of a whole emoji
            json.dumps(found, ensure_ascii=False).encode()
        try:
            return kind.model_validate(found)
        except ValidationError as error:
            first = error.errors()[0]
            raise BrokenFile(path=path, line=_line_of(text, first["loc"]), reason=f"{where(error)}: {explain(error)}") from error


def _line_of(text: str, location: tuple[int | str, ...]) -> int:
    """The line on which the last named key of `location` first stands (1 where none does)."""
    keys = [f'"{part}"' for part in location if isinstance(part, str)]
    return next((number for number, line in enumerate(text.splitlines(), 1) if keys and keys[-1] in line), 1)


def write_record(path: Path, record: BaseModel) -> None:
    """Write a record as JSON that people can read, atomically."""
    write_text(path, json.dumps(record.model_dump(mode="json", by_alias=True), indent=2, ensure_ascii=False) + "\n")
