"""A search for the settings that suit a client: trials, each a dataset, a training and exams of its checkpoints, within some hours.

It is a journey over several stages. Each trial works in a folder of its own below the client's `tuning/`; the client's own dataset
and LoRAs stay, and at the end one entry of its state says what was found. Killed at any moment, the next run goes on with the
checkpoint that was in work.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from actions.tuning_plan import (
    TuningRecord,
    best_so_far,
    first_guess,
    in_words,
    key_of,
    most_dim,
    open_study,
    preset_settings,
    read_tuning,
)
from client_folder.client import Client
from client_folder.trial_client import TrialClient
from client_folder.tuned import ClientPlan, TunedSettings
from config import Settings
from data_preprocessor import prepare_dataset
from dataset.files import link_or_copy
from dataset.held_back import recorded
from exam.records import ExamReason
from exam.study import TuningStudy
from exam.trial_exam import ExaminedCheckpoint, examine_checkpoint, examine_leak
from exam.trials import (
    CHECKPOINTS,
    MOST_TRIALS,
    Comparison,
    Mark,
    Pace,
    Trial,
    TrialEnd,
    checkpoint_steps,
    compare,
    is_behind,
    save_every,
)
from locales.language import N_, _, ngettext
from lora_trainer import plan_training, train
from machine.model_process import ModelProcess
from training.checkpoints import Checkpoint, find_resume, list_checkpoints
from training.errors import PlanRefused
from training.known_settings import KnownSettings, remember_settings
from training.monitor import TrainerFailed
from training.plan import Overrides, TrainingPlan
from utils import Event, Notice, PipelineError, Progress, Stopped, TrainingTick, replacing, sweep_parts, write_record

MARGIN = 0.05  # of base to best: what a trial may lack and still go on; the exam's own margin
TICK_SECONDS = 10.0  # between two words of how many hours are left, and how much of them a kill forgets
TRIAL = N_("Trial {number}: {settings}")
GOES_ON = N_("Trial {number} goes on at checkpoint {checkpoint}: {settings}")
GIVEN_UP = N_("Trial {number} was given up at checkpoint {checkpoint}: the portraits are clearly less like the client.")
FAILED = N_("Trial {number} failed, and the next one is tried: {error}")
CHANGED = N_("Pictures, base model or settings changed since the last search: it begins anew.")
NOW = N_("now trial {trial}, checkpoint {checkpoint} of {checkpoints}")
HOURS = N_("{used:.2f} h used, {left:.2f} h left")
NO_TIME = N_("The next trial would not end within {hours:g} hours: the search is over.")


class NothingFound(PipelineError):
    """Facts: client."""

    message = N_("For {client} the recommended settings count already.")
    hint = N_("There is nothing to take back.")


@dataclass(frozen=True, slots=True)
class TrialRow:
    """A trial as it is reported: `score` is the share of the way from the base to the best; None where nothing was examined."""

    number: int
    settings: TunedSettings
    ended: TrialEnd
    score: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class TuningReport:
    """What a search found. `best` is None where no trial may be chosen; `reasons` say why. `lacks` is what the preset lacks to it,
    with bounds, as a share of the way from the base to the best."""

    trials: tuple[TrialRow, ...]
    best: TrialRow | None
    lacks: tuple[float, float, float] | None
    reasons: tuple[ExamReason, ...]
    seconds: float
    practice: bool
    taken_back: TunedSettings | None = None  # no search: what counted until now


# --- the search -------------------------------------------------------------------------------------------------------
def tune(
    client: Client, settings: Settings, hours: float, most_trials: int | None, model_process: ModelProcess
) -> Generator[Event, None, TuningReport]:
    """Try settings until the hours are over or so many trials are done; the winner becomes the client's plan.

    Raises what `plan_tuning` raises, what the training of the preset raises, and WorkerDied.
    """
    prepared = plan_training(client, settings, preset=settings.preset)
    preset = preset_settings(prepared, client, settings)
    key, record = key_of(client, settings, prepared.plan, preset), read_tuning(client)
    if record is None or record.key != key:
        if record:
            yield Notice(CHANGED)
        shutil.rmtree(client.tuning, ignore_errors=True)
        record = TuningRecord(key=key, preset=preset, most_dim=most_dim(prepared.plan, preset))
        client.tuning.mkdir(parents=True)
        write_record(client.tuning_file, record)
    sweep_parts(client.tuning, below=True)
    known = first_guess(client, prepared.plan, preset)
    with open_study(client, record, [preset, *([known] if known else [])]) as study:
        search = _Search(client, settings, record, study, hours, most_trials or MOST_TRIALS, model_process)
        try:
            yield from search.run()
            compared = yield from search.choose()
        finally:
            search.save()
    return _take(client, prepared.plan, search, compared)


class _Search:
    """The trials of one client, and the clock that they run by."""

    def __init__(
        self, client: Client, settings: Settings, record: TuningRecord, study: TuningStudy, hours: float, most: int,
        process: ModelProcess,
    ) -> None:  # fmt: skip
        self.client, self.settings, self.record, self.study = client, settings, record, study
        self._hours, self._most, self._process = hours, most, process
        self._looked = time.monotonic()
        self._done, self._words, self._told = 0, "", 0.0

    # --- the clock
    def save(self) -> None:
        """Count the time since the last look, and keep it."""
        now = time.monotonic()
        self.record.seconds += now - self._looked
        self._looked = now
        write_record(self.client.tuning_file, self.record)

    def _fits(self, seconds: float) -> bool:
        """Whether so much more ends in time, the closer look at the winner with it."""
        self.save()
        pace = Pace.of(self.study.trials())
        return self.record.seconds + seconds + (pace.exam if pace else 0.0) <= self._hours * 3600

    def _timed(
        self, stage: Generator[Event, None, Any], reached: Callable[[Event], bool] = lambda _event: False
    ) -> Generator[Event, None, Any]:
        """The events of a stage, and now and then how the search stands; ended early, with None, once `reached` says so.

        Whoever stops the search stops the stage; one that saves its state first is heard to its end.
        """
        step: Callable[[], Event] = partial(next, stage)
        ending = False
        with contextlib.closing(stage):
            while True:
                try:
                    event = step()
                except StopIteration as end:
                    return end.value
                except Stopped:
                    if ending:
                        return None
                    raise
                step = partial(next, stage)
                try:
                    yield event
                    if time.monotonic() - self._told >= TICK_SECONDS:
                        yield self._now()
                except Stopped as stop:
                    step, ending = partial(stage.throw, stop), False
                    reached = _never
                    continue
                if not ending and reached(event):
                    step, ending = partial(stage.throw, Stopped()), True

    def _now(self) -> Progress:
        """How the search stands."""
        self.save()
        self._told, used = time.monotonic(), self.record.seconds / 3600
        hours = _(HOURS).format(used=used, left=max(0.0, self._hours - used))
        return Progress("tune", self._done, 0, f"{self._words}; {hours}")

    # --- the trials
    def run(self) -> Generator[Event, None, None]:
        """Trial after trial, as long as the next one ends in time."""
        while True:
            trials = self.study.trials()
            if sum(trial.ended is not TrialEnd.RUNNING for trial in trials) >= self._most:
                return
            following, pace = self.study.peek(), Pace.of(trials)
            left = following.settings.steps - (following.marks[-1].step if following.marks else 0)
            if following.number and pace and not self._fits(pace.trial(left)):
                yield Notice(NO_TIME, {"hours": self._hours})
                return
            trial = self.study.begin()
            facts = {"number": trial.number + 1, "settings": in_words(trial.settings), "checkpoint": len(trial.marks) + 1}
            yield Notice(GOES_ON if trial.marks else TRIAL, facts)
            try:
                whole = yield from self._try(trial)
            except (TrainerFailed, PlanRefused) as error:
                if not trial.number:
                    raise  # what is recommended does not work here: nothing about it will
                self.study.end(trial.number, TrialEnd.FAILED, None)
                yield Notice(FAILED, {"number": trial.number + 1, "error": error.text()})
            else:
                if not whole:
                    return
            self._clear(self.study.trial(trial.number))
            yield self._standing()

    def place(self, number: int) -> TrialClient:
        """Where a trial works."""
        return TrialClient(self.client.trial_folder(number), of=self.client)

    def _try(self, trial: Trial) -> Generator[Event, None, bool]:
        """Train and examine a trial to its end, or until it is clearly behind; False where time is up."""
        place = self.place(trial.number)
        changed = self.settings.distribution.model_copy(update=trial.settings.distribution)
        settings = self.settings.model_copy(update={"distribution": changed})
        furnish(place)
        yield self._at(trial.number, len(trial.marks) + 1)
        yield from self._timed(prepare_dataset(place, settings))
        wanted = trial.settings
        overrides = Overrides(
            dim=wanted.dim, alpha=wanted.alpha, learning_rate=wanted.learning_rate, steps=wanted.steps,
            save_every=save_every(wanted.steps), sample_every=0,
        )  # fmt: skip
        plan = plan_training(place, settings, preset=settings.preset, overrides=overrides).plan
        before = trial.marks[-1].step if trial.marks else 0
        for number, step in enumerate(checkpoint_steps(wanted.steps), start=1):
            if number > len(trial.marks):
                pace = Pace.of(self.study.trials())
                if trial.number and pace and not self._fits(pace.checkpoint(step - before)):
                    return False
                yield self._at(trial.number, number)
                self.study.note(trial.number, (yield from self._examined(place, settings, plan, number, step)))
                before = step
            # Of the last one before a kill too: nobody had time to say whether it was behind.
            if number >= len(trial.marks) and step < wanted.steps and self._is_behind(trial.number, number):
                yield Notice(GIVEN_UP, {"number": trial.number + 1, "checkpoint": number})
                self._end(trial.number, TrialEnd.GIVEN_UP)
                return True
        self._end(trial.number, TrialEnd.WHOLE)
        return True

    def _is_behind(self, trial: int, checkpoint: int) -> bool:
        """Whether a trial is to be given up: it lacks more than the margin to the best one, and not by chance."""
        mark, best = self.study.trial(trial).at(checkpoint), self.study.best()
        if mark is None or best is None or not is_behind(mark, best, _mean(self.record.base), MARGIN):
            return False
        return self.study.is_worse(trial)

    def _end(self, number: int, ended: TrialEnd) -> None:
        """A trial none of whose checkpoints may be chosen counts as the base alone."""
        best = self.study.trial(number).best
        self.study.end(number, ended, best.distance if best else _mean(self.record.base))

    def _examined(
        self, place: TrialClient, settings: Settings, plan: TrainingPlan, number: int, step: int
    ) -> Generator[Event, None, Mark]:
        """Train to a checkpoint and examine it; the two never share the card."""
        began = time.monotonic()
        if _checkpoint(place, step) is None:
            self._process.close()
            yield from self._timed(train(place, settings, plan), partial(_is_saved, place, plan, step))
        trained, checkpoint = time.monotonic(), _checkpoint(place, step)
        if checkpoint is None:
            raise Stopped  # the trainer was stopped before it
        found: ExaminedCheckpoint = yield from self._timed(examine_checkpoint(place, settings, checkpoint, self._process))
        self.record.base, self.record.prompts = found.base, found.prompts
        self.save()
        return Mark(
            number=number, step=step, lora=checkpoint.path.name, distances=found.distances, gate=found.gate, flags=found.flags,
            train_seconds=trained - began, exam_seconds=time.monotonic() - trained,
        )  # fmt: skip

    def compared(self) -> Comparison | None:
        """All trials by the exam's rule, with what is known of leaks."""
        return compare(with_leaks(self.study), self.record.base, self.record.prompts)

    def _standing(self, now: str = "") -> Progress:
        """How the search stands: trials, what is done `now`, the best so far with what the preset lacks to it, and the hours."""
        self._done = sum(one.ended is not TrialEnd.RUNNING for one in self.study.trials())
        done = ngettext("{count} trial done", "{count} trials done", self._done).format(count=self._done)
        self._words = "; ".join(filter(None, (done, now, best_so_far(self.compared()))))
        return self._now()

    def _at(self, trial: int, checkpoint: int) -> Progress:
        """The same while a trial is at work."""
        return self._standing(_(NOW).format(trial=trial + 1, checkpoint=checkpoint, checkpoints=CHECKPOINTS))

    def _clear(self, trial: Trial) -> None:
        """Leave of a trial the LoRA that it is judged by, as long as it may still be chosen."""
        compared = self.compared()
        judged = compared.verdict.judged if compared else ()
        hopeful = {
            compared.trials[at].number
            for at, one in enumerate(judged)
            if compared and (one.acceptable or at == compared.verdict.best)
        }
        for one in self.study.trials():
            place, best = self.place(one.number), one.best
            if one.ended is TrialEnd.RUNNING or not place.root.is_dir():
                continue
            if one.number not in hopeful or best is None:
                shutil.rmtree(place.root)
            elif one.number == trial.number:
                for path in place.root.iterdir():
                    if path not in (place.models, place.exam):
                        shutil.rmtree(path) if path.is_dir() else path.unlink()
                for path in place.models.iterdir():
                    if path.name != best.lora:
                        shutil.rmtree(path) if path.is_dir() else path.unlink()

    def choose(self) -> Generator[Event, None, Comparison | None]:
        """The winner, once it was looked at more closely; one that changes other people is not chosen, and the next one is seen."""
        while True:
            compared = self.compared()
            chosen = compared.chosen if compared else None
            if chosen is None or chosen.leaks is not None or chosen.best is None:
                return compared
            place = self.place(chosen.number)
            found = [one for one in list_checkpoints(place) if one.path.name == chosen.best.lora]
            if found:
                leaks = yield from self._timed(examine_leak(place, self.settings, found[0], self._process))
            else:  # a search that ended removed it, and this one goes on: what cannot be looked at is not recommended
                leaks = chosen.number > 0
            self.study.note_leak(chosen.number, leaks)


