"""What people see of a home, so that a run that was cut off can be held against one that was not."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

# Not what people see: words of libraries, locks, and the records of single runs, which are as many as there were runs.
_PASSED_OVER = re.compile(
    r"(^|/)(logs/|training/runs/|training/train\.log$|training/logs/|training/control/|thumbnails/)|(^|/)\.(lora\.)?lock$"
    r"|\.json\.lock$|\.worker$"
)
# When and by which run something was made: legitimately another in another run.
_TIMES = frozenset(("created", "when", "started", "finished", "seconds", "time", "date", "at", "pid", "asked", "begun", "modified"))
_STAMP = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2})?[^\s\",]*")


def _plain(value: Any) -> Any:
    """A JSON value without times."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items() if key not in _TIMES}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return _STAMP.sub("TIME", value) if isinstance(value, str) else value


def _safetensors(path: Path) -> str:
    """Digest of the tensors alone: the header has dates and the number of the session."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode() + data[8 + length :]).hexdigest()


def _picture(path: Path) -> str:
    """Digest of the pixels: what is embedded names dates."""
    from PIL import Image

    with Image.open(path) as image:
        return f"{image.size} {hashlib.sha256(image.convert('RGB').tobytes()).hexdigest()}"


def digest_of(path: Path) -> str:
    """What of a file people see, as a digest; a file that cannot be read as what it is called is digested as it is."""
    try:
        if path.suffix == ".json":
            return json.dumps(_plain(json.loads(path.read_text(encoding="utf-8"))), sort_keys=True)
        if path.suffix == ".safetensors":
            return _safetensors(path)
        if path.suffix == ".zip":
            return _archive(path)
        if path.suffix == ".png" and "output" in path.parts:
            return _picture(path)
        if path.suffix in (".csv", ".txt"):
            return _STAMP.sub("TIME", path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        return f"unreadable: {error}"
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _archive(path: Path) -> str:
    """The names and sizes of what an archive holds, and whether all of it can be read."""
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            return str([archive.testzip(), sorted(name for name in archive.namelist() if not _PASSED_OVER.search(name))])
    except zipfile.BadZipFile as error:
        return f"torn: {error}"


def seen_of(home: Path, *others: Path) -> dict[str, str]:
    """Every file that people see in a home and in other folders, each with a digest of it; paths of the home stand as `HOME`."""
    found: dict[str, str] = {}
    for root in (home, *others):
        for path in sorted(root.rglob("*")) if root.is_dir() else ():
            name = f"{root.name}/{path.relative_to(root).as_posix()}"
            if path.is_file() and not _PASSED_OVER.search(name):
                found[name] = digest_of(path).replace(str(home), "HOME")
    return found


def bytes_of(*folders: Path) -> dict[str, str]:
    """Every file in some folders as its very bytes: of what was given nothing may change at all."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file()
    }


def differences(seen: dict[str, str], wanted: dict[str, str], most: int = 4) -> list[str]:
    """What differs between two homes, in words; empty where people would see the same."""
    names = [
        f"{name}: {'missing' if name not in seen else 'not expected' if name not in wanted else 'differs'}"
        for name in sorted(seen.keys() | wanted.keys())
        if seen.get(name) != wanted.get(name)
    ]
    return names[:most] + ([f"and {len(names) - most} more"] if len(names) > most else [])


def originals_in(folders: Iterable[Path]) -> set[str]:
    """The SHA-256 of every file in these folders: no picture that was given may ever be missing from them."""
    return {hashlib.sha256(path.read_bytes()).hexdigest() for folder in folders for path in folder.rglob("*") if path.is_file()}
