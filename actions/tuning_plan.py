"""What a search for settings sets out from: the record of it, its plan, and its words for people."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from client_folder.client import Client
from client_folder.tuned import TunedSettings
from config import Settings
from dataset import doctor
from dataset.findings import Readiness
from dataset.held_back import recorded
from dataset.kohya_folders import select_pictures
from exam.examination import held_photos
from exam.prompts import SEEDS, exam_prompts
from exam.study import StudyBroken, TuningStudy, require_optuna
from exam.trials import CHECKPOINTS, MOST_TRIALS, Comparison, Pace, Trial, TrialEnd, save_every, search_space, within
from locales.language import N_, _
from lora_trainer import PreparedTraining, plan_training
from training.cost import estimate
from training.known_settings import known_settings
from training.plan import Fit, TrainingPlan
from utils import NotReady, Record, free_bytes, read_record

SEARCH = N_("The search for settings")


class TuningRecord(Record):
    """`tuning/tuning.json`: what the trials are about, and how many seconds they took in all, those that a kill lost too."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    key: str  # changes with everything that makes trials comparable
    preset: TunedSettings
    most_dim: int
    seconds: float = 0.0
    base: tuple[tuple[float, ...], ...] = ()
    prompts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TuningPlan:
    """What a search would do: from which settings it sets out, what was done already, and what one trial takes."""

    preset: TunedSettings
    known: TunedSettings | None  # what won for another client, tried second where the search begins
    hours: float
    spent_hours: float
    trials: int  # done
    trial_seconds: float  # of training alone where nothing was measured yet
    disk_gb: float
    free_gb: float
    practice: bool
    download: tuple[str, ...]  # models that are not here


def preset_settings(prepared: PreparedTraining, client: Client, settings: Settings) -> TunedSettings:
    """What is recommended without any search, as a trial's settings."""
    plan, wanted = prepared.plan, settings.distribution
    balance = select_pictures(client, wanted).balance
    both = balance.repeats_mj and balance.repeats_real
    return TunedSettings(
        learning_rate=plan.learning_rate, dim=plan.dim, alpha=plan.alpha, steps=max(plan.steps, CHECKPOINTS),
        share_real=wanted.share_real if both else None, max_repeats=wanted.max_repeats,
    )  # fmt: skip


def plan_tuning(client: Client, settings: Settings, hours: float) -> TuningPlan:
    """What a search of so many hours would do; nothing is written.

    Raises PackagesMissing, NoHeldBackPhotos, NotReady where the dataset doctor says no-go, and what a plan of a training raises.
    """
    require_optuna()
    held_photos(client, settings)
    examined = doctor.examine(client, settings)
    if examined.verdict is Readiness.NO_GO and examined.reason:
        raise NotReady(step=_(SEARCH), reason=examined.reason.sentence)
    prepared = plan_training(client, settings, preset=settings.preset)
    preset, record = preset_settings(prepared, client, settings), read_tuning(client)
    current = record if record and record.key == key_of(client, settings, prepared.plan, preset) else None
    trials: tuple[Trial, ...] = ()
    if current and client.tuning_study.is_file():
        with open_study(client, current, ()) as study:
            trials = study.trials()
    pace, cost = Pace.of(trials), estimate(_with(prepared.plan, preset))
    trial_seconds = pace.trial(preset.steps) if pace else prepared.estimate.seconds
    # The trial that runs, with its states, and the best LoRA of each that may still win.
    kept = min(MOST_TRIALS, max(1, int(hours * 3600 / max(1.0, trial_seconds))))
    return TuningPlan(
        preset, None if current else first_guess(client, prepared.plan, preset), hours,
        current.seconds / 3600 if current else 0.0, len([one for one in trials if one.ended is not TrialEnd.RUNNING]),
        trial_seconds, cost.disk_gb + kept * cost.checkpoint_mb / 1000, free_bytes(client.root) / 1e9,
        prepared.plan.practice, prepared.download.names if prepared.download else (),
    )  # fmt: skip


def _with(plan: TrainingPlan, wanted: TunedSettings) -> TrainingPlan:
    changed = {"dim": wanted.dim, "alpha": wanted.alpha, "steps": wanted.steps, "save_every": save_every(wanted.steps)}
    return plan.model_copy(update={**changed, "sample_every": 0})