def with_leaks(study: TuningStudy) -> tuple[Trial, ...]:
    """The trials of a study, each with what is known of whether it leaks."""
    known = study.leaks()
    return tuple(replace(trial, leaks=known.get(trial.number)) for trial in study.trials())


def _never(_event: Event) -> bool:
    return False


def _mean(rows: Sequence[Sequence[float]]) -> float:
    means = [sum(row) / len(row) for row in rows]
    return sum(means) / len(means)


def _checkpoint(place: Client, step: int) -> Checkpoint | None:
    return next((one for one in list_checkpoints(place) if one.whole and one.step == step), None)


def _is_saved(place: Client, plan: TrainingPlan, step: int, event: Event) -> bool:
    """Whether a training that goes on beyond a checkpoint may be stopped: LoRA and state of that step lie whole on the disk."""
    if not isinstance(event, TrainingTick) or event.step < step or step >= plan.steps or event.phase == "saving":
        return False
    state = find_resume(place, plan)
    return state is not None and state.step >= step and _checkpoint(place, step) is not None


def furnish(place: TrialClient) -> None:
    """Give a trial what it does not make itself: which photos are held back, and pictures of other people that the user brought."""
    place.root.mkdir(parents=True, exist_ok=True)
    if not place.exam_file.exists():
        write_record(place.exam_file, recorded(place.of))
    theirs = place.of.regularisation
    for file in sorted(theirs.rglob("*")) if theirs.is_dir() else ():
        target = place.regularisation / file.relative_to(theirs)
        if file.suffix in (".png", ".jpg", ".jpeg", ".webp", ".txt") and not file.name.startswith(".") and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            with replacing(target) as part:
                link_or_copy(file, part)


