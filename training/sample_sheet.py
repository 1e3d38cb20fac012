"""The samples of a training side by side, a row a prompt and a column a step, so that a checkpoint can be chosen by eye."""

from __future__ import annotations

from pathlib import Path

from client_folder.client import Client
from locales.language import _
from pictures.contact_sheet import Cell, contact_sheet
from training.runs import losses_of, read_runs
from training.samples import prompts_of, samples_by_step

CELL_PX = 224


def write_sample_sheet(client: Client, version: int) -> Path | None:
    """The sheet of one version of a client's LoRA, with the loss at each checkpoint; None where no sample was painted."""
    samples = samples_by_step(client, client.lora_name(version))
    if not samples:
        return None
    losses = losses_of(read_runs(client), version)
    steps = sorted({step for step, _prompt in samples})
    prompts = sorted({prompt for _step, prompt in samples})
    rows = [[Cell(samples.get((step, prompt)), _label(step, losses.get(step))) for step in steps] for prompt in prompts]
    known = dict(enumerate(prompts_of(client)))
    sheet = client.samples_sheet(version)
    contact_sheet(rows, sheet, titles=[known.get(prompt, str(prompt)) for prompt in prompts], cell_px=CELL_PX)
    return sheet


def _label(step: int, loss: float | None) -> str:
    written = _("step {step}").format(step=step)
    return written if loss is None else f"{written}\n" + _("loss {loss:.3f}").format(loss=loss)
