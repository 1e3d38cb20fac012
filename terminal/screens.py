"""Events and steps in, what rich draws out: progress, the guided screen, errors. Asks nothing and prints nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from actions.journey import State, Step, how_far
from actions.table import row_named
from client_folder.client import Client
from client_folder.reasons import Rejection
from config import EMBEDDED_BASE, SDXL_BASE
from locales.language import N_, _, ngettext
from machine.gpu import GPUState
from terminal.choice_list import Option
from terminal.console import Rows, printable
from utils import Event, Notice, PipelineError, Progress, StepFinished, StepStarted, TrainingTick, shortened

Views = Mapping[type, Callable[[Any], RenderableType]]  # how each kind of plan or report looks; `VIEWS` of a file view_...
TITLE = "Avatar Pipeline"
PRACTICE_NOTE = N_("Practice model: to learn the program. It paints dolls of 96 px, no photographs.")
_NAMES_ITS_STEPS = frozenset(
    {"trainer", "preload", "serve", "queue", "joined"}
)  # stages whose pieces take minutes, and are worth naming
NAME_COLUMNS = 30  # of a line for the name of a picture
ROWS = 12  # pictures named one by one before the rest is only counted: a screen has 24 lines
_LEAST_COLUMNS = 10  # of a text that is indented, on however narrow a screen
_LABEL_WIDTH = 34  # of the longest label, so that the notes stand in line
_STATE_LOOKS = {State.DONE: ("✓", "green"), State.NEXT: ("→", "bold cyan"), State.OPEN: ("·", ""), State.WAITING: ("·", "dim")}


# What a stage is doing, by the code that it yields.
STAGES = {
    "start": N_("Starting"),
    "setup": N_("Setting up"),
    "sample": N_("Drawing the sample client"),
    "client": N_("Creating the client"),
    "client-export": N_("Packing the client (MB)"),
    "client-check": N_("Reading it back (MB)"),
    "client-import": N_("Taking the client in (MB)"),
    "import-mj": N_("Importing MidJourney images"),
    "import-photos": N_("Importing photos"),
    "process": N_("Finding and cropping faces"),
    "verdicts": N_("Putting the pictures where they belong"),
    "describe": N_("Describing the photos"),
    "dataset": N_("Building the dataset"),
    "regularisation": N_("Drawing other people"),
    "trainer": N_("Setting up sd-scripts"),
    "doctor": N_("Examining this machine"),
    "checkpoints": N_("Reading the LoRAs"),
    "export": N_("Exporting the LoRA"),
    "tensorboard": N_("Starting TensorBoard"),
    "train": N_("Training the LoRA"),
    "queue": N_("Training on several machines"),
    "pool": N_("Machines that have joined"),
    "joined": N_("Working for the pool"),
    "generate": N_("Painting portraits"),
    "exam": N_("Painting for the exam"),
    "exam-measure": N_("Measuring the portraits"),
    "blind": N_("Laying out pairs"),
    "tune": N_("Searching for settings"),
    "packages": N_("Installing packages"),
    "upscale": N_("Enlarging portraits"),
    "deliver": N_("Packing portraits"),
    "swap": N_("Swapping faces"),
    "transcribe": N_("Listening"),
    "preload": N_("Downloading (MB)"),
    "serve": N_("Serving"),
}
# What takes its time before the first piece of a stage, while nothing can be counted.
_FIRST = {
    "generate": N_("loading the base"),
    "exam": N_("loading the base"),
    "swap": N_("loading the models"),
    "upscale": N_("loading the model"),
    "transcribe": N_("loading the model"),
    "process": N_("loading the face detector"),
    "tensorboard": N_("this takes some seconds"),
}
# What a trainer does instead of steps, by the code of a tick.
PHASES = {
    "checking": N_("asking the trainer's own parser"),
    "loading": N_("loading the base, reading pictures and captions; this can take minutes"),
    "first": N_("the first steps are slow"),
    "sampling": N_("painting samples"),
    "saving": N_("saving"),
    "stopping": N_("saving the state before the end"),
}
# What came out of a step of a journey, by the name of the value.
OUTCOMES = {
    "checks": N_("{value} checks"),
    "midjourney": N_("{value} MidJourney images"),
    "photos": N_("{value} photos"),
    "client": N_("trigger word {value}"),
    "added": N_("new: {value}"),
    "here": N_("{value} here"),
    "duplicates": N_("duplicates: {value}"),
    "refused": N_("refused: {value}"),
    "accepted": N_("accepted: {value}"),
    "rejected": N_("rejected: {value}"),
    "images": N_("{value} pictures"),
    "share_real": N_("{value:.0%} real"),
    "steps": N_("{value} steps"),
    "lora": N_("{value}"),
    "examined": N_("examined: {value}"),
    "chosen": N_("chosen: step {value}"),
}


# --- progress ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class BarState:
    """A stage as a bar or a line shows it."""

    stage: str
    label: str
    done: int
    total: int
    note: str
    seconds: float | None = None  # a piece, where the stage says so itself; else the bar measures


def stage_label(name: str) -> str:
    """What a stage is doing, in the user's language."""
    return _(STAGES[name])


