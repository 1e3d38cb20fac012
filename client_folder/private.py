"""Folders that only their owner may look into."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def private_folder(folder: Path) -> None:
    """A folder that only its owner may look into: pictures and consents of people lie in it. Windows keeps homes private itself."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.name != "nt" and folder.stat().st_mode & 0o077:
        with contextlib.suppress(OSError):  # somebody else's, or a file system without rights
            folder.chmod(0o700)
