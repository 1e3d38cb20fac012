"""Erasing a client: the folder takes at once a name that no client can have; whatever then stops, the next start removes the rest.

What is left of an erased client can neither be opened nor become part of the next client of that name.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from client_folder.client import Client, clients_folder
from locales.language import N_
from utils import PipelineError

_ERASING = ".erasing-"  # a client's name begins with a letter


class EraseBlocked(PipelineError):
    """Facts: client, path, reason."""

    message = N_("{client} cannot be erased: {path}: {reason}. Nothing was changed.")
    hint = N_("Close the programs that hold files of it open, such as a viewer or ComfyUI, and erase it again.")


class EraseUnfinished(PipelineError):
    """Facts: client, count, path."""

    message = N_("{client} is no client any more, but {count} files could not be removed: {path}")
    hint = N_("Close the programs that hold them open; the next start of this program removes the rest.")


def erase_folder(client: Client) -> int:
    """Remove a client's folder, or where it is a link the folder that it leads to; hands back how many files that were.

    Raises ClientBusy and EraseBlocked, where nothing was changed, and EraseUnfinished.
    """
    with client.lock():
        files = sum(1 for path in client.root.rglob("*") if path.is_file() and path != client.lock_file)
    doomed = clients_folder(client.home) / f"{_ERASING}{client.id}-{secrets.token_hex(4)}"
    try:
        os.replace(client.root, doomed)  # with the lock given back: Windows moves no folder in which a file is open
    except OSError as error:
        raise EraseBlocked(client=client.id, path=client.root, reason=error.strerror or str(error)) from error
    left = _remove(doomed)
    if left:
        raise EraseUnfinished(client=client.id, count=len(left), path=left[0])
    return files


def sweep_erased(home: Path) -> None:
    """Remove what is left of clients whose erasing was cut off, as far as the system allows; for every start of the program."""
    for doomed in clients_folder(home).glob(f"{_ERASING}*"):
        _remove(doomed)


def _remove(folder: Path) -> list[Path]:
    """Remove a folder, and where it is a link what it leads to; hands back what the system would not let go."""
    left: list[Path] = []

    def again(remove: Callable[..., Any], path: str, _error: object) -> None:
        """Once more, with the rights that removing needs: of the folder, and on Windows of the file itself."""
        try:
            for place in (Path(path).parent, Path(path)):
                with contextlib.suppress(FileNotFoundError):
                    place.chmod(place.stat().st_mode | stat.S_IRWXU)
            if remove in (os.open, os.scandir, os.listdir):  # a folder that could not be looked into
                shutil.rmtree(path)
            else:
                remove(path)
        except OSError:
            left.append(Path(path))

    if folder.is_symlink():
        target = folder.resolve()
        if target.is_dir():
            shutil.rmtree(target, onerror=again)
        if not left:
            folder.unlink()
    else:
        shutil.rmtree(folder, onerror=again)
    return [path for path in left if path.exists()]
