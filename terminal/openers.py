"""Handing a file or folder to the system's own program for it: Windows' shell, `open` of macOS, `xdg-open`, and Windows' under WSL."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

_WSL = ("wslview", "explorer.exe")
_WAIT_SECONDS = 2.0  # for the path in Windows' words


def opener() -> Callable[[Path], None] | None:
    """What opens a file or folder on this system without this program waiting for it; None where nothing does."""
    if sys.platform == "win32":
        return os.startfile
    if sys.platform == "darwin":
        return lambda path: _start(["open", str(path)])
    if under_wsl():
        program = next((name for name in _WSL if shutil.which(name)), None)
        return (lambda path: _start([program, _windows_path(path)])) if program else None
    # Without a display xdg-open looks for a browser of the text kind, which would take this terminal.
    displayed = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return (lambda path: _start(["xdg-open", str(path)])) if displayed and shutil.which("xdg-open") else None


def under_wsl() -> bool:
    """Whether this Linux runs within Windows, whose programs open things better."""
    return "WSL_DISTRO_NAME" in os.environ or "microsoft" in os.uname().release.lower()


def _windows_path(path: Path) -> str:
    """The path as Windows knows it; as it is where `wslpath` does not tell."""
    try:
        told = subprocess.run(
            ["wslpath", "-w", str(path)], capture_output=True, text=True, timeout=_WAIT_SECONDS, check=True
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return str(path)
    return told.stdout.strip() or str(path)


def _start(command: list[str]) -> None:
    """Start a program that lives on by itself and says nothing here; raises OSError where it cannot be started."""
    subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )  # fmt: skip