def read_tuning(client: Client) -> TuningRecord | None:
    """The record of the client's search; None where none was begun. Raises BrokenFile."""
    return read_record(client.tuning_file, TuningRecord) if client.tuning_file.exists() else None


def key_of(client: Client, settings: Settings, plan: TrainingPlan, preset: TunedSettings) -> str:
    """What makes trials comparable: crops, held-back photos, base, card, the preset that all is searched about, and the exam."""
    from exam.measuring import VERSION  # here, not above: it brings numpy, which a list of actions need not wait for

    exam = (VERSION, CHECKPOINTS, SEEDS, exam_prompts(client.id, client.state().class_word, practice=plan.practice))
    crops = sorted((face.sha256, face.crop, face.square, face.angle) for face in client.crops())
    facts = [
        crops, recorded(client).scenes, plan.base_digest, plan.gpu.name, preset.model_dump(), settings.caption,
        settings.caption_order, client.state().class_word, exam,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()[:16]


def open_study(client: Client, record: TuningRecord, first: Sequence[TunedSettings]) -> TuningStudy:
    """The trials of the client, made with what is tried `first` where there are none.

    Raises PackagesMissing, and StudyBroken too where they were examined otherwise than the record says: they cannot be compared.
    """
    study = TuningStudy(client.tuning_study, search_space(record.preset, record.most_dim), first)
    with contextlib.ExitStack() as on_failure:
        on_failure.push(study)
        measured = [tuple(map(len, mark.distances)) for trial in study.trials() for mark in trial.marks]
        expected = tuple(map(len, record.base))
        if any(each != expected for each in measured) or len(record.prompts) != len(expected):
            reason = _("{file} is of another search").format(file=client.tuning_file.name)
            raise StudyBroken(path=client.tuning_study, reason=reason, folder=client.tuning)
        on_failure.pop_all()
    return study


def first_guess(client: Client, plan: TrainingPlan, preset: TunedSettings) -> TunedSettings | None:
    """What won last in this home on the same base and card, as a trial of this client; None: nothing did. Raises BrokenFile."""
    known = known_settings(client.home, plan.base_digest, plan.gpu.name)
    return within(search_space(preset, most_dim(plan, preset)), known, preset) if known else None


def most_dim(plan: TrainingPlan, preset: TunedSettings) -> int:
    """The highest rank that is tried: twice the preset's, where that fits the card."""
    twice = _with(plan, preset.model_copy(update={"dim": preset.dim * 2, "alpha": preset.alpha * 2}))
    return preset.dim if estimate(twice).verdict is Fit.NO else preset.dim * 2


# --- words ---------------------------------------------------------------------------------------------------------------
def in_words(settings: TunedSettings) -> str:
    """Settings as one line for people."""
    share = "" if settings.share_real is None else _(", {share:.0%} photos").format(share=settings.share_real)
    words = _("learning rate {rate:g}, rank {dim}, alpha {alpha:g}, {steps} steps{share}, at most {repeats} repeats")
    return words.format(
        rate=settings.learning_rate, dim=settings.dim, alpha=settings.alpha, steps=settings.steps, share=share,
        repeats=settings.max_repeats,
    )  # fmt: skip


def best_so_far(compared: Comparison | None) -> str:
    """Which trial is the best, and what the recommended settings lack to it with bounds, for people."""
    best = compared.chosen if compared else None
    if compared is None or best is None:
        return _("none is good so far")
    if best.number == 0:
        score = compared.verdict.judged[0].score
        words = _(
            "the recommended settings are as good as any ({score:.0%} of the way that the best goes, {low:.0%} to {high:.0%})"
        )
        return words.format(score=score.value, low=score.low, high=score.high)
    if compared.trials[0].number:
        return _("best: trial {trial}").format(trial=best.number + 1)
    lacks = compared.verdict.judged[0].lacks
    words = _("best: trial {trial}; the recommended settings lack {lacks:.0%} of its way ({low:.0%} to {high:.0%})")
    return words.format(trial=best.number + 1, lacks=lacks.value, low=max(0.0, lacks.low), high=lacks.high)
