"""Which base models can be offered: SDXL itself, checkpoints that other programs keep on this machine, the practice model.

The usual folders of A1111, Forge, ComfyUI, InvokeAI, StabilityMatrix and Fooocus are looked through, bounded in time, depth and
number; of a checkpoint its header alone is read. Nothing outside is changed.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import platformdirs

from config import EMBEDDED_BASE, SDXL_BASE, Settings
from machine.base_models import INDEX, BaseKind, BaseModel, base_at, find_base
from utils import PipelineError

SECONDS = 4.0  # that looking may take: a network drive that sleeps must not hold up the first screen
MOST = 200  # files looked at
REMEMBERED_SECONDS = 60  # a form asks again and again; a file placed a minute ago is found
_DEPTH = 3  # folders below the one where a program keeps checkpoints: people sort them
_ENTRIES = 400  # names read of one folder where programs may be installed
_INSTALLS = 4  # levels that installations are nested: StabilityMatrix/Data/Packages/ComfyUI
# What the folders of these programs are called, also in their one-click packages ("ComfyUI_windows_portable", "sd.webui").
_PROGRAM = re.compile(r"comfy|webui|stable-?diffusion|forge|fooocus|invoke|stability ?matrix|automatic|sdnext|swarm", re.I)
_WITHIN = frozenset({"data", "packages", "webui", "comfyui", "fooocus", "shared"})  # folders between an installation and its models
# Where each keeps checkpoints, below its own folder: A1111 and Forge, ComfyUI and Fooocus, StabilityMatrix, InvokeAI, SwarmUI.
_CHECKPOINTS = (
    "models/Stable-diffusion", "models/checkpoints", "Models/StableDiffusion", "Data/Models/StableDiffusion", "models/sdxl/main",
    "models", "Models/Stable-Diffusion",
)  # fmt: skip
_FLAT = "models"  # InvokeAI 6 keeps each model in a folder of its own there; elsewhere it is a folder of folders
# Where people unpack such programs, below their own folder, and on any drive.
_PLACES = (
    "", "AI", "ai", "apps", "Apps", "git", "src", "Projects", "projects", "Documents", "Downloads", "Desktop", "Programs",
)  # fmt: skip
_EXTRA_PATHS = ("extra_model_paths.yaml", "extra_models_config.yaml")  # ComfyUI's own, and that of its desktop program


def offered_bases(home: Path, settings: Settings) -> tuple[BaseModel, ...]:
    """What can be offered as a base: SDXL itself (here or to be fetched), every SDXL checkpoint found here, the practice model.

    Few-step checkpoints come after the full ones: they paint, and learn badly. Never raises for what lies in a foreign folder.
    """
    found = [base for base in find_checkpoints(home, settings) if base.kind is BaseKind.SDXL]
    return (
        find_base(home, settings, SDXL_BASE),
        *sorted(found, key=lambda base: (bool(base.distilled), base.name.lower())),
        find_base(home, settings, EMBEDDED_BASE),
    )


def find_checkpoints(home: Path, settings: Settings) -> tuple[BaseModel, ...]:
    """Every checkpoint in the usual folders of other programs, whatever its kind; torn ones and doubles are left out."""
    invoke = os.environ.get("INVOKEAI_ROOT")
    told = (settings.comfyui, settings.a1111, settings.models_folder, invoke and f"{invoke}/{_FLAT}")
    named = tuple(Path(folder).expanduser() for folder in told if folder)
    chosen = find_base(home, settings, SDXL_BASE).path
    found = _look((*named, home / "models"), Path.home(), int(time.monotonic() // REMEMBERED_SECONDS))
    return tuple(base for base in found if chosen is None or not _same(base.path, chosen))


def _same(one: Path | None, other: Path) -> bool:
    with suppress(OSError):
        return one is not None and one.samefile(other)
    return False


@lru_cache(maxsize=2)
def _look(named: tuple[Path, ...], user: Path, _minute: int) -> tuple[BaseModel, ...]:
    """What lies in the named folders and in those of programs found in the usual places."""
    until = time.monotonic() + SECONDS
    found: dict[tuple[int, int], BaseModel] = {}
    looked = 0
    for folder in _checkpoint_folders(named, user, until):
        for path in _models_in(folder, _DEPTH, until):
            with suppress(OSError, PipelineError):  # torn, or gone meanwhile
                looked += 1
                state = path.stat()
                found.setdefault((state.st_dev, state.st_ino), base_at(path))
            if looked >= MOST or time.monotonic() > until:
                return tuple(found.values())
    return tuple(found.values())


def _models_in(folder: Path, depth: int, until: float) -> Iterator[Path]:
    """The checkpoints of one file, and the folders in diffusers' layout, below a folder."""
    entries = sorted(_entries(folder))
    for path in entries:
        if path.suffix.lower() == ".safetensors" and path.is_file():
            yield path
    for path in entries:
        if time.monotonic() > until:
            return
        if path.is_dir() and not path.name.startswith("."):
            if (path / INDEX).is_file():
                yield path
            elif depth > 0:
                yield from _models_in(path, depth - 1, until)


