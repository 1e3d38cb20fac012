"""What this machine offers the program and what is missing: looked at by `setup`, shown with a cure for each."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from client_folder.client import clients_folder
from config import Settings, save_settings, settings_file
from locales.language import N_
from machine.gpu import largest_gpu
from training.machine_doctor import Check, look_at_base, look_at_disk, look_at_gpu, look_at_packages, look_at_python
from utils import Event, Progress


@dataclass(frozen=True, slots=True)
class Installation:
    """What `setup` made and found."""

    home: Path
    made: tuple[str, ...]
    checks: tuple[Check, ...]


def set_up(home: Path, settings: Settings) -> Generator[Event, None, Installation]:
    """Make the folders and the settings file where they are missing, then look at everything the path needs."""
    made = []
    if not clients_folder(home).is_dir():
        clients_folder(home).mkdir(parents=True)
        made.append(str(clients_folder(home)))
    if not settings_file(home).exists():
        save_settings(home, settings)
        made.append(str(settings_file(home)))
    looks = (look_at_python, look_at_packages, look_at_disk, _look_at_gpu, look_at_base, _look_at_sd_scripts)
    checks = []
    for number, look in enumerate(looks, 1):
        checks.append(look(home, settings))
        yield Progress("setup", number, len(looks), checks[-1].label)
    return Installation(home, tuple(made), tuple(checks))


def _look_at_gpu(_home: Path, _settings: Settings) -> Check:
    return look_at_gpu(largest_gpu())


def _look_at_sd_scripts(_home: Path, settings: Settings) -> Check:
    script = Path(settings.sd_scripts).expanduser() / "sdxl_train_network.py"
    cure = N_("Trains SDXL in the least memory; without it this program's own trainer does. To install it: setup sd-scripts")
    return Check(N_("sd-scripts"), settings.sd_scripts or "-", bool(settings.sd_scripts) and script.is_file(), cure)
