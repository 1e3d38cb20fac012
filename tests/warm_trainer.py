"""The embedded trainer in processes of its own, forked from one that has its libraries already: importing them takes ten seconds.

It is run by its path, as its users run it. A test that is about starting it starts it cold.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent.parent / "embedded" / "sdxl_train_network.py"
LIBRARIES = ["warm_trainer", "torch", "diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl"]
LIBRARIES += ["embedded.trainer.lora_training", "diffusers.loaders.single_file"]


def start_trainer(argv: list[str], folder: Path, out: Path, err: Path, **environment: str) -> BaseProcess:
    """Start it in a folder; what it says is written to two files."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the process that is forked: it must not have threads
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LIBRARIES)  # heeded when the first process is started
    process = context.Process(target=_as_main, args=(argv, folder, out, err, environment))
    process.start()
    return process


def _as_main(argv: list[str], folder: Path, out: Path, err: Path, environment: dict[str, str]) -> None:
    """In the new process: the folder, the streams and the words of a program of its own; then the program."""
    os.chdir(folder)
    os.environ.update(environment)
    for descriptor, file in ((1, out), (2, err)):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process lives
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
    sys.argv = [str(SCRIPT), *argv]
    runpy.run_path(str(SCRIPT), run_name="__main__")
