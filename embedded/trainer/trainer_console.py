"""What the trainer says, on the streams where sd-scripts says it.

`say` is for the plain lines of stdout, `LOG` for the log lines: stderr, or stdout with --console_log_simple, or a file with
--console_log_file. Unlike sd-scripts' own log these lines are never wrapped to the width of a terminal.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

LOG = logging.getLogger("sdxl_train_network")


def say(line: str = "") -> None:
    """Prints one line on stdout at once: a monitor at the other end of the pipe must not wait for a full buffer."""
    print(line, flush=True)


def open_log(simple: bool, file: Path | None) -> None:
    """Sends log lines to `file` if there is one, else to stdout if `simple`, else to stderr."""
    handler: logging.Handler = logging.StreamHandler(sys.stdout if simple else sys.stderr)
    if file is not None:
        handler = logging.FileHandler(file, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(message)s"))
    LOG.handlers[:] = [handler]
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
