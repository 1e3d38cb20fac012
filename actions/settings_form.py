"""The forms of settings and limits: a row a value with what it means, its unit and its range, changed in its place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from actions.action import Form, FormRow
from actions.form import extent_of, number
from actions.limits import BACK, Scope, values_of
from actions.request import ClientRequest, Job, Request
from config import PRESET_LABELS, PRESETS, QualityControlConfig, Settings, client_limits, with_changes
from locales.language import N_, _, ngettext
from machine.cards import GPU_PROFILES
from machine.licence import Use
from utils import SettingRefused

_UNIT = re.compile(r" \[(.+)\]$")  # behind a description, where a value has a unit
_DEFAULT = N_("default: {value}")
_EMPTY_BACK = N_("empty: the program's again, {value}")
_EMPTY_DEFAULT = N_("empty: the default again, {value}")
_NOTHING = N_("nothing is changed")
_SCOPE, _SCOPE_HELP = N_("for whom"), N_("A client's own limits count before the program's, and go with its folder.")
_SCOPES = {Scope.CLIENT: N_("this client alone"), Scope.PROGRAM: N_("every client that has none of its own")}
# Rows of the settings by heading; what stands nowhere here comes last, under a heading of its own.
_GENERAL, _CAPTIONS, _DATASET = N_("General"), N_("Captions"), N_("Dataset")
_PROGRAMS, _TRAINERS, _OTHER = N_("Other programs"), N_("Training programs"), N_("Other")
_GROUPS = {
    _GENERAL: ("language", "base_model", "preset", "gpu"),
    _CAPTIONS: ("caption", "caption_order", "caption_model"),
    _PROGRAMS: ("comfyui", "a1111", "models_folder"),
    _TRAINERS: ("sd_scripts", "sd_scripts_python", "sd_scripts_tokenizers", "sd_scripts_source", "accelerate_config"),
}
_SELDOM_GROUPS = (_TRAINERS, _OTHER)
_LIGHT, _SHARPNESS, _FACE, _WHO, _RAW = N_("Light"), N_("Sharpness"), N_("Face"), N_("Who it is"), N_("Camera RAW")
_LIMIT_GROUPS = {
    _LIGHT: (
        "min_brightness", "max_brightness", "min_contrast", "min_highlight", "max_clipped", "max_clipped_picture", "max_crushed",
    ),
    _SHARPNESS: ("blur_threshold", "max_blur_effect", "max_noise"),
    _WHO: ("max_distance", "warn_distance"),
}  # fmt: skip
_SELDOM_LIMITS = frozenset({
    "min_highlight", "max_clipped", "max_clipped_picture", "max_crushed", "face_confidence_threshold", "face_padding_factor",
    "warn_upscale", "min_inside", "warn_inside", "warn_turn", "warn_distance",
})  # fmt: skip
_LABELS: Mapping[str, Mapping[str, str]] = {
    "language": {"auto": N_("as the system has it"), "en": "English", "es": "español"},
    "preset": PRESET_LABELS,
    "gpu": {"auto": N_("the one that is here")},
    "insightface_use": {"": N_("nobody was asked yet"), **{use.value: use.english_label for use in Use}},
}
_CHOICES = {
    "preset": tuple(preset.name for preset in PRESETS), "gpu": ("auto", *(card.name for card in GPU_PROFILES)),
    "language": ("auto", "en", "es"), "insightface_use": ("", *(use.value for use in Use)),
}  # fmt: skip


# --- settings ---------------------------------------------------------------------------------------------------------
def settings_form(settings: Settings, request: type[Request]) -> Form:
    """Every setting as it stands; the request holds what was changed, as `NAME=VALUE`."""
    rows = tuple(_setting_rows(settings))
    before = {row.key: row.value for row in rows}

    def changes(answers: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(f"{name}={answers[name].strip()}" for name in before if answers[name].strip() != before[name])

    def made(answers: Mapping[str, str]) -> Request | None:
        return request.model_validate({"changes": changes(answers)}) if changes(answers) else None

    return Form(N_("Settings"), rows, made, go_on=lambda answers: _changed(len(changes(answers))))


def _changed(count: int) -> str:
    return ngettext("{count} value changes", "{count} values change", count).format(count=count) if count else _(_NOTHING)


def _setting_rows(settings: Settings) -> Iterator[FormRow]:
    """The rows in the order of their headings, the limits of quality last."""
    fields = {name: field for name, field in Settings.model_fields.items() if name not in ("schema_", "quality", "distribution")}
    grouped = {name: group for group, names in _GROUPS.items() for name in names}
    groups = {**{group: names for group, names in _GROUPS.items() if group not in _SELDOM_GROUPS}, _DATASET: ()}
    order = [*groups, _TRAINERS, _OTHER]
    for group in order:
        if group is _DATASET:
            yield from _rows(settings, settings.distribution, "distribution.", _DATASET, more=False)
        for name, field in fields.items():
            if grouped.get(name, _OTHER) == group:
                yield _row(settings, name, field, getattr(settings, name), group, group in _SELDOM_GROUPS)
    for name, field, group, _seldom in _limit_fields():
        yield _row(settings, f"quality.{name}", field, values_of(settings.quality)[name], group, True)


def _rows(settings: Settings, part: BaseModel, prefix: str, group: str, *, more: bool) -> Iterator[FormRow]:
    for name, field in type(part).model_fields.items():
        yield _row(settings, f"{prefix}{name}", field, getattr(part, name), group, more)


def _row(settings: Settings, name: str, field: FieldInfo, value: Any, group: str, more: bool) -> FormRow:
    meaning, facts = _meaning(field)
    choices = tuple((one, _(_LABELS.get(name, {}).get(one, one))) for one in _CHOICES.get(name, ()))
    if choices and value not in dict(choices):
        choices = ((value, value), *choices)
    default = _written(field.default)
    told = [facts, _(_DEFAULT).format(value=default) if default and not choices else ""]
    return FormRow(
        name, field.title or name, _written(value), help=meaning, extent="; ".join(filter(None, told)), choices=choices,
        check=lambda text: _refusal(settings, f"{name}={text.strip()}"), more=more, group=group,
    )  # fmt: skip


def _meaning(field: FieldInfo) -> tuple[str, str]:
    """The sentence that explains a value, and its range with its unit, both in the user's language."""
    told = _(field.description or "").replace("`", "")
    unit = _UNIT.search(told)
    extent = extent_of(field)
    return _UNIT.sub("", told), f"{extent} [{unit[1]}]".strip() if unit else extent


