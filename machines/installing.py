"""Installing what several machines need, once somebody wants it: the packages of requirements-machines.txt, into this Python."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

from config import PROGRAM
from locales.language import N_
from machine.processes import Line, run_child
from machines.errors import REQUIREMENTS
from utils import Event, PipelineError, Progress


class InstallFailed(PipelineError):
    """Facts: reason, requirements."""

    message = N_("The packages could not be installed: {reason}")
    hint = N_("Try it by hand, with a connection to the internet: pip install -r {requirements}")


def install_requirements(home: Path) -> Generator[Event, None, None]:
    """Let pip install them; what it says goes into `logs/install.log`. Raises InstallFailed."""
    words = (sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "-r", str(PROGRAM / REQUIREMENTS))
    with closing(run_child(words, home / "logs" / "install.log", {})) as child:
        while True:
            try:
                said = next(child)
            except StopIteration as end:
                result = end.value
                break
            yield Progress("packages", 0, 0, said.text if isinstance(said, Line) else "")
    if result.returncode != 0:
        raise InstallFailed(reason=result.tail[-1] if result.tail else str(result.returncode), requirements=REQUIREMENTS)
