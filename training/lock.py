"""One training at a time on a GPU, in whatever client or home: a lock of the system, freed when its holder dies.

Beside the lock lies who trains, so that a trainer left behind by a killed program is found and ended before the next one begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from locales.language import N_
from machine.cache_folder import cache_folder
from machine.processes import end_orphan
from utils import PipelineError, write_text


class GPUBusy(PipelineError):
    """Facts: gpu, client."""

    message = N_('{gpu} is training "{client}" just now.')
    hint = N_("Wait until that has ended, or train several clients one after another with: queue")


def locks_folder() -> Path:
    """Where locks lie: the same for every home of a user."""
    return cache_folder() / "locks"


def forget_client(client: str, folder: Path | None = None) -> None:
    """Remove the notes of who trains on a card that name a client: a trainer that was killed leaves its own."""
    for holder in (folder or locks_folder()).glob("*.txt"):
        if holder.read_text(encoding="utf-8", errors="replace").strip() == client:
            holder.unlink(missing_ok=True)


@contextmanager
def hold_gpu(uuid: str, name: str, client: str, folder: Path | None = None) -> Iterator[tuple[Path, ...]]:
    """Hold a GPU for one training and hand out the files that are to name its trainer; raises GPUBusy at once.

    `uuid` is the card's own; without one (no GPU) nothing is held and nothing needs to be named.
    """
    place = (folder or locks_folder()) / f"{uuid or 'cpu'}.lock"
    trainer = place.with_suffix(".json")
    if not uuid:
        yield ()
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    lock, holder = filelock.FileLock(place), place.with_suffix(".txt")
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout as error:
        who = holder.read_text(encoding="utf-8").strip() if holder.is_file() else "?"
        raise GPUBusy(gpu=name, client=who) from error
    try:
        end_orphan(trainer)  # we hold the lock, so whoever started it is gone
        write_text(holder, client)
        yield (trainer,)
    finally:
        trainer.unlink(missing_ok=True)
        holder.unlink(missing_ok=True)  # it names the client
        lock.release()
