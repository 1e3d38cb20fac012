"""Packages that one action alone needs: what is said where they are not installed, and pip, which installs them for this Python."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

from locales.language import N_
from machine.processes import Line, run_child
from utils import Event, PipelineError, Progress

STAGE = "packages"
PROGRAM = Path(__file__).resolve().parents[1]  # the files of requirements lie there


class PackagesMissing(PipelineError):
    """Facts: package, requirements (a file beside the program)."""

    message = N_("This needs the package {package}, which is not installed.")
    hint = N_("Install it: pip install -r {requirements}")


class InstallFailed(PipelineError):
    """Facts: requirements, python, evidence, log."""

    message = N_("pip could not install what {requirements} names: {evidence}")
    hint = N_(
        "There may be no network, or no room on the disk. By hand: {python} -m pip install -r {requirements}. All of it: {log}"
    )


def require(package: str, requirements: str) -> None:
    """Raise PackagesMissing where a package, whose module bears its name, is not installed; nothing is imported."""
    if importlib.util.find_spec(package) is None:
        raise PackagesMissing(package=package, requirements=requirements)


def install(requirements: str, log: Path) -> Generator[Event, None, None]:
    """Let pip install what a file of requirements names, into the Python that this program runs on; raises InstallFailed."""
    argv = (
        sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off",
        "-r", str(PROGRAM / requirements),
    )  # fmt: skip
    yield Progress(STAGE, 0, 1, requirements)
    with closing(run_child(argv, log, {"PIP_NO_INPUT": "1"})) as child:
        while True:
            try:
                said = next(child)
            except StopIteration as end:
                result = end.value
                break
            yield Progress(STAGE, 0, 1, said.text.strip()[:60] if isinstance(said, Line) else requirements)
    if result.returncode:
        told = [line.strip() for line in result.tail if line.strip()] or [str(result.returncode)]
        evidence = next((line for line in told if line.startswith("ERROR")), told[-1])
        raise InstallFailed(requirements=requirements, python=sys.executable, evidence=evidence, log=log)
    importlib.invalidate_caches()
    yield Progress(STAGE, 1, 1)
