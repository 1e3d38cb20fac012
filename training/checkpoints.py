"""What a training leaves in a client's `models/`: which files are whole, which step and base they are of, where a run goes on.

Everything is told from names and files; sd-scripts' names are `NAME-step00000250.safetensors`, `NAME-step00000250-state/` and, at
the end, `NAME.safetensors`. A run that went on at step 500 adds `-from00000500`, because sd-scripts counts such a run from 0 again.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from client_folder.client import Client
from locales.language import N_, _
from machine.base_models import BaseKind
from training.exam_choice import ExamChoice, LastExam, choice_of, last_exam
from training.plan import Resume, TrainingPlan, run_name
from training.runs import read_runs
from utils import NotReady, PipelineError, read_record

_NAME = re.compile(r"(?P<lora>.+_avatar_v(?P<version>\d+))(?:-from(?P<begun>\d{8}))?(?:-step(?P<step>\d{8}))?(?P<state>-state)?")
# The layer of a LoRA that looks at the prompt is as wide as what the base's text encoders say: 2048 numbers a word in SDXL.
# The names are those of sd-scripts (`..._attn2_to_k.lora_down.weight`) and of diffusers (`...attn2.to_k.lora_A.weight`).
_PROMPT_LAYER = re.compile(r"attn2[._]to_k\.(?:lora_down|lora_A|lora\.down)\.weight$")
_SDXL_PROMPT_WIDTH = 2048
_STEPS = re.compile(r"[0-9]{1,9}")
_WHAT_WAITS = N_("What needs a LoRA")
_TRAIN_FIRST = N_("train the LoRA first")


class NoCheckpoint(PipelineError):
    """Facts: name, known."""

    message = N_('There is no whole LoRA "{name}".')
    hint = N_("Those that can be used: {known}")


class TornCheckpoint(PipelineError):
    """Facts: name, known."""

    message = N_('The LoRA "{name}" is cut off: part of its file is missing.')
    hint = N_("Train again, which goes on from the last whole state. Those that can be used: {known}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A LoRA file: the optimizer step it was saved at, its size in bytes, whether it is whole, the last of its training, its base.

    The base is told by the layers: what a header says of it is not trusted, for the embedded trainer once called every base SDXL.
    None where the file is torn.
    """

    path: Path
    version: int
    step: int
    size: int
    whole: bool
    final: bool
    base_kind: BaseKind | None

    @property
    def practice(self) -> bool:
        """Whether it was trained on a practice model, and fits no SDXL."""
        return self.base_kind is BaseKind.EMBEDDED


@dataclass(frozen=True, slots=True)
class _Named:
    """What a name tells: of which LoRA, and after how many steps; None stands for the last one."""

    lora: str
    version: int
    step: int | None


def list_checkpoints(client: Client) -> tuple[Checkpoint, ...]:
    """Every LoRA of a client, oldest version and step first, the finished one last; a torn file is listed as torn."""
    named = [(path, _read_name(path.stem)) for path in client.models.glob("*.safetensors")]
    # A resumed run of sd-scripts writes into its last file only the steps it ran itself.
    ended = {run.version: run.total for run in read_runs(client) if run.outcome == "done"}
    found = [_look_at(path, name, ended) for path, name in named if name is not None]
    return tuple(sorted(found, key=lambda one: (one.version, one.final, one.step)))


def choose_lora(client: Client, name: str = "") -> Checkpoint:
    """The whole LoRA of that file name, with or without its ending, or of that step; by default the one that the exam chose, else
    the newest finished one, else the newest step.

    Only files of the client's own folder of models are looked at: no name leads out of it. A step is that of the newest version
    which has it. Raises NotReady where none was trained, NoCheckpoint for a name that is not there, TornCheckpoint where what is
    meant is cut off, BrokenFile for a broken report of the exam.
    """
    trained = list_checkpoints(client)
    if not name and (choice := exam_choice(client)):
        return next(one for one in trained if one.path == choice.lora)
    meant = [one for one in trained if not name or name in (one.path.name, one.path.stem, str(one.step))]
    if name and not meant:
        # A LoRA that somebody laid into `models/` under a name of their own: it is used where it is named, and never by default.
        others = [path for path in client.models.glob("*.safetensors") if name in (path.name, path.stem)]
        meant = [_look_at(path, _Named(path.stem, 0, None), {}) for path in others]
    whole = [one for one in meant if one.whole]
    if whole:
        # The finished LoRA has the step of the last checkpoint: of two that fit a step, it is the one meant.
        return max(whole, key=lambda one: (one.version, one.final, one.step)) if name else _newest(whole)
    if not (trained or meant):
        raise NotReady(step=_(_WHAT_WAITS), reason=_(_TRAIN_FIRST))
    known = ", ".join(one.path.stem for one in trained if one.whole) or "-"
    if meant:
        raise TornCheckpoint(name=name or meant[-1].path.stem, known=known)
    raise NoCheckpoint(name=name, known=known)


