"""One run of the trainer: its child process from the first line to the last, and a smaller plan where the memory is full."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from client_folder.client import Client
from config import Settings
from embedded.trainer.trainer_control import STOPPED_CODE, VARIABLE, take_wishes
from locales.language import N_
from machine import gpu as hardware
from machine.processes import run_child
from training.checkpoints import drop_noise, find_resume, finish, is_whole, put_aside, with_version
from training.cost import next_smaller, refuse, take_smaller
from training.diagnosis import Cause, diagnose
from training.inputs import QUIET, Trainer, find_trainer, forget_caches, launch_words, trainer_environment
from training.lock import hold_gpu
from training.monitor import MemoryFull, Watched, fail, watch
from training.plan import TrainerKind, TrainingPlan, kohya_arguments, run_name
from training.runs import begin_run, end_run
from training.samples import write_prompts
from utils import Event, Notice, Stopped, TrainingTick, write_record

TAKING_SMALLER = N_("{cause} Trying again with {smaller}.")
# What the real script's own parser says to the words; it loads no model, but takes as long to import as it always does.
_PROOF = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); import sdxl_train_network as s; s.setup_parser().parse_args(sys.argv[1:])"
)


def run_or_take_smaller(
    client: Client, settings: Settings, plan: TrainingPlan, take_smaller_plans: bool, secrets: Mapping[str, str]
) -> Generator[Event, None, tuple[int, TrainingPlan]]:
    """Run the plan, or where that is asked for the next smaller one that fits: the step it began at, and what was trained."""
    while True:
        try:
            return (yield from _run(client, settings, plan, secrets)), plan
        except MemoryFull as full:
            cure = next_smaller(plan)
            if not take_smaller_plans or cure is None:
                raise
            yield Notice(TAKING_SMALLER, {"cause": full.facts["cause"], "smaller": cure.words})
            plan = with_version(client, take_smaller(plan, cure))
            refuse(plan)


def _run(client: Client, settings: Settings, plan: TrainingPlan, secrets: Mapping[str, str]) -> Generator[Event, None, int]:
    """Run the trainer once to the end of the plan, or end it with this generator; the step it began at.

    Raises TrainerFailed, MemoryFull, GPUBusy, or Stopped where the trainer ended because it was asked to.
    """
    card = hardware.largest_gpu() if plan.gpu.vram_gb else None
    with hold_gpu(card.key if card else "", plan.gpu.name, client.id) as beside_the_lock:
        trainer, resume = find_trainer(client.home, settings, Path(plan.base)), find_resume(client, plan)
        written = client.models / f"{run_name(plan, client, resume)}.safetensors"
        written.unlink(missing_ok=True)  # torn, or it would have been taken for the result; what is there at the end must be new
        if resume is None:
            client.train_log.unlink(missing_ok=True)
            forget_caches(client)
        write_prompts(client, plan)
        write_record(client.plan_file, plan)
        begun = resume.step if resume else 0
        argv = kohya_arguments(plan, client, resume)
        watched = Watched(client, plan, begun, *begin_run(client, plan, argv, begun))
        if trainer.kind is TrainerKind.SD_SCRIPTS:
            yield from _ask_the_parser(trainer, argv, watched)
        words = (*launch_words(settings, trainer), *argv)
        environment = {**trainer_environment(plan, settings, card), **secrets, VARIABLE: str(client.trainer_control)}
        take_wishes(client.trainer_control)  # which nobody heeded in a run before
        try:
            with closing(run_child(words, client.train_log, environment, client.trainer_pid, *beside_the_lock)) as child:
                ended = yield from watch(child, watched)
        finally:
            if watched.run.outcome == Cause.NAN.value:
                drop_noise(client, plan, watched.run.steps)
    if ended.returncode == STOPPED_CODE and trainer.kind is TrainerKind.EMBEDDED:
        end_run(watched.file, watched.run, "stopped")
        raise Stopped
    if ended.returncode != 0 or not is_whole(written):
        found = diagnose(ended.lines, ended.returncode)
        if found.kind is Cause.BAD_STATE and resume is not None and resume.state.is_dir():
            put_aside(resume.state)
        fail(watched, found)
    finish(client, plan, resume)
    end_run(watched.file, watched.run, "done")
    return begun


def _ask_the_parser(trainer: Trainer, argv: Sequence[str], watched: Watched) -> Generator[Event, None, None]:
    """Let the installed script's own parser read the words before anything is loaded; raises TrainerFailed."""
    proof = (str(trainer.python), "-c", _PROOF, str(trainer.script.parent), *argv)
    with closing(run_child(proof, watched.client.train_log, QUIET, watched.client.trainer_pid)) as child:
        while True:
            try:
                next(child)
            except StopIteration as end:
                result = end.value
                break
            yield TrainingTick(watched.begun, watched.plan.steps, phase="checking", kept_step=watched.begun)
    if result.returncode != 0:
        fail(watched, diagnose(result.tail, result.returncode))