def _written(value: Any) -> str:
    """A value as `settings NAME=VALUE` takes it."""
    if isinstance(value, float):
        return number(value)
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _refusal(settings: Settings, change: str) -> str:
    """Why a change cannot be; empty where it can."""
    try:
        with_changes(settings, [change])
    except SettingRefused as error:
        return str(error.facts["problem"])
    return ""


# --- limits -----------------------------------------------------------------------------------------------------------
def limits_form(job: Job[Any], request: type[ClientRequest]) -> Form:
    """Every limit as it counts for the client, or as the program has it; the request holds what was moved, as `NAME=VALUE`."""
    client, settings = job.who, job.settings
    own, program = client.state().limits, values_of(settings.quality)
    rows = {
        Scope.CLIENT: tuple(_limit_rows(settings, Scope.CLIENT, values_of(client_limits(settings, own)), program, own)),
        Scope.PROGRAM: tuple(_limit_rows(settings, Scope.PROGRAM, program, values_of(QualityControlConfig()), program)),
    }
    whose = FormRow(
        "scope", _SCOPE, Scope.CLIENT, _SCOPE_HELP, choices=tuple((scope, _(label)) for scope, label in _SCOPES.items())
    )

    def draw(answers: Mapping[str, str]) -> tuple[FormRow, ...]:
        return (whose, *rows[Scope(answers.get("scope", Scope.CLIENT))])

    def changes(answers: Mapping[str, str]) -> tuple[str, ...]:
        shown = draw(answers)[1:]
        moved = [(row.key.partition(":")[2], answers.get(row.key, row.value).strip(), row) for row in shown]
        given_back = [f"{BACK}{name}" for name, text, row in moved if not text and row.value]
        return (*given_back, *(f"{name}={text}" for name, text, row in moved if text and text != row.value))

    def made(answers: Mapping[str, str]) -> Request | None:
        if not (moved := changes(answers)):
            return None
        return request.model_validate({"client": client.id, "changes": moved, "everywhere": answers["scope"] == Scope.PROGRAM})

    title = _("Limits of quality of {client}").format(client=client.display_name)
    return Form(title, draw({}), made, draw=draw, go_on=lambda answers: _changed(len(changes(answers))))


def _limit_rows(
    settings: Settings, scope: Scope, values: Mapping[str, float], behind: Mapping[str, float], own: Iterable[str]
) -> Iterator[FormRow]:
    """The limits of one scope; `behind` are those that count again for one in `own` whose row is emptied."""
    empty = _EMPTY_BACK if scope is Scope.CLIENT else _EMPTY_DEFAULT
    for name, field, group, seldom in _limit_fields():
        meaning, facts = _meaning(field)
        back = _(empty).format(value=number(behind[name])) if name in own else ""
        yield FormRow(
            f"{scope}:{name}", field.title or name, number(values[name]), help=meaning,
            extent="; ".join(filter(None, (facts, back))), more=seldom, group=group,
            check=partial(_limit_refusal, settings, name),
        )  # fmt: skip


def _limit_refusal(settings: Settings, name: str, text: str) -> str:
    """Why a limit cannot be that; an empty row gives it back."""
    return _refusal(settings, f"quality.{name}={text.strip()}") if text.strip() else ""


def _limit_fields() -> list[tuple[str, FieldInfo, str, bool]]:
    """Every limit: name below `quality`, field, heading, whether it is seldom moved; those of one heading stand together."""
    fields = {name: field for name, field in QualityControlConfig.model_fields.items() if name != "raw"}
    grouped = {name: group for group, names in _LIMIT_GROUPS.items() for name in names}
    raw = type(QualityControlConfig().raw).model_fields
    found = [
        (name, field, group, name in _SELDOM_LIMITS)
        for group in (_LIGHT, _SHARPNESS, _FACE, _WHO)
        for name, field in fields.items()
        if grouped.get(name, _FACE) == group
    ]
    return [*found, *((f"raw.{name}", field, _RAW, True) for name, field in raw.items())]
