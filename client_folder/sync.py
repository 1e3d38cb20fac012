"""Many files brought to the disk at once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from utils import sync_file, sync_folder

_THREADS = 8  # that wait for the disk: it brings together what is asked of it at the same time


def sync_all(files: Iterable[Path], folders: Iterable[Path]) -> None:
    """Wait until the bytes of these files are on the disk, and then the names in these folders."""
    from concurrent.futures import ThreadPoolExecutor  # here, not above: most actions write no file for good by the hundred

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(sync_file, files))
    for folder in folders:
        sync_folder(folder)
