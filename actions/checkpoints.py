"""The action that shows, exports and strips what was trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from actions.action import Action, Answer, Stage
from actions.request import Ask, ClientRequest, Job, Menu, UserPath
from locales.language import N_
from machine.base_models import BaseKind
from training import exports, lora_files
from training.exam_choice import ExamChoice
from training.exports import App, Exported
from training.lora_files import LoraFile, LoraFiles, Stripped

_VERB_LABELS = {
    "list": N_("show them"),
    "export": N_("export one for ComfyUI, A1111, InvokeAI and diffusers"),
    "strip": N_("take the captions out of their headers"),
}
_NAME_HELP = N_("Which one, by name or step (empty: the exam's choice, else the newest finished one):")
_TO_HELP = N_("Folder of a ComfyUI or A1111 to copy it into (empty: none):")
_CAPTIONS_HELP = N_("leave captions in the exported file's header: yes or no")


# --- what is asked ----------------------------------------------------------------------------------------------------
def _exports(job: Job[CheckpointsRequest]) -> bool:
    """Whether the menu was told to export, so that more has to be asked."""
    return job.request.verb == "export"


class CheckpointsRequest(ClientRequest):
    """What to do with which of a client's LoRAs."""

    verb: Annotated[
        Literal["list", "export", "strip"], Ask(N_("What to do with the LoRAs:"), menu=Menu.CHOICE, labels=_VERB_LABELS)
    ] = "list"
    name: Annotated[str, Ask(_NAME_HELP, menu=Menu.TEXT, when=_exports)] = ""
    to_app: Annotated[App | Literal["all"], Ask(N_("program to export for"), "--for")] = "all"
    to: Annotated[UserPath | None, Ask(_TO_HELP, "--to", "FOLDER", menu=Menu.TEXT, when=_exports)] = None
    keep_captions: Annotated[bool, Ask(_CAPTIONS_HELP, "--keep-captions", worded=True)] = False


def checkpoints(job: Job[CheckpointsRequest]) -> Stage:
    """List a client's LoRAs, export one, or take the captions out of their headers."""
    request = job.request
    if request.verb == "strip":
        return lora_files.strip_captions(job.who, request.name)
    if request.verb == "export":
        apps = tuple(App) if request.to_app == "all" else (request.to_app,)
        return exports.export_lora(job.who, job.settings, request.name, apps, request.to, request.keep_captions)
    return lora_files.look_closely(job.who)


# --- what is answered -------------------------------------------------------------------------------------------------
class CheckpointAnswer(Answer):
    """A LoRA file: the step it was saved at, its size in bytes, whether it is whole and the last of its training, its loss.

    `chosen_by_exam`: it is taken wherever no LoRA is named.
    """

    path: Path
    version: int
    step: int
    size: int
    whole: bool
    final: bool
    sha256: str
    loss: float | None
    samples: tuple[Path, ...]
    captions: bool
    base_kind: BaseKind | None
    practice: bool
    chosen_by_exam: bool

    @classmethod
    def of(cls, file: LoraFile, choice: ExamChoice | None = None) -> Self:
        """The file, and what is known of it."""
        one = file.checkpoint
        return cls(
            path=one.path, version=one.version, step=one.step, size=one.size, whole=one.whole, final=one.final,
            sha256=file.sha256, loss=file.loss, samples=file.samples, captions=file.captions,
            base_kind=one.base_kind, practice=one.practice, chosen_by_exam=bool(choice and choice.lora == one.path),
        )  # fmt: skip


class CheckpointsAnswer(Answer):
    """Every LoRA of a client, oldest first, and the sheets that show their samples side by side."""

    checkpoints: tuple[CheckpointAnswer, ...]
    contact_sheets: tuple[Path, ...]


class StrippedAnswer(Answer):
    """Which files lost the captions in their headers."""

    stripped: tuple[Path, ...]


class ExportedAnswer(Answer):
    """What was written: a file for each program, where it was installed, and what other programs have to be told."""

    lora: Path
    trigger: str
    weights: tuple[float, float]
    sha256: str
    preview: Path | None
    files: dict[str, Path]
    installed: tuple[Path, ...]
    base_kind: BaseKind
    practice: bool
    left_out: tuple[App, ...]
    chosen_by_exam: bool


def answer(report: LoraFiles | Stripped | Exported) -> CheckpointsAnswer | StrippedAnswer | ExportedAnswer:
    """Whichever came out."""
    if isinstance(report, Stripped):
        return StrippedAnswer(stripped=report.files)
    if isinstance(report, Exported):
        return ExportedAnswer.of(report)
    return CheckpointsAnswer(
        checkpoints=tuple(CheckpointAnswer.of(file, report.exam_choice) for file in report.files), contact_sheets=report.sheets
    )  # fmt: skip


def _made(_job: Job[CheckpointsRequest], report: LoraFiles | Stripped | Exported) -> tuple[Path, ...]:
    """The exported files, wherever they went, or the sheets of samples."""
    if isinstance(report, Exported):
        return (*report.installed, *report.files.values())
    return report.sheets if isinstance(report, LoraFiles) else ()


CHECKPOINTS = Action(
    "checkpoints", CheckpointsRequest, checkpoints, answer, changes=False, lasts=lambda request: request.verb != "list", made=_made
)
ACTIONS = (CHECKPOINTS,)