def current_exam(client: Client) -> LastExam | None:
    """What the last exam says, as long as it was one of the newest LoRA; raises BrokenFile."""
    exam = last_exam(client)
    whole = [one for one in list_checkpoints(client) if one.whole] if exam else []
    newest = {one.path.name for one in whole if one.version == _newest(whole).version}
    return exam if exam and any(one.lora in newest for one in exam.candidates) else None


def exam_choice(client: Client) -> ExamChoice | None:
    """The checkpoint that an exam of the newest LoRA chose, where it is whole and still the file that was examined, else None.

    Raises BrokenFile.
    """
    exam = current_exam(client)
    choice = choice_of(client, exam) if exam else None
    return choice if choice and is_whole(choice.lora) else None


def _newest(whole: Sequence[Checkpoint]) -> Checkpoint:
    """The newest finished LoRA, else the newest step."""
    return max(whole, key=lambda one: (one.final, one.version, one.step))


def _look_at(path: Path, name: _Named, ended: Mapping[int, int]) -> Checkpoint:
    whole, metadata, base_kind = _read_header(path)
    said = metadata.get("ss_steps", "")  # of anybody's making: it may be no number
    step = name.step if name.step is not None else ended.get(name.version, int(said) if _STEPS.fullmatch(said) else 0)
    return Checkpoint(
        path, name.version, step, path.stat().st_size if path.is_file() else 0, whole, final=name.step is None, base_kind=base_kind
    )


def _read_name(stem: str) -> _Named | None:
    parts = _NAME.fullmatch(stem)
    if parts is None:
        return None
    begun, step = int(parts["begun"] or 0), parts["step"]
    return _Named(parts["lora"], int(parts["version"]), begun + int(step) if step else None)


def is_whole(path: Path) -> bool:
    """Whether a safetensors file is there and holds every byte its header promises."""
    return _read_header(path)[0]


def _read_header(path: Path) -> tuple[bool, dict[str, str], BaseKind | None]:
    """Whether a safetensors file is whole, what its header says of it, and which kind of base a LoRA's layers fit.

    A folder, a pipe or a link that leads nowhere is torn, whatever its name: a pipe would be waited for without end.
    """
    if not path.is_file():
        return False, {}, None
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            layers = list(file.keys())
            # One of another shape, such as LyCORIS': only sd-scripts trains those, and only on SDXL.
            sample = next((layer for layer in layers if _PROMPT_LAYER.search(layer)), None)
            width = (file.get_slice(sample).get_shape() or [0])[-1] if sample else _SDXL_PROMPT_WIDTH
            kind = BaseKind.SDXL if width == _SDXL_PROMPT_WIDTH else BaseKind.EMBEDDED
            return bool(layers), file.metadata() or {}, kind if layers else None
    except (SafetensorError, FileNotFoundError):
        return False, {}, None


def newest_version(client: Client) -> int:
    """The highest version that files or states in `models/` bear; 0 where there is none."""
    names = (_read_name(path.stem) for path in _entries(client))
    return max((name.version for name in names if name is not None), default=0)


def _entries(client: Client) -> list[Path]:
    return sorted(client.models.iterdir()) if client.models.is_dir() else []


def read_plan(client: Client) -> TrainingPlan | None:
    """The plan the last training was started with, None where there was none; raises BrokenFile."""
    return read_record(client.plan_file, TrainingPlan) if client.plan_file.exists() else None


def with_version(client: Client, plan: TrainingPlan) -> TrainingPlan:
    """The same training keeps its version and goes on; another one takes the next, so that no file is ever overwritten."""
    saved = read_plan(client)
    same = saved is not None and saved.teaches_the_same(plan)
    version = saved.version if saved and same else newest_version(client) + 1
    return plan.model_copy(update={"version": version})


