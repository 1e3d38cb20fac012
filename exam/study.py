"""The trials of a client as Optuna keeps them, in SQLite: each next one drawn by what the ones before showed.

Whatever happens is in the file before anything follows from it, and every draw follows from the file and a number alone: a killed
search goes on as if it never had been. Optuna is imported here only, and only where trials are asked for.
"""

from __future__ import annotations

import contextlib
import sqlite3
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from client_folder.tuned import TunedSettings
from exam.trials import Mark, Range, Trial, TrialEnd, params_of, settings_of
from locales.language import N_
from machine.packages import require
from utils import BrokenFile, replacing

if TYPE_CHECKING:
    import optuna

REQUIREMENTS = "requirements-tune.txt"
NAME = "tune"
SEED = 4711  # of the draws; each trial adds its number
RANDOM_TRIALS = 4  # the preset among them, before TPE draws: a night has no time for Optuna's ten
GIVE_UP = 0.1  # the level of Wilcoxon's test at which a trial is given up
_PORTRAITS = 1000  # pairs of the test: number of the checkpoint times this, and the place of the portrait
_MARK, _ENDED, _LEAKS = "checkpoint_{number}", "ended", "leaks"


class StudyBroken(BrokenFile):
    """Facts: path, reason, folder."""

    message = N_("{path} cannot be read as the trials of a search: {reason}")
    hint = N_("Delete the folder {folder}, and the search begins anew. The client's own dataset and LoRAs do not lie there.")


def require_optuna() -> None:
    """Raise PackagesMissing where it is not installed; nothing is imported."""
    require("optuna", REQUIREMENTS)


