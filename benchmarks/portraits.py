"""Painting portraits against the bare diffusers pipeline, on the embedded base, all in one run: python benchmarks/portraits.py

Prints ratios: our session over the bare pipeline with the same calls, batches over one by one, the second request over the first,
and what it takes to switch a LoRA's weight. Each is the median of several rounds that take turns, for the machine's load drifts.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("OMP_NUM_THREADS", "1")

from client_folder.client import create_client
from config import EMBEDDED_FOLDER, Settings
from generation import generate, plan_portraits
from machine.model_process import ModelProcess
from portraits.painter import batch_size
from portraits.prompts import PromptOptions
from portraits.recipes import EMBEDDED_RECIPE
from portraits.sdxl import ImageRequest, SdxlPipeline

ROUNDS, PORTRAITS, SIDE = 5, 16, 96
PROMPT = "portrait of a woman, smiling, blue background, studio lighting"


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def image_request(seed: int) -> ImageRequest:
    recipe = EMBEDDED_RECIPE
    return ImageRequest(PROMPT, "", seed, recipe.steps, recipe.guidance, recipe.sampler, SIDE, SIDE)


def compare(pipeline: SdxlPipeline) -> None:
    """Seconds a round of: the bare pipeline, our session, our session in batches."""
    import torch

    pipe, size = pipeline._pipe, batch_size(SIDE * SIDE)
    recipe = EMBEDDED_RECIPE

    def bare() -> None:
        for seed in range(PORTRAITS):
            pipe(
                PROMPT, num_inference_steps=recipe.steps, guidance_scale=recipe.guidance, width=SIDE, height=SIDE,
                generator=torch.Generator("cpu").manual_seed(seed),
            )  # fmt: skip

    def ours() -> None:
        for seed in range(PORTRAITS):
            pipeline.paint(image_request(seed))

    def batches() -> None:
        for start in range(0, PORTRAITS, size):
            pipeline.paint_batch([image_request(seed) for seed in range(start, start + size)])

    bare()  # the first run allocates
    rounds = [(timed(bare), timed(ours), timed(batches)) for _ in range(ROUNDS)]
    overhead = statistics.median(ours / bare for bare, ours, _batches in rounds)
    gain = statistics.median(ours / batches for _bare, ours, batches in rounds)
    print(f"our session / bare pipeline, {PORTRAITS} portraits: {overhead:.3f} ({(overhead - 1) * 100:+.1f} %)")
    print(f"one by one / batches of {size}, {PORTRAITS} portraits: {gain:.2f}")


def requests(home: Path) -> None:
    """The first and the second request of a model process, through files and the worker."""
    client, settings = create_client(home, "bench", "woman"), Settings()

    def paint(seed: int) -> None:
        plan = plan_portraits(client, settings, prompt_options=PromptOptions((PROMPT,)), seeds=(seed,), weights=(0.0,))
        for _event in generate(client, settings, plan, model_process):
            pass

    with ModelProcess(home / "worker.log") as model_process:
        first, second = timed(lambda: paint(1)), timed(lambda: paint(2))
        again = timed(lambda: paint(2))
        print(
            f"first request (starts the worker, loads): {first:.2f} s; second: {second:.2f} s ({first / second:.0f} times faster)"
        )
        print(f"the same request again, from disk: {again:.3f} s; workers started: {model_process.starts}")


def switching(pipeline: SdxlPipeline, home: Path) -> None:
    """A LoRA's weight and the LoRA itself, against loading the base anew."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
    from embedded_lora import make_embedded_lora

    loras = [make_embedded_lora(home / f"{name}.safetensors", seed) for seed, name in enumerate(("one", "two"))]
    pipeline.load_lora(loras[0], 1.0)
    weight = timed(lambda: pipeline.load_lora(loras[0], 0.7))
    other = timed(lambda: pipeline.load_lora(loras[1], 1.0))
    anew = timed(lambda: SdxlPipeline(pipeline.files))
    print(
        f"switching: weight {weight * 1000:.1f} ms, another LoRA {other * 1000:.0f} ms, loading the base anew {anew * 1000:.0f} ms"
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        loaded = SdxlPipeline(EMBEDDED_FOLDER)
        compare(loaded)
        switching(loaded, Path(folder))
        requests(Path(folder))