def outcome(values: Mapping[str, int | float | str]) -> str:
    """What came out of a step, as one short line."""
    return ", ".join(_(OUTCOMES[name]).format(value=value) for name, value in values.items())


def progress_columns() -> tuple[ProgressColumn, ...]:
    """The parts of a bar, made for 80 columns."""
    return (
        TextColumn("{task.description}"), BarColumn(bar_width=None), _Counted(), _Rate(),
        _Remaining(compact=True),
        TextColumn("{task.fields[note]}", markup=False),
    )  # fmt: skip


class _Counted(ProgressColumn):
    """How many pieces are done; nothing where neither that nor their number is known, for "0/?" tells nobody anything."""

    def render(self, task: Task) -> Text:
        """Done and in all."""
        done = int(task.completed)
        if task.total is None:
            return Text(str(done or ""), style="progress.download")
        return Text(f"{done:>{len(str(int(task.total)))}}/{int(task.total)}", style="progress.download")


class _Remaining(TimeRemainingColumn):
    """How long it still takes. Who comes back to a training hears of a thousand steps at once, which is not its speed."""

    def render(self, task: Task) -> Text:
        """Minutes and seconds."""
        seconds = task.fields.get("seconds")
        if not seconds or task.total is None or task.finished:
            return super().render(task)
        return Text(_clock(seconds * (task.total - task.completed)), style="progress.remaining")


