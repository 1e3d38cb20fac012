"""Training a client's LoRA: plan, launch, watch, and go on where a run was cut off or in less memory where it was too little.

The trainer is a child process; this module never imports torch, so no video memory is held beside it. What lies on disk decides
what is still to do: nothing where a whole LoRA of the same plan and dataset is there, else what comes after the newest whole state.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, NoReturn

from client_folder.client import Client
from client_folder.tuned import TunedSettings
from config import PRESETS, TUNED, Preset, Settings
from locales.language import N_, _
from machine import gpu as hardware
from machine.base_models import BaseKind, base_of
from machine.cards import GPUProfile
from machine.downloads import PreloadPlan, plan_preload
from machine.processes import end_orphan
from training.arguments import check_arguments
from training.checkpoints import (
    Checkpoint,
    clear_up,
    final_lora,
    find_resume,
    is_whole,
    list_checkpoints,
    read_plan,
    with_version,
)
from training.cost import Estimate, estimate, refuse
from training.errors import PlanRefused
from training.inputs import (
    TRAINING,
    count_processes,
    read_base,
    read_dataset,
)
from training.own_runs import measured_here
from training.plan import (
    BaseFacts,
    Overrides,
    TrainerKind,
    TrainingPlan,
    kohya_arguments,
    make_plan,
    original_of,
    original_values,
)
from training.run import run_or_take_smaller
from training.samples import gather_samples, write_sample_sheet
from training.secret_options import mask_files
from utils import (
    Event,
    Notice,
    NotReady,
    Stopped,
    TrainingTick,
    sweep_parts,
)

WHY_OTHERS = N_(
    "Made-up people are drawn first; training sees them too, so that only the client's face goes with the client's name."
)
DATASET_CHANGED = N_("the dataset changed after the plan was made; make the plan again.")
UNKNOWN_CHOICE = N_('there is no "{name}".')
CHOICES = N_("Choose one of: {names}")
NAME_A_CARD = N_('Known are cards such as {names}. Any other is taken by a name and its memory, such as "My card 16 GB".')
NO_ORIGINAL = N_("the original plan names no values for {gpu}.")
USE_RECOMMENDED = N_("Use the recommended values.")
GOES_ON = N_("Stopped. The next training goes on from step {step} of {total}.")
BEGINS_ANEW = N_("Stopped. No state was saved yet: the next training begins at step 0 of {total}.")


# --- the plan ---------------------------------------------------------------------------------------------------------
class PreparedTraining(NamedTuple):
    """A plan, what it costs, all that will follow the script's name, and what the original plan's values would cost.

    `begins_at` is the step it will go on from: 0 from the start, the plan's `steps` where nothing is left to do.
    """

    plan: TrainingPlan
    estimate: Estimate
    argv: tuple[str, ...]
    original: TrainingPlan | None = None
    begins_at: int = 0
    download: PreloadPlan | None = None  # of what it trains with and is not here


def plan_training(
    client: Client,
    settings: Settings,
    *,
    gpu: str | GPUProfile | None = None,
    preset: str | None = None,
    steps: int | None = None,
    overrides: Overrides | None = None,
    base_model: str = "",
    original: bool = False,
) -> PreparedTraining:
    """The plan for the dataset on disk; nothing is started or written. `overrides` holds more than `steps` can say.

    `gpu` and `preset` are names of `config`, else what the settings say ("auto": what is here), or for the preset what `tune` found
    for this client on this base; `gpu` may also be the profile of a card elsewhere. `original` takes the values that the original
    plan has for that card, before the overrides. Raises NotReady without a dataset, PlanRefused for a wrong choice, ModelMissing,
    TrainerMissing. A plan that cannot work comes back with the verdict that says so.
    """
    base = read_base(client, settings, base_model)
    facts = read_dataset(client, base.kind)
    profile = gpu if isinstance(gpu, GPUProfile) else _profile_named(gpu or settings.gpu)
    wanted = overrides or Overrides(steps=steps)
    tuned = None if original or preset not in (None, TUNED) else tuned_for(client, base)
    chosen = _preset_named(settings.preset if tuned else preset or settings.preset)
    if tuned:
        chosen, wanted = replace(chosen, name=TUNED), wanted.over(tuned)
    plan = make_plan(profile, chosen, facts, base, wanted, original=original)
    alternative = original_of(plan)
    if original and alternative is None:
        raise PlanRefused(reason=_(NO_ORIGINAL).format(gpu=profile.name), cure=_(USE_RECOMMENDED))
    plan = with_version(client, _on_this_machine(plan, settings))
    argv = kohya_arguments(plan, client, find_resume(client, plan))
    if plan.extra:
        check_arguments(argv)
    measured = estimate(plan, measured_here(client.home, plan))
    download = download_for(client, settings, base_model)
    return PreparedTraining(plan, measured, argv, alternative, _first_step(client, plan), download)


def tuned_for(client: Client, base: BaseFacts) -> TunedSettings | None:
    """What `tune` found for a client on that base; None where it found nothing, or on another one. Raises BrokenFile."""
    found = client.state().tuned
    return found.settings if found and found.base_digest == base.digest else None


def has_tuned(client: Client, settings: Settings, base_model: str = "") -> bool:
    """Whether `tune` found settings for a client on the named base, else on its own; raises what a plan raises for the base."""
    return tuned_for(client, read_base(client, settings, base_model)) is not None


def _first_step(client: Client, plan: TrainingPlan) -> int:
    """The step that a run of this plan begins at, by what lies on disk."""
    if is_whole(final_lora(client, plan)):
        return plan.steps
    resume = find_resume(client, plan)
    return resume.step if resume else 0


def download_for(client: Client, settings: Settings, base_model: str = "") -> PreloadPlan | None:
    """What has to be downloaded before a client can be trained on the named base, else on its own; None where nothing has."""
    name = base_of(client, settings, base_model).preload
    return plan_preload(client.home, settings, (name,)) if name else None


def names_original(client: Client, settings: Settings, *, gpu: str | None = None, base_model: str = "") -> bool:
    """Whether the original plan names values for that card and base, told without looking at the dataset; raises as a plan does."""
    return bool(original_values(_profile_named(gpu or settings.gpu), read_base(client, settings, base_model).kind))


def _on_this_machine(plan: TrainingPlan, settings: Settings) -> TrainingPlan:
    """The plan with what only this machine knows: tokenizers that lie here, and how many GPUs train together."""
    if plan.trainer is TrainerKind.EMBEDDED:
        return plan
    tokenizers = Path(settings.sd_scripts_tokenizers).expanduser() if settings.sd_scripts_tokenizers else None
    return plan.model_copy(
        update={
            "tokenizers": str(tokenizers) if tokenizers and tokenizers.is_dir() else "",
            "processes": count_processes(settings),
        }
    )


def _profile_named(name: str) -> GPUProfile:
    if name.lower() == "auto":
        return hardware.profile_here()
    if found := hardware.profile_named(name):
        return found
    cure = _(NAME_A_CARD).format(names=", ".join(hardware.names_like(name)) or "RTX 3060 12GB, RTX 4090 24GB")
    raise PlanRefused(reason=_(UNKNOWN_CHOICE).format(name=name), cure=cure)


def _preset_named(name: str) -> Preset:
    found = next((preset for preset in PRESETS if preset.name == name.lower()), None)
    return found or _refuse_choice(name, [preset.name for preset in PRESETS])


def _refuse_choice(name: str, known: Sequence[str]) -> NoReturn:
    raise PlanRefused(reason=_(UNKNOWN_CHOICE).format(name=name), cure=_(CHOICES).format(names=", ".join(known)))


# --- the run ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """A finished training. `resumed_from` is the step this run began at: 0 from the start, `steps` where nothing was left to do."""

    lora: Path
    steps: int
    resumed_from: int
    seconds: float
    checkpoints: tuple[Checkpoint, ...]
    changes: tuple[str, ...] = ()
    samples: Path | None = None  # the sheet that shows them side by side
    practice: bool = False  # trained on a practice model


def train(
    client: Client, settings: Settings, plan: TrainingPlan, *, take_smaller_plans: bool = False, secrets: Mapping[str, str] = {}
) -> Generator[Event, None, TrainingReport]:
    """Train a plan to its end, or go on with it; a finished one is only reported. Stopping ends the trainer, with a state saved
    where it can: Stopped says from which step the next run goes on.

    Where the GPU's memory is too little, `take_smaller_plans` tries the next smaller plan, and so on; what changed is in the plan
    that is saved. `secrets` are variables of the trainer alone. Raises PlanRefused, NotReady, GPUBusy, ModelMissing,
    TrainerMissing, MemoryFull, or TrainerFailed with the cause.
    """
    started = time.monotonic()
    end_orphan(client.trainer_pid)
    for folder in (client.training, client.models):
        sweep_parts(folder)
    mask_files(client)
    refuse(plan)
    check_arguments(kohya_arguments(plan, client))
    if read_dataset(client, plan.base_kind).digest != plan.dataset_digest:
        raise NotReady(step=_(TRAINING), reason=_(DATASET_CHANGED))
    plan = with_version(client, plan)
    begun = plan.steps
    if not is_whole(final_lora(client, plan)):
        if plan.base_kind is BaseKind.EMBEDDED:
            yield from _draw_others(client)
        try:
            begun, plan = yield from run_or_take_smaller(client, settings, plan, take_smaller_plans, secrets)
        except (Stopped, KeyboardInterrupt) as stop:
            raise Stopped(_what_is_kept(client, plan)) from stop
    # Samples came since the sheet was written, or a killed run could not write it.
    outdated = gather_samples(client, plan) or begun < plan.steps or not client.samples_sheet(plan.version).is_file()
    sheet = write_sample_sheet(client, plan.version, plan.base_kind) if outdated else client.samples_sheet(plan.version)
    clear_up(client, plan)
    yield TrainingTick(plan.steps, plan.steps)
    of_plan = tuple(one for one in list_checkpoints(client) if one.version == plan.version)
    return TrainingReport(
        final_lora(client, plan), plan.steps, begun, time.monotonic() - started, of_plan, plan.changes, sheet, plan.practice
    )


def _draw_others(client: Client) -> Iterator[Event]:
    """The regularisation pictures, which only the embedded base draws itself."""
    from embedded.drawing.regularisation import draw_regularisation  # it brings the drawing code along

    if not client.regularisation.exists():
        yield Notice(WHY_OTHERS)
    yield from draw_regularisation(client.regularisation)


def _what_is_kept(client: Client, plan: TrainingPlan) -> Notice:
    """Where the next run goes on; the plan that was started with may be a smaller one by now."""
    started = read_plan(client) or plan
    step = _first_step(client, started)
    return Notice(GOES_ON if step else BEGINS_ANEW, {"step": step, "total": started.steps})


def trained_lora(client: Client) -> Path | None:
    """The finished LoRA of the last plan, if the dataset is still the one it learned; raises BrokenFile."""
    plan = read_plan(client)
    if plan is None or not is_whole(final_lora(client, plan)):
        return None
    try:
        current = read_dataset(client, plan.base_kind).digest == plan.dataset_digest
    except NotReady:
        return None
    return final_lora(client, plan) if current else None
