"""The hub and the releases as servers: what they state of a file, the file itself from where it was cut off, and what went wrong
in words.

The hub's own library sends the requests (its session knows proxies, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE), but does not write
the files: its download begins anew each time, and trusts a file by the name that a link gives it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from locales.language import _
from machine.models import Model, ModelFile, Origin

CONNECT_SECONDS, READ_SECONDS = 5.0, 10.0
TRIES = 4  # in a row without a byte more
WAIT_SECONDS = 1.0  # between two tries
PARTIAL, RANGE_REFUSED = 206, 416
PASSING = (408, 429, 500, 502, 503, 504)  # what a server says that may answer a moment later
_REASON_LETTERS = 200


@dataclass(frozen=True, slots=True)
class Published:
    """What a file has to be: its size, and its SHA-256 or, for a small file that the hub keeps in git, git's own hash."""

    bytes: int
    sha256: str = ""
    git_sha1: str = ""


@dataclass(slots=True)
class Meter:
    """What a thread tells of its download, and whether it is to stop."""

    answered: threading.Event = field(default_factory=threading.Event)
    stop: threading.Event = field(default_factory=threading.Event)
    arrived: int = 0  # bytes of this run


class Broken(Exception):
    """A server ended before the file did; the message says where."""


def target_of(model: Model, file: ModelFile, folder: Path) -> Path:
    """Where a downloaded file goes: into the hub's cache as a file of its commit, or below `folder` for one of a release."""
    if model.origin is not Origin.HUB:
        return folder / file.path
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / _repository(model) / "snapshots" / model.revision / file.path


def _repository(model: Model) -> str:
    """The folder of a repository in the hub's cache."""
    return f"models--{model.source.replace('/', '--')}"


def lock_of(model: Model, folder: Path) -> Path:
    """The lock that who writes files of a model holds: the same for every home, where the cache is."""
    if model.origin is not Origin.HUB:
        return folder / ".locks" / "releases.lock"
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / ".locks" / f"avatar-pipeline-{_repository(model)}.lock"


def part_of(target: Path) -> Path:
    """Where a file grows before it has its name."""
    return target.with_name(f".{target.name}.download")


def published_files(model: Model) -> dict[str, Published]:
    """What the hub states of every file of a model at its pinned commit."""
    from huggingface_hub import HfApi

    info = HfApi().model_info(model.source, revision=model.revision, files_metadata=True, timeout=READ_SECONDS)
    return {
        one.rfilename: Published(
            one.lfs.size if one.lfs else one.size or 0, one.lfs.sha256 if one.lfs else "", "" if one.lfs else one.blob_id or ""
        )
        for one in info.siblings or ()
    }  # fmt: skip


def fetch_file(model: Model, file: ModelFile, published: Published, part: Path, meter: Meter) -> None:
    """Bring the rest of a file into `part`, trying again while anything comes; raises what it failed with last."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    tries = TRIES
    part.touch()
    while (begun := _size(part)) != published.bytes:
        if begun > published.bytes:
            part.unlink()
        try:
            _stream(model, file, published, part, meter)
        except (httpx2.TransportError, HfHubHTTPError, Broken) as error:
            passing = not isinstance(error, HfHubHTTPError) or error.response.status_code in PASSING
            tries = TRIES if _size(part) > begun else tries - 1
            # Without any answer there is no connection at all: that is said at once.
            if not passing or not tries or not meter.answered.is_set() or meter.stop.wait(WAIT_SECONDS):
                raise


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _stream(model: Model, file: ModelFile, published: Published, part: Path, meter: Meter) -> None:
    """One request for what is missing of a file; raises Broken where it ends early."""
    import httpx2
    from huggingface_hub import get_session, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined] # their public page

    begun = _size(part)
    # Sizes and ranges are those of the file itself, not of a packed one. The user's token goes to the hub alone.
    headers = (build_hf_headers() if model.origin is Origin.HUB else {}) | {"Accept-Encoding": "identity"}
    headers |= {"Range": f"bytes={begun}-"} if begun else {}
    address = (
        hf_hub_url(model.source, file.path, revision=model.revision) if model.origin is Origin.HUB else model.source + file.path
    )
    timeout = httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    with get_session().stream("GET", address, headers=headers, timeout=timeout) as response:
        meter.answered.set()
        if response.status_code == RANGE_REFUSED:
            part.unlink()
            return
        hf_raise_for_status(response)
        if response.status_code != PARTIAL:
            meter.arrived -= begun  # it sends the whole file
        # Unbuffered: what has arrived is kept even where the program is killed.
        with part.open("ab" if response.status_code == PARTIAL else "wb", buffering=0) as out:
            for block in response.iter_bytes():
                if meter.stop.is_set() or out.tell() > published.bytes:
                    break
                out.write(block)
                meter.arrived += len(block)
    if meter.stop.is_set() or _size(part) < published.bytes:
        raise Broken(_("the connection broke off at {done} of {total}").format(done=_mb(_size(part)), total=_mb(published.bytes)))


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def reason_of(error: Exception, model: Model) -> str:
    """What went wrong with a download, in the user's words."""
    import httpx2
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    host = urlsplit(constants.ENDPOINT if model.origin is Origin.HUB else model.source).netloc
    if isinstance(error, OfflineModeIsEnabled):
        return _("downloads are switched off here (HF_HUB_OFFLINE=1).")
    if isinstance(error, HfHubHTTPError):
        return _of_status(error.response.status_code, host)
    if isinstance(error, httpx2.ProxyError):
        return _("the proxy refuses: {error}").format(error=_first_line(error))
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
        return _("no connection to {host}: {error}").format(host=host, error=_first_line(error))
    if isinstance(error, httpx2.TimeoutException):
        return _("{host} has sent nothing for {seconds:.0f} seconds.").format(host=host, seconds=READ_SECONDS)
    if isinstance(error, httpx2.TransportError):
        return _("the connection broke off: {error}").format(error=_first_line(error))
    return _first_line(error)


def _of_status(status: int, host: str) -> str:
    """What a server says by a number."""
    if status in (401, 403):
        words = _("{host} gives this model only to whoever accepted its terms there; put your token into HF_TOKEN (HTTP {status}).")
    elif status == 404:
        words = _("{host} does not have it any more (HTTP {status}).")
    elif status in PASSING:
        words = _("{host} is overloaded or being repaired just now (HTTP {status}).")
    else:
        words = _("{host} refuses (HTTP {status}).")
    return words.format(host=host, status=status)


def _first_line(error: BaseException) -> str:
    """What an error says, in a line."""
    words = str(error).strip()
    return words.splitlines()[0][:_REASON_LETTERS] if words else type(error).__name__
