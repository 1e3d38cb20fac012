"""The journey of a queue: each client is trained, here or on a machine that has joined, and then examined here.

This PC alone is one place to train at, and a pool has several; what follows is the same. Every turn is a stage of its own, and
they are driven in turn, a piece each. Where there are several machines, each client goes to the free one that its plan fits and
that will be done first, by what runs on such a card are on record to have taken.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import lora_trainer
from client_folder.client import Client
from config import Settings
from exam.errors import NoHeldBackPhotos
from exam.examination import examine
from exam.records import Word
from locales.language import N_
from machine import gpu as hardware
from machines.errors import LinkDown, MachineLost
from machines.link import Joined, Link
from machines.pool import machine_name
from machines.training_there import can_train, job_of, on_card, take_in_arrived, train_there
from training.checkpoints import final_lora, find_resume, is_whole, read_plan
from training.cost import estimate
from training.errors import PlanRefused
from training.own_runs import measured_here
from training.plan import Fit, TrainingPlan
from training.queue import Examined, Outcome, QueueRecord, QueueReport, QueueRow, queue_file
from training.runs import read_runs
from utils import Event, Notice, PipelineError, Progress, Stopped, TrainingTick, as_pipeline_error, locked, log, write_record

NEXT_CLIENT = N_("[{number}/{total}] {client}")
NEXT_CLIENT_THERE = N_("[{number}/{total}] {client}: {machine}")
FAILED_CLIENT = N_("      {client}: {error}")
LOST_MACHINE = N_("      {client}: {machine} is gone; it goes on elsewhere from step {step}.")
ANOTHER_TRY = N_("      {client}: {error} Trying once more.")
_SAID = {Word.STEP: Examined.STEP, Word.TIED: Examined.TIED, Word.NONE: Examined.NONE}
_STILL = Progress("start", 0, 0)
_LOOK_SECONDS = 3.0  # between two looks at who has joined
_PAUSE_SECONDS = 0.1  # where all that is done is done elsewhere
_MOST_LOSSES = 10  # machines that a client may lose one after another without learning a step: it may be what ends them
_PATIENCE_SECONDS = 60.0  # that a client waits, while nothing is done, for a machine that its plan fits


class NotWhole(PipelineError):
    """Facts: client, machine."""

    message = N_("{machine} says that {client} is trained, but sent no whole LoRA of that plan.")
    hint = N_("Nothing that was there is lost. The same queue again goes on from the last state.")


@dataclass(frozen=True, slots=True)
class Spot:
    """A place where a client can be trained: this PC, or a machine that has joined."""

    name: str
    machine: Joined | None = None


@dataclass(slots=True)
class _Turn:
    """One client at one place."""

    number: int
    spot: Spot | None  # None: trained, and about to be examined here
    stage: Generator[Event, None, None] | None = None
    started: float = 0.0
    tick: TrainingTick | None = None
    plan: TrainingPlan | None = None


@dataclass(slots=True)
class Night:
    """The clients of a queue, and how it stands with each."""

    home: Path
    settings: Settings
    clients: Sequence[Client]
    preset: str | None
    exam: bool
    link: Link | None
    rows: list[QueueRow] = field(default_factory=list)
    _waiting: list[int] = field(default_factory=list)
    _turns: list[_Turn] = field(default_factory=list)
    _met: dict[int, set[str]] = field(default_factory=dict)  # failures that a client has met
    _losses: dict[int, tuple[int, int]] = field(default_factory=dict)  # machines lost since a step, and that step
    _plans: dict[int, TrainingPlan] = field(default_factory=dict)  # of those that have begun
    _last: dict[int, str] = field(default_factory=dict)  # where a client was trained last
    _notices: list[Notice] = field(default_factory=list)
    _stopped: Stopped | None = None
    _joined: tuple[Joined, ...] = ()
    _looked: float = 0.0
    _idle_since: float = 0.0
    _examining: int | None = None  # whose exam this PC is busy with
    _here: Spot | None = None  # this PC; None where it has joined its own pool

    def __post_init__(self) -> None:
        self.rows = [QueueRow(client=client.id) for client in self.clients]
        self._waiting = list(range(len(self.clients)))
        self._here = Spot(machine_name())

    def run(self) -> Generator[Event, None, QueueReport]:
        """Train and examine all of them; raises Stopped where that was asked for."""
        if self.link:
            self._joined = self.link.machines()
            if any(one.facts.host == machine_name() for one in self._joined):
                self._here = None
        try:
            while self._turns or (self._waiting and self._stopped is None):
                yield from self._round()
        except GeneratorExit:
            for turn in list(self._turns):
                self._cut_short(turn, Outcome.STOPPED)
                if turn.stage:
                    turn.stage.close()
            raise
        if self._stopped is not None:
            raise self._stopped
        return QueueReport(tuple(self.rows))

    @property
    def busy(self) -> int:
        """How many places a turn holds at this moment."""
        return sum(turn.spot is not None for turn in self._turns)

    def _round(self) -> Generator[Event, None, None]:
        """A piece of every turn, and new turns where there is room."""
        events: list[Event] = []
        if self._stopped is None:
            self._fill()
        elsewhere = all(turn.spot is not None and turn.spot.machine is not None for turn in self._turns)
        for turn in list(self._turns):
            event = self._advance(turn)
            events += self._take_notices()
            if event is not None:
                turn.tick = event if isinstance(event, TrainingTick) else turn.tick
                events.append(event if self.link is None or isinstance(event, Notice) else self._together())
        for event in [*self._take_notices(), *events] or [_STILL]:
            try:
                yield event
            except (Stopped, KeyboardInterrupt) as stop:
                self._stop(stop)
        if self.link and elsewhere:
            time.sleep(_PAUSE_SECONDS)

    def _take_notices(self) -> list[Notice]:
        notices, self._notices = self._notices, []
        return notices

    def _together(self) -> Progress:
        """How far all turns are, as one event."""
        ticks = [(self.clients[turn.number].id, turn.tick) for turn in self._turns]
        named = [f"{client} {tick.step}/{tick.total}" if tick else client for client, tick in ticks]
        known = [tick for _client, tick in ticks if tick]
        return Progress("queue", sum(tick.step for tick in known), sum(tick.total for tick in known), ", ".join(named))

    # --- turns --------------------------------------------------------------------------------------------------------
    def _advance(self, turn: _Turn, wish: BaseException | None = None) -> Event | None:
        """The next event of a turn; None where it has ended, well or badly."""
        assert turn.stage is not None
        try:
            return turn.stage.throw(wish) if wish else next(turn.stage)
        except StopIteration:
            pass
        except (Stopped, KeyboardInterrupt) as stop:
            self._end(turn)
            self._cut_short(turn, Outcome.STOPPED)
            self._stop(stop)
            return None
        except Exception as error:  # noqa: BLE001 - whatever it is, the next client must not wait for the morning
            self._fail(turn, error)
        self._end(turn)
        return None

    def _end(self, turn: _Turn) -> None:
        if turn in self._turns:
            self._turns.remove(turn)
        if self._examining == turn.number:
            self._examining = None
        self._looked = 0.0  # a place is free

    def _stop(self, stop: BaseException) -> None:
        """Ask every turn to stop; those that can bring their piece to a good end go on until that is reached."""
        first = self._stopped is None
        if first or (isinstance(stop, Stopped) and stop.told):
            self._stopped = stop if isinstance(stop, Stopped) else Stopped()
        if first:
            for turn in list(self._turns):
                self._advance(turn, Stopped())

    def _fail(self, turn: _Turn, error: Exception) -> None:
        """A client has failed. One that lost its machine goes on elsewhere; any other failure is met twice before it counts."""
        number, client = turn.number, self.clients[turn.number]
        step = self._kept_step(number)
        if isinstance(error, MachineLost):
            losses, before = self._losses.get(number, (0, 0))
            losses = 1 if step > before else losses + 1
            self._losses[number] = (losses, step)
            if losses < _MOST_LOSSES:
                self._wait_again(turn)
                facts = {"client": client.id, "machine": str(error.facts["machine"]), "step": step}
                self._notices.append(Notice(LOST_MACHINE, facts))
                return
        told = f"{type(error).__name__} {error.facts.get('cause', '') if isinstance(error, PipelineError) else ''}"
        met = self._met.setdefault(number, set())
        if self.link and turn.plan is not None and told not in met and not isinstance(error, PlanRefused):
            met.add(told)
            self._wait_again(turn)
            self._notices.append(Notice(ANOTHER_TRY, {"client": client.id, "error": _told(error)[0]}))
            return
        self._cut_short(turn, Outcome.FAILED, error)
        self._notices.append(Notice(FAILED_CLIENT, {"client": client.id, "error": self.rows[number].error}))

    def _wait_again(self, turn: _Turn) -> None:
        self._waiting.insert(0, turn.number)
        self._write(turn.number, self.rows[turn.number].model_copy(update={"outcome": Outcome.WAITING}))

    def _kept_step(self, number: int) -> int:
        plan = self._plans.get(number)
        state = find_resume(self.clients[number], plan) if plan else None
        return state.step if state else 0

    def _begin(self, number: int, spot: Spot, plan: TrainingPlan | None) -> None:
        turn = _Turn(number, spot, started=time.monotonic(), plan=plan)
        turn.stage = self._train_and_examine(turn)
        self._turns.append(turn)
        self._waiting.remove(number)
        self._last[number] = spot.name
        facts: dict[str, int | float | str] = {
            "number": number + 1, "total": len(self.clients), "client": self.clients[number].id, "machine": spot.name,
        }  # fmt: skip
        self._notices.append(Notice(NEXT_CLIENT_THERE if self.link else NEXT_CLIENT, facts))
        attempts = self.rows[number].attempts + 1
        row = QueueRow(client=self.clients[number].id, outcome=Outcome.RUNNING, machine=spot.name, attempts=attempts)
        self._write(number, row)

    # --- where --------------------------------------------------------------------------------------------------------
    def _fill(self) -> None:
        """Begin turns in places that are free."""
        if self.link is None:
            if self._waiting and not self._turns:
                assert self._here is not None
                self._begin(self._waiting[0], self._here, None)
            return
        if not self._waiting or time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        with suppress(LinkDown):
            self._joined = self.link.machines()
            for number in list(self._waiting):
                self._find_place(number)
        if self._turns:
            self._idle_since = 0.0
        elif not self._idle_since:
            self._idle_since = time.monotonic()
        elif self._joined and time.monotonic() - self._idle_since > _PATIENCE_SECONDS:
            for number in list(self._waiting):  # no machine can: this PC says why, as it does without a pool
                self._begin(number, Spot(machine_name()), None)

    def _free(self) -> list[Spot]:
        taken = {turn.spot.name for turn in self._turns if turn.spot is not None}
        spots = [Spot(one.name, one) for one in self._joined if not one.leaving and one.name not in taken]
        here = self._here if self._examining is None else None
        return ([here] if here and here.name not in taken else []) + spots

    def _find_place(self, number: int) -> None:
        """Begin a client where it will be done first of all free places that its plan fits; one that lies there goes on there."""
        found: list[tuple[float, Spot, TrainingPlan]] = []
        free = self._free()
        for spot in free:
            try:
                option = self._option(number, spot)
            except PipelineError:
                self._begin(number, Spot(machine_name()), None)  # which meets it again, and fails with it
                return
            if option:
                found.append((option[0], spot, option[1]))
        if len(found) > 1:  # where it failed or was lost it is not tried at once again
            found = [one for one in found if one[1].name != self._last.get(number) or one[0] < 0] or found
        if found:
            _seconds, spot, plan = min(found, key=lambda one: one[0])
            self._plans[number] = plan
            self._begin(number, spot, plan)

    def _option(self, number: int, spot: Spot) -> tuple[float, TrainingPlan] | None:
        """How long a client would train at a place, and its plan there; None where it cannot. Raises what a plan raises."""
        client, begun = self.clients[number], self._plans.get(number)
        profile = spot.machine.facts.profile if spot.machine else None  # None: what the settings say
        if begun is None:
            prepared = lora_trainer.plan_training(client, self.settings, gpu=profile, preset=self.preset)
            plan, cost, done = prepared.plan, prepared.estimate, prepared.begins_at == prepared.plan.steps
        else:
            plan = on_card(read_plan(client) or begun, profile or hardware.profile_here())
            cost, done = estimate(plan, measured_here(self.home, plan)), False
        if spot.machine is None:
            return (0.0 if done else cost.seconds, plan) if cost.verdict is not Fit.NO and not cost.refusals else None
        if not can_train(spot.machine, plan):
            return None
        if spot.machine.job == job_of(client, plan):
            return -1.0, plan
        return (cost.seconds, plan) if cost.verdict is not Fit.NO and not cost.refusals else None

    # --- a turn -------------------------------------------------------------------------------------------------------
    def _train_and_examine(self, turn: _Turn) -> Generator[Event, None, None]:
        """The stage of a turn: its training, and its exam on this PC."""
        report = yield from self._train(turn)
        number, client = turn.number, self.clients[turn.number]
        seconds = report.seconds if turn.spot and turn.spot.machine is None else time.monotonic() - turn.started
        told = {"outcome": Outcome.DONE, "steps": report.steps, "seconds": round(seconds, 1), "loss": _last_loss(client),
                "lora": report.lora.name, "changes": report.changes}  # fmt: skip
        self._write(number, self.rows[number].model_copy(update=told))
        if not self.exam:
            return
        if self.link:
            turn.spot, self._looked = None, 0.0  # its machine is free
            while self._examining is not None or any(one.spot and one.spot.machine is None for one in self._turns):
                yield _STILL
            self._examining = number
        yield from self._examine(number)

    def _train(self, turn: _Turn) -> Generator[Event, None, lora_trainer.TrainingReport]:
        client, plan = self.clients[turn.number], turn.plan
        with client.lock():
            if self.link:
                yield from take_in_arrived(client)
            if self.link and plan and turn.spot and turn.spot.machine:
                yield from train_there(self.link, turn.spot.machine, client, plan)
                plan = read_plan(client) or plan  # a smaller one, where memory was full there
                if not is_whole(final_lora(client, plan)):
                    raise NotWhole(client=client.id, machine=turn.spot.name)
            plan = plan or lora_trainer.plan_training(client, self.settings, preset=self.preset).plan
            # What was trained elsewhere is whole by now: it is only put in order and reported.
            with closing(lora_trainer.train(client, self.settings, plan, take_smaller_plans=True)) as stage:
                return (yield from stage)

    def _examine(self, number: int) -> Generator[Event, None, None]:
        """Examine what was trained, and write down what came out; a LoRA that could not be examined is trained all the same."""
        client, row = self.clients[number], self.rows[number]

        def write(examined: Examined, step: int | None = None, error: str = "") -> None:
            self._write(number, row.model_copy(update={"exam": examined, "exam_step": step, "exam_error": error}))

        write(Examined.RUNNING)
        try:
            with client.lock(), closing(examine(client, self.settings)) as stage:
                report = yield from stage
            write(_SAID[report.file.verdict], report.file.step)
        except (GeneratorExit, Stopped, KeyboardInterrupt):
            write(Examined.STOPPED)
            raise
        except NoHeldBackPhotos:
            write(Examined.NO_PHOTOS)
        except Exception as error:  # noqa: BLE001 - as above
            write(Examined.FAILED, error=_told(error)[0])
            yield Notice(FAILED_CLIENT, {"client": client.id, "error": self.rows[number].exam_error})

    # --- the table ----------------------------------------------------------------------------------------------------
    def _cut_short(self, turn: _Turn, outcome: Outcome, error: Exception | None = None) -> None:
        """Write how a turn ended that did not come to its end; one whose training had ended stays trained."""
        row, client = self.rows[turn.number], self.clients[turn.number]
        if row.outcome is Outcome.DONE:
            return
        runs, (told, cure) = read_runs(client), _told(error) if error else ("", "")
        self._write(
            turn.number,
            QueueRow(
                client=client.id, outcome=outcome, steps=runs[-1].steps if runs else 0,
                seconds=round(time.monotonic() - turn.started, 1), loss=_last_loss(client), error=told, hint=cure,
                machine=row.machine, attempts=row.attempts,
            ),
        )  # fmt: skip

    def _write(self, number: int, row: QueueRow) -> None:
        self.rows[number] = row
        with locked(queue_file(self.home)):
            write_record(queue_file(self.home), QueueRecord(rows=tuple(self.rows)))


def _told(error: Exception) -> tuple[str, str]:
    """What happened and what to do; of an error that nobody foresaw its name, and the log has the rest."""
    known = as_pipeline_error(error) if isinstance(error, OSError | ImportError) else error
    if isinstance(known, PipelineError):
        return known.text(), known.cure()
    log.error("queue: unexpected", exc_info=error)
    return type(error).__name__, ""


def _last_loss(client: Client) -> float | None:
    runs = read_runs(client)
    return list(runs[-1].curve.values())[-1] if runs and runs[-1].curve else None