# --- where programs keep their checkpoints ----------------------------------------------------------------------------
def _checkpoint_folders(named: Sequence[Path], user: Path, until: float) -> Iterator[Path]:
    """Every folder of checkpoints, each once: of the programs named, of those found, and what their configurations name."""
    seen: set[Path] = set()
    for program in (*named, *_programs(user, until)):
        folders = [program / below for below in _CHECKPOINTS if below != _FLAT or "invoke" in program.name.lower()]
        folders += [program] if program in named else []
        for file in (program / name for name in _EXTRA_PATHS):
            folders += _extra_paths(file)
        for folder in folders:
            with suppress(OSError):
                resolved = folder.resolve()
                if resolved not in seen and resolved.is_dir():
                    seen.add(resolved)
                    yield folder


def _programs(user: Path, until: float) -> Iterator[Path]:
    """The folders of programs that paint, in the places where people have them."""
    yield from _configured(user)
    for place in _places(user):
        yield from _programs_in(place, _INSTALLS, until)


def _programs_in(place: Path, depth: int, until: float) -> Iterator[Path]:
    for path in _entries(place):
        if time.monotonic() > until:
            return
        # Below an installation the names are plain: Data/Packages, webui.
        if (_PROGRAM.search(path.name) or (depth < _INSTALLS and path.name.lower() in _WITHIN)) and path.is_dir():
            yield path
            if depth > 1:
                yield from _programs_in(path, depth - 1, until)


def _configured(user: Path) -> Iterator[Path]:
    """What programs say of themselves: StabilityMatrix's library, the folder of ComfyUI's desktop program."""
    settings = _settings_folder(user)
    yield settings / "StabilityMatrix"
    with suppress(OSError, ValueError, KeyError, TypeError):
        library = json.loads((settings / "StabilityMatrix" / "library.json").read_text(encoding="utf-8-sig"))["LibraryPath"]
        yield Path(library)
        yield from _programs_in(Path(library) / "Packages", 1, time.monotonic() + 1)
    yield settings / "ComfyUI"


def _extra_paths(file: Path) -> list[Path]:
    """The folders of checkpoints that a configuration of ComfyUI's names: sections, each with a base path and lines of folders."""
    import yaml  # accelerate's own format, and it brings the library along

    found = []
    with suppress(OSError, yaml.YAMLError, UnicodeDecodeError):
        for section in (yaml.safe_load(file.read_text(encoding="utf-8-sig")) or {}).values() if file.is_file() else ():
            if isinstance(section, dict):
                base = Path(os.path.expandvars(str(section.get("base_path") or file.parent))).expanduser()
                wanted = section.get("checkpoints") or ""
                lines = wanted if isinstance(wanted, list) else str(wanted).splitlines()
                found += [file.parent / base / str(line).strip() for line in lines if str(line).strip()]
    return found


def _places(user: Path) -> Iterator[Path]:
    """Where to look for programs: the user's folders, and every drive."""
    for root in (user, *_drives(user)):
        for below in _PLACES:
            yield root / below


def _drives(user: Path) -> Iterator[Path]:
    """The drives of Windows; on Linux and macOS where others are mounted, and /opt."""
    if sys.platform == "win32":
        for letter in "CDEFGHIJ":
            drive = Path(f"{letter}:/")
            if drive.exists():
                yield drive
        return
    for mounts in (Path("/mnt"), Path("/media") / user.name, Path("/run/media") / user.name, Path("/Volumes")):
        yield from _entries(mounts)
    yield from (Path("/opt"), Path("/workspace"), Path("/data"))


def _settings_folder(user: Path) -> Path:
    """Where programs keep their settings: %APPDATA%, ~/.config, ~/Library/Application Support."""
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or user / "AppData" / "Roaming")
    if sys.platform == "darwin":
        return user / "Library" / "Application Support"
    return Path(platformdirs.user_config_dir())


def _entries(folder: Path) -> list[Path]:
    """What a folder holds, so many at most; nothing where it cannot be read."""
    found = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found.append(Path(entry.path))
            if len(found) >= _ENTRIES:
                break
    return found
