"""Handing files and folders to the system's own program for them: on Windows, macOS, a Linux desktop, and Linux within Windows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from locales.language import N_
from utils import PipelineError


class CannotOpen(PipelineError):
    """Facts: path, reason."""

    message = N_("{path} cannot be opened from here: {reason}")
    hint = N_("Open it in the file manager; the path above is whole and can be copied.")


_WSL = ("wslview", "explorer.exe")
_WAIT_SECONDS = 2.0  # for the path in Windows' words


def opener() -> Callable[[Path], None] | None:
    """What opens a file or folder on this system without this program waiting for it; None where nothing does.

    What is returned raises CannotOpen where the system refuses.
    """
    if sys.platform == "win32":
        return _startfile
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


def _startfile(path: Path) -> None:
    """What Windows does with a double click."""
    try:
        os.startfile(path)  # type: ignore[attr-defined]  # it is there on Windows
    except OSError as error:
        raise CannotOpen(path=path, reason=error.strerror or str(error)) from error


def _start(command: list[str]) -> None:
    """Start a program that lives on by itself and says nothing here."""
    quiet = subprocess.DEVNULL
    try:
        subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
    except OSError as error:
        raise CannotOpen(path=command[-1], reason=error.strerror or str(error)) from error
