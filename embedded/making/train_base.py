"""Make the embedded base again: `python -m embedded.making.train_base --work DIR --out embedded/base`.

Every stage is seeded and has a fixed number of steps, keeps its state in the work folder and goes on from there.
The stages `vae` and `unet` need only `draw`, so they can run side by side. `--base DIR` takes what those two made from a
finished base: then only `draw`, `again`, `decoder` and `save` are left to do.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch

from embedded.making.base_model import assemble, make_tokenizer
from embedded.making.decoder_training import new_decoder_training, train_decoder
from embedded.making.network_training import StepReport
from embedded.making.training_set import PORTRAITS, draw_training_set, load_training_set
from embedded.making.unet_training import new_second_training, train_unet, train_unet_again
from embedded.making.vae_training import train_vae

STAGES = ("draw", "vae", "unet", "again", "decoder", "save")


def main() -> None:
    """Run the stages asked for, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for drawings and checkpoints")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "base", help="folder of the finished base")
    parser.add_argument("--stage", choices=STAGES, action="append", help="only this stage (may be given again)")
    parser.add_argument("--base", type=Path, help="a finished base to go on from, instead of the stages vae and unet")
    parser.add_argument("--threads", type=int, default=1, help="threads to compute with")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    base: Path | None = arguments.base
    stages = arguments.stage or [stage for stage in STAGES if not (base and stage in ("vae", "unet"))]
    if "draw" in stages:
        for drawn in draw_training_set(arguments.work):
            print(f"drawn {drawn} of {PORTRAITS}", flush=True)
    if "vae" in stages:
        _report("vae", train_vae(load_training_set(arguments.work), arguments.work))
    if "unet" in stages:
        _report("unet", train_unet(load_training_set(arguments.work), arguments.work))
    if "again" in stages:
        _report("again", train_unet_again(load_training_set(arguments.work), arguments.work, base))
    if "decoder" in stages:
        _report("decoder", train_decoder(load_training_set(arguments.work), arguments.work, base))
    if "save" in stages:
        save_base(arguments.work, arguments.out, base)
        print(f"saved {arguments.out}")


def save_base(work: Path, out: Path, base: Path | None = None) -> None:
    """Write the pipeline in half precision from the last checkpoints; `out` changes all at once."""
    tokenizer = make_tokenizer(load_training_set(work).all_captions())
    unet, *text_encoders = new_second_training(tokenizer, work, base).average
    vae = new_decoder_training(work, base).average
    pipeline = assemble(vae, unet, (text_encoders[0], text_encoders[1]), tokenizer).to(dtype=torch.float16)
    fresh, old = out.with_name(out.name + ".new"), out.with_name(out.name + ".old")
    pipeline.save_pretrained(fresh)
    if out.exists():
        os.replace(out, old)
    os.replace(fresh, out)
    shutil.rmtree(old, ignore_errors=True)


def _report(stage: str, progress: Iterator[StepReport]) -> None:
    for at in progress:
        print(
            f"{stage} step {at.step}/{at.steps}  loss {at.loss:.4f}  {at.samples_per_second:.1f} samples/s  "
            f"{at.seconds_left / 60:.1f} min left",
            flush=True,
        )


if __name__ == "__main__":
    main()
