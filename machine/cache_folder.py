"""Where the program keeps what it can make again, and its locks: one folder for every home of a user, as the system has it."""

from __future__ import annotations

from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """The folder; it need not exist yet."""
    return Path(platformdirs.user_cache_dir("avatar-pipeline", appauthor=False))