# --- the winner -------------------------------------------------------------------------------------------------------
def _take(client: Client, plan: TrainingPlan, search: _Search, compared: Comparison | None) -> TuningReport:
    """Make the winner the client's plan, remember it for the next client, and remove what the trials made."""
    chosen = compared.chosen if compared else None
    if chosen is not None:
        won = ClientPlan(base_digest=plan.base_digest, settings=chosen.settings) if chosen.number else None
        state = client.state()
        if state.tuned != won:
            write_record(client.state_file, state.model_copy(update={"tuned": won}))
        if won:
            row = KnownSettings(base_digest=plan.base_digest, card=plan.gpu.name, settings=won.settings)
            remember_settings(client.home, row)
        for folder in (*client.tuning.glob("trial_*"), client.tuning_portraits, search.place(0).regularisation):
            shutil.rmtree(folder, ignore_errors=True)
    return _report(search, compared, plan.practice)


def taken_back(client: Client) -> TuningReport:
    """Let the recommended settings count for the client again, and say what had counted; raises NothingFound."""
    state = client.state()
    if state.tuned is None:
        raise NothingFound(client=client.display_name)
    write_record(client.state_file, state.model_copy(update={"tuned": None}))
    return TuningReport((), None, None, (), 0.0, False, state.tuned.settings)


def _report(search: _Search, compared: Comparison | None, practice: bool) -> TuningReport:
    """The report of a search, its trials by number."""
    judged = dict(zip([one.number for one in compared.trials], compared.verdict.judged, strict=True)) if compared else {}
    rows = []
    for trial in search.study.trials():
        score = judged[trial.number].score if trial.number in judged else None
        bounds = (round(score.value, 4), round(score.low, 4), round(score.high, 4)) if score else (None, None, None)
        rows.append(TrialRow(trial.number, trial.settings, trial.ended, *bounds))
    chosen = compared.chosen if compared else None
    lacks = judged[0].lacks if 0 in judged else None
    return TuningReport(
        tuple(rows), rows[chosen.number] if chosen else None, (lacks.value, lacks.low, lacks.high) if lacks else None,
        tuple(compared.verdict.reasons) if compared else (), search.record.seconds, practice,
    )  # fmt: skip
