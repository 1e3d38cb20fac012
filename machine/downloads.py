"""Fetching models: what is missing, its size and the room there is; then file by file, resumable, checked by hash.

Files of the hub go into the hub's own cache. InsightFace's own downloader checks nothing and leaves torn files under their final
names: its files are fetched by the hub's library into a temporary name, checked, and only then renamed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import threading
import zipfile
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config import Settings
from machine.errors import HubUnreachable, ModelDamaged
from machine.models import Found, Model, ModelFile, Origin, locate, model_named, models_folder
from utils import DiskFull, Event, PipelineError, Progress, free_bytes, sha256_file

STAGE = "preload"
TICK_SECONDS = 0.5
CHUNK = 1 << 20
MB = 1_000_000
SHA256_DIGITS = 64  # a shorter digest is git's own


@dataclass(frozen=True, slots=True)
class PreloadPlan:
    """What `models preload` is about to fetch, and the room for it, in bytes."""

    models: tuple[Found, ...]  # those with missing files
    here: tuple[str, ...]
    bytes: int
    free: int
    folder: Path


@dataclass(frozen=True, slots=True)
class PreloadReport:
    """What came: names of models, and how many files were checked against a SHA-256."""

    fetched: tuple[str, ...]
    here: tuple[str, ...]
    checked: int


class _DownloadStopped(Exception):
    """The download is to stop; what has arrived stays."""


def plan_preload(home: Path, settings: Settings, names: Sequence[str]) -> PreloadPlan:
    """What is missing of the named models; raises ModelUnknown."""
    folder = models_folder(home, settings)
    found = [locate(model_named(name), folder) for name in dict.fromkeys(names)]
    missing = tuple(one for one in found if not one.here)
    return PreloadPlan(
        missing,
        tuple(one.model.name for one in found if one.here),
        sum(file.bytes for one in missing for file in _to_fetch(one)),
        free_bytes(folder),
        folder,
    )


def preload(plan: PreloadPlan) -> Generator[Event, None, PreloadReport]:
    """Fetch what is missing; raises HubUnreachable, ModelDamaged or DiskFull. Stopped or cut off, it goes on from there."""
    if plan.bytes > plan.free:
        raise DiskFull(path=plan.folder)
    done, checked = 0, 0
    for one in plan.models:
        for file in _to_fetch(one):
            fetch = _from_hub if one.model.origin is Origin.HUB else _from_release
            path = yield from _in_background(one, file, fetch, done, plan)
            # The published SHA-256: the table's, else the hub's own, after which its cache names large files.
            blob = path.resolve().name
            checked += _check(path, file.sha256 or (blob if len(blob) == SHA256_DIGITS else ""))
            done += file.bytes
        if one.model.archives:
            checked += _unpack(one.model, plan.folder)
    yield Progress(STAGE, plan.bytes // MB, plan.bytes // MB)
    return PreloadReport(tuple(one.model.name for one in plan.models), plan.here, checked)


def _to_fetch(found: Found) -> list[ModelFile]:
    """The files and archives that have to come."""
    missing = [file for file in found.model.files if file.path not in found.files]
    packed = {file.member_of for file in missing}
    return [file for file in missing if not file.member_of] + [one for one in found.model.archives if one.path in packed]


# --- one file ---------------------------------------------------------------------------------------------------------
Fetch = Callable[[Model, ModelFile, Path, Any], Path]


class _Meter:
    """What a thread that downloads has got so far, and whether it is to stop."""

    def __init__(self) -> None:
        self.bytes = 0
        self.stop = False
        self.path: Path | None = None
        self.error: Exception | None = None

    def bar(self) -> type[Any]:
        """A progress bar for the hub's library, which draws nothing and counts here."""
        from tqdm import tqdm

        meter = self

        class Bar(tqdm):
            def __init__(self, *args: Any, **options: Any) -> None:
                options.pop("name", None)
                super().__init__(*args, **(options | {"disable": True}))
                meter.bytes = int(options.get("initial") or 0)

            def update(self, n: float | None = 1) -> None:
                meter.bytes += int(n or 0)
                if meter.stop:
                    raise _DownloadStopped

        return Bar


