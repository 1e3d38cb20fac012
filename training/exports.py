"""One chosen LoRA made ready for ComfyUI, AUTOMATIC1111, InvokeAI and diffusers, in the folders and names that each expects.

What other programs need beside the file: the trigger word, the weight to use it at, a picture to recognise it by.

A LoRA of the embedded base fits no SDXL model, and so none of the programs that paint with SDXL; diffusers loads it onto that base.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from client_folder.client import Client
from client_folder.recommended_prompts import default_prompts
from config import Settings
from locales.language import N_
from machine.base_models import BaseKind
from training.checkpoints import Checkpoint, choose_lora, exam_choice
from training.exam_choice import ExamChoice
from training.lora_files import copy_lora, read_metadata
from training.samples import samples_of
from utils import PART, Event, FolderMissing, PipelineError, Progress, locked, replacing, sha256_file, write_text

WEIGHTS = (0.7, 1.0)  # the original plan's recommendation
WEIGHT = 0.8
EMBEDDED_TITLE = "practice base that comes with Avatar Pipeline (embedded/base)"
DIFFUSERS_NAME = "pytorch_lora_weights.safetensors"  # what `load_lora_weights(folder)` looks for


class ExportRefused(PipelineError):
    """Facts: path, app."""

    message = N_("{path} does not look like {app}.")
    hint = N_("Name the folder that holds its models folder.")


class NoSDXL(PipelineError):
    """Facts: lora, apps."""

    message = N_("{lora} was trained on the embedded practice base: it fits no SDXL model, and {apps} could not use it.")
    hint = N_(
        "To paint elsewhere, train on SDXL: settings base_model=sdxl, then train. This one can go to diffusers, with the base it "
        "fits: checkpoints export --for diffusers"
    )


class App(StrEnum):
    """A program that paints with LoRAs."""

    COMFYUI = "comfyui"
    A1111 = "a1111"
    INVOKEAI = "invokeai"
    DIFFUSERS = "diffusers"


TITLES = {App.COMFYUI: "ComfyUI", App.A1111: "AUTOMATIC1111", App.INVOKEAI: "InvokeAI", App.DIFFUSERS: "diffusers"}
# Where each keeps its LoRAs, below its own folder. Forks of A1111 (Forge, reForge, SD.Next) share its layout.
_FOLDERS = {App.COMFYUI: "models/loras", App.A1111: "models/Lora", App.INVOKEAI: "models/sdxl/lora", App.DIFFUSERS: ""}


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: a LoRA file for each program, the preview (None where there is no picture yet), the hash of the file.

    `left_out` are the programs that paint with SDXL only, which the LoRA does not fit.
    """

    lora: Path
    trigger: str
    weights: tuple[float, float]
    preview: Path | None
    sha256: str
    files: dict[str, Path]
    installed: tuple[Path, ...]  # in programs that are on this machine
    base_kind: BaseKind = BaseKind.SDXL
    left_out: tuple[App, ...] = ()
    exam_choice: ExamChoice | None = None  # that the exam chose the LoRA, for nobody named one

    @property
    def practice(self) -> bool:
        """Whether it was trained on a practice model, and fits no SDXL."""
        return self.base_kind is BaseKind.EMBEDDED

    @property
    def chosen_by_exam(self) -> bool:
        """Whether the LoRA is the one that the exam chose, for nobody named one."""
        return self.exam_choice is not None


@dataclass(frozen=True, slots=True)
class _Lora:
    """What is exported, and what goes with it."""

    client: Client
    checkpoint: Checkpoint
    preview: Path | None
    keep_captions: bool
    weight: float  # that other programs are told to begin with

    @property
    def name(self) -> str:
        """The file's name in other programs, without the ending."""
        return self.checkpoint.path.stem

    @property
    def embedded(self) -> bool:
        """Whether it fits the embedded base, and no SDXL."""
        return self.checkpoint.practice


def export_lora(
    client: Client, settings: Settings, name: str = "", apps: Sequence[App] = tuple(App), to: Path | None = None,
    keep_captions: bool = False,
) -> Generator[Event, None, Exported]:  # fmt: skip
    """Write a LoRA into `output/lora/` for each of the programs, and into those on this machine that `to` or the settings name.

    Captions are left out of its header unless they are kept on purpose. A LoRA of the embedded base goes to diffusers alone, where
    all programs are asked for. Raises as `choose_lora`, FolderMissing, ExportRefused, and NoSDXL where only SDXL will do.
    """
    installed = _installed(settings, to)
    chosen, best = choose_lora(client, name), exam_choice(client)
    weight = best.weight if best and best.lora == chosen.path else WEIGHT
    lora = _Lora(client, chosen, find_preview(client, chosen), keep_captions, weight)
    left_out: tuple[App, ...] = ()
    if lora.embedded:
        asked = dict.fromkeys((*apps, *(app for app, _folder in installed)))
        left_out = tuple(app for app in asked if app is not App.DIFFUSERS)
        if to is not None or App.DIFFUSERS not in apps:
            raise NoSDXL(lora=lora.name, apps=", ".join(TITLES[app] for app in left_out))
        apps, installed = (App.DIFFUSERS,), []
    jobs = [(app, client.exports(app.value)) for app in apps] + installed
    written: list[Path] = []
    with locked(client.output / "lora"):  # not the client, which a training may hold for hours
        for number, (app, folder) in enumerate(jobs, 1):
            written.append(_write(lora, app, folder))
            yield Progress("export", number, len(jobs), str(folder))
    files = {app.value: file for (app, _folder), file in zip(jobs[: len(apps)], written, strict=False)}
    return Exported(
        chosen.path, client.id, WEIGHTS, lora.preview, sha256_file(written[0]), files, tuple(written[len(apps) :]),
        chosen.base_kind or BaseKind.SDXL, left_out, None if name else best,
    )  # fmt: skip


