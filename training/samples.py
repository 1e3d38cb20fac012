"""Pictures painted while training: the fixed prompts, what sd-scripts paints gathered into the client's `samples/`, and the sheet
that shows them side by side, so that a checkpoint can be chosen by eye.

sd-scripts paints into `models/sample/` and nowhere else, under `NAME_000250_00_20260101120000_42.png`: the step, the number of the
prompt, the time, the seed.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from client_folder.client import Client
from client_folder.recommended_prompts import default_prompts
from locales.language import _
from machine.base_models import BaseKind, practice_caption
from pictures.contact_sheet import Cell, contact_sheet, differing_words
from training.plan import TrainingPlan, run_name
from training.runs import losses_of, read_runs
from utils import sync_file, sync_folder, whole_png, write_text

CELL_PX = 224  # of the sheet
_SAMPLES = 2  # of the recommended prompts: each costs a picture at every checkpoint
_NEGATIVE = "blurry, deformed, watermark"
_SEED = 42  # the same at every step: only the LoRA differs from one sample to the next
_NAME = re.compile(r"(?P<run>.+)_(?P<when>e?\d{6})_(?P<prompt>\d{2})_\d{14}(?:_\d+)?")
_GATHERED = re.compile(r"(?P<lora>.+)-step(?P<step>\d{8})-(?P<prompt>\d+)")
_BEGUN = re.compile(r"-from(\d{8})$")


def write_prompts(client: Client, plan: TrainingPlan) -> None:
    """Write the prompts file that the trainer paints from; sd-scripts would paint 512 px unless told."""
    embedded = plan.base_kind is BaseKind.EMBEDDED
    side = f"--w {plan.sample_side} --h {plan.sample_side} --d {_SEED}"
    how = f"{side} --l 2 --s 8" if embedded else f"--n {_NEGATIVE} {side} --l 7 --s 24"
    prompts = default_prompts(client.id, client.state().class_word, embedded)[:_SAMPLES]
    write_text(client.sample_prompts, "".join(f"{prompt} {how}\n" for prompt in prompts))


def prompts_of(client: Client) -> tuple[str, ...]:
    """The words that were last painted from, by their number in a sample's name."""
    if not client.sample_prompts.is_file():
        return ()
    return tuple(line.split(" --", 1)[0] for line in client.sample_prompts.read_text(encoding="utf-8").splitlines())


def gather_samples(client: Client, plan: TrainingPlan) -> list[Path]:
    """Move finished pictures into `samples/`, named `LORA-step00000250-0.png`; those still being written stay for the next time."""
    if not client.trainer_samples.is_dir():
        return []
    gathered = []
    for picture in sorted(client.trainer_samples.glob("*.png")):
        named = _NAME.fullmatch(picture.stem)
        if named and whole_png(picture):
            gathered.append(client.samples / _name_of(named, client, plan))
            client.samples.mkdir(parents=True, exist_ok=True)
            sync_file(picture)
            os.replace(picture, gathered[-1])
    if gathered:
        sync_folder(client.samples)
    return gathered


def _name_of(named: re.Match[str], client: Client, plan: TrainingPlan) -> str:
    begun = _BEGUN.search(named["run"])
    if named["when"].startswith("e"):
        step = int(named["when"][1:]) * plan.steps_per_epoch()
    else:
        step = int(named["when"]) + (int(begun[1]) if begun else 0)
    lora = _BEGUN.sub("", named["run"]) or run_name(plan, client)
    return f"{lora}-step{step:08d}-{int(named['prompt'])}.png"


def samples_of(client: Client, lora: str, step: int) -> tuple[Path, ...]:
    """The gathered samples of one checkpoint."""
    return tuple(sorted(client.samples.glob(f"{lora}-step{step:08d}-*.png"))) if client.samples.is_dir() else ()


def samples_by_step(client: Client, lora: str) -> dict[tuple[int, int], Path]:
    """The gathered samples of a LoRA, by step and number of the prompt."""
    named = {path: _GATHERED.fullmatch(path.stem) for path in client.samples.glob("*.png")}
    return {(int(name["step"]), int(name["prompt"])): path for path, name in named.items() if name and name["lora"] == lora}


def write_sample_sheet(client: Client, version: int, kind: BaseKind | None = None) -> Path | None:
    """The sheet of one version of a client's LoRA, a row a prompt and a column a step, with the loss at each checkpoint.

    `kind` is the base's. Every version has its own. None where no sample was painted.
    """
    samples = samples_by_step(client, client.lora_name(version))
    if not samples:
        return None
    losses = losses_of(read_runs(client), version)
    steps = sorted({step for step, _prompt in samples})
    known = dict(enumerate(differing_words(prompts_of(client))))
    rows, titles = [], []
    for prompt in sorted({prompt for _step, prompt in samples}):
        row = []
        for step in steps:
            label = _("step {step}").format(step=step)
            if (loss := losses.get(step)) is not None:
                label += "\n" + _("loss {loss:.3f}").format(loss=loss)
            row.append(Cell(samples.get((step, prompt)), label))
        rows.append(row)
        titles.append(known.get(prompt, str(prompt)))
    sheet = client.samples_sheet(version)
    contact_sheet(rows, sheet, titles=titles, caption=practice_caption(kind), cell_px=CELL_PX)
    return sheet
