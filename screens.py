"""Events and steps in, what rich draws out: progress, the guided screen, errors. Asks nothing and prints nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

import words
from client import Client
from journey import State, Step
from language import _, ngettext
from utils import Event, Notice, PipelineError, StepFinished, StepStarted, TrainingTick

TITLE = "Avatar Pipeline"
_LABEL_WIDTH = 34  # of the longest label, so that the notes stand in line
_STATE_LOOKS = {State.DONE: ("✓", "green"), State.NEXT: ("→", "bold cyan"), State.OPEN: ("·", ""), State.WAITING: ("·", "dim")}


# --- progress ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class BarState:
    """A stage as a bar or a line shows it."""

    stage: str
    label: str
    done: int
    total: int
    note: str


def progress_columns() -> tuple[ProgressColumn, ...]:
    """The parts of a bar, made for 80 columns."""
    return (
        TextColumn("{task.description}"), BarColumn(bar_width=None), TaskProgressColumn(show_speed=True), MofNCompleteColumn(),
        TimeRemainingColumn(compact=True), TextColumn("{task.fields[note]}"),
    )  # fmt: skip


def bar_state(event: Event) -> BarState:
    """An event as a bar shows it."""
    if isinstance(event, TrainingTick):
        loss = "" if event.loss is None else _("loss {loss:.3f}").format(loss=event.loss)
        return BarState("train", words.stage("train"), event.step, event.total, loss)
    if isinstance(event, StepStarted | StepFinished):
        return BarState(event.name, words.stage(event.name), 0, 0, "")
    if isinstance(event, Notice):
        return BarState(event.stage, words.stage(event.stage), 0, 0, "")
    return BarState(event.stage, words.stage(event.stage), event.done, event.total, "")


def heading(event: Event) -> RenderableType | None:
    """The line that a step of a journey begins or ends with; None for any other event."""
    if isinstance(event, StepStarted):
        return Text(f"[{event.number}/{event.total}] {words.stage(event.name)}", style="bold")
    if isinstance(event, StepFinished):
        return Text(f"      {words.outcome(event.outcome)} ({event.seconds:.1f} s)", style="green")
    if isinstance(event, Notice):
        return Text(words.notice(event), style="yellow")
    return None


def plain_line(state: BarState, seconds: float) -> Text:
    """Where a stage is, for a log: how much of it, at what rate, and how long it will take."""
    parts = [f"{state.label}: {state.done}/{state.total}" if state.total else f"{state.label}: {state.done}"]
    if state.done and seconds > 0:
        rate = state.done / seconds
        parts.append(_("{rate:.1f} a second").format(rate=rate))
        if state.total > state.done:
            parts.append(_("{seconds:.0f} s left").format(seconds=(state.total - state.done) / rate))
    return Text(", ".join([*parts, state.note] if state.note else parts))


# --- the guided screens -----------------------------------------------------------------------------------------------
def welcome(home: Path, clients: tuple[Client, ...], first_time: bool) -> RenderableType:
    """What stands above the first question."""
    count = ngettext("{count} client", "{count} clients", len(clients)).format(count=len(clients))
    lines = [Text.assemble((TITLE, "bold"), f"  {count}  ", (str(home), "dim"))]
    if first_time:
        lines.append(Text(_("First time here? The sample client shows the whole path in a few minutes.")))
    return Group("", *lines)


def headline(client: Client) -> RenderableType:
    """What stands above the steps of a client in the menu."""
    return Group("", Text.assemble((client.id, "bold"), "  ", (str(client.root), "dim"), overflow="ellipsis", no_wrap=True))


def step_row(step: Step) -> str:
    """A step as a row of the menu; what it waits for is said by the menu itself."""
    label = f"{_STATE_LOOKS[step.state][0]} {_(step.label)}"
    if step.state is State.WAITING:
        return label
    note = _(step.note).format(count=step.count) if step.note else _(words.STATES[step.state])
    return f"{label:<{_LABEL_WIDTH}} {note}"


def guided(client: Client, steps: tuple[Step, ...]) -> RenderableType:
    """A client's eight steps with their state."""
    rows = table(Text.assemble((client.id, "bold"), "  ", (str(client.root), "dim")))
    for number, step in enumerate(steps, 1):
        sign, style = _STATE_LOOKS[step.state]
        note = _(step.note).format(count=step.count) if step.note else ""
        rows.add_row(str(number), sign, _(step.label), _(words.STATES[step.state]), note, style=style)
    return Group("", rows)


def failure(error: PipelineError) -> RenderableType:
    """What happened and what to do."""
    return Group(Text(error.text(), style="bold red"), Text(error.cure()))


def table(title: Text | str = "", *columns: str) -> Table:
    """A table as all our screens draw it; without columns it has no header."""
    drawn = Table(title=title or None, title_justify="left", box=box.SIMPLE, show_header=bool(columns), pad_edge=False)
    for column in columns:
        drawn.add_column(column, overflow="fold")
    return drawn