def find_preview(client: Client, checkpoint: Checkpoint) -> Path | None:
    """A picture to recognise a LoRA by: its own sample, else the last one before it or the newest portrait; None without any."""
    lora = client.lora_name(checkpoint.version)
    samples = samples_of(client, lora, checkpoint.step)
    if not samples:
        # Of the last step before this one that was painted; names sort by step.
        limit = f"{lora}-step{checkpoint.step:08d}"
        earlier = sorted(path for path in client.samples.glob(f"{lora}-step*-0.png") if path.name < limit)
        samples = tuple(earlier[-1:])
    portraits = sorted(client.output.glob("portrait_*.png"), key=lambda path: path.stat().st_mtime, reverse=True)
    return next(iter((*samples, *portraits)), None)


def _installed(settings: Settings, to: Path | None) -> list[tuple[App, Path]]:
    """The programs to copy into: the one `to` names, else those of the settings."""
    if to is not None:
        return [(_app_at(to), to)]
    named = ((App.COMFYUI, settings.comfyui), (App.A1111, settings.a1111))
    return [(_app_at(Path(folder).expanduser(), app), Path(folder).expanduser()) for app, folder in named if folder]


def _app_at(folder: Path, expected: App | None = None) -> App:
    """Which program a folder holds, by its models folder; raises FolderMissing or ExportRefused."""
    if not folder.is_dir():
        raise FolderMissing(path=folder)
    models = folder / "models"
    names = {path.name for path in models.iterdir()} if models.is_dir() else set()
    # A file system that ignores case still tells how a name is written.
    found = App.COMFYUI if "loras" in names else App.A1111 if "Lora" in names or (folder / "webui.py").is_file() else None
    if found is None or (expected and found is not expected):
        raise ExportRefused(path=folder, app=TITLES[expected] if expected else f"{TITLES[App.COMFYUI]} / {TITLES[App.A1111]}")
    return found


def _write(lora: _Lora, app: App, folder: Path) -> Path:
    """The LoRA and what goes with it, below a program's own folder; the file written."""
    place = folder / _FOLDERS[app]
    for left in (*place.glob(f".{lora.name}.*{PART}"), *(place / lora.name).glob(f".*{PART}")):  # of an export that was killed
        left.unlink(missing_ok=True)
    if app is App.DIFFUSERS:
        return _write_diffusers(lora, place / lora.name)
    file = place / f"{lora.name}.safetensors"
    copy_lora(lora.checkpoint.path, file, without_captions=not lora.keep_captions)
    if lora.preview:
        _copy(lora.preview, file.with_suffix(".preview.png" if app is App.A1111 else ".png"))
    if app is App.A1111:
        # What A1111's card of a LoRA shows and fills in: its own keys.
        card = {
            "description": f"{lora.name}, SDXL LoRA", "sd version": "SDXL", "activation text": lora.client.id,
            "preferred weight": lora.weight, "negative text": "", "notes": _notes(lora),
        }  # fmt: skip
        write_text(file.with_suffix(".json"), json.dumps(card, indent=2, ensure_ascii=False) + "\n")
    else:
        write_text(file.with_suffix(".txt"), _notes(lora))
    return file


def _notes(lora: _Lora) -> str:
    """What a person needs to know, in words that need no translation."""
    base = read_metadata(lora.checkpoint.path).get("ss_base_model_version", "SDXL")
    if lora.embedded:  # what the header says of its base was SDXL once
        base = EMBEDDED_TITLE
    prompts = "\n".join(default_prompts(lora.client.id, lora.client.state().class_word, lora.embedded))
    return (
        f"trigger: {lora.client.id}\nweight: {WEIGHTS[0]} - {WEIGHTS[1]}\nbase: {base}\nstep: {lora.checkpoint.step}\n\n{prompts}\n"
    )


def _write_diffusers(lora: _Lora, folder: Path) -> Path:
    """A folder that `load_lora_weights` takes as it is, with a model card."""
    file = folder / DIFFUSERS_NAME
    copy_lora(lora.checkpoint.path, file, without_captions=not lora.keep_captions)
    picture = ""
    if lora.preview:
        _copy(lora.preview, folder / "preview.png")
        picture = "\n![preview](preview.png)\n"
    family, fits = ("", f"\nIt fits the {EMBEDDED_TITLE}, and no SDXL model.\n") if lora.embedded else ("stable-diffusion-xl, ", "")
    card = (
        f"---\nlibrary_name: diffusers\ntags: [lora, {family}text-to-image]\n"
        f"instance_prompt: {lora.client.id}\n---\n# {lora.name}\n{fits}{picture}\n"
        f'```python\npipeline.load_lora_weights("{folder.name}", adapter_name="{lora.client.id}")\n'
        f'pipeline.set_adapters("{lora.client.id}", {lora.weight:g})\n```\n\n```\n{_notes(lora)}```\n'
    )
    write_text(folder / "README.md", card)
    return file


def _copy(source: Path, target: Path) -> None:
    with replacing(target) as part:
        shutil.copyfile(source, part)
