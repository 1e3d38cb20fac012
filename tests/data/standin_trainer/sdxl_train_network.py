"""A stand-in for sd-scripts' trainer: the same options, files and lines, in a second and without a model.

The environment says how it ends: STANDIN=success, oom, spill, nan, hang, old_version, killed, no_images, torn, bad_flag or unknown.
Its lines are those that the real script printed. Like the real one it counts a resumed run from 0, starts at `--initial_epoch`
and runs whole epochs. The "LoRA" holds the number of optimizer steps at a learning rate above 0 that were ever run on it.
"""

import argparse
import json
import math
import os
import pickle
import signal
import sys
import time
import zipfile
from pathlib import Path

RED_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100c9fe92ef"
    "0000000049454e44ae426082"
)
OPTIONS = Path(__file__).resolve().parents[3] / "training" / "sd_scripts_options.json"  # what the real parser knows
HOW = os.environ.get("STANDIN", "success")
SMALLER = os.environ.get("STANDIN_FITS", "nothing")  # a word of the command line with which the memory is enough
PAUSE = float(os.environ.get("STANDIN_PAUSE", "0"))  # seconds a step


def read_arguments():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("train_data_dir", "output_dir", "output_name", "resume"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--sample_prompts", type=Path)
    parser.add_argument("--sample_every_n_steps", type=int)
    for name in ("max_train_steps", "save_every_n_steps", "save_last_n_steps_state", "train_batch_size"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--initial_epoch", type=int, default=1)
    return parser.parse_known_args()[0]


def setup_parser():
    """The real script's function of that name: every option it has."""
    parser = argparse.ArgumentParser()
    for name, option in json.loads(OPTIONS.read_text())["options"].items():
        many = {"nargs": "*"} if option.get("many") else {}
        parser.add_argument(f"--{name}", **({"action": "store_true"} if option["kind"] == "flag" else many))
    return argparse.ArgumentParser(prog="sdxl_train_network.py") if HOW == "old_version" else parser


def say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def loss_at(step):
    """The same at every step; where STANDIN_LOSS=falling, as a loss looks that falls."""
    falls = os.environ.get("STANDIN_LOSS") == "falling"
    return round(0.124 + 0.06 * math.exp(-step / 250) + 0.012 * math.sin(step / 19) * math.sin(step / 7), 3) if falls else 0.124


def bar(done, total, loss):
    rate = "214.50" if HOW == "spill" and SMALLER not in sys.argv else " 4.50"
    bars = "█" * (10 * done // total)
    sys.stderr.write(
        f"\rsteps:  {100 * done // total}%|{bars:<10}| {done}/{total} [00:{done:02d}<00:29, {rate}s/it, avr_loss={loss}]"
    )
    sys.stderr.flush()


def save_lora(path, steps):
    say(f"\nsaving checkpoint: {path}")
    write_lora(path, steps, {"ss_steps": str(steps), "ss_tag_frequency": '{"2_ana": {"ana smiling": 2}}'})


def write_lora(path, steps, metadata):
    import numpy as np  # here: the parser alone is asked more often than the trainer
    from safetensors.numpy import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"lora_unet.lora_down.weight": np.full((4, 4), steps, dtype=np.float16)}, path, metadata)


def save_state(folder, epoch, step, trained):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train_state.json").write_text(json.dumps({"current_epoch": epoch, "current_step": step}))
    write_lora(folder / "model.safetensors", trained, {})
    for name in ("optimizer.bin", "scheduler.bin", "random_states_0.pkl"):
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr("data.pkl", "x" * 200)


def paint(arguments, step):
    """A red pixel for each prompt, or the file that STANDIN_SAMPLE names, where the real script paints and under its names."""
    given = os.environ.get("STANDIN_SAMPLE")
    content = Path(given).read_bytes() if given else RED_PIXEL
    folder = arguments.output_dir / "sample"
    folder.mkdir(parents=True, exist_ok=True)
    for number, _prompt in enumerate(arguments.sample_prompts.read_text(encoding="utf-8").splitlines()):
        (folder / f"{arguments.output_name}_{step:06d}_{number:02d}_20260101120000_42.png").write_bytes(content)


def steps_per_epoch(arguments):
    folders = [folder for folder in arguments.train_data_dir.iterdir() if folder.is_dir()]
    shown = sum(int(folder.name.split("_")[0]) * len(list(folder.glob("*.png"))) for folder in folders)
    return math.ceil(shown / arguments.train_batch_size)


def end_badly(step):
    if HOW == "oom" and SMALLER not in sys.argv:
        raise MemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 7.79 GiB")
    if HOW == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if HOW == "hang":
        time.sleep(600)
    if HOW == "unknown":
        sys.exit(7)


def train(arguments):
    per_epoch, trained, global_step = steps_per_epoch(arguments), 0, 0
    epochs = math.ceil(arguments.max_train_steps / per_epoch)
    if arguments.resume:
        from safetensors.numpy import load_file

        if b"os.system" in zipfile.ZipFile(arguments.resume / "optimizer.bin").read("data.pkl"):
            raise pickle.UnpicklingError("Weights only load failed. In PyTorch 2.6, we changed the default value of `weights_only`")
        trained = int(load_file(arguments.resume / "model.safetensors")["lora_unet.lora_down.weight"][0, 0])
        assert json.loads((arguments.resume / "train_state.json").read_text())["current_step"]
    name = arguments.output_dir / arguments.output_name
    for epoch in range(arguments.initial_epoch - 1, epochs):
        say(f"\nepoch {epoch + 1}/{epochs}\n")
        for _ in range(per_epoch):
            time.sleep(PAUSE)
            global_step, trained = global_step + 1, min(trained + 1, arguments.max_train_steps)
            bar(global_step, arguments.max_train_steps, "nan" if HOW == "nan" and global_step == 3 else loss_at(global_step))
            if global_step % arguments.save_every_n_steps == 0:
                save_lora(name.with_name(f"{name.name}-step{global_step:08d}.safetensors"), trained)
                save_state(name.with_name(f"{name.name}-step{global_step:08d}-state"), epoch + 1, global_step, trained)
            if arguments.sample_every_n_steps and global_step % arguments.sample_every_n_steps == 0:
                paint(arguments, global_step)
            if global_step == 5:
                end_badly(global_step)
            if global_step >= arguments.max_train_steps:
                break
    final = name.with_name(f"{name.name}.safetensors")
    save_lora(final, trained)
    if HOW == "torn":
        os.truncate(final, final.stat().st_size - 4)
    say("model saved.")


def main():
    if HOW == "bad_flag":
        say("usage: sdxl_train_network.py [-h]\nsdxl_train_network.py: error: unrecognized arguments: --lowvram")
        sys.exit(2)
    if HOW == "no_images":
        say("0 train images with repeats.")
        say(
            "No data found. Please verify arguments (train_data_dir must be the parent of folders with images) / 画像がありません。"
        )
        return
    say("40 train images with repeats.\nrunning training / 学習開始")
    train(read_arguments())


if __name__ == "__main__":
    main()
