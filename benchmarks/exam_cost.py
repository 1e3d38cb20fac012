"""What examining ten checkpoints costs beside painting their portraits: `python -m benchmarks.exam_cost --folder F`.

F is the folder of `benchmarks.exam_drawn`, whose first client was trained with a checkpoint every ten steps. The exam is sat twice:
the second time every portrait is there and only what is measured and computed is done again. Printed is the whole over what
painting took of it. The practice base paints small pictures quickly; SDXL takes far longer for one, measuring it does not.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from benchmarks.exam_drawn import FIRST_PERSON, LORA, NAME, finish
from client_folder.client import open_client
from config import Settings
from exam.examination import examine
from machine.model_process import ModelProcess

CHECKPOINTS = 10


def main() -> None:
    """Sit the exam twice and print what either took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        kept = shutil.ignore_patterns("*-state", "exam_portraits", "rows.npz", "report.json")
        shutil.copytree(open_client(asked.folder / f"{FIRST_PERSON}", NAME).root, Path(home) / "clients" / NAME, ignore=kept)
        client = open_client(Path(home), NAME)
        steps = sorted(client.models.glob(f"{LORA}-step*.safetensors"))
        for extra in [path for at, path in enumerate(steps) if at % 2 or at >= 2 * (CHECKPOINTS - 1)]:
            extra.unlink()  # the finished one is the tenth
        with ModelProcess() as process:
            began = time.monotonic()
            finish(examine(client, Settings(), model_process=process))
            whole, portraits = time.monotonic() - began, len(list(client.exam_portraits.glob("*.png")))
            client.exam_rows.unlink()
            client.exam_report.unlink()
            began = time.monotonic()
            finish(examine(client, Settings(), model_process=process))
            measuring = time.monotonic() - began
    print(f"{CHECKPOINTS} checkpoints, {portraits} portraits: {whole:.0f} s, without painting {measuring:.1f} s")
    print(f"whole / painting: {whole / (whole - measuring):.3f}")


if __name__ == "__main__":
    main()
