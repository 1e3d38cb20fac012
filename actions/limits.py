"""The limits of quality control as a person moves them: those of one client, or the program's, which count where a client has none.

A client's own limits lie in its `state.json`, and so go with its folder to another machine; the program's lie in the settings.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from client_folder.client import Client, ClientState
from config import QualityControlConfig, Settings, SettingUnknown, client_limits, update_settings, with_changes
from image_processor import FaceReport, LimitsEffect, plan_limits, process_faces
from utils import Event, nearest, write_record

BACK = "default:"  # before a name: give the limit back, a client's to the program, the program's to the default


class Scope(StrEnum):
    """Whose limits are moved."""

    CLIENT = "client"
    PROGRAM = "program"


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit as it counts for a client; `program` is what the settings say, and `own` whether the client has one of its own."""

    name: str
    value: float
    program: float
    own: bool


@dataclass(frozen=True, slots=True)
class LimitsMove:
    """What is moved where, and how all limits stand for the client then."""

    client: str
    scope: Scope
    changes: tuple[tuple[str, str, str], ...]  # name, old, new: of the client's limits or of the program's
    own_stays: tuple[str, ...]  # moved for the program, while the client has its own
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class LimitsPlan:
    """What would be moved, and what it does to the client."""

    move: LimitsMove
    effect: LimitsEffect


@dataclass(frozen=True, slots=True)
class LimitsReport:
    """What was moved, and the verdicts after it."""

    move: LimitsMove
    faces: FaceReport


@dataclass(frozen=True, slots=True)
class _LimitsTarget:
    """What both places will hold: the client's own limits, and the program's settings."""

    own: dict[str, float]
    settings: Settings


def preview_limits(client: Client, settings: Settings, changes: Sequence[str], everywhere: bool = False) -> LimitsPlan:
    """What limits would do to the client; raises SettingUnknown or SettingRefused."""
    state = client.state()
    target = _target(state, settings, changes, everywhere)
    effect = plan_limits(client, client_limits(settings, state.limits), client_limits(target.settings, target.own))
    return LimitsPlan(_move(client, state.limits, settings, target, everywhere), effect)


def move_limits(
    home: Path, client: Client, settings: Settings, changes: Sequence[str], everywhere: bool = False
) -> Generator[Event, None, LimitsReport]:
    """Write the limits (`NAME=VALUE`, or `default:NAME`) into the client's state, or with `everywhere` into the settings of the
    home, and judge the client anew; raises SettingUnknown or
    SettingRefused, and nothing is written then."""
    state = client.state()
    target = _target(state, settings, changes, everywhere)
    move = _move(client, state.limits, settings, target, everywhere)
    if target.settings != settings:
        quality = target.settings.quality
        update_settings(home, lambda now: now.model_copy(update={"quality": quality}))
    if target.own != state.limits:
        write_record(client.state_file, state.model_copy(update={"limits": target.own}))
    return LimitsReport(move, (yield from process_faces(client, target.settings)))


def _target(state: ClientState, settings: Settings, changes: Sequence[str], everywhere: bool) -> _LimitsTarget:
    """Both places after the changes; raises SettingUnknown or SettingRefused."""
    defaults, wanted = values_of(QualityControlConfig()), dict[str, str | None]()  # None: given back
    for change in changes:
        name, _equals, value = change.removeprefix(BACK).removeprefix("quality.").partition("=")
        if name not in defaults:
            raise SettingUnknown(name=name, nearest=nearest(name, defaults) or "-")
        wanted[name] = None if change.startswith(BACK) else value
    if everywhere:
        words = [f"quality.{name}={defaults[name] if value is None else value}" for name, value in wanted.items()]
        return _LimitsTarget(state.limits, with_changes(settings, words))
    moved = {name: value for name, value in wanted.items() if value is not None}
    checked = values_of(with_changes(settings, [f"quality.{name}={value}" for name, value in moved.items()]).quality)
    kept = {name: value for name, value in state.limits.items() if name not in wanted}
    return _LimitsTarget(kept | {name: checked[name] for name in moved}, settings)


def _move(client: Client, own: Mapping[str, float], settings: Settings, target: _LimitsTarget, everywhere: bool) -> LimitsMove:
    """The record of a move, from how things stand and how they will."""
    program, then = values_of(settings.quality), values_of(target.settings.quality)
    old, new = values_of(client_limits(settings, own)), values_of(client_limits(target.settings, target.own))
    if everywhere:
        changed = [(name, program[name], then[name]) for name in program if program[name] != then[name]]
    else:
        changed = [(name, old[name], new[name]) for name in old if own.get(name) != target.own.get(name)]
    return LimitsMove(
        client.id,
        Scope.PROGRAM if everywhere else Scope.CLIENT,
        tuple((name, f"{before:g}", f"{after:g}") for name, before, after in changed),
        tuple(name for name, _before, _after in changed if everywhere and name in own),
        tuple(Limit(name, new[name], then[name], name in target.own) for name in new),
    )


def values_of(quality: QualityControlConfig) -> dict[str, float]:
    """Every limit by its name below `quality` in the settings: `min_contrast`, and for camera RAW `raw.min_contrast`."""
    standard = {name: float(value) for name, value in quality.model_dump(exclude={"raw"}).items()}
    return standard | {f"raw.{name}": float(value) for name, value in quality.raw.model_dump().items()}