def _clock(seconds: float) -> str:
    """Hours, minutes and seconds as rich shows them beside a bar."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


class _Rate(ProgressColumn):
    """How fast it goes; slow work is told in seconds a piece."""

    def render(self, task: Task) -> Text:
        """The rate of the last half minute."""
        seconds = task.fields.get("seconds")
        speed = 1 / seconds if seconds else task.finished_speed or task.speed
        if not speed:
            return Text("")
        return Text(f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s", style="cyan")


def bar_state(event: Event) -> BarState:
    """An event as a bar shows it."""
    if isinstance(event, TrainingTick):
        return BarState("train", stage_label("train"), event.step, event.total, _training_note(event), event.seconds_per_step)
    if isinstance(event, Notice):
        return BarState("", "", 0, 0, "")
    if isinstance(event, StepStarted | StepFinished):
        return BarState(event.name, stage_label(event.name), 0, 0, "")
    note = event.item if event.stage in _NAMES_ITS_STEPS else ""
    if event.stage in _FIRST and not (event.done or event.total):
        note = _(_FIRST[event.stage])
    return BarState(event.stage, stage_label(event.stage), event.done, event.total, note)


def _training_note(tick: TrainingTick) -> str:
    """What a line says of a training beside its steps."""
    return ", ".join(filter(None, (_loss(tick), _memory(tick))))


def _loss(tick: TrainingTick) -> str:
    return "" if tick.loss is None else _("loss {loss:.3f}").format(loss=tick.loss)


def _memory(tick: TrainingTick) -> str:
    if tick.vram_gb is None or not tick.vram_total_gb:
        return ""
    return _("{used:.1f}/{total:.0f} GB of video memory").format(used=tick.vram_gb, total=tick.vram_total_gb)


class TrainingView:
    """Below the bar of a training: the loss as a small curve, speed and memory, the last checkpoint and the last sample."""

    def __init__(self) -> None:
        self._losses: dict[int, float] = {}
        self._tick: TrainingTick | None = None
        self._checkpoint = self._sample = ""

    def take(self, event: Event) -> None:
        """Remember what an event tells; anything but a training leaves the view as it is."""
        if not isinstance(event, TrainingTick):
            return
        if self._tick and event.step < self._tick.step:
            self._losses.clear()  # another training of the same evening
        self._tick = event
        if event.loss is not None:
            self._losses[event.step] = event.loss
        self._checkpoint = Path(event.checkpoint).stem or self._checkpoint
        self._sample = event.sample or self._sample

    def __rich__(self) -> RenderableType:
        """Two to four lines, or nothing where no training runs."""
        tick = self._tick
        if tick is None:
            return Text("")
        rate = _("{seconds:.2f} s a step").format(seconds=tick.seconds_per_step) if tick.seconds_per_step else ""
        silent = _("silent for {minutes:.0f} min").format(minutes=tick.silent_seconds / 60) if tick.silent_seconds else ""
        phase = _(PHASES[tick.phase]) if tick.phase else ""
        saved = _("checkpoint {name}").format(name=self._checkpoint) if self._checkpoint else ""
        lines = ((sparkline(list(self._losses.values())), _loss(tick), rate, phase, silent), (_memory(tick), saved))
        joined = ("  ".join(filter(None, line)) for line in lines)
        shown = [Text(line, style="dim", overflow="ellipsis", no_wrap=True) for line in joined if line]
        # A path is there to be opened: whole, on as many lines as it needs.
        sample = [Text(_("sample {name}").format(name=self._sample), style="dim", overflow="fold")] if self._sample else []
        return Group(*shown, *sample)


class StandingLine:
    """Above the bars: how a search for settings stands, in its own words; nothing where none runs."""

    def __init__(self) -> None:
        self._words = ""

    def take(self, event: Event) -> bool:
        """Remember the words; whether the event had any of a search."""
        searching = isinstance(event, Progress) and event.stage == "tune"
        self._words = event.item if isinstance(event, Progress) and searching else self._words
        return searching

    def __rich__(self) -> RenderableType:
        """The words, on as many lines as they need."""
        return Text(self._words, style="bold") if self._words else Group()


_BLOCKS = "▁▂▃▄▅▆▇█"
_CURVE_WIDTH = 24


def sparkline(values: list[float], width: int = _CURVE_WIDTH) -> str:
    """A curve in one line: the mean of each stretch, from the lowest block to the highest."""
    if not values:
        return ""
    stretch = max(1, -(-len(values) // width))
    means = [sum(part) / len(part) for at in range(0, len(values), stretch) if (part := values[at : at + stretch])]
    low, high = min(means), max(means)
    scale = (len(_BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BLOCKS[round((mean - low) * scale)] for mean in means)


def heading(event: Event) -> RenderableType | None:
    """The line that a step of a journey begins or ends with, or a notice; None for any other event."""
    if isinstance(event, Notice):
        return Text(_(event.message).format(**event.facts), style="bold yellow")
    if isinstance(event, StepStarted):
        return Text(f"[{event.number}/{event.total}] {stage_label(event.name)}", style="bold")
    if isinstance(event, StepFinished):
        return Text(f"      {outcome(event.outcome)} ({event.seconds:.1f} s)", style="green")
    return None


def plain_line(state: BarState, seconds: float) -> Text:
    """Where a stage is, for a log: how much of it, at what rate, and how long it will take."""
    counted = f"{state.done}/{state.total}" if state.total else str(state.done or "...")
    parts = [f"{state.label}: {counted}"]
    each = state.seconds or (seconds / state.done if state.done else 0.0)
    if each:
        slow, quick = _("{seconds:.1f} s each"), _("{rate:.1f} a second")
        parts.append(slow.format(seconds=each) if each > 1 else quick.format(rate=1 / each))
        if state.total > state.done:
            parts.append(_("{clock} left").format(clock=_clock(each * (state.total - state.done))))
    return Text(", ".join([*parts, state.note] if state.note else parts))


# --- the guided screens -----------------------------------------------------------------------------------------------
def machine_line(base: str, gpu: GPUState | None) -> str:
    """The base model and the card, as they stand at the top of the menu's screens."""
    named = {EMBEDDED_BASE: _("practice model (96 px)"), SDXL_BASE: "SDXL 1.0"}
    model = named.get(base) or Path(base).name.removesuffix(".safetensors")
    if gpu is None:
        return f"{model} · " + _("no NVIDIA card")
    card = gpu.name.removeprefix("NVIDIA ").removeprefix("GeForce ")
    if gpu.free_gb is None:  # a driver that does not tell, as WSL2's
        return f"{model} · {card} · {gpu.total_gb:.0f} GB"
    return f"{model} · {card} · " + _("{free:.1f} of {total:.0f} GB free").format(free=gpu.free_gb, total=gpu.total_gb)


def welcome(home: Path, clients: tuple[Client, ...], first_time: bool, machine: str) -> RenderableType:
    """What stands above the first question."""
    count = ngettext("{count} client", "{count} clients", len(clients)).format(count=len(clients))
    lines: list[RenderableType] = [_TopLine(TITLE, f"{count} · {machine}", str(home))]
    if first_time:
        lines.append(Text(_("First time here? The sample client shows the whole path in a few minutes.")))
    return Group("", *lines)


def headline(client: Client, machine: str) -> RenderableType:
    """What stands above the steps of a client in the menu."""
    return Group("", _TopLine(client.title, machine, str(client.root)))