@contextlib.contextmanager
def _readable(file: Path) -> Iterator[None]:
    """StudyBroken for all that a file says which another program, another version or a bad disk wrote."""
    import optuna

    try:
        yield
    except (ValueError, LookupError, RuntimeError, sqlite3.Error, optuna.exceptions.OptunaError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StudyBroken(path=file, reason=reason, folder=file.parent) from error


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without Optuna's words on the screen: that the pruner is an experimental class, that a trial ended."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class TuningStudy:
    """The trials in a file; use it as a context, for Windows deletes no file that is open. Not for several programs at once."""

    def __init__(self, file: Path, space: Mapping[str, Range], first: Sequence[TunedSettings]) -> None:
        """Open the file, or make it with what is tried `first`; raises PackagesMissing or StudyBroken."""
        require_optuna()
        if not file.is_file():
            with _quietly(), replacing(file) as part:  # whole or not at all: making the tables takes a while
                _make(part, first)
        self._file, self._space = file, space
        with _quietly(), _readable(file):
            import optuna

            _check(file)
            self._storage = optuna.storages.RDBStorage(_address(file))
            self._study = optuna.load_study(
                study_name=NAME, storage=self._storage, pruner=optuna.pruners.WilcoxonPruner(p_threshold=GIVE_UP)
            )

    def __enter__(self) -> TuningStudy:
        return self

    def __exit__(self, *_error: object) -> None:
        self._storage.engine.dispose()

    def trials(self) -> tuple[Trial, ...]:
        """Every trial that was begun, by number; raises StudyBroken."""
        import optuna

        with _readable(self._file):
            found = self._study.get_trials(deepcopy=False)
            return tuple(_trial_of(one) for one in found if one.state is not optuna.trial.TrialState.WAITING)

    def peek(self) -> Trial:
        """The next trial without beginning it: the one that was cut off, else the one that waits, which is drawn if need be."""
        import optuna

        with _quietly():
            states = optuna.trial.TrialState
            running = self._study.get_trials(deepcopy=False, states=(states.RUNNING,))
            if running:
                return _trial_of(running[0])
            if not self._study.get_trials(deepcopy=False, states=(states.WAITING,)):
                # Drawn in memory and written whole: cut off in between, half of a draw would make the other half another one.
                self._study.enqueue_trial(self._draw())
            return _trial_of(self._study.get_trials(deepcopy=False, states=(states.WAITING,))[0])

    def begin(self) -> Trial:
        """Begin that trial, or go on with it."""
        import optuna

        with _quietly():
            self.peek()
            running = self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
            begun = optuna.trial.Trial(self._study, running[0]._trial_id) if running else self._study.ask()
            for name, each in self._space.items():
                _suggest(begun, name, each)
            return next(trial for trial in self.trials() if trial.number == begun.number)

    def _draw(self) -> dict[str, float]:
        import optuna

        known = self._study.get_trials(deepcopy=False)
        sampler = optuna.samplers.TPESampler(seed=SEED + len(known), n_startup_trials=RANDOM_TRIALS, constant_liar=False)
        copy = optuna.create_study(sampler=sampler)
        copy.add_trials(known)
        drawn: dict[str, float] = copy.ask({name: _distribution(each) for name, each in self._space.items()}).params
        return drawn

    def note(self, number: int, mark: Mark) -> None:
        """Keep what an examined checkpoint showed; again is the same."""
        with _quietly():
            trial = self._open(number)
            trial.set_user_attr(_MARK.format(number=mark.number), mark.model_dump(mode="json"))
            self._report(trial, mark)

    def _report(self, trial: optuna.Trial, mark: Mark) -> None:
        there = self._study.get_trials(deepcopy=False)[trial.number].intermediate_values
        for place, distance in enumerate(mark.portraits):
            if (step := mark.number * _PORTRAITS + place) not in there:
                trial.report(distance, step)

    def is_worse(self, number: int) -> bool:
        """Whether the portraits of a trial are farther from the client than the best trial's of the same checkpoints: Wilcoxon's
        signed-rank test on pairs of the same prompt and seed."""
        with _quietly():
            trial = self._open(number)
            for mark in self.trial(number).marks:  # one killed in the middle of reporting reported only some
                self._report(trial, mark)
            return bool(trial.should_prune())

    def end(self, number: int, ended: TrialEnd, value: float | None) -> None:
        """End a trial with its distance; None: it failed. A trial given up counts with what it came to, as Optuna advises."""
        import optuna

        with _quietly():
            trial = self._open(number)
            trial.set_user_attr(_ENDED, ended.value)
            state = optuna.trial.TrialState.FAIL if value is None else optuna.trial.TrialState.COMPLETE
            self._study.tell(trial, value, state)

    def note_leak(self, number: int, leaks: bool) -> None:
        """Keep whether a trial's LoRA changes other people. With the study, for Optuna changes no trial that has ended."""
        self._study.set_user_attr(f"{_LEAKS}_{number}", leaks)

    def leaks(self) -> dict[int, bool]:
        """What is known of that, by trial."""
        found = self._study.user_attrs
        return {int(name.removeprefix(f"{_LEAKS}_")): bool(leaks) for name, leaks in found.items() if name.startswith(_LEAKS)}

    def trial(self, number: int) -> Trial:
        """That trial."""
        return _trial_of(self._study.get_trials(deepcopy=False)[number])

    def best(self) -> Trial | None:
        """The nearest of those that ended; None before one did."""
        with contextlib.suppress(ValueError):
            return _trial_of(self._study.best_trial)
        return None

    def _open(self, number: int) -> optuna.Trial:
        import optuna

        return optuna.trial.Trial(self._study, self._study.get_trials(deepcopy=False)[number]._trial_id)


def _make(file: Path, first: Sequence[TunedSettings]) -> None:
    import optuna

    storage = optuna.storages.RDBStorage(_address(file))
    study = optuna.create_study(study_name=NAME, storage=storage)
    for settings in first:
        study.enqueue_trial(params_of(settings), skip_if_exists=True)
    storage.engine.dispose()


def _check(file: Path) -> None:
    """Raise sqlite3.DatabaseError where the file is no whole database; in an empty one Optuna would make a study anew."""
    with contextlib.closing(sqlite3.connect(file)) as opened:
        opened.execute("SELECT study_name FROM studies")
        found = opened.execute("PRAGMA quick_check").fetchone()
    if found != ("ok",):
        raise sqlite3.DatabaseError(str(found[0]))


def _address(file: Path) -> str:
    return f"sqlite:///{file.as_posix()}"


def _distribution(each: Range) -> optuna.distributions.BaseDistribution:
    from optuna.distributions import FloatDistribution, IntDistribution

    if each.whole:
        return IntDistribution(int(each.low), int(each.high), log=each.log)
    return FloatDistribution(each.low, each.high, log=each.log)


def _suggest(trial: optuna.Trial, name: str, each: Range) -> None:
    """Give a trial its value of one setting, which is fixed already."""
    if each.whole:
        trial.suggest_int(name, int(each.low), int(each.high), log=each.log)
    else:
        trial.suggest_float(name, each.low, each.high, log=each.log)


def _trial_of(found: optuna.trial.FrozenTrial) -> Trial:
    marks = [Mark.model_validate(value) for name, value in found.user_attrs.items() if name.startswith("checkpoint_")]
    params = found.system_attrs.get("fixed_params") or found.params
    return Trial(
        found.number, settings_of(params), tuple(sorted(marks, key=lambda mark: mark.number)),
        TrialEnd(found.user_attrs.get(_ENDED, TrialEnd.RUNNING)) if found.state.is_finished() else TrialEnd.RUNNING,
    )  # fmt: skip