def final_lora(client: Client, plan: TrainingPlan) -> Path:
    """Where the finished LoRA of a plan lies, or will lie."""
    return client.models / f"{plan.output_name(client)}.safetensors"


# --- states -----------------------------------------------------------------------------------------------------------
def find_resume(client: Client, plan: TrainingPlan) -> Resume | None:
    """The newest whole state of an unfinished training of this plan; None where it has to begin from the start."""
    states = ((path, _read_name(path.name)) for path in _states(client, plan))
    # The state of the last step is of no use: nothing would be left to train, and so no LoRA would be written.
    usable = [Resume(path, name.step) for path, name in states if name and name.step and name.step < plan.steps]
    return next((state for state in sorted(usable, key=lambda one: -one.step) if _is_whole_state(state.state)), None)


def _states(client: Client, plan: TrainingPlan) -> list[Path]:
    states = []
    for path in _entries(client):
        name = _read_name(path.name)
        if name and name.lora == plan.output_name(client) and path.name.endswith("-state") and path.is_dir():
            states.append(path)
    return states


def _is_whole_state(folder: Path) -> bool:
    """Whether accelerate finished writing: weights, optimizer, schedule, and the random numbers, which it writes last."""
    pickles = [path for path in folder.iterdir() if path.suffix in (".bin", ".pkl", ".pt") and path.is_file()]
    # PyTorch writes zip archives; a torn one lacks the directory at its end.
    written = {path.name.split(".")[0] for path in pickles if zipfile.is_zipfile(path)}
    complete = len(written) == len(pickles) and {"optimizer", "scheduler", "random_states_0"} <= written
    if not (complete and is_whole(folder / "model.safetensors")):
        return False
    progress = folder / "train_state.json"
    try:
        found = json.loads(progress.read_text(encoding="utf-8")) if progress.is_file() else None
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and isinstance(found.get("current_step"), int)


def put_aside(state: Path) -> None:
    """Rename a state that the trainer could not load, so that it is not chosen again and can still be looked at."""
    aside = state.with_name(f"{state.name}-refused")
    if aside.is_dir():
        shutil.rmtree(aside)
    state.rename(aside)


def finish(client: Client, plan: TrainingPlan, resume: Resume | None) -> Path:
    """Give the LoRA of a run that has ended its final name."""
    lora = final_lora(client, plan)
    ended = client.models / f"{run_name(plan, client, resume)}.safetensors"
    if ended != lora:
        os.replace(ended, lora)
    return lora


def drop_noise(client: Client, plan: TrainingPlan, step: int) -> None:
    """Remove what a run saved once its loss was no number any more: files after `step`, and states from the step before on.

    A state of the step before may hold weights that are no numbers already, for the loss shows it one step later.
    """
    for path in _entries(client):
        name = _read_name(path.stem if path.suffix == ".safetensors" else path.name)
        if name is None or name.lora != plan.output_name(client):
            continue
        if path.is_dir() and (name.step is None or name.step >= step - 1):
            _remove_state(path)
        elif path.is_file() and (name.step is None or name.step > step):
            path.unlink()


def drop_older_states(client: Client, plan: TrainingPlan, step: int) -> None:
    """Remove the states of a plan from before a step, of which another one came from elsewhere."""
    for state in _states(client, plan):
        name = _read_name(state.name)
        if name and name.step is not None and name.step < step:
            _remove_state(state)


def _remove_state(state: Path) -> None:
    """Remove a state; where somebody keeps it elsewhere, behind a link, the link alone."""
    if state.is_symlink():
        state.unlink()
    else:
        shutil.rmtree(state)


def clear_up(client: Client, plan: TrainingPlan) -> None:
    """Remove what only an unfinished training needs: its states, and an end that a killed run left under its own name.

    Checkpoints of a resumed run take the name of the step they are of, unless that file is there already.
    """
    for state in _states(client, plan):
        _remove_state(state)
    for stray in client.models.glob(f"{plan.output_name(client)}-from*.safetensors"):
        name = _read_name(stray.stem)
        if name is None or stray.is_dir():
            continue
        if name.step is None or name.step > plan.steps:  # past the end nothing is learned any more
            stray.unlink()
        elif not (true := client.models / f"{name.lora}-step{name.step:08d}.safetensors").exists():
            stray.rename(true)