def _in_background(
    one: Found, file: ModelFile, fetch: Fetch, before: int, plan: PreloadPlan
) -> Generator[Event, None, Path]:  # fmt: skip
    """Fetch a file in a thread, saying twice a second how much has come; the download may be stopped at any of them."""
    meter = _Meter()

    def work() -> None:
        try:
            meter.path = fetch(one.model, file, plan.folder, meter.bar())
        except Exception as error:  # noqa: BLE001 - handed over to the thread that waits, below
            meter.error = error

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            yield Progress(STAGE, (before + meter.bytes) // MB, plan.bytes // MB, f"{one.model.name}: {Path(file.path).name}")
            thread.join(TICK_SECONDS)
    finally:
        meter.stop = True
    if meter.error is not None or meter.path is None:
        raise _unreachable(one, meter.error) from meter.error
    return meter.path


def _unreachable(one: Found, error: Exception | None) -> Exception:
    """The error in the user's words; a full disk stays one."""
    from huggingface_hub import constants
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    if isinstance(error, PipelineError):
        return error
    if (
        isinstance(error, OSError)
        and not isinstance(error, HfHubHTTPError | LocalEntryNotFoundError | ConnectionError)
        and error.errno
    ):
        return error
    # What it began with: the hub's library wraps "no connection" into advice about its cache.
    cause: BaseException | None = error
    while cause is not None and (cause.__cause__ or cause.__context__):
        cause = cause.__cause__ or cause.__context__
    reason = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
    if isinstance(error, OfflineModeIsEnabled) or constants.is_offline_mode():
        reason = "HF_HUB_OFFLINE=1"
    elif isinstance(error, GatedRepoError):
        reason = "HTTP 401/403: " + reason
    return HubUnreachable(model=one.model.title, reason=reason[:200], source=one.model.page, place=one.place)


def _from_hub(model: Model, file: ModelFile, _folder: Path, bar: Any) -> Path:
    from huggingface_hub import hf_hub_download

    _hush()
    return Path(hf_hub_download(model.source, file.path, revision=model.revision, tqdm_class=bar))


def _from_release(model: Model, file: ModelFile, folder: Path, bar: Any) -> Path:
    """A file of a release, resumed where it was cut off; it has its final name only when its hash is right."""
    from huggingface_hub.file_download import http_get

    _hush()
    target = folder / file.path
    part = target.with_name(f".{target.name}.download")
    target.parent.mkdir(parents=True, exist_ok=True)
    with part.open("ab") as out:
        arrived = out.tell()
        if arrived > file.bytes:
            out.truncate(0)
            arrived = 0
        http_get(model.source + file.path, out, resume_size=arrived, expected_size=file.bytes, tqdm_class=bar)
    _check(part, file.sha256)
    os.replace(part, target)
    return target


def _hush() -> None:
    """Keep the library's own words about retries off the screen; what they end in is an error of ours."""
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)


# --- hashes -----------------------------------------------------------------------------------------------------------
def _check(path: Path, expected: str) -> int:
    """1 where the file is what was published, 0 where nothing is known to compare with; raises ModelDamaged and removes it."""
    if not expected:
        return 0
    found = sha256_file(path)
    if found != expected:
        with contextlib.suppress(FileNotFoundError):
            path.resolve().unlink()
            path.unlink()
        raise ModelDamaged(path=path, expected=expected, found=found)
    return 1


def _unpack(model: Model, folder: Path) -> int:
    """Take the files of a model out of its archives, each checked before it has its name; the archives are removed."""
    checked = 0
    for file in model.files:
        target = folder / file.path
        archive = folder / file.member_of
        if target.is_file() or not archive.is_file():
            continue
        part = target.with_name(f".{target.name}.download")
        part.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(archive) as packed:
            # Releases pack with or without a folder of the model's name.
            member = next(name for name in packed.namelist() if name.rsplit("/", 1)[-1] == target.name)
            with packed.open(member) as inside, part.open("wb") as out:
                shutil.copyfileobj(inside, out, CHUNK)
        checked += _check(part, file.sha256)
        os.replace(part, target)
    for packed_file in model.archives:
        (folder / packed_file.path).unlink(missing_ok=True)
    return checked
