"""The worker's side of painting on a real tiny pipeline: what happens when memory runs out, and what is said of it."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest
from tiny_sdxl import SIDE_PX, make_base

from actions.table import ROWS, action_named
from client_folder.client import create_client
from config import Settings
from generation import plan_portraits
from machine.model_process import ModelProcess
from machine.vram import ModelCache
from machine.worker_tasks import Cancelled, TaskReporter
from portraits.errors import OutOfMemory
from portraits.painter import PaintOrder, Piece, paint_order
from portraits.portrait import portrait_jobs
from portraits.prompts import PromptOptions
from portraits.recipes import RecipeChoice
from utils import ModelMissing


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return make_base(tmp_path_factory.mktemp("models") / "tiny", prediction="epsilon")


@pytest.fixture
def order(tmp_path, base, monkeypatch) -> PaintOrder:
    monkeypatch.setattr("portraits.recipes.MIN_STEPS", 2)
    client, settings = create_client(tmp_path, "ana"), Settings(base_model=str(base))
    plan = plan_portraits(
        client, settings, prompt_options=PromptOptions(("a", "b")), seeds=(1, 2), weights=(0.0,), choice=RecipeChoice(steps=2)
    )
    client.output.mkdir()
    pieces = [
        Piece(record=one.record, file=one.file, missing=True) for one in portrait_jobs(client.output, plan.setup, plan.requests[0])
    ]
    return PaintOrder(base=base, batches=((None, tuple(pieces)),))


class Told:
    """A mouth whose words are kept."""

    def __init__(self, cancelled=lambda _order: False):
        self._out = io.StringIO()
        self.reporter = TaskReporter(1, self._out, cancelled)

    def __getitem__(self, kind):
        answers = [json.loads(line) for line in self._out.getvalue().splitlines()]
        return [answer["facts"] for answer in answers if answer["kind"] == kind]


def hungry(models_in_memory, fits):
    """Make the U-Net of the loaded session run out of memory, in torch's own way, unless `fits` says so of what it is given."""
    import torch

    (session,) = models_in_memory._models.values()

    def refuse(module, args):
        if not fits(session, args[0].shape[0]):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")

    return session._pipe.unet.register_forward_pre_hook(refuse)


def test_a_batch_that_does_not_fit_is_painted_one_by_one(order):
    models_in_memory, told = ModelCache(), Told()
    paint_order(order.model_dump(mode="json"), models_in_memory, told.reporter)
    assert told["note"] == [{"code": "loading", "model": "tiny"}] and len(told["item"]) == 4
    hook = hungry(models_in_memory, lambda _session, rows: rows <= 2)
    again = Told()
    paint_order(order.model_dump(mode="json"), models_in_memory, again.reporter)
    hook.remove()
    assert [note["code"] for note in again["note"]] == ["one_by_one"] and len(again["item"]) == 4


def test_rung_by_rung_each_is_said(order):
    models_in_memory, told = ModelCache(), Told()
    paint_order(order.model_dump(mode="json"), models_in_memory, Told().reporter)
    hungry(models_in_memory, lambda session, _rows: session._pipe.vae.use_tiling)
    paint_order(order.model_dump(mode="json"), models_in_memory, told.reporter)
    assert [note["code"] for note in told["note"]] == ["one_by_one", "attention_slicing", "vae_tiling"]
    assert len(told["item"]) == 4


def test_when_nothing_helps_it_is_refused_and_what_was_loaded_is_dropped(order):
    models_in_memory = ModelCache()
    paint_order(order.model_dump(mode="json"), models_in_memory, Told().reporter)
    hungry(models_in_memory, lambda _session, _rows: False)
    with pytest.raises(OutOfMemory, match="tiny"):
        paint_order(order.model_dump(mode="json"), models_in_memory, Told().reporter)
    assert models_in_memory.loaded() == ()


def test_an_order_that_is_given_up_stops_at_the_next_step(order):
    steps = iter(range(100))
    with pytest.raises(Cancelled):
        paint_order(order.model_dump(mode="json"), ModelCache(), Told(lambda _order: next(steps) > 0).reporter)
    assert list(order.batches[0][1][0].file.parent.glob("*.part")) == []


def test_before_a_training_the_worker_ends(tmp_path):
    from rich.console import Console

    from actions.action import Action, Answer, at_once
    from actions.request import Job, Request, Session
    from avatar_pipeline import perform

    assert [row.name for row in ROWS if action_named(row.name).whole_gpu] == ["demo", "train", "exam", "tune", "queue"]
    with ModelProcess(tmp_path / "worker.log") as model_process:
        for _answer in model_process.ask("status"):
            pass
        assert model_process.pid
        row = Action("train", Request, at_once(lambda job: job.session.model_process.pid), Answer.of, whole_gpu=True)
        console = Console(file=io.StringIO())
        assert perform(row, Job(Session(tmp_path, Settings(), model_process), Request()), console, quiet=True) is None


def test_a_prompt_of_odd_letters_is_painted(tmp_path, base):
    client, settings = create_client(tmp_path, "ana"), Settings(base_model=str(base))
    words = PromptOptions(("a\nb\x00c \udcff 🙂 ñ",))
    plan = plan_portraits(client, settings, prompt_options=words, weights=(0.0,))
    assert plan.prompts[0].prompt == "ana person, a b c ? 🙂 ñ"
    assert plan.size == (SIDE_PX, SIDE_PX)


@pytest.mark.parametrize(("part", "harmful"), [("unet", False), ("vae", False), ("text_encoder", False), ("vae", True)])
def test_weights_that_are_no_safetensors_are_refused_unopened(tmp_path, base, part, harmful):
    import pickle

    import torch
    from safetensors.torch import load_file

    from portraits.sdxl import SdxlPipeline

    class Opened:
        """Once it is unpickled, a file says so."""

        def __reduce__(self):
            return Path.touch, (tmp_path / "opened",)

    folder = tmp_path / "base"
    shutil.copytree(base, folder)
    (whole,) = (folder / part).glob("*.safetensors")
    name = "pytorch_model.bin" if part.startswith("text") else "diffusion_pytorch_model.bin"
    if harmful:
        (folder / part / name).write_bytes(pickle.dumps(Opened()))
    else:
        torch.save(load_file(whole), folder / part / name)
    whole.unlink()
    with pytest.raises(ModelMissing) as refused:
        SdxlPipeline(folder)
    assert str(folder) in refused.value.text() and refused.value.cure()
    assert not (tmp_path / "opened").exists()