class _TopLine:
    """The line at the top of a screen: the folder where there is room for all of it, and at its edge cut what is still too long."""

    def __init__(self, name: str, facts: str, place: str) -> None:
        self._line = Text.assemble((name, "bold cyan"), "  ", facts, overflow="ellipsis", no_wrap=True)
        self._place = Text(place, "dim")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The line as rich draws it."""
        whole = Text.assemble(self._line, "  ", self._place, overflow="ellipsis", no_wrap=True)
        yield whole if whole.cell_len <= options.max_width else self._line


def client_row(client: Client) -> str:
    """A client as a row of the menu: who it is, and how far."""
    title = client.title if len(client.title) < _LABEL_WIDTH else f"{client.title[: _LABEL_WIDTH - 2]}…"
    return f"{title:<{_LABEL_WIDTH}} {how_far(client)}"


def step_option(step: Step) -> Option:
    """A step as an option of the menu: what it waits for, what it does, and the colour of its state."""
    why = step.note if step.state is State.WAITING else ""
    look = "" if step.state is State.OPEN else step.state.value
    return Option(step.action, step_row(step), why, _(row_named(step.action).about), look)


def step_row(step: Step) -> str:
    """A step as a row of the menu; what it waits for is said by the menu itself."""
    label = f"{_STATE_LOOKS[step.state][0]} {_(step.label)}"
    if step.state is State.WAITING:
        return label
    return f"{label:<{_LABEL_WIDTH}} {step.note or step.state.label}"


def guided(client: Client, steps: tuple[Step, ...]) -> RenderableType:
    """A client's steps with their state."""
    rows = table(Text.assemble((client.title, "bold"), "  ", (str(client.root), "dim")))
    for number, step in enumerate(steps, 1):
        sign, style = _STATE_LOOKS[step.state]
        rows.add_row(str(number), sign, _(step.label), step.state.label, step.note, style=style)
    return Group("", rows)


def failure(error: PipelineError, cure: str = "", *, in_menu: bool = False) -> RenderableType:
    """What happened and what to do; `cure` in place of the error's own."""
    said = [Text(line.format(**error.facts), style="bold red") for line in _(error.message).split("\n")]
    return Group(*said, Text(cure or error.cure(in_menu=in_menu)))


def table(title: Text | str = "", *columns: str) -> Rows:
    """A table as all our screens draw it; without columns it has no header."""
    drawn = Rows(title=title or None, title_justify="left", box=box.SIMPLE, show_header=bool(columns), pad_edge=False)
    for column in columns:
        drawn.add_column(column, overflow="fold")
    return drawn


# --- parts of plans and reports: the files view_... draw them whole ------------------------------------------------------
def practice_lines(practice: bool) -> list[RenderableType]:
    """That what is shown comes of the practice model; nothing where it does not."""

    return [Text(_(PRACTICE_NOTE), style="bold yellow")] if practice else []


class OneLine:
    """A line that a terminal shows as one, cut at its edge; a file or a pipe gets all of it."""

    def __init__(self, line: str, style: str = "") -> None:
        self._text = Text(line, style=style)

    def __rich_console__(self, console: Console, _options: ConsoleOptions) -> RenderResult:
        """The line as rich draws it."""
        self._text.no_wrap, self._text.overflow = console.is_terminal, "ellipsis" if console.is_terminal else "fold"
        yield self._text


class Indented:
    """A text under its heading: where it is longer than a line, the next ones stand in line with its first word."""

    def __init__(self, line: str, style: str = "", begins: str = "    ") -> None:
        self._line, self._style, self._begins = printable(line), style, begins

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The lines as rich draws them."""
        room = max(_LEAST_COLUMNS, options.max_width - len(self._begins))
        for number, line in enumerate(Text(self._line).wrap(console, room)):
            yield Text((" " * len(self._begins) if number else self._begins) + line.plain.rstrip(), style=self._style)


def refusal(item: Rejection, sign: str = " ") -> RenderableType:
    """A refused picture and why, on one line."""
    return OneLine(f"{sign} {shortened(item.source, NAME_COLUMNS)}: {item.sentence}")


def refusals(refused: Iterable[Rejection], rows: int = ROWS) -> list[RenderableType]:
    """A line a refused picture; where there are too many for a screen, the rest counted by reason."""
    refused = list(refused)
    lines: list[RenderableType] = [refusal(item) for item in refused[:rows]]
    if len(refused) > rows:
        counts = Counter(item.reason for item in refused[rows:])
        summary = ", ".join(f"{reason.label} {count}" for reason, count in counts.most_common())
        lines.append(OneLine(_("  ... and {more} more: {summary}").format(more=len(refused) - rows, summary=summary)))
    return lines
