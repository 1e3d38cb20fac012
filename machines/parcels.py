"""What travels of a client: the part of its export that a job needs, and the part that the job has made.

Outward go the dataset, the plan, the newest state and the person's consents; no original, no portrait, nothing of other clients.
Homeward come LoRAs, the newest state, samples, and the records of the run.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from client_folder.client import Client
from client_folder.export import ExportedClient, export_part
from client_folder.restore import RestoredClient, add_results
from locales.language import N_
from machine.base_models import BaseKind
from training.checkpoints import find_resume
from training.plan import TrainingPlan
from utils import Event, PipelineError, sha256_file

PIECE_BYTES = 4 << 20  # of a parcel, in one message


class ParcelDamaged(PipelineError):
    """Facts: path, expected, found."""

    message = N_("{path} did not arrive as it was sent: its SHA-256 is {found}, not {expected}.")
    hint = N_("Nothing of it was taken in. The same queue again sends it once more.")


def pack_for_training(client: Client, plan: TrainingPlan, target: Path) -> Generator[Event, None, ExportedClient]:
    """Write what a training of this plan needs elsewhere."""
    state = find_resume(client, plan)
    own_others = client.regularisation if plan.base_kind is not BaseKind.EMBEDDED else None  # the embedded base draws its own
    folders = [client.training_data, *([state.state] if state else []), *([own_others] if own_others else [])]
    files = {client.plan_file, client.consents_file}
    return (yield from export_part(client, target, lambda path: path in files or any(one in path.parents for one in folders)))


def pack_results(client: Client, plan: TrainingPlan, target: Path) -> Generator[Event, None, ExportedClient]:
    """Write what a training has made so far: of its states the newest whole one alone."""
    state = find_resume(client, plan)
    folders = [client.samples, client.runs, client.logs, *([state.state] if state else [])]
    files = {client.plan_file, client.train_log}

    def made(path: Path) -> bool:
        of_models = path.parent in (client.models, client.trainer_samples) and not path.name.startswith(".")
        return of_models or path in files or any(one in path.parents for one in folders)

    return (yield from export_part(client, target, made))


def check_parcel(file: Path, expected: str) -> None:
    """Raise ParcelDamaged where a parcel is not what was sent."""
    found = sha256_file(file)
    if found != expected:
        raise ParcelDamaged(path=file.name, expected=expected[:12], found=found[:12])


def unpack_results(client: Client, file: Path) -> Generator[Event, None, RestoredClient]:
    """Take a parcel in for a client that the caller holds, and remove it; done again after a crash, it ends the same."""
    restored = yield from add_results(client, file)
    file.unlink()
    return restored
