"""The steps of a client, from set-up to portraits: which are done, which is next, which wait and why. All read from disk.

They are eight, and nine where photos were held back from training: then the exam stands between training and portraits.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from client_folder.client import Client
from client_folder.records import Source
from config import Settings, settings_file
from locales.language import N_, Labelled, _, ngettext
from utils import PipelineError


class State(Labelled):
    """How a step stands; `OPEN` can be done but is not offered first."""

    DONE = "done", N_("done")
    NEXT = "next", N_("next")
    OPEN = "open", N_("open")
    WAITING = "waiting", N_("waiting")


@dataclass(frozen=True, slots=True)
class Step:
    """One step as the guided screen shows it: `action` runs it, `note` says (translated) what is there or what it waits for."""

    action: str
    label: str
    state: State
    note: str
    count: int = 0


@dataclass(frozen=True, slots=True)
class _StepState:
    """What the disk says of a step: is it done, how many pieces are there, and what it would need first."""

    done: bool
    count: int = 0
    needs: str = ""
    note: str = ""  # of a step that is done, translated, where its count does not say it


_LABELS = {
    "setup": N_("Set up the program"),
    "client": N_("Create the client"),
    "import-mj": N_("Import MidJourney images"),
    "import-photos": N_("Import real photos"),
    "process": N_("Find and crop faces"),
    "dataset": N_("Build the dataset"),
    "train": N_("Train the LoRA"),
    "exam": N_("Examine the checkpoints"),
    "generate": N_("Paint portraits"),
}


def done_note(action: str, count: int) -> str:
    """What is there of a step that is done, in the user's language."""
    pictures = ngettext("{count} picture", "{count} pictures", count)
    notes = {
        "setup": _("folders and settings are there"),
        "client": _("trigger word and folder are there"),
        "import-mj": pictures,
        "import-photos": pictures,
        "process": ngettext("{count} crop passed", "{count} crops passed", count),
        "dataset": ngettext("{count} picture with its caption", "{count} pictures with captions", count),
        "train": ngettext("{count} checkpoint", "{count} checkpoints", count),
        "generate": ngettext("{count} portrait", "{count} portraits", count),
    }
    return notes[action].format(count=count)


@dataclass(frozen=True, slots=True)
class Glance:
    """How far a client is, from the names of its files alone: the step that is next, empty where none is, and what is there."""

    step: str
    checkpoints: int
    portraits: int


def glance(client: Client) -> Glance:
    """How far a client is, quick enough for a list of many; `read_journey` knows better, for it reads what the files say."""
    steps = {
        "import-mj": client.images_file.exists(),
        "process": client.faces_file.exists(),
        "dataset": any(client.training_data.glob("*/*.png")),
        "train": any(client.models.glob("*.safetensors")),
        "generate": any(client.output.glob("portrait_*.png")),
    }
    return Glance(
        next((step for step, done in steps.items() if not done), ""),
        sum(1 for _lora in client.models.glob("*.safetensors")), sum(1 for _portrait in client.output.glob("portrait_*.png")),
    )  # fmt: skip


def how_far(client: Client) -> str:
    """The same in words, for a list of clients."""
    seen = glance(client)
    if seen.step and not seen.checkpoints:
        return _("next: {step}").format(step=_(_LABELS[seen.step]))
    counts = (
        ngettext("{count} checkpoint", "{count} checkpoints", seen.checkpoints).format(count=seen.checkpoints),
        ngettext("{count} portrait", "{count} portraits", seen.portraits).format(count=seen.portraits),
    )
    return ", ".join(counts)


def read_journey(home: Path, settings: Settings, client: Client) -> tuple[Step, ...]:
    """The steps of a client in order; at most one is NEXT."""
    findings = _findings(home, settings, client)
    has_pictures = bool(findings["import-mj"].count or findings["import-photos"].count)
    steps: list[Step] = []
    chosen = False
    for action, finding in findings.items():
        state = _state(action, finding, chosen, has_pictures and findings["process"].count > 0)
        chosen = chosen or state is State.NEXT
        note = _(finding.needs) if finding.needs else ""
        if finding.done:
            note = finding.note or done_note(action, finding.count)
        steps.append(Step(action, _LABELS[action], state, note, finding.count))
    return tuple(steps)


def waits_for(client: Client, action: str) -> str:
    """What an action beside the steps has to wait for, in the user's language; empty where it need not."""
    if action == "blind":
        return "" if client.exam_report.is_file() else _("examine the checkpoints first")
    if action != "tune":
        return ""
    from dataset.held_back import recorded  # here, not above: most screens show no such row

    try:
        held = bool(recorded(client).scenes)
    except PipelineError:
        return ""  # it says itself what is wrong with the record
    return "" if held else _("no photo was held back: import six real photos or more, then build the dataset")


def next_step(steps: tuple[Step, ...]) -> str:
    """The action to offer first: the next one, or portraits when everything is done."""
    return next((step.action for step in steps if step.state is State.NEXT), "generate")


def _state(action: str, finding: _StepState, chosen: bool, imports_are_optional: bool) -> State:
    if finding.done:
        return State.DONE
    if action.startswith("import-") and imports_are_optional:
        return State.OPEN
    if finding.needs or chosen:
        return State.WAITING if finding.needs else State.OPEN
    return State.NEXT


def _findings(home: Path, settings: Settings, client: Client) -> dict[str, _StepState]:
    # Here, not above: the screens know the steps, and most of them are shown without asking a stage.
    from dataset.held_back import recorded
    from dataset.kohya_folders import dataset_is_current
    from image_processor import plan_process
    from lora_trainer import trained_lora
    from training.checkpoints import current_exam, list_checkpoints

    client = client.snapshot()
    pictures = client.pictures()
    by_source = {source: sum(picture.source is source for picture in pictures) for source in Source}
    crops = sum(1 for face in client.faces() if face.crop)
    dataset = sum(1 for _picture in client.training_data.glob("*/*.png"))
    checkpoints = list_checkpoints(client)
    portraits = sum(1 for _portrait in client.output.glob("portrait_*.png"))
    held_back, exam = bool(recorded(client).scenes), current_exam(client)
    examined = _StepState(
        exam is not None, len(exam.candidates) if exam else 0, "" if checkpoints else N_("train the LoRA first"),
        exam.words if exam else "",
    )  # fmt: skip
    return {
        "setup": _StepState(settings_file(home).exists()),
        "client": _StepState(client.state_file.exists()),
        "import-mj": _StepState(by_source[Source.MIDJOURNEY] > 0, by_source[Source.MIDJOURNEY]),
        "import-photos": _StepState(by_source[Source.REAL] > 0, by_source[Source.REAL]),
        "process": _StepState(
            bool(pictures) and plan_process(client, settings).new == 0, crops, "" if pictures else N_("import pictures first")
        ),
        "dataset": _StepState(
            dataset > 0 and dataset_is_current(client, settings), dataset, "" if crops else N_("no crop has passed yet")
        ),
        "train": _StepState(trained_lora(client) is not None, len(checkpoints), "" if dataset else N_("build the dataset first")),
        **({"exam": examined} if held_back else {}),
        "generate": _StepState(portraits > 0, portraits, "" if checkpoints else N_("train the LoRA first")),
    }
